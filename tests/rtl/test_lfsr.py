"""Tests of the shift register that random bits come from: the definition, model and circuit."""

import itertools

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from minimac.model import draw_bits
from minimac.rtl.lfsr import shift_register
from minimac.spec import Lfsr, SpecError, load_design

FACTORS = (3, 5, 17, 257, 65537)  # of 2**32 - 1


def multiply(x, y, polynomial):
    """Multiply polynomials over two elements, modulo another of degree 32."""
    total = 0
    for n in range(32):
        if y >> n & 1:
            total ^= x << n
    for n in reversed(range(32, 64)):
        if total >> n & 1:
            total ^= polynomial << n - 32
    return total


def power(exponent, polynomial):
    total, square = 1, 2
    while exponent:
        if exponent & 1:
            total = multiply(total, square, polynomial)
        square, exponent = multiply(square, square, polynomial), exponent >> 1
    return total


def test_the_polynomial_is_primitive():
    """Its root has the order 2**32 - 1: that power is 1, and no power of a divisor is."""
    polynomial = sum(1 << 32 - tap for tap in Lfsr.TAPS) | 1 << 32
    period = (1 << 32) - 1
    assert power(period, polynomial) == 1
    assert all(power(period // factor, polynomial) != 1 for factor in FACTORS)


@pytest.mark.parametrize("bits", [1, 8, 25, 32])
def test_circuit_moves_as_the_model(bits, seed):
    lfsr = Lfsr(bits, 12345 + seed)
    m, step, random, seen = Module(), Signal(), Signal(bits), []
    m.d.comb += random.eq(shift_register(m, lfsr, step))

    async def watch(ctx):
        for n in range(100):
            ctx.set(step, n % 3 != 1)
            if n % 3 != 1:
                seen.append(ctx.get(random))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(watch)
    simulator.run()
    assert seen == [*itertools.islice(draw_bits(lfsr), len(seen))]


def test_no_two_transfers_share_a_bit():
    words = [*itertools.islice(draw_bits(Lfsr(7, 99)), 50)]
    (one_by_one,) = [[*itertools.islice(draw_bits(Lfsr(1, 99)), 350 + 7)]]
    # A word holds the newest bit lowest: those of one step at a time, seven later.
    for n in range(1, 50):
        newest = one_by_one[7 * n - 6 : 7 * n + 1]
        assert words[n] == sum(bit << 6 - k for k, bit in enumerate(newest))


def test_lanes_have_seeds_of_their_own():
    seeds = {Lfsr(8, 1).lane(n).seed for n in range(256)}
    assert len(seeds) == 256
    assert Lfsr(8, (1 << 32) - 0x9E3779B9).lane(1).seed == 1


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"random": "lfsr"}, "random: is for a stochastic out_round, and rne is none"),
        ({"out_round": "sr_a", "random_bits": 33}, "random_bits: must be 1 to 32, not 33"),
        ({"out_round": "sr_a", "seed": 3}, "seed: is for random: lfsr"),
        ({"out_round": "sr_a", "random": "lfsr", "seed": 0}, "seed: must be 1 to 4294967295"),
        ({"out_round": "sr_a", "random": "lfsr", "reset": "none"}, "random: lfsr starts from its"),
    ],
)
def test_what_is_refused(tree, said):
    with pytest.raises(SpecError, match=f"^{said}"):
        load_design({"name": "m", "unit": "convert", "a": "bf16", "out": "e4m3fn", **tree})
