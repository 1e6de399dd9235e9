"""Tests of :mod:`minimac.model.two_pass`, against exact arithmetic and the paper's definitions."""

import decimal
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from minimac.model import two_pass as module
from minimac.model.two_pass import exp_pairs, softmax, sum_pairs

EXTREME = [0.0, -0.0, 1e-30, 1e-45, 0.3465, 0.3466, 88.7, 89.0, 104.0, 1e4, 1e6, 2.0**27]


@pytest.fixture(autouse=True)
def precise():
    """Let Decimal have 40 digits, and exponents without end."""
    with decimal.localcontext(prec=40, Emax=10**12, Emin=-(10**12)):
        yield


@pytest.fixture
def rng(seed):
    return np.random.default_rng(seed)


def exact_softmax(row):
    """Return the softmax of float32 numbers as decimals."""
    largest = max(row)
    powers = [(Decimal(float(x)) - Decimal(float(largest))).exp() for x in row]
    return [power / sum(powers) for power in powers]


def ulps(got, wanted):
    return float(abs(Decimal(float(got)) - wanted) / Decimal(float(np.spacing(np.float32(wanted)))))


# --- exp_pairs ---------------------------------------------------------------------------------


def test_error_of_the_polynomial():
    worst = Decimal(0)
    for t in np.linspace(-math.log(2) / 2, math.log(2) / 2, 2001):
        value = Decimal(0)
        for coefficient in module._COEFFICIENTS:
            value = value * Decimal(t) + Decimal(float(coefficient))
        worst = max(worst, abs(value / Decimal(t).exp() - 1))
    assert 9.1e-8 < worst < 9.3e-8


def test_pairs_are_the_exponential(rng):
    drawn = [rng.uniform(-top, top, 400) for top in (1, 100, 1e4, 2.0**27)]
    x = np.concatenate([EXTREME, np.negative(EXTREME), *drawn]).astype(np.float32)
    m, n = exp_pairs(x)
    assert m.dtype == np.float32
    assert m.min() > 0.707
    assert m.max() < 1.4143
    for argument, mantissa, exponent in zip(x, m, n, strict=True):
        wanted = Decimal(float(argument)).exp() / Decimal(2) ** Decimal(float(exponent))
        assert abs(Decimal(float(mantissa)) / wanted - 1) < 1.6e-7, argument


def test_exponent_is_the_nearest_whole_number(rng):
    x = rng.uniform(-1e4, 1e4, 500).astype(np.float32)
    _, n = exp_pairs(x)
    for argument, exponent in zip(x, n, strict=True):
        wanted = Decimal(float(argument)) / Decimal(2).ln()
        assert wanted.to_integral_value() == Decimal(float(exponent))


def test_pairs_of_what_is_not_finite():
    m, n = exp_pairs([-math.inf, math.inf, math.nan])
    np.testing.assert_array_equal(m, np.float32([0, math.inf, math.nan]))
    np.testing.assert_array_equal(n, [-math.inf, 0, 0])


def test_pairs_of_the_largest_numbers():
    m, n = exp_pairs([3.4e38, -3.4e38])
    assert ((m > 0.707) & (m < 1.4143)).all()
    np.testing.assert_allclose(n, [4.9e38, -4.9e38], rtol=0.01)


def test_multiply_add_rounds_once(rng):
    scales = 2.0 ** rng.integers(-30, 4, (3, 4000))
    a, b, c = (rng.normal(size=(3, 4000)) * scales).astype(np.float32)
    c[:1000] = -(a * b)[:1000]  # cancels
    c[1000:2000] = np.ldexp(np.float32(1), -2) * rng.choice([-1, 1], 1000)
    for x, y, z in zip(a, b, c, strict=True):
        got = module._multiply_add(np.array([x]), np.array([y]), z)[0]
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        below, above = np.nextafter(got, np.float32([-np.inf, np.inf]))
        error = abs(Fraction(float(got)) - exact)
        for other in (below, above):
            difference = abs(Fraction(float(other)) - exact)
            even = int(got.view(np.int32)) % 2 == 0
            assert error < difference or (error == difference and even)


# --- sum_pairs ---------------------------------------------------------------------------------


def sum_by_definition(m, n):
    """Add pairs as the paper writes it."""
    total, exponent = np.float32(0), -math.inf
    for mantissa, place in zip(m, n, strict=True):
        new = max(exponent, place)
        if new == -math.inf:
            continue
        kept = np.ldexp(total, int(max(exponent - new, -400)))
        added = np.ldexp(mantissa, int(max(place - new, -400)))
        total, exponent = np.float32(kept + added), new
    return total, exponent


@pytest.mark.parametrize("spread", [0.5, 5.0, 50.0, 5000.0])
@pytest.mark.parametrize("order", ["as drawn", "up", "down"])
def test_sum_is_that_of_the_definition(spread, order, rng):
    x = rng.normal(scale=spread, size=(20, 100))
    x[rng.random(x.shape) < 0.05] = -math.inf
    if order != "as drawn":
        x = np.sort(x, axis=-1)[:, :: 1 if order == "up" else -1]
    m, n = exp_pairs(x)
    with np.errstate(under="ignore"):
        wanted = [sum_by_definition(*row) for row in zip(m, n, strict=True)]
    got = sum_pairs(m, n)
    assert list(zip(*got, strict=True)) == wanted


def test_sum_along_an_axis(rng):
    m, n = exp_pairs(rng.normal(size=(3, 4, 5)))
    for axis in (0, 1, -1):
        got = sum_pairs(m, n, axis)
        wanted = sum_pairs(np.moveaxis(m, axis, -1), np.moveaxis(n, axis, -1))
        np.testing.assert_array_equal(got, wanted)


def test_sum_of_nothing():
    for m, n in (exp_pairs(np.empty((2, 0))), exp_pairs(np.full((2, 3), -np.inf))):
        total, exponent = sum_pairs(m, n)
        assert total.dtype == np.float32
        assert total.tolist() == [0, 0]
        assert exponent.tolist() == [-math.inf, -math.inf]


def test_sum_of_unlike_shapes():
    message = r"^m and n must be of one shape, not \(2,\) and \(3,\)$"
    with pytest.raises(ValueError, match=message):
        sum_pairs([1, 1], [0, 0, 0])


# --- softmax -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("inputs", "stated"), [(1, 3), (2, 7), (32, 12), (512, 40)])
def test_error_in_ulps(inputs, stated, rng):
    worst = 0.0
    for _ in range(1 + 600 // inputs):
        row = rng.normal(scale=rng.choice([0.1, 1, 10]), size=inputs).astype(np.float32)
        for got, wanted in zip(softmax(row), exact_softmax(row), strict=True):
            worst = max(worst, ulps(got, wanted))
    assert worst < stated
    assert worst < inputs + 7


def test_many_against_float64(rng):
    for inputs, stated in ((32, 12), (8192, 80)):
        scale = rng.choice([0.1, 1, 10], (2**17 // inputs, 1))
        x = (scale * rng.normal(size=(2**17 // inputs, inputs))).astype(np.float32)
        wide = np.exp(x - np.max(x, axis=-1, keepdims=True).astype(np.float64))
        wanted = wide / wide.sum(-1, keepdims=True)
        error = np.abs(softmax(x) - wanted) / np.spacing(wanted.astype(np.float32))
        assert error.max() < stated


@pytest.mark.parametrize(
    "row",
    [
        [1e4, -1e4, 0.0],
        [1e4, 1e4 - 1, 1e4 - 2],
        [-1e4, -1e4 - 0.5],
        [1e4, 9.9e3, 9910.0],  # a subnormal and an underflow
        [16777216.0, 16777215.0, 16777200.0],
        [-1e30, -1e30],
        [2.0**27, 2.0**27 - 8],
        [2.0**31 - 128, 2.0**31],
    ],
)
def test_extreme_inputs(row):
    row = np.float32(row)
    for got, wanted in zip(softmax(row), exact_softmax(row), strict=True):
        allowed = max(wanted / 500_000, Decimal(2) ** -149)  # the least subnormal
        assert abs(Decimal(float(got)) - wanted) <= allowed


def test_any_finite_input():
    top = float(np.finfo(np.float32).max)
    below = np.nextafter(np.float32(top), np.float32(0))
    for row, wanted in [
        ([top, -top, 0], [1, 0, 0]),
        ([-top, -top], [0.5, 0.5]),
        ([top, below], [1, 0]),
        ([2.0**100, 2.0**99], [1, 0]),
    ]:
        np.testing.assert_allclose(softmax(row), wanted, rtol=2e-7)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ([0, -math.inf], [1, 0]),
        ([-math.inf, -math.inf], [math.nan, math.nan]),
        ([0, math.inf], [math.nan, math.nan]),
        ([0, math.nan, -math.inf], [math.nan] * 3),
        ([1e39, 0], [math.nan, math.nan]),  # infinite in float32
        ([], []),
    ],
)
def test_what_is_not_finite(row, wanted):
    got = softmax(row)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.float32(wanted))


def test_axes(rng):
    x = rng.normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(softmax(x, 1), softmax(x.swapaxes(1, 2)).swapaxes(1, 2))
    assert softmax(np.empty((3, 0))).shape == (3, 0)
    assert softmax(np.empty((0, 3))).shape == (0, 3)
