"""What requests do: words of spaces are read and written, and the host is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from minimac.soc.framing import Deframer, Framer
from minimac.soc.registers import FRAME_BYTES, HEADER, Kind, Space, Status

__all__ = ["Engine", "Place"]

_HEADER_BYTES = sum(size for size, _ in HEADER.values())
_SEQUENCE_BITS, _ADDRESS_BITS = 8, 16


@dataclass(frozen=True)
class Place:
    """A space, as hardware.

    Parameters
    ----------
    width, depth : int
        Bytes of a word, and words.
    read, write : bool
        Whether a host may read it, and write it.
    waits : bool
        Whether it cannot be reached during a run.
    """

    width: int
    depth: int
    read: bool = False
    write: bool = False
    waits: bool = False


class Engine(wiring.Component):
    """Carries out requests, one at a time, and answers each.

    Nothing of a frame is carried out before its CRC was found right. A write with the sequence
    number of the write before is answered and not carried out: its first answer was lost. A read
    lets that number be forgotten. Every request comes to an end, whatever is in it.

    Parameters
    ----------
    places : mapping of Space to Place
        The spaces.

    Members
    -------
    running : ``In(1)``
        Whether a run is under way.
    address : ``Out(range(...))``
        Word that is being reached.
    word : ``Out(...)``
        What is written to it; less wide spaces have the lowest bits.
    write_<space> : ``Out(1)``
        Whether it is.
    read_<space> : ``In(...)``
        The word, in the cycle after that of its address.
    repeated, refused : ``Out(1)``
        Events: see :data:`minimac.soc.registers.COUNTERS`.
    """

    def __init__(self, places: Mapping[Space, Place]) -> None:
        self.places = dict(places)
        self._bits = 8 * max(place.width for place in places.values())
        ports: dict[str, Any] = {}
        for space, place in self.places.items():
            if place.write:
                ports[f"write_{space.name.lower()}"] = Out(1)
            if place.read:
                ports[f"read_{space.name.lower()}"] = In(8 * place.width)
        deepest = max(place.depth for place in places.values())
        super().__init__(
            {
                "running": In(1),
                "address": Out(ceil_log2(deepest)),
                "word": Out(self._bits),
                "repeated": Out(1),
                "refused": Out(1),
                **ports,
            }
        )
        self.deframer, self.framer = Deframer(), Framer()

    def elaborate(self, platform):
        m = Module()
        frame, answer = self.deframer, self.framer.i
        m.submodules.deframer, m.submodules.framer = self.deframer, self.framer

        header = Signal(8 * _HEADER_BYTES)
        fields, low = {}, 0
        for name, (size, _) in HEADER.items():
            fields[name] = header[low : low + 8 * size]
            low += 8 * size
        kind, sequence, space = fields["kind"], fields["sequence"], fields["space"]
        address, count = Signal(_ADDRESS_BITS), Signal(_ADDRESS_BITS)
        m.d.comb += self.address.eq(address)

        fetched = Signal(range(FRAME_BYTES + 1))  # bytes of the frame whose address was given
        arrived = Signal()  # whether frame.byte is one of the frame, the last of those fetched
        fetch = Signal()
        m.d.comb += frame.address.eq(fetched)
        m.d.sync += arrived.eq(fetch)
        with m.If(fetch):
            m.d.sync += fetched.eq(fetched + 1)

        width = self._of_space(m, space, "width", 1)
        size = Signal.like(width)
        status, again = self._judge(m, kind, space, address, count), Signal()
        before, known = Signal(_SEQUENCE_BITS), Signal()
        m.d.comb += again.eq((kind == Kind.WRITE) & known & (sequence == before))

        word = Signal(self._bits)
        left = Signal.like(width)  # bytes of the word to come, less one
        said = Signal(Status)
        step = Signal(2)
        # Bytes come in at the top; a word of fewer bytes than the widest is found below it.
        with m.Switch(space):
            for each, place in self.places.items():
                with m.Case(each):
                    m.d.comb += self.word.eq(word[self._bits - 8 * place.width :])

        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += fetch.eq(frame.whole & (fetched != _HEADER_BYTES))
                with m.If(arrived):
                    m.d.sync += header.eq(Cat(header[8:], frame.byte))
                with m.Elif(fetched == _HEADER_BYTES):
                    m.d.sync += [address.eq(fields["address"]), count.eq(fields["count"])]
                    m.next = "JUDGE"
            with m.State("JUDGE"):
                m.d.sync += [size.eq(width - 1), left.eq(width - 1), said.eq(status), step.eq(0)]
                m.d.comb += [self.repeated.eq(again), self.refused.eq(~again & (status != 0))]
                with m.If(again):
                    m.d.sync += said.eq(Status.OK)
                    m.next = "RELEASE"
                with m.Elif((kind == Kind.WRITE) & (status == Status.OK)):
                    m.d.sync += [before.eq(sequence), known.eq(1)]
                    m.next = "TAKE"
                with m.Else():
                    m.d.sync += known.eq(0)
                    m.next = "RELEASE"
            with m.State("TAKE"):  # bytes of the frame into the word
                m.d.comb += fetch.eq((fetched != frame.length) & ~(arrived & (left == 0)))
                with m.If(arrived):
                    m.d.sync += [word.eq(Cat(word[8:], frame.byte)), left.eq(left - 1)]
                    with m.If(left == 0):
                        m.next = "STORE"
                with m.Elif(fetched == frame.length):
                    m.next = "RELEASE"
            with m.State("STORE"):
                self._store(m, space)
                m.d.sync += [left.eq(size), address.eq(address + 1), count.eq(count - 1)]
                m.next = "TAKE"
            with m.State("RELEASE"):  # the frame is of no more use, and the next one may come in
                m.d.comb += frame.release.eq(1)
                m.d.sync += fetched.eq(0)
                m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += answer.valid.eq(1)
                with m.Switch(step):
                    with m.Case(0):
                        m.d.comb += answer.p.byte.eq(kind | 0x80)
                    with m.Case(1):
                        m.d.comb += answer.p.byte.eq(sequence)
                    with m.Default():
                        m.d.comb += answer.p.byte.eq(said)
                none = (kind != Kind.READ) | (said != Status.OK) | (count == 0)
                m.d.comb += answer.p.last.eq((step == 2) & none)
                with m.If(answer.ready):
                    m.d.sync += step.eq(step + 1)
                    with m.If(step == 2):
                        with m.If(none):
                            m.next = "HEADER"
                        with m.Else():
                            m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += [address.eq(address + 1), count.eq(count - 1)]
                m.next = "LOAD"
            with m.State("LOAD"):
                with m.Switch(space):
                    for each, place in self.places.items():
                        if place.read:
                            with m.Case(each):
                                read = getattr(self, f"read_{each.name.lower()}")
                                m.d.sync += word.eq(read)
                m.d.sync += left.eq(size)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [
                    answer.valid.eq(1),
                    answer.p.byte.eq(word[:8]),
                    answer.p.last.eq((left == 0) & (count == 0)),
                ]
                with m.If(answer.ready):
                    m.d.sync += [word.eq(word >> 8), left.eq(left - 1)]
                    with m.If(left == 0):
                        with m.If(count == 0):
                            m.next = "HEADER"
                        with m.Else():
                            m.next = "FETCH"
        return m

    def _of_space(self, m: Module, space: Value, attribute: str, least: int) -> Signal:
        """Return a number that each space has, for the space that is meant."""
        most = max(getattr(place, attribute) for place in self.places.values())
        found = Signal(range(most + 1), init=least, name=attribute)
        with m.Switch(space):
            for each, place in self.places.items():
                with m.Case(each):
                    m.d.comb += found.eq(getattr(place, attribute))
        return found

    def _judge(self, m: Module, kind: Value, space: Value, address: Value, count: Value) -> Signal:
        """Return how a request is to be answered, by its header and length."""
        depth = self._of_space(m, space, "depth", 0)
        reads = self._of_space(m, space, "read", 0)
        writes = self._of_space(m, space, "write", 0)
        waits = self._of_space(m, space, "waits", 0)
        writing = kind == Kind.WRITE
        size = Signal(range(FRAME_BYTES + 1))
        m.d.comb += size.eq(self.deframer.length - _HEADER_BYTES)
        needed = Signal(_ADDRESS_BITS + self._bits.bit_length())
        with m.Switch(space):
            for each, place in self.places.items():
                if place.write:
                    with m.Case(each):
                        m.d.comb += needed.eq(count * place.width)
        status = Signal(Status, name="status")
        with m.If((kind != Kind.READ) & ~writing):
            m.d.comb += status.eq(Status.KIND)
        with m.Elif(Mux(writing, ~writes, ~reads)):
            m.d.comb += status.eq(Status.SPACE)
        with m.Elif(address + count > depth):
            m.d.comb += status.eq(Status.RANGE)
        with m.Elif(Mux(writing, size != needed, size != 0)):
            m.d.comb += status.eq(Status.LENGTH)
        with m.Elif(self.running & (waits | writing)):
            m.d.comb += status.eq(Status.BUSY)
        return status

    def _store(self, m: Module, space: Value) -> None:
        with m.Switch(space):
            for each, place in self.places.items():
                if place.write:
                    with m.Case(each):
                        m.d.comb += getattr(self, f"write_{each.name.lower()}").eq(1)
