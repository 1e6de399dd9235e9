"""Which circuit belongs to which kind of accumulation."""

from minimac.rtl.accumulator import Accumulator
from minimac.rtl.exact import ExactAccumulator
from minimac.rtl.floating import FloatAccumulator
from minimac.spec import Accumulation, Arithmetic, ExactAccumulation, FloatAccumulation

__all__ = ["KINDS", "accumulator_for"]

#: Circuits of the kinds of accumulation.
KINDS: dict[type[Accumulation], type[Accumulator]] = {
    ExactAccumulation: ExactAccumulator,
    FloatAccumulation: FloatAccumulator,
}


def accumulator_for(spec: Arithmetic) -> Accumulator:
    """Return the hardware of a spec's accumulation."""
    return KINDS[type(spec.accumulate)](spec)
