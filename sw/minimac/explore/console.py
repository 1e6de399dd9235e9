"""What a sweep shows on the console: progress while it runs, and a table at the end."""

import contextlib
from collections.abc import Callable, Iterator
from typing import IO, Literal

from minimac.explore.columns import Column, columns, late, row
from minimac.explore.results import Results, StepResult
from minimac.explore.runner import Step

__all__ = ["progress", "table"]

_WIDE = 400  # columns, where there is no terminal to fit


@contextlib.contextmanager
def progress(
    file: IO[str] | None = None,
) -> Iterator[Callable[[Step, StepResult, int, int], None]]:
    """Show the progress of a sweep on standard error; yields what :func:`run` calls.

    On a terminal a bar with the time spent; elsewhere one line for each step. Failures are lines
    in both.
    """
    import sys

    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(file=file or sys.stderr, highlight=False, soft_wrap=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("starting", total=None)

        def watch(step: Step, result: StepResult, done: int, total: int) -> None:
            what = f"{step.design.name} {step.name}"
            bar.update(task, completed=done, total=total, description=escape(what))
            if not result.ok:
                console.print(f"[red]failed[/]  {escape(what)}: {escape(result.reason)}")
            elif not console.is_terminal:
                console.print(f"{done:3}/{total}  {escape(what)}  {result.seconds:.1f} s")

        yield watch


def table(results: Results, file: IO[str] | None = None) -> None:
    """Print one row for each design; below it why each step failed that did.

    A terminal that is too narrow for all columns gets none for the arithmetic.
    """
    import sys

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(file=file or sys.stdout, highlight=False, soft_wrap=True)

    def grid(shown: list[Column]) -> Table:
        grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for column in shown:
            heading = "\n".join(part for part in (column.group, column.title, column.unit) if part)
            justify: Literal["left", "right"] = "right" if column.numeric else "left"
            grid.add_column(escape(heading), justify=justify, no_wrap=True, vertical="bottom")
        for design in results.designs:
            values = row(design, shown)
            cells = [escape(column.text(values[column.key])) for column in shown]
            cells[-1] = "[red]failed[/]" if "simulate" in design.failures else cells[-1]
            grid.add_row(*cells)
        return grid

    shown = [column for column in columns(results) if column.brief]
    wide = console.options.update(max_width=_WIDE)
    if console.is_terminal and console.measure(grid(shown), options=wide).maximum > console.width:
        shown = [column for column in shown if column.key != "arithmetic"]
    # Never folded: a terminal that is too narrow wraps lines, and elsewhere there is no width.
    console.width = console.measure(grid(shown), options=wide).maximum
    console.print(grid(shown))
    for design in results.designs:
        for step, reason in design.failures.items():
            console.print(f"[red]failed[/]  {escape(f'{design.name} {step}: {reason}')}")
    for said in late(results):
        console.print(escape(said))
