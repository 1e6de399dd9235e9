"""Pareto fronts, and how much of a space they cover."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Sense", "hypervolume", "pareto_front"]

#: Which of two numbers is the better one; as :attr:`Column.better`.
Sense = Literal["less", "more"]


def pareto_front(points: "ArrayLike", senses: Sequence[Sense]) -> list[int]:
    """Return which points no other beats: at least as good in all objectives, better in one.

    Parameters
    ----------
    points : array_like of shape (n, objectives)
        A point that lacks a figure (NaN) is on no front, and keeps none off it.
    senses : sequence of {"less", "more"}
        Which is better, for each objective.

    Returns
    -------
    list of int
        Indices into ``points``, the best in the first objective first, then in the next. Equal
        points are all on the front or all off it, in the order given.

    Examples
    --------
    Cost and accuracy: the first point is beaten by the third, and the last by the second.

    >>> points = [(3.0, 97.0), (1.0, 90.0), (2.0, 97.0), (4.0, 98.0), (2.5, 90.0)]
    >>> pareto_front(points, ["less", "more"])
    [1, 2, 3]
    """
    import moocore
    import numpy as np

    costs = _costs(points, senses)
    known = np.flatnonzero(~np.isnan(costs).any(axis=1))
    if not len(known):
        return []
    found = known[moocore.is_nondominated(costs[known], keep_weakly=True)]
    order = np.lexsort([found, *costs[found].T[::-1]])
    return [int(i) for i in found[order]]


def hypervolume(points: "ArrayLike", senses: Sequence[Sense], reference: Sequence[float]) -> float:
    """Return how much lies between a front and a reference point: an area, or a volume.

    Parameters
    ----------
    points : array_like of shape (n, objectives)
        Those that are beaten, that lack a figure or that are no better than the reference add
        nothing.
    senses : sequence of {"less", "more"}
    reference : sequence of float
        The worst value of interest of each objective.

    Examples
    --------
    >>> hypervolume([(1.0, 90.0), (2.0, 97.0)], ["less", "more"], reference=(4.0, 80.0))
    44.0
    """
    import moocore

    costs = _costs(points, senses)
    worst = _costs([reference], senses)[0]
    inside = costs[(costs < worst).all(axis=1)]  # what lacks a figure compares as false
    return float(moocore.hypervolume(inside, ref=worst)) if len(inside) else 0.0


def _costs(points: "ArrayLike", senses: Sequence[Sense]) -> "NDArray[np.float64]":
    """Return points such that less is better in each objective."""
    import numpy as np

    for sense in senses:
        if sense not in ("less", "more"):
            raise ValueError(f"senses must be 'less' or 'more', not {sense!r}")
    array = np.asarray(points, dtype=float)
    if not array.size:
        return np.empty((0, len(senses)))
    if array.ndim != 2 or array.shape[1] != len(senses):
        raise ValueError(
            f"points must be of shape (n, {len(senses)}), a column for each of senses, "
            f"not {array.shape}"
        )
    return array * [-1.0 if sense == "more" else 1.0 for sense in senses]
