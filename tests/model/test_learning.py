"""Tests of :mod:`minimac.model.learning`."""

import itertools
import math
import re
from statistics import NormalDist

import numpy as np
import pytest

from minimac.model import decode, learning
from minimac.model.learning import fit_power, learn_codebook
from minimac.spec import SpecError, parse_format

FP32 = parse_format("fp32")


@pytest.fixture
def rng(seed):
    return np.random.default_rng(seed)


def table(book):
    """Return the values of a codebook from its definition."""
    return np.array([book.lsbs(code) * 2.0**book.lsb_exp for code in range(len(book.codes))])


def squared_error(entries, values, weights=1.0):
    nearest = np.min((np.asarray(values)[..., None] - entries) ** 2, axis=-1)
    return float(np.sum(nearest * weights))


def best_by_trying(values, weights, count):
    """Return the least cost of all ways to cut sorted values into so many intervals."""
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    costs = []
    for cuts in itertools.combinations(range(1, len(values)), count - 1):
        parts = zip(np.split(values, cuts), np.split(weights, cuts), strict=True)
        costs.append(sum(np.sum(w * (v - np.average(v, weights=w)) ** 2) for v, w in parts))
    return min(costs)


# --- learn_codebook ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 5])
def test_clusters_are_the_best_of_all(count, rng):
    for case in range(20):
        values = rng.normal(size=11) ** (1 + case % 3)
        weights = rng.random(11) + 0.01
        book = learn_codebook(values, weights, count, FP32)
        got = squared_error(table(book), values, weights)
        assert got == pytest.approx(best_by_trying(values, weights, count), rel=1e-6, abs=1e-12)


def test_is_at_least_as_good_as_lloyd(rng):
    values = rng.standard_t(3, 3000)
    entries = np.quantile(values, (np.arange(16) + 0.5) / 16)
    for _ in range(300):
        nearest = np.argmin(np.abs(values[:, None] - entries), axis=-1)
        entries = np.bincount(nearest, values, 16) / np.bincount(nearest, minlength=16)
    book = learn_codebook(values, of=FP32)
    assert squared_error(table(book), values) <= squared_error(entries, values) * (1 + 1e-6)


def test_normal_values_give_the_lloyd_max_quantiser(rng):
    """The optimal 8 levels of a normal distribution (Max, 1960, table I)."""
    book = learn_codebook(rng.normal(size=1 << 18), entries=8)
    wanted = [0.2451, 0.7560, 1.344, 2.152]
    np.testing.assert_allclose(table(book), [*np.negative(wanted[::-1]), *wanted], atol=0.03)


def test_weights_count_like_repetitions(rng):
    values, times = rng.normal(size=200), rng.integers(0, 5, 200)
    assert learn_codebook(values, times) == learn_codebook(np.repeat(values, times))
    rows = rng.normal(size=(7, 200))
    every = np.broadcast_to(times, rows.shape)
    assert learn_codebook(rows, times) == learn_codebook(rows, every)
    assert learn_codebook(rows, times) == learn_codebook(rows, 3.7 * times)


def test_grouping_costs_next_to_nothing(rng, monkeypatch):
    values = rng.normal(size=4000)
    exact = squared_error(table(learn_codebook(values, of=FP32)), values)
    monkeypatch.setattr(learning, "_POINTS", 500)
    grouped = squared_error(table(learn_codebook(values, of=FP32)), values)
    assert exact <= grouped < 1.005 * exact


def test_far_from_zero(rng):
    values = 1e6 + np.arange(4.0)[rng.integers(0, 4, 100)]
    assert table(learn_codebook(values, entries=4, of=FP32)).tolist() == [
        *(1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3)
    ]


@pytest.mark.parametrize("of", ["bf16", "e4m3fn", "int8", "s1.6", "e2m1", "fp16"])
def test_entries_are_ascending_and_of_the_format(of, rng):
    fmt = parse_format(of)
    book = learn_codebook(rng.normal(size=500), of=fmt)
    assert book.of == fmt
    assert len(book.codes) == 16
    assert np.all(np.diff(table(book)) >= 0)
    np.testing.assert_array_equal(table(book), decode(fmt, book.codes))
    assert not np.signbit(table(book)[table(book) == 0]).any()


def test_few_values():
    assert table(learn_codebook([3.0, -1.0, 3.0], entries=4)).tolist() == [-1, 3, 3, 3]
    assert table(learn_codebook([0.0], entries=2)).tolist() == [0, 0]
    assert table(learn_codebook([-1e-50, 1.0], entries=2)).tolist() == [0, 1]
    assert table(learn_codebook([1.0, 5.0], [1, 0], entries=2)).tolist() == [1, 1]


def test_every_count_of_values_and_entries(rng):
    for size, entries in itertools.product(range(1, 20), range(2, 18)):
        values = np.arange(size) ** 2
        book = learn_codebook(values, entries=entries, of=FP32)
        assert len(book.codes) == entries
        if entries >= size:
            assert sorted(set(table(book))) == values.tolist()


def test_256_entries(rng):
    assert len(learn_codebook(rng.normal(size=2000), entries=256).codes) == 256


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "values must not be empty"),
        (([1.0, math.nan],), "values must be finite"),
        (([1.0, math.inf],), "values must be finite"),
        (([1.0, 2.0], [1, -1]), "weights must be finite, at least 0, and not all zero"),
        (([1.0, 2.0], [0, 0]), "weights must be finite, at least 0, and not all zero"),
        (([1.0, 2.0], [math.nan, 1]), "weights must be finite, at least 0, and not all zero"),
        (
            ([1.0, 2.0], [1, 2, 3]),
            "weights must broadcast to the shape of values, (2,), not be (3,)",
        ),
        (([1.0], None, 1), "entries must be 2 to 256, not 1"),
        (([1.0], None, 257), "entries must be 2 to 256, not 257"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        learn_codebook(*arguments)


# --- fit_power ---------------------------------------------------------------------------------


def test_grid_is_that_of_the_paper(rng):
    book = fit_power(rng.normal(size=100), 4, FP32, [0.5])
    q = np.arange(-7, 8)
    wanted = np.sign(q) * (np.abs(q) / 7) ** 2
    np.testing.assert_allclose(table(book), wanted, rtol=2**-24)
    assert book == parse_format("power4:a=0.5")


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_exponent_is_the_best_of_those_given(bits, rng):
    values = rng.standard_t(4, 2000)
    exponents = [0.3, 0.5, 0.55, 0.6, 0.75, 1.0, 1.4]
    scaled = values / np.abs(values).max()
    q = np.arange(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1))
    errors = [
        squared_error(np.sign(q) * (np.abs(q) / q.max()) ** (1 / a), scaled) for a in exponents
    ]
    best = exponents[int(np.argmin(errors))]
    assert fit_power(values, bits, FP32, exponents).name == f"power{bits}:a={best}"


def test_scale_and_order_do_not_matter(rng):
    values = rng.normal(size=(20, 30))
    assert fit_power(values) == fit_power(-8 * values[::-1])


def test_values_around_zero_make_the_grid_finer_there():
    def exponent(values):
        return float(re.search("a=([0-9.]+)", fit_power(values).name)[1])

    shares = (np.arange(2000) + 0.5) / 2000
    uniform = 2 * shares - 1
    laplace = -np.sign(uniform) * np.log1p(-np.abs(uniform))
    normal = [NormalDist().inv_cdf(share) for share in shares]
    assert exponent(laplace) < exponent(normal) < exponent(uniform)
    assert exponent(uniform) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "values must not be empty"),
        (([0.0, 0.0],), "values must not all be zero"),
        (([1.0, math.nan],), "values must be finite"),
        (([1.0], 4, FP32, []), "exponents must not be empty"),
    ],
)
def test_wrong_arguments_of_fit_power(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        fit_power(*arguments)


@pytest.mark.parametrize(("bits", "exponents"), [(1, [0.5]), (9, [0.5]), (4, [0.01])])
def test_grids_that_there_are_not(bits, exponents):
    with pytest.raises(SpecError):
        fit_power([1.0], bits, FP32, exponents)
