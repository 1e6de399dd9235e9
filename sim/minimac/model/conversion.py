"""What converters return: numbers, perhaps times scales, rounded once, and blocks."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.blocks import quantize_blocks
from minimac.model.elementwise import multiply
from minimac.model.scalars import code_type, convert, decode, encode
from minimac.spec import Convert, GridFormat, Quantize

__all__ = ["convert_numbers", "quantize_numbers"]


def convert_numbers(
    design: Convert,
    a: ArrayLike,
    b: ArrayLike | None = None,
    random: ArrayLike | None = None,
) -> NDArray[Any]:
    """Return what a ``convert`` makes of codes.

    Parameters
    ----------
    design : Convert
        The unit.
    a, b : array_like of int
        Codes of numbers, and of their scales if the unit takes any.
    random : array_like of int, optional
        Random integers of a stochastic mode, of ``design.random_bits`` bits.

    Returns
    -------
    ndarray of uint8, uint16 or uint32
        Codes of ``design.out``.

    Raises
    ------
    TypeError, ValueError
        As :func:`minimac.model.convert` and :func:`minimac.model.multiply`.

    Examples
    --------
    >>> from minimac.model import encode
    >>> from minimac.spec import load_design
    >>> requantise = load_design({"name": "x", "unit": "convert", "a": "int32", "b": "fp32",
    ...     "out": "int8"})
    >>> convert_numbers(requantise, [1000, 70000], encode(requantise.b, [0.0625, 0.01]))
    array([ 62, 127], dtype=uint8)
    """
    random_bits = None
    if random is not None:
        assert design.random_bits is not None
        random_bits = np.asarray(random), design.random_bits
    if design.b is None:
        modes = design.out_round, design.out_overflow
        return convert(design.a, design.out, a, *modes, random_bits)
    if b is None:
        raise ValueError("b must be given: this converter takes a scale with each number")
    if isinstance(design.out, GridFormat):
        with np.errstate(invalid="ignore"):
            products = decode(design.a, a) * decode(design.b, b)  # exact
        return encode(design.out, products, design.out_round, design.out_overflow, random_bits)
    return multiply(design, a, b, random_bits)


def quantize_numbers(
    design: Quantize,
    a: ArrayLike,
    tensor: ArrayLike | None = None,
    random: ArrayLike | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what a ``quantize`` makes of blocks of codes.

    Parameters
    ----------
    design : Quantize
        The unit.
    a : array_like of int, shape (T, size)
        Codes of the numbers of each block.
    tensor : array_like of int, shape (T,), optional
        Code of the tensor's scale for each block, if the format has one: positive and finite.
    random : array_like of int, shape (T, size), optional
        Random integers of a stochastic mode, of ``design.random_bits`` bits.

    Returns
    -------
    elements : ndarray of uint8, uint16 or uint32, shape (T, size)
        Codes of the elements.
    scales : ndarray of uint8, uint16 or uint32, shape (T,)
        Codes of their scales.

    Raises
    ------
    TypeError, ValueError
        As :func:`minimac.model.quantize_blocks`.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> nvfp4 = load_design({"name": "x", "unit": "quantize", "a": "int8", "out": "nvfp4:size=4"})
    >>> elements, scales = quantize_numbers(nvfp4, [[3, 253, 1, 0]], tensor=[0x3F800000])
    >>> elements, scales  # 3 is 6 times a half
    (array([[ 7, 15,  4,  0]], dtype=uint8), array([48], dtype=uint8))
    """
    fmt = design.block
    values = decode(design.a, a)
    elements = np.zeros(values.shape, code_type(fmt.element))
    scales = np.zeros(len(values), code_type(fmt.scale))
    factors = np.ones(len(values)) if tensor is None else _tensor_scales(design, tensor)
    for factor in np.unique(factors):
        chosen = factors == factor
        random_bits = None
        if random is not None:
            assert design.random_bits is not None
            random_bits = np.asarray(random)[chosen], design.random_bits
        blocks = quantize_blocks(
            fmt, values[chosen], -1, design.out_round, random_bits, tensor_scale=float(factor)
        )
        elements[chosen], scales[chosen] = blocks.elements, blocks.scales[:, 0]
    return elements, scales


def _tensor_scales(design: Quantize, codes: ArrayLike) -> NDArray[np.float64]:
    fmt = design.block.tensor_scale
    if fmt is None:
        raise ValueError(f"tensor must be None: {design.block.name} has no scale of a tensor")
    return decode(fmt, codes)
