"""Products of two codes, not rounded and not normalised (design section 3.3)."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Value

from minimac.rtl.operand import Operand, unpack
from minimac.spec import Arithmetic, FixedPoint

__all__ = ["FloatProduct", "float_product", "integer_product", "special_bits"]


@dataclass(frozen=True)
class FloatProduct:
    """A product as sign, significand and exponent.

    Its value is ``(-1)**sign * significand * 2**(spec.product_min_exp + exponent
    - (spec.product_bits - 1))``.

    Attributes
    ----------
    sign : Value
        1 bit.
    significand : Value
        Unsigned, ``spec.product_bits`` wide; 0 for zero. Meaningless if ``special``.
    exponent : Value
        Unsigned: the exponent of the top bit, less ``spec.product_min_exp``.
    zero : Value
        1 bit, found from the operands.
    special : Value
        ``special_bits(spec)`` wide.
    """

    sign: Value
    significand: Value
    exponent: Value
    zero: Value
    special: Value


def special_bits(spec: Arithmetic) -> int:
    """Width of what tells NaN and infinities of a chain, in bits.

    With infinities, bit 0 is +inf, bit 1 is -inf, and both are NaN: an OR makes NaN of infinities
    of either sign. Without infinities, the one bit is NaN.
    """
    return 2 if spec.has_infinities else int(spec.has_nan)


def float_product(spec: Arithmetic, a: Value, b: Value) -> FloatProduct:
    """Multiply two codes as floats: significands are multiplied, exponents added."""
    x, y = unpack(spec.a, a), unpack(spec.b, b)
    return FloatProduct(
        sign=x.sign ^ y.sign,
        significand=(x.significand * y.significand)[: spec.product_bits],
        # Those of operands count from one below their least.
        exponent=(x.exponent + y.exponent - 2)[: len(x.exponent + y.exponent)],
        zero=x.zero | y.zero,
        special=_special(spec, x, y),
    )


def integer_product(spec: Arithmetic, a: Value, b: Value) -> Value | None:
    """Multiply two codes of fixed point; None if they are not both of it.

    Returns
    -------
    Value
        In units of ``2**spec.lsb_exp``, signed if an operand is. Two's complement all the way:
        magnitudes would cost a negation on either side.
    """
    if not (isinstance(spec.a, FixedPoint) and isinstance(spec.b, FixedPoint)):
        return None
    x, y = (
        code.as_signed() if fmt.signed else code.as_unsigned()
        for code, fmt in ((a, spec.a), (b, spec.b))
    )
    return x * y


def _special(spec: Arithmetic, a: Operand, b: Operand) -> Value:
    nan = a.nan | b.nan
    if special_bits(spec) < 2:
        return nan[: special_bits(spec)]
    nan = nan | (a.infinity & b.zero) | (a.zero & b.infinity)
    infinity = a.infinity | b.infinity
    negative = a.sign ^ b.sign
    return Cat(nan | (infinity & ~negative), nan | (infinity & negative))
