"""cocotb tests of the wrappers with bus models of others, which know nothing of minimac."""

import itertools

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource
from cocotbext.wishbone.driver import WBOp, WishboneMaster

from minimac.bench.operands import STYLES
from minimac.bench.run import Job
from minimac.bench.traffic import passes
from minimac.model import matmul
from minimac.rtl import describe

PRODUCTS = 4


def transfers(job, rng):
    """For each product: fields to send, (stream, fields) in order, and the codes to come."""
    design = job.design
    for draw in itertools.islice(itertools.cycle(STYLES.values()), PRODUCTS):
        if design.unit == "mac":
            a, b = draw(design, rng, 1, int(rng.integers(1, 9)), 1)
            last = len(b) - 1
            send = [
                ("i", {"a": [x], "b": [y], "last": [n == last]})
                for n, (x, y) in enumerate(zip(a[0].tolist(), b[:, 0].tolist(), strict=True))
            ]
        else:
            array = design.array
            a, b = draw(design, rng, int(rng.integers(1, 5)), array.rows, array.columns)
            (tile,) = passes(design, a, b)
            send = [("w", {"weights": row}) for row in tile.weights[::-1]]
            send += [
                ("i", {"activations": row, "first": [1], "reload": [n == len(a) - 1]})
                for n, row in enumerate(tile.activations)
            ]
        yield send, matmul(design, a, b).astype(int).tolist()


def packed(stream, fields):
    """Values of the ports or registers of a stream: word by where it is."""
    words = {}
    for name, field in stream["fields"].items():
        where = field.get("port", field.get("offset"))
        value = sum(
            int(x) << n * field["width"]
            for n, x in enumerate(fields.get(name, [0] * field["count"]))
        )
        words[where] = words.get(where, 0) | value << field.get("lowest_bit", 0)
    return words


def unpacked(field, word):
    mask = (1 << field["width"]) - 1
    low = field.get("lowest_bit", 0)
    return [word >> low + n * field["width"] & mask for n in range(field["count"])]


def results_of(told):
    """Name and place of the codes that come out."""
    return next(iter(told["streams"]["o"]["fields"].values()))


@cocotb.test()
async def axi4stream(dut):
    """AxiStreamSource and AxiStreamSink of cocotbext-axi, both with random pauses."""
    job = Job.current()
    told = describe(job.design)
    if told["interface"] != "axi4stream":
        return
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    Clock(dut.aclk, 10, unit="ns").start()
    reset = {"reset": dut.aresetn, "reset_active_level": False}
    dut.aresetn.value = 0
    ends = {}
    for name, stream in told["streams"].items():
        prefix = stream["valid"].removesuffix("_tvalid")
        kind = AxiStreamSource if stream["direction"] == "in" else AxiStreamSink
        bus = AxiStreamBus.from_prefix(dut, prefix)
        ends[name] = kind(bus, dut.aclk, **reset, byte_lanes=1)  # a word a transfer
        pauses = rng.integers(3, size=1000) == 0
        ends[name].set_pause_generator(itertools.cycle(map(bool, pauses)))
    await ClockCycles(dut.aclk, 3)
    dut.aresetn.value = 1
    for send, want in transfers(job, rng):
        for name, sent in itertools.groupby(send, key=lambda item: item[0]):
            stream = told["streams"][name]
            data = stream["valid"].removesuffix("valid") + "data"
            words = [packed(stream, fields)[data] for _, fields in sent]
            await ends[name].send(AxiStreamFrame(words))  # its end is tlast, where there is one
        for row in want:
            frame = await ends["o"].recv()
            (word,) = frame.tdata
            assert unpacked(results_of(told), word)[: len(row)] == row
            job.count(len(row))


@cocotb.test()
async def wishbone(dut):
    """WishboneMaster of cocotbext-wishbone, with random idle cycles."""
    job = Job.current()
    told = describe(job.design)
    if told["interface"] != "wishbone":
        return
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    Clock(dut.wb_clk_i, 10, unit="ns").start()
    names = {"datwr": "dat_i", "datrd": "dat_o", "ack": "ack_o"}
    names |= {name: f"{name}_i" for name in ("cyc", "stb", "we", "adr", "sel")}
    master = WishboneMaster(dut, "wb", dut.wb_clk_i, timeout=100, signals_dict=names)
    registers = {register["name"]: register["offset"] for register in told["registers"]}
    dut.wb_rst_i.value = 1
    await ClockCycles(dut.wb_clk_i, 3)
    dut.wb_rst_i.value = 0

    async def access(*offsets_and_values):
        idle = iter(rng.integers(3, size=len(offsets_and_values)).tolist())
        ops = [WBOp(at // 4, value, idle=next(idle)) for at, value in offsets_and_values]
        return [int(result.datrd) for result in await master.send_cycle(ops)]

    async def wait(bit):
        while not (await access((registers["STATUS"], None)))[0] >> bit & 1:
            pass

    identity = await access((registers["ID"], None), (registers["DESIGN"], None))
    assert identity == [int.from_bytes(b"mmac", "big"), int(job.design.digest[:8], 16)]
    for send, want in transfers(job, rng):
        for name, fields in send:
            stream = told["streams"][name]
            writes = []
            for offset, value in packed(stream, fields).items():
                field = next(f for f in stream["fields"].values() if f["offset"] == offset)
                count = -(-field["width"] * field["count"] // 32)
                writes += [(offset + 4 * n, value >> 32 * n & 0xFFFF_FFFF) for n in range(count)]
            await wait(stream["bit"])
            await access(*writes, (registers["CONTROL"], 1 << stream["bit"]))
            if name == "i" and not fields.get("last", [1])[0]:
                continue
            if name == "w":
                continue
            out = told["streams"]["o"]
            await wait(out["bit"])
            field = results_of(told)
            count = -(-field["width"] * field["count"] // 32)
            reads = await access(*((field["offset"] + 4 * n, None) for n in range(count)))
            row = want.pop(0)
            word = sum(value << 32 * n for n, value in enumerate(reads))
            assert unpacked(field, word)[: len(row)] == row
            job.count(len(row))
            await access((registers["CONTROL"], 1 << out["bit"]))
        assert not want
