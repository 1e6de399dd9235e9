"""How a ``quantize`` is tried: blocks of every style, and such as are hard to scale."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.bench.operands import corner_codes, largest_code, valid
from minimac.bench.transferbench import Fields, TransferBench
from minimac.model import decode, draw_bits, encode, quantize_numbers
from minimac.spec import Design, Format, Minifloat, Quantize

__all__ = ["QuantizeBench", "draw_blocks"]


class QuantizeBench(TransferBench):
    """How a ``quantize`` is tried."""

    def formats(self, design: Design) -> dict[str, Format]:
        """Return the format of the numbers."""
        return design.operands

    def complete(self, design: Design, rng: np.random.Generator, fields: Fields) -> Fields:
        """Add scales of the tensor, and random bits if they come through a port."""
        assert isinstance(design, Quantize)
        added = dict(fields)
        if design.block.tensor_scale is not None:
            added["tensor"] = _draw_tensor_scales(design, rng, fields["a"])
        if design.random == "port":
            added["random"] = rng.integers(1 << (design.random_bits or 0), size=fields["a"].shape)
        return added

    def draw(self, design: Design, rng: np.random.Generator, count: int) -> Iterator[Fields]:
        """Draw blocks of every style, and such whose scales and elements are hard to round."""
        assert isinstance(design, Quantize)
        size = design.block.size or 1
        count = max(8 * count // max(size, 8), 8)  # of long blocks fewer, as they try more
        yield from super().draw(design, rng, count)
        blocks = draw_blocks(design.a, rng, 2 * count, size)
        yield self.complete(design, rng, {"a": blocks})

    def expected(self, design: Design, fields: Fields) -> Fields:
        """Return the results of a sequence after a reset."""
        return self.since_reset(design)(fields)

    def since_reset(self, design: Design) -> Callable[[Fields], Fields]:
        """Return what takes the random bits of all LFSRs one after the other."""
        assert isinstance(design, Quantize)
        lanes = []
        if design.lfsr:
            lanes = [draw_bits(design.lfsr.lane(n)) for n in range(design.block.size or 1)]

        def results(fields: Fields) -> Fields:
            random = fields.get("random")
            if lanes:
                count = len(fields["a"])
                random = np.array([[*itertools.islice(lane, count)] for lane in lanes]).T
            elements, scales = quantize_numbers(design, fields["a"], fields.get("tensor"), random)
            return {"elements": elements, "scale": scales}

        return results

    def operations(self, design: Design, fields: Fields) -> int:
        """Count the elements."""
        return int(fields["a"].size)


def draw_blocks(fmt: Format, rng: np.random.Generator, count: int, size: int) -> NDArray[np.int64]:
    """Draw blocks of codes of a format: of like sizes anywhere, with few bits, at the ends.

    Few bits make quotients that are exact, or in the middle between two codes.
    """
    shape = count, size
    uniform = rng.integers(1 << fmt.width, size=shape)
    corners = rng.choice(corner_codes(fmt), shape)
    if isinstance(fmt, Minifloat):
        top = fmt.max_code >> fmt.man_bits
        field = rng.integers(0, top, (count, 1), endpoint=True) - rng.integers(0, 9, shape)
        mantissa = rng.integers(1 << fmt.man_bits, size=shape)
        few = rng.random((count, 1)) < 0.5
        mantissa = np.where(few, mantissa & -1 << max(fmt.man_bits - 3, 0), mantissa)
        like = np.minimum(field.clip(0) << fmt.man_bits | mantissa, largest_code(fmt))
        like |= (rng.integers(2, size=shape) & int(fmt.signed)) << fmt.magnitude_bits
    else:
        like = rng.integers(-16, 16, shape) << rng.integers(0, max(fmt.width - 4, 1), (count, 1))
        like &= (1 << fmt.width) - 1
    manner = rng.random((count, 1))
    blocks = np.where(manner < 0.7, like, np.where(manner < 0.9, uniform, corners))
    blocks = valid(fmt, np.where(rng.random(shape) < 0.05, 0, blocks))
    blocks[0] = 0
    return blocks


def _draw_tensor_scales(
    design: Quantize, rng: np.random.Generator, blocks: NDArray[Any]
) -> NDArray[np.int64]:
    """Draw scales of a tensor that fit blocks, and now and then such that do not."""
    out = design.block
    assert out.tensor_scale is not None
    values = np.abs(decode(design.a, blocks))
    amax = np.where(np.isfinite(values), values, 0.0).max(axis=1)
    largest = out.max_lsbs * 2.0**out.lsb_exp
    top = out.scale.max_lsbs * 2.0**out.scale.lsb_exp
    off = np.exp2(rng.integers(-12, 2, len(blocks))) * rng.uniform(1, 2, len(blocks))
    wanted = np.where(amax > 0, amax, 1.0) / largest / min(top, 2.0**20) / off
    wanted = np.where(rng.random(len(blocks)) < 0.2, 1.0, wanted)
    wanted = np.where(rng.random(len(blocks)) < 0.1, np.exp2(rng.integers(-150, 128)), wanted)
    codes = np.asarray(encode(out.tensor_scale, wanted), np.int64)
    scale = out.tensor_scale
    least = 1 << scale.man_bits if isinstance(scale, Minifloat) and scale.ftz else 1
    return codes.clip(least)
