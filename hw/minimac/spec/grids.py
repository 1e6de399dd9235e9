"""Formats whose values do not lie evenly: tables, few digits, powers of two."""

import bisect
import functools
from fractions import Fraction

from minimac.spec.codebooks import Codebook, KHot
from minimac.spec.formats import ExponentOnly
from minimac.spec.rounding import Overflow, Rounding

__all__ = ["GridFormat", "round_to_grid"]

#: A format whose values do not lie evenly.
GridFormat = Codebook | KHot | ExponentOnly


def round_to_grid(
    fmt: GridFormat,
    value: Fraction,
    rounding: Rounding,
    overflow: Overflow,
    random: tuple[int, int] | None = None,
) -> int:
    """Round a number to a code.

    Parameters
    ----------
    fmt : Codebook, KHot or ExponentOnly
        The format.
    value : Fraction
        The number.
    rounding, overflow
        The modes.
    random : (int, int), optional
        For a stochastic mode: a random integer, and how many bits it has.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> third = Fraction(1, 3)
    >>> round_to_grid(parse_format("nf4"), third, Rounding.RNE, Overflow.SATURATE)
    11
    >>> 2.0 ** (round_to_grid(parse_format("e8m0"), third, Rounding.UP, Overflow.SATURATE) - 127)
    0.5
    """
    if isinstance(fmt, ExponentOnly):
        if value <= 0:
            return fmt.nan_code
        code = _choose(fmt, value, rounding, random)
        if code < fmt.nan_code:
            return code
        kept = overflow is Overflow.INFINITY and rounding.keeps_finite(negative=False)
        return code - 1 if kept or overflow is Overflow.SATURATE else code
    return _choose(fmt, value, rounding, random)


@functools.lru_cache(maxsize=64)
def _grid(fmt: GridFormat) -> tuple[list[int], list[int]]:
    """Return all values, as multiples of ``2**lsb_exp``, in their order, and their codes.

    Of equal values the least code counts. The powers of two go on with one that is too large.
    """
    if isinstance(fmt, ExponentOnly):
        codes = [*range(1 << fmt.width)]
        return [1 << code for code in codes], codes
    found = {fmt.lsbs(code): code for code in reversed(range(1 << fmt.width)) if fmt.holds(code)}
    values = sorted(found)
    return values, [found[value] for value in values]


def _choose(
    fmt: GridFormat, value: Fraction, rounding: Rounding, random: tuple[int, int] | None
) -> int:
    values, codes = _grid(fmt)
    x = value / Fraction(2) ** fmt.lsb_exp
    above = bisect.bisect_left(values, x)
    if above == len(values):
        return codes[-1]
    if above == 0 or values[above] == x:
        return codes[above]
    low, high = codes[above - 1 : above + 1]
    center = values[above - 1] + values[above]  # twice
    # Of -x and x that is x.
    smaller = high if center <= 0 else low
    odd = next((code for code in (low, high) if code & 1), None) if low + high & 1 else None
    match rounding:
        case Rounding.UP:
            return high
        case Rounding.DOWN:
            return low
        case Rounding.TRUNCATE:  # of -x and x to -x
            return high if center < 0 else low
        case Rounding.ODD:
            return smaller if odd is None else odd
    if rounding.stochastic:
        assert random is not None
        inverted = center < 0  # the distance is that from the smaller magnitude
        distance = (x - values[above - 1]) / (values[above] - values[above - 1])
        goes_far = _by_chance(rounding, 1 - distance if inverted else distance, *random)
        return high if goes_far != inverted else low
    if 2 * x != center:
        return high if 2 * x > center else low
    if rounding is Rounding.RNA:
        return high if center >= 0 else low
    return smaller if odd is None or isinstance(fmt, KHot) else low + high - odd


def _by_chance(rounding: Rounding, distance: Fraction, random: int, bits: int) -> bool:
    """Whether a value at a distance of 0 to 1 from one neighbour becomes the other."""
    steps = distance * (1 << bits)
    match rounding:
        case Rounding.SR_A:
            return steps // 1 + random >= 1 << bits
        case Rounding.SR_B:
            return 2 * steps // 1 + 2 * random + 1 >= 2 << bits
    return round(steps) + random >= 1 << bits
