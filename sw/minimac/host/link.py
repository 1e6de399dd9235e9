"""Requests to a board and its responses, over a serial port."""

import os
import time
from typing import Any

from minimac.host.errors import HostError
from minimac.host.frames import Decoder, frame
from minimac.soc.registers import (
    FRAME_BYTES,
    HEADER,
    LEAST_BYTES,
    REGISTERS,
    Kind,
    Space,
    Status,
)

__all__ = ["DATA_BYTES", "REGISTER_BYTES", "Link"]

#: Most bytes of data in a frame.
DATA_BYTES = FRAME_BYTES - LEAST_BYTES
REGISTER_BYTES = 4
_NAMES = [register.name for register in REGISTERS]


class Link:
    """The other end of :class:`minimac.soc.engine.Engine`: reads and writes words of spaces.

    A request that is not answered in time is sent again, with the same number, so that nothing is
    done twice.

    Parameters
    ----------
    port : serial.Serial or alike
        Where bytes go and come from: ``write``, ``read``, ``in_waiting``, ``close``.
    name : str
        What errors call it.
    timeout_s : float
        How long to wait for a response after its bytes could have come, in s.
    tries : int
        How often a request is sent at most.

    Attributes
    ----------
    retries, bytes_moved : int
        How often requests were sent again; bytes on the line, in both directions.
    """

    def __init__(self, port: Any, name: str, *, timeout_s: float = 1.0, tries: int = 4) -> None:
        self.port, self.name = port, name
        self.timeout_s, self.tries = timeout_s, tries
        self.retries = self.bytes_moved = 0
        self._decoder = Decoder()
        self._sequence = os.urandom(1)[0]

    def close(self) -> None:
        """Close the port."""
        self.port.close()

    def read(self, space: Space, address: int, count: int, width: int) -> bytes:
        """Read words of so many bytes, in as many requests as it takes."""
        found = []
        most = DATA_BYTES // width or 1
        for first in range(address, address + count, most):
            some = min(most, address + count - first)
            got = self._request(Kind.READ, space, first, some, b"", some * width)
            if len(got) != some * width:
                raise HostError(f"{self.name}: {len(got)} bytes came and not {some * width}")
            found.append(got)
        return b"".join(found)

    def write(self, space: Space, address: int, data: bytes, width: int) -> None:
        """Write words of so many bytes, in as many requests as it takes."""
        most = DATA_BYTES // width * width
        if not most:
            raise HostError(f"{self.name}: words of {width} bytes do not go into a frame")
        for start in range(0, len(data), most):
            part = data[start : start + most]
            self._request(Kind.WRITE, space, address + start // width, len(part) // width, part, 0)

    def registers(self, first: str, count: int) -> dict[str, int]:
        """Read registers that follow each other."""
        start = _NAMES.index(first)
        data = self.read(Space.REGISTERS, start, count, REGISTER_BYTES)
        values = (
            int.from_bytes(data[low : low + REGISTER_BYTES], "little")
            for low in range(0, len(data), REGISTER_BYTES)
        )
        return dict(zip(_NAMES[start:], values))

    def set_registers(self, first: str, *values: int) -> None:
        """Write registers that follow each other, in one request."""
        data = b"".join(value.to_bytes(REGISTER_BYTES, "little") for value in values)
        self.write(Space.REGISTERS, _NAMES.index(first), data, REGISTER_BYTES)

    def _request(
        self, kind: Kind, space: Space, address: int, count: int, data: bytes, expected: int
    ) -> bytes:
        """Send a request until it is answered; return the data of the answer."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            status, got = self._exchange(kind, space, address, count, data, expected)
            if status == Status.OK:
                return got
            if status != Status.BUSY or time.monotonic() > deadline:
                said = Status(status).name if status in list(Status) else status
                raise HostError(
                    f"{self.name}: {kind.name} of {count} words at {address} of "
                    f"{space.name} was refused: {said}"
                )

    def _exchange(
        self, kind: Kind, space: Space, address: int, count: int, data: bytes, expected: int
    ) -> tuple[int, bytes]:
        self._sequence = (self._sequence + 1) % 256
        fields = {
            "kind": kind,
            "sequence": self._sequence,
            "space": space,
            "address": address,
            "count": count,
        }
        header = b"".join(
            int(fields[name]).to_bytes(size, "little") for name, (size, _) in HEADER.items()
        )
        sent = frame(header + data)
        for attempt in range(self.tries):
            self.retries += attempt > 0
            self._send(sent)
            found = self._receive(bytes([kind | 0x80, self._sequence]), len(sent) + 2 * expected)
            if found is not None:
                return found[2], found[3:]
        raise HostError(
            f"{self.name}: no answer; is the board there, with a bitstream of minimac, and is the "
            "rate right?"
        )

    def _send(self, sent: bytes) -> None:
        self.bytes_moved += len(sent)
        try:
            self.port.write(sent)
        except OSError as error:
            raise HostError(f"{self.name}: {error}") from None

    def _receive(self, begin: bytes, size: int) -> bytes | None:
        """Wait for the response that begins so; None if it does not come."""
        rate = getattr(self.port, "baudrate", None)
        deadline = time.monotonic() + self.timeout_s + (10 * size / rate if rate else 0)
        while time.monotonic() < deadline:
            try:
                got = self.port.read(self.port.in_waiting or 1)
            except OSError as error:
                raise HostError(f"{self.name}: {error}") from None
            self.bytes_moved += len(got)
            for content in self._decoder.feed(got):
                if content[:2] == begin and len(content) > 2:
                    return content
        return None
