"""Tests of :mod:`minimac.explore.pareto`."""

import itertools

import pytest

from minimac.explore import pareto_front


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(1, 1)], [0]),
        ([(1, 1), (2, 2)], [0, 1]),
        ([(2, 1), (1, 2)], [1]),
        ([(1, 1), (1, 2)], [1]),
        ([(1, 1), (2, 1)], [0]),
        ([(1, 1), (1, 1), (2, 1)], [0, 1]),
    ],
)
def test_fronts_by_hand(points, front):
    assert pareto_front(points) == front


def test_front_is_what_nothing_dominates():
    points = [((7 * i) % 11, (5 * i * i) % 13) for i in range(40)]

    def beaten(p):
        return any(q[0] <= p[0] and q[1] >= p[1] and q != p for q in points)

    expected = {i for i, p in enumerate(points) if not beaten(p)}
    assert set(pareto_front(points)) == expected
    assert all(points[i][0] <= points[j][0] for i, j in itertools.pairwise(pareto_front(points)))
