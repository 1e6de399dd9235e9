"""Tests of :mod:`minimac.soc.uart`."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from minimac.soc.uart import Receiver, Transmitter


def levels(byte: int, stop: int = 1) -> list[int]:
    """Return the bits of a byte on a line, by the definition of 8N1."""
    return [0, *((byte >> n) & 1 for n in range(8)), stop]


def receive(divisor: int, line: list[int]) -> tuple[list[int], int]:
    """Run a receiver on a line; return its bytes and the number of errors."""
    receiver, got, errors = Receiver(divisor), [], 0

    async def bench(ctx):
        nonlocal errors
        for level in line + [1] * 20 * divisor:
            ctx.set(receiver.line, level)
            *_, valid, byte, error = await ctx.tick().sample(
                receiver.valid, receiver.o, receiver.error
            )
            errors += error
            if valid:
                got.append(byte)

    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got, errors


@pytest.mark.parametrize("divisor", [1, 2, 3, 8])
def test_a_receiver_takes_bytes_back_to_back(divisor, seed):
    sent = np.random.default_rng(seed).integers(0, 256, 20).tolist()
    line = [bit for byte in sent for bit in levels(byte) for _ in range(divisor)]
    assert receive(divisor, [1] * 5 + line) == (sent, 0)


def test_a_receiver_takes_a_clock_that_is_off(seed):
    sent = np.random.default_rng(seed).integers(0, 256, 10).tolist()
    bits = [bit for byte in sent for bit in levels(byte)]
    for factor in (0.96, 1.04):
        line = [bits[int(n / (16 * factor))] for n in range(int(len(bits) * 16 * factor))]
        assert receive(16, [1, *line]) == (sent, 0)


def test_a_byte_without_a_stop_bit_is_an_error_and_the_next_is_taken():
    line = [bit for bit in levels(0x55, stop=0) + [0] * 30 + [1] + levels(0xA7) for _ in range(4)]
    assert receive(4, line) == ([0xA7], 1)


@pytest.mark.parametrize("divisor", [1, 2, 5])
def test_a_transmitter_sends_what_the_definition_says(divisor, seed):
    transmitter = Transmitter(divisor)
    sent = np.random.default_rng(seed).integers(0, 256, 5).tolist()
    line = []

    async def bench(ctx):
        left = list(sent)
        for _ in range(60 * divisor + 20):
            ctx.set(transmitter.i.valid, bool(left))
            ctx.set(transmitter.i.payload, left[0] if left else 0)
            *_, ready, level = await ctx.tick().sample(transmitter.i.ready, transmitter.line)
            if left and ready:
                left.pop(0)
            line.append(level)

    simulator = Simulator(transmitter)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    got, at = [], 0
    while 0 in line[at:]:
        at = line.index(0, at)
        bits = line[at : at + 10 * divisor]
        assert bits == [bit for bit in bits[::divisor] for _ in range(divisor)]
        byte = sum(bit << n for n, bit in enumerate(bits[divisor : 9 * divisor : divisor]))
        assert bits[::divisor] == levels(byte)
        got.append(byte)
        at += 10 * divisor
    assert got == sent
