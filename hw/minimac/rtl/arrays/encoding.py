"""Recoding of activations at the edge of an array, so that elements only select and add.

A multiplier begins with a recoder of one of its operands into few digits, each of which selects a
multiple of the other one. In an array all elements of a row multiply by the same activation: one
recoder at the edge serves them all, and digits travel in place of the code.
"""

from typing import Any

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.encoding import Booth, Encoding, Ent, partial_products
from minimac.rtl.heap import BitHeap
from minimac.rtl.multiplyadd import MultiplyAddPlan
from minimac.rtl.parts import mark
from minimac.rtl.pipeline import Pipeline
from minimac.spec import FixedPoint, Systolic

__all__ = ["Encoder", "element_arithmetic", "encoding_for"]

_ENCODINGS: dict[str, type[Encoding]] = {"booth": Booth, "ent": Ent}


def encoding_for(design: Systolic) -> Encoding | None:
    """Return how an array recodes activations; None if it does not."""
    kind = _ENCODINGS.get(design.array.encode)
    if kind is None:
        return None
    assert isinstance(design.a, FixedPoint)
    return kind(design.a)


class Encoder(wiring.Component):
    """Recoder of a row, at the edge.

    Parameters
    ----------
    encoding : Encoding
        What to recode to.

    Members
    -------
    code : ``In(encoding.fmt.width)``
        Code of an activation.
    digits : ``Out(encoding.width)``
        Its digits.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        super().__init__({"code": In(encoding.fmt.width), "digits": Out(encoding.width)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.digits.eq(self.encoding.encode(m, self.code))
        return m


class _EncodedMultiplyAddPlan(MultiplyAddPlan):
    """A multiply-add whose first operand comes as digits."""

    def __init__(self, design: Systolic, encoding: Encoding, *, loops: bool) -> None:
        super().__init__(design, loops=loops)
        self._design = design
        self._encoding = encoding

    def build(self, m: Module, *, step: Value, state: data.View, **operands: Any) -> data.View:
        """Add the hardware to a module; return the chain after this step."""
        a, b = operands["a"], operands["b"]
        total = Signal(state.shape(), name="total")
        pipe = Pipeline(self.cuts, step)
        if "multiply" not in self.cuts:
            heap = BitHeap(len(state.sum))
            partial_products(m, heap, self._encoding.digits(a), self._design.b, b)
            heap.add(state.sum)
            m.d.comb += total.sum.eq(heap.total(m))
            mark(m, "add", total)
            return total
        product = Signal(data.StructLayout({"value": signed(self._design.bits_for(1))}))
        heap = BitHeap(len(product.value))
        partial_products(m, heap, self._encoding.digits(a), self._design.b, b)
        m.d.comb += product.value.eq(heap.total(m))
        held = pipe.cut(m, "multiply", product)
        m.d.comb += total.sum.eq(state.sum + held.value)
        mark(m, "add", total)
        return total


def element_arithmetic(design: Systolic, *, loops: bool = False) -> MultiplyAddPlan:
    """Return the multiply-add of an element, whose first operand comes as it travels there."""
    encoding = encoding_for(design)
    if encoding is None:
        return MultiplyAddPlan(design, loops=loops)
    return _EncodedMultiplyAddPlan(design, encoding, loops=loops)
