"""A device under test by one set of names, whatever its clock, reset and interface are called."""

import random
from typing import Any

import cocotb
from cocotb.triggers import Lock, RisingEdge

from minimac.bench.run import Job
from minimac.rtl import describe

__all__ = ["Bus", "Device", "Reset"]


class Device:
    """A device under test with ``clk`` and ``rst``, as drivers expect them.

    ``rst`` is active high here; where there is none, setting it does nothing. A clock enable is
    high until somebody sets it. All else is that of the simulator's handle.

    Parameters
    ----------
    dut
        Handle of the simulator, or a device, which is taken as it is.

    Attributes
    ----------
    told : dict
        Description of the interface.
    clk
        Handle of the clock.
    enable
        Handle of the clock enable, or None.
    bus : Bus or None
        Access to the registers, if the interface is one.
    """

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self.told = describe(Job.current().design)
        self.clk = dut[self.told["clock"]["port"]]
        reset = self.told["reset"]
        self.rst = Reset(dut[reset["port"]], reset["active"] == "low") if reset else Reset()
        enable = self.told["clock_enable"]
        self.enable: Any = dut[enable["port"]] if enable else None
        if self.enable is not None:
            self.enable.value = 1
        self.bus = Bus(self) if self.told["interface"] == "wishbone" else None

    @classmethod
    def of(cls, dut: Any) -> "Device":
        """Return the device of a handle, or the device itself."""
        return dut if isinstance(dut, cls) else cls(dut)

    @property
    def enabled(self) -> bool:
        """Whether the clock is, in this cycle."""
        return self.enable is None or self.enable.value == 1

    def __getitem__(self, name: str) -> Any:
        return self._dut[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dut, name)


class Reset:
    """A reset, active high, of a device that has one of either sort or none."""

    def __init__(self, handle: Any = None, inverted: bool = False) -> None:
        self._handle = handle
        self._inverted = inverted

    def _set(self, value: int) -> None:
        if self._handle is not None:
            self._handle.value = int(value) ^ self._inverted

    value = property(fset=_set)


class Bus:
    """Classic Wishbone cycles, one at a time, with idle ones between."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self._lock = Lock()
        self._idle = random.Random(cocotb.RANDOM_SEED)
        for name in ("cyc", "stb", "we", "adr", "sel", "dat"):
            dut[f"wb_{name}_i"].value = 0

    async def read(self, offset: int) -> int:
        """Read a register."""
        return await self._access(offset, None)

    async def write(self, offset: int, value: int) -> None:
        """Write a register."""
        await self._access(offset, value)

    async def _access(self, offset: int, value: int | None) -> int:
        dut, edge = self._dut, RisingEdge(self._dut.clk)
        async with self._lock:
            for _ in range(self._idle.choice((0, 0, 1, 3))):
                await edge
            dut["wb_cyc_i"].value = dut["wb_stb_i"].value = 1
            dut["wb_we_i"].value = int(value is not None)
            dut["wb_sel_i"].value = 15
            dut["wb_adr_i"].value = offset // 4
            dut["wb_dat_i"].value = value or 0
            while True:
                await edge
                if dut["wb_ack_o"].value == 1:
                    break
            dut["wb_cyc_i"].value = dut["wb_stb_i"].value = 0
            if value is None:
                return int(dut["wb_dat_o"].value.to_unsigned())
            return 0
