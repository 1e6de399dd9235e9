"""Codes taken apart into what arithmetic needs of them."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Mux, Value

from minimac.spec import FixedPoint, Format, Minifloat, NanCode, Specials

__all__ = ["Operand", "unpack"]


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
        Unsigned, in ``0 .. fmt.max_exp - (fmt.min_exp - 1)``: the exponent less
        ``fmt.min_exp - 1``, so that for a minifloat it is the exponent field, but 1 for subnormals.
    zero, nan, infinity : Value
        1 bit each.
    """

    sign: Value
    significand: Value
    exponent: Value
    zero: Value
    nan: Value
    infinity: Value


def unpack(fmt: Format, code: Value) -> Operand:
    """Take a code of a format apart.

    Parameters
    ----------
    fmt : Format
        The format.
    code : Value
        ``fmt.width`` bits.
    """
    if isinstance(fmt, FixedPoint):
        sign = code[-1] if fmt.signed else Const(0)
        magnitude = Mux(sign, -code, code)[: fmt.sig_bits] if fmt.signed else code
        return Operand(sign, magnitude, Const(1), ~code.any(), Const(0), Const(0))

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


def _is_infinity(fmt: Minifloat, code: Value) -> Value:
    if not fmt.has_infinities:
        return Const(0)
    if fmt.specials is Specials.IEEE:
        return code[fmt.man_bits : fmt.magnitude_bits].all() & ~code[: fmt.man_bits].any()
    return code[: fmt.magnitude_bits] == fmt.infinity_code
