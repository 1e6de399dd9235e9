"""Tests of the generators: random designs in Amaranth's simulator against the definition."""

import random

import pytest
from amaranth.sim import Simulator

import oracle
from minimac.rtl import create
from minimac.spec import FixedPoint, Minifloat, Overflow, Rounding, SpecError, load_design

OPERANDS = [
    "bf16",
    "fp16",
    "e4m3fn",
    "e5m2",
    "e4m3fnuz",
    "e3m2",
    "e2m1",
    "int8",
    "int4:sym",
    "uint8",
    "s4.3",
    "e5m2p3109",
    "e4m3p3109f",
    "ue4m3fn",
    "bf16:ftz",
    "e5m2:ftz",
    "e0m3",
    "e3m0",
    "ue3m2p3109",
    "e4m3fn:bias=11",
    "u2.2",
    # All their sums are small against most of the formats below.
    "s-5.12",
    "s-1.8",
    "e4m3fn:bias=20",
    "s10.-3",
]
OUTS = [
    "bf16",
    "e4m3fn",
    "e5m2",
    "int8",
    "s4.3",
    "ue4m3fn",
    "e4m3fnuz",
    "e3m2",
    "fp32",
    "e3m0",
    "bf16:ftz",
    "e4m3p3109",
    "e0m4",
    "uint8",
    "int16",
    "ue4m3p3109",
    "s3.-1",
    "int8:sym",
    "ue4m3fn:ftz",
    "s-3.9",
    "int4",
]
NORMALIZATIONS = ["exact", "none", "approx(1,1)", "approx(1,2)", "approx(2,2)", "approx(3,1)"]
ROUNDINGS = [str(mode) for mode in Rounding if not mode.stochastic]


def draw_design(rng):
    """Draw a legal ``mac``."""
    while True:
        a = rng.choice(OPERANDS)
        b = a if rng.random() < 0.5 else rng.choice(OPERANDS)
        accumulate = {
            "kind": "float",
            "width": rng.randrange(2, 20),
            "guard": rng.choice([0, 0, 1, 3]),
            "sticky": rng.random() < 0.5,
            "normalize": rng.choice(NORMALIZATIONS),
            "round": rng.choice(ROUNDINGS),
            "max_terms": rng.choice([8, 64, 65536]),
        }
        if rng.random() < 0.3:
            accumulate = {"kind": "exact", "max_terms": rng.choice([8, 100])}
        try:
            found = load_design(
                {
                    "name": "unit",
                    "unit": "mac",
                    "a": a,
                    "b": b,
                    "out": rng.choice(OUTS),
                    "accumulate": accumulate,
                    "out_round": rng.choice(ROUNDINGS),
                    "out_overflow": str(rng.choice(list(Overflow))),
                    "pipeline": rng.choice([0, 1, "auto"]),
                    "clock_mhz": 1000,
                }
            )
        except SpecError:
            continue
        if accumulate["kind"] == "float" or found.sum_bits < 200:
            return found


def draw_code(rng, fmt):
    """Draw a code: often of a size near one, or at an end of the range."""
    code = rng.randrange(1 << fmt.width)
    if isinstance(fmt, Minifloat) and fmt.exp_bits and rng.random() < 0.6:
        near = fmt.bias + rng.randrange(-3, 4)
        ends = [0, 1, (1 << fmt.exp_bits) - 2, (1 << fmt.exp_bits) - 1]
        field = min(max(rng.choice([near, near, rng.choice(ends)]), 0), (1 << fmt.exp_bits) - 1)
        code &= ~(((1 << fmt.exp_bits) - 1) << fmt.man_bits)
        code |= field << fmt.man_bits
    if isinstance(fmt, FixedPoint) and fmt.symmetric and code == 1 << fmt.width - 1:
        return 0
    return code


def draw_chain(rng, design):
    """Draw the operands of a chain; in some, a product comes again with the other sign."""
    k = rng.randrange(1, 9)
    a = [draw_code(rng, design.a) for _ in range(k)]
    b = [draw_code(rng, design.b) for _ in range(k)]
    if k > 1 and rng.random() < 0.4 and isinstance(design.a, Minifloat) and design.a.signed:
        a[1], b[1] = a[0] ^ 1 << design.a.magnitude_bits, b[0]
    return a, b


def run(design, chains):
    """Simulate chains back to back; return the codes that come out."""
    dut = create(design)
    codes = []

    async def drive(ctx):
        for a, b in chains:
            for n, (x, y) in enumerate(zip(a, b, strict=True)):
                ctx.set(dut.i.payload, {"a": x, "b": y, "last": n == len(a) - 1})
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
        ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        ctx.set(dut.o.ready, 1)
        while len(codes) < len(chains):
            await ctx.tick()
            if ctx.get(dut.o.valid):
                codes.append(ctx.get(dut.o.payload.sum))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch)
    simulator.run()
    return codes


@pytest.mark.parametrize("case", range(150))
def test_random_designs_against_the_definition(case, seed):
    rng = random.Random(f"{seed} {case}")
    design = draw_design(rng)
    chains = [draw_chain(rng, design) for _ in range(30)]
    for (a, b), code in zip(chains, run(design, chains), strict=True):
        want = oracle.chain(design, a, b)
        assert code == want, (
            f"{design.as_dict()}, a = {a}, b = {b}: got {code:#x}, expected {want:#x} "
            f"(seed {seed}, case {case})"
        )
