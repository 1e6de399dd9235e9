"""Clocks that are not at a pin: those of processors, and the PLL of each family."""

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Instance, Module, Signal, Value

from minimac.rtl.emit import yosys_share
from minimac.spec import SpecError

__all__ = ["PLLS", "PROCESSORS", "Pll", "pll_for"]


#: Inputs of ``PS8``, all of one bit, that ``zynq_ultra_ps_e`` 3.4 ties to 1 if they are not in use
#: (as Vivado 2022.1 writes it); the others it ties to 0.
_PS8_ONES = re.compile(r"EMIOENET\dTXR(SOP|EOP)|EMIOSDIO\dWP|EMIOSPI\dSSIN|N(FIQ|IRQ)\dLPDRPU")


def _ps8_inputs() -> Iterator[tuple[str, int]]:
    """Yield the inputs of ``PS8`` that the fabric drives, not a pad, with their widths."""
    cells = (yosys_share() / "xilinx/cells_xtra.v").read_text(encoding="utf-8")
    _, _, ps8 = cells.partition("\nmodule PS8(")
    ports = r"^ +input (?:\[(\d+):0\] )?(?!PSS_ALTO_CORE_PAD_)(\w+);$"
    for left, name in re.findall(ports, ps8.partition("\nendmodule")[0], re.MULTILINE):
        yield name, int(left or 0) + 1


def _ps8(m: Module) -> Signal:
    """Add the processor of a Zynq UltraScale+ to a module; return its clock 0, ``pl_clk0``.

    ``PS8`` and ``BUFG_PS`` are what AMD's block ``zynq_ultra_ps_e`` (PG201) is made of. How fast
    the clock is, the processor's software says. Inputs are tied as that block ties those that are
    not in use: one that is open reads 1, an interrupt or an address that is valid.
    """
    clocks, clk = Signal(4, name="pl_clk"), Signal(name="clk")
    tied = {
        f"i_{name}": Const(1 if _PS8_ONES.fullmatch(name) else 0, width)
        for name, width in _ps8_inputs()
    }
    m.submodules.ps8 = Instance("PS8", o_PLCLK=clocks, **tied)
    m.submodules.clock_buffer = Instance("BUFG_PS", i_I=clocks[0], o_O=clk)
    return clk


#: By the name that boards have for it: what adds a processor to a module, and returns its clock.
PROCESSORS: dict[str, Callable[[Module], Signal]] = {"ps8": _ps8}


@dataclass(frozen=True)
class Pll(ABC):
    """A PLL with its dividers.

    Parameters
    ----------
    input_mhz, output_mhz : float
        Clocks into it and out of it.
    dividers : tuple of int
        As the family has them.
    """

    input_mhz: float
    output_mhz: float
    dividers: tuple[int, ...]

    @staticmethod
    @abstractmethod
    def settings(input_mhz: float) -> Iterator[tuple[float, tuple[int, ...]]]:
        """Yield what may be set: the clock that comes out, and dividers."""

    @abstractmethod
    def instance(self, clk: Value, out: Signal, locked: Signal) -> Instance:
        """Return the primitive."""


class Ice40Pll(Pll):
    """``SB_PLL40_PAD``, fed back directly (Lattice FPGA-TN-02052, iCE40 sysCLOCK PLL)."""

    _FILTERS = ((17, 1), (26, 2), (44, 3), (66, 4), (101, 5), (134, 6))

    @staticmethod
    def settings(input_mhz: float) -> Iterator[tuple[float, tuple[int, ...]]]:
        for divr, divf, divq in itertools.product(range(16), range(128), range(1, 7)):
            compared = input_mhz / (divr + 1)
            vco = compared * (divf + 1)
            if 10 <= compared <= 133 and 533 <= vco <= 1066:
                yield vco / (1 << divq), (divr, divf, divq)

    def instance(self, clk: Value, out: Signal, locked: Signal) -> Instance:
        divr, divf, divq = self.dividers
        compared = self.input_mhz / (divr + 1)
        return Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(divr, 4),
            p_DIVF=Const(divf, 7),
            p_DIVQ=Const(divq, 3),
            p_FILTER_RANGE=Const(next(n for top, n in self._FILTERS if compared < top), 3),
            i_PACKAGEPIN=clk,
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=out,
            o_LOCK=locked,
        )


class Ecp5Pll(Pll):
    """``EHXPLLL``, fed back from its output (Lattice FPGA-TN-02200, ECP5 sysCLOCK)."""

    @staticmethod
    def settings(input_mhz: float) -> Iterator[tuple[float, tuple[int, ...]]]:
        for clki, clkfb, clkop in itertools.product(range(1, 129), range(1, 81), range(1, 129)):
            out = input_mhz / clki * clkfb
            if 3.125 <= input_mhz / clki <= 400 and 400 <= out * clkop <= 800:
                yield out, (clki, clkfb, clkop)

    def instance(self, clk: Value, out: Signal, locked: Signal) -> Instance:
        clki, clkfb, clkop = self.dividers
        idle = dict.fromkeys(
            ("RST", "STDBY", "PLLWAKESYNC", "ENCLKOP", "PHASESEL0", "PHASESEL1"), Const(0)
        )
        idle |= dict.fromkeys(("PHASEDIR", "PHASESTEP", "PHASELOADREG"), Const(0))
        return Instance(
            "EHXPLLL",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            a_FREQUENCY_PIN_CLKI=f"{self.input_mhz:g}",
            a_FREQUENCY_PIN_CLKOP=f"{self.output_mhz:g}",
            p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=clki,
            p_CLKFB_DIV=clkfb,
            p_CLKOP_DIV=clkop,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=clkop // 2,
            p_CLKOP_FPHASE=0,
            p_OUTDIVIDER_MUXA="DIVA",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            i_CLKI=clk,
            i_CLKFB=out,
            o_CLKOP=out,
            o_LOCK=locked,
            **{f"i_{name}": value for name, value in idle.items()},
        )


class GowinPll(Pll):
    """``rPLL`` (Gowin UG286); limits of the slower of the boards' parts, GW1NR-9 C6/I5 (DS117)."""

    @staticmethod
    def settings(input_mhz: float) -> Iterator[tuple[float, tuple[int, ...]]]:
        outputs = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
        for idiv, fbdiv, odiv in itertools.product(range(64), range(64), outputs):
            out = input_mhz * (fbdiv + 1) / (idiv + 1)
            # Above 500 MHz the oscillator is within the limits of GW2A, too.
            if 3 <= input_mhz / (idiv + 1) <= 400 and 500 < out * odiv < 900 and 4 < out < 400:
                yield out, (idiv, fbdiv, odiv)

    def instance(self, clk: Value, out: Signal, locked: Signal) -> Instance:
        idiv, fbdiv, odiv = self.dividers
        idle: dict[str, Any] = {"RESET": 1, "RESET_P": 1, "CLKFB": 1, "FBDSEL": 6, "IDSEL": 6}
        idle |= {"ODSEL": 6, "PSDA": 4, "DUTYDA": 4, "FDLY": 4}
        return Instance(
            "rPLL",
            p_FCLKIN=f"{self.input_mhz:g}",
            p_IDIV_SEL=idiv,
            p_FBDIV_SEL=fbdiv,
            p_ODIV_SEL=odiv,
            i_CLKIN=clk,
            o_CLKOUT=out,
            o_LOCK=locked,
            **{f"i_{name}": Const(0, width) for name, width in idle.items()},
        )


#: By family.
PLLS: dict[str, type[Pll]] = {"ice40": Ice40Pll, "ecp5": Ecp5Pll, "gowin": GowinPll}


def pll_for(family: str, input_mhz: float, output_mhz: float) -> Pll:
    """Set a family's PLL for the clock that is nearest to one that is wanted.

    Raises
    ------
    SpecError
        If there is none, or none within a percent.

    Examples
    --------
    >>> pll_for("ice40", 12, 30)
    Ice40Pll(input_mhz=12, output_mhz=30.0, dividers=(0, 79, 5))
    """
    if family not in PLLS:
        raise SpecError(f"--clock-mhz: {family} has no PLL here; leave it out")
    sort = PLLS[family]
    best = min(sort.settings(input_mhz), key=lambda found: (abs(found[0] - output_mhz), found[1]))
    if abs(best[0] - output_mhz) > 0.01 * output_mhz:
        raise SpecError(
            f"--clock-mhz: the PLL of {family} makes {best[0]:g} of {input_mhz:g} MHz, and not "
            f"{output_mhz:g}; use that"
        )
    return sort(input_mhz, *best)
