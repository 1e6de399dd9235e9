"""Chains of ``matmul`` of :mod:`minimac.model`, and conversions, against APyTypes.

Under an accumulator context APyTypes (0.5.1) rounds each product to the accumulator's format and
then, once more, each sum. Its formats are like those of IEEE 754, or two's complement.

Comparable are

* kind ``rounded``, where the accumulator holds every product: then only sums are rounded;
* kind ``float`` with exact normalisation, a sticky bit and as many guard bits as a product has
  bits: then nothing is lost that decides, and the sum is the exact one, rounded to ``width`` bits;
* kind ``fixed`` that wraps: that of a product and that of the sum are one;
* kind ``exact``, and what becomes of the sum at the foot;
* ``convert`` to fewer mantissa bits (else theirs makes other numbers of subnormal ones).

Not comparable are products that are rounded as well (a fused multiply-add rounds once), fixed-point
accumulators that saturate (theirs saturates products, and lets the sum wrap), formats without
infinities or with ``ftz``, kind ``fused``, and stochastic modes (theirs draws its own bits).
"""

import apytypes
import numpy as np
import pytest
from apytypes import APyFixedArray, APyFloatArray, OverflowMode, QuantizationMode

import oracle
from minimac.model import convert, encode, matmul
from minimac.spec import load_design, parse_format

FLAT = {"name": "m", "unit": "mac"}
MODES = {
    "rne": QuantizationMode.TIES_EVEN,
    "rna": QuantizationMode.TIES_AWAY,
    "truncate": QuantizationMode.TO_ZERO,
    "up": QuantizationMode.TO_POS,
    "down": QuantizationMode.TO_NEG,
    "odd": QuantizationMode.JAM_UNBIASED,
}


def sizes(fmt):
    """Return the fields of a minifloat format, as they name them."""
    return {"exp_bits": fmt.exp_bits, "man_bits": fmt.man_bits, "bias": fmt.bias}


def as_theirs(fmt, codes):
    return APyFloatArray.from_bits(codes.tolist(), **sizes(fmt))


def codes_of(fmt, array):
    """Return codes of theirs, NaN as the canonical one."""
    codes = np.array(array.to_bits(), np.int64)
    magnitudes = codes % 2 ** (fmt.exp_bits + fmt.man_bits)
    nan = magnitudes > (2**fmt.exp_bits - 1) * 2**fmt.man_bits
    return np.where(nan, oracle.canonical_nan(fmt), codes)


def draw(fmt, rng, shape):
    """Draw numbers of like size, a few of any size, and now and then any code."""
    values = rng.standard_normal(shape) * 2.0 ** rng.choice([0, 0, 0, 3, -3], shape)
    codes = encode(fmt, values).astype(np.int64)
    codes = np.where(rng.random(shape) < 0.1, rng.integers(2**fmt.width, size=shape), codes)
    special = oracle.infinity(fmt, False)
    if special is not None:  # in a few rows and columns only
        clean = rng.random(shape[:1] + (1,) * (len(shape) - 1)) < 0.9
        found = codes % 2 ** (fmt.width - 1) >= special
        codes = np.where(clean & found, 1, codes)
    return codes


# --- Floating point ----------------------------------------------------------------------------

HELD = [  # operands, and an accumulator that holds their products
    ("e4m3ieee", "e4m3ieee", "e6m9ieee"),
    ("e4m3ieee", "e4m3ieee", "e5m7ieee"),  # whose largest is not twice the largest product
    ("e5m2", "e5m2", "e6m5ieee"),
    ("e3m2ieee", "e3m2ieee", "e4m5ieee"),
    ("e4m3ieee", "e5m2", "e6m8ieee"),
    ("e4m3ieee:bias=9", "e3m4ieee", "e6m10ieee:bias=33"),
    ("e5m2", "e5m2", "fp32"),
    ("e4m3ieee", "e4m3ieee", "bf16"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("a", "b", "state"), HELD)
def test_rounded_chains(a, b, state, mode, seed, pytestconfig, tally):
    acc = {"kind": "rounded", "format": state, "round": mode}
    tree = {"a": a, "b": b, "out": state, "accumulate": acc, "out_overflow": "infinity"}
    spec = load_design(FLAT | tree)
    rng = np.random.default_rng(seed)
    m, k, n = (200, 64, 200) if pytestconfig.option.exhaustive else (24, 16, 20)
    x, y = draw(spec.a, rng, (m, k)), draw(spec.b, rng, (k, n))
    x[: m // 4] = oracle.largest(spec.a, False)  # some sums that overflow, with either sign
    y[:, : n // 4] = np.where(rng.random((k, n // 4)) < 0.9, oracle.largest(spec.b, True), 1)
    with apytypes.APyFloatAccumulatorContext(**sizes(spec.out), quantization=MODES[mode]):
        theirs = codes_of(spec.out, as_theirs(spec.a, x) @ as_theirs(spec.b, y))
    np.testing.assert_array_equal(matmul(spec, x, y), theirs)
    assert len(np.unique(theirs)) > 40
    tally("APyTypes, rounded chains", theirs.size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [8, 11, 16, 24])
def test_float_chains(width, mode, seed, pytestconfig, tally):
    acc = {"kind": "float", "width": width, "guard": 16, "sticky": True, "round": mode}
    tree = {"a": "e4m3ieee", "b": "e4m3ieee", "out": "fp32", "accumulate": acc}
    spec = load_design(FLAT | tree)
    rng = np.random.default_rng(seed)
    m, k, n = (200, 64, 200) if pytestconfig.option.exhaustive else (24, 16, 20)
    x, y = (draw(spec.a, rng, shape) for shape in ((m, k), (k, n)))
    context = {"exp_bits": 10, "man_bits": width - 1, "quantization": MODES[mode]}
    with apytypes.APyFloatAccumulatorContext(**context):
        theirs = as_theirs(spec.a, x) @ as_theirs(spec.b, y)
    theirs = codes_of(spec.out, theirs.cast(8, 23))  # which is exact
    theirs = np.where(theirs == 2**31, 0, theirs)  # a sum that is zero is +0
    np.testing.assert_array_equal(matmul(spec, x, y), theirs)
    assert len(np.unique(theirs)) > 100
    tally("APyTypes, float chains", theirs.size)


SOURCES = ["e5m2", "e3m4ieee", "bf16", "fp16", "tf32", "fp32"]
TARGETS = [
    "e4m3ieee", "e5m2", "e3m4ieee", "e2m5ieee", "e2m1ieee", "e6m1ieee", "e6m9ieee", "e8m3ieee",
    "e4m3ieee:bias=9", "e5m2:bias=3", "bf16", "fp16", "tf32",
]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dst", TARGETS)
def test_conversions(dst, mode, seed, pytestconfig, tally):
    """Of all codes, or of a sample."""
    to, rng = parse_format(dst), np.random.default_rng(seed)
    for fmt in map(parse_format, SOURCES):
        if fmt.man_bits <= to.man_bits:
            continue
        most = 2**19 if pytestconfig.option.exhaustive else 2**12
        codes = (
            np.arange(2**fmt.width)
            if 2**fmt.width <= most
            else rng.integers(2**fmt.width, size=most)
        )
        theirs = as_theirs(fmt, codes).cast(**sizes(to), quantization=MODES[mode])
        got = convert(fmt, to, codes, mode, "infinity")
        np.testing.assert_array_equal(got, codes_of(to, theirs), err_msg=f"{fmt.name}, seed {seed}")
        tally("APyTypes, conversions", codes.size)


# --- Fixed point -------------------------------------------------------------------------------


def fixed(fmt, codes):
    """Return codes in two's complement as an array of theirs."""
    return APyFixedArray(codes.tolist(), **bits_of(fmt))


def bits_of(fmt):
    return {"bits": fmt.width, "frac_bits": fmt.frac_bits}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("a", "b", "acc"),
    [
        ("int8", "int8", "int32"),
        ("int8", "int8", "int12"),
        ("s3.4", "s0.7", "s5.6"),
        ("s3.4", "s0.7", "s5.-1"),
        ("int16", "s1.14", "s9.6"),
        ("s2.13", "s2.13", "s7.16"),
    ],
)
def test_fixed_chains_that_wrap(a, b, acc, mode, seed, tally):
    kind = {"kind": "fixed", "format": acc, "round": mode, "overflow": "wrap"}
    tree = {"a": a, "b": b, "out": acc, "accumulate": kind}
    spec = load_design(FLAT | tree)
    rng = np.random.default_rng(seed)
    x, y = (
        rng.integers(2**fmt.width, size=shape)
        for fmt, shape in ((spec.a, (40, 30)), (spec.b, (30, 50)))
    )
    context = bits_of(spec.out) | {"quantization": MODES[mode], "overflow": OverflowMode.WRAP}
    with apytypes.APyFixedAccumulatorContext(**context):
        theirs = np.array((fixed(spec.a, x) @ fixed(spec.b, y)).to_bits())
    np.testing.assert_array_equal(matmul(spec, x, y), theirs)
    assert len(np.unique(theirs)) > 30
    tally("APyTypes, fixed and exact chains", theirs.size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize("out", ["int8", "s9.4", "s5.6", "s12.-3", "int32", "s2.13"])
def test_exact_chains_and_the_foot(out, overflow, mode, seed, tally):
    tree = {"a": "s3.4", "b": "s4.11", "out": out, "accumulate": {"kind": "exact"}}
    spec = load_design(FLAT | tree | {"out_round": mode, "out_overflow": overflow})
    rng = np.random.default_rng(seed)
    x, y = rng.integers(2**8, size=(40, 30)), rng.integers(2**16, size=(30, 50))
    x[:, 3:] *= rng.integers(2, size=(40, 1))  # some short sums as well
    rule = {"saturate": OverflowMode.SAT, "wrap": OverflowMode.WRAP}[overflow]
    theirs = fixed(spec.a, x) @ fixed(spec.b, y)
    theirs = theirs.cast(**bits_of(spec.out), quantization=MODES[mode], overflow=rule)
    np.testing.assert_array_equal(matmul(spec, x, y), np.array(theirs.to_bits()))
    tally("APyTypes, fixed and exact chains", x.shape[0] * y.shape[1])
