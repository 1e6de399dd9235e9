"""Tests of :mod:`minimac.model.statistics`."""

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest

import oracle
from minimac.model import decode, encode
from minimac.model.statistics import (
    crest_factor,
    error_statistics,
    expected_qsnr,
    qsnr,
    ulp,
)
from minimac.spec import Minifloat, parse_format

INTEGERS = ["int8:sym", "int6:sym", "int4:sym", "s1.6:sym"]
MINIFLOATS = ["e4m3fn", "e5m2", "e2m3", "e3m2", "e2m1"]


@pytest.fixture
def rng(seed):
    return np.random.default_rng(seed)


# --- error_statistics --------------------------------------------------------------------------


def test_figures_of_hand(rng):
    found = error_statistics([2.0, -4.0, 8.0, 0.0], [2.5, -3.0, 8.0, 0.0])
    assert found.count == 4
    assert found.bias == pytest.approx((0.25 - 0.25 + 0) / 3)
    assert found.mean_relative == pytest.approx(0.5 / 3)
    assert found.max_relative == 0.25
    assert found.max_absolute == 1
    assert found.qsnr_db == pytest.approx(10 * math.log10(84 / 1.25))
    assert found.exact_share == 0.5
    assert found.special_mismatches == 0
    assert found.mean_ulp is None
    assert found.max_ulp is None


def test_bias_is_of_magnitudes():
    assert error_statistics([1.0, -1.0], [1.5, -1.5]).bias == 0.5
    assert error_statistics([1.0, -1.0], [0.5, -0.5]).bias == -0.5


def test_zeros():
    """They count in all figures but the relative ones."""
    found = error_statistics([0.0, 0.0, 2.0], [-0.0, 1.0, 2.0], parse_format("int8"))
    assert found.max_relative == 0
    assert found.max_absolute == 1
    assert found.mean_ulp == pytest.approx(1 / 3)
    assert found.exact_share == pytest.approx(2 / 3)
    only = error_statistics([0.0], [1.0])
    assert math.isnan(only.bias)
    assert math.isnan(only.max_relative)
    assert only.qsnr_db == -math.inf


def test_specials():
    """Equal ones agree; others are counted and are in no other figure."""
    nan, inf = math.nan, math.inf
    found = error_statistics([nan, inf, inf, 1.0, nan, 4.0], [nan, inf, -inf, nan, 1.0, 5.0])
    assert found.special_mismatches == 3
    assert found.exact_share == pytest.approx(2 / 6)
    assert found.max_absolute == 1
    assert found.max_relative == 0.25
    alone = error_statistics([nan], [nan], parse_format("bf16"))
    assert math.isnan(alone.max_absolute)
    assert math.isnan(alone.qsnr_db)
    assert alone.max_ulp is not None
    assert math.isnan(alone.max_ulp)
    assert alone.exact_share == 1


def test_correct_rounding_is_within_half_an_ulp(rng):
    for name in ("bf16", "e4m3fn", "s3.4", "e2m1", "khot2:s0.7", "nf4"):
        fmt = parse_format(name)
        largest = fmt.max_lsbs * 2.0**fmt.lsb_exp
        values = rng.uniform(-largest, largest, 1000)
        found = error_statistics(values, decode(fmt, encode(fmt, values)), fmt)
        if name in ("khot2:s0.7", "nf4"):  # whose grid is coarser than that of the values
            assert found.max_ulp > 0.5
        else:
            assert 0.4 < found.max_ulp <= 0.5


@pytest.mark.parametrize(
    ("reference", "result", "message"),
    [
        ([], [], "reference must not be empty"),
        ([1.0], [1.0, 2.0], "reference and result must be of one shape, not (1,) and (2,)"),
    ],
)
def test_wrong_pairs(reference, result, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        error_statistics(reference, result)


@pytest.mark.parametrize("name", ["e4m3fn", "e2m1", "e5m2", "s3.4", "int8", "e0m3", "e5m0"])
def test_ulp_is_the_distance_of_neighbours(name):
    fmt = parse_format(name)
    table = sorted({v for v in oracle.values(fmt) if isinstance(v, Fraction) and v >= 0})
    for low, high in itertools.pairwise(table):
        for value in (low, (low + high) / 2):
            assert Fraction(float(ulp(fmt, float(value)))) == high - low
            assert ulp(fmt, -float(value)) == ulp(fmt, float(value))
    assert ulp(fmt, 1e30) == ulp(fmt, float(table[-1]))


# --- qsnr and crest_factor ---------------------------------------------------------------------


def test_qsnr_along_axes(rng):
    x = rng.normal(size=(3, 4, 5))
    y = x + 0.01 * rng.normal(size=x.shape)
    for axis in (None, 0, -1, (0, 2)):
        wanted = 10 * np.log10(np.sum(x**2, axis) / np.sum((x - y) ** 2, axis))
        np.testing.assert_allclose(qsnr(x, y, axis), wanted)


def test_qsnr_of_extremes():
    assert qsnr([1.0], [1.0]) == math.inf
    assert qsnr([0.0], [0.0]) == math.inf
    assert qsnr([0.0], [1.0]) == -math.inf
    assert qsnr([1e300], [1.1e300]) == pytest.approx(20)
    assert qsnr([1e-300], [1.1e-300]) == pytest.approx(20)
    assert np.isnan(qsnr([1.0, math.nan], [1.0, 1.0]))
    assert np.isnan(qsnr([1.0, 1.0], [1.0, math.inf]))
    assert np.isnan(qsnr([math.inf], [math.inf]))


def test_crest_factor(rng):
    blocks = rng.normal(size=(10, 32))
    wanted = np.max(np.abs(blocks), -1) / np.sqrt(np.mean(blocks**2, -1))
    np.testing.assert_allclose(crest_factor(blocks), wanted)
    np.testing.assert_allclose(crest_factor(1e200 * blocks), wanted)
    np.testing.assert_allclose(crest_factor(blocks.T, 0), wanted)
    assert crest_factor(np.eye(4), None) == 2
    assert np.isnan(crest_factor([0.0, 0.0]))
    assert np.isnan(crest_factor([1.0, math.inf]))


# --- expected_qsnr -----------------------------------------------------------------------------


def measure(fmt, blocks, overheads):
    """Quantise blocks with scales that exceed the least by these factors."""
    largest = fmt.max_lsbs * 2.0**fmt.lsb_exp
    scales = overheads * np.abs(blocks).max(-1, keepdims=True) / largest
    return float(qsnr(blocks, decode(fmt, encode(fmt, blocks / scales)) * scales))


def crest_of(blocks):
    return float(np.sqrt(np.mean(np.abs(blocks).max(-1) ** 2) / np.mean(blocks**2)))


@pytest.mark.parametrize("size", [8, 16, 32, 128, 1024])
@pytest.mark.parametrize("name", [*INTEGERS, *MINIFLOATS])
def test_theory_with_the_largest_element_exact(name, size, rng):
    fmt = parse_format(name)
    blocks = rng.normal(size=(1 << 17, 1)).reshape(-1, size)
    theory = expected_qsnr(fmt, crest_of(blocks), block=size)
    tolerance = 0.5 if isinstance(fmt, Minifloat) else 0.1
    assert measure(fmt, blocks, 1.0) == pytest.approx(theory, abs=tolerance)


@pytest.mark.parametrize("size", [32, 128, 1024])
@pytest.mark.parametrize("name", [*INTEGERS, *MINIFLOATS])
def test_theory_with_powers_of_two_as_scales(name, size, rng):
    """Scales that are rounded up to a power of two exceed the least one evenly by logarithm."""
    fmt = parse_format(name)
    blocks = rng.normal(size=(1 << 17, 1)).reshape(-1, size)
    steps = 2.0 ** (np.arange(16) / 16 + 1 / 32)
    noises = [10 ** (-expected_qsnr(fmt, crest_of(blocks), step) / 10) for step in steps]
    theory = -10 * math.log10(np.mean(noises))
    overheads = 2.0 ** ((np.arange(len(blocks))[:, None] + 0.5) / len(blocks))
    tolerance = 0.5 if isinstance(fmt, Minifloat) else 0.15
    assert measure(fmt, blocks, overheads) == pytest.approx(theory, abs=tolerance)


@pytest.mark.parametrize(
    ("name", "bits", "crest"), [("e4m3fn", 8, 7.55), ("e2m3", 6, 1.96), ("e2m1", 4, 2.04)]
)
def test_crossovers_of_the_paper(name, bits, crest):
    """At these crest factors MXFP and MXINT are level, by the paper's own formula for integers."""
    integers = 4.78 + 6.02 * bits - 20 * math.log10(1.5 * crest)
    assert expected_qsnr(parse_format(name), crest, 1.5) == pytest.approx(integers, abs=0.05)


def test_wide_range_limit():
    """13.80 + 6.02 M, where there are hardly any subnormals."""
    for man_bits in (2, 3, 7):
        fmt = Minifloat(8, man_bits)
        assert expected_qsnr(fmt, 3.0) == pytest.approx(13.80 + 6.02 * man_bits, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5,), "crest and overhead must be at least 1, not 0.5 and 1.0"),
        ((2.0, 0.9), "crest and overhead must be at least 1, not 2.0 and 0.9"),
        ((5.0, 1.0, 16), "crest must be at most the root of block, 16, not 5.0"),
    ],
)
def test_wrong_expectations(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        expected_qsnr(parse_format("e2m1"), *arguments)


def test_expectation_of_a_table():
    with pytest.raises(
        TypeError, match=r"^fmt must be a minifloat or fixed-point format, not nf4$"
    ):
        expected_qsnr(parse_format("nf4"), 2.0)
