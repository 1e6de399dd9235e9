"""Tests of :func:`minimac.model.hadamard_codes`, against exact fractions and the float model."""

import random

import numpy as np
import pytest

import chains
import functions
from minimac.model import decode, encode, hadamard, hadamard_codes
from minimac.spec import load_design

DESIGNS = [
    {"a": "int8", "out": "int8", "lanes": 16},
    {"a": "e4m3fn", "out": "bf16", "lanes": 8, "out_round": "down"},
    {"a": "e5m2", "out": "e5m2", "lanes": 4, "out_overflow": "infinity"},
    {"a": "fp16", "out": "fp16", "lanes": 32, "out_overflow": "infinity", "out_round": "odd"},
    {"a": "e4m3p3109", "out": "e2m1", "lanes": 2},
    {"a": "int4:sym", "out": "uint8", "lanes": 64, "out_overflow": "wrap", "out_round": "up"},
    {"a": "nf4:s0.7", "out": "s3.4", "lanes": 128},
    {"a": "khot2:s0.7", "out": "e4m3fn", "lanes": 8, "out_round": "rna"},
]


def load(**fields):
    return load_design({"name": "h", "unit": "hadamard", **fields})


@pytest.mark.parametrize("fields", DESIGNS, ids=lambda f: f["a"])
def test_against_the_definition(fields, seed, tally):
    design = load(**fields)
    rng = random.Random(f"{seed} {fields}")
    rows = [chains.draw_row(rng, design.a, design.lanes, manner)
            for manner in ("any", "small", "large", "near") for _ in range(4)]  # fmt: skip
    rare = chains.specials(design.a)
    for row in rows[::2]:
        if rare:
            row[rng.randrange(len(row))] = rng.choice(rare)
    got = hadamard_codes(design, rows)
    wanted = [functions.transformed(design, row) for row in rows]
    assert got.tolist() == wanted
    tally("the definition, hadamard", got.size)


def test_every_pair(tally):
    design = load(a="e5m2", out="e4m3fn", lanes=2, out_overflow="nan")
    pairs = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).reshape(-1, 2)
    got = hadamard_codes(design, pairs)
    values = decode(design.a, pairs)
    with np.errstate(invalid="ignore"):
        sums = np.stack([values[:, 0] + values[:, 1], values[:, 0] - values[:, 1]], axis=-1)
    known = np.isfinite(sums)  # such sums are exact in float64
    assert (got[known] == encode(design.out, sums[known] + 0.0, overflow="nan")).all()
    assert (got[~known] == design.out.nan_code).all()
    tally("float64, hadamard", got.size)


@pytest.mark.parametrize("lanes", [2, 4, 8, 16, 64])
def test_like_the_float_model(lanes, seed):
    design = load(a="int8", out="fp32", lanes=lanes)
    codes = np.random.default_rng(seed).integers(256, size=(5, lanes))
    got = decode(design.out, hadamard_codes(design, codes))
    scale = 1 if design.shift * 2 == lanes.bit_length() - 1 else 2**0.5
    assert np.allclose(got, scale * hadamard(decode(design.a, codes)), rtol=1e-12, atol=0)


def test_twice_is_the_identity():
    design = load(a="s3.4", out="fp32", lanes=16)
    again = load(a="fp16", out="s3.4", lanes=16)
    codes = np.random.default_rng(0).integers(256, size=(20, 16))
    turned = decode(design.out, hadamard_codes(design, codes))
    assert (hadamard_codes(again, encode(again.a, turned)) == codes).all()


def test_random_rounding():
    design = load(a="int8", out="e2m1", lanes=4, out_round="sr_a")
    codes = np.full((1000, 4), [3, 1, 1, 0])
    bits = np.random.default_rng(0).integers(256, size=codes.shape, dtype=np.uint8)
    values = decode(design.out, hadamard_codes(design, codes, bits))
    assert abs(values[:, 0].mean() - 2.5) < 0.1


def test_errors():
    design = load(a="int8", out="int8", lanes=4)
    for wrong in ([1, 2], 3):
        with pytest.raises(ValueError, match=r"^a must have 4 codes along its last axis"):
            hadamard_codes(design, wrong)
