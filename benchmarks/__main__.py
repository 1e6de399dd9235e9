"""Measure how fast the model is, and write docs/speed.md."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.conditions import conditions
from benchmarks.contests import CONTESTS
from benchmarks.entries import FULL, QUICK
from benchmarks.page import Results, write_page
from benchmarks.race import THREADS, race
from benchmarks.startup import first_calls

_PAGE = Path(__file__).parent.parent / "docs" / "speed.md"


def main(
    page: Annotated[Path, typer.Option("--output", "-o", help="Where the page goes.")] = _PAGE,
    quick: Annotated[bool, typer.Option(help="Only see whether all of it runs.")] = False,
    seed: Annotated[int, typer.Option(help="Of all data.")] = 0,
) -> None:
    """Measure how fast the model is beside its peers; the figures go to a page and a JSON file.

    Exit status 1: a second process compiles what the first one has left in the cache.
    """
    size = QUICK if quick else FULL
    runs = size.rounds * len(THREADS) * sum(len(contest.entries) for contest in CONTESTS)
    with Progress(
        TextColumn("{task.description:40}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task("first calls", total=runs)
        starts = first_calls(1 if quick else None)
        rates = race(
            CONTESTS, size, seed, lambda name: progress.update(task, description=name, advance=1)
        )
    found = conditions(seed)
    results = Results(rates)
    figures = page.with_suffix(".json")
    _write(page, write_page(CONTESTS, results, starts, found, size, figures.name))
    content = {
        "conditions": found,
        "size": size._asdict(),
        "rates": [rate._asdict() for rate in rates],
        "starts": [asdict(start) for start in starts],
    }
    _write(figures, json.dumps(content, indent=1) + "\n")
    print(page)
    for contest in CONTESTS:
        for entry in contest.entries:
            if entry.target is not None:
                ratios = (results.ratio(contest, entry, threads) for threads in THREADS)
                shown = " and ".join(f"{ratio:.3g}" for ratio in ratios)
                print(f"{contest.name}, {entry.name}: {shown} times its peer, of {entry.target:g}")
    if starts[1].compiled:
        sys.exit("a second process compiled again, in spite of its cache")


def _write(path: Path, text: str) -> None:
    """Write a file in one step: readers see the old or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    typer.run(main)
