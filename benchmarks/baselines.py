"""What simple predictors of cost do with the same points: what the physics has to beat."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from minimac.cost.blocks import kind_of
from minimac.cost.fitting import Point, measured
from minimac.cost.prediction import KINDS
from minimac.spec import Systolic

__all__ = ["nearest", "widths"]

Array = NDArray[np.float64]


def _widths(points: Sequence[Point]) -> Array:
    """Logarithms of the widths that a design file names, and of what it adds up in."""
    rows = []
    for point in points:
        design, acc = point.design, point.design.accumulate
        state = getattr(acc, "width", None) or getattr(acc, "format", design.out)
        state = state if isinstance(state, int) else state.width
        state = design.sum_bits if kind_of(design) == "exact" else state
        rows.append([design.a.width, design.b.width, design.out.width, state])
    return np.log(np.array(rows, np.float64))


def _elements(points: Sequence[Point], figure: str) -> Array:
    """How often figures of an element count: those of arrays grow with their size."""
    shapes = [x.design.array if isinstance(x.design, Systolic) else None for x in points]
    counts = [shape.rows * shape.columns if shape else 1 for shape in shapes]
    grows = figure in ("area_um2", "luts")
    return np.array(counts if grows else [1] * len(counts), np.float64)


def _kinds(points: Sequence[Point]) -> Array:
    """Tell kinds and arrays apart."""
    kinds = [KINDS.index(kind_of(point.design)) for point in points]
    arrays = np.array([[isinstance(point.design, Systolic)] for point in points], np.float64)
    return np.hstack([np.eye(len(KINDS))[kinds], arrays])


def _values(points: Sequence[Point], figure: str) -> Array:
    return np.array([measured(x, figure) for x in points]) / _elements(points, figure)


def nearest(learnt: Sequence[Point], tested: Sequence[Point], figure: str) -> Array:
    """Return the figure of the nearest design, by widths, of the same kind."""
    from sklearn.neighbors import KNeighborsRegressor

    def places(points: Sequence[Point]) -> Array:
        return np.hstack([_widths(points), 100 * _kinds(points)])

    model = KNeighborsRegressor(n_neighbors=1).fit(places(learnt), _values(learnt, figure))
    found: Array = model.predict(places(tested)) * _elements(tested, figure)
    return found


def widths(learnt: Sequence[Point], tested: Sequence[Point], figure: str) -> Array:
    """Return what a linear model of the logarithms of widths says, and of the kind."""
    from sklearn.linear_model import Ridge

    def places(points: Sequence[Point]) -> Array:
        return np.hstack([_widths(points), _kinds(points)])

    model = Ridge(alpha=1e-3).fit(places(learnt), np.log(_values(learnt, figure)))
    found: Array = np.exp(model.predict(places(tested))) * _elements(tested, figure)
    return found
