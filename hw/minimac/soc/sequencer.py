"""Runs of an array: vectors and weights out of buffers, through the array, results into buffers."""

from abc import abstractmethod
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from minimac.rtl import plan
from minimac.spec import Systolic

__all__ = ["OutputStationarySequencer", "Sequencer", "StationarySequencer", "sequencer_for"]


class Feed:
    """Words of a memory as a stream, one a cycle.

    Parameters
    ----------
    m : Module
        Where it is.
    port : ReadPort
        Port of the memory.
    ready : Value
        Whether the word is taken, if there is one.
    more : Value
        Whether the next word is to be fetched.
    restart : Value
        Whether to begin at the first word after this cycle; nothing is under way then.

    Attributes
    ----------
    valid : Signal
        Whether there is a word, at ``port.data``.
    moves : Signal
        Whether one is being fetched.
    """

    def __init__(
        self, m: Module, name: str, port: Any, *, ready: Value, more: Value, restart: Value
    ) -> None:
        self.valid = Signal(name=f"{name}_valid")
        self.moves = Signal(name=f"{name}_moves")
        free = ~self.valid | ready
        m.d.comb += [self.moves.eq(free & more), port.en.eq(self.moves)]
        with m.If(free):
            m.d.sync += self.valid.eq(self.moves)
        address = Signal.like(port.addr, name=f"{name}_address")
        m.d.comb += port.addr.eq(address)
        with m.If(restart):
            m.d.sync += address.eq(0)
        with m.Elif(self.moves):
            m.d.sync += address.eq(address + 1)


class Turns:
    """Counts passes of so many vectors each.

    Attributes
    ----------
    place, number : Signal
        Vector of the pass, and pass.
    ends, over : Signal
        Whether the vector is the last of its pass; whether there are no more passes.
    """

    def __init__(self, m: Module, name: str, vectors: Value, passes: Value) -> None:
        self.place = Signal(len(vectors), name=f"{name}_place")
        self.number = Signal(len(passes), name=f"{name}_pass")
        self.ends, self.over = Signal(name=f"{name}_ends"), Signal(name=f"{name}_over")
        m.d.comb += [
            self.ends.eq(self.place == vectors - 1),
            self.over.eq(self.number == passes),
        ]
        self._m = m

    def step(self, moves: Value, restart: Value) -> None:
        """Count a vector when one moves."""
        with self._m.If(restart):
            self._m.d.sync += [self.place.eq(0), self.number.eq(0)]
        with self._m.Elif(moves):
            self._m.d.sync += self.place.eq(Mux(self.ends, 0, self.place + 1))
            with self._m.If(self.ends):
                self._m.d.sync += self.number.eq(self.number + 1)


class Sequencer(wiring.Component):
    """Runs an array on what is in the buffers.

    Parameters
    ----------
    design : Systolic
        The array.
    depth : int
        Words of each buffer.

    Members
    -------
    start : ``In(1)``
        Whether a run begins; not while one is under way.
    first, last : ``In(1)``
        Whether its chains begin, and end, with it; not to be changed during a run.
    vectors, passes : ``In(range(depth + 1))``
        How much there is; not to be changed during a run. Without vectors or passes nothing is run.
    busy, moved : ``Out(1)``
        Whether a run is under way, and whether the array takes a vector in this cycle.
    activations, weights, partial : ``In(memory.ReadPort.Signature(...))``
        Where operands come from; ``partial`` not if sums stay in the array.
    results, keep : ``In(memory.WritePort.Signature(...))``
        Where results go to, and unrounded chains, which come back by ``partial``.
    i, o, w
        The array's streams.
    """

    def __init__(self, design: Systolic, depth: int) -> None:
        self.design, self.depth = design, depth
        streams = plan(design).signature.members
        bits = ceil_log2(depth)
        array = design.array
        self.partial_bits = _width(streams, "o", "partial")
        reads = {
            "activations": array.rows * design.a.width,
            "weights": array.columns * design.b.width,
        }
        writes = {"results": array.columns * design.out.width}
        if self.partial_bits:
            reads["partial"] = writes["keep"] = self.partial_bits
        super().__init__(
            {
                "start": In(1),
                "first": In(1),
                "last": In(1),
                "vectors": In(range(depth + 1)),
                "passes": In(range(depth + 1)),
                "busy": Out(1),
                "moved": Out(1),
                **{
                    name: In(memory.ReadPort.Signature(addr_width=bits, shape=width))
                    for name, width in reads.items()
                },
                **{
                    name: In(memory.WritePort.Signature(addr_width=bits, shape=width))
                    for name, width in writes.items()
                },
                **{name: member.flip() for name, member in streams.items()},
            }
        )

    @abstractmethod
    def run(self, m: Module) -> Value:
        """Add what happens in a run; return whether all of it has."""

    def elaborate(self, platform):
        m = Module()
        over = self.run(m)
        with m.If(self.start):
            m.d.sync += self.busy.eq(1)
        with m.Elif(over):
            m.d.sync += self.busy.eq(0)
        m.d.comb += self.moved.eq(self.i.valid & self.i.ready)
        return m


def _width(streams: Any, name: str, field: str) -> int:
    layout = streams[name].signature.members["payload"].shape
    return layout[field].width if field in layout.members else 0


class StationarySequencer(Sequencer):
    """Of an array whose weights stay.

    A pass is ``rows`` words of weights, in the order in which the array wants them, and ``vectors``
    words of activations; those of the next pass follow. The chains of vector n leave in word n of
    the results, and of ``partial``, from where they go on in the next pass: a vector waits until
    its chains of the pass before have come out.
    """

    def run(self, m: Module) -> Value:
        rows, idle = self.design.array.rows, ~self.busy
        # Weights.
        row, loads = Signal(range(rows)), Signal.like(self.passes)
        more = self.busy & (loads != self.passes) & (self.vectors != 0)
        feed = Feed(m, "weights", self.weights, ready=self.w.ready, more=more, restart=idle)
        with m.If(idle):
            m.d.sync += [row.eq(0), loads.eq(0)]
        with m.Elif(feed.moves):
            m.d.sync += row.eq(row + 1)
            with m.If(row == rows - 1):
                m.d.sync += [row.eq(0), loads.eq(loads + 1)]
        m.d.comb += [self.w.valid.eq(feed.valid), self.w.payload.eq(self.weights.data)]

        # Vectors: those on their way are fewer than a pass, so that all they need is there.
        turns = Turns(m, "vector", self.vectors, self.passes)
        under_way, done = Signal.like(self.vectors), Signal()
        more = self.busy & ~turns.over & (under_way != self.vectors)
        feed = Feed(m, "vector", self.activations, ready=self.i.ready, more=more, restart=idle)
        turns.step(feed.moves, idle)
        m.d.sync += under_way.eq(under_way + feed.moves - done)
        m.d.comb += [self.partial.en.eq(feed.moves), self.partial.addr.eq(turns.place)]
        first, reload, last = Signal(), Signal(), Signal()
        with m.If(feed.moves):
            m.d.sync += [
                first.eq(self.first & (turns.number == 0)),
                reload.eq(turns.ends),
                last.eq(self.last & (turns.number == self.passes - 1)),
            ]
        m.d.comb += [
            self.i.valid.eq(feed.valid),
            self.i.p.activations.eq(self.activations.data),
            self.i.p.partial.eq(self.partial.data),
            self.i.p.first.eq(first),
            self.i.p.reload.eq(reload),
        ]
        if "last" in self.i.p.shape().members:
            m.d.comb += self.i.p.last.eq(last)

        # Results.
        m.d.comb += [self.o.ready.eq(1), done.eq(self.o.valid)]
        back = Turns(m, "result", self.vectors, self.passes)
        back.step(done, idle)
        for port, field in ((self.results, self.o.p.sums), (self.keep, self.o.p.partial)):
            m.d.comb += [port.addr.eq(back.place), port.data.eq(field), port.en.eq(done)]
        return back.over | (self.vectors == 0)


class OutputStationarySequencer(Sequencer):
    """Of an array whose sums stay: ``vectors`` terms, and ``rows`` words of results at the end."""

    def run(self, m: Module) -> Value:
        rows, idle = self.design.array.rows, ~self.busy
        terms = Signal.like(self.vectors)
        more = self.busy & (terms != self.vectors)
        feed = Feed(m, "term", self.activations, ready=self.i.ready, more=more, restart=idle)
        last = Signal()
        with m.If(idle):
            m.d.sync += terms.eq(0)
        with m.Elif(feed.moves):
            m.d.sync += [terms.eq(terms + 1), last.eq(self.last & (terms == self.vectors - 1))]
        m.d.comb += [
            self.weights.en.eq(feed.moves),
            self.weights.addr.eq(self.activations.addr),
            self.i.valid.eq(feed.valid),
            self.i.p.activations.eq(self.activations.data),
            self.i.p.weights.eq(self.weights.data),
            self.i.p.last.eq(last),
        ]
        row = Signal(range(rows + 1))
        with m.If(idle):
            m.d.sync += row.eq(0)
        with m.Elif(self.o.valid):
            m.d.sync += row.eq(row + 1)
        m.d.comb += [
            self.o.ready.eq(1),
            self.results.addr.eq(row),
            self.results.data.eq(self.o.p.sums),
            self.results.en.eq(self.o.valid),
        ]
        fed = (terms == self.vectors) & ~feed.valid
        return fed & (~self.last | (row == rows) | (self.vectors == 0))


def sequencer_for(design: Systolic, depth: int) -> Sequencer:
    """Return the sequencer of an array."""
    stays = design.array.dataflow == "os"
    return (OutputStationarySequencer if stays else StationarySequencer)(design, depth)
