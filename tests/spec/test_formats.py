"""Tests of :mod:`minimac.spec.formats`."""

import itertools
import random
import re
from fractions import Fraction

import pytest

import oracle
from minimac.spec import ExponentOnly, FixedPoint, Minifloat, SpecError, Specials, parse_format
from oracle import INFINITIES, Special

GRAMMAR = (
    "e8m0; eXmY or ueXmY with fn, ieee, fnuz, p3109 or p3109f; sI.F, uI.F, intN or uintN; "
    "nf4, dynamic8, powerN:a=A, bin or lut:FORMAT:HEX; khotN:FIXED; "
    "mxfp8_e4m3, mxint8, nvfp4, bfp16, dfpN or block:ELEMENT:size=N:scale=S"
)


def legal(build, *arguments, **options):
    try:
        return build(*arguments, **options)
    except SpecError:
        return None


def minifloats(exp_bits, man_bits, biases=(None,)):
    """Every legal minifloat of the given field widths."""
    choices = itertools.product(exp_bits, man_bits, Specials, biases, (True, False), (False, True))
    found = [legal(Minifloat, e, m, s, b, sign, ftz) for e, m, s, b, sign, ftz in choices]
    return [fmt for fmt in found if fmt]


def fixed_points(int_bits, frac_bits):
    """Every legal fixed-point format of the given field widths."""
    choices = itertools.product((True, False), int_bits, frac_bits, (False, True))
    return [fmt for choice in choices if (fmt := legal(FixedPoint, *choice))]


SMALL = [
    fmt
    for fmt in [
        *minifloats(range(9), range(8), (None, 0, 3, -40)),
        *fixed_points(range(-3, 9), range(-3, 9)),
    ]
    if oracle.code_bits(fmt) <= 7
]


def test_every_name_parses_back():
    formats = [
        *minifloats(range(9), range(24), (None, 0, 1, 5, -60, 500)),
        *fixed_points(range(-40, 41), range(-40, 41)),
    ]
    assert len(formats) > 10_000
    for fmt in formats:
        assert parse_format(fmt.name) == fmt, fmt
    assert len({fmt.name for fmt in formats}) == len(set(formats))


def test_what_there_is():
    """The policies leave out just the formats that section 3.1 leaves out."""
    for e, m, specials, signed in itertools.product(range(9), range(24), Specials, (True, False)):
        width = signed + e + m
        suffix = specials.suffix
        no_room = {
            # Codes that a magnitude has, less those that the policy takes.
            "f": 2 ** (e + m) < 2,
            "fn": m < 1 or 2 ** (e + m) - 1 < 2,
            "ieee": e < 2 or m < 1,
            "fnuz": not signed or 2 ** (e + m) < 2,
            "p3109": 2 ** (e + m) - (1 if signed else 2) < 2,
            "p3109f": 2 ** (e + m) - (0 if signed else 1) < 2,
        }[suffix]
        there_is = legal(Minifloat, e, m, specials, signed=signed) is not None
        assert there_is == (width <= 32 and not (e == 0 and m == 0) and not no_room), (
            f"e{e}m{m}{suffix} signed={signed}"
        )


@pytest.mark.parametrize(
    ("exp_bits", "suffix", "signed", "bias"),
    [
        (4, "fn", True, 7),
        (5, "ieee", True, 15),
        (2, "f", True, 1),
        (1, "f", True, 0),
        (4, "fnuz", True, 8),
        (4, "p3109", True, 8),
        (5, "p3109", False, 16),
        (0, "f", True, 1),
        (0, "fnuz", True, 1),
        (0, "p3109f", False, 1),
    ],
)
def test_default_bias(exp_bits, suffix, signed, bias):
    specials = next(policy for policy in Specials if policy.suffix == suffix)
    assert Minifloat(exp_bits, 3, specials, signed=signed).bias == bias


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("bfloat16", "bf16"),
        ("e8m7ieee", "bf16"),
        ("half", "fp16"),
        ("float16", "fp16"),
        ("binary16", "fp16"),
        ("e5m10ieee", "fp16"),
        ("single", "fp32"),
        ("float32", "fp32"),
        ("binary32", "fp32"),
        ("e8m23ieee", "fp32"),
        ("e8m10ieee", "tf32"),
        ("e5m2ieee", "e5m2"),
        ("float8_e5m2", "e5m2"),
        ("float8_e4m3fn", "e4m3fn"),
        ("float6_e3m2fn", "e3m2"),
        ("float6_e2m3fn", "e2m3"),
        ("float4_e2m1fn", "e2m1"),
        ("binary8p4se", "e4m3p3109"),
        ("binary8p4sf", "e4m3p3109f"),
        ("binary8p4ue", "ue5m3p3109"),
        ("binary8p1uf", "ue8m0p3109f"),
        ("binary6p3se", "e3m2p3109"),
        ("e5m2f", "e5m2f"),
        ("ue8m0f:bias=3", "ue8m0f:bias=3"),
        ("s7.0", "int8"),
        ("u8.0", "uint8"),
        ("u0.8", "u0.8"),
        ("s7.0:sym", "int8:sym"),
        ("s-2.8", "s-2.8"),
        ("s8.-2", "s8.-2"),
        (" BF16 ", "bf16"),
        ("e4m3fn:bias=7", "e4m3fn"),
        ("e4m3fn:ftz:bias=9", "e4m3fn:bias=9:ftz"),
        ("ue5m3", "ue5m3"),
        ("ue4m3fn", "ue4m3fn"),
    ],
)
def test_aliases(alias, name):
    assert parse_format(alias).name == name
    assert parse_format(alias) == parse_format(name)


def test_bare_e4m3_is_the_finite_one():
    assert oracle.value(parse_format("e4m3"), 0x7F) == 480
    assert oracle.value(parse_format("e4m3fn"), 0x7E) == 448
    assert parse_format("e5m2f") != parse_format("e5m2")


def test_derived_quantities_of_every_small_format():
    assert len(SMALL) > 1000
    for fmt in SMALL:
        values = oracle.values(fmt)
        assert fmt.width == oracle.code_bits(fmt)
        finite = [Fraction(0) if v is Special.MINUS_ZERO else v for v in values]
        finite = [v for v in finite if isinstance(v, Fraction)]
        lsb = Fraction(2) ** fmt.lsb_exp
        assert all((v / lsb).denominator == 1 for v in finite), fmt.name
        assert (fmt.min_lsbs * lsb, fmt.max_lsbs * lsb) == (min(finite), max(finite)), fmt.name
        unused = getattr(fmt, "symmetric", False)
        assert fmt.has_nan == (Special.NAN in values and not unused), fmt.name
        assert fmt.has_infinities == any(v in INFINITIES for v in values), fmt.name
        parts = [
            oracle.operand(fmt, code)
            for code in range(2**fmt.width)
            if not (unused and code == 2 ** (fmt.width - 1))
        ]
        parts = [part for part in parts if isinstance(part, oracle.Operand)]
        assert {part.width for part in parts} == {fmt.sig_bits}, fmt.name
        exponents = {part.exponent for part in parts}
        assert (fmt.min_exp, fmt.max_exp) == (min(exponents), max(exponents)), fmt.name
        assert all(part.significand < 2**fmt.sig_bits for part in parts), fmt.name


def test_lsb_is_the_least_positive_value():
    for fmt in SMALL:
        if not getattr(fmt, "ftz", False):
            positive = [v for v in oracle.values(fmt) if isinstance(v, Fraction) and v > 0]
            assert min(positive) == Fraction(2) ** fmt.lsb_exp, fmt.name


def test_special_codes_of_every_small_minifloat():
    for fmt in SMALL:
        if isinstance(fmt, FixedPoint):
            continue
        values = oracle.values(fmt)
        nans = [code for code, v in enumerate(values) if v is Special.NAN]
        assert (fmt.nan_code in nans) == bool(nans), fmt.name
        if len(nans) == 1:
            assert fmt.nan_code == nans[0]
        elif nans:  # positive; IEEE: the quiet one, with only the top bit of its mantissa
            half = 2 ** (fmt.man_bits - 1) if fmt.specials is Specials.IEEE else 1
            quiet = 2 ** (fmt.exp_bits + fmt.man_bits) - half
            assert fmt.nan_code == quiet, fmt.name
        infinite = [code for code, v in enumerate(values) if v is Special.PLUS_INFINITY]
        assert [fmt.infinity_code] == (infinite or [None]), fmt.name
        assert fmt.has_negative_zero == (
            fmt.signed and values[2 ** (fmt.width - 1)] is Special.MINUS_ZERO
        ), fmt.name
        top = max(v for v in values if isinstance(v, Fraction))
        assert values[fmt.max_code] == top, fmt.name


MOST_FIXED = "a fixed-point format has at most 32 bits, or 53 as a of unit convert"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bf61", "unknown format 'bf61'; did you mean 'bf16'?"),
        ("e4m3nf", "unknown format 'e4m3nf'; did you mean 'e4m3fn'?"),
        (
            "zzz",
            f"unknown format 'zzz'; names are {GRAMMAR}",
        ),
        (
            "e4m3f",
            (
                "format 'e4m3f': all codes of e4m3 are finite as it is; write e4m3, or e4m3fn for "
                "the one with NaN"
            ),
        ),
        ("ue3m0f", "format 'ue3m0f': all codes of ue3m0 are finite as it is; write ue3m0"),
        ("e9m1", "format 'e9m1': exponent must have 0 to 8 bits, not 9"),
        ("e1m24", "format 'e1m24': mantissa must have 0 to 23 bits, not 24"),
        (
            "ue0m0",
            "format 'ue0m0': a format without exponent needs a mantissa of at least 1 bit",
        ),
        (
            "e0m3:ftz",
            "format 'e0m3:ftz': a format without exponent has subnormals only: ftz leaves nothing",
        ),
        (
            "e1m3ieee",
            "format 'e1m3ieee': an ieee format needs at least 2 exponent bits and 1 mantissa bit",
        ),
        ("e4m0fn", "format 'e4m0fn': an fn format needs at least 1 mantissa bit"),
        (
            "ue4m3fnuz",
            "format 'ue4m3fnuz': fnuz puts NaN where -0 would be: it needs a sign; use fn",
        ),
        ("e0m1fn", "format 'e0m1fn': no code is left for a finite value other than zero"),
        (
            "e4m3fn:bias=2000",
            "format 'e4m3fn:bias=2000': bias 2000 takes values out of the range of float64",
        ),
        (
            "binary8p0se",
            "format 'binary8p0se': the precision of a P3109 format is 1 to its width, less a sign",
        ),
        (
            "s-3.2",
            "format 's-3.2': a fixed-point format needs at least 1 bit besides the sign, not -1",
        ),
        ("int54", f"format 'int54': {MOST_FIXED}, not 54"),
        ("int9000", f"format 'int9000': {MOST_FIXED}, not 9000"),
        ("uint123456789", f"format 'uint123456789': {MOST_FIXED}, not 123456789"),
        ("s1000.0", f"format 's1000.0': {MOST_FIXED}, not 1001"),
        (
            "s1010.-1000",
            (
                "format 's1010.-1000': integer and fraction bits must be -999 to 999, not 1010 "
                "and -1000"
            ),
        ),
        ("e100m3", "format 'e100m3': exponent must have 0 to 8 bits, not 100"),
        ("e4m300fn", "format 'e4m300fn': mantissa must have 0 to 23 bits, not 300"),
        ("binary100p3se", "format 'binary100p3se': exponent must have 0 to 8 bits, not 97"),
        (
            "e4m3:bias=123456789",
            "format 'e4m3:bias=123456789': bias 123456789 takes values out of the range of float64",
        ),
        ("e8m24", "format 'e8m24': mantissa must have 0 to 23 bits, not 24"),
        (
            "uint8:sym",
            "format 'uint8:sym': sym is for signed formats; an unsigned one has no negative code",
        ),
        ("x" * 4097, "a format's name has at most 4096 characters, not 4097"),
        (7, "a format must be a name, not 7"),
        (None, "a format must be a name, not None"),
    ],
)
def test_wrong_names(name, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        parse_format(name)


@pytest.mark.parametrize(
    "name", ["e4m3fn:foo", "e4m3fn:bias=", "e4m3fn::ftz", "int8:ftz", "e2m1:sym"]
)
def test_wrong_options(name):
    option = name.split(":")[1]
    with pytest.raises(
        SpecError, match=f"^format .*: option {re.escape(repr(option))} is unknown; known "
    ):
        parse_format(name)


def test_bias_is_limited_by_float64_exactly():
    """Section 3.1: a bias is legal as long as every value is exact in float64."""
    for bias in range(-1100, 1100):
        fmt = legal(Minifloat, 2, 1, bias=bias)
        least, top = Fraction(2) ** (1 - bias - 1), 3 * Fraction(2) ** (3 - bias - 1)
        inside = least >= Fraction(2) ** -1074 and top < Fraction(2) ** 1024
        assert (fmt is not None) == inside, bias


def test_formats_are_values():
    assert (
        len({parse_format("bf16"), parse_format("bfloat16"), Minifloat(8, 7, Specials.IEEE)}) == 1
    )


@pytest.mark.parametrize("name", ["e4m3fn:bias=9:bias=8", "bf16:ftz:ftz"])
def test_options_stand_once(name):
    with pytest.raises(SpecError, match=r"stands there twice$"):
        parse_format(name)


def test_names_are_ascii():
    with pytest.raises(SpecError, match=r"^unknown format"):
        parse_format("e\u0664m3")


def test_names_of_far_binary_points_parse_back():
    for int_bits, frac_bits in [(999, -990), (-990, 999)]:
        fmt = FixedPoint(True, int_bits, frac_bits)
        assert parse_format(fmt.name) == fmt
    with pytest.raises(SpecError, match="must be -999 to 999"):
        FixedPoint(True, 1002, -1000)


@pytest.mark.parametrize("bits", range(1, 8))
def test_values_of_all_codes_of_every_small_format(bits):
    for fmt in SMALL:
        if fmt.width != bits:
            continue
        lsb = Fraction(2) ** fmt.lsb_exp
        for code, number in enumerate(oracle.values(fmt)):
            valid = oracle.is_valid(fmt, code)
            assert fmt.holds(code) == valid, (fmt.name, code)
            if number is Special.MINUS_ZERO:
                number = Fraction(0)
            if isinstance(number, Fraction):
                assert fmt.lsbs(code) * lsb == number, (fmt.name, code)
                continue
            with pytest.raises(SpecError, match=re.escape(fmt.name)):
                fmt.lsbs(code)


@pytest.mark.parametrize("name", ["e4m3fn", "ue4m3fn", "bf16", "int8", "int8:sym", "uint8", "e8m0"])
def test_what_is_out_of_range_is_no_code(name):
    fmt = parse_format(name)
    for code in (-1, 1 << fmt.width, -(1 << fmt.width - 1), 1 << 40, -(1 << 40)):
        assert not fmt.holds(code)
        with pytest.raises(SpecError, match=f" of {name}( is not a finite number)?$"):
            fmt.lsbs(code)


@pytest.mark.parametrize("name", ["fp32", "tf32", "fp16:ftz", "int32", "uint32", "s-2.30", "u0.24"])
def test_values_of_codes_of_large_formats(name, seed):
    fmt = parse_format(name)
    rng = random.Random(seed)
    top = 1 << fmt.width
    for code in [0, 1, top // 2 - 1, top // 2, top - 1, *(rng.randrange(top) for _ in range(300))]:
        number = oracle.value(fmt, code)
        if number is Special.MINUS_ZERO:
            number = Fraction(0)
        if isinstance(number, Fraction):
            assert fmt.lsbs(code) * Fraction(2) ** fmt.lsb_exp == number
        else:
            with pytest.raises(SpecError, match="is not a finite number"):
                fmt.lsbs(code)


def test_exponents_only():
    """OCP MX 1.0, 5.4.1: powers of two, and NaN."""
    e8m0 = ExponentOnly()
    assert (e8m0.name, e8m0.width, e8m0.signed, e8m0.sig_bits) == ("e8m0", 8, False, 1)
    assert (e8m0.min_exp, e8m0.max_exp, e8m0.lsb_exp) == (-127, 127, -127)
    lsb = Fraction(2) ** e8m0.lsb_exp
    values = [e8m0.lsbs(code) * lsb for code in range(255)]
    assert values == [oracle.value(e8m0, code) for code in range(255)]
    assert (e8m0.min_lsbs * lsb, e8m0.max_lsbs * lsb) == (min(values), max(values))
    assert (e8m0.has_nan, e8m0.has_infinities, e8m0.nan_code) == (True, False, 255)
    assert [code for code in range(-1, 257) if e8m0.holds(code)] == [*range(256)]
    with pytest.raises(SpecError, match=r"^code 0xff of e8m0 is not a finite number$"):
        e8m0.lsbs(255)
    assert parse_format("e8m0f") == Minifloat(8, 0)  # which has a zero and a sign
