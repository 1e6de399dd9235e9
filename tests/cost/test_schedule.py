"""Tests of :mod:`minimac.cost.schedule`: cycles are those that the circuit takes."""

import functools
import re
import time

import pytest
from amaranth.sim import Simulator

from minimac.cost.schedule import schedule
from minimac.rtl import create
from minimac.spec import SpecError, load_design

FLOAT = {"kind": "float", "width": 8, "normalize": "exact", "max_terms": 64}


def array(rows, columns, dataflow="ws", **changes):
    shape = {"rows": rows, "columns": columns, "dataflow": dataflow}
    shape |= {
        key: changes.pop(key) for key in ("double_buffer", "foot", "encode") if key in changes
    }
    fields = {"a": "int3", "b": "int3", "out": "int12"}
    fields["accumulate"] = {"kind": "exact", "max_terms": 64}
    return load_design({"name": "unit", "unit": "systolic", "array": shape} | fields | changes)


class Counter:
    """Feeds an array as fast as it takes operands, and counts cycles until all results are out.

    A vector that goes on with chains waits until the pass before has returned them.
    """

    def __init__(self, design, m, k, n):
        shape = design.array
        self.rows, groups = shape.rows, -(-n // shape.columns)
        self.dut, self.arrived, self.cycle, self.begun = create(design), 0, 0, None
        ones = {"activations": [1] * shape.rows}
        if shape.dataflow == "os":
            turns = -(-m // shape.rows) * groups
            term = ones | {"weights": [1] * shape.columns}
            self.transfers = {
                "i": [(term | {"last": t == k - 1}, 0) for _ in range(turns) for t in range(k)]
            }
            self.results = turns * shape.rows
            return
        passes = -(-k // shape.rows)
        turns = groups * passes
        self.transfers = {
            "w": [({"weights": [1] * shape.columns}, 0)] * shape.rows * turns,
            "i": [],
        }
        for turn in range(turns):
            for row in range(m):
                first, last = turn % passes == 0, turn % passes == passes - 1
                vector = ones | {"first": first, "reload": row == m - 1}
                vector |= {"last": last} if shape.foot == "shared" else {}
                needs = 0 if first else (turn - 1) * m + row + 1
                self.transfers["i"].append((vector, needs))
        self.results = turns * m

    async def source(self, ctx, name):
        """Offer the transfers of a port."""
        port = getattr(self.dut, name)
        for payload, needs in self.transfers[name]:
            while self.arrived < needs:
                ctx.set(port.valid, 0)
                await ctx.tick()
            ctx.set(port.payload, payload)
            ctx.set(port.valid, 1)
            while True:
                _, _, ready = await ctx.tick().sample(port.ready)
                if ready:
                    break
            if self.begun is None:
                self.begun = self.cycle - 1  # which the sink has counted
        ctx.set(port.valid, 0)

    async def sink(self, ctx):
        """Take all results."""
        ctx.set(self.dut.o.ready, 1)
        while self.arrived < self.results:
            _, _, valid = await ctx.tick().sample(self.dut.o.valid)
            self.arrived += valid
            self.cycle += 1
            assert self.cycle < 3000

    def count(self):
        """Return the cycles from the first transfer to the last."""
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self.sink)  # first, so that sources see what has arrived
        for name in self.transfers:
            source = functools.partial(self.source, name=name)
            simulator.add_testbench(source, background=True)
        simulator.run()
        return self.cycle - self.begun


DESIGNS = {
    "ws": array(3, 2),
    "ws, registers inside": array(
        2, 3, accumulate=FLOAT, out="bf16", a="e2m1", b="e2m1", pipeline=2
    ),
    "ws, two buffers": array(3, 2, double_buffer=True, encode="booth"),
    "os": array(2, 3, "os"),
    "os, one foot": array(3, 2, "os", foot="shared", pipeline=1),
}


@pytest.mark.parametrize("shape", [(5, 6, 4), (1, 7, 12), (2, 3, 5), (20, 1, 2)], ids=str)
@pytest.mark.parametrize("name", DESIGNS)
def test_cycles_are_those_of_the_circuit(name, shape):
    design = DESIGNS[name]
    assert schedule(design, *shape).cycles == Counter(design, *shape).count()


@pytest.mark.parametrize("shape", [(5, 6, 4), (1, 7, 3), (13, 3, 5)], ids=str)
def test_a_shared_foot_hides_part_of_the_loading(shape):
    design = array(3, 2, foot="shared")
    groups = -(-shape[2] // 2)
    counted = Counter(design, *shape).count()
    assert counted <= schedule(design, *shape).cycles <= counted + groups * 3


def test_what_moves():
    found = schedule(array(4, 4), 10, 6, 8)
    assert found.macs == 480
    assert (found.steps, found.resumed, found.turns) == (40, 20, 4)
    assert found.used == 480 / (40 * 16)
    assert found.passing == 0.25  # two rows of four in one pass of two
    # Each group of columns takes all activations again; the first of two passes leaves its sums.
    assert (found.activation_reads, found.weight_reads, found.results) == (120, 48, 80)
    assert found.partial_bits == 2 * 80 * 12  # 64 times (-4) * (-4) takes 12 bits, signed
    found = schedule(array(4, 4, "os"), 10, 6, 8)
    assert (found.activation_reads, found.weight_reads, found.partial_bits) == (120, 144, 0)


@pytest.mark.parametrize("name", DESIGNS)
def test_many_columns_are_counted_as_fast_as_few(name):
    few, more = (schedule(DESIGNS[name], 2, 6, 6 * groups).cycles for groups in (10, 20))
    began = time.perf_counter()
    many = schedule(DESIGNS[name], 2, 6, 6 * 10_000_010).cycles
    assert time.perf_counter() - began < 1
    assert many == few + 1_000_000 * (more - few)


def test_chains_that_are_too_long():
    message = "k: must be at most accumulate.max_terms (64) of the design, not 65; set that to more"
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        schedule(array(2, 2), 4, 65, 2)
