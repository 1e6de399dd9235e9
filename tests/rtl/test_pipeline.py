"""Tests of registers inside units: the same codes for any number of them, when they are due."""

import random

import pytest
from amaranth.sim import Simulator

import oracle
from minimac.rtl import create, plan
from minimac.rtl.multiplyadd import MultiplyAddPlan
from minimac.spec import SpecError, load_design

OPERANDS = ["bf16", "e4m3fn", "e5m2", "e2m1", "int8", "int4", "s4.3", "ue4m3fn"]
OUTS = ["bf16", "e4m3fn", "e5m2", "int8", "fp32", "e3m2"]


def draw_fields(rng):
    """Draw a ``mac`` or the array of one element."""
    while True:
        accumulate = {"kind": "exact", "max_terms": 8}
        if rng.random() < 0.6:
            normalize = rng.choice(["exact", "approx(1,2)"])
            accumulate = {"kind": "float", "width": 16, "normalize": normalize, "max_terms": 8}
        fields = {
            "name": "unit",
            "unit": rng.choice(["mac", "systolic"]),
            "a": rng.choice(OPERANDS),
            "b": rng.choice(OPERANDS),
            "out": rng.choice(OUTS),
            "accumulate": accumulate,
            "technology": rng.choice(["asap7", "sky130", "ecp5"]),
            "clock_mhz": rng.choice([50, 200, 1000]),
        }
        if fields["unit"] == "systolic":
            fields["array"] = {"rows": 1, "columns": 1}
        try:
            if load_design(fields).sum_bits < 90:
                return fields
        except SpecError:
            continue


def run(design, chains, rng):
    """Send chains of one product; return codes, and the cycles that each took, without stalls."""
    dut = create(design)
    codes, sent, received = [], [], []
    now = 0

    async def drive(ctx):
        array = design.unit == "systolic"
        for a, b in chains:
            if array:
                ctx.set(dut.w.payload.weights[0], b)
                ctx.set(dut.w.valid, 1)
                await ctx.tick().until(dut.w.ready)
                ctx.set(dut.w.valid, 0)
                ctx.set(dut.i.payload, {"activations": [a], "first": 1, "reload": 1})
            else:
                ctx.set(dut.i.payload, {"a": a, "b": b, "last": 1})
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            sent.append(now)
            ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        nonlocal now
        ctx.set(dut.o.ready, 1)
        while len(codes) < len(chains):
            if ctx.get(dut.o.valid):
                payload = ctx.get(dut.o.payload)
                codes.append(payload.sums[0] if design.unit == "systolic" else payload.sum)
                received.append(now)
            await ctx.tick()
            now += 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch, background=False)
    simulator.run()
    return codes, [end - start for start, end in zip(sent, received, strict=True)]


def places(fields):
    design = load_design(fields)
    loops = design.unit == "mac"
    sections = MultiplyAddPlan(design, loops=loops).accumulator.sections
    from minimac.rtl.delay import Delays

    found = sections(Delays(design.technology))[:-1]
    return sum(section.ahead or not loops for section in found)


@pytest.mark.parametrize("case", range(16))
def test_registers_change_the_latency_and_nothing_else(case, seed):
    rng = random.Random(f"{seed} {case}")
    fields = draw_fields(rng)
    base = load_design(fields)
    chains = [
        (rng.randrange(1 << base.a.width), rng.randrange(1 << base.b.width)) for _ in range(12)
    ]
    wanted = [oracle.chain(base, [a], [b]) for a, b in chains]
    latencies = []
    for pipeline in (*range(places(fields) + 1), "auto"):
        design = load_design(fields | {"pipeline": pipeline})
        codes, cycles = run(design, chains, rng)
        assert codes == wanted, design.as_dict()
        assert set(cycles) == {plan(design).latency}, design.as_dict()
        latencies.append(plan(design).latency)
    assert latencies[0] == min(latencies)


@pytest.mark.parametrize("technology", ["asap7", "sky130", "ecp5"])
@pytest.mark.parametrize("unit", ["mac", "systolic"])
@pytest.mark.parametrize("operand", ["int8", "e4m3fn", "bf16"])
def test_a_faster_clock_never_takes_fewer_cycles(operand, unit, technology):
    accumulate = {"kind": "float", "width": 16} if operand == "bf16" else {"kind": "exact"}
    fields = {"name": "unit", "unit": unit, "a": operand, "b": operand, "out": "bf16"}
    fields |= {"accumulate": accumulate, "technology": technology, "pipeline": "auto"}
    latencies = [
        plan(load_design(fields | {"clock_mhz": clock})).latency
        for clock in (1, 10, 20, 50, 100, 200, 400, 800)
    ]
    assert latencies[0] == plan(load_design(fields | {"pipeline": 0})).latency
    # Up to where the loop of a chain sets a limit, which none is added beyond.
    rising = latencies if unit == "systolic" else latencies[:5]
    assert rising == sorted(rising)
