"""Frames of :mod:`minimac.soc.registers`, in software."""

import zlib
from collections.abc import Iterator

from minimac.soc.registers import ESCAPE, ESCAPED, FLAG

__all__ = ["Decoder", "frame"]

_CRC_BYTES = 4


def frame(content: bytes) -> bytes:
    """Return a frame with some content.

    Examples
    --------
    >>> frame(b"a~").hex(" ")
    '7e 61 7d 5e 22 14 82 8a 7e'
    """
    whole = content + zlib.crc32(content).to_bytes(_CRC_BYTES, "little")
    for special in (ESCAPE, FLAG):  # escapes first, or those of flags would be escaped
        whole = whole.replace(bytes([special]), bytes([ESCAPE, special ^ ESCAPED]))
    return bytes([FLAG]) + whole + bytes([FLAG])


class Decoder:
    """Finds the frames in a stream of bytes, whatever else is in it.

    Examples
    --------
    >>> decoder = Decoder()
    >>> list(decoder.feed(b"garbage" + frame(b"one") + frame(b"two")[:-3]))
    [b'one']
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Take bytes; yield the content of each whole frame that they end."""
        *parts, self._rest = (self._rest + received).split(bytes([FLAG]))
        for part in parts:
            first, *others = part.split(bytes([ESCAPE]))
            if all(others):  # else it was cut off within an escape
                whole = first + b"".join(bytes([x[0] ^ ESCAPED]) + x[1:] for x in others)
                content, crc = whole[:-_CRC_BYTES], whole[-_CRC_BYTES:]
                if content and zlib.crc32(content) == int.from_bytes(crc, "little"):
                    yield content
