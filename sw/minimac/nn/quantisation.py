"""Networks on the arithmetic of a design: scales, codes, accuracy and operand tiles.

Every tensor has one scale, or every row of inputs and every column of weights: a sum has one of
each. A layer takes its inputs and weights, divided by their scales, as codes
of ``design.a`` and ``design.b``; the model multiplies them; the results, codes of ``design.out``,
are decoded and multiplied by both scales. Bias and ReLU are in float64, as they would be in the
vector unit beside an array. So are scales of tensors: in block formats that have one it is the
scale here, and the blocks that are multiplied have none, as a ``dot`` takes them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from minimac.model import Blocks
from minimac.nn.classifiers import Classifier, digits
from minimac.nn.workload import Workload, sampled
from minimac.spec import (
    BlockFormat,
    Codebook,
    Design,
    Dot,
    ExponentOnly,
    FixedPoint,
    Format,
    KHot,
    Mac,
    SpecError,
    Systolic,
)

__all__ = [
    "QuantisedLayer",
    "accuracy",
    "layer_operands",
    "quantise",
    "quantise_layer",
    "scale_for",
    "tiles",
]

Floats = NDArray[np.float64]
Scales = Literal["tensor", "vector"]
Operand = Any  # an array of codes, or Blocks along K: what cost and bench take, too


def scale_for(fmt: Format, values: Floats) -> float:
    """Choose the number by which a tensor is divided before it becomes codes of ``fmt``.

    * Fixed point, k-hot, codebooks: the largest magnitude becomes the largest value of the format.
    * One magnitude only, as ``bin`` and ``tern`` have: the one with the least squared error.
    * Floating point: a power of two, so that scaling is exact: the least one at which nothing
      saturates, or 1 if the squared error is no larger there, as with formats as wide as bfloat16.
    * Blocks: the scale of the tensor as :func:`minimac.model.quantize_blocks` chooses it, 1 in
      formats without: the scales of the blocks do the rest.

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
    >>> scale_for(parse_format("tern"), np.array([2.0, -3.0, 0.25, 0.0]))
    2.5
    """
    from minimac.model import decode, encode, quantize_blocks

    peak = float(np.max(np.abs(values), initial=0.0))
    if not peak:
        return 1.0
    if isinstance(fmt, BlockFormat):
        if fmt.tensor_scale is None:
            return 1.0
        # The largest magnitude alone decides.
        return quantize_blocks(fmt, np.array([peak])).tensor_scale
    ends = {fmt.max_lsbs, -fmt.min_lsbs if fmt.signed else 0}
    largest = math.ldexp(max(ends), fmt.lsb_exp)
    if _has_one_magnitude(fmt):
        return _least_error(fmt, values) / largest
    if isinstance(fmt, (FixedPoint, KHot)):
        return peak / math.ldexp(fmt.max_lsbs, fmt.lsb_exp)
    if isinstance(fmt, Codebook):
        return peak / largest
    fits = math.ceil(math.log2(peak) - math.log2(largest))

    def error(exp: int) -> float:
        scaled = np.ldexp(values, -exp)
        return float(np.sum(np.square(np.ldexp(decode(fmt, encode(fmt, scaled)) - scaled, exp))))

    unscaled = fits < 0 and error(0) <= error(fits)
    return 1.0 if unscaled else math.ldexp(1.0, fits)


def _has_one_magnitude(fmt: Format) -> bool:
    if isinstance(fmt, FixedPoint):
        return fmt.max_lsbs == 1 and fmt.min_lsbs >= -1
    return (
        isinstance(fmt, Codebook)
        and len({abs(fmt.lsbs(c)) for c in range(len(fmt.codes))} - {0}) == 1
    )


def _least_error(fmt: Format, values: Floats) -> float:
    """Return the magnitude that values become with the least squared error, the others zero.

    It is the mean of the largest ones: of those k for which ``sum**2 / k`` is the largest, or of
    all if there is no zero.
    """
    sizes = np.abs(values if fmt.signed else np.maximum(values, 0.0)).ravel()
    if not any(fmt.holds(c) and fmt.lsbs(c) == 0 for c in range(1 << fmt.width)):
        return float(sizes.mean())
    sums = np.cumsum(np.sort(sizes)[::-1])
    counts = np.arange(1, len(sums) + 1)
    best = int(np.argmax(np.square(sums) / counts))
    return float(sums[best] / counts[best]) or 1.0


@dataclass(frozen=True, eq=False)
class QuantisedLayer:
    """A layer as the hardware of a design computes it.

    Parameters
    ----------
    design : Design
    weights : integer array, (K, N), or Blocks along K
        Codes of ``design.b``.
    bias : float64 array, (N,)
    input_scale : float or None
        What the value of a code is multiplied by; None: each row of inputs has a scale of its own.
    weight_scale : float, or float64 array, (N,)
        The same for weights, for all or for each column.
    excess : int
        The power of two by which scales of rows are raised so that results fit ``design.out``.
    """

    design: Design
    weights: Operand
    bias: Floats
    input_scale: float | None
    weight_scale: Any
    excess: int = 0

    def _scale(self, inputs: Floats) -> Any:
        if self.input_scale is not None:
            return self.input_scale
        return np.ldexp(_scales(self.design.a, inputs), self.excess)[:, None]

    def codes(self, inputs: Floats) -> Operand:
        """Return the inputs, (M, K), as codes of ``design.a``; what is too large saturates.

        Blocks are scaled by what is in them; one block for a tensor, by all of ``inputs``.
        """
        return _codes("a", self.design.a, inputs, self._scale(inputs))

    def __call__(self, inputs: Floats) -> Floats:
        """Return what the layer makes of inputs (M, K): (M, N), before ReLU."""
        from minimac.model import matmul

        return self.finish(matmul(self.design, self.codes(inputs), self.weights), inputs)

    def finish(self, sums: NDArray[Any], inputs: Floats) -> Floats:
        """Return what the layer makes of sums, codes of ``design.out``, wherever they are from.

        Of ``inputs`` only the scales are used.
        """
        from minimac.model import decode

        scale = self._scale(inputs) * self.weight_scale
        return np.asarray(decode(self.design.out, sums) * scale + self.bias, dtype=np.float64)


def _scales(fmt: Format, rows: Floats) -> Floats:
    """Choose a scale for each row."""
    return np.array([scale_for(fmt, row) for row in rows])


def _codes(key: str, fmt: Format, values: Floats, scale: Any) -> Operand:
    from minimac.model import encode, quantize_blocks

    if isinstance(fmt, BlockFormat):
        axis = {"a": -1, "b": -2}[key]
        if fmt.tensor_scale is None:
            return quantize_blocks(fmt, values / scale, axis)
        return quantize_blocks(fmt, values, axis, tensor_scale=scale)._replace(tensor_scale=1.0)
    if isinstance(fmt, ExponentOnly) and np.any(values <= 0):
        raise SpecError(
            f"{key}: {fmt.name} has no code for zeros and negative numbers of a network"
        )
    return np.asarray(encode(fmt, values / scale))


def quantise(
    design: Design, workload: Workload, *, scales: Scales = "tensor"
) -> list[QuantisedLayer]:
    """Put the layers of a network on the arithmetic of a design.

    Scales are chosen by :func:`quantise_layer`, of a classifier from the float64 activations of the
    calibration samples, else from the tensors of the workload.

    Raises
    ------
    SpecError
        As :func:`quantise_layer`.
    """
    if not isinstance(workload, Classifier):
        return [
            quantise_layer(
                design,
                pair.inputs,
                pair.weights,
                scales=scales,
                name=f"{workload.name} {pair.name}",
            )
            for pair in workload.tensors
        ]
    values = workload.layer_inputs(workload.calibration)
    return [
        quantise_layer(
            design,
            x,
            layer.weights,
            layer.bias,
            scales=scales,
            name=f"{workload.name} {pair.name}",
        )
        for x, layer, pair in zip(values[:-1], workload.layers, workload.tensors, strict=True)
    ]


def quantise_layer(
    design: Design,
    inputs: Floats,
    weights: Floats,
    bias: Floats | None = None,
    *,
    scales: Scales = "tensor",
    name: str = "the layer",
) -> QuantisedLayer:
    """Put a layer on the arithmetic of a design.

    Scales follow :func:`scale_for`. Where the largest result would not fit ``design.out``, which
    has no scale of its own, both scales are raised by powers of two until it does.

    Parameters
    ----------
    design : Design
    inputs : float64 array, (M, K)
        Samples from which the ranges of inputs and results are taken.
    weights : float64 array, (K, N)
    bias : float64 array, (N,), optional
        Zeros by default.
    scales : {"tensor", "vector"}
        One scale for each tensor, or one for each row of inputs and each column of weights; block
        formats have their own.
    name : str
        How errors call it.

    Raises
    ------
    SpecError
        If the design does not multiply matrices, or not ones as deep, or a format lacks zeros and
        negative numbers that occur.
    """
    _check(design, len(weights), name)
    by_row, by_column = (
        scales == "vector" and not isinstance(fmt, BlockFormat) for fmt in (design.a, design.b)
    )
    input_scale = _scales(design.a, inputs)[:, None] if by_row else scale_for(design.a, inputs)
    weight_scale = _scales(design.b, weights.T) if by_column else scale_for(design.b, weights)
    peak = float(np.max(np.abs(inputs @ weights) / (input_scale * weight_scale)))
    largest = math.ldexp(design.out.max_lsbs, design.out.lsb_exp)
    excess = max(0, math.ceil(math.log2(peak / largest))) if peak else 0
    weight_scale = weight_scale * 2.0 ** (excess // 2)
    codes = _codes("b", design.b, weights, weight_scale)
    bias = np.zeros(weights.shape[1]) if bias is None else bias
    excess -= excess // 2
    if by_row:
        return QuantisedLayer(design, codes, bias, None, weight_scale, excess)
    return QuantisedLayer(design, codes, bias, float(input_scale) * 2.0**excess, weight_scale)


def _check(design: Design, depth: int, name: str) -> None:
    """Refuse a design that does not multiply matrices of some depth."""
    if not isinstance(design, (Dot, Mac, Systolic)):
        raise SpecError(f"unit: must be mac, dot or systolic to run a network, not {design.unit}")
    if design.out_round.stochastic:
        raise SpecError(
            f"out_round: must not be stochastic to run a network, as {design.out_round} is"
        )
    most = design.accumulate.max_terms
    if depth > most:
        raise SpecError(
            f"accumulate.max_terms: must be at least {depth}, the terms of a sum of {name}, "
            f"not {most}"
        )


def _layer_inputs(layers: Sequence[QuantisedLayer], samples: Floats) -> list[Floats]:
    """Return what goes into each quantised layer, then what comes out of the last."""
    values = [samples]
    for i, layer in enumerate(layers):
        x = layer(values[-1])
        values.append(x if i == len(layers) - 1 else np.maximum(x, 0.0))
    return values


def accuracy(
    design: Design, workload: Workload | None = None, *, scales: Scales = "tensor"
) -> float:
    """Return the share of the test set that a network on this design gets right, 0 to 1.

    Every product and sum is that of the bit-exact model, and so of the verified circuit.

    Parameters
    ----------
    design : Design
    workload : Classifier, optional
        The handwritten digits by default.
    scales : {"tensor", "vector"}
        As for :func:`quantise_layer`.

    Raises
    ------
    SpecError
        If the workload has no labels, or as :func:`quantise_layer`.
    """
    workload = workload or digits()
    if not isinstance(workload, Classifier):
        raise SpecError(
            f"workload: {workload.name} has no labels and so no accuracy; use a classifier such as "
            "digits, or minimac.nn.error"
        )
    scores = _layer_inputs(quantise(design, workload, scales=scales), workload.inputs)[-1]
    return float(np.mean(scores.argmax(axis=-1) == workload.labels))


def layer_operands(
    design: Design,
    workload: Workload | None = None,
    *,
    samples: int | None = None,
    columns: int | None = None,
    layers: int | None = None,
    scales: Scales = "tensor",
) -> list[tuple[Operand, Operand]]:
    """Return the operands of each layer of a network at work.

    In a classifier, what goes into a layer comes out of the quantised one before; other workloads
    know the float64 inputs of each layer, and these are quantised.

    Parameters
    ----------
    design : Design
    workload : Workload, optional
        The handwritten digits by default.
    samples : int, optional
        How many inputs, of a classifier the first ones of the test set; all by default.
    columns : int, optional
        How many columns of weights; all by default.
    layers : int, optional
        How many layers; all by default. Of samples, columns and layers, those that are kept are
        evenly spread. A classifier, whose layers depend on each other, has all columns and layers.
    scales : {"tensor", "vector"}
        As in :func:`quantise_layer`.

    Returns
    -------
    list of (a, b)
        ``a`` (M, K): codes of ``design.a``; ``b`` (K, N): codes of ``design.b``. Of block formats,
        Blocks along K, whose tensor scale is 1.

    Raises
    ------
    SpecError
        As :func:`quantise_layer`.
    """
    workload = workload or digits()
    if isinstance(workload, Classifier):
        found = quantise(design, workload, scales=scales)
        inputs = _layer_inputs(found, workload.inputs[:samples])[:-1]
    else:
        workload = sampled(workload, samples, columns, layers)
        found = quantise(design, workload, scales=scales)
        inputs = [pair.inputs for pair in workload.tensors]
    return [(layer.codes(x), layer.weights) for layer, x in zip(found, inputs, strict=True)]


def tiles(
    design: Design, count: int, workload: Workload | None = None, *, samples: int = 16
) -> list[tuple[Operand, Operand]]:
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
        As :func:`layer_operands`.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    columns = design.array.columns if isinstance(design, Systolic) else 1
    # Of what is cut off in the end, no more than is needed.
    most = None if isinstance(workload or digits(), Classifier) else count
    operands = layer_operands(
        design, workload, samples=most and most * samples, columns=most and most * columns
    )
    # Layers in turn, and evenly spread tiles of each.
    chosen = []
    for i, (a, b) in enumerate(operands):
        places = [
            (row, column)
            for row in range(0, _shape(a)[0], samples)
            for column in range(0, _shape(b)[1], columns)
        ]
        share = min(len(places), count // len(operands) + (i < count % len(operands)))
        for row, column in (places[len(places) * n // share] for n in range(share)):
            part = slice(row, row + samples), slice(column, column + columns)
            chosen.append((_cut(a, (part[0], slice(None))), _cut(b, (slice(None), part[1]))))
    return chosen


def _shape(operand: Operand) -> tuple[int, ...]:
    return (operand.elements if isinstance(operand, Blocks) else operand).shape


def _cut(operand: Operand, part: tuple[slice, slice]) -> Operand:
    """Take rows or columns out of an operand; one scale for all stays."""
    if not isinstance(operand, Blocks):
        return np.ascontiguousarray(operand[part])
    scales = operand.scales if operand.scales.size == 1 else operand.scales[part]
    elements = np.ascontiguousarray(operand.elements[part])
    return Blocks(elements, np.ascontiguousarray(scales), operand.tensor_scale)
