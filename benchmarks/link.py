"""Fuzzing of the link: frames that are corrupted, cut, mixed and overlong, on a simulated board.

``python -m benchmarks.link`` sends 100,000 of them and writes ``docs/link.md`` and ``.json``. A
reference of its own reads every byte that goes to the board and says what each counter must be.
Between the frames the board multiplies what its buffers hold, and what a host sends it.
"""

import argparse
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minimac.host import Accelerator, Link
from minimac.host.simulation import open_simulated
from minimac.model import matmul
from minimac.soc.registers import COUNTERS, Control, Space
from minimac.spec import Systolic, load_design

__all__ = ["Campaign", "main"]

DESIGN = {
    "name": "fuzzed",
    "unit": "systolic",
    "a": "int8",
    "b": "int8",
    "out": "int32",
    "accumulate": {"kind": "exact"},
    "array": {"rows": 2, "columns": 2},
}

_LONGEST, _LEAST = 1024, 11
_READ, _WRITE = 1, 2


class Reference:
    """Says what a board must count, from the bytes that go to it; as RFC 1662 has it.

    Attributes
    ----------
    counts : Counter
        Frames that are whole, damaged, short or long.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._rest = bytearray()

    def feed(self, sent: bytes) -> None:
        """Take bytes in."""
        for byte in sent:
            if byte == 0x7E:
                if self._rest:
                    self.counts[self.judge(bytes(self._rest))] += 1
                self._rest.clear()
            else:
                self._rest.append(byte)

    def would_take(self, sent: bytes) -> bool:
        """Say whether one of the frames would be whole that these bytes end, or a flag behind."""
        trial = Reference()
        trial._rest = bytearray(self._rest)
        trial.feed(sent + b"\x7e")
        return trial.counts["frames"] > 0

    @staticmethod
    def judge(raw: bytes) -> str:
        """Name the counter that a frame is counted in, by what is between its flags."""
        content, escaped = bytearray(), False
        for byte in raw:
            if escaped:
                content.append(byte ^ 0x20)
                escaped = False
            elif byte == 0x7D:
                escaped = True
            else:
                content.append(byte)
        if len(content) > _LONGEST:
            return "long"
        if escaped:
            return "damaged"
        if len(content) < _LEAST:
            return "short"
        crc = int.from_bytes(content[-4:], "little")
        return "frames" if zlib.crc32(bytes(content[:-4])) == crc else "damaged"


class Tap:
    """A port whose bytes the reference sees."""

    def __init__(self, port: Any, reference: Reference) -> None:
        self._port, self._reference = port, reference

    def write(self, sent: bytes) -> Any:
        """Send bytes."""
        self._reference.feed(sent)
        return self._port.write(sent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def framed(content: bytes) -> bytes:
    """Return a frame."""
    whole = content + zlib.crc32(content).to_bytes(4, "little")
    escaped = (bytes([0x7D, x ^ 0x20]) if x in (0x7D, 0x7E) else bytes([x]) for x in whole)
    return b"\x7e" + b"".join(escaped) + b"\x7e"


class Campaign:
    """Frames of all sorts, sent to a simulated board.

    Parameters
    ----------
    design : Systolic
        What is on the board.
    seed : int
        Seed of all that is random.
    """

    def __init__(self, design: Systolic, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.reference = Reference()
        self.port = Tap(open_simulated(design), self.reference)
        self.sent: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.batches = self.products = 0
        self.board = Accelerator(Link(self.port, "sim", timeout_s=5.0), design)
        self.design = design

    def close(self) -> None:
        """End the board."""
        self.board.close()

    def run(self, frames: int, watch: Callable[[int], None] | None = None) -> None:
        """Send so many frames, and check after every fifty or so that nothing is wrong."""
        while sum(self.sent.values()) < frames:
            a, b = self._hold()
            for _ in range(int(self.rng.integers(20, 60))):
                self._send_bad()
            self._check(a, b)
            if self.rng.random() < 0.2:
                self._flood()
                self._check(a, b)
            self.batches += 1
            if watch:
                watch(sum(self.sent.values()))

    def _hold(self) -> tuple[Any, Any]:
        """Multiply two matrices, that stay in the buffers."""
        size, terms = (int(n) for n in self.rng.integers(1, 12, 2))
        a = self.rng.integers(0, 256, (size, terms))
        b = self.rng.integers(0, 256, (terms, self.design.array.columns))
        self._compare(self.board.matmul(a, b), a, b)
        return a, b

    def _compare(self, got: Any, a: Any, b: Any) -> None:
        if not np.array_equal(got, matmul(self.design, a, b)):
            raise AssertionError(f"a wrong product after {sum(self.sent.values())} frames")
        self.products += 1

    def _check(self, a: Any, b: Any) -> None:
        """Compare counters with the reference, and a product of what the buffers hold."""
        counted = self.board.counters()  # which also ends what was cut off
        expected = self.reference.counts
        for name in ("damaged", "short", "long", "line"):
            if counted[name] != expected[name] % (1 << 16):
                raise AssertionError(f"{name}: {counted[name]}, not {expected[name]}")
        taken = counted["frames"] + counted["overrun"]
        if taken % (1 << 16) != expected["frames"] % (1 << 16):
            raise AssertionError(f"{taken} frames taken or overrun, not {expected['frames']}")
        passes = -(-a.shape[1] // self.design.array.rows)
        control = 1 << Control.START | 1 << Control.FIRST | 1 << Control.LAST
        self.board.link.set_registers("vectors", len(a), passes, control)
        size = 4 * self.design.array.columns
        raw = self.board.link.read(Space.RESULTS, 0, len(a), size)
        self._compare(np.frombuffer(raw, "<u4").reshape(len(a), -1), a, b)

    def _request(self) -> bytes:
        """Return the content of a request that would change what the buffers hold."""
        rng = self.rng
        data = rng.bytes(2 * int(rng.integers(1, 60)))
        space = int(rng.integers(0, 5))
        kind, address = int(rng.integers(1, 3)), int(rng.integers(0, 16))
        header = [kind, int(rng.integers(256)), space, address, 0, len(data) // 2, 0]
        return bytes(header) + (data if kind == _WRITE else b"")

    def _send_bad(self) -> None:
        """Send something that is no frame, or several of them."""
        kinds = [x for x in dir(self) if x.startswith("_bad_")]
        kind = str(self.rng.choice(kinds))
        chunk = getattr(self, kind)()
        if self.reference.would_take(chunk):  # a bit flipped twice, or what was cut off goes on
            return
        self.sent[kind.removeprefix("_bad_")] += 1
        self.port.write(chunk)

    def _bad_garbage(self) -> bytes:
        return self.rng.bytes(int(self.rng.integers(1, 80)))

    def _bad_flipped(self) -> bytes:
        raw = bytearray(framed(self._request()))
        for _ in range(int(self.rng.integers(1, 5))):
            raw[int(self.rng.integers(len(raw)))] ^= 1 << int(self.rng.integers(8))
        return bytes(raw)

    def _bad_cut(self) -> bytes:
        raw = framed(self._request())
        return raw[: int(self.rng.integers(1, len(raw) - 1))]

    def _bad_without_beginning(self) -> bytes:
        raw = framed(self._request())
        return raw[int(self.rng.integers(2, len(raw))) :]

    def _bad_missing_bytes(self) -> bytes:
        raw = framed(self._request())
        at = int(self.rng.integers(1, len(raw) - 1))
        return raw[:at] + raw[at + int(self.rng.integers(1, 4)) :]

    def _bad_interleaved(self) -> bytes:
        parts = [framed(self._request()) for _ in range(2)]
        mixed = b""
        while any(parts):
            which = int(self.rng.integers(2)) if all(parts) else int(bool(parts[1]))
            size = int(self.rng.integers(1, 8))
            mixed += parts[which][:size]
            parts[which] = parts[which][size:]
        return mixed

    def _bad_long(self) -> bytes:
        content = self._request() + self.rng.bytes(int(self.rng.integers(_LONGEST - 20, 1200)))
        return framed(content) if len(content) + 4 > _LONGEST else b"\x7e\x7d\x7e"

    def _bad_escape(self) -> bytes:
        return framed(self._request())[:-1] + b"\x7d\x7e"

    def _flood(self) -> None:
        """Send requests without waiting for answers: some are overrun, none does harm."""
        count = int(self.rng.integers(2, 12))
        self.sent["flood"] += count
        reads = (bytes([_READ, n, Space.REGISTERS, 0, 0, 3, 0]) for n in range(count))
        self.port.write(b"\x7e" + b"".join(map(framed, reads)))
        # Until nothing more comes.
        deadline = time.monotonic() + 30
        while self.port.read(4096):
            if time.monotonic() > deadline:
                raise AssertionError("the board does not stop sending")


_PAGE = """\
# The link under fire

Written by `python -m benchmarks.link`, in {seconds:,.0f} s; the figures are in
[link.json](link.json). A simulated board with an int8 array of 2 x 2, the complete top at a cycle a
bit, seed {seed}. A reference that shares no code with the circuit reads every byte that goes to it
and says what each counter must be; they were compared at least {batches:,} times. Each time the
board also multiplied what its buffers held before the frames, and then other matrices:
{products:,} products, all equal to the model's. It answered to the end; requests were sent again
{retries} times.

| sent | frames |
| --- | ---: |
{sent}

| counted by the board | |
| --- | ---: |
{counted}

`frames` and what was answered count the host's own requests, too.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the campaign and write its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"))
    options = parser.parse_args(arguments)
    design = load_design(DESIGN)
    assert isinstance(design, Systolic)
    campaign = Campaign(design, options.seed)
    began = time.monotonic()
    campaign.run(options.frames, lambda done: print(f"\r{done} frames", end="", flush=True))
    counted = campaign.reference.counts | Counter()
    registers = campaign.board.counters()
    found = {
        "frames": sum(campaign.sent.values()),
        "seed": options.seed,
        "seconds": time.monotonic() - began,
        "batches": campaign.batches,
        "products": campaign.products,
        "retries": campaign.board.link.retries,
        "sent": dict(sorted(campaign.sent.items())),
        "counted": {**counted, **{x: registers[x] for x in ("line", "overrun", "repeated")}},
    }
    campaign.close()
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "link.json").write_text(json.dumps(found, indent=2) + "\n")
    words = {**found, "sent": _rows(found["sent"]), "counted": _rows(found["counted"])}
    (options.output / "link.md").write_text(_PAGE.format(**words))


def _rows(counts: dict[str, int]) -> str:
    def lines() -> Iterator[str]:
        for name, count in counts.items():
            said = COUNTERS.get(name, name.replace("_", " "))
            yield f"| {said} | {count:,} |"

    return "\n".join(lines())


if __name__ == "__main__":
    main()
