"""Broadcast array: weights stay, a vector reaches all columns at once, a tree adds products up."""

from collections.abc import Sequence
from math import ceil, log2

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.arrays.edge import delayed, enter
from minimac.rtl.arrays.plan import StationaryPlan
from minimac.rtl.arrays.stationary import StationaryArray, Weights
from minimac.rtl.delay import Delays, Section, choose_cuts, stages_ps
from minimac.rtl.encoding import partial_products
from minimac.rtl.heap import BitHeap
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.outline import Outline
from minimac.rtl.parts import mark
from minimac.rtl.pipeline import Pipeline
from minimac.spec import Systolic

__all__ = ["BroadcastArray", "BroadcastPlan", "Column"]


class Column(wiring.Component):
    """Weights of a column, their products with a vector, and the sum of these and of a chain.

    It is an array's ``element``: the part that occurs as often as there are columns.

    Parameters
    ----------
    plan : BroadcastPlan
        The array.

    Members
    -------
    step : ``In(1)``
        Whether data moves in this cycle.
    load : ``In(rows)``
        Whether a row takes the weight of the row to its north, row 0 that of the port.
    swap : ``In(1)``
        Of a double buffer: whether the weights that were loaded come into use after this cycle.
    activations
        Codes of a vector, or their digits.
    weight
        Code of the weight from the north.
    north, south
        State of a chain before and after: ``lead`` cycles after the vector, and a cycle later.
    """

    def __init__(self, plan: "BroadcastPlan") -> None:
        self.plan = plan
        design, layout = plan.design, plan.accumulator.state_layout
        super().__init__(
            {
                "step": In(1),
                "load": In(plan.rows),
                **({"swap": In(1)} if design.array.double_buffer else {}),
                "activations": In(data.ArrayLayout(plan.activation_bits, plan.rows)),
                "weight": In(design.b.width),
                "north": In(layout),
                "south": Out(layout),
            }
        )

    def elaborate(self, platform):
        m = Module()
        weights, arriving = [], self.weight
        for r in range(self.plan.rows):
            loaded = Signal.like(self.weight, name=f"loaded_{r}", reset_less=True)
            with m.If(self.load[r]):
                m.d.sync += loaded.eq(arriving)
            arriving = weight = loaded
            if self.plan.design.array.double_buffer:
                weight = Signal.like(self.weight, name=f"weight_{r}", reset_less=True)
                with m.If(self.step & self.swap):
                    m.d.sync += weight.eq(loaded)
            weights.append(weight)
        state = Signal(self.north.shape(), reset_less=True)
        result = self._result(m, weights)
        mark(m, "add", result)
        with m.If(self.step):
            m.d.sync += state.eq(result)
        m.d.comb += self.south.eq(state)
        return m

    def _result(self, m: Module, weights: Sequence[Value]) -> data.View:
        accumulator, encoding = self.plan.accumulator, self.plan.encoding
        pipe = Pipeline(self.plan.cuts, self.step)
        total = Signal(self.north.shape(), name="total")
        tree = Signal(self.north.shape(), name="tree")
        heap = BitHeap(len(total.sum))
        if encoding is not None:
            for digits, weight in zip(self.activations, weights):
                partial_products(m, heap, encoding.digits(digits), self.plan.design.b, weight)
        else:
            products = [
                accumulator.multiply(m, pipe, a, b) for a, b in zip(self.activations, weights)
            ]
            for product in products:
                heap.add(product.addend)
                for bit in product.carry:  # there may be none
                    heap.add_bit(bit, 0)
            m.d.comb += accumulator.take_special(tree, *products)
        if "tree" not in pipe.cuts:
            heap.add(self.north.sum)
            m.d.comb += [
                total.sum.eq(heap.total(m)),
                *accumulator.take_special(total, tree, self.north),
            ]
            return total
        m.d.comb += tree.sum.eq(heap.total(m))
        held = pipe.cut(m, "tree", tree)
        m.d.comb += [
            total.sum.eq(self.north.sum + held.sum),
            *accumulator.take_special(total, held, self.north),
        ]
        return total


class BroadcastPlan(StationaryPlan):
    """Interface and timing of a :class:`BroadcastArray`.

    Attributes
    ----------
    lead : int
        Cycles by which a vector runs ahead of the chains that it belongs to.
    """

    def __init__(self, design: Systolic) -> None:
        delays = Delays(design.technology)
        *ahead, add = accumulator_for(design).sections(delays)
        levels = delays.gates(4 * ceil(log2(max(design.array.rows, 2))))
        if design.array.encode != "none":
            # Partial products of all rows go down one tree: there is no product to hold.
            levels += sum(section.delay_ps for section in ahead)
            ahead = []
        sections = [*ahead, Section("tree", levels + add.delay_ps, True), add]
        cuts = choose_cuts(design, sections, f"in a broadcast array of {design.summary()}")
        super().__init__(design, cuts, max(stages_ps(sections, cuts, delays.register)))
        self.lead = len(cuts)
        self.latency = self.edge + self.lead + 1 + self.foot_cycles
        self.in_use = self.load_delay = self.edge

    def create(self, outline: Outline | None = None) -> "BroadcastArray":
        """Create the hardware."""
        return BroadcastArray(self, outline)


class BroadcastArray(StationaryArray):
    """Matrix product with the weights held in the array: ``columns`` dot products of ``rows``."""

    plan: BroadcastPlan

    def _chains(self, m: Module, step: Value, weights: Weights) -> Sequence[data.View]:
        plan, outline = self.plan, self.outline
        vector = Cat(
            enter(m, outline, plan, step, r, self.i.p.activations[r]) for r in range(plan.rows)
        )
        columns = [
            outline.part(m, "element", f"element_{c}", lambda: Column(plan))
            for c in range(plan.columns)
        ]
        swap = weights.swap
        if swap is not None:
            swap = delayed(m, step, swap, plan.edge, "swap_edge", reset_less=False)
        for c, column in enumerate(columns):
            start = Signal(column.north.shape(), name=f"start_{c}")
            m.d.comb += [
                start.eq(Mux(self.i.p.first, 0, self.i.p.partial[c])),
                column.step.eq(step),
                column.load.eq(Cat(weights.load)),
                column.activations.as_value().eq(vector),
                column.weight.eq(self.w.p.weights[c]),
                column.north.eq(delayed(m, step, start, plan.edge + plan.lead, f"north_{c}")),
            ]
            if swap is not None:
                m.d.comb += column.swap.eq(swap)
        return [column.south for column in columns]
