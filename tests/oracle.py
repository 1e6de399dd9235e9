"""What the design says, written plainly: the oracle of the tests.

Exact arithmetic on Python integers and fractions, slow and without a trick. It shares the declared
fields of formats and accumulations with the package (``exp_bits``, ``width``, ``guard``, ...) and
none of the quantities that the package derives from them. Sections are those of the design.
Blocks (4.6) are in :mod:`oracle_blocks`.

Examples
--------
>>> from minimac.spec import parse_format
>>> e4m3fn = parse_format("e4m3fn")
>>> value(e4m3fn, 0x7E), value(e4m3fn, 0x7F), value(e4m3fn, 0x80)
(Fraction(448, 1), <Special.NAN: 'nan'>, <Special.MINUS_ZERO: '-0'>)
>>> hex(round_to(e4m3fn, Fraction(10, 3), "rne", "saturate"))
'0x45'
"""

import bisect
import enum
import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from minimac.spec import Arithmetic, Codebook, ExponentOnly, FixedPoint, Format, KHot, Minifloat

__all__ = [
    "INFINITIES",
    "Operand",
    "RandomBits",
    "Special",
    "State",
    "Term",
    "Value",
    "as_float",
    "canonical_nan",
    "chain",
    "code_bits",
    "exact",
    "floor_log2",
    "from_float",
    "fused_group",
    "infinity",
    "is_valid",
    "largest",
    "largest_magnitude",
    "leading_one_term",
    "operand",
    "pick",
    "product",
    "round_to",
    "signed_digits",
    "special_sum",
    "step",
    "total_of",
    "value",
    "values",
]


class Special(enum.Enum):
    """A value that is not a fraction."""

    NAN = "nan"
    PLUS_INFINITY = "inf"
    MINUS_INFINITY = "-inf"
    MINUS_ZERO = "-0"


INFINITIES = (Special.PLUS_INFINITY, Special.MINUS_INFINITY)
Value = Fraction | Special

#: Random bits of a stochastic rounding, and how many they are: ``(r, N)``.
RandomBits = tuple[int, int]


# --- 3.1: scalar formats -----------------------------------------------------------------------


def code_bits(fmt: Format) -> int:
    """Return the width of a code: the fields, side by side; of a codebook, what an index needs."""
    if isinstance(fmt, ExponentOnly):
        return 8
    if isinstance(fmt, Codebook):
        return max(1, (len(fmt.codes) - 1).bit_length())
    if isinstance(fmt, KHot):
        return code_bits(fmt.of)
    if isinstance(fmt, FixedPoint):
        return int(fmt.signed) + fmt.int_bits + fmt.frac_bits
    return int(fmt.signed) + fmt.exp_bits + fmt.man_bits


def spelled_out(fmt: Format, code: int) -> tuple[Format, int]:
    """Return the format and the code of the number that a code stands for: 3.1.

    That of a codebook is another format's; so is that of a k-hot format, by the same code.
    """
    if isinstance(fmt, Codebook):
        return fmt.of, fmt.codes[code]
    return (fmt.of, code) if isinstance(fmt, KHot) else (fmt, code)


def is_valid(fmt: Format, code: int) -> bool:
    """Say whether a code means anything: 3.1, fixed point and codebook."""
    if isinstance(fmt, Codebook):
        return code < len(fmt.codes)
    if isinstance(fmt, KHot):
        return is_valid(fmt.of, code) and signed_digits(integer(fmt.of, code)) <= fmt.digits
    if isinstance(fmt, FixedPoint) and fmt.symmetric:
        return code != 2 ** (code_bits(fmt) - 1)
    return True


def integer(fmt: FixedPoint, code: int) -> int:
    """Return the integer that a fixed-point code is, in two's complement where it is signed."""
    bits = code_bits(fmt)
    return code - 2**bits if fmt.signed and code >= 2 ** (bits - 1) else code


def signed_digits(number: int) -> int:
    """Count the digits 1 and -1 of the non-adjacent form, of which no number has fewer: 3.1."""
    rest, count = abs(number), 0
    while rest:
        if rest % 2:
            rest -= 1 if rest % 4 == 1 else -1
            count += 1
        rest //= 2
    return count


def largest_magnitude(fmt: Minifloat) -> int:
    """Return the code, less its sign, of the largest finite value: 3.1, table of policies."""
    ones = 2 ** (fmt.exp_bits + fmt.man_bits) - 1
    match fmt.specials.suffix:
        case "f":
            return ones
        case "fn":
            return ones - 1  # NaN is all ones
        case "ieee":
            return ones - 2**fmt.man_bits  # the last exponent is infinity and NaN
        case "fnuz":
            return ones
        case "p3109":
            return ones - 1 if fmt.signed else ones - 2  # infinity; unsigned: and NaN above it
        case "p3109f":
            return ones if fmt.signed else ones - 1
    raise AssertionError(fmt.specials)


def special_of(fmt: Minifloat, negative: bool, magnitude: int) -> Special | None:
    """Return what a code means if it is NaN or infinite: 3.1, table of policies."""
    ones = 2 ** (fmt.exp_bits + fmt.man_bits) - 1
    infinity = Special.MINUS_INFINITY if negative else Special.PLUS_INFINITY
    match fmt.specials.suffix:
        case "fn":
            return Special.NAN if magnitude == ones else None
        case "ieee":
            exponent, mantissa = divmod(magnitude, 2**fmt.man_bits)
            if exponent != 2**fmt.exp_bits - 1:
                return None
            return Special.NAN if mantissa else infinity
        case "fnuz" | "p3109" | "p3109f":
            extended = fmt.specials.suffix == "p3109"
            if fmt.signed:
                if negative and magnitude == 0:
                    return Special.NAN
                return infinity if extended and magnitude == ones else None
            if magnitude == ones:
                return Special.NAN
            return infinity if extended and magnitude == ones - 1 else None
    return None


@dataclass(frozen=True)
class Operand:
    """A finite operand as a multiplier sees it: 3.3.

    Its value is ``(-1)**negative * significand * 2**(exponent - (width - 1))``.
    """

    negative: bool
    significand: int
    exponent: int
    width: int


def operand(fmt: Format, code: int) -> Operand | Special:
    """Take a code apart: 3.1 for what the fields mean, 3.3 for significand and exponent."""
    bits = code_bits(fmt)
    assert 0 <= code < 2**bits
    assert is_valid(fmt, code), "a code that is not used"
    if isinstance(fmt, (Codebook, KHot)):
        return operand(*spelled_out(fmt, code))
    if isinstance(fmt, ExponentOnly):
        return Special.NAN if code == 255 else Operand(False, 1, code - 127, 1)
    if isinstance(fmt, FixedPoint):
        number = integer(fmt, code)
        # Two's complement needs all the bits for its most negative value; symmetric has none.
        width = bits - 1 if fmt.symmetric else bits
        return Operand(number < 0, abs(number), width - 1 - fmt.frac_bits, width)
    negative, magnitude = divmod(code, 2 ** (fmt.exp_bits + fmt.man_bits))
    if special := special_of(fmt, bool(negative), magnitude):
        return special
    field, mantissa = divmod(magnitude, 2**fmt.man_bits)
    if field > 0:
        significand, exponent = 2**fmt.man_bits + mantissa, field - fmt.bias
    else:  # a subnormal, which has the exponent of the least normal
        significand, exponent = (0 if fmt.ftz else mantissa), 1 - fmt.bias
    return Operand(bool(negative), significand, exponent, fmt.man_bits + 1)


def exact(part: "Operand | Term") -> Fraction:
    """Return the value of a finite operand or product."""
    number = Fraction(part.significand) * Fraction(2) ** (part.exponent - (part.width - 1))
    return -number if part.negative else number


def with_sign(part: "Operand | Term | Special") -> Value:
    """Return the value of an operand or product, with the sign of a zero."""
    if isinstance(part, Special):
        return part
    if part.significand == 0 and part.negative:
        return Special.MINUS_ZERO
    return exact(part)


def value(fmt: Format, code: int) -> Value:
    """Return what a code means: 3.1.

    A subnormal of a format with ``ftz`` is zero of its sign, as it is for every user of the code.
    """
    return with_sign(operand(fmt, code))


@functools.cache
def values(fmt: Format) -> tuple[Value, ...]:
    """Return what every code of a format means, by code; those that are not used as NaN."""
    return tuple(
        value(fmt, code) if is_valid(fmt, code) else Special.NAN
        for code in range(2 ** code_bits(fmt))
    )


def as_float(number: Value) -> float:
    """Return a value as float64, which holds it exactly."""
    if isinstance(number, Special):
        return float(number.value)
    result = float(number)
    assert Fraction(result) == number
    return result


def from_float(number: float) -> Value:
    """Return what a float64 means."""
    if number != number:
        return Special.NAN
    if abs(number) == float("inf"):
        return Special.PLUS_INFINITY if number > 0 else Special.MINUS_INFINITY
    if number == 0 and str(number) == "-0.0":
        return Special.MINUS_ZERO
    return Fraction(number)


# --- 3.2: rounding and overflow ----------------------------------------------------------------


def goes_up(rounding: str, beyond: Fraction, random: RandomBits | None) -> bool:
    """Say whether a stochastic rounding leaves the lower neighbour: 3.2, last three modes."""
    if random is None:
        raise ValueError(f"{rounding} needs random bits")
    r, bits = map(int, random)
    assert 0 <= r < 2**bits
    match rounding:
        case "sr_a":
            return math.floor(beyond * 2**bits) + r >= 2**bits
        case "sr_b":
            return math.floor(beyond * 2 ** (bits + 1)) + 2 * r + 1 >= 2 ** (bits + 1)
        case "sr_c":  # Python's round() is to nearest, ties to even
            return round(beyond * 2**bits) + r >= 2**bits
    raise AssertionError(rounding)


def pick(
    rounding: str, negative: bool, lower: int, beyond: Fraction, random: RandomBits | None = None
) -> int:
    """Choose between ``lower`` and ``lower + 1``, neighbours of a magnitude: 3.2.

    ``beyond`` is the distance above ``lower``, in ulps, in [0, 1).
    """
    half = Fraction(1, 2)
    if beyond == 0:
        return lower
    match rounding:
        case "rne":
            up = beyond > half or (beyond == half and lower % 2 == 1)
        case "rna":
            up = beyond >= half
        case "truncate":
            up = False
        case "up":
            up = not negative
        case "down":
            up = negative
        case "odd":
            up = lower % 2 == 0
        case _:
            up = goes_up(rounding, beyond, random)
    return lower + up


def floor_log2(number: Fraction) -> int:
    """Return the exponent of the leading one of a positive fraction."""
    exponent = number.numerator.bit_length() - number.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= number else exponent - 1


def canonical_nan(fmt: Format) -> int | None:
    """Return the NaN that results have: 3.1. Positive, mantissa ``10..0`` (ieee)."""
    if isinstance(fmt, ExponentOnly):
        return 255
    if not isinstance(fmt, Minifloat) or fmt.specials.suffix == "f":
        return None
    ones = 2 ** (fmt.exp_bits + fmt.man_bits) - 1
    match fmt.specials.suffix:
        case "fn":
            return ones
        case "ieee":
            return (2**fmt.exp_bits - 1) * 2**fmt.man_bits + 2 ** (fmt.man_bits - 1)
    return ones + 1 if fmt.signed else ones


def infinity(fmt: Format, negative: bool) -> int | None:
    """Return the code of infinity of a sign; None if there is none: 3.1."""
    if not isinstance(fmt, Minifloat) or fmt.specials.suffix not in ("ieee", "p3109"):
        return None
    if negative and not fmt.signed:
        return None
    return largest_magnitude(fmt) + 1 + negative * 2 ** (fmt.exp_bits + fmt.man_bits)


def largest(fmt: Format, negative: bool) -> int:
    """Return the code of the finite value that is furthest from zero in a direction."""
    bits = code_bits(fmt)
    if isinstance(fmt, ExponentOnly):
        return 255 if negative else 254  # no value is negative: NaN
    if isinstance(fmt, (Codebook, KHot)):
        return listed(fmt)[0 if negative else -1][1]
    if isinstance(fmt, FixedPoint):
        return ends(fmt)[0 if negative else 1] % 2**bits
    if not negative:
        return largest_magnitude(fmt)
    return largest_magnitude(fmt) + 2 ** (bits - 1) if fmt.signed else 0


def ends(fmt: FixedPoint) -> tuple[int, int]:
    """Return the least and the largest integer that a fixed-point format has a code for: 3.1."""
    bits = code_bits(fmt)
    least = -(2 ** (bits - 1)) + fmt.symmetric if fmt.signed else 0
    return least, 2 ** (bits - fmt.signed) - 1


def or_error(code: int | None, fmt: Format, what: str) -> int:
    """Return a special code, or raise where the format has none."""
    if code is None:
        raise ValueError(f"{fmt.name} has no code for {what}")
    return code


def round_to(
    fmt: Format, number: Value, rounding: str, overflow: str, random: RandomBits | None = None
) -> int:
    """Return the code that a value becomes: 3.2, once and from the exact value.

    Parameters
    ----------
    random : tuple of int, optional
        Random bits and how many they are, ``(r, N)``: for a stochastic rounding.

    Raises
    ------
    ValueError
        If the format has no code for what ``overflow`` asks for; if random bits are wanting.
    """
    rounding, overflow = str(rounding), str(overflow)
    if isinstance(fmt, ExponentOnly):
        return round_to_power(fmt, number, rounding, overflow, random)
    if isinstance(fmt, (Codebook, KHot)):
        return round_to_listed(fmt, number, rounding, overflow, random)
    if number is Special.NAN:
        code = canonical_nan(fmt)
        return 0 if code is None and overflow == "saturate" else or_error(code, fmt, "NaN")
    if number in INFINITIES:
        # An infinite operand is no overflow: it stays where it can.
        negative = number is Special.MINUS_INFINITY
        code = infinity(fmt, negative)
        if code is not None:
            return code
        if overflow == "saturate":
            return largest(fmt, negative)
        return or_error(canonical_nan(fmt), fmt, "infinity")

    negative = number is Special.MINUS_ZERO or number < 0
    magnitude = Fraction(0) if number is Special.MINUS_ZERO else abs(number)
    if isinstance(fmt, FixedPoint):
        signed = -magnitude if negative else magnitude
        return round_to_fixed(fmt, signed, rounding, overflow, random)
    return round_to_minifloat(fmt, negative, magnitude, rounding, overflow, random)


def stays_finite(rounding: str, negative: bool) -> bool:
    """Say whether an overflow by ``infinity`` is the largest finite value: 3.2.

    That is, whether the mode rounds away from infinity for that sign (IEEE 754-2019, 7.4).
    """
    return rounding in ("truncate", "odd", "up" if negative else "down")


def round_to_minifloat(
    fmt: Minifloat,
    negative: bool,
    magnitude: Fraction,
    rounding: str,
    overflow: str,
    random: RandomBits | None,
) -> int:
    """Return the code of a finite value in a minifloat: 3.2."""
    # Codes of magnitudes follow each other in order of value, so the neighbours of a value have
    # neighbouring codes. Exponent fields may grow without bound here.
    least_normal = 1 - fmt.bias
    if fmt.exp_bits and magnitude >= Fraction(2) ** least_normal:
        exponent = floor_log2(magnitude)
    else:
        exponent = least_normal
    in_ulps = magnitude / Fraction(2) ** (exponent - fmt.man_bits)
    lower = math.floor(in_ulps)
    fields_below = exponent - least_normal
    code = fields_below * 2**fmt.man_bits + lower
    code = pick(rounding, negative, code, in_ulps - lower, random)
    if fmt.ftz and code < 2**fmt.man_bits:
        code = 0  # the rounded value is below the least normal
    if code == 0:
        has_negative_zero = fmt.signed and fmt.specials.suffix in ("f", "fn", "ieee")
        return 2 ** (code_bits(fmt) - 1) if negative and has_negative_zero else 0
    if code <= largest_magnitude(fmt) and not (negative and not fmt.signed):
        return code + negative * 2 ** (fmt.exp_bits + fmt.man_bits)
    match overflow:
        case "saturate":
            return largest(fmt, negative)
        case "infinity":
            if stays_finite(rounding, negative):
                return largest(fmt, negative)
            code = infinity(fmt, negative)
            return or_error(canonical_nan(fmt), fmt, "overflow") if code is None else code
        case "nan":
            return or_error(canonical_nan(fmt), fmt, "NaN")
    raise ValueError(f"{overflow} is not for {fmt.name}")


def round_to_integer(number: Fraction, rounding: str, random: RandomBits | None = None) -> int:
    """Round to an integer without bounds: 3.2."""
    lower = math.floor(abs(number))
    rounded = pick(rounding, number < 0, lower, abs(number) - lower, random)
    return -rounded if number < 0 else rounded


def round_to_fixed(
    fmt: FixedPoint, number: Fraction, rounding: str, overflow: str, random: RandomBits | None
) -> int:
    """Return the code of a finite value in fixed point: 3.2."""
    rounded = round_to_integer(number * Fraction(2) ** fmt.frac_bits, rounding, random)
    return bounded(fmt, rounded, overflow) % 2 ** code_bits(fmt)


def bounded(fmt: FixedPoint, number: int, overflow: str) -> int:
    """Bring an integer, in units of the last place, into the range of a format: 3.2."""
    least, most = ends(fmt)
    if least <= number <= most:
        return number
    match overflow:
        case "saturate":
            return least if number < least else most
        case "wrap":
            return integer(fmt, number % 2 ** code_bits(fmt))
    raise ValueError(f"{fmt.name} has neither infinity nor NaN")


def round_to_power(
    fmt: ExponentOnly, number: Value, rounding: str, overflow: str, random: RandomBits | None
) -> int:
    """Return the code of a value in ``e8m0``: 3.1, and 3.2 without a bound above."""
    nan = 255
    if overflow not in ("saturate", "infinity", "nan"):
        raise ValueError(f"{overflow} is not for {fmt.name}")
    if number is Special.PLUS_INFINITY:
        return 254 if overflow == "saturate" else nan
    if isinstance(number, Special) or number <= 0:
        return nan
    exponent = floor_log2(number)
    if exponent < -127:
        return 0  # there is no zero to go to
    # The codes are an even grid between one power of two and the next: value, not logarithm.
    beyond = number / Fraction(2) ** exponent - 1
    code = pick(rounding, False, exponent + 127, beyond, random)
    if code <= 254:
        return code
    if overflow == "saturate" or (overflow == "infinity" and stays_finite(rounding, False)):
        return 254
    return nan


@functools.cache
def listed(fmt: Codebook | KHot) -> tuple[tuple[Fraction, int], ...]:
    """Return the finite values of a format in their order, each with the lowest code it has."""
    lowest: dict[Fraction, int] = {}
    for code, number in enumerate(values(fmt)):
        if number is Special.MINUS_ZERO:
            number = Fraction(0)
        if isinstance(number, Fraction):
            lowest.setdefault(number, code)
    return tuple(sorted(lowest.items()))


def round_to_listed(
    fmt: Codebook | KHot, number: Value, rounding: str, overflow: str, random: RandomBits | None
) -> int:
    """Return the code of the neighbour that a value goes to, of a list of values: 3.1 and 3.2."""
    if overflow != "saturate":
        raise ValueError(f"{fmt.name} saturates: {overflow} is not for it")
    if number in INFINITIES:
        return largest(fmt, number is Special.MINUS_INFINITY)
    if isinstance(number, Special):  # NaN is like +0, and -0 equals 0
        number = Fraction(0)
    entries = listed(fmt)
    place = bisect.bisect_left(entries, number, key=lambda entry: entry[0])
    if place == len(entries):
        return entries[-1][1]
    if entries[place][0] == number or place == 0:
        return entries[place][1]
    return pick_listed(fmt, number, entries[place - 1], entries[place], rounding, random)


def pick_listed(
    fmt: Codebook | KHot,
    number: Fraction,
    below: tuple[Fraction, int],
    above: tuple[Fraction, int],
    rounding: str,
    random: RandomBits | None,
) -> int:
    """Choose between two neighbours, each a value and its code: 3.2 for values in a list."""
    near, far = sorted([below, above], key=lambda entry: (abs(entry[0]), entry[0]))
    # Of equal magnitudes, the negative one is `near`.
    smaller = far if abs(near[0]) == abs(far[0]) else near
    from_near, gap = abs(number - near[0]), abs(far[0] - near[0])
    parities_differ = near[1] % 2 != far[1] % 2
    even, odd = sorted([near, far], key=lambda entry: entry[1] % 2)
    nearer = near if from_near < gap / 2 else far
    tie = from_near == gap / 2
    match rounding:
        case "rne":
            by_code = parities_differ and isinstance(fmt, Codebook)
            chosen = (even if by_code else smaller) if tie else nearer
        case "rna":
            chosen = far if tie else nearer
        case "truncate":
            chosen = near
        case "up":
            chosen = above
        case "down":
            chosen = below
        case "odd":
            chosen = odd if parities_differ else smaller
        case _:
            chosen = far if goes_up(rounding, from_near / gap, random) else near
    return chosen[1]


# --- 3.3: products -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """A product of finite operands: ``(-1)**s * P * 2**(ep - (Wp - 1))``, not normalised: 3.3."""

    negative: bool
    significand: int
    exponent: int
    width: int


def product(
    fmt_a: Format, code_a: int, fmt_b: Format, code_b: int, kind: str = "exact"
) -> Term | Special:
    """Multiply two codes: 3.3, and 4 for NaN operands and ``0 * inf``.

    ``kind`` is a design's ``product``: exact, or one of the additions of codes.
    """
    a, b = operand(fmt_a, code_a), operand(fmt_b, code_b)
    if isinstance(a, Special) or isinstance(b, Special):
        return special_product(a, b)
    if kind == "exact":
        return Term(
            a.negative != b.negative,
            a.significand * b.significand,
            a.exponent + b.exponent + 1,
            a.width + b.width,
        )
    (fmt, code_a), (other, code_b) = spelled_out(fmt_a, code_a), spelled_out(fmt_b, code_b)
    assert isinstance(fmt, Minifloat)
    assert fmt == other
    assert fmt.man_bits >= 1
    if kind == "lmul":
        return lmul(fmt, a, b)
    return sum_of_codes(fmt, a, code_a, b, code_b, kind)


def special_product(a: Operand | Special, b: Operand | Special) -> Special:
    """Multiply when an operand is NaN or infinite: 4."""
    if Special.NAN in (a, b):
        return Special.NAN
    if any(isinstance(part, Operand) and part.significand == 0 for part in (a, b)):
        return Special.NAN
    signs = [
        part is Special.MINUS_INFINITY if isinstance(part, Special) else part.negative
        for part in (a, b)
    ]
    return Special.MINUS_INFINITY if signs[0] != signs[1] else Special.PLUS_INFINITY


def offset_bits(man_bits: int) -> int:
    """Return ``l(m)`` of arXiv 2410.00907: 3.3."""
    if man_bits <= 3:
        return man_bits
    return 3 if man_bits == 4 else 4


def lmul(fmt: Minifloat, a: Operand, b: Operand) -> Term:
    """Multiply by the formula ``lmul``: 3.3."""
    negative, exponent = a.negative != b.negative, a.exponent + b.exponent + 1
    hidden = 2**fmt.man_bits
    if a.significand < hidden or b.significand < hidden:  # zero or subnormal
        return Term(negative, 0, exponent, fmt.man_bits + 2)
    offset = 2 ** (fmt.man_bits - offset_bits(fmt.man_bits))
    total = hidden + (a.significand - hidden) + (b.significand - hidden) + offset
    return Term(negative, total, exponent, fmt.man_bits + 2)


def sum_of_codes(
    fmt: Minifloat, a: Operand, code_a: int, b: Operand, code_b: int, kind: str
) -> Term:
    """Multiply by adding codes, signs apart, as the circuits ``lmul_add`` and ``mitchell``: 3.3."""
    hidden, signless = 2**fmt.man_bits, 2 ** (fmt.exp_bits + fmt.man_bits)
    result = code_a % signless + code_b % signless - fmt.bias * hidden
    match kind:
        case "lmul_add":
            result += 2 ** (fmt.man_bits - offset_bits(fmt.man_bits))
        case "mitchell":
            pass
        case _:
            raise AssertionError(kind)
    if a.significand < hidden or b.significand < hidden or result < hidden:
        result = 0
    part = operand(fmt, min(result, largest_magnitude(fmt)))
    assert isinstance(part, Operand)
    return Term(a.negative != b.negative, part.significand, part.exponent, part.width)


# --- 4: accumulation ---------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """What a chain of kind ``float`` carries: ``(-1)**s * F * 2**(e - (W - 1))``, F not 0: 4.3."""

    negative: bool
    exponent: int
    magnitude: int


def step(acc: Any, state: State | None, term: Term) -> State | None:
    """Add one product to a chain of kind ``float``: 4.3, steps 1 to 5. None is zero."""
    width, low = acc.width, acc.guard + acc.sticky
    window = width + low

    # The product enters at the top of the window; both get the extra bits below.
    entering = None
    if term.significand:
        assert term.width <= width
        entering = State(term.negative, term.exponent, term.significand * 2 ** (width - term.width))
    parts = [part for part in (state, entering) if part is not None]
    if not parts:
        return None

    # 1. Align: the operand with the larger exponent stays. Zero takes no part.
    exponent = max(part.exponent for part in parts)
    total = 0
    for part in parts:
        wide, shift = part.magnitude * 2**low, exponent - part.exponent
        kept, lost = divmod(wide, 2**shift)
        if acc.sticky and lost:
            kept |= 1
        # 2. Add, exactly within the window.
        total += -kept if part.negative else kept
    negative, total = total < 0, abs(total)

    # 3. Carry.
    if total >= 2**window:
        total, fallen = divmod(total, 2)
        if acc.sticky:
            total |= fallen
        exponent += 1

    # 4. Normalise the whole window.
    if total == 0:
        return None
    zeros = window - total.bit_length()
    coarse = acc.normalize.coarse
    if coarse is None:
        shift = zeros
    elif coarse == ():
        shift = 0
    else:
        top, after = coarse
        shift = 0 if zeros < top else top if zeros < top + after else top + after
    total, exponent = total * 2**shift, exponent - shift
    assert total < 2**window

    # 5. Round to W bits.
    magnitude, rest = divmod(total, 2**low)
    magnitude = pick(str(acc.round), negative, magnitude, Fraction(rest, 2**low))
    if magnitude == 2**width:
        magnitude, exponent = magnitude // 2, exponent + 1
    return State(negative, exponent, magnitude) if magnitude else None


def float_sum(acc: Any, terms: Iterable[Term]) -> Fraction:
    """Return the unrounded sum of a chain of kind ``float``: 4.3."""
    state = None
    for term in terms:
        state = step(acc, state, term)
    if state is None:
        return Fraction(0)
    number = state.magnitude * Fraction(2) ** (state.exponent - (acc.width - 1))
    return -number if state.negative else number


def fixed_sum(acc: Any, terms: Iterable[Term]) -> Fraction:
    """Return the sum of a fixed-point accumulator: 4.2.

    Each product is rounded to the last place, and overflow is judged once a step, on the sum.
    """
    lsb = Fraction(2) ** -acc.format.frac_bits
    total = 0
    for term in terms:
        rounded = round_to_integer(exact(term) / lsb, str(acc.round))
        total = bounded(acc.format, total + rounded, str(acc.overflow))
    return total * lsb


def special_sum(parts: Iterable[Any]) -> Special | None:
    """Return the NaN or the infinity that a sum is for its summands' sake, in any order: 4."""
    found = {part for part in parts if part is Special.NAN or part in INFINITIES}
    if Special.NAN in found or len(found) > 1:
        return Special.NAN
    return found.pop() if found else None


def chunked(parts: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Cut a sequence into pieces; the last one may be short."""
    return [parts[start : start + size] for start in range(0, len(parts), size)]


def leading_one_term(number: Value) -> Term | Special:
    """Return a term whose exponent, ``ep - 1``, is that of its leading one; a zero is +0: 4.5, 4.6.

    So it looks like a product of which the top bit is 0.
    """
    if number is Special.MINUS_ZERO or number == 0:
        return Term(False, 0, 0, 1)
    if isinstance(number, Special):
        return number
    significand, denominator = abs(number.numerator), number.denominator
    assert denominator & (denominator - 1) == 0, "a multiple of a power of two"
    exponent = floor_log2(abs(number)) + 1
    return Term(number < 0, significand, exponent, significand.bit_length() + 1)


def chunk_terms(acc: Any, terms: Sequence[Term | Special]) -> list[Term | Special]:
    """Return what the ``outer`` accumulation of a chunked one adds up: 4.2.

    The sum of a chunk counts as an operand of ``format``, whose magnitude is not normalised; in an
    outer ``fused`` one it has the exponent of its leading one.
    """
    width = code_bits(acc.format) - acc.format.symmetric
    exponent = width - 1 - acc.format.frac_bits
    sums: list[Term | Special] = []
    for chunk in chunked(terms, acc.chunk):
        number = special_sum(chunk) or fixed_sum(acc, chunk)
        if isinstance(number, Special) or acc.outer.kind == "fused":
            sums.append(leading_one_term(number))
            continue
        in_lsbs = number * Fraction(2) ** acc.format.frac_bits
        sums.append(Term(number < 0, abs(in_lsbs.numerator), exponent, width))
    return sums


def rounded_sum(acc: Any, terms: Iterable[Term | Special]) -> Value:
    """Return what a chain of fused multiply-adds ends in, a zero with its sign: 4.4.

    Infinities and NaN of operands are kept also where the format has none.
    """
    state: Value = Fraction(0)
    for term in terms:
        total = add(state, with_sign(term), str(acc.round))
        if total is Special.NAN or total in INFINITIES:
            state = total
        else:
            state = value(
                acc.format, round_to(acc.format, total, acc.round, overflow_of(acc.format))
            )
    return state


def add(x: Value, y: Value, rounding: str) -> Value:
    """Add exactly, with the sign that IEEE 754-2019, 6.3, gives a zero: 4.4."""
    if special := special_sum([x, y]):
        return special
    if x is Special.MINUS_ZERO and y is Special.MINUS_ZERO:
        return Special.MINUS_ZERO
    zeros = (Special.MINUS_ZERO, Fraction(0))
    both_plus = x == 0 and y == 0
    total = sum((Fraction(0) if part in zeros else part for part in (x, y)), Fraction(0))
    if total == 0 and rounding == "down" and not both_plus:
        return Special.MINUS_ZERO
    return total


def overflow_of(fmt: Format) -> str:
    """Return what an accumulator does on overflow: to infinity where there is one: 4.4, 4.5."""
    return "saturate" if infinity(fmt, False) is None else "infinity"


def accumulator_format(acc: Any) -> Minifloat:
    """Return the format of a fused accumulator: ``format`` with ``out_frac_bits`` of mantissa: 4.5.

    Exponents and special values are those of ``format``.
    """
    fmt = acc.format
    bits = fmt.man_bits if acc.out_frac_bits is None else acc.out_frac_bits
    return Minifloat(fmt.exp_bits, bits, fmt.specials, fmt.bias, fmt.signed, fmt.ftz)


def cut(number: Fraction, unit: Fraction, sticky: bool) -> Fraction:
    """Truncate toward zero to a multiple of ``unit``; ``sticky`` marks a loss by half one: 4.5."""
    kept = math.floor(abs(number) / unit) * unit
    if sticky and kept != abs(number):
        kept += unit / 2
    return -kept if number < 0 else kept


def fused_group(acc: Any, state: Value, terms: Sequence[Term | Special]) -> Value:
    """Add a group of products to a fused accumulator, all at once: 4.5."""
    if special := special_sum([state, *terms]):
        return special
    parts = [
        (exact(term), term.exponent - 1)
        for term in terms
        if isinstance(term, Term) and term.significand
    ]
    if isinstance(state, Fraction) and state != 0:
        parts.append((state, floor_log2(abs(state))))
    if not parts:
        return Fraction(0)
    emax = max(exponent for _, exponent in parts)
    unit = Fraction(2) ** (emax - acc.frac_bits)
    total = sum((cut(number, unit, acc.sticky) for number, _ in parts), Fraction(0))
    fmt = accumulator_format(acc)
    if infinity(fmt, False) is None:
        return value(fmt, round_to(fmt, total, acc.round, "saturate"))
    # Overflow is to infinity in every mode, as in an H100; `nan` shows whether there is one.
    rounded = value(fmt, round_to(fmt, total, acc.round, "nan"))
    if rounded is Special.NAN:
        return Special.MINUS_INFINITY if total < 0 else Special.PLUS_INFINITY
    return rounded


def fused_sum(acc: Any, terms: Sequence[Term | Special]) -> Value:
    """Return what a chain of groups leaves in the accumulator: 4.5.

    The zeros that fill up the last group take no part.
    """
    state: Value = Fraction(0)
    for group in chunked(terms, acc.group):
        state = fused_group(acc, state, group)
    return state


def total_of(acc: Any, terms: Sequence[Term | Special]) -> Value:
    """Return what an accumulation makes of its terms, before the foot: 4."""
    if len(terms) > getattr(acc, "max_terms", len(terms)):
        raise ValueError(f"K must be at most max_terms, {acc.max_terms}, not {len(terms)}")
    match acc.kind:
        case "rounded":
            return rounded_sum(acc, terms)
        case "fused":
            return fused_sum(acc, terms)
        case "fixed" if acc.chunk:
            return total_of(acc.outer, chunk_terms(acc, terms))
    if special := special_sum(terms):
        return special
    finite = [term for term in terms if isinstance(term, Term)]
    match acc.kind:
        case "exact":
            return sum(map(exact, finite), Fraction(0))
        case "fixed":
            return fixed_sum(acc, finite)
        case "float":
            return float_sum(acc, finite)
    raise AssertionError(acc.kind)


def chain(
    arithmetic: Arithmetic,
    a_codes: Iterable[int],
    b_codes: Iterable[int],
    random: RandomBits | None = None,
) -> int:
    """Return the code of ``out`` that a chain of products ends in: 4.

    NaN products and sums of unlike infinities make NaN, and infinities stay; else the sum of the
    products, by the kind of accumulation, is converted once. ``random`` is for this conversion.
    """
    products = [
        product(arithmetic.a, int(x), arithmetic.b, int(y), str(arithmetic.product))
        for x, y in zip(a_codes, b_codes, strict=True)
    ]
    total = total_of(arithmetic.accumulate, products)
    return round_to(arithmetic.out, total, arithmetic.out_round, arithmetic.out_overflow, random)


# --- 1: units that do one operation on each element ---------------------------------------------


def multiplied(spec: Arithmetic, a: int, b: int, random: RandomBits | None = None) -> int:
    """Return the code of a product, rounded once: a zero has the sign of its operands' product."""
    term = product(spec.a, a, spec.b, b, str(spec.product))
    return round_to(spec.out, with_sign(term), spec.out_round, spec.out_overflow, random)


def added(spec: Arithmetic, a: int, b: int, random: RandomBits | None = None) -> int:
    """Return the code of a sum, rounded once."""
    total = add(value(spec.a, a), value(spec.b, b), str(spec.out_round))
    return round_to(spec.out, total, spec.out_round, spec.out_overflow, random)


def multiplied_and_added(spec: Arithmetic, a: int, b: int, c: int) -> int:
    """Return the code of ``a * b + c``, rounded once as in a step of kind ``rounded``: 4.4."""
    term = product(spec.a, a, spec.b, b, str(spec.product))
    total = add(with_sign(term), value(spec.out, c), str(spec.out_round))
    return round_to(spec.out, total, spec.out_round, overflow_of(spec.out))
