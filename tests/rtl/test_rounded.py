"""Tests of the fused multiply-add: its gates, many cases at a time, against the definition."""

import functools
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

import oracle
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.rounded import RoundedAccumulator, fused_multiply_add
from minimac.spec import (
    Arithmetic,
    Minifloat,
    RoundedAccumulation,
    Rounding,
    parse_format,
)
from oracle import Special

MODES = [str(mode) for mode in Rounding if not mode.stochastic]
OPERANDS = """bf16 fp16 e4m3fn e5m2 e4m3fnuz e3m2 e2m1 int8 int4:sym uint8 s4.3 e5m2p3109 ue4m3fn
    e4m3p3109f bf16:ftz e5m2:ftz e0m3 e3m0 ue3m2p3109 e4m3fn:bias=11 u2.2 s-5.12 e4m3fn:bias=20
    s10.-3 e5m0 tf32 e1m2 uint1 e2m3ieee e4m3ieee nf4 e8m0""".split()
STATES = """bf16 fp16 fp32 e5m2 e4m3fn e4m3ieee e4m3 e3m2 e5m2fnuz e4m3fnuz e5m2p3109 e4m3p3109f
    e3m0 bf16:ftz e4m3fn:ftz e5m2p3109:ftz e6m9 e2m1 e0m4 e3m0p3109 e5m0 e2m1ieee e1m3 e3m3fn
    e4m3ieee:bias=-3 e5m2:bias=24 e8m1ieee""".split()

#: From Amaranth's output to a list of conjunctions.
_SCRIPT = """\
import sys
from pyosys import libyosys
design = libyosys.Design()
passes = ["hierarchy -auto-top", "proc", "flatten", "setundef -zero", "opt -fast", "techmap",
          "opt -fast", "aigmap", "opt_clean"]
for path in sys.argv[1:]:
    for line in ("read_rtlil " + path, *passes, "write_aiger -ascii -symbols " + path,
                 "design -reset"):
        libyosys.run_pass("tee -q " + line, design)
"""


class Gates:
    """A circuit without registers: inputs and outputs by name, each an array of numbers."""

    def __init__(self, text):
        header, *lines = text.splitlines()
        _, inputs, latches, outputs, gates = map(int, header.split()[1:])
        assert latches == 0
        numbers = [
            [int(word) for word in line.split()] for line in lines[: inputs + outputs + gates]
        ]
        self.inputs = [line[0] for line in numbers[:inputs]]
        self.outputs = [line[0] for line in numbers[inputs : inputs + outputs]]
        self.gates = numbers[inputs + outputs :]
        self.names = {}  # name and bit of each input and output
        for line in lines[inputs + outputs + gates :]:
            if line == "c":
                break
            place, symbol = line.split()
            name, _, bit = symbol.rstrip("]").partition("[")
            self.names[place] = name, int(bit or 0)

    def run(self, **values):
        """Return the outputs for arrays of inputs."""
        count = len(next(iter(values.values())))
        nodes = {0: np.zeros(-(-count // 8), np.uint8)}
        for place, node in enumerate(self.inputs):
            name, bit = self.names[f"i{place}"]
            nodes[node] = np.packbits(np.asarray(values[name]) >> bit & 1)

        def value(literal):
            return ~nodes[literal - 1] if literal & 1 else nodes[literal]

        for node, x, y in self.gates:
            nodes[node] = value(x) & value(y)
        results = {}
        for place, literal in enumerate(self.outputs):
            name, bit = self.names[f"o{place}"]
            bits = np.unpackbits(value(literal), count=count).astype(np.int64)
            results[name] = results.get(name, 0) + (bits << bit)
        return results


def compile_all(circuits, folder):
    """Turn pairs of a module and its ports into gates."""
    paths = []
    for n, (m, ports) in enumerate(circuits):
        paths.append(Path(folder) / f"{n}.il")
        paths[-1].write_text(rtlil.convert(m, ports=ports, emit_src=False))
    subprocess.run(
        [sys.executable, "-c", _SCRIPT, *map(str, paths)], check=True, stdout=subprocess.DEVNULL
    )
    return [Gates(path.read_text()) for path in paths]


def arithmetic(a, b, state, mode="rne", product="exact"):
    a, b, state = (parse_format(name) for name in (a, b, state))
    acc = RoundedAccumulation(format=state, round=mode)
    return Arithmetic(a=a, b=b, out=state, accumulate=acc, product=product)


def step_circuit(spec):
    """Return one step, from ``a``, ``b``, ``c`` and ``special`` to ``y`` and ``y_special``."""
    m, unit, pipe = Module(), RoundedAccumulator(spec), Pipeline((), None)
    a, b = Signal(spec.a.width, name="a"), Signal(spec.b.width, name="b")
    state = Signal(unit.state_layout)
    c, y = Signal(unit.format.width, name="c"), Signal(unit.format.width, name="y")
    ports = [a, b, c, y]
    result = unit.step(m, pipe, state, unit.multiply(m, pipe, a, b))
    m.d.comb += [state.code.eq(c), y.eq(result.code)]
    if not unit.codes_special:
        special = Signal(unit.special_bits, name="special")
        y_special = Signal(unit.special_bits, name="y_special")
        m.d.comb += [state.special.eq(special), y_special.eq(result.special)]
        ports += [special, y_special]
    return m, ports


SPECIAL = {1: Special.PLUS_INFINITY, 2: Special.MINUS_INFINITY, 3: Special.NAN}


def is_special(value):
    """Whether a value is NaN or infinite."""
    return isinstance(value, Special) and value is not Special.MINUS_ZERO


def value_of(spec, code, special):
    """Return what a state means."""
    if special:
        return SPECIAL[special] if RoundedAccumulator(spec).special_bits == 2 else Special.NAN
    return oracle.value(spec.accumulate.format, code)


@functools.cache
def rounded(fmt, mode, total):
    return oracle.round_to(fmt, total, mode, oracle.overflow_of(fmt))


def expected(spec, state, product):
    """Return the state after a step as a value, and its code; None for one that does not count."""
    fmt, mode = spec.accumulate.format, str(spec.accumulate.round)
    total = oracle.add(state, product, mode)
    if is_special(total):
        return total, rounded(fmt, mode, total) if RoundedAccumulator(spec).codes_special else None
    code = rounded(fmt, mode, total)
    return oracle.value(fmt, code), code


def draw_code(rng, fmt):
    """Draw a code: with few or many ones in the mantissa, often near 1 or at an end."""
    while True:
        code = rng.randrange(1 << fmt.width)
        if isinstance(fmt, Minifloat):
            man, top = fmt.man_bits, (1 << fmt.exp_bits) - 1
            mantissa = rng.choice([code, 0, -1, 1, -2, 1 << max(man - 1, 0)]) & (1 << man) - 1
            field = code >> man & top
            field = rng.choice(
                [field, fmt.bias + rng.randrange(-3, 4), rng.choice([0, 1, 2, top - 1, top])]
            )
            field = min(max(field, 0), top)
            code = code >> fmt.magnitude_bits << fmt.magnitude_bits | field << man | mantissa
        if fmt.holds(code):
            return code


def draw_state(rng, spec, product):
    """Draw a state: anything, or a number near the product, most often of the other sign."""
    fmt, unit = spec.accumulate.format, RoundedAccumulator(spec)
    if not unit.codes_special and rng.random() < 0.1:
        return 0, rng.randrange(1, 1 << unit.special_bits)
    code = draw_code(rng, fmt)
    if not isinstance(product, Special) and rng.random() < 0.6:
        near = rounded(fmt, "truncate", -product) if rng.random() < 0.9 else code
        distance = rng.choice(
            [0, 0, 1, -1, rng.randrange(-40, 40) << rng.randrange(fmt.man_bits + 2)]
        )
        sign = near >> fmt.magnitude_bits << fmt.magnitude_bits
        code = sign | min(max((near ^ sign) + distance, 0), fmt.max_code)
    if not (unit.codes_special and unit.special_bits) and is_special(oracle.value(fmt, code)):
        code = 0  # a state does not tell it like this, or there is nothing to tell
    return code, 0


def assert_agrees(spec, gates, a, b, c, special):
    columns = {"a": a, "b": b, "c": c}
    coded = RoundedAccumulator(spec).codes_special
    if not coded:
        columns["special"] = special
    got = gates.run(**{name: np.array(values, np.int64) for name, values in columns.items()})
    products = {}
    for n, case in enumerate(zip(a, b, c, special, strict=True)):
        x, y, code, flags = case
        if (x, y) not in products:
            term = oracle.product(spec.a, x, spec.b, y, str(spec.product))
            products[x, y] = oracle.with_sign(term)
        value, code = expected(spec, value_of(spec, code, flags), products[x, y])
        found = int(got["y"][n])
        what = f"{spec.summary()}: a, b, c, special = {case}, result {found:#x}, not {code} {value}"
        if code is not None:
            assert found == code, what
        if not coded:
            flags = int(got["y_special"][n])
            assert (value_of(spec, found, flags) is value) if code is None else not flags, what


def draw_spec(rng):
    a = rng.choice(OPERANDS)
    b = rng.choice([a, rng.choice(OPERANDS)])
    state = rng.choice([a, rng.choice(STATES)])
    if not isinstance(parse_format(state), Minifloat) or not parse_format(state).signed:
        state = rng.choice(STATES)
    return arithmetic(a, b, state, rng.choice(MODES))


#: Beside what is drawn: what is used most, and sums that cancel to the last bit of the window.
CHOSEN = [
    line.split()
    for line in """\
bf16 bf16 bf16
fp32 fp32 fp32
e4m3fn e4m3fn fp32
int8 bf16 bf16
int4 int4 bf16
e5m2 e4m3fn e4m3fn""".splitlines()
]


def test_random_formats(seed, tmp_path):
    rng = random.Random(seed)
    specs = [arithmetic(*names) for names in CHOSEN] + [draw_spec(rng) for _ in range(18)]
    for spec, gates in zip(specs, compile_all(map(step_circuit, specs), tmp_path), strict=True):
        cases = []
        for _ in range(250):
            a, b = draw_code(rng, spec.a), draw_code(rng, spec.b)
            product = oracle.with_sign(oracle.product(spec.a, a, spec.b, b))
            cases.append((a, b, *draw_state(rng, spec, product)))
        assert_agrees(spec, gates, *zip(*cases, strict=True))


def test_all_operands(tmp_path):
    """Formats of few bits, every case; with a narrow exponent most of them meet."""
    names = [("e2m1", mode) for mode in MODES] + [("e2m1ieee", mode) for mode in MODES]
    names += [("e3m1ieee", "rne"), ("e2m2fn", "down"), ("e3m0p3109", "odd"), ("e2m1:ftz", "up")]
    specs = [arithmetic(name, name, name, mode) for name, mode in names]
    for spec, gates in zip(specs, compile_all(map(step_circuit, specs), tmp_path), strict=True):
        codes = np.arange(1 << 3 * spec.a.width)
        width, ones = spec.a.width, (1 << spec.a.width) - 1
        a, b, c = (codes >> n * width & ones for n in range(3))
        possible = np.array(
            [unit_has(spec, code) for code in range(ones + 1)], bool
        )  # without NaN among the operands there is none in a state
        kept = possible[c]
        cases = [column[kept].tolist() for column in (a, b, c)]
        assert_agrees(spec, gates, *cases, [0] * int(kept.sum()))


def test_the_last_bit_of_a_product_below_the_addend(tmp_path):
    """It is a tie by that bit, which the window has room for also where there are no subnormals."""
    spec = arithmetic("bf16:ftz", "e5m2:ftz", "bf16:ftz")
    encoded = 0x3FFD, 0x3F, 0xC080  # 253/128, 7/4, -4
    (gates,) = compile_all([step_circuit(spec)], tmp_path)
    assert_agrees(spec, gates, *([code] for code in encoded), [0])


def unit_has(spec, code):
    """Whether a code may be that of a state."""
    unit = RoundedAccumulator(spec)
    return bool(unit.special_bits) or not is_special(oracle.value(unit.format, code))


def test_registers_change_nothing():
    """With a register at every place the same states follow from the same operands."""
    spec = arithmetic("e4m3fn", "e5m2", "bf16")
    rng = random.Random(0)
    cases = [
        tuple(draw_code(rng, f) for f in (spec.a, spec.b, parse_format("bf16"))) for _ in range(40)
    ]
    places = ["multiply", "align", "add", "normalize"]

    def run(cuts):
        m, unit = Module(), RoundedAccumulator(spec)
        a, b, step = Signal(8), Signal(8), Signal()
        state, held = Signal(unit.state_layout), Signal(unit.state_layout)
        pipe = Pipeline(cuts, step)
        product = unit.multiply(m, pipe, a, b)
        result = unit.step(m, pipe, held, product)
        m.d.comb += held.eq(state)
        if cuts:  # the state belongs to the operands of the cycle before
            late = Signal(unit.state_layout)
            with m.If(step):
                m.d.sync += late.eq(state)
            m.d.comb += held.eq(late)
        seen = []

        async def drive(ctx):
            for n, (x, y, z) in enumerate(cases + [cases[-1]] * len(cuts)):
                ctx.set(a, x)
                ctx.set(b, y)
                ctx.set(state.code, z)
                ctx.set(step, 0)
                await ctx.tick()  # nothing moves
                ctx.set(step, 1)
                if n >= len(cuts):
                    seen.append(ctx.get(result.code))
                await ctx.tick()

        if not cuts:
            m.d.sync += Signal().eq(step)  # a clock to count by
        simulator = Simulator(m)
        simulator.add_clock(1e-6)
        simulator.add_testbench(drive)
        simulator.run()
        return seen

    assert run(places) == run([])


@pytest.mark.parametrize("state", ["bf16", "e4m3fn:ftz", "e4m3", "e5m2p3109", "e0m4", "e3m0"])
def test_what_a_state_means(state, tmp_path):
    spec = arithmetic("e4m3fn", "e4m3fn", state)
    m, unit = Module(), RoundedAccumulator(spec)
    view = Signal(unit.state_layout)
    names = ["sign", "magnitude", "exponent", "special"]
    x = unit.fraction(m, view)
    values = [x.sign, x.magnitude, x.exponent, unit.special(m, view)]
    outs = [Signal(len(value), name=name) for name, value in zip(names, values, strict=True)]
    code = Signal(unit.format.width, name="code")
    m.d.comb += [view.code.eq(code), *(o.eq(v) for o, v in zip(outs, values, strict=True))]
    (gates,) = compile_all([(m, [code, *outs])], tmp_path)
    codes = np.arange(0, 1 << unit.format.width, 37 if unit.format.width > 8 else 1)
    got = gates.run(code=codes)
    for n, number in enumerate(codes):
        found = oracle.value(unit.format, int(number))
        sign, magnitude, exponent, special = (int(got.get(name, codes * 0)[n]) for name in names)
        if is_special(found):
            # A format may have NaN that no chain ever is.
            assert value_of(spec, int(number), special) in (found, unit.codes_special or found)
        else:
            assert special == 0
            low = x.base + exponent - (len(x.magnitude) - 1)
            value = magnitude * oracle.Fraction(2) ** low
            exact = 0 if found is Special.MINUS_ZERO else found
            assert (-value if sign else value) == exact
            assert x.base + exponent <= x.max_exp
            normal = x.normal_from is not None and exponent >= x.normal_from
            assert not (normal and magnitude) or magnitude >> len(x.magnitude) - 1


def test_a_result_of_the_format_of_out_is_ready():
    ready = {"bf16": True, "fp16": False, "e4m3": False}
    for state, is_ready in ready.items():
        acc = RoundedAccumulation(format=parse_format(state))
        fmt, out = parse_format("e4m3fn"), parse_format("e4m3" if state == "e4m3" else "bf16")
        unit = RoundedAccumulator(Arithmetic(a=fmt, b=fmt, out=out, accumulate=acc))
        view = Signal(unit.state_layout)
        assert (unit.code(None, view) is not None) == is_ready


def test_stand_alone(tmp_path):
    """As a unit of its own it takes any addend: here NaN, which ``a`` and ``b`` cannot be."""
    spec = arithmetic("int4", "int4", "e4m3fn", "rne")
    m = Module()
    a, b, c = Signal(4, name="a"), Signal(4, name="b"), Signal(8, name="c")
    y = Signal(8, name="y")
    m.d.comb += y.eq(fused_multiply_add(m, spec, a, b, c))
    (gates,) = compile_all([(m, [a, b, c, y])], tmp_path)
    got = gates.run(a=np.arange(16), b=np.full(16, 3), c=np.full(16, 0xFF))
    assert got["y"].tolist() == [0x7F] * 16
    with pytest.raises(ValueError, match="e4m3fn has no code"):
        fused_multiply_add(None, arithmetic("e5m2", "e5m2", "e4m3fn"), Signal(8), Signal(8), c)
