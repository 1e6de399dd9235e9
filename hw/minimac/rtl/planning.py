"""What is known of a unit before it is built, and what cannot be built."""

from typing import Any

from minimac.rtl.kinds import KINDS
from minimac.rtl.mac import MacPlan
from minimac.rtl.systolic import SystolicPlan
from minimac.spec import (
    Design,
    FixedPoint,
    Mac,
    Minifloat,
    Product,
    SpecError,
    Systolic,
)

__all__ = ["UNIT_PLANS", "plan"]

#: Plans of the units, by the class of their design.
UNIT_PLANS: dict[type[Design], Any] = {Mac: MacPlan, Systolic: SystolicPlan}


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
    acc = design.accumulate
    if type(acc) not in KINDS:
        known = " or ".join(kind.kind for kind in KINDS)
        raise SpecError(f"accumulate.kind: no circuit for {acc.kind} yet; use {known}")
    if design.product is not Product.EXACT:
        raise SpecError(f"product: no circuit for {design.product} yet; use exact")
    if design.out_round.stochastic:
        raise SpecError(f"out_round: no circuit for {design.out_round} yet; use another mode")
    for key, fmt in (("a", design.a), ("b", design.b)):
        if not isinstance(fmt, (Minifloat, FixedPoint)):
            raise SpecError(
                f"{key}: no circuit for {fmt.name} yet; use a minifloat or fixed-point format"
            )
