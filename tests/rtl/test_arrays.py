"""Tests of :mod:`minimac.rtl.arrays`, in Amaranth's simulator."""

import functools
import itertools
import random
from collections import deque

import pytest
from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.sim import Simulator

import oracle
from minimac.rtl import create, plan
from minimac.rtl.arrays.encoding import Encoder
from minimac.rtl.encoding import Booth, Ent
from minimac.rtl.heap import BitHeap
from minimac.spec import SpecError, load_design, parse_format

FIXED = ["uint5", "int4", "uint3", "s2.2", "int5:sym", "int3", "uint1"]
EXACT = {"kind": "exact", "max_terms": 64}
FLOAT = {"kind": "float", "width": 16, "normalize": "approx(1,2)", "max_terms": 64}
LONGEST = 9


def array(array, **changes):
    fields = {"a": "int3", "b": "int2", "out": "int12", "accumulate": EXACT}
    return load_design({"name": "unit", "unit": "systolic", "array": array} | fields | changes)


def draw_design(rng):
    shape = {"rows": rng.randint(1, 4), "columns": rng.randint(1, 4)}
    shape["dataflow"] = dataflow = rng.choice(["ws", "os", "broadcast"])
    shape["foot"] = rng.choice(["column", "shared"])
    shape["double_buffer"] = dataflow != "os" and rng.random() < 0.5
    pipeline = {"pipeline": rng.choice([0, 0, 1, "auto"]), "clock_mhz": 400}
    kind = rng.choice(["encoded", "exact", "float"])
    if kind == "encoded":
        shape["encode"] = rng.choice(["booth", "ent"])
        return array(shape, a=rng.choice(FIXED), b=rng.choice(FIXED), **pipeline)
    mixed = {"a": rng.choice(["e4m3fn", "int4", "e2m1"]), "b": "e3m2", "out": "bf16"}
    if kind == "exact" or dataflow == "broadcast":
        return array(shape, **mixed, **pipeline)
    return array(shape, accumulate=FLOAT, **mixed, **pipeline)


def draw_operands(rng, design):
    m, n = rng.randint(1, 5), rng.randint(1, 5)
    k = rng.randint(1, LONGEST)

    def code(fmt):
        unused = 1 << fmt.width - 1 if getattr(fmt, "symmetric", False) else None
        found = rng.randrange(1 << fmt.width)
        return 0 if found == unused else found

    a = [[code(design.a) for _ in range(k)] for _ in range(m)]
    b = [[code(design.b) for _ in range(n)] for _ in range(k)]
    return a, b


def part(matrix, row, column, rows, columns, fill=0):
    """Cut a block out of a matrix, filled up with a code."""
    return [
        [
            matrix[r][c] if r < len(matrix) and c < len(matrix[0]) else fill
            for c in range(column, column + columns)
        ]
        for r in range(row, row + rows)
    ]


class Bench:
    """Drives an array of any dataflow with products of matrices, one after the other."""

    def __init__(self, design, rng=None):
        self.design = design
        self.rng = rng
        self.dut = create(design)
        self.cycle = 0
        self.accepted = []  # cycles of transfers on i
        self.arrived = []  # cycles of transfers on o
        self.queues = {"w": deque(), "i": deque()}
        self.results = deque()

    def idle(self):
        return self.rng is not None and self.rng.random() < 0.4

    async def source(self, ctx, name):
        port = getattr(self.dut, name)
        while True:
            if not self.queues[name] or self.idle():
                ctx.set(port.valid, 0)
                await ctx.tick()
                continue
            ctx.set(port.payload, self.queues[name][0])
            ctx.set(port.valid, 1)
            while True:
                _, _, ready = await ctx.tick().sample(port.ready)
                if ready:
                    break
            if name == "i":
                self.accepted.append(self.cycle)
            self.queues[name].popleft()

    async def sink(self, ctx):
        while True:
            ctx.set(self.dut.o.ready, not self.idle())
            _, _, valid, ready, payload = await ctx.tick().sample(
                self.dut.o.valid, self.dut.o.ready, self.dut.o.payload
            )
            if valid and ready:
                self.arrived.append(self.cycle)
                self.results.append(payload)
            self.cycle += 1

    async def take(self, ctx, count):
        for _ in range(3000):
            if len(self.results) >= count:
                return [self.results.popleft() for _ in range(count)]
            await ctx.tick()
        raise AssertionError(f"{count - len(self.results)} results never came")

    async def multiply(self, ctx, a, b):
        shape = self.design.array
        rows, columns = shape.rows, shape.columns
        m, k, n = len(a), len(b), len(b[0])
        product = [[None] * n for _ in range(m)]
        if shape.dataflow == "os":
            tiles = [(r, c) for r in range(0, m, rows) for c in range(0, n, columns)]
            for row, column in tiles:
                left, right = part(a, row, 0, rows, k), part(b, 0, column, k, columns)
                for term in range(k):
                    self.queues["i"].append(
                        {
                            "activations": [x[term] for x in left],
                            "weights": right[term],
                            "last": term == k - 1,
                        }
                    )
            for row, column in tiles:
                for r, result in enumerate(await self.take(ctx, rows)):
                    assert result.last == (r == rows - 1)
                    for c in range(columns):
                        if row + r < m and column + c < n:
                            product[row + r][column + c] = result.sums[c]
            return product
        for column in range(0, n, columns):
            partial = None
            for row in range(0, k, rows):
                last = row + rows >= k
                activation, weight = self.design.padding or (0, 0)
                weights = part(b, row, column, rows, columns, weight)
                self.queues["w"].extend({"weights": w} for w in weights[::-1])
                for r, vector in enumerate(part(a, 0, row, m, rows, activation)):
                    fields = {"activations": vector, "first": row == 0, "reload": r == m - 1}
                    if partial is not None:
                        fields["partial"] = partial[r]
                    if shape.foot == "shared":
                        fields["last"] = last
                    self.queues["i"].append(fields)
                results = await self.take(ctx, m)
                partial = [result.partial for result in results]
            for r, result in enumerate(results):
                for c in range(min(columns, n - column)):
                    product[r][column + c] = result.sums[c]
        return product

    def run(self, products):
        """Return the products of pairs of matrices."""
        found = []

        async def drive(ctx):
            for a, b in products:
                found.append(await self.multiply(ctx, a, b))

        self.simulate(drive)
        return found

    def stream(self, results, **transfers):
        """Send transfers as fast as they are taken; return cycles of those on i and on o."""
        for name, payloads in transfers.items():
            self.queues[name].extend(payloads)

        async def drive(ctx):
            await self.take(ctx, results)

        self.simulate(drive)
        return self.accepted, self.arrived

    def simulate(self, drive):
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        for name in [x for x in "wi" if hasattr(self.dut, x)]:
            simulator.add_testbench(functools.partial(self.source, name=name), background=True)
        simulator.add_testbench(self.sink, background=True)
        simulator.add_testbench(drive)
        simulator.run()


def multiplied(design, a, b):
    columns = list(zip(*b, strict=True))
    return [[oracle.chain(design, row, list(column)) for column in columns] for row in a]


@pytest.mark.parametrize("case", range(24))
def test_random_arrays_against_the_definition(case, seed):
    rng = random.Random(f"{seed} {case}")
    design = draw_design(rng)
    products = [draw_operands(rng, design) for _ in range(3)]
    found = Bench(design, rng if case % 2 else None).run(products)
    for (a, b), product in zip(products, found, strict=True):
        assert product == multiplied(design, a, b), (
            f"{design.as_dict()}, a = {a}, b = {b} (seed {seed}, case {case})"
        )


@pytest.mark.parametrize(
    ("operands", "accumulate", "a", "b"),
    [
        # -0 + +0 is +0: missing rows must not be that.
        ("e4m3fn", {"kind": "rounded", "format": "e4m3fn"}, [0x81], [0x01]),
        ("e4m3fn", {"kind": "rounded", "format": "e4m3fn", "round": "down"}, [0x81], [0x01]),
        ("e4m3fnuz", {"kind": "rounded", "format": "e5m2"}, [0x81], [0x01]),
        # Code 0 is -1.
        ("nf4", {"kind": "exact", "max_terms": 8}, [3, 15, 1], [2, 4, 9]),
    ],
)
def test_missing_rows_change_nothing(operands, accumulate, a, b):
    out = accumulate.get("format", "fp32")
    fields = {"name": "unit", "unit": "systolic", "a": operands, "b": operands, "out": out}
    design = load_design(
        fields | {"accumulate": accumulate, "array": {"rows": 2, "columns": 1}, "out_round": "rne"}
    )
    product = [a], [[code] for code in b]
    assert Bench(design).run([product]) == [multiplied(design, *product)]


@pytest.mark.parametrize("dataflow", ["ws", "broadcast"])
def test_operands_without_zero_are_for_whole_chains(dataflow):
    fields = {"name": "unit", "unit": "systolic", "a": "bin", "b": "bin", "out": "int8"}
    array = {"rows": 2, "columns": 1, "dataflow": dataflow}
    design = load_design(fields | {"accumulate": {"kind": "exact"}, "array": array})
    with pytest.raises(
        SpecError, match=r"^array\.dataflow: .* bin x bin has none; use os, or rows"
    ):
        create(design)


@pytest.mark.parametrize("dataflow", ["ws", "os", "broadcast"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 1)])
def test_arrays_of_a_row_or_a_column(rows, columns, dataflow, seed):
    design = array({"rows": rows, "columns": columns, "dataflow": dataflow, "encode": "ent"})
    rng = random.Random(seed)
    a, b = draw_operands(rng, design)
    assert Bench(design).run([(a, b)]) == [multiplied(design, a, b)]


def vectors(design, count, **fields):
    return [{"activations": [1] * design.array.rows, "first": 1} | fields] * count


def steps(cycles):
    return [later - earlier for earlier, later in itertools.pairwise(cycles)]


STATIONARY = [
    {"rows": 3, "columns": 2},
    {"rows": 2, "columns": 4, "encode": "booth"},
    {"rows": 3, "columns": 2, "dataflow": "broadcast"},
    {"rows": 1, "columns": 2, "dataflow": "broadcast", "encode": "ent"},
    {"rows": 1, "columns": 1},
]


@pytest.mark.parametrize("shape", STATIONARY, ids=str)
@pytest.mark.parametrize("pipeline", [0, 1])
def test_a_single_buffer_takes_the_stated_cycles(shape, pipeline):
    design = array(shape, pipeline=pipeline)
    weights = [{"weights": [1] * design.array.columns}] * design.array.rows
    block = vectors(design, 2) + vectors(design, 1, reload=1)
    accepted, _ = Bench(design).stream(9, w=weights * 3, i=block * 3)
    reload = plan(design).reload_cycles + 1
    assert steps(accepted) == [1, 1, reload, 1, 1, reload, 1, 1]


@pytest.mark.parametrize("shape", STATIONARY, ids=str)
@pytest.mark.parametrize("pipeline", [0, 1])
def test_a_double_buffer_takes_no_cycle_if_vectors_are_as_many_as_stated(shape, pipeline):
    design = array(shape | {"double_buffer": True}, pipeline=pipeline)
    weights = [{"weights": [1] * design.array.columns}] * design.array.rows
    least = plan(design).hidden_by
    block = vectors(design, least - 1) + vectors(design, 1, reload=1)
    accepted, _ = Bench(design).stream(3 * least, w=weights * 3, i=block * 3)
    assert set(steps(accepted)) == {1}
    # One vector less: the next weights are a cycle late.
    accepted, _ = Bench(design).stream(3 * least - 3, w=weights * 3, i=block[1:] * 3)
    assert steps(accepted).count(2) == 2


def test_no_swap_without_weights():
    # The last vector for the present weights does not wait for weights that never come.
    design = array({"rows": 2, "columns": 2, "double_buffer": True})
    weights = [{"weights": [1] * 2}] * 2
    accepted, arrived = Bench(design).stream(1, w=weights, i=vectors(design, 1, reload=1))
    assert [end - start for start, end in zip(accepted, arrived, strict=True)] == [
        plan(design).latency
    ]


@pytest.mark.parametrize("dataflow", ["ws", "broadcast"])
def test_a_shared_foot_takes_the_stated_cycles(dataflow):
    design = array({"rows": 2, "columns": 3, "dataflow": dataflow, "foot": "shared"})
    weights = [{"weights": [1] * 3}] * 2
    block = vectors(design, 5, last=1) + vectors(design, 5, last=0)
    _, arrived = Bench(design).stream(10, w=weights, i=block)
    assert steps(arrived) == [plan(design).foot_cycles] * 4 + [1] * 5 == [3] * 4 + [1] * 5


@pytest.mark.parametrize("foot", ["column", "shared"])
@pytest.mark.parametrize("changes", [{}, {"encode": "booth", "pipeline": 1}], ids=str)
def test_an_output_stationary_array_takes_the_stated_cycles(foot, changes):
    shape = {"rows": 2, "columns": 3, "dataflow": "os", "foot": foot}
    design = array(
        shape | {k: v for k, v in changes.items() if k == "encode"},
        pipeline=changes.get("pipeline", 0),
    )
    interval = plan(design).interval
    for terms in (1, interval - 1, interval, interval + 3):
        term = {"activations": [1] * 2, "weights": [1] * 3}
        product = [term] * (terms - 1) + [term | {"last": 1}]
        accepted, arrived = Bench(design).stream(6, i=product * 3)
        ends = accepted[terms - 1 :: terms]
        assert steps(ends) == [max(terms, interval)] * 2
        assert steps(arrived)[0] == plan(design).row_cycles
        # The sink counts a cycle before the source sees it.
        assert arrived[0] - ends[0] == plan(design).latency


@pytest.mark.parametrize("kind", [Booth, Ent])
@pytest.mark.parametrize("name", [*FIXED, "int8", "uint8", "int8:sym", "tern", "int7"])
def test_every_code_is_the_sum_of_its_digits(name, kind):
    fmt = parse_format(name)
    encoding = kind(fmt)
    m = Module()
    m.submodules.encoder = encoder = Encoder(encoding)
    shown = [Signal(3, name=f"digit_{n}") for n in range(len(encoding.digits(encoder.digits)))]
    for signal, digit in zip(shown, encoding.digits(encoder.digits), strict=True):
        m.d.comb += signal.eq(Cat(digit.one, digit.two, digit.negative))

    async def check(ctx):
        for code in range(1 << fmt.width):
            if fmt.holds(code):
                ctx.set(encoder.code, code)
                await ctx.delay(1e-9)
                digits = [(x & 3) * (-1) ** (x >> 2) for x in map(ctx.get, shown)]
                assert sum(d * 4**n for n, d in enumerate(digits)) == fmt.lsbs(code)

    simulator = Simulator(m)
    simulator.add_testbench(check)
    simulator.run()


def test_widths_of_int8():
    int8 = parse_format("int8")
    assert (Booth(int8).width, Ent(int8).width) == (12, 9)


@pytest.mark.parametrize("case", range(30))
def test_a_heap_adds_up(case, seed):
    rng = random.Random(f"{seed} {case}")
    width = rng.randint(1, 20)
    heap = BitHeap(width)
    m = Module()
    signals = []
    for n in range(rng.randint(1, 8)):
        shape = signed(rng.randint(1, 9)) if rng.random() < 0.6 else unsigned(rng.randint(1, 9))
        signals.append((Signal(shape, name=f"x_{n}"), rng.randrange(width)))
        heap.add(*signals[-1])
    total = Signal(width)
    m.d.comb += total.eq(heap.total(m))

    async def check(ctx):
        for _ in range(20):
            want = 0
            for signal, place in signals:
                ctx.set(signal, rng.randrange(1 << len(signal)))
                want += ctx.get(signal) << place
            await ctx.delay(1e-9)
            assert ctx.get(total) == want % (1 << width)

    simulator = Simulator(m)
    simulator.add_testbench(check)
    simulator.run()


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [
        (
            {"dataflow": "broadcast"},
            {"accumulate": FLOAT, "a": "bf16", "b": "bf16", "out": "bf16"},
            r"^array\.dataflow: broadcast adds products in a tree, .* not float; use ws or os",
        ),
        (
            {"dataflow": "os", "double_buffer": True},
            {},
            r"^array\.double_buffer: os holds no weights; leave this key out$",
        ),
        (
            {"encode": "booth"},
            {"a": "e4m3fn"},
            r"^array\.encode: booth is for integers and fixed point, and a is e4m3fn; leave",
        ),
        ({"encode": "ent"}, {"b": "bf16"}, r"^array\.encode: ent .* b is bf16; leave"),
        (
            {"encode": "ent"},
            {"accumulate": FLOAT},
            r"^array\.encode: ent needs accumulate\.kind exact, not float; leave this key out$",
        ),
        (
            {"dataflow": "broadcast"},
            {"pipeline": 9},
            r"^pipeline: must be auto or 0 to 2 in a broa",
        ),
        ({"dataflow": "os"}, {"pipeline": 9}, r"^pipeline: must be auto or 0 to 1 in a sys"),
        ({"rows": 0}, {}, r"^array: rows must be 1 to 1024, not 0$"),
        ({"dataflow": "is"}, {}, r"^array\.dataflow: must be 'ws', 'os' or 'broadcast', not 'is'$"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(shape, changes, message):
    with pytest.raises(SpecError, match=message):
        plan(array(shape, **changes))
