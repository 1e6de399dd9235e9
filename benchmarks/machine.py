"""What a machine can do: how fast memory is, and how fast a core counts."""

from typing import Any

import numpy as np
from numba import njit
from numpy.random import Generator

from benchmarks.entries import Contest, Entry, Job, Size
from minimac.model.tiling import run

__all__ = ["MACHINE"]

_SPAN = 1 << 18  # elements that a thread takes at a time
_CACHED = 1 << 15  # elements of three arrays that are too many for the first cache, not the second
_TURNS = 1 << 24


@njit(cache=True, nogil=True)
def _stream(a: Any, b: Any, c: Any, x: Any, turns: int) -> None:
    for _ in range(turns):
        for i in range(len(a)):
            a[i] = b[i] + x * c[i]
        x = -x


@njit(cache=True, nogil=True)
def _count(turns: int, x: int, y: int, z: int) -> int:
    for _ in range(turns):
        x = (x + y) ^ z  # an addition and an exclusive or, each a cycle, one after the other
    return x


def _prepare_memory(size: Size, rng: Generator) -> Job:
    b, c = (rng.standard_normal(size.values, np.float32) for _ in range(2))
    a, x = np.empty_like(b), np.float32(3)

    def stream() -> None:
        spans = [slice(at, at + _SPAN) for at in range(0, size.values, _SPAN)]
        run(_stream, ((a[at], b[at], c[at], x, 1) for at in spans), size.values)

    return Job(stream, 3 * b.nbytes)


def _prepare_cache(size: Size, rng: Generator) -> Job:
    a, b, c = (rng.standard_normal(_CACHED, np.float32) for _ in range(3))
    turns = size.values // _CACHED
    return Job(lambda: _stream(a, b, c, np.float32(3), turns), 3 * b.nbytes * turns)


def _prepare_pages(size: Size, rng: Generator) -> Job:
    return Job(lambda: np.ones(size.values, np.float32), 4 * size.values)


def _prepare_clock(size: Size, rng: Generator) -> Job:
    turns = min(_TURNS, size.values)
    start, y, z = (int(x) for x in rng.integers(1 << 40, size=3))
    return Job(lambda: _count(turns, start, y, z), 2 * turns)


#: In bytes, and in cycles.
MACHINE = Contest(
    "machine",
    "bytes",
    (
        Entry("memory", "numba", _prepare_memory),
        Entry("cache", "numba", _prepare_cache),
        Entry("pages", "NumPy", _prepare_pages),
        Entry("clock", "numba", _prepare_clock),
    ),
)
