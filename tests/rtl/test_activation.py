"""Tests of :mod:`minimac.rtl.activation`: circuits against the definition and the model."""

import contextlib
import random

import numpy as np
import pytest

import functions
from circuits import run_unit, some_codes
from minimac.model import activate
from minimac.rtl.activation import ActivationPlan, ActivationUnit
from minimac.spec import Overflow, Rounding, SpecError, load_design

FORMATS = [
    "bf16", "fp16", "e5m9p3109", "e4m5:bias=3", "s4.11", "s-3.18", "u3.7", "bf16:ftz", "ue5m6",
    "e4m3fn", "e5m2", "nf4", "int4:sym", "e8m0",
]  # fmt: skip
OUTS = ["bf16", "fp16", "e4m3fn", "e5m2", "s3.4", "u0.8", "e4m3p3109", "int8", "fp32"]
ROUNDINGS = [str(mode) for mode in Rounding if not mode.stochastic]


def draw_design(rng, function):
    while True:
        a = rng.choice(FORMATS)
        tree = {
            "name": "f",
            "unit": "activation",
            "function": function,
            "a": a,
            "out": a if rng.random() < 0.2 else rng.choice(OUTS),
            "out_round": rng.choice(ROUNDINGS),
            "out_overflow": str(rng.choice(list(Overflow))),
            "pipeline": rng.choice([0, 0, 1, 2, "auto"]),
            "clock_mhz": 500,
        }
        if rng.random() < 0.7:
            tree |= {"segments": rng.choice([8, 16, 64]), "fraction": rng.choice([8, 11, 16])}
        with contextlib.suppress(SpecError):
            design = load_design(tree)
            ActivationPlan(design)
            return design


def outputs(design, codes, **options):
    transfers = [{"a": code} for code in codes]
    got, _ = run_unit(ActivationUnit(design), transfers, len(codes), **options)
    return [each["result"] for each in got]


@pytest.mark.parametrize("function", functions.FUNCTIONS)
@pytest.mark.parametrize("case", range(4))
def test_random_designs_against_the_definition(function, case, seed, tally):
    context = f"{seed} {function} {case}"
    rng = random.Random(context)
    design = draw_design(rng, function)
    codes = some_codes(design.a, seed)
    codes = rng.sample(codes, min(40, len(codes)))
    got = outputs(design, codes, stalls=case if case % 2 else None)
    wanted = [functions.activated(design, code) for code in codes]
    assert got == wanted, (context, design.as_dict())
    tally("the definition, circuits, activation", len(codes))


@pytest.mark.parametrize("function", functions.FUNCTIONS)
def test_inputs_of_all_sizes_against_the_model(function, tally):
    """Every 401st code; the bench tries all of them (``exhaustive``)."""
    tree = {"name": "f", "unit": "activation", "a": "bf16", "out": "bf16", "function": function}
    design = load_design(tree)
    codes = list(range(0, 1 << 16, 401))
    assert outputs(design, codes) == activate(design, np.array(codes)).tolist()
    tally("the model, circuits, activation", len(codes))


@pytest.mark.parametrize(
    ("function", "most"), [("relu", 0), ("gelu", 8), ("sigmoid", 7), ("exp", 8)]
)
def test_as_many_stages_as_asked_for(function, most):
    tree = {"name": "f", "unit": "activation", "a": "bf16", "out": "bf16", "function": function}
    for stages in range(most + 1):
        planned = ActivationPlan(load_design(tree | {"pipeline": stages}))
        assert len(planned.cuts) == stages == planned.latency - 1
    codes = [0x3F80, 0xC000, 0x4000]
    deepest = load_design(tree | {"pipeline": most})
    assert outputs(deepest, codes) == activate(deepest, codes).tolist()
    with pytest.raises(SpecError, match=f"^pipeline: must be auto or 0 to {most} for unit"):
        ActivationPlan(load_design(tree | {"pipeline": most + 1}))


def test_a_table_has_no_places_for_registers():
    tree = {"name": "f", "unit": "activation", "a": "int8", "out": "int8", "function": "tanh"}
    assert ActivationPlan(load_design(tree | {"pipeline": "auto"})).latency == 1
