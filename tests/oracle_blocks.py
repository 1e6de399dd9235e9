"""Blocks, as the design says, written plainly: sections 3.1 and 4.6, exact and slow.

A block of elements shares a scale, and all blocks of a tensor may share one more. As in
:mod:`oracle`, only the declared fields of formats are the package's.

Examples
--------
>>> from minimac.spec import parse_format
>>> mxfp4 = parse_format("mxfp4")
>>> codes, scale = quantize_block(mxfp4, [6.0, -1.0, 0.25, 13.0], None)
>>> codes, scale  # 13 is 6.5 * 2, and saturates
([5, 9, 0, 7], 128)
>>> [float(number) for number in block_values(mxfp4, codes, scale, None)]
[6.0, -1.0, 0.0, 12.0]
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from minimac.spec import Arithmetic, BlockFormat, ExponentOnly, FixedPoint, Format, Minifloat
from oracle import (
    INFINITIES,
    RandomBits,
    Special,
    Term,
    Value,
    canonical_nan,
    chunked,
    exact,
    floor_log2,
    from_float,
    fused_group,
    largest,
    leading_one_term,
    pick,
    product,
    round_to,
    special_sum,
    spelled_out,
    total_of,
    value,
    values,
)

__all__ = [
    "block_chain",
    "block_values",
    "largest_error",
    "mean_relative_error",
    "mean_squared_error",
    "quantize_block",
    "scale_of",
    "tensor_scale",
    "times",
]

Number = Value | float | None


def as_value(number: Number) -> Value:
    """Return a tensor's scale, or any number, as a value; 1 where there is none."""
    if number is None:
        return Fraction(1)
    return number if isinstance(number, (Fraction, Special)) else from_float(float(number))


def times(x: Value, y: Value) -> Value:
    """Multiply two values exactly, with the rules of IEEE 754 for NaN, infinities and -0."""
    if Special.NAN in (x, y):
        return Special.NAN
    zeros = (Special.MINUS_ZERO, Fraction(0))
    signs = [
        part in (Special.MINUS_INFINITY, Special.MINUS_ZERO)
        if isinstance(part, Special)
        else part < 0
        for part in (x, y)
    ]
    negative = signs[0] != signs[1]
    if x in zeros or y in zeros:
        if x in INFINITIES or y in INFINITIES:
            return Special.NAN
        return Special.MINUS_ZERO if negative else Fraction(0)
    if isinstance(x, Special) or isinstance(y, Special):
        return Special.MINUS_INFINITY if negative else Special.PLUS_INFINITY
    return x * y


# --- 3.1: choosing scales ----------------------------------------------------------------------


def largest_value(fmt: Format) -> Fraction:
    """Return the largest finite value; of an asymmetric format not its largest magnitude."""
    number = value(fmt, largest(fmt, False))
    assert isinstance(number, Fraction)
    return number


def least_positive(fmt: Format) -> Fraction:
    """Return the least positive value of a format of scales; not a subnormal that is flushed."""
    ftz = isinstance(fmt, Minifloat) and fmt.ftz
    code = 0 if isinstance(fmt, ExponentOnly) else 2**fmt.man_bits if ftz else 1
    number = value(fmt, code)
    assert isinstance(number, Fraction)
    return number


def clamped(fmt: Format, number: Fraction) -> Fraction:
    """Bring a scale to the nearest positive finite value of its format if it is out of range."""
    return min(max(number, least_positive(fmt)), largest_value(fmt))


def amax(numbers: Iterable[Value]) -> Fraction:
    """Return the largest finite magnitude, zero if there is none."""
    return max((abs(n) for n in numbers if isinstance(n, Fraction)), default=Fraction(0))


def tensor_scale(fmt: BlockFormat, numbers: Iterable[float]) -> Fraction | None:
    """Return the scale of a whole tensor, by all its values; None if the format has none: 3.1.

    The largest magnitude becomes the largest element with the largest scale.
    """
    if fmt.tensor_scale is None:
        return None
    top = amax(map(from_float, map(float, numbers)))
    if top == 0:
        return Fraction(1)
    ideal = top / (largest_value(fmt.scale) * largest_value(fmt.element))
    rounded = value(fmt.tensor_scale, round_to(fmt.tensor_scale, ideal, "rne", "saturate"))
    assert isinstance(rounded, Fraction)
    return clamped(fmt.tensor_scale, rounded)


def ceil_log2(number: Fraction) -> int:
    """Return the least exponent of a power of two that is not below a positive fraction."""
    exponent = floor_log2(number)
    return exponent if Fraction(2) ** exponent == number else exponent + 1


def as_precise_as_elements(fmt: Format, number: Fraction) -> Fraction:
    """Round a magnitude to the precision of the elements, by ``rne``: 3.1, rule ``even``.

    That of a minifloat is its mantissa, with any exponent; that of fixed point as many significant
    bits as the largest value has.
    """
    values_of, _ = spelled_out(fmt, 0)
    exponent = floor_log2(number)
    if isinstance(values_of, FixedPoint):
        in_lsbs = largest_value(fmt) * Fraction(2) ** values_of.frac_bits
        mantissa_bits, below = in_lsbs.numerator.bit_length() - 1, 0
    else:  # an even code, should there be no mantissa
        mantissa_bits = values_of.man_bits
        below = (exponent + values_of.bias - 1) * 2**mantissa_bits
    ulp = Fraction(2) ** (exponent - mantissa_bits)
    lower = math.floor(number / ulp)
    return (pick("rne", False, below + lower, number / ulp - lower) - below) * ulp


def power_of_two(fmt: BlockFormat, top: Fraction) -> Fraction:
    """Return the scale that is a power of two, for a largest magnitude: 3.1, scale rules."""
    most = largest_value(fmt.element)
    match str(fmt.rule):
        case "floor":
            exponent = floor_log2(top) - floor_log2(most)
        case "ceil":
            exponent = ceil_log2(top) - floor_log2(most)
        case "even":
            exponent = floor_log2(as_precise_as_elements(fmt.element, top)) - floor_log2(most)
        case "roundup":
            exponent = ceil_log2(top / most)
        case _:
            raise AssertionError(fmt.rule)
    return Fraction(2) ** exponent


def rounded_ratio(fmt: BlockFormat, top: Fraction) -> Fraction:
    """Return the scale in a format with a mantissa, for a largest magnitude: 3.1, scale rules."""
    modes = {"floor": "truncate", "ceil": "up", "roundup": "up", "even": "rne"}
    ratio = top / largest_value(fmt.element)
    scale = value(fmt.scale, round_to(fmt.scale, ratio, modes[str(fmt.rule)], "saturate"))
    assert isinstance(scale, Fraction)
    return scale


def scale_of_least_error(fmt: BlockFormat, numbers: Sequence[Fraction]) -> Fraction:
    """Return the scale whose block is nearest, the largest of several: 3.1, rule ``mse``."""

    def error_then_size(scale: Fraction) -> tuple[Fraction, Fraction]:
        codes = [round_to(fmt.element, n / scale, "rne", "saturate") for n in numbers]
        got = [plain(value(fmt.element, code)) * scale for code in codes]
        return mean_squared_error(numbers, got), -scale

    scales = {n for n in values(fmt.scale) if isinstance(n, Fraction) and n > 0}
    return min(scales, key=error_then_size)


def plain(number: Value) -> Fraction:
    """Return a finite value without the sign of a zero."""
    assert not special_sum([number])
    return number if isinstance(number, Fraction) else Fraction(0)


def scale_of(fmt: BlockFormat, numbers: Sequence[Value]) -> Fraction:
    """Return the scale of a block of finite values: 3.1. That of nothing but zeros is 1."""
    top = amax(numbers)
    if top == 0:
        return Fraction(1)
    if str(fmt.rule) == "mse":
        return scale_of_least_error(fmt, [plain(number) for number in numbers])
    if isinstance(fmt.scale, ExponentOnly):
        return clamped(fmt.scale, power_of_two(fmt, top))
    return clamped(fmt.scale, rounded_ratio(fmt, top))


def quantize_block(
    fmt: BlockFormat, numbers: Sequence[float], tensor: Number
) -> tuple[list[int], int]:
    """Return the codes of the elements of a block, and that of its scale: 3.1.

    ``tensor`` is the scale of the tensor, if it has one. All is exact until a code is chosen.

    Raises
    ------
    ValueError
        If there is a NaN or an infinity in the block, and no NaN for its scale.
    """
    found = [from_float(float(number)) for number in numbers]
    if special_sum(found):
        nan = canonical_nan(fmt.scale)
        if nan is None:
            raise ValueError(f"{fmt.scale.name} has no NaN for a block with NaN or infinity")
        zero = round_to(fmt.element, Fraction(0), "rne", "saturate")
        return [zero] * len(found), nan
    whole = as_value(tensor)
    assert isinstance(whole, Fraction)
    found = [times(number, 1 / whole) for number in found]
    scale = scale_of(fmt, found)
    codes = [round_to(fmt.element, times(n, 1 / scale), "rne", "saturate") for n in found]
    return codes, round_to(fmt.scale, scale, "rne", "saturate")


def scale_value(fmt: BlockFormat, code: int) -> Value:
    """Return what the scale of a block means: an infinite one is no scale, and counts as NaN."""
    number = value(fmt.scale, int(code))
    return Special.NAN if number in INFINITIES else number


def block_values(
    fmt: BlockFormat, elements: Iterable[int], scale: int, tensor: Number
) -> list[Value]:
    """Return what a block means: each element times its scales, exactly: 3.1."""
    both = times(scale_value(fmt, scale), as_value(tensor))
    return [times(value(fmt.element, int(code)), both) for code in elements]


# --- 4.6: dot products -------------------------------------------------------------------------


def pair_sum(within: Any, products: Sequence[Term | Special]) -> Value:
    """Return the sum of the products of a pair of blocks: 4.6.

    It is exact, or that of one fused group, which finds the accumulator zero.
    """
    if within is not None:
        return fused_group(within, Fraction(0), products)
    finite = (exact(term) for term in products if isinstance(term, Term))
    return special_sum(products) or sum(finite, Fraction(0))


def scales_of(fmt: Format, codes: Iterable[int] | None, count: int) -> list[Value]:
    """Return the scales of the blocks of an operand; 1 if it is scalar: 4.6."""
    if codes is None:
        return [Fraction(1)] * count
    assert isinstance(fmt, BlockFormat)
    return [scale_value(fmt, code) for code in codes]


def block_chain(
    arithmetic: Arithmetic,
    a_elements: Iterable[int],
    a_scales: Iterable[int] | None,
    a_tensor: Number,
    b_elements: Iterable[int],
    b_scales: Iterable[int] | None,
    b_tensor: Number,
    random: RandomBits | None = None,
) -> int:
    """Return the code of ``out`` that a chain of pairs of blocks ends in: 4.6.

    Scales are codes, None for an operand that is scalar; tensors' scales are exact numbers, None
    where there is none. The sum of a pair of blocks, times both scales, is one term.
    """
    formats = [arithmetic.a, arithmetic.b]
    element_a, element_b = (f.element if isinstance(f, BlockFormat) else f for f in formats)
    products = [
        product(element_a, int(x), element_b, int(y), str(arithmetic.product))
        for x, y in zip(a_elements, b_elements, strict=True)
    ]
    (size,) = {fmt.size for fmt in formats if isinstance(fmt, BlockFormat)}
    pairs = chunked(products, size or max(1, len(products)))
    scales = zip(
        scales_of(arithmetic.a, a_scales, len(pairs)),
        scales_of(arithmetic.b, b_scales, len(pairs)),
        strict=True,
    )
    sums = [pair_sum(arithmetic.within, pair) for pair in pairs]
    terms = [times(times(s, x), y) for s, (x, y) in zip(sums, scales, strict=True)]
    total = total_of(arithmetic.accumulate, [leading_one_term(term) for term in terms])
    for tensor in (a_tensor, b_tensor):
        total = times(total, as_value(tensor))
    return round_to(arithmetic.out, total, arithmetic.out_round, arithmetic.out_overflow, random)


# --- Errors ------------------------------------------------------------------------------------


def mean_squared_error(wanted: Sequence[Fraction], got: Sequence[Fraction]) -> Fraction:
    """Return the mean of the squares of the differences."""
    return sum((x - y) ** 2 for x, y in zip(wanted, got, strict=True)) / Fraction(len(wanted))


def mean_relative_error(wanted: Sequence[Fraction], got: Sequence[Fraction]) -> Fraction:
    """Return the mean of the differences' magnitudes, each by what was wanted; zeros left out."""
    parts = [abs((x - y) / x) for x, y in zip(wanted, got, strict=True) if x]
    return sum(parts, Fraction(0)) / len(parts)


def largest_error(wanted: Sequence[Fraction], got: Sequence[Fraction]) -> Fraction:
    """Return the largest magnitude of a difference."""
    return max(abs(x - y) for x, y in zip(wanted, got, strict=True))
