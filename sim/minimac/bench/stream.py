"""Drivers and monitors of ready/valid streams, on wires of their own or behind a bus.

Signals are sampled just before a rising clock edge and driven just after it.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import cocotb
from cocotb.task import Task
from cocotb.triggers import RisingEdge

from minimac.bench.device import Bus, Device
from minimac.bench.run import Job
from minimac.bench.traffic import PortPacker

__all__ = ["StreamMonitor", "StreamSink", "StreamSource"]

_WORD = 32
_STATUS, _CONTROL = 8, 12  # offsets of registers


class _Wires:
    """The signals of a stream, found by the description of the interface."""

    def __init__(self, device: Device, name: str) -> None:
        told = device.told["streams"][name]
        packer = PortPacker(Job.current().design)
        self.name = name
        self.device = device
        self.edge = RisingEdge(device.clk)
        self.valid, self.ready = device[told["valid"]], device[told["ready"]]
        #: Port, lowest bit there, and bits of the payload, of each field.
        self._places = [
            (place["port"], place["lowest_bit"], packer.bits(name, field))
            for field, place in told["fields"].items()
        ]

    def drive(self, payload: int) -> None:
        """Drive the fields."""
        ports = {port: 0 for port, *_ in self._places}
        for port, low, bits in self._places:
            ports[port] |= _cut(payload, bits) << low
        for port, value in ports.items():
            self.device[port].value = value

    def payload(self) -> int:
        """Sample the fields."""
        sampled = 0
        for port, low, bits in self._places:
            value = self.device[port].value
            assert set(str(value)) <= {"0", "1"}, f"{self.name}: payload is undefined: {value}"
            width = bits.stop - bits.start
            sampled |= (int(value) >> low & (1 << width) - 1) << bits.start
        return sampled

    async def send(self, payload: int) -> None:
        """Offer a payload until it is taken."""
        self.drive(payload)
        self.valid.value = 1
        while True:
            await self.edge
            if self.ready.value == 1:
                break
        self.valid.value = 0


def _cut(value: int, bits: slice) -> int:
    low, high = bits.start, bits.stop
    return value >> int(low) & (1 << int(high - low)) - 1


class _Registers:
    """A stream behind a bus."""

    def __init__(self, device: Device, bus: Bus, name: str) -> None:
        told = device.told["streams"][name]
        packer = PortPacker(Job.current().design)
        self.edge = RisingEdge(device.clk)
        self._bus = bus
        self._bit = 1 << told["bit"]
        self._places = [
            (place["offset"], packer.bits(name, field)) for field, place in told["fields"].items()
        ]

    async def _wait(self) -> None:
        while not await self._bus.read(_STATUS) & self._bit:
            pass

    async def send(self, payload: int) -> None:
        """Write a payload, once the registers are free, and have it sent."""
        await self._wait()
        for offset, bits in self._places:
            value = _cut(payload, bits)
            for n in range(-(-(bits.stop - bits.start) // _WORD)):
                await self._bus.write(offset + 4 * n, value >> n * _WORD & (1 << _WORD) - 1)
        await self._bus.write(_CONTROL, self._bit)

    async def receive(self) -> int:
        """Wait for a payload, read and drop it."""
        await self._wait()
        payload = 0
        for offset, bits in self._places:
            for n in range(-(-(bits.stop - bits.start) // _WORD)):
                payload |= await self._bus.read(offset + 4 * n) << bits.start + n * _WORD
        await self._bus.write(_CONTROL, self._bit)
        return payload


class StreamSource:
    """Drives an input stream.

    Parameters
    ----------
    dut, name
        Device under test, and the name of its stream.
    gaps : iterable of int
        Idle cycles before each transfer; 0 is back to back. Must not end before the transfers do.

    Attributes
    ----------
    sent : int
        Transfers accepted so far.
    """

    def __init__(self, dut: Any, name: str, gaps: Iterable[int] = itertools.repeat(0)) -> None:
        device = Device.of(dut)
        self._port: _Wires | _Registers
        if device.bus is None:
            self._port = _Wires(device, name)
            self._port.valid.value = 0
            self._port.drive(0)
        else:
            self._port = _Registers(device, device.bus, name)
        self._gaps = iter(gaps)
        self._queue: deque[int] = deque()
        self.sent = 0

    def send(self, payload: int) -> None:
        """Queue a payload; does not wait for the transfer."""
        self._queue.append(payload)

    @property
    def waiting(self) -> int:
        """Payloads not accepted yet."""
        return len(self._queue)

    def start(self) -> Task[None]:
        """Start driving."""
        return cocotb.start_soon(self._run())

    async def _run(self) -> None:
        port = self._port
        await port.edge
        while True:
            while not self._queue:
                await port.edge
            for _ in range(next(self._gaps)):
                await port.edge
            await port.send(self._queue[0])
            self._queue.popleft()
            self.sent += 1


class StreamSink:
    """Drives ``ready`` of an output stream: one item of ``ready`` per cycle.

    Behind a bus there is nothing to drive.
    """

    def __init__(self, dut: Any, name: str, ready: Iterable[int] | None = None) -> None:
        device = Device.of(dut)
        self._port = _Wires(device, name) if device.bus is None else None
        self._ready = ready
        if self._port:
            self._port.ready.value = int(ready is None)

    def start(self) -> Task[None]:
        """Start driving."""
        return cocotb.start_soon(self._run())

    async def _run(self) -> None:
        if self._port:
            for ready in self._ready or ():
                self._port.ready.value = ready
                await self._port.edge


class StreamMonitor:
    """Reports every transfer, and fails the test if the producer breaks the rules of streams.

    Behind a bus it takes the transfers, too.

    Parameters
    ----------
    dut, name
        Device under test, and the name of its stream.
    on_transfer : callable
        Called with the payload of every transfer.
    """

    def __init__(self, dut: Any, name: str, on_transfer: Callable[[int], None]) -> None:
        device = Device.of(dut)
        self._port: _Wires | _Registers
        if device.bus is None:
            self._port = _Wires(device, name)
        else:
            self._port = _Registers(device, device.bus, name)
        self._on_transfer = on_transfer

    def start(self) -> Task[None]:
        """Start watching."""
        if isinstance(self._port, _Registers):
            return cocotb.start_soon(self._take(self._port))
        return cocotb.start_soon(self._watch(self._port))

    async def _take(self, port: _Registers) -> None:
        while True:
            self._on_transfer(await port.receive())

    async def _watch(self, port: _Wires) -> None:
        waiting: int | None = None  # payload offered but not yet accepted
        while True:
            await port.edge
            valid = port.valid.value == 1
            if not port.device.enabled:
                assert not valid, f"{port.name}: valid without clock enable"
                continue
            if waiting is not None:
                assert valid, f"{port.name}: valid was withdrawn before the transfer"
            if not valid:
                continue
            payload = port.payload()
            if waiting is not None:
                assert payload == waiting, f"{port.name}: payload changed while waiting for ready"
            if port.ready.value == 1:
                self._on_transfer(payload)
                waiting = None
            else:
                waiting = payload
