"""Codes, taken apart as a multiplier sees them."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.spec import FixedPoint, Format, Minifloat, NanCode

if TYPE_CHECKING:
    from minimac.model.kernels import Source

__all__ = ["as_floats", "as_integers", "as_signs", "flat_codes", "read_codes", "source"]


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
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} must be integers, not {array.dtype}")
    limits = np.iinfo(array.dtype)
    if array.size and ((limits.min < 0 and array.min() < 0) or array.max() > top):
        _reject(fmt, array, (array < 0) | (array > top), name)
    if isinstance(fmt, FixedPoint) and fmt.symmetric:
        unused = array == 1 << fmt.width - 1
        if unused.any():
            _reject(fmt, array, unused, name)
    return array


def _reject(fmt: Format, array: NDArray[Any], wrong: NDArray[np.bool_], name: str) -> None:
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    unused = isinstance(fmt, FixedPoint) and fmt.symmetric
    raise ValueError(
        f"{name} must be 0 to {(1 << fmt.width) - 1}"
        + (f" other than {1 << fmt.width - 1}" if unused else "")
        + f" to be of {fmt.name}, not {array[at]}"
        + (f" (at index {list(at)})" if at else "")
    )


@functools.cache
def source(fmt: Format) -> "Source":
    """Work out all that taking codes apart needs to know."""
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
    if not isinstance(fmt, Minifloat):
        raise TypeError(f"a format must be a Minifloat or a FixedPoint, not {fmt!r}")
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


def as_integers(fmt: Format, codes: NDArray[Any], word: type[Any]) -> NDArray[Any]:
    """Return values as multiples of ``2**fmt.lsb_exp`` in type ``word``; special codes as 0."""
    from minimac.model.kernels import split_integers

    values = np.empty(codes.size, word)
    split_integers(flat_codes(codes), values, source(fmt))
    return values.reshape(codes.shape)


def as_floats(
    fmt: Format, codes: NDArray[Any], word: type[Any], zero_exponent: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return signed significands and exponents in type ``word``; special codes as zero."""
    from minimac.model.kernels import split_floats

    significands, exponents = np.empty(codes.size, word), np.empty(codes.size, word)
    split_floats(flat_codes(codes), significands, exponents, zero_exponent, source(fmt))
    return significands.reshape(codes.shape), exponents.reshape(codes.shape)


def as_signs(fmt: Format, codes: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return signs, 0 of zero and NaN, and what is special: 1 for infinities, 2 for NaN."""
    from minimac.model.kernels import split_signs

    signs, specials = np.empty(codes.size, np.int8), np.empty(codes.size, np.int8)
    split_signs(flat_codes(codes), signs, specials, source(fmt))
    return signs.reshape(codes.shape), specials.reshape(codes.shape)
