"""What is known of a unit before it is built, and what cannot be built."""

from typing import Any

from minimac.rtl.activation import ActivationPlan
from minimac.rtl.arrays import plan_array
from minimac.rtl.elementwise import ElementwisePlan
from minimac.rtl.hadamard import HadamardPlan
from minimac.rtl.kinds import KINDS
from minimac.rtl.mac import MacPlan
from minimac.rtl.quantize import QuantizePlan
from minimac.rtl.softmax import SoftmaxPlan
from minimac.spec import (
    Activation,
    Adder,
    BlockFormat,
    Convert,
    Design,
    Dot,
    FixedAccumulation,
    Fma,
    Hadamard,
    Mac,
    Multiplier,
    Quantize,
    Softmax,
    SpecError,
    Systolic,
)

__all__ = ["UNIT_PLANS", "plan"]

#: Plans of the units, by the class of their design.
UNIT_PLANS: dict[type[Design], Any] = {
    Activation: ActivationPlan,
    Hadamard: HadamardPlan,
    Softmax: SoftmaxPlan,
    Mac: MacPlan,
    Dot: MacPlan,
    Systolic: plan_array,
    Multiplier: ElementwisePlan,
    Adder: ElementwisePlan,
    Fma: ElementwisePlan,
    Convert: ElementwisePlan,
    Quantize: QuantizePlan,
}


def plan(design: Design) -> Any:
    """Return interface and timing of a design: ``signature``, ``latency``, ``create()``.

    Raises
    ------
    SpecError
        If there is no circuit for the design, though there is a model.
    """
    _check_buildable(design)
    return UNIT_PLANS[type(design)](design)


def _check_buildable(design: Design) -> None:
    """Refuse what only the model can do: nothing is left out silently."""
    if type(design) not in UNIT_PLANS:
        raise SpecError(f"unit: no circuit for {design.unit} yet")
    kinds = {"accumulate.kind": design.accumulate}
    if isinstance(design.accumulate, FixedAccumulation) and design.accumulate.outer:
        kinds["accumulate.outer.kind"] = design.accumulate.outer
    if isinstance(design, Dot):
        kinds = {}
    for key, acc in kinds.items():
        if type(acc) not in KINDS:
            known = ", ".join(kind.kind for kind in KINDS)
            raise SpecError(
                f"{key}: {design.unit} has no circuit for {acc.kind}; use unit dot, or one of "
                f"{known}"
            )
    array = design.array if isinstance(design, Systolic) else None
    if array and array.dataflow != "os" and array.rows > 1 and not design.padding:
        raise SpecError(
            f"array.dataflow: {array.dataflow} fills missing rows with products of zero, and "
            f"{design.a.name} x {design.b.name} has none; use os, or rows: 1"
        )
    if design.out_round.stochastic and not isinstance(design, (Convert, Quantize)):
        raise SpecError(
            f"out_round: {design.out_round} is for unit convert; use another mode, or give out "
            "more bits and convert behind"
        )
    for key, fmt in (("a", design.a), ("b", design.b)):
        if isinstance(fmt, BlockFormat) and not isinstance(design, Dot):
            raise SpecError(
                f"{key}: {design.unit} takes no blocks; use unit dot, or {fmt.element.name}, the "
                "format of their elements"
            )
