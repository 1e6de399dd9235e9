"""Errors that a unit makes of its own: of its accumulation, and of products that are not exact."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.blocks import Blocks, dequantize_blocks, quantize_blocks
from minimac.model.operands import read_codes
from minimac.model.products import matmul
from minimac.model.scalars import decode, encode
from minimac.model.statistics import ErrorStatistics, error_statistics
from minimac.spec import Arithmetic, BlockFormat, Format, Minifloat, Product
from minimac.spec.errors import nearest

__all__ = ["DISTRIBUTIONS", "exact_matmul", "product_errors", "product_values", "unit_errors"]

Shape = tuple[int, ...]
Values = NDArray[np.float64]
Codes = ArrayLike | Blocks

#: How operands may be drawn: a name, and a function of a generator and a shape.
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, Shape], Values]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, shape),
    "lognormal": lambda rng, shape: rng.lognormal(size=shape),
    "laplace": lambda rng, shape: rng.laplace(size=shape),
    "heavy": lambda rng, shape: rng.standard_t(3, shape),
    "relu": lambda rng, shape: np.maximum(rng.normal(size=shape), 0.0),
}


def unit_errors(
    spec: Arithmetic,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    distribution: str | tuple[str, str] = "normal",
    terms: int = 128,
    outputs: int = 4096,
    seed: int = 0,
) -> ErrorStatistics:
    """Return the errors of a unit, the quantisation of its operands apart.

    Operands are encoded, or quantised in blocks, multiplied by :func:`minimac.model.matmul`, and
    compared with the exact products of the very same codes.

    Parameters
    ----------
    spec : Arithmetic
        Unit; any design will do.
    a, b : array_like of float, shapes (..., M, K) and (..., K, N), optional
        Operands; drawn if there are none.
    distribution : str or tuple of str
        What to draw from, or what ``a`` and what ``b``: a name in :data:`DISTRIBUTIONS`. ``heavy``
        is Student's t with 3 degrees of freedom, ``lognormal`` and ``relu`` are not negative.
    terms, outputs : int
        Products in each sum, and sums, each with operands of its own.
    seed : int
        Seed of the draws, and of random bits if ``spec.out_round`` is stochastic.

    Returns
    -------
    ErrorStatistics
        Over all outputs; ulps are those of ``spec.out``.

    Raises
    ------
    ValueError
        If only one of ``a`` and ``b`` is given, a distribution is unknown, or ``matmul`` refuses.

    Examples
    --------
    >>> from minimac.spec import FloatAccumulation, parse_format
    >>> bf16, fp32 = parse_format("bf16"), parse_format("fp32")
    >>> acc = FloatAccumulation(width=16)
    >>> narrow = Arithmetic(a=bf16, b=bf16, out=fp32, accumulate=acc)
    >>> print(f"{unit_errors(narrow, terms=32, outputs=256).qsnr_db:.0f} dB")
    87 dB
    """
    if (a is None) != (b is None):
        raise ValueError("a and b must both be given, or neither")
    rng = np.random.default_rng(seed)
    if a is None or b is None:
        names = (distribution, distribution) if isinstance(distribution, str) else distribution
        a = _draw(rng, names[0], (outputs, 1, terms))
        b = _draw(rng, names[1], (outputs, terms, 1))
    operands = _quantise(spec.a, a, -1), _quantise(spec.b, b, -2)
    exact = exact_matmul(spec, *operands)
    random = rng.integers(0, 1 << 16, exact.shape, np.uint16) if spec.out_round.stochastic else None
    result = decode(spec.out, matmul(spec, *operands, random))
    return error_statistics(exact, result, spec.out)


def _quantise(fmt: Format, values: ArrayLike, axis: int) -> Codes:
    if isinstance(fmt, BlockFormat):
        return quantize_blocks(fmt, values, axis)
    return encode(fmt, values)


def _draw(rng: np.random.Generator, name: str, shape: Shape) -> Values:
    if name not in DISTRIBUTIONS:
        known = ", ".join(DISTRIBUTIONS)
        hint = nearest(str(name), DISTRIBUTIONS)
        raise ValueError(f"distribution must be one of {known}, not {name!r}{hint}")
    return DISTRIBUTIONS[name](rng, shape)


def exact_matmul(spec: Arithmetic, a: Codes, b: Codes) -> Values:
    """Return the matrix product of the values of codes, each sum rounded once, to float64.

    Parameters
    ----------
    spec : Arithmetic
        Formats of the operands; all else in it is ignored.
    a, b : array_like of int, shapes (..., M, K) and (..., K, N), or Blocks along K
        Codes. Values of blocks must have at most 32 significant bits, scales included.

    Returns
    -------
    ndarray of float64, shape (..., M, N)
        Sums: the float64 nearest to the exact value (below 2**-1022, where a bias may take it,
        within one unit). NaN and infinities as IEEE 754 has them.

    Raises
    ------
    TypeError, ValueError
        If ``a`` or ``b`` are not codes, or the shapes do not match.

    Examples
    --------
    >>> from minimac.spec import ExactAccumulation, parse_format
    >>> bf16 = parse_format("bf16")
    >>> spec = Arithmetic(a=bf16, b=bf16, out=bf16, accumulate=ExactAccumulation())
    >>> x, y = encode(bf16, [[1e30, 1.0, -1e30]]), encode(bf16, [[1e30], [1.0], [1e30]])
    >>> exact_matmul(spec, x, y)
    array([[1.]])
    """
    x, shift_x = _centred(spec.a, a)
    y, shift_y = _centred(spec.b, b)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(
            f"a and b must be (..., M, K) and (..., K, N), not {x.shape} and {y.shape}"
        )
    lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    left = np.broadcast_to(x, (*lead, *x.shape[-2:]))
    right = np.broadcast_to(y, (*lead, *y.shape[-2:])).swapaxes(-1, -2)
    sums = np.empty((*lead, x.shape[-2], y.shape[-1]))
    for at in np.ndindex(sums.shape[:-1]):
        for column, parts in enumerate(_exact_products(left[at], right[at[:-1]])):
            sums[*at, column] = _exact_sum(parts)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(sums, shift_x + shift_y))


def _centred(fmt: Format, codes: Codes) -> tuple[Values, int]:
    """Return values with exponents around zero, and by what they are to be shifted back.

    A bias can take values to the ends of float64, where products would no longer be exact.
    """
    if isinstance(codes, Blocks):
        return dequantize_blocks(fmt, codes), 0
    middle = (fmt.min_exp + fmt.max_exp) // 2
    return np.ldexp(decode(fmt, codes), -middle), middle


def _exact_products(row: Values, columns: Values) -> Iterator[Values]:
    """Yield, for each column, float64 numbers that add up to its products with a row exactly.

    Operands have at most 32 bits. With ``high`` the upper 16 bits of one, or fewer, ``high * y``
    and ``(x - high) * y`` have at most 48: both are exact, whatever the formats.
    """
    fraction, exponent = np.frexp(row)
    high = np.ldexp(np.trunc(np.ldexp(fraction, 16)), exponent - 16)
    low = np.where(np.isfinite(row), row - np.where(np.isfinite(row), high, 0.0), 0.0)
    with np.errstate(invalid="ignore"):
        for column in columns:
            tail = np.where(np.isfinite(column), low * column, 0.0)
            yield np.concatenate([high * column, tail])


def _exact_sum(parts: Values) -> float:
    if np.isfinite(parts).all():
        return math.fsum(parts.tolist())  # correctly rounded (Shewchuk, 1997)
    with np.errstate(invalid="ignore"):
        return float(np.sum(parts))


def product_errors(spec: Arithmetic, *, normals_only: bool = True) -> ErrorStatistics:
    """Return the errors of products alone, over all pairs of operands.

    Parameters
    ----------
    spec : Arithmetic
        Formats of the operands, and ``product``; all else in it is ignored.
    normals_only : bool
        Take all pairs of significands of normal operands, each once, at exponents at which no
        result leaves the normal range: an error is then the same for all exponents and signs.
        Otherwise take all pairs of codes, of formats of at most 8 bits.

    Returns
    -------
    ErrorStatistics
        Of the products' values, which are not rounded to ``spec.out``.

    Raises
    ------
    ValueError
        If the formats are too wide (12 bits of mantissa, or 8 bits in all), or have too few
        exponents for a product of normals that is certain to be normal.

    Examples
    --------
    >>> from minimac.spec import ExactAccumulation, parse_format
    >>> e4m3 = parse_format("e4m3fn")
    >>> unit = Arithmetic(a=e4m3, b=e4m3, out=e4m3, accumulate=ExactAccumulation(), product="lmul")
    >>> found = product_errors(unit)
    >>> print(f"{found.bias:+.3f} {found.mean_relative:.3f} {found.max_relative:.3f}")
    -0.010 0.069 0.182
    """
    a, b = _normal_codes(spec) if normals_only else (_all_codes(spec.a), _all_codes(spec.b))
    with np.errstate(invalid="ignore"):
        exact = decode(spec.a, a)[:, None] * decode(spec.b, b)
    return error_statistics(exact, product_values(spec, a[:, None], b))


def _all_codes(fmt: Format) -> NDArray[np.int64]:
    if fmt.width > 8:
        raise ValueError(
            f"formats must have at most 8 bits for all pairs, which {fmt.name} exceeds"
        )
    return np.array([code for code in range(1 << fmt.width) if fmt.holds(code)])


def _normal_codes(spec: Arithmetic) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the codes of all significands of either operand, at exponents that leave room."""
    a, b = spec.a, spec.b
    if not (isinstance(a, Minifloat) and isinstance(b, Minifloat) and a.exp_bits and b.exp_bits):
        return _all_codes(a), _all_codes(b)
    if max(a.man_bits, b.man_bits) > 11:
        raise ValueError("formats must have at most 11 bits of mantissa")
    full = _full_exponents(a)
    carry = (2 << a.man_bits) - 2 + spec.product.offset(a.man_bits) >> a.man_bits
    room = range(full.start, full.stop - carry)
    for x_exp, y_exp in itertools.product(full, _full_exponents(b)):
        if x_exp + y_exp in room or not spec.product.adds_codes:
            return _significands(a, x_exp), _significands(b, y_exp)
    raise ValueError(f"{a.name} has no exponents at which all products of normals are normal")


def _full_exponents(fmt: Minifloat) -> range:
    """Return the exponents at which every significand is a finite number."""
    top_is_full = fmt.max_code + 1 >> fmt.man_bits << fmt.man_bits == fmt.max_code + 1
    return range(fmt.min_exp, fmt.max_exp + top_is_full)


def _significands(fmt: Minifloat, exponent: int) -> NDArray[np.int64]:
    return (exponent + fmt.bias << fmt.man_bits) + np.arange(1 << fmt.man_bits)


def product_values(spec: Arithmetic, a: ArrayLike, b: ArrayLike) -> Values:
    """Return the values of products, by the formulas of their definitions.

    Parameters
    ----------
    spec : Arithmetic
        Formats of the operands, and ``product``; all else in it is ignored.
    a, b : array_like of int, broadcasting
        Codes.

    Returns
    -------
    ndarray of float64
        Values: exact, but for exact products of more than 53 bits. NaN and infinities are those of
        exact products.

    Examples
    --------
    >>> from minimac.spec import ExactAccumulation, parse_format
    >>> e4m3 = parse_format("e4m3fn")
    >>> for product in Product:
    ...     spec = Arithmetic(a=e4m3, b=e4m3, out=e4m3, accumulate=ExactAccumulation(),
    ...                       product=product)
    ...     print(product, product_values(spec, encode(e4m3, 1.75), encode(e4m3, -1.5)))
    exact -2.625
    lmul -2.375
    lmul_add -2.75
    mitchell -2.5
    """
    x_codes, y_codes = read_codes(spec.a, a, "a"), read_codes(spec.b, b, "b")
    x, y = decode(spec.a, x_codes), decode(spec.b, y_codes)
    with np.errstate(invalid="ignore"):
        exact = x * y
    fmt = spec.a
    if spec.product is Product.EXACT or not isinstance(fmt, Minifloat):
        return np.asarray(exact)
    least = math.ldexp(1.0, fmt.min_exp)
    normal = (np.abs(x) >= least) & (np.abs(y) >= least)
    offset = spec.product.offset(fmt.man_bits)
    if spec.product.adds_codes:
        size = _add_codes(fmt, x_codes, y_codes, offset)
    else:
        x_part, x_exp = _mantissa(fmt, x)
        y_part, y_exp = _mantissa(fmt, y)
        size = np.ldexp(
            (1 << fmt.man_bits) + x_part + y_part + offset, x_exp + y_exp - fmt.man_bits
        )
    signed = np.copysign(np.where(normal, size, 0.0), exact)
    return np.where(np.isfinite(exact), signed, exact)


def _add_codes(
    fmt: Minifloat, a: NDArray[Any], b: NDArray[Any], offset: int
) -> NDArray[np.float64]:
    """Return the magnitude that the sum of two codes means, signs apart."""
    mask = (1 << fmt.magnitude_bits) - 1
    total = (a & mask).astype(np.int64) + (b & mask) - (fmt.bias << fmt.man_bits) + offset
    code = np.where(total < 1 << fmt.man_bits, 0, np.minimum(total, fmt.max_code))
    return decode(fmt, code)


def _mantissa(fmt: Minifloat, values: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return mantissa fields and exponents of normal values, and anything of others."""
    fraction, exponent = np.frexp(np.where(np.isfinite(values), np.abs(values), 1.0))
    significand = np.ldexp(fraction, fmt.sig_bits).astype(np.int64)
    return significand - (1 << fmt.man_bits), exponent.astype(np.int64) - 1
