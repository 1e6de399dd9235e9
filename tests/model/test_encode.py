"""Tests of ``encode`` of :mod:`minimac.model`: every place where a result changes."""

import contextlib
import functools
import itertools
import re
import zlib
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
from minimac.spec import (
    ExponentOnly,
    FixedPoint,
    Minifloat,
    Overflow,
    Rounding,
    SpecError,
    Specials,
    parse_format,
)

SMALL = [
    "e4m3fn", "e5m2", "e4m3fnuz", "e4m3", "e3m4ieee", "e4m3p3109", "e4m3p3109f", "e7m0p3109",
    "e4m3fn:ftz", "e5m2:ftz", "e4m3fn:bias=20", "e3m2", "e2m3", "e2m1", "e2m1:ftz", "e3m0",
    "e1m2", "e1m0", "e0m3", "e0m3fn", "e0m2fnuz", "e2m1fn", "e2m1fnuz:ftz", "e3m0:ftz", "e2m2ieee",
    "ue4m3fn", "ue5m3", "ue4m2ieee", "ue4m3p3109", "ue8m0p3109f", "ue0m4", "ue4m2fn:ftz",
    "int8", "int4:sym", "uint8", "s4.3", "s4.3:sym", "u0.6", "s-2.6", "u7.-2", "s5.-3:sym", "uint1",
]  # fmt: skip
GRIDS = [
    "e8m0", "bin", "nf4", "nf4:bf16", "power3:a=2:bf16", "khot1:int8", "khot2:s0.7", "khot3:u2.3",
    "khot2:int4:sym", "khot16:u3.3", "lut:e2m1:9017", "lut:e4m3fn:00807e3838b8fe", "lut:int4:f1e7",
    "lut:int4:1f", "lut:int4:17f", "lut:s3.0:9377", "lut:uint8:0101",
    "lut:e8m23:bias=140:0000000100000002",
]  # fmt: skip
WIDE = ["bf16", "fp16", "fp32", "tf32", "bf16:ftz", "e8m23:bias=200", "int32", "u0.32", "s15.-3"]

# Exponents that float32, or even float64, reaches with subnormals only.
FAR = [
    "e4m3:bias=133",
    "e4m3:bias=134",
    "e3m2fn:bias=1029",
    "e2m1:bias=1030",
    "s-120.127",
    "u-890.900",
]
DETERMINISTIC = [mode for mode in Rounding if not mode.stochastic]
STOCHASTIC = [mode for mode in Rounding if mode.stochastic]


def every_small_format():
    """Every minifloat and fixed-point format of at most 8 bits, with the default bias."""
    for exp_bits, man_bits, specials, signed, ftz in itertools.product(
        range(9), range(9), Specials, (True, False), (False, True)
    ):
        with contextlib.suppress(SpecError):
            fmt = Minifloat(exp_bits, man_bits, specials, signed=signed, ftz=ftz)
            if fmt.width <= 8:
                yield fmt.name
    for width, signed, symmetric in itertools.product(range(1, 9), (True, False), (False, True)):
        with contextlib.suppress(SpecError):
            yield FixedPoint(signed, width - signed - 3, 3, symmetric).name


def legal_overflows(fmt):
    """Return what section 3.2 lets a format do with a value that is too large."""
    names = ["saturate"]
    if isinstance(fmt, FixedPoint) and not fmt.symmetric:
        names.append("wrap")
    return names + (["infinity", "nan"] if oracle.canonical_nan(fmt) is not None else [])


def float_neighbours(points):
    """Points, and the float64 and float32 on both sides of each."""
    points = np.array(points)
    around = [points, np.nextafter(points, np.inf), np.nextafter(points, -np.inf)]
    with np.errstate(over="ignore", under="ignore"):
        single = points.astype(np.float32)
        around += [single, *(np.nextafter(single, np.float32(end)) for end in (np.inf, -np.inf))]
    return np.concatenate([part.astype(np.float64) for part in around])


def boundaries(fmt, codes=None):
    """Values where the result of some rounding changes, and what is next to them, in float64."""
    if codes is None:
        codes = [code for code in range(2 ** oracle.code_bits(fmt)) if oracle.is_valid(fmt, code)]
    table = [oracle.value(fmt, int(code)) for code in codes]
    finite = {Fraction(0) if x is oracle.Special.MINUS_ZERO else x for x in table}
    finite = sorted(x for x in finite if isinstance(x, Fraction))
    # Beyond the ends: where the next ones would be.
    gap = finite[-1] - finite[-2] if len(finite) > 1 else Fraction(1)
    other = finite[1] - finite[0] if len(finite) > 1 else Fraction(1)
    finite = [finite[0] - 2 * other, finite[0] - other, *finite]
    finite += [finite[-1] + gap, finite[-1] + 2 * gap]
    middles = [(x + y) / 2 for x, y in itertools.pairwise(finite)]
    quarters = [(3 * x + y) / 4 for x, y in itertools.pairwise(finite)]
    points = float_neighbours([float(x) for x in (*finite, *middles)])
    extremes = [5e-324, 2.0**-149, 1e-30, 1e30, 2.0**128, 1.7e308, np.inf]
    rest = [*map(float, quarters), *extremes, *np.negative(extremes)]
    wanted = np.unique(np.concatenate([points, rest]))
    if not fmt.signed:
        wanted = np.concatenate([wanted, -wanted[::9]])
    return np.concatenate([wanted, [0.0, -0.0, np.nan]])


def draw(rng, size, bits=None):
    """Random integers and their width, in one of the ways in which ``encode`` takes them."""
    bits = bits or int(rng.choice([8, 16, 32, *range(1, 33)]))
    integers = rng.integers(2**bits, size=size)
    # Ends, so that an exact value and one just above are told apart.
    integers[rng.random(size) < 0.2] = 0
    integers[rng.random(size) < 0.3] = 2**bits - 1
    if bits in (8, 16, 32):
        return integers.astype(f"u{bits // 8}"), integers, bits
    return (integers, bits), integers, bits


@functools.cache
def meanings(numbers):
    return [oracle.from_float(number) for number in numbers]


def assert_encodes_all(fmt, numbers, seed):
    """Hold ``encode`` to the oracle in every mode."""
    ends = [abs(oracle.as_float(oracle.value(fmt, oracle.largest(fmt, end)))) for end in (0, 1)]
    large = ~(np.abs(numbers) < np.nanmin(ends) * 0.9)
    for rounding in Rounding:
        assert_encodes(fmt, numbers, rounding, "saturate", seed)
        for overflow in legal_overflows(fmt)[1:]:
            assert_encodes(fmt, numbers[large], rounding, overflow, seed)


def assert_encodes(fmt, numbers, rounding, overflow, seed=0, drawn=None):
    """Hold both ways of encoding, from float64 and from float32, to the oracle."""
    if overflow == "wrap":
        numbers = numbers[np.isfinite(numbers)]
    given, pairs = None, itertools.repeat(None)
    if rounding.stochastic:
        places = [
            list(kind).index(kind(word))
            for kind, word in ((Rounding, rounding), (Overflow, overflow))
        ]
        rng = np.random.default_rng([seed, zlib.crc32(fmt.name.encode()), *places])
        given, integers, bits = drawn or draw(rng, len(numbers))
        pairs = [(int(r), bits) for r in integers]
    wanted = np.array(
        [
            oracle.round_to(fmt, number, rounding, overflow, pair)
            for number, pair in zip(meanings(tuple(numbers)), pairs, strict=False)
        ]
    )
    with np.errstate(over="ignore", under="ignore"):
        single = numbers.astype(np.float32)
    fits = (single == numbers) | np.isnan(numbers)
    for values, kept in ((numbers, slice(None)), (single, fits)):
        if isinstance(given, tuple):
            chosen = given[0][kept], given[1]
        else:
            chosen = None if given is None else given[kept]
        got = encode(fmt, values[kept], rounding, overflow, chosen)
        wrong = np.flatnonzero(got != wanted[kept])
        assert not wrong.size, (
            f"seed {seed}: encode({fmt.name}, {values[kept][wrong[0]]!r}, {rounding}, {overflow}"
            f"{given and f', {integers[kept][wrong[0]]} of {bits} bits'}) is "
            f"{int(got[wrong[0]]):#x}, not {wanted[kept][wrong[0]]:#x} ({wrong.size} such)"
        )


@pytest.mark.parametrize("name", [*SMALL, *GRIDS])
def test_every_boundary_in_every_mode(name, seed):
    fmt = parse_format(name)
    numbers = boundaries(fmt)
    assert len(numbers) > 4 * len(set(oracle.values(fmt)))
    assert_encodes_all(fmt, numbers, seed)


@pytest.mark.parametrize("part", range(6))
def test_every_boundary_of_every_small_format(part, pytestconfig, seed):
    names = sorted(set(every_small_format()))
    assert len(names) > 600
    names = np.random.default_rng(seed).permutation(names)[part::6]
    for name in names if pytestconfig.option.exhaustive else names[:1]:
        fmt = parse_format(str(name))
        assert_encodes_all(fmt, boundaries(fmt), seed)


@pytest.mark.parametrize("name", [*WIDE, *FAR])
def test_boundaries_of_wide_formats(name, seed):
    fmt = parse_format(name)
    rng = np.random.default_rng(seed)
    bits = oracle.code_bits(fmt) - fmt.signed
    some = rng.integers(2**bits - 1, size=8)
    binade = 2 ** getattr(fmt, "man_bits", 3)
    edges = [0, binade - 1, binade, oracle.largest(fmt, False) - 1]
    pairs = np.unique([(code, code + 1) for code in [*some, *edges]])
    numbers = np.concatenate([boundaries(fmt, pairs[i : i + 2]) for i in range(0, len(pairs), 2)])
    assert_encodes_all(fmt, numbers, seed)


@pytest.mark.parametrize(
    "name", ["e4m3fn", "e5m2", "bf16", "fp16:ftz", "e3m2", "s4.3", "fp32", "e8m0", "dynamic8"]
)
@pytest.mark.parametrize("rounding", Rounding)
def test_random_values(name, rounding, seed):
    fmt = parse_format(name)
    rng = np.random.default_rng(seed)
    any_double = rng.integers(2**64, size=150, dtype=np.uint64).view(np.float64)
    any_single = rng.integers(2**32, size=150, dtype=np.uint32).view(np.float32)
    near = rng.standard_normal(350) * 2.0 ** rng.integers(-24, 18, size=350)
    numbers = np.concatenate([any_double, any_single, near, near.astype(np.float32)])
    assert_encodes(fmt, numbers, rounding, "saturate", seed)


@pytest.mark.parametrize("rounding", STOCHASTIC)
@pytest.mark.parametrize(
    "name", ["e4m3fn", "e2m1:ftz", "e3m0", "s2.1", "nf4", "lut:int4:1f", "e8m0"]
)
def test_all_random_integers(name, rounding):
    """Each of the 2**N integers, at each of the distances between which N bits tell, and near."""
    fmt = parse_format(name)
    finite = sorted(x for x in oracle.values(fmt) if isinstance(x, Fraction))
    middle = len(finite) // 2
    for bits in (1, 2, 3):
        steps = 2 ** (bits + 1)
        numbers = np.unique(
            [
                float(low + (high - low) * Fraction(k, steps))
                for low, high in itertools.pairwise([*finite[middle - 2 : middle + 2], finite[-1]])
                for k in range(steps + 1)
            ]
        )
        numbers = np.concatenate([np.nextafter(numbers, -9), numbers, np.nextafter(numbers, 9)])
        numbers, integers = map(np.ravel, np.meshgrid(numbers, np.arange(2**bits)))
        assert_encodes(fmt, numbers, rounding, "saturate", drawn=((integers, bits), integers, bits))


@pytest.mark.parametrize(
    ("name", "ulp"),
    [("e2m1", 0.5), ("fp32", 2.0**-149), ("int32", 1.0), ("e2m1:bias=1030", 2.0**-1030)],
)
def test_stochastic_rounding_is_exact_however_small(name, ulp):
    """A distance of less than 2**-32 still counts where one random integer decides."""
    fmt, top = parse_format(name), np.uint32(2**32 - 1)
    step = ulp * 2.0**-32
    for number, codes in (
        (5e-324, (0, 0, 0)),
        (step * 0.25, (0, 0, 0)),
        (step * 0.5, (0, 1, 0)),
        (step * (0.5 + 2.0**-12), (0, 1, 1)),
        (step, (1, 1, 1)),
    ):
        got = [encode(fmt, number, mode, random_bits=top) for mode in STOCHASTIC]
        assert tuple(got) == codes, (number, got)


@pytest.mark.parametrize("name", [*SMALL, "bf16", "fp16", "bf16:ftz", "nf4", "khot2:s3.4", "e8m0"])
def test_every_code_survives(name):
    """Encoding is the inverse of decoding, whatever the rounding."""
    fmt = parse_format(name)
    codes = np.array([code for code in range(2**fmt.width) if oracle.is_valid(fmt, code)])
    numbers = decode(fmt, codes)
    flushed = getattr(fmt, "ftz", False) & (numbers == 0)
    kept = ~np.isnan(numbers) & ~flushed
    if isinstance(fmt, ExponentOnly):
        kept &= codes != 255
    for rounding in Rounding:
        random = np.uint8(255) if rounding.stochastic else None
        got = encode(fmt, numbers[kept], rounding, random_bits=random)
        np.testing.assert_array_equal(got, codes[kept])


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 33, 1023, 1025, 3000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_length(size, dtype):
    """Values beyond the largest and NaN are put right wherever they are."""
    e5m2 = parse_format("e5m2")
    some = np.array([1.0, -3.3, 1e9, np.nan, -np.inf, 0.0, -1e9, 2e-5, 5e-7], dtype)
    for overflow, rounding in itertools.product(("saturate", "nan"), ("rne", "down", "sr_c")):
        random = np.uint8(77) if rounding == "sr_c" else None
        each = encode(e5m2, some, rounding, overflow, random)
        for start in range(len(some)):
            places = np.arange(start, start + size) % len(some)
            got = encode(e5m2, some[places], rounding, overflow, random)
            np.testing.assert_array_equal(got, each[places])
    ones = np.ones(size, dtype)
    for at in range(0, size, 97):
        ones[at] = np.nan
        codes = encode(e5m2, ones)
        assert codes[at] == 0x7E
        assert (codes == 0x3C).sum() == size - 1
        ones[at] = 1


@pytest.mark.parametrize("name", ["e4m3fn", "bf16", "int8", "nf4"])
def test_long_arrays_are_cut_into_parts(name, seed):
    fmt = parse_format(name)
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(1_200_001).astype(np.float32)
    random = rng.integers(256, size=values.size, dtype=np.uint8)
    for rounding in (Rounding.RNE, Rounding.SR_A):
        some = slice(None, 50_000 if name == "nf4" and rounding.stochastic else None)
        given = [values, random] if rounding.stochastic else [values]
        parts = [np.array_split(array[some], 100) for array in given]
        got = encode(fmt, values[some], rounding, "saturate", *(array[some] for array in given[1:]))
        for dtype in (np.float32, np.float64):
            pieces = [
                encode(fmt, part.astype(dtype), rounding, "saturate", *chosen)
                for part, *chosen in zip(*parts, strict=True)
            ]
            np.testing.assert_array_equal(got, np.concatenate(pieces))


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
    for numbers in (points, points.astype(np.float64)):
        got = encode(fmt, numbers, "rne", overflow)
        # The sign of a NaN is theirs to choose.
        same = (got == theirs) | (np.isnan(decode(fmt, got)) & np.isnan(decode(fmt, theirs)))
        wrong = np.flatnonzero(~same)
        assert not wrong.size, (seed, points[wrong[:5]], got[wrong[:5]], theirs[wrong[:5]])


def test_scales_agree_with_ml_dtypes(seed):
    """Theirs makes NaN of what is too large, and takes ties up, where ours go to an even code."""
    e8m0 = parse_format("e8m0")
    rng = np.random.default_rng(seed)
    points = np.append(rng.integers(1, 0x7F800000, size=100_000), np.arange(255) << 23)
    points = np.concatenate([points, points | 0x400000, points ^ 1]).astype(np.uint32)
    points = points.view(np.float32)
    points = points[(points > 2.0**-126) & np.isfinite(points) & (np.frexp(points)[0] != 0.75)]
    theirs = points.astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)
    np.testing.assert_array_equal(encode(e8m0, points, "rne", "nan"), theirs)


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


GFLOAT_STOCHASTIC = {
    "sr_a": RoundMode.StochasticFastest,
    "sr_b": RoundMode.StochasticFast,
    "sr_c": RoundMode.Stochastic,
}


@pytest.mark.parametrize("rounding", GFLOAT_STOCHASTIC)
@pytest.mark.parametrize("name", GFLOAT)
def test_stochastic_modes_agree_with_gfloat(name, rounding, seed):
    fmt, info = parse_format(name), GFLOAT[name]
    rng = np.random.default_rng(seed)
    points = single_points(fmt, seed)
    points = points[rng.integers(len(points), size=3000)].astype(np.float64)
    if not fmt.signed:
        points = np.abs(points)
    for bits in (1, 5, 8, 16):
        given, integers, _ = draw(rng, len(points), bits)
        rounded = gfloat.round_ndarray(
            info, points, GFLOAT_STOCHASTIC[rounding], sat=True, srbits=integers, srnumbits=bits
        )
        got = encode(fmt, points, rounding, random_bits=given)
        wrong = np.flatnonzero(decode(fmt, got) != rounded)
        assert not wrong.size, (
            f"seed {seed}: {points[wrong[0]]!r} with {integers[wrong[0]]} of {bits} bits is "
            f"{decode(fmt, got[wrong[0]])!r}, theirs {rounded[wrong[0]]!r}"
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
    for dtype in ("f2", ">f4", ">f8", "i1", "u4", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn):
        np.testing.assert_array_equal(encode(e4m3fn, numbers.astype(dtype)), codes)
    assert encode(e4m3fn, 1.0).shape == ()
    assert encode(e4m3fn, np.float32(1.0)) == encode(e4m3fn, np.array(1.0)) == 0x38
    assert encode(e4m3fn, ml_dtypes.bfloat16(1.0)) == 0x38
    assert encode(e4m3fn, np.empty((3, 0))).shape == (3, 0)


@pytest.mark.parametrize(("name", "dtype"), [("e2m1", "u1"), ("bf16", "u2"), ("fp32", "u4")])
def test_codes_are_unsigned(name, dtype):
    assert encode(parse_format(name), [1.0]).dtype == np.dtype(dtype)


def test_unsigned_formats_end_at_zero():
    """What rounds to a negative number overflows, and zero is the last finite value that way."""
    ue4m3fn = parse_format("ue4m3fn")
    for rounding in DETERMINISTIC:
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
            "rounding must be one of rne, rna, truncate, up, down, odd, sr_a, sr_b, sr_c, not 'foo",
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
        (
            "int8",
            [0.0, np.nan],
            {"overflow": "wrap"},
            ValueError,
            "values must have a code in int8, which has none for nan (at index [1]) with overflow ",
        ),
        ("int8", np.float32([[np.inf]]), {"overflow": "wrap"}, ValueError, "inf (at index [0, 0])"),
        ("nf4", [1.0], {"overflow": "nan"}, ValueError, "nf4 has no such code"),
        ("khot2:int8", [1.0], {"overflow": "wrap"}, ValueError, "overflow must not be wrap"),
        ("e8m0", [1.0], {"overflow": "wrap"}, ValueError, "overflow must not be wrap"),
        (
            "mxfp8",
            [1.0],
            {},
            TypeError,
            "a format must be one of scalars (see parse_format), not mx",
        ),
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
    with pytest.raises(ValueError, match=r"^random_bits must be given with rounding sr_b: "):
        encode(fmt, [1.0], "sr_b")


def test_random_bits_broadcast():
    int8 = parse_format("int8")
    values = np.full((2, 3), 0.5)
    for dtype in ("u1", "u2", "u4", ">u2"):
        random = (np.array([[0, 2, 3]]) << (8 * np.dtype(dtype).itemsize - 2)).astype(dtype)
        for given in (random, random[0], np.broadcast_to(random, (2, 3))):
            codes = encode(int8, values, "sr_a", random_bits=given)
            assert codes.tolist() == [[0, 1, 1], [0, 1, 1]]
    for given in (([0, 2, 3], 2), (np.array([[0], [1]]) * 3, np.int64(2)), (3, 2)):
        codes = encode(int8, values, "sr_a", random_bits=given)
        assert codes.tolist() == (np.broadcast_to(given[0], (2, 3)) >= 2).tolist()
    assert encode(int8, 0.5, "sr_a", random_bits=np.uint8(200)).shape == ()
    assert encode(int8, [], "sr_a", random_bits=np.uint8(200)).shape == (0,)


@pytest.mark.parametrize(
    ("random_bits", "error", "message"),
    [
        (np.array([1, 2]), TypeError, "or a pair (bits, N), not of type int64"),
        ([1, 2], TypeError, "or a pair (bits, N), not of type int64"),
        (np.array([1, 2], np.int8), TypeError, "or a pair (bits, N), not of type int8"),
        (np.array([0.5, 2]), TypeError, "or a pair (bits, N), not of type float64"),
        (([0.5, 2], 3), TypeError, "random_bits must be integers, not float64"),
        (([1, 2], 3, 4), TypeError, "must be an array or a pair (bits, N), not ([1, 2], 3, 4)"),
        (([1, 2], 3.0), TypeError, "must be an array or a pair (bits, N), not ([1, 2], 3.0)"),
        (([1, 2], 0), ValueError, "a pair (bits, N) with N of 1 to 32, not 0"),
        (([1, 2], 33), ValueError, "a pair (bits, N) with N of 1 to 32, not 33"),
        (([1, 4], 2), ValueError, "random_bits of 2 bits must be 0 to 3, not 1 to 4"),
        (([-1, 1], 2), ValueError, "random_bits of 2 bits must be 0 to 3, not -1 to 1"),
        (np.zeros(3, np.uint8), ValueError, "to the shape of values, (2,), not be of (3,)"),
        (np.zeros((2, 2), np.uint8), ValueError, "to the shape of values, (2,), not be of (2, 2)"),
    ],
)
def test_wrong_random_bits(random_bits, error, message):
    with pytest.raises(error, match=re.escape(message)):
        encode(parse_format("e4m3fn"), [1.0, 2.0], "sr_a", random_bits=random_bits)


@pytest.mark.parametrize("values", [[2**53 + 1, 1.5], [2**63 + 1, -1]])
def test_integers_among_floats_are_exact_or_refused(values):
    with pytest.raises(ValueError, match="must be exact in float64"):
        encode(parse_format("fp32"), values)
