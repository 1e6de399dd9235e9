"""Which figures of a sweep are drawn against which, and who is on the front."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from minimac.explore.columns import QUALITIES, Column, better_of, broken, columns, row
from minimac.explore.pareto import Sense, pareto_front
from minimac.explore.results import DesignResult, Results

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = [
    "Comparison",
    "Pair",
    "comparisons",
    "competing",
    "costs",
    "excess",
    "front",
    "on_fronts",
    "pairs",
    "qualities",
    "sense",
]

#: What qualities are drawn against, where a technology says it.
COSTS = ("energy_pj_per_mac", "area_um2", "delay_ps", "luts")


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


def excess(merit: "Array", cost: "Array") -> "Array":
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
    >>> import numpy as np
    >>> excess(np.array([1.0, 2.0, 3.0]), np.array([4.0, 2.0, 3.0])).tolist()
    [1.0, 1.0, 1.5]
    """
    import numpy as np

    known = ~(np.isnan(merit) | np.isnan(cost))
    found = np.full(len(merit), np.inf)
    order = np.lexsort((cost[known], merit[known]))
    sorted_cost = cost[known][order]
    cheapest = np.minimum.accumulate(sorted_cost)
    ratio = np.empty(len(order))
    ratio[order] = sorted_cost / cheapest
    found[known] = ratio
    return found


@dataclass(frozen=True)
class Comparison:
    """Two figures of which one is bought with the other.

    Parameters
    ----------
    quality, cost : Column
        Upwards and to the right, whichever way is better.
    """

    quality: Column
    cost: Column

    @property
    def senses(self) -> tuple[Sense, Sense]:
        """Which is better: of the cost, of the quality."""
        return cast("Sense", self.cost.better), cast("Sense", self.quality.better)


def qualities(shown: Sequence[Column]) -> list[Column]:
    """Return the columns that say how good the arithmetic is."""
    return [column for column in shown if column.key in QUALITIES]


def costs(results: Results, shown: Sequence[Column]) -> list[Column]:
    """Return the columns that designs are chosen by: the objectives, or what is usual."""
    if results.objectives:
        keys = [key for key in results.objectives if key not in QUALITIES]
    else:
        keys = [f"{technology}.{cost}" for technology in results.technologies for cost in COSTS]
    by_key = {column.key: column for column in shown if column.better}
    return [by_key[key] for key in keys if key in by_key]


def comparisons(results: Results) -> list[Comparison]:
    """Return what fronts are drawn over.

    The :func:`pairs` of the objectives of which there are figures; without objectives each quality
    against each usual cost; without any quality the first cost against the others that its
    technology has.
    """
    shown = columns(results)
    if results.objectives:
        by_key = {column.key: column for column in shown}
        known = [pair for pair in pairs(results.objectives) if {pair.merit, pair.cost} <= {*by_key}]
        return [Comparison(by_key[pair.merit], by_key[pair.cost]) for pair in known]
    of = qualities(shown)
    against = costs(results, shown)
    if of:
        return [Comparison(quality, cost) for quality in of for cost in against]
    first = {cost.group: cost for cost in reversed(against)}
    return [
        Comparison(first[cost.group], cost) for cost in against if cost is not first[cost.group]
    ]


def front(
    results: Results, comparison: Comparison, values: "Mapping[str, Sequence[Any]]"
) -> list[int]:
    """Return the indices of the designs on a front, the cheapest first.

    Parameters
    ----------
    results : Results
    comparison : Comparison
    values : mapping
        Figures of all designs by key: as :func:`frame` returns them.
    """
    import numpy as np

    points = np.stack(
        [
            np.asarray(values[column.key], dtype=float)
            for column in (comparison.cost, comparison.quality)
        ],
        axis=1,
    )
    points[[bool(broken(design)) for design in results.designs]] = np.nan
    return pareto_front(points, comparison.senses)


def on_fronts(values: "Sequence[Mapping[str, Any]]", objectives: Sequence[str]) -> list[bool]:
    """Say which rows are on the front of at least one pair of objectives.

    Parameters
    ----------
    values : sequence of mappings
        Values by column; None or absent where unknown.
    objectives : sequence of str
    """
    found: set[int] = set()
    for pair in pairs(objectives):
        keys = pair.cost, pair.merit
        points = [[_number(row.get(key)) for key in keys] for row in values]
        found.update(pareto_front(points, [cast("Sense", better_of(key)) for key in keys]))
    return [n in found for n in range(len(values))]


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def competing(results: Results) -> list[tuple[DesignResult, dict[str, Any]]]:
    """Return the designs that may be on a front, with their values: those within all limits."""
    shown = columns(results)
    return [(design, row(design, shown)) for design in results.designs if not broken(design)]
