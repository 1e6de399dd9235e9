"""Tests of :mod:`minimac.spec.reals`, against decimals and the exact definition of rounding."""

import random
from fractions import Fraction

import pytest

import functions
import oracle
from minimac.spec import Overflow, Rounding, parse_format, reals

NAMES = {
    "exp": "exp",
    "exp2": "exp2",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "tanh": "tanh",
    "tanh_quotient": "tanh_quotient",
    "normal_cdf": "normal",
    "gelu": "gelu",
}
POINTS = [*range(-70, 71, 7), Fraction(1, 3), Fraction(-1, 1000), Fraction(1, 2**40), -9, 8, 64]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [64, 200])
def test_values_are_between_their_bounds(name, bits):
    for point in POINTS:
        x = Fraction(point)
        if name == "tanh_quotient" and x < 0:
            continue
        low, high = getattr(reals, name)(x, bits)
        value = functions.real(NAMES[name], x)
        slack = abs(value) / 10**45
        assert low <= high
        assert low - slack <= value <= high + slack, (name, point)
        if bits == 200 and abs(point) < 9:
            assert high - low <= abs(value) / 2**100


def test_far_away():
    for x in (Fraction(3000), Fraction(-3000)):
        for name in ("exp", "sigmoid", "tanh", "normal_cdf", "gelu", "silu"):
            low, high = getattr(reals, name)(x, 64)
            assert low <= high
    assert reals.exp(Fraction(3000), 64)[0] > 2**1024
    assert reals.gelu(Fraction(-3000), 64)[0] < 0


def test_what_cannot_be_decided_is_said():
    with pytest.raises(ArithmeticError, match=r"^a value is too near"):
        reals.settle(lambda bits: (-Fraction(1, 2**bits), Fraction(1, 2**bits)), lambda x: x // 1)


FORMATS = [
    "e4m3fn", "e5m2", "e2m1", "e4m3fnuz", "e4m3p3109", "ue4m3fn", "e0m3", "e3m0", "e5m2:ftz",
    "s3.4", "u0.8", "int4:sym", "bf16", "e2m1fn",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rounding", [str(mode) for mode in Rounding if not mode.stochastic])
def test_rounding(name, rounding, seed, tally):
    fmt, rng = parse_format(name), random.Random(f"{seed} {name}")
    overflows = [Overflow.SATURATE]
    if fmt.has_nan:
        overflows += [Overflow.INFINITY, Overflow.NAN]
    elif name == "s3.4":
        overflows.append(Overflow.WRAP)
    count = 0
    for overflow in overflows:
        for _ in range(60):
            unit = Fraction(2) ** (fmt.lsb_exp - 2)
            size = rng.randrange(1, 2 ** rng.randrange(2, fmt.max_lsbs.bit_length() + 4))
            value = unit * size * rng.choice([-1, 1]) + rng.choice([0, 0, unit / 1000])
            got = reals.round_to(fmt, value, Rounding(rounding), overflow)
            assert got == oracle.round_to(fmt, value, rounding, overflow), (value, overflow)
            count += 1
    assert reals.round_to(fmt, Fraction(0), Rounding(rounding), Overflow.SATURATE) == 0
    tally("the definition, roundings of tables", count)
