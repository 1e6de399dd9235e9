"""Rotations that spread outliers over a block before it is quantised."""

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["hadamard"]


def hadamard(
    values: ArrayLike,
    block: int | None = None,
    signs: ArrayLike | None = None,
    axis: int = -1,
    *,
    inverse: bool = False,
) -> NDArray[np.float64]:
    """Return the orthonormal Walsh-Hadamard transform of blocks along an axis.

    Each block ``x`` becomes ``H @ (signs * x)`` with ``H`` the Hadamard matrix of Sylvester over
    ``sqrt(block)``. Inner products are preserved, so both operands of a matrix product may be
    rotated along K and the product stays the same. With random signs no direction is special
    (arXiv 2502.20586, 2510.25602).

    Parameters
    ----------
    values : array_like of float, any shape with at least one axis
        What to rotate. A NaN or an infinity makes all of its block NaN or infinite.
    block : int, optional
        Length of a block, a power of two that divides the length of the axis; by default that.
    signs : array_like of int, shape (block,) or (length of the axis,), optional
        1 and -1: the same for every block, or for each its own. None: all 1.
    axis : int
        Axis that blocks lie along.
    inverse : bool
        Undo the rotation with these signs: ``signs * (H @ x)``.

    Returns
    -------
    ndarray of float64, shape of ``values``
        Rotated values. A value is off by at most ``log2(block) + 2`` units of roundoff of the norm
        of its block; integers stay exact if ``block`` is a power of four.

    Raises
    ------
    ValueError
        If ``block`` is not a power of two that divides the axis, or ``signs`` do not fit it.

    Examples
    --------
    >>> hadamard([4.0, 0.0, 0.0, 0.0])
    array([2., 2., 2., 2.])
    >>> turned = hadamard([[1.0, 2.0, 3.0, 4.0]], signs=[1, -1, -1, 1])
    >>> hadamard(turned, signs=[1, -1, -1, 1], inverse=True)
    array([[1., 2., 3., 4.]])
    """
    array = np.moveaxis(np.asarray(values, np.float64), axis, 0)
    length = array.shape[0]
    size = length if block is None else operator.index(block)
    if size < 1 or size & (size - 1):
        raise ValueError(f"block must be a power of two, not {size}")
    if length % size:
        raise ValueError(f"block must divide the axis, which {size} does not divide {length}")
    flips = None if signs is None else _read_signs(signs, size, length)
    flips = None if flips is None else flips.reshape(-1, *[1] * (array.ndim - 1))
    if flips is not None and not inverse:
        array = array * flips
    # Element i of all blocks in row i: butterflies then work on whole rows. An even row and the odd
    # one after it make a sum in the upper half and a difference in the lower one; after log2(block)
    # such steps every row has met every other, and is back in its place (Pease, 1968).
    rows = array.reshape(length // size, size, math.prod(array.shape[1:])).swapaxes(0, 1)
    with np.errstate(invalid="ignore"):  # inf - inf
        for _ in range(size.bit_length() - 1):
            even, odd = rows[::2], rows[1::2]
            rows = np.concatenate([even + odd, even - odd])
        rows = rows / math.sqrt(size)
    result = rows.swapaxes(0, 1).reshape(array.shape)
    if flips is not None and inverse:
        result = result * flips
    return np.ascontiguousarray(np.moveaxis(result, 0, axis))


def _read_signs(signs: ArrayLike, block: int, length: int) -> NDArray[Any]:
    array = np.asarray(signs)
    if array.shape not in ((block,), (length,)):
        raise ValueError(f"signs must be of shape ({block},) or ({length},), not {array.shape}")
    if not np.isin(array, (1, -1)).all():
        raise ValueError("signs must be 1 or -1")
    return array if array.shape == (length,) else np.tile(array, length // block)
