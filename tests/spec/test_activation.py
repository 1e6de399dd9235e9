"""Tests of activations in :mod:`minimac.spec.functions`."""

from fractions import Fraction

import pytest

import functions
from minimac.spec import SpecError, load_design

BASE = {"name": "f", "unit": "activation", "a": "bf16", "out": "bf16", "function": "gelu"}


def test_defaults_do_not_show():
    narrow = load_design(BASE | {"a": "e4m3fn"})
    assert {"b", "accumulate", "product", "segments", "fraction"}.isdisjoint(narrow.as_dict())
    wide = load_design(BASE)
    assert (wide.segments, wide.fraction) == (64, 16)
    assert narrow.digest != wide.digest
    for design in (narrow, wide):
        assert load_design(design.as_dict()) == design


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"function": "swish"}, "function: must be 'relu', 'gelu', "),
        ({"b": "int8"}, "b: activation has one operand; leave this key out"),
        ({"accumulate": {"kind": "rounded", "format": "fp32"}}, "accumulate: activation rounds"),
        ({"product": "lmul"}, "product: activation multiplies no operands; leave"),
        ({"a": "fp32"}, "a: activation takes formats of at most 16 bits, not fp32"),
        ({"a": "mxfp4"}, "a: activation takes scalar formats, not mxfp4"),
        ({"segments": 48}, "segments: must be a power of two from 8 to 1024, not 48"),
        ({"segments": 256, "fraction": 8}, "segments: must be a power of two from 8 to 128"),
        ({"fraction": 24}, "fraction: must be 8 to 20, not 24"),
        ({"a": "e4m3fn", "segments": 64}, "segments: all codes are listed; leave this key out"),
        ({"function": "relu", "fraction": 9}, "fraction: relu needs no table; leave this key out"),
        ({"out_round": "sr_a"}, "out_round: must not be stochastic in activation; use another"),
    ],
)
def test_errors(fields, message):
    with pytest.raises(SpecError) as caught:
        load_design(BASE | fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("function", ["gelu", "silu", "sigmoid", "tanh"])
def test_nodes(function):
    """The nodes by decimals."""
    design = load_design(BASE | {"function": function, "segments": 16, "fraction": 12})
    table, span = design.table, 1 << design.span_bits
    real = {"gelu": "normal", "silu": "sigmoid", "tanh": "tanh_quotient"}.get(function, function)
    wanted = [
        int(functions.real(real, Fraction(span * k, 16)) * 4096 + Fraction(1, 2)) for k in range(17)
    ]
    wanted[-1] = wanted[-1] if function == "tanh" else 4096
    assert list(table.nodes) == wanted
    assert (table.segments, table.offset_bits) == (16, design.span_bits + 12 - 4)


@pytest.mark.parametrize(
    ("a", "out", "int_bits"),
    [("bf16", "bf16", 7), ("fp16", "fp16", 5), ("fp16", "u0.8", 3), ("s1.8", "fp16", 2)],
)
def test_exponentials_reach_as_far_as_matters(a, out, int_bits):
    """Beyond, they round to the largest or to less than half of the least result."""
    design = load_design(BASE | {"a": a, "out": out, "function": "exp"})
    how = design.exponential
    assert how.int_bits == int_bits
    low, high = (functions.real("exp", Fraction(s * 2**int_bits)) for s in (-1, 1))
    if a != "s1.8":
        assert high > 2 * design.out.max_lsbs * Fraction(2) ** design.out.lsb_exp
        assert low < Fraction(2) ** (design.out.lsb_exp - 2)
    exponents = how.exponents
    assert exponents[0] < -(2**int_bits) and exponents[-1] > 2**int_bits  # noqa: PT018
