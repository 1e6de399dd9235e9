"""Networks on the arithmetic of a design: scales, codes, accuracy and operand tiles.

Every tensor has one scale. A layer takes its inputs and weights, divided by their scales, as codes
of ``design.a`` and ``design.b``; the model multiplies them; the results, codes of ``design.out``,
are decoded and multiplied by both scales. Bias and ReLU are in float64, as they would be in the
vector unit beside an array.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.nn.workload import Workload, digits
from minimac.spec import Design, FixedPoint, Format, Systolic

__all__ = ["QuantisedLayer", "accuracy", "layer_operands", "quantise", "scale_for", "tiles"]


def scale_for(fmt: Format, values: NDArray[np.float64]) -> float:
    """Choose the number by which a tensor is divided before it becomes codes of ``fmt``.

    * Fixed point: the largest magnitude becomes the largest value of the format.
    * Floating point: a power of two, so that scaling is exact: the least one at which nothing
      saturates, or 1 if the squared error is no larger there, as with formats as wide as bfloat16.

    Powers of two were chosen on the calibration samples of the digits: with E5M2, E4M3, E3M2, E2M3,
    E2M1 and E3M0, each summed exactly, the exact ratio got at most two of the 197 samples more or
    fewer right, and it would take a multiplier for each tensor. For fixed point the ratio was worth
    it: 2 samples more with 4 bits, 25 with 3.

    Parameters
    ----------
    fmt : Format
    values : float64 array
        The tensor, or a sample of it; finite.

    Returns
    -------
    float
        Above zero; 1 for a tensor of zeros.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> x = np.array([-0.5, 0.25, 12.7])
    >>> scale_for(parse_format("int8"), x) == 12.7 / 127
    True
    >>> scale_for(parse_format("bf16"), x), scale_for(parse_format("e2m1"), np.array([-6.0, 24.0]))
    (1.0, 4.0)
    """
    from minimac.model import decode, encode

    peak = float(np.max(np.abs(values), initial=0.0))
    if not peak:
        return 1.0
    largest = math.ldexp(max(fmt.max_lsbs, -fmt.min_lsbs if fmt.signed else 0), fmt.lsb_exp)
    if isinstance(fmt, FixedPoint):
        return peak / math.ldexp(fmt.max_lsbs, fmt.lsb_exp)
    fits = math.ceil(math.log2(peak) - math.log2(largest))

    def error(exp: int) -> float:
        scaled = np.ldexp(values, -exp)
        return float(np.sum(np.square(np.ldexp(decode(fmt, encode(fmt, scaled)) - scaled, exp))))

    unscaled = fits < 0 and error(0) <= error(fits)
    return 1.0 if unscaled else math.ldexp(1.0, fits)


@dataclass(frozen=True, eq=False)
class QuantisedLayer:
    """A layer as the hardware of a design computes it.

    Parameters
    ----------
    design : Design
    weights : integer array, (K, N)
        Codes of ``design.b``.
    bias : float64 array, (N,)
    input_scale, weight_scale : float
        What the value of a code is multiplied by.
    """

    design: Design
    weights: NDArray[Any]
    bias: NDArray[np.float64]
    input_scale: float
    weight_scale: float

    def codes(self, inputs: NDArray[np.float64]) -> NDArray[Any]:
        """Return the inputs, (M, K), as codes of ``design.a``; what is too large saturates."""
        from minimac.model import encode

        return np.asarray(encode(self.design.a, inputs / self.input_scale))

    def __call__(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the layer makes of inputs (M, K): (M, N), before ReLU."""
        from minimac.model import decode, matmul

        sums = decode(self.design.out, matmul(self.design, self.codes(inputs), self.weights))
        scale = self.input_scale * self.weight_scale
        return np.asarray(sums * scale + self.bias, dtype=np.float64)


def quantise(design: Design, workload: Workload) -> list[QuantisedLayer]:
    """Put the layers of a network on the arithmetic of a design.

    Scales follow :func:`scale_for`, from the weights and from the float64 activations of the
    calibration samples. Where the largest result of a layer would not fit ``design.out``, which has
    no scale of its own, both scales are raised by powers of two until it does.
    """
    from minimac.model import encode

    values = workload.layer_inputs(workload.calibration)
    quantised = []
    for layer, inputs in zip(workload.layers, values[:-1], strict=True):
        input_scale = scale_for(design.a, inputs)
        weight_scale = scale_for(design.b, layer.weights)
        peak = float(np.max(np.abs(inputs @ layer.weights))) / input_scale / weight_scale
        largest = math.ldexp(design.out.max_lsbs, design.out.lsb_exp)
        excess = max(0, math.ceil(math.log2(peak / largest))) if peak else 0
        input_scale = math.ldexp(input_scale, excess - excess // 2)
        weight_scale = math.ldexp(weight_scale, excess // 2)
        weights = np.asarray(encode(design.b, layer.weights / weight_scale))
        quantised.append(QuantisedLayer(design, weights, layer.bias, input_scale, weight_scale))
    return quantised


def _layer_inputs(
    layers: list[QuantisedLayer], samples: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Return what goes into each quantised layer, then what comes out of the last."""
    values = [samples]
    for i, layer in enumerate(layers):
        x = layer(values[-1])
        values.append(x if i == len(layers) - 1 else np.maximum(x, 0.0))
    return values


def accuracy(design: Design, workload: Workload | None = None) -> float:
    """Return the share of the test set that a network on this design gets right, 0 to 1.

    Every product and sum is that of the bit-exact model, and so of the verified circuit.

    Parameters
    ----------
    design : Design
    workload : Workload, optional
        The handwritten digits by default.

    Raises
    ------
    ValueError
        If a layer has more inputs than the ``max_terms`` of the design.
    """
    workload = workload or digits()
    scores = _layer_inputs(quantise(design, workload), workload.inputs)[-1]
    return float(np.mean(scores.argmax(axis=-1) == workload.labels))


def layer_operands(
    design: Design, workload: Workload | None = None, *, samples: int | None = None
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return the operands of each layer of a network at work.

    Parameters
    ----------
    design : Design
    workload : Workload, optional
        The handwritten digits by default.
    samples : int, optional
        How many inputs of the test set, the first ones; all by default.

    Returns
    -------
    list of (a, b)
        ``a`` (M, K): codes of ``design.a``; ``b`` (K, N): codes of ``design.b``.
    """
    workload = workload or digits()
    layers = quantise(design, workload)
    values = _layer_inputs(layers, workload.inputs[:samples])
    return [
        (layer.codes(inputs), layer.weights)
        for layer, inputs in zip(layers, values[:-1], strict=True)
    ]


def tiles(
    design: Design, count: int, workload: Workload | None = None, *, samples: int = 16
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Cut operand tiles from a network at work: what an array would be given.

    A tile has the whole depth ``K`` of its layer, as many outputs as the design has columns (1 for
    a unit without) and ``samples`` inputs of the test set. All layers occur, if ``count`` allows
    it, and the choice is fixed.

    Parameters
    ----------
    design : Design
    count : int
        How many tiles, at least 1; fewer come back if the network has no more.
    workload : Workload, optional
        The handwritten digits by default.
    samples : int
        Rows ``M`` of a tile.

    Returns
    -------
    list of (a, b)
        ``a`` (M, K): codes of ``design.a``; ``b`` (K, N): codes of ``design.b``.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    columns = design.array.columns if isinstance(design, Systolic) else 1
    by_layer = [
        [
            (
                codes[row : row + samples],
                np.ascontiguousarray(weights[:, column : column + columns]),
            )
            for row in range(0, len(codes), samples)
            for column in range(0, weights.shape[1], columns)
        ]
        for codes, weights in layer_operands(design, workload)
    ]
    # Layers in turn, and evenly spread tiles of each.
    chosen = []
    for i, found in enumerate(by_layer):
        share = min(len(found), count // len(by_layer) + (i < count % len(by_layer)))
        chosen += [found[len(found) * n // share] for n in range(share)]
    return chosen
