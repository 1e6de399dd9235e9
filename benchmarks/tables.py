"""Tables of pages, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["table", "table_of"]


def table(lines: Iterable[Iterable[Any]]) -> str:
    """Return a table; columns whose name, in the first line, ends with a colon are to the right."""
    names, *rows = lines
    columns = [str(name).strip() for name in names]
    marked = [
        [column.removesuffix(":") for column in columns],
        ["---:" if column.endswith(":") else "---" for column in columns],
        *rows,
    ]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in marked)


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of rows that have the same keys."""
    return table([rows[0], *(row.values() for row in rows)])
