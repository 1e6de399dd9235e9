"""Tests of :mod:`oracle` and :mod:`oracle_blocks`: examples by hand, and recordings of silicon."""

import dataclasses
import itertools
import random
from fractions import Fraction
from pathlib import Path

import gfloat
import gfloat.formats
import ml_dtypes
import numpy as np
import pytest

import oracle
import oracle_blocks
from minimac.spec import (
    Arithmetic,
    BlockFormat,
    Codebook,
    ExactAccumulation,
    ExponentOnly,
    FixedAccumulation,
    FixedPoint,
    FloatAccumulation,
    FusedAccumulation,
    KHot,
    Normalization,
    Overflow,
    RoundedAccumulation,
    Rounding,
    ScaleRule,
    parse_format,
)
from oracle import Operand, Special, Term, from_float, round_to, value

MODES = ["rne", "rna", "truncate", "up", "down", "odd"]
FP32, E4M3FN, E5M2, E2M1, INT8 = map(parse_format, ["fp32", "e4m3fn", "e5m2", "e2m1", "int8"])
E8M0 = ExponentOnly()
INF, NAN = float("inf"), float("nan")


def code_of(fmt, number):
    """Return the code of a number that the format holds."""
    code = round_to(fmt, from_float(number), "rne", "saturate")
    assert repr(oracle.as_float(value(fmt, code))) == repr(float(number))
    return code


def codes_of(fmt, numbers):
    return [code_of(fmt, number) for number in numbers]


def in_all_modes(fmt, number, overflow="saturate"):
    return [round_to(fmt, from_float(number), mode, overflow) for mode in MODES]


# --- 3.1: scalar formats -----------------------------------------------------------------------


def test_exponent_only():
    assert oracle.code_bits(E8M0) == 8
    assert [value(E8M0, code) for code in (0, 127, 128, 254, 255)] == [
        Fraction(1, 2**127), 1, 2, 2**127, Special.NAN,
    ]  # fmt: skip
    assert oracle.operand(E8M0, 130) == Operand(False, 1, 3, 1)
    assert oracle.operand(E8M0, 255) is Special.NAN


def test_bin_and_tern():
    binary, tern = parse_format("bin"), parse_format("tern")
    assert oracle.values(binary) == (-1, 1)
    assert oracle.values(tern) == (0, 1, Special.NAN, -1)
    # One bit of magnitude, of weight 1.
    assert oracle.operand(binary, 0) == oracle.operand(tern, 3) == Operand(True, 1, 0, 1)


def test_codebook():
    book = Codebook(E4M3FN, tuple(codes_of(E4M3FN, [-1.5, 0.0, 0.5, 448.0, 0.001953125])))
    assert oracle.code_bits(book) == 3
    assert oracle.values(book)[:4] == (-1.5, 0, 0.5, 448)
    assert [oracle.is_valid(book, code) for code in range(8)] == [True] * 5 + [False] * 3
    # As an operand it is an e4m3fn number: 4 bits, subnormals at the exponent -6.
    assert oracle.operand(book, 0) == Operand(True, 12, 0, 4)
    assert oracle.operand(book, 4) == Operand(False, 1, -6, 4)
    with pytest.raises(AssertionError):
        oracle.operand(book, 5)


@pytest.mark.parametrize(
    ("number", "count"),  # 3 = 4-1, 7 = 8-1, 11 = 8+2+1 or 8+4-1, 85 = 64+16+4+1, 127 = 128-1
    [(0, 0), (1, 1), (3, 2), (5, 2), (7, 2), (11, 3), (23, 3), (85, 4), (-127, 2), (-128, 1)],
)
def test_signed_digits(number, count):
    assert oracle.signed_digits(number) == count


def test_khot():
    fmt = KHot(2, FixedPoint(True, 0, 7))
    # 0; 2**i: 7 positive, 8 negative; 2**i + 2**j with i >= j+2 and i <= 6: 15; 2**i - 2**j with
    # i >= j+2 and i <= 7: 21; and the negatives of these 36.
    assert sum(oracle.is_valid(fmt, code) for code in range(256)) == 1 + 15 + 2 * 36
    assert oracle.is_valid(fmt, 0x7F)  # 128 - 1
    assert not oracle.is_valid(fmt, 11)
    assert oracle.operand(fmt, 0x80) == Operand(True, 128, 0, 8)
    assert value(fmt, 0xFF) == Fraction(-1, 128)


# --- 3.2: rounding -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "codes"),
    [  # rne, rna, truncate, up, down, odd
        (4.0, [129] * 6),
        (3.0, [128, 129, 128, 129, 128, 129]),  # the middle of 2 and 4, not sqrt(8); 128 is even
        (6.0, [130, 130, 129, 130, 129, 129]),
        (5.0, [129, 129, 129, 130, 129, 129]),
        (7.0, [130, 130, 129, 130, 129, 129]),
        (2.0**-128, [0] * 6),
        (1.75 * 2.0**-128, [0] * 6),
        (1.5 * 2.0**-127, [0, 1, 0, 1, 0, 1]),
        (1.5 * 2.0**127, [254] * 6),
        (1e300, [254] * 6),
        (INF, [254] * 6),
        (0.0, [255] * 6),
        (-0.0, [255] * 6),
        (-3.0, [255] * 6),
        (-INF, [255] * 6),
        (NAN, [255] * 6),
    ],
)
def test_to_exponent_only(number, codes):
    assert in_all_modes(E8M0, number) == codes


@pytest.mark.parametrize(
    ("number", "overflow", "codes"),
    [
        (1.5 * 2.0**127, "infinity", [254, 255, 254, 255, 254, 254]),
        (1.5 * 2.0**127, "nan", [254, 255, 254, 255, 254, 255]),
        (2.0**128, "infinity", [255, 255, 254, 255, 254, 254]),
        (2.0**128, "nan", [255] * 6),
        (INF, "infinity", [255] * 6),
        (INF, "nan", [255] * 6),
    ],
)
def test_to_exponent_only_beyond_its_range(number, overflow, codes):
    assert in_all_modes(E8M0, number, overflow) == codes


def test_exponent_only_against_ml_dtypes():
    numbers = [2.0**n * f for n in range(-126, 127) for f in (1, 1.25, 1.49, 1.51, 1.75, 1.99)]
    theirs = np.array(numbers, np.float32).astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)
    numbers = np.array(numbers, np.float32)
    assert [round_to(E8M0, from_float(float(n)), "rne", "saturate") for n in numbers] == [*theirs]


# Values in order, with the codes: -4 (3), 0 (1 and 6), 1 (4), 3 (2), 4 (5), 10 (0).
BOOK = Codebook(INT8, (10, 0, 3, 256 - 4, 1, 4, 0))


@pytest.mark.parametrize(
    ("number", "codes"),
    [  # rne, rna, truncate, up, down, odd
        (3.0, [2] * 6),
        (0.0, [1] * 6),  # the lower of two codes
        (-0.0, [1] * 6),
        (NAN, [1] * 6),
        (0.5, [4, 4, 1, 4, 1, 1]),
        (2.0, [4, 2, 4, 2, 4, 4]),  # both even: the smaller magnitude
        (-2.0, [1, 3, 1, 1, 3, 1]),  # both odd
        (-2.25, [3, 3, 1, 1, 3, 1]),
        (3.25, [2, 2, 2, 5, 2, 5]),
        (7.0, [0, 0, 5, 0, 5, 5]),
        (11.0, [0] * 6),
        (INF, [0] * 6),
        (-5.0, [3] * 6),
        (-INF, [3] * 6),
    ],
)
def test_to_codebook(number, codes):
    assert in_all_modes(BOOK, number) == codes


def test_to_bin():
    binary = parse_format("bin")
    assert in_all_modes(binary, 0.25) == [1, 1, 0, 1, 0, 1]  # truncate: of -x and x, -x
    assert in_all_modes(binary, -0.25) == [0, 0, 0, 1, 0, 1]
    # A tie: the even code; away from zero, the positive one; odd.
    assert [round_to(binary, Fraction(0), mode, "saturate") for mode in ("rne", "rna", "odd")] == [
        0, 1, 1,
    ]  # fmt: skip


def test_equal_magnitudes_and_parities_make_the_positive_one():
    book = Codebook(parse_format("int4"), (15, 3, 1))
    assert [round_to(book, Fraction(0), mode, "saturate") for mode in ("rne", "rna")] == [2, 2]


KHOT = KHot(1, FixedPoint(True, 3, 0))  # -8 -4 -2 -1 0 1 2 4


@pytest.mark.parametrize(
    ("number", "numbers"),
    [  # rne, rna, truncate, up, down, odd
        (3.0, [2, 4, 2, 4, 2, 2]),
        (3.5, [4, 4, 2, 4, 2, 2]),
        (-6.0, [-4, -8, -4, -4, -8, -4]),
        (1.5, [1, 2, 1, 2, 1, 1]),
        (-1.5, [-1, -2, -1, -1, -2, -1]),
        (0.5, [0, 1, 0, 1, 0, 1]),
        (5.0, [4] * 6),
        (-9.0, [-8] * 6),
    ],
)
def test_to_khot(number, numbers):
    assert [value(KHOT, code) for code in in_all_modes(KHOT, number)] == numbers


@pytest.mark.parametrize("fmt", [BOOK, KHOT], ids=["codebook", "khot"])
@pytest.mark.parametrize("overflow", ["infinity", "nan", "wrap"])
def test_lists_of_values_saturate(fmt, overflow):
    with pytest.raises(ValueError, match="saturates"):
        round_to(fmt, Fraction(1), "rne", overflow)


STOCHASTIC = [  # d, N, and the r that go up by each mode
    # floor(d * 2**N) + r >= 2**N; floor(d * 2**(N+1)) + 2r+1 >= 2**(N+1); rne(d * 2**N) + r >= 2**N
    (Fraction(0), 2, [], [], []),
    (Fraction(1, 4), 2, [3], [3], [3]),
    (Fraction(1, 4), 1, [], [1], []),
    (Fraction(3, 4), 1, [1], [0, 1], [0, 1]),
    (Fraction(3, 8), 2, [3], [2, 3], [2, 3]),  # rne(1.5) = 2
    (Fraction(5, 8), 2, [2, 3], [1, 2, 3], [2, 3]),  # rne(2.5) = 2
    (Fraction(15, 16), 2, [1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]),
    (Fraction(1, 16), 2, [], [], []),
    (Fraction(1, 2), 0, [], [0], []),
]


@pytest.mark.parametrize(("d", "bits", "a", "b", "c"), STOCHASTIC)
@pytest.mark.parametrize("negative", [False, True])
def test_stochastic(d, bits, a, b, c, negative):
    """E2m1 from 1 (code 2) to 1.5, from 0 to 0.5, from 4 (code 6) to 6; on magnitudes."""
    for mode, ups in zip(("sr_a", "sr_b", "sr_c"), (a, b, c), strict=True):
        for r in range(2**bits):
            for lower, start, ulp in [(2, 1, Fraction(1, 2)), (0, 0, Fraction(1, 2)), (6, 4, 2)]:
                number = start + d * ulp
                got = round_to(E2M1, -number if negative else number, mode, "saturate", (r, bits))
                minus_zero = negative and number > 0
                assert got == lower + (r in ups) + 8 * minus_zero


@pytest.mark.parametrize(
    ("mode", "theirs"),
    [
        ("sr_a", gfloat.RoundMode.StochasticFastest),
        ("sr_b", gfloat.RoundMode.StochasticFast),
        ("sr_c", gfloat.RoundMode.Stochastic),
    ],
)
def test_stochastic_against_gfloat(mode, theirs, seed):
    rng = random.Random(seed)
    info = gfloat.formats.format_info_ocp_e5m2
    for _ in range(1000):
        number = rng.choice([-1, 1]) * rng.uniform(0.5, 1) * 2.0 ** rng.randint(-20, 17)
        number = float(np.float32(number))
        bits = rng.randint(1, 10)
        r = rng.randrange(2**bits)
        wanted = gfloat.round_float(info, number, theirs, srbits=r, srnumbits=bits)
        got = value(E5M2, round_to(E5M2, from_float(number), mode, "infinity", (r, bits)))
        assert oracle.as_float(got) == wanted, (number, r, bits, seed)


def test_stochastic_overflow():
    def rounded(number, overflow, r):
        return round_to(E5M2, Fraction(number), "sr_a", overflow, (r, 1))

    # 61440 is the middle of 57344, the largest, and what would be next.
    assert [rounded(61440, "infinity", r) for r in (0, 1)] == [0x7B, 0x7C]
    assert [rounded(61440, "saturate", r) for r in (0, 1)] == [0x7B, 0x7B]
    assert [rounded(-61440, "nan", r) for r in (0, 1)] == [0xFB, 0x7E]


def test_stochastic_elsewhere():
    assert round_to(INT8, Fraction(-9, 4), "sr_b", "wrap", (1, 1)) == 256 - 3
    assert round_to(INT8, Fraction(-9, 4), "sr_b", "wrap", (0, 1)) == 256 - 2
    assert [round_to(E8M0, Fraction(3), "sr_a", "saturate", (r, 1)) for r in (0, 1)] == [128, 129]
    # Of a codebook d is measured from the smaller magnitude: here a quarter from 4 to 10,
    # and three quarters from 0 to -4; in bin from -1.
    cases = [(BOOK, 5.5, 5, 0), (BOOK, -3.0, 1, 3), (parse_format("bin"), 0.5, 0, 1)]
    for (fmt, number, near, far), ups in zip(cases, ([3], [1, 2, 3], [1, 2, 3]), strict=True):
        got = [round_to(fmt, from_float(number), "sr_a", "saturate", (r, 2)) for r in range(4)]
        assert got == [far if r in ups else near for r in range(4)]


def test_stochastic_needs_random_bits():
    with pytest.raises(ValueError, match="random bits"):
        round_to(INT8, Fraction(1, 2), "sr_a", "wrap")


# --- 3.3: products -----------------------------------------------------------------------------


def product(fmt, x, y, kind="exact"):
    return oracle.product(fmt, code_of(fmt, x), fmt, code_of(fmt, y), kind)


def test_exact_products():
    assert product(E4M3FN, 1.5, -1.5) == Term(True, 144, 1, 8)
    assert product(INT8, -128, -128) == Term(False, 16384, 15, 16)
    # A subnormal has the exponent of the least normal.
    assert product(E4M3FN, 2.0**-9, 448) == Term(False, 14, 3, 8)
    assert oracle.product(BOOK, 0, E8M0, 130) == Term(False, 10, 11, 9)
    assert oracle.exact(oracle.product(BOOK, 0, E8M0, 130)) == 80


@pytest.mark.parametrize(
    ("name", "x", "y", "lmul", "lmul_add", "mitchell"),
    [
        # 8+4+4+1 = 17 eighths; codes 60+60-56+1 = 65 and 64: 2.25 and 2.
        ("e4m3fn", 1.5, -1.5, -2.125, -2.25, -2.0),
        ("e4m3fn", 1.0, 1.0, 1.125, 1.125, 1.0),
        # 8+6+6+1 = 21 eighths at 2**16; codes 126+126-56 are above 126.
        ("e4m3fn", 448, 448, 172032, 448, 448),
        # 9 eighths of 2**-12; codes 8+8-56 are below 8.
        ("e4m3fn", 2.0**-6, 2.0**-6, 9 * 2.0**-15, 0.0, 0.0),
        ("e4m3fn", 2.0**-6, 1.0, 9 * 2.0**-9, 9 * 2.0**-9, 2.0**-6),
        ("e4m3fn", 7 * 2.0**-9, 448, 0.0, 0.0, 0.0),  # subnormal
        ("e4m3fn", 0.0, 448, 0.0, 0.0, 0.0),
        # l(1) = 1: 2+1+1+1 = 5 halves; codes 3+3-2+1 = 5 and 4: 3 and 2.
        ("e2m1", 1.5, 1.5, 2.5, 3.0, 2.0),
        # l(2) = 2: 4+2+1+1 = 8 quarters; codes 62+61-60+1 = 64 and 63.
        ("e5m2", 1.5, 1.25, 2.0, 2.0, 1.75),
        # l(4) = 3: 16+8+8+2 = 34 sixteenths; codes 56+56-48+2 = 66 and 64.
        ("e3m4", 1.5, 1.5, 2.125, 2.25, 2.0),
        # l(7) = 4: 128+0+0+8 = 136.
        ("bf16", 1.0, 2.0, 2.125, 2.125, 2.0),
        ("bf16", 3.0, -3.0, -8.25, -8.5, -8.0),
    ],
)
def test_products_that_add(name, x, y, lmul, lmul_add, mitchell):
    fmt = parse_format(name)
    terms = [product(fmt, x, y, kind) for kind in ("lmul", "lmul_add", "mitchell")]
    assert [oracle.exact(term) for term in terms] == [lmul, lmul_add, mitchell]
    assert [term.width for term in terms] == [fmt.man_bits + 2, fmt.man_bits + 1, fmt.man_bits + 1]


def test_parts_of_products_that_add():
    assert product(E4M3FN, 1.5, 1.5, "lmul") == Term(False, 17, 1, 5)
    assert product(E4M3FN, 1.5, 1.5, "lmul_add") == Term(False, 9, 1, 4)
    assert product(E4M3FN, -1.0, 1.0, "mitchell") == Term(True, 8, 0, 4)


@pytest.mark.parametrize("kind", ["exact", "lmul", "lmul_add", "mitchell"])
def test_infinity_and_nan_in_products(kind):
    flushing = parse_format("e5m2:ftz")
    tiny, inf, nan, one = 0x01, 0x7C, 0x7E, 0xBC
    assert oracle.product(E5M2, inf, E5M2, tiny, kind) is Special.PLUS_INFINITY
    assert oracle.product(flushing, inf, flushing, tiny, kind) is Special.NAN
    assert oracle.product(E5M2, 0x80, E5M2, inf, kind) is Special.NAN
    assert oracle.product(E5M2, one, E5M2, inf, kind) is Special.MINUS_INFINITY
    assert oracle.product(E5M2, one, E5M2, nan, kind) is Special.NAN


# --- 4: accumulation ---------------------------------------------------------------------------


def result(a, b, acc, fmt=E4M3FN, out=FP32, **fields):
    """Return what a chain of numbers of one format ends in, as a number."""
    arithmetic = Arithmetic(a=fmt, b=fmt, out=out, accumulate=acc, **fields)
    code = oracle.chain(arithmetic, codes_of(fmt, a), codes_of(fmt, b))
    return oracle.as_float(value(out, code))


def test_exact():
    exact = ExactAccumulation(max_terms=8)
    assert result([448, 2.0**-9, -448], [448, 2.0**-9, 448], exact) == 2.0**-18
    assert repr(result([1, -1], [1, 1], exact)) == "0.0"
    assert repr(result([-0.0], [1], exact)) == "0.0"
    assert result([1.5, 1.0], [1.5, 1.0], exact, product="lmul") == 2.125 + 1.125
    with pytest.raises(ValueError, match="max_terms, 8, not 9"):
        result([1] * 9, [1] * 9, exact)


def test_stochastic_foot():
    arithmetic = Arithmetic(
        a=E2M1, b=E2M1, out=E2M1, accumulate=ExactAccumulation(), out_round=Rounding.SR_A
    )
    codes = codes_of(E2M1, [0.5, 1.5])
    # 0.25 + 2.25 is the middle of 2 (code 4) and 3.
    assert [oracle.chain(arithmetic, codes, codes, (r, 1)) for r in (0, 1)] == [4, 5]


S12, S22 = FixedPoint(True, 1, 2), FixedPoint(True, 2, 2)


@pytest.mark.parametrize(
    ("mode", "overflow", "wanted"),
    [
        # Products of 12.25, 0.75, 12.25 and -8 units; the accumulator has -16 to 15.
        ("truncate", "saturate", 7),  # 12, 12, 24 -> 15, 7
        ("truncate", "wrap", -16),  # 12, 12, 24 -> -8, -16
        ("rne", "saturate", 7),
        ("rne", "wrap", -15),  # 12, 13, 25 -> -7, -15
        ("up", "wrap", -13),  # 13, 14, 27 -> -5, -13
    ],
)
def test_fixed(mode, overflow, wanted):
    acc = FixedAccumulation(format=S22, round=Rounding(mode), overflow=Overflow(overflow))
    got = result([1.75, 0.75, 1.75, -2], [1.75, 0.25, 1.75, 1], acc, S12)
    assert got == wanted / 4


@pytest.mark.parametrize(
    ("mode", "wanted"), [("truncate", 0), ("down", -1), ("rne", -1), ("up", 0), ("odd", -1)]
)
def test_fixed_rounds_products_and_not_sums(mode, wanted):
    acc = FixedAccumulation(format=S22, round=Rounding(mode))
    assert result([-0.75], [0.25], acc, S12) == wanted / 4
    assert result([-0.75] * 4, [0.25] * 4, acc, S12) == wanted


def test_fixed_saturates_symmetrically():
    acc = FixedAccumulation(format=dataclasses.replace(S22, symmetric=True))
    assert result([-2, -2], [1.75, 1.75], acc, S12) == -3.75
    assert result([INF, 1], [1, 1], acc, E5M2) == INF
    assert np.isnan(result([INF, INF], [1, -1], acc, E5M2))


EXACT = ExactAccumulation()
NARROW = FloatAccumulation(width=5)


@pytest.mark.parametrize(
    ("chunk", "outer", "a", "b", "wanted"),
    [
        # Sums of 12 and 12-8 units; of 12, 24 -> 15 and -8.
        (2, EXACT, [1.75, 0.75, 1.75, -2], [1.75, 0.25, 1.75, 1], 4.0),
        (3, EXACT, [1.75, 0.75, 1.75, -2], [1.75, 0.25, 1.75, 1], 1.75),
        # Three times 10 + 1 units: 33 units do not fit into 5 bits.
        (2, EXACT, [1.5, 0.25] * 3, [1.75, 1] * 3, 8.25),
        (2, NARROW, [1.5, 0.25] * 3, [1.75, 1] * 3, 8.0),
        # 2.75 -> 3, 5.75 -> 6, 8.75 -> 6.
        (2, RoundedAccumulation(format=E2M1), [1.5, 0.25] * 3, [1.75, 1] * 3, 6.0),
        # 2.75 + 2.75 in halves: 5; then 5 + 2.75 in units of 1: 7.
        (2, FusedAccumulation(group=2, frac_bits=2), [1.5, 0.25] * 3, [1.75, 1] * 3, 7.0),
        # The exponent is that of the leading one, so that nothing is lost here.
        (1, FusedAccumulation(group=1, frac_bits=0), [0.25], [1], 0.25),
        (2, FixedAccumulation(format=INT8), [1.5, 0.25] * 3, [1.75, 1] * 3, 6.0),
    ],
)
def test_fixed_in_chunks(chunk, outer, a, b, wanted):
    acc = FixedAccumulation(format=S22, chunk=chunk, outer=outer)
    assert result(a, b, acc, S12) == wanted


def test_chunks_are_not_normalised():
    """To an outer ``float`` they are operands of ``format``: units, at a constant exponent."""
    acc = FixedAccumulation(
        format=S22, chunk=1, outer=FloatAccumulation(width=5, normalize=Normalization(()))
    )
    units = [product(S12, 1, 0.25), product(S12, -2, 1), product(S12, -1, 0)]
    assert oracle.chunk_terms(acc, units) == [
        Term(False, 1, 2, 5),
        Term(True, 8, 2, 5),
        Term(False, 0, 2, 5),
    ]


@pytest.mark.parametrize(
    ("mode", "a", "b", "wanted"),
    [
        # In e2m1 (0 0.5 1 1.5 2 3 4 6), one rounding for product and sum.
        ("rne", [1.5, 0.5, 0.5], [1.5, 1, 1], 2.0),  # 2.25 -> 2, 2.5 -> 2, 2.5 -> 2
        ("up", [1.5, 0.5, 0.5], [1.5, 1, 1], 6.0),  # 3, 3.5 -> 4, 4.5 -> 6
        ("rna", [1.5, 0.5, 0.5], [1.5, 1, 1], 4.0),  # 2, 3, 3.5 -> 4
        ("odd", [1.5, 0.5, 0.5], [1.5, 1, 1], 3.0),  # 2.25 -> 3 (code 5), 3.5 -> 3, 3
        ("rne", [6, -4], [6, 1], 2.0),  # saturates: 6
        ("rne", [1, 0.5], [1, 0.5], 1.0),  # 1.25 is a tie
        ("down", [-1, -0.5], [1, 0.5], -1.5),
    ],
)
def test_rounded(mode, a, b, wanted):
    assert result(a, b, RoundedAccumulation(format=E2M1, round=Rounding(mode)), E2M1) == wanted


@pytest.mark.parametrize(
    ("mode", "a", "b", "wanted"),
    [
        ("rne", [-0.0], [1], "0.0"),
        ("down", [-0.0], [1], "-0.0"),
        ("down", [0.0], [1], "0.0"),
        ("rne", [1, -1], [1, 1], "0.0"),
        ("down", [1, -1], [1, 1], "-0.0"),
        ("down", [1, -1, 0.0], [1, 1, 1], "-0.0"),
        ("up", [1, -1, -0.0], [1, 1, 1], "0.0"),
        # -2**-18 becomes -0; then -0 + -0, and -0 + +0.
        ("rne", [-(2.0**-9)], [2.0**-9], "-0.0"),
        ("rne", [-(2.0**-9), -0.0], [2.0**-9, 1], "-0.0"),
        ("rne", [-(2.0**-9), 0.0], [2.0**-9, 1], "0.0"),
    ],
)
def test_rounded_signs_of_zero(mode, a, b, wanted):
    acc = RoundedAccumulation(format=E4M3FN, round=Rounding(mode))
    assert repr(result(a, b, acc)) == wanted


@pytest.mark.parametrize(
    ("mode", "a", "b", "wanted"),
    [
        ("rne", [57344, -57344], [2, 2], INF),  # overflow is sticky
        ("truncate", [57344, -57344], [2, 1], 0.0),
        ("up", [-57344, 57344], [2, 1], 0.0),
        ("down", [-57344], [2], -INF),
        ("rne", [57344, -INF], [2, 1], NAN),
        ("rne", [INF, 1], [1, NAN], NAN),
        ("rne", [INF, 1], [0.0, 1], NAN),
        ("rne", [1, -INF, 1], [1, 1, 1], -INF),
    ],
)
def test_rounded_infinities(mode, a, b, wanted):
    got = result(a, b, RoundedAccumulation(format=E5M2, round=Rounding(mode)), E5M2)
    np.testing.assert_equal(got, wanted)


@pytest.mark.parametrize("case", range(40))
def test_rounded_against_numpy(case, seed):
    """Sums of an fp16 and a product of e4m3fn are exact in float64, and numpy rounds them once."""
    rng = random.Random(f"{seed} {case}")
    fp16 = parse_format("fp16")
    scale = rng.choice([0, 60, 120])
    codes = [[rng.randrange(128) - scale for _ in range(12)] for _ in range(2)]
    codes = [[max(code, 0) + 128 * rng.randrange(2) for code in row] for row in codes]
    wanted = np.float16(0)
    with np.errstate(over="ignore", invalid="ignore"):
        for x, y in zip(*codes, strict=True):
            x, y = (np.float64(oracle.as_float(value(E4M3FN, code))) for code in (x, y))
            wanted = np.float16(x * y + np.float64(wanted))
    acc = RoundedAccumulation(format=fp16)
    spec = Arithmetic(a=E4M3FN, b=E4M3FN, out=fp16, accumulate=acc)
    got = np.float16(oracle.as_float(value(fp16, oracle.chain(spec, *codes))))
    assert got.tobytes() == wanted.tobytes() or np.isnan([got, wanted]).all()


def test_rounded_keeps_what_its_format_has_not():
    acc = RoundedAccumulation(format=E2M1)
    assert result([1, INF, 1], [1, 1, -1], acc, E5M2) == INF
    assert np.isnan(result([INF, INF], [1, -1], acc, E5M2))
    assert result([INF], [1], acc, E5M2, E2M1) == 6


def test_rounded_flushes():
    acc = RoundedAccumulation(format=parse_format("e2m1:ftz"))
    assert repr(result([-0.5], [1], acc, E2M1)) == "-0.0"
    assert result([0.5, 1], [1.5, 1], acc, E2M1) == 2.0  # 0.75 -> 1, the least normal


def fused(group, frac_bits, **fields):
    return FusedAccumulation(group=group, frac_bits=frac_bits, **fields)


@pytest.mark.parametrize(
    ("acc", "a", "b", "wanted"),
    [
        # 2.4375, whose exponent is that of 1 * 1: eighths.
        (fused(1, 3), [1.5], [1.625], 2.375),
        (fused(1, 3, out_frac_bits=3), [1.5], [1.625], 2.25),
        # A loss of 2**-5, in eighths.
        (fused(2, 3), [1, 2.0**-5], [1, 1], 1.0),
        (fused(2, 3), [1, -(2.0**-5)], [1, 1], 1.0),
        (fused(2, 3, sticky=True), [1, 2.0**-5], [1, 1], 1.0625),
        (fused(2, 3, sticky=True), [1, -(2.0**-5)], [1, 1], 0.9375),
        (fused(2, 3, sticky=True, out_frac_bits=3), [1, -(2.0**-5)], [1, 1], 0.9375),
        (fused(2, 3, sticky=True, out_frac_bits=3, round=Rounding.RNE), [1, 2.0**-5], [1, 1], 1.0),
        (fused(2, 3, sticky=True, out_frac_bits=3, round=Rounding.UP), [1, 2.0**-5], [1, 1], 1.125),
        # The accumulator, 2.25, has the exponent 1: quarters.
        (fused(1, 3), [1.5, 0.375], [1.5, 1], 2.5),
        (fused(2, 3), [1.5, 0.375], [1.5, 1], 2.625),
        # Zeros cost it what does not fit: halves.
        (fused(1, 2), [1.5], [1.5], 2.25),
        (fused(1, 2), [1.5, 0.0], [1.5, 1], 2.0),
        # 1.125 to two bits.
        (fused(2, 5, out_frac_bits=2), [1, 0.125], [1, 1], 1.0),
        (fused(2, 5, out_frac_bits=2, round=Rounding.RNA), [1, 0.125], [1, 1], 1.25),
        (fused(2, 5, out_frac_bits=2, round=Rounding.RNE), [1, 0.375], [1, 1], 1.5),
        # The exponent of a zero does not count, nor does that of its other operand.
        (fused(2, 3), [448, 2.0**-6], [0.0, 2.0**-6], 2.0**-12),
        # A subnormal has the exponent -6: here products are multiples of 2**-15 and 2**-18.
        (fused(2, 3), [448, 2.0**-9], [0.0, 2.0**-9], 0.0),
        (fused(2, 6), [448, 2.0**-9], [0.0, 2.0**-9], 2.0**-18),
        # Cancellation: the larger terms have set the unit.
        (fused(4, 3), [1, -1, 2.0**-4, 2.0**-4], [1, 1, 1, 1], 0.0),
        (fused(2, 3), [1, -1, 2.0**-4, 2.0**-4], [1, 1, 1, 1], 0.125),
    ],
)
def test_fused(acc, a, b, wanted):
    assert repr(result(a, b, acc)) == repr(wanted)


def test_fused_adds_codes_with_the_exponent_of_the_result():
    """Code 65 is 9 eighths of 2: ``ep`` is 1, and ``ep - 1`` counts. So is 17 eighths: ``lmul``."""
    for product_kind, wanted in [("lmul_add", 2.25), ("lmul", 2.125)]:
        assert result([1.5], [1.5], fused(1, 3), product=product_kind) == wanted
        assert result([1.5], [1.5], fused(1, 2), product=product_kind) == int(wanted * 4) / 4
    assert result([1.5], [1.5], fused(1, 0), product="lmul_add") == 2.0


@pytest.mark.parametrize(
    ("fields", "a", "b", "wanted"),
    [
        ({"round": Rounding.RNE}, [57344], [2], INF),
        ({}, [57344], [2], INF),  # though it truncates
        ({"out_frac_bits": 1}, [57344], [1], 49152.0),
        ({"out_frac_bits": 1}, [57344], [2], INF),
        ({"out_frac_bits": 1, "round": Rounding.UP}, [57344], [1], INF),
        ({"round": Rounding.RNE}, [57344, -57344], [2, 2], INF),
        ({"round": Rounding.RNE}, [57344, -INF], [2, 1], NAN),
        ({}, [1, INF], [1, -1], -INF),
        # With one bit of mantissa, subnormals are multiples of 2**-15.
        ({"out_frac_bits": 1}, [2.0**-16], [1], 0.0),
        ({"out_frac_bits": 1}, [3 * 2.0**-16], [1], 2.0**-15),
        ({}, [3 * 2.0**-16], [1], 3 * 2.0**-16),
    ],
)
def test_fused_in_e5m2(fields, a, b, wanted):
    np.testing.assert_equal(result(a, b, fused(1, 10, format=E5M2, **fields), E5M2), wanted)


def test_fused_without_infinity_saturates():
    acc = fused(1, 10, format=E4M3FN, round=Rounding.RNE)
    assert result([448, -448], [2, 0.5], acc) == 224.0


# --- 4.5: silicon ------------------------------------------------------------------------------

RECORDINGS = Path(__file__).parents[2] / "shared/vectors/hopper_tensor_core.npz"
HOPPER = {
    "e4m3": FusedAccumulation(group=32, frac_bits=13, out_frac_bits=13),
    "bf16": FusedAccumulation(group=16, frac_bits=25),
    "fp16": FusedAccumulation(group=16, frac_bits=25),
}


@pytest.mark.skipif(not RECORDINGS.parents[1].exists(), reason="no ../shared: no recordings")
def test_recordings_of_a_tensor_core(seed):
    """Some results of every recording of an H100, bit by bit."""
    rng = random.Random(seed)
    with np.load(RECORDINGS) as stored:
        recorded = dict(stored)
    cases = sorted({name.rsplit(".", 1)[0] for name in recorded})
    assert len(cases) == 13
    for case in cases:
        names = case.split(".")[:2]
        a, b, y = (recorded[f"{case}.{part}"] for part in "aby")
        formats = [parse_format({"e4m3": "e4m3fn"}.get(name, name)) for name in names]
        spec = Arithmetic(a=formats[0], b=formats[1], out=FP32, accumulate=HOPPER[names[0]])
        a, b = (x.astype(np.int64) % 2**fmt.width for x, fmt in zip((a, b), formats))
        places = list(np.ndindex(y.shape))
        for i, j in rng.sample(places, 200 if a.shape[1] <= 64 else 100):
            got = oracle.chain(spec, a[i], b[j])
            assert got == int(y[i, j]) % 2**32, f"{case} at {i}, {j} (seed {seed})"


# --- 3.1: blocks -------------------------------------------------------------------------------

MX = BlockFormat(E2M1, 32, E8M0, ScaleRule.FLOOR, None)
UE4M3FN = parse_format("ue4m3fn")
NV = BlockFormat(E2M1, 16, UE4M3FN, ScaleRule.EVEN, FP32)
MXINT8 = BlockFormat(FixedPoint(True, 1, 6, symmetric=True), 32, E8M0, ScaleRule.FLOOR, None)


def ruled(fmt, rule, **fields):
    return dataclasses.replace(fmt, rule=ScaleRule(rule), **fields)


def scale(fmt, numbers, tensor=None):
    """Return the scale of a block as a number."""
    _, code = oracle_blocks.quantize_block(fmt, numbers, tensor)
    return oracle.as_float(value(fmt.scale, code))


@pytest.mark.parametrize(
    ("amax", "scales"),
    [  # floor, ceil, even, roundup; the largest element is 6 = 1.5 * 4
        (6.0, [1, 2, 1, 1]),
        (6.5, [1, 2, 1, 2]),
        (8.0, [2, 2, 2, 2]),
        (12.0, [2, 4, 2, 2]),
        (13.0, [2, 4, 2, 4]),  # 13 is nearer to 12 than to 16
        (14.0, [2, 4, 4, 4]),  # a tie: 12 is odd (11.), 16 is even
        (15.0, [2, 4, 4, 4]),
        (0.75, [0.125, 0.25, 0.125, 0.125]),
        (2.0**-140, [2.0**-127] * 4),
        (1e300, [2.0**127] * 4),
    ],
)
def test_powers_of_two_for_scales(amax, scales):
    rules = ["floor", "ceil", "even", "roundup"]
    assert [scale(ruled(MX, rule), [-amax, amax / 3]) for rule in rules] == scales


def test_precision_of_fixed_point_elements():
    """The largest one, 127/64, has 7 bits: 127.5/64 is a tie that goes to 2."""
    even = ruled(MXINT8, "even")
    assert [scale(MXINT8, [255 / 128]), scale(even, [255 / 128])] == [1, 2]
    assert scale(even, [254.9 / 128]) == 1
    # The exponent is that of the largest value, 127/64, not of -2.
    ocp = ruled(MXINT8, "floor", element=FixedPoint(True, 1, 6))
    assert oracle_blocks.quantize_block(ocp, [-2.0, 1.0], None) == ([0xC0, 0x20], 128)
    # The largest of khot1:s3.0 is 4, of bin 1.
    assert scale(BlockFormat(KHOT, 32, E8M0, ScaleRule.FLOOR, None), [9.0]) == 2
    assert scale(BlockFormat(parse_format("bin"), 32, E8M0, ScaleRule.CEIL, None), [9.0]) == 16


@pytest.mark.parametrize(
    ("amax", "scales"),
    [  # floor, ceil, even, roundup, in ue4m3fn, of amax / 6
        (7.0, [1.125, 1.25, 1.125, 1.25]),  # 1.1667
        (6.0, [1, 1, 1, 1]),
        (6 * 1.1875, [1.125, 1.25, 1.25, 1.25]),  # a tie: 1.125 is odd
        (2.0**-20, [2.0**-9] * 4),
        (1e6, [448] * 4),
    ],
)
def test_scales_with_a_mantissa(amax, scales):
    rules = ["floor", "ceil", "even", "roundup"]
    fmt = dataclasses.replace(NV, tensor_scale=None)
    assert [scale(ruled(fmt, rule), [amax, -amax]) for rule in rules] == scales


def test_scales_whose_subnormals_are_flushed():
    fmt = BlockFormat(E2M1, 16, parse_format("ue4m3fn:ftz"), ScaleRule.EVEN, None)
    assert scale(fmt, [2.0**-20]) == 2.0**-6


@pytest.mark.parametrize(
    ("fmt", "numbers", "wanted", "code"),
    [
        # Errors: 2 of scale 1 (4, 4), 2 of 2 (4, 4), 2 of 4 (4, 4), 2 of 8 (4, 4): the largest.
        (MX, [5.0, 5.0], 8.0, 1),
        # 0.25 of scale 1 (6, 3), 0.25 of 2 (6, 3 from 1.5), 1.25 of 4 (6, 4).
        (MX, [6.5, 3.0], 2.0, 5),
        (MX, [-6.0, 0.0], 4.0, 0xB),
        # Exact by 7/4, 7/2, 7 and 14 as well: elements 4, 2, 1 and 0.5.
        (dataclasses.replace(NV, tensor_scale=None), [7.0], 14.0, 1),
    ],
)
def test_scale_of_least_error(fmt, numbers, wanted, code):
    fmt = ruled(fmt, "mse")
    assert scale(fmt, numbers) == wanted
    assert oracle_blocks.quantize_block(fmt, numbers, None)[0][0] == code


def test_elements():
    def block(rule, numbers):
        return oracle_blocks.quantize_block(ruled(MX, rule), numbers, None)

    # By 2: 3, -0.5, 0.125, 6.5. By 4: 1.5, -0.25 (a tie), 0.0625, 3.25.
    assert block("floor", [6.0, -1.0, 0.25, 13.0]) == ([5, 9, 0, 7], 128)
    assert block("ceil", [6.0, -1.0, 0.25, 13.0]) == ([3, 8, 0, 5], 129)
    assert block("floor", [0.0, -0.0]) == ([0, 8], 127)
    assert block("floor", [NAN, -1.0]) == ([0, 0], 255)
    assert block("mse", [1.0, -INF]) == ([0, 0], 255)
    with pytest.raises(ValueError, match="no NaN"):
        oracle_blocks.quantize_block(ruled(MX, "even", scale=parse_format("ue5m3")), [NAN], None)


def test_elements_against_ml_dtypes(seed):
    rng = np.random.default_rng(seed)
    for _ in range(20):
        numbers = rng.standard_normal(32) * 2.0 ** rng.integers(-60, 60)
        exponent = np.floor(np.log2(np.abs(numbers).max())) - 2
        scaled = np.clip(numbers / 2.0**exponent, -6, 6)
        wanted = scaled.astype(ml_dtypes.float4_e2m1fn).view(np.uint8)
        got = oracle_blocks.quantize_block(MX, numbers, None)
        assert got == (wanted.tolist(), 127 + exponent)


def test_scale_of_a_tensor():
    assert oracle_blocks.tensor_scale(MX, [1.0]) is None
    assert oracle_blocks.tensor_scale(NV, [5376.0, -1.0, NAN, INF]) == 2  # 448 * 6 * 2
    single = np.float32(1) / np.float32(2688)
    assert oracle_blocks.tensor_scale(NV, [-1.0]) == Fraction(float(single))
    assert oracle_blocks.tensor_scale(NV, [0.0, -0.0]) == 1
    assert oracle_blocks.tensor_scale(NV, [NAN]) == 1
    assert oracle_blocks.tensor_scale(NV, [2.0**-149]) == Fraction(1, 2**149)
    assert oracle_blocks.tensor_scale(NV, [1e300]) == Fraction(float(np.finfo(np.float32).max))
    # By 2: 1.5 and -6, with the scale 1.
    assert oracle_blocks.quantize_block(NV, [3.0, -12.0], 2) == ([3, 0xF], 0x38)
    # By 1/3, exactly: 3 and -18 with the scale 3.
    assert oracle_blocks.quantize_block(NV, [1.0, -6.0], Fraction(1, 3)) == ([2, 0xF], 0x44)


def test_values_of_a_block():
    got = oracle_blocks.block_values(NV, [3, 0xF, 8], 0x40, 0.25)
    assert got == [Fraction(3, 4), -3, Special.MINUS_ZERO]
    assert oracle_blocks.block_values(MX, [3, 0], 255, None) == [Special.NAN] * 2


# --- 4.6: blocks -------------------------------------------------------------------------------

PAIRS = BlockFormat(E2M1, 2, E8M0, ScaleRule.FLOOR, None)


def dot(a, b, a_fmt=PAIRS, b_fmt=PAIRS, out=FP32, tensors=(None, None), **fields):
    """Return the result of two lists of (elements, scale) as a number; a scalar's scale is None."""
    spec = Arithmetic(a=a_fmt, b=b_fmt, out=out, **fields)
    parts = []
    for fmt, blocks, tensor in ((a_fmt, a, tensors[0]), (b_fmt, b, tensors[1])):
        element = getattr(fmt, "element", fmt)
        elements = [code for numbers, _ in blocks for code in codes_of(element, numbers)]
        is_block = fmt is not element
        scales = [code_of(fmt.scale, s) for _, s in blocks] if is_block else None
        parts += [elements, scales, tensor]
    return oracle.as_float(value(out, oracle_blocks.block_chain(spec, *parts)))


A = [([1.5, -6], 2.0), ([1, 1], 1.0)]
B = [([0.5, 1], 0.25), ([1, 1], 1.0)]  # -5.25 * 2 * 0.25 = -2.625; 2


@pytest.mark.parametrize(
    ("acc", "wanted"),
    [
        (RoundedAccumulation(format=FP32), -0.625),
        (ExactAccumulation(), -0.625),
        (RoundedAccumulation(format=E2M1), -1.0),  # -2.625 -> -3, -1
        (RoundedAccumulation(format=E2M1, round=Rounding.UP), -0.0),  # -2, 0
        # The exponents of the leading ones are 1 and 1: in units of 1 and 2.
        (fused(2, 1), 0.0),  # -2 + 2
        (fused(2, 2), -0.5),  # -2.5 + 2
        (fused(1, 3), -0.5),  # -2.5; then -2.5 + 2
        (fused(1, 4), -0.625),
    ],
)
def test_blocks(acc, wanted):
    assert dot(A, B, accumulate=acc) == wanted


def test_blocks_by_default_are_rounded_to_fp32():
    assert dot([([6, 0], 2.0**24), ([1, 0], 1.0)], [([4, 0], 1.0), ([1, 0], 1.0)]) == 24 * 2.0**24


def test_sums_within_blocks():
    """Products 2.25 and 0.25 have the exponent 0: in units of 1 they are 2 and 0."""
    a, b = [([1.5, 0.5], 4.0)], [([1.5, 0.5], 0.5)]
    assert dot(a, b) == 5.0
    assert dot(a, b, within=fused(2, 0)) == 4.0
    assert dot(a, b, within=fused(2, 1)) == 4.0
    assert dot(a, b, within=fused(2, 2)) == 5.0
    # Each block finds a zero accumulator: 6 and 0.25, in units of 1/4 both.
    a, b = [([6, 0], 1.0), ([0.5, 0], 1.0)], [([1, 0], 1.0), ([0.5, 0], 1.0)]
    assert dot(a, b, within=fused(2, 2)) == 6.25


def test_the_last_blocks_may_be_short():
    assert dot([([1, 1], 2.0), ([3], 4.0)], [([1, 1], 1.0), ([0.5], 0.5)]) == 7.0
    whole = dataclasses.replace(PAIRS, size=None)
    assert dot([([1, 2, 3], 0.5)], [([1, 1, 1], 4.0)], whole, whole) == 12.0


def test_a_scalar_beside_blocks():
    scalar = [([448, 1], None), ([-2, 0], None)]
    assert dot(scalar, B, E4M3FN, PAIRS) == (224 + 1) / 4 - 2


def test_nan_and_infinite_blocks():
    one = [([1, 1], 1.0)]
    assert np.isnan(dot([([1, 1], NAN)], one))
    e5m2 = dataclasses.replace(PAIRS, element=E5M2)
    nv = BlockFormat(E2M1, 2, UE4M3FN, ScaleRule.EVEN, FP32)
    assert dot([([INF, 1], 1.0)], one, e5m2) == INF
    assert np.isnan(dot([([INF, -INF], 1.0)], one, e5m2))
    assert np.isnan(dot([([INF, 1], 1.0)], [([1, 1], 0.0)], e5m2, nv))
    assert repr(dot([([1, 1], 1.0)], [([-1, 1], 0.0)], e5m2, nv)) == "0.0"
    assert repr(dot([([1, 1], 1.0)], [([-1, -1], 0.0)], e5m2, nv)) == "0.0"


def test_tensor_scales_come_before_the_one_rounding():
    nv = BlockFormat(E2M1, 2, UE4M3FN, ScaleRule.EVEN, FP32)
    a, b = [([1.5, 1], 1.0)], [([1.5, 0.5], 1.0)]  # 2.75
    assert dot(a, b, nv, nv, tensors=(3, 0.5)) == 4.125
    # 2.75 * 0.875 = 2.40625 is nearer to 2; 2.75 by itself would become 3, and 3 * 0.875 also 3.
    assert dot(a, b, nv, nv, E2M1, tensors=(0.875, 1)) == 2
    # The accumulator is rounded before: 2.75 -> 3.
    acc = RoundedAccumulation(format=E2M1)
    assert dot(a, b, nv, nv, tensors=(Fraction(5, 4), 1), accumulate=acc) == 3.75


# --- Values ------------------------------------------------------------------------------------


def test_times():
    plus, minus, zero = Special.PLUS_INFINITY, Special.MINUS_INFINITY, Special.MINUS_ZERO
    assert oracle_blocks.times(plus, Fraction(-2)) is minus
    assert oracle_blocks.times(zero, Fraction(-2)) == 0
    assert oracle_blocks.times(Fraction(-2), Fraction(0)) is zero
    assert oracle_blocks.times(plus, zero) is Special.NAN
    assert oracle_blocks.times(minus, minus) is plus
    assert oracle_blocks.times(Fraction(-2), Fraction(3, 4)) == Fraction(-3, 2)


def test_errors():
    wanted, got = list(map(Fraction, [1, -2, 0, 4])), list(map(Fraction, [1, -1, 1, 2]))
    assert oracle_blocks.mean_squared_error(wanted, got) == Fraction(6, 4)
    assert oracle_blocks.mean_relative_error(wanted, got) == Fraction(1, 3)
    assert oracle_blocks.largest_error(wanted, got) == 2


def test_orders_of_a_sum():
    """Infinities and NaN do not depend on the order; neither does an exact sum."""
    numbers = [INF, 1.0, -INF, NAN]
    for some in itertools.permutations(numbers[:3]):
        assert np.isnan(result(some, [1] * 3, ExactAccumulation(), E5M2))
        assert np.isnan(result(some, [1] * 3, RoundedAccumulation(format=E5M2), E5M2))
        assert np.isnan(result(some, [1] * 3, fused(2, 3), E5M2))
