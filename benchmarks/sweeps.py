"""Run the sweeps that are shipped, or read what is there of them, and write their pages.

    python -m benchmarks.sweeps [NAME ...] [--jobs 2] [--folder build/sweeps]

writes ``docs/sweeps/NAME.md`` with the designs on fronts and pictures of these, and all figures as
a CSV file beside it.
"""

import itertools
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.tables import table
from minimac.explore import Results, columns, frame, load_sweep, progress, report, row, run
from minimac.explore.fronts import competing, on_fronts

__all__ = ["NAMES", "page"]

_EXAMPLES = Path(__file__).parents[1] / "examples"
_PAGES = Path(__file__).parents[1] / "docs" / "sweeps"

#: The sweeps that are shipped, besides the demo.
NAMES = (
    "minifloat_vs_int",
    "approximate_normalization",
    "block_formats",
    "multipliers",
    "arrays",
)

_TEXT = """\
# {name}

{question}

`minimac explore examples/{name}.yaml`: {designs} designs, {fronts} of them on a front below. Fronts
are those of {objectives}. {simulated}
All figures: [{name}.csv]({name}.csv). Written by `python -m benchmarks.sweeps`.

{pictures}

{table}

Conditions: {conditions}.
"""


def page(name: str, results: Results, pictures: list[str]) -> str:
    """Return the page of a sweep: the question, pictures of fronts, the designs on them."""
    lines = (_EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    question = itertools.takewhile(lambda line: line.startswith("#"), lines)
    among = competing(results)
    front = on_fronts([values for _, values in among], results.objectives)
    chosen = [design for (design, _), on in zip(among, front, strict=True) if on]
    shown = [
        column
        for column in columns(results)
        if column.key in results.objectives or (column.brief and column.key != "design")
    ]
    heads = [
        " ".join(part for part in (c.group, c.title, c.unit) if part) + ":" * c.numeric
        for c in shown
    ]
    rows: list[list[Any]] = [["design", *heads]]
    for design in chosen:
        values = row(design, shown)
        rows.append([f"`{design.name}`", *(c.text(values[c.key]) for c in shown)])
    simulated = sum(bool(design.found("simulate")) for design in results.designs)
    told = {k: v for k, v in results.conditions.items() if k not in ("tools", "code")}
    told |= results.conditions["tools"]
    return _TEXT.format(
        name=name,
        question="\n".join(line.removeprefix("#").strip() for line in question),
        designs=len(results.designs),
        fronts=len(chosen),
        objectives=", ".join(f"`{key}`" for key in results.objectives),
        simulated=f"{simulated} circuits were held against the model in simulation, bit by bit.",
        pictures="\n".join(f"![Front](./{picture})" for picture in pictures),
        table=table(rows),
        conditions=", ".join(f"{key} {value}" for key, value in told.items()),
    )


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all by default.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    folder: Annotated[Path, typer.Option(help="Where results are.")] = Path("build/sweeps"),
) -> None:
    """Run sweeps and write their pages."""
    _PAGES.mkdir(parents=True, exist_ok=True)
    for name in names or NAMES:
        out = folder / name
        with progress() as shown:
            results = run(load_sweep(_EXAMPLES / f"{name}.yaml"), out, jobs=jobs, **shown)
        report(out)
        frame(results).to_csv(_PAGES / f"{name}.csv", index=False, float_format="%.6g")
        pictures = []
        for number, path in enumerate(sorted(out.glob("front_*.png"))):
            pictures.append(f"{name}_{number}.png")
            shutil.copyfile(path, _PAGES / pictures[-1])
        (_PAGES / f"{name}.md").write_text(page(name, results, pictures), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
