"""The multiply-add that every unit is made of."""

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.delay import Delays, choose_cuts, stages_ps
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.parts import mark, part_after
from minimac.rtl.pipeline import Pipeline
from minimac.spec import Design

__all__ = ["MultiplyAdd", "MultiplyAddPlan"]


class MultiplyAddPlan:
    """Where the registers of a :class:`MultiplyAdd` are, found without building it.

    Parameters
    ----------
    design : Design
        What is computed, and ``pipeline``: the number of register stages inside.
    loops : bool
        Whether the result is the next state, so that no register fits between them.

    Raises
    ------
    SpecError
        If there are fewer places for registers than ``pipeline`` asks for.

    Attributes
    ----------
    accumulator : Accumulator
        The kind of accumulation.
    cuts : tuple of str
        Places that hold a register.
    lead, latency : int
        Cycles from the operands to the state that they belong to, and from there to the result.
    slowest_ps : float
        Estimated delay of the slowest stage, registers included.
    last_place : str
        The last place for a register before the result.
    """

    def __init__(self, design: Design, *, loops: bool = False) -> None:
        self.accumulator = accumulator_for(design)
        delays = Delays(design.technology)
        sections = self.accumulator.sections(delays)
        ahead = {section.place: section.ahead for section in sections[:-1]}
        self.last_place = next(reversed(ahead), "multiply")
        offered = [place for place in ahead if ahead[place] or not loops]
        where = f"in a {design.unit} of {design.summary()}"
        self.cuts = choose_cuts(design, sections, where, offered)
        self.lead = sum(ahead[place] for place in self.cuts)
        self.latency = len(self.cuts) - self.lead
        self.slowest_ps = max(stages_ps(sections, self.cuts, delays.register))

    def build(self, m: Module, *, step: Value, state: data.View, **operands: Any) -> data.View:
        """Add the hardware to a module; return the chain after this step."""
        pipe = Pipeline(self.cuts, step)
        product = self.accumulator.multiply(m, pipe, **operands)
        result = self.accumulator.step(m, pipe, state, product)
        mark(m, part_after(self.last_place), result)
        return result


class MultiplyAdd(wiring.Component):
    """One step of a chain: ``result`` is ``state`` plus ``a`` times ``b``, lane by lane if vectors.

    The operands run ahead: ``state`` belongs to the operands of ``plan.lead`` cycles before, and
    ``result`` follows ``state`` by ``plan.latency`` cycles. Both count only cycles with ``step``.

    Parameters
    ----------
    design : Design
        What is computed.
    loops : bool
        As for :class:`MultiplyAddPlan`.

    Members
    -------
    step : ``In(1)``
        Whether the registers move in this cycle.
    a, b, ... : ``In(shape)`` of ``accumulator_for(design).operands``
        Codes of the operands.
    state : ``In(accumulator_for(design).state_layout)``
        The chain before this step; all zero at its start.
    result : ``Out(accumulator_for(design).state_layout)``
        The chain after it.
    """

    def __init__(self, design: Design, *, loops: bool = False) -> None:
        self.plan = MultiplyAddPlan(design, loops=loops)
        self.operands = self.plan.accumulator.operands
        layout = self.plan.accumulator.state_layout
        super().__init__(
            {
                "step": In(1),
                **{name: In(shape) for name, shape in self.operands.items()},
                "state": In(layout),
                "result": Out(layout),
            }
        )

    @property
    def COMBINATIONAL(self) -> bool:
        """Whether there are no registers inside."""
        return not self.plan.cuts

    def elaborate(self, platform):
        m = Module()
        operands = {name: getattr(self, name) for name in self.operands}
        result = self.plan.build(m, step=self.step, state=self.state, **operands)
        m.d.comb += self.result.eq(result)
        return m
