"""What tests of circuits share: codes to try, and chains through a simulated unit."""

import random

from amaranth.sim import Simulator

import chains
import oracle
from minimac.rtl import create

__all__ = ["run_chains", "some_codes"]


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


def run_chains(design, operands):
    """Send chains, pairs of lists of codes, through a ``mac`` back to back; return its results."""
    dut = create(design)
    codes = []

    async def drive(ctx):
        for a, b in operands:
            for n, (x, y) in enumerate(zip(a, b, strict=True)):
                ctx.set(dut.i.payload, {"a": x, "b": y, "last": n == len(a) - 1})
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
        ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        ctx.set(dut.o.ready, 1)
        while len(codes) < len(operands):
            await ctx.tick()
            if ctx.get(dut.o.valid):
                codes.append(ctx.get(dut.o.payload.sum))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch)
    simulator.run()
    return codes
