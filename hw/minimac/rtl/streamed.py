"""Units that take a transfer and give a result in every cycle: a datapath between two streams."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, ShapeLike, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.delay import Section, choose_cuts
from minimac.rtl.lfsr import shift_register
from minimac.rtl.outline import Outline
from minimac.rtl.pipeline import Staged
from minimac.spec import Design, Lfsr

__all__ = ["Element", "StreamedPlan", "StreamedUnit"]


class StreamedPlan(ABC):
    """Interface and timing of a :class:`StreamedUnit`, found without building it.

    Parameters
    ----------
    design : Design
        The unit.
    sections : sequence of Section
        The datapath.
    where : str
        Where the registers are, as an error says it.
    inputs, outputs : dict of str to ShapeLike
        What the datapath takes, ``random`` among it wherever that comes from, and what it gives.
    lfsrs : sequence of Lfsr
        Where random bits come from, if not from a port.

    Attributes
    ----------
    cuts : tuple of str
        Places in the datapath that hold a register.
    latency : int
        Cycles from a transfer on ``i`` to ``o.valid``, if ``o`` does not stall.
    signature : wiring.Signature
        Members of the unit.
    """

    #: What a transfer is.
    transfer: str

    def __init__(
        self,
        design: Design,
        sections: Sequence[Section],
        where: str,
        *,
        inputs: dict[str, ShapeLike],
        outputs: dict[str, ShapeLike],
        lfsrs: Sequence[Lfsr] = (),
    ) -> None:
        self.design: Any = design
        self.inputs, self.outputs, self.lfsrs = inputs, outputs, lfsrs
        self.cuts = choose_cuts(design, sections, where)
        self.latency = len(self.cuts) + 1
        taken = {name: inputs[name] for name in inputs if name != "random" or not lfsrs}
        self.signature = wiring.Signature(
            {
                "i": In(stream.Signature(data.StructLayout(taken))),
                "o": Out(stream.Signature(data.StructLayout(outputs))),
            }
        )

    @abstractmethod
    def build(self, m: Module, *, step: Value, operands: dict[str, Any]) -> dict[str, Value]:
        """Add the datapath to a module; return what it gives."""

    @property
    @abstractmethod
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""

    @property
    def protocol(self) -> list[str]:
        """How the ports are used."""
        return [
            f"Each transfer on i is {self.transfer}; results come in order on o.",
            "latency_cycles: from the edge that takes a transfer on i to the one after which",
            "o is valid. Throughput: a transfer a cycle; while o is stalled everything stands",
            "still.",
        ]

    def create(self, outline: Outline | None = None) -> wiring.Component:
        """Create the hardware."""
        return StreamedUnit(self, outline)


class Element(Staged):
    """A datapath, as it is between the streams.

    Parameters
    ----------
    plan : StreamedPlan
        What it takes and gives, which are its members, and how it is built.
    """

    def __init__(self, plan: StreamedPlan) -> None:
        self.plan = plan
        members = {name: In(shape) for name, shape in plan.inputs.items()}
        members |= {name: Out(shape) for name, shape in plan.outputs.items()}
        super().__init__(members, plan.cuts)

    def elaborate(self, platform):
        m = Module()
        operands = {name: getattr(self, name) for name in self.plan.inputs}
        for name, value in self.plan.build(m, step=self.moves, operands=operands).items():
            m.d.comb += Value.cast(getattr(self, name)).eq(value)
        return m


class StreamedUnit(wiring.Component):
    """A datapath between streams.

    One transfer is accepted per cycle. While ``o`` is stalled everything stands still.

    Parameters
    ----------
    plan : StreamedPlan
        The datapath.
    outline : Outline, optional
        Where it comes from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        What the datapath takes, but for random bits that the unit draws itself.
    o : ``Out(stream.Signature(...))``
        What it gives.
    """

    def __init__(self, plan: StreamedPlan, outline: Outline | None = None) -> None:
        self.outline = outline or Outline()
        self.plan = plan
        super().__init__(plan.signature)

    def elaborate(self, platform):
        m = Module()
        # Every stage moves, or none does. Only `valid` needs a reset value.
        step = Signal()
        m.d.comb += [step.eq(~self.o.valid | self.o.ready), self.i.ready.eq(step)]
        in_flight = Signal(len(self.plan.cuts))
        results = self._datapath(m, step)
        with m.If(step):
            m.d.sync += Cat(in_flight, self.o.valid).eq(Cat(self.i.valid, in_flight))
            for name, value in results.items():
                m.d.sync += Value.cast(self.o.p[name]).eq(value)
        return m

    def _datapath(self, m: Module, step: Value) -> dict[str, Value]:
        """Add what is between the streams; return what goes to ``o``."""
        element = self.outline.part(m, "element", "element", lambda: Element(self.plan))
        if self.plan.cuts:
            m.d.comb += element.step.eq(step)
        for name, _ in self.i.p.shape():
            m.d.comb += Value.cast(getattr(element, name)).eq(Value.cast(self.i.p[name]))
        if self.plan.lfsrs:
            taken = step & self.i.valid
            random = [shift_register(m, lfsr, taken) for lfsr in self.plan.lfsrs]
            m.d.comb += Value.cast(element.random).eq(Cat(*random))
        return {name: Value.cast(getattr(element, name)) for name in self.plan.outputs}
