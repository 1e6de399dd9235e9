"""Blocks: values that share scales, and the codes of both."""

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.operands import read_codes
from minimac.model.scalars import code_type, decode, encode, read_values
from minimac.model.tiling import run
from minimac.spec import (
    BlockFormat,
    Codebook,
    ExponentOnly,
    FixedPoint,
    Format,
    KHot,
    Minifloat,
    Rounding,
    ScaleRule,
)

__all__ = [
    "Blocks",
    "dequantize_blocks",
    "expand_scales",
    "quantize_blocks",
    "read_blocks",
]

Floats = NDArray[np.float64]
Reals = NDArray[Any]  # of float32 or float64
Indices = NDArray[Any]

# Values that are worked on at a time: few enough to stay in a cache.
_CHUNK = 1 << 16
_MACS = 16  # what a value takes, measured in what `run` counts in

# Beyond these exponents nothing changes: elements here are less than 2, and no value of a format is
# less than 2**-300 of its largest.
_FAR = 400

# Bits of a place where a rounding changes, at most.
_MOST_BITS = 52

_STOCHASTIC = frozenset(mode for mode in Rounding if mode.stochastic)


class Blocks(NamedTuple):
    """Codes of values in blocks, and of their scales."""

    #: Codes of the elements, in the shape of the values.
    elements: NDArray[Any]

    #: Codes of the scales: one for each block along the axis that blocks lie along, so that the
    #: shapes tell which it is. One block for a whole tensor has its scale in a shape of ones.
    scales: NDArray[Any]

    #: Scale of the whole tensor, a value of the format ``tensor_scale``; 1 if there is no such.
    tensor_scale: float = 1.0


class PlacedBlocks(NamedTuple):
    """Blocks that have been checked, and the axis that they lie along; None: one block for all."""

    elements: NDArray[Any]
    scales: NDArray[Any]
    tensor_scale: float
    axis: int | None


def quantize_blocks(
    fmt: Format,
    values: ArrayLike,
    axis: int = -1,
    rounding: Rounding | str = "rne",
    random_bits: Any = None,
    tensor_scale: float | None = None,
) -> Blocks:
    """Return values as elements with shared scales.

    A block with a NaN or an infinity has the scale NaN, and zeros as elements. One of zeros has the
    scale 1, or the nearest that there is.

    Parameters
    ----------
    fmt : BlockFormat
        Format of the result.
    values : array_like of float or int, any shape with at least one axis
        Numbers that float64 holds exactly.
    axis : int
        Axis that blocks lie along. The last block of a row may be short.
    rounding : Rounding or str
        Which neighbour an inexact element goes to; values beyond the largest element saturate.
        Scales are rounded as the rule of the format says.
    random_bits
        As in :func:`minimac.model.encode`, for a stochastic ``rounding``.
    tensor_scale : float, optional
        Scale of the tensor, a value of its format. By default it makes the largest magnitude the
        largest element with the largest scale.

    Returns
    -------
    Blocks
        Elements and scales. Each is the exact result, rounded once.

    Raises
    ------
    TypeError, ValueError
        As :func:`minimac.model.encode`; if there is no such axis; if a block has a NaN or an
        infinity and the format of the scales no NaN; if the rule is ``mse`` and scales have more
        than 16 bits.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> mxfp4 = parse_format("mxfp4")
    >>> blocks = quantize_blocks(mxfp4, [6.0, -1.0, 0.25, 13.0])
    >>> blocks.elements, blocks.scales  # 13 is 6.5 * 2, and saturates
    (array([5, 9, 0, 7], dtype=uint8), array([128], dtype=uint8))
    >>> dequantize_blocks(mxfp4, blocks)
    array([ 6., -1.,  0., 12.])
    """
    fmt = _block_format(fmt)
    array = np.asarray(values)
    if array.ndim == 0:
        raise ValueError("values must have an axis that blocks lie along, not be a single number")
    if array.dtype != np.float32:
        array = read_values(values)
    axis = _read_axis(axis, array.ndim, "axis")
    if tensor_scale is None:
        tensor = _choose_tensor_scale(fmt, array)
    else:
        tensor = _read_tensor_scale(fmt, tensor_scale, "tensor_scale")
    if fmt.size is None:
        shape, lines = (1,) * array.ndim, (1, array.size, 1)
    else:
        shape = _scales_shape(fmt.size, array.shape, axis)
        ahead, behind = array.shape[:axis], array.shape[axis + 1 :]
        lines = math.prod(ahead), array.shape[axis], math.prod(behind)
    place_bits = _place_bits(fmt.element, rounding in _STOCHASTIC)
    quotients, scales = _scale_lines(fmt, array.reshape(lines), tensor, place_bits)
    element, _ = _centred(fmt.element)
    elements = encode(element, quotients.reshape(array.shape), rounding, "saturate", random_bits)
    return Blocks(elements, scales.reshape(shape), tensor)


def dequantize_blocks(fmt: Format, blocks: Blocks) -> Floats:
    """Return the values of blocks: each element times the scale of its block and of the tensor.

    Parameters
    ----------
    fmt : BlockFormat
        Format of the blocks.
    blocks : Blocks
        Elements and scales; a tuple of them will do.

    Returns
    -------
    ndarray of float64, shape of the elements
        The exact products, rounded once where float64 does not hold them: with more than 53
        significant bits in the codes and scales of a value together (no format with a name of its
        own comes near), or beyond its range, to infinity or a subnormal. NaN, infinities and
        signs of zero as IEEE 754 has them: 0 in a block of scale NaN is NaN.

    Raises
    ------
    TypeError, ValueError
        As :func:`read_blocks`.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> nvfp4 = parse_format("nvfp4")
    >>> dequantize_blocks(nvfp4, Blocks([1, 7, 10], [0x38], 0.125))
    array([ 0.0625,  0.75  , -0.125 ])
    """
    fmt = _block_format(fmt)
    elements, scale_codes, tensor, axis = read_blocks(fmt, blocks)
    values, scales = decode(fmt.element, elements), decode(fmt.scale, scale_codes)
    with contextlib.suppress(FloatingPointError):
        # A product of two scales has at most 48 bits: it is exact unless it is out of range.
        with np.errstate(over="raise", under="raise", invalid="ignore"):
            scales = scales * tensor
        tensor = 1.0
    scales = _expand(fmt, scales, values.shape, axis)
    if tensor == 1:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.multiply(values, scales, out=values)  # which rounds once
    products: Floats = np.vectorize(_product, [np.float64])(values, scales, tensor)
    return products


def read_blocks(
    fmt: Format, blocks: Any, name: str = "blocks", axis: int | None = None
) -> PlacedBlocks:
    """Check blocks, and find the axis that they lie along.

    Parameters
    ----------
    fmt : BlockFormat
        Format of the blocks.
    blocks : Blocks or tuple
        What to check.
    name : str
        How errors call it.
    axis : int, optional
        Axis that blocks must lie along. One block for a whole tensor lies along every axis.

    Returns
    -------
    Blocks
        Arrays of codes, and ``axis`` from 0 on; None for one block for a whole tensor.

    Raises
    ------
    TypeError
        If these are not blocks, or codes are not integers.
    ValueError
        If a code is none of its format, shapes do not fit, the tensor's scale is no value of its
        format, or blocks lie along another axis.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> nvfp4 = parse_format("nvfp4")
    >>> blocks = Blocks(np.zeros((4, 40), np.uint8), np.zeros((4, 3), np.uint8), 1.0)
    >>> read_blocks(nvfp4, blocks).axis
    1
    >>> read_blocks(nvfp4, blocks, "b", axis=-2)
    Traceback (most recent call last):
        ...
    ValueError: b.scales must be of shape (1, 40) for blocks of 16 along axis 0, not (4, 3)
    """
    fmt = _block_format(fmt)
    if not isinstance(blocks, tuple) or not 2 <= len(blocks) <= 3:
        raise TypeError(f"{name} must be Blocks (see quantize_blocks), not {type(blocks).__name__}")
    blocks = Blocks(*blocks)
    elements = read_codes(fmt.element, blocks.elements, f"{name}.elements")
    scales = read_codes(fmt.scale, blocks.scales, f"{name}.scales")
    tensor = _read_tensor_scale(fmt, blocks.tensor_scale, f"{name}.tensor_scale")
    if elements.ndim == 0:
        raise ValueError(f"{name}.elements must have an axis that blocks lie along")
    asked = [] if axis is None else [_read_axis(axis, elements.ndim, "axis")]
    if fmt.size is None:
        if scales.shape != (1,) * elements.ndim:
            wanted = (1,) * elements.ndim
            raise ValueError(f"{name}.scales must be of shape {wanted}, not {scales.shape}")
        return PlacedBlocks(elements, scales, tensor, None)
    # Where several axes fit there are as many scales as elements, and the axis means nothing.
    for choice in asked or range(elements.ndim):
        if scales.shape == _scales_shape(fmt.size, elements.shape, choice):
            return PlacedBlocks(elements, scales, tensor, choice)
    if asked:
        wanted = _scales_shape(fmt.size, elements.shape, asked[0])
        raise ValueError(
            f"{name}.scales must be of shape {wanted} for blocks of {fmt.size} along axis "
            f"{asked[0]}, not {scales.shape}"
        )
    raise ValueError(
        f"{name}.scales must be of the shape {elements.shape} of {name}.elements but for one axis, "
        f"divided by {fmt.size}, not {scales.shape}"
    )


def expand_scales(fmt: Format, blocks: Blocks) -> NDArray[Any]:
    """Return the scale of each element, as a code.

    Parameters
    ----------
    fmt : BlockFormat
        Format of the blocks.
    blocks : Blocks
        Elements and scales.

    Returns
    -------
    ndarray of int, shape of the elements
        Codes of ``fmt.scale``; perhaps a read-only view.

    Raises
    ------
    TypeError, ValueError
        As :func:`read_blocks`.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> blocks = quantize_blocks(parse_format("mxfp4:size=2"), [6.0, 1.0, 24.0])
    >>> expand_scales(parse_format("mxfp4:size=2"), blocks)
    array([127, 127, 129], dtype=uint8)
    """
    fmt = _block_format(fmt)
    elements, scales, _, axis = read_blocks(fmt, blocks)
    return _expand(fmt, scales, elements.shape, axis)


def _block_format(fmt: Format) -> BlockFormat:
    if not isinstance(fmt, BlockFormat):
        raise TypeError(f"a format of blocks must be a BlockFormat (see parse_format), not {fmt!r}")
    return fmt


def _read_axis(axis: Any, ndim: int, name: str) -> int:
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise TypeError(f"{name} must be an integer, not {axis!r}")
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name} must be {-ndim} to {ndim - 1}, not {axis}")
    return int(axis) % ndim


def _read_tensor_scale(fmt: BlockFormat, scale: Any, name: str) -> float:
    array = np.asarray(scale)
    if array.ndim or array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be a number, not {type(scale).__name__}")
    value = float(array)
    if fmt.tensor_scale is None:
        if value != 1:
            raise ValueError(f"{name} must be 1 with {fmt.name}, which has none, not {value}")
        return value
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, not {value}")
    if decode(fmt.tensor_scale, encode(fmt.tensor_scale, value)) != value:
        raise ValueError(f"{name} must be a value of {fmt.tensor_scale.name}, not {value}")
    return value


def _scales_shape(size: int, shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], -(-shape[axis] // size), *shape[axis + 1 :])


def _expand(
    fmt: BlockFormat, array: NDArray[Any], shape: tuple[int, ...], axis: int | None
) -> NDArray[Any]:
    """Repeat what there is for each block for each of its elements."""
    if fmt.size is None or axis is None:
        return np.broadcast_to(array, shape)
    repeated: NDArray[Any] = np.repeat(array, fmt.size, axis)
    return repeated[(*[slice(None)] * axis, slice(shape[axis]))]


def _product(value: float, scale: float, tensor: float) -> float:
    """Multiply three numbers, the last one finite and positive, and round once."""
    if value == 0 or not (math.isfinite(value) and math.isfinite(scale)):
        return value * scale * tensor
    try:
        return float(Fraction(value) * Fraction(scale) * Fraction(tensor))
    except OverflowError:
        return math.copysign(math.inf, value) * math.copysign(1.0, scale)


# Whatever is rounded here is a quotient: of a value and its scales, or of a largest magnitude and
# the largest element. Float64 would be a first rounding. That does no harm where every place at
# which the second one changes, times the divisor, is a float64: between such a product and the next
# value, quotients differ by more than half an ulp, so only the exact one is rounded to that place.
# Otherwise quotients are rounded to odd, to that neighbour whose last bit is 1, unless they are
# exact. Places have a 0 there, so a quotient stays on its side of each, and rounding it by whatever
# mode does what it would do to the exact one. That takes places of at most 52 bits: as in all
# formats but tables with neighbours 2**28 apart; with stochastic modes if elements and random
# integers have at most 50 bits together.


def _divide(values: Reals, mantissas: Floats, exponents: Indices, place_bits: int) -> Reals:
    """Return ``values / (mantissas * 2**exponents)``, fit for a rounding.

    It may change at places of that many bits. Values of float32 are only divided by powers of two,
    and stay such; FloatingPointError if quotients are out of range then.
    """
    single = values.dtype == np.float32
    if single or np.abs(exponents).max(initial=0) < 900:
        try:
            # Processors tell whether anything was lost because it is out of range.
            with np.errstate(over="raise", under="raise"):
                divisors = np.ldexp(mantissas, exponents)
                return _quotients(values, divisors.astype(values.dtype), place_bits)
        except FloatingPointError:
            if single:
                raise
    parts, by = np.frexp(values)
    quotients = _quotients(parts, mantissas, place_bits)
    scaled: Reals = np.ldexp(quotients, (by - exponents).clip(-_FAR, _FAR))
    return scaled


def _quotients(values: Reals, divisors: Reals, place_bits: int) -> Reals:
    """Do that where nothing leaves the range of the type."""
    quotients: Reals = values / divisors
    integers = np.ldexp(np.frexp(divisors)[0], 53 - place_bits)
    if (integers == np.rint(integers)).all():
        return quotients
    # Halves of 26 bits: their products are exact, and so is each difference (Dekker, 1971). They
    # are worked out in place, as new arrays would take longer than the arithmetic.
    divisors_high, divisors_low = _halves(divisors)
    high, low = _halves(quotients)
    remainders = values - high * divisors_high
    high *= divisors_low
    remainders -= high
    remainders -= np.multiply(low, divisors_high, out=high)
    low *= divisors_low
    remainders -= low
    bits, step = quotients.view(np.int64), remainders.view(np.int64)
    moves = remainders != 0
    moves &= bits & 1 == 0
    step ^= bits
    step >>= 63
    step |= 1  # -1 where the exact magnitude is less, else 1
    step *= moves
    bits += step
    return quotients


def _halves(numbers: Floats) -> tuple[Floats, Floats]:
    """Split numbers into sums of two that have at most 26 significant bits (Veltkamp, 1968)."""
    high = numbers * (2.0**27 + 1)
    low = high - numbers
    high -= low
    return high, np.subtract(numbers, high, out=low)


def _divide_exactly(values: Floats, divisor: Fraction) -> tuple[Floats, Indices]:
    """Return quotients, rounded to odd, as mantissas in [1, 2) and exponents, of 0 as 0 and any."""
    by = divisor.numerator.bit_length() - divisor.denominator.bit_length()
    divisor /= Fraction(2) ** by
    parts, exponents = np.frexp(values)
    if divisor.numerator.bit_length() <= 53:
        quotients = _quotients(parts, np.array([float(divisor)]), _MOST_BITS)
    else:  # wide elements, and a tensor's scale with a long mantissa
        exact = (Fraction(float(part)) / divisor for part in parts.flat)
        quotients = np.array([_to_odd(number) for number in exact]).reshape(parts.shape)
    mantissas, more = np.frexp(quotients)
    return 2 * mantissas, exponents.astype(np.int64) + more - by - 1


def _to_odd(number: Fraction) -> float:
    """Round a number below 2 to odd, in 51 bits after the point."""
    floor, rest = divmod(number.numerator << 51, number.denominator)
    return math.ldexp(floor | (rest != 0), -51)


@functools.cache
def _centred(fmt: Format) -> tuple[Format, int]:
    """Return a format with the same codes whose largest value is in [1, 2), and an exponent.

    That is of the power of two by which values are less. Whatever the bias of a format, quotients
    that matter are so far from the limits of float64.
    """
    exponent = fmt.max_lsbs.bit_length() - 1 + fmt.lsb_exp
    return _shifted(fmt, exponent), exponent


def _shifted(fmt: Format, by: int) -> Format:
    """Return a format with the same codes for values that are less by ``2**by``."""
    if isinstance(fmt, Minifloat):
        return dataclasses.replace(fmt, bias=fmt.bias + by)
    if isinstance(fmt, FixedPoint):
        bits = fmt.int_bits - by, fmt.frac_bits + by
        return dataclasses.replace(fmt, int_bits=bits[0], frac_bits=bits[1])
    if isinstance(fmt, Codebook):
        return Codebook(_shifted(fmt.of, by), fmt.codes)
    assert isinstance(fmt, KHot)
    of = _shifted(fmt.of, by)
    assert isinstance(of, FixedPoint)
    return dataclasses.replace(fmt, of=of)


def _encode(fmt: Format, mantissas: Floats, exponents: Indices, rounding: Rounding) -> NDArray[Any]:
    """Return the codes of ``mantissas * 2**exponents``, which may be out of range of float64."""
    centred, by = _centred(fmt)
    numbers = np.ldexp(mantissas, (exponents - by).clip(-_FAR, _FAR))
    return encode(centred, numbers, rounding)


def _choose_tensor_scale(fmt: BlockFormat, values: Reals) -> float:
    """Return what makes the largest magnitude the largest element with the largest scale."""
    scale = fmt.tensor_scale
    if scale is None:
        return 1.0
    amax = float(np.abs(values).max(initial=0.0))
    if not math.isfinite(amax):
        amax = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    ratio = (np.ones(1), np.zeros(1, np.int64))
    if amax > 0:
        ratio = _divide_exactly(np.array([amax]), _largest(fmt.scale) * _largest(fmt.element))
    code = np.maximum(_encode(scale, *ratio, Rounding.RNE), _positive_codes(scale)[0])
    return float(decode(scale, code)[0])


def _choose_scales(fmt: BlockFormat, rule: ScaleRule, amax: Floats, tensor: float) -> Indices:
    """Return the codes of scales by a rule that only looks at the largest magnitudes."""
    element, scale = fmt.element, fmt.scale
    if not isinstance(scale, ExponentOnly):
        mantissas, exponents = _divide_exactly(amax, Fraction(tensor) * _largest(element))
        codes = _encode(scale, mantissas, exponents, _SCALE_ROUNDING[rule])
        return np.maximum(codes.astype(np.int64), _positive_codes(scale)[0])
    mantissas, exponents = _divide_exactly(amax, Fraction(tensor))
    largest = float(_largest(_centred(element)[0]))
    match rule:
        case ScaleRule.CEIL:
            more = mantissas > 1
        case ScaleRule.ROUNDUP:
            more = mantissas > largest
        case ScaleRule.EVEN:
            more = _carries(element, mantissas, exponents)
        case _:
            more = np.zeros(amax.shape, np.bool_)
    exponents += more - _centred(element)[1]
    return np.clip(exponents, scale.min_exp, scale.max_exp) - scale.min_exp


# What a rule for powers of two is for scales with a mantissa.
_SCALE_ROUNDING = {
    ScaleRule.FLOOR: Rounding.TRUNCATE,
    ScaleRule.CEIL: Rounding.UP,
    ScaleRule.EVEN: Rounding.RNE,
    ScaleRule.ROUNDUP: Rounding.UP,
}


def _carries(element: Format, mantissas: Floats, exponents: Indices) -> NDArray[np.bool_]:
    """Say which numbers become powers of two when rounded to the precision of an element."""
    of = element.value_format
    bits, is_odd = element.max_lsbs.bit_length() - 1, np.True_  # a mantissa of all ones is odd
    if isinstance(of, Minifloat):
        bits = of.man_bits
        if bits == 0:  # the exponent says whether a code is
            is_odd = (exponents + of.bias) % 2 == 1
    tie = 2 - 2.0 ** -(bits + 1)
    carries: NDArray[np.bool_] = (mantissas > tie) | ((mantissas == tie) & is_odd)
    return carries


def _positive_codes(scale: Format) -> range:
    """Return the codes of positive finite scales, in the order of their values."""
    if isinstance(scale, Minifloat):
        return range(1 << scale.man_bits if scale.ftz else 1, scale.max_code + 1)
    return range(scale.max_exp - scale.min_exp + 1)


def _nan_code(scale: Format) -> int | None:
    return scale.nan_code if isinstance(scale, (Minifloat, ExponentOnly)) else None


@functools.cache
def _code_of_one(scale: Format) -> int:
    return max(int(encode(scale, 1.0)), _positive_codes(scale)[0])


def _largest(fmt: Format) -> Fraction:
    return fmt.max_lsbs * Fraction(2) ** fmt.lsb_exp


def _place_bits(element: Format, stochastic: bool) -> int:
    """Return the most bits of a place where a rounding to elements changes."""
    if stochastic or isinstance(element, Codebook):
        return _MOST_BITS
    return min(element.sig_bits + 1, _MOST_BITS)


def _scale_lines(
    fmt: BlockFormat, lines: Reals, tensor: float, place_bits: int
) -> tuple[Reals, NDArray[Any]]:
    """Choose the scales of blocks along the middle one of three axes, and divide by them.

    Quotients are for the format of the elements that is centred.
    """
    lead, length, behind = lines.shape
    size = fmt.size or length
    whole = length - length % size if size else 0
    if 0 < whole < length:  # the last block is short
        ends = lines[:, :whole], lines[:, whole:]
        parts = [_scale_lines(fmt, end, tensor, place_bits) for end in ends]
        quotients, scales = (np.concatenate(pair, axis=1) for pair in zip(*parts))
        return quotients, scales
    size = min(size, length)
    count = length // size if size else int(fmt.size is None)
    blocks = lines.reshape(lead, count, size, behind)
    quotients, scales = _scale_blocks(fmt, blocks, tensor, place_bits)
    return quotients.reshape(lines.shape), scales


def _scale_blocks(
    fmt: BlockFormat, blocks: Reals, tensor: float, place_bits: int
) -> tuple[Reals, NDArray[Any]]:
    """Do that with whole blocks, along the last but one of four axes."""
    single = isinstance(fmt.scale, ExponentOnly) and tensor == 1
    quotients = np.empty(blocks.shape, blocks.dtype if single else np.float64)
    scales = np.empty((*blocks.shape[:2], blocks.shape[3]), code_type(fmt.scale))

    def work(i: slice, j: slice, k: slice) -> None:
        some = blocks[i, j, :, k].astype(quotients.dtype, copy=False)
        quotients[i, j, :, k], scales[i, j, k] = _scale_chunk(fmt, some, tensor, place_bits)

    try:
        run(work, _chunks(scales.shape, blocks.shape[2]), _MACS * blocks.size)
    except FloatingPointError:
        return _scale_blocks(fmt, blocks.astype(np.float64), tensor, place_bits)
    return quotients, scales


def _chunks(shape: tuple[int, ...], size: int) -> Iterator[tuple[slice, ...]]:
    """Cut an array of blocks into parts that stay in a cache."""
    room, cuts = max(1, _CHUNK // max(1, size)), []
    for length in reversed(shape):
        step = max(1, min(length, room))
        room = max(1, room // step)
        cuts.append([slice(start, start + step) for start in range(0, length, step)])
    return itertools.product(*reversed(cuts))


def _scale_chunk(
    fmt: BlockFormat, blocks: Reals, tensor: float, place_bits: int
) -> tuple[Reals, NDArray[Any]]:
    """Do that with few blocks, along the last but one of four axes."""
    amax = np.abs(blocks).max(axis=2, initial=0.0).astype(np.float64)
    special = ~np.isfinite(amax)
    nan = _nan_code(fmt.scale)
    if special.any():
        if nan is None:
            raise ValueError(f"values must be finite in {fmt.name}: {fmt.scale.name} has no NaN")
        amax[special] = 0.0
        blocks = np.where(special[:, :, None], 0.0, blocks)
    if fmt.rule is ScaleRule.MSE:
        rows = np.moveaxis(blocks, 2, 3).reshape(amax.size, blocks.shape[2])
        codes = _LeastError(fmt, rows, amax.ravel(), tensor).choose().reshape(amax.shape)
    else:
        codes = _choose_scales(fmt, fmt.rule, amax, tensor)
    codes[amax == 0] = _code_of_one(fmt.scale)
    mantissas, exponents = (part[:, :, None] for part in _weights(fmt, codes, tensor))
    quotients = _divide(blocks, mantissas, exponents, place_bits)
    if nan is not None:
        codes[special] = nan
    return quotients, codes


def _weights(fmt: BlockFormat, codes: NDArray[Any], tensor: float) -> tuple[Floats, Indices]:
    """Return what 1 in the centred format of the elements stands for, by the code of its scale.

    It is exact, as mantissas in [1/4, 1) and exponents.
    """
    mantissas, exponents = np.frexp(decode(fmt.scale, codes))
    mantissa, exponent = math.frexp(tensor)
    by = exponent + _centred(fmt.element)[1]
    return mantissas * mantissa, exponents.astype(np.int64) + by


class _LeastError:
    """A search for the scales with the least sums of squared errors, and of several the largest.

    Scales are numbered from the least positive one. All is in units of the largest magnitude of a
    block, rounded up to a power of two; scales are those of centred elements. (What is not certain
    is the choice for blocks 2**270 times the largest scale, with a table of one sign and no zero.)
    """

    def __init__(self, fmt: BlockFormat, blocks: Reals, amax: Floats, tensor: float) -> None:
        if fmt.scale.width > 16:
            raise ValueError(
                f"rule mse tries all scales: they must have at most 16 bits, not be of "
                f"{fmt.scale.name}"
            )
        codes = _positive_codes(fmt.scale)
        self.first_code, self.last = codes[0], len(codes) - 1
        self.mantissas, self.exponents = _weights(fmt, np.array(codes), tensor)
        self.element, _ = _centred(fmt.element)
        self.place_bits = _place_bits(fmt.element, False)
        self.is_table = isinstance(fmt.element, Codebook)
        self.is_power = isinstance(fmt.scale, ExponentOnly)
        if self.element.min_lsbs == 0:  # what is negative becomes 0, whatever the scale
            blocks = np.maximum(blocks, 0.0)
            amax = blocks.max(axis=1, initial=0.0).astype(np.float64)
        self.rows = np.flatnonzero(amax)  # where the scale matters
        self.roundup = _choose_scales(fmt, ScaleRule.ROUNDUP, amax, tensor) - codes[0]
        self.amax, self.units = np.frexp(amax)
        with np.errstate(under="ignore"):  # what is lost is zero at any scale worth trying
            self.blocks = np.ldexp(blocks.astype(np.float64, copy=False), -self.units[:, None])
        # Differences and their squares are rounded, and added: sums are less wrong than this. With
        # long significands products of elements and scales would be rounded too: all is in doubt.
        bits = sum(part.sig_bits for part in (fmt.element, fmt.scale, fmt.tensor_scale) if part)
        self.doubt = (blocks.shape[1] + 8) * 2.0**-52 if bits <= 53 else 1.0
        # The best scales yet.
        self.places = np.full(amax.shape, self.last)
        self.errors = np.zeros(amax.shape)

    def choose(self) -> Indices:
        """Return the codes of the best scales."""
        with np.errstate(under="ignore"):
            first = self.roundup[self.rows]
            self.places[self.rows], self.errors[self.rows] = first, self._errors(self.rows, first)
            self._descend()
            self._ascend()
        return self.places + self.first_code

    def _descend(self) -> None:
        """Try ever smaller scales.

        What is beyond the largest element is clipped. The squares of what is cut off are part of
        the error with this scale, and grow with smaller ones: when their sum reaches the least
        error, no smaller scale is better. And where the largest element is less than 2**-20 of the
        largest magnitude, over the size of a block, a smaller scale cuts off more of that one
        magnitude than is to be gained from all that are not clipped.
        """
        most = max(-self.element.min_lsbs, self.element.max_lsbs) * self._lsb
        size, tiny = self.blocks.shape[1], 2.0**-20 * self.amax
        if self.is_table:
            tiny[:] = 0.0  # which may lack a zero, or one of the signs
        rows, places = self.rows, self.roundup[self.rows]
        while rows.size:
            goes_on = (places > 0) & (self._scales(rows, places) * most * size >= tiny[rows])
            rows, places = rows[goes_on], places[goes_on] - 1
            reach = most * self._scales(rows, places)[:, None]
            cut = np.abs(self.blocks[rows])
            cut -= reach
            least = _squares(np.maximum(cut, 0.0, out=cut))
            goes_on = least * (1 - self.doubt) < self.errors[rows] * (1 + self.doubt)
            rows, places = rows[goes_on], places[goes_on]
            self._try(rows, places, ties=False)

    def _ascend(self) -> None:
        if self.is_power and not self.is_table:
            self._ascend_while_tied()
        else:
            self._ascend_until_all_are_least()

    def _ascend_while_tied(self) -> None:
        """Try larger scales: powers of two, for elements that have the double of each.

        From the scale of ``roundup`` on nothing is clipped. Twice an element is an element, unless
        it is beyond the largest, which then is nearer: so at twice the scale no value is nearer to
        its element. A larger scale is never better; but while it is as good, it is taken.
        """
        rows = self.rows[self.places[self.rows] == self.roundup[self.rows]]
        places = self.roundup[rows]
        while rows.size:
            goes_on = places < self.last
            rows, places = rows[goes_on], places[goes_on] + 1
            won = self._try(rows, places, ties=True)
            rows, places = rows[won], places[won]

    def _ascend_until_all_are_least(self) -> None:
        """Try larger scales, up to those at which all elements are the least magnitude.

        If that is zero, the largest scale of all is as good as the first of these; if not, errors
        grow from there on.
        """
        magnitudes = np.array([0.0, self._lsb])
        if isinstance(self.element, Codebook):
            magnitudes = np.unique(np.abs(decode(self.element, np.arange(len(self.element.codes)))))
        has_zero = magnitudes[0] == 0
        step = magnitudes[1] / 2 if has_zero else magnitudes[0]
        rows, places = self.rows, self.roundup[self.rows]
        while rows.size:
            goes_on = places < self.last
            rows, places = rows[goes_on], places[goes_on] + 1
            self._try(rows, places, ties=True)
            goes_on = step * self._scales(rows, places) <= self.amax[rows]
            rows, places = rows[goes_on], places[goes_on]
        if has_zero:
            self._try(self.rows, np.full(self.rows.shape, self.last), ties=True)

    @property
    def _lsb(self) -> float:
        return 2.0**self.element.lsb_exp

    def _scales(self, rows: Indices, places: Indices) -> Floats:
        """Return scales in the units of blocks."""
        exponents = (self.exponents[places] - self.units[rows]).clip(-_FAR, _FAR)
        scales: Floats = np.ldexp(self.mantissas[places], exponents)
        return scales

    def _products(self, rows: Indices, places: Indices) -> tuple[Floats, Floats]:
        """Return the elements and scales that blocks become with given scales."""
        scales = self._scales(rows, places)[:, None]
        codes = encode(self.element, _quotients(self.blocks[rows], scales, self.place_bits))
        return decode(self.element, codes), scales

    def _errors(self, rows: Indices, places: Indices) -> Floats:
        elements, scales = self._products(rows, places)
        elements *= scales
        return _squares(np.subtract(self.blocks[rows], elements, out=elements))

    def _try(self, rows: Indices, places: Indices, ties: bool) -> NDArray[np.bool_]:
        """Take scales where they are better, or with ``ties`` as good; say where."""
        errors, best = self._errors(rows, places), self.errors[rows]
        doubt = self.doubt * (errors + best) + 2.0**-1000
        won = errors < best - doubt
        unsure = np.flatnonzero(np.abs(errors - best) <= doubt)
        if unsure.size:
            some = rows[unsure]
            new, old = places[unsure], self.places[some]
            signs = self._compare(some, new, old)
            won[unsure] = (signs < 0) | (ties & (signs == 0))
        self.places[rows[won]], self.errors[rows[won]] = places[won], errors[won]
        return won

    def _compare(self, rows: Indices, new: Indices, old: Indices) -> NDArray[np.int8]:
        """Return the signs of the exact differences of errors, ``new`` less ``old``."""
        signs = np.zeros(rows.shape, np.int8)
        (e1, s1), (e0, s0) = (self._products(rows, places) for places in (new, old))
        differ = (e1 * s1 != e0 * s0) | (self.doubt == 1)
        for i in np.flatnonzero(differ.any(axis=1)):
            # What is cut off from values by the units of a block is where products are both zero.
            columns = self.blocks[rows[i]], e1[i], e0[i], differ[i]
            scales = Fraction(float(s1[i, 0])), Fraction(float(s0[i, 0]))
            total = Fraction(0)
            for x, y1, y0, matters in zip(*(column.tolist() for column in columns)):
                if matters:
                    p1, p0 = Fraction(y1) * scales[0], Fraction(y0) * scales[1]
                    total += (p0 - p1) * (2 * Fraction(x) - p0 - p1)
            signs[i] = (total > 0) - (total < 0)
        return signs


def _squares(numbers: Floats) -> Floats:
    """Sum the squares in each row."""
    sums: Floats = np.einsum("ij,ij->i", numbers, numbers)
    return sums
