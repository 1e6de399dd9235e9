"""Learn to predict costs, and say how well: ``python -m benchmarks.prediction``.

Fits the models of :mod:`minimac.cost.prediction` to the points that come with the package, and
writes ``docs/prediction.md``, the figures and the picture beside it. With ``--measure`` the points
are synthesised first: some seconds for each design and technology; a run that was stopped goes on.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.baselines import nearest, widths
from benchmarks.lanes import measure_lanes
from benchmarks.points import RELAXED, conditions, measure_points
from benchmarks.sample import SEED, large_arrays, sample, single_operations
from benchmarks.tables import table
from minimac.cost import load_technology, prediction
from minimac.cost.blocks import kind_of
from minimac.cost.fitting import (
    SPLITS,
    HeldOut,
    Point,
    hold_out,
    hold_out_figure,
    measured,
    model_of,
    read_points,
)
from minimac.cost.gatecount import (
    COMPARED,
    PUBLISHED,
    Lanes,
    fit_cells,
    lane_cost,
    read_lanes,
    unit_cost,
)

_ROOT = Path(__file__).parent.parent
_PACKAGE = _ROOT / "sw" / "minimac" / "cost"
_BUILD = _ROOT / "build" / "points"
_PAGE = _ROOT / "docs" / "prediction.md"

#: Designs that are synthesised in a technology: of the sample, and single operations besides.
_COUNTS = {"sky130": (180, 60), "asap7": (180, 60), "xc7": (114, 30), "ecp5": (180, 200)}
#: What half of the predictions of a figure are to be within, in percent.
_TARGETS = {"area_um2": 5.0, "energy_pj_per_mac": 8.0, "delay_ps": 10.0, "luts": 8.0}
_UNITS = {
    "area_um2": "area, µm²",
    "energy_pj_per_mac": "energy, pJ a MAC",
    "delay_ps": "delay, ps",
    "luts": "LUTs",
}
_BASELINES = {"nearest neighbour": nearest, "widths only": widths}

_TEXT = """\
# How well costs are predicted

Written by `python -m benchmarks.prediction`; the figures are in
[prediction.json](prediction.json). `minimac predict` and `minimac.cost.predict` state what a
design would cost without building it, {milliseconds:.1f} ms a design after the first, from models
of a few factors a technology. A part costs the sum of what it is made of (significand bits times
significand bits of a multiplier, width times stages of a shifter, bits of adders, counters,
registers: `sw/minimac/cost/blocks.py`, from the fields of a design alone), by factors that cannot
be negative, times a kernel regression of the logarithm for what parts share inside. A delay is
the longer one of two such sums. Both fits are scikit-learn's; to predict, NumPy is enough. Four
settings, the same for all figures and technologies, say how far models may bend; two of them, and
what parts are made of, were chosen on the errors below.

The points are designs drawn at random: units `mac`, `systolic` of 1 to 64 elements, `multiplier`,
`adder` and `fma`, and six arrays of up to 1024 elements; minifloats of 2 to 8 exponent and 0 to
10 mantissa bits, integers of 3 to 16 bits, mixed operands, all kinds of accumulation,
normalisation, rounding and product. They are mapped for area, at a relaxed clock: where a
design's own clock is faster than the delay, `predict` says so, and what meets it costs more. Of
other designs it says what is out of range, or refuses: registers inside elements, dots, blocks,
codebooks. FPGAs are counted without multiplier blocks; on ecp5, which is mapped for a clock, too,
a fast one takes up to a third more LUTs.

## Held out

No design is predicted by a model that has seen one like it. Formats: all designs that use a
format of the same band (E 2..3, 4..5, 6..8 by M 0..2, 3..5, 6..7, 8..10; integers of 3..5, 6..8,
9..12, 13..16 bits) are left out at once. Widths: all designs of the same kind that add up in a
width of the same band (floats of 10..13, 14..17, 18..22, 23..27, 28.. bits, and so on). Median
and nine of ten: of the absolute relative error. sMAPE: mean of `2|p - m| / (p + m)`; published
predictors of FPGA resources state 10 to 30 %. Beside them what two simple models do with the same
points: the cost of the nearest neighbour of the same kind by widths of operands, state and
result, and a log-linear model in these widths and the kind. What parts are made of was refined
while these errors were looked at, mostly those of sky130 and ecp5, so that they are somewhat better
than those of designs never seen by anybody.
{missed}
{held_out}

By kind, both splits together:

{kinds}

![predicted against measured]({picture})

Each dot is a design, predicted without the formats of its band.

## Gate counts of "INT v.s. FP"

arXiv 2510.25602 compares integers and floats by counting gates (`sw/minimac/cost/gatecount.py`),
with cells of a library that it does not disclose. Here the cells are fitted to {lanes} dot
products of 4 to 16 lanes, mapped for area on sky130, exact for integers and aligned in the
paper's windows for floats (median error of the fit: area {area_error:.1f} %, energy
{energy_error:.1f} %):

{cells}

What a lane costs beside one of MXFP8. *Published*: table 5 of the paper, which does not list all.
*NAND2*: the lanes by the same counts, with a full adder of 6, a multiplexer of 2.5 and other
gates of 1.5 to 2.5 NAND gates. *Fitted*: with the cells above, once as in the paper with a share
of an fp32 adder and of what scales take, once the lanes alone. *8 lanes, 16 lanes*: our dot
products as measured, both of so many lanes, without scales and fp32 adder.

{ratios}

{verdict}

Areas are near the paper's, energies of integers are not: the paper lets all gates toggle alike,
ours are counted while normally distributed operands are multiplied. Cells that always occur
together, as in a multiplier, cannot be told apart by such a fit: only their sums mean anything.

## Conditions

{conditions}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure if asked to, fit, evaluate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="synthesise what is missing first")
    parser.add_argument("-o", "--output", type=Path, default=_PAGE, help="where the page goes")
    options = parser.parse_args(arguments)
    if options.measure:
        _measure()
    found = {name: read_points(name) for name in RELAXED}
    held_out = {}
    for name, (made_with, points) in found.items():
        model = model_of(made_with, points)
        text = json.dumps(model, separators=(",", ":")).replace('],["', '],\n["')
        (_PACKAGE / "models").mkdir(exist_ok=True)
        (_PACKAGE / "models" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        held_out[name] = _evaluate(points)
        print(f"{name}: {len(points)} points", file=sys.stderr)
    page: Path = options.output
    picture = page.with_suffix(".png")
    _draw(held_out, {name: points for name, (_, points) in found.items()}, picture)
    figures, text = _write(found, held_out, picture.name)
    page.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    page.write_text(text, encoding="utf-8")
    print(page)


def _measure() -> None:
    lanes = _BUILD / "lanes_sky130.jsonl"
    measure_lanes("sky130", RELAXED["sky130"], lanes)
    _publish(lanes)
    for name, (count, singles) in _COUNTS.items():
        path = _BUILD / f"{name}.jsonl"
        designs = [*sample(count), *single_operations(singles), *large_arrays()]
        measure_points(designs, name, path, conditions(name, SEED))
        _publish(path)


def _publish(path: Path) -> None:
    """Bring points into the package: what says how they were made, and the rest sorted."""
    first, *lines = path.read_text(encoding="utf-8").splitlines()
    target = _PACKAGE / "points" / path.name
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join([first, *sorted(lines)]) + "\n", encoding="utf-8")


# --- Evaluation ----------------------------------------------------------------------------------

Found = Mapping[str, Mapping[str, Mapping[str, list[HeldOut]]]]  #: By figure, predictor and split.


def _evaluate(points: Sequence[Point]) -> dict[str, dict[str, dict[str, list[HeldOut]]]]:
    figures = [name for name in prediction.FIGURES if measured(points[0], name) > 0]
    found: dict[str, dict[str, dict[str, list[HeldOut]]]] = {}
    for figure in figures:
        own = {"minimac": {split: hold_out_figure(points, figure, split) for split in SPLITS}}
        for name, baseline in _BASELINES.items():
            own[name] = {
                split: hold_out(
                    points,
                    split,
                    lambda learnt, tested, f=figure, b=baseline: b(learnt, tested, f),
                    lambda point, f=figure: measured(point, f),
                )
                for split in SPLITS
            }
        found[figure] = own
    return found


def _errors(held_out: Iterable[HeldOut]) -> dict[str, float]:
    errors = np.array([x.error for x in held_out])
    symmetric = 2 * np.abs(errors) / (2 + errors)
    return {
        "designs": len(errors),
        "median_percent": round(100 * float(np.median(np.abs(errors))), 2),
        "nine_of_ten_percent": round(100 * float(np.quantile(np.abs(errors), 0.9)), 2),
        "smape_percent": round(100 * float(np.mean(symmetric)), 2),
    }


def _milliseconds(points: Sequence[Point]) -> float:
    """Time a prediction takes, in ms: the median of many."""
    times = []
    prediction.predict(points[0].design, "sky130")
    for point in points:
        start = time.perf_counter()
        prediction.predict(point.design, "sky130")
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


# --- The page ------------------------------------------------------------------------------------


def _write(
    found: Mapping[str, tuple[Mapping[str, Any], list[Point]]],
    held_out: Mapping[str, Found],
    picture: str,
) -> tuple[dict[str, Any], str]:
    """Return the figures, and the page."""
    errors = {
        name: {
            figure: {
                who: {split: _errors(x) for split, x in splits.items()}
                for who, splits in own.items()
            }
            for figure, own in figures.items()
        }
        for name, figures in held_out.items()
    }
    kinds = {
        name: {
            figure: _by_kind(found[name][1], own["minimac"].values())
            for figure, own in figures.items()
        }
        for name, figures in held_out.items()
    }
    lanes = read_lanes("sky130")
    cells = {figure: fit_cells(lanes, figure) for figure in ("area_um2", "energy_pj_per_mac")}
    ratios = {figure: _ratios(lanes, own, figure) for figure, own in cells.items()}
    made_with = {name: conditions for name, (conditions, _) in found.items()}
    figures = {
        "conditions": made_with,
        "held_out": errors,
        "kinds": kinds,
        "cells": cells,
        "ratios": ratios,
    }
    fits = {figure: _fit_error(lanes, own, figure) for figure, own in cells.items()}
    text = _TEXT.format(
        milliseconds=_milliseconds(found["sky130"][1]),
        missed=_missed(errors),
        held_out=table(_held_out_rows(errors)),
        kinds=table(_kind_rows(kinds)),
        picture=picture,
        lanes=len(lanes),
        area_error=fits["area_um2"],
        energy_error=fits["energy_pj_per_mac"],
        cells=table(_cell_rows(cells)),
        ratios=table(_ratio_rows(ratios)),
        verdict=_verdict(ratios),
        conditions=table(_condition_rows(found)),
    )
    return figures, text


def _by_kind(points: Sequence[Point], splits: Iterable[list[HeldOut]]) -> dict[str, Any]:
    own: dict[str, list[HeldOut]] = {}
    for x in (x for split in splits for x in split):
        own.setdefault(kind_of(points[x.place].design), []).append(x)
    return {kind: _errors(own[kind]) for kind in prediction.KINDS if kind in own}


def _missed(errors: Mapping[str, Any]) -> str:
    """Say which medians are above their targets."""
    lines = [
        f"{_UNITS[figure]} on {name}, {split}: {own['minimac'][split]['median_percent']:.1f} %"
        for name, figures in errors.items()
        for figure, own in figures.items()
        for split in SPLITS
        if own["minimac"][split]["median_percent"] > _TARGETS[figure]
    ]
    wanted = ", ".join(f"{_UNITS[figure]} {most:g} %" for figure, most in _TARGETS.items())
    said = f"\nThe medians aimed at were: {wanted}. "
    return said + (f"Missed: {'; '.join(lines)}.\n" if lines else "All are met.\n")


Row = Sequence[str]


def _held_out_rows(errors: Mapping[str, Any]) -> Iterable[Row]:
    yield (
        "technology",
        "figure",
        "held out",
        "designs:",
        "median %:",
        "9 of 10 %:",
        "sMAPE %:",
        ("nearest: median %:"),
        "sMAPE %:",
        "widths only: median %:",
        "sMAPE %:",
    )
    for name, figures in errors.items():
        for figure, own in figures.items():
            for split in SPLITS:
                ours = own["minimac"][split]
                others = [own[who][split] for who in _BASELINES]
                yield (
                    name,
                    _UNITS[figure],
                    split,
                    str(ours["designs"]),
                    f"**{ours['median_percent']:.1f}**",
                    f"{ours['nine_of_ten_percent']:.0f}",
                    f"{ours['smape_percent']:.1f}",
                    *(
                        f"{x[key]:.0f}"
                        for x in others
                        for key in ("median_percent", "smape_percent")
                    ),
                )


def _kind_rows(kinds: Mapping[str, Any]) -> Iterable[Row]:
    yield "technology", "figure", *(f"{kind}:" for kind in prediction.KINDS)
    for name, figures in kinds.items():
        for figure, own in figures.items():
            shown = (own.get(kind) for kind in prediction.KINDS)
            yield (
                name,
                _UNITS[figure],
                *(f"{x['median_percent']:.1f} ({x['designs']})" if x else "" for x in shown),
            )


def _cell_rows(cells: Mapping[str, Mapping[str, float]]) -> Iterable[Row]:
    names = list(cells["area_um2"])
    yield "", *(f"{name.replace('_', ' ')}:" for name in names)
    yield "area, µm²", *(f"{cells['area_um2'][name]:.1f}" for name in names)
    energy = cells["energy_pj_per_mac"]
    yield "energy, fJ", *(f"{1000 * energy[name]:.1f}" for name in names)


_NAND2 = {"and": 1.5, "full_adder": 6.0, "xor": 2.5, "or": 1.5, "mux": 2.5}


def _ratios(
    points: Sequence[Mapping[str, Any]], cells: Mapping[str, float], figure: str
) -> dict[str, dict[str, float | None]]:
    """Return what lanes cost beside those of MXFP8."""

    def of_lane(name: str, lanes: int) -> float | None:
        own = [x for x in points if (x["format"], x["lanes"]) == (name, lanes)]
        share = 1 if figure == "energy_pj_per_mac" else lanes
        return own[0][figure] / share if own else None

    found = {}
    first, many, scale = COMPARED["MXFP8"]
    of_first = Lanes.of(first, many)
    for title, (name, count, own_scale) in COMPARED.items():
        lanes, published = Lanes.of(name, count), PUBLISHED.get(title)
        found[title] = {
            "published": published[figure != "area_um2"] if published else None,
            "nand2": lane_cost(lanes, _NAND2) / lane_cost(of_first, _NAND2),
            "fitted": lane_cost(lanes, cells) / lane_cost(of_first, cells),
            "unit": unit_cost(lanes, own_scale, cells) / unit_cost(of_first, scale, cells),
            **{
                f"{measured} lanes": _ratio(of_lane(name, measured), of_lane(first, measured))
                for measured in (8, 16)
            },
        }
    return found


def _ratio(value: float | None, reference: float | None) -> float | None:
    return value / reference if value and reference else None


def _fit_error(
    points: Sequence[Mapping[str, Any]], cells: Mapping[str, float], figure: str
) -> float:
    errors = []
    for x in points:
        share = 1 if figure == "energy_pj_per_mac" else x["lanes"]
        found = lane_cost(Lanes.of(x["format"], x["lanes"]), cells)
        errors.append(abs(found * share / x[figure] - 1))
    return 100 * float(np.median(errors))


def _ratio_rows(ratios: Mapping[str, Any]) -> Iterable[Row]:
    heads = ("published", "unit", "fitted", "8 lanes", "16 lanes")
    columns = [("area_um2", "nand2")]
    columns += [(figure, x) for figure in ("area_um2", "energy_pj_per_mac") for x in heads]
    shown_as = {"area_um2": "area", "energy_pj_per_mac": "energy", "nand2": "NAND2"}
    shown_as |= {"unit": "fitted, unit", "fitted": "fitted, lanes"}
    yield "lane", *(f"{shown_as[figure]}, {shown_as.get(x, x)}:" for figure, x in columns)
    for title in COMPARED:
        shown = [ratios[figure][title][head] for figure, head in columns]
        yield title, *("" if x is None else f"{x:.2f}" for x in shown)


def _verdict(ratios: Mapping[str, Any]) -> str:
    """Say how far our ratios are from the published ones."""
    said = []
    for figure, what in (("area_um2", "area"), ("energy_pj_per_mac", "energy")):
        for title in ("MXINT8", "NVFP4", "NVINT4"):
            own = ratios[figure][title]
            said.append(f"{title} {what} {100 * (own['unit'] / own['published'] - 1):+.0f} %")
    return f"Fitted units beside what is published: {', '.join(said)}."


def _condition_rows(found: Mapping[str, tuple[Mapping[str, Any], list[Point]]]) -> Iterable[Row]:
    yield (
        "technology",
        "points:",
        "clock, MHz:",
        "process",
        "seed of the sample:",
        "flow",
        "commit",
        "versions",
    )
    for name, (made_with, points) in found.items():
        versions = ", ".join(f"{key} {value}" for key, value in made_with["versions"].items())
        yield (
            name,
            str(len(points)),
            f"{made_with['clock_mhz']:g}",
            load_technology(name).process,
            str(made_with["seed"]),
            made_with["flow"],
            made_with["commit"],
            versions,
        )


def _draw(held_out: Mapping[str, Found], points: Mapping[str, Sequence[Point]], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot, ticker

    shown = [(name, figure) for name, figures in held_out.items() for figure in figures]
    columns = 4
    rows = -(-len(shown) // columns)
    picture, axes = pyplot.subplots(
        rows, columns, figsize=(4 * columns, 4 * rows), layout="constrained", squeeze=False
    )
    colours = dict(zip(prediction.KINDS, pyplot.get_cmap("tab10").colors))
    for place, axis in zip(shown, axes.flat):
        name, figure = place
        found = held_out[name][figure]["minimac"]["formats"]
        ends = [f(x.measured for x in found) for f in (min, max)]
        line = np.array([0.7 * ends[0], 1.4 * ends[1]])
        axis.fill_between(line, 0.9 * line, 1.1 * line, color="0.9", label="± 10 %")
        axis.plot(line, line, color="0.5", linewidth=0.8)
        for kind, colour in colours.items():
            own = [x for x in found if kind_of(points[name][x.place].design) == kind]
            axis.scatter(
                [x.measured for x in own],
                [x.predicted for x in own],
                s=10,
                color=colour,
                label=kind,
                linewidths=0,
                alpha=0.8,
            )
        axis.set(xscale="log", yscale="log", xlim=line, ylim=line, aspect="equal")
        for side in (axis.xaxis, axis.yaxis):
            if line[1] < 100 * line[0]:
                side.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
                side.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
            side.set_minor_formatter(ticker.NullFormatter())
        axis.set_title(f"{name}: {_UNITS[figure]}")
        axis.set_xlabel("measured")
        axis.set_ylabel("predicted, held out")
    for axis in axes.flat[len(shown) :]:
        axis.axis("off")
    axes.flat[0].legend(frameon=False, fontsize=8)
    picture.savefig(path, dpi=80)
    pyplot.close(picture)


if __name__ == "__main__":
    main()
