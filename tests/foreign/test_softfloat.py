"""Fused multiply-adds of ``matmul`` of :mod:`minimac.model` against Berkeley SoftFloat.

Each step of kind ``rounded`` is a fused multiply-add with the state: of two products, ``c * 1`` and
``a * b``, the first leaves ``c`` there. Every bit is compared, but for those of NaN: ours is always
the canonical one.

SoftFloat has five rounding modes. Two of them make the sixth: what is not exact lies between its
rounding down and its rounding up, which are neighbours, and one of two neighbours is odd (infinity
is even, the largest number is odd, and so is the least). It has no bfloat16 either; there its
binary32 stands in, of the same exponents and 16 bits more: a sum that was rounded to odd is never
on a tie of bfloat16 unless it is exact, nor on a number of bfloat16, and so a second rounding, to 8
bits, of whatever mode, is that of the exact sum (S. Boldo and G. Melquiond, "Emulation of a FMA and
correctly rounded sums: proved algorithms using rounding to odd", IEEE TC 57(4), 2008).
"""

import functools
from typing import NamedTuple

import numpy as np
import pytest
import softfloatpy as softfloat
from softfloatpy import RoundingMode

from minimac.model import matmul
from minimac.spec import load_design

MODES = {
    "rne": RoundingMode.NEAR_EVEN,
    "rna": RoundingMode.NEAR_MAX_MAG,
    "truncate": RoundingMode.MIN_MAG,
    "up": RoundingMode.MAX,
    "down": RoundingMode.MIN,
}
ALL_MODES = [*MODES, "odd"]


class Layout(NamedTuple):
    """Fields of a format of IEEE 754, and what SoftFloat calls it."""

    exp_bits: int
    man_bits: int
    theirs: type

    @property
    def bias(self):
        """What an exponent field has in excess."""
        return 2 ** (self.exp_bits - 1) - 1

    @property
    def sign(self):
        """Code of -0: the sign bit."""
        return 1 << self.exp_bits + self.man_bits

    @property
    def infinity(self):
        """Code of infinity."""
        return (2**self.exp_bits - 1) << self.man_bits

    @property
    def nan(self):
        """Code of the canonical NaN."""
        return self.infinity | 1 << self.man_bits - 1

    @property
    def one(self):
        """Code of 1."""
        return self.bias << self.man_bits

    def is_nan(self, codes):
        """Say which codes are NaN."""
        return (codes & (self.sign - 1)) > self.infinity


FORMATS = {
    "fp16": Layout(5, 10, softfloat.Float16),
    "bf16": Layout(8, 7, softfloat.Float32),
    "fp32": Layout(8, 23, softfloat.Float32),
}


# --- Their results -----------------------------------------------------------------------------


@functools.cache
def all_of(name):
    """Return all numbers of a format of 16 bits, as theirs; bfloat16 is the top of binary32."""
    theirs = FORMATS[name].theirs
    zeros = bytes(theirs.size() // 8 - 2)
    return [theirs.from_bytes(code.to_bytes(2, "big") + zeros) for code in range(2**16)]


def as_theirs(name, codes):
    if name != "fp32":
        return map(all_of(name).__getitem__, codes.tolist())
    raw = codes.astype(">u4").tobytes()
    return (softfloat.Float32.from_bytes(raw[at : at + 4]) for at in range(0, len(raw), 4))


def fused_in(mode, name, a, b, c):
    """Return ``a * b + c`` in one of their modes, as codes of theirs."""
    theirs = FORMATS[name].theirs
    operation = softfloat.f16_mul_add if theirs is softfloat.Float16 else softfloat.f32_mul_add
    softfloat.set_rounding_mode(mode)
    operands = (as_theirs(name, part) for part in (a, b, c))
    results = b"".join(map(theirs.to_bytes, map(operation, *operands)))
    return np.frombuffer(results, f">u{theirs.size() // 8}").astype(np.uint32)


def fused_to_odd(name, a, b, c):
    """Return the odd one of the neighbours, or what is exact; a zero of both signs is +0."""
    low, high = (fused_in(mode, name, a, b, c) for mode in (RoundingMode.MIN, RoundingMode.MAX))
    return np.where(low & 1, low, high)


def to_bfloat16(codes, mode):
    """Round binary32 to bfloat16; what is NaN stays so."""
    minus = codes >> 31 == 1
    kept, rest = codes >> 16, codes & 0xFFFF
    goes_on = {
        "rne": (rest > 0x8000) | ((rest == 0x8000) & (kept & 1 == 1)),
        "rna": rest >= 0x8000,
        "truncate": np.zeros(codes.shape, bool),
        "up": (rest > 0) & ~minus,
        "down": (rest > 0) & minus,
        "odd": (rest > 0) & (kept & 1 == 0),
    }[mode]
    # The next magnitude has the next code, infinity among them.
    return np.where(FORMATS["fp32"].is_nan(codes), 0x7FC0, kept + goes_on)


def fused(name, mode, a, b, c):
    """Return the codes of ``a * b + c``, NaN as the canonical one."""
    if name == "bf16":
        odd = fused_to_odd(name, a, b, c)
        if mode == "down":  # a zero that is exact has another sign in this mode
            is_zero = odd << 1 & 0xFFFFFFFF == 0
            odd[is_zero] = fused_in(RoundingMode.MIN, name, *(x[is_zero] for x in (a, b, c)))
        codes = to_bfloat16(odd, mode)
    elif mode == "odd":
        codes = fused_to_odd(name, a, b, c)
    else:
        codes = fused_in(MODES[mode], name, a, b, c)
    return np.where(FORMATS[name].is_nan(codes), FORMATS[name].nan, codes)


@pytest.mark.parametrize("mode", MODES)
def test_rounding_to_bfloat16_agrees_with_softfloat(mode, tally):
    """All upper halves, with the lower halves at which something changes."""
    low = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
    codes = (np.arange(2**16)[:, None] << 16 | low).ravel()[:: 1 if mode == "rne" else 5]
    softfloat.set_rounding_mode(MODES[mode])
    theirs = map(softfloat.f32_to_bf16, as_theirs("fp32", codes))
    theirs = np.frombuffer(b"".join(map(softfloat.BFloat16.to_bytes, theirs)), ">u2")
    nan = FORMATS["bf16"].is_nan(theirs)
    np.testing.assert_array_equal(nan, FORMATS["fp32"].is_nan(codes))
    np.testing.assert_array_equal(to_bfloat16(codes, mode)[~nan], theirs[~nan])


# --- Operands ----------------------------------------------------------------------------------


def draw(name, rng, size):
    """Draw codes of ``a``, ``b`` and ``c`` for as many sums.

    A fifth of them each: any codes; sums of like magnitude; the same with few bits, which make
    ties; sums that cancel; products at the ends of the range.
    """
    layout = FORMATS[name]
    top = 2**layout.exp_bits - 2  # of exponent fields of numbers
    sort = rng.integers(5, size=size)
    ends = [-layout.man_bits, 0, top - layout.man_bits - 1, top]
    ends = rng.choice(ends, size) + rng.integers(-3, 4, size)
    goal = np.where(sort == 4, ends, rng.integers(top + 1, size=size))
    field_b = rng.integers(1, top + 1, size=size)
    field_a = goal + layout.bias - field_b
    field_c = goal + rng.integers(-layout.man_bits - 3, layout.man_bits + 4, size=size)
    is_short = (sort == 2) | ((sort == 3) & (rng.random(size) < 0.5))
    codes = []
    for field in (field_a, field_b, field_c):
        mantissa = rng.integers(2**layout.man_bits, size=size)
        few = rng.integers(layout.man_bits + 1, size=size)
        mantissa = np.where(is_short, mantissa >> few << few, mantissa)
        sign = rng.integers(2, size=size) * layout.sign
        code = sign | field.clip(0, top) << layout.man_bits | mantissa
        codes.append(np.where(sort == 0, rng.integers(2 * layout.sign, size=size), code))
    a, b, c = codes
    near = nearest_code(name, as_doubles(name, a) * as_doubles(name, b)) ^ layout.sign
    near = near + rng.integers(-3, 4, size=size) & 2 * layout.sign - 1
    c = np.where(sort == 3, near, c)
    least_normal = 1 << layout.man_bits
    edges = np.array([0, least_normal - 1, least_normal, layout.infinity - 1])
    edge = rng.choice(edges, size) | rng.integers(2, size=size) * layout.sign
    c = np.where((sort == 4) & (rng.random(size) < 0.6), edge, c)
    corners = np.array([*edges, 1, layout.one, layout.infinity, layout.nan])
    for part in (a, b, c):
        chosen = rng.random(size) < 0.02
        sign = rng.integers(2, size=size) * layout.sign
        part[:] = np.where(chosen, rng.choice(corners, size) | sign, part)
    return a, b, c


def as_doubles(name, codes):
    """Return values as float64, NaN and infinities as zero."""
    if name == "fp16":
        values = codes.astype(np.uint16).view(np.float16)
    else:
        values = (codes << (16 if name == "bf16" else 0)).astype(np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def nearest_code(name, values):
    """Return the code of a number near a value."""
    with np.errstate(over="ignore", under="ignore"):
        if name == "fp16":
            return values.astype(np.float16).view(np.uint16).astype(np.int64)
        codes = values.astype(np.float32).view(np.uint32).astype(np.int64)
    return codes >> 16 if name == "bf16" else codes


def test_operands_reach_all_there_is(seed):
    """Ties, cancellation, both ends of the range and both zeros, in every format."""
    for name, layout in FORMATS.items():
        a, b, c = draw(name, np.random.default_rng(seed), 20_000)
        of = {mode: fused(name, mode, a, b, c) for mode in ALL_MODES}
        magnitudes = {mode: codes & layout.sign - 1 for mode, codes in of.items()}
        least_normal = 1 << layout.man_bits
        inexact = of["up"] != of["down"]
        size = np.maximum(
            np.abs(as_doubles(name, a) * as_doubles(name, b)), np.abs(as_doubles(name, c))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            left = np.abs(as_doubles(name, of["rne"])) / size
        found = {
            "tie": of["rne"] != of["rna"],
            "inexact": inexact,
            "cancelled": (left < 1e-2) & (left > 0),
            "nan": magnitudes["rne"] == layout.nan,
            "infinite": magnitudes["rne"] == layout.infinity,
            "overflow": inexact & (magnitudes["rne"] == layout.infinity),
            "subnormal": (magnitudes["rne"] > 0) & (magnitudes["rne"] < least_normal),
            "least normal by rounding": (magnitudes["up"] == least_normal) & inexact,
            "barely finite": (of["rne"] == layout.infinity - 1) & inexact,
            "+0": of["rne"] == 0,
            "-0": of["rne"] == layout.sign,
            "-0 by cancellation": (of["down"] == layout.sign) & (of["rne"] == 0),
        }
        rare = {what: int(where.sum()) for what, where in found.items() if where.sum() < 5}
        assert not rare, f"{name}, seed {seed}"


# --- Comparisons -------------------------------------------------------------------------------


def design(operands, state, mode):
    """Return a chain of fused multiply-adds whose state is the result as it is."""
    acc = {"kind": "rounded", "format": state, "round": mode}
    tree = {"name": "fma", "unit": "mac", "a": operands, "b": operands, "out": state}
    return load_design(tree | {"accumulate": acc, "out_overflow": "infinity"})


def assert_same(got, wanted, seed, **operands):
    wrong = np.flatnonzero(got.ravel() != wanted.ravel())
    if wrong.size:
        at = {
            key: [hex(x) for x in part.reshape(wanted.size, -1)[wrong[0]]]
            for key, part in operands.items()
        }
        raise AssertionError(
            f"seed {seed}: {wrong.size} of {wanted.size} differ, such as {at}: "
            f"{int(got.ravel()[wrong[0]]):#x}, theirs {int(wanted.ravel()[wrong[0]]):#x}"
        )


def after_zero(name, mode, c):
    """Return the state that ``c * 1`` leaves: +0, from the start, takes in -0, but for ``down``."""
    return np.where((c == FORMATS[name].sign) & (mode != "down"), 0, c)


def assert_fused(name, mode, rng, size, seed):
    spec, one = design(name, name, mode), FORMATS[name].one
    a, b, c = draw(name, rng, size)
    left = np.stack([c, a], axis=-1)[:, None, :]
    right = np.stack([np.full(size, one), b], axis=-1)[:, :, None]
    got = matmul(spec, left, right)
    assert_same(got, fused(name, mode, a, b, after_zero(name, mode, c)), seed, a=a, b=b, c=c)


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize("name", FORMATS)
def test_fused_multiply_add(name, mode, seed, pytestconfig, tally):
    """Twenty thousand each; with --exhaustive ten million, and of fp32 one million."""
    rng = np.random.default_rng([seed, *f"{name} {mode}".encode()])
    rounds, size = (10 if name != "fp32" else 1, 1_000_000)
    if not pytestconfig.option.exhaustive:
        rounds, size = 1, 20_000
    for _ in range(rounds):
        assert_fused(name, mode, rng, size, seed)
        tally(f"SoftFloat, fused multiply-adds, {name} {mode}", size)


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize("name", FORMATS)
def test_rows_times_columns(name, mode, seed, tally):
    """The same for outputs that stand side by side in a row: ``a[i] * b[j] + c[i]``."""
    rng = np.random.default_rng(seed)
    a, b, c = draw(name, rng, 60)
    left, right = np.stack([c, a], axis=-1), np.stack([np.full(60, FORMATS[name].one), b])
    got = matmul(design(name, name, mode), left, right)
    a, b, c = (part.ravel() for part in np.broadcast_arrays(a[:, None], b, c[:, None]))
    assert_same(got, fused(name, mode, a, b, after_zero(name, mode, c)), seed, a=a, b=b, c=c)
    tally("SoftFloat, fused multiply-adds, rows times columns", got.size)


def widened(operands, state, codes):
    """Return codes of the same values in the format of the state."""
    if (operands, state) == ("fp16", "fp32"):
        wide = map(softfloat.f16_to_f32, as_theirs("fp16", codes.ravel()))
        wide = np.frombuffer(b"".join(map(softfloat.Float32.to_bytes, wide)), ">u4")
        return wide.astype(np.uint32).reshape(codes.shape)
    return codes << {("e5m2", "fp16"): 8, ("bf16", "fp32"): 16}.get((operands, state), 0)


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize(
    ("operands", "state"),
    [
        ("fp16", "fp16"),
        ("bf16", "bf16"),
        ("fp32", "fp32"),
        ("e5m2", "fp16"),
        ("fp16", "fp32"),
        ("bf16", "fp32"),
    ],
)
def test_chains(operands, state, mode, seed, pytestconfig, tally):
    """Sums of twelve products: each state is the one before, with all that it may have become."""
    rng = np.random.default_rng(seed)
    chains, terms = (10_000 if pytestconfig.option.exhaustive else 400), 12
    drawn = "fp16" if operands == "e5m2" else operands
    triples = [draw(drawn, rng, chains) for _ in range(terms)]
    a, b = (np.stack([triple[i] for triple in triples], axis=-1) for i in (0, 1))
    layout = FORMATS[drawn]
    for part in (a, b):  # a NaN ends a chain, so most of them go without
        some = rng.random(chains)[:, None] < 0.9
        part[(part & layout.infinity == layout.infinity) & some] = layout.one
    # Every other product is almost the negative of the one before.
    last = 0x100 if operands == "e5m2" else 1
    a[:, 1::2], b[:, 1::2] = a[:, ::2] ^ layout.sign, b[:, ::2] ^ last
    if operands == "e5m2":
        a, b = a >> 8, b >> 8
    got = matmul(design(operands, state, mode), a[:, None, :], b[:, :, None])
    total = np.zeros(chains, np.int64)
    for k in range(terms):
        x, y = (widened(operands, state, part[:, k]) for part in (a, b))
        total = fused(state, mode, x, y, total)
    assert_same(got, total, seed, a=a, b=b)
    finite = total & FORMATS[state].infinity < FORMATS[state].infinity
    assert finite.mean() > 0.3
    assert len(np.unique(total)) > chains / 10
    tally("SoftFloat, fused multiply-adds, in chains of twelve", chains * terms)
