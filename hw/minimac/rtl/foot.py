"""The foot of a column: one exact normalisation and one rounding, from a state to a code."""

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from minimac.rtl.accumulator import Accumulator
from minimac.rtl.coded import CodedAccumulator
from minimac.rtl.conversion import Conversion, conversion_to
from minimac.rtl.delay import Delays, Section, place_registers, stages_ps
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.multiplyadd import MultiplyAddPlan
from minimac.rtl.pipeline import Pipeline, Staged
from minimac.rtl.probing import probing
from minimac.spec import Design

__all__ = ["Foot", "FootPlan"]


class FootPlan:
    """Where the registers of a :class:`Foot` are, found without building it.

    With ``pipeline: auto`` there are as few as the clock takes; with ``pipeline: 0``, none; with
    any other number, as few as make the foot no slower than the element before it. All by estimate,
    and at most one at each place.

    Parameters
    ----------
    design : Design
        What is computed, and how it is built.
    keeps_zero_sign : bool
        Whether a sum of zero has the sign that comes with it, where ``out`` has a negative zero;
        else it is +0.
    pace_ps : float, optional
        What a stage may take where ``pipeline`` is a number above 0; by default what the slowest of
        the design's multiply-add does.
    stages : int, optional
        How many registers there are, instead of all this.

    Attributes
    ----------
    sections : tuple of Section
        The pieces between places for registers.
    cuts : tuple of str
        Places that hold a register.
    latency : int
        Cycles from a state to its code.
    slowest_ps : float
        Estimated delay of the slowest stage.
    """

    def __init__(
        self,
        design: Design,
        *,
        keeps_zero_sign: bool = False,
        pace_ps: float | None = None,
        stages: int | None = None,
    ) -> None:
        self.design = design
        self.accumulator = accumulator_for(design)
        self.keeps_zero_sign = keeps_zero_sign
        delays = Delays(design.technology)
        self.sections = self._sections(delays)
        if stages is None and design.pipeline == 0:
            stages = 0
        if stages is not None or design.pipeline == "auto":
            pace_ps = 1e6 / design.clock_mhz
        elif pace_ps is None:
            pace_ps = MultiplyAddPlan(design).slowest_ps
        self.cuts = place_registers(
            self.sections,
            stages=stages,
            period_ps=pace_ps,
            register_ps=delays.register,
        )
        self.latency = len(self.cuts)
        self.slowest_ps = max(stages_ps(self.sections, self.cuts, delays.register))

    def _sections(self, delays: Delays) -> tuple[Section, ...]:
        with probing() as m:
            state = Signal(self.accumulator.state_layout)
            accumulator, state = self.accumulator.finish(m, state)
            is_code = accumulator.code(m, state) is not None
        finish_ps = self.accumulator.finish_ps(delays)
        if is_code:
            return (Section("", finish_ps),)
        first = (Section("finish", finish_ps),) if finish_ps else ()
        return *first, *self._conversion(accumulator).sections(delays)

    def _conversion(self, accumulator: Accumulator) -> Conversion:
        # A chain of codes may end in -0.
        keeps = self.keeps_zero_sign or isinstance(accumulator, CodedAccumulator)
        return conversion_to(self.design.out, self.design, accumulator, keeps_zero_sign=keeps)

    def build(self, m: Module, *, step: Value, state: data.View) -> Value:
        """Add the hardware to a module; return the code."""
        pipe = Pipeline(self.cuts, step)
        accumulator, state = self.accumulator.finish(m, state)
        code = accumulator.code(m, state)
        if code is not None:
            return code
        state = pipe.cut(m, "finish", state)
        return self._conversion(accumulator).build(m, pipe, state)


class Foot(Staged):
    """Conversion of the state of a chain to a code of ``design.out``.

    Parameters
    ----------
    design : Design
        What is computed, and how it is built.
    keeps_zero_sign, pace_ps, stages
        As for :class:`FootPlan`.

    Members
    -------
    step : ``In(1)``
        Whether the registers move in this cycle; only if there are any.
    state : ``In(accumulator.state_layout)``
        The unrounded sum.
    code : ``Out(design.out.width)``
        The sum, ``plan.latency`` cycles later, rounded once by ``design.out_round``; beyond the
        range of ``design.out``, what ``design.out_overflow`` says.
    """

    def __init__(self, design: Design, **options: Any) -> None:
        self.plan = FootPlan(design, **options)
        members = {
            "state": In(self.plan.accumulator.state_layout),
            "code": Out(design.out.width),
        }
        super().__init__(members, self.plan.cuts)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.code.eq(self.plan.build(m, step=self.moves, state=self.state))
        return m
