"""Tests of :mod:`minimac.spec.split`."""

import re

import pytest

from minimac.spec import Minifloat, SpecError
from minimac.spec.split import ideal_split, precision_loss, recommended_split


@pytest.mark.parametrize(
    ("width", "split"),
    [
        (3, (1, 1)),
        (4, (2, 1)),
        (5, (2, 2)),
        (6, (3, 2)),
        (7, (3, 3)),
        (8, (4, 3)),
        (9, (4, 4)),
        (12, (6, 5)),
        (16, (8, 7)),
    ],
)
def test_splits_that_the_law_is_known_for(width, split):
    assert recommended_split(width) == split


@pytest.mark.parametrize("signed", [True, False])
def test_every_width_has_a_minifloat(signed):
    for width in range(1 + signed, 32 + signed):
        exp_bits, man_bits = recommended_split(width, signed)
        assert Minifloat(exp_bits, man_bits, signed=signed).width == width


@pytest.mark.parametrize("signed", [True, False])
def test_none_of_the_same_width_is_better(signed):
    for width in range(1 + signed, 17):
        best = precision_loss(*recommended_split(width, signed))
        bits = width - signed
        assert all(best <= precision_loss(e, bits - e) for e in range(min(bits, 8) + 1))


def test_ideal_split_is_least_on_its_line():
    for width in range(3, 17):
        exp_bits, man_bits = ideal_split(width)
        assert exp_bits + man_bits == pytest.approx(width - 1)
        least = precision_loss(exp_bits, man_bits)
        for step in (-0.01, 0.01):
            assert least < precision_loss(exp_bits + step, man_bits - step)
        assert abs(exp_bits - recommended_split(width)[0]) < 1


def test_exponent_bits_are_worth_slightly_more():
    assert precision_loss(4, 3) < precision_loss(3, 4)


def test_beyond_16_bits_the_exponent_stays_within_a_minifloat():
    assert recommended_split(32) == (8, 23)


@pytest.mark.parametrize(
    ("width", "signed", "message"),
    [
        (1, True, "width must be 2 to 32, not 1"),
        (33, True, "width must be 2 to 32, not 33"),
        (0, False, "width must be 1 to 31, not 0"),
        (32, False, "width must be 1 to 31, not 32"),
    ],
)
def test_wrong_width(width, signed, message):
    for split in (recommended_split, ideal_split):
        with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
            split(width, signed)


def test_negative_widths():
    message = "exp_bits and man_bits must be at least 0, not -1 and 4"
    with pytest.raises(SpecError, match=f"^{message}$"):
        precision_loss(-1, 4)
