"""Tests of :mod:`minimac.rtl.hadamard`: circuits against the definition."""

import contextlib
import random

import pytest

import chains
import functions
from circuits import run_unit
from minimac.rtl.hadamard import HadamardPlan, HadamardUnit
from minimac.spec import Overflow, Rounding, SpecError, load_design

FORMATS = [
    "int8", "e4m3fn", "e5m2", "e4m3p3109", "e2m1", "s3.4", "uint4", "int4:sym", "nf4:s0.7",
    "khot2:s0.7", "fp16", "e4m3fnuz", "e5m2:ftz", "bin", "tern", "u2.-1", "e3m0",
]  # fmt: skip
OUTS = ["bf16", "fp16", "e4m3fn", "e5m2", "int8", "s3.4", "uint8", "e2m1", "e4m3p3109"]
ROUNDINGS = [str(mode) for mode in Rounding if not mode.stochastic]


def draw_design(rng):
    while True:
        tree = {
            "name": "h",
            "unit": "hadamard",
            "a": rng.choice(FORMATS),
            "out": rng.choice(OUTS),
            "lanes": rng.choice([2, 4, 8, 16]),
            "out_round": rng.choice(ROUNDINGS),
            "out_overflow": str(rng.choice(list(Overflow))),
            "pipeline": rng.choice([0, 0, 1, 2, "auto"]),
            "clock_mhz": 500,
        }
        with contextlib.suppress(SpecError):
            design = load_design(tree)
            HadamardPlan(design)
            return design


@pytest.mark.parametrize("case", range(8))
def test_random_designs_against_the_definition(case, seed, tally):
    context = f"{seed} {case}"
    rng = random.Random(context)
    design = draw_design(rng)
    rows = []
    for n in range(96 // design.lanes):
        manner = rng.choice(["any", "small", "large", "near"])
        row = chains.draw_row(rng, design.a, design.lanes, manner)
        if n % 4 == 0 and (rare := chains.specials(design.a)):
            row[rng.randrange(design.lanes)] = rng.choice(rare)
        rows.append(row)
    stalls = case if case % 2 else None
    got, cycles = run_unit(HadamardUnit(design), [{"a": row} for row in rows], len(rows), stalls)
    wanted = [functions.transformed(design, row) for row in rows]
    assert [each["result"] for each in got] == wanted, (context, design.as_dict())
    if stalls is None:
        assert cycles == len(rows) + HadamardPlan(design).latency
    tally("the definition, circuits, hadamard", len(rows) * design.lanes)


def test_as_many_stages_as_asked_for():
    tree = {"name": "h", "unit": "hadamard", "a": "e4m3fn", "out": "bf16", "lanes": 8}
    for stages in range(8):
        planned = HadamardPlan(load_design(tree | {"pipeline": stages}))
        assert len(planned.cuts) == stages == planned.latency - 1
    with pytest.raises(SpecError, match=r"^pipeline: must be auto or 0 to 7 for unit hadamard"):
        HadamardPlan(load_design(tree | {"pipeline": 8}))
