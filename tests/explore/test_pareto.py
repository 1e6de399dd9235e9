"""Tests of :mod:`minimac.explore.pareto`."""

import itertools
import math
import random
import time

import pytest

from minimac.explore import hypervolume, pareto_front


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(1, 1)], [0]),
        ([(1, 1), (2, 2)], [0, 1]),
        ([(2, 1), (1, 2)], [1]),
        ([(1, 1), (1, 2)], [1]),
        ([(1, 1), (2, 1)], [0]),
        ([(2, 2), (1, 1), (2, 1), (1, 1)], [1, 3, 0]),
        ([(1, math.nan), (2, 1), (math.nan, 9)], [1]),
        ([(math.nan, 1)], []),
    ],
)
def test_fronts_by_hand(points, front):
    assert pareto_front(points, ["less", "more"]) == front


@pytest.mark.parametrize(
    "senses", [s for n in (1, 2, 3, 4) for s in itertools.product(["less", "more"], repeat=n)]
)
def test_front_is_what_nothing_beats(senses):
    chance = random.Random(len(senses))
    points = [tuple(chance.randrange(7) for _ in senses) for _ in range(60)]

    def no_worse(p, q):
        return all(a <= b if s == "less" else a >= b for a, b, s in zip(p, q, senses, strict=True))

    expected = [
        i for i, p in enumerate(points) if not any(no_worse(q, p) and q != p for q in points)
    ]
    found = pareto_front(points, senses)
    assert sorted(found) == expected
    sign = 1 if senses[0] == "less" else -1
    assert all(sign * points[i][0] <= sign * points[j][0] for i, j in itertools.pairwise(found))


def test_many_points_are_quick():
    chance = random.Random(0)
    points = [(chance.random(), chance.random()) for _ in range(100_000)]
    pareto_front(points[:10], ["less", "less"])  # imports
    began = time.perf_counter()
    pareto_front(points, ["less", "more"])
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("senses", [("less", "less"), ("less", "more", "less")])
def test_hypervolume_is_what_a_grid_counts(senses):
    chance = random.Random(1)
    points = [tuple(chance.randrange(9) for _ in senses) for _ in range(8)]
    reference = [7 if sense == "less" else 1 for sense in senses]
    cells = 0
    for cell in itertools.product(range(10), repeat=len(senses)):
        # A unit cell counts if some point is at least as good as its worse corner.
        lies = all(
            c + 1 <= r if s == "less" else c >= r
            for c, r, s in zip(cell, reference, senses, strict=True)
        )
        cells += lies and any(
            all(
                p <= c if s == "less" else p >= c + 1
                for p, c, s in zip(point, cell, senses, strict=True)
            )
            for point in points
        )
    assert cells > 0
    assert hypervolume(points, senses, reference) == cells


def test_nothing_covers_nothing():
    assert hypervolume([], ["less", "less"], (1, 1)) == 0
    assert hypervolume([(2, 0), (math.nan, 0)], ["less", "less"], (1, 1)) == 0


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"^senses must be 'less' or 'more', not 'min'$"):
        pareto_front([(1, 2)], ["min", "less"])
    with pytest.raises(ValueError, match=r"^points must be of shape \(n, 2\), .*, not \(1, 3\)$"):
        pareto_front([(1, 2, 3)], ["less", "less"])
