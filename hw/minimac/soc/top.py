"""The top of a board: a core behind a serial line, and its clock."""

import dataclasses
from importlib.metadata import version

from amaranth.hdl import ClockDomain, ClockSignal, Module, Signal
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In, Out

from minimac.rtl import Outline
from minimac.rtl.emit import top_to_verilog
from minimac.soc.board import Board
from minimac.soc.clocking import PROCESSORS, Pll
from minimac.soc.core import Core, CoreParameters
from minimac.soc.registers import BAUD
from minimac.soc.uart import Receiver, Transmitter
from minimac.spec import SpecError, Systolic

__all__ = ["Top", "board_verilog", "verilog_for"]

#: Share by which the rate of a line may be off; a receiver bears twice that.
_OFF = 0.015


class Top(wiring.Component):
    """A core behind a serial line.

    Parameters
    ----------
    parameters : CoreParameters
        The core.
    divisor : int
        Cycles of a bit on the line.
    pll : Pll, optional
        What makes the clock out of the board's; by default it is that.
    clock_source : str
        Where the board's clock is from: a ``pin``, or a processor.
    outline : Outline, optional
        Where the array's parts come from.

    Members
    -------
    clk : ``In(1)``
        Clock of the board, if it is at a pin.
    uart_rx, uart_tx : ``In(1)``, ``Out(1)``
        The line from the host, and to it.
    """

    def __init__(
        self,
        parameters: CoreParameters,
        *,
        divisor: int,
        pll: Pll | None = None,
        clock_source: str = "pin",
        outline: Outline | None = None,
    ) -> None:
        self.parameters, self.divisor, self.pll = parameters, divisor, pll
        self.clock_source = clock_source
        self._outline = outline
        members = {"clk": In(1)} if clock_source == "pin" else {}
        super().__init__(members | {"uart_rx": In(1, init=1), "uart_tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain(reset_less=False)
        clk = self.clk if self.clock_source == "pin" else PROCESSORS[self.clock_source](m)
        if self.pll is None:
            m.d.comb += ClockSignal().eq(clk)
        else:
            locked = Signal()
            m.submodules.pll = self.pll.instance(clk, ClockSignal(), locked)
            m.submodules.reset = ResetSynchronizer(~locked)
        m.submodules.core = core = Core(self.parameters, self._outline)
        m.submodules.receiver = receiver = Receiver(self.divisor)
        m.submodules.transmitter = transmitter = Transmitter(self.divisor)
        m.d.comb += [
            receiver.line.eq(self.uart_rx),
            core.i.eq(receiver.o),
            core.valid.eq(receiver.valid),
            core.error.eq(receiver.error),
            self.uart_tx.eq(transmitter.line),
        ]
        wiring.connect(m, core.o, transmitter.i)
        return m


def board_verilog(
    parameters: CoreParameters,
    *,
    divisor: int,
    pll: Pll | None = None,
    clock_source: str = "pin",
) -> str:
    """Return Verilog for a board, in a module called ``<design.name>_top``."""
    design = parameters.design
    # Here the array is inside: the keys that are about its own ports say nothing.
    inside = dataclasses.replace(design, reset="sync", clock_enable=False, interface="stream")
    outline = Outline(inside)
    top = Top(parameters, divisor=divisor, pll=pll, clock_source=clock_source, outline=outline)
    ports = {"clk": (top.clk, PortDirection.Input)} if clock_source == "pin" else {}
    ports["uart_rx"] = (top.uart_rx, PortDirection.Input)
    ports["uart_tx"] = (top.uart_tx, PortDirection.Output)
    outline.add(f"{design.name}_top", top, ports, ClockDomain("unused", local=True))
    lines = [
        f"{design.name}_top: {design.summary()}, {design.array.rows} x {design.array.columns}",
        f"minimac {version('minimac')}, design {design.digest}",
    ]
    return top_to_verilog(outline, lines)


def verilog_for(design: Systolic, board: Board, pll: Pll | None = None) -> str:
    """Return Verilog for a design on a board, at the board's clock or that of a PLL."""
    clock_hz = round(1e6 * (pll.output_mhz if pll else board.clock_mhz))
    divisor = round(clock_hz / BAUD)
    if abs(clock_hz / divisor - BAUD) > _OFF * BAUD:
        raise SpecError(
            f"--clock-mhz: {clock_hz / 1e6:g} MHz makes no {BAUD} bits a second; use a whole number"
        )
    parameters = CoreParameters(design, depth=board.depth, clock_hz=clock_hz)
    return board_verilog(parameters, divisor=divisor, pll=pll, clock_source=board.clock_source)
