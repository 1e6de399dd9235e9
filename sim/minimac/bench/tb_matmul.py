"""cocotb tests of every unit that multiplies matrices; see :func:`minimac.bench.run.simulate`."""

import itertools
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from minimac.bench.drivers import driver_for
from minimac.bench.operands import STYLES, Elements, all_codes, corner_codes, largest_code
from minimac.rtl import plan

# Of largest products, in an ordinary job and in an exhaustive one: some kinds have no end.
LONGEST_CHAINS = 4096, 65536


def _draws(rng: np.random.Generator, below: int) -> Iterator[int]:
    return (int(n) for _ in itertools.count() for n in rng.integers(below, size=1000))


@cocotb.test()
@cocotb.parametrize(gaps=[False, True], stalls=[False, True])
async def random_operands(dut: Any, gaps: bool, stalls: bool) -> None:
    """Multiply random matrices of every style, of random shape, under random traffic."""
    data, traffic = np.random.default_rng(cocotb.RANDOM_SEED).spawn(2)
    driver = driver_for(
        dut,
        gaps=_draws(traffic, 4) if gaps else itertools.repeat(0),
        ready=_draws(traffic, 2) if stalls else None,
    )
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
    driver = driver_for(dut)
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
    driver = driver_for(dut)
    await driver.start()
    depth = driver.depth(1)
    driver.multiply(np.zeros((1, depth), int), np.zeros((depth, 1), int))
    edge = RisingEdge(dut.clk)
    cycles: int | None = None
    for _ in range(5000 + plan(driver.design).latency):
        await edge
        if cycles is not None:
            cycles += 1
        elif dut.i_valid.value == 1 and dut.i_ready.value == 1:
            cycles = 0
        if dut.o_valid.value == 1:
            break
    assert cycles == plan(driver.design).latency, f"{cycles} cycles"
    await driver.finish()
