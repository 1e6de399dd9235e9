"""Tests of shifters and of what finds the leading one: all operands of a few bits."""

import itertools

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from minimac.rtl.shift import leading_zeros, leading_zeros_of_sum, shift_left, shift_right_sticky


def evaluate(widths, build, operands):
    """Build a function of signals of these widths; return its value for each set of operands."""
    m = Module()
    inputs = [Signal(width, name=f"i{n}") for n, width in enumerate(widths)]
    found = build(m, *inputs)
    result = Signal(len(found))
    m.d.comb += result.eq(found)
    values = []

    async def drive(ctx):
        for numbers in operands:
            for signal, number in zip(inputs, numbers, strict=True):
                ctx.set(signal, number)
            values.append(ctx.get(result))

    simulator = Simulator(m)
    simulator.add_testbench(drive)
    simulator.run()
    return values


def every(*widths):
    """Return all operands of these widths."""
    return list(itertools.product(*(range(1 << width) for width in widths)))


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize(
    ("width", "bits"), [(1, 1), (2, 1), (3, 3), (4, 2), (5, 4), (6, 2), (6, 5)]
)
def test_shift_right(width, bits, sticky):
    cases = every(width, bits)

    def build(m, value, amount):
        return shift_right_sticky(m, value, amount, sticky=sticky)

    for (value, amount), result in zip(cases, evaluate((width, bits), build, cases), strict=True):
        lost = value & ((1 << amount) - 1) != 0
        assert result == value >> amount | (sticky and lost), (value, amount)


@pytest.mark.parametrize(("width", "bits"), [(1, 1), (3, 3), (4, 2), (6, 4)])
def test_shift_left(width, bits):
    cases = every(width, bits)
    for (value, amount), result in zip(
        cases, evaluate((width, bits), shift_left, cases), strict=True
    ):
        assert result == value << amount & (1 << width) - 1, (value, amount)


@pytest.mark.parametrize("width", range(1, 10))
def test_leading_zeros(width):
    cases = every(width)[1:]
    for (value,), count in zip(cases, evaluate((width,), leading_zeros, cases), strict=True):
        assert count == width - value.bit_length(), value


@pytest.mark.parametrize("width", range(1, 7))
def test_leading_zeros_of_a_sum_or_difference_are_at_most_one_too_few(width):
    cases = [case for case in every(width, width, 1) if case[0] != case[1] or not case[2]][1:]
    counts = evaluate((width, width, 1), leading_zeros_of_sum, cases)
    short = set()
    for (x, y, subtract), count in zip(cases, counts, strict=True):
        zeros = width + 1 - abs(x - y if subtract else x + y).bit_length()
        assert zeros - 1 <= count <= zeros, (x, y, subtract)
        short.add((subtract, zeros - count))
    if width > 2:
        assert short == {(0, 0), (0, 1), (1, 0), (1, 1)}
