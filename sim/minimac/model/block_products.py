"""Products of matrices of blocks: sums of pairs of blocks, scaled, are the terms of a chain."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimac.model.exact import Digits, multiply_digits, multiply_integers, word_for
from minimac.model.foot import Foot
from minimac.model.loops import Operand, finish, loop_for
from minimac.model.operands import as_floats, as_integers, as_signs, source
from minimac.model.scalars import target
from minimac.model.terms import accumulate_terms
from minimac.model.tiling import run, stacked_pairs, tiles
from minimac.spec import (
    Arithmetic,
    BlockFormat,
    ExactAccumulation,
    Format,
    Overflow,
    RoundedAccumulation,
)

__all__ = ["BlockOperand", "block_size", "multiply_blocks"]

_TERMS_AT_ONCE = 1 << 20


class BlockOperand(NamedTuple):
    """A stack of matrices (..., M, K) of elements and (..., M, T) of scales.

    A scalar operand has no scales: they are 1.
    """

    fmt: Format
    codes: NDArray[Any]
    scales: NDArray[Any] | None = None

    @property
    def element(self) -> Format:
        """Format of the elements."""
        return self.fmt.element if isinstance(self.fmt, BlockFormat) else self.fmt

    @property
    def transposed(self) -> "BlockOperand":
        """The same, of transposed matrices."""
        scales = None if self.scales is None else self.scales.swapaxes(-1, -2)
        return self._replace(codes=self.codes.swapaxes(-1, -2), scales=scales)

    @property
    def unit(self) -> int:
        """Exponent of the lsb of an element times that of a scale."""
        return self.element.lsb_exp + (0 if self.scales is None else self._scale.lsb_exp)

    @property
    def _scale(self) -> Format:
        assert isinstance(self.fmt, BlockFormat)
        return self.fmt.scale

    def largest(self) -> int:
        """Return the largest magnitude of an element times a scale's significand."""
        ends = self.element.min_lsbs, self.element.max_lsbs
        return max(map(abs, ends)) * int(np.abs(self.scale_parts()[0]).max(initial=1))

    def scale_parts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return scales as significands and places, (..., M, T) or (1, 1): NaN counts as zero."""
        if self.scales is None:
            one = np.ones((1, 1), np.int64)
            return one, one - 1
        digits = Digits.of(self._scale, self.scales)
        return digits.significands, digits.places

    def digits(self, size: int) -> Digits:
        """Return elements times scales, in units of ``2**unit``."""
        elements = Digits.of(self.element, self.codes)
        significands, places = (self._spread(part, size) for part in self.scale_parts())
        return Digits(elements.significands * significands, elements.places + places)

    def signs(self, size: int) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Return signs and what is special about elements times scales (see ``as_signs``)."""
        signs, specials = as_signs(self.element, self.codes)
        if self.scales is None:
            return signs, specials
        of_scales = as_signs(self._scale, self.scales)
        scale_signs, scale_specials = (self._spread(part, size) for part in of_scales)
        infinite = specials == 1
        nan = (specials == 2) | (scale_specials != 0) | (infinite & (scale_signs == 0))
        return signs * scale_signs * ~nan, np.where(nan, 2, infinite).astype(np.int8)

    def chosen(
        self, lead: tuple[int, ...], rows: tuple[NDArray[np.intp], ...], depth: int, size: int
    ) -> "BlockOperand":
        """Return some rows, each as a matrix of its own, and of their elements the first."""

        def choose(array: NDArray[Any], last: int) -> NDArray[Any]:
            many = np.broadcast_to(array, (*lead, *array.shape[-2:]))
            # One row of scales may stand for all.
            row = rows[-1] if many.shape[-2] > 1 else np.zeros_like(rows[-1])
            chosen: NDArray[Any] = many[(*rows[:-1], row)]
            return chosen[:, None, :last]

        scales = None if self.scales is None else choose(self.scales, -(-depth // size))
        return self._replace(codes=choose(self.codes, depth), scales=scales)

    def _spread(self, per_block: NDArray[Any], size: int) -> NDArray[Any]:
        if self.scales is None:
            return per_block
        spread: NDArray[Any] = np.repeat(per_block, size, axis=-1)
        return spread[..., : self.codes.shape[-1]]


def block_size(spec: Arithmetic, depth: int) -> int:
    """Return how many of ``depth`` products make a pair of blocks."""
    sizes = (fmt.size for fmt in (spec.a, spec.b) if isinstance(fmt, BlockFormat))
    return next(sizes, None) or depth


def multiply_blocks(
    spec: Arithmetic, a: BlockOperand, b: BlockOperand, foot: Foot
) -> NDArray[np.uint32]:
    """Multiply stacks (M, K) and, transposed, (N, K), not empty; special codes count as zero."""
    depth = a.codes.shape[-1]
    size = block_size(spec, depth)
    if isinstance(spec.accumulate, ExactAccumulation) and spec.within is None:
        digits = a.digits(size), b.digits(size)
        return multiply_digits(*digits, spec.sum_bits, spec.lsb_exp, foot)
    lead = np.broadcast_shapes(a.codes.shape[:-2], b.codes.shape[:-2])
    pairs = stacked_pairs(a.codes, b.codes)
    m, n = a.codes.shape[-2], b.codes.shape[-2]
    left, right = _stacked(a), _stacked(b)
    out = np.empty((len(pairs), m, n), np.uint32)
    foot = foot.shaped(out.shape)
    rows = max(1, _TERMS_AT_ONCE // (n * -(-depth // size)))
    for at, (i, j) in enumerate(pairs.tolist()):
        for first in range(0, m, rows):
            part = slice(first, min(first + rows, m))
            some = _matrix(left, i, part), _matrix(right, j, slice(None))
            out[at, part] = _multiply(spec, *some, size, foot.at((at, part)))
    return out.reshape(*lead, m, n)


def _stacked(operand: BlockOperand) -> BlockOperand:
    def stack(array: NDArray[Any]) -> NDArray[Any]:
        return array.reshape(-1, *array.shape[-2:])

    lead = operand.codes.shape[:-2]
    scales = operand.scales
    if scales is not None:
        scales = stack(np.broadcast_to(scales, (*lead, *scales.shape[-2:])))
    return operand._replace(codes=stack(operand.codes), scales=scales)


def _matrix(operand: BlockOperand, at: int, rows: slice) -> BlockOperand:
    scales = operand.scales
    if scales is not None:  # one row of scales stands for all
        scales = scales[at][rows] if scales.shape[-2] > 1 else scales[at]
    return operand._replace(codes=operand.codes[at][rows], scales=scales)


def _multiply(
    spec: Arithmetic, a: BlockOperand, b: BlockOperand, size: int, foot: Foot
) -> NDArray[np.uint32]:
    """Multiply two matrices."""
    acc, depth = spec.accumulate, a.codes.shape[-1]
    bound = a.largest() * b.largest() * min(size, depth)
    is_wide = spec.within is None and word_for(bound) is np.int64
    if is_wide and isinstance(acc, RoundedAccumulation):
        return _add_wide(spec, a.digits(size), b.digits(size), size, foot)
    blocks = [slice(at, min(at + size, depth)) for at in range(0, depth, size)]
    if is_wide:
        terms = _sum_wide(spec, a.digits(size), b.digits(size), blocks)
    else:
        terms = _sum_and_scale(spec, a, b, blocks, bound)
    significands, exponents = (part.reshape(len(blocks), -1) for part in terms)
    return accumulate_terms(acc, significands, exponents, foot).reshape(len(a.codes), -1)


def _sum_and_scale(
    spec: Arithmetic, a: BlockOperand, b: BlockOperand, blocks: list[slice], bound: int
) -> Digits:
    """Return the sums of pairs of blocks times both scales, and the exponents of their units."""
    (sig_a, place_a), (sig_b, place_b) = a.scale_parts(), b.scale_parts()
    unit = a.unit + b.unit - (a.element.lsb_exp + b.element.lsb_exp)
    shape = len(blocks), len(a.codes), len(b.codes)
    terms = Digits(np.empty(shape, np.int64), np.empty(shape, np.int64))
    for t, block in enumerate(blocks):
        parts = [x._replace(codes=x.codes[:, block], scales=None) for x in (a, b)]
        if spec.within is None:
            sums, exponents = _sum_exactly(parts[0], parts[1], bound)
        else:
            sums, exponents = _sum_within(spec, parts[0], parts[1])
        of_a, of_b = (min(t, sig.shape[-1] - 1) for sig in (sig_a, sig_b))
        terms.significands[t] = sums * sig_a[:, of_a, None] * sig_b[None, :, of_b]
        terms.places[t] = exponents + unit + place_a[:, of_a, None] + place_b[None, :, of_b]
    return terms


def _sum_exactly(
    a: BlockOperand, b: BlockOperand, bound: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sums of the products of elements, and the exponent of their unit."""
    word = word_for(bound)
    left, right = (as_integers(x.element, x.codes, word) for x in (a, b))
    return multiply_integers(left, right.T), np.array(a.element.lsb_exp + b.element.lsb_exp)


def _sum_within(
    spec: Arithmetic, a: BlockOperand, b: BlockOperand
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sums of the products of elements as ``within`` says: the block is one group."""
    acc = spec.within
    assert acc is not None
    state = acc.state_format
    assert state is not None
    inner = Arithmetic(a=a.element, b=b.element, out=state, accumulate=acc)
    operands = Operand(a.element, a.codes), Operand(b.element, b.codes).transposed
    (states,) = loop_for(inner).multiply(*operands)
    significands, exponents = as_floats(state, states, np.int64, state.min_exp)
    return significands, exponents - state.man_bits


def _sum_wide(spec: Arithmetic, a: Digits, b: Digits, blocks: list[slice]) -> Digits:
    """Return scaled sums of pairs of blocks of which 61 bits are kept, the last of them sticky.

    That is exact enough for ``fused``, which keeps 60 bits of a term at most, and a sticky one.
    """
    from minimac.model.kernels import sum_wide

    shape = len(blocks), len(a.places), len(b.places)
    terms = Digits(np.empty(shape, np.int64), np.empty(shape, np.int64))
    last = spec.sum_bits // 32 + 4, spec.lsb_exp
    for t, block in enumerate(blocks):
        parts = [np.ascontiguousarray(part[:, block]) for part in (*a, *b)]
        outs = terms.significands[t], terms.places[t]
        macs = outs[0].size * parts[0].shape[1]
        run(sum_wide, ((*parts, *outs, *tile, *last) for tile in tiles(outs[0], macs)), macs)
    return terms


def _add_wide(spec: Arithmetic, a: Digits, b: Digits, size: int, foot: Foot) -> NDArray[np.uint32]:
    """Add sums of blocks that are too wide for a word to a state that is rounded after each."""
    from minimac.model.kernels import sum_rounded_digits

    acc = spec.accumulate
    assert isinstance(acc, RoundedAccumulation)
    state = acc.state_format
    overflow = Overflow.INFINITY if state.has_infinities else Overflow.SATURATE
    below = max(spec.lsb_exp - state.lsb_exp, 0)  # so that the state is a multiple of the unit
    lsb_exp = spec.lsb_exp - below
    states = np.empty((len(a.places), len(b.places)), np.uint32)
    high = max(lsb_exp + spec.sum_bits + below, state.max_exp + 1)
    count = (high - lsb_exp) // 32 + 5
    last = size, count, lsb_exp, target(state, acc.round, overflow), source(state)
    parts = (a.significands, a.places + below, b.significands, b.places)
    macs = states.size * a.places.shape[-1]
    tasks = ((*parts, states, *tile, *last) for tile in tiles(states, macs))
    run(sum_rounded_digits, tasks, macs)
    return finish(acc, (states,), foot)
