"""Tests of taking codes apart: codes of every family against the definition."""

from fractions import Fraction

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

import chains
import oracle
from circuits import some_codes
from minimac.rtl.operand import counts_as_fixed, exponent_range, integer, unit_exp, unpack
from minimac.spec import parse_format

FORMATS = [
    *chains.OPERANDS,
    *("dynamic8:e5m10ieee", "power4:a=0.5:bf16", "nf4:e4m3:ftz", "lut:e4m3fn:008038"),
    *("lut:uint4:fc84", "lut:int4:1358f", "lut:tern:31", "khot1:u0.8", "khot3:int8:sym"),
    *("e3m0", "e8m0", "ue3m2p3109", "bf16:bias=140", "s-1.8", "s10.-3", "uint1"),
]


class Apart(wiring.Component):
    """An operand, its fields side by side."""

    def __init__(self, fmt):
        self.fmt = fmt
        super().__init__(
            {
                "code": In(fmt.width),
                "sign": Out(1),
                "significand": Out(fmt.sig_bits),
                "exponent": Out(12),
                "zero": Out(1),
                "nan": Out(1),
                "infinity": Out(1),
                "integer": Out(64),
            }
        )

    def elaborate(self, platform):
        m = Module()
        found = unpack(self.fmt, self.code)
        self.base = found.base
        for name in ("sign", "significand", "exponent", "zero", "nan", "infinity"):
            m.d.comb += getattr(self, name).eq(getattr(found, name))
        if counts_as_fixed(self.fmt):
            m.d.comb += self.integer.eq(integer(self.fmt, self.code))
        return m


@pytest.mark.parametrize("name", FORMATS)
def test_fields_of_codes(name, seed):
    fmt = parse_format(name)
    dut = Apart(fmt)
    low, high = exponent_range(fmt)

    async def check(ctx):
        for code in some_codes(fmt, seed):
            ctx.set(dut.code, code)
            want = oracle.operand(fmt, code)
            context = f"{name}, code {code:#x}, seed {seed}"
            assert ctx.get(dut.nan) == (want is oracle.Special.NAN), context
            assert ctx.get(dut.infinity) == (want in oracle.INFINITIES), context
            if isinstance(want, oracle.Special):
                if want in oracle.INFINITIES:
                    negative = want is oracle.Special.MINUS_INFINITY
                    assert ctx.get(dut.sign) == negative, context
                    assert not ctx.get(dut.zero), context
                continue
            assert ctx.get(dut.significand) == want.significand, context
            assert ctx.get(dut.sign) == want.negative, context
            assert ctx.get(dut.zero) == (want.significand == 0), context
            if want.significand:
                exponent = dut.base + ctx.get(dut.exponent)
                assert exponent == want.exponent, context
                assert low <= exponent <= high, context
            if counts_as_fixed(fmt):
                got = ctx.get(dut.integer)
                got -= (got >> 63) << 64
                assert got * Fraction(2) ** unit_exp(fmt) == oracle.exact(want), context

    simulator = Simulator(dut)
    simulator.add_testbench(check)
    simulator.run()


@pytest.mark.parametrize(
    ("name", "unit"),
    [("int8", 0), ("s4.3", -3), ("lut:int8:0408f4", 2), ("lut:bf16:40003fc0", -1), ("bin", 0)],
)
def test_unit_of_values(name, unit):
    assert unit_exp(parse_format(name)) == unit
