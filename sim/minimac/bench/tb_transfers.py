"""cocotb tests of units of :data:`minimac.bench.transfers.TRANSFERS`."""

import itertools
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from minimac.bench.drivers import TransferDriver
from minimac.rtl import plan

_CORNERS = 1000  # combinations at most, unless the job is exhaustive
_FEW_BITS = 8  # of all codes together, to try them in all ways
_CLOSED_BITS = 16  # the same if the job is exhaustive


def _draws(rng: np.random.Generator, below: int) -> Iterator[int]:
    return (int(n) for _ in itertools.count() for n in rng.integers(below, size=1000))


@cocotb.test()
@cocotb.parametrize(gaps=[False, True], stalls=[False, True])
async def random_operands(dut: Any, gaps: bool, stalls: bool) -> None:
    """Send sequences of every style, and hard ones, under random traffic."""
    data, traffic = np.random.default_rng(cocotb.RANDOM_SEED).spawn(2)
    driver = TransferDriver(
        dut,
        gaps=_draws(traffic, 4) if gaps else itertools.repeat(0),
        ready=_draws(traffic, 2) if stalls else None,
    )
    await driver.start()
    count = 1000 if driver.job.exhaustive else 40
    for fields in driver.bench.draw(driver.design, data, count):
        driver.send(fields)
    await driver.finish()


@cocotb.test()
async def corner_operands(dut: Any) -> None:
    """Send combinations of corner codes."""
    driver = TransferDriver(dut)
    await driver.start()
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    most = 1 << _CLOSED_BITS if driver.job.exhaustive else _CORNERS
    driver.send(driver.bench.corners(driver.design, rng, most))
    await driver.finish()


@cocotb.test()
async def every_operand(dut: Any) -> None:
    """Send all combinations of codes, if they are few; of three operands all pairs."""
    driver = TransferDriver(dut)
    await driver.start()
    most = _CLOSED_BITS if driver.job.exhaustive else _FEW_BITS
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    fields = driver.bench.every(driver.design, rng, most)
    if fields is None:
        dut._log.info("there are too many: none are tried")
        return
    driver.send(fields)
    await driver.finish()


@cocotb.test()
async def given_operands(dut: Any) -> None:
    """Send what the matrices that the job came with stand for."""
    driver = TransferDriver(dut)
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
    driver = TransferDriver(dut)
    await driver.start()
    if not driver.bench.ONE_TO_ONE:
        dut._log.info("results are not one for one")
        return
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    fields = driver.bench.corners(driver.design, rng, 1)
    driver.send({name: column[:1] for name, column in fields.items()})
    edge = RisingEdge(dut.clk)
    cycles: int | None = None
    for _ in range(plan(driver.design).latency + 100):
        await edge
        if cycles is not None:
            cycles += 1
        elif dut.i_valid.value == 1 and dut.i_ready.value == 1:
            cycles = 0
        if dut.o_valid.value == 1:
            break
    assert cycles == plan(driver.design).latency, f"{cycles} cycles"
    await driver.finish()
