"""cocotb tests of what only an array does."""

import itertools
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from minimac.bench.drivers import driver_for, random_traffic
from minimac.bench.operands import STYLES
from minimac.bench.run import Job
from minimac.rtl import plan
from minimac.spec import Systolic


@cocotb.test()
@cocotb.parametrize(stalls=[False, True])
async def products_of_one_row(dut: Any, stalls: bool) -> None:
    """Change the weights between any two rows, with the next ones waiting at the port."""
    rng, traffic = np.random.default_rng(cocotb.RANDOM_SEED).spawn(2)
    driver = driver_for(dut, **random_traffic(traffic, stalls=stalls))
    await driver.start()
    design = driver.design
    assert isinstance(design, Systolic)
    for _ in range(12):
        rows = min(design.array.rows, design.accumulate.max_terms)
        driver.multiply(*STYLES["near_one"](design, rng, 1, rows, design.array.columns))
    await driver.finish()


@cocotb.test()
async def products_wait_for_the_output(dut: Any) -> None:
    """Stall the output with products under way: the next ones must not take their place."""
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    stalled = 100 + plan(Job.current().design).latency
    held = itertools.chain(itertools.repeat(0, stalled), itertools.repeat(1))
    driver = driver_for(dut, ready=held)
    await driver.start()
    design = driver.design
    assert isinstance(design, Systolic)
    rows = min(design.array.rows, design.accumulate.max_terms)
    for _ in range(3):
        driver.multiply(*STYLES["near_one"](design, rng, 5, rows, design.array.columns))
    await ClockCycles(dut.clk, stalled - 10)
    assert driver.sums.checked == 0, "a result was taken while o was not ready"
    await driver.finish()
