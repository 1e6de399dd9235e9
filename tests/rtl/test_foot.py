"""Tests of :mod:`minimac.rtl.foot`: conversions of states against the definition."""

import random
import re
from fractions import Fraction

import pytest
from amaranth.hdl import Signal
from amaranth.sim import Simulator

import oracle
from minimac.rtl.foot import Foot, FootPlan
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.multiplyadd import MultiplyAddPlan
from minimac.spec import FixedPoint, Minifloat, Overflow, Rounding, SpecError, load_design

OPERANDS = ["bf16", "e4m3fn", "e5m2", "e2m1", "e3m0", "int8", "uint8", "s4.3", "s-5.12", "s10.-3"]
OUTS = (
    "bf16 fp16 fp32 tf32 e4m3fn e5m2 e4m3fnuz e3m2 e3m0 e0m4 e2m1 ue4m3fn ue3m2p3109 e4m3p3109 "
    "e4m3p3109f bf16:ftz ue4m3fn:ftz e4m3fn:bias=20 e4m3fn:bias=-9 e5m2:bias=40 "
    "int8 uint8 int4 int8:sym s4.3 s-3.9 s3.-1 int16 int32 tern"
).split()
ROUNDINGS = [str(mode) for mode in Rounding if not mode.stochastic]
OVERFLOWS = [str(overflow) for overflow in Overflow]


def design(**changes):
    fields = {"name": "unit", "unit": "mac", "a": "e4m3fn", "b": "e4m3fn", "out": "bf16"}
    return load_design(fields | {"accumulate": {"kind": "exact", "max_terms": 8}} | changes)


def draw_design(rng):
    while True:
        accumulate = {"kind": "exact", "max_terms": rng.choice([1, 3, 8, 100])}
        if rng.random() < 0.5:
            normalize = rng.choice(["exact", "exact", "none", "approx(1,2)"])
            accumulate = {"kind": "float", "width": rng.randrange(2, 26), "normalize": normalize}
        try:
            found = design(
                a=rng.choice(OPERANDS),
                b=rng.choice(OPERANDS),
                out=rng.choice(OUTS),
                accumulate=accumulate,
                out_round=rng.choice(ROUNDINGS),
                out_overflow=rng.choice(OVERFLOWS),
                technology="asap7",
            )
        except SpecError:
            continue
        if found.accumulate.kind == "float" or found.sum_bits < 90:
            return found


def specials(design, bits):
    """Return the value that ``special`` stands for, None if the state is finite."""
    if design.has_infinities:
        infinities = [oracle.Special.PLUS_INFINITY, oracle.Special.MINUS_INFINITY]
        return [None, *infinities, oracle.Special.NAN][bits]
    return oracle.Special.NAN if bits else None


def draw_bits(rng, width):
    """Draw an integer of a width: often with few ones, or few zeros, or just beside a tie."""
    number = rng.randrange(1 << width)
    for _ in range(rng.randrange(4)):
        number &= rng.randrange(1 << width)
    if rng.random() < 0.4:
        number = 1 << rng.randrange(width) | 1 << rng.randrange(width)
        number += rng.choice([-1, 0, 0, 1])
    if rng.random() < 0.3:
        number = ~number
    return number % (1 << width)


def draw_state(rng, design, accumulator):
    """Draw a state, and the value that it stands for."""
    bits = accumulator.special_bits
    special = rng.randrange(1 << bits) if bits and rng.random() < 0.1 else 0
    state = {"special": special} if bits else {}
    acc = design.accumulate
    if acc.kind == "exact":
        least, most = (end * acc.max_terms for end in design.product_range)
        number = draw_bits(rng, design.sum_bits - 1) * rng.choice([1, -1])
        number = rng.choice([least, most, 0]) if rng.random() < 0.05 else number
        number = min(max(number, least), most)
        state["sum"] = number
        value = number * Fraction(2) ** design.lsb_exp
    else:
        magnitude = draw_bits(rng, acc.width)
        if acc.normalize.coarse is None and magnitude:
            magnitude <<= acc.width - magnitude.bit_length()
        span = design.acc_max_exp - design.acc_min_exp
        exponent = rng.choice([0, span, rng.randrange(span + 1), near(rng, design)])
        power = design.acc_min_exp + exponent - (acc.width - 1)
        state |= {
            "sign": rng.randrange(2) if design.product_range[0] < 0 else 0,
            "magnitude": magnitude,
            "exponent": stored(accumulator, power),
        }
        value = (-1) ** state["sign"] * magnitude * Fraction(2) ** power
    return state, specials(design, special) or value


def stored(accumulator, power):
    """Return the exponent of a state whose magnitude counts as often as ``2**power``."""
    (point,) = re.findall(r"exponent \+ (-?\d+)", accumulator.meaning["magnitude"])
    return power - int(point) & (1 << len(Signal(accumulator.state_layout).exponent)) - 1


def near(rng, design):
    """Draw an exponent near an end of what ``out`` can tell apart."""
    out = design.out
    ends = [out.lsb_exp, out.min_exp, out.max_exp]
    exponent = rng.choice(ends) + rng.randrange(-3, 8) - design.acc_min_exp
    return min(max(exponent, 0), design.acc_max_exp - design.acc_min_exp)


def wanted(design, value):
    return oracle.round_to(design.out, value, design.out_round, design.out_overflow)


def convert(dut, states, rng):
    """Return the codes of states, sent one a cycle, with stalls if there are registers."""
    codes = []

    async def combinational(ctx):
        for state in states:
            ctx.set(dut.state, state)
            await ctx.delay(1e-6)
            codes.append(ctx.get(dut.code))

    async def pipelined(ctx):
        for n in range(len(states) + dut.plan.latency):
            ctx.set(dut.state, states[min(n, len(states) - 1)])
            while True:
                moves = rng.random() < 0.8
                ctx.set(dut.step, moves)
                await ctx.tick()
                if moves:
                    break
            if n >= dut.plan.latency - 1:
                codes.append(ctx.get(dut.code))

    simulator = Simulator(dut)
    if dut.COMBINATIONAL:
        simulator.add_testbench(combinational)
    else:
        simulator.add_clock(1e-6)
        simulator.add_testbench(pipelined)
    simulator.run()
    return codes[: len(states)]


def check(dut, found, drawn, rng):
    """Compare the codes of drawn states with the definition."""
    codes = convert(dut, [state for state, _ in drawn], rng)
    for (state, value), code in zip(drawn, codes, strict=True):
        want = wanted(found, value)
        assert code == want, f"{found.as_dict()}, {state}: got {code:#x}, expected {want:#x}"


@pytest.mark.parametrize("case", range(40))
def test_random_states(case, seed):
    rng = random.Random(f"{seed} {case}")
    found = draw_design(rng)
    stages = rng.choice([0, 0, 1, 2, 3])
    places = len(FootPlan(found).sections) - 1
    dut = Foot(found, stages=min(stages, places))
    drawn = [draw_state(rng, found, dut.plan.accumulator) for _ in range(120)]
    check(dut, found, drawn, rng)


TINY = [
    # Every sum of one or two products, of sums that fit and that do not.
    ("e2m1", "e2m1", {"kind": "exact", "max_terms": 2}, ["e2m1", "e1m1", "e3m0", "ue2m1", "int4"]),
    ("int2", "int2", {"kind": "exact", "max_terms": 3}, ["e2m1", "e0m2", "s1.1", "uint2", "s3.-2"]),
    # The least sum is a power of two, and all are small against the least normals.
    ("int2", "u1.0", {"kind": "exact", "max_terms": 4}, [f"e2m1:bias={-n}" for n in (0, 4, 5, 8)]),
    ("e3m0", "e3m0", {"kind": "float", "width": 3}, ["e2m1", "e3m1fn", "e2m2ieee", "tern", "s1.2"]),
    ("e1m1", "e1m1", {"kind": "float", "width": 4, "normalize": "none"}, ["e2m1", "ue1m1", "int2"]),
]


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(("a", "b", "accumulate", "outs"), TINY)
def test_all_states_of_tiny_chains(a, b, accumulate, outs, rounding):
    for out in outs:
        for overflow in OVERFLOWS:
            try:
                found = design(
                    a=a,
                    b=b,
                    out=out,
                    accumulate=accumulate,
                    out_round=rounding,
                    out_overflow=overflow,
                )
            except SpecError:
                continue
            check(Foot(found), found, list(all_states(found)), random.Random(0))


def all_states(found):
    acc, accumulator = found.accumulate, accumulator_for(found)
    if acc.kind == "exact":
        least, most = (end * acc.max_terms for end in found.product_range)
        for number in range(least, most + 1):
            yield {"sum": number}, number * Fraction(2) ** found.lsb_exp
        return
    for exponent in range(found.acc_max_exp - found.acc_min_exp + 1):
        top = 1 << acc.width - 1 if acc.normalize.coarse is None else 1
        for magnitude in range(top, 1 << acc.width):
            power = found.acc_min_exp + exponent - (acc.width - 1)
            for sign in (0, 1):
                state = {"sign": sign, "magnitude": magnitude}
                state["exponent"] = stored(accumulator, power)
                yield state, (-1) ** sign * magnitude * Fraction(2) ** power
    for sign in (0, 1):
        yield {"sign": sign, "magnitude": 0, "exponent": 0}, Fraction(0)


@pytest.mark.parametrize(
    ("operand", "out", "accumulate"),
    [
        ("e4m3fn", "bf16", {"kind": "exact", "max_terms": 8}),
        ("bf16", "e4m3fn", {"kind": "float", "width": 16}),
        ("bf16", "bf16", {"kind": "float", "width": 18, "normalize": "approx(1,2)"}),
        ("bf16", "int8", {"kind": "float", "width": 16}),
        ("s4.3", "int8", {"kind": "exact", "max_terms": 8}),
    ],
)
def test_a_register_at_each_place(operand, out, accumulate, seed):
    rng = random.Random(seed)
    found = design(a=operand, b=operand, out=out, accumulate=accumulate)
    places = [section.place for section in FootPlan(found).sections[:-1]]
    for place in places:
        dut = Foot(found, stages=1)
        dut.plan.cuts = (place,)
        drawn = [draw_state(rng, found, dut.plan.accumulator) for _ in range(60)]
        check(dut, found, drawn, rng)


@pytest.mark.parametrize("out", ["bf16", "e4m3fnuz", "ue4m3fn", "int8"])
def test_a_zero_keeps_its_sign_on_request(out):
    found = design(a="bf16", b="bf16", out=out, accumulate={"kind": "float", "width": 16})
    states = [{"sign": sign, "magnitude": 0, "exponent": 0} for sign in (0, 1)]
    keeps = Foot(found, keeps_zero_sign=True)
    negative = oracle.round_to(found.out, oracle.Special.MINUS_ZERO, "rne", "saturate")
    assert convert(keeps, states, None) == [0, negative]
    assert convert(Foot(found), states, None) == [0, 0]


def test_registers_are_as_many_as_the_clock_takes():
    base = {"a": "bf16", "b": "bf16", "accumulate": {"kind": "float", "width": 16}}
    clocks = [1, 100, 200, 400, 800, 1600, 3200]
    counts = [
        FootPlan(design(**base, pipeline="auto", technology="asap7", clock_mhz=clock)).latency
        for clock in clocks
    ]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == 3


def test_registers_keep_pace_with_the_element():
    assert FootPlan(design(pipeline=0)).latency == 0
    found = design(pipeline=1)
    assert FootPlan(found, pace_ps=1e9).latency == 0
    assert FootPlan(found, pace_ps=1.0).latency > 0
    own = MultiplyAddPlan(found).slowest_ps
    assert FootPlan(found).cuts == FootPlan(found, pace_ps=own).cuts
    fast = FootPlan(found, pace_ps=0.6 * FootPlan(found, stages=0).slowest_ps)
    assert fast.latency > 0
    assert fast.slowest_ps <= 0.6 * FootPlan(found, stages=0).slowest_ps


def test_kinds_of_out():
    assert {type(design(out=out).out) for out in OUTS} == {Minifloat, FixedPoint}
