"""What tables show of a design: one definition for the console, the page and the CSV file."""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from minimac.explore.results import DesignResult, Results
from minimac.spec import BlockFormat, parse_format

__all__ = [
    "FACTS",
    "METRICS",
    "OF_ALL",
    "QUALITIES",
    "WORDS",
    "Column",
    "better_of",
    "broken",
    "columns",
    "facts",
    "late",
    "row",
]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Parameters
    ----------
    key : str
        Name with the unit, as in ``results.csv``: ``error_percent``, ``sky130.area_um2``.
    title, unit, group : str
        Heading, unit and the technology it belongs to; empty where there is none.
    better : {"more", "less", ""}
        Which of two numbers is the better one.
    digits : int
        Decimals shown.
    significant : int
        Significant digits shown instead, if not 0.
    brief : bool
        Whether tables show it; if not, only the CSV file does.
    """

    key: str
    title: str
    unit: str = ""
    group: str = ""
    better: str = ""
    digits: int = 0
    significant: int = 0
    brief: bool = True

    @property
    def numeric(self) -> bool:
        """Whether the column holds numbers."""
        return self.key not in WORDS

    def text(self, value: Any) -> str:
        """Return a value as tables show it.

        Examples
        --------
        >>> Column(key="area_um2", title="area").text(12345.6)
        '12,346'
        >>> [Column(key="x", title="x", significant=3).text(x) for x in (0.02118, 7.5, 1399.9)]
        ['0.0212', '7.50', '1,400']
        """
        if value is None:
            return ""
        if not self.numeric:
            return str(value)
        digits = self.digits
        if self.significant:
            digits = self.significant - 1 - (math.floor(math.log10(abs(value))) if value else 0)
        return f"{value:,.{max(digits, 0)}f}"


#: Columns that hold words, besides the axes of a sweep.
WORDS = ("design", "arithmetic", "basis")

#: What arithmetic does to results: the step, the figure, a factor, title, unit, better, digits.
QUALITIES = {
    "accuracy_percent": ("accuracy", "accuracy", 100.0, "accuracy", "%", "more", 2),
    "error_percent": ("error", "error_percent", 1.0, "error", "%", "less", 3),
}

#: What a technology says: title, unit, which is better, significant digits (0: whole numbers),
#: whether tables show it.
METRICS = {
    "area_um2": ("area", "µm²", "less", 0, True),
    "area_um2_per_mac": ("area", "µm² a lane", "less", 4, False),
    "delay_ps": ("delay", "ps", "less", 0, True),
    "fmax_mhz": ("clock", "MHz", "more", 3, False),
    "energy_pj_per_mac": ("energy", "pJ/MAC", "less", 3, True),
    "energy_glitches_pj_per_mac": ("glitches", "pJ/MAC", "less", 3, False),
    "leakage_uw": ("leakage", "µW", "less", 3, False),
    "cells": ("cells", "", "less", 0, False),
    "registers": ("registers", "", "less", 0, False),
    "luts": ("LUTs", "", "less", 0, True),
    "luts_per_mac": ("LUTs", "a lane", "less", 4, False),
    "ffs": ("FFs", "", "less", 0, True),
    "dsps": ("DSPs", "", "less", 0, True),
    "carries": ("carries", "", "less", 0, False),
    "brams": ("BRAMs", "", "less", 0, False),
    "latency_cycles": ("latency", "cycles", "less", 0, False),
}


#: What a design says of itself: title, unit, which is better, decimals.
FACTS = {"bits_per_value": ("operands", "bit", "less", 2)}

#: Metrics that are those of all lanes, or elements, by those of one.
OF_ALL = {"area_um2_per_mac": "area_um2", "luts_per_mac": "luts"}


def better_of(key: str) -> str:
    """Say which of two values of a column is the better one: ``more`` or ``less``."""
    if key in QUALITIES:
        return QUALITIES[key][5]
    return FACTS[key][2] if key in FACTS else METRICS[key.rpartition(".")[2]][2]


def columns(results: Results) -> list[Column]:
    """Return the columns that these results fill, from left to right."""
    found = [
        Column(key="design", title="design"),
        Column(key="arithmetic", title="arithmetic"),
    ]
    if any(_basis(design, results.technologies) == "predicted" for design in results.designs):
        found.append(Column(key="basis", title="figures"))
    for key, (step, figure, _, title, unit, better, digits) in QUALITIES.items():
        if any(_number(design.found(step).get(figure)) is not None for design in results.designs):
            found.append(Column(key=key, title=title, unit=unit, better=better, digits=digits))
    for key, (title, unit, better, digits) in FACTS.items():
        # Of equal value it says nothing.
        if len({facts(design)[key] for design in results.designs} - {None}) > 1:
            found.append(
                Column(key=key, title=title, unit=unit, better=better, digits=digits, brief=False)
            )
    for technology in results.technologies:
        costs = [_cost(design, technology) for design in results.designs]
        for metric, (title, unit, better, significant, brief) in METRICS.items():
            if any(_number(cost.get(metric)) is not None for cost in costs):
                found.append(
                    Column(
                        key=f"{technology}.{metric}",
                        title=title,
                        unit=unit,
                        group=technology,
                        better=better,
                        significant=significant,
                        brief=brief,
                    )
                )
    found.append(Column(key="vectors", title="verified", unit="vectors"))
    return found


def row(design: DesignResult, among: Iterable[Column]) -> dict[str, Any]:
    """Return the values of a design by key; None where a step failed or found nothing."""
    values: dict[str, Any] = {}
    technologies = {column.group: None for column in among if column.group}
    for column in among:
        match column.key:
            case "design":
                values["design"] = design.name
            case "arithmetic":
                values["arithmetic"] = design.arithmetic
            case "basis":
                values["basis"] = _basis(design, technologies)
            case key if key in QUALITIES:
                step, figure, factor = QUALITIES[key][:3]
                found = _number(design.found(step).get(figure))
                values[key] = None if found is None else factor * found
            case key if key in FACTS:
                values[key] = _fact(design, key)
            case "vectors":
                values["vectors"] = _number(design.found("simulate").get("vectors"))
            case key:
                technology, metric = key.rsplit(".", 1)
                values[key] = _number(_cost(design, technology).get(metric))
    return values


def _cost(design: DesignResult, technology: str) -> dict[str, Any]:
    """Return what a design costs: as measured, or else as predicted."""
    found = design.found(f"cost:{technology}") or design.found(f"predict:{technology}")
    lanes = _lanes(design)
    shares = {
        key: found[whole] / lanes
        for key, whole in OF_ALL.items()
        if lanes > 1 and _number(found.get(whole)) is not None
    }
    return {**found, **shares}


def _lanes(design: DesignResult) -> int:
    """Return how many pairs of operands a design multiplies in a cycle."""
    array = design.design.get("array")
    if isinstance(array, dict):
        return int(array.get("rows", 1)) * int(array.get("columns", 1))
    return int(design.design.get("lanes") or 1)


def facts(design: DesignResult) -> dict[str, float | None]:
    """Return what a design says of itself, by column."""
    return {key: _fact(design, key) for key in FACTS}


def _fact(design: DesignResult, key: str) -> float | None:
    """Return the mean width of an operand, its share of a scale included."""
    assert key == "bits_per_value"
    names = [design.design.get(operand) for operand in ("a", "b")]
    bits = [_bits(name) for name in names if isinstance(name, str)]
    return sum(bits) / len(bits) if bits else None


@functools.cache
def _bits(name: str) -> float:
    fmt = parse_format(name)
    if isinstance(fmt, BlockFormat) and fmt.size:
        return fmt.width + fmt.scale.width / fmt.size
    return float(fmt.width)


def _basis(design: DesignResult, technologies: Iterable[str]) -> str:
    """Say whether the figures of a design are measured or, at least one, predicted."""
    predicted = (
        f"predict:{technology}" in design.steps and f"cost:{technology}" not in design.steps
        for technology in technologies
    )
    return "predicted" if any(predicted) else "measured"


def broken(design: DesignResult) -> list[str]:
    """Name the limits of the sweep that a design does not keep; it is on no front then.

    Those that cannot be told, for want of a figure, have ``(unknown)`` after them.
    """
    found = design.found("limits").get("broken")
    return [str(limit) for limit in found] if isinstance(found, list) else []


def late(results: Results) -> list[str]:
    """Name the designs that miss their clock, and by how much: their other figures flatter them."""
    found = []
    for design in results.designs:
        for technology in results.technologies:
            cost = design.found(f"cost:{technology}")
            clock, delay = _number(cost.get("clock_mhz")), _number(cost.get("delay_ps"))
            if clock and delay and delay > 1e6 / clock:
                over = delay - 1e6 / clock
                found.append(f"{design.name} misses {clock:g} MHz in {technology} by {over:.0f} ps")
    return found


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and value == value and abs(value) != float("inf") else None
