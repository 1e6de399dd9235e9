"""Weight-stationary systolic array: weights stay, activations move east, sums south."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.arrays.edge import delayed, enter
from minimac.rtl.arrays.encoding import element_arithmetic
from minimac.rtl.arrays.plan import StationaryPlan
from minimac.rtl.arrays.stationary import StationaryArray, Weights
from minimac.rtl.outline import Outline
from minimac.spec import Systolic

__all__ = ["Element", "WeightStationaryArray", "WeightStationaryPlan"]


class Element(wiring.Component):
    """Processing element: holds a weight, passes activations east and partial sums south.

    Parameters
    ----------
    plan : WeightStationaryPlan
        The array.

    Members
    -------
    step : ``In(1)``
        Whether data moves in this cycle.
    load : ``In(1)``
        Whether weights do, from ``weight`` to ``weight_south``.
    swap, swap_east : ``In(1)``, ``Out(1)``
        Of a double buffer: whether the weight that was loaded comes into use after this cycle, and
        the same a cycle later.
    activation, activation_east
        Code of an activation, or its digits, and the same a cycle later.
    weight, weight_south
        Code of the weight from the north; the weight that was loaded.
    north, south
        State of a chain before and after this element: ``lead`` cycles after the activation,
        and ``row_latency`` cycles after ``north``; see :class:`WeightStationaryPlan`.
    """

    def __init__(self, plan: "WeightStationaryPlan") -> None:
        self.plan = plan
        design, layout = plan.design, plan.accumulator.state_layout
        double = {"swap": In(1), "swap_east": Out(1)} if design.array.double_buffer else {}
        super().__init__(
            {
                "step": In(1),
                "load": In(1),
                **double,
                "activation": In(plan.activation_bits),
                "activation_east": Out(plan.activation_bits),
                "weight": In(design.b.width),
                "weight_south": Out(design.b.width),
                "north": In(layout),
                "south": Out(layout),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Data without reset: `valid` travels at the edge of the array.
        activation = Signal.like(self.activation, reset_less=True)
        weight = Signal.like(self.weight, reset_less=True)
        state = Signal(self.north.shape(), reset_less=True)
        loaded = weight
        result = self._result(m, weight)  # not in the choice below, which would mask all of it
        with m.If(self.step):
            m.d.sync += [activation.eq(self.activation), state.eq(result)]
        if self.plan.design.array.double_buffer:
            loaded = Signal.like(self.weight, reset_less=True)
            swap = Signal()
            with m.If(self.step):
                m.d.sync += swap.eq(self.swap)
                with m.If(self.swap):
                    m.d.sync += weight.eq(loaded)
            m.d.comb += self.swap_east.eq(swap)
        with m.If(self.load):
            m.d.sync += loaded.eq(self.weight)
        m.d.comb += [
            self.activation_east.eq(activation),
            self.weight_south.eq(loaded),
            self.south.eq(state),
        ]
        return m

    def _result(self, m: Module, weight: Value) -> data.View:
        return self.plan.arithmetic.build(
            m, step=self.step, a=self.activation, b=weight, state=self.north
        )


class WeightStationaryPlan(StationaryPlan):
    """Interface and timing of a :class:`WeightStationaryArray`.

    Attributes
    ----------
    lead : int
        Cycles by which an activation runs ahead of the chain that it belongs to.
    row_latency : int
        Cycles that a chain takes from one row to the next.
    """

    def __init__(self, design: Systolic) -> None:
        self.arithmetic = element_arithmetic(design)
        super().__init__(design, self.arithmetic.cuts, self.arithmetic.slowest_ps)
        self.lead = self.arithmetic.lead
        self.row_latency = self.arithmetic.latency + 1
        self.latency = (
            self.edge
            + self.lead
            + self.rows * self.row_latency
            + self.columns
            - 1
            + self.foot_cycles
        )
        skew = (self.rows - 1) * (self.row_latency - 1)
        self.load_delay = self.edge + self.columns - 1 + skew
        self.in_use = self.load_delay + self.rows - 1

    def create(self, outline: Outline | None = None) -> "WeightStationaryArray":
        """Create the hardware."""
        return WeightStationaryArray(self, outline)


class WeightStationaryArray(StationaryArray):
    """Matrix product with the weights held in the array: ``rows`` by ``columns`` elements."""

    plan: WeightStationaryPlan

    def _chains(self, m: Module, step: Value, weights: Weights) -> Sequence[data.View]:
        plan, outline = self.plan, self.outline
        rows, columns = plan.rows, plan.columns
        elements = [
            [
                outline.part(m, "element", f"element_{r}_{c}", lambda: Element(plan))
                for c in range(columns)
            ]
            for r in range(rows)
        ]
        swap = weights.swap
        if swap is not None:
            swap = delayed(m, step, swap, plan.edge, "swap_edge", reset_less=False)
        for r, row in enumerate(elements):
            if swap is not None and r:
                swap = delayed(m, step, swap, plan.row_latency, f"swap_{r}", reset_less=False)
            for c, element in enumerate(row):
                m.d.comb += [element.step.eq(step), element.load.eq(weights.load[r])]
                if swap is not None:
                    m.d.comb += element.swap.eq(row[c - 1].swap_east if c else swap)
                if c:
                    m.d.comb += element.activation.eq(row[c - 1].activation_east)
                else:
                    # Activations meet the chains, which take `row_latency` cycles a row.
                    skewed = delayed(
                        m, step, self.i.p.activations[r], r * plan.row_latency, f"west_{r}"
                    )
                    m.d.comb += element.activation.eq(enter(m, outline, plan, step, r, skewed))
                if r:
                    m.d.comb += [
                        element.weight.eq(elements[r - 1][c].weight_south),
                        element.north.eq(elements[r - 1][c].south),
                    ]
                else:
                    start = Signal(element.north.shape(), name=f"start_{c}")
                    m.d.comb += [
                        start.eq(Mux(self.i.p.first, 0, self.i.p.partial[c])),
                        element.weight.eq(self.w.p.weights[c]),
                        element.north.eq(
                            delayed(m, step, start, plan.edge + plan.lead + c, f"north_{c}")
                        ),
                    ]
        # The columns come out one after the other; they leave together.
        return [
            delayed(m, step, elements[-1][c].south, columns - 1 - c, f"south_{c}")
            for c in range(columns)
        ]
