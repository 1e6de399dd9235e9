"""Tests of :mod:`minimac.host.frames`."""

import zlib

import numpy as np

from minimac.host.frames import Decoder, frame


def framed(content: bytes) -> bytes:
    whole = content + zlib.crc32(content).to_bytes(4, "little")
    escaped = (bytes([0x7D, x ^ 0x20]) if x in (0x7D, 0x7E) else bytes([x]) for x in whole)
    return b"\x7e" + b"".join(escaped) + b"\x7e"


def test_frames_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    for content in [b"\x7e", b"\x7d\x7e" * 8, *(rng.bytes(n) for n in range(1, 60))]:
        assert frame(content) == framed(content)
        assert list(Decoder().feed(framed(content))) == [content]


def test_frames_are_found_in_pieces_and_among_garbage(seed):
    rng = np.random.default_rng(seed)
    contents = [rng.bytes(int(n)) for n in rng.integers(1, 80, 200)]
    stream = b"".join(rng.bytes(int(rng.integers(9))) + framed(x) for x in contents)
    decoder, found = Decoder(), []
    while stream:
        size = int(rng.integers(1, 30))
        found += decoder.feed(stream[:size])
        stream = stream[size:]
    assert found == contents
