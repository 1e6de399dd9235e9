"""The tightest clock that a design meets, by search."""

from collections.abc import Callable
from typing import Any

from minimac.cost.measurement import measure
from minimac.cost.result import Cost
from minimac.cost.technology import is_liberty, load_technology
from minimac.spec import Design, SpecError

__all__ = ["fastest"]

#: How many times as fast as before an impossible clock is.
_HASTE = 4

#: Of the delay that the flow reaches when it is asked for the impossible: where to begin and end.
_BEGIN, _END = 0.85, 1.1

#: How near the clock beyond must be, and how much a period grows where none of those was met.
_NEAR, _MORE = 1.01, 1.02


def fastest(
    design: Design,
    technology: str | None = None,
    *,
    watch: Callable[[str], None] | None = None,
    **options: Any,
) -> Cost:
    """Measure a design at the tightest clock that its netlist meets, to a percent.

    ``pipeline`` is as the design has it: a number of registers stays, ``auto`` places them anew for
    each clock that is tried. The flow is asked for an impossible clock first; what it reaches is
    where the search by halves begins. Mapping is not monotonic, so that there may be a faster clock
    beyond one that is missed.

    Parameters
    ----------
    design : Design
        What to build.
    technology : str or None
        Standard cells; by default those of the design.
    watch : callable or None
        What is told, in a line, of each clock that is tried.
    options
        As for :func:`minimac.cost.measure`, but for ``clock_mhz``.

    Raises
    ------
    SpecError
        If the technology is an FPGA, whose clocks are found by place and route.
    """
    name = technology or design.technology
    # Facts of a Liberty file take seconds to read, and it is one of cells.
    if not is_liberty(name) and not hasattr(load_technology(name), "cells"):
        raise SpecError(
            f"fastest is for standard cells; on {name}, fmax_mhz is what place and route finds"
        )
    quick = {**options, "with_energy": False, "with_parts": False}

    def attempt(period_ps: float) -> Cost:
        cost = measure(design, name, clock_mhz=_clock(period_ps), **quick)
        assert cost.delay_ps is not None
        if watch:
            verdict = "met" if cost.meets_clock else f"missed by {cost.delay_ps - period_ps:.0f} ps"
            watch(f"{cost.clock_mhz:g} MHz: {verdict}, {cost.area_um2:.6g} um2")
        return cost

    first = attempt(1e6 / design.clock_mhz)
    assert first.delay_ps is not None
    reached_ps, met = first.delay_ps, True
    while met:
        hasty = attempt(reached_ps / _HASTE)
        assert hasty.delay_ps is not None
        reached_ps, met = min(reached_ps, hasty.delay_ps), bool(hasty.meets_clock)
    low_ps, high_ps = _BEGIN * reached_ps, _END * reached_ps
    best: Cost | None = None
    while high_ps > _NEAR * low_ps:
        middle_ps = (low_ps * high_ps) ** 0.5
        cost = attempt(middle_ps)
        if cost.meets_clock:
            best, high_ps = cost, middle_ps
        else:
            low_ps = middle_ps
    if best is not None and best.delay_ps is not None:
        # What is there may be faster than it was asked to be.
        again = attempt(best.delay_ps)
        best = again if again.meets_clock else best
    period_ps = high_ps
    while best is None:
        cost = attempt(period_ps)
        best = cost if cost.meets_clock else None
        period_ps *= _MORE
    return measure(design, name, clock_mhz=best.clock_mhz, **options)


def _clock(period_ps: float) -> float:
    """Return a clock of four digits, not above that of the period."""
    exact = 1e6 / period_ps
    rounded = float(f"{exact:.4g}")
    return rounded if rounded <= exact else float(f"{exact * 0.9995:.4g}")
