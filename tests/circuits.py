"""What tests of circuits share: codes to try, and transfers through a simulated unit."""

import random

from amaranth.sim import Simulator

import chains
import oracle
from minimac.rtl import create

__all__ = ["run_chains", "run_unit", "some_codes"]


def some_codes(fmt, seed):
    """List all codes that mean something, or, of a wide format, a few hundred of them."""
    if fmt.width <= 8:
        return chains.valid_codes(fmt.name)
    rng = random.Random(f"{seed} {fmt.name}")
    top = 1 << fmt.width
    near_ends = [n + end for end in (0, top // 2, top) for n in range(-4, 4)]
    drawn = [rng.randrange(top) for _ in range(300)]
    subnormal = [code % (1 << getattr(fmt, "man_bits", 0)) for code in drawn[:50]]
    codes = [*(code % top for code in near_ends), *drawn, *subnormal]
    return [code for code in codes if oracle.is_valid(fmt, code)]


def run_unit(dut, transfers, count, stalls=None):
    """Send transfers through a unit; return those that come out, as dicts, and cycles taken.

    ``stalls`` is the seed of an output that is not always ready, and an input not always valid.
    """
    got, cycles = [], 0
    names = dut.o.payload.shape().members
    rng = random.Random(stalls)

    def shown(value):
        return value if isinstance(value, int) else list(value)

    async def drive(ctx):
        for payload in transfers:
            while stalls is not None and rng.random() < 0.3:
                await ctx.tick()
            ctx.set(dut.i.payload, payload)
            ctx.set(dut.i.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        nonlocal cycles
        fields = [getattr(dut.o.payload, name) for name in names]
        while len(got) < count:
            ctx.set(dut.o.ready, ready := stalls is None or rng.random() < 0.6)
            _, _, valid, *values = await ctx.tick().sample(dut.o.valid, *fields)
            if valid and ready:
                got.append(dict(zip(names, map(shown, values), strict=True)))
            cycles += 1
            assert cycles < 100 * (count + 100), f"{len(got)} of {count} results came"

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch)
    simulator.run()
    return got, cycles


def run_chains(design, operands):
    """Send chains, pairs of lists of codes, through a ``mac`` back to back; return its results."""
    transfers = [
        {"a": x, "b": y, "last": n == len(a) - 1}
        for a, b in operands
        for n, (x, y) in enumerate(zip(a, b, strict=True))
    ]
    got, _ = run_unit(create(design), transfers, len(operands))
    return [each["sum"] for each in got]
