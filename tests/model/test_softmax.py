"""Tests of :func:`minimac.model.softmax_codes`: the definition, and the error."""

import random
from fractions import Fraction

import numpy as np
import pytest

import chains
import functions
import oracle
from minimac.model import decode, encode, softmax, softmax_bound, softmax_codes
from minimac.model.functions import softmax_stream
from minimac.spec import load_design

DESIGNS = [
    {"a": "s4.3", "out": "u0.8", "length": 16, "mantissa": 8},
    {"a": "bf16", "out": "bf16", "length": 40},
    {"a": "e5m2", "out": "e4m3fn", "length": 7, "mantissa": 6},
    {"a": "fp16", "out": "fp16", "length": 16, "out_round": "down", "mantissa": 14},
    {"a": "nf4", "out": "e5m2", "length": 9, "out_round": "up"},
    {"a": "e4m3p3109", "out": "e4m3p3109", "length": 3},
    {"a": "u3.2", "out": "fp32", "length": 33, "mantissa": 16},
]


def load(**fields):
    return load_design({"name": "s", "unit": "softmax", **fields})


@pytest.mark.parametrize("fields", DESIGNS, ids=lambda f: f["a"])
def test_against_the_definition(fields, seed, tally):
    design = load(**fields)
    rng = random.Random(f"{seed} {fields}")
    for manner in ("any", "small", "near", "near", "near"):
        for _ in range(4):
            row = chains.draw_row(rng, design.a, rng.randrange(1, design.length + 1), manner)
            if (rare := chains.specials(design.a)) and rng.random() < 0.3:
                row[rng.randrange(len(row))] = rng.choice(rare)
            if manner == "near":
                values = [rng.gauss(0, 4) for _ in row]
                row = np.asarray(encode(design.a, np.abs(values) * design.a.signed)).tolist()
            assert softmax_codes(design, row).tolist() == functions.softmaxed(design, row)
            tally("the definition, softmax", len(row))


@pytest.mark.parametrize("mantissa", [6, 9, 12, 16])
@pytest.mark.parametrize("a", ["fp16", "s4.3", "bf16"])
@pytest.mark.parametrize("length", [2, 50, 256])
def test_error_bound(mantissa, a, length, seed):
    design = load(a=a, out="fp32", length=length, mantissa=mantissa)
    rng = np.random.default_rng(seed)
    bound = softmax_bound(design)
    assert bound < (7 if mantissa > 6 else 7.5) * 2.0**-mantissa
    worst = 0.0
    for scale in (0.1, 1.0, 5.0):
        codes = encode(design.a, rng.normal(scale=scale, size=(200, length)))
        powers = np.exp(decode(design.a, codes))
        wanted = powers / powers.sum(axis=-1, keepdims=True)
        got = decode(design.out, softmax_codes(design, codes))
        worst = max(worst, float(np.max(np.abs(got / wanted - 1))))
    assert bound / 20 < worst <= bound + 2.0**-23


def test_like_the_float_model(seed):
    design = load(a="bf16", out="fp32", length=64, mantissa=16)
    codes = encode(design.a, np.random.default_rng(seed).normal(scale=3, size=(50, 64)))
    got = decode(design.out, softmax_codes(design, codes))
    assert np.allclose(got, softmax(decode(design.a, codes)), rtol=2e-4)


def test_every_pair_of_inputs(tally):
    """Two numbers of 8 bits, in all ways: within the bound and half a unit."""
    design = load(a="s4.3", out="u0.16", length=2)
    pairs = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).reshape(-1, 2)
    powers = np.exp(decode(design.a, pairs))
    wanted = powers / powers.sum(axis=-1, keepdims=True)
    got = decode(design.out, softmax_codes(design, pairs))
    top = 1 - 2.0**-16
    error = np.abs(got - np.minimum(wanted, top))
    assert (error <= wanted * softmax_bound(design) + 2.0**-17).all()
    tally("bounds of errors, softmax", got.size)


def test_what_is_special():
    design = load(a="bf16", out="fp16", length=4)
    inf, nan = np.inf, np.nan
    rows = [[0, 0, -inf, -inf], [nan, 0, 0, 0], [inf, 0, 0, 0], [-inf] * 4, [3e38, 3e38, 0, -3e38]]
    got = decode(design.out, softmax_codes(design, encode(design.a, np.array(rows))))
    wanted = [[0.5, 0.5, 0, 0], [nan] * 4, [nan] * 4, [nan] * 4, [0.5, 0.5, 0, 0]]
    assert np.array_equal(got, wanted, equal_nan=True)


def test_streams():
    design = load(a="int4", out="u0.8", length=3)
    codes, ends = softmax_stream(design, [1, 1, 1, 1, 0, 5], [0, 0, 0, 1, 0, 0])
    assert codes.tolist() == [85, 85, 85, 255]
    assert ends.tolist() == [0, 0, 1, 1]
    assert [x.size for x in softmax_stream(design, [1], [0])] == [0, 0]
    with pytest.raises(ValueError, match=r"^a must have 1 to 3 codes"):
        softmax_codes(design, [1, 2, 3, 4])


def test_results_add_up_to_one():
    design = load(a="bf16", out="fp32", length=100)
    codes = encode(design.a, np.random.default_rng(1).normal(size=(30, 100)))
    sums = decode(design.out, softmax_codes(design, codes)).sum(axis=-1)
    assert (np.abs(sums - 1) < softmax_bound(design)).all()


def test_definition_by_hand():
    """Two equal numbers, each half."""
    design = load(a="int4", out="u0.8", length=2)
    assert functions.softmaxed(design, [3, 3]) == [128, 128]
    assert functions.exact(oracle.value(design.a, 3)) == Fraction(3)
