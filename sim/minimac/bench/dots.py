"""Operands of dot products of many lanes, as transfers of vectors and scales."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.bench.operands import corner_codes
from minimac.model import Blocks, encode
from minimac.spec import BlockFormat, Dot, Format, Minifloat

__all__ = ["chains", "with_scales"]

Codes = NDArray[np.int64]
Operand = Codes | Blocks


def with_scales(
    design: Dot, rng: np.random.Generator, a: Operand, b: Operand
) -> tuple[Operand, Operand]:
    """Give codes (M, K) and (K, N) of elements scales, if they are of block formats and have none.

    Half of the scales are near 1, a few of them corners of their format; or all are the largest.
    """
    found = []
    for fmt, codes, axis in ((design.a, a, 1), (design.b, b, 0)):
        if not isinstance(fmt, BlockFormat) or isinstance(codes, Blocks):
            found.append(codes)
            continue
        shape = [1, 1]
        if fmt.size:
            shape = list(codes.shape)
            shape[axis] = -(-shape[axis] // fmt.size)
        found.append(Blocks(codes, _scales(fmt.scale, rng, tuple(shape)), 1.0))
    return found[0], found[1]


def _scales(fmt: Format, rng: np.random.Generator, shape: tuple[int, ...]) -> Codes:
    corners = corner_codes(fmt)
    if rng.random() < 0.1:
        largest = int(encode(fmt, 2.0**fmt.max_exp))
        return np.broadcast_to(largest, shape)
    one = int(encode(fmt, 1.0))
    spread = 2 << (fmt.man_bits if isinstance(fmt, Minifloat) else 1)
    codes = np.clip(one + rng.integers(-spread, spread + 1, size=shape), 0, (1 << fmt.width) - 1)
    chosen = rng.random(shape) < 0.05
    return np.where(chosen, rng.choice(corners, size=shape), codes)


def chains(
    design: Dot, a: Operand, b: Operand
) -> Iterator[tuple[tuple[int, int], list[dict[str, Any]]]]:
    """Return for each output of a product of matrices its place, and the transfers of its chain.

    What a chain has no products for is filled with ``design.padding``, and scales of 1.
    """
    left, right = (Blocks(x, np.zeros((0, 0))) if not isinstance(x, Blocks) else x for x in (a, b))
    lanes, size = design.lanes, design.block_size
    depth = left.elements.shape[1]
    many = -(-depth // lanes)
    fillers = design.padding or (0, 0)
    for place in np.ndindex(left.elements.shape[0], right.elements.shape[1]):
        fields: dict[str, Codes] = {}
        for name, fmt, blocks, line, filler in (
            ("a", design.a, left, (place[0], slice(None)), fillers[0]),
            ("b", design.b, right, (slice(None), place[1]), fillers[1]),
        ):
            codes = blocks.elements[line]
            fields[name] = np.full(many * lanes, filler)
            fields[name][:depth] = codes
            if not isinstance(fmt, BlockFormat):
                continue
            scales = np.full(many * max(design.blocks, 1), encode(fmt.scale, 1.0), np.int64)
            if size:
                given = blocks.scales[line]
                scales[: len(given)] = given
            else:
                scales[:] = blocks.scales.ravel()[0]
            fields[f"{name}_scale"] = scales
        shaped = {name: column.reshape(many, -1).tolist() for name, column in fields.items()}
        yield (
            place,
            [
                {name: column[n] for name, column in shaped.items()} | {"last": n == many - 1}
                for n in range(many)
            ],
        )
