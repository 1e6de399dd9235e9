"""Tests of :mod:`minimac.model.rotation`."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest

from minimac.model.rotation import hadamard


def sylvester(size):
    """Build the matrix from its definition, without the scale."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


@pytest.fixture
def rng(seed):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 32, 128])
def test_is_the_matrix(size, rng):
    signs = rng.choice([-1, 1], size)
    values = rng.normal(size=(5, 3 * size))
    matrix = sylvester(size) / math.sqrt(size) * signs
    wanted = (values.reshape(5, 3, size) @ matrix.T).reshape(5, 3 * size)
    np.testing.assert_allclose(hadamard(values, size, signs), wanted, atol=1e-14)


@pytest.mark.parametrize("size", [1, 4, 16, 64])
def test_integers_stay_exact_with_powers_of_four(size, rng):
    values = rng.integers(-1000, 1000, (3, size))
    half = Fraction(1, math.isqrt(size))
    wanted = [[half * int(x) for x in row] for row in values @ sylvester(size).astype(int)]
    assert [list(map(Fraction, row)) for row in hadamard(values)] == wanted


@pytest.mark.parametrize("size", [2, 8, 32, 256])
def test_error_bound(size, rng):
    values = rng.normal(size=(50, size)) * 2.0 ** rng.integers(-20, 20, (50, size))
    wanted = values.astype(np.longdouble) @ sylvester(size) / np.sqrt(np.longdouble(size))
    norms = np.linalg.norm(values, axis=-1, keepdims=True)
    worst = np.max(np.abs(hadamard(values) - wanted) / norms) / 2.0**-53
    assert worst <= math.log2(size) + 2


def test_inverse(rng):
    values = rng.normal(size=(7, 96, 2))
    for signs in (None, rng.choice([-1, 1], 32), rng.choice([-1.0, 1.0], 96)):
        turned = hadamard(values, 32, signs, axis=1)
        assert turned.shape == values.shape
        back = hadamard(turned, 32, signs, axis=1, inverse=True)
        np.testing.assert_allclose(back, values, atol=1e-14)


def test_is_its_own_inverse_without_signs(rng):
    values = rng.normal(size=(4, 64))
    np.testing.assert_allclose(hadamard(hadamard(values)), values, atol=1e-14)


def test_orthogonal(rng):
    signs = rng.choice([-1, 1], 32)
    rows = hadamard(np.eye(32), signs=signs)
    np.testing.assert_allclose(rows @ rows.T, np.eye(32), atol=1e-15)
    values = rng.normal(size=(10, 32))
    norms = np.linalg.norm(hadamard(values, signs=signs), axis=-1)
    np.testing.assert_allclose(norms, np.linalg.norm(values, axis=-1))


def test_matrix_products_are_preserved(rng):
    a, b, signs = rng.normal(size=(6, 64)), rng.normal(size=(64, 5)), rng.choice([-1, 1], 64)
    turned = hadamard(a, 32, signs) @ hadamard(b, 32, signs, axis=0)
    np.testing.assert_allclose(turned, a @ b, atol=1e-12)


def test_outliers_are_spread(rng):
    values = rng.normal(size=(1000, 32))
    values[:, 5] = 50.0
    signs = rng.choice([-1, 1], 32)

    def crest(blocks):
        rms = np.sqrt(np.mean(blocks**2, axis=-1))
        return np.mean(np.max(np.abs(blocks), axis=-1) / rms)

    assert crest(values) > 5
    assert crest(hadamard(values, signs=signs)) < 1.5


def test_a_nan_stays_in_its_block():
    values = np.ones((2, 8))
    values[0, 1], values[1, 6] = math.nan, math.inf
    got = np.isnan(hadamard(values, 4))
    assert got.tolist() == [[True] * 4 + [False] * 4, [False] * 8]
    assert np.isinf(hadamard(values, 4)[1, 4:]).all()


def test_empty_and_argument_untouched():
    assert hadamard(np.empty((0, 8)), 4).shape == (0, 8)
    values = np.arange(8.0)
    hadamard(values)
    assert values.tolist() == list(range(8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"block": 3}, "block must be a power of two, not 3"),
        ({"block": 0}, "block must be a power of two, not 0"),
        ({}, "block must be a power of two, not 12"),
        ({"block": 8}, "block must divide the axis, which 8 does not divide 12"),
        ({"block": 4, "signs": [1, -1]}, "signs must be of shape (4,) or (12,), not (2,)"),
        ({"block": 4, "signs": [1, -1, 0, 1]}, "signs must be 1 or -1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        hadamard(np.ones(12), **arguments)
