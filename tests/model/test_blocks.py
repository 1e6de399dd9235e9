"""Tests of :mod:`minimac.model.blocks`."""

import itertools
import math
import re
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import oracle
import oracle_blocks
from minimac.model import blocks as module
from minimac.model import decode, encode
from minimac.model.blocks import (
    Blocks,
    dequantize_blocks,
    expand_scales,
    quantize_blocks,
    read_blocks,
)
from minimac.spec import Rounding, ScaleRule, parse_format

KNOWN = [
    "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8", "mxint6", "mxint4",
    "mxint8:ocp", "nvfp4", "nvint4", "bfp16", "bfp12", "dfp8", "dfp16",
]  # fmt: skip
CUSTOM = [
    "block:nf4:size=8", "block:dynamic8:size=8:scale=fp16", "block:bin:size=4", "block:tern:size=4",
    "block:khot2:s0.7:size=8", "block:uint4:size=4", "block:e4m3fn:ftz:size=8", "block:e3m0:size=8",
    "block:e5m10ieee:size=8:scale=bf16:tensor=fp32", "block:int4:size=8:scale=fp16",
    "block:int4:sym:size=8:scale=fp32", "block:e2m1:size=8:scale=ue4m3:bias=20",
    "block:e2m1:bias=900:size=4", "block:e2m1:bias=-900:size=4", "block:int32:size=4",
    "block:int32:size=4:scale=fp32:tensor=fp32", "block:s503.-500:size=4",
    "block:e2m1:size=4:scale=ue5m3:tensor=fp16", "block:e8m7ieee:size=4:scale=ue8m0f:tensor=bf16",
    "block:e2m1:size=4:scale=ue2m1:ftz", "block:lut:e2m1:9017:size=4",
    "block:e1m2:size=4:scale=e5m2", "block:e2m1:size=1", "mxfp4:size=3:tensor=fp32",
    "block:int8:size=4:scale=ue5m3:bias=900:tensor=bf16",
]  # fmt: skip
POWERS = [name for name in KNOWN if not name.startswith("nv")]
TINY, HUGE = [5e-324, -1e-45, 1e-40, 0.0, -1e-320], [1e38, 1e300, -1.7e308, 1.0, 3e38]


@pytest.fixture
def rng(seed):
    return np.random.default_rng(seed)


def spread(rng, *shape):
    """Draw numbers whose magnitudes differ much."""
    return rng.normal(size=shape) * 2.0 ** rng.integers(-12, 4, shape)


def assert_same(got, wanted):
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(wanted))


# --- By hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "scale", "elements"),
    [
        ("mxfp4", [6.0, -1.0, 0.25, 13.0], 128, [5, 9, 0, 7]),
        ("mxfp4", [12.0], 128, [7]),
        ("mxfp4:rule=ceil", [13.0, -2.0], 129, [5, 9]),  # 4 * [3, -0.5]
        ("mxfp4:rule=ceil", [8.0], 128, [6]),
        ("mxfp4:rule=even", [13.0], 128, [7]),  # 13 is rounded to 12, and clipped to 6 * 2
        ("mxfp4:rule=even", [14.0], 129, [6]),  # halfway to 16; 14 / 4 goes to the even 4
        ("mxfp4:rule=even", [13.999999999999998], 128, [7]),
        ("block:e3m0:rule=even", [3.0], 124, [7]),  # to 2, with the code 4
        ("block:e3m0:rule=even", [6.0], 126, [6]),  # 4 has the code 5: to 8
        ("mxfp4:rule=roundup", [12.0], 128, [7]),
        ("mxfp4:rule=roundup", [12.000000000000002], 129, [5]),
        ("mxfp4:rule=mse", [7.0, 3.0], 128, [6, 3]),  # 8 + 3 is as wrong as 6 + 3: the larger one
        ("mxfp4:rule=mse", [7.0, 2.5], 129, [4, 1]),  # so is 8 + 2, by two scales, as 6 + 2
        ("mxfp4:rule=mse", [6.5, 0.5], 127, [7, 1]),
        ("mxfp4:rule=mse", [1.0, 0.0], 128, [1, 0]),  # exact at 1/4, 1/2, 1 and 2
        ("mxint8", [1.984375, -1.9921875, 0.0078125], 127, [127, 129, 0]),
        ("mxint8:ocp", [1.984375, -2.0], 128, [64, 192]),
        ("mxint8:rule=even", [1.9921875], 128, [64]),
        ("dfp8", [200.0, -3.0], 128, [100, 254]),
        ("bfp16", [0.75, 3.0], 129, [24, 96]),
        ("mxfp8_e4m3", [449.0, -448.0], 127, [0x7E, 0xFE]),
        ("mxfp8_e5m2", [1e5, -57344.0], 128, [0x7A, 0xF7]),
        ("block:tern:size=4", [0.75, -0.3, 0.2], 126, [1, 3, 0]),
        ("block:nf4:size=4", [-4.0, 4.0, 0.0], 129, [0, 15, 7]),
        ("block:e2m1:scale=ue4m3fn:rule=floor", [6.7], 0x38, [7]),  # 1.116 is between 1 and 1.125
        ("block:e2m1:scale=ue4m3fn:rule=ceil", [6.7], 0x39, [7]),
        ("block:e2m1:scale=ue4m3fn:rule=roundup", [6.3], 0x39, [7]),
        ("block:e2m1:scale=ue4m3fn:rule=even", [6.3], 0x38, [7]),
        ("block:e2m1:scale=ue4m3fn:rule=even", [1e9, 1.0], 0x7E, [7, 0]),
        ("block:e2m1:scale=ue4m3fn:rule=even", [1e-9], 0x01, [0]),
        ("block:e2m1:scale=ue4m3fn:ftz:rule=even", [1e-9], 0x08, [0]),
        ("mxfp4", [0.0, -0.0], 127, [0, 8]),
        ("mxint8", [0.0, -0.0], 127, [0, 0]),
        ("mxfp4", [math.nan, 1.0], 255, [0, 0]),
        ("mxfp4", [1.0, -math.inf], 255, [0, 0]),
        ("block:e2m1:scale=ue4m3fn", [math.inf], 0x7F, [0]),
        ("mxfp4", [5e-324], 0, [0]),
        ("mxfp4", [-1e300], 254, [15]),
        ("mxfp4:rule=mse", [5e-324], 254, [0]),  # nothing is left of it at any scale
        ("mxfp4:rule=mse", [1e300], 254, [7]),
        ("block:e2m1:scale=ue4m3fn:rule=mse", [1e-9], 0x7E, [0]),
        ("block:e2m1:scale=ue4m3fn:rule=mse", [6.0, 1.0], 0x40, [5, 1]),
    ],
)
def test_examples(name, values, scale, elements):
    blocks = quantize_blocks(parse_format(name), values)
    assert (blocks.scales.ravel().tolist(), blocks.elements.tolist()) == ([scale], elements)
    assert blocks.tensor_scale == 1.0


def test_example_of_a_tensor_scale():
    # 2688 is 6 * 448: the tensor's scale is 1/2. 0.7 / 6 is 0.2333 in halves: rounded, 15/64.
    values = [1344.0, -112.0, 0.0] + 13 * [0.0] + [0.7, 0.05859375, 0.1]
    blocks = quantize_blocks(parse_format("nvfp4"), values)
    assert blocks.tensor_scale == 0.5
    assert blocks.scales.tolist() == [0x7E, 0x27]
    assert blocks.elements.tolist() == [7, 9, 0] + 13 * [0] + [7, 1, 2]
    wanted = [1344.0, -112.0, 0.0] + 13 * [0.0] + [0.703125, 0.05859375, 0.1171875]
    assert_same(dequantize_blocks(parse_format("nvfp4"), blocks), wanted)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.0, math.nan], 1.0),
        ([], 1.0),
        ([math.inf, 1344.0, math.nan], 0.5),
        ([5e-324], 2.0**-149),
        ([1e300], float(np.finfo(np.float32).max)),
    ],
)
def test_extreme_tensor_scales(values, scale):
    assert quantize_blocks(parse_format("nvfp4"), values).tensor_scale == scale


# --- Independent implementations -----------------------------------------------------------------


def draw(rng, size):
    """Draw a block of one of many kinds."""
    few = [
        1.75,
        1.875,
        1.9375,
        1.5,
        3.5,
        7.0,
        7.5,
        448,
        464,
        6,
        127 / 64,
        -2,
        255,
        7.75,
        1 + 2**-52,
    ]
    match rng.integers(12):
        case 0:
            return rng.normal(size=size)
        case 1:
            return rng.normal(size=size).astype(np.float32).astype(float)
        case 2:
            return rng.integers(-16, 17, size).astype(float)
        case 3:
            return rng.integers(-3, 4, size) * 2.0 ** rng.integers(-4, 5, size)
        case 4:
            return rng.normal(size=size) * 2.0 ** rng.integers(-1060, 1000)
        case 5:
            return rng.normal(size=size) * 2.0 ** rng.integers(-40, 40, size)
        case 6:
            return rng.choice(TINY, size)
        case 7:
            return rng.choice(HUGE, size)
        case 8:
            return rng.choice([0.0, -0.0], size)
        case 9:
            return rng.choice([1.0, math.nan, math.inf, -math.inf, 0.0], size)
        case 10:
            return np.full(size, rng.normal())
    return rng.choice(few, size) * 2.0 ** rng.integers(-5, 5)


def assert_is_the_oracles(fmt, values):
    """Compare blocks along one axis, and their values."""
    finite = np.isfinite(values).all()
    if not finite and oracle.canonical_nan(fmt.scale) is None:
        with pytest.raises(ValueError, match=r"values must be finite in .* has no NaN"):
            quantize_blocks(fmt, values)
        return
    got = quantize_blocks(fmt, values)
    tensor = oracle_blocks.tensor_scale(fmt, values)
    assert got.tensor_scale == (1 if tensor is None else tensor), values.tolist()
    size = fmt.size or len(values)
    dequantized = dequantize_blocks(fmt, got)
    for scale, start in zip(got.scales.tolist(), range(0, len(values), size), strict=True):
        part = slice(start, start + size)
        wanted = oracle_blocks.quantize_block(fmt, values[part], tensor)
        assert (got.elements[part].tolist(), scale) == wanted, (fmt.name, values[part].tolist())
        meant = oracle_blocks.block_values(fmt, *wanted, tensor)
        assert_same(dequantized[part], [rounded(number) for number in meant])


def rounded(number):
    """Return a value as the nearest float64."""
    if isinstance(number, oracle.Special):
        return float(number.value)
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


@pytest.mark.parametrize("rule", ["floor", "ceil", "even", "roundup"])
@pytest.mark.parametrize("name", KNOWN + CUSTOM)
def test_is_the_oracles(name, rule, rng):
    fmt = parse_format(f"{name}:rule={rule}")
    for _ in range(12):
        assert_is_the_oracles(fmt, draw(rng, rng.integers(1, 10)))


@pytest.mark.parametrize("name", KNOWN + CUSTOM)
def test_least_error_is_the_oracles(name, rng):
    fmt = parse_format(f"{name}:rule=mse")
    if fmt.scale.width > 8:  # too many for the oracle
        return
    for _ in range(4):
        assert_is_the_oracles(fmt, draw(rng, rng.integers(1, 6)))


def test_least_error_of_hard_blocks():
    # 7 is as far from 6 as from 8, the 3 is exact; then one of both is nearer, by 2**-50.
    least = 2.0**-50
    for values in ([7, 3], [7 + least, 3], [7 - least, 3], [7, 3, least], [7, 2.5, -3]):
        assert_is_the_oracles(parse_format("mxfp4:rule=mse"), np.array(values, float))
        assert_is_the_oracles(parse_format("mxint4:rule=mse"), np.array(values, float))
    for power in (900, 120, -140, -900):
        assert_is_the_oracles(parse_format("mxfp4:rule=mse"), np.ldexp([7.0, 3.0], power))
    # What is negative is lost, however large.
    assert_is_the_oracles(parse_format("block:uint4:rule=mse"), np.array([1e38, -1e308, 3e38]))
    assert_is_the_oracles(parse_format("block:uint4:rule=mse"), np.array([-1.0, -1e-300]))
    # A table of 0.5 and 6.
    table = parse_format("block:lut:e2m1:17:rule=mse")
    assert_is_the_oracles(table, np.array([1.0, -3.0, 0.2, 6.0]))
    assert_is_the_oracles(table, np.array([-1.0, -0.2]))
    # Too many bits for float64: all comparisons are exact.
    wide = parse_format("block:int32:size=4:scale=ue4m3fn:tensor=fp32:rule=mse")
    assert_is_the_oracles(wide, np.array([1.0, 0.3, -7.7]))


def ocp(values, emax, quantize):
    """Quantise rows as section 6.3 of OCP MX 1.0 says; return scales and elements times scales."""
    largest = np.abs(values).max(axis=-1, keepdims=True)
    shared_exp = np.floor(np.log2(largest)) - emax
    scale = 2.0**shared_exp
    return scale, quantize(values / scale) * scale


@pytest.mark.parametrize(
    ("name", "emax", "largest", "element"),
    [
        ("mxfp8_e4m3", 8, 448.0, ml_dtypes.float8_e4m3fn),
        ("mxfp8_e5m2", 15, 57344.0, ml_dtypes.float8_e5m2),
        ("mxfp6_e3m2", 4, 28.0, ml_dtypes.float6_e3m2fn),
        ("mxfp6_e2m3", 2, 7.5, ml_dtypes.float6_e2m3fn),
        ("mxfp4", 2, 6.0, ml_dtypes.float4_e2m1fn),
        ("mxint8", 0, 127 / 64, None),
    ],
)
def test_is_ocp_mx(name, emax, largest, element, rng):
    # Powers of two are left out: log2 of float64 is then good enough for what is near them.
    values = spread(rng, 2000, 32).astype(np.float32).astype(np.float64)

    def quantize(scaled):
        clipped = np.clip(scaled, -largest, largest)
        if element is None:
            return np.rint(clipped * 64) / 64
        return clipped.astype(element).astype(np.float64)

    fmt = parse_format(name)
    scale, wanted = ocp(values, emax, quantize)
    blocks = quantize_blocks(fmt, values)
    assert_same(dequantize_blocks(fmt, blocks), wanted if element else wanted + 0.0)
    e8m0 = scale.astype(ml_dtypes.float8_e8m0fnu)
    np.testing.assert_array_equal(blocks.scales, e8m0.view(np.uint8))
    if element:
        codes = np.clip(values / scale, -largest, largest).astype(element).view(np.uint8)
        np.testing.assert_array_equal(blocks.elements, codes)


# --- One rounding --------------------------------------------------------------------------------


def near_changes(fmt, count, steps, rng):
    """Blocks with elements next to where a rounding changes, as near as float64 comes.

    These places cut what is between two values into ``steps``. The first element of a block is its
    largest, so that scales do not depend on the others.

    Returns
    -------
    values : ndarray of float
    units : list of Fraction
        For each block, its scale times that of the tensor.
    parts : ndarray of int
        For each element, the number of steps.
    """
    values, parts = np.zeros((count, fmt.size)), rng.integers(steps, size=(count, fmt.size))
    values[:, 0] = rng.uniform(1, 2, count) * 2.0 ** rng.integers(-8, 1, count)
    values[0, 0] = 2.3
    scaled = quantize_blocks(fmt, values)
    tensor = Fraction(scaled.tensor_scale)
    units = [oracle.value(fmt.scale, int(code)) * tensor for code in scaled.scales.ravel()]
    most = oracle.largest(fmt.element, False)
    for row, part, unit in zip(values, parts, units, strict=True):
        for i in range(1, fmt.size):
            code = int(rng.integers(most))
            below, above = oracle.value(fmt.element, code), oracle.value(fmt.element, code + 1)
            near = float((below + (above - below) * Fraction(int(part[i]), steps)) * unit)
            near = rng.choice([near, *np.nextafter(near, [0, math.inf])])
            row[i] = near * rng.choice([-1, 1]) if 0 < near < row[0] else 0.0
    np.testing.assert_array_equal(quantize_blocks(fmt, values).scales, scaled.scales)
    return values, units, parts


# Of the last two, significands are longer than those of float64, together.
NEAR = [
    *("nvfp4", "nvint4", "mxint8:size=4:tensor=fp32", "block:e4m3fn:size=16:scale=fp32"),
    *("block:s0.23:size=16:scale=fp16:tensor=fp32", "block:e4m19:size=16:scale=fp16:tensor=fp32"),
]


@pytest.mark.parametrize("name", NEAR)
def test_elements_are_rounded_once(name, rng):
    fmt = parse_format(name)
    values, units, _ = near_changes(fmt, 12, 2, rng)
    for mode in Rounding:
        random = (rng.integers(64, size=values.shape), 6) if mode.stochastic else None
        got = quantize_blocks(fmt, values, rounding=mode, random_bits=random)
        for at, value in np.ndenumerate(values):
            chance = (int(random[0][at]), 6) if random else None
            number = Fraction(float(value)) / units[at[0]]
            code = oracle.round_to(fmt.element, number, mode, "saturate", chance)
            assert got.elements[at] == code, (mode, value)


@pytest.mark.parametrize("name", NEAR[:4])
def test_chances_are_those_of_exact_quotients(name, rng):
    fmt = parse_format(name)
    values, units, parts = near_changes(fmt, 30, 1 << 32, rng)
    random = ((1 << 32) - parts).clip(max=(1 << 32) - 1).astype(np.uint32)  # as many as decide
    got = quantize_blocks(fmt, values, rounding="sr_a", random_bits=random)
    for at, value in np.ndenumerate(values):
        number = Fraction(float(value)) / units[at[0]]
        chance = int(random[at]), 32
        assert got.elements[at] == oracle.round_to(fmt.element, number, "sr_a", "saturate", chance)


@pytest.mark.parametrize("rule", ["floor", "ceil", "even", "roundup"])
@pytest.mark.parametrize(
    "name",
    ["nvfp4", "nvint4:tensor=none", "block:int32:scale=fp16:tensor=fp32", "mxfp4:tensor=fp32"],
)
def test_scales_are_rounded_once(name, rule, rng):
    fmt = parse_format(f"{name}:rule={rule}:size=1")
    most = 2.0**20 / 3
    tensor = Fraction(oracle_blocks.tensor_scale(fmt, [most]) or 1)
    unit = tensor * fmt.max_lsbs * Fraction(2) ** fmt.lsb_exp
    for code in rng.integers(1, oracle.largest(fmt.scale, False), 30).tolist():
        below, above = oracle.value(fmt.scale, code), oracle.value(fmt.scale, code + 1)
        for place in (below, (below + above) / 2):
            near = float(place * unit)
            numbers = np.array([near, *np.nextafter(near, [0, math.inf])])
            assert_is_the_oracles(fmt, np.append(np.minimum(numbers, most), most))


# --- Properties ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*POWERS, "mxfp4:rule=mse", "mxint8:rule=roundup"])
def test_powers_of_two_only_move_scales(name, rng):
    fmt = parse_format(name)
    values = spread(rng, 50, 100)
    blocks = quantize_blocks(fmt, values)
    for power in (-60, -1, 7, 90):
        moved = quantize_blocks(fmt, np.ldexp(values, power))
        np.testing.assert_array_equal(moved.elements, blocks.elements)
        np.testing.assert_array_equal(moved.scales, blocks.scales.astype(int) + power)


@pytest.mark.parametrize("rule", list(ScaleRule))
@pytest.mark.parametrize("name", POWERS)
def test_values_of_blocks_are_kept(name, rule, rng):
    fmt = parse_format(f"{name}:rule={rule}")
    values = dequantize_blocks(fmt, quantize_blocks(fmt, spread(rng, 20, 70)))
    assert_same(dequantize_blocks(fmt, quantize_blocks(fmt, values)), values)


@pytest.mark.parametrize("name", KNOWN)
def test_roundup_clips_nothing(name, rng):
    fmt = parse_format(f"{name}:rule=roundup:tensor=none")
    values = spread(rng, 100, 50) * 2.0**6  # so that scales are far from the ends
    blocks = quantize_blocks(fmt, values)
    largest = fmt.max_lsbs * 2.0**fmt.lsb_exp
    assert (np.abs(values) <= largest * decode(fmt.scale, expand_scales(fmt, blocks))).all()


@pytest.mark.parametrize("name", KNOWN)
def test_no_element_is_beyond_the_largest(name, rng):
    fmt = parse_format(name)
    for rounding in ("rne", "up", "down", "odd"):
        blocks = quantize_blocks(fmt, [*spread(rng, 50), *TINY, *HUGE], rounding=rounding)
        elements = decode(fmt.element, blocks.elements) / 2.0**fmt.lsb_exp
        assert fmt.min_lsbs <= elements.min()
        assert elements.max() <= fmt.max_lsbs


@pytest.mark.parametrize("name", ["mxfp4", "mxint4", "nvfp4:tensor=none", "mxfp8_e4m3"])
def test_least_error_is_never_worse(name, rng):
    values = rng.normal(size=(500, 32)) * 2.0 ** rng.integers(-3, 3, (500, 1))
    errors = {}
    for rule in ScaleRule:
        fmt = parse_format(f"{name}:rule={rule}:size=16")
        got = dequantize_blocks(fmt, quantize_blocks(fmt, values))
        errors[rule] = ((got - values) ** 2).reshape(-1, 16).sum(axis=1)
    for each in errors.values():
        assert (errors[ScaleRule.MSE] <= each * (1 + 1e-12)).all()
    assert errors[ScaleRule.MSE].mean() < errors[ScaleRule.FLOOR].mean()


@pytest.mark.parametrize(
    ("name", "gain_db"), [("mxint8:rule=roundup", 0.0), ("nvint4", 10 * math.log10(16 / 15))]
)
def test_noise_of_gaussian_blocks_is_that_of_theory(name, gain_db, rng):
    """Check QSNR = 4.78 + 6.02 b - 20 log10(rho kappa) (arXiv 2510.25602, section 4).

    With a scale that has a mantissa, rho is 1 and the largest value exact. ``b`` counts from the
    steps that there are, 2 * 7 for ``nvint4``, as 16 would be 1.2 dB too good.
    """
    fmt = parse_format(name)
    values = rng.normal(size=(4000, fmt.size))
    blocks = quantize_blocks(fmt, values)
    noise = np.mean((dequantize_blocks(fmt, blocks) - values) ** 2)
    clip = fmt.max_lsbs * 2.0**fmt.lsb_exp * decode(fmt.scale, blocks.scales) * blocks.tensor_scale
    reach = clip if gain_db == 0 else np.abs(values).max(axis=1)
    bits = math.log2(2 * fmt.max_lsbs)
    theory_db = 4.78 + 6.02 * bits - 10 * math.log10(np.mean(reach**2)) + gain_db
    assert -10 * math.log10(noise) == pytest.approx(theory_db, abs=0.3)


# --- Arrays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mxfp4:size=5", "nvfp4", "dfp8", "mxint8:size=5:rule=mse"])
def test_axes(name, rng):
    fmt = parse_format(name)
    values = spread(rng, 3, 17, 4)
    for axis in range(-3, 3):
        last = quantize_blocks(fmt, np.moveaxis(values, axis, -1))
        got = quantize_blocks(fmt, values, axis)
        np.testing.assert_array_equal(got.elements, np.moveaxis(last.elements, -1, axis))
        np.testing.assert_array_equal(got.scales, np.moveaxis(last.scales, -1, axis))
        assert read_blocks(fmt, got).axis == (None if fmt.size is None else axis % 3)
        shape = list(values.shape)
        shape[axis] = -(-shape[axis] // (fmt.size or 99))
        assert got.scales.shape == ((1, 1, 1) if fmt.size is None else tuple(shape))
        found = dequantize_blocks(fmt, got)
        assert_same(found, np.moveaxis(dequantize_blocks(fmt, last), -1, axis))
        codes = expand_scales(fmt, got)
        assert codes.shape == values.shape
        if fmt.size == 5 and values.shape[axis] >= 10:
            np.testing.assert_array_equal(
                codes.take(range(5, 10), axis), np.repeat(got.scales.take([1], axis), 5, axis)
            )


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "mxfp4:rule=mse", "block:nf4"])
def test_kinds_of_arrays(name, rng, monkeypatch):
    fmt = parse_format(name)
    values = rng.integers(-50, 50, (40, 70))
    wanted = quantize_blocks(fmt, values.astype(np.float64))
    monkeypatch.setattr(module, "_CHUNK", 100)
    frozen = values.astype(np.float64)
    frozen.flags.writeable = False
    strided = np.repeat(values, 2, axis=1).astype(np.float32)[:, ::2]
    kinds = [values, values.tolist(), frozen, strided, np.asfortranarray(frozen)]
    for given in kinds + [values.astype(kind) for kind in ("int8", "float16", "float32", object)]:
        got = quantize_blocks(fmt, given)
        np.testing.assert_array_equal(got.elements, wanted.elements)
        np.testing.assert_array_equal(got.scales, wanted.scales)
        assert (got.elements.dtype, got.scales.dtype) == (np.uint8, np.uint8)
        assert got.tensor_scale == wanted.tensor_scale


def test_float32_is_as_float64():
    least, most = 2.0**-149, float(np.finfo(np.float32).max)
    for name in ("mxfp4", "mxfp8_e4m3", "bfp16", "block:s-200.203", "mxfp4:rule=mse", "nvfp4"):
        fmt = parse_format(name)
        for values in ([least, 0], [most, least, 1], [3 * least, most], [1e-44, 1], [most, 1e-30]):
            for rounding in ("rne", "up"):
                wide = quantize_blocks(fmt, np.array(values), rounding=rounding)
                single = quantize_blocks(fmt, np.array(values, np.float32), rounding=rounding)
                np.testing.assert_array_equal(single.elements, wide.elements)
                np.testing.assert_array_equal(single.scales, wide.scales)


def test_threads_change_nothing(rng):
    fmt = parse_format("nvfp4")
    values = spread(rng, 300, 1000)  # more than one thread is worth starting for
    whole, rows = quantize_blocks(fmt, values), [0, 150, 299]
    assert quantize_blocks(fmt, values, 0).scales.shape == (19, 1000)
    for row in rows:
        alone = quantize_blocks(fmt, [*values[row], *8 * [0.0], np.abs(values).max()])
        assert alone.tensor_scale == whole.tensor_scale
        np.testing.assert_array_equal(alone.elements[:1000], whole.elements[row])


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (2, 0, 3)])
def test_empty(shape):
    for name in ("mxfp4", "nvfp4", "dfp8", "mxfp4:rule=mse", "dfp8:rule=mse"):
        fmt = parse_format(name)
        for axis in range(len(shape)):
            blocks = quantize_blocks(fmt, np.empty(shape), axis)
            assert blocks.elements.shape == shape
            assert dequantize_blocks(fmt, blocks).shape == shape
            if fmt.size is None:
                assert (blocks.scales.shape, blocks.scales.item()) == ((1,) * len(shape), 127)


# --- Values of blocks ----------------------------------------------------------------------------


def test_products_out_of_range_are_rounded_once():
    fmt = parse_format("block:int16:size=1:scale=e8m7ieee:bias=900:tensor=e8m7ieee:bias=300")
    elements, scales = [3, -5, 12345, -0x8000 % (1 << 16), 0], [0x0101, 0x0183, 0x7F7F, 0x0080]
    for tensor in decode(fmt.tensor_scale, [0x0081, 0x3F80, 0x7F7F]).tolist():
        for element, scale in itertools.product(elements, scales):
            if element < 0:
                element %= 1 << 16
            got = dequantize_blocks(fmt, Blocks([element], [scale], tensor))
            (wanted,) = oracle_blocks.block_values(fmt, [element], scale, tensor)
            assert_same(got, [rounded(wanted)])


def test_special_codes_have_values():
    fmt = parse_format("block:e5m2:size=2:scale=e5m2")
    inf, nan, one, zero, minus = 0x7C, 0x7E, 0x3C, 0x00, 0x80
    elements = [inf, one, zero, minus, zero, one, nan, one, inf | minus, minus]
    blocks = Blocks(elements, [one, inf, nan, one | minus, zero])
    wanted = [
        *(math.inf, 1.0, math.nan, math.nan, math.nan),
        *(math.nan, math.nan, -1.0, math.nan, -0.0),
    ]
    got = dequantize_blocks(fmt, blocks)
    np.testing.assert_array_equal(got, wanted)
    assert np.signbit(got[-1])


# --- Errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "options", "error", "message"),
    [
        ("e2m1", [1.0], {}, TypeError, "a format of blocks must be a BlockFormat (see parse_"),
        ("mxfp4", 1.0, {}, ValueError, "values must have an axis that blocks lie along"),
        ("mxfp4", [1.0], {"axis": 1}, ValueError, "axis must be -1 to 0, not 1"),
        ("mxfp4", [1.0], {"axis": 0.5}, TypeError, "axis must be an integer, not 0.5"),
        ("mxfp4", ["a"], {}, TypeError, "values must be real numbers that float64 holds"),
        ("mxfp4", [2**60 + 1], {}, ValueError, "values must be exact in float64"),
        ("mxfp4", [1.0], {"rounding": "nearest"}, ValueError, "rounding must be one of rne,"),
        ("mxfp4", [1.0], {"rounding": "sr_a"}, ValueError, "random_bits must be given with"),
        ("mxfp4", [1.0], {"random_bits": [1]}, ValueError, "random_bits must be None with"),
        ("block:e2m1:scale=ue5m3", [math.nan], {}, ValueError,
         "values must be finite in mxfp4:scale=ue5m3: ue5m3 has no NaN"),
        ("mxfp4:scale=fp32:rule=mse", [1.0], {}, ValueError,
         "rule mse tries all scales: they must have at most 16 bits, not be of fp32"),
    ],
)  # fmt: skip
def test_wrong_values(name, values, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        quantize_blocks(parse_format(name), values, **options)


ZEROS = np.zeros((4, 40), np.uint8)


@pytest.mark.parametrize(
    ("name", "blocks", "axis", "error", "message"),
    [
        ("mxfp4", ZEROS, None, TypeError, "a must be Blocks (see quantize_blocks), not ndarray"),
        ("mxfp4", (ZEROS,), None, TypeError, "a must be Blocks (see quantize_blocks), not tuple"),
        ("mxfp4", (ZEROS + 16, ZEROS[:, :2]), None, ValueError, "a.elements must be 0 to 15"),
        ("mxfp4", (ZEROS, ZEROS[:, :2] + 0.5), None, TypeError, "a.scales must be integers"),
        ("mxfp4", (np.uint8(0), [0]), None, ValueError, "a.elements must have an axis that blocks"),
        ("mxfp4", (ZEROS, ZEROS[:, :3]), None, ValueError,
         "a.scales must be of the shape (4, 40) of a.elements but for one axis, divided by 32"),
        ("mxfp4", (ZEROS, ZEROS[:, :2]), -2, ValueError,
         "a.scales must be of shape (1, 40) for blocks of 32 along axis 0, not (4, 2)"),
        ("mxfp4", (ZEROS, ZEROS[:, :2], 1.0, 1), None, TypeError, "a must be Blocks"),
        ("dfp4", (ZEROS, ZEROS[:1]), None, ValueError, "a.scales must be of shape (1, 1), not ("),
        ("mxfp4", (ZEROS, ZEROS[:, :2], 2.0), None, ValueError,
         "a.tensor_scale must be 1 with mxfp4, which has none, not 2.0"),
        ("nvfp4", (ZEROS, ZEROS[:, :3], 0.1), None, ValueError,
         "a.tensor_scale must be a value of fp32, not 0.1"),
        ("nvfp4", (ZEROS, ZEROS[:, :3], -1.0), None, ValueError,
         "a.tensor_scale must be positive and finite, not -1.0"),
        ("nvfp4", (ZEROS, ZEROS[:, :3], None), None, TypeError,
         "a.tensor_scale must be a number, not NoneType"),
    ],
)  # fmt: skip
def test_wrong_blocks(name, blocks, axis, error, message):
    with pytest.raises(error, match=re.escape(message)):
        read_blocks(parse_format(name), blocks, "a", axis)


def test_read_blocks_finds_the_axis():
    fmt = parse_format("mxfp4")
    assert read_blocks(fmt, (ZEROS, ZEROS[:, :2])).axis == 1
    assert read_blocks(fmt, (ZEROS, ZEROS[:1])).axis == 0
    assert read_blocks(fmt, (ZEROS, ZEROS[:1]), axis=-2).axis == 0
    assert read_blocks(fmt, (ZEROS[:1, :1], ZEROS[:1, :1]), axis=-1).axis == 1
    assert read_blocks(parse_format("dfp8"), (ZEROS, ZEROS[:1, :1]), axis=-1).axis is None
    same = parse_format("mxfp4:size=1")
    assert_same(dequantize_blocks(same, (ZEROS + 2, ZEROS + 128)), np.full((4, 40), 2.0))


def test_blocks_come_apart():
    elements, scales, tensor = quantize_blocks(parse_format("nvfp4"), np.eye(3), 0)
    assert (elements.shape, scales.shape) == ((3, 3), (1, 3))
    assert tensor == float(np.float32(1 / 2688))
    assert encode(parse_format("fp32"), tensor) == np.float32(tensor).view(np.uint32)
