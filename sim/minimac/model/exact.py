"""Exact sums: accumulation of kind ``exact``, and whatever else must not be rounded."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimac.model.foot import UNITY, Foot
from minimac.model.operands import as_floats, as_integers
from minimac.model.tiling import run, stack, stacked_pairs, tiles
from minimac.spec import Arithmetic, Format

__all__ = [
    "Digits",
    "add_exactly",
    "multiply_digits",
    "multiply_exactly",
    "multiply_integers",
    "word_for",
]


class Digits(NamedTuple):
    """Numbers ``significands * 2**places`` in some unit; places are not negative."""

    significands: NDArray[np.int64]  #: Products of two have at most 64 bits.
    places: NDArray[np.int64]

    @classmethod
    def of(cls, fmt: Format, codes: NDArray[Any]) -> "Digits":
        """Take codes apart; the unit is the lsb of the format, and special codes count as zero."""
        significands, exponents = as_floats(fmt, codes, np.int64, fmt.min_exp)
        return cls(significands, exponents - fmt.min_exp)


def multiply_exactly(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any], foot: Foot
) -> NDArray[np.uint32]:
    """Multiply matrices of codes, which must not be empty; special codes count as zero."""
    bound = max(map(abs, spec.product_range)) * a.shape[-1]
    if bound < 1 << 63:
        word = word_for(bound)
        integers = as_integers(spec.a, a, word), as_integers(spec.b, b, word)
        return foot.round(multiply_integers(*integers), np.array([spec.lsb_exp]))
    rows, columns = Digits.of(spec.a, a), Digits.of(spec.b, b.swapaxes(-1, -2))
    return multiply_digits(rows, columns, spec.sum_bits, spec.lsb_exp, foot)


def word_for(bound: int) -> type[Any]:
    """Return the type in which sums of at most ``bound``, whatever their order, are exact."""
    return np.float32 if bound <= 1 << 24 else np.float64 if bound <= 1 << 53 else np.int64


def multiply_integers(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int64]:
    """Multiply stacks of matrices of integers, in a type that :func:`word_for` has chosen.

    As long as floats do, BLAS does the work.
    """
    from minimac.model.kernels import sum_integers

    if a.dtype != np.int64:
        return np.asarray(np.matmul(a, b).astype(np.int64))
    left, right = stack(a), stack(b)
    pairs = stacked_pairs(a, b).tolist()
    sums = np.empty((len(pairs), a.shape[-2], b.shape[-1]), np.int64)
    macs = sums.size * a.shape[-1]
    tasks = (
        (left[i], right[j], sums[at], *tile)
        for at, (i, j) in enumerate(pairs)
        for tile in tiles(sums, macs)
    )
    run(sum_integers, tasks, macs)
    return sums.reshape(*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *sums.shape[1:])


def multiply_digits(
    a: Digits, b: Digits, sum_bits: int, lsb_exp: int, foot: Foot
) -> NDArray[np.uint32]:
    """Multiply stacks (M, K) and, transposed, (N, K), whose units make ``2**lsb_exp``."""
    from minimac.model.kernels import sum_digits

    left, right = ([stack(part) for part in x] for x in (a, b))
    pairs = stacked_pairs(a.significands, b.significands).tolist()
    m, n, depth = a.significands.shape[-2], b.significands.shape[-2], a.significands.shape[-1]
    out = np.empty((len(pairs), m, n), np.uint32)
    randoms = foot.randoms.reshape(-1, m, n) if foot.randoms.size else None
    none = np.zeros((1, 1), np.uint32)
    # Two digits more than a sum takes, for a product is added as three; and those of the factors.
    last = -(-sum_bits // 32) + 4, lsb_exp, foot.factors, foot.to
    tasks = (
        (
            *(part[i] for part in left),
            *(part[j] for part in right),
            none if randoms is None else randoms[at],
            out[at],
            *tile,
            *last,
        )
        for at, (i, j) in enumerate(pairs)
        for tile in tiles(out, out.size * depth)
    )
    run(sum_digits, tasks, out.size * depth)
    lead = np.broadcast_shapes(a.significands.shape[:-2], b.significands.shape[:-2])
    return out.reshape(*lead, m, n)


def add_exactly(
    significands: NDArray[np.int64], exponents: NDArray[np.int64], foot: Foot
) -> NDArray[np.uint32]:
    """Add terms ``significands * 2**exponents`` (T, N) along the first axis, and round the sums."""
    some = significands != 0
    lsb_exp = int(exponents.min(where=some, initial=1 << 30)) if some.any() else 0
    places = np.where(some, exponents - lsb_exp, 0)
    bound = int(np.abs(significands).max()) * len(significands) << int(places.max())
    if bound < 1 << 63 and foot.factors == UNITY:
        return foot.round((significands << places).sum(axis=0), np.array([lsb_exp]))
    terms = Digits(significands.T, places.T)
    one = Digits(np.ones((1, len(places)), np.int64), np.zeros((1, len(places)), np.int64))
    turned = foot.shaped((places.shape[1], 1))
    return multiply_digits(terms, one, bound.bit_length() + 1, lsb_exp, turned)[:, 0]
