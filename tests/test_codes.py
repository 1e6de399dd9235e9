"""Tests of :mod:`minimac.codes`: what is shown is what the definition says."""

import bisect
import itertools
import math
import random
import re
from fractions import Fraction

import pytest

import oracle
from minimac.codes import (
    describe,
    error_of,
    gap,
    grid,
    least_positive,
    neighbours,
    read_code,
    read_value,
    show,
    stand_in,
    summarize,
)
from minimac.model import decode, encode
from minimac.spec import Minifloat, SpecError, parse_format
from oracle import Special

NAMES = [
    *("e4m3fn", "e5m2", "e4m3", "e4m3fnuz", "e5m2fnuz", "e4m3p3109", "e3m2p3109f", "e3m2", "e2m3"),
    *("e2m1", "e0m3", "e0m3fnuz", "e3m0", "e7m0", "e2m5", "ue4m3fn", "ue5m3", "ue3m2p3109"),
    *("e4m3fn:ftz", "e2m1:ftz", "ue3m2:ftz", "e4m3fn:bias=20", "e3m2:bias=-5"),
    *("int8", "int8:sym", "uint8", "s4.3", "s4.3:sym", "u0.8", "s-2.8", "s8.-3", "tern"),
    *("e8m0", "bin", "nf4", "nf4:e4m3fn", "power4:a=0.5", "lut:e2m1:9017", "lut:e2m1:0087f"),
    *("khot1:int8", "khot2:s0.7", "khot2:s0.7:sym", "khot1:uint8"),
]
LARGE = ["bf16", "fp16", "fp32", "tf32:ftz", "int16", "int32", "uint32", "s1.22:sym", "dynamic8"]


def by_oracle(fmt, code):
    """Return a code's value as a float, and whether it means anything."""
    return oracle.as_float(oracle.value(fmt, code)) if oracle.is_valid(fmt, code) else None


@pytest.mark.parametrize("name", NAMES)
def test_values_and_classes_of_all_codes(name):
    fmt = parse_format(name)
    for code in range(1 << fmt.width):
        expected = by_oracle(fmt, code)
        if expected is None:
            with pytest.raises(SpecError, match=f"^code must be one that {re.escape(fmt.name)} "):
                describe(fmt, code)
            continue
        found = describe(fmt, code)
        # repr() tells NaN and zeros of both signs apart.
        assert repr(found.value) == repr(expected)
        assert repr(found.value) == repr(float(decode(fmt, [code])[0]))
        assert (found.code, int(found.hex, 16)) == (code, code)
        assert int(re.sub(r"[_.]", "", found.bits), 2) == code
        if math.isnan(expected):
            assert (found.kind, found.ulp) == ("NaN", None)
        elif math.isinf(expected):
            assert (found.kind, found.ulp) == ("infinity", None)
        elif expected == 0:
            assert found.kind in ("zero", "subnormal, counts as zero")
        elif isinstance(fmt, Minifloat):
            assert found.kind == ("normal" if abs(expected) >= 2.0**fmt.min_exp else "subnormal")
        else:
            assert found.kind == "number"


@pytest.mark.parametrize(
    ("name", "code", "bits"),
    [
        ("e4m3fn", 0xB9, "1_0111_001"),
        ("ue4m3fn", 0x39, "0111_001"),
        ("e3m0", 0xB, "1_011"),
        ("e0m3", 0xB, "1_011"),
        ("int8", 0x81, "10000001"),
        ("s4.3", 0x81, "10000.001"),
        ("u0.8", 0x81, "10000001"),
        ("khot2:s4.3", 0x80, "10000.000"),
        ("nf4", 0x5, "0101"),
        ("mxfp4", 0x5, "0_10_1"),
    ],
)
def test_fields_stand_apart(name, code, bits):
    assert describe(parse_format(name), code).bits == bits


@pytest.mark.parametrize("name", NAMES)
def test_ulps(name):
    """An ulp of a minifloat is the distance to the next value away from zero."""
    fmt = parse_format(name)
    values = sorted({v for v in oracle.values(fmt) if isinstance(v, Fraction) and v >= 0})
    for code in range(1 << fmt.width):
        if by_oracle(fmt, code) is None:
            continue
        found = describe(fmt, code)
        at = bisect.bisect_right(values, abs(found.value)) if math.isfinite(found.value) else 0
        if found.ulp is not None and 0 < at < len(values) and not getattr(fmt, "ftz", False):
            assert values[at] - values[at - 1] == Fraction(found.ulp)


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_and_gaps(name, seed):
    fmt = parse_format(name)
    values = sorted(
        {Fraction(0) if v is Special.MINUS_ZERO else v for v in oracle.values(fmt)}
        - {Special.NAN, Special.PLUS_INFINITY, Special.MINUS_INFINITY},
    )
    values = [v for v in values if isinstance(v, Fraction)]
    rng = random.Random(seed)
    between = [
        low + (high - low) * Fraction(rng.randrange(1, 1000), 1000)
        for low, high in itertools.pairwise(values)
    ]
    for number in [*values, *between, values[0] - Fraction(1, 3), values[-1] + Fraction(10, 3)]:
        below = max((v for v in values if v <= number), default=None)
        above = min((v for v in values if v >= number), default=None)
        assert neighbours(fmt, number) == (below, above)
        if below is not None and above is not None and below != above:
            assert gap(fmt, number) == above - below
    last = values[-1] - values[-2]
    if isinstance(fmt, Minifloat):
        last = Fraction(describe(fmt, fmt.max_code).ulp)
    assert gap(fmt, values[-1] + 1) == last


CASES = [(mode, None) for mode in ("rne", "rna", "truncate", "up", "down", "odd")] + [
    (mode, bits) for mode in ("sr_a", "sr_b", "sr_c") for bits in (1, 3, 8)
]


def numbers_near_places(fmt, rng, count):
    """Fractions that no float64 is: around values, ties and finer places, and anywhere."""
    finite = [v for v in oracle.values(fmt) if isinstance(v, Fraction)]
    for _ in range(count):
        low = rng.choice(finite)
        below, above = neighbours(fmt, low + gap(fmt, low) / 7)
        step = above - below if None not in (below, above) else gap(fmt, low)
        place = low + step * Fraction(rng.randrange(33), 32)
        tiny = Fraction(rng.choice([-1, 1]), rng.choice([3, 7 * 10**18, 10**40]))
        yield place + tiny * step
        yield place
        yield Fraction(rng.randrange(-(10**6), 10**6), rng.randrange(1, 10**6))


@pytest.mark.parametrize("name", NAMES)
def test_values_are_rounded_once(name, seed):
    """What is no float64 becomes the code that the oracle gives for it, not for the nearest one."""
    fmt = parse_format(name)
    rng = random.Random(f"{name} {seed}")
    for number in numbers_near_places(fmt, rng, 12):
        for mode, bits in CASES:
            drawn = (rng.randrange(1 << bits), bits) if bits else None
            value = stand_in(fmt, number, bits or 0)
            given = ([drawn[0]], bits) if drawn else None
            code = int(encode(fmt, [value], mode, "saturate", given)[0])
            assert code == oracle.round_to(fmt, number, mode, "saturate", drawn), (number, mode)


@pytest.mark.parametrize("name", ["e4m3fn", "e5m2", "e4m3fnuz", "ue4m3fn", "e8m0"])
@pytest.mark.parametrize("overflow", ["infinity", "nan"])
def test_overflow_is_judged_of_the_number_itself(name, overflow):
    fmt = parse_format(name)
    largest = Fraction(fmt.max_lsbs) * Fraction(2) ** fmt.lsb_exp
    half = gap(fmt, largest) / 2
    tiny = half / 10**40
    for number in [largest + half - tiny, largest + half, largest + half + tiny, 2 * largest]:
        for mode in ("rne", "rna", "truncate", "up"):
            code = int(encode(fmt, [stand_in(fmt, number)], mode, overflow)[0])
            assert code == oracle.round_to(fmt, number, mode, overflow)


@pytest.mark.parametrize("name", ["int8", "s4.3", "uint4"])
def test_wrapping_takes_all_digits(name, seed):
    fmt = parse_format(name)
    rng = random.Random(seed)
    for _ in range(200):
        number = Fraction(rng.randrange(-(10**9), 10**9), rng.randrange(1, 10**4))
        for mode in ("rne", "truncate", "down"):
            code = int(encode(fmt, [stand_in(fmt, number, wraps=True)], mode, "wrap")[0])
            assert code == oracle.round_to(fmt, number, mode, "wrap")
    assert stand_in(fmt, Fraction(10**30 + 1)) >= 10**29
    with pytest.raises(
        SpecError, match=r"^value must be one that float64 can stand for when it is"
    ):
        stand_in(fmt, Fraction(10**30 + 1), wraps=True)


def test_what_float64_cannot_stand_for():
    least = parse_format("e4m3:bias=1072")  # its last place is that of float64
    with pytest.raises(SpecError, match=r"write it with fewer digits$"):
        stand_in(least, Fraction(1, 3) * Fraction(2) ** -1074)
    with pytest.raises(SpecError, match=r"fewer digits or take fewer random bits$"):
        stand_in(parse_format("fp32"), Fraction(1, 10), 32)
    # A place where codes change of its own number of digits, and a number beside it.
    far = parse_format("lut:fp32:000000013f800000")
    middle = (Fraction(1) + Fraction(2) ** -149) / 2
    for number in (Fraction(1, 10), middle - Fraction(1, 10**60), middle + Fraction(1, 10**60)):
        code = int(encode(far, [stand_in(far, number)])[0])
        assert code == oracle.round_to(far, number, "rne", "saturate")


def test_numbers_beyond_float64():
    for text, code in (("1e400", 0x7E), ("-1e9999", 0xFE), ("1e-400", 0x00), ("-1e-9999", 0x80)):
        value = stand_in(parse_format("e4m3fn"), read_value(text))
        assert math.isfinite(value)
        assert int(encode(parse_format("e4m3fn"), [value])[0]) == code
    with pytest.raises(SpecError, match="float64"):
        stand_in(parse_format("e4m3:bias=-1015"), Fraction(10) ** 400)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("+1.5", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("2.", 2),
        ("1E3", 1000),
        ("-1e-3", Fraction(-1, 1000)),
        ("2/6", Fraction(1, 3)),
        ("-1/3", Fraction(-1, 3)),
        (" 7 ", 7),
        ("0.1", Fraction(1, 10)),
        ("9" * 1000, 10**1000 - 1),
    ],
)
def test_values_are_read_exactly(text, value):
    assert read_value(text) == value
    assert isinstance(read_value(text), Fraction)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("inf", "inf"), ("-INF", "-inf"), ("Infinity", "inf"), ("-infinity", "-inf")),
        *(("nan", "nan"), ("-nan", "nan"), ("-0", "-0.0"), ("-0.0e5", "-0.0"), ("-0/3", "-0.0")),
    ],
)
def test_special_values_are_read(text, value):
    assert repr(read_value(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "abc", "1,5", "1 2", "--1", "+-1", "1e", "e5", ".", "1/", "/3", "1/-3", "1.5/2"),
        *("1_000", "0x1p3", "infinit", "nano", "1j", "１", "٣", "\u22121", "1/3/3", "1e5.0", "\0"),  # noqa: RUF001
    ],
)
def test_what_is_no_value(text):
    with pytest.raises(
        SpecError, match=r"^value must be a number, as -1.5, 1e-3 or 1/3, or inf or"
    ):
        read_value(text)


@pytest.mark.parametrize(
    "text", ["9" * 1001, "0." + "0" * 5000, "1e99999", "1e-12345", "1/" + "3" * 2000]
)
def test_values_of_too_many_digits(text):
    with pytest.raises(
        SpecError, match=r"^value must have at most 1000 digits, and 4 in its expon"
    ):
        read_value(text)


def test_division_by_zero():
    with pytest.raises(SpecError, match=r"^value must not be divided by zero, as in '1/00'$"):
        read_value("1/00")


@pytest.mark.parametrize(
    ("text", "code"),
    [("56", 56), ("0x38", 56), ("0X38", 56), ("0b111000", 56), ("0b0_0111_000", 56), ("007", 7)],
)
def test_codes_are_read(text, code):
    assert read_code(parse_format("e4m3fn"), text) == code


def test_show():
    values = [1.0, -0.0, 0.001953125, 1e16, 2.0**-149, math.inf, -math.inf, math.nan, None, "0x7f"]
    assert [show(value) for value in values] == [
        *("1", "-0", "0.001953125", "1e+16", "1.401298464324817e-45", "inf", "-inf", "nan"),
        *("-", "0x7f"),
    ]


@pytest.mark.parametrize("name", [*NAMES, "e8m2", "int10"])
def test_summaries(name):
    fmt = parse_format(name)
    told = summarize(fmt)
    values = [Fraction(0) if v is Special.MINUS_ZERO else v for v in oracle.values(fmt)]
    valid = [v for code, v in enumerate(values) if oracle.is_valid(fmt, code)]
    finite = {v for v in valid if isinstance(v, Fraction)}
    assert told["values"] == len(finite)
    assert (told["least"], told["largest"]) == (min(finite), max(finite))
    assert told["least_positive"] == least_positive(fmt) == min(v for v in finite if v > 0)
    assert told["nan_codes"] == valid.count(Special.NAN)
    infinite = [code for code, v in enumerate(values) if v in oracle.INFINITIES]
    assert [int(code, 16) for code in told["infinities"]] == sorted(infinite)
    assert told["negative_zero"] == (
        isinstance(fmt, Minifloat) and Special.MINUS_ZERO in oracle.values(fmt)
    )
    if told["nan"] is not None:
        assert int(told["nan"], 16) == oracle.canonical_nan(fmt)
    if min(finite) <= 1 < max(finite):
        above = min(v for v in finite if v > 1)
        below = max(v for v in finite if v <= 1)
        assert told["ulp_at_1"] == above - below
    assert told["bits"] == fmt.width


@pytest.mark.parametrize("name", LARGE)
def test_summaries_of_large_formats(name):
    fmt = parse_format(name)
    told = summarize(fmt)
    largest = oracle.value(fmt, oracle.largest(fmt, False))
    least = oracle.value(fmt, oracle.largest(fmt, True))
    assert (told["largest"], told["least"]) == (largest, least)
    assert told["bits"] == fmt.width


def test_summary_of_blocks():
    told = summarize(parse_format("nvfp4:scale=ue5m3"))
    assert told["block"] == {
        "element": "e2m1",
        "size": 16,
        "scale": "ue5m3",
        "rule": "even",
        "tensor_scale": "fp32",
    }
    assert (told["format"], told["largest"]) == ("nvfp4:scale=ue5m3", 6.0)


@pytest.mark.parametrize("name", [*NAMES, "dynamic8"])
def test_grids_have_every_code(name):
    fmt = parse_format(name)
    seen = {}
    for row in grid(fmt):
        low = row["bits"].count("x")
        first = int(row["code"], 16)
        for head, value in row.items():
            if head not in ("code", "bits"):
                bits = head if low else ""
                pattern = re.sub("[_.]", "", row["bits"]).replace("x" * low, bits)
                code = int(pattern, 2)
                assert code - first == (int(bits, 2) if bits else 0)
                seen[code] = value
        assert len("  ".join(map(show, row.values()))) <= 120
    signed = isinstance(fmt, Minifloat) and fmt.signed
    assert sorted(seen) == list(range(1 << fmt.width - signed))
    for code, value in seen.items():
        expected = by_oracle(fmt, code)
        if isinstance(value, str):
            assert value == f"2^{round(math.log2(expected))}"
        else:
            assert repr(value) == repr(expected)


def test_errors():
    e4m3fn = parse_format("e4m3fn")
    assert error_of(describe(e4m3fn, 0x1D), Fraction(1, 10)) == {
        "error": 0.0015625,
        "ulps": 0.2,
        "below": 0.09375,
        "above": 0.1015625,
    }
    exact = {"error": 0.0, "ulps": 0.0, "below": None, "above": None}
    assert error_of(describe(e4m3fn, 0x38), Fraction(1)) == exact
    assert error_of(describe(e4m3fn, 0x80), -0.0) == exact
    nothing = dict.fromkeys(exact)
    assert error_of(describe(e4m3fn, 0x7E), math.inf) == nothing
    assert error_of(describe(e4m3fn, 0x7F), math.nan) == nothing
    assert error_of(describe(e4m3fn, 0x7F), Fraction(1000)) == nothing
    beyond = error_of(describe(e4m3fn, 0xFE), Fraction(-1000))
    assert beyond == {"error": 552.0, "ulps": 17.25, "below": None, "above": -448.0}
    assert error_of(describe(e4m3fn, 0x7E), Fraction(10) ** 400)["error"] == "inf"
