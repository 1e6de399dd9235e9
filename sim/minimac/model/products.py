"""Matrix products, summed as a spec says."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.block_products import BlockOperand, block_size, multiply_blocks
from minimac.model.blocks import Blocks, read_blocks
from minimac.model.exact import multiply_exactly
from minimac.model.foot import Foot, factors_of
from minimac.model.loops import Operand, finish, loop_for
from minimac.model.operands import as_signs, read_codes
from minimac.model.scalars import code_type, read_random, target
from minimac.model.specials import Signs, apply_specials
from minimac.model.terms import multiply_approximately, multiply_in_chunks
from minimac.spec import (
    Arithmetic,
    BlockFormat,
    ExactAccumulation,
    FixedAccumulation,
    FixedPoint,
    Format,
    FusedAccumulation,
    Overflow,
    Product,
    Rounding,
)

if TYPE_CHECKING:
    from minimac.model.kernels import Target

__all__ = ["matmul"]


def matmul(
    spec: Arithmetic,
    a: ArrayLike | Blocks,
    b: ArrayLike | Blocks,
    random_bits: ArrayLike | tuple[ArrayLike, int] | None = None,
) -> NDArray[Any]:
    """Return the matrix product that a unit computes, bit by bit.

    Each output is one chain over k = 0 .. K-1, in that order; with K = 0 it is +0.

    Parameters
    ----------
    spec : Arithmetic
        Formats, accumulation and rounding; any design will do.
    a : array_like of int, shape (..., M, K), or Blocks
        Codes of ``spec.a``; of a block format, blocks along K.
    b : array_like of int, shape (..., K, N), or Blocks
        Codes of ``spec.b``. Leading axes broadcast against those of ``a``.
    random_bits : optional
        Random bits for a stochastic ``spec.out_round``, as in :func:`encode`; they broadcast to the
        shape of the result. A fixed-point ``out`` of 32 bits takes 31 at most.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., M, N)
        Codes of ``spec.out``.

    Raises
    ------
    TypeError
        If ``a`` or ``b`` are not integers, or not Blocks where the format is one of blocks.
    ValueError
        If a code is out of range, the shapes do not match, or K is above ``max_terms``.

    Examples
    --------
    >>> from minimac.model import decode, encode
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "mine", "unit": "mac", "a": "bf16", "b": "e4m3fn",
    ...     "out": "bf16", "accumulate": {"kind": "float", "width": 16, "normalize": "none"}})
    >>> a = encode(design.a, [[1.0, 2.5], [-3.0, 0.0]])
    >>> b = encode(design.b, [[4.0], [0.5]])
    >>> decode(design.out, matmul(design, a, b))
    array([[  5.25],
           [-12.  ]])
    """
    if not isinstance(spec, Arithmetic):
        raise TypeError(f"spec must be an Arithmetic, such as a design, not {spec!r}")
    rows, tensor_a = _read(spec.a, a, "a", -1)
    columns, tensor_b = _read(spec.b, b, "b", -2)
    shape = _result_shape(spec, rows.codes, columns.codes)
    randoms, random_width = read_random(random_bits, spec.out_round, shape)
    if isinstance(spec.out, FixedPoint) and spec.out.width + random_width > 63:
        raise ValueError(f"random_bits must have at most 31 bits for an out of {spec.out.name}")
    to = target(spec.out, spec.out_round, spec.out_overflow, random_width)
    foot = Foot(to, randoms.reshape(shape if randoms.size else 0), factors_of(tensor_a, tensor_b))
    depth = rows.codes.shape[-1]
    if math.prod(shape) == 0 or depth == 0:
        return np.zeros(shape, code_type(spec.out))
    codes = _multiply(spec, rows, columns, foot)
    out = np.ascontiguousarray(codes, code_type(spec.out)).reshape(shape)
    if spec.has_nan:
        _apply_specials(spec, rows, columns, out, to)
    return out


def _read(
    fmt: Format, given: ArrayLike | Blocks, name: str, axis: int
) -> tuple[BlockOperand, float]:
    """Check an operand, and return it and its scale."""
    if isinstance(fmt, BlockFormat):
        blocks = read_blocks(fmt, given, name, axis)
        return BlockOperand(fmt, blocks.elements, blocks.scales), blocks.tensor_scale
    if isinstance(given, Blocks):
        raise TypeError(f"{name} must be codes, not Blocks: {fmt.name} is a scalar format")
    return BlockOperand(fmt, read_codes(fmt, given, name)), 1.0


def _multiply(spec: Arithmetic, a: BlockOperand, b: BlockOperand, foot: Foot) -> NDArray[np.uint32]:
    """Multiply stacks (M, K) and (K, N), not empty; special codes count as zero."""
    acc = spec.accumulate
    if spec.has_blocks:
        return multiply_blocks(spec, a, b.transposed, foot)
    if spec.product is not Product.EXACT:
        return multiply_approximately(spec, a.codes, b.codes, foot)
    if isinstance(acc, ExactAccumulation):
        return multiply_exactly(spec, a.codes, b.codes, foot)
    if isinstance(acc, FixedAccumulation) and acc.chunk:
        return multiply_in_chunks(spec, a.codes, b.codes, foot)
    operands = Operand(spec.a, a.codes), Operand(spec.b, b.codes)
    return finish(acc, loop_for(spec).multiply(*operands), foot)


def _result_shape(spec: Arithmetic, a: NDArray[Any], b: NDArray[Any]) -> tuple[int, ...]:
    shapes = f"shapes {a.shape} and {b.shape}"
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"a and b must have at least 2 axes, not {shapes}")
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"a and b must be (..., M, K) and (..., K, N), not of {shapes}")
    most = spec.accumulate.max_terms
    if a.shape[-1] > most:
        raise ValueError(f"K must be at most max_terms, {most}, not {a.shape[-1]}")
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"leading axes of a and b must broadcast, not those of {shapes}") from None
    return (*lead, a.shape[-2], b.shape[-1])


def _apply_specials(
    spec: Arithmetic, a: BlockOperand, b: BlockOperand, out: NDArray[Any], to: "Target"
) -> None:
    """Overwrite the outputs that NaN or infinities among the operands make so."""
    size = block_size(spec, a.codes.shape[-1])
    of_b = Signs(*b.transposed.signs(size))
    signs = Signs(*a.signs(size)), Signs(*(part.swapaxes(-1, -2) for part in of_b))
    overflows = None
    state = spec.accumulate.state_format
    if state is not None and state.has_infinities:
        rounding, overflow = Rounding.RNE, Overflow.INFINITY
        chain = dataclasses.replace(spec, out=state, out_round=rounding, out_overflow=overflow)
        as_it_is = Foot(target(state, rounding, overflow), np.empty(0, np.uint32))

        def overflows(outputs: NDArray[np.intp], depth: int) -> NDArray[np.int8]:
            *batch, row, column = np.unravel_index(outputs, out.shape)
            rows = a.chosen(out.shape[:-2], (*batch, row), depth, size)
            columns = b.transposed.chosen(out.shape[:-2], (*batch, column), depth, size)
            states = _multiply(chain, rows, columns.transposed, as_it_is)
            signs, specials = as_signs(state, states.ravel())
            return np.where(specials == 1, signs, np.int8(0))

    apply_specials(*signs, out, to, overflows, _terms_at_once(spec, size))


def _terms_at_once(spec: Arithmetic, size: int) -> int:
    """Return how many products are summed before a chain can overflow."""
    acc, unit = spec.accumulate, size if spec.has_blocks else 1
    if isinstance(acc, FixedAccumulation) and acc.chunk and acc.outer:
        unit, acc = acc.chunk, acc.outer
    return unit * acc.group if isinstance(acc, FusedAccumulation) else unit
