"""Weight-stationary systolic array."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.foot import Foot
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.multiplyadd import MultiplyAddPlan
from minimac.rtl.outline import Outline
from minimac.spec import Systolic

__all__ = ["Element", "SystolicArray", "SystolicPlan"]


class Element(wiring.Component):
    """Processing element: holds a weight, passes activations east and partial sums south.

    Parameters
    ----------
    design : Systolic
        The array.

    Members
    -------
    step, load : ``In(1)``
        Whether data moves in this cycle; whether weights do, from ``weight`` to ``weight_south``.
    activation, activation_east
        Code of an activation, and the same a cycle later.
    weight, weight_south
        Code of the weight from the north; the weight that is held.
    north, south
        State of a chain before and after this element: ``lead`` cycles after the activation,
        and ``row_latency`` cycles after ``north``; see :class:`SystolicPlan`.

    """

    def __init__(self, design: Systolic) -> None:
        self.design = design
        layout = accumulator_for(design).state_layout
        super().__init__(
            {
                "step": In(1),
                "load": In(1),
                "activation": In(design.a.width),
                "activation_east": Out(design.a.width),
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
        result = MultiplyAddPlan(self.design).build(
            m, step=self.step, a=self.activation, b=weight, state=self.north
        )
        m.d.comb += [
            self.activation_east.eq(activation),
            self.weight_south.eq(weight),
            self.south.eq(state),
        ]
        with m.If(self.step):
            m.d.sync += [activation.eq(self.activation), state.eq(result)]
        with m.If(self.load):
            m.d.sync += weight.eq(self.weight)
        return m


class SystolicPlan:
    """Interface and timing of a :class:`SystolicArray`, found without building it.

    Attributes
    ----------
    lead : int
        Cycles by which an activation runs ahead of the chain that it belongs to.
    row_latency : int
        Cycles that a chain takes from one row to the next.
    latency : int
        Cycles from a transfer on ``i`` to ``o.valid``, if ``o`` does not stall.
    signature : wiring.Signature
        Members of the array.
    """

    def __init__(self, design: Systolic) -> None:
        self.design = design
        rows, columns = design.array.rows, design.array.columns
        inside = MultiplyAddPlan(design)
        state = inside.accumulator.state_layout
        self.accumulator = inside.accumulator
        self.cuts = inside.cuts
        self.lead = inside.lead
        self.row_latency = inside.latency + 1
        self.latency = self.lead + rows * self.row_latency + columns
        self.signature = wiring.Signature(
            {
                "w": In(
                    stream.Signature(
                        data.StructLayout({"weights": data.ArrayLayout(design.b.width, columns)})
                    )
                ),
                "i": In(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "activations": data.ArrayLayout(design.a.width, rows),
                                "partial": data.ArrayLayout(state, columns),
                                "first": 1,
                                "reload": 1,
                            }
                        )
                    )
                ),
                "o": Out(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "sums": data.ArrayLayout(design.out.width, columns),
                                "partial": data.ArrayLayout(state, columns),
                            }
                        )
                    )
                ),
            }
        )

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        design = self.design
        return {
            "w": {"weights": f"codes of {design.b.name}, column 0 lowest"},
            "i": {
                "activations": f"codes of {design.a.name}, row 0 (term 0 of the pass) lowest",
                "partial": "states of the chains, column 0 lowest, as o gave them for the pass "
                "before; ignored if first",
                "first": "1: the chains start from zero",
                "reload": "1: last vector for these weights",
            },
            "o": {
                "sums": f"codes of {design.out.name}, column 0 lowest: the chains, rounded once",
                "partial": "the chains, unrounded",
            },
        }

    @property
    def protocol(self) -> list[str]:
        """How the ports are used."""
        rows, terms = self.design.array.rows, self.design.accumulate.max_terms
        return [
            f"Load {rows} transfers on w: the weights of row {rows - 1} first, of row 0 last.",
            "Then send vectors on i, one a cycle, all rows at once; results come in order on o.",
            "Set reload with the last vector for these weights. Then w is ready once all vectors",
            "have left the elements, and i once the new weights are loaded.",
            f"Chains longer than {rows} take several passes: send partial as the pass before gave",
            f"it, with first at 0; fill missing rows with zeros. A chain has up to {terms} terms.",
            "latency_cycles: from the edge that takes a vector on i to the one after which",
            "o__valid is set. While o is stalled the array stands still.",
        ]

    def create(self, outline: Outline | None = None) -> "SystolicArray":
        """Create the hardware."""
        return SystolicArray(self.design, outline)


class SystolicArray(wiring.Component):
    """Matrix product with the weights held in the array: ``rows`` by ``columns`` elements.

    Load ``rows`` transfers on ``w``, the LAST row of the weights first: they move down the columns.
    Then each transfer on ``i`` is a vector of ``rows`` activations, and each one on ``o`` the
    vector of ``columns`` sums that belongs to it, in order. A transfer on ``i`` with ``reload`` is
    the last one for these weights: the array takes no further one until new weights are loaded,
    and new weights only once all activations have left the elements.

    A chain longer than ``rows`` takes several passes: where ``first`` is not set, the chains
    go on from ``partial``, as ``o`` returned it for the pass before. ``o.sums`` are to be used on
    the last pass, when the missing rows are filled with zeros.

    Throughput: a transfer per cycle. While ``o`` is stalled the array stands still.

    Parameters
    ----------
    design : Systolic
        The array.
    outline : Outline, optional
        Where elements and feet come from.

    Members
    -------
    w : ``In(stream.Signature(...))``
        ``weights``: codes, one a column.
    i : ``In(stream.Signature(...))``
        ``activations``: codes, one a row. ``partial``: unrounded states, one a column; ignored
        if ``first``. ``first``: the chains start from zero. ``reload``: as above.
    o : ``Out(stream.Signature(...))``
        ``sums``: codes of the chains, rounded once. ``partial``: the chains, unrounded.
    """

    def __init__(self, design: Systolic, outline: Outline | None = None) -> None:
        self.design = design
        self.outline = outline or Outline()
        self.plan = SystolicPlan(design)
        super().__init__(self.plan.signature)

    def elaborate(self, platform):
        m = Module()
        rows, columns = self.design.array.rows, self.design.array.columns
        plan = self.plan
        elements = [
            [
                self.outline.part(m, "element", f"element_{r}_{c}", lambda: Element(self.design))
                for c in range(columns)
            ]
            for r in range(rows)
        ]
        feet = [
            self.outline.part(m, "foot", f"foot_{c}", lambda: Foot(self.design))
            for c in range(columns)
        ]

        step, load = Signal(name="step"), Signal(name="load")
        # One bit for each cycle that a vector is on its way to the output register.
        in_flight = Signal(plan.latency - 1)
        loaded = Signal(range(rows + 1))
        m.d.comb += [
            step.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(step & (loaded == rows)),
            self.w.ready.eq((loaded != rows) & ~in_flight.any()),
            load.eq(self.w.valid & self.w.ready),
        ]
        accepted = Signal()
        m.d.comb += accepted.eq(self.i.valid & self.i.ready)
        with m.If(load):
            m.d.sync += loaded.eq(loaded + 1)
        with m.If(accepted & self.i.p.reload):
            m.d.sync += loaded.eq(0)
        with m.If(step):
            m.d.sync += Cat(in_flight, self.o.valid).eq(Cat(accepted, in_flight))

        def delayed(value, cycles, name):
            for n in range(cycles):
                register = Signal(value.shape(), name=f"{name}_{n}", reset_less=True)
                with m.If(step):
                    m.d.sync += register.eq(value)
                value = register
            return value

        for r, row in enumerate(elements):
            for c, element in enumerate(row):
                m.d.comb += [element.step.eq(step), element.load.eq(load)]
                # Activations meet the chains, which take `latency` cycles a row.
                west = (
                    row[c - 1].activation_east
                    if c
                    else delayed(self.i.p.activations[r], r * plan.row_latency, f"west_{r}")
                )
                m.d.comb += element.activation.eq(west)
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
                        element.north.eq(delayed(start, plan.lead + c, f"north_{c}")),
                    ]

        # The columns come out one after the other; they leave together.
        for c, foot in enumerate(feet):
            south = delayed(elements[-1][c].south, columns - 1 - c, f"south_{c}")
            m.d.comb += foot.state.eq(south)
            with m.If(step):
                m.d.sync += [self.o.p.sums[c].eq(foot.code), self.o.p.partial[c].eq(south)]
        return m
