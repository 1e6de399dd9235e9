"""Dot products: many products in one step of a chain."""

from minimac.rtl.accumulator import Accumulator
from minimac.rtl.dots.blocks import BlockDot, TensorDot
from minimac.rtl.dots.exact import ExactDot
from minimac.rtl.dots.fused import FusedDot
from minimac.spec import Dot, ExactAccumulation

__all__ = ["dot_accumulator"]


def dot_accumulator(design: Dot) -> Accumulator:
    """Return the hardware of a dot product's accumulation."""
    if design.has_blocks:
        return BlockDot(design) if design.block_size else TensorDot(design)
    if isinstance(design.accumulate, ExactAccumulation):
        return ExactDot(design, design.lanes)
    return FusedDot(design, design.lanes)
