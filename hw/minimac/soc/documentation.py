"""The page of boards: what of it follows from :mod:`minimac.soc.registers`.

``python -m minimac.soc.documentation docs/boards.md`` brings a page up to date.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from minimac.soc.board import Board, boards, load_board
from minimac.soc.registers import (
    ESCAPE,
    ESCAPED,
    FLAG,
    FRAME_BYTES,
    HEADER,
    REGISTERS,
    Kind,
    Space,
    Status,
)

__all__ = ["brought_up_to_date", "tables"]

_SPACES = {
    Space.REGISTERS: ("4", "read, write", "the registers below"),
    Space.ACTIVATIONS: (
        "rows x bits of `a`",
        "write",
        "a vector a word, row 0 lowest; output-stationary: a term",
    ),
    Space.WEIGHTS: (
        "columns x bits of `b`",
        "write",
        "a row of a pass a word, the last row first, column 0 lowest; output-stationary: a term",
    ),
    Space.RESULTS: ("columns x bits of `out`", "read", "a vector of results, column 0 lowest"),
    Space.DESCRIPTION: ("1", "read", "the design as JSON, compressed by zlib"),
}

_STATUS = {
    Status.OK: "done; the data of a read follow",
    Status.KIND: "no such kind",
    Status.SPACE: "no such space, or not to be read or written",
    Status.RANGE: "the words are beyond the space",
    Status.LENGTH: "there are not as many bytes as `count` says",
    Status.BUSY: "a run is under way: ask again",
}


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _header() -> Iterator[Sequence[object]]:
    low = 0
    for name, (size, meaning) in HEADER.items():
        yield low if size == 1 else f"{low} to {low + size - 1}", f"`{name}`", meaning
        low += size
    yield f"{low} on", "data", "of a write"


def _clock(board: Board) -> str:
    source = "" if board.clock_source == "pin" else ", the processor's"
    return f"{board.clock_mhz:g}{source}"


def tables() -> dict[str, str]:
    """Return the parts of the page that follow from the tables, by name."""
    kinds = ", ".join(f"{kind.value}: {kind.name.lower()}" for kind in Kind)
    found = [load_board(name) for name in boards()]
    return {
        "boards": _table(
            ["board", "", "FPGA", "clock MHz", "serial line"],
            ((f"`{x.name}`", x.title, x.part, _clock(x), x.link) for x in found),
        ),
        "frames": (
            f"A frame is the flag `{FLAG:02x}`, content, its CRC-32 (that of Ethernet and zlib, "
            f"lowest byte first), and the flag\nagain. In content and CRC, a byte `{FLAG:02x}` or "
            f"`{ESCAPE:02x}` is sent as `{ESCAPE:02x}` and the byte xor `{ESCAPED:02x}` "
            f"(RFC 1662). There are at most {FRAME_BYTES}\nbytes between flags, before escapes. "
            f"Numbers have their lowest byte first. `kind` is {kinds}."
        ),
        "request": _table(["byte", "field", "meaning"], _header()),
        "status": _table(
            ["status", "", "meaning"], ((x.value, x.name, _STATUS[x]) for x in Status)
        ),
        "spaces": _table(
            ["space", "", "bytes of a word", "access", "words"],
            ((x.value, x.name, *_SPACES[x]) for x in Space),
        ),
        "registers": _table(
            ["address", "register", "", "meaning"],
            (
                (n, f"`{x.name}`", "write" if x.writable else "read", x.meaning)
                for n, x in enumerate(REGISTERS)
            ),
        ),
    }


def brought_up_to_date(page: str) -> str:
    r"""Return a page with the parts between ``<!-- name -->`` and ``<!-- end -->`` as they are now.

    Examples
    --------
    >>> text = brought_up_to_date("<!-- status -->\nold\n<!-- end -->\n")
    >>> text.splitlines()[3]
    '| 0 | OK | done; the data of a read follow |'
    """
    for name, text in tables().items():
        begin = f"<!-- {name} -->\n"
        before, found, rest = page.partition(begin)
        if found:
            _, end, after = rest.partition("<!-- end -->")
            page = f"{before}{begin}{text}\n{end}{after}"
    return page


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(brought_up_to_date(path.read_text(encoding="utf-8")), encoding="utf-8")
