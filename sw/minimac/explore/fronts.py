"""Which designs of a sweep no other beats, and what it would take to be one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.explore.columns import QUALITIES, better_of, columns, row
from minimac.explore.results import DesignResult, Results
from minimac.spec import SpecError
from minimac.spec.errors import nearest

__all__ = ["Pair", "competing", "excess", "explain", "on_fronts", "pairs", "sense"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """What a front is drawn over.

    Parameters
    ----------
    merit, cost : str
        Keys of columns. More of ``merit`` may be better or less, and so with ``cost``.
    """

    merit: str
    cost: str


def sense(key: str) -> int:
    """Return 1 for a column of which less is better, -1 for one of which more is."""
    return 1 if better_of(key) == "less" else -1


def pairs(objectives: Sequence[str]) -> list[Pair]:
    """Return each quality beside each cost; without a quality, the first cost beside each other.

    Examples
    --------
    >>> [pair.cost for pair in pairs(["error_percent", "sky130.area_um2", "ecp5.luts"])]
    ['sky130.area_um2', 'ecp5.luts']
    >>> pairs(["sky130.area_um2", "sky130.fmax_mhz"])
    [Pair(merit='sky130.area_um2', cost='sky130.fmax_mhz')]
    """
    merits = [key for key in objectives if key in QUALITIES]
    costs = [key for key in objectives if key not in QUALITIES]
    if not merits:
        merits, costs = costs[:1], costs[1:]
    return [Pair(merit, cost) for merit in merits for cost in costs]


def excess(merit: Array, cost: Array) -> Array:
    """Return by what factor each point costs more than the cheapest that is as good.

    Parameters
    ----------
    merit, cost : float64 array, (n,)
        Less is better in both; NaN where unknown. Costs are above zero.

    Returns
    -------
    float64 array, (n,)
        At least 1, infinite where unknown. Points on the front have 1, and so have those that only
        equal one in cost.

    Examples
    --------
    >>> excess(np.array([1.0, 2.0, 3.0]), np.array([4.0, 2.0, 3.0])).tolist()
    [1.0, 1.0, 1.5]
    """
    known = ~(np.isnan(merit) | np.isnan(cost))
    found = np.full(len(merit), np.inf)
    order = np.lexsort((cost[known], merit[known]))
    sorted_cost = cost[known][order]
    cheapest = np.minimum.accumulate(sorted_cost)
    ratio = np.empty(len(order))
    ratio[order] = sorted_cost / cheapest
    found[known] = ratio
    return found


def on_fronts(values: Sequence[Mapping[str, Any]], objectives: Sequence[str]) -> NDArray[np.bool_]:
    """Say which rows are on the front of at least one pair of objectives.

    Parameters
    ----------
    values : sequence of mappings
        Values by column; None or absent where unknown.
    objectives : sequence of str
    """
    found = np.zeros(len(values), bool)
    for pair in pairs(objectives):
        merit, cost = (_column(values, key) for key in (pair.merit, pair.cost))
        found |= _front(merit, cost)
    return found


def _front(merit: Array, cost: Array) -> NDArray[np.bool_]:
    """Say which points no other beats; of equal points all or none."""
    known = np.flatnonzero(~(np.isnan(merit) | np.isnan(cost)))
    front = np.zeros(len(merit), bool)
    best = np.inf
    last = (np.nan, np.nan)
    for n in known[np.lexsort((merit[known], cost[known]))]:
        if merit[n] < best or (cost[n], merit[n]) == last:
            front[n], best, last = True, merit[n], (cost[n], merit[n])
    return front


def _column(values: Sequence[Mapping[str, Any]], key: str) -> Array:
    """Return a column such that less is better."""
    found = [row.get(key) for row in values]
    known = np.array([np.nan if value is None else float(value) for value in found])
    return known if sense(key) > 0 else -known


def competing(results: Results) -> list[tuple[DesignResult, dict[str, Any]]]:
    """Return the designs that may be on a front, with their values: those within all limits."""
    shown = columns(results)
    return [
        (design, row(design, shown)) for design in results.designs if "limits" not in design.steps
    ]


def explain(results: Results, name: str) -> list[str]:
    """Say why a design is or is not on the fronts of a sweep, and which better one is nearest.

    Parameters
    ----------
    results : Results
    name : str
        Of a design of the sweep.

    Returns
    -------
    list of str
        A line for each pair of objectives, after one for the design.

    Raises
    ------
    SpecError
        If there is no such design.
    """
    by_name = {design.name: design for design in results.designs}
    if name not in by_name:
        raise SpecError(
            f"explain: there is no design {name[:80]!r} in {results.sweep}{nearest(name, by_name)}"
        )
    design = by_name[name]
    said = [f"{name}: {design.arithmetic}"]
    if design.failures:
        said += [f"{step} failed: {reason}" for step, reason in design.failures.items()]
    if "limits" in design.steps:
        broken = "; ".join(design.found("limits")["broken"])
        return [*said, f"on no front, since it breaks {broken}"]
    among = competing(results)
    titles = {column.key: column for column in columns(results)}
    own = dict(next(values for other, values in among if other is design))
    for pair in pairs(results.objectives):
        if own.get(pair.merit) is None or own.get(pair.cost) is None:
            said.append(f"{pair.merit} and {pair.cost}: unknown, so it is on no front of theirs")
            continue
        said.append(f"{pair.merit} and {pair.cost}: {_reason(design, own, among, pair, titles)}")
    return said


def _reason(
    design: DesignResult,
    own: Mapping[str, Any],
    among: Sequence[tuple[DesignResult, Mapping[str, Any]]],
    pair: Pair,
    titles: Mapping[str, Any],
) -> str:
    keys = (pair.merit, pair.cost)

    def figures(values: Mapping[str, Any]) -> str:
        return " and ".join(
            f"{titles[key].text(values[key])} {titles[key].unit}".strip() for key in keys
        )

    signed = {key: sense(key) for key in keys}

    def beats(values: Mapping[str, Any]) -> bool:
        if any(values.get(key) is None for key in keys):
            return False
        gains = [signed[key] * (own[key] - values[key]) for key in keys]
        return bool(min(gains) >= 0 and max(gains) > 0)

    better = [(other, values) for other, values in among if beats(values)]
    if not better:
        return f"on the front with {figures(own)}: none is better in one and as good in the other"

    def distance(entry: tuple[DesignResult, Mapping[str, Any]]) -> tuple[float, float]:
        other, values = entry
        changed = sum(other.axes.get(axis) != value for axis, value in design.axes.items()) + len(
            other.axes.keys() ^ design.axes.keys()
        )
        return changed, values[pair.cost] * signed[pair.cost]

    other, values = min(better, key=distance)
    cheapest = min(better, key=lambda entry: entry[1][pair.cost] * signed[pair.cost])
    changes = ", ".join(
        f"{axis} {value} instead of {design.axes.get(axis)}"
        for axis, value in other.axes.items()
        if design.axes.get(axis) != value
    )
    text = (
        f"not on the front with {figures(own)}: {len(better)} better; the nearest is {other.name} "
        f"with {figures(values)}{f' ({changes})' if changes else ''}"
    )
    if cheapest[0] is not other:
        text += f"; the best {titles[pair.cost].title} is that of {cheapest[0].name} with "
        text += figures(cheapest[1])
    return text
