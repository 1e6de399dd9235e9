"""Models of cost, fitted to synthesised points, and how wrong they are on what they have not seen.

The cost of a part is a sum over its blocks (:mod:`minimac.cost.blocks`), by factors that cannot be
negative, times what a kernel regression of the logarithm says about parts like it: blocks share
inputs and are optimised together. A delay is the longer one of two such sums: through the element,
and through the foot.

Only fitting needs scikit-learn; :mod:`minimac.cost.prediction` evaluates.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimac.cost.blocks import BLOCKS, Part, kind_of, parts_of
from minimac.cost.prediction import (
    FIGURES,
    KINDS,
    Rows,
    Surface,
    embed,
    longest,
    pack,
    range_key,
    rows_of,
)
from minimac.spec import Design, FixedPoint, Format, Minifloat, RoundedAccumulation, load_design

__all__ = [
    "SPLITS",
    "HeldOut",
    "Point",
    "Settings",
    "fit",
    "format_bands",
    "hold_out",
    "read_points",
    "width_band",
]

Array = NDArray[np.float64]


class Point(NamedTuple):
    """A synthesised design.

    Attributes
    ----------
    design : Design
        What it is.
    parts : dict of str to Part
        What it is made of.
    figures : dict
        What was measured.
    """

    design: Design
    parts: Mapping[str, Part]
    figures: Mapping[str, Any]


class HeldOut(NamedTuple):
    """A figure of a point, predicted by a model that has seen no design of its band."""

    place: int
    band: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """Relative error."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class Settings:
    """How much a model may bend.

    Parameters
    ----------
    share : float
        Weight of the factors that a kind of accumulation has for itself.
    ridge : float
        Penalty on factors.
    width : float
        Width of the kernel, in units of the logarithm of an amount.
    noise : float
        What one point may be off, of what the kernel may correct.
    """

    share: float = 0.3
    ridge: float = 0.03
    width: float = 4.0
    noise: float = 0.3


def read_points(technology: str) -> tuple[Mapping[str, Any], list[Point]]:
    """Read the points of a technology that come with the package.

    Returns
    -------
    conditions : dict
        What they were synthesised with; ``digest`` is that of the file.
    points : list of Point
    """
    text = (files("minimac.cost") / "points" / f"{technology}.jsonl").read_text(encoding="utf-8")
    first, *lines = text.splitlines()
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {**json.loads(first), "digest": digest}, [read_point(json.loads(x)) for x in lines]


def read_point(found: Mapping[str, Any]) -> Point:
    """Read a point; ``design`` lacks its name."""
    design = load_design({"name": "unit", **found["design"]})
    return Point(design, parts_of(design), found)


# --- What is held out together -----------------------------------------------------------------


def _band(fmt: Format) -> str:
    """Return the band of a format: exponents and mantissas of like widths, or integers."""
    if isinstance(fmt, Minifloat):
        exponent = _step(fmt.exp_bits, (4, 6))
        return f"E{exponent} M{_step(fmt.man_bits, (3, 6, 8))}"
    assert isinstance(fmt, FixedPoint)
    return f"fixed {_step(fmt.width, (6, 9, 13))}"


def _step(value: int, bounds: Sequence[int]) -> str:
    """Return the range between two bounds that a value is in."""
    place = sum(value >= bound for bound in bounds)
    low = bounds[place - 1] if place else ""
    return f"{low}..{bounds[place] - 1 if place < len(bounds) else ''}"


def format_bands(design: Design) -> frozenset[str]:
    """Return the bands of the formats that a design multiplies or adds.

    Examples
    --------
    >>> sorted(format_bands(load_design({"name": "m", "unit": "multiplier", "a": "e4m3fn",
    ...     "b": "int8", "out": "bf16"})))
    ['E4..5 M3..5', 'fixed 6..8']
    """
    return frozenset(_band(fmt) for fmt in design.operands.values())


def width_band(design: Design) -> frozenset[str]:
    """Return the band of the width that a design adds up in, or of the result of one operation."""
    acc = design.accumulate
    kind = "rounded" if isinstance(acc, RoundedAccumulation) else kind_of(design)
    widths: dict[str, Callable[[], tuple[int, tuple[int, ...]]]] = {
        "float": lambda: (acc.window_bits, (14, 18, 23, 28)),  # type: ignore[attr-defined]
        "exact": lambda: (design.sum_bits, (24, 33, 49)),
        "fixed": lambda: (acc.format.width, (16, 22, 27)),  # type: ignore[attr-defined]
        "rounded": lambda: (acc.format.sig_bits, (9, 12, 16)),  # type: ignore[attr-defined]
    }
    value, bounds = widths.get(kind, lambda: (design.out.width, (9, 17)))()
    return frozenset({f"{kind} {_step(value, bounds)}"})


#: What is left out at once, so that no neighbour of a point is learnt from.
SPLITS = {"formats": format_bands, "widths": width_band}


def hold_out(
    points: Sequence[Point],
    split: str,
    predictor: Callable[[Sequence[Point], Sequence[Point]], Array],
    measured: Callable[[Point], float],
) -> list[HeldOut]:
    """Predict each band by what has no part in it.

    Parameters
    ----------
    points : sequence of Point
        All there are.
    split : str
        One of :data:`SPLITS`.
    predictor : callable
        Learns from some points and predicts others.
    measured : callable
        The figure.
    """
    bands = [SPLITS[split](point.design) for point in points]
    found = []
    for band in sorted(frozenset().union(*bands)):
        tested = [n for n, own in enumerate(bands) if band in own]
        learnt = [points[n] for n, own in enumerate(bands) if band not in own]
        guesses = predictor(learnt, [points[n] for n in tested])
        found += [
            HeldOut(n, band, float(guess), measured(points[n]))
            for n, guess in zip(tested, guesses, strict=True)
        ]
    return found


# --- Fitting -------------------------------------------------------------------------------------


def measured(point: Point, figure: str, part: str = "whole") -> float:
    """Return what was measured of a part, or of the whole design."""
    source = point.figures if part == "whole" else point.figures["parts"].get(part, {})
    return float(source.get(figure, 0.0))


def fit(
    points: Sequence[Point], figure: str, settings: Settings | None = None
) -> dict[str, Surface]:
    """Fit the surfaces of a figure, by part."""
    surfaces = {}
    for part in FIGURES[figure]:
        own = [points[n] for n in _learnt(points, figure, part)]
        rows = rows_of(figure, part, [(kind_of(x.design), x.parts) for x in own])
        values = np.array([measured(x, figure, part) for x in own])
        surfaces[part] = fit_surface(rows, values, settings or Settings())
    return surfaces


def _learnt(points: Sequence[Point], figure: str, part: str) -> list[int]:
    """Return which points a surface is fitted to: those that have such a part, and it costs."""
    return [
        n
        for n, x in enumerate(points)
        if (part == "whole" or part in x.parts) and measured(x, figure, part) > 0
    ]


def predict_points(surfaces: Mapping[str, Surface], figure: str, points: Sequence[Point]) -> Array:
    """Predict a figure of designs: the sum of those of their parts."""
    total = np.zeros(len(points))
    for part, surface in surfaces.items():
        own = [n for n, x in enumerate(points) if part == "whole" or part in x.parts]
        chosen = [(kind_of(points[n].design), points[n].parts) for n in own]
        if own:
            total[own] += surface(rows_of(figure, part, chosen))
    return total


def fit_surface(rows: Rows, values: Array, settings: Settings) -> Surface:
    """Fit factors that cannot be negative, and a kernel regression of what they leave."""
    from sklearn.kernel_ridge import KernelRidge

    factors = _factors(rows, values, settings)
    left = np.log(values / longest(factors, rows))
    places = embed(rows.shapes, rows.kinds, settings.width)
    kernel = KernelRidge(kernel="rbf", gamma=0.5, alpha=settings.noise**2).fit(places, left)
    return Surface(factors, rows.shapes, rows.kinds, kernel.dual_coef_, settings.width)


def _factors(rows: Rows, values: Array, settings: Settings) -> Array:
    """Fit sums of blocks to values; of several paths, each to the values that it is longest for."""
    sums = np.array(rows.sums)  # paths, designs, blocks
    paths, count, blocks = sums.shape
    scale = np.maximum(sums.mean(axis=1, keepdims=True), 1e-9)
    kinds = np.eye(len(KINDS))[rows.kinds]
    own = np.hstack([np.ones((count, 1)), settings.share * kinds])
    columns = np.einsum("pnb,nk->npkb", sums / scale / values[:, None], own)
    columns *= np.median(values)
    taken = np.argmax(sums.sum(axis=2), axis=0)
    for _ in range(6 if paths > 1 else 1):
        mask = np.eye(paths)[taken]
        table = (columns * mask[:, :, None, None]).reshape(count, -1)
        found = _least_squares(table, np.full(count, np.median(values)), settings.ridge)
        factors = found.reshape(paths, 1 + len(KINDS), blocks) / scale
        factors[:, 1:] *= settings.share
        totals = [np.einsum("nb,nb->n", x, f[0] + f[1 + rows.kinds]) for f, x in zip(factors, sums)]
        taken = np.argmax(totals, axis=0)
    result: Array = factors
    return result


def _least_squares(table: Array, values: Array, ridge: float) -> Array:
    """Solve with factors that are not negative, and a penalty on large ones."""
    from sklearn.linear_model import LinearRegression

    count = table.shape[1]
    penalty = np.sqrt(ridge) * np.eye(count)
    model = LinearRegression(fit_intercept=False, positive=True)
    model.fit(np.vstack([table, penalty]), np.concatenate([values, np.zeros(count)]))
    found: Array = model.coef_
    return found


# --- Models as files -----------------------------------------------------------------------------

#: Errors of a kind are stated on their own from so many designs on.
_ENOUGH = 15


def model_of(
    conditions: Mapping[str, Any], points: Sequence[Point], settings: Settings | None = None
) -> dict[str, Any]:
    """Return all that is known of a technology, as a model's file has it."""
    figures = [name for name in FIGURES if measured(points[0], name) > 0]
    surfaces = {
        figure: {
            part: _packed(surface, _learnt(points, figure, part))
            for part, surface in fit(points, figure, settings).items()
        }
        for figure in figures
    }
    return {
        "clock_mhz": conditions["clock_mhz"],
        "provenance": {
            "points": len(points),
            "points_digest": conditions["digest"],
            "versions": conditions["versions"],
        },
        "held_out": {figure: held_out_errors(points, figure, settings) for figure in figures},
        "ranges": _ranges(points),
        "surfaces": surfaces,
        "designs": [
            [kind_of(x.design), {name: pack(part) for name, part in x.parts.items()}]
            for x in points
        ],
    }


def _packed(surface: Surface, learnt: Sequence[int]) -> dict[str, Any]:
    names = ["all", *KINDS]
    factors = [
        {
            kind: {block: _digits(f) for block, f in zip(BLOCKS, row, strict=True) if f > 0}
            for kind, row in zip(names, path, strict=True)
        }
        for path in surface.factors
    ]
    return {
        "factors": [{kind: own for kind, own in path.items() if own} for path in factors],
        "width": surface.width,
        "weights": [_digits(weight) for weight in surface.weights],
        "designs": list(learnt),
    }


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _ranges(points: Sequence[Point]) -> dict[str, dict[str, list[float]]]:
    """Return the least and greatest amounts, by :func:`range_key` and block."""
    found: dict[str, dict[str, list[float]]] = {}
    for point in points:
        for name, part in point.parts.items():
            own = found.setdefault(range_key(kind_of(point.design), name), {})
            for block, amount in part.blocks.items():
                low, high = own.get(block, (amount, amount))
                own[block] = [min(low, amount), max(high, amount)]
    return found


def hold_out_figure(
    points: Sequence[Point], figure: str, split: str, settings: Settings | None = None
) -> list[HeldOut]:
    """Predict a figure of all points, each by models that have seen no neighbour of it."""
    return hold_out(
        points,
        split,
        lambda learnt, tested: predict_points(fit(learnt, figure, settings), figure, tested),
        lambda point: measured(point, figure),
    )


def held_out_errors(
    points: Sequence[Point], figure: str, settings: Settings | None = None
) -> dict[str, list[float]]:
    """Return the errors that half of what was held out, and nine of ten, were within: by kind."""
    found = [x for split in SPLITS for x in hold_out_figure(points, figure, split, settings)]
    kinds: dict[str, list[float]] = {"all": [abs(x.error) for x in found]}
    for x in found:
        kinds.setdefault(kind_of(points[x.place].design), []).append(abs(x.error))
    return {
        kind: [_digits(float(np.quantile(errors, share))) for share in (0.5, 0.9)]
        for kind, errors in sorted(kinds.items())
        if kind == "all" or len(errors) >= _ENOUGH
    }
