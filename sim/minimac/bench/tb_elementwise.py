"""cocotb tests of units of one operation a transfer; see :func:`minimac.bench.run.simulate`."""

import itertools
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from minimac.bench.drivers import ElementwiseDriver
from minimac.bench.elementwise import corners, draw, formats_of
from minimac.bench.operands import all_codes
from minimac.rtl import plan

_CORNERS = 1000  # combinations at most, unless the job is exhaustive
_FEW_BITS = 8  # of all operands together, to try them in all ways
_CLOSED_BITS = 16  # the same if the job is exhaustive


def _draws(rng: np.random.Generator, below: int) -> Iterator[int]:
    return (int(n) for _ in itertools.count() for n in rng.integers(below, size=1000))


@cocotb.test()
@cocotb.parametrize(gaps=[False, True], stalls=[False, True])
async def random_operands(dut: Any, gaps: bool, stalls: bool) -> None:
    """Compute on operands of every style, and on hard ones, under random traffic."""
    data, traffic = np.random.default_rng(cocotb.RANDOM_SEED).spawn(2)
    driver = ElementwiseDriver(
        dut,
        gaps=_draws(traffic, 4) if gaps else itertools.repeat(0),
        ready=_draws(traffic, 2) if stalls else None,
    )
    await driver.start()
    for operands in draw(driver.design, data, 1000 if driver.job.exhaustive else 40):
        driver.compute(*operands)
    await driver.finish()


@cocotb.test()
async def corner_operands(dut: Any) -> None:
    """Compute on combinations of corner codes."""
    driver = ElementwiseDriver(dut)
    await driver.start()
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    most = 1 << _CLOSED_BITS if driver.job.exhaustive else _CORNERS
    driver.compute(*corners(driver.design, rng, most))
    await driver.finish()


@cocotb.test()
async def every_operand(dut: Any) -> None:
    """Compute on all combinations of codes, if they are few; of three operands on all pairs."""
    driver = ElementwiseDriver(dut)
    await driver.start()
    formats = formats_of(driver.design)
    most = _CLOSED_BITS if driver.job.exhaustive else _FEW_BITS
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    while sum(fmt.width for fmt in formats) > most and len(formats) > 2:
        formats.pop()
    if sum(fmt.width for fmt in formats) > most:
        dut._log.info("there are too many: none are tried")
        return
    operands = [part.ravel() for part in np.meshgrid(*map(all_codes, formats))]
    for fmt in formats_of(driver.design)[len(formats) :]:
        operands.append(rng.integers(1 << fmt.width, size=operands[0].size))
    driver.compute(*operands)
    await driver.finish()


@cocotb.test()
async def given_operands(dut: Any) -> None:
    """Compute the products of the matrices that the job came with, or the sums of their factors."""
    driver = ElementwiseDriver(dut)
    await driver.start()
    if not driver.job.operands:
        dut._log.info("the job came with none")
        return
    for a, b in driver.job.operands:
        driver.multiply(a, b)
    await driver.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """Count the cycles from a transfer to its result: as many as stated."""
    driver = ElementwiseDriver(dut)
    await driver.start()
    driver.compute(*(np.zeros(1, int) for _ in formats_of(driver.design)))
    edge = RisingEdge(dut.clk)
    cycles: int | None = None
    for _ in range(100):
        await edge
        if cycles is not None:
            cycles += 1
        elif dut.i_valid.value == 1 and dut.i_ready.value == 1:
            cycles = 0
        if dut.o_valid.value == 1:
            break
    assert cycles == plan(driver.design).latency, f"{cycles} cycles"
    await driver.finish()
