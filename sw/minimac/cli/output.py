"""What commands print: tables, JSON and progress, and why they end."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import typer

__all__ = [
    "cell_of",
    "complain",
    "fail",
    "print_csv",
    "print_json",
    "print_table",
    "under_way",
    "watch",
]


def complain(said: str) -> None:
    """Report an error, in one line."""
    line = " ".join(said.split())
    with contextlib.suppress(OSError):  # nobody listens
        print(f"minimac: error: {line}", file=sys.stderr)


def fail(said: str) -> NoReturn:
    """Report a check that failed, and leave with status 1."""
    print(f"minimac: FAIL: {' '.join(said.split())}", file=sys.stderr)
    raise typer.Exit(1)


def cell_of(value: Any) -> str:
    """Return a value as it stands in a table."""
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def print_table(rows: Sequence[dict[str, Any]], cell: Callable[[Any], str] = cell_of) -> None:
    """Print rows aligned: text to the left, numbers to the right, the unit in the heading."""
    heads = list(rows[0])
    cells = [[cell(row[head]) for head in heads] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    words = [all(isinstance(row[head], str) for row in rows) for head in heads]
    for line in [heads, *cells]:
        aligned = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, words, strict=True)
        ]
        print("  ".join(aligned).rstrip())


def print_json(value: Any) -> None:
    """Print a value as JSON that any reader takes."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_csv(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows, which have the same keys."""
    import csv

    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def watch(said: str) -> None:
    """Say what is under way, in a line."""
    print(said, file=sys.stderr, flush=True)


@contextlib.contextmanager
def under_way() -> Iterator[Callable[[str], None]]:
    """Show on standard error what is under way: on a terminal the last line, elsewhere each.

    What is kept in the cache is there at once, so that on a terminal nothing is left of it.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield watch
        return
    with console.status("") as status:
        yield status.update
