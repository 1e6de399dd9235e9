"""Functions of rational numbers, between bounds as close as is asked for, and their roundings.

A function takes a fraction and a number of bits, and returns two fractions that its value is
between, the closer the more bits there are. What is decided alike for both bounds by anything
monotonic, as rounding is, holds for the value: so no table of this package rests on floating point.
"""

import functools
from collections.abc import Callable
from fractions import Fraction
from math import isqrt

from minimac.spec.formats import FixedPoint, Minifloat
from minimac.spec.rounding import Overflow, Rounding

__all__ = [
    "Bounds",
    "Function",
    "exp",
    "exp2",
    "gelu",
    "log2_e",
    "normal_cdf",
    "round_to",
    "settle",
    "sigmoid",
    "silu",
    "tanh",
    "tanh_quotient",
]

Bounds = tuple[Fraction, Fraction]
Function = Callable[[Fraction, int], Bounds]

# Beyond, exponentials are above or below all that is neither zero nor infinite in any format:
# those have values of 2**-1074 to 2**1024. So are tails of the normal distribution beyond 64.
_FAR = 2100
_TINY = Fraction(1, 1 << 9000), Fraction(1, 1 << 2900)
_HUGE = Fraction(1 << 2900), Fraction(1 << 9000)
_MOST_BITS = 1 << 16


def settle(bounds: Callable[[int], Bounds], decide: Callable[[Fraction], int]) -> int:
    """Decide by a value that is only known between bounds, with as many bits as that takes.

    Parameters
    ----------
    bounds : callable
        From a number of bits to the bounds.
    decide : callable
        Monotonic.

    Raises
    ------
    ArithmeticError
        If even 65536 bits leave it open, as they would for a value on the border between two
        decisions that no bound is equal to.

    Examples
    --------
    >>> settle(lambda bits: exp(Fraction(1), bits), lambda x: round(x * 10000))
    27183
    """
    bits = 64
    while bits <= _MOST_BITS:
        low, high = bounds(bits)
        if (found := decide(low)) == decide(high):
            return found
        bits *= 2
    raise ArithmeticError("a value is too near to where two roundings meet")


def exp(x: Fraction, bits: int) -> Bounds:
    """Return bounds of ``e**x``."""
    if x == 0:
        return Fraction(1), Fraction(1)
    if abs(x) > _FAR:
        return _HUGE if x > 0 else _TINY
    ln2 = _ln2(bits + 16)
    n = x // ln2[0]
    ends = sorted(x - n * end for end in ln2)
    if ends[0] < 0:  # x is just above a multiple of ln(2)
        return _scale(_series(Fraction(0), bits)[0], _series(ends[1], bits)[1], n, Fraction(1, 2))
    return _scale(_series(ends[0], bits)[0], _series(ends[1], bits)[1], n, Fraction(1))


def _scale(low: Fraction, high: Fraction, n: int, less: Fraction) -> Bounds:
    power = Fraction(2) ** n
    return low * power * less, high * power


def _series(x: Fraction, bits: int) -> Bounds:
    """Return bounds of ``e**x`` of an ``x`` of 0 to 1, by its power series in integers.

    Each term is cut off to a unit, and is short by at most 2 units then, as the one before it is;
    the terms that are left out are below the last one, which is below a unit.
    """
    one = 1 << bits
    units = [x * one // 1, -(-x * one // 1)]
    found = []
    for unit in units:
        total, term, n = 0, one, 0
        while term:
            total, n = total + term, n + 1
            term = term * unit // (n * one)
        found.append((total, total + 2 * n + 2))
    return Fraction(found[0][0], one), Fraction(found[1][1], one)


@functools.cache
def _ln2(bits: int) -> Bounds:
    """Return bounds of ``ln(2)``, which is ``2 * artanh(1/3)``."""
    one = 1 << bits
    total, term, n = 0, 2 * one // 3, 1
    while term:
        total, term, n = total + term // n, term // 9, n + 2
    return Fraction(total, one), Fraction(total + 3 * n, one)


@functools.cache
def _pi(bits: int) -> Bounds:
    """Return bounds of pi, by Machin's sum of two arcus tangents."""
    one = 1 << bits
    total, terms = 0, 0
    for factor, of in ((16, 5), (-4, 239)):
        term, n, sign = factor * one // of, 1, 1
        while term not in (0, -1):
            total, terms = total + sign * (term // n), terms + 1
            term, n, sign = term // (of * of), n + 2, -sign
    return Fraction(total - 3 * terms - 3, one), Fraction(total + 3 * terms + 3, one)


def log2_e(bits: int) -> Bounds:
    """Return bounds of ``log2(e)``."""
    low, high = _ln2(bits)
    return 1 / high, 1 / low


def exp2(x: Fraction, bits: int) -> Bounds:
    """Return bounds of ``2**x``."""
    if x.denominator == 1:
        return Fraction(2) ** int(x), Fraction(2) ** int(x)
    ends = sorted(x * end for end in _ln2(bits + 16))
    return exp(ends[0], bits)[0], exp(ends[1], bits)[1]


def sigmoid(x: Fraction, bits: int) -> Bounds:
    """Return bounds of ``1 / (1 + e**-x)``."""
    low, high = exp(-x, bits)
    return 1 / (1 + high), 1 / (1 + low)


def tanh(x: Fraction, bits: int) -> Bounds:
    """Return bounds of ``(1 - e**(-2x)) / (1 + e**(-2x))``."""
    low, high = exp(-2 * x, bits)
    return (1 - high) / (1 + high), (1 - low) / (1 + low)


def tanh_quotient(x: Fraction, bits: int) -> Bounds:
    """Return bounds of ``tanh(x) / x``, which is 1 at 0, for an ``x`` that is not negative."""
    if x == 0:
        return Fraction(1), Fraction(1)
    low, high = tanh(x, bits)
    return low / x, high / x


def normal_cdf(x: Fraction, bits: int) -> Bounds:
    """Return bounds of the normal distribution, ``(1 + erf(x / sqrt(2))) / 2``.

    Beyond its middle it is the density times ``x + x**3 / 3 + x**5 / (3 * 5) + ...``; of a tail
    below all formats only that much is said.
    """
    if x == 0:
        return Fraction(1, 2), Fraction(1, 2)
    size = abs(x)
    if size > 64:
        tail = _TINY
    elif size > 8 and bits <= 64:
        # Mills' ratio, to be quick where that is enough.
        tail = _density(size, bits)
        tail = tail[0] * (1 / size - 1 / size**3), tail[1] / size
    else:
        one = 1 << bits
        totals = []
        for unit in (size * one // 1, -(-size * one // 1)):
            total, term, n = 0, unit, 1
            # Once a term is less than half of the one before, all others are less than that one.
            while term or unit * unit * 2 > n * one * one:
                total, n = total + term, n + 2
                term = term * unit * unit // (n * one * one)
            totals.append(total)
        # Terms that grow are at least 1, and each cuts off a unit: n units of that in relation to
        # all. Those that shrink are short by n units at most, as are those left out together.
        low = totals[0]
        high = totals[1] + 2 * totals[1] * n // one + n * n + 4 * n
        density = _density(size, bits)
        inner = Fraction(low, one) * density[0], Fraction(high, one) * density[1]
        tail = Fraction(1, 2) - inner[1], Fraction(1, 2) - inner[0]
    return tail if x < 0 else (1 - tail[1], 1 - tail[0])


def _density(x: Fraction, bits: int) -> Bounds:
    """Return bounds of ``e**(-x**2 / 2) / sqrt(2 * pi)``."""
    one = 1 << bits
    power, pi = exp(-x * x / 2, bits), _pi(bits)
    low, high = (isqrt(int(2 * end * one * one)) for end in pi)
    return power[0] * one / (high + 1), power[1] * one / low


def silu(x: Fraction, bits: int) -> Bounds:
    """Return bounds of ``x * sigmoid(x)``."""
    return _times(x, sigmoid(x, bits))


def gelu(x: Fraction, bits: int) -> Bounds:
    """Return bounds of ``x`` times the normal distribution at ``x``."""
    return _times(x, normal_cdf(x, bits))


def _times(x: Fraction, bounds: Bounds) -> Bounds:
    low, high = sorted(x * end for end in bounds)
    return low, high


def round_to(
    fmt: Minifloat | FixedPoint, value: Fraction, rounding: Rounding, overflow: Overflow
) -> int:
    """Round a number to a code, in a mode that is not stochastic; zero is +0.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> hex(round_to(parse_format("bf16"), Fraction(-1, 3), Rounding.RNE, Overflow.SATURATE))
    '0xbeab'
    """
    if isinstance(fmt, FixedPoint):
        number = _whole(value / Fraction(2) ** fmt.lsb_exp, rounding, 0)
        if overflow is not Overflow.WRAP:
            number = max(fmt.min_lsbs, min(number, fmt.max_lsbs))
        return number & (1 << fmt.width) - 1
    if value == 0:
        return 0
    size, negative = abs(value), value < 0
    place = size.numerator.bit_length() - size.denominator.bit_length()
    place = max(place - (Fraction(2) ** place > size), fmt.min_exp)
    # The code of a magnitude is a whole number of units from that of its binade.
    start = place - fmt.min_exp << fmt.man_bits
    units = size / Fraction(2) ** (place - fmt.man_bits)
    code = start + abs(_whole(-units if negative else units, rounding, start & 1))
    if fmt.ftz and code < 1 << fmt.man_bits:
        code = 0
    sign = 1 << fmt.magnitude_bits if negative and fmt.signed else 0
    if code == 0:
        return sign if fmt.has_negative_zero else 0
    if code <= fmt.max_code and (fmt.signed or not negative):
        return code | sign
    infinite = overflow is Overflow.INFINITY and not rounding.keeps_finite(negative=negative)
    if infinite and fmt.infinity_code is not None and (fmt.signed or not negative):
        return fmt.infinity_code | sign
    if infinite or overflow is Overflow.NAN:
        assert fmt.nan_code is not None
        return fmt.nan_code
    return fmt.max_code | sign if fmt.signed or not negative else 0


def _whole(value: Fraction, rounding: Rounding, odd: int) -> int:
    """Round to a whole number; with ``odd`` the even ones count as odd, and the odd ones as even.

    All modes but those toward an infinity treat both signs alike.
    """
    size = abs(value)
    down, rest = divmod(size.numerator, size.denominator)
    rest *= 2
    negative = value < 0
    match rounding:
        case Rounding.RNE:
            up = rest > size.denominator or (rest == size.denominator and (down ^ odd) & 1 == 1)
        case Rounding.RNA:
            up = rest >= size.denominator
        case Rounding.UP:
            up = rest > 0 and not negative
        case Rounding.DOWN:
            up = rest > 0 and negative
        case Rounding.ODD:
            up = rest > 0 and (down ^ odd) & 1 == 0
        case _:
            assert rounding is Rounding.TRUNCATE
            up = False
    return -(down + up) if negative else down + up
