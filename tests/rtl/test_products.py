"""Tests of products: pairs of codes, and chains of ``exact`` and ``float``, by the definition."""

import random
from fractions import Fraction

import pytest
from amaranth.hdl import Const, Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

import chains
import oracle
from circuits import run_chains, some_codes
from minimac.rtl.dots.exact import ExactDot
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import (
    code_product,
    float_product,
    integer_product,
    special_bits,
    unit_of_products,
)
from minimac.spec import FixedPoint, SpecError, load_design

PAIRS = [
    # Tables, signs, masks, shifts and multipliers of integers.
    *("bin bin", "bin tern", "tern tern", "bin int8", "uint8 tern", "tern s2.3:sym", "bin uint4"),
    *("int3 int3", "uint2 int4:sym", "int4 lut:int4:1358f", "lut:tern:31 int8", "bin nf4:s1.6"),
    *("khot1:s0.7 int4", "uint4 khot1:u0.8", "khot1:int4:sym khot1:s0.7", "khot2:int8 int4"),
    *(
        "khot1:int3 tern",
        "lut:int8:0408f4 khot1:int8",
        "int8 int4",
        "u-2.6 s4.3",
        "lut:s2.3:0000 bin",
    ),
    # Floats, and what is multiplied as if it were one.
    *("e2m1 e2m1", "e3m2 ue3m2p3109", "e5m0 tern", "e2m3 int4", "bin e5m2", "e3m0 khot1:s0.3"),
    *("nf4:e4m3 nf4:bf16", "nf4:bf16 int8", "lut:e5m2:3c00bc01 lut:e4m3fn:008038", "e8m0 e2m1"),
    *("e4m3:ftz nf4", "e0m3 e4m3fnuz", "dynamic8:e5m10ieee tern", "e8m0 int4", "bf16 bin"),
]
SUMS_OF_CODES = [
    *("e2m1", "e2m2", "e1m2", "ue3m2p3109", "e2m2p3109", "e2m2fnuz", "e3m1fn", "e2m2ieee"),
    *("e3m1ieee:ftz", "e2m2p3109f", "e2m2:bias=9", "e3m1:bias=-9", "ue3m2fn", "e2m2:bias=0"),
    *("e4m3fn", "e5m2", "e4m3:ftz", "bf16", "bf16:ftz", "fp16", "e4m3fn:bias=11", "e3m2ieee"),
]


def design_of(a, b, product="exact", accumulate=None, **more):
    """Describe a ``mac``."""
    accumulate = accumulate or {"kind": "exact", "max_terms": 1}
    tree = {"name": "unit", "unit": "mac", "a": a, "b": b, "out": "fp32", "product": product}
    return load_design(tree | {"accumulate": accumulate} | more)


class Product(wiring.Component):
    """All views of the product of two codes."""

    def __init__(self, design):
        self.design = design
        views = {
            "sign": 1,
            "significand": design.product_bits,
            "exponent": 12,
            "zero": 1,
            "special": 2,
            "integer": signed(64),
            "code": 32,
        }
        super().__init__(
            {
                "a": In(design.a.width),
                "b": In(design.b.width),
                "views": Out(data.StructLayout(views)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        found = float_product(self.design, self.a, self.b)
        self.ends = found.least, found.most
        for name in ("sign", "significand", "exponent", "zero", "special"):
            m.d.comb += self.views[name].eq(getattr(found, name))
        integer = integer_product(self.design, self.a, self.b)
        code = code_product(self.design, self.a, self.b)
        self.has_integer, self.has_code = integer is not None, code is not None
        if self.has_integer:
            m.d.comb += self.views.integer.eq(integer)
        if self.has_code:
            assert len(code) == self.design.out.width
            m.d.comb += self.views.code.eq(code)
        return m


def wanted_special(design, term):
    """Return ``special`` of a product."""
    if not isinstance(term, oracle.Special):
        return 0
    if special_bits(design) == 1:
        assert term is oracle.Special.NAN
        return 1
    return {oracle.Special.PLUS_INFINITY: 1, oracle.Special.MINUS_INFINITY: 2}.get(term, 3)


def hold(design, pairs, context):
    """Hold products of pairs of codes to the definition."""
    dut = Product(design)
    low, bits = design.product_min_exp, design.product_bits

    async def check(ctx):
        for a, b in pairs:
            ctx.set(dut.a, a)
            ctx.set(dut.b, b)
            where = f"{design.summary()}: a = {a:#x}, b = {b:#x} ({context})"
            term = oracle.product(design.a, a, design.b, b, str(design.product))
            got = ctx.get(dut.views)
            assert got.special == wanted_special(design, term), where
            if dut.has_code:
                assert got.code == oracle.multiplied(design, a, b), where
            if isinstance(term, oracle.Special):
                continue
            assert got.significand == term.significand, where
            assert got.sign == term.negative, where
            assert got.zero == (term.significand == 0), where
            assert bits == term.width, where
            if term.significand:
                assert got.exponent + low == term.exponent, where
                assert dut.ends[0] <= got.exponent <= dut.ends[1], where
            if dut.has_integer:
                value = got.integer * Fraction(2) ** design.lsb_exp
                assert value == oracle.exact(term), where

    simulator = Simulator(dut)
    simulator.add_testbench(check)
    simulator.run()
    return dut


def some_pairs(design, seed, most=300):
    """All pairs of codes, or a sample of them."""
    rng = random.Random(f"{seed} {design.summary()}")
    a, b = (some_codes(fmt, seed) for fmt in (design.a, design.b))
    if len(a) * len(b) <= 4096:
        return [(x, y) for x in a for y in b]
    return [(rng.choice(a), rng.choice(b)) for _ in range(most)]


@pytest.mark.parametrize("pair", PAIRS)
def test_exact_products(pair, seed):
    design = design_of(*pair.split())
    dut = hold(design, some_pairs(design, seed), f"seed {seed}")
    formats = design.a.value_format, design.b.value_format
    assert dut.has_integer == all(isinstance(fmt, FixedPoint) for fmt in formats)
    assert not dut.has_code


@pytest.mark.parametrize("product", chains.PRODUCTS)
@pytest.mark.parametrize("name", SUMS_OF_CODES)
def test_products_by_addition(name, product, seed):
    design = design_of(name, name, product, out=name)
    dut = hold(design, some_pairs(design, seed), f"seed {seed}")
    assert dut.has_code == design.product.adds_codes
    assert not dut.has_integer


def test_the_product_is_no_code_of_another_format():
    design = design_of("e4m3fn", "e4m3fn", "lmul_add", out="e4m3")
    assert not hold(design, [(0x38, 0x38)], "").has_code


class Dot(wiring.Component):
    """Sum of the products of lanes, in units of the design."""

    def __init__(self, design, lanes):
        self.dot = ExactDot(design, lanes)
        self.up = unit_of_products(design) - design.lsb_exp
        super().__init__(
            {
                "a": In(design.a.width).array(lanes),
                "b": In(design.b.width).array(lanes),
                "sum": Out(signed(40)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        total = self.dot.total(m, Pipeline((), Const(1)), list(self.a), list(self.b))
        m.d.comb += self.sum.eq(total.sum << self.up)
        return m


@pytest.mark.parametrize("lanes", [1, 2, 7, 16])
@pytest.mark.parametrize(
    "pair",
    ["bin bin", "lut:tern:31 bin", "bin int4", "tern int8", "tern tern", "int4 int4", "e2m1 int4"],
)
def test_sums_of_lanes(pair, lanes, seed):
    accumulate = {"kind": "exact", "max_terms": lanes}
    design = design_of(*pair.split(), accumulate=accumulate)
    rng = random.Random(f"{seed} {pair} {lanes}")
    dut = Dot(design, lanes)

    async def check(ctx):
        for _ in range(40):
            codes = [
                [rng.choice(some_codes(fmt, seed)) for _ in range(lanes)]
                for fmt in (design.a, design.b)
            ]
            for n in range(lanes):
                ctx.set(dut.a[n], codes[0][n])
                ctx.set(dut.b[n], codes[1][n])
            want = sum(design.a.lsbs(x) * design.b.lsbs(y) for x, y in zip(*codes, strict=True))
            assert ctx.get(dut.sum) == want, f"{pair}, {codes}, seed {seed}"

    simulator = Simulator(dut)
    simulator.add_testbench(check)
    simulator.run()


def draw_design(rng):
    """Draw a ``mac`` of kind ``exact`` or ``float``, of any operands and product."""
    while True:
        product = rng.choice(["exact", "exact", *chains.PRODUCTS])
        tree = chains.draw_design(rng, rng.choice(["exact", "float"]), product)
        tree |= {"pipeline": rng.choice([0, 1, "auto"]), "clock_mhz": 1000}
        try:
            design = load_design(tree)
        except SpecError:
            continue
        narrow = design.accumulate.kind == "float" or design.sum_bits < 60
        if narrow and not design.out_round.stochastic:
            return design


@pytest.mark.parametrize("case", range(40))
def test_random_chains(case, seed):
    rng = random.Random(f"{seed} {case}")
    design = draw_design(rng)
    a, b = chains.draw_operands(rng, design, 5, rng.randrange(1, 9), 4)
    drawn = [(x, y) for x in a.elements for y in b.elements]
    for (x, y), code in zip(drawn, run_chains(design, drawn), strict=True):
        want = oracle.chain(design, x, y)
        assert code == want, (
            f"{design.as_dict()}, a = {x}, b = {y}: got {code:#x}, expected {want:#x} "
            f"(seed {seed}, case {case})"
        )
