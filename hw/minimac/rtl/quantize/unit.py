"""Quantisers of blocks as circuits: the largest magnitude, a scale, elements."""

import bisect
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from minimac.rtl.operand import unpack
from minimac.rtl.outline import Outline
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.probing import probing
from minimac.rtl.quantize.path import Path
from minimac.rtl.quantize.powers import shift_elements
from minimac.rtl.quantize.quotients import divide_elements
from minimac.rtl.quantize.task import Task
from minimac.rtl.streamed import Element, StreamedPlan, StreamedUnit
from minimac.spec import ExponentOnly, FixedPoint, Minifloat, Quantize

__all__ = ["QuantizePlan", "QuantizeUnit", "Quantizer"]


class QuantizePlan(StreamedPlan):
    """Interface and timing of a :class:`QuantizeUnit`, found without building it."""

    transfer = "one block"

    def __init__(self, design: Quantize) -> None:
        self.task = task = Task(design)
        inputs: dict[str, Any] = {"a": data.ArrayLayout(design.a.width, task.size)}
        if task.block.tensor_scale is not None:
            inputs["tensor"] = task.block.tensor_scale.width
        if design.random_bits:
            inputs["random"] = data.ArrayLayout(design.random_bits, task.size)
        with probing() as m:
            path = Path(design, m, Pipeline((), Const(1)))
            self._build(path, {name: Signal(shape) for name, shape in inputs.items()})
        super().__init__(
            design,
            path.sections,
            f"for unit {design.unit} of {design.summary()}",
            inputs=inputs,
            outputs={
                "elements": data.ArrayLayout(task.element.width, task.size),
                "scale": task.scale.width,
            },
            # A register for each element.
            lfsrs=[design.lfsr.lane(n) for n in range(task.size)] if design.lfsr else [],
        )

    def build(self, m: Module, *, step: Value, operands: dict[str, Any]) -> dict[str, Value]:
        """Add the hardware to a module; return the codes of the elements and of their scale."""
        return self._build(Path(self.design, m, Pipeline(self.cuts, step)), operands)

    def _build(self, path: Path, operands: dict[str, Any]) -> dict[str, Value]:
        task = self.task
        codes, random = [*operands["a"]], [*operands.get("random", ())]
        tensor = [operands["tensor"]] if "tensor" in operands else []
        magnitude, special, codes, tensor, random = _find_largest(path, task, codes, tensor, random)
        if task.divides:
            elements, scale, special, zero = divide_elements(
                path, task, codes, tensor, random, magnitude, special
            )
        else:
            elements, scale, special, zero = shift_elements(
                path, task, codes, random, magnitude, special
            )
        code = Signal(task.scale.width, name="scale")
        path.m.d.comb += code.eq(scale)
        with path.m.If(zero):
            path.m.d.comb += code.eq(_code_of_one(task.scale))
        if not isinstance(special, Const):
            with path.m.If(special):
                path.m.d.comb += code.eq(task.scale.nan_code)
        return {"elements": Cat(*elements), "scale": code}

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        task = self.task
        tensor = task.block.tensor_scale.name if task.block.tensor_scale else ""
        return {
            "i": {
                "a": f"codes of {task.a.name}: a block of numbers",
                "tensor": f"code of {tensor}: the scale of the tensor, positive and finite",
                "random": "random bits for each number, all values alike",
            },
            "o": {
                "elements": f"codes of {task.element.name}",
                "scale": f"code of {task.scale.name}: the scale of the block",
            },
        }


def _find_largest(path: Path, task: Task, codes: list[Value], *others: Any) -> list[Any]:
    """Return the largest magnitude, whether anything is NaN or infinite, codes, and others."""
    m, a, delays = path.m, task.a, path.delays
    special: Value = Const(0)
    if a.has_nan or a.has_infinities:
        unpacked = [unpack(a, code) for code in codes]
        special = Cat(*(x.nan | x.infinity for x in unpacked)).any()
    found = [task.magnitude(code) for code in codes]
    levels = (len(found) - 1).bit_length()
    each = delays.adder(task.magnitude_bits) + delays.gates(1)
    delay = delays.gates(1 if isinstance(a, Minifloat) else 0)
    if isinstance(a, FixedPoint):
        delay += delays.incrementer(a.width)
    passed: list[Any] = [special, codes, *others]
    for level in range(levels):
        larger = []
        for x, y in zip(found[::2], found[1::2], strict=False):
            best = Signal(task.magnitude_bits, name=f"largest_{level}")
            m.d.comb += best.eq(Mux(x < y, y, x))
            larger.append(best)
        found = larger + found[len(larger) * 2 :]
        delay += each
        if level + 1 == levels // 2:
            found, *passed = path.end("half", delay, found, *passed)
            delay = 0.0
    return path.end("largest", delay, found[0], *passed)


def _code_of_one(scale: Any) -> int:
    """Return the code of the positive value nearest to 1, of two the even one."""
    if isinstance(scale, ExponentOnly):
        return int(-scale.min_exp)
    codes = range(1 << scale.man_bits if scale.ftz else 1, scale.max_code + 1)
    if scale.lsb_exp > 0:
        return codes[0]
    one = 1 << -scale.lsb_exp
    at = bisect.bisect_left(codes, one, key=scale.lsbs)
    near = codes[max(at - 1, 0) : at + 1]
    nearest: int = min(near, key=lambda code: (abs(scale.lsbs(code) - one), code % 2))
    return nearest


class Quantizer(Element):
    """A quantiser of one block: combinational, or a pipeline; for use in somebody's datapath.

    Parameters
    ----------
    design : Quantize
        What is computed, and ``pipeline``: the number of register stages inside.

    Members
    -------
    step : ``In(1)``
        Whether the registers move in this cycle; only if there are any.
    a : ``In(ArrayLayout(design.a.width, size))``
        Codes of the numbers.
    tensor : ``In(width)``
        Code of the tensor's scale, if there is one.
    random : ``In(ArrayLayout(design.random_bits, size))``
        Random bits; only with a stochastic ``design.out_round``.
    elements : ``Out(ArrayLayout(width, size))``
        Codes of the elements.
    scale : ``Out(width)``
        Code of their scale.
    """

    def __init__(self, design: Quantize) -> None:
        super().__init__(QuantizePlan(design))


class QuantizeUnit(StreamedUnit):
    """A quantiser of a stream of blocks.

    One transfer is accepted per cycle. While ``o`` is stalled everything stands still.

    Parameters
    ----------
    design : Quantize
        The unit.
    outline : Outline, optional
        Where the quantiser comes from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``a``: codes of a block; perhaps ``tensor`` and ``random``.
    o : ``Out(stream.Signature(...))``
        ``elements`` and ``scale``.
    """

    def __init__(self, design: Quantize, outline: Outline | None = None) -> None:
        super().__init__(QuantizePlan(design), outline)
