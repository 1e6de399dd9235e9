"""Chains of multiply-adds on unpacked floats: accumulation of kind ``float``."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimac.model.operands import as_floats
from minimac.model.tiling import run, stack, stacked_pairs, tiles
from minimac.spec import Arithmetic, FloatAccumulation, Format, Rounding

if TYPE_CHECKING:
    from minimac.model.kernels import Target

__all__ = ["multiply_in_chains"]

_FEW = 16  # with fewer outputs in a row or column, those of the whole batch stand side by side
_SIDE_BY_SIDE = 1 << 21  # products that are laid out for this at a time


def multiply_in_chains(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any], to: "Target"
) -> NDArray[np.uint32]:
    """Multiply matrices of codes, which must not be empty; special codes count as zero."""
    acc = spec.accumulate
    if not isinstance(acc, FloatAccumulation):
        raise TypeError(f"spec.accumulate must be of kind float, not {acc!r}")
    return _Chains(spec, acc, to).multiply(_Operand(spec.a, a), _Operand(spec.b, b))


class _Operand(NamedTuple):
    fmt: Format
    codes: NDArray[Any]

    @property
    def transposed(self) -> "_Operand":
        return _Operand(self.fmt, self.codes.swapaxes(-1, -2))

    @property
    def is_one_matrix(self) -> bool:
        return math.prod(self.codes.shape[:-2]) == 1


class _Chains:
    """What a compiled loop needs to know, and how matrices are laid out for it.

    It is fast where many outputs stand side by side. A chain does not change if its operands are
    exchanged, so matrices may be transposed.
    """

    def __init__(self, spec: Arithmetic, acc: FloatAccumulation, to: "Target") -> None:
        self.spec, self.acc, self.to = spec, acc, to
        self.wide = acc.window_bits > 30  # a sum of two windows, and its sign, must fit

    def multiply(self, a: _Operand, b: _Operand) -> NDArray[np.uint32]:
        m, depth, n = *a.codes.shape[-2:], b.codes.shape[-1]
        lead = np.broadcast_shapes(a.codes.shape[:-2], b.codes.shape[:-2])
        if b.is_one_matrix and lead:
            rows = _Operand(a.fmt, a.codes.reshape(-1, depth))
            only = _Operand(b.fmt, b.codes.reshape(depth, n))
            return self.multiply(rows, only).reshape(*lead, m, n)
        if (a.is_one_matrix and lead) or n < _FEW <= m:
            return self.multiply(b.transposed, a.transposed).swapaxes(-1, -2)
        lay_out = self._side_by_side if n < _FEW else self._in_rows
        out = np.empty((math.prod(lead), m, n), np.uint32)
        lay_out(a, b, out)
        return out.reshape(*lead, m, n)

    def _in_rows(self, a: _Operand, b: _Operand, out: NDArray[np.uint32]) -> None:
        """Let the outputs of one row stand side by side."""
        macs = out.size * a.codes.shape[-1]
        left = [stack(part) for part in self._take_apart(a, raised=True)]
        right = [stack(part) for part in self._take_apart(b)]
        tasks = (
            (*(part[i] for part in left), *(part[j] for part in right), out[at], *tile)
            for at, (i, j) in enumerate(stacked_pairs(a.codes, b.codes).tolist())
            for tile in tiles(out, macs)
        )
        run(self._loop(lanes=False), tasks, macs)

    def _side_by_side(self, a: _Operand, b: _Operand, out: NDArray[np.uint32]) -> None:
        """Let outputs of all rows and matrices stand side by side, each with its own operands."""
        depth = a.codes.shape[-1]
        count, m, n = out.shape
        pairs = stacked_pairs(a.codes, b.codes)
        left, right = stack(a.codes), stack(b.codes.swapaxes(-1, -2))
        loop = self._loop(lanes=True)

        def work(first: int, last: int) -> None:
            shape = last - first, m, n, depth
            parts: list[NDArray[Any]] = []
            of_a = left[pairs[first:last, 0], :, None, :]
            of_b = right[pairs[first:last, 1], None, :, :]
            for fmt, codes in ((a.fmt, of_a), (b.fmt, of_b)):
                lanes = np.broadcast_to(codes, shape).reshape(-1, depth).T
                parts += self._take_apart(_Operand(fmt, lanes), raised=codes is of_a)
            row = out[first:last].reshape(1, -1)
            loop(*parts, row, (0, 1), (0, row.size))

        step = max(1, _SIDE_BY_SIDE // (m * n * depth))
        tasks = ((first, min(first + step, count)) for first in range(0, count, step))
        run(work, tasks, out.size * depth)

    def _take_apart(self, operand: _Operand, *, raised: bool = False) -> list[NDArray[Any]]:
        from minimac.model.kernels import NOWHERE

        word = np.int64 if self.wide else np.int32
        significands, exponents = as_floats(operand.fmt, operand.codes, word, NOWHERE)
        if raised:  # so that products reach the top of the window
            significands <<= self.acc.window_bits - self.spec.product_bits
        return [significands, exponents]

    def _loop(self, *, lanes: bool) -> Any:
        from minimac.model.kernels import chain_kernel

        window, coarse = self.acc.window_bits, self.acc.normalize.coarse
        below = window - self.acc.width
        kernel = chain_kernel(
            wide=self.wide,
            lanes=lanes,
            normalize="exact" if coarse is None else "approx" if coarse else "none",
            sticky=self.acc.sticky,
            rounds=below > 0 and self.acc.round is not Rounding.TRUNCATE,
        )
        mode = list(Rounding).index(self.acc.round)
        last = window, below, coarse or (0, 0), mode, self.to

        def loop(*arguments: Any) -> None:
            kernel(*arguments, *last)

        return loop
