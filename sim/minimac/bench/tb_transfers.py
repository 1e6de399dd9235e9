"""cocotb tests of units of :data:`minimac.bench.transfers.TRANSFERS`."""

from typing import Any

import cocotb
import numpy as np

from minimac.bench.drivers import TransferDriver, random_traffic

_CORNERS = 1000  # combinations at most, unless the job is exhaustive
_FEW_BITS = 8  # of all codes together, to try them in all ways
_CLOSED_BITS = 16  # the same if the job is exhaustive


@cocotb.test()
@cocotb.parametrize(gaps=[False, True], stalls=[False, True])
async def random_operands(dut: Any, gaps: bool, stalls: bool) -> None:
    """Send sequences of every style, and hard ones, under random traffic."""
    data, traffic = np.random.default_rng(cocotb.RANDOM_SEED).spawn(2)
    driver = TransferDriver(dut, **random_traffic(traffic, gaps=gaps, stalls=stalls))
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
    await TransferDriver(dut).multiply_given()


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
    await driver.count_latency()
    await driver.finish()
