"""One operation on each element: products, sums and fused multiply-adds, rounded once."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.exact import add_exactly
from minimac.model.foot import Foot
from minimac.model.operands import (
    NARROW_BITS,
    as_floats,
    as_negatives,
    as_signs,
    flat_codes,
    read_codes,
    source,
    wide_integers,
)
from minimac.model.scalars import RandomBits, code_type, read_random, target
from minimac.spec import (
    Adder,
    Arithmetic,
    Design,
    FixedPoint,
    Fma,
    Format,
    Minifloat,
    Multiplier,
    Overflow,
    Product,
    RoundedAccumulation,
    Rounding,
)

__all__ = ["OPERATIONS", "add", "fma", "multiply", "operate"]

#: Units of one operation a transfer, and what each computes.
OPERATIONS: dict[type[Design], str] = {Multiplier: "a * b", Adder: "a + b", Fma: "a * b + c"}

_INTEGER_BITS = 63  # of a product that int64 holds, whatever its sign


class _Terms(NamedTuple):
    """Numbers ``significands * 2**exponents``; what is special has a significand of 0."""

    significands: NDArray[np.int64]
    exponents: NDArray[np.int64]
    negative: NDArray[np.bool_]  #: Zeros have signs, too.
    infinite: NDArray[np.bool_]
    nan: NDArray[np.bool_]


def multiply(
    spec: Arithmetic, a: ArrayLike, b: ArrayLike, random_bits: RandomBits | None = None
) -> NDArray[Any]:
    """Return the product of each pair of codes, rounded once.

    A product of zero has the sign that IEEE 754 gives it, where ``spec.out`` has a negative zero.

    Parameters
    ----------
    spec : Arithmetic
        Formats, product and rounding, such as a ``multiplier``; how it accumulates is irrelevant.
    a, b : array_like of int
        Codes of ``spec.a`` and ``spec.b``, of shapes that broadcast.
    random_bits : optional
        Random bits for a stochastic ``spec.out_round``, as in :func:`encode`.

    Returns
    -------
    ndarray of uint8, uint16 or uint32
        Codes of ``spec.out``.

    Raises
    ------
    TypeError
        If ``a`` or ``b`` are not integers.
    ValueError
        If a code is out of range, or the shapes do not broadcast.

    Examples
    --------
    >>> from minimac.model import decode, encode
    >>> from minimac.spec import load_design
    >>> spec = load_design({"name": "mine", "unit": "multiplier", "a": "bf16", "b": "int8",
    ...     "out": "e4m3fn"})
    >>> decode(spec.out, multiply(spec, encode(spec.a, [1.5, -0.3]), [[2], [0]]))
    array([[ 3.   , -0.625],
           [ 0.   , -0.   ]])
    """
    x, y = _read_all(spec, a=a, b=b)
    foot = _foot(spec, spec.out_overflow, random_bits, x.shape)
    terms = _multiply(spec, x, y)
    wide = spec.product is Product.EXACT and spec.product_bits > _INTEGER_BITS
    codes = _round_wide(spec, x, y, foot) if wide else foot.round(terms[0], terms[1])
    return _finish(spec, codes, terms, terms.negative & (terms.significands == 0), foot)


def add(
    spec: Arithmetic, a: ArrayLike, b: ArrayLike, random_bits: RandomBits | None = None
) -> NDArray[Any]:
    """Return the sum of each pair of codes, rounded once, with signs of zero as in IEEE 754.

    Parameters
    ----------
    spec : Arithmetic
        Formats and rounding, such as an ``adder``.
    a, b, random_bits
        As for :func:`multiply`.

    Returns
    -------
    ndarray of uint8, uint16 or uint32
        Codes of ``spec.out``.

    Raises
    ------
    TypeError, ValueError
        As :func:`multiply`.

    Examples
    --------
    >>> from minimac.model import decode, encode
    >>> from minimac.spec import load_design
    >>> spec = load_design({"name": "mine", "unit": "adder", "a": "bf16", "b": "bf16",
    ...     "out": "bf16", "out_round": "down"})
    >>> a, b = encode(spec.a, [[1.5, 100.0, 1.0], [0.1, -0.1, -1.0]])
    >>> decode(spec.out, add(spec, a, b))
    array([ 1.59375, 99.5    , -0.     ])
    """
    x, y = _read_all(spec, a=a, b=b)
    foot = _foot(spec, spec.out_overflow, random_bits, x.shape)
    return _add(spec, _take_apart(spec.a, x), _take_apart(spec.b, y), foot)


def fma(spec: Arithmetic, a: ArrayLike, b: ArrayLike, c: ArrayLike) -> NDArray[Any]:
    """Return ``a * b + c`` of each triple of codes, rounded once, as IEEE 754 has it.

    Overflow gives an infinity, or what the rounding makes of it, where ``spec.out`` has infinities,
    and saturates elsewhere: a step of an accumulation of kind ``rounded``.

    Parameters
    ----------
    spec : Arithmetic
        Formats, product and rounding, such as an ``fma``; ``spec.accumulate`` is ``rounded`` in the
        format of ``spec.out``.
    a, b, c : array_like of int
        Codes of ``spec.a``, ``spec.b`` and ``spec.out``, of shapes that broadcast.

    Returns
    -------
    ndarray of uint8, uint16 or uint32
        Codes of ``spec.out``.

    Raises
    ------
    TypeError
        If ``a``, ``b`` or ``c`` are not integers, or ``spec`` accumulates otherwise.
    ValueError
        As :func:`multiply`.

    Examples
    --------
    >>> from minimac.model import decode, encode
    >>> from minimac.spec import load_design
    >>> spec = load_design({"name": "mine", "unit": "fma", "a": "e5m2", "b": "e5m2",
    ...     "out": "bf16"})
    >>> c = encode(spec.out, [-3.0, 1e-3])
    >>> decode(spec.out, fma(spec, encode(spec.a, 1.5), encode(spec.b, 2.0), c))
    array([0., 3.])
    """
    acc = spec.accumulate
    if not isinstance(acc, RoundedAccumulation) or acc.format != spec.out:
        raise TypeError(f"spec must accumulate by kind rounded in {spec.out.name}, its out")
    x, y, z = _read_all(spec, a=a, b=b, c=c)
    overflow = Overflow.INFINITY if spec.out.has_infinities else Overflow.SATURATE
    foot = _foot(spec, overflow, None, x.shape)
    return _add(spec, _multiply(spec, x, y), _take_apart(spec.out, z), foot)


def operate(
    design: Design, *operands: ArrayLike, random_bits: RandomBits | None = None
) -> NDArray[Any]:
    """Return what a unit of one operation a transfer makes of codes of its operands."""
    if isinstance(design, Fma):
        return fma(design, *operands)
    a, b = operands
    return (multiply if isinstance(design, Multiplier) else add)(design, a, b, random_bits)


def _read_all(spec: Arithmetic, **given: ArrayLike) -> tuple[NDArray[Any], ...]:
    """Check the codes of all operands, and broadcast them against each other."""
    if not isinstance(spec, Arithmetic):
        raise TypeError(f"spec must be an Arithmetic, such as a design, not {spec!r}")
    if spec.has_blocks:
        raise TypeError(f"a and b must be of scalar formats, not {spec.a.name} and {spec.b.name}")
    formats = {"a": spec.a, "b": spec.b, "c": spec.out}
    codes = [read_codes(formats[name], codes, name) for name, codes in given.items()]
    try:
        return np.broadcast_arrays(*codes)
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in codes)
        raise ValueError(f"{', '.join(given)} must broadcast, unlike shapes {shapes}") from None


def _foot(
    spec: Arithmetic,
    overflow: Overflow,
    random_bits: RandomBits | None,
    shape: tuple[int, ...],
) -> Foot:
    """Return the one conversion to the format of the result, of elements along one axis."""
    randoms, width = read_random(random_bits, spec.out_round, shape)
    if isinstance(spec.out, FixedPoint) and spec.out.width + width > 63:
        raise ValueError(f"random_bits must have at most 31 bits for an out of {spec.out.name}")
    return Foot(target(spec.out, spec.out_round, overflow, width), randoms)


def _take_apart(fmt: Format, codes: NDArray[Any]) -> _Terms:
    """Return numbers as the terms of a sum, in the shape of their codes."""
    if fmt.width > NARROW_BITS:
        integers, never = wide_integers(fmt, codes), np.zeros(codes.shape, np.bool_)
        return _Terms(integers, np.full(codes.shape, fmt.lsb_exp), integers < 0, never, never)
    significands, exponents = as_floats(fmt, codes, np.int64, fmt.min_exp)
    specials = as_signs(fmt, codes)[1]
    return _Terms(
        significands,
        exponents - (fmt.sig_bits - 1),
        as_negatives(fmt, codes),
        specials == 1,
        specials == 2,
    )


def _multiply(spec: Arithmetic, a: NDArray[Any], b: NDArray[Any]) -> _Terms:
    """Multiply codes; a product of too many bits for int64 has its sign in its place."""
    x, y = _take_apart(spec.a, a), _take_apart(spec.b, b)
    if spec.product is Product.EXACT:
        factors = x.significands, y.significands
        if spec.product_bits > _INTEGER_BITS:
            factors = np.sign(x.significands), np.sign(y.significands)
        significands, exponents = factors[0] * factors[1], x.exponents + y.exponents
    else:
        significands, exponents = _multiply_approximately(spec, a, b)
    zero_x, zero_y = ((t.significands == 0) & ~t.infinite & ~t.nan for t in (x, y))
    return _Terms(
        significands,
        exponents,
        x.negative ^ y.negative,
        x.infinite | y.infinite,
        x.nan | y.nan | (x.infinite & zero_y) | (y.infinite & zero_x),
    )


def _multiply_approximately(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from minimac.model.kernels import multiply_codes

    fmt = spec.a
    assert isinstance(fmt, Minifloat)
    significands, exponents = np.empty((1, a.size), np.int64), np.empty((1, a.size), np.int64)
    multiply_codes(
        flat_codes(a)[None],
        flat_codes(b)[None],
        significands,
        exponents,
        np.empty((1, a.size), np.bool_),
        source(fmt),
        spec.product.adds_codes,
        spec.product.offset(fmt.man_bits),
        fmt.max_code,
    )
    exponents -= spec.product_bits - 2
    return significands.reshape(a.shape), exponents.reshape(a.shape)


def _round_wide(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any], foot: Foot
) -> NDArray[np.uint32]:
    """Round products of more bits than int64 has: each is the sum of two."""
    x, y = (_take_apart(fmt, codes.ravel()) for fmt, codes in ((spec.a, a), (spec.b, b)))
    half = spec.a.sig_bits // 2  # it is the wider one, and b has 32 bits at most
    high = x.significands >> half
    places = x.exponents + y.exponents
    products = (x.significands - (high << half)) * y.significands, high * y.significands
    return _round_sums(np.stack(products), np.stack([places, places + half]), foot).reshape(a.shape)


def _add(spec: Arithmetic, x: _Terms, y: _Terms, foot: Foot) -> NDArray[Any]:
    """Add numbers of at most 62 bits."""
    significands, exponents = (
        np.stack([p.ravel(), q.ravel()]) for p, q in ((x[0], y[0]), (x[1], y[1]))
    )
    codes = _round_sums(significands, exponents, foot).reshape(x.significands.shape)
    unlike = x.negative ^ y.negative
    total = _Terms(
        x.significands,  # of no further use
        x.exponents,
        np.where(x.infinite, x.negative, y.negative),
        x.infinite | y.infinite,
        x.nan | y.nan | (x.infinite & y.infinite & unlike),
    )
    # IEEE 754-2019, 6.3: zeros of one sign keep it, and whatever else cancels is +0, or -0.
    down = np.full(unlike.shape, spec.out_round is Rounding.DOWN)
    minus_zero = _cancels(significands, exponents).reshape(unlike.shape)
    minus_zero &= np.where(unlike, down, x.negative)
    return _finish(spec, codes, total, minus_zero, foot)


def _round_sums(
    significands: NDArray[np.int64], exponents: NDArray[np.int64], foot: Foot
) -> NDArray[np.uint32]:
    """Add pairs (2, N) of terms, and round the sums."""
    if not significands.size:
        return np.zeros(0, np.uint32)
    return add_exactly(significands, exponents, foot)


def _cancels(significands: NDArray[np.int64], exponents: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which pairs (2, N) of terms make zero."""
    from minimac.model.kernels import normalize_terms

    normal, places = significands.copy(), exponents.copy()
    normalize_terms(normal.ravel(), places.ravel(), _INTEGER_BITS - 1)
    return np.asarray((normal[0] == -normal[1]) & (places[0] == places[1]))


def _finish(
    spec: Arithmetic,
    codes: NDArray[np.uint32],
    terms: _Terms,
    minus_zero: NDArray[np.bool_],
    foot: Foot,
) -> NDArray[Any]:
    """Put in codes of negative zero, of infinities and of NaN."""
    to = foot.to
    if to.negative_zero:
        codes[minus_zero] = to.sign
    for chosen, code in (
        (terms.infinite & ~terms.negative, to.inf_positive),
        (terms.infinite & terms.negative, to.inf_negative),
        (terms.nan, to.nan),
    ):
        if chosen.any():  # else there may be no such code
            codes[chosen] = code
    return codes.astype(code_type(spec.out))
