"""Workloads: what goes into the matrix products of a network."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TensorPair", "Workload", "sampled"]


@dataclass(frozen=True, eq=False)
class TensorPair:
    """What a network multiplies in one place, in float64.

    Parameters
    ----------
    name : str
        Place in the network.
    inputs : float64 array, (M, K)
        Activations; finite.
    weights : float64 array, (K, N)
        Weights; finite.
    """

    name: str
    inputs: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Workload:
    """Matrix products of a network at work.

    Parameters
    ----------
    name : str
        What sweeps and reports call it.
    description : str
        One sentence on network and data.
    tensors : sequence of TensorPair
        In order of use, each with a name of its own.
    """

    name: str
    description: str
    tensors: Sequence[TensorPair]

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """Shape ``(M, K, N)`` of each matrix product."""
        return [(len(pair.inputs), *pair.weights.shape) for pair in self.tensors]


@functools.lru_cache(maxsize=8)
def sampled(
    workload: Workload, rows: int | None, columns: int | None, pairs: int | None = None
) -> Workload:
    """Return a workload with at most so many rows of inputs, columns of weights, and pairs of both.

    They are evenly spread over those that there are; of sums, all terms stay.
    """
    chosen = [workload.tensors[n] for n in _spread(len(workload.tensors), pairs)]
    tensors = tuple(
        TensorPair(
            pair.name,
            pair.inputs[_spread(len(pair.inputs), rows)],
            np.ascontiguousarray(pair.weights[:, _spread(pair.weights.shape[1], columns)]),
        )
        for pair in chosen
    )
    return Workload(workload.name, workload.description, tensors)


def _spread(available: int, wanted: int | None) -> NDArray[np.intp]:
    count = available if wanted is None else min(available, wanted)
    return np.arange(count) * available // count
