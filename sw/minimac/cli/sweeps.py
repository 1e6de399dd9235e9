"""``minimac explore`` and ``report``."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from minimac.cli.options import Folder

__all__ = ["explore", "report"]


def explore(
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP", help="Sweep file (YAML).")],
    jobs: Annotated[int, typer.Option(min=1, max=1000, help="Worker processes.")] = 2,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask scheduler to use instead: tcp://HOST:PORT."),
    ] = None,
    output: Folder = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Run nothing; of what was run, say why this design is on a front or is not.",
        ),
    ] = None,
) -> None:
    """Generate, simulate and cost many designs, and judge each by a network.

    What was begun and not finished goes on where it was.
    """
    from minimac.explore import load_sweep, progress, run, table

    loaded = load_sweep(sweep)
    folder = output or Path("build") / loaded.name
    if explain is not None:
        from minimac.explore import explain as reasons
        from minimac.explore import load_results

        for line in reasons(load_results(folder), explain):
            print(line)
        return
    began, used_s = time.monotonic(), _processor_s()
    with progress() as shown:
        results = run(loaded, folder, jobs=jobs, scheduler=scheduler, **shown)
    took_s = time.monotonic() - began
    busy = (_processor_s() - used_s) / took_s
    table(results)
    measured, screened = results.space["measured"], results.space["screened"]
    before = f", {screened} judged before," if screened else ""
    print(
        f"{measured} designs measured{before} in {took_s:.1f} s, {60 * measured / took_s:.0f} a "
        f"minute, {busy:.2f} cores busy",
        file=sys.stderr,
    )
    print(f"results: {folder / 'results.json'}; report: minimac report {folder}", file=sys.stderr)
    if results.failed:
        raise typer.Exit(1)


def _processor_s() -> float:
    """Return the processor time of this process and of those that it has waited for, in s."""
    import resource

    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What explore wrote into.")],
) -> None:
    """Write report.html, results.csv and results.parquet of a sweep, and pictures of its fronts."""
    from minimac.explore import report as write

    for path in write(folder):
        print(path)
