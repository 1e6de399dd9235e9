"""Softmax in two passes, without looking for the largest input first (arXiv 2001.04438).

An exponential is kept as a pair of a mantissa and an exponent of its own, which no finite input
overflows. So the first pass adds up pairs as they come, and the second one divides.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["exp_pairs", "softmax", "sum_pairs"]

_LOG2_E = 1.4426950408889634
# ln 2 in two parts (Cody and Waite): the first has 32 bits, so that small multiples are exact.
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_HALF_LN2 = 0.34657360

# exp(t) = 1 + t * (c1 + t * (c2 + ...)) on |t| <= ln(2)/2, of least relative error among float32
# coefficients near the minimax ones: 9.3e-8 (measured, tests/model/test_two_pass.py).
_COEFFICIENTS = [
    np.float32(float.fromhex(word))
    for word in (
        *("0x1.0fa634p-7", "0x1.573adap-5", "0x1.555a78p-3"),
        *("0x1.fffdc4p-2", "0x1.fffff6p-1", "0x1p+0"),
    )
]

Pairs = tuple[NDArray[np.float32], NDArray[np.float64]]


def exp_pairs(x: ArrayLike) -> Pairs:
    """Return exponentials as pairs: ``exp(x) = m * 2**n``.

    ``n`` is ``x * log2(e)`` rounded to a whole number and ``m`` a polynomial of degree 5 in
    ``x - n * ln(2)``, in float32 with fused multiply-adds as vector units have them. The argument
    is reduced in float64: in float32 a whole number is no longer exact above 2**24.

    Parameters
    ----------
    x : array_like of float, any shape
        Exponents; first rounded to float32.

    Returns
    -------
    m : ndarray of float32, shape of ``x``
        Mantissas, 0.7071 to 1.4143, off by at most 1.6e-7 relative where ``abs(x) < 2**27``.
        Beyond, float32 inputs that differ do so by 8 or more, and the error grows as
        ``abs(x) * 2**-53``. Of -inf: 0; of +inf: +inf; of NaN: NaN.
    n : ndarray of float64, shape of ``x``
        Whole numbers, up to 5e38 in size. Of -inf: -inf; of +inf and NaN: 0.

    Examples
    --------
    >>> m, n = exp_pairs([0.0, 1.0, -1000.0])
    >>> m, n.tolist()
    (array([1.       , 1.359141 , 1.2353836], dtype=float32), [0.0, 1.0, -1443.0])
    """
    with np.errstate(over="ignore"):
        wide = np.asarray(x, np.float32).astype(np.float64)
    finite = np.isfinite(wide)
    known = np.where(finite, wide, 0.0)
    n = np.rint(known * _LOG2_E)
    rest = known - n * _LN2_HIGH - n * _LN2_LOW
    # The limits only matter where neighbouring inputs are so far apart that the rest is noise.
    t = np.clip(rest, -_HALF_LN2, _HALF_LN2).astype(np.float32)
    m = np.full_like(t, _COEFFICIENTS[0])
    for coefficient in _COEFFICIENTS[1:]:
        m = _multiply_add(m, t, coefficient)
    m = np.where(finite, m, np.where(wide < 0, 0.0, wide)).astype(np.float32)
    return m, np.where(wide == -np.inf, -np.inf, n)


def sum_pairs(m: ArrayLike, n: ArrayLike, axis: int = -1) -> Pairs:
    """Add up pairs along an axis, one after the other, in float32.

    The running sum takes the larger exponent of itself and the next pair::

        n' = max(n_s, n_i);  m_s = m_s * 2**(n_s - n') + m_i * 2**(n_i - n')

    Parameters
    ----------
    m, n : array_like of float, of one shape
        Pairs, as of :func:`exp_pairs`, or sums of them.
    axis : int
        Axis along which they are added.

    Returns
    -------
    m, n : ndarray of float32 and of float64, shape of the arguments less the axis
        Pairs of sums; ``(0, -inf)`` of no pairs, or of zeros only.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> sum_pairs(*exp_pairs([1000.0, 1000.0]))
    (np.float32(1.6189302), np.float64(1443.0))
    """
    mantissas, exponents = np.asarray(m, np.float32), np.asarray(n, np.float64)
    if mantissas.shape != exponents.shape:
        raise ValueError(
            f"m and n must be of one shape, not {mantissas.shape} and {exponents.shape}"
        )
    largest = np.max(exponents, axis=axis, initial=-np.inf)
    # Changes of the running exponent only rescale by powers of two, exactly, so the sum is that of
    # terms at the last exponent. (What is below 2**-126 of it does not reach the result.)
    base = np.expand_dims(np.where(largest == -np.inf, 0.0, largest), axis)
    terms = _scale(mantissas, exponents - base)
    if terms.shape[axis] == 0:
        return np.zeros(largest.shape, np.float32), largest
    return np.add.accumulate(terms, axis=axis).take(-1, axis=axis), largest


def softmax(x: ArrayLike, axis: int = -1) -> NDArray[np.float32]:
    """Return ``exp(x) / sum(exp(x))`` along an axis, in two passes and in float32.

    Parameters
    ----------
    x : array_like of float, any shape
        Inputs, first rounded to float32. None that is finite overflows. -inf, as masks have it,
        counts nothing.
    axis : int
        Axis along which results add up to one; it may be empty.

    Returns
    -------
    ndarray of float32, shape of ``x``
        Results, subnormals included, off by at most ``(inputs + 7) * 2**-24`` relative, since the
        sum is sequential (measured: 9 ulps with 32 normal inputs, 50 with 8192). All NaN where an
        input is NaN or +inf or all are -inf, as the quotient is.

    Examples
    --------
    >>> softmax([1e4, 1e4, -1e4, -float("inf")])
    array([0.5, 0.5, 0. , 0. ], dtype=float32)
    """
    m, n = exp_pairs(x)
    total, exponent = sum_pairs(m, n, axis)
    sums, largest = np.expand_dims(total, axis), np.expand_dims(exponent, axis)
    usable = np.isfinite(sums) & (sums > 0)
    inverse = np.where(usable, 1 / np.where(usable, sums, 1), np.nan).astype(np.float32)
    return _scale(m * inverse, n - np.where(usable, largest, 0.0)).reshape(np.shape(x))


def _scale(m: NDArray[np.float32], by: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return ``m * 2**by`` for ``by`` of at most 0."""
    with np.errstate(under="ignore"):
        return np.ldexp(m, np.maximum(by, -300.0).astype(np.int32))


def _multiply_add(
    a: NDArray[np.float32], b: NDArray[np.float32], c: np.float32
) -> NDArray[np.float32]:
    """Return ``a * b + c``, rounded once."""
    product = a.astype(np.float64) * b  # 48 bits: exact
    total = product + np.float64(c)
    # The error of that sum, exactly (Knuth); then the sum rounded to odd, which a second rounding,
    # to far fewer bits, cannot tell from the exact one.
    part = total - product
    error = (product - (total - part)) + (np.float64(c) - part)
    bits: NDArray[Any] = total.view(np.int64)
    toward = (np.sign(error) * np.sign(total)).astype(np.int64)
    odd = np.where(bits & 1 == 0, bits + toward, bits)
    return odd.view(np.float64).astype(np.float32)
