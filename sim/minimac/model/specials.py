"""NaN and infinities among operands: what they make of a chain."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from minimac.model.kernels import Target

__all__ = ["Signs", "apply_specials"]


class Signs(NamedTuple):
    """What is to be known of operands that may be special, (..., M, K) or (..., K, N)."""

    signs: NDArray[np.int8]  #: 0 of zero and NaN.
    specials: NDArray[np.int8]  #: 1 for infinities, 2 for NaN.


def apply_specials(
    a: Signs,
    b: Signs,
    out: NDArray[Any],
    to: "Target",
    overflowed: Callable[[NDArray[np.intp], int], NDArray[np.int8]] | None,
    unit: int,
) -> None:
    """Overwrite the outputs that NaN or infinities among the operands make so.

    Both are sticky, so the order of the terms is irrelevant: terms of each sort are counted. It is
    not where finite terms can overflow to an infinity as well, for an infinite operand comes too
    late for a chain that is infinite already.

    Parameters
    ----------
    a, b : Signs
        Of the operands.
    out : ndarray, (..., M, N)
        Codes as if all special operands had been zero.
    to : Target
        What codes are called.
    overflowed : callable, optional
        ``overflowed(outputs, depth)`` returns the signs of the chains of some outputs, given by
        their flat indices, that are infinite after ``depth`` terms, and 0 for others.
    unit : int
        Terms that are summed at once.
    """
    if not (a.specials.any() or b.specials.any()):
        return

    def count(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(x.astype(np.float64) @ y.astype(np.float64))

    infinite_a, infinite_b = a.specials == 1, b.specials == 1
    zero_a, zero_b = (a.signs | a.specials) == 0, (b.signs | b.specials) == 0
    nan_a, nan_b = (a.specials == 2).any(axis=-1), (b.specials == 2).any(axis=-2)
    nan = nan_a[..., :, None] | nan_b[..., None, :]
    nan = nan | (count(infinite_a, zero_b) + count(zero_a, infinite_b) > 0)
    # Infinite products, and the sum of their signs: less than their number if both signs occur.
    finite_a = a.signs * ~infinite_a
    infinite = count(infinite_a, np.abs(b.signs)) + count(np.abs(finite_a), infinite_b)
    signs = count(a.signs * infinite_a, b.signs) + count(finite_a, b.signs * infinite_b)
    nan |= np.abs(signs) < infinite
    signs = np.sign(signs)
    if overflowed is not None:
        # Chains that are infinite already have got the code of an infinity.
        infinite_so_far = (out == to.inf_positive) | (out == to.inf_negative)
        early = _overflows_before(a, b, (signs != 0) & ~nan & infinite_so_far, overflowed, unit)
        nan |= early * signs < 0
        signs = np.where(early != 0, early, signs)
    out[signs > 0] = to.inf_positive
    out[signs < 0] = to.inf_negative
    out[nan] = to.nan


def _overflows_before(
    a: Signs,
    b: Signs,
    affected: NDArray[np.bool_],
    overflowed: Callable[[NDArray[np.intp], int], NDArray[np.int8]],
    unit: int,
) -> NDArray[np.int8]:
    """Return the sign of each chain that is infinite before its first special operand, else 0."""
    early = np.zeros(affected.shape, np.int8)
    depth = a.specials.shape[-1]
    outputs = np.flatnonzero(affected)
    infinite = overflowed(outputs, depth) != 0
    outputs = outputs[infinite]  # others never overflow, and so not before
    if not outputs.size:
        return early
    lead = affected.shape[:-2]
    *batch, row, column = np.unravel_index(outputs, affected.shape)
    of_a = np.broadcast_to(a.specials, (*lead, *a.specials.shape[-2:]))[(*batch, row)]
    of_b = np.broadcast_to(b.specials, (*lead, *b.specials.shape[-2:])).swapaxes(-1, -2)
    special = (of_a != 0) | (of_b[(*batch, column)] != 0)
    first = special.argmax(axis=-1) // unit * unit
    for cut in np.unique(first[first > 0]):
        chosen = outputs[first == cut]
        early.reshape(-1)[chosen] = overflowed(chosen, int(cut))
    return early
