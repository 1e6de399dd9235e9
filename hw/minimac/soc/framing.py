"""Frames on a stream of bytes: flags, escapes and the CRC of :mod:`minimac.soc.registers`."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from minimac.soc.registers import ESCAPE, ESCAPED, FLAG, FRAME_BYTES, LEAST_BYTES

__all__ = ["Deframer", "Framer"]

#: CRC-32 of Ethernet, PPP and zlib.
_CRC = CRC32_ISO_HDLC(data_width=8)
_CRC_BYTES = 4


class Deframer(wiring.Component):
    """Receives frames into a buffer, and says what is wrong with those that it drops.

    It takes a byte in every cycle. A frame that is whole stays in the buffer until it is released;
    what comes until then is dropped.

    Members
    -------
    i, valid, error : ``In(8)``, ``In(1)``, ``In(1)``
        A byte; or that the line had an error in place of one.
    whole : ``Out(1)``
        Whether there is a frame.
    length : ``Out(range(FRAME_BYTES + 1))``
        Its bytes without the CRC, if ``whole``.
    release : ``In(1)``
        Whether it is no longer needed after this cycle.
    address, byte : ``In(range(FRAME_BYTES))``, ``Out(8)``
        A byte of it, in the cycle after that of its address.
    frames, damaged, short, long, line, overrun : ``Out(1)``
        Events, each for a cycle: see :data:`minimac.soc.registers.COUNTERS`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(8),
                "valid": In(1),
                "error": In(1),
                "whole": Out(1),
                "length": Out(range(FRAME_BYTES + 1)),
                "release": In(1),
                "address": In(range(FRAME_BYTES)),
                "byte": Out(8),
                "frames": Out(1),
                "damaged": Out(1),
                "short": Out(1),
                "long": Out(1),
                "line": Out(1),
                "overrun": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = _CRC.create()
        m.submodules.buffer = buffer = memory.Memory(shape=8, depth=FRAME_BYTES, init=[])
        write, read = buffer.write_port(), buffer.read_port()
        m.d.comb += [read.addr.eq(self.address), self.byte.eq(read.data)]

        count = Signal.like(self.length)
        escaped, too_long, broken, missed = Signal(), Signal(), Signal(), Signal()
        begun = Signal()  # there is something since the last flag
        ends = Signal()
        m.d.comb += ends.eq(self.valid & (self.i == FLAG))
        m.d.comb += [
            crc.data.eq(Mux(escaped, self.i ^ ESCAPED, self.i)),
            write.data.eq(crc.data),
            write.addr.eq(count),
        ]
        with m.If(self.release):
            m.d.sync += self.whole.eq(0)
        with m.If(ends):
            m.d.comb += crc.start.eq(1)
            m.d.sync += [
                count.eq(0),
                escaped.eq(0),
                too_long.eq(0),
                broken.eq(0),
                missed.eq(0),
                begun.eq(0),
            ]
            with m.If(missed):
                m.d.comb += self.overrun.eq(1)
            with m.Elif(broken):
                m.d.comb += self.line.eq(1)
            with m.Elif(too_long):
                m.d.comb += self.long.eq(1)
            with m.Elif(begun & (escaped | ((count >= LEAST_BYTES) & ~crc.match_detected))):
                m.d.comb += self.damaged.eq(1)
            with m.Elif(begun & (count < LEAST_BYTES)):
                m.d.comb += self.short.eq(1)
            with m.Elif(begun):
                m.d.comb += self.frames.eq(1)
                m.d.sync += [self.whole.eq(1), self.length.eq(count - _CRC_BYTES)]
        with m.Elif(self.error):
            m.d.sync += [begun.eq(1), broken.eq(1)]
        with m.Elif(self.valid):
            m.d.sync += begun.eq(1)
            with m.If(self.whole):
                m.d.sync += missed.eq(1)
            with m.Elif((self.i == ESCAPE) & ~escaped):
                m.d.sync += escaped.eq(1)
            with m.Else():
                m.d.sync += escaped.eq(0)
                with m.If(count == FRAME_BYTES):
                    m.d.sync += too_long.eq(1)
                with m.Elif(~missed):
                    m.d.comb += [crc.valid.eq(1), write.en.eq(1)]
                    m.d.sync += count.eq(count + 1)
        return m


class Framer(wiring.Component):
    """Sends frames: flags around them, escapes in them, a CRC at their end.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``byte``, and whether it is the ``last`` of a frame.
    o : ``Out(stream.Signature(8))``
        What goes out on the link.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"byte": 8, "last": 1}))),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = _CRC.create()
        byte, sent = Signal(8), Signal()
        escaped = Signal()
        sent_bytes = Signal(range(_CRC_BYTES))  # of the CRC
        special = (byte == FLAG) | (byte == ESCAPE)
        m.d.comb += sent.eq(self.o.valid & self.o.ready & (~special | escaped))

        def offer() -> None:
            """Send ``byte``, in one byte or in two."""
            m.d.comb += self.o.payload.eq(
                Mux(escaped, byte ^ ESCAPED, Mux(special, ESCAPE, byte)),
            )
            with m.If(self.o.valid & self.o.ready):
                m.d.sync += escaped.eq(special & ~escaped)

        with m.FSM():
            with m.State("FLAG"):
                m.d.comb += [self.o.valid.eq(self.i.valid), self.o.payload.eq(FLAG)]
                m.d.comb += crc.start.eq(1)
                with m.If(self.o.valid & self.o.ready):
                    m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += [byte.eq(self.i.p.byte), self.o.valid.eq(self.i.valid)]
                offer()
                m.d.comb += [self.i.ready.eq(sent), crc.data.eq(byte), crc.valid.eq(sent)]
                with m.If(sent & self.i.p.last):
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [
                    byte.eq(crc.crc.word_select(sent_bytes, 8)),
                    self.o.valid.eq(1),
                ]
                offer()
                with m.If(sent):
                    m.d.sync += sent_bytes.eq(sent_bytes + 1)
                    with m.If(sent_bytes == _CRC_BYTES - 1):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(FLAG)]
                with m.If(self.o.ready):
                    m.next = "FLAG"
        return m
