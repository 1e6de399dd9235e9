"""Work on matrices of outputs, cut into parts for threads."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Range", "run", "stack", "stacked_pairs", "tiles"]

_THREADED_MACS = 1 << 22  # a smaller job is done before threads have started

Range = tuple[int, int]


def run(work: Callable[..., None], tasks: Iterator[tuple[Any, ...]], macs: int) -> None:
    """Call ``work`` with each of ``tasks``, in threads if ``macs`` makes it worth while.

    Compiled loops do without the interpreter's lock.
    """
    if not _is_large(macs):
        for task in tasks:
            work(*task)
        return
    with ThreadPoolExecutor(_threads()) as pool:
        try:
            for started in [pool.submit(work, *task) for task in tasks]:
                started.result()
        except BaseException:  # an interrupt waits for what has begun, and for nothing else
            pool.shutdown(cancel_futures=True)
            raise


def tiles(outputs: NDArray[Any], macs: int) -> Iterator[tuple[Range, Range]]:
    """Cut the matrices of a stack of outputs into parts that keep all threads busy, or into one."""
    from minimac.model.kernels import TILE

    rows, cols = outputs.shape[-2:]
    parts = 4 * _threads() if _is_large(macs) else 1
    tall = -(-rows // min(rows, parts))
    wide = -(-cols // max(1, parts // rows))
    wide = -(-wide // TILE) * TILE
    for row in range(0, rows, tall):
        for col in range(0, cols, wide):
            yield (row, min(row + tall, rows)), (col, min(col + wide, cols))


def stack(array: NDArray[Any]) -> NDArray[Any]:
    """Return matrices along one axis."""
    return array.reshape(-1, *array.shape[-2:])


def stacked_pairs(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.intp]:
    """Say which matrices of two stacks are multiplied, in a row for each matrix of the product."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    places = [np.arange(math.prod(x.shape[:-2])).reshape(x.shape[:-2]) for x in (a, b)]
    return np.stack([np.broadcast_to(place, lead).ravel() for place in places], axis=-1)


def _is_large(macs: int) -> bool:
    return macs >= _THREADED_MACS and _threads() > 1


def _threads() -> int:
    import numba

    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]  # set at import
