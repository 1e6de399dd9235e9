"""Units that do one operation on each transfer: multiply, add, multiply and add, convert."""

from typing import Any

from amaranth.hdl import Cat, Const, Fragment, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.delay import Delays, Section, place_registers
from minimac.rtl.lfsr import shift_register
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
    Convert,
    FixedPoint,
    Fma,
    Lfsr,
    Minifloat,
    Multiplier,
    SpecError,
)

__all__ = ["ElementwisePlan", "ElementwiseUnit", "Operation", "StreamedUnit"]

Elementwise = Multiplier | Adder | Fma | Convert


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

    def __init__(self, design: Elementwise) -> None:
        self.design = design
        self.random_bits = design.random_bits if isinstance(design, Convert) else None
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
        if isinstance(design, Convert):
            self.operands = design.operands
        else:
            third = {"c": design.out} if isinstance(design, Fma) else {}
            self.operands = {"a": design.a, "b": design.b} | third
        payload = {name: fmt.width for name, fmt in self.operands.items()}
        if self.random_bits and not self.lfsrs:
            payload["random"] = self.random_bits
        self.signature = wiring.Signature(
            {
                "i": In(stream.Signature(data.StructLayout(payload))),
                "o": Out(stream.Signature(data.StructLayout({"result": design.out.width}))),
            }
        )

    @property
    def lfsrs(self) -> list[Lfsr]:
        """Where random bits come from, if not from a port."""
        lfsr = self.design.lfsr if isinstance(self.design, Convert) else None
        return [lfsr] if lfsr else []

    @property
    def inputs(self) -> dict[str, int]:
        """Widths of what an operation takes, random bits among them wherever they come from."""
        random = {"random": self.random_bits} if self.random_bits else {}
        return {name: fmt.width for name, fmt in self.operands.items()} | random

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
            return ToMinifloat(
                design, out, self.accumulator, keeps_zero_sign=True, random_bits=self.random_bits
            )
        assert isinstance(out, FixedPoint)
        return ToFixed(design, out, self.accumulator, random_bits=self.random_bits)

    def build(self, m: Module, *, step: Value, operands: dict[str, Value]) -> Value:
        """Add the hardware to a module; return the code of the result."""
        pipe = Pipeline(self.cuts, step)
        result = self.accumulator.multiply(m, pipe, operands["a"], operands.get("b"))
        if isinstance(self.accumulator, RoundedAccumulator):
            return self._add_to(m, pipe, self.accumulator, operands["c"], result)
        conversion = self._conversion()
        if conversion is None:
            return result.code
        random = operands.get("random")
        if random is not None:
            for section in self.accumulator.sections(Delays(self.design.technology)):
                random = pipe.cut(m, section.place, random)
        return conversion.build(m, pipe, result, random)

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
        words[Convert] = " * ".join(self.operands)
        random = {"random": "random bits, all values alike"}
        return {
            "i": {name: f"code of {fmt.name}" for name, fmt in self.operands.items()} | random,
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

    def create_element(self) -> "Operation":
        """Create what is between the streams."""
        return Operation(self.design)


class Operation(wiring.Component):
    """A product, a sum, a fused multiply-add or a number, rounded once: logic, or a pipeline.

    For use in somebody's datapath; :class:`ElementwiseUnit` is the same between streams.

    Parameters
    ----------
    design : Multiplier, Adder, Fma or Convert
        What is computed, and ``pipeline``: the number of register stages inside.

    Members
    -------
    step : ``In(1)``
        Whether the registers move in this cycle; only if there are any.
    a, b, c : ``In(width)``
        Codes of the operands; ``c`` only of an ``fma``, ``b`` perhaps not of a ``convert``.
    random : ``In(design.random_bits)``
        Random bits; only with a stochastic ``design.out_round``.
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

    def __init__(self, design: Elementwise) -> None:
        self.plan = ElementwisePlan(design)
        members = {name: In(width) for name, width in self.plan.inputs.items()}
        members |= {"result": Out(design.out.width)}
        super().__init__(members | ({} if self.COMBINATIONAL else {"step": In(1)}))

    @property
    def COMBINATIONAL(self) -> bool:
        """Whether there are no registers inside."""
        return not self.plan.cuts

    def elaborate(self, platform):
        m = Module()
        step = Const(1) if self.COMBINATIONAL else self.step
        operands = {name: getattr(self, name) for name in self.plan.inputs}
        m.d.comb += self.result.eq(self.plan.build(m, step=step, operands=operands))
        return m


class StreamedUnit(wiring.Component):
    """A datapath between streams, whose stages all move, or none does.

    Parameters
    ----------
    planned : ElementwisePlan or the like
        Its ``create_element`` makes the datapath: ports named like the fields of ``i`` and of
        ``o``; ``step`` if there are ``cuts``; ``random`` from ``lfsrs`` if there are any.
    outline : Outline, optional
        Where the datapath comes from.
    """

    def __init__(self, planned: Any, outline: Outline | None = None) -> None:
        self.outline = outline or Outline()
        self.plan = planned
        super().__init__(planned.signature)

    def elaborate(self, platform):
        m = Module()
        element = self.outline.part(m, "element", "element", self.plan.create_element)

        # Every stage moves, or none does. Only `valid` needs a reset value.
        step = Signal()
        m.d.comb += [step.eq(~self.o.valid | self.o.ready), self.i.ready.eq(step)]
        if self.plan.cuts:
            m.d.comb += element.step.eq(step)
        for name, _ in self.i.p.shape():
            m.d.comb += Value.cast(getattr(element, name)).eq(Value.cast(self.i.p[name]))
        if self.plan.lfsrs:
            taken = step & self.i.valid
            random = [shift_register(m, lfsr, taken) for lfsr in self.plan.lfsrs]
            m.d.comb += Value.cast(element.random).eq(Cat(*random))
        in_flight = Signal(len(self.plan.cuts))
        with m.If(step):
            m.d.sync += Cat(in_flight, self.o.valid).eq(Cat(self.i.valid, in_flight))
            for name, _ in self.o.p.shape():
                result = Value.cast(getattr(element, name))
                m.d.sync += Value.cast(self.o.p[name]).eq(result)
        return m


class ElementwiseUnit(StreamedUnit):
    """An operation on each transfer of a stream.

    One transfer is accepted per cycle. While ``o`` is stalled everything stands still.

    Parameters
    ----------
    design : Multiplier, Adder, Fma or Convert
        The unit.
    outline : Outline, optional
        Where the operation comes from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``a``, ``b``, and of an ``fma`` ``c``: codes of the operands; of a ``convert`` perhaps no
        ``b``, and perhaps ``random``.
    o : ``Out(stream.Signature(...))``
        ``result``: code of the result.
    """

    def __init__(self, design: Elementwise, outline: Outline | None = None) -> None:
        super().__init__(ElementwisePlan(design), outline)
