"""A device that multiplies matrices, whatever its unit: clock, streams, model and scoreboard."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, RisingEdge
from numpy.typing import NDArray

from minimac.bench.dots import chains, with_scales
from minimac.bench.operands import STYLES, Elements
from minimac.bench.run import Job
from minimac.bench.scoreboard import Scoreboard
from minimac.bench.stream import StreamMonitor, StreamSink, StreamSource
from minimac.bench.traffic import Pass, PortPacker, passes, tiles
from minimac.bench.transfers import TRANSFERS, Fields, length
from minimac.model import matmul
from minimac.rtl import plan
from minimac.spec import Dot, Mac, Systolic

__all__ = [
    "DotDriver",
    "Driver",
    "MacDriver",
    "OutputStationaryDriver",
    "StationaryDriver",
    "TransferDriver",
    "driver_for",
    "random_traffic",
]

Codes = NDArray[np.int64]

_PERIOD_NS = 10
_PATIENCE = 2000  # cycles without a transfer, besides the latency, before a bench gives up


class Driver:
    """A device under test and all that surrounds it.

    Parameters
    ----------
    dut
        Device under test.
    gaps : iterable of int
        Idle cycles before each transfer of an input.
    ready : iterable of int, optional
        Whether the output is ready, cycle by cycle; always, if not given.

    Attributes
    ----------
    job : Job
        What the simulation was told.
    design : Design
        The design under test.
    sums : Scoreboard
        Results against those of the model.
    longest : int
        Most terms of a chain of random operands.
    """

    #: Input streams.
    INPUTS: Sequence[str] = ("i",)

    def __init__(
        self,
        dut: Any,
        *,
        gaps: Iterable[int] = itertools.repeat(0),
        ready: Iterable[int] | None = None,
    ) -> None:
        self.dut = dut
        self.job = Job.current()
        self.design = self.job.design
        self.packer = PortPacker(self.design)
        self.sums = Scoreboard("o")
        shared = iter(gaps)
        self.sources = {name: StreamSource(dut, name, shared) for name in self.INPUTS}
        self._sink = StreamSink(dut, "o", ready)
        self._monitor = StreamMonitor(dut, "o", self._on_result)
        self._queued = 0
        self.longest = 24

    async def start(self) -> None:
        """Start the clock, reset the device, start the drivers and monitors."""
        Clock(self.dut.clk, _PERIOD_NS, unit="ns").start()
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0
        for source in self.sources.values():
            source.start()
        self._sink.start()
        self._monitor.start()

    def multiply(self, a: Codes, b: Codes) -> None:
        """Queue the product of two matrices of codes, (M, K) and (K, N); expect its codes."""
        want = matmul(self.design, a, b)
        self._queued += want.size
        self._send(np.asarray(a), np.asarray(b), want.astype(np.int64))

    def depth(self, terms: int) -> int:
        """Return the least number of terms that a chain may have, from so many on."""
        return terms

    def stimulate(self, rng: np.random.Generator, times: int) -> None:
        """Queue products of every style, small ones: a bus takes many cycles for each transfer."""
        longest = min(self.design.accumulate.max_terms, 9)
        elements = Elements(self.design)
        for draw in itertools.islice(itertools.cycle(STYLES.values()), times):
            m, k, n = rng.integers(1, (4, longest, 4), endpoint=True)
            self.multiply(*draw(elements, rng, int(m), self.depth(int(k)), int(n)))

    def _send(self, a: Codes, b: Codes, want: Codes) -> None:
        raise TypeError(f"{type(self).__name__} must say how a product is sent")

    def _on_result(self, payload: int) -> None:
        raise TypeError(f"{type(self).__name__} must say what a result is")

    async def multiply_given(self) -> None:
        """Multiply the matrices that the job came with, from start to finish."""
        await self.start()
        if not self.job.operands:
            self.dut._log.info("the job came with none")
            return
        for a, b in self.job.operands:
            self.multiply(a, b)
        await self.finish()

    async def count_latency(self) -> None:
        """Count the cycles from the first transfer on ``i`` to one on ``o``: as many as stated."""
        dut, stated = self.dut, plan(self.design).latency
        edge = RisingEdge(dut.clk)
        cycles: int | None = None
        for _ in range(_PATIENCE + stated):
            await edge
            if cycles is not None:
                cycles += 1
            elif dut.i_valid.value == 1 and dut.i_ready.value == 1:
                cycles = 0
            if dut.o_valid.value == 1:
                break
        assert cycles == stated, f"{cycles} cycles"

    async def finish(self) -> None:
        """Wait for all results, make sure that no more come, and count them."""
        idle, seen = 0, (-1, -1)
        patience = _PATIENCE + plan(self.design).latency
        while self.sums.checked < self._queued:
            await ClockCycles(self.dut.clk, 50)
            now = sum(source.sent for source in self.sources.values()), self.sums.checked
            idle = idle + 50 if now == seen else 0
            seen = now
            assert idle < patience, (
                f"o: {self._queued - self.sums.checked} of {self._queued} results never came"
            )
        await ClockCycles(self.dut.clk, 20)
        assert self.sums.checked == self._queued > 0
        self.job.count(self.sums.checked)


class MacDriver(Driver):
    """Drives a ``mac``: a dot product after the other."""

    def _send(self, a: Codes, b: Codes, want: Codes) -> None:
        for row, column in np.ndindex(want.shape):
            pairs = list(zip(a[row].tolist(), b[:, column].tolist(), strict=True))
            for n, (x, y) in enumerate(pairs):
                self.sources["i"].send(self.packer.pack("i", a=x, b=y, last=n == len(pairs) - 1))
            self.sums.expect(int(want[row, column]), _shown(pairs))

    def _on_result(self, payload: int) -> None:
        self.sums.observe(payload)


class DotDriver(Driver):
    """Drives a ``dot``: many lanes in a transfer, with scales if there are any."""

    def __init__(self, dut: Any, **traffic: Any) -> None:
        super().__init__(dut, **traffic)
        assert isinstance(self.design, Dot)
        self._dot = self.design
        self.longest = 3 * self._dot.lanes
        self._rng = np.random.default_rng(cocotb.RANDOM_SEED)

    def depth(self, terms: int) -> int:
        """Return whole transfers where no product of zero could fill up the last one."""
        lanes = self._dot.lanes
        return terms if self._dot.padding else -(-terms // lanes) * lanes

    def multiply(self, a: Any, b: Any) -> None:
        """Queue the product of two matrices of codes or blocks; expect its codes."""
        a, b = with_scales(self._dot, self._rng, a, b)
        want = matmul(self._dot, a, b)
        self._queued += want.size
        for place, transfers in chains(self._dot, a, b):
            for fields in transfers:
                self.sources["i"].send(self.packer.pack("i", **fields))
            self.sums.expect(int(want[place]), str(transfers[:4]))

    def _on_result(self, payload: int) -> None:
        self.sums.observe(payload)


class StationaryDriver(Driver):
    """Drives an array whose weights stay: pass after pass, partial sums returned to the north."""

    INPUTS = ("w", "i")

    def __init__(self, dut: Any, **traffic: Any) -> None:
        super().__init__(dut, **traffic)
        self._todo: deque[tuple[Pass, list[list[str]], Codes]] = deque()
        self._under_way: deque[tuple[Pass, list[list[str]], Codes]] = deque()
        self._partial: list[list[int]] = []
        self._arrived = Event()

    async def start(self) -> None:
        """Start the clock, reset the device, start the drivers and monitors."""
        await super().start()
        cocotb.start_soon(self._feed())

    def _send(self, a: Codes, b: Codes, want: Codes) -> None:
        assert isinstance(self.design, Systolic)
        for tile in passes(self.design, a, b):
            for row in tile.weights[::-1]:
                self.sources["w"].send(self.packer.pack("w", weights=row))
            shown = [
                [_shown(list(zip(x.tolist(), y.tolist(), strict=True))) for y in b.T[tile.columns]]
                for x in (a if tile.last else ())
            ]
            self._todo.append((tile, shown, want[:, tile.columns]))
        self._arrived.set()

    async def _feed(self) -> None:
        """Send the activations of each pass as soon as its partial sums are known."""
        assert isinstance(self.design, Systolic)
        while True:
            while self._todo:
                tile = self._todo[0][0]
                if not tile.first and self._under_way:
                    break
                partial = [] if tile.first else self._partial
                self._partial = []
                self._under_way.append(self._todo.popleft())
                told = {"last": tile.last} if self.design.array.foot == "shared" else {}
                for n, row in enumerate(tile.activations):
                    self.sources["i"].send(
                        self.packer.pack(
                            "i",
                            activations=row,
                            first=tile.first,
                            reload=n == len(tile.activations) - 1,
                            partial=[] if tile.first else partial[n],
                            **told,
                        )
                    )
            self._arrived.clear()
            await self._arrived.wait()

    def _on_result(self, payload: int) -> None:
        if not self._under_way:
            self.sums.observe(payload)  # which says that nothing was expected
        tile, shown, want = self._under_way[0]
        n = len(self._partial)
        self._partial.append(self.packer.unpack("o", payload, "partial"))
        if tile.last:
            codes = self.packer.unpack("o", payload, "sums")
            for column, expected in enumerate(want[n].tolist()):
                self.sums.expect(expected, f"column {column}, {shown[n][column]}")
                self.sums.observe(codes[column])
        if len(self._partial) == len(tile.activations):
            self._under_way.popleft()
            if tile.last:
                self._partial = []
            self._arrived.set()


class TransferDriver(Driver):
    """Drives a unit of :data:`minimac.bench.transfers.TRANSFERS`: sequences of transfers."""

    def __init__(self, dut: Any, **traffic: Any) -> None:
        super().__init__(dut, **traffic)
        self.bench = TRANSFERS[type(self.design)]
        self._expected = self.bench.since_reset(self.design)
        # Of each transfer that comes: the fields that are looked at.
        self._coming: deque[list[str]] = deque()

    def multiply(self, a: Codes, b: Codes) -> None:
        """Queue what two matrices stand for with this unit."""
        self.send(self.bench.given(self.design, np.asarray(a), np.asarray(b)))

    def stimulate(self, rng: np.random.Generator, times: int) -> None:
        """Queue short sequences of every sort."""
        for _ in range(-(-times // len(STYLES))):
            for fields in self.bench.draw(self.design, rng, 3):
                self.send(fields)

    def send(self, fields: Fields) -> None:
        """Queue a sequence of transfers; expect what the model makes of it."""
        want = self._expected(fields)
        one_to_one = self.bench.ONE_TO_ONE
        shown = []
        for each in _transfers(fields):
            self.sources["i"].send(self.packer.pack("i", **each))
            if one_to_one:
                shown.append(", ".join(f"{name} = {_hex(x)}" for name, x in each.items()))
        for n, each in enumerate(_transfers(want)):
            self._coming.append(list(each))
            self._queued += len(each)
            context = shown[n] if one_to_one else f"transfer {n} of {length(want)}"
            for name, value in each.items():
                bits = self.packer.bits("o", name)
                code = self.packer.pack("o", **{name: value}) >> bits.start
                self.sums.expect(code, f"{name} of {context}")

    def _on_result(self, payload: int) -> None:
        if not self._coming:
            self.sums.observe(payload)  # which says that nothing was expected
        for name in self._coming.popleft():
            bits = self.packer.bits("o", name)
            self.sums.observe(payload >> bits.start & (1 << bits.stop - bits.start) - 1)


def _transfers(fields: Fields) -> Iterator[dict[str, Any]]:
    """Yield transfers as plain integers and lists of them."""
    columns = [column.tolist() for column in fields.values()]
    for each in zip(*columns, strict=True):
        yield dict(zip(fields, each, strict=True))


def _hex(value: Any) -> str:
    return f"[{', '.join(map(hex, value))}]" if isinstance(value, list) else hex(value)


class OutputStationaryDriver(Driver):
    """Drives an array whose sums stay: tile after tile of the product."""

    def __init__(self, dut: Any, **traffic: Any) -> None:
        super().__init__(dut, **traffic)
        # For each row that comes: whether it is the last of its tile, and its sums.
        self._coming: deque[tuple[bool, list[tuple[int, str]]]] = deque()

    def _send(self, a: Codes, b: Codes, want: Codes) -> None:
        assert isinstance(self.design, Systolic)
        terms = a.shape[1]
        for tile in tiles(self.design, a, b):
            operands = zip(tile.activations.tolist(), tile.weights.tolist(), strict=True)
            for n, (x, y) in enumerate(operands):
                self.sources["i"].send(
                    self.packer.pack("i", activations=x, weights=y, last=n == terms - 1)
                )
            columns = b.T[tile.columns].tolist()
            rows = range(tile.rows.start, tile.rows.start + self.design.array.rows)
            for row in rows:
                sums = []
                if row < tile.rows.stop:
                    shown = [_shown(list(zip(a[row].tolist(), y, strict=True))) for y in columns]
                    sums = list(zip(want[row, tile.columns].tolist(), shown, strict=True))
                self._coming.append((row == rows[-1], sums))

    def _on_result(self, payload: int) -> None:
        if not self._coming:
            self.sums.observe(payload)  # which says that nothing was expected
        last, sums = self._coming.popleft()
        assert self.packer.unpack("o", payload, "last") == [last], "o: last in the wrong place"
        for n, (expected, shown) in enumerate(sums):
            self.sums.expect(expected, f"column {n}, {shown}")
            self.sums.observe(self.packer.unpack("o", payload, "sums")[n])


def driver_for(dut: Any, **traffic: Any) -> Driver:
    """Return the driver of the design under test."""
    design = Job.current().design
    units: dict[type, type[Driver]] = {
        Dot: DotDriver,
        Mac: MacDriver,
        Systolic: StationaryDriver,
    }
    units |= dict.fromkeys(TRANSFERS, TransferDriver)
    if isinstance(design, Systolic) and design.array.dataflow == "os":
        return OutputStationaryDriver(dut, **traffic)
    return units[type(design)](dut, **traffic)


def random_traffic(
    rng: np.random.Generator, *, gaps: bool = False, stalls: bool
) -> dict[str, Iterable[int] | None]:
    """Return what a driver takes for random gaps before transfers, and a random ``ready``."""

    def draws(below: int) -> Iterator[int]:
        return (int(n) for _ in itertools.count() for n in rng.integers(below, size=1000))

    return {
        "gaps": draws(4) if gaps else itertools.repeat(0),
        "ready": draws(2) if stalls else None,
    }


def _shown(pairs: list[tuple[int, int]]) -> str:
    """Operands as a failure message has them: enough to run them again."""
    text = ", ".join(f"{x:#x}*{y:#x}" for x, y in pairs[:32])
    return f"a*b = {text}" + (f" and {len(pairs) - 32} more" if len(pairs) > 32 else "")
