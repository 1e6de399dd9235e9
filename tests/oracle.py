"""What the design says, written plainly: the oracle of the tests.

Exact arithmetic on Python integers and fractions, slow and without a trick. It shares the declared
fields of formats and accumulations with the package (``exp_bits``, ``width``, ``guard``, ...) and
none of the quantities that the package derives from them. Sections are those of the design.

Examples
--------
>>> from minimac.spec import parse_format
>>> e4m3fn = parse_format("e4m3fn")
>>> value(e4m3fn, 0x7E), value(e4m3fn, 0x7F), value(e4m3fn, 0x80)
(Fraction(448, 1), <Special.NAN: 'nan'>, <Special.MINUS_ZERO: '-0'>)
>>> hex(round_to(e4m3fn, Fraction(10, 3), "rne", "saturate"))
'0x45'
"""

import enum
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from minimac.spec import Arithmetic, FixedPoint, Format, Minifloat

__all__ = [
    "Operand",
    "Special",
    "State",
    "Term",
    "Value",
    "as_float",
    "chain",
    "code_bits",
    "exact",
    "from_float",
    "largest",
    "largest_magnitude",
    "operand",
    "product",
    "round_to",
    "step",
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


# --- 3.1: scalar formats -----------------------------------------------------------------------


def code_bits(fmt: Format) -> int:
    """Return the width of a code: the fields, side by side."""
    if isinstance(fmt, FixedPoint):
        return int(fmt.signed) + fmt.int_bits + fmt.frac_bits
    return int(fmt.signed) + fmt.exp_bits + fmt.man_bits


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
    if isinstance(fmt, FixedPoint):
        number = code - 2**bits if fmt.signed and code >= 2 ** (bits - 1) else code
        # Two's complement needs all the bits for its most negative value; symmetric has none.
        width = bits - 1 if fmt.symmetric else bits
        assert abs(number) < 2**width, "the unused code of a symmetric format"
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


def value(fmt: Format, code: int) -> Value:
    """Return what a code means: 3.1.

    A subnormal of a format with ``ftz`` is zero of its sign, as it is for every user of the code.
    """
    part = operand(fmt, code)
    if isinstance(part, Special):
        return part
    if part.significand == 0 and part.negative:
        return Special.MINUS_ZERO
    return exact(part)


@functools.cache
def values(fmt: Format) -> tuple[Value, ...]:
    """Return what every code of a format means, by code; the unused one of ``:sym`` as NaN."""
    unused = 2 ** (code_bits(fmt) - 1) if getattr(fmt, "symmetric", False) else None
    return tuple(
        Special.NAN if code == unused else value(fmt, code) for code in range(2 ** code_bits(fmt))
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


def pick(rounding: str, negative: bool, lower: int, beyond: Fraction) -> int:
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
            raise AssertionError(rounding)
    return lower + up


def floor_log2(number: Fraction) -> int:
    """Return the exponent of the leading one of a positive fraction."""
    exponent = number.numerator.bit_length() - number.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= number else exponent - 1


def canonical_nan(fmt: Format) -> int | None:
    """Return the NaN that results have: 3.1. Positive, mantissa ``10..0`` (ieee)."""
    if isinstance(fmt, FixedPoint) or fmt.specials.suffix == "f":
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
    if isinstance(fmt, FixedPoint) or fmt.specials.suffix not in ("ieee", "p3109"):
        return None
    if negative and not fmt.signed:
        return None
    return largest_magnitude(fmt) + 1 + negative * 2 ** (fmt.exp_bits + fmt.man_bits)


def largest(fmt: Format, negative: bool) -> int:
    """Return the code of the finite value that is furthest from zero in a direction."""
    bits = code_bits(fmt)
    if isinstance(fmt, FixedPoint):
        if not negative:
            return 2 ** (bits - fmt.signed) - 1
        return 2 ** (bits - 1) + fmt.symmetric if fmt.signed else 0
    if not negative:
        return largest_magnitude(fmt)
    return largest_magnitude(fmt) + 2 ** (bits - 1) if fmt.signed else 0


def or_error(code: int | None, fmt: Format, what: str) -> int:
    """Return a special code, or raise where the format has none."""
    if code is None:
        raise ValueError(f"{fmt.name} has no code for {what}")
    return code


def round_to(fmt: Format, number: Value, rounding: str, overflow: str) -> int:
    """Return the code that a value becomes: 3.2, once and from the exact value.

    Raises
    ------
    ValueError
        If the format has no code for what ``overflow`` asks for.
    """
    rounding, overflow = str(rounding), str(overflow)
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
        return round_to_fixed(fmt, negative, magnitude, rounding, overflow)

    # Codes of magnitudes follow each other in order of value, so the neighbours of a value have
    # neighbouring codes. Exponent fields may grow without bound here.
    least_normal = 1 - fmt.bias
    if fmt.exp_bits and magnitude >= Fraction(2) ** least_normal:
        exponent = floor_log2(magnitude)
    else:
        exponent = least_normal
    in_ulps = magnitude / Fraction(2) ** (exponent - fmt.man_bits)
    lower = in_ulps.numerator // in_ulps.denominator
    fields_below = exponent - least_normal
    code = pick(rounding, negative, fields_below * 2**fmt.man_bits + lower, in_ulps - lower)
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
            # IEEE 754-2019, 7.4: whether this rounding goes to infinity, for that sign.
            away = rounding in ("rne", "rna", "down" if negative else "up")
            if not away:
                return largest(fmt, negative)
            code = infinity(fmt, negative)
            return or_error(canonical_nan(fmt), fmt, "overflow") if code is None else code
        case "nan":
            return or_error(canonical_nan(fmt), fmt, "NaN")
    raise ValueError(f"{overflow} is not for {fmt.name}")


def round_to_fixed(
    fmt: FixedPoint, negative: bool, magnitude: Fraction, rounding: str, overflow: str
) -> int:
    """Return the code of a finite value in fixed point: 3.2."""
    in_lsbs = magnitude * Fraction(2) ** fmt.frac_bits
    lower = in_lsbs.numerator // in_lsbs.denominator
    rounded = pick(rounding, negative, lower, in_lsbs - lower)
    rounded = -rounded if negative else rounded
    bits = code_bits(fmt)
    least = -(2 ** (bits - 1)) + fmt.symmetric if fmt.signed else 0
    if least <= rounded < 2 ** (bits - fmt.signed) or overflow == "wrap":
        return rounded % 2**bits
    if overflow == "saturate":
        return largest(fmt, negative)
    raise ValueError(f"{fmt.name} has neither infinity nor NaN")


# --- 3.3: products -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """A product of finite operands: ``(-1)**s * P * 2**(ep - (Wp - 1))``, not normalised: 3.3."""

    negative: bool
    significand: int
    exponent: int
    width: int


def product(fmt_a: Format, code_a: int, fmt_b: Format, code_b: int) -> Term | Special:
    """Multiply two codes: 3.3, and 4 for NaN operands and ``0 * inf``."""
    a, b = operand(fmt_a, code_a), operand(fmt_b, code_b)
    if Special.NAN in (a, b):
        return Special.NAN
    if isinstance(a, Special) or isinstance(b, Special):
        signs = [
            part is Special.MINUS_INFINITY if isinstance(part, Special) else part.negative
            for part in (a, b)
        ]
        if any(isinstance(part, Operand) and part.significand == 0 for part in (a, b)):
            return Special.NAN
        return Special.MINUS_INFINITY if signs[0] != signs[1] else Special.PLUS_INFINITY
    return Term(
        a.negative != b.negative,
        a.significand * b.significand,
        a.exponent + b.exponent + 1,
        a.width + b.width,
    )


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


def total_of(arithmetic: Arithmetic, terms: list[Term]) -> Fraction:
    """Return the unrounded sum of a chain of finite products: 4.1 and 4.3."""
    acc = arithmetic.accumulate
    if acc.kind == "exact":
        return sum(map(exact, terms), Fraction(0))
    assert acc.kind == "float"
    state = None
    for term in terms:
        state = step(acc, state, term)
    if state is None:
        return Fraction(0)
    number = state.magnitude * Fraction(2) ** (state.exponent - (acc.width - 1))
    return -number if state.negative else number


def chain(arithmetic: Arithmetic, a_codes: Iterable[int], b_codes: Iterable[int]) -> int:
    """Return the code of ``out`` that a chain of products ends in: 4.

    NaN products and sums of unlike infinities make NaN, and infinities stay; else the sum of the
    products, by the kind of accumulation, is converted once. A sum that is zero is +0.
    """
    products = [
        product(arithmetic.a, int(x), arithmetic.b, int(y))
        for x, y in zip(a_codes, b_codes, strict=True)
    ]
    specials = {part for part in products if isinstance(part, Special)}
    total: Value
    if Special.NAN in specials or len(specials) > 1:
        total = Special.NAN
    elif specials:
        total = specials.pop()
    else:
        total = total_of(arithmetic, [part for part in products if isinstance(part, Term)])
    return round_to(arithmetic.out, total, arithmetic.out_round, arithmetic.out_overflow)
