"""Asynchronous serial line: a start bit, 8 data bits from the lowest, a stop bit (8N1)."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["Receiver", "Transmitter"]

_BITS = 8


class Receiver(wiring.Component):
    """Receives bytes from a line.

    Bits are sampled in their middle, counted from the edge of the start bit. After a byte without a
    stop bit the line must become idle before the next.

    Parameters
    ----------
    divisor : int
        Cycles of a bit, 1 or more.

    Members
    -------
    line : ``In(1)``
        The line, of any clock.
    o : ``Out(8)``, valid : ``Out(1)``
        A byte, in the one cycle in which ``valid`` is set.
    error : ``Out(1)``
        Set in place of ``valid`` for a byte without a stop bit.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__(
            {
                "line": In(1, init=1),
                "o": Out(8),
                "valid": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.line, line, init=1)
        wait = Signal(range(self.divisor + self.divisor // 2))
        left = Signal(range(_BITS + 2))
        byte = Signal(_BITS)
        m.d.comb += self.o.eq(byte)
        m.d.sync += [self.valid.eq(0), self.error.eq(0)]
        broken = Signal()
        with m.If(left == 0):
            with m.If(line):
                m.d.sync += broken.eq(0)
            with m.Elif(~broken):
                # To the middle of the first data bit.
                first = self.divisor + self.divisor // 2 - 1
                m.d.sync += [left.eq(_BITS + 1), wait.eq(first)]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [wait.eq(self.divisor - 1), left.eq(left - 1)]
            with m.If(left == 1):
                m.d.sync += [self.valid.eq(line), self.error.eq(~line), broken.eq(~line)]
            with m.Else():
                m.d.sync += byte.eq(Cat(byte[1:], line))
        return m


class Transmitter(wiring.Component):
    """Sends bytes on a line.

    Parameters
    ----------
    divisor : int
        Cycles of a bit, 1 or more.

    Members
    -------
    i : ``In(stream.Signature(8))``
        Bytes.
    line : ``Out(1)``
        The line.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "line": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        wait = Signal(range(max(self.divisor, 2)))
        left = Signal(range(_BITS + 3))
        bits = Signal(_BITS)  # what follows the bit on the line; ones come after it
        m.d.comb += self.i.ready.eq(left == 0)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                self.line.eq(0),
                bits.eq(self.i.payload),
                left.eq(_BITS + 2),
                wait.eq(self.divisor - 1),
            ]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(left != 0):
            m.d.sync += [
                Cat(self.line, bits).eq(Cat(bits, 1)),
                left.eq(left - 1),
                wait.eq(self.divisor - 1),
            ]
        return m
