"""cocotb tests of reset, clock enable and wrappers: of designs that are not plain streams."""

import itertools
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer

from minimac.bench.device import Device, Reset
from minimac.bench.drivers import driver_for, random_traffic
from minimac.bench.operands import STYLES
from minimac.bench.run import Job
from minimac.bench.stream import StreamSink, StreamSource
from minimac.bench.traffic import PortPacker


@cocotb.test()
@cocotb.parametrize(gaps=[False, True], stalls=[False, True])
async def products(dut: Any, gaps: bool, stalls: bool) -> None:
    """Multiply random matrices of every style under random traffic."""
    data, traffic = np.random.default_rng(cocotb.RANDOM_SEED).spawn(2)
    device = Device(dut)
    driver = driver_for(device, **random_traffic(traffic, gaps=gaps, stalls=stalls))
    await driver.start()
    driver.stimulate(data, (1 if device.bus else 3) * len(STYLES))
    await driver.finish()


@cocotb.test()
async def given_operands(dut: Any) -> None:
    """Multiply the matrices that the job came with."""
    await driver_for(Device(dut)).multiply_given()


@cocotb.test()
@cocotb.parametrize(stalls=[False, True])
async def enable_freezes(dut: Any, stalls: bool) -> None:
    """Multiply while the clock enable comes and goes: nothing moves or is transferred without."""
    data, traffic = np.random.default_rng(cocotb.RANDOM_SEED).spawn(2)
    device = Device(dut)
    if device.enable is None:
        dut._log.info("there is no clock enable")
        return
    driver = driver_for(device, **random_traffic(traffic, stalls=stalls))
    await driver.start()
    cocotb.start_soon(_come_and_go(device, traffic))
    watched = cocotb.start_soon(_stands_still(device))
    driver.stimulate(data, len(STYLES))
    await driver.finish()
    watched.cancel()


async def _come_and_go(device: Device, rng: np.random.Generator) -> None:
    for on in itertools.cycle((0, 1)):
        device.enable.value = on
        await ClockCycles(device.clk, int(rng.integers(1, 6)))


async def _stands_still(device: Device) -> None:
    """Fail if a handshake is offered, or data at an output changes, while the clock is off."""
    outputs = [port["name"] for port in device.told["ports"] if port["direction"] == "out"]
    handshakes = {name for name in outputs if name.endswith(("valid", "ready", "ack_o"))}
    before: dict[str, str] = {}
    while True:
        await RisingEdge(device.clk)
        if device.enabled:
            before = {}
            continue
        now = {name: str(device[name].value) for name in outputs}
        for name in outputs:
            if name in handshakes:
                assert int(now[name]) == 0, f"{name}: high without clock enable"
            else:
                assert before.get(name, now[name]) == now[name], f"{name}: changed while off"
        before = now


@cocotb.test()
async def reset_forgets(dut: Any) -> None:
    """Begin, reset, and multiply: what was begun leaves no trace."""
    device = Device(dut)
    reset = device.told["reset"]
    if reset is None:
        dut._log.info("there is no reset")
        return
    clock = Clock(device.clk, 10, unit="ns")
    clock.start()
    device.rst.value = 1
    await ClockCycles(device.clk, 2)
    device.rst.value = 0
    streams = device.told["streams"].items()
    name = next(name for name, stream in streams if stream["direction"] == "in")
    StreamSink(device, "o", ())
    source = StreamSource(device, name)
    sending = source.start()
    source.send((1 << PortPacker(Job.current().design).width(name)) // 3)
    while not source.sent:
        await RisingEdge(device.clk)
    await ClockCycles(device.clk, 2)
    sending.cancel()
    clock.stop()
    if reset["style"] == "async":  # without an edge of the clock, and without another reset
        device.rst.value = 1
        await Timer(1, "ns")
        device.rst.value = 0
        await Timer(1, "ns")
        device.rst = Reset()
    driver = driver_for(device)
    if device.enable is not None:  # which a reset does not wait for
        device.enable.value = 0
    await driver.start()
    if device.enable is not None:
        device.enable.value = 1
    driver.stimulate(np.random.default_rng(cocotb.RANDOM_SEED), 3)
    await driver.finish()
