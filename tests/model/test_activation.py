"""Tests of :func:`minimac.model.activate`: the definition, and the error over all inputs."""

import math
import random

import numpy as np
import pytest

import functions
from circuits import some_codes
from minimac.model import activate, activation_bound, decode
from minimac.spec import load_design

TABLES = [
    ("e4m3fn", "e4m3fn", {}),
    ("e5m2", "bf16", {"out_overflow": "infinity", "out_round": "up"}),
    ("s3.4", "s0.7", {"out_round": "down"}),
    ("e4m3p3109", "e5m2", {"out_round": "odd"}),
    ("e2m1", "u2.4", {}),
    ("nf4", "e3m2", {"out_round": "rna"}),
    ("int4:sym", "e4m3fnuz", {"out_round": "truncate"}),
]
WIDE = ["bf16", "fp16", "s4.11", "s-3.18"]


def load(function, a, out, **fields):
    tree = {"name": "f", "unit": "activation", "function": function, "a": a, "out": out}
    return load_design(tree | fields)


@pytest.mark.parametrize("function", functions.FUNCTIONS)
@pytest.mark.parametrize(("a", "out", "fields"), TABLES)
def test_every_code_is_correctly_rounded(function, a, out, fields, tally):
    design = load(function, a, out, **fields)
    codes = [code for code in range(1 << design.a.width) if design.a.holds(code)]
    wanted = [functions.activated(design, code) for code in codes]
    assert activate(design, codes).tolist() == wanted
    tally("the definition, tables of functions", len(codes))


@pytest.mark.parametrize("function", functions.FUNCTIONS)
@pytest.mark.parametrize("a", WIDE)
def test_wide_inputs_against_the_definition(function, a, seed, tally):
    rng = random.Random(f"{seed} {function} {a}")
    fields = {} if function == "relu" else {"segments": rng.choice([8, 32]), "fraction": 12}
    out = rng.choice(["bf16", "e4m3fn", "s3.12", "fp16"])
    design = load(function, a, out, out_round=rng.choice(["rne", "up", "truncate"]), **fields)
    codes = some_codes(design.a, seed)[:: 2 if function == "relu" else 4]
    wanted = [functions.activated(design, code) for code in codes]
    assert activate(design, codes).tolist() == wanted
    tally("the definition, interpolated functions", len(codes))


_REFERENCES = {
    "gelu": lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    "silu": lambda x: x / (1 + math.exp(-x)) if x > -700 else 0.0,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
    "tanh": math.tanh,
    "exp": lambda x: math.exp(x) if x < 700 else math.inf,
}


@pytest.mark.parametrize("function", _REFERENCES)
@pytest.mark.parametrize("a", ["bf16", "s4.11", "fp16"])
@pytest.mark.parametrize("fields", [{}, {"segments": 16, "fraction": 10}], ids=["64", "16"])
def test_error_bound_over_all_inputs(function, a, fields, tally):
    """All 65536 inputs: within the bound, which is not far above what is found."""
    design = load(function, a, "fp32", **fields)
    codes = np.arange(1 << 16)
    values = decode(design.a, codes)
    codes, values = codes[np.isfinite(values)], values[np.isfinite(values)]
    got = decode(design.out, activate(design, codes))
    wanted = np.array([_REFERENCES[function](x) for x in values.tolist()])
    largest = float(design.out.max_lsbs) * 2.0**design.out.lsb_exp
    kept = np.abs(wanted) < largest
    assert (got[~kept] == largest).all()
    got, wanted, values = got[kept], wanted[kept], values[kept]
    bounds = activation_bound(design, values)
    rounding = np.maximum(np.abs(wanted) * 2.0**-24, 2.0**-150) * 1.001
    error = np.abs(got - wanted) - rounding
    assert (error <= bounds).all()
    some = bounds > 0
    assert (error[some] / bounds[some]).max() > 1 / 8
    tally("bounds of errors, interpolated functions", len(got))


def test_the_sign_of_zero():
    for function, zero in (("relu", 0), ("gelu", 0x8000), ("silu", 0x8000), ("tanh", 0x8000)):
        design = load(function, "bf16", "bf16")
        assert activate(design, [0x8000, 0]).tolist() == [zero, 0]
