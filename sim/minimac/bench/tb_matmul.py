"""cocotb tests of every unit that multiplies matrices; see :func:`minimac.bench.run.simulate`."""

import itertools
from typing import Any

import cocotb
import numpy as np

from minimac.bench.drivers import driver_for, random_traffic
from minimac.bench.operands import STYLES, Elements, all_codes, corner_codes, largest_code

# Of largest products, in an ordinary job and in an exhaustive one: some kinds have no end.
LONGEST_CHAINS = 4096, 65536


@cocotb.test()
@cocotb.parametrize(gaps=[False, True], stalls=[False, True])
async def random_operands(dut: Any, gaps: bool, stalls: bool) -> None:
    """Multiply random matrices of every style, of random shape, under random traffic."""
    data, traffic = np.random.default_rng(cocotb.RANDOM_SEED).spawn(2)
    driver = driver_for(dut, **random_traffic(traffic, gaps=gaps, stalls=stalls))
    await driver.start()
    elements = Elements(driver.design)
    longest = min(driver.design.accumulate.max_terms, driver.longest)
    for draw in STYLES.values():
        for k in data.integers(1, longest, endpoint=True, size=6):
            m, n = data.integers(1, 12, endpoint=True, size=2)
            depth = driver.depth(int(k))
            driver.multiply(*draw(elements, data, int(m), depth, int(n)))
    await driver.finish()


@cocotb.test()
async def corner_pairs(dut: Any) -> None:
    """Multiply all pairs of corner codes, alone and followed by each other."""
    driver = driver_for(dut)
    await driver.start()
    elements, depth = Elements(driver.design), driver.depth(1)
    a, b = corner_codes(elements.a), corner_codes(elements.b)
    driver.multiply(a[:, None].repeat(depth, axis=1), b[None, :].repeat(depth, axis=0))
    if depth == 1 and driver.design.accumulate.max_terms > 1:
        pairs = np.array(list(itertools.product(a, a))), np.array(list(itertools.product(b, b)))
        rng = np.random.default_rng(cocotb.RANDOM_SEED)
        chosen = [x[rng.permutation(len(x))[:24]] for x in pairs]
        driver.multiply(chosen[0], chosen[1].T)
    await driver.finish()


@cocotb.test()
async def longest_chains(dut: Any) -> None:
    """Sum as many of the largest products as allowed, of either sign: they fit."""
    driver = driver_for(dut)
    await driver.start()
    design = Elements(driver.design)
    terms = driver.design.accumulate.max_terms
    terms = min(terms, LONGEST_CHAINS[driver.job.exhaustive])
    signs = (False, True)
    a = [np.full(terms, largest_code(design.a, negative=negative)) for negative in signs]
    b = [np.full(terms, largest_code(design.b, negative=negative)) for negative in signs]
    driver.multiply(np.stack(a), np.stack(b, axis=1))
    await driver.finish()


@cocotb.test()
async def every_pair(dut: Any) -> None:
    """Multiply all pairs of codes, if they are few, or at most 2**16 and the job is exhaustive."""
    driver = driver_for(dut)
    await driver.start()
    design, depth = Elements(driver.design), driver.depth(1)
    if design.a.width + design.b.width > (16 if driver.job.exhaustive else 8):
        dut._log.info("a and b have too many pairs of codes: none are tried")
        return
    a, b = all_codes(design.a), all_codes(design.b)
    driver.multiply(a[:, None].repeat(depth, axis=1), b[None, :].repeat(depth, axis=0))
    await driver.finish()


@cocotb.test()
async def given_operands(dut: Any) -> None:
    """Multiply the matrices that the job came with."""
    await driver_for(dut).multiply_given()


@cocotb.test()
async def latency(dut: Any) -> None:
    """Count the cycles from a transfer to its result: as many as stated."""
    driver = driver_for(dut)
    await driver.start()
    depth = driver.depth(1)
    driver.multiply(np.zeros((1, depth), int), np.zeros((depth, 1), int))
    await driver.count_latency()
    await driver.finish()
