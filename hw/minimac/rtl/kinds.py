"""Which circuit belongs to which kind of accumulation."""

from minimac.rtl.accumulator import Accumulator
from minimac.rtl.chunked import ChunkedAccumulator, ChunkTerms
from minimac.rtl.dots import dot_accumulator
from minimac.rtl.exact import ExactAccumulator
from minimac.rtl.fixed import FixedAccumulator
from minimac.rtl.floating import FloatAccumulator
from minimac.rtl.rounded import RoundedAccumulator
from minimac.spec import (
    Accumulation,
    Arithmetic,
    Dot,
    ExactAccumulation,
    FixedAccumulation,
    FloatAccumulation,
    RoundedAccumulation,
)

__all__ = ["KINDS", "accumulator_for"]

#: Circuits of the kinds of accumulation, product by product; of ``fixed``, that without chunks.
KINDS: dict[type[Accumulation], type[Accumulator]] = {
    ExactAccumulation: ExactAccumulator,
    FixedAccumulation: FixedAccumulator,
    FloatAccumulation: FloatAccumulator,
    RoundedAccumulation: RoundedAccumulator,
}


def accumulator_for(spec: Arithmetic) -> Accumulator:
    """Return the hardware of a spec's accumulation."""
    if isinstance(spec, Dot):
        return dot_accumulator(spec)
    acc = spec.accumulate
    if isinstance(acc, FixedAccumulation) and acc.chunk:
        return ChunkedAccumulator(spec, accumulator_for(ChunkTerms.of(spec)))
    return KINDS[type(acc)](spec)
