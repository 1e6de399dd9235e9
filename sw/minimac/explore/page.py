"""The report of a sweep: one page that needs no network, tables for other tools, and plots."""

import base64
import functools
import gzip
import io
import json
import statistics
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from minimac.explore.columns import Column, broken, columns, late, row
from minimac.explore.families import family
from minimac.explore.frame import frame
from minimac.explore.fronts import comparisons, costs, qualities
from minimac.explore.plots import write_plots
from minimac.explore.results import DesignResult, Results, load_results, valid_json
from minimac.spec.files import write_whole

__all__ = ["report"]

_SCRIPTS = ("data", "fronts", "splits", "parallel", "filters", "table", "winners", "main")

# What is split into parts: title, unit, decimals.
_SPLIT = {
    "area_um2": ("Area", "µm²", 0),
    "energy_pj_per_mac": ("Energy", "pJ/MAC", 3),
    "luts": ("LUTs", "LUTs", 0),
}

_PART_ORDER = ("element", "edge", "foot")

_EACH = 60  # designs; of more, the page says only in sum what was run
_TOGETHER = 12  # parallel coordinates beyond which none can be read


def report(folder: Path) -> list[Path]:
    """Write page, tables and plots beside the results of a sweep.

    The page is self-contained: a browser loads nothing for it, and its content security policy
    would not let it. Equal results give equal bytes.

    Parameters
    ----------
    folder : Path
        What :func:`run` wrote into.

    Returns
    -------
    list of Path
        The files written: ``report.html``, ``results.csv`` and ``results.parquet``, and a PNG and
        an SVG file of each front.

    Raises
    ------
    SpecError
        If the folder holds no results.
    """
    results = load_results(folder)
    table, parquet = frame(results), io.BytesIO()
    table.to_parquet(parquet, index=False)
    return [
        write_whole(folder / "report.html", _html(results)),
        write_whole(folder / "results.csv", table.to_csv(index=False, lineterminator="\n")),
        write_whole(folder / "results.parquet", parquet.getvalue()),
        *write_plots(results, folder),
    ]


def _html(results: Results) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.policies["json.dumps_function"] = _json
    web = files("minimac.explore") / "web"
    source = (web / "page.html.j2").read_text(encoding="utf-8")
    every = columns(results)
    shown = _placed([column for column in every if column.brief], results)
    if _axes(results):  # they say the same, each in a column of its own
        shown = [column for column in shown if column.key != "arithmetic"]
    rows = [row(design, every) for design in results.designs]
    data = _data(results, every, rows)
    failures = [(d.name, step, why) for d in results.designs for step, why in d.failures.items()]
    few = len(results.designs) <= _EACH
    return environment.from_string(source).render(
        results=results,
        designs=len(results.designs),
        columns=shown,
        groups=_groups(shown),
        fronts=comparisons(results),
        qualities=qualities(every),
        costs=costs(results, every),
        splits=data["splits"],
        parallel=data["parallel"],
        colours=[c for c in [*_axes(results), _FAMILY] if c.key in data["filters"]],
        failures=failures,
        late=late(results),
        cards=_cards(results, every, rows),
        predicted=sum(values.get("basis") == "predicted" for values in rows),
        float_accuracy=_first(results, "accuracy", "float_accuracy"),
        samples=_first(results, "accuracy", "samples"),
        simulated=any("simulate" in design.steps for design in results.designs),
        verified=sum(bool(design.found("simulate")) for design in results.designs),
        failed_simulations=sum("simulate" in design.failures for design in results.designs),
        runs=results.designs if few else [],
        steps=_steps(results),
        provenance=_provenance(results),
        data=data,
        # The texts that are not escaped: our own, and the library.
        css=Markup((web / "page.css").read_text(encoding="utf-8")),
        script=Markup(
            "".join((web / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
        ),
        plotly=_packed(get_plotlyjs()),
    )


def _json(value: Any, **options: Any) -> str:
    return valid_json(json.dumps(value, **options))


def _packed(script: str) -> str:
    """Return a script compressed, in letters: a third of the size, and the page need not wait."""
    return base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode()


_FAMILY = Column(key="family", title="family of formats")


def _axes(results: Results) -> list[Column]:
    names = dict.fromkeys(name for design in results.designs for name in design.axes)
    return [Column(key=f"axes.{name}", title=_short(name)) for name in names]


def _short(axis: str) -> str:
    """Return an axis as headings show it: fields without what they are parts of."""
    return ", ".join(field.strip().rpartition(".")[2] for field in axis.split(","))


def _placed(shown: list[Column], results: Results) -> list[Column]:
    """Return columns with the axes after the words that each table begins with."""
    return [*shown[:2], *_axes(results), *shown[2:]]


def _data(results: Results, every: list[Column], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return all that the scripts of the page work on."""
    designs, axes = results.designs, _axes(results)
    values = {column.key: [r[column.key] for r in rows] for column in every}
    values |= {
        c.key: [design.axes.get(c.key.removeprefix("axes.")) for design in designs] for c in axes
    }
    values[_FAMILY.key] = [family(design.design) for design in designs]
    kinds = {c.key: "axis" for c in axes}
    kinds |= {c.key: "number" if c.numeric else "word" for c in every} | {_FAMILY.key: "word"}
    described = [
        {
            **{name: getattr(column, name) for name in _DESCRIBED},
            "kind": kinds[column.key],
            "values": values[column.key],
        }
        for column in [*_placed(every, results), _FAMILY]
    ]
    varied = [
        column.key
        for column in [*axes, *(c for c in every if c.key == "basis"), _FAMILY]
        if len(set(values[column.key])) > 1
    ]
    coloured = [key for key in varied if key != "basis"]
    drawn = comparisons(results)
    figures = dict.fromkeys(
        [*(c.quality.key for c in drawn), *(c.key for c in costs(results, every))]
    )
    among = qualities(every) or costs(results, every)
    lines, texts = _deduplicated([_yaml(design) for design in designs])
    return {
        "columns": described,
        "fronts": [{"x": c.cost.key, "y": c.quality.key} for c in drawn],
        "costs": [column.key for column in costs(results, every)],
        "filters": varied,
        "parallel": [*(k for k in varied if k.startswith("axes.")), *figures][:_TOGETHER],
        "colour": (["family"] if "family" in coloured else coloured)[0]
        if coloured and len(designs) > _NAMED
        else "",
        "sort": {"key": among[0].key, "up": among[0].better == "less"}
        if among
        else {"key": "design", "up": True},
        "splits": [split for name in results.technologies for split in _splits(results, name)],
        "limits": {i: broken(design) for i, design in enumerate(designs) if broken(design)},
        "failures": {i: design.failures for i, design in enumerate(designs) if design.failures},
        "lines": lines,
        "yaml": texts,
    }


_DESCRIBED = ("key", "title", "unit", "group", "better", "digits", "significant", "brief")
_NAMED = 12  # designs; so few are told apart by their names


def _yaml(design: DesignResult) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as quick
    return str(yaml.dump(design.design, Dumper=dumper, sort_keys=False, allow_unicode=True))


def _deduplicated(texts: Sequence[str]) -> tuple[list[str], list[list[int]]]:
    """Return all distinct lines, and each text as numbers of lines: designs are much alike."""
    numbers: dict[str, int] = {}
    split = [
        [numbers.setdefault(line, len(numbers)) for line in text.removesuffix("\n").split("\n")]
        for text in texts
    ]
    return list(numbers), split


def _splits(results: Results, technology: str) -> list[dict[str, Any]]:
    """Return what each design's area and energy are made of, in one technology."""
    splits = []
    for metric, (title, unit, digits) in _SPLIT.items():
        parts = [_parts(design.found(f"cost:{technology}"), metric) for design in results.designs]
        names = {name for found in parts for name in found}
        order = [name for name in _PART_ORDER if name in names]
        order += sorted(names.difference(order))
        if order:
            splits.append(
                {
                    "technology": technology,
                    "title": title,
                    "unit": unit,
                    "digits": digits,
                    "parts": [
                        {
                            "name": name,
                            # A known part has the same colour in every figure.
                            "colour": _PART_ORDER.index(name) if name in _PART_ORDER else i,
                            "values": [found.get(name) for found in parts],
                        }
                        for i, name in enumerate(order)
                    ],
                }
            )
    return splits


def _parts(cost: dict[str, Any], metric: str) -> dict[str, float]:
    parts = cost.get("parts")
    found = {}
    for name, part in parts.items() if isinstance(parts, dict) else ():
        value = part.get(metric) if isinstance(part, dict) else None
        if isinstance(value, int | float) and 0 < value < float("inf"):
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


def _cards(
    results: Results, every: Sequence[Column], rows: Sequence[dict[str, Any]]
) -> list[dict[str, str]]:
    """Return the few figures that a reader looks for first, of designs that keep the limits."""
    cards = []
    wanted = {
        "accuracy_percent": "Most accurate",
        "error_percent": "Least error",
        "energy_pj_per_mac": "Least energy",
        "area_um2": "Smallest",
        "luts": "Fewest LUTs",
    }
    kept = [r for r, design in zip(rows, results.designs, strict=True) if not broken(design)]
    for metric, title in wanted.items():
        column = next((c for c in every if c.key.rpartition(".")[2] == metric), None)
        if column is None:
            continue
        known = [values for values in kept if values[column.key] is not None]
        if not known:
            continue
        sign = -1 if column.better == "more" else 1
        top = min(known, key=lambda values: sign * values[column.key])
        said = ", predicted" if column.group and top.get("basis") == "predicted" else ""
        cards.append(
            {
                "title": title,
                "value": column.text(top[column.key]),
                "unit": column.unit,
                "name": top["design"],
                "group": column.group + said,
            }
        )
    verified = [values["vectors"] for values in rows if values["vectors"] is not None]
    if any("simulate" in design.steps for design in results.designs):
        cards.append(
            {
                "title": "Vectors verified",
                "value": f"{sum(verified):,}",
                "unit": "",
                "name": f"{len(verified):,} of {len(results.designs):,} designs",
                "group": "",
            }
        )
    return cards


def _steps(results: Results) -> list[dict[str, Any]]:
    """Return, of each step, how many designs went through it and what time it took."""
    names = dict.fromkeys(name for design in results.designs for name in design.steps)
    found = []
    for name in names:
        done = [design.steps[name] for design in results.designs if name in design.steps]
        seconds = [step.seconds for step in done]
        found.append(
            {
                "name": name,
                "designs": len(done),
                "failed": sum(not step.ok for step in done),
                "median": statistics.median(seconds),
                "longest": max(seconds),
                "total": sum(seconds),
            }
        )
    return found


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
