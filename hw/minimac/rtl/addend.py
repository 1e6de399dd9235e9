"""Products of fixed-point values in two's complement, as something to add to a sum.

Magnitudes would cost a negation on either side; and where a product is but one operand, negated or
shifted or not at all, it costs no multiplier. Negation is complementing and adding one, and that
one is left to whoever adds: an adder takes it for next to nothing.
"""

import functools
import operator
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Shape, Value

from minimac.rtl.lookup import look_up
from minimac.rtl.operand import counts_as_fixed, integer, integers, shape_of
from minimac.spec import FixedPoint, Format, KHot

__all__ = ["Addend", "is_binary", "multiply_fixed", "takes_multiplier"]

# Bits of a pair of codes up to which a table is smaller than a multiplier: elements of int3 x int3
# by 10 to 14 %, of int2 x int4 by 2 to 4 % (sky130 and asap7). Of int4 and a codebook of 3 bits it
# is a fifth larger; and tables of float products (e2m1, nf4, codebooks of 2 bits) are never smaller
# than decoders, multiplier and shifter.
_TABLE_BITS = 6


@dataclass(frozen=True)
class Addend:
    """An integer, ``value + carry``.

    Attributes
    ----------
    value : Value
        Signed if anything is negative.
    carry : Value
        1 bit.
    """

    value: Value
    carry: Value

    @property
    def total(self) -> Value:
        """Both in one."""
        return self.value if isinstance(self.carry, Const) else self.value + self.carry


def multiply_fixed(x: Format, a: Value, y: Format, b: Value) -> Addend:
    """Multiply two codes of fixed-point values, in units of ``2**(unit_exp(x) + unit_exp(y))``.

    The circuit is chosen by the formats:

    * values of -1, 0 and 1 only, as ``bin`` and ``tern`` have: the other operand, complemented or
      masked. Both of them so: for ``bin`` an exclusive or, ``..111`` or ``..001``;
    * few bits: a table;
    * ``khot1``: the other operand, shifted by AND and OR with the lowest one that is set of the
      code, which for a power of two of either sign is the only digit there is. An element with
      int8 is 43 % smaller than with a multiplier. Two digits took more than a multiplier (6 % with
      int8): each has its own shifter, and telling them apart takes an adder;
    * else a multiplier.
    """
    if _rank(x) > _rank(y):
        x, a, y, b = y, b, x, a
    p, q = integers(x), integers(y)
    if q and _is_ternary(y) and not _is_ternary(x):
        return _negated_or_not(integer(x, a), b, q)
    if p and q and x.width + y.width <= _TABLE_BITS:
        products = [None if n is None or k is None else n * k for k in q for n in p]
        return Addend(look_up(Cat(a, b), products, shape_of(products)), Const(0, 1))
    if isinstance(y, KHot) and y.digits == 1:
        return _shifted(integer(x, a), b, y.of)
    return Addend(integer(x, a) * integer(y, b), Const(0, 1))


def takes_multiplier(x: Format, y: Format) -> bool:
    """Whether codes of fixed point are multiplied by a multiplier, and not by something smaller."""
    if not (isinstance(x, FixedPoint) and isinstance(y, FixedPoint)):
        return False
    return x.width + y.width > _TABLE_BITS and not (_is_ternary(x) or _is_ternary(y))


def _rank(fmt: Format) -> int:
    """Order operands: the one that spares the other a multiplier comes second."""
    return 2 if _is_ternary(fmt) else int(isinstance(fmt, KHot) and fmt.digits == 1)


def is_binary(fmt: Format) -> bool:
    """Whether all values are 1 or -1, in their unit."""
    return counts_as_fixed(fmt) and set(integers(fmt) or [0]) <= {-1, 1, None}


def _is_ternary(fmt: Format) -> bool:
    values = integers(fmt)
    return values is not None and set(values) <= {-1, 0, 1, None}


def _negated_or_not(number: Value, code: Value, values: list[int | None]) -> Addend:
    """Multiply by a code of -1, 0 or 1."""
    bit = Shape(1)
    negative = look_up(code, [None if v is None else v < 0 for v in values], bit)
    used = look_up(code, [None if v is None else v != 0 for v in values], bit)
    word = _word(number)
    value = (word & used.replicate(len(word))) ^ negative.replicate(len(word))
    return Addend(value.as_signed(), negative)


def _shifted(number: Value, code: Value, fmt: FixedPoint) -> Addend:
    """Multiply by a code that is zero or a power of two, or its negative."""
    word = _word(number)
    bits = len(word) + fmt.width - 1
    terms, seen = [], Const(0, 1)
    for place, bit in enumerate(code):
        lowest = (bit & ~seen).replicate(bits)
        above = word[-1].replicate(bits - len(word) - place)
        terms.append(Cat(Const(0, place), word, above) & lowest)
        seen = seen | bit
    negative = code[-1] if fmt.signed else Const(0, 1)
    value = functools.reduce(operator.or_, terms) ^ negative.replicate(bits)
    return Addend(value.as_signed(), negative)


def _word(number: Value) -> Value:
    """Return the bits of an integer in two's complement, sign included."""
    return number.as_unsigned() if number.shape().signed else Cat(number, Const(0, 1))
