"""Tests of ``decode`` of :mod:`minimac.model`: every code, against three other implementations."""

import itertools
import re

import gfloat
import gfloat.formats
import ml_dtypes
import numpy as np
import pytest
from gfloat.formats import Domain, Signedness

import oracle
from minimac.model import decode
from minimac.spec import FixedPoint, Minifloat, SpecError, Specials, parse_format

ML_DTYPES = {
    "e4m3fn": "float8_e4m3fn",
    "e5m2": "float8_e5m2",
    "e4m3fnuz": "float8_e4m3fnuz",
    "e5m2fnuz": "float8_e5m2fnuz",
    "e4m3fnuz:bias=11": "float8_e4m3b11fnuz",
    "e3m4ieee": "float8_e3m4",
    "e4m3ieee": "float8_e4m3",
    "e3m2": "float6_e3m2fn",
    "e2m3": "float6_e2m3fn",
    "e2m1": "float4_e2m1fn",
    "bf16": "bfloat16",
    "e8m0": "float8_e8m0fnu",
}

GFLOAT = {
    "e5m2": gfloat.formats.format_info_ocp_e5m2,
    "e4m3fn": gfloat.formats.format_info_ocp_e4m3,
    "e3m2": gfloat.formats.format_info_ocp_e3m2,
    "e2m3": gfloat.formats.format_info_ocp_e2m3,
    "e2m1": gfloat.formats.format_info_ocp_e2m1,
    "s1.6": gfloat.formats.format_info_ocp_int8,  # the element of MXINT8
    "fp16": gfloat.formats.format_info_binary16,
    "bf16": gfloat.formats.format_info_bfloat16,
} | {
    f"binary{k}p{p}{'s' if signed is Signedness.Signed else 'u'}"
    f"{'e' if domain is Domain.Extended else 'f'}": gfloat.formats.format_info_p3109(
        k, p, signed, domain
    )
    for k in (3, 4, 5, 6, 7, 8)
    for signed, domain in itertools.product(Signedness, Domain)
    for p in range(1, k + (signed is Signedness.Unsigned))
    if (k, p, signed) != (3, 3, Signedness.Unsigned) or domain is Domain.Finite
}


def legal(build, *arguments):
    try:
        return build(*arguments)
    except SpecError:
        return None


SMALL = [
    fmt
    for choice in itertools.product(
        range(9), range(8), Specials, (None, 0, 11, -60, 300), (True, False), (False, True)
    )
    if (fmt := legal(Minifloat, *choice)) and oracle.code_bits(fmt) <= 8
] + [
    fmt
    for choice in itertools.product((True, False), range(-4, 9), range(-4, 9), (False, True))
    if (fmt := legal(FixedPoint, *choice)) and oracle.code_bits(fmt) <= 8
]


def used_codes(fmt):
    """All codes of a format, less the one that a symmetric format leaves unused."""
    codes = np.arange(2 ** oracle.code_bits(fmt))
    return codes[codes != 2 ** (oracle.code_bits(fmt) - 1)] if is_symmetric(fmt) else codes


def is_symmetric(fmt):
    return isinstance(fmt, FixedPoint) and fmt.symmetric


def assert_same(got, wanted, message=""):
    """Compare floats by their bits, but for those of NaN."""
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, wanted, err_msg=message)
    np.testing.assert_array_equal(
        np.signbit(got) & ~np.isnan(got), np.signbit(wanted) & ~np.isnan(wanted), err_msg=message
    )


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("suffix", ["f", "fn", "ieee", "fnuz", "p3109", "p3109f"])
def test_every_code_of_every_small_minifloat(suffix, signed):
    formats = [
        fmt
        for fmt in SMALL
        if isinstance(fmt, Minifloat) and (fmt.specials.suffix, fmt.signed) == (suffix, signed)
    ]
    assert bool(formats) == ((suffix, signed) != ("fnuz", False))
    for fmt in formats:
        wanted = [oracle.as_float(number) for number in oracle.values(fmt)]
        assert_same(decode(fmt, np.arange(len(wanted))), np.array(wanted), fmt.name)


def test_every_code_of_every_small_fixed_point_format():
    formats = [fmt for fmt in SMALL if isinstance(fmt, FixedPoint)]
    assert len(formats) > 100
    for fmt in formats:
        codes = used_codes(fmt)
        wanted = [oracle.as_float(oracle.value(fmt, int(code))) for code in codes]
        assert_same(decode(fmt, codes), np.array(wanted), fmt.name)


GRIDS = [
    "e8m0", "bin", "tern", "nf4", "nf4:fp16", "dynamic8", "power4:a=0.5", "khot2:s0.7",
    "khot1:int16", "lut:e4m3fn:00807e3838b8fe", "lut:e4m3fn:ftz:01810800", "lut:int8:ff0180",
]  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_every_code_of_grids(name):
    fmt = parse_format(name)
    codes = [code for code in range(2 ** oracle.code_bits(fmt)) if oracle.is_valid(fmt, code)]
    wanted = [oracle.as_float(oracle.value(fmt, code)) for code in codes]
    assert_same(decode(fmt, codes), np.array(wanted))


@pytest.mark.parametrize("name", ["bf16", "fp16", "bf16:ftz", "fp16:ftz", "e6m9fn", "s3.12"])
def test_every_code_of_16_bits(name):
    fmt = parse_format(name)
    wanted = [oracle.as_float(oracle.value(fmt, code)) for code in range(2**16)]
    assert_same(decode(fmt, np.arange(2**16)), np.array(wanted))


@pytest.mark.parametrize("name", ["fp32", "fp32:ftz", "tf32", "e8m23", "int32", "u4.28", "s40.-9"])
def test_wide_formats(name, seed):
    fmt = parse_format(name)
    bits = oracle.code_bits(fmt)
    rng = np.random.default_rng(seed)
    edges = [0, 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2 ** (bits - 1) + 1, 2**bits - 1]
    codes = np.array([*edges, *rng.integers(2**bits, size=1000)])
    wanted = [oracle.as_float(oracle.value(fmt, int(code))) for code in codes]
    assert_same(decode(fmt, codes), np.array(wanted), f"seed {seed}")


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # theirs, at a NaN
@pytest.mark.parametrize("name", ML_DTYPES)
def test_agrees_with_ml_dtypes(name):
    fmt = parse_format(name)
    dtype = np.dtype(getattr(ml_dtypes, ML_DTYPES[name]))
    codes = np.arange(2**fmt.width, dtype=np.uint8 if dtype.itemsize == 1 else np.uint16)
    assert_same(decode(fmt, codes), codes.view(dtype).astype(np.float64))


@pytest.mark.parametrize("name", ["fp16", "fp32"])
def test_agrees_with_numpy(name, seed):
    dtype, unsigned = {"fp16": ("f2", "u2"), "fp32": ("f4", "u4")}[name]
    rng = np.random.default_rng(seed)
    codes = np.arange(2**16) if name == "fp16" else rng.integers(2**32, size=100_000)
    codes = codes.astype(unsigned)
    with np.errstate(invalid="ignore"):
        theirs = codes.view(dtype).astype(np.float64)
    assert_same(decode(parse_format(name), codes), theirs)


@pytest.mark.parametrize("name", GFLOAT)
def test_agrees_with_gfloat(name):
    fmt = parse_format(name)
    assert fmt.width == GFLOAT[name].k
    codes = np.arange(2**fmt.width)
    assert_same(decode(fmt, codes), gfloat.decode_ndarray(GFLOAT[name], codes))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "u8"])
def test_any_integer_type_and_any_layout(dtype):
    e4m3fn = parse_format("e4m3fn")
    codes = np.arange(120, dtype=dtype).reshape(2, 3, 20)
    wanted = np.array([oracle.as_float(oracle.value(e4m3fn, n)) for n in range(120)])
    wanted = wanted.reshape(2, 3, 20)
    frozen = codes.copy()
    frozen.flags.writeable = False
    assert_same(decode(e4m3fn, codes), wanted)
    assert_same(decode(e4m3fn, frozen), wanted)
    assert_same(decode(e4m3fn, codes[:, ::-1, ::3]), wanted[:, ::-1, ::3])
    assert_same(decode(e4m3fn, codes.T), wanted.T)
    assert_same(decode(e4m3fn, np.asfortranarray(codes)), wanted)


def test_shapes():
    e2m1 = parse_format("e2m1")
    assert decode(e2m1, np.array(7)).shape == ()
    assert decode(e2m1, np.array(7)) == 6.0
    assert decode(e2m1, np.empty((0, 3), np.uint8)).shape == (0, 3)
    assert_same(decode(e2m1, [1, 15]), np.array([0.5, -6.0]))


@pytest.mark.parametrize(
    ("codes", "error", "words"),
    [
        ([0, 256], ValueError, "256"),
        ([-1], ValueError, "-1"),
        ([2**70], ValueError, str(2**70)),
        (np.array([2**64 - 1], np.uint64), ValueError, str(2**64 - 1)),
        ([0.0], TypeError, "float64"),
        ([True], TypeError, "bool"),
        (["a"], TypeError, "codes must be integers"),
        ([None], TypeError, "codes must be integers"),
    ],
)
def test_wrong_codes(codes, error, words):
    with pytest.raises(error, match=re.escape(words)):
        decode(parse_format("e4m3fn"), codes)


def test_the_unused_code_of_a_symmetric_format_is_refused():
    with pytest.raises(ValueError, match="must be"):
        decode(parse_format("int8:sym"), [0x80])


@pytest.mark.parametrize(
    ("name", "code"), [("lut:int4:17f", 3), ("khot2:int8", 11), ("tern", 2), ("e8m0", 256)]
)
def test_codes_that_a_format_lacks_are_refused(name, code):
    with pytest.raises(ValueError, match=f"of {name}, not {code} "):
        decode(parse_format(name), [1, code])


@pytest.mark.parametrize("fmt", ["e4m3fn", None, parse_format("mxfp8_e4m3")])
def test_formats_of_scalars_only(fmt):
    with pytest.raises(TypeError, match=r"^a format must be one of scalars .see parse_format., "):
        decode(fmt, [1])
