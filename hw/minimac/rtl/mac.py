"""A chain with its foot: one processing element, or a dot product of many lanes."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.foot import Foot, FootPlan
from minimac.rtl.multiplyadd import MultiplyAdd, MultiplyAddPlan
from minimac.rtl.outline import Outline
from minimac.spec import Dot, Mac

__all__ = ["MacPlan", "MacUnit"]


class MacPlan:
    """Interface and latency of a :class:`MacUnit`, found without building it.

    Attributes
    ----------
    multiply_add : MultiplyAddPlan
        Timing of the element.
    foot : FootPlan
        Timing of the foot.
    latency : int
        Cycles from a transfer with ``last`` to ``o.valid``, if ``o`` does not stall.
    signature : wiring.Signature
        Members of the unit.
    """

    def __init__(self, design: Mac | Dot) -> None:
        self.design = design
        self.multiply_add = MultiplyAddPlan(design, loops=True)
        self.accumulator = self.multiply_add.accumulator
        self.cuts = self.multiply_add.cuts
        self.foot = FootPlan(design, pace_ps=self.multiply_add.slowest_ps)
        self.latency = self.multiply_add.lead + 2 + self.foot.latency
        operands = data.StructLayout({**self.accumulator.operands, "last": 1})
        result = data.StructLayout({"sum": design.out.width})
        self.signature = wiring.Signature(
            {
                "i": In(stream.Signature(operands)),
                "o": Out(stream.Signature(result)),
            }
        )

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        end = "1: this transfer ends the chain, and the next one begins another"
        return {
            "i": self.accumulator.operand_meaning | {"last": end},
            "o": {"sum": f"code of {self.design.out.name}: the chain, rounded once"},
        }

    @property
    def protocol(self) -> list[str]:
        """How the ports are used."""
        design, terms = self.design, self.design.accumulate.max_terms
        many = f"{terms} transfers on i"
        if isinstance(design, Dot):
            many = f"{terms} terms, {design.lanes} in each transfer on i"
        return [
            f"A chain is up to {many}; the one with last ends it.",
            "latency_cycles: from the edge that takes it to the one after which o is valid.",
            "Throughput: a transfer a cycle; while o is stalled everything stands still.",
        ]

    def create(self, outline: Outline | None = None) -> "MacUnit":
        """Create the hardware."""
        return MacUnit(self.design, outline)


class MacUnit(wiring.Component):
    """Dot product of two streams of codes, or of vectors of codes.

    Each transfer on ``i`` adds its products to a chain. A transfer with ``last`` set ends the
    chain: its sum, rounded once, is offered on ``o``, and the next transfer starts from zero. A
    chain has ``accumulate.max_terms`` terms at most.

    One transfer is accepted per cycle. While ``o`` is stalled everything stands still.

    Parameters
    ----------
    design : Mac or Dot
        The unit.
    outline : Outline, optional
        Where element and foot come from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``a``, ``b``, and scales if there are any: codes of the operands. ``last``: whether this
        transfer ends the chain.
    o : ``Out(stream.Signature(...))``
        ``sum``: code of the chain.
    """

    def __init__(self, design: Mac | Dot, outline: Outline | None = None) -> None:
        self.design = design
        self.outline = outline or Outline()
        self.plan = MacPlan(design)
        super().__init__(self.plan.signature)

    def elaborate(self, platform):
        m = Module()
        timing = self.plan.multiply_add
        element = self.outline.part(
            m, "element", "element", lambda: MultiplyAdd(self.design, loops=True)
        )
        foot = self.outline.part(
            m, "foot", "foot", lambda: Foot(self.design, pace_ps=timing.slowest_ps)
        )

        # Every stage moves, or none does.
        step = Signal()
        m.d.comb += [
            step.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(step),
            element.step.eq(step),
            *(getattr(element, name).eq(self.i.p[name]) for name in timing.accumulator.operands),
        ]

        # Stage 1 to lead: the multiplier. Only `valid` needs a reset value.
        valid, last = self.i.valid, self.i.p.last
        for n in range(timing.lead):
            valid_next = Signal(name=f"valid_{n + 1}")
            last_next = Signal(name=f"last_{n + 1}", reset_less=True)
            with m.If(step):
                m.d.sync += [valid_next.eq(valid), last_next.eq(last)]
            valid, last = valid_next, last_next

        # Next stage: the chain, which begins anew after `last`.
        chain = Signal(timing.accumulator.state_layout, reset_less=True)
        fresh = Signal(init=1)
        done = Signal()
        m.d.comb += element.state.eq(Mux(fresh, 0, chain))
        with m.If(step):
            m.d.sync += done.eq(valid & last)
            with m.If(valid):
                m.d.sync += [chain.eq(element.result), fresh.eq(last)]

        # Last stages: the foot. One that shifts rests but for the last sum of a chain; others take
        # less energy than it would cost.
        rests = len(self.plan.foot.sections) > 2
        m.d.comb += foot.state.eq(Mux(done, chain, 0) if rests else chain)
        if self.plan.foot.latency:
            m.d.comb += foot.step.eq(step)
        for n in range(self.plan.foot.latency):
            done_next = Signal(name=f"done_{n + 1}")
            with m.If(step):
                m.d.sync += done_next.eq(done)
            done = done_next
        with m.If(step):
            m.d.sync += [self.o.valid.eq(done), self.o.p.sum.eq(foot.code)]
        return m
