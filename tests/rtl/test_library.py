"""Units inside somebody else's Amaranth design: ``examples/rectified_dot.py``."""

import importlib.util
import random
from pathlib import Path

import pytest
from amaranth.back import verilog
from amaranth.sim import Simulator

import oracle

PATH = Path(__file__).parents[2] / "examples" / "rectified_dot.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("rectified_dot", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_unit_in_a_foreign_design(example, seed):
    rng = random.Random(seed)
    dut = example.RectifiedDot()
    chains = [
        [[rng.randrange(0x3E00, 0x4100) | rng.randrange(2) << 15 for _ in range(k)] for _ in "ab"]
        for k in [rng.randrange(1, 6) for _ in range(40)]
    ]
    want = [oracle.chain(example.DESIGN, a, b) for a, b in chains]
    want = [0 if code >> 15 else code for code in want]
    found = []

    async def drive(ctx):
        ctx.set(dut.i.valid, 1)
        for a, b in chains:
            for n, (x, y) in enumerate(zip(a, b, strict=True)):
                ctx.set(dut.i.payload, {"a": x, "b": y, "last": n == len(a) - 1})
                await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        while len(found) < len(chains):
            ready = rng.randrange(2)
            ctx.set(dut.o.ready, ready)
            *_, valid, code = await ctx.tick().sample(dut.o.valid, dut.o.payload.sum)
            if valid and ready:
                found.append(code)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch)
    simulator.run()
    assert found == want
    assert 0 in want
    assert any(want)


def test_its_verilog_has_the_unit_as_a_module(example):
    text = verilog.convert(example.RectifiedDot(), name="rectified_dot")
    assert "module \\rectified_dot.dot " in text
