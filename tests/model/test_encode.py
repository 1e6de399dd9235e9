"""Tests of ``encode`` of :mod:`minimac.model`: every place where a result changes."""

import functools
import itertools
import re
from fractions import Fraction

import gfloat
import gfloat.formats
import ml_dtypes
import numpy as np
import pytest
from gfloat import RoundMode
from gfloat.formats import Domain, Signedness

import oracle
from minimac.model import decode, encode
from minimac.spec import FixedPoint, Overflow, Rounding, parse_format

SMALL = [
    "e4m3fn", "e5m2", "e4m3fnuz", "e4m3", "e3m4ieee", "e4m3p3109", "e4m3p3109f", "e7m0p3109",
    "e4m3fn:ftz", "e5m2:ftz", "e4m3fn:bias=20", "e3m2", "e2m3", "e2m1", "e2m1:ftz", "e3m0",
    "e1m2", "e1m0", "e0m3", "e0m3fn", "e0m2fnuz", "e2m1fn", "e2m1fnuz:ftz", "e3m0:ftz", "e2m2ieee",
    "ue4m3fn", "ue5m3", "ue4m2ieee", "ue4m3p3109", "ue8m0p3109f", "ue0m4", "ue2m2:ftz",
    "int8", "int4:sym", "uint8", "s4.3", "s4.3:sym", "u0.6", "s-2.6", "u7.-2", "s5.-3:sym", "uint1",
]  # fmt: skip
WIDE = ["bf16", "fp16", "fp32", "tf32", "bf16:ftz", "e8m23:bias=200", "int32", "u0.32", "s15.-3"]


def legal_overflows(fmt):
    """Return what section 3.2 lets a format do with a value that is too large."""
    names = ["saturate"]
    if isinstance(fmt, FixedPoint):
        return names + ([] if fmt.symmetric else ["wrap"])
    return names + ([] if fmt.specials.suffix == "f" else ["infinity", "nan"])


def float_neighbours(points):
    """Points, and the float64 and float32 on both sides of each."""
    points = np.array(points)
    around = [points, np.nextafter(points, np.inf), np.nextafter(points, 0)]
    with np.errstate(over="ignore", under="ignore"):
        single = points.astype(np.float32)
        exact = single.astype(np.float64) == points
        around += [np.nextafter(single, np.float32(end))[exact] for end in (np.inf, 0)]
    return np.concatenate([part.astype(np.float64) for part in around])


def boundaries(fmt, codes=None):
    """Values where the result of some rounding changes, and what is next to them, in float64."""
    table = oracle.values(fmt) if codes is None else [oracle.value(fmt, int(c)) for c in codes]
    unused = 2 ** (oracle.code_bits(fmt) - 1) if getattr(fmt, "symmetric", False) else None
    finite = sorted(
        {
            abs(number)
            for code, number in enumerate(table)
            if isinstance(number, Fraction) and not (codes is None and code == unused)
        }
        | {Fraction(0)}
    )
    # Beyond the largest: where the next ones would be.
    ulp = finite[-1] - finite[-2] if len(finite) > 2 else finite[-1]
    finite += [finite[-1] + ulp, finite[-1] + 2 * ulp]
    middles = [(x + y) / 2 for x, y in itertools.pairwise(finite)]
    quarters = [(3 * x + y) / 4 for x, y in itertools.pairwise(finite)]
    points = [float(x) for x in (*finite, *middles, *quarters) if Fraction(float(x)) == x]
    extremes = [5e-324, 2.0**-149, 1e-30, 1e30, 2.0**128, 1.7e308, np.inf]
    wanted = np.unique(np.concatenate([float_neighbours(points), extremes]))
    return np.concatenate([wanted, -wanted, [np.nan]])


@functools.cache
def meanings(numbers):
    return [oracle.from_float(number) for number in numbers]


def assert_encodes(fmt, numbers, rounding, overflow, context=""):
    if overflow == "wrap":
        numbers = numbers[np.isfinite(numbers)]
    wanted = [
        oracle.round_to(fmt, number, rounding, overflow) for number in meanings(tuple(numbers))
    ]
    got = encode(fmt, numbers, rounding, overflow)
    wrong = np.flatnonzero(got != np.array(wanted))
    assert not wrong.size, (
        f"{context}encode({fmt.name}, {float(numbers[wrong[0]])!r}, {rounding}, {overflow}) is "
        f"{int(got[wrong[0]]):#x}, not {wanted[wrong[0]]:#x} ({wrong.size} such)"
    )


@pytest.mark.parametrize("name", SMALL)
def test_every_boundary_in_every_mode(name):
    fmt = parse_format(name)
    numbers = boundaries(fmt)
    assert len(numbers) > 2 * 2 ** (fmt.width - fmt.signed)
    for rounding in Rounding:
        for overflow in legal_overflows(fmt):
            assert_encodes(fmt, numbers, rounding, overflow)


@pytest.mark.parametrize("name", WIDE)
def test_boundaries_of_wide_formats(name, seed):
    fmt = parse_format(name)
    rng = np.random.default_rng(seed)
    bits = oracle.code_bits(fmt) - fmt.signed
    some = rng.integers(2**bits - 1, size=12)
    binade = 2 ** getattr(fmt, "man_bits", 3)
    edges = [0, binade - 1, binade, oracle.largest(fmt, False) - 1]
    pairs = np.unique([(code, code + 1) for code in [*some, *edges]])
    numbers = np.concatenate([boundaries(fmt, pairs[i : i + 2]) for i in range(0, len(pairs), 2)])
    for rounding in Rounding:
        for overflow in legal_overflows(fmt):
            assert_encodes(fmt, numbers, rounding, overflow, f"seed {seed}: ")


@pytest.mark.parametrize("name", ["e4m3fn", "e5m2", "bf16", "fp16:ftz", "e3m2", "s4.3", "fp32"])
@pytest.mark.parametrize("rounding", Rounding)
def test_random_bits(name, rounding, seed):
    fmt = parse_format(name)
    rng = np.random.default_rng(seed)
    any_double = rng.integers(2**64, size=150, dtype=np.uint64).view(np.float64)
    near = rng.standard_normal(350) * 2.0 ** rng.integers(-24, 18, size=350)
    assert_encodes(fmt, np.concatenate([any_double, near]), rounding, "saturate", f"seed {seed}: ")


@pytest.mark.parametrize("name", [*SMALL, "bf16", "fp16", "bf16:ftz"])
def test_every_code_survives(name):
    """Encoding is the inverse of decoding, whatever the rounding."""
    fmt = parse_format(name)
    codes = np.arange(2**fmt.width)
    if getattr(fmt, "symmetric", False):
        codes = codes[codes != 2 ** (fmt.width - 1)]
    numbers = decode(fmt, codes)
    flushed = getattr(fmt, "ftz", False) & (numbers == 0)
    kept = ~np.isnan(numbers) & ~flushed
    for rounding in Rounding:
        np.testing.assert_array_equal(encode(fmt, numbers[kept], rounding), codes[kept])


# --- Foreign implementations -------------------------------------------------------------------

ML_DTYPES = {  # a name, theirs, and what theirs does with what is too large
    "e4m3fn": ("float8_e4m3fn", "nan"),
    "e5m2": ("float8_e5m2", "infinity"),
    "e4m3fnuz": ("float8_e4m3fnuz", "nan"),
    "e5m2fnuz": ("float8_e5m2fnuz", "nan"),
    "e4m3fnuz:bias=11": ("float8_e4m3b11fnuz", "nan"),
    "e3m4ieee": ("float8_e3m4", "infinity"),
    "e4m3ieee": ("float8_e4m3", "infinity"),
    "e3m2": ("float6_e3m2fn", "saturate"),
    "e2m3": ("float6_e2m3fn", "saturate"),
    "e2m1": ("float4_e2m1fn", "saturate"),
    "bf16": ("bfloat16", "infinity"),
}


def single_points(fmt, seed):
    """All boundaries of a format that are float32, and random ones; finite."""
    codes = np.arange(2**15, dtype=np.int64) if fmt.width == 16 else np.arange(2 ** (fmt.width - 1))
    values = decode(fmt, codes)
    finite = np.unique(values[np.isfinite(values)])
    middles = (finite[1:] + finite[:-1]) / 2
    beyond = finite[-1] + (finite[-1] - finite[-2]) * np.array([0.5, 1.0, 1.5, 4.0])
    with np.errstate(over="ignore", under="ignore"):
        points = np.concatenate([finite, middles, beyond]).astype(np.float32)
        around = [points, *(np.nextafter(points, np.float32(end)) for end in (np.inf, 0))]
    rng = np.random.default_rng(seed)
    any_single = rng.integers(2**32, size=100_000, dtype=np.uint64).astype(np.uint32)
    any_single = any_single.view(np.float32)
    near = (rng.standard_normal(100_000) * 2.0 ** rng.integers(-20, 18, 100_000)).astype(np.float32)
    points = np.concatenate([*around, near, any_single])
    points = points[np.isfinite(points)]
    return np.concatenate([points, -points])


@pytest.mark.filterwarnings("ignore:.*encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("name", ML_DTYPES)
def test_agrees_with_ml_dtypes(name, seed):
    fmt = parse_format(name)
    dtype, overflow = ML_DTYPES[name]
    points = single_points(fmt, seed)
    if overflow != "saturate":
        points = np.append(points, np.float32([np.inf, -np.inf]))
    theirs = points.astype(getattr(ml_dtypes, dtype))
    theirs = theirs.view(np.uint16 if fmt.width == 16 else np.uint8)
    got = encode(fmt, points.astype(np.float64), "rne", overflow)
    # The sign of a NaN is theirs to choose.
    same = (got == theirs) | (np.isnan(decode(fmt, got)) & np.isnan(decode(fmt, theirs)))
    wrong = np.flatnonzero(~same)
    assert not wrong.size, (seed, points[wrong[:5]], got[wrong[:5]], theirs[wrong[:5]])


GFLOAT = {
    "e5m2": gfloat.formats.format_info_ocp_e5m2,
    "e4m3fn": gfloat.formats.format_info_ocp_e4m3,
    "e3m2": gfloat.formats.format_info_ocp_e3m2,
    "e2m3": gfloat.formats.format_info_ocp_e2m3,
    "e2m1": gfloat.formats.format_info_ocp_e2m1,
    "fp16": gfloat.formats.format_info_binary16,
    "bf16": gfloat.formats.format_info_bfloat16,
} | {
    f"binary8p{p}{'s' if signed is Signedness.Signed else 'u'}"
    f"{'e' if domain is Domain.Extended else 'f'}": gfloat.formats.format_info_p3109(
        8, p, signed, domain
    )
    for p in (1, 2, 3, 4, 5, 6, 7)
    for signed in Signedness
    for domain in Domain
}
GFLOAT_MODES = {
    "rne": RoundMode.TiesToEven,
    "rna": RoundMode.TiesToAway,
    "truncate": RoundMode.TowardZero,
    "up": RoundMode.TowardPositive,
    "down": RoundMode.TowardNegative,
}


@pytest.mark.parametrize("name", GFLOAT)
def test_agrees_with_gfloat(name, seed):
    fmt, info = parse_format(name), GFLOAT[name]
    points = single_points(fmt, seed)[::7].astype(np.float64)
    if not fmt.signed:
        points = np.abs(points)
    for rounding, mode in GFLOAT_MODES.items():
        for overflow in ("saturate", "infinity") if fmt.has_nan else ("saturate",):
            rounded = gfloat.round_ndarray(info, points, mode, sat=overflow == "saturate")
            got = encode(fmt, points, rounding, overflow)
            ours = decode(fmt, got)
            same = (ours == rounded) | (np.isnan(ours) & np.isnan(rounded))
            same &= (np.signbit(ours) == np.signbit(rounded)) | (ours != 0)
            wrong = np.flatnonzero(~same)
            assert not wrong.size, (
                f"seed {seed}: {rounding} {overflow}: {points[wrong[0]]!r} is {ours[wrong[0]]!r}, "
                f"theirs {rounded[wrong[0]]!r}"
            )


# --- Shapes, types and what is refused ---------------------------------------------------------


def test_shapes_and_types():
    e4m3fn = parse_format("e4m3fn")
    numbers = np.arange(24.0).reshape(2, 3, 4)
    codes = encode(e4m3fn, numbers)
    assert (codes.shape, codes.dtype) == ((2, 3, 4), np.uint8)
    frozen = numbers.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(encode(e4m3fn, frozen), codes)
    np.testing.assert_array_equal(encode(e4m3fn, numbers.T), codes.T)
    np.testing.assert_array_equal(encode(e4m3fn, numbers[:, ::-2, 1:3]), codes[:, ::-2, 1:3])
    np.testing.assert_array_equal(encode(e4m3fn, numbers.astype(np.float32)), codes)
    np.testing.assert_array_equal(encode(e4m3fn, numbers.astype(np.int16)), codes)
    np.testing.assert_array_equal(encode(e4m3fn, numbers.tolist()), codes)
    assert encode(e4m3fn, 1.0).shape == ()
    assert encode(e4m3fn, np.empty((3, 0))).shape == (3, 0)


@pytest.mark.parametrize(("name", "dtype"), [("e2m1", "u1"), ("bf16", "u2"), ("fp32", "u4")])
def test_codes_are_unsigned(name, dtype):
    assert encode(parse_format(name), [1.0]).dtype == np.dtype(dtype)


def test_unsigned_formats_end_at_zero():
    """What rounds to a negative number overflows, and zero is the last finite value that way."""
    ue4m3fn = parse_format("ue4m3fn")
    for rounding in Rounding:
        assert encode(ue4m3fn, [-1.0, -np.inf], rounding, "saturate").tolist() == [0, 0]
        assert encode(ue4m3fn, [-1.0, -np.inf], rounding, "nan").tolist() == [0x7F, 0x7F]
        # As IEEE 754-2019, 7.4, has it for the most negative finite number.
        ends = 0x7F if rounding in ("rne", "rna", "down") else 0
        assert encode(ue4m3fn, [-1.0, -np.inf], rounding, "infinity").tolist() == [ends, 0x7F]


def test_modes_may_be_words_or_members():
    e4m3fn = parse_format("e4m3fn")
    word = encode(e4m3fn, [500.1, 1.01], "up", "nan")
    np.testing.assert_array_equal(encode(e4m3fn, [500.1, 1.01], Rounding.UP, Overflow.NAN), word)
    assert word.tolist() == [0x7F, 0x39]


@pytest.mark.parametrize(
    ("name", "numbers", "modes", "error", "message"),
    [
        (
            "e4m3fn",
            [1.0],
            {"rounding": "foo"},
            ValueError,
            "rounding must be one of rne, rna, truncate, up, down, odd, not 'foo'",
        ),
        (
            "e4m3fn",
            [1.0],
            {"overflow": "foo"},
            ValueError,
            "overflow must be one of saturate, infinity, nan, wrap, not 'foo'",
        ),
        ("e4m3fn", [1.0], {"overflow": "wrap"}, ValueError, "e4m3fn"),
        ("int8:sym", [1.0], {"overflow": "wrap"}, ValueError, "int8:sym"),
        ("int8", [1.0], {"overflow": "nan"}, ValueError, "int8"),
        ("int8", [1.0], {"overflow": "infinity"}, ValueError, "int8"),
        ("e2m1", [1.0], {"overflow": "infinity"}, ValueError, "e2m1"),
        ("int8", [0.0, np.nan], {"overflow": "wrap"}, ValueError, "int8"),
        ("int8", [np.inf], {"overflow": "wrap"}, ValueError, "int8"),
        ("e4m3fn", ["a"], {}, TypeError, "values must be "),
        ("e4m3fn", [1j], {}, TypeError, "values must be "),
        ("e4m3fn", [None], {}, TypeError, "values must be "),
        ("fp32", [2**60 + 1], {}, ValueError, "exact"),
    ],
)
def test_what_is_refused(name, numbers, modes, error, message):
    with pytest.raises(error, match=re.escape(message)):
        encode(parse_format(name), numbers, **modes)


def test_random_bits_are_for_modes_that_take_some():
    fmt = parse_format("e4m3fn")
    assert encode(fmt, [1.0], "rne", "saturate", None).tolist() == [0x38]
    with pytest.raises(ValueError, match=r"^random_bits must be None with rounding rne, "):
        encode(fmt, [1.0], random_bits=[1])


@pytest.mark.parametrize("values", [[2**53 + 1, 1.5], [2**63 + 1, -1]])
def test_integers_among_floats_are_exact_or_refused(values):
    with pytest.raises(ValueError, match="must be exact in float64"):
        encode(parse_format("fp32"), values)
