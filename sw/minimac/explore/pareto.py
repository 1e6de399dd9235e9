"""Pareto fronts."""

from collections.abc import Sequence

__all__ = ["pareto_front"]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return which points no other beats: least cost for at least their merit.

    Parameters
    ----------
    points : sequence of (cost, merit)
        Less cost is better, more merit is.

    Returns
    -------
    list of int
        Indices into ``points``, by rising cost. Equal points are all on the front or all off it.

    Examples
    --------
    >>> pareto_front([(3.0, 97.0), (1.0, 90.0), (2.0, 97.0), (4.0, 98.0), (2.5, 95.0)])
    [1, 2, 3]
    """
    front: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i)):
        merit = points[i][1]
        if not front or merit > points[front[-1]][1] or points[i] == points[front[-1]]:
            front.append(i)
    return front
