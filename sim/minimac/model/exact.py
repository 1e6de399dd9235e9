"""Exact sums of products: accumulation of kind ``exact``."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minimac.model.operands import as_floats, as_integers
from minimac.model.tiling import run, stack, stacked_pairs, tiles
from minimac.spec import Arithmetic, Format

if TYPE_CHECKING:
    from minimac.model.kernels import Target

__all__ = ["multiply_exactly"]


def multiply_exactly(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any], to: "Target"
) -> NDArray[np.uint32]:
    """Multiply matrices of codes, which must not be empty; special codes count as zero.

    No sum of fewer bits than a type of numbers holds is rounded in it, whatever its order: as long
    as that goes, BLAS does the work.
    """
    from minimac.model.kernels import round_integers, sum_integers

    bound = max(map(abs, spec.product_range)) * a.shape[-1]
    if bound >= 1 << 63:
        return _multiply_wide(spec, a, b, to)
    if bound <= 1 << 53:
        word = np.float32 if bound <= 1 << 24 else np.float64
        sums = np.matmul(as_integers(spec.a, a, word), as_integers(spec.b, b, word))
        sums = sums.astype(np.int64)
    else:
        left, right = (stack(as_integers(*x, np.int64)) for x in ((spec.a, a), (spec.b, b)))
        pairs = stacked_pairs(a, b).tolist()
        sums = np.empty((len(pairs), a.shape[-2], b.shape[-1]), np.int64)
        macs = sums.size * a.shape[-1]
        tasks = (
            (left[i], right[j], sums[at], *tile)
            for at, (i, j) in enumerate(pairs)
            for tile in tiles(sums, macs)
        )
        run(sum_integers, tasks, macs)
    codes = np.empty(sums.size, np.uint32)
    round_integers(sums.ravel(), spec.lsb_exp, codes, to)
    return codes


def _multiply_wide(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any], to: "Target"
) -> NDArray[np.uint32]:
    from minimac.model.kernels import sum_limbs

    def split(fmt: Format, codes: NDArray[Any]) -> list[NDArray[np.int64]]:
        significands, exponents = as_floats(fmt, codes, np.int64, fmt.min_exp)
        return [stack(significands), stack(exponents - fmt.min_exp)]

    left, right = split(spec.a, a), split(spec.b, b.swapaxes(-1, -2))
    pairs = stacked_pairs(a, b).tolist()
    out = np.empty((len(pairs), a.shape[-2], b.shape[-1]), np.uint32)
    macs = out.size * a.shape[-1]
    # Two digits more than a sum takes: a product is added as three.
    last = spec.sum_bits // 32 + 3, spec.lsb_exp, to
    tasks = (
        (*(part[i] for part in left), *(part[j] for part in right), out[at], *tile, *last)
        for at, (i, j) in enumerate(pairs)
        for tile in tiles(out, macs)
    )
    run(sum_limbs, tasks, macs)
    return out.ravel()
