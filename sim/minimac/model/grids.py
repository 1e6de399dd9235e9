"""Rounding to formats whose values do not lie evenly: tables, few digits, powers of two.

A deterministic mode is a list of bounds in float64, each the last value before the code changes:
comparisons with them are exact.
"""

import functools
import itertools
import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimac.spec import ExponentOnly, GridFormat, KHot, Overflow, Rounding

__all__ = ["Bounds", "find_bounds", "round_by_chance"]

# Distances are computed with three roundings; this is more than they can be wrong by.
_DOUBT = 2.0**-50


class Bounds(NamedTuple):
    """Where codes change: a value above n of the bounds has code ``codes[n]``."""

    bounds: NDArray[np.float64]  #: ``2**k - 1`` of them, ascending; the last may be infinite.
    codes: NDArray[np.uint16]
    nan: int  #: Code of NaN.


@functools.lru_cache(maxsize=256)
def find_bounds(fmt: GridFormat, rounding: Rounding, overflow: Overflow) -> Bounds:
    """Return where codes change, in a deterministic mode.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> steep = parse_format("lut:e2m1:9017")
    >>> find_bounds(steep, Rounding.UP, Overflow.SATURATE)
    Bounds(bounds=array([-0.5,  0. ,  0.5]), codes=array([0, 1, 2, 3], dtype=uint16), nan=1)
    """
    points = _points(fmt)
    edges = [
        (_last_before(place, fmt.lsb_exp, inclusive), code)
        for low, high in itertools.pairwise(points)
        for place, inclusive, code in _changes(fmt, rounding, low, high)
    ]
    first = points[0][1]
    nan = None
    if isinstance(fmt, ExponentOnly):
        nan = fmt.nan_code
        largest, saturates = nan - 1, overflow is Overflow.SATURATE
        kept = overflow is Overflow.INFINITY and rounding.keeps_finite(negative=False)
        beyond = edges.pop()[0], largest if saturates or kept else nan
        infinite = sys.float_info.max, largest if saturates else nan
        edges = [(0.0, first), *edges, beyond, infinite]
        first = nan
    size = (1 << len(edges).bit_length()) - 1
    missing = size - len(edges)
    bounds = np.array([bound for bound, _ in edges] + [math.inf] * missing)
    codes = np.array([first, *(code for _, code in edges)] + [0] * missing, np.uint16)
    if nan is None:  # NaN is like zero
        nan = int(codes[np.searchsorted(bounds, 0.0)])
    return Bounds(bounds, codes, nan)


def round_by_chance(
    fmt: GridFormat,
    values: NDArray[Any],
    rounding: Rounding,
    overflow: Overflow,
    random: NDArray[Any],
    random_bits: int,
) -> NDArray[np.uint16]:
    """Return the codes of values along one axis, in a stochastic mode.

    The distance is counted from the neighbour of smaller magnitude; of -x and x that is -x.
    """
    points = _points(fmt)
    exact = [Fraction(lsbs) * Fraction(2) ** fmt.lsb_exp for lsbs, _ in points]
    places = np.array([float(point) for point in exact])
    codes = np.array([code for _, code in points], np.uint16)
    x = np.where(np.isnan(values), 0.0, values).clip(places[0], places[-1])
    low = (np.searchsorted(places, x, "right") - 1).clip(0, max(len(places) - 2, 0))
    high = np.minimum(low + 1, len(places) - 1)
    near = np.where(np.abs(places[low]) <= np.abs(places[high]), low, high)
    far = low + high - near
    with np.errstate(invalid="ignore"):  # a table may have a single value
        distance = (x - places[near]) / (places[far] - places[near])
    # How many random integers of how many take a value far is the same as a least distance.
    half_step = 0.0 if rounding is Rounding.SR_A else 2.0 ** -(random_bits + 1)
    least = 1.0 - half_step - random * 2.0**-random_bits
    goes_far = distance > least
    for i in np.flatnonzero(np.abs(distance - least) < _DOUBT):
        start, gap = exact[near[i]], exact[far[i]] - exact[near[i]]
        beyond = (Fraction(float(x[i])) - start) / gap - Fraction(float(least[i]))
        # SR_C first rounds the distance to an even number of steps.
        tie = rounding is not Rounding.SR_C or random[i] % 2 == 0
        goes_far[i] = beyond > 0 or (beyond == 0 and tie)
    results: NDArray[np.uint16] = codes[np.where(goes_far, far, near)]
    if isinstance(fmt, ExponentOnly):
        if overflow is Overflow.SATURATE:
            results[results == fmt.nan_code] -= 1
        results[~(values > 0)] = fmt.nan_code
    return results


@functools.lru_cache(maxsize=256)
def _points(fmt: GridFormat) -> tuple[tuple[int, int], ...]:
    """Return all values, as multiples of ``2**lsb_exp``, in their order, and their codes.

    Powers of two go on with one that has the code of NaN in place of its own.
    """
    if isinstance(fmt, ExponentOnly):
        return tuple((1 << code, code) for code in range(1 << fmt.width))
    lowest: dict[int, int] = {}
    for code in filter(fmt.holds, range(1 << fmt.width)):
        lowest.setdefault(fmt.lsbs(code), code)
    return tuple(sorted(lowest.items()))


def _changes(
    fmt: GridFormat, rounding: Rounding, low: tuple[int, int], high: tuple[int, int]
) -> Iterator[tuple[Fraction, bool, int]]:
    """Say where between neighbours codes change, whether that place has the new one, and to which.

    A place is a multiple of ``2**lsb_exp``.
    """
    (below, low_code), (above, high_code) = low, high
    parities = low_code % 2, high_code % 2
    # Where codes do not decide, the smaller magnitude does; of -x and x that is x.
    inward = below + above <= 0
    to_even = parities == (1, 0) or (parities != (0, 1) and inward)
    to_odd = parities == (0, 1) or (parities != (1, 0) and inward)
    middle, start, end = Fraction(below + above, 2), Fraction(below), Fraction(above)
    match rounding:
        case Rounding.RNE:
            yield middle, inward if isinstance(fmt, KHot) else to_even, high_code
        case Rounding.RNA:
            yield middle, below + above >= 0, high_code
        case Rounding.TRUNCATE:  # to the smaller magnitude; of -x and x that is -x
            yield (start, False, high_code) if below + above < 0 else (end, True, high_code)
        case Rounding.UP:
            yield start, False, high_code
        case Rounding.DOWN:
            yield end, True, high_code
        case Rounding.ODD:
            yield (start, False, high_code) if to_odd else (end, True, high_code)


def _last_before(place: Fraction, lsb_exp: int, inclusive: bool) -> float:
    """Return the last float64 up to a place, or with ``inclusive`` the last one before it."""
    exact = place * Fraction(2) ** lsb_exp
    bound = float(exact)
    if bound > exact or (inclusive and bound == exact):
        return math.nextafter(bound, -math.inf)
    return bound
