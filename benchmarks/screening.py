"""How near to the true front a sweep comes that measures only a part of its designs.

    python -m benchmarks.screening [--jobs 2]

runs ``examples/approximate_normalization.yaml`` whole, then with fewer designs measured and fewer
judged; and a space too large to be judged whole. Writes ``docs/screening.md`` and ``.json``.
"""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.conditions import conditions
from benchmarks.tables import table_of
from minimac.explore import Results, Sweep, frame, hypervolume, load_sweep, progress, run

__all__ = ["LARGE", "ratio"]

_PAGE = Path(__file__).parents[1] / "docs" / "screening.md"
_WHOLE = Path(__file__).parents[1] / "examples" / "approximate_normalization.yaml"

#: Designs that are measured, and judged before (None: all), of the space that is measured whole.
BUDGETS = ((10, None), (20, None), (40, None), (60, None), (20, 60))

_FORMATS = "bf16 fp16 e5m2 e4m3fn e3m4 e2m5 e3m2 e2m3 e3m1 e2m2 e2m1 int8 int6 int4".split()

#: A space of more than 10**5 designs.
LARGE: dict[str, Any] = {
    "base": {
        "unit": "systolic",
        "array": {"rows": 8, "columns": 8},
        "clock_mhz": 25,
        "accumulate": {"kind": "float", "max_terms": 2048},
    },
    "spaces": [
        {
            "axes": {
                "a": _FORMATS,
                "b": _FORMATS,
                "out": ["bf16", "fp16"],
                "accumulate.width": {"from": 6, "to": 28},
                "accumulate.guard": {"from": 0, "to": 3},
                "accumulate.normalize": [
                    *("exact", "none"),
                    *("approx(1,1)", "approx(1,2)", "approx(2,2)", "approx(2,4)"),
                ],
                "accumulate.round": ["truncate", "rne"],
            },
            "where": ["bits(a) >= bits(b)", "accumulate.guard > 0 or accumulate.round == 'rne'"],
        }
    ],
    "technologies": ["sky130"],
    "workload": "digits",
    "quality": ["error"],
    "objectives": ["error_percent", "sky130.area_um2"],
    "simulate": "none",
    "measure": 20,
    "screen": 600,
}

_TEXT = """\
# Fronts of spaces that are not measured whole

Written by `python -m benchmarks.screening`; the figures are in [{figures}]({figures}).

A sweep of more designs than it may measure judges them first, the arithmetic by the model and costs
by prediction, and synthesises those that are predicted to cost the least more than another that is
at least as good. Here the {count} designs of `examples/approximate_normalization.yaml` were all
synthesised, which gives the true front; then as many as the first column says, out of as many
judged as the second does. The ratio is that of the hypervolumes of the measured front and the true
one: what lies between the front and the worst value of each objective, on logarithmic scales. 1 is
the true front.

{table}

A space of {combinations:,} combinations, {large_designs}: {screened} judged by a search, {measured}
measured, a front of {front} designs after {minutes:.1f} minutes on {cores} cores, from an empty
cache of its designs.

{conditions}
"""


def ratio(results: Results, whole: Results, cost: str) -> float:
    """Return the hypervolume of measured designs of a sweep by that of all designs."""
    import numpy as np

    def points(of: Results) -> Any:
        table = frame(of)
        known = [f"cost:{cost.partition('.')[0]}" in design.steps for design in of.designs]
        table = table[known]
        return np.column_stack([np.log10(table["error_percent"]), np.log10(table[cost])])

    all_points = points(whole)
    worst = np.nanmax(all_points, axis=0)
    senses = ["less", "less"]
    return hypervolume(points(results), senses, worst) / hypervolume(all_points, senses, worst)


def _run(sweep: Sweep, jobs: int) -> tuple[Results, float]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, progress() as shown:
        results = run(sweep, Path(folder), jobs=jobs, **shown)
    return results, time.monotonic() - began


def main(
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    large: Annotated[bool, typer.Option(help="Also run the large space.")] = True,
) -> None:
    """Measure, and write the page."""
    console = Console(stderr=True)
    sweep = dataclasses.replace(load_sweep(_WHOLE), simulate="none")
    whole, _ = _run(sweep, jobs)
    rows = []
    for measure, screen in BUDGETS:
        part = dataclasses.replace(sweep, measure=measure, screen=screen or len(whole.designs))
        found, _ = _run(part, jobs)
        rows.append(
            {
                "measured:": found.space["measured"],
                "judged:": found.space["screened"],
                **{
                    f"ratio, {cost}:": f"{ratio(found, whole, cost):.3f}"
                    for cost in sweep.known_objectives[1]
                },
            }
        )
        console.print(rows[-1])
    figures: dict[str, Any] = {"designs": len(whole.designs), "rows": rows}
    if large:
        results, took_s = _run(load_sweep(LARGE, "large"), jobs)
        from minimac.explore import pareto_front

        known = frame(results)[["cost:sky130" in design.steps for design in results.designs]]
        front = pareto_front(known[["error_percent", "sky130.area_um2"]], ["less", "less"])
        figures["large"] = {
            "combinations": load_sweep(LARGE).size,
            **results.space,
            "front": len(front),
            "seconds": round(took_s, 1),
            "jobs": jobs,
        }
        console.print(figures["large"])
    figures["conditions"] = conditions(sweep.seed)
    _PAGE.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
    _PAGE.write_text(_text(figures))


def _text(figures: dict[str, Any]) -> str:
    big = figures["large"]
    return _TEXT.format(
        figures=_PAGE.with_suffix(".json").name,
        count=figures["designs"],
        table=table_of(figures["rows"]),
        combinations=big["combinations"],
        large_designs="of which those count that are designs and keep the conditions",
        screened=big["screened"],
        measured=big["measured"],
        front=big["front"],
        minutes=big["seconds"] / 60,
        cores=big["jobs"],
        conditions=", ".join(f"{key} {value}" for key, value in figures["conditions"].items()),
    )


if __name__ == "__main__":
    typer.run(main)
