"""Which designs of a large space are worth synthesising: a search over predicted costs."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minimac.explore.fronts import excess, pairs, sense
from minimac.explore.space import ConditionError, Distinct, Point, Space, distinct
from minimac.explore.sweep import Sweep
from minimac.spec import SpecError

__all__ = ["Judged", "Looking", "choose", "enumerable", "search"]

#: Combinations that are all looked at to find out which of them are designs.
_ENUMERABLE = 200_000

#: Combinations after which a search for designs is said to go on: a tenth of a second, or so.
_SAID_EVERY = 1000

#: Generations without a new design after which a search has found all that it will.
_IDLE_GENERATIONS = 5

# What stands for a value that there is none of.
_WORST = 1e30


class Judged(NamedTuple):
    """A point with what is predicted of it.

    Attributes
    ----------
    point : Point
    values : dict
        Qualities and predicted costs by column; some may be missing.
    broken : tuple of str
        Limits that it breaks even if predictions err in its favour.
    """

    point: Point
    values: Mapping[str, Any]
    broken: tuple[str, ...]


Judge = Callable[[Sequence[Point]], list[Judged]]

#: Called while designs are looked for, with the numbers of combinations looked at and of all, and
#: of designs found.
Looking = Callable[[int, int, int], None]


def enumerable(sweep: Sweep, looking: Looking | None = None) -> list[Point] | None:
    """Return all designs of a sweep, or None if there are too many combinations to look at."""
    if sweep.size > _ENUMERABLE:
        return None
    met = Distinct()
    seen = len(sweep.designs)

    def looked() -> None:
        nonlocal seen
        seen += 1
        if looking and seen % _SAID_EVERY == 0:
            looking(seen, sweep.size, len(met))

    for point in sweep.points(looked):
        met.add(point)
    return list(met)


def search(sweep: Sweep, points: Sequence[Point] | None, judge: Judge) -> list[Judged]:
    """Judge all designs, or as many as the sweep allows where a genetic search finds good ones.

    Parameters
    ----------
    sweep : Sweep
    points : sequence of Point or None
        All designs, if they are known.
    judge : callable
        Judges points, in the order given.

    Returns
    -------
    list of Judged
        In the order of the sweep if all were judged, else in that of the search.
    """
    if points is not None and len(points) <= sweep.screen:
        return judge(points)
    met = Distinct()
    named = [met.add(Point(design=design, axes={})) for design in sweep.designs]
    judged = {id(entry.point): entry for entry in judge(distinct(named))}
    budgets = _shares(sweep.screen - len(judged), [space.size for space in sweep.spaces])
    for number, (space, budget) in enumerate(zip(sweep.spaces, budgets, strict=True)):
        _evolve(space, budget, sweep, judge, sweep.seed + number, met, judged)
    return list(judged.values())


def _shares(budget: int, sizes: Sequence[int]) -> list[int]:
    """Split a budget by size; what a small space leaves goes to the larger ones."""
    shares = dict.fromkeys(range(len(sizes)), 0)
    left = max(budget, len(sizes))
    by_size = sorted(shares, key=lambda n: sizes[n])
    for place, n in enumerate(by_size):
        rest = sum(sizes[m] for m in by_size[place:])
        shares[n] = min(sizes[n], max(1, left * sizes[n] // rest))
        left -= shares[n]
    return [shares[n] for n in range(len(sizes))]


def _evolve(
    space: Space,
    budget: int,
    sweep: Sweep,
    judge: Judge,
    seed: int,
    met: Distinct,
    judged: dict[int, Judged],
) -> None:
    """Search one space by NSGA-II over mixed variables (pymoo), a generation at a time.

    Adds to ``judged``, by the identity of the points that ``met`` holds.
    """
    from pymoo.algorithms.moo.nsga2 import RankAndCrowdingSurvival
    from pymoo.core.mixed import MixedVariableGA
    from pymoo.core.problem import Problem
    from pymoo.core.variable import Choice, Integer
    from pymoo.problems.static import StaticProblem

    objectives = sweep.all_objectives
    variables = {}
    for axis, values in space.axes.items():
        ordered = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        last = len(values) - 1
        whole = Integer(bounds=(0, last)) if ordered and last else Choice(options=range(last + 1))
        variables[axis] = whole
    problem = Problem(vars=variables, n_obj=len(objectives), n_ieq_constr=1)
    algorithm = MixedVariableGA(
        pop_size=max(20, min(200, budget // 10)), survival=RankAndCrowdingSurvival()
    )
    algorithm.setup(problem, seed=seed, verbose=False)
    known: dict[tuple[int, ...], Judged | None] = {}
    most = len(judged) + budget
    idle = 0
    while len(judged) < most and idle < _IDLE_GENERATIONS:
        population = algorithm.ask()
        chosen = [
            tuple(int(individual.X[axis]) for axis in space.axes) for individual in population
        ]
        fresh: dict[tuple[int, ...], Point] = {}
        for indices in dict.fromkeys(chosen):
            if indices in known:
                continue
            known[indices] = None
            try:
                point = space.at(indices)
            except ConditionError:
                raise
            except SpecError:
                continue
            if point:
                fresh[indices] = met.add(point)
        unjudged = {id(point): point for point in fresh.values() if id(point) not in judged}
        taken = list(itertools.islice(unjudged.values(), most - len(judged)))
        judged |= {id(entry.point): entry for entry in judge(taken)}
        known |= {indices: judged.get(id(point)) for indices, point in fresh.items()}
        idle = 0 if taken else idle + 1
        scores = [_score(known[indices], objectives) for indices in chosen]
        static = StaticProblem(
            problem,
            F=np.array([costs for costs, _ in scores]),
            G=np.array([[violation] for _, violation in scores]),
        )
        algorithm.evaluator.eval(static, population)
        algorithm.tell(infills=population)


def _score(entry: Judged | None, objectives: Sequence[str]) -> tuple[list[float], float]:
    """Return what a search lessens, and how far a point is from one that counts."""
    if entry is None:
        return [_WORST] * len(objectives), 2.0
    values = [entry.values.get(key) for key in objectives]
    costs = [
        _WORST if value is None else sense(key) * float(value)
        for key, value in zip(objectives, values, strict=True)
    ]
    return costs, 1.0 if entry.broken or None in values else 0.0


def choose(judged: Sequence[Judged], objectives: Sequence[str], count: int) -> list[int]:
    """Return the points on predicted fronts or nearest to them.

    Nearest is what costs the least more than another that is at least as good, over all pairs of
    objectives.

    Parameters
    ----------
    judged : sequence of Judged
    objectives : sequence of str
    count : int
        How many at most.

    Returns
    -------
    list of int
        Indices into ``judged``, rising.
    """
    nearest = np.full(len(judged), np.inf)
    for pair in pairs(objectives):
        merit, cost = (
            np.array([_known(entry, key) for entry in judged]) for key in (pair.merit, pair.cost)
        )
        # A clock is a cost that should be high: its period is one that should be low.
        cost = 1 / cost if sense(pair.cost) < 0 else cost
        nearest = np.minimum(nearest, excess(sense(pair.merit) * merit, cost))
    order = np.argsort(nearest, kind="stable")
    return sorted(int(n) for n in order[:count] if nearest[n] < np.inf)


def _known(entry: Judged, key: str) -> float:
    value = None if entry.broken else entry.values.get(key)
    return float("nan") if value is None else float(value)
