"""Quality of an arithmetic: how far its products of real matrices are from exact ones."""

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.nn.quantisation import Scales, quantise_layer
from minimac.nn.workload import Workload, sampled
from minimac.spec import Design, SpecError

__all__ = ["error"]


def error(
    design: Design,
    workload: Workload,
    *,
    rows: int = 64,
    columns: int = 64,
    scales: Scales = "tensor",
) -> dict[str, Any]:
    """Return how far the matrix products of a network on this design are from those in float64.

    A sample of each tensor pair of the workload, all of K deep, is quantised to the formats of the
    design as :func:`minimac.nn.quantise` does, with scales of its own; products and sums are those
    of the bit-exact model, and so of the verified circuit. They are compared with the float64
    products of the numbers that were not quantised: the error is that of both operands, of the
    accumulation and of the rounding to ``out``, together.

    It is the error of single layers whose inputs are exact: errors that earlier layers would have
    made, and what later ones would make of them, are not in it, nor is any training against them.
    It ranks arithmetics by what they do to values, and says nothing of what a network can bear.

    Parameters
    ----------
    design : Design
        A ``mac``, ``dot`` or ``systolic``; of formats of numbers or blocks.
    workload : Workload
    rows, columns : int
        Rows of inputs and columns of weights in the sample of a pair, evenly spread over those that
        there are; at most that many.
    scales : {"tensor", "vector"}
        One scale for each tensor, or one for each row of inputs and each column of weights; block
        formats have their own.

    Returns
    -------
    dict
        ``by_tensor_percent``: for each pair ``100 * ||y - y0|| / ||y0||``, Frobenius norms;
        ``error_percent``: the root of the mean of their squares; ``sqnr_db``: the same in decibels,
        ``-20 * log10(error_percent / 100)``, infinite if there is no error; ``tensors``: how many
        pairs; ``products``: how many products of numbers.

    Raises
    ------
    SpecError
        If the design does not multiply matrices, or not ones as deep; if a format lacks zeros and
        negative numbers that occur; if results become NaN or infinite.
    ValueError
        If ``rows`` or ``columns`` are below 1.

    Examples
    --------
    >>> from minimac.nn import digits
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "x", "unit": "dot", "a": "int8", "b": "int8", "out": "bf16",
    ...     "accumulate": {"kind": "exact"}})
    >>> found = error(design, digits())
    >>> f"{found['error_percent']:.2f}", f"{found['sqnr_db']:.1f}", found["tensors"]
    ('0.61', '44.2', 3)
    """
    for name, value in (("rows", rows), ("columns", columns)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    found: dict[str, float] = {}
    products = 0
    sample = sampled(workload, rows, columns)
    for pair, exact in zip(sample.tensors, _exact(sample), strict=True):
        name = f"{workload.name} {pair.name}"
        layer = quantise_layer(design, pair.inputs, pair.weights, scales=scales, name=name)
        results = layer(pair.inputs)
        if not np.isfinite(results).all():
            raise SpecError(
                f"accumulate: results of {name} are NaN or infinite; use a wider format there or "
                "in out"
            )
        found[pair.name] = _relative(results - exact, exact)
        products += exact.size * len(pair.weights)
    total = math.sqrt(math.fsum(each**2 for each in found.values()) / len(found))
    return {
        "error_percent": 100 * total,
        "by_tensor_percent": {name: 100 * each for name, each in found.items()},
        "sqnr_db": -20 * math.log10(total) if total else math.inf,
        "tensors": len(found),
        "products": products,
    }


def _relative(error: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    size = float(np.linalg.norm(error))
    return size / float(np.linalg.norm(exact)) if size else 0.0


@functools.lru_cache(maxsize=4)
def _exact(workload: Workload) -> list[NDArray[np.float64]]:
    """Return the products of a workload in float64."""
    return [pair.inputs @ pair.weights for pair in workload.tensors]
