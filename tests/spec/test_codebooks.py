"""Tests of :mod:`minimac.spec.codebooks`: tables against what was published, and k-hot numbers."""

import bisect
import itertools
import math
import re
import struct
from fractions import Fraction
from statistics import NormalDist

import pytest

import oracle
from minimac.spec import Codebook, FixedPoint, KHot, Minifloat, SpecError, parse_format

# arXiv 2305.14314, appendix E.
NF4 = [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
]

CODEBOOKS = [
    *("nf4", "nf4:bf16", "nf4:e4m3fn", "nf4:s0.7", "nf4:int8:sym", "dynamic8", "dynamic8:bf16"),
    *("bin", "bin:int8", "bin:e2m1", "bin:uint8", "power2:a=1", "power4:a=0.5", "power8:a=3:fp16"),
    *("power5:a=0.3:e4m3fnuz", "lut:e2m1:9017", "lut:e2m1:778f0", "lut:int8:sym:7f81007f"),
    *("lut:e5m2:00807b04fb", "lut:ue4m3fn:00017e", "lut:s-2.8:7f40", "lut:e2m1:bias=9:ftz:12f"),
    "lut:fp32:" + "".join(f"{code:08x}" for code in range(0, 256 * 0x0070_0003, 0x0070_0003)),
]
K_HOTS = [
    *("khot1:int8", "khot2:int8", "khot3:int8", "khot4:int8", "khot2:s0.7", "khot2:s0.7:sym"),
    *("khot1:uint8", "khot2:u0.8", "khot1:tern", "khot2:s8.-2", "khot1:s-3.9", "khot2:int10"),
]


def numbers(fmt):
    """What each code means, by the format itself."""
    return [Fraction(fmt.lsbs(code)) * Fraction(2) ** fmt.lsb_exp for code in range(len(fmt.codes))]


def as_single(number):
    """Return a number as float32 has it; those of the tables are no ties."""
    return struct.unpack("f", struct.pack("f", float(number)))[0]


def test_nf4_is_as_published():
    nf4 = parse_format("nf4")
    assert numbers(nf4) == NF4
    assert nf4.of == parse_format("fp32")
    assert nf4.width == 4


def test_nf4_is_made_of_quantiles():
    """Eight quantiles of a normal distribution above zero, seven below, and zero: ibid., 3."""
    offset = 0.9677083
    quantile = NormalDist().inv_cdf
    up = [quantile(offset + (0.5 - offset) * i / 8) for i in range(8)]
    down = [-quantile(offset + (0.5 - offset) * i / 7) for i in range(7)]
    made = sorted([*up, 0.0, *down])
    assert [number / max(made) for number in made] == pytest.approx(NF4, abs=2e-7)


def dynamic_tree():
    """Values of the dynamic tree quantization of arXiv 2110.02861, section 1.3, bit by bit.

    The first bit is the sign. The zeros that follow count the exponent; the first one after them
    says that the rest is a fraction, which is linear between 0.1 and 1 and taken at the middle of
    its interval. The code without a one is zero, and with a sign it is 1.
    """
    found = []
    for code in range(256):
        negative, *bits = [int(bit) for bit in f"{code:08b}"]
        if 1 not in bits:
            found.append(1.0 if negative else 0.0)
            continue
        zeros = bits.index(1)
        fraction = bits[zeros + 1 :]
        index = sum(bit << place for place, bit in enumerate(reversed(fraction)))
        edges = [0.1 + 0.9 * (index + end) / 2 ** len(fraction) for end in (0, 1)]
        size = 10.0**-zeros * sum(edges) / 2
        found.append(-size if negative else size)
    return sorted(found)


def test_dynamic_tree_is_as_described():
    expected = dynamic_tree()
    assert len(set(expected)) == 256
    got = numbers(parse_format("dynamic8"))
    assert [float(number) for number in got] == pytest.approx(expected, rel=2**-24, abs=0)
    assert (float(got[0]), float(got[-2]), got[-1]) == (
        as_single(-0.99296875),
        as_single(0.99296875),
        1,
    )
    assert min(abs(number) for number in got if number) == as_single(0.55e-6)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("exponent", [0.05, 0.3, 0.5, 1.0, 2.5, 20.0])
def test_power_grid(bits, exponent):
    """``sign(x) * |x|**(1/a)`` of an even grid: arXiv 2308.05600."""
    most = 2 ** (bits - 1) - 1
    expected = [
        as_single(math.copysign((abs(q) / most) ** (1 / exponent), q))
        for q in range(-most, most + 1)
    ]
    grid = parse_format(f"power{bits}:a={exponent}")
    assert numbers(grid) == expected
    assert (grid.width, len(grid.codes)) == (bits, 2**bits - 1)


def test_binary():
    assert numbers(parse_format("bin")) == [-1, 1]
    assert parse_format("bin").width == 1
    assert parse_format("bin").of == parse_format("tern")


@pytest.mark.parametrize(
    "of", ["bf16", "e4m3fn", "e5m2", "e2m1", "int8", "s0.7", "s0.7:sym", "u0.6"]
)
@pytest.mark.parametrize("table", ["nf4", "bin", "power4:a=0.4", "dynamic8"])
def test_tables_take_the_nearest_value(table, of):
    fmt = parse_format(f"{table}:{of}")
    exact = {"nf4": NF4, "bin": [-1, 1], "dynamic8": dynamic_tree()}.get(table)
    if exact is None:
        exact = [math.copysign((abs(q) / 7) ** 2.5, q) for q in range(-7, 8)]
    there = sorted({v for v in oracle.values(fmt.of) if isinstance(v, Fraction)})
    for wanted, code in zip(exact, fmt.codes, strict=True):
        value = oracle.value(fmt.of, code)
        got = Fraction(0) if value is oracle.Special.MINUS_ZERO else value
        # Tables are exact to about 2**-25; what they take is nearest but for that.
        above = bisect.bisect(there, Fraction(wanted))
        distance = min(abs(Fraction(wanted) - v) for v in there[max(above - 1, 0) : above + 1])
        assert abs(Fraction(wanted) - got) - distance <= Fraction(abs(wanted)) / 2**24
        assert distance or got == wanted


@pytest.mark.parametrize("name", [*CODEBOOKS, *K_HOTS])
def test_values_and_derived_quantities(name):
    fmt = parse_format(name)
    assert fmt.width == oracle.code_bits(fmt)
    codes = [code for code in range(2**fmt.width) if oracle.is_valid(fmt, code)]
    assert [code for code in range(-2, 2 ** (fmt.width + 1)) if fmt.holds(code)] == codes
    lsb = Fraction(2) ** fmt.lsb_exp
    values = [oracle.value(fmt, code) for code in codes]
    values = [Fraction(0) if v is oracle.Special.MINUS_ZERO else v for v in values]
    assert [fmt.lsbs(code) * lsb for code in codes] == values
    assert (fmt.min_lsbs * lsb, fmt.max_lsbs * lsb) == (min(values), max(values))
    assert fmt.signed == (min(values) < 0)
    assert not fmt.has_nan
    assert not fmt.has_infinities
    parts = [oracle.operand(fmt, code) for code in codes]
    assert {part.width for part in parts} == {fmt.sig_bits}
    assert fmt.min_exp <= min(part.exponent for part in parts)
    assert max(part.exponent for part in parts) <= fmt.max_exp
    assert fmt.value_format == fmt.of


@pytest.mark.parametrize("name", [*CODEBOOKS, *K_HOTS])
def test_what_is_no_code_has_no_value(name):
    fmt = parse_format(name)
    for code in range(-1, 2**fmt.width + 1):
        if not fmt.holds(code):
            with pytest.raises(SpecError, match=f"is not a code of {re.escape(fmt.name)}$"):
                fmt.lsbs(code)


@pytest.mark.parametrize("name", K_HOTS)
def test_k_hot_numbers_are_sums_of_few_powers_of_two(name):
    """By trying all sums: a digit may stand one place above those of the value."""
    fmt = parse_format(name)
    powers = [sign << place for place in range(fmt.width + 1) for sign in (-1, 1)]
    sums = {
        sum(chosen)
        for count in range(fmt.digits + 1)
        for chosen in itertools.combinations(powers, count)
    }
    reached = {number for number in sums if fmt.of.min_lsbs <= number <= fmt.of.max_lsbs}
    assert {fmt.lsbs(code) for code in range(2**fmt.width) if fmt.holds(code)} == reached


@pytest.mark.parametrize(
    ("name", "count"),
    [("khot1:int8", 16), ("khot2:int8", 88), ("khot8:int8", 256), ("khot1:tern", 3)],
)
def test_how_many_k_hot_numbers_there_are(name, count):
    fmt = parse_format(name)
    assert sum(map(fmt.holds, range(2**fmt.width))) == count


def test_codes_are_plain_integers():
    e2m1 = parse_format("e2m1")
    assert Codebook(e2m1, [True, 0, 3]).codes == (1, 0, 3)
    assert Codebook(e2m1, (1, 0, 3)) == Codebook(e2m1, [1, 0, 3])


def test_a_label_is_part_of_the_format_and_must_be_true():
    nf4 = parse_format("nf4")
    spelled = Codebook(nf4.of, nf4.codes)
    assert spelled.name.startswith("lut:fp32:bf800000bf3239")
    assert parse_format(spelled.name) == spelled
    assert Codebook(nf4.of, nf4.codes, "nf4") == nf4
    with pytest.raises(SpecError, match=r"^nf4 names another table$"):
        Codebook(nf4.of, nf4.codes[:-1], "nf4")
    with pytest.raises(SpecError, match=r"^there is no table 'mine'$"):
        Codebook(nf4.of, nf4.codes, "mine")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Codebook(parse_format("nf4"), (0, 1)),
            "values of a codebook must be of a minifloat or fixed-point format",
        ),
        (lambda: Codebook(Minifloat(2, 1), (0,)), "a codebook has 2 to 256 values, not 1"),
        (lambda: Codebook(Minifloat(2, 1), ()), "a codebook has 2 to 256 values, not 0"),
        (lambda: Codebook(Minifloat(2, 1), (0,) * 257), "a codebook has 2 to 256 values, not 257"),
        (lambda: Codebook(Minifloat(2, 1), (0, 16)), "code 0x10 of e2m1 is not a finite number"),
        (lambda: Codebook(Minifloat(2, 1), (0, -1)), "code -0x1 of e2m1 is not a finite number"),
        (
            lambda: Codebook(parse_format("bf16"), (0, 0x7F80)),
            "code 0x7f80 of bf16 is not a finite number",
        ),
        (lambda: Codebook(FixedPoint(True, 7, 0), (0, 256)), "0x100 is not a code of int8"),
        (lambda: KHot(0, FixedPoint(True, 7, 0)), "khot takes 1 to 16 digits, not 0"),
        (
            lambda: KHot(2, FixedPoint(True, 16, 0)),
            "khot takes a fixed-point format of at most 16 bits",
        ),
        (
            lambda: KHot(2, Minifloat(2, 1)),
            "khot takes a fixed-point format of at most 16 bits",
        ),
    ],
)
def test_wrong_formats(build, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        build()
