"""The report of a sweep: one page that needs no network, and a table for other tools."""

import csv
import functools
import io
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from minimac.explore.columns import Column, columns, late, row
from minimac.explore.pareto import pareto_front
from minimac.explore.results import Results, load_results
from minimac.spec.files import write_whole

__all__ = ["report"]

# What accuracy is plotted against, where the results have it.
_PLOTTED = ("energy_pj_per_mac", "area_um2", "luts")

# What is split into parts, and its unit.
_SPLIT = {"area_um2": "µm²", "luts": "LUTs"}

_PART_ORDER = ("element", "edge", "foot")


def report(folder: Path) -> list[Path]:
    """Write ``report.html`` and ``results.csv`` beside the results of a sweep.

    The page is self-contained: a browser loads nothing for it, and its content security policy
    would not let it. Equal results give equal bytes.

    Parameters
    ----------
    folder : Path
        What :func:`run` wrote into.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    SpecError
        If the folder holds no results.
    """
    results = load_results(folder)
    return [
        write_whole(folder / "report.html", _html(results)),
        write_whole(folder / "results.csv", _csv(results)),
    ]


def _csv(results: Results) -> str:
    shown = columns(results)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(column.key for column in shown), "failures"])
    for design in results.designs:
        values = row(design, shown)
        failures = "; ".join(f"{step}: {reason}" for step, reason in design.failures.items())
        writer.writerow([*(values[column.key] for column in shown), failures])
    return text.getvalue()


def _html(results: Results) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    source = (files("minimac.explore") / "report.html.j2").read_text(encoding="utf-8")
    shown = [column for column in columns(results) if column.brief]
    rows = [row(design, shown) for design in results.designs]
    fronts = [plot for technology in results.technologies for plot in _plots(results, technology)]
    splits = [s for technology in results.technologies for s in _splits(results, technology)]
    designs: list[dict[str, Any]] = [
        {
            "result": design,
            "cells": [(column, values[column.key]) for column in shown],
            "front": any(
                p["front"] for f in fronts for p in f["points"] if p["name"] == design.name
            ),
        }
        for design, values in zip(results.designs, rows, strict=True)
    ]
    # The most accurate first, of equal ones that with the least of the first cost.
    costs = [column.key for column in shown if column.better == "less"]
    designs.sort(key=lambda d: _rank({c.key: v for c, v in d["cells"]}, costs))
    return environment.from_string(source).render(
        results=results,
        columns=shown,
        groups=_groups(shown),
        designs=designs,
        best=_best(shown, rows),
        fronts=fronts,
        splits=splits,
        late=late(results),
        cards=_cards(shown, rows, results),
        float_accuracy=_first(results, "accuracy", "float_accuracy"),
        samples=_first(results, "accuracy", "samples"),
        verified=sum(bool(design.found("simulate")) for design in results.designs),
        cost_steps=[f"cost:{technology}" for technology in results.technologies],
        provenance=_provenance(results),
        # The one text that is not escaped: the library itself.
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
    )


def _rank(values: dict[str, Any], costs: Sequence[str]) -> tuple[float, ...]:
    accuracy = values["accuracy_percent"]
    first = next((values[key] for key in costs if values[key] is not None), None)
    unknown = float("inf")
    return (unknown if accuracy is None else -accuracy, unknown if first is None else first)


def _plots(results: Results, technology: str) -> list[dict[str, Any]]:
    """Return the plots of accuracy against the costs that a technology has."""
    shown = {column.key: column for column in columns(results)}
    plots: list[dict[str, Any]] = []
    for metric in _PLOTTED:
        column = shown.get(f"{technology}.{metric}")
        if column is None:
            continue
        among = [shown["accuracy_percent"], column]
        points = []
        for design in results.designs:
            values = row(design, among)
            accuracy, cost = values["accuracy_percent"], values[column.key]
            if accuracy is not None and cost is not None:
                points.append(
                    {
                        "name": design.name,
                        "what": design.arithmetic,
                        "x": cost,
                        "y": accuracy,
                        "shown": column.text(cost),
                    }
                )
        front = pareto_front([(point["x"], point["y"]) for point in points])
        for i, point in enumerate(points):
            point["front"] = i in front
        plots.append(
            {
                "id": f"front-{len(plots)}-{technology}",
                "technology": technology,
                "title": column.title,
                "unit": column.unit,
                "points": points,
                "line": [[points[i]["x"], points[i]["y"]] for i in front],
            }
        )
    return plots


def _splits(results: Results, technology: str) -> list[dict[str, Any]]:
    """Return what each design's area is made of, in one technology."""
    splits = []
    for metric, unit in _SPLIT.items():
        rows: list[dict[str, Any]] = []
        for design in results.designs:
            parts = _parts(design.found(f"cost:{technology}"), metric)
            if parts:
                rows.append({"name": design.name, "what": design.arithmetic, "parts": parts})
        if rows:
            rows.sort(key=lambda r: sum(r["parts"].values()))
            names = {name: None for r in rows for name in r["parts"]}
            known = [name for name in _PART_ORDER if name in names]
            order = known + sorted(name for name in names if name not in known)
            splits.append(
                {
                    "id": f"split-{metric}-{technology}",
                    "technology": technology,
                    "unit": unit,
                    "names": order,
                    "colours": [_colour(name, i) for i, name in enumerate(order)],
                    "rows": rows,
                }
            )
    return splits


def _colour(name: str, index: int) -> int:
    """Return the number of a part's colour: the same for a known part in every figure."""
    return _PART_ORDER.index(name) if name in _PART_ORDER else index


def _parts(cost: dict[str, Any], metric: str) -> dict[str, float]:
    parts = cost.get("parts")
    found = {}
    for name, part in parts.items() if isinstance(parts, dict) else ():
        value = part.get(metric) if isinstance(part, dict) else None
        if isinstance(value, int | float) and value > 0:
            found[str(name)] = float(value)
    return found


def _groups(shown: Sequence[Column]) -> list[tuple[str, int]]:
    """Return the headings above the headings, with the number of columns below each."""
    groups: list[tuple[str, int]] = []
    for column in shown:
        if groups and groups[-1][0] == column.group:
            groups[-1] = (column.group, groups[-1][1] + 1)
        else:
            groups.append((column.group, 1))
    return groups


def _best(shown: Sequence[Column], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the best value of each column that has one; none where all are equal."""
    best = {}
    for column in shown:
        values = {values[column.key] for values in rows} - {None}
        if column.better and len(values) > 1:
            best[column.key] = (max if column.better == "more" else min)(values)
    return best


def _cards(
    shown: Sequence[Column], rows: Sequence[dict[str, Any]], results: Results
) -> list[dict[str, str]]:
    """Return the few figures that a reader looks for first."""
    cards = []
    wanted = {
        "accuracy_percent": "Most accurate",
        "energy_pj_per_mac": "Least energy",
        "area_um2": "Smallest",
        "luts": "Fewest LUTs",
    }
    for metric, title in wanted.items():
        column = next((c for c in shown if c.key.rpartition(".")[2] == metric), None)
        if column is None:
            continue
        known = [values for values in rows if values[column.key] is not None]
        if not known:
            continue
        sign = -1 if column.better == "more" else 1
        top = min(known, key=lambda values: sign * values[column.key])
        cards.append(
            {
                "title": title,
                "value": column.text(top[column.key]),
                "unit": column.unit,
                "name": top["design"],
                "group": column.group,
            }
        )
    verified = [values["vectors"] for values in rows if values["vectors"] is not None]
    cards.append(
        {
            "title": "Vectors verified",
            "value": f"{sum(verified):,}",
            "unit": "",
            "name": f"{len(verified)} of {len(results.designs)} designs",
            "group": "",
        }
    )
    return cards


def _first(results: Results, step: str, key: str) -> Any:
    found = (design.found(step).get(key) for design in results.designs)
    return next((value for value in found if value is not None), None)


def _provenance(results: Results) -> dict[str, Any]:
    """Return where the costs of each technology come from, as far as it is the same for all."""
    found = {}
    for technology in results.technologies:
        texts = [design.found(f"cost:{technology}").get("provenance") for design in results.designs]
        known = [text for text in texts if text]
        if known:
            found[technology] = functools.reduce(_common, known)
    return found


def _common(a: Any, b: Any) -> Any:
    if isinstance(a, dict) and isinstance(b, dict):
        return {key: a[key] for key in a if key in b and a[key] == b[key]}
    return a if a == b else "differs between designs; see results.json"
