"""Costs side by side: figures, ratios to the first, and which is better."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["METRICS", "Row", "compare", "differences"]

#: What is compared, and whether less is better, or more, or neither.
METRICS: dict[str, int] = {
    "area_um2": -1,
    "cells": 0,
    "registers": 0,
    "leakage_uw": -1,
    "energy_pj_per_mac": -1,
    "luts": -1,
    "ffs": -1,
    "dsps": -1,
    "carries": -1,
    "brams": -1,
    "delay_ps": -1,
    "fmax_mhz": 1,
    "latency_cycles": -1,
}


class Row(NamedTuple):
    """One metric of several costs.

    Attributes
    ----------
    metric : str
        Its name.
    values : tuple of float or None
        Of each cost; None where it has none.
    ratios : tuple of float or None
        To the first; None where there is none.
    best : frozenset of int
        Which are best; none if all are equal, or no one can say what is better.
    """

    metric: str
    values: tuple[float | None, ...]
    ratios: tuple[float | None, ...]
    best: frozenset[int]


def compare(costs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Set costs, as :meth:`minimac.cost.Cost.as_dict` has them, side by side.

    Examples
    --------
    >>> row, *_ = compare([{"area_um2": 50.0}, {"area_um2": 40.0}])
    >>> row.metric, row.ratios, sorted(row.best)
    ('area_um2', (1.0, 0.8), [1])
    """
    rows = []
    for metric, sign in METRICS.items():
        values = tuple(cost.get(metric) for cost in costs)
        known = [value for value in values if value is not None]
        if not any(known):
            continue
        first = values[0]
        ratios = tuple(value / first if value is not None and first else None for value in values)
        best = max(sign * value for value in known)
        winners = frozenset(
            n for n, value in enumerate(values) if value is not None and sign * value == best
        )
        told = sign and len(set(known)) > 1
        rows.append(Row(metric, values, ratios, winners if told else frozenset()))
    return rows


def differences(costs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what is not the same for all costs, though a comparison assumes it.

    Examples
    --------
    >>> differences([{"technology": "sky130", "clock_mhz": 100.0, "provenance": {}},
    ...     {"technology": "sky130", "clock_mhz": 50.0, "provenance": {}}])
    ['clock_mhz: 100, 50']
    """
    found = []
    for key in ("technology", "clock_mhz"):
        values = [cost.get(key) for cost in costs]
        if len(set(values)) > 1:
            words = (f"{v:g}" if isinstance(v, float) else str(v) for v in values)
            found.append(f"{key}: {', '.join(words)}")
    versions = [cost["provenance"].get("versions", {}) for cost in costs]
    for tool in sorted({tool for some in versions for tool in some}):
        numbers = [str(some.get(tool, "unknown")) for some in versions]
        if len(set(numbers)) > 1:
            found.append(f"{tool}: {', '.join(numbers)}")
    return found
