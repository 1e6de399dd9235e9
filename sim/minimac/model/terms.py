"""Sums of terms that are not products of two significands.

Such are the products that stand for a multiplication (:class:`Product`), sums of chunks, and scaled
sums of pairs of blocks. Terms are laid out (T, N): N chains side by side.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.model.exact import add_exactly
from minimac.model.foot import Foot
from minimac.model.loops import TERM_FRAC_BITS, Operand, finish, loop_for, loop_for_terms
from minimac.model.operands import flat_codes, source
from minimac.model.tiling import run, stack, stacked_pairs
from minimac.spec import (
    Accumulation,
    Arithmetic,
    ExactAccumulation,
    FixedAccumulation,
    FloatAccumulation,
    Format,
    FusedAccumulation,
    Minifloat,
)

__all__ = ["accumulate_terms", "multiply_approximately", "multiply_in_chunks"]

_TERMS_AT_ONCE = 1 << 20


def multiply_approximately(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any], foot: Foot
) -> NDArray[np.uint32]:
    """Multiply matrices of codes by products that are not exact; special codes count as zero."""
    m, depth, n = *a.shape[-2:], b.shape[-1]
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    left, right = stack(flat_codes(a).reshape(a.shape)), stack(flat_codes(b).reshape(b.shape))
    out = np.empty((math.prod(lead), m, n), np.uint32)
    foot = foot.shaped(out.shape)
    columns = min(n, max(1, _TERMS_AT_ONCE // depth))
    rows = max(1, _TERMS_AT_ONCE // (depth * columns))

    def work(i: int, j: int, some: tuple[int, slice, slice]) -> None:
        """Let the outputs of some rows and columns stand side by side."""
        shape = out[some].shape
        of_a = np.repeat(left[i, some[1]].T, shape[1], axis=1)
        of_b = np.tile(right[j][:, some[2]], shape[0])
        portion = foot.at(some).shaped((shape[0] * shape[1],))
        out[some] = _accumulate_products(spec, of_a, of_b, portion).reshape(shape)

    tasks = (
        (i, j, (at, slice(row, row + rows), slice(column, column + columns)))
        for at, (i, j) in enumerate(stacked_pairs(a, b).tolist())
        for row in range(0, m, rows)
        for column in range(0, n, columns)
    )
    run(work, tasks, out.size * depth)
    return out.reshape(*lead, m, n)


def _portions(outputs: int, depth: int) -> Iterator[slice]:
    """Cut outputs into portions whose terms fit the cache."""
    step = max(1, _TERMS_AT_ONCE // depth)
    return (slice(at, min(at + step, outputs)) for at in range(0, outputs, step))


def _accumulate_products(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any], foot: Foot
) -> NDArray[np.uint32]:
    from minimac.model.kernels import NOWHERE, multiply_codes

    fmt, acc = spec.a, spec.accumulate
    assert isinstance(fmt, Minifloat)
    significands, exponents = np.empty(a.shape, np.int64), np.empty(a.shape, np.int64)
    negative = np.empty(a.shape, np.bool_)
    offset = spec.product.offset(fmt.man_bits)
    adds = spec.product.adds_codes
    multiply_codes(
        np.ascontiguousarray(a),
        np.ascontiguousarray(b),
        significands,
        exponents,
        negative,
        source(fmt),
        adds,
        offset,
        fmt.max_code,
    )
    places = exponents - (spec.product_bits - 2)
    if isinstance(acc, ExactAccumulation):
        return add_exactly(significands, places, foot)
    exponents[significands == 0] = NOWHERE
    loop = loop_for(spec)
    if isinstance(acc, FixedAccumulation) and acc.chunk and acc.outer:
        sums = [
            loop.accumulate(significands[at], exponents[at])[0] for at in _chunks(acc.chunk, len(a))
        ]
        return accumulate_sums(acc.outer, acc.format, np.stack(sums), foot)
    return finish(acc, loop.accumulate(significands, exponents, negative), foot)


def multiply_in_chunks(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any], foot: Foot
) -> NDArray[np.uint32]:
    """Multiply matrices of codes in chunks whose sums are terms of an outer accumulation."""
    acc = spec.accumulate
    assert isinstance(acc, FixedAccumulation)
    assert acc.chunk
    assert acc.outer
    loop = loop_for(spec)
    depth = a.shape[-1]
    shape = *np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]
    sums = np.empty((-(-depth // acc.chunk), *shape), np.int64)
    for part, at in zip(sums, _chunks(acc.chunk, depth), strict=True):
        part[...] = loop.multiply(Operand(spec.a, a[..., at]), Operand(spec.b, b[..., at, :]))[0]
    terms = sums.reshape(len(sums), -1)
    out = np.empty(terms.shape[1], np.uint32)
    flat = foot.shaped(out.shape)
    for at in _portions(out.size, len(terms)):
        part = terms[:, at], flat.at(at)
        out[at] = accumulate_sums(acc.outer, acc.format, *part)
    return out.reshape(sums.shape[1:])


def _chunks(size: int, depth: int) -> Iterator[slice]:
    return (slice(at, min(at + size, depth)) for at in range(0, depth, size))


def accumulate_sums(
    acc: Accumulation, fmt: Format, sums: NDArray[np.int64], foot: Foot
) -> NDArray[np.uint32]:
    """Accumulate sums (T, N), in units of the lsb of ``fmt``, each of which is one term."""
    from minimac.model.kernels import NOWHERE

    if isinstance(acc, FloatAccumulation):  # a sum counts as an operand of its format
        exponents = np.where(sums == 0, NOWHERE, fmt.min_exp - 1)
        loop = loop_for_terms(acc, fmt.sig_bits)
        return finish(acc, loop.accumulate(sums, exponents), foot)
    return accumulate_terms(acc, sums, np.full_like(sums, fmt.lsb_exp), foot)


def accumulate_terms(
    acc: Accumulation, significands: NDArray[np.int64], exponents: NDArray[np.int64], foot: Foot
) -> NDArray[np.uint32]:
    """Accumulate terms ``significands * 2**exponents`` (T, N) of at most 60 bits."""
    from minimac.model.kernels import NOWHERE, normalize_terms

    if isinstance(acc, ExactAccumulation):
        return add_exactly(significands, exponents, foot)
    if isinstance(acc, FusedAccumulation):
        significands, exponents = significands.copy(), exponents.copy()
        normalize_terms(significands.ravel(), exponents.ravel(), TERM_FRAC_BITS)
    else:  # a zero has no exponent, whatever its scale
        exponents = np.where(significands == 0, NOWHERE, exponents)
    loop = loop_for_terms(acc)
    return finish(acc, loop.accumulate(significands, exponents), foot)
