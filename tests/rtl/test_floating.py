"""Tests of chains of floats: ways to normalise, and registers at every place."""

import random

import pytest
from amaranth.sim import Simulator

import chains
from minimac.rtl import multiplyadd
from minimac.rtl.delay import Delays
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.multiplyadd import MultiplyAdd
from minimac.spec import load_design
from rtl.test_units import assert_agrees, draw_chains

NORMALIZATIONS = ["exact", "none", "approx(1,1)", "approx(1,2)", "approx(2,2)", "approx(3,1)"]
#: Bits below the magnitude, and what becomes of them.
WINDOWS = [(0, False, "truncate"), (0, True, "odd"), (1, False, "up"), (2, True, "rne")]
FORMATS = ["bf16", "e4m3fn", "e3m2", "ue4m3fn", "e5m2", "fp16"]


def draw_float(rng, normalize, window, **changes):
    """Draw a design with an accumulator of kind ``float``."""
    guard, sticky, mode = window
    a, b = rng.choice([*FORMATS, "int8"]), rng.choice(FORMATS)
    tree = {"name": "unit", "unit": "mac", "a": a, "b": b, "out": "fp32"}
    exact = load_design(tree | {"accumulate": {"kind": "exact"}})
    width = max(exact.product_bits, 2) + rng.choice([0, 1, 5])
    accumulate = {
        "kind": "float",
        "width": width,
        "guard": guard,
        "sticky": sticky,
        "round": mode,
        "normalize": normalize,
        "max_terms": rng.choice([9, 64, 65536]),
    }
    return load_design(tree | {"accumulate": accumulate} | changes)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("normalize", ["exact", *NORMALIZATIONS])
def test_each_way_to_normalize_against_the_definition(normalize, window, seed, tally):
    context = f"seed {seed}, {normalize}, {window}"
    rng = random.Random(context)
    normalizers = ["counter", "anticipator"] if normalize == "exact" else ["counter"]
    design = draw_float(rng, normalize, window)
    operands = draw_chains(rng, design)
    for normalizer in normalizers:
        changed = load_design(design.as_dict() | {"normalizer": normalizer})
        tally("mac in Amaranth", assert_agrees(changed, operands, f"{context}, {normalizer}"))


@pytest.mark.parametrize("normalize", ["exact", "approx(1,2)"])
@pytest.mark.parametrize(("guard", "sticky", "mode"), [(0, True, "odd"), (1, True, "rne")])
def test_narrow_windows_lose_bits_in_every_step(guard, sticky, mode, normalize, seed, tally):
    context = f"seed {seed}, {normalize}, {guard}"
    rng = random.Random(context)
    accumulate = {"kind": "float", "width": 4, "guard": guard, "sticky": sticky, "round": mode}
    tree = {"name": "unit", "unit": "mac", "a": "e3m1", "b": "e3m1", "out": "fp32"}
    design = load_design(tree | {"accumulate": accumulate | {"normalize": normalize}})
    codes = range(1 << design.a.width)
    operands = [(rng.choices(codes, k=4), rng.choices(codes, k=4)) for _ in range(200)]
    tally("mac in Amaranth", assert_agrees(design, operands, context))


def with_registers(monkeypatch, design, cuts):
    """Return the multiply-add of a design with registers at these places."""
    with monkeypatch.context() as patch:
        patch.setattr(multiplyadd, "choose_cuts", lambda *args, **kwargs: tuple(cuts))
        return MultiplyAdd(design)


def simulate(dut, vectors):
    """Run independent steps, one a cycle: ``a``, ``b`` and the bits of a state, or None: go on."""
    plan, results = dut.plan, []
    cycles = len(vectors) + plan.lead + plan.latency

    async def drive(ctx):
        ctx.set(dut.step, 1)
        for cycle in range(cycles):
            if cycle < len(vectors):
                ctx.set(dut.a, vectors[cycle][0])
                ctx.set(dut.b, vectors[cycle][1])
            if 0 <= cycle - plan.lead < len(vectors):
                state = vectors[cycle - plan.lead][2]
                ctx.set(dut.state.as_value(), results[-1] if state is None else state)
            if cycle >= plan.lead + plan.latency:
                results.append(ctx.get(dut.result.as_value()))
            if plan.cuts:
                await ctx.tick()

    simulator = Simulator(dut)
    if plan.cuts:
        simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    return results


def draw_steps(rng, design, monkeypatch):
    """Draw chains; return their steps, and the bits of the states that those lead to."""
    a, b = chains.draw_operands(rng, design, 8, 8, 8)
    vectors = [
        (x, y, None if n else 0)
        for row, column in zip(a.elements, b.elements, strict=True)
        for n, (x, y) in enumerate(zip(row, column, strict=True))
    ]
    results = simulate(with_registers(monkeypatch, design, ()), vectors)
    before = [0, *results]
    steps = [(x, y, before[n] if s is None else s) for n, (x, y, s) in enumerate(vectors)]
    return steps, results


@pytest.mark.parametrize("normalize", ["exact", "approx(1,2)", "none"])
def test_registers_at_each_place_and_at_all(normalize, seed, monkeypatch):
    rng = random.Random(f"{seed} {normalize}")
    for normalizer in ["counter", "anticipator"] if normalize == "exact" else ["counter"]:
        design = draw_float(rng, normalize, (1, True, "rne"), normalizer=normalizer)
        sections = accumulator_for(design).sections(Delays(design.technology))
        places = [section.place for section in sections[:-1]]
        assert len(places) == len(set(places)) >= 6
        steps, results = draw_steps(rng, design, monkeypatch)
        for cuts in ([place] for place in places), [places]:
            for chosen in cuts:
                dut = with_registers(monkeypatch, design, chosen)
                assert dut.plan.lead + dut.plan.latency == len(chosen)
                assert simulate(dut, steps) == results, f"{chosen} (seed {seed})"


@pytest.mark.parametrize("case", range(4))
def test_both_normalizers_return_the_same_states(case, seed, monkeypatch):
    rng = random.Random(f"{seed} {case}")
    design = draw_float(rng, "exact", WINDOWS[case])
    steps, results = draw_steps(rng, design, monkeypatch)
    other = load_design(design.as_dict() | {"normalizer": "anticipator"})
    layout = accumulator_for(design).state_layout
    found = simulate(with_registers(monkeypatch, other, ()), steps)
    for got, want in zip(found, results, strict=True):
        got, want = layout.from_bits(got), layout.from_bits(want)
        assert got.magnitude == want.magnitude
        # The exponent of a zero means nothing.
        assert not want.magnitude or got.exponent == want.exponent
