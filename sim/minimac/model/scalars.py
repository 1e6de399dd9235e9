"""Values of codes, codes of values, and conversions between formats."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.operands import flat_codes, read_codes, source
from minimac.spec import FixedPoint, Format, Minifloat, Overflow, Rounding
from minimac.spec.errors import nearest

if TYPE_CHECKING:
    from minimac.model.kernels import Target

__all__ = ["code_type", "convert", "decode", "encode", "target"]


def decode(fmt: Format, codes: ArrayLike) -> NDArray[np.float64]:
    """Return the values of codes, exactly.

    Parameters
    ----------
    fmt : Format
        Format of the codes.
    codes : array_like of int, any shape
        Codes, in ``range(2**fmt.width)``.

    Returns
    -------
    ndarray of float64, shape of ``codes``
        Values, with NaN, infinities and -0 as such. Subnormal codes of a format that flushes to
        zero are zero of their sign.

    Raises
    ------
    TypeError
        If ``codes`` are not integers.
    ValueError
        If a code is out of range, or the unused one of a symmetric format.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> decode(parse_format("e4m3fn"), [0x01, 0x38, 0x7E, 0x80, 0x7F])
    array([ 1.953125e-03,  1.000000e+00,  4.480000e+02, -0.000000e+00,
                     nan])
    >>> decode(parse_format("s1.2"), [[3, 15]])
    array([[ 0.75, -0.25]])
    """
    array = read_codes(fmt, codes)
    from minimac.model.kernels import decode_array  # Numba takes longer to import than all else

    values = np.empty(array.size)
    decode_array(flat_codes(array), _scales(fmt), values, source(fmt))
    return values.reshape(array.shape)


def encode(
    fmt: Format,
    values: ArrayLike,
    rounding: Rounding | str = "rne",
    overflow: Overflow | str = "saturate",
    random_bits: None = None,
) -> NDArray[Any]:
    """Return the codes of values, rounded once.

    Parameters
    ----------
    fmt : Format
        Format of the result.
    values : array_like of float or int, any shape
        Numbers that float64 holds exactly.
    rounding : Rounding or str
        Which neighbour an inexact value goes to.
    overflow : Overflow or str
        What becomes of a value that is beyond the largest finite one once rounded. In an unsigned
        format so is a value that rounds to a negative number; the last finite one is then 0.
    random_bits : None
        Bits for stochastic modes; none of the modes that there are takes any.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape of ``values``
        Codes, in the narrowest type that holds those of ``fmt``.

    Raises
    ------
    TypeError
        If ``values`` are not real numbers.
    ValueError
        If ``random_bits`` are given, an integer is not exact in float64, ``fmt`` cannot express
        what ``overflow`` leads to, NaN has no code and ``overflow`` is not ``saturate`` (which
        makes it +0), or an infinity would have to wrap.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> encode(parse_format("e4m3fn"), [1.0, -1e9, 460.0, float("nan")])
    array([ 56, 254, 126, 127], dtype=uint8)
    >>> encode(parse_format("e5m2"), [1e9, -1e9], "up", "infinity")
    array([124, 251], dtype=uint8)
    >>> encode(parse_format("int8"), [2.5, -3.5, 200.0], overflow="wrap")
    array([  2, 252, 200], dtype=uint8)
    """
    if random_bits is not None:
        raise ValueError(f"random_bits must be None with rounding {rounding}, which is not random")
    to = target(
        fmt, _member(Rounding, rounding, "rounding"), _member(Overflow, overflow, "overflow")
    )
    exact = _read_values(values)
    from minimac.model.kernels import encode_array

    flat = exact.ravel()
    codes = np.empty(flat.size, np.uint32)
    failed = encode_array(flat.view(np.int64), codes, to)
    if failed >= 0:
        at = [int(i) for i in np.unravel_index(failed, exact.shape)]
        raise ValueError(
            f"values must have a code in {fmt.name}, which has none for {flat[failed]} (at index "
            f"{at}) with overflow {overflow}"
        )
    return codes.astype(code_type(fmt)).reshape(exact.shape)


def convert(
    src: Format,
    dst: Format,
    codes: ArrayLike,
    rounding: Rounding | str = "rne",
    overflow: Overflow | str = "saturate",
    random_bits: None = None,
) -> NDArray[Any]:
    """Turn codes of one format into codes of another, with one rounding.

    Parameters
    ----------
    src, dst : Format
        Formats of ``codes`` and of the result.
    codes : array_like of int, any shape
        Codes, in ``range(2**src.width)``.
    rounding, overflow, random_bits
        As in :func:`encode`.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape of ``codes``
        Codes of ``dst``.

    Raises
    ------
    TypeError, ValueError
        As :func:`decode` and :func:`encode`.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> convert(parse_format("bf16"), parse_format("e2m1"), [0x3F80, 0xC0A0, 0x7F80])
    array([ 2, 14,  7], dtype=uint8)
    """
    return encode(dst, decode(src, codes), rounding, overflow, random_bits)


@functools.cache
def _scales(fmt: Format) -> NDArray[np.float64]:
    return np.ldexp(1.0, np.arange(fmt.min_exp, fmt.max_exp + 1) - (fmt.sig_bits - 1))


def code_type(fmt: Format) -> type[np.unsignedinteger[Any]]:
    """Return the narrowest type of NumPy that holds the codes of a format."""
    return np.uint8 if fmt.width <= 8 else np.uint16 if fmt.width <= 16 else np.uint32


def _read_values(values: ArrayLike) -> NDArray[np.float64]:
    """Turn numbers into float64, and refuse those that it does not hold."""
    array = np.asarray(values)
    if array.dtype == np.float64 and isinstance(values, (list, tuple)):
        # NumPy has made floats of a mixture; look at what was given.
        given = np.asarray(values, object)
        if any(type(value) is int and abs(value) >= 2**53 for value in given.flat):
            for value, got in zip(given.flat, array.flat, strict=True):
                # Python compares its own integers and floats exactly, NumPy does not.
                if type(value) is int and value != float(got):
                    raise ValueError(f"values must be exact in float64, which {value} is not")
    integers = array.dtype == object and all(type(value) is int for value in array.flat)
    if integers or np.issubdtype(array.dtype, np.integer):
        try:
            exact = array.astype(np.float64)
        except OverflowError:
            raise ValueError("values must be in the range of float64") from None
        large = np.abs(exact) >= 2.0**53
        for given, got in zip(array[large].tolist(), exact[large].tolist()):
            if given != got:
                raise ValueError(f"values must be exact in float64, which {given} is not")
        return exact
    if array.dtype == bool or not np.can_cast(array.dtype, np.float64):
        raise TypeError(f"values must be real numbers that float64 holds, not {array.dtype}")
    return np.ascontiguousarray(array, np.float64).reshape(array.shape)


def _member(choices: Any, word: Any, name: str) -> Any:
    try:
        return choices(word)
    except ValueError:
        hint = nearest(word, map(str, choices)) if isinstance(word, str) else ""
        raise ValueError(
            f"{name} must be one of {', '.join(choices)}, not {word!r}{hint}"
        ) from None


@functools.cache
def target(fmt: Format, rounding: Rounding, overflow: Overflow) -> "Target":
    """Work out all that rounding to a format needs to know.

    Raises
    ------
    ValueError
        If the format cannot express what ``overflow`` leads to.
    """
    from minimac.model.kernels import Target

    nan: int | None = None
    infinities: tuple[int | None, int | None] = None, None
    if isinstance(fmt, FixedPoint):
        magnitudes = fmt.max_lsbs, -fmt.min_lsbs
        largest = fmt.max_lsbs, fmt.min_lsbs & ((1 << fmt.width) - 1)
        sign, least, binade, man_bits = 0, 0, 0, 1 << 16
    elif isinstance(fmt, Minifloat):
        sign, binade, man_bits = fmt.signed << fmt.magnitude_bits, 1 << fmt.man_bits, fmt.man_bits
        magnitudes = fmt.max_code, fmt.max_code if fmt.signed else 0
        largest = fmt.max_code, fmt.max_code | sign if fmt.signed else 0
        least = binade if fmt.ftz else 0
        nan = fmt.nan_code
        if fmt.infinity_code is not None:
            infinities = fmt.infinity_code, fmt.infinity_code | sign if fmt.signed else None
    else:
        raise TypeError(f"a format must be a Minifloat or a FixedPoint, not {fmt!r}")
    if overflow is Overflow.WRAP and not (isinstance(fmt, FixedPoint) and not fmt.symmetric):
        raise ValueError(f"overflow must not be wrap: {fmt.name} is not fixed point with all codes")
    if overflow in (Overflow.NAN, Overflow.INFINITY) and nan is None:
        raise ValueError(f"overflow must not be {overflow}: {fmt.name} has no such code")

    def code(*choices: int | None) -> int:
        return next((choice for choice in choices if choice is not None), -1)

    over, infinite = [], []
    for negative in (False, True):
        infinity = infinities[negative]
        match overflow:
            case Overflow.SATURATE:
                over.append(largest[negative])
                infinite.append(code(infinity, largest[negative]))
            case Overflow.INFINITY:
                kept = largest[negative] if rounding.keeps_finite(negative=negative) else None
                over.append(code(kept, infinity, nan))
                infinite.append(code(infinity, nan))
            case Overflow.NAN:
                over.append(code(nan))
                infinite.append(code(infinity, nan))
            case Overflow.WRAP:
                over.append(-1)
                infinite.append(-1)
    return Target(
        rounding=list(Rounding).index(rounding),
        lsb_exp=fmt.lsb_exp,
        man_bits=man_bits,
        binade=binade,
        least=least,
        max_positive=magnitudes[0],
        max_negative=magnitudes[1],
        sign=sign,
        negative_zero=isinstance(fmt, Minifloat) and fmt.has_negative_zero,
        wrap=overflow is Overflow.WRAP,
        mask=(1 << fmt.width) - 1,
        over_positive=over[0],
        over_negative=over[1],
        inf_positive=infinite[0],
        inf_negative=infinite[1],
        nan=code(nan, 0 if overflow is Overflow.SATURATE else None),
    )
