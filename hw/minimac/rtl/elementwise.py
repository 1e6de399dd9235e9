"""Units that do one operation on each transfer: multiply, add, multiply and add, convert."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from minimac.rtl.conversion import Conversion, conversion_to
from minimac.rtl.delay import Delays
from minimac.rtl.operand import unpack
from minimac.rtl.operations import Listed, SumOfCodes, operation_for
from minimac.rtl.outline import Outline
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.rounded import RoundedAccumulator
from minimac.rtl.streamed import Element, StreamedPlan, StreamedUnit
from minimac.spec import Adder, Convert, Fma, Minifloat, Multiplier

__all__ = ["ElementwisePlan", "ElementwiseUnit", "Operation"]

Elementwise = Multiplier | Adder | Fma | Convert


class ElementwisePlan(StreamedPlan):
    """Interface and timing of an :class:`ElementwiseUnit`, found without building it."""

    transfer = "one operation"

    def __init__(self, design: Elementwise) -> None:
        self.accumulator = operation_for(design)
        if isinstance(design, Convert):
            self.operands = design.operands
            lfsrs = [design.lfsr] if design.lfsr else []
            self.random_bits = design.random_bits
        else:
            third = {"c": design.out} if isinstance(design, Fma) else {}
            self.operands = {"a": design.a, "b": design.b} | third
            lfsrs, self.random_bits = [], None
        self.conversion = self._conversion(design)
        delays = Delays(design.technology)
        sections = self.accumulator.sections(delays)
        if self.conversion:
            sections += self.conversion.sections(delays)
        inputs = {name: fmt.width for name, fmt in self.operands.items()}
        super().__init__(
            design,
            sections,
            f"for unit {design.unit} of {design.summary()}",
            inputs=inputs | ({"random": self.random_bits} if self.random_bits else {}),
            outputs={"result": design.out.width},
            lfsrs=lfsrs,
        )

    def _conversion(self, design: Elementwise) -> Conversion | None:
        """Return what rounds the state, unless that is a code of the result already."""
        if isinstance(self.accumulator, (RoundedAccumulator, SumOfCodes, Listed)):
            return None
        return conversion_to(design.out, design, self.accumulator, random_bits=self.random_bits)

    def build(self, m: Module, *, step: Value, operands: dict[str, Any]) -> dict[str, Value]:
        """Add the hardware to a module; return the code of the result."""
        return {"result": self._build(m, step, operands)}

    def _build(self, m: Module, step: Value, operands: dict[str, Value]) -> Value:
        pipe = Pipeline(self.cuts, step)
        result = self.accumulator.multiply(m, pipe, operands["a"], operands.get("b"))
        if isinstance(self.accumulator, RoundedAccumulator):
            return self._add_to(m, pipe, self.accumulator, operands["c"], result)
        if self.conversion is None:
            return result.code
        random = operands.get("random")
        if random is not None:
            for section in self.accumulator.sections(Delays(self.design.technology)):
                random = pipe.cut(m, section.place, random)
        return self.conversion.build(m, pipe, result, random)

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


class Operation(Element):
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
        super().__init__(ElementwisePlan(design))


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
