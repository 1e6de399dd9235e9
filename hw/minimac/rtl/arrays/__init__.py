"""Arrays of processing elements: one module a dataflow, and what they share."""

from collections.abc import Callable

from minimac.rtl.arrays.broadcast import BroadcastArray, BroadcastPlan
from minimac.rtl.arrays.output_stationary import OutputStationaryArray, OutputStationaryPlan
from minimac.rtl.arrays.plan import ArrayPlan
from minimac.rtl.arrays.weight_stationary import WeightStationaryArray, WeightStationaryPlan
from minimac.spec import Systolic

__all__ = [
    "ArrayPlan",
    "BroadcastArray",
    "OutputStationaryArray",
    "WeightStationaryArray",
    "plan_array",
]

_PLANS: dict[str, Callable[[Systolic], ArrayPlan]] = {
    "ws": WeightStationaryPlan,
    "os": OutputStationaryPlan,
    "broadcast": BroadcastPlan,
}


def plan_array(design: Systolic) -> ArrayPlan:
    """Return interface and timing of an array."""
    return _PLANS[design.array.dataflow](design)
