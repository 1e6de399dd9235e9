"""``minimac compare``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from minimac.cli.designs import check_technology, load
from minimac.cli.measuring import measured
from minimac.cli.options import AsJson, Dsp, Fastest, Route, Seeds
from minimac.cli.output import cell_of, print_json, print_table
from minimac.spec import SpecError

__all__ = ["compare"]


def compare(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="A B ...", help="Designs, or what `cost --json` printed (.json)."),
    ],
    technology: Annotated[
        list[str] | None,
        typer.Option(metavar="T", help="Build for it, instead of what each design says; repeat."),
    ] = None,
    clock_mhz: Annotated[
        float | None, typer.Option(metavar="F", help="One clock for all, in MHz.")
    ] = None,
    quickest: Fastest = False,
    energy: Annotated[
        bool, typer.Option("--energy/--no-energy", help="Measure energy, too.")
    ] = True,
    dsp: Dsp = None,
    seeds: Seeds = 3,
    route: Route = True,
    as_json: AsJson = False,
) -> None:
    """Set designs side by side: figures, ratios to the first, the best marked with a star."""
    from minimac.cost import compare as side_by_side

    if len(files) < 2:
        raise SpecError("compare takes two files or more")
    if clock_mhz is not None and quickest:
        raise SpecError("--clock-mhz and --fastest exclude each other")
    if clock_mhz is not None and not clock_mhz > 0:
        raise SpecError(f"--clock-mhz must be above 0, not {clock_mhz:g}")
    designs = {path: None if path.suffix == ".json" else load(path) for path in files}
    for name in technology or ():
        check_technology("--technology", name)
    for path, design in designs.items():
        if design is not None and not technology:
            check_technology(f"{path}: technology:", design.technology)
    options: dict[str, Any] = {} if quickest else {"clock_mhz": clock_mhz}
    options |= {"dsp": dsp, "with_energy": energy, "seeds": range(seeds if route else 0)}
    tables = []
    wanted: list[str | None] = list(technology) if technology else [None]
    for target in wanted:
        costs = []
        for path in files:
            design = designs[path]
            if design is None:
                costs.append(_read_cost(path, target))
            else:
                chosen = target or design.technology
                costs.append(measured(path, design, chosen, quickest, **options).as_dict())
        tables.append(costs)
    if as_json:
        print_json([_compared(costs, side_by_side(costs)) for costs in tables])
        return
    for n, costs in enumerate(tables):
        if n:
            print()
        _print_comparison(_told_apart(files, costs), costs, side_by_side(costs))


def _read_cost(path: Path, technology: str | None) -> dict[str, Any]:
    """Read what ``minimac cost --json`` printed."""
    from minimac.cost.comparison import METRICS

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    kinds: dict[str, Any] = {
        "name": str,
        "technology": str,
        "clock_mhz": int | float,
        "provenance": dict,
    }
    if (
        not isinstance(found, dict)
        or not all(isinstance(found.get(key), kind) for key, kind in kinds.items())
        or not METRICS.keys() & found.keys()
        or not all(isinstance(found.get(key), int | float | None) for key in METRICS)
    ):
        raise SpecError(f"{path}: must be what minimac cost --json printed")
    if technology is not None and found["technology"] != technology:
        raise SpecError(
            f"{path}: technology: must be {technology}, as --technology says, not "
            f"{found['technology']}"
        )
    return found


def _compared(costs: list[dict[str, Any]], rows: Sequence[Any]) -> dict[str, Any]:
    return {
        "costs": costs,
        "ratios": {row.metric: row.ratios for row in rows},
        "best": {row.metric: sorted(row.best) for row in rows},
    }


def _told_apart(files: Sequence[Path], costs: Sequence[dict[str, Any]]) -> list[str]:
    """Return names of the designs; of their files, where two have one name."""
    names = [str(cost["name"]) for cost in costs]
    if len(set(names)) == len(names):
        return names
    stems = [path.stem for path in files]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{n}:{stem}" for n, stem in enumerate(stems, 1)]


def _print_comparison(
    names: Sequence[str], costs: Sequence[dict[str, Any]], rows: Sequence[Any]
) -> None:
    from minimac.cost import differences

    table = []
    for row in rows:
        cells: dict[str, Any] = {"metric": row.metric}
        for n, name in enumerate(names):
            cells[name] = f"{cell_of(row.values[n])} {'*' if n in row.best else ' '}"
            if n:
                cells[f"ratio {n}"] = row.ratios[n] and float(f"{row.ratios[n]:.4g}")
        table.append(cells)
    for name in names:  # numbers to the right, with their stars
        width = max(len(cells[name]) for cells in table)
        for cells in table:
            cells[name] = cells[name].rjust(width)
    print_table(table)
    first = costs[0]
    clocks = sorted({f"{cost['clock_mhz']:g}" for cost in costs}, key=float)
    versions = first["provenance"].get("versions", {})
    print(
        f"conditions: {first['technology']}, {' / '.join(clocks)} MHz, "
        f"{first['provenance'].get('corner', 'Yosys and nextpnr')}, "
        f"pyosys {versions.get('pyosys', 'unknown')}; ratios to {names[0]}; * the best",
        file=sys.stderr,
    )
    for said in differences(costs):
        print(f"warning: not the same for all: {said}", file=sys.stderr)
    for name, cost in zip(names, costs, strict=True):
        if "not_routed" in cost["provenance"]:
            print(f"{name}: no clock: {cost['provenance']['not_routed']}", file=sys.stderr)
        elif cost.get("meets_clock") is False:
            over_ps = cost["delay_ps"] - 1e6 / cost["clock_mhz"]
            print(
                f"warning: {name} misses {cost['clock_mhz']:g} MHz by {over_ps:.0f} ps",
                file=sys.stderr,
            )
