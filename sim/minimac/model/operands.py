"""Codes, taken apart as a multiplier sees them."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.spec import (
    BlockFormat,
    Codebook,
    ExponentOnly,
    FixedPoint,
    Format,
    KHot,
    Minifloat,
    NanCode,
)

if TYPE_CHECKING:
    from minimac.model.kernels import Source

__all__ = [
    "NARROW_BITS",
    "as_floats",
    "as_integers",
    "as_negatives",
    "as_signs",
    "flat_codes",
    "read_codes",
    "resolve",
    "source",
    "wide_integers",
]

#: Width of the codes that kernels take apart.
NARROW_BITS = 32


def read_codes(fmt: Format, codes: ArrayLike, name: str = "codes") -> NDArray[np.integer[Any]]:
    """Turn codes into an array of integers, all of which are codes of the format."""
    if not isinstance(fmt, Format):
        raise TypeError(f"a format must be a Format (see parse_format), not {fmt!r}")
    array = np.asarray(codes)
    if array.size == 0 and not isinstance(codes, np.ndarray):
        array = array.astype(np.int64)  # NumPy takes an empty list for floats
    top = (1 << fmt.width) - 1
    if array.dtype == object and all(type(code) is int for code in array.flat):
        wrong = (array < 0) | (array > top)
        if wrong.any():  # what int64 does not hold
            _reject(fmt, array, wrong, name)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, not {array.dtype}")
    limits = np.iinfo(array.dtype)
    if array.size and ((limits.min < 0 and array.min() < 0) or array.max() > top):
        _reject(fmt, array, (array < 0) | (array > top), name)
    unused = _is_unused(fmt, array)
    if unused is not None and unused.any():
        _reject(fmt, array, unused, name)
    return array


def _is_unused(fmt: Format, codes: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Say which codes stand for nothing, or None if all stand for something."""
    fmt = fmt.element if isinstance(fmt, BlockFormat) else fmt
    if isinstance(fmt, FixedPoint) and fmt.symmetric:
        return np.asarray(codes == 1 << fmt.width - 1)
    if isinstance(fmt, Codebook) and len(fmt.codes) < 1 << fmt.width:
        return np.asarray(codes >= len(fmt.codes))
    if isinstance(fmt, KHot):
        return np.asarray(_dense_codes(fmt)[codes])
    return None


@functools.cache
def _dense_codes(fmt: KHot) -> NDArray[np.bool_]:
    return np.array([not fmt.holds(code) for code in range(1 << fmt.width)])


def _reject(fmt: Format, array: NDArray[Any], wrong: NDArray[np.bool_], name: str) -> None:
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    top = (1 << fmt.width) - 1
    must = f"0 to {top}"
    if isinstance(fmt, FixedPoint) and fmt.symmetric:
        must += f" other than {1 << fmt.width - 1}"
    elif isinstance(fmt, Codebook):
        must = f"0 to {len(fmt.codes) - 1}"
    elif 0 <= array[at] <= top:
        must = "codes"
    where = f" (at index {list(at)})" if at else ""
    raise ValueError(f"{name} must be {must} to be of {fmt.name}, not {array[at]}{where}")


@functools.cache
def source(fmt: Format) -> "Source":
    """Work out all that taking codes apart needs to know (see :func:`resolve`)."""
    from minimac.model.kernels import Source

    beyond = 1 << 62
    if isinstance(fmt, FixedPoint):
        return Source(
            sign=1 << fmt.width - 1 if fmt.signed else beyond,
            complement=True,
            man_bits=62,
            mantissa=beyond - 1,
            bias=1 - fmt.min_exp,
            subnormals=1,
            infinity=-1,
            max_not_nan=beyond,
            nan=-1,
        )
    if isinstance(fmt, ExponentOnly):  # of codes plus 1, so that there is no subnormal
        return Source(
            sign=beyond,
            complement=False,
            man_bits=0,
            mantissa=0,
            bias=1 - fmt.min_exp,
            subnormals=0,
            infinity=-1,
            max_not_nan=fmt.nan_code,
            nan=-1,
        )
    if not isinstance(fmt, Minifloat):
        return source(fmt.value_format)
    signed_nan = fmt.signed and fmt.specials.nan is NanCode.NEGATIVE_ZERO
    return Source(
        sign=1 << fmt.magnitude_bits if fmt.signed else beyond,
        complement=False,
        man_bits=fmt.man_bits,
        mantissa=(1 << fmt.man_bits) - 1,
        bias=fmt.bias,
        subnormals=int(not fmt.ftz),
        infinity=-1 if fmt.infinity_code is None else fmt.infinity_code,
        max_not_nan=fmt.max_code + fmt.has_infinities,
        nan=fmt.nan_code if signed_nan and fmt.nan_code is not None else -1,
    )


def flat_codes(codes: NDArray[Any]) -> NDArray[np.uint32]:
    """Return codes along one axis and in one type, so that loops are compiled for one only."""
    return np.ascontiguousarray(codes, np.uint32).ravel()


def wide_integers(fmt: Format, codes: NDArray[Any]) -> NDArray[np.int64]:
    """Return fixed-point values of any width as multiples of ``2**fmt.lsb_exp``."""
    values = codes.astype(np.int64)
    return values - ((values > fmt.max_lsbs).astype(np.int64) << fmt.width)


def resolve(fmt: Format, codes: NDArray[Any]) -> NDArray[np.uint32]:
    """Return codes along one axis, as :func:`source` says what they mean: those of values."""
    fmt = fmt.element if isinstance(fmt, BlockFormat) else fmt
    flat = flat_codes(codes)
    if isinstance(fmt, Codebook):
        return _table(fmt)[flat]
    return flat + np.uint32(1) if isinstance(fmt, ExponentOnly) else flat


@functools.cache
def _table(fmt: Codebook) -> NDArray[np.uint32]:
    return np.array(fmt.codes, np.uint32)


def as_integers(fmt: Format, codes: NDArray[Any], word: type[Any]) -> NDArray[Any]:
    """Return values as multiples of ``2**fmt.lsb_exp`` in type ``word``; special codes as 0."""
    from minimac.model.kernels import split_integers

    values = np.empty(codes.size, word)
    split_integers(resolve(fmt, codes), values, source(fmt))
    return values.reshape(codes.shape)


def as_floats(
    fmt: Format, codes: NDArray[Any], word: type[Any], zero_exponent: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return signed significands and exponents in type ``word``; special codes as zero."""
    from minimac.model.kernels import split_floats

    significands, exponents = np.empty(codes.size, word), np.empty(codes.size, word)
    split_floats(resolve(fmt, codes), significands, exponents, zero_exponent, source(fmt))
    return significands.reshape(codes.shape), exponents.reshape(codes.shape)


def as_negatives(fmt: Format, codes: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which codes have a negative sign, zeros among them."""
    return np.asarray(resolve(fmt, codes) >= source(fmt).sign).reshape(codes.shape)


def as_signs(fmt: Format, codes: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return signs, 0 of zero and NaN, and what is special: 1 for infinities, 2 for NaN."""
    from minimac.model.kernels import split_signs

    signs, specials = np.empty(codes.size, np.int8), np.empty(codes.size, np.int8)
    split_signs(resolve(fmt, codes), signs, specials, source(fmt))
    return signs.reshape(codes.shape), specials.reshape(codes.shape)
