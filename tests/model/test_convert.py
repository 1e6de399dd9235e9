"""Tests of ``convert`` of :mod:`minimac.model`: all pairs of small formats, code by code."""

import functools

import numpy as np
import pytest

import oracle
from minimac.model import convert, decode, encode
from minimac.spec import parse_format

FORMATS = [
    "e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e4m3p3109", "ue4m3fn", "ue5m3p3109f", "e3m4ieee",
    "e3m2", "e2m1", "e4m3fn:ftz", "e0m3", "e5m0", "int8", "int4:sym", "uint8", "s4.3", "u-1.6",
    "e8m0", "nf4", "khot2:s0.7", "lut:int4:f1e7",
]  # fmt: skip


@functools.cache
def rounded(dst, number, rounding, overflow):
    return oracle.round_to(parse_format(dst), number, rounding, overflow)


@pytest.mark.parametrize("dst", FORMATS)
@pytest.mark.parametrize(
    ("rounding", "overflow"),
    [("rne", "saturate"), ("odd", "saturate"), ("up", "nan"), ("truncate", "infinity")],
)
def test_every_code_of_every_pair(dst, rounding, overflow):
    to = parse_format(dst)
    if oracle.canonical_nan(to) is None:
        overflow = "saturate"
    for src in FORMATS:
        fmt = parse_format(src)
        codes = [c for c in range(2 ** oracle.code_bits(fmt)) if oracle.is_valid(fmt, c)]
        wanted = [rounded(dst, oracle.values(fmt)[c], rounding, overflow) for c in codes]
        # The longer array is looked up in a table.
        got = convert(fmt, to, codes, rounding, overflow)
        looked_up = convert(fmt, to, [*codes, *codes, *codes], rounding, overflow)
        np.testing.assert_array_equal(looked_up, np.tile(got, 3), err_msg=src)
        wrong = np.flatnonzero(got != np.array(wanted))
        assert not wrong.size, (
            f"convert({src}, {dst}, {int(codes[wrong[0]]):#x}, {rounding}, {overflow}) is "
            f"{int(got[wrong[0]]):#x}, not {wanted[wrong[0]]:#x}"
        )


@pytest.mark.parametrize("src", ["bf16", "fp16"])
def test_16_bits_to_8(src):
    """There is one rounding, whatever the width of the source."""
    fmt, e5m2 = parse_format(src), parse_format("e5m2")
    codes = np.arange(0, 2**16, 13)
    wanted = [rounded("e5m2", oracle.value(fmt, int(c)), "rne", "infinity") for c in codes]
    np.testing.assert_array_equal(convert(fmt, e5m2, codes, "rne", "infinity"), wanted)


def test_infinite_operands_stay_infinite_only_where_they_can():
    bf16, infinities = parse_format("bf16"), [0x7F80, 0xFF80]
    for overflow in ("saturate", "nan", "infinity"):
        assert convert(bf16, parse_format("e5m2"), infinities, "truncate", overflow).tolist() == [
            0x7C,
            0xFC,
        ]
    to_e4m3fn = functools.partial(convert, bf16, parse_format("e4m3fn"), infinities, "truncate")
    assert to_e4m3fn("saturate").tolist() == [0x7E, 0xFE]
    assert to_e4m3fn("infinity").tolist() == [0x7F, 0x7F]


def test_agrees_with_decode_and_encode(seed):
    codes = np.random.default_rng(seed).integers(2**32, size=(7, 100))
    fp32, s4_3 = parse_format("fp32"), parse_format("s4.3")
    got = convert(fp32, s4_3, codes, "down")
    assert got.shape == codes.shape
    np.testing.assert_array_equal(got, encode(s4_3, decode(fp32, codes), "down"))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", ">u2", "u4", "i8"])
def test_any_integer_type_and_any_layout(dtype):
    e4m3fn, bf16 = parse_format("e4m3fn"), parse_format("bf16")
    wanted = np.resize(convert(e4m3fn, bf16, np.arange(126)), (7, 120))
    codes = np.resize(np.arange(126), (7, 120)).astype(dtype)
    codes.flags.writeable = False
    for got, same in ((codes, wanted), (codes.T, wanted.T), (codes[::-2, 3:], wanted[::-2, 3:])):
        np.testing.assert_array_equal(convert(e4m3fn, bf16, got), same)
    assert convert(e4m3fn, bf16, codes).dtype == np.uint16


@pytest.mark.parametrize("rounding", ["sr_a", "sr_b", "sr_c"])
def test_stochastic_modes(rounding, seed):
    bf16, e4m3fn = parse_format("bf16"), parse_format("e4m3fn")
    rng = np.random.default_rng(seed)
    codes = rng.integers(0x3800, 0x4400, size=(3, 500))
    random = rng.integers(256, size=500, dtype=np.uint8)
    wanted = [
        [
            oracle.round_to(e4m3fn, oracle.value(bf16, int(c)), rounding, "saturate", (int(r), 8))
            for c, r in zip(row, random, strict=True)
        ]
        for row in codes
    ]
    got = convert(bf16, e4m3fn, codes, rounding, random_bits=random)
    np.testing.assert_array_equal(got, wanted, err_msg=f"seed {seed}")
    np.testing.assert_array_equal(
        convert(bf16, e4m3fn, np.tile(codes, (50, 1)), rounding, random_bits=random),
        np.tile(wanted, (50, 1)),
    )


def test_codes_that_become_nothing_are_refused_only_if_there():
    e5m2, int8 = parse_format("e5m2"), parse_format("int8")
    assert convert(e5m2, int8, [0x3C] * 1000, overflow="wrap").tolist() == [1] * 1000
    with pytest.raises(ValueError, match=r"none for inf \(at index \[500\]\) with overflow wrap"):
        convert(e5m2, int8, [*[0x3C] * 500, 0x7C, *[0x3C] * 500], overflow="wrap")


def test_wrong_codes():
    with pytest.raises(ValueError, match=r"must be 0 to 255 .*not 256"):
        convert(parse_format("e4m3fn"), parse_format("bf16"), [256])
    with pytest.raises(TypeError, match="integers"):
        convert(parse_format("e4m3fn"), parse_format("bf16"), [0.5])
    with pytest.raises(ValueError, match="int8"):
        convert(parse_format("e4m3fn"), parse_format("int8"), [0x7F], overflow="nan")
