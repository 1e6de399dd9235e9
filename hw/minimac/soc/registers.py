"""The register map and the packet layer, said once: what decoder, driver and documentation follow.

A host sends a request and waits for its response. Both are frames as in PPP (RFC 1662): between two
flags, with flags and escapes inside escaped, and a CRC-32 at the end. A flag always begins a frame
anew, so a receiver that has lost its place finds it at the next one, without any time-out.

All that can be reached are words in *spaces*: registers, and one space for each buffer.
"""

from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "BAUD",
    "COUNTERS",
    "ESCAPE",
    "ESCAPED",
    "FLAG",
    "FRAME_BYTES",
    "HEADER",
    "LEAST_BYTES",
    "MAGIC",
    "REGISTERS",
    "VERSION",
    "Control",
    "Kind",
    "Register",
    "Space",
    "Status",
]

#: Version of all that is in this module; a host refuses another one.
VERSION = 1
MAGIC = int.from_bytes(b"mmac", "big")

#: Bits a second on a serial line: a whole number of cycles of the clocks that boards have.
BAUD = 1_000_000

#: Bytes that RFC 1662 gives a meaning, and what escaped bytes are combined with by exclusive or.
FLAG, ESCAPE, ESCAPED = 0x7E, 0x7D, 0x20

#: Most bytes between flags, before escapes, with the CRC.
FRAME_BYTES = 1024

#: Fields of a request before its data: names, bytes (lowest first) and meanings.
HEADER = {
    "kind": (1, "what is to be done"),
    "sequence": (1, "number that the response repeats"),
    "space": (1, "where"),
    "address": (2, "first word"),
    "count": (2, "number of words"),
}
_CRC_BYTES = 4
LEAST_BYTES = sum(size for size, _ in HEADER.values()) + _CRC_BYTES


class Kind(IntEnum):
    """What a request wants; a response has the same number plus 128."""

    READ = 1
    WRITE = 2


class Status(IntEnum):
    """How a request went: the third byte of a response, which has data only if it is 0."""

    OK = 0
    KIND = 1
    SPACE = 2
    RANGE = 3
    LENGTH = 4
    BUSY = 5


class Space(IntEnum):
    """Where words are."""

    REGISTERS = 0
    ACTIVATIONS = 1
    WEIGHTS = 2
    RESULTS = 3
    DESCRIPTION = 4


class Control(IntEnum):
    """Bits of the register ``control``."""

    START = 0
    FIRST = 1
    LAST = 2


@dataclass(frozen=True)
class Register:
    """A register of 32 bits.

    Parameters
    ----------
    name : str
        Its name; its address is its place in :data:`REGISTERS`.
    meaning : str
        What it holds.
    writable : bool
        Whether a host may write it; it reads as zero.
    """

    name: str
    meaning: str
    writable: bool = False


#: Counters of frames and of what was wrong with them, modulo 2**16.
COUNTERS = {
    "frames": "frames that were whole, with the right CRC",
    "damaged": "frames with a wrong CRC, or cut off within an escape",
    "short": f"frames of fewer than {LEAST_BYTES} bytes; empty ones do not count",
    "long": f"frames of more than {FRAME_BYTES} bytes",
    "line": "frames in which the line had an error: no stop bit",
    "overrun": "frames that came while the one before was still in work",
    "repeated": "writes that had been carried out before: answered, and not carried out again",
    "refused": "requests with another answer than OK",
}

#: All registers, in the order of their addresses.
REGISTERS = (
    Register("identity", '"mmac", m highest'),
    Register("version", "version of this map and of the frames"),
    Register("digest_low", "hash of the design, lower half"),
    Register("digest_high", "hash of the design, upper half"),
    Register("description", "bytes of the space DESCRIPTION"),
    Register("depth", "words of each buffer"),
    Register("clock_hz", "clock"),
    Register("status", "bit 0: a run is under way"),
    Register("vectors", "vectors of a pass; terms, of an output-stationary array", writable=True),
    Register("passes", "passes of a run; 1, of an output-stationary array", writable=True),
    Register(
        "control",
        "bit 0: start a run; bit 1: its chains begin with it; bit 2: they end with it",
        writable=True,
    ),
    Register("moved", "cycles in which the array took a vector, modulo 2**32"),
    Register("stalled", "other cycles of runs, modulo 2**32"),
    *(Register(name, f"{meaning}; modulo 2**16") for name, meaning in COUNTERS.items()),
)
