"""Tests of :mod:`minimac.model.errors`."""

import itertools
import math
import random
import re
from fractions import Fraction

import numpy as np
import pytest

import oracle
from minimac.model import encode
from minimac.model.errors import (
    DISTRIBUTIONS,
    exact_matmul,
    product_errors,
    product_values,
    unit_errors,
)
from minimac.spec import (
    Arithmetic,
    ExactAccumulation,
    FloatAccumulation,
    Normalization,
    Product,
    Rounding,
    parse_format,
)
from oracle import Special

BF16 = parse_format("bf16")
KNOWN = "normal, uniform, lognormal, laplace, heavy, relu"


def unit(a, b=None, product="exact", out="fp32", **accumulate):
    acc = FloatAccumulation(**accumulate) if accumulate else FloatAccumulation(width=58)
    fmt_a, fmt_b, fmt_out = map(parse_format, (a, b or a, out))
    return Arithmetic(a=fmt_a, b=fmt_b, out=fmt_out, accumulate=acc, product=product)


# --- product_values ----------------------------------------------------------------------------


def as_float(term):
    if isinstance(term, Special):
        return term.value
    value = float(oracle.exact(term))
    assert Fraction(value) == oracle.exact(term)
    return -abs(value) if term.negative else value


@pytest.mark.parametrize("product", list(Product))
@pytest.mark.parametrize(
    "name", ["e4m3fn", "e5m2", "e2m1", "e3m4ieee", "e4m3p3109", "e1m2", "ue3m3", "e4m3fn:ftz"]
)
def test_products_are_those_of_the_oracle(name, product):
    spec = unit(name, product=product)
    codes = range(0, 2 ** oracle.code_bits(spec.a), 5)
    got = product_values(spec, np.array(codes)[:, None], np.array(codes))
    terms = [[oracle.product(spec.a, x, spec.b, y, str(product)) for y in codes] for x in codes]
    wanted = np.array([[float(as_float(term)) for term in row] for row in terms])
    np.testing.assert_array_equal(got, wanted)


# --- product_errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "man_bits", "formula", "addition", "plain"),
    [  # bias, mean, maximum
        ("e5m1", 1, (0.319, 0.319, 0.5), (0.375, 0.375, 0.5), (-0.028, 0.028, 0.111)),
        ("e5m2", 2, (0.086, 0.111, 0.25), (0.147, 0.147, 0.25), (-0.036, 0.036, 0.111)),
        ("e4m3fn", 3, (-0.010, 0.069, 0.182), (0.049, 0.052, 0.125), (-0.038, 0.038, 0.111)),
        ("e3m4", 4, (-0.022, 0.069, 0.201), (0.049, 0.051, 0.125), (-0.038, 0.038, 0.111)),
        ("e4m5", 5, (-0.059, 0.073, 0.226), (0.004, 0.027, 0.073), (-0.038, 0.038, 0.111)),
        ("bf16", 7, (-0.063, 0.075, 0.232), (0.004, 0.027, 0.073), (-0.038, 0.038, 0.111)),
    ],
)
def test_errors_of_approximate_products(name, man_bits, formula, addition, plain):
    """For uniform mantissas, as arXiv 2412.18948 has them for the formula."""
    for product, wanted in [("lmul", formula), ("lmul_add", addition), ("mitchell", plain)]:
        found = product_errors(unit(name, product=product))
        assert found.count == 4**man_bits
        got = found.bias, found.mean_relative, found.max_relative
        np.testing.assert_allclose(got, wanted, atol=5.1e-4)


def test_errors_are_the_same_at_all_exponents_that_leave_room():
    spec = unit("e4m3fn", product="lmul_add")
    codes = np.arange(256)
    x, y = codes[:, None], codes
    values = np.array([float(as_float(oracle.operand(spec.a, c))) if c % 128 != 127 else 0
                       for c in range(256)])  # fmt: skip
    exponents = (codes % 128) // 8
    room = exponents[:, None] + exponents
    full = (exponents > 0) & (exponents < 15)  # the last one has NaN
    inside = full[:, None] & full & (room >= 8) & (room <= 20)
    wanted = (values[:, None] * values)[inside]
    relative = (product_values(spec, x, y)[inside] - wanted) / wanted
    assert product_errors(spec).bias == pytest.approx(relative.mean())
    assert product_errors(spec).max_relative == pytest.approx(np.abs(relative).max())


def test_exact_products_have_no_errors():
    for name in ("e4m3fn", "bf16", "int8", "e2m1", "nf4"):
        found = product_errors(unit(name))
        assert (found.exact_share, found.max_absolute, found.qsnr_db) == (1, 0, math.inf)
    every = product_errors(unit("e5m2"), normals_only=False)
    assert (every.count, every.exact_share, every.special_mismatches) == (1 << 16, 1, 0)


def test_all_pairs_count_subnormals_and_overflow():
    found = product_errors(unit("e4m3fn", product="lmul_add"), normals_only=False)
    assert found.count == 1 << 16
    assert found.max_relative == 1  # a subnormal operand gives zero
    assert found.max_absolute == 448 * 448 - 448


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("e1m2", {}, "e1m2 has no exponents at which all products of normals are normal"),
        ("fp32", {}, "formats must have at most 11 bits of mantissa"),
        (
            "bf16",
            {"normals_only": False},
            "formats must have at most 8 bits for all pairs, which bf16 exceeds",
        ),
    ],
)
def test_products_that_are_too_many_or_none(name, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        product_errors(unit(name, product="mitchell"), **arguments)


# --- exact_matmul ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bf16", "int32", "e4m3:bias=900", "e8m23:bias=-700", "fp16"])
def test_sums_are_correctly_rounded(name, seed):
    rng = random.Random(seed)
    fmt = parse_format(name)
    spec = Arithmetic(a=fmt, b=fmt, out=fmt, accumulate=ExactAccumulation(max_terms=1 << 10))
    finite = [
        code
        for code in (rng.randrange(2 ** oracle.code_bits(fmt)) for _ in range(400))
        if not isinstance(oracle.operand(fmt, code), Special)
    ]
    a = [rng.choices(finite, k=30) for _ in range(4)]
    b = [rng.choices(finite, k=30) for _ in range(5)]
    b[0][1::2], a[0][1::2] = b[0][::2], [code ^ 1 for code in a[0][::2]]
    got = exact_matmul(spec, a, np.array(b).T)
    for (i, row), (j, column) in itertools.product(enumerate(a), enumerate(b)):
        terms = [oracle.product(fmt, x, fmt, y) for x, y in zip(row, column, strict=True)]
        total = sum(map(oracle.exact, terms))
        try:
            wanted = float(total)
        except OverflowError:
            wanted = math.inf if total > 0 else -math.inf
        assert got[i, j] == wanted


def test_sums_of_what_is_not_finite():
    x = encode(BF16, [[1.0, math.inf, 0.0], [math.inf, 1.0, 0.0], [1.0, math.nan, 0.0]])
    y = encode(BF16, [[1.0, -math.inf], [2.0, 1.0], [1.0, 0.0]])
    got = exact_matmul(unit("bf16"), x, y)
    wanted = [[math.inf, math.nan], [math.inf, -math.inf], [math.nan, math.nan]]
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(exact_matmul(unit("bf16"), x[1:2, :1], y[:1, 1:]), [[-math.inf]])
    zero = exact_matmul(unit("bf16"), encode(BF16, [[0.0]]), encode(BF16, [[math.inf]]))
    assert np.isnan(zero)


def test_shapes_of_sums():
    x, y = np.zeros((2, 1, 3, 4), int), np.zeros((5, 4, 6), int)
    assert exact_matmul(unit("bf16"), x, y).shape == (2, 5, 3, 6)
    assert (
        exact_matmul(unit("bf16"), x[..., :0], y[:, :0]).tolist() == np.zeros((2, 5, 3, 6)).tolist()
    )
    message = "a and b must be (..., M, K) and (..., K, N), not (3, 4) and (3, 4)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        exact_matmul(unit("bf16"), x[0, 0], x[0, 0])


# --- unit_errors -------------------------------------------------------------------------------


def test_exact_units_only_round_to_out(seed):
    spec = Arithmetic(a=BF16, b=BF16, out=BF16, accumulate=FloatAccumulation(width=58, guard=3))
    found = unit_errors(spec, terms=16, outputs=500, seed=seed)
    assert found.count == 500
    assert 0.4 < found.max_ulp <= 0.51
    wide = unit_errors(unit("int8", width=32), terms=16, outputs=500, seed=seed)
    assert wide.exact_share == 1
    assert wide.qsnr_db == math.inf


def test_operands_are_not_to_blame(seed):
    """However coarse they are: 0.1 is not among the values of e2m1, but its code is multiplied."""
    found = unit_errors(unit("e2m1"), [[0.1, 0.9]], [[5.1], [1.2]])
    assert (found.count, found.exact_share) == (1, 1)


def test_errors_of_the_seed_papers_reading(seed):
    """Relative RMS error of bf16 chains of 32 in 16 bits, simulated apart: 4.7e-5 to 5.8e-5."""
    for normalize, wanted in [("exact", 4.7e-5), ("approx(2,2)", 5.2e-5), ("none", 5.8e-5)]:
        spec = unit("bf16", width=16, normalize=Normalization.parse(normalize))
        found = unit_errors(spec, terms=32, outputs=1500, seed=seed)
        assert 10 ** (-found.qsnr_db / 20) == pytest.approx(wanted, rel=0.1)


def test_rounding_costs_less_than_truncation(seed):
    plain = unit_errors(unit("bf16", width=16), outputs=1000, seed=seed)
    better = unit("bf16", width=16, guard=2, sticky=True, round=Rounding.RNE)
    assert unit_errors(better, outputs=1000, seed=seed).qsnr_db > plain.qsnr_db + 4


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name, seed):
    draw = DISTRIBUTIONS[name]
    first, again = (draw(np.random.default_rng(seed), (200, 50)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (200, 50)
    assert (first.min() >= 0) == (name in ("lognormal", "relu"))
    found = unit_errors(unit("bf16", width=16), distribution=name, terms=8, outputs=64)
    assert found.count == 64
    assert 40 < found.qsnr_db < math.inf


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "nvfp4", "mxint8", "mxfp4", "dfp8"])
def test_blocks(name, seed):
    """Rounded in fp32 block by block they lose little; added up exactly, half an ulp at most."""
    fmt, fp32 = parse_format(name), parse_format("fp32")
    found = unit_errors(Arithmetic(a=fmt, b=fmt, out=fp32), terms=128, outputs=64, seed=seed)
    assert found.count == 64
    assert found.qsnr_db > 130
    exact = Arithmetic(a=fmt, b=fmt, out=BF16, accumulate=ExactAccumulation())
    assert unit_errors(exact, terms=128, outputs=64, seed=seed).max_ulp <= 0.5 + 2**-40


def test_stochastic_out(seed):
    spec = Arithmetic(a=BF16, b=BF16, out=BF16, accumulate=FloatAccumulation(width=58),
                      out_round=Rounding.SR_A)  # fmt: skip
    found = unit_errors(spec, terms=8, outputs=500, seed=seed)
    assert 0.6 < found.max_ulp < 1.01
    assert found == unit_errors(spec, terms=8, outputs=500, seed=seed)


def test_a_pair_of_distributions(seed):
    spec = unit("bf16", width=16)
    both = unit_errors(spec, distribution=("relu", "normal"), seed=seed, outputs=64)
    assert both == unit_errors(spec, distribution=("relu", "normal"), seed=seed, outputs=64)
    assert both != unit_errors(spec, distribution="relu", seed=seed, outputs=64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": [[1.0]]}, "a and b must both be given, or neither"),
        (
            {"distribution": "norml"},
            f"distribution must be one of {KNOWN}, not 'norml'; did you mean 'normal'?",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        unit_errors(unit("bf16"), **arguments)
