"""Output-stationary systolic array: sums stay, activations move east, weights south."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.arrays.edge import collect, delayed, enter
from minimac.rtl.arrays.encoding import element_arithmetic
from minimac.rtl.arrays.plan import ArrayPlan
from minimac.rtl.outline import Outline
from minimac.spec import Systolic

__all__ = ["Element", "OutputStationaryArray", "OutputStationaryPlan"]

_MOVES = Const(1)  # Products never stop; what is not valid is not added.


class Element(wiring.Component):
    """Processing element: keeps a chain, passes activations east and weights south.

    Parameters
    ----------
    plan : OutputStationaryPlan
        The array.

    Members
    -------
    activation, activation_east
        Code of an activation, or its digits, and the same a cycle later.
    weight, weight_south
        Code of a weight, and the same a cycle later.
    add, first, last : ``In(1)``
        Of the product of the operands ``lead`` cycles before: whether there is one, and whether it
        begins or ends the chain.
    add_east, first_east, last_east : ``Out(1)``
        The same a cycle later.
    leave : ``In(1)``
        Whether chains that have ended move, from ``north`` to ``south``.
    north, south
        State of the chain that ended to the north; of the one that ended here.
    """

    def __init__(self, plan: "OutputStationaryPlan") -> None:
        self.plan = plan
        design, layout = plan.design, plan.accumulator.state_layout
        super().__init__(
            {
                "activation": In(plan.activation_bits),
                "activation_east": Out(plan.activation_bits),
                "weight": In(design.b.width),
                "weight_south": Out(design.b.width),
                **{name: In(1) for name in ("add", "first", "last")},
                **{f"{name}_east": Out(1) for name in ("add", "first", "last")},
                "leave": In(1),
                "north": In(layout),
                "south": Out(layout),
            }
        )

    def elaborate(self, platform):
        m = Module()
        activation = Signal.like(self.activation, reset_less=True)
        weight = Signal.like(self.weight, reset_less=True)
        chain = Signal(self.north.shape(), reset_less=True)
        ended = Signal(self.north.shape(), reset_less=True)
        start = Signal(self.north.shape())
        m.d.comb += start.eq(Mux(self.first, 0, chain))
        result = self.plan.arithmetic.build(
            m, step=_MOVES, a=self.activation, b=self.weight, state=start
        )
        m.d.sync += [activation.eq(self.activation), weight.eq(self.weight)]
        for name in ("add", "first", "last"):
            register = Signal(name=name)
            m.d.sync += register.eq(getattr(self, name))
            m.d.comb += getattr(self, f"{name}_east").eq(register)
        with m.If(self.add):
            m.d.sync += chain.eq(result)
        with m.If(self.last):
            m.d.sync += ended.eq(result)
        with m.Elif(self.leave):
            m.d.sync += ended.eq(self.north)
        m.d.comb += [
            self.activation_east.eq(activation),
            self.weight_south.eq(weight),
            self.south.eq(ended),
        ]
        return m


class OutputStationaryPlan(ArrayPlan):
    """Interface and timing of an :class:`OutputStationaryArray`.

    Attributes
    ----------
    lead : int
        Cycles from the operands to the chain that they belong to.
    row_cycles : int
        Cycles from a row of sums to the next.
    interval : int
        Cycles from one transfer with ``last`` to the next, at least.
    """

    def __init__(self, design: Systolic) -> None:
        self.arithmetic = element_arithmetic(design, loops=True)
        super().__init__(design, self.arithmetic.cuts, self.arithmetic.slowest_ps)
        self.lead = self.arithmetic.lead
        through = self.edge + self.lead + self.rows + self.columns - 1
        self.latency = through + self.foot_cycles
        self.row_cycles = self.foot_cycles if self.shares_foot else 1
        self.interval = through + self.rows * self.row_cycles

    @property
    def signature(self) -> wiring.Signature:
        """Members of the array."""
        design = self.design
        operands = {
            "activations": data.ArrayLayout(design.a.width, self.rows),
            "weights": data.ArrayLayout(design.b.width, self.columns),
            "last": 1,
        }
        result = {"sums": data.ArrayLayout(design.out.width, self.columns), "last": 1}
        return wiring.Signature(
            {
                "i": In(stream.Signature(data.StructLayout(operands))),
                "o": Out(stream.Signature(data.StructLayout(result))),
            }
        )

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        design = self.design
        return {
            "i": {
                "activations": f"codes of {design.a.name}: term k of all rows, row 0 lowest",
                "weights": f"codes of {design.b.name}: term k of all columns, column 0 lowest",
                "last": "1: these products end the chains, and the next ones begin others",
            },
            "o": {
                "sums": f"codes of {design.out.name}: a row of sums, rounded once, column 0 lowest",
                "last": "1: the last row",
            },
        }

    @property
    def protocol(self) -> list[str]:
        """How the ports are used."""
        rows, terms = self.rows, self.design.accumulate.max_terms
        return [
            "A product of matrices takes a transfer on i for each of its terms, one a cycle: term",
            f"k is column k of the left matrix and row k of the right one. Chains of up to {terms}",
            "terms need one pass; the transfer with last ends it.",
            f"Then {rows} rows of sums come on o, row 0 first, while the next product begins.",
            f"A transfer with last waits until {self.interval} cycles have passed since the one",
            f"before, so that products of {self.interval} or more terms follow each other at once.",
            *(
                [f"The columns take the foot in turn: a row takes {self.row_cycles} cycles."]
                if self.shares_foot
                else []
            ),
            "latency_cycles: from the edge that takes a transfer with last to the one after which",
            "o.valid is set for row 0. While o is stalled, rows wait in the array, and then the",
            "next transfer with last.",
        ]

    def create(self, outline: Outline | None = None) -> "OutputStationaryArray":
        """Create the hardware."""
        return OutputStationaryArray(self, outline)


class OutputStationaryArray(wiring.Component):
    """Matrix product with the sums held in the array: ``rows`` by ``columns`` elements.

    Each transfer on ``i`` is one term of all sums: a column of the left matrix and a row of the
    right one. A transfer with ``last`` ends the chains: ``rows`` transfers on ``o`` return the
    product row by row, and the next transfer on ``i`` begins another.

    The elements count rows from the south, where row 0 leaves first.

    Throughput: a term per cycle; a product per ``plan.interval`` cycles at most. Chains that have
    ended wait beside those under way, which only stop at their end.

    Parameters
    ----------
    plan : OutputStationaryPlan
        The array.
    outline : Outline, optional
        Where elements, feet and encoders come from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``activations``: codes, one a row. ``weights``: codes, one a column. ``last``: as above.
    o : ``Out(stream.Signature(...))``
        ``sums``: codes of a row of chains, rounded once. ``last``: whether it is the last row.
    """

    def __init__(self, plan: OutputStationaryPlan, outline: Outline | None = None) -> None:
        self.plan = plan
        self.outline = outline or Outline()
        super().__init__(plan.signature)

    def elaborate(self, platform):
        m = Module()
        plan = self.plan
        # From the transfer that ends the chains until their last row has left the elements.
        busy, accepted, ends, fresh = Signal(), Signal(), Signal(), Signal(init=1)
        m.d.comb += [
            self.i.ready.eq(~(busy & self.i.p.last)),
            accepted.eq(self.i.valid & self.i.ready),
            ends.eq(accepted & self.i.p.last),
        ]
        with m.If(accepted):
            m.d.sync += fresh.eq(self.i.p.last)
        with m.If(ends):
            m.d.sync += busy.eq(1)

        leave = Signal()
        south = self._elements(m, leave, {"add": accepted, "first": fresh, "last": ends})
        through = plan.edge + plan.lead + plan.rows + plan.columns - 2
        ended = delayed(m, _MOVES, ends, through, "ended", reset_less=False)
        self._leave(m, leave, busy, ended, south)
        return m

    def _elements(self, m: Module, leave: Value, tokens: dict[str, Value]) -> list[data.View]:
        """Add the elements; return the states at their south, one a column."""
        plan, outline, rows = self.plan, self.outline, self.plan.rows
        elements = [
            [
                outline.part(m, "element", f"element_{r}_{c}", lambda: Element(plan))
                for c in range(plan.columns)
            ]
            for r in range(rows)
        ]
        for name, token in tokens.items():
            tokens[name] = delayed(
                m, _MOVES, token, plan.edge + plan.lead, f"{name}_edge", reset_less=False
            )
        for r, row in enumerate(elements):
            for name, token in tokens.items():
                if r:
                    tokens[name] = token = delayed(
                        m, _MOVES, token, 1, f"{name}_{r}", reset_less=False
                    )
                for c, element in enumerate(row):
                    value = getattr(row[c - 1], f"{name}_east") if c else token
                    m.d.comb += getattr(element, name).eq(value)
            for c, element in enumerate(row):
                m.d.comb += element.leave.eq(leave)
                if c:
                    m.d.comb += element.activation.eq(row[c - 1].activation_east)
                else:
                    code = self.i.p.activations[rows - 1 - r]
                    skewed = delayed(m, _MOVES, code, r, f"west_{r}")
                    m.d.comb += element.activation.eq(enter(m, outline, plan, _MOVES, r, skewed))
                if r:
                    north = elements[r - 1][c]
                    m.d.comb += [
                        element.weight.eq(north.weight_south),
                        element.north.eq(north.south),
                    ]
                else:
                    weight = delayed(m, _MOVES, self.i.p.weights[c], plan.edge + c, f"weight_{c}")
                    m.d.comb += element.weight.eq(weight)
        return [element.south for element in elements[-1]]

    def _leave(
        self, m: Module, leave: Value, busy: Value, ended: Value, south: list[data.View]
    ) -> None:
        """Offer the rows on ``o``, one after the other."""
        plan = self.plan
        leaving = Signal()  # whether all chains have ended, and the row at the south waits
        row = Signal(range(plan.rows))
        final = row == plan.rows - 1
        taken = collect(
            m,
            self.outline,
            plan,
            self.o,
            chains=south,
            arrived=leaving,
            last=Const(1),
            fields={"last": final},
        )
        m.d.comb += leave.eq(taken)
        with m.If(ended):
            m.d.sync += leaving.eq(1)
        with m.If(taken):
            m.d.sync += row.eq(row + 1)
            with m.If(final):
                m.d.sync += [row.eq(0), leaving.eq(0), busy.eq(0)]
