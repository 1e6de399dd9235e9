"""Tests of :mod:`minimac.soc.framing`."""

import zlib

import numpy as np
from amaranth.sim import Simulator

from minimac.soc.framing import Deframer, Framer

EVENTS = ("frames", "damaged", "short", "long", "line", "overrun")


def framed(content: bytes) -> bytes:
    """Frame some bytes as RFC 1662 says, without the code under test."""
    whole = content + zlib.crc32(content).to_bytes(4, "little")
    out = b"\x7e"
    for byte in whole:
        out += bytes([0x7D, byte ^ 0x20]) if byte in (0x7D, 0x7E) else bytes([byte])
    return out + b"\x7e"


def run(stream, *, hold: int = 0) -> tuple[dict[str, int], list[bytes]]:
    """Send bytes to a deframer (None: an error of the line); return its events and frames.

    A frame is released ``hold`` bytes after it has come.
    """
    deframer = Deframer()
    counts, found = dict.fromkeys(EVENTS, 0), []

    async def read(ctx) -> bytes:
        content = b""
        for n in range(ctx.get(deframer.length)):
            ctx.set(deframer.address, n)
            await ctx.tick()
            content += bytes([ctx.get(deframer.byte)])
        return content

    async def bench(ctx):
        held = 0
        for item in [*stream, *[-1] * (hold + 3)]:
            ctx.set(deframer.error, item is None)
            ctx.set(deframer.valid, item is not None and item >= 0)
            ctx.set(deframer.i, item if item is not None and item >= 0 else 0)
            await ctx.delay(1e-8)
            for event in EVENTS:
                counts[event] += ctx.get(getattr(deframer, event))
            await ctx.tick()
            ctx.set(deframer.valid, 0)
            ctx.set(deframer.error, 0)
            if ctx.get(deframer.whole):
                held += 1
                if held > hold:
                    held = 0
                    found.append(await read(ctx))
                    ctx.set(deframer.release, 1)
                    await ctx.tick()
                    ctx.set(deframer.release, 0)

    simulator = Simulator(deframer)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return counts, found


def expect(**counts: int) -> dict[str, int]:
    return dict.fromkeys(EVENTS, 0) | counts


def test_whole_frames_come_through(seed):
    rng = np.random.default_rng(seed)
    contents = [bytes(range(0x60, 0x80)), b"\x7e\x7d" * 6, rng.bytes(40)]
    counts, found = run(b"".join(map(framed, contents)))
    assert (counts, found) == (expect(frames=3), contents)


def test_what_is_wrong_is_counted_and_dropped():
    good = framed(b"0123456789")
    flipped = good[:5] + bytes([good[5] ^ 1]) + good[6:]
    assert run(flipped) == (expect(damaged=1), [])
    assert run(good[:8] + good) == (expect(short=1, frames=1), [b"0123456789"])
    assert run(good[:-2] + good) == (expect(damaged=1, frames=1), [b"0123456789"])
    assert run(good[:-1] + b"\x7d\x7e" + good) == (expect(damaged=1, frames=1), [b"0123456789"])
    assert run(framed(b"012345")) == (expect(short=1), [])
    assert run(b"garbage" + good) == (expect(short=1, frames=1), [b"0123456789"])
    assert run([*good[:4], None, *good[5:], *good]) == (
        expect(line=1, frames=1),
        [b"0123456789"],
    )
    assert run(b"\x7e" * 5) == (expect(), [])


def test_frames_that_are_too_long_do_no_harm(seed):
    rng = np.random.default_rng(seed)
    longest, longer = rng.bytes(1020), rng.bytes(1021)
    counts, found = run(framed(longer) + framed(longest) + framed(longer))
    assert (counts, found) == (expect(long=2, frames=1), [longest])


def test_what_comes_while_a_frame_is_in_work_is_an_overrun():
    first, second = framed(b"0123456789"), framed(b"abcdefghij")
    counts, found = run(first + second + second, hold=10)
    assert (counts, found) == (expect(frames=2, overrun=1), [b"0123456789", b"abcdefghij"])


def test_a_framer_frames_as_the_rfc_says(seed):
    framer = Framer()
    contents = [b"\x7e\x7d~}0", np.random.default_rng(seed).bytes(30), b"x"]
    got = b""

    async def bench(ctx):
        nonlocal got
        left = [(byte, n == len(x) - 1) for x in contents for n, byte in enumerate(x)]
        rng = np.random.default_rng(seed)
        for _ in range(400):
            ctx.set(framer.i.valid, bool(left))
            if left:
                ctx.set(framer.i.p.byte, left[0][0])
                ctx.set(framer.i.p.last, left[0][1])
            ctx.set(framer.o.ready, int(rng.integers(2)))
            *_, taken, sent, byte = await ctx.tick().sample(
                framer.i.valid & framer.i.ready, framer.o.valid & framer.o.ready, framer.o.payload
            )
            if taken:
                left.pop(0)
            if sent:
                got += bytes([byte])

    simulator = Simulator(framer)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert got == b"".join(map(framed, contents))
