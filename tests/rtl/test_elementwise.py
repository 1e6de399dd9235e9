"""Tests of :mod:`minimac.rtl.elementwise`: random designs against the definition."""

import contextlib
import random

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

import chains
import oracle
from circuits import run_unit
from minimac.rtl.elementwise import ElementwisePlan, ElementwiseUnit, Operation
from minimac.spec import Overflow, Rounding, SpecError, load_design

DEFINITIONS = {
    "multiplier": oracle.multiplied,
    "adder": oracle.added,
    "fma": oracle.multiplied_and_added,
}
UNITS = ["multiplier", "adder", "fma"]
OPERANDS = [
    "bf16", "fp16", "e4m3fn", "e5m2", "e4m3fnuz", "e3m2", "e2m1", "e2m3", "bf16:ftz", "e5m2:ftz",
    "e0m3", "e3m0", "ue4m3fn", "ue3m2p3109", "e4m3p3109f", "e5m2p3109", "e4m3fn:bias=20",
    "int8", "int4:sym", "uint8", "s4.3", "u2.2", "s-5.12", "s10.-3", "tern", "bin", "nf4",
    "lut:e5m2:3c00bc01", "khot2:s0.7", "e8m0", "dynamic8",
]  # fmt: skip
OUTS = [*OPERANDS[:24], "fp32", "int16", "ue4m3fn:ftz", "e4m3p3109", "int8:sym", "s-3.9", "int4"]
ROUNDINGS = [str(mode) for mode in Rounding if not mode.stochastic]


def draw_design(rng, unit):
    """Draw a legal unit: half of the time all in one format."""
    while True:
        product = rng.choice(["exact"] * 5 + chains.PRODUCTS) if unit != "adder" else "exact"
        a = chains.draw_format(rng, OPERANDS if product == "exact" else chains.APPROXIMATE)
        if unit == "fma" and a == "dynamic8":
            continue  # Amaranth's simulator takes minutes
        alike = product != "exact" or rng.random() < 0.5
        tree = {
            "name": "unit",
            "unit": unit,
            "a": a,
            "b": a if alike else chains.draw_format(rng, OPERANDS[:-1]),
            "out": a if alike and rng.random() < 0.7 else chains.draw_format(rng, OUTS),
            "product": product,
            "out_round": rng.choice(ROUNDINGS),
            "out_overflow": str(rng.choice(list(Overflow))),
            "pipeline": rng.choice([0, 0, 1, 2, "auto"]),
            "clock_mhz": 1000,
        }
        with contextlib.suppress(SpecError):
            design = load_design(tree)
            ElementwisePlan(design)
            return design


def draw_operands(rng, design, count):
    """Draw codes for the operands of ``count`` operations, many of them next to each other."""
    formats = [design.a, design.b] + [design.out] * (design.unit == "fma")
    drawn = []
    for _ in range(count):
        manner = rng.choice(["any", "small", "large", "near", "near"])
        codes = [chains.draw_row(rng, fmt, 1, manner)[0] for fmt in formats]
        if manner == "near" or rng.random() < 0.4:
            number = oracle.value(formats[0], codes[0])
            if design.unit == "fma":
                other = oracle.value(formats[1], codes[1])
                special = any(isinstance(n, oracle.Special) for n in (number, other))
                number = 0 if special else number * other
            if not isinstance(number, oracle.Special):
                scale = 2 ** rng.choice([0, 0, 0, 1, 2, 5, rng.randrange(1, 12)])
                goal = number * rng.choice([-1, -1, 1]) / scale
                code = oracle.round_to(formats[-1], oracle.Fraction(goal), "rne", "saturate")
                near = code + rng.choice([0, 0, 1, -1, 2])
                codes[-1] = near if chains.is_finite(formats[-1], near) else code
        for fmt, at in zip(formats, range(len(codes)), strict=True):
            if rng.random() < 0.06 and (rare := chains.specials(fmt) + chains.zeros(fmt)):
                codes[at] = rng.choice(rare)
        drawn.append(codes)
    return drawn


def run(design, operands):
    """Simulate operations back to back; return the codes that come out."""
    names = "abc"[: len(operands[0])]
    transfers = [dict(zip(names, values, strict=True)) for values in operands]
    got, _ = run_unit(ElementwiseUnit(design), transfers, len(operands))
    return [each["result"] for each in got]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("case", range(50))
def test_random_designs_against_the_definition(unit, case, seed, tally):
    context = f"{unit} {seed} {case}"
    rng = random.Random(context)
    design = draw_design(rng, unit)
    operands = draw_operands(rng, design, 100)
    for codes, got in zip(operands, run(design, operands), strict=True):
        wanted = DEFINITIONS[unit](design, *codes)
        assert got == wanted, (
            f"{context}: got {got:#x}, not {wanted:#x}; {design.as_dict()}, "
            f"operands = {[*map(hex, codes)]}"
        )
    tally(f"the definition, circuits, {unit}", len(operands))


def operate(design, operands):
    """Compute with an operation inside somebody's module, without a clock."""
    m = Module()
    m.submodules.operation = operation = Operation(design)
    assert operation.COMBINATIONAL
    codes = []

    async def try_all(ctx):
        for values in operands:
            for name, value in zip("abc", values, strict=False):
                ctx.set(getattr(operation, name), value)
            codes.append(ctx.get(operation.result))

    simulator = Simulator(m)
    simulator.add_testbench(try_all)
    simulator.run()
    return codes


@pytest.mark.parametrize("mode", ROUNDINGS)
@pytest.mark.parametrize(
    ("unit", "fields"),
    [
        ("multiplier", {"a": "e2m1", "out": "e2m1fn"}),
        ("multiplier", {"a": "e3m2", "b": "int3", "out": "e2m2fnuz"}),
        ("adder", {"a": "e2m2ieee", "out": "e2m2ieee"}),
        ("adder", {"a": "e2m2p3109", "b": "s1.2", "out": "e3m1"}),
    ],
)
def test_all_pairs_without_a_clock(unit, fields, mode, tally):
    tree = {"name": "m", "unit": unit, "b": fields["a"], "out_round": mode, **fields}
    design = load_design(tree)
    cases = [(a, b) for a in range(1 << design.a.width) for b in range(1 << design.b.width)]
    wanted = [DEFINITIONS[unit](design, *case) for case in cases]
    assert operate(design, cases) == wanted
    tally(f"the definition, circuits, {unit}", len(cases))


@pytest.mark.parametrize("unit", UNITS)
def test_as_many_stages_as_asked_for(unit):
    tree = {"name": "m", "unit": unit, "a": "bf16", "b": "bf16", "out": "bf16"}
    most = {"multiplier": 4, "adder": 6, "fma": 4}[unit]
    for stages in range(most + 1):
        design = load_design(tree | {"pipeline": stages})
        planned = ElementwisePlan(design)
        assert len(planned.cuts) == stages == planned.latency - 1
        assert len(run(design, [(1, 2, 3)[: 2 + (unit == "fma")]] * 3)) == 3
    with pytest.raises(
        SpecError, match=f"^pipeline: must be auto or 0 to {most} for unit {unit} of"
    ):
        ElementwisePlan(load_design(tree | {"pipeline": most + 1}))
    slow, fast = (
        ElementwisePlan(load_design(tree | {"pipeline": "auto", "clock_mhz": mhz})).latency
        for mhz in (1.0, 400.0)
    )
    assert slow == 1 < fast
