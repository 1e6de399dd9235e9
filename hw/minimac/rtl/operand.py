"""Codes taken apart into what arithmetic needs of them.

Codes that stand for nothing (the most negative one of a ``:sym`` format and of ``tern``, those
beyond the end of a codebook, values of too many digits of a k-hot format) are refused by the model.
Here they may come out as anything, which synthesis makes use of. A special code has a significand
and an exponent that mean nothing; its flags tell.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned

from minimac.rtl.lookup import look_up
from minimac.rtl.shift import shift_left
from minimac.spec import (
    Codebook,
    ExponentOnly,
    FixedPoint,
    Format,
    KHot,
    Minifloat,
    NanCode,
    Specials,
)

__all__ = [
    "Operand",
    "counts_as_fixed",
    "exponent_range",
    "integer",
    "integers",
    "is_special",
    "magnitude",
    "shape_of",
    "unit_exp",
    "unpack",
]


@dataclass(frozen=True)
class Operand:
    """A code, taken apart. What a format does not have is a constant, and costs nothing.

    Attributes
    ----------
    sign : Value
        1 bit.
    significand : Value
        Unsigned, ``fmt.sig_bits`` wide; 0 for zero. Meaningless if ``nan`` or ``infinity``.
    exponent : Value
        Unsigned: the exponent less ``base``. Meaningless, too, for a zero of a codebook.
    zero, nan, infinity : Value
        1 bit each; ``zero`` is meaningless if ``nan``.
    base : int
        What ``exponent`` counts from. Of a minifloat it is ``fmt.min_exp - 1``, so that the
        exponent is the exponent field, but 1 for subnormals; of fixed point likewise.
    """

    sign: Value
    significand: Value
    exponent: Value
    zero: Value
    nan: Value
    infinity: Value
    base: int

    def special(self, bits: int) -> Value:
        """Return what tells NaN and infinities, as states do that have so many bits for it."""
        if bits < 2:
            return self.nan[:bits]
        positive, negative = self.infinity & ~self.sign, self.infinity & self.sign
        return Cat(self.nan | positive, self.nan | negative)


def unpack(fmt: Format, code: Value) -> Operand:
    """Take a code of a format apart.

    Parameters
    ----------
    fmt : Format
        The format.
    code : Value
        ``fmt.width`` bits.
    """
    match fmt:
        case FixedPoint():
            return _unpack_fixed(fmt, code)
        case KHot():
            return _unpack_fixed(fmt.of, code)
        case Codebook():
            return _unpack_listed(fmt, code)
        case ExponentOnly():
            zero, nan = Const(0), code.all()
            return Operand(Const(0), Const(1), code, zero, nan, Const(0), fmt.min_exp)
    assert isinstance(fmt, Minifloat)
    mantissa = code[: fmt.man_bits]
    field = code[fmt.man_bits : fmt.magnitude_bits]
    sign = code[-1] if fmt.signed else Const(0)
    hidden = field.any() if fmt.exp_bits else Const(0)
    if fmt.ftz:
        mantissa = mantissa & hidden.replicate(fmt.man_bits)
    # Subnormals have the exponent of the least normal: a field of 1.
    exponent = Cat(field[0] | ~hidden, field[1:]) if fmt.exp_bits else Const(1)
    zero = ~hidden if fmt.ftz else ~code[: fmt.magnitude_bits].any()
    return Operand(
        sign=sign,
        significand=Cat(mantissa, hidden),
        exponent=exponent,
        zero=zero,
        nan=_is_nan(fmt, code),
        infinity=_is_infinity(fmt, code),
        base=fmt.min_exp - 1,
    )


def counts_as_fixed(fmt: Format) -> bool:
    """Whether all values of a format are fixed-point ones."""
    return isinstance(fmt.value_format, FixedPoint)


def integer(fmt: Format, code: Value) -> Value:
    """Return a code of fixed-point values as an integer, in units of ``2**unit_exp(fmt)``.

    It is signed if there are negative values.
    """
    if isinstance(fmt, Codebook):
        values = integers(fmt)
        assert values is not None
        return look_up(code, values, shape_of(values))
    fixed = fmt.value_format
    assert isinstance(fixed, FixedPoint)
    return code.as_signed() if fixed.signed else code.as_unsigned()


@functools.lru_cache(maxsize=256)
def integers(fmt: Format) -> list[int | None] | None:
    """List all integers of a format of up to 8 bits by code; codes that stand for nothing are None.

    Of wider formats the list is None.
    """
    if fmt.width > 8:
        return None
    unit = unit_exp(fmt) - fmt.lsb_exp
    return [fmt.lsbs(c) >> unit if fmt.holds(c) else None for c in range(1 << fmt.width)]


def shape_of(values: Sequence[int | None]) -> Shape:
    """Return the narrowest shape that holds all values."""
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)
    return signed(bits + 1) if low < 0 else unsigned(max(bits, 1))


@functools.lru_cache(maxsize=256)
def unit_exp(fmt: Format) -> int:
    """Exponent of the largest power of two of which every value is a whole multiple.

    A codebook's values may be much coarser than its value format allows.
    """
    if not isinstance(fmt, Codebook):
        return fmt.lsb_exp
    divisor = math.gcd(*(fmt.lsbs(code) for code in range(len(fmt.codes))))
    return fmt.lsb_exp + max((divisor & -divisor).bit_length() - 1, 0)


@functools.lru_cache(maxsize=256)
def exponent_range(fmt: Format) -> tuple[int, int]:
    """Least and greatest exponent of a finite operand, zeros of codebooks apart."""
    if not isinstance(fmt, Codebook):
        return fmt.min_exp, fmt.max_exp
    found = [_exponent(fmt.of, code) for code in fmt.codes if fmt.of.lsbs(code)]
    return (min(found), max(found)) if found else (fmt.min_exp, fmt.min_exp)


def magnitude(m: Module, fmt: Format, x: Operand) -> tuple[Value, int]:
    """Return the magnitude of a finite operand as an integer, and the exponent of its unit."""
    low, high = exponent_range(fmt)
    found: Value = Cat(x.significand, Const(0, high - low))
    if high > low:
        distance = Signal(range(high - low + 1), name="shift_distance")
        m.d.comb += distance.eq(x.exponent + (x.base - low))
        found = shift_left(m, found, distance)
    return found, low - (fmt.sig_bits - 1)


def _exponent(fmt: Format, code: int) -> int:
    """Return the exponent of a finite operand."""
    if not isinstance(fmt, Minifloat):
        return fmt.min_exp
    field = code >> fmt.man_bits & (1 << fmt.exp_bits) - 1
    return max(field, 1) - fmt.bias


def _unpack_fixed(fmt: FixedPoint, code: Value) -> Operand:
    sign = code[-1] if fmt.signed else Const(0)
    magnitude = Mux(sign, -code, code)[: fmt.sig_bits] if fmt.signed else code
    zero = ~code[: fmt.sig_bits].any()
    return Operand(sign, magnitude, Const(1), zero, Const(0), Const(0), fmt.min_exp - 1)


def _unpack_listed(fmt: Codebook, code: Value) -> Operand:
    """Take the value of a code apart: a table of fields, not one of codes that are unpacked.

    Either is as small for few values; for many, the fields are a few percent smaller, and fast.
    """
    of, codes = fmt.of, fmt.codes
    base, greatest = exponent_range(fmt)
    lsbs = [of.lsbs(c) for c in codes]
    exponents = [_exponent(of, c) for c in codes]
    significands = [abs(n) >> e - of.min_exp for n, e in zip(lsbs, exponents, strict=True)]
    offsets = [e - base if n else None for n, e in zip(lsbs, exponents, strict=True)]
    signs = [c >> of.width - 1 if of.signed else 0 for c in codes]
    return Operand(
        sign=look_up(code, signs, unsigned(1)),
        significand=look_up(code, significands, unsigned(of.sig_bits)),
        exponent=look_up(code, offsets, unsigned(max((greatest - base).bit_length(), 1))),
        zero=look_up(code, [n == 0 for n in lsbs], unsigned(1)),
        nan=Const(0),
        infinity=Const(0),
        base=base,
    )


def _is_nan(fmt: Minifloat, code: Value) -> Value:
    magnitude = code[: fmt.magnitude_bits]
    match fmt.specials.nan:
        case NanCode.NONE:
            return Const(0)
        case NanCode.TOP_EXPONENT:
            return code[fmt.man_bits : fmt.magnitude_bits].all() & code[: fmt.man_bits].any()
        case NanCode.NEGATIVE_ZERO if fmt.signed:
            return code[-1] & ~magnitude.any()
    return magnitude.all()


def is_special(fmt: Minifloat, code: Value) -> Value:
    """Tell NaN and infinities by as little as it takes."""
    if fmt.specials is Specials.IEEE:
        return code[fmt.man_bits : fmt.magnitude_bits].all()
    return _is_nan(fmt, code) | _is_infinity(fmt, code)


def _is_infinity(fmt: Minifloat, code: Value) -> Value:
    if not fmt.has_infinities:
        return Const(0)
    if fmt.specials is Specials.IEEE:
        return code[fmt.man_bits : fmt.magnitude_bits].all() & ~code[: fmt.man_bits].any()
    return code[: fmt.magnitude_bits] == fmt.infinity_code
