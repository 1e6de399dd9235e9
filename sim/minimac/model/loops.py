"""Kinds of accumulation that go step by step: compiled loops, and how matrices are laid out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimac.model.foot import Foot
from minimac.model.operands import as_floats, as_negatives, source
from minimac.model.scalars import decode, target
from minimac.model.tiling import run, stack, stacked_pairs, tiles
from minimac.spec import (
    Accumulation,
    Arithmetic,
    FixedAccumulation,
    FloatAccumulation,
    Format,
    FusedAccumulation,
    Overflow,
    Product,
    RoundedAccumulation,
    Rounding,
)
from minimac.spec.formats import FP32

__all__ = ["TERM_FRAC_BITS", "Loop", "Operand", "finish", "loop_for", "loop_for_terms"]

_FEW = 16  # with fewer outputs in a row or column, those of the whole batch stand side by side
_SIDE_BY_SIDE = 1 << 21  # products that are laid out for this at a time

#: Fraction bits of a term of a fused sum that is not a product: its leading one is bit 60.
TERM_FRAC_BITS = 60

Parts = list[NDArray[Any]]
Results = tuple[NDArray[Any], ...]


class Operand(NamedTuple):
    """A stack of matrices of codes."""

    fmt: Format
    codes: NDArray[Any]

    @property
    def transposed(self) -> "Operand":
        """The same, of transposed matrices."""
        return Operand(self.fmt, self.codes.swapaxes(-1, -2))

    @property
    def is_one_matrix(self) -> bool:
        """Whether there is only one matrix."""
        return math.prod(self.codes.shape[:-2]) == 1


@dataclass(frozen=True)
class Loop:
    """A compiled loop over the terms of chains, side by side, and what it needs to know.

    It is fast where many outputs stand side by side. A chain does not change if its operands are
    exchanged, so matrices may be transposed.
    """

    kernel: Callable[..., Any]  #: Returns the loop; its argument is ``lanes``.
    parameters: tuple[Any, ...]  #: Last arguments of the loop.
    results: tuple[Any, ...]  #: Types of the arrays that it writes.
    word: Any = np.int64  #: Type of the significands and exponents that it reads.
    raised: int = 0  #: How far those of the first operand are shifted left.
    signs: bool = False  #: Whether it wants the signs of operands that may be zero.
    values: bool = False  #: Whether it wants values in place of significands and exponents.

    def multiply(self, a: Operand, b: Operand) -> Results:
        """Multiply stacks of matrices that are not empty; special codes count as zero."""
        m, depth, n = *a.codes.shape[-2:], b.codes.shape[-1]
        lead = np.broadcast_shapes(a.codes.shape[:-2], b.codes.shape[:-2])
        if b.is_one_matrix and lead:
            rows = Operand(a.fmt, a.codes.reshape(-1, depth))
            only = Operand(b.fmt, b.codes.reshape(depth, n))
            return tuple(part.reshape(*lead, m, n) for part in self.multiply(rows, only))
        if (a.is_one_matrix and lead) or n < _FEW <= m:
            swapped = self.multiply(b.transposed, a.transposed)
            return tuple(part.swapaxes(-1, -2) for part in swapped)
        few = n < _FEW and m * n * depth <= _SIDE_BY_SIDE
        lay_out = self._side_by_side if few else self._in_rows
        out = tuple(np.empty((math.prod(lead), m, n), word) for word in self.results)
        lay_out(a, b, out)
        return tuple(part.reshape(*lead, m, n) for part in out)

    def accumulate(
        self,
        significands: NDArray[Any],
        exponents: NDArray[Any],
        negative: NDArray[np.bool_] | None = None,
    ) -> Results:
        """Add up terms (T, N), ``significands * 2**(exponents - frac)``, along the first axis."""
        terms: Parts = [significands.astype(self.word), exponents.astype(self.word)]
        ones: Parts = [
            np.full((1, len(significands)), 1 << self.raised, self.word),
            np.zeros((1, len(significands)), self.word),
        ]
        if self.signs:
            terms.append(significands < 0 if negative is None else negative)
            ones.append(np.zeros((1, len(significands)), np.bool_))
        out = tuple(np.empty((1, 1, significands.shape[1]), word) for word in self.results)
        loop = self._loop(lanes=False)
        tasks = (
            (*ones, *terms, *(part[0] for part in out), *tile)
            for tile in tiles(out[0], significands.size)
        )
        run(loop, tasks, significands.size)
        return tuple(part[0, 0] for part in out)

    def _in_rows(self, a: Operand, b: Operand, out: Results) -> None:
        """Let the outputs of one row stand side by side."""
        macs = out[0].size * a.codes.shape[-1]
        left = [stack(part) for part in self._take_apart(a, raised=True)]
        right = [stack(part) for part in self._take_apart(b)]
        tasks = (
            (*(x[i] for x in left), *(x[j] for x in right), *(x[at] for x in out), *tile)
            for at, (i, j) in enumerate(stacked_pairs(a.codes, b.codes).tolist())
            for tile in tiles(out[0], macs)
        )
        run(self._loop(lanes=False), tasks, macs)

    def _side_by_side(self, a: Operand, b: Operand, out: Results) -> None:
        """Let outputs of all rows and matrices stand side by side, each with its own operands."""
        depth = a.codes.shape[-1]
        count, m, n = out[0].shape
        pairs = stacked_pairs(a.codes, b.codes)
        left, right = stack(a.codes), stack(b.codes.swapaxes(-1, -2))
        loop = self._loop(lanes=True)

        def work(first: int, last: int) -> None:
            shape = last - first, m, n, depth
            parts: Parts = []
            of_a = left[pairs[first:last, 0], :, None, :]
            of_b = right[pairs[first:last, 1], None, :, :]
            for fmt, codes in ((a.fmt, of_a), (b.fmt, of_b)):
                lanes = np.broadcast_to(codes, shape).reshape(-1, depth).T
                parts += self._take_apart(Operand(fmt, lanes), raised=codes is of_a)
            rows = [part[first:last].reshape(1, -1) for part in out]
            loop(*parts, *rows, (0, 1), (0, rows[0].size))

        step = max(1, _SIDE_BY_SIDE // (m * n * depth))
        tasks = ((first, min(first + step, count)) for first in range(0, count, step))
        run(work, tasks, out[0].size * depth)

    def _take_apart(self, operand: Operand, *, raised: bool = False) -> Parts:
        from minimac.model.kernels import NOWHERE

        if self.values:
            values = decode(operand.fmt, operand.codes)
            values[~np.isfinite(values)] = 0
            return [values]
        significands, exponents = as_floats(operand.fmt, operand.codes, self.word, NOWHERE)
        if raised:
            significands <<= self.raised
        signs = [as_negatives(operand.fmt, operand.codes)] if self.signs else []
        return [significands, exponents, *signs]

    def _loop(self, *, lanes: bool) -> Callable[..., None]:
        kernel = self.kernel(lanes)

        def loop(*arguments: Any) -> None:
            kernel(*arguments, *self.parameters)

        return loop


def loop_for(spec: Arithmetic) -> Loop:
    """Return the loop that accumulates products of a spec."""
    if spec.product is Product.EXACT and _fits_floats(spec):
        from minimac.model.kernels import float_kernel

        return Loop(float_kernel, (), (np.float32,), values=True)
    return _loop(spec.accumulate, spec.product_bits)


def loop_for_terms(acc: Accumulation, significand_bits: int | None = None) -> Loop:
    """Return the loop that accumulates terms that are not products.

    Parameters
    ----------
    acc : Accumulation
        How they are accumulated.
    significand_bits : int, optional
        Width of a term's integer, which enters a window of kind ``float`` at the top. Its exponent
        is that of its lsb for ``rounded`` and ``fixed``, of bit 60 for ``fused``, and one less than
        that of the integer's top bit for ``float``.
    """
    frac = {"fused": TERM_FRAC_BITS, "float": (significand_bits or 0) - 2}.get(acc.kind, 0)
    return _loop(acc, frac + 2)


def _loop(acc: Accumulation, product_bits: int) -> Loop:
    """Return the loop for products of so many bits, two of which are above the binary point."""
    from minimac.model import kernels

    frac = product_bits - 2
    if isinstance(acc, FloatAccumulation):
        wide = acc.window_bits > 30  # a sum of two windows, and its sign, must fit
        below = acc.window_bits - acc.width
        coarse = acc.normalize.coarse

        def chain(lanes: bool) -> Callable[..., None]:
            return kernels.chain_kernel(
                wide=wide,
                lanes=lanes,
                normalize="exact" if coarse is None else "approx" if coarse else "none",
                sticky=acc.sticky,
                rounds=below > 0 and acc.round is not Rounding.TRUNCATE,
            )

        return Loop(
            chain,
            (acc.window_bits, below, coarse or (0, 0), _place(acc.round)),
            (np.int64, np.int64),
            word=np.int64 if wide else np.int32,
            raised=acc.window_bits - product_bits,  # to the top of the window
        )
    if isinstance(acc, FixedAccumulation):
        fmt, wrap = acc.format, acc.overflow is Overflow.WRAP
        ends = fmt.min_lsbs, fmt.max_lsbs
        return Loop(
            lambda lanes: kernels.fixed_kernel(lanes, wrap),
            (frac, fmt.lsb_exp, _place(acc.round), *ends),
            (np.int64,),
        )
    state = acc.state_format
    assert state is not None
    overflow = Overflow.INFINITY if state.has_infinities else Overflow.SATURATE
    if isinstance(acc, RoundedAccumulation):
        to = target(state, acc.round, overflow)
        return Loop(kernels.rounded_kernel, (frac, to, source(state)), (np.uint32,), signs=True)
    assert isinstance(acc, FusedAccumulation)
    to = target(state, acc.round, overflow)
    if state.has_infinities:  # whatever the mode
        to = to._replace(over_positive=to.inf_positive, over_negative=to.inf_negative)
    unit = acc.frac_bits + acc.sticky
    up, down = max(unit - frac, 0), max(frac - unit, 0)
    term_bits = max(unit + 2, product_bits + up)
    wide = term_bits > 30
    return Loop(
        lambda lanes: kernels.fused_kernel(wide, lanes, acc.sticky),
        (acc.group, acc.group if wide else 1 << 30 - term_bits, unit, down, to, source(state)),
        (np.uint32,),
        word=np.int64 if wide else np.int32,
        raised=up,
    )


def _place(mode: Rounding) -> int:
    return list(Rounding).index(mode)


def _fits_floats(spec: Arithmetic) -> bool:
    """Whether float64 holds products, and float32 with its own rounding is the accumulator."""
    acc = spec.accumulate
    return (
        isinstance(acc, RoundedAccumulation)
        and (acc.format, acc.round) == (FP32, Rounding.RNE)
        and spec.product_bits <= 24
        and spec.lsb_exp >= -1022
        and spec.product_max_exp <= 1022
    )


def finish(acc: Accumulation, results: Results, foot: Foot) -> NDArray[np.uint32]:
    """Turn what a loop wrote into codes of the result."""
    if isinstance(acc, FloatAccumulation):
        return foot.round(*results)
    if isinstance(acc, FixedAccumulation):
        return foot.round(results[0], np.array([acc.format.lsb_exp]))
    assert acc.state_format is not None
    return foot.convert(acc.state_format, results[0].view(np.uint32))
