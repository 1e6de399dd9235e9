"""Values of codes, codes of values, and conversions between formats."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.grids import find_bounds, round_by_chance
from minimac.model.operands import NARROW_BITS, flat_codes, read_codes, source, wide_integers
from minimac.model.tiling import run
from minimac.spec import (
    Codebook,
    ExponentOnly,
    FixedPoint,
    Format,
    GridFormat,
    KHot,
    Minifloat,
    Overflow,
    Rounding,
)
from minimac.spec.errors import nearest

if TYPE_CHECKING:
    from minimac.model.kernels import FloatTarget, Target

__all__ = [
    "RandomBits",
    "code_type",
    "convert",
    "decode",
    "encode",
    "read_random",
    "read_values",
    "target",
]

#: Random integers of a stochastic mode; with their width unless that is the width of their type.
RandomBits = ArrayLike | tuple[ArrayLike, int]

_TABLE_BITS = 16  # codes this wide are looked up: a table of theirs stays in the cache
_SPAN = 1 << 18  # values that a thread takes at a time
_MACS = 4  # what a value takes, measured in what `run` counts in


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
    _check_scalar(fmt)
    array = read_codes(fmt, codes)
    if fmt.width <= _TABLE_BITS:
        return _look_up(_values(fmt), array)
    return _decode(fmt, array)


def encode(
    fmt: Format,
    values: ArrayLike,
    rounding: Rounding | str = "rne",
    overflow: Overflow | str = "saturate",
    random_bits: RandomBits | None = None,
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
    random_bits : array_like or (array_like, int), optional
        For a stochastic mode, and only there: random integers in ``range(2**N)``, which broadcast
        to the shape of ``values``. N is the width of their type, which is uint8, uint16 or uint32;
        or it is given, 1 to 32, as the second of a pair.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape of ``values``
        Codes, in the narrowest type that holds those of ``fmt``.

    Raises
    ------
    TypeError
        If ``values`` are not real numbers, or ``random_bits`` are not unsigned integers.
    ValueError
        If ``random_bits`` are missing, out of range or not wanted, an integer is not exact in
        float64, ``fmt`` cannot express what ``overflow`` leads to, NaN has no code and ``overflow``
        is not ``saturate`` (which makes it +0), or an infinity would have to wrap.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> encode(parse_format("e4m3fn"), [1.0, -1e9, 460.0, float("nan")])
    array([ 56, 254, 126, 127], dtype=uint8)
    >>> encode(parse_format("e5m2"), [1e9, -1e9], "up", "infinity")
    array([124, 251], dtype=uint8)
    >>> encode(parse_format("int8"), [2.5, -3.5, 200.0], overflow="wrap")
    array([  2, 252, 200], dtype=uint8)
    >>> encode(parse_format("int8"), [2.25] * 4, "sr_a", random_bits=([0, 1, 2, 3], 2))
    array([2, 2, 2, 3], dtype=uint8)
    """
    _check_scalar(fmt)
    mode = _member(Rounding, rounding, "rounding")
    rule = _member(Overflow, overflow, "overflow")
    _check_overflow(fmt, rule)
    exact = _read_floats(values)
    random, width = read_random(random_bits, mode, exact.shape)
    flat = exact.reshape(-1)
    codes = np.empty(flat.size, code_type(fmt))
    if not isinstance(fmt, GridFormat):
        to = target(fmt, mode, rule, width)
        if to.wrap:
            _check_finite(fmt, exact, rule)
        _encode(flat, random, codes, to)
    elif mode.stochastic:
        codes[:] = round_by_chance(fmt, flat, mode, rule, random, width)
    else:
        from minimac.model.kernels import encode_sorted

        bounds = find_bounds(fmt, mode, rule)
        _run(encode_sorted, flat.size, lambda span: (flat[span], *bounds, codes[span]))
    return codes.reshape(exact.shape)


def convert(
    src: Format,
    dst: Format,
    codes: ArrayLike,
    rounding: Rounding | str = "rne",
    overflow: Overflow | str = "saturate",
    random_bits: RandomBits | None = None,
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
    _check_scalar(src)
    array = read_codes(src, codes)
    if src.width <= _TABLE_BITS and array.size > 1 << src.width and random_bits is None:
        mode = _member(Rounding, rounding, "rounding")
        table = _conversion(src, dst, mode, _member(Overflow, overflow, "overflow"))
        if table is not None:
            return _look_up(table, array)
    return encode(dst, decode(src, array), rounding, overflow, random_bits)


@functools.lru_cache(maxsize=64)
def _conversion(
    src: Format, dst: Format, rounding: Rounding, overflow: Overflow
) -> NDArray[Any] | None:
    """Return what each code becomes; None if there are some that become nothing."""
    try:
        return encode(dst, _values(src), rounding, overflow)
    except ValueError:
        return None


@functools.lru_cache(maxsize=64)
def _values(fmt: Format) -> NDArray[np.float64]:
    """Return the values of all codes. What is no code has any value."""
    if isinstance(fmt, KHot):
        return _values(fmt.of)
    if isinstance(fmt, Codebook):
        unused = (1 << fmt.width) - len(fmt.codes)
        return np.append(decode(fmt.of, fmt.codes), [np.nan] * unused)
    if isinstance(fmt, ExponentOnly):
        return np.append(np.ldexp(1.0, np.arange(fmt.min_exp, fmt.max_exp + 1)), np.nan)
    return _decode(fmt, np.arange(1 << fmt.width, dtype=np.uint32))


def _decode(fmt: Format, codes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values of codes, each taken apart."""
    if fmt.width > NARROW_BITS:
        return np.ldexp(wide_integers(fmt, codes).astype(np.float64), fmt.lsb_exp)
    from minimac.model.kernels import decode_array  # Numba takes longer to import than all else

    flat, values, of = flat_codes(codes), np.empty(codes.size), source(fmt)
    scales = np.ldexp(1.0, np.arange(fmt.min_exp, fmt.max_exp + 1) - (fmt.sig_bits - 1))
    _run(decode_array, flat.size, lambda span: (flat[span], scales, values[span], of))
    return values.reshape(codes.shape)


def _look_up(table: NDArray[Any], codes: NDArray[Any]) -> NDArray[Any]:
    """Return the entry of each code."""
    from minimac.model.kernels import look_up

    is_narrow = codes.dtype in (np.uint8, np.uint16)
    flat = codes.reshape(-1) if is_narrow else flat_codes(codes)
    results = np.empty(flat.size, table.dtype)
    _run(look_up, flat.size, lambda span: (flat[span], table, results[span]))
    return results.reshape(codes.shape)


def _encode(values: NDArray[Any], random: NDArray[Any], codes: NDArray[Any], to: "Target") -> None:
    """Write the codes of values of float32 or float64, along one axis."""
    from minimac.model.kernels import encode_array, float_encoder

    kernel: Callable[..., None]
    prepared: FloatTarget | Target | None = _float_target(to, values.dtype == np.float64)
    if prepared is None:
        values = values.astype(np.float64, copy=False)
        prepared = _float_target(to, True)
    wide = values.dtype == np.float64
    if prepared is None:
        kernel, prepared = encode_array, to
    else:
        kernel = float_encoder(wide, to.random_bits > 0)
    bits = values.view(np.int64 if wide else np.int32)
    _run(kernel, bits.size, lambda span: (bits[span], random[span], codes[span], prepared))


def _run(
    kernel: Callable[..., None], size: int, arguments: Callable[[slice], tuple[Any, ...]]
) -> None:
    """Call a kernel with the arguments of one span of an axis after the other."""
    spans = (slice(start, start + _SPAN) for start in range(0, size, _SPAN))
    run(kernel, map(arguments, spans), _MACS * size)


def code_type(fmt: Format) -> type[np.unsignedinteger[Any]]:
    """Return the narrowest type of NumPy that holds the codes of a format."""
    return _unsigned_type(fmt.width)


def _unsigned_type(width: int) -> type[np.unsignedinteger[Any]]:
    return next(
        word for word in (np.uint8, np.uint16, np.uint32, np.uint64) if width <= np.iinfo(word).bits
    )


def read_values(values: ArrayLike) -> NDArray[np.float64]:
    """Turn numbers into float64, and refuse those that it does not hold."""
    return _read_floats(values).astype(np.float64, copy=False)


def _read_floats(values: ArrayLike) -> NDArray[np.float32] | NDArray[np.float64]:
    """Turn numbers into float32 if it holds all of their type, and else into float64."""
    array = np.asarray(values)
    if array.dtype == np.float64 and isinstance(values, (list, tuple)):
        # NumPy has made floats of a mixture; look at what was given.
        given = np.asarray(values, object)
        for value, got in zip(given.flat, array.flat, strict=True):
            # Python compares its own integers and floats exactly, NumPy does not.
            if isinstance(value, (int, np.integer)) and int(value) != float(got):
                raise ValueError(f"values must be exact in float64, which {value} is not")
    if array.dtype != bool and np.can_cast(array.dtype, np.float32):
        return np.ascontiguousarray(array, np.float32).reshape(array.shape)
    integers = array.dtype == object and all(type(value) is int for value in array.flat)
    if integers or array.dtype.kind in "iu":
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


def read_random(
    random_bits: RandomBits | None, rounding: Rounding, shape: tuple[int, ...]
) -> tuple[NDArray[Any], int]:
    """Return a random integer for each value, along one axis, and the width of each; none: 0."""
    if not rounding.stochastic:
        if random_bits is not None:
            raise ValueError(
                f"random_bits must be None with rounding {rounding}, which is not random"
            )
        return np.empty(0, np.uint32), 0
    if random_bits is None:
        raise ValueError(
            f"random_bits must be given with rounding {rounding}: integers of 8, 16 or 32 bits "
            "without a sign, or a pair (bits, N)"
        )
    if isinstance(random_bits, tuple):
        array, width = _read_pair(random_bits)
    else:
        array = np.asarray(random_bits)
        width = 8 * array.itemsize
        if array.dtype.kind != "u" or width > 32:
            raise TypeError(
                "random_bits must be of type uint8, uint16 or uint32, or a pair (bits, N), not of "
                f"type {array.dtype}"
            )
    try:
        array = np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"random_bits must broadcast to the shape of values, {shape}, not be of {array.shape}"
        ) from None
    return np.ascontiguousarray(array, _unsigned_type(width)).reshape(-1), width


def _read_pair(pair: tuple[Any, ...]) -> tuple[NDArray[Any], int]:
    """Return random integers and their width."""
    if len(pair) != 2 or not isinstance(pair[1], (int, np.integer)):
        raise TypeError(f"random_bits must be an array or a pair (bits, N), not {pair!r}")
    array, width = np.asarray(pair[0]), int(pair[1])
    if not 1 <= width <= 32:
        raise ValueError(f"random_bits must be a pair (bits, N) with N of 1 to 32, not {width}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"random_bits must be integers, not {array.dtype}")
    if array.size and not 0 <= array.min() <= array.max() < 1 << width:
        raise ValueError(
            f"random_bits of {width} bits must be 0 to {(1 << width) - 1}, not {array.min()} to "
            f"{array.max()}"
        )
    return array, width


def _check_scalar(fmt: Format) -> None:
    if not isinstance(fmt, Minifloat | FixedPoint | GridFormat):
        found = fmt.name if isinstance(fmt, Format) else repr(fmt)
        raise TypeError(f"a format must be one of scalars (see parse_format), not {found}")


def _check_finite(fmt: Format, values: NDArray[Any], overflow: Overflow) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        at = [int(i) for i in np.argwhere(~finite)[0]]
        raise ValueError(
            f"values must have a code in {fmt.name}, which has none for {values[tuple(at)]} "
            f"(at index {at}) with overflow {overflow}"
        )


def _member(choices: Any, word: Any, name: str) -> Any:
    try:
        return choices(word)
    except ValueError:
        hint = nearest(word, map(str, choices)) if isinstance(word, str) else ""
        raise ValueError(
            f"{name} must be one of {', '.join(choices)}, not {word!r}{hint}"
        ) from None


def _check_overflow(fmt: Format, overflow: Overflow) -> None:
    if overflow is Overflow.WRAP and not (isinstance(fmt, FixedPoint) and not fmt.symmetric):
        raise ValueError(f"overflow must not be wrap: {fmt.name} is not fixed point with all codes")
    if overflow in (Overflow.NAN, Overflow.INFINITY) and not fmt.has_nan:
        raise ValueError(f"overflow must not be {overflow}: {fmt.name} has no such code")


@functools.cache
def target(fmt: Format, rounding: Rounding, overflow: Overflow, random_bits: int = 0) -> "Target":
    """Work out all that rounding to a format needs to know.

    Raises
    ------
    TypeError
        If it is neither a minifloat nor fixed point.
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
    _check_overflow(fmt, overflow)

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
        random_bits=random_bits,
    )


@functools.cache
def _float_target(to: "Target", wide: bool) -> "FloatTarget | None":
    """Prepare a target for values of float32, or of float64; None if those lack bits for it."""
    from minimac.model.kernels import FloatTarget, last_magnitude

    fraction_bits, bias = (52, 1023) if wide else (23, 127)
    infinity = (2 * bias + 1) << fraction_bits
    # In fixed point all is subnormal, below an exponent beyond the largest value.
    man_bits = to.man_bits if to.binade else to.mask.bit_length()
    shift = fraction_bits - man_bits
    place = shift - to.random_bits
    field = to.lsb_exp + man_bits + bias
    if to.wrap or place < 2 or field < 1:
        return None
    half, lost = 1 << place >> 1, (1 << shift) - 1
    # What is added to positive numbers, to negative ones, and besides to what is odd.
    add: dict[Rounding, tuple[int, int, int]] = {
        Rounding.RNE: (half - 1, half - 1, 1),
        Rounding.RNA: (half, half, 0),
        Rounding.UP: (lost, 0, 0),
        Rounding.DOWN: (0, lost, 0),
        Rounding.ODD: (lost, lost, -lost),
        Rounding.SR_B: (half, half, 0),
        Rounding.SR_C: (half - 1, half - 1, 1),
    }
    add_positive, add_negative, add_if_odd = add.get(list(Rounding)[to.rounding], (0, 0, 0))
    flip, sign = (0, to.sign) if to.sign else (to.mask, 1)
    most_negative = (to.max_negative ^ flip) + sign if to.max_negative else 0
    last = [
        infinity - 1
        if over == most
        else last_magnitude(
            negative, infinity, fraction_bits, bias, to._replace(over_positive=-1, over_negative=-1)
        )
        for negative, over, most in (
            (False, to.over_positive, to.max_positive),
            (True, to.over_negative, most_negative),
        )
    ]
    return FloatTarget(
        field=field,
        shift=shift,
        place=place,
        add_positive=add_positive,
        add_negative=add_negative,
        add_if_odd=add_if_odd,
        max_positive=to.max_positive,
        max_negative=to.max_negative,
        least=max(to.least, int(not to.negative_zero)),
        minus_zero=to.sign if to.negative_zero else 0,
        flip=flip,
        sign=sign,
        last_positive=last[0],
        last_negative=last[1],
        over_positive=to.over_positive,
        over_negative=to.over_negative,
        inf_positive=to.inf_positive,
        inf_negative=to.inf_negative,
        nan=to.nan,
    )
