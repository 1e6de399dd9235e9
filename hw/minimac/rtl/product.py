"""Products of two codes, not rounded and not normalised (design section 3.3)."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Value

from minimac.rtl.addend import Addend, multiply_fixed
from minimac.rtl.compare import at_least
from minimac.rtl.operand import (
    Operand,
    counts_as_fixed,
    exponent_range,
    is_special,
    unit_exp,
    unpack,
)
from minimac.rtl.parts import mark
from minimac.spec import Arithmetic, Minifloat, Product

__all__ = [
    "FloatProduct",
    "code_product",
    "float_product",
    "integer_addend",
    "integer_product",
    "mark_operands",
    "special_bits",
    "unit_of_products",
]


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
    zero : Value
        1 bit, found from the operands.
    special : Value
        ``special_bits(spec)`` wide.
    steps : Value
        Unsigned: ``exponent`` less ``least``. Meaningless for a zero.
    least, most : int
        Least and greatest ``exponent`` that there is.
    """

    sign: Value
    significand: Value
    zero: Value
    special: Value
    steps: Value
    least: int
    most: int

    @property
    def exponent(self) -> Value:
        """Unsigned: the exponent of the top bit, less ``spec.product_min_exp``."""
        return self.steps + self.least if self.least else self.steps


def special_bits(spec: Arithmetic) -> int:
    """Width of what tells NaN and infinities of a chain, in bits.

    With infinities, bit 0 is +inf, bit 1 is -inf, and both are NaN: an OR makes NaN of infinities
    of either sign. Without infinities, the one bit is NaN.
    """
    return 2 if spec.has_infinities else int(spec.has_nan)


def unit_of_products(spec: Arithmetic) -> int:
    """Exponent of the largest unit of which every product is known to be a whole multiple.

    It is ``spec.lsb_exp``, or above it for codebooks that do not use all of their value format.
    """
    if spec.product is not Product.EXACT:
        return spec.lsb_exp
    return unit_exp(spec.a) + unit_exp(spec.b)


def float_product(spec: Arithmetic, a: Value, b: Value, m: Module | None = None) -> FloatProduct:
    """Multiply two codes as floats: significands are multiplied, exponents added.

    In a module ``m`` the end of taking the codes apart is marked.
    """
    x, y = unpack(spec.a, a), unpack(spec.b, b)
    if m is not None:
        mark_operands(m, x, y)
    if spec.product.adds_codes:
        return _float_of_sum(spec, a, b, x, y)
    (low_a, high_a), (low_b, high_b) = exponent_range(spec.a), exponent_range(spec.b)
    # A constant less than the sum of the least exponents, as they are stored.
    excess = low_a - x.base + low_b - y.base
    total = x.exponent + y.exponent
    if spec.product is Product.LMUL:
        significand, zero = _lmul(x, y, spec.product.offset(spec.a.sig_bits - 1))
    else:
        significand = (x.significand * y.significand)[: spec.product_bits]
        zero = x.zero | y.zero
    return FloatProduct(
        sign=x.sign ^ y.sign,
        significand=significand,
        zero=zero,
        special=_special(spec, x, y),
        steps=(total - excess)[: len(total)] if excess else total,
        least=low_a + low_b + 1 - spec.product_min_exp,
        most=high_a + high_b + 1 - spec.product_min_exp,
    )


def mark_operands(m: Module, *operands: Operand) -> None:
    """Mark where codes have been taken apart."""
    for x in operands:
        mark(m, "decode", x.significand, x.exponent, x.sign, x.zero, x.nan, x.infinity)


def integer_addend(spec: Arithmetic, a: Value, b: Value) -> Addend | None:
    """Multiply two codes of fixed-point values; None if they are not both of them.

    Returns
    -------
    Addend
        In units of ``2**unit_of_products(spec)``; see :func:`minimac.rtl.addend.multiply_fixed`.
    """
    if not (counts_as_fixed(spec.a) and counts_as_fixed(spec.b)):
        return None
    return multiply_fixed(spec.a, a, spec.b, b)


def integer_product(spec: Arithmetic, a: Value, b: Value) -> Value | None:
    """Multiply two codes of fixed-point values; None if they are not both of them.

    Returns
    -------
    Value
        In units of ``2**spec.lsb_exp``, signed if a product can be negative.
    """
    addend = integer_addend(spec, a, b)
    if addend is None:
        return None
    total, up = addend.total, unit_of_products(spec) - spec.lsb_exp
    return total << up if up else total


def code_product(spec: Arithmetic, a: Value, b: Value) -> Value | None:
    """Multiply two codes by adding them, where the product is a code of ``out``; else None.

    So it is for ``lmul_add`` and ``mitchell`` with an ``out`` of the operands' format: a product is
    in range, and needs no rounding. A product of zero has the sign of IEEE 754, if ``out`` has a
    negative zero.
    """
    fmt = spec.a
    if not spec.product.adds_codes or spec.out != fmt:
        return None
    assert isinstance(fmt, Minifloat)
    x, y = unpack(fmt, a), unpack(fmt, b)
    magnitude, over, zero = _sum_of_codes(spec, a, b, _both_normal(x, y), 0)
    nan = x.nan | y.nan
    if fmt.has_infinities:
        nan = nan | (x.infinity & y.zero) | (x.zero & y.infinity)
    special = is_special(fmt, a) | is_special(fmt, b)
    bits = fmt.magnitude_bits
    of_nan, of_infinity = (fmt.nan_code or 0) % (1 << bits), fmt.infinity_code or 0
    code = magnitude & (~(over | zero | special)).replicate(bits)
    code = code | Mux(special, of_nan & of_infinity, Mux(over, fmt.max_code, 0))
    code = code | Mux(nan, of_nan & ~of_infinity, 0)
    if of_infinity & ~of_nan:
        code = code | Mux((x.infinity | y.infinity) & ~nan, of_infinity & ~of_nan, 0)
    if not fmt.signed:
        return code[:bits]
    sign = (x.sign ^ y.sign) & ~nan
    sign = sign if fmt.has_negative_zero else sign & (over | special | ~zero)
    return Cat(code[:bits], sign | nan if fmt.nan_code == 1 << bits else sign)


def _special(spec: Arithmetic, a: Operand, b: Operand) -> Value:
    nan = a.nan | b.nan
    if special_bits(spec) < 2:
        return nan[: special_bits(spec)]
    nan = nan | (a.infinity & b.zero) | (a.zero & b.infinity)
    infinity = a.infinity | b.infinity
    negative = a.sign ^ b.sign
    return Cat(nan | (infinity & ~negative), nan | (infinity & negative))


def _both_normal(x: Operand, y: Operand) -> Value:
    return x.significand[-1] & y.significand[-1]


def _lmul(x: Operand, y: Operand, offset: int) -> tuple[Value, Value]:
    """Return significand, and whether it is zero, of the formula: mantissas are added."""
    zero = ~_both_normal(x, y)
    total = x.significand + y.significand[:-1] + offset
    bits = len(x.significand) + 1
    return total[:bits] & ~zero.replicate(bits), zero


def _sum_of_codes(
    spec: Arithmetic, a: Value, b: Value, normal: Value, less: int
) -> tuple[Value, Value, Value]:
    """Add two codes, both of them ``normal``, less the bias and another constant.

    Returns
    -------
    magnitude, over, zero : Value
        The sum; whether it is above the largest finite code, less the constant; whether the product
        is zero, which is meaningless if it is ``over``.
    """
    fmt = spec.a
    assert isinstance(fmt, Minifloat)
    man_bits, bits = fmt.man_bits, fmt.magnitude_bits
    # The bias as a small positive constant, less a power of two that only the top bits see. What
    # remains is added to a mantissa and to one exponent, which is smaller than to the whole code.
    constant = spec.product.offset(man_bits) - (fmt.bias << man_bits) - less
    top, rest = divmod(constant, 1 << bits - 1)
    mantissa = a[:man_bits] + b[:man_bits] + rest % (1 << man_bits)
    field = (a[man_bits:bits] + (rest >> man_bits)) + b[man_bits:bits] + mantissa[man_bits:]
    # No wider than a sum of finite codes is.
    total = Cat(mantissa[:man_bits], field)[: max((2 * fmt.max_code + rest).bit_length(), bits)]
    high = total[bits - 1 :].as_unsigned() + top
    magnitude = Cat(total[: bits - 1], high[0])
    above, negative = (high[1:-1].any(), high[-1]) if top < 0 else (high[1:].any(), Const(0, 1))
    over = ~negative & (above | at_least(magnitude, fmt.max_code + 1 - less))
    if constant + less + (1 << man_bits) > 1:
        over = over & normal  # the sum with a subnormal code can be as large
    low = ~at_least(magnitude, (1 << man_bits) - less)
    return magnitude, over, negative | low | ~normal


def _float_of_sum(spec: Arithmetic, a: Value, b: Value, x: Operand, y: Operand) -> FloatProduct:
    """Take apart the code that a sum of codes is."""
    fmt = spec.a
    assert isinstance(fmt, Minifloat)
    # The least exponent of a product counts as 0, and its field is 1.
    less = 1 << fmt.man_bits
    total, over, low = _sum_of_codes(spec, a, b, _both_normal(x, y), less)
    zero = low & ~over
    magnitude = Mux(over, fmt.max_code - less, total)[: fmt.magnitude_bits]
    significand = Cat(magnitude[: fmt.man_bits], Const(1, 1))
    return FloatProduct(
        sign=x.sign ^ y.sign,
        significand=significand & ~zero.replicate(len(significand)),
        zero=zero,
        special=_special(spec, x, y),
        steps=magnitude[fmt.man_bits :],
        least=0,
        most=fmt.max_exp - fmt.min_exp,
    )
