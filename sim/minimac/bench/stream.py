"""Drivers and monitors of ready/valid streams, as defined by ``amaranth.lib.stream``.

Signals are sampled just before a rising clock edge and driven just after it.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import cocotb
from cocotb.task import Task
from cocotb.triggers import RisingEdge

__all__ = ["StreamMonitor", "StreamSink", "StreamSource"]


class _Port:
    """The signals of a stream port, found by the names that Amaranth gives them."""

    def __init__(self, dut: Any, name: str) -> None:
        self.name = name
        self.clk = dut.clk
        self.payload = dut[f"{name}__payload"]
        self.valid = dut[f"{name}__valid"]
        self.ready = dut[f"{name}__ready"]


class StreamSource:
    """Drives an input stream.

    Parameters
    ----------
    dut, name
        Device under test, and the name of its stream port.
    gaps : iterable of int
        Idle cycles before each transfer; 0 is back to back. Must not end before the transfers do.

    Attributes
    ----------
    sent : int
        Transfers accepted so far.
    """

    def __init__(self, dut: Any, name: str, gaps: Iterable[int] = itertools.repeat(0)) -> None:
        self._port = _Port(dut, name)
        self._gaps = iter(gaps)
        self._queue: deque[int] = deque()
        self.sent = 0
        self._port.valid.value = 0
        self._port.payload.value = 0

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
        port, edge = self._port, RisingEdge(self._port.clk)
        gap = next(self._gaps)
        offered = False
        while True:
            await edge
            if offered and port.ready.value == 1:
                self._queue.popleft()
                self.sent += 1
                offered = False
                port.valid.value = 0
                gap = next(self._gaps)
            if not offered and self._queue:
                if gap:
                    gap -= 1
                    continue
                port.payload.value = self._queue[0]
                port.valid.value = 1
                offered = True


class StreamSink:
    """Drives ``ready`` of an output stream: one item of ``ready`` per cycle."""

    def __init__(self, dut: Any, name: str, ready: Iterable[int] | None = None) -> None:
        self._port = _Port(dut, name)
        self._ready = ready
        self._port.ready.value = int(ready is None)

    def start(self) -> Task[None]:
        """Start driving."""
        return cocotb.start_soon(self._run())

    async def _run(self) -> None:
        edge = RisingEdge(self._port.clk)
        for ready in self._ready or ():
            self._port.ready.value = ready
            await edge


class StreamMonitor:
    """Reports every transfer, and fails the test if the producer breaks the rules of streams.

    Parameters
    ----------
    dut, name
        Device under test, and the name of its stream port.
    on_transfer : callable
        Called with the payload of every transfer.
    """

    def __init__(self, dut: Any, name: str, on_transfer: Callable[[int], None]) -> None:
        self._port = _Port(dut, name)
        self._on_transfer = on_transfer

    def start(self) -> Task[None]:
        """Start watching."""
        return cocotb.start_soon(self._run())

    async def _run(self) -> None:
        port, edge = self._port, RisingEdge(self._port.clk)
        waiting: int | None = None  # payload offered but not yet accepted
        while True:
            await edge
            valid = port.valid.value == 1
            if waiting is not None:
                assert valid, f"{port.name}: valid was withdrawn before the transfer"
            if not valid:
                continue
            payload = port.payload.value.to_unsigned()
            if waiting is not None:
                assert payload == waiting, f"{port.name}: payload changed while waiting for ready"
            if port.ready.value == 1:
                self._on_transfer(payload)
                waiting = None
            else:
                waiting = payload
