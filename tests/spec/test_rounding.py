"""Tests of :mod:`minimac.spec.rounding`."""

import pytest

from minimac.spec import Overflow, Rounding, parse_format
from oracle import INFINITIES, Special, from_float, round_to, value

DETERMINISTIC = ["rne", "rna", "truncate", "up", "down", "odd"]
STOCHASTIC = ["sr_a", "sr_b", "sr_c"]


def test_words():
    assert [str(mode) for mode in Rounding] == [*DETERMINISTIC, *STOCHASTIC]
    assert [str(mode) for mode in Rounding if mode.stochastic] == STOCHASTIC
    assert [str(mode) for mode in Overflow] == ["saturate", "infinity", "nan", "wrap"]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("random", [(0, 8), (255, 8)])
def test_keeps_finite(rounding, negative, random):
    e5m2 = parse_format("e5m2")
    code = round_to(e5m2, from_float(-1e30 if negative else 1e30), rounding, "infinity", random)
    assert rounding.keeps_finite(negative=negative) == (value(e5m2, code) not in INFINITIES)


@pytest.mark.parametrize("rounding", STOCHASTIC)
def test_stochastic_modes_go_both_ways(rounding):
    int8 = parse_format("int8")
    ends = [
        value(int8, round_to(int8, from_float(-0.75), rounding, "saturate", (r, 4)))
        for r in range(16)
    ]
    assert ends == [0] * 4 + [-1] * 12
    assert not Rounding(rounding).directed


@pytest.mark.parametrize(
    ("eighths", "ups"),
    [  # of the four values of two random bits, those that go up: sr_a, sr_b, sr_c; by hand
        (1, [0, 1, 0]),  # 1/8 is a tie between 0 and 1/4, which sr_c rounds to even
        (2, [1, 1, 1]),
        (3, [1, 2, 2]),
        (4, [2, 2, 2]),
        (5, [2, 3, 2]),
        (7, [3, 4, 4]),
    ],
)
def test_the_oracle_itself_on_stochastic_modes(eighths, ups):
    int8 = parse_format("int8")
    got = [
        sum(
            value(int8, round_to(int8, from_float(5 + eighths / 8), mode, "saturate", (r, 2))) == 6
            for r in range(4)
        )
        for mode in STOCHASTIC
    ]
    assert got == ups


@pytest.mark.parametrize("rounding", [Rounding(mode) for mode in DETERMINISTIC])
def test_directed_modes_go_away_from_zero_by_almost_an_ulp(rounding):
    int8 = parse_format("int8")
    nearly = [from_float(1 / 1024), from_float(-1 / 1024)]
    ends = {value(int8, round_to(int8, number, rounding, "saturate")) for number in nearly}
    # So does `odd`, but only once: the next such step finds an odd code and keeps it.
    assert rounding.directed == (ends & {1, -1} != set() and rounding is not Rounding.ODD)


@pytest.mark.parametrize(
    ("number", "codes"),
    [  # rne, rna, truncate, up, down, odd: by hand
        (2.5, [2, 3, 2, 3, 2, 3]),
        (3.5, [4, 4, 3, 4, 3, 3]),
        (-2.5, [-2, -3, -2, -2, -3, -3]),
        (0.25, [0, 0, 0, 1, 0, 1]),
        (-0.75, [-1, -1, 0, 0, -1, -1]),
        (7.0, [7] * 6),
    ],
)
def test_the_oracle_itself_by_hand(number, codes):
    int8 = parse_format("int8")
    got = [value(int8, round_to(int8, from_float(number), mode, "wrap")) for mode in DETERMINISTIC]
    assert got == codes


@pytest.mark.parametrize(
    ("name", "number", "overflow", "code"),
    [
        ("e4m3fn", 464.0, "saturate", 0x7E),  # a tie between 448 and what would be 480
        ("e4m3fn", 464.0, "nan", 0x7E),
        ("e4m3fn", 464.0625, "nan", 0x7F),
        ("e5m2", float("inf"), "saturate", 0x7C),
        ("e5m2", 61440.0, "infinity", 0x7C),  # a tie that rounds to 65536
        ("e5m2", 61440.0, "saturate", 0x7B),
        ("e4m3", 1e9, "saturate", 0x7F),
        ("e4m3fnuz", -1e-9, "saturate", 0x00),
        ("e4m3fn", -1e-9, "saturate", 0x80),
        ("ue4m3fn", -3.0, "saturate", 0x00),
        ("e3m2", float("nan"), "saturate", 0x00),
        ("bf16", float("nan"), "saturate", 0x7FC0),
        ("int8", 128.0, "wrap", 0x80),
        ("int8:sym", -1000.0, "saturate", 0x81),
        ("bf16:ftz", 1.1e-38, "saturate", 0x0000),
        ("e2m1:ftz", -0.8, "saturate", 0x0A),  # the rounded value, -1, is the least normal
    ],
)
def test_the_oracle_itself_at_the_edges(name, number, overflow, code):
    assert round_to(parse_format(name), from_float(number), "rne", overflow) == code


@pytest.mark.parametrize(
    ("name", "number", "overflow"),
    [("e2m1", Special.NAN, "nan"), ("int8", from_float(1e9), "infinity")],
)
def test_the_oracle_refuses(name, number, overflow):
    with pytest.raises(ValueError, match="has"):
        round_to(parse_format(name), number, "rne", overflow)
