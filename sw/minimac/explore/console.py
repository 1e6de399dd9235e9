"""What a sweep shows on the console: progress while it runs, and a table at the end."""

import contextlib
from collections.abc import Iterator
from typing import IO, Literal, TypedDict

from minimac.explore.columns import Column, columns, late, row
from minimac.explore.fronts import competing, on_fronts
from minimac.explore.results import Results, StepResult
from minimac.explore.runner import Watch
from minimac.explore.screen import Looking
from minimac.explore.steps import Step

__all__ = ["progress", "table"]

_WIDE = 400  # columns, where there is no terminal to fit

#: Steps above which not each has a line of its own, how often there is one, in s.
_MANY, _EVERY_S = 60, 5.0

#: What is there from the start comes within this time, in s.
_AT_ONCE_S = 0.5

#: Designs above which the table has only those on a front.
_MOST_ROWS = 40


class Shown(TypedDict):
    """What :func:`run` calls to show how far it is, by the names of its arguments."""

    watch: Watch
    looking: Looking


@contextlib.contextmanager
def progress(file: IO[str] | None = None) -> Iterator[Shown]:
    """Show the progress of a sweep on standard error; yields arguments of :func:`run`.

    On a terminal a bar with the time spent and left; elsewhere a line for each step, and for many a
    line every few seconds. Failures are lines in both.

    Examples
    --------
    ::

        with progress() as shown:
            run(sweep, folder, **shown)
    """
    import sys
    import time

    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(file=file or sys.stderr, highlight=False, soft_wrap=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("starting", total=None)
        began = time.monotonic()
        said = began - _EVERY_S
        at_first = 0

        def watch(step: Step, result: StepResult, done: int, total: int) -> None:
            nonlocal said, at_first
            what = f"{step.design.name} {step.name}"
            bar.update(task, completed=done, total=total, description=escape(what))
            if not result.ok:
                console.print(f"[red]failed[/]  {escape(what)}: {escape(result.reason)}")
            elif not console.is_terminal:
                now = time.monotonic()
                if now - began < _AT_ONCE_S:
                    at_first = done  # what an earlier run did says nothing about the time it takes
                if total > _MANY and now - said < _EVERY_S and done < total:
                    return
                said = now
                left = ""
                if done > at_first and total > _MANY:
                    left_s = (now - began) / (done - at_first) * (total - done)
                    left = f", {_duration(left_s)} left"
                line = f"{done:3}/{total}  {escape(what)}  {result.seconds:.1f} s{left}"
                console.print(line)

        def looking(looked: int, total: int, designs: int) -> None:
            nonlocal began, said
            found = f"looking for designs: {designs:,} found"
            bar.update(task, completed=looked, total=total, description=found)
            began = now = time.monotonic()
            if not console.is_terminal and now - said >= _EVERY_S:
                said = now
                far = f"{looked:,} of {total:,} combinations, {designs:,} designs"
                console.print(f"looking for designs: {far}")

        yield {"watch": watch, "looking": looking}


def table(results: Results, file: IO[str] | None = None) -> None:
    """Print one row for each design; below it why each step failed that did.

    Of many designs only those on a front are shown. A terminal that is too narrow for all columns
    gets none for the arithmetic.
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
        for design in designs:
            values = row(design, shown)
            cells = [escape(column.text(values[column.key])) for column in shown]
            cells[-1] = "[red]failed[/]" if "simulate" in design.failures else cells[-1]
            grid.add_row(*cells)
        return grid

    designs = results.designs
    if len(designs) > _MOST_ROWS:
        among = competing(results)
        front = on_fronts([values for _, values in among], results.objectives)
        designs = [design for (design, _), on in zip(among, front, strict=True) if on]
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
    if len(designs) < len(results.designs):
        console.print(f"{len(designs)} of {len(results.designs)} designs are on a front")
    missed = late(results)
    for said in missed[:_MOST_ROWS]:
        console.print(escape(said))
    if len(missed) > _MOST_ROWS:
        console.print(f"and {len(missed) - _MOST_ROWS} others")


def _duration(seconds: float) -> str:
    """Say a time in a few words.

    Examples
    --------
    >>> _duration(42.4), _duration(90), _duration(7200)
    ('42 s', '1.5 min', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
