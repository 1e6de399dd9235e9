"""What tables show of a design: one definition for the console, the page and the CSV file."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from minimac.explore.results import DesignResult, Results

__all__ = ["Column", "columns", "late", "row"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Parameters
    ----------
    key : str
        Flat name with the unit, as in ``results.csv``.
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
        return self.key not in ("design", "arithmetic")

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


# Metric of a cost: title, unit, significant digits (0: whole numbers), whether tables show it.
# Less is better in all of them.
_METRICS = {
    "area_um2": ("area", "µm²", 0, True),
    "delay_ps": ("delay", "ps", 0, True),
    "energy_pj_per_mac": ("energy", "pJ/MAC", 3, True),
    "energy_glitches_pj_per_mac": ("glitches", "pJ/MAC", 3, False),
    "leakage_uw": ("leakage", "µW", 3, False),
    "cells": ("cells", "", 0, False),
    "registers": ("registers", "", 0, False),
    "luts": ("LUTs", "", 0, True),
    "ffs": ("FFs", "", 0, True),
    "dsps": ("DSPs", "", 0, True),
    "carries": ("carries", "", 0, False),
    "brams": ("BRAMs", "", 0, False),
}


def columns(results: Results) -> list[Column]:
    """Return the columns that these results fill, from left to right."""
    found = [
        Column(key="design", title="design"),
        Column(key="arithmetic", title="arithmetic"),
        Column(key="accuracy_percent", title="accuracy", unit="%", better="more", digits=2),
    ]
    for technology in results.technologies:
        costs = [design.found(f"cost:{technology}") for design in results.designs]
        for metric, (title, unit, significant, brief) in _METRICS.items():
            if any(_number(cost.get(metric)) is not None for cost in costs):
                found.append(
                    Column(
                        key=f"{technology}__{metric}",
                        title=title,
                        unit=unit,
                        group=technology,
                        better="less",
                        significant=significant,
                        brief=brief,
                    )
                )
    found.append(Column(key="vectors", title="verified", unit="vectors"))
    return found


def row(design: DesignResult, among: Iterable[Column]) -> dict[str, Any]:
    """Return the values of a design by key; None where a step failed or found nothing."""
    values: dict[str, Any] = {}
    for column in among:
        match column.key:
            case "design":
                values["design"] = design.name
            case "arithmetic":
                values["arithmetic"] = design.arithmetic
            case "accuracy_percent":
                share = _number(design.found("accuracy").get("accuracy"))
                values[column.key] = None if share is None else 100 * share
            case "vectors":
                values["vectors"] = _number(design.found("simulate").get("vectors"))
            case key:
                technology, metric = key.rsplit("__", 1)
                values[key] = _number(design.found(f"cost:{technology}").get(metric))
    return values


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
