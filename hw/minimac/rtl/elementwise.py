"""Units that do one operation on each transfer: multiply, add, multiply and add."""

from amaranth.hdl import Cat, Const, Fragment, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.delay import Delays, Section, place_registers
from minimac.rtl.operand import (
    unpack,
)
from minimac.rtl.operations import SumOfCodes, operation_for
from minimac.rtl.outline import Outline
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.rounded import RoundedAccumulator
from minimac.rtl.tofixed import ToFixed
from minimac.rtl.tominifloat import ToMinifloat
from minimac.spec import (
    Adder,
    FixedPoint,
    Fma,
    Minifloat,
    Multiplier,
    SpecError,
)

__all__ = ["ElementwisePlan", "ElementwiseUnit", "Operation"]


class ElementwisePlan:
    """Interface and timing of an :class:`ElementwiseUnit`, found without building it.

    Attributes
    ----------
    cuts : tuple of str
        Places in the datapath that hold a register.
    latency : int
        Cycles from a transfer on ``i`` to ``o.valid``, if ``o`` does not stall.
    signature : wiring.Signature
        Members of the unit.
    """

    def __init__(self, design: Multiplier | Adder | Fma) -> None:
        self.design = design
        self.accumulator = operation_for(design)
        delays = Delays(design.technology)
        sections = self._sections(delays)
        offered = [section.place for section in sections[:-1]]
        stages = None if design.pipeline == "auto" else design.pipeline
        if stages is not None and stages > len(offered):
            raise SpecError(
                f"pipeline: must be auto or 0 to {len(offered)} for unit {design.unit} of "
                f"{design.summary()}, not {stages}"
            )
        self.cuts = place_registers(
            sections,
            offered,
            stages=stages,
            period_ps=1e6 / design.clock_mhz,
            register_ps=delays.register,
        )
        self.latency = len(self.cuts) + 1
        self.operands = {"a": design.a, "b": design.b}
        if isinstance(design, Fma):
            self.operands["c"] = design.out
        payload = {name: fmt.width for name, fmt in self.operands.items()}
        self.signature = wiring.Signature(
            {
                "i": In(stream.Signature(data.StructLayout(payload))),
                "o": Out(stream.Signature(data.StructLayout({"result": design.out.width}))),
            }
        )

    def _sections(self, delays: Delays) -> tuple[Section, ...]:
        sections = self.accumulator.sections(delays)
        if conversion := self._conversion():
            # Widths are asked of the accumulator, in a module that leads nowhere.
            m, state = Module(), Signal(self.accumulator.state_layout)
            sections += conversion.sections(m, state, delays)
            Fragment.get(m, None)  # else Amaranth warns that nobody does
        return sections

    def _conversion(self) -> ToMinifloat | ToFixed | None:
        """Return what rounds the state, unless that is a code of the result already."""
        design, out = self.design, self.design.out
        if isinstance(self.accumulator, (RoundedAccumulator, SumOfCodes)):
            return None
        if isinstance(out, Minifloat):
            return ToMinifloat(design, out, self.accumulator, keeps_zero_sign=True)
        assert isinstance(out, FixedPoint)
        return ToFixed(design, out, self.accumulator)

    def build(self, m: Module, *, step: Value, operands: dict[str, Value]) -> Value:
        """Add the hardware to a module; return the code of the result."""
        pipe = Pipeline(self.cuts, step)
        result = self.accumulator.multiply(m, pipe, operands["a"], operands["b"])
        if isinstance(self.accumulator, RoundedAccumulator):
            return self._add_to(m, pipe, self.accumulator, operands["c"], result)
        conversion = self._conversion()
        code: Value = conversion.build(m, pipe, result) if conversion else result.code
        return code

    def _add_to(
        self,
        m: Module,
        pipe: Pipeline,
        accumulator: RoundedAccumulator,
        c: Value,
        product: data.View,
    ) -> Value:
        """Add a product to a code of the result."""
        out = self.design.out
        assert isinstance(out, Minifloat)
        state = Signal(accumulator.state_layout, name="addend")
        m.d.comb += state.code.eq(c)
        if not accumulator.codes_special:
            nan = unpack(out, c).nan
            m.d.comb += state.special.eq(nan.replicate(accumulator.special_bits))
        for section in accumulator.sections(Delays(self.design.technology)):
            if section.ahead:
                state = pipe.cut(m, section.place, state)
        state = accumulator.step(m, pipe, state, product)
        if accumulator.codes_special:
            return state.code
        # What operands bring and the result has no code for saturates.
        largest = Cat(Const(out.max_code, out.magnitude_bits), state.special[-1])
        special = Mux(state.special.all(), out.nan_code or 0, largest)
        return Mux(state.special.any(), special, state.code)

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        words = {Multiplier: "a * b", Adder: "a + b", Fma: "a * b + c"}
        return {
            "i": {name: f"code of {fmt.name}" for name, fmt in self.operands.items()},
            "o": {
                "result": f"code of {self.design.out.name}: {words[type(self.design)]}, "
                "rounded once"
            },
        }

    @property
    def protocol(self) -> list[str]:
        """How the ports are used."""
        return [
            "Each transfer on i is one operation; results come in order on o.",
            "latency_cycles: from the edge that takes a transfer on i to the one after which",
            "o is valid. Throughput: a transfer a cycle; while o is stalled everything stands",
            "still.",
        ]

    def create(self, outline: Outline | None = None) -> "ElementwiseUnit":
        """Create the hardware."""
        return ElementwiseUnit(self.design, outline)


class Operation(wiring.Component):
    """A product, a sum, or a fused multiply-add, rounded once: combinational, or a pipeline.

    For use in somebody's datapath; :class:`ElementwiseUnit` is the same between streams.

    Parameters
    ----------
    design : Multiplier or Adder or Fma
        What is computed, and ``pipeline``: the number of register stages inside.

    Members
    -------
    step : ``In(1)``
        Whether the registers move in this cycle; only if there are any.
    a, b, c : ``In(width)``
        Codes of the operands; ``c`` only of an ``fma``.
    result : ``Out(design.out.width)``
        Code of the result, as many cycles later as there are register stages.

    Examples
    --------
    >>> from amaranth.back import rtlil
    >>> from minimac.spec import load_design
    >>> adder = Operation(load_design({"name": "add", "unit": "adder", "a": "bf16", "b": "bf16",
    ...     "out": "bf16"}))
    >>> sorted(adder.signature.members), adder.COMBINATIONAL
    (['a', 'b', 'result'], True)
    >>> text = rtlil.convert(adder)  # or make it a submodule of yours
    """

    def __init__(self, design: Multiplier | Adder | Fma) -> None:
        self.plan = ElementwisePlan(design)
        members = {name: In(fmt.width) for name, fmt in self.plan.operands.items()}
        members |= {"result": Out(design.out.width)}
        super().__init__(members | ({} if self.COMBINATIONAL else {"step": In(1)}))

    @property
    def COMBINATIONAL(self) -> bool:
        """Whether there are no registers inside."""
        return not self.plan.cuts

    def elaborate(self, platform):
        m = Module()
        step = Const(1) if self.COMBINATIONAL else self.step
        operands = {name: getattr(self, name) for name in self.plan.operands}
        m.d.comb += self.result.eq(self.plan.build(m, step=step, operands=operands))
        return m


class ElementwiseUnit(wiring.Component):
    """An operation on each transfer of a stream.

    One transfer is accepted per cycle. While ``o`` is stalled everything stands still.

    Parameters
    ----------
    design : Multiplier or Adder or Fma
        The unit.
    outline : Outline, optional
        Where the operation comes from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``a``, ``b``, and of an ``fma`` ``c``: codes of the operands.
    o : ``Out(stream.Signature(...))``
        ``result``: code of the result.
    """

    def __init__(self, design: Multiplier | Adder | Fma, outline: Outline | None = None) -> None:
        self.design = design
        self.outline = outline or Outline()
        self.plan = ElementwisePlan(design)
        super().__init__(self.plan.signature)

    def elaborate(self, platform):
        m = Module()
        element = self.outline.part(m, "element", "element", lambda: Operation(self.design))

        # Every stage moves, or none does. Only `valid` needs a reset value.
        step = Signal()
        m.d.comb += [step.eq(~self.o.valid | self.o.ready), self.i.ready.eq(step)]
        if self.plan.cuts:
            m.d.comb += element.step.eq(step)
        for name in self.plan.operands:
            m.d.comb += getattr(element, name).eq(self.i.p[name])
        in_flight = Signal(len(self.plan.cuts))
        with m.If(step):
            m.d.sync += [
                Cat(in_flight, self.o.valid).eq(Cat(self.i.valid, in_flight)),
                self.o.p.result.eq(element.result),
            ]
        return m
