"""Figures of merit: what rounding, quantisation and approximate units do to values."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.spec import FixedPoint, Format, Minifloat

__all__ = [
    "ErrorStatistics",
    "crest_factor",
    "error_statistics",
    "expected_qsnr",
    "exponents_of",
    "qsnr",
    "ulp",
]

Axis = int | tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class ErrorStatistics:
    """How far results are from what they should be.

    All but the first and the last two figures are over pairs of finite numbers, the relative ones
    over those whose reference is not zero. A figure over no pairs is NaN.

    Parameters
    ----------
    count : int
        Pairs compared.
    bias : float
        Mean of ``(result - reference) / reference``: above 0, results are too large in magnitude.
    mean_relative, max_relative : float
        Mean and maximum of its magnitude.
    max_absolute : float
        Maximum of ``abs(result - reference)``.
    mean_ulp, max_ulp : float or None
        Mean and maximum of the error in ulps of the format, at the reference; None without one.
    qsnr_db : float
        Ratio of the energies of references and errors, in dB; +inf without any error.
    exact_share : float
        Share of all pairs that are equal: NaN equals NaN, and -0 equals 0.
    special_mismatches : int
        Pairs that differ and of which one is NaN or infinite.
    """

    count: int
    bias: float
    mean_relative: float
    max_relative: float
    max_absolute: float
    mean_ulp: float | None
    max_ulp: float | None
    qsnr_db: float
    exact_share: float
    special_mismatches: int


def error_statistics(
    reference: ArrayLike, result: ArrayLike, fmt: Format | None = None
) -> ErrorStatistics:
    """Compare results with what they should be.

    Parameters
    ----------
    reference, result : array_like of float, of one shape
        Pairs of numbers.
    fmt : Format, optional
        Format whose ulps errors are counted in: that of the results, as a rule.

    Returns
    -------
    ErrorStatistics
        See there for what becomes of zeros, NaN and infinities.

    Raises
    ------
    ValueError
        If the shapes differ, or there is nothing to compare.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> found = error_statistics([1.0, 2.0, 0.0, 4.0], [1.0, 2.5, 0.0, 3.5], parse_format("e2m1"))
    >>> found.bias, found.max_relative, found.max_absolute, found.max_ulp, found.exact_share
    (0.041666666666666664, 0.25, 0.5, 0.5, 0.5)
    """
    wanted, got = np.asarray(reference, np.float64), np.asarray(result, np.float64)
    if wanted.shape != got.shape:
        raise ValueError(
            f"reference and result must be of one shape, not {wanted.shape} and {got.shape}"
        )
    if wanted.size == 0:
        raise ValueError("reference must not be empty")
    equal = (wanted == got) | (np.isnan(wanted) & np.isnan(got))
    finite = np.isfinite(wanted) & np.isfinite(got)
    wanted_finite, errors = wanted[finite], got[finite] - wanted[finite]
    scaled = wanted_finite != 0
    relative = errors[scaled] / wanted_finite[scaled]
    in_ulps = None if fmt is None else np.abs(errors) / ulp(fmt, wanted_finite)
    return ErrorStatistics(
        count=wanted.size,
        bias=_mean(relative),
        mean_relative=_mean(np.abs(relative)),
        max_relative=_max(np.abs(relative)),
        max_absolute=_max(np.abs(errors)),
        mean_ulp=None if in_ulps is None else _mean(in_ulps),
        max_ulp=None if in_ulps is None else _max(in_ulps),
        qsnr_db=float(qsnr(wanted_finite, got[finite])) if finite.any() else math.nan,
        exact_share=float(np.mean(equal)),
        special_mismatches=int(np.sum(~equal & ~finite)),
    )


def _mean(figures: NDArray[np.float64]) -> float:
    return float(np.mean(figures)) if figures.size else math.nan


def _max(figures: NDArray[np.float64]) -> float:
    return float(np.max(figures)) if figures.size else math.nan


def ulp(fmt: Format, values: ArrayLike) -> NDArray[np.float64]:
    """Return the weight of the last place of a format's significand, at values.

    Parameters
    ----------
    fmt : Format
        Minifloat or fixed-point format, or one whose values are of such a format.
    values : array_like of float, any shape
        Finite values. Below the least normal the unit is that of subnormals, beyond the largest
        finite value that of its binade.

    Returns
    -------
    ndarray of float64, shape of ``values``
        Units, powers of two.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> ulp(parse_format("e4m3fn"), [1.0, 15.5, 0.0, 1e9])
    array([1.250000e-01, 1.000000e+00, 1.953125e-03, 3.200000e+01])
    >>> ulp(parse_format("s3.4"), 7.0)
    array(0.0625)
    """
    exponents = exponents_of(fmt, values)
    return np.asarray(np.ldexp(1.0, exponents - (fmt.sig_bits - 1)))


def exponents_of(fmt: Format, values: ArrayLike) -> NDArray[np.intp]:
    """Return exponents as operands have them: of the leading one, within those of the format."""
    _, exponents = np.frexp(np.abs(np.asarray(values, np.float64)))
    exponents = np.where(np.asarray(values) == 0, fmt.min_exp, exponents - 1)
    return np.asarray(np.clip(exponents, fmt.min_exp, fmt.max_exp), np.intp)


def qsnr(reference: ArrayLike, result: ArrayLike, axis: Axis = None) -> NDArray[np.float64]:
    """Return the signal-to-noise ratio of quantisation, in dB (arXiv 2510.25602).

    Parameters
    ----------
    reference, result : array_like of float, broadcasting
        Values before and after.
    axis : int or tuple of int, optional
        Axes over which energies are summed; all by default.

    Returns
    -------
    ndarray of float64, the shape without those axes
        ``10 * log10(sum(reference**2) / sum((result - reference)**2))``: +inf without any error,
        -inf where the reference is zero and the result is not, NaN if NaN or an infinity occurs.

    Examples
    --------
    >>> qsnr([3.0, 4.0], [3.0, 4.5])
    array(20.)
    """
    wanted, got = np.broadcast_arrays(
        np.asarray(reference, np.float64), np.asarray(result, np.float64)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = got - wanted
        # A common scale keeps squares within the range of float64.
        peak = np.maximum(np.abs(wanted), np.abs(errors)).max(axis, keepdims=True, initial=0.0)
        scale = np.where((peak > 0) & np.isfinite(peak), peak, 1.0)
        signal = np.sum((wanted / scale) ** 2, axis)
        noise = np.sum((errors / scale) ** 2, axis)
        ratio = 10 * (np.log10(signal) - np.log10(noise))
    # Nothing at all is quantised without error.
    silent = (signal == 0) & (noise == 0)
    known = np.isfinite(signal) & np.isfinite(noise)
    return np.asarray(np.where(silent, np.inf, np.where(known, ratio, np.nan)))


def crest_factor(values: ArrayLike, axis: Axis = -1) -> NDArray[np.float64]:
    """Return the largest magnitude over the root of the mean square: how far outliers stick out.

    Parameters
    ----------
    values : array_like of float, any shape
        Values, in blocks along ``axis``.
    axis : int or tuple of int, optional
        Axes of a block; None: all.

    Returns
    -------
    ndarray of float64, the shape without those axes
        1 to the root of the block's size; NaN of a block that is all zero or not finite.

    Raises
    ------
    ValueError
        If a block is empty.

    Examples
    --------
    >>> crest_factor([[1.0, -1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 5.0]])
    array([1., 2.])
    """
    sizes = np.abs(np.asarray(values, np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        peak = sizes.max(axis, keepdims=True)
        return np.asarray(1 / np.sqrt(np.mean((sizes / peak) ** 2, axis)))


def expected_qsnr(
    fmt: Format, crest: float, overhead: float = 1.0, block: int | None = None
) -> float:
    """Return the QSNR of independent normal values, quantised in blocks, by theory.

    After arXiv 2510.25602. Of integers the noise is that of a uniform quantiser; of minifloats, it
    is ``2**(-2*M) / 24`` of the energy of the values in normal range, and uniform below it.

    Parameters
    ----------
    fmt : Format
        Minifloat or fixed-point format of the elements.
    crest : float
        Crest factor of the blocks: root mean square of the largest magnitude over that of all.
    overhead : float
        How much a scale exceeds ``amax / largest element``: 1 to 2 of a power of two (the paper's
        figures have 1.5), 1 of a scale with a mantissa.
    block : int, optional
        Elements in a block, if the largest one is hit exactly and so has no error.

    Returns
    -------
    float
        QSNR, in dB. Measured ones differ by at most 0.1 of integers and 0.5 of minifloats, in
        blocks of 8 to 1024 whose largest element is hit exactly, or of 32 and more with scales that
        are powers of two (tests/model/test_statistics.py).

    Raises
    ------
    TypeError
        If elements are neither minifloats nor fixed point.
    ValueError
        If ``crest`` or ``overhead`` is below 1, or ``crest`` above the root of ``block``.

    Notes
    -----
    The paper rounds the largest integer up to ``2**(bits - 1)``; here it is exact, which lowers the
    figure by 1.16 dB at 4 bits, as measured.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> e4m3fn, int8 = parse_format("e4m3fn"), parse_format("int8:sym")
    >>> round(expected_qsnr(e4m3fn, 2.4, 1.5), 2), round(expected_qsnr(int8, 2.4, 1.5), 2)
    (31.86, 41.74)
    """
    if not (crest >= 1 and overhead >= 1):
        raise ValueError(f"crest and overhead must be at least 1, not {crest} and {overhead}")
    if block is not None and crest**2 > block:
        raise ValueError(f"crest must be at most the root of block, {block}, not {crest}")
    largest = math.ldexp(fmt.max_lsbs, fmt.lsb_exp)
    exact_share = 0.0 if block is None else crest**2 / block
    step = overhead * crest / largest  # scale in units of the root mean square
    if isinstance(fmt, FixedPoint):
        noise = (step * 2.0**fmt.lsb_exp) ** 2 / 12 * (1 - 1 / block if block else 1.0)
    elif isinstance(fmt, Minifloat):
        least = step * 2.0**fmt.min_exp / math.sqrt(2)  # least normal
        subnormal = math.erf(least)
        normal_energy = 1 - subnormal + 2 / math.sqrt(math.pi) * least * math.exp(-(least**2))
        noise = max(normal_energy - exact_share, 0.0) * 4.0**-fmt.man_bits / 24
        noise += (step * 2.0**fmt.lsb_exp) ** 2 / 12 * subnormal
    else:
        raise TypeError(f"fmt must be a minifloat or fixed-point format, not {fmt.name}")
    return -10 * math.log10(noise)
