"""What arrays have in common whose weights stay: how weights and vectors come in."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring

from minimac.rtl.arrays.edge import collect
from minimac.rtl.arrays.plan import StationaryPlan
from minimac.rtl.outline import Outline

__all__ = ["StationaryArray", "Weights"]


@dataclass(frozen=True)
class Weights:
    """Control of the weights in the elements.

    Attributes
    ----------
    load : sequence of Value
        For each row, whether it takes the weights of the row to its north.
    swap : Value or None
        Of a double buffer: whether those loaded come into use behind the vector of this cycle.
    """

    load: Sequence[Value]
    swap: Value | None


class StationaryArray(wiring.Component):
    """Matrix product with the weights held in the array.

    Load ``rows`` transfers on ``w``, the LAST row of the weights first: they move down the columns.
    Then each transfer on ``i`` is a vector of ``rows`` activations, and each one on ``o`` the
    vector of ``columns`` sums that belongs to it, in order. A transfer on ``i`` with ``reload`` is
    the last one for these weights: the array takes no further one until new weights are loaded.
    They are loaded once the vector has left the elements or, with a double buffer, before.

    A chain longer than ``rows`` takes several passes: where ``first`` is not set, the chains
    go on from ``partial``, as ``o`` returned it for the pass before. ``o.sums`` are to be used on
    the last pass, when the missing rows are filled with zeros.

    Throughput: a transfer per cycle. While ``o`` is stalled, the vectors behind it wait.

    Parameters
    ----------
    plan : StationaryPlan
        The array.
    outline : Outline, optional
        Where elements, feet and encoders come from.

    Members
    -------
    w : ``In(stream.Signature(...))``
        ``weights``: codes, one a column.
    i : ``In(stream.Signature(...))``
        ``activations``: codes, one a row. ``partial``: unrounded states, one a column; ignored
        if ``first``. ``first``: the chains start from zero. ``reload``: as above. ``last``, with a
        shared foot: the chains end, and are to be rounded.
    o : ``Out(stream.Signature(...))``
        ``sums``: codes of the chains, rounded once. ``partial``: the chains, unrounded.
    """

    def __init__(self, plan: StationaryPlan, outline: Outline | None = None) -> None:
        self.plan = plan
        self.outline = outline or Outline()
        super().__init__(plan.signature)

    @abstractmethod
    def _chains(self, m: Module, step: Value, weights: Weights) -> Sequence[data.View]:
        """Add the elements; return the chains after the last row, one a column."""

    def elaborate(self, platform):
        m = Module()
        plan = self.plan
        step, accepted = Signal(name="step"), Signal(name="accepted")
        # One bit for each cycle that a vector is on its way to the output register.
        in_flight = Signal(plan.latency - plan.foot_cycles)
        last = Const(1)
        if plan.shares_foot:
            last = Signal(len(in_flight), name="last_in_flight", reset_less=True)
            with m.If(step):
                m.d.sync += last.eq(Cat(self.i.p.last, last))
        with m.If(step):
            m.d.sync += in_flight.eq(Cat(accepted, in_flight))
        m.d.comb += accepted.eq(self.i.valid & self.i.ready)

        weights = self._weights(m, step, accepted, in_flight)
        chains = self._chains(m, step, weights)
        arrived = in_flight[-1]
        partial = Cat(chain.as_value() for chain in chains)
        taken = collect(
            m,
            self.outline,
            plan,
            self.o,
            chains=chains,
            arrived=arrived,
            last=last[-1],
            fields={"partial": partial},
        )
        m.d.comb += step.eq(taken | ~arrived)
        return m

    def _weights(self, m: Module, step: Value, accepted: Value, in_flight: Value) -> Weights:
        """Take weights and vectors in, one after the other or at once."""
        rows, plan = self.plan.rows, self.plan
        # As many ones as rows are loaded. A row moves only from when the first weight reaches it.
        filled = Signal(rows)
        full, load = filled[-1], Signal(name="load")
        reload = accepted & self.i.p.reload
        m.d.comb += load.eq(self.w.valid & self.w.ready)
        with m.If(load):
            m.d.sync += filled.eq(Cat(1, filled))
        loads = [load & reached for reached in Cat(1, filled[:-1])]

        if not plan.design.array.double_buffer:
            waits = in_flight[: plan.in_use].any() if plan.in_use else Const(0)
            m.d.comb += [self.w.ready.eq(~full & ~waits), self.i.ready.eq(step & full)]
            with m.If(reload):
                m.d.sync += filled.eq(0)
            return Weights(loads, None)

        active, swap = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(step & active),
            swap.eq(step & full & (~active | reload)),
        ]
        with m.If(swap):
            m.d.sync += [active.eq(1), filled.eq(0)]
        with m.Elif(reload):
            m.d.sync += active.eq(0)
        # The next weights must not overtake the swap, so they move only when it does.
        ahead = _in_past(m, step, swap, plan.load_delay - 1)
        m.d.comb += self.w.ready.eq(~full & step & ~ahead)
        return Weights(loads, swap)


def _in_past(m: Module, step: Value, value: Value, cycles: int) -> Value:
    """Return whether a value was set in any of the cycles before."""
    if cycles <= 0:
        return Const(0)
    past = Signal(cycles, name="swap_past")
    with m.If(step):
        m.d.sync += past.eq(Cat(value, past))
    return past.any()
