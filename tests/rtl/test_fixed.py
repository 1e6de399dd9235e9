"""Tests of fixed-point accumulators, with chunks and without, in Amaranth's simulator."""

import itertools
import random

import pytest
from amaranth.hdl import Mux

import oracle
from circuits import run_chains
from minimac.rtl.chunked import ChunkedAccumulator
from minimac.rtl.fixed import FixedAccumulator
from minimac.rtl.kinds import KINDS
from minimac.spec import RoundedAccumulation, load_design
from rtl.test_arrays import Bench
from rtl.test_units import ROUNDINGS, assert_agrees

FP32 = {"kind": "rounded", "format": "fp32"}
OUTERS = {
    "exact": {"kind": "exact", "max_terms": 64},
    "fixed": {"kind": "fixed", "format": "s10.-2", "round": "rne"},
    "float": {"kind": "float", "width": 32, "guard": 1, "round": "rne", "max_terms": 64},
} | ({"rounded": FP32} if RoundedAccumulation in KINDS else {})


def fixed(a, b, fmt, out="fp32", unit="mac", array=None, **accumulate):
    acc = {"kind": "fixed", "format": fmt} | accumulate
    tree = {"name": "unit", "unit": unit, "a": a, "b": b, "out": out, "accumulate": acc}
    return load_design(tree | ({"array": array} if array else {}))


def chunked(n, outer, unit="mac", **changes):
    """Return the accumulator of Das et al., arXiv 1802.00930: chunks of int16 x int16 in int32."""
    return fixed("int16", "int16", "int32", chunk=n, outer=OUTERS[outer], unit=unit, **changes)


def draw_int16(rng, count):
    """Draw codes of integers, some of them at the ends of the range."""
    ends = [0x7FFF, 0x8000, 0x8001, 0, 1, 0xFFFF]
    return [
        rng.choice(ends) if rng.random() < 0.3 else rng.randrange(1 << 16) for _ in range(count)
    ]


@pytest.mark.parametrize("mode", ROUNDINGS)
@pytest.mark.parametrize(
    ("a", "b", "fmt", "overflow"),
    [
        ("int4", "int3", "s3.0", "saturate"),  # products are larger than the format
        ("int4", "uint3", "s4.-2:sym", "saturate"),  # and finer
        ("int4", "int3", "u3.-1", "saturate"),
        ("int4", "int3", "s3.-1", "wrap"),
        ("int4", "int3", "s6.-5", "saturate"),  # all are below an lsb or two
        ("s1.2", "int4", "s-1.5", "saturate"),  # an lsb below that of the products
        ("e2m1", "e2m1", "s3.1", "saturate"),
        ("e2m1", "e2m1", "s2.0:sym", "saturate"),
        ("e2m1", "e2m1", "u2.1", "saturate"),
        ("e2m1", "e2m1", "s2.-1", "wrap"),
        ("e2m1", "e2m1", "s8.-6", "saturate"),
        ("e2m1", "int4", "s-2.5", "wrap"),
    ],
)
def test_all_products_from_either_end(a, b, fmt, overflow, mode, tally):
    design = fixed(a, b, fmt, out=fmt, round=mode, overflow=overflow)
    pairs = list(itertools.product(range(1 << design.a.width), range(1 << design.b.width)))

    def product(pair):
        return oracle.exact(oracle.product(design.a, pair[0], design.b, pair[1]))

    starts = [[], [min(pairs, key=product)], [max(pairs, key=product)]]
    operands = [zip(*start, pair, strict=True) for start in starts for pair in pairs]
    tally("mac in Amaranth", assert_agrees(design, [(*x,) for x in operands], mode))


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize("fmt", ["s3.4", "u8.8", "s20.11", "s12.-4", "s7.8:sym"])
def test_products_far_beyond_the_format(fmt, overflow):
    if overflow == "wrap" and fmt.endswith("sym"):
        overflow = "saturate"
    design = fixed("bf16", "bf16", fmt, overflow=overflow, round="rne")
    codes = [sign | field << 7 | low for field in range(1, 255, 3) for sign, low in
             ((0, 0), (0x8000, 1), (0, 0x7F))]  # fmt: skip
    rng = random.Random(fmt)
    operands = [([code, 0x3F80], [0x3F81, rng.choice(codes)]) for code in codes]
    assert_agrees(design, operands, fmt)


@pytest.mark.parametrize("outer", OUTERS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_chunks_of_integers(n, outer, seed, tally):
    rng = random.Random(f"{seed} {n} {outer}")
    lengths = [1, n, n + 1, 2 * n, 3 * n - 1, 3 * n + 1, *(rng.randint(1, 30) for _ in range(8))]
    operands = [(draw_int16(rng, k), draw_int16(rng, k)) for k in lengths]
    count = assert_agrees(chunked(n, outer), operands, f"seed {seed}")
    tally("mac in Amaranth", count)


@pytest.mark.parametrize("outer", OUTERS)
def test_zeros_at_the_end_change_nothing(outer, seed):
    rng = random.Random(f"{seed} {outer}")
    design = chunked(3, outer)
    a, b = draw_int16(rng, 7), draw_int16(rng, 7)
    padded = [(a + [0] * n, b + [0] * n) for n in range(8)]
    assert set(run_chains(design, padded)) == {oracle.chain(design, a, b)}


@pytest.mark.parametrize("dataflow", ["ws", "os"])
@pytest.mark.parametrize("outer", OUTERS)
def test_chunks_go_on_from_pass_to_pass(outer, dataflow, seed, tally):
    rng = random.Random(f"{seed} {outer} {dataflow}")
    array = {"rows": 2, "columns": 2, "dataflow": dataflow}
    design = chunked(3, outer, "systolic", array=array)
    a, b = ([draw_int16(rng, 8) for _ in range(3)] for _ in range(2))
    (product,) = Bench(design).run([(a, list(zip(*b, strict=True)))])
    assert product == [[oracle.chain(design, x, y) for y in b] for x in a]
    tally("systolic in Amaranth", 9)


@pytest.mark.parametrize("outer", OUTERS)
def test_infinities_in_chunks(outer):
    special = [0x7C, 0xFC, 0x7E]  # of e5m2: infinities and NaN
    acc = {"chunk": 2, "outer": OUTERS[outer]}
    design = fixed("e5m2", "e5m2", "s7.8", **acc)
    operands = []
    for i, j in itertools.combinations(range(5), 2):
        for x, y in itertools.product(special, repeat=2):
            codes = [0x3C] * 5
            codes[i], codes[j] = x, y
            operands.append((codes, [0x3C] * 5))
    assert_agrees(design, operands, outer)


# --- Broken on purpose -------------------------------------------------------------------------


def saturation_off_by_one(monkeypatch):
    """The largest sum is one less than it should be."""
    judge = FixedAccumulator._saturated

    def lower(self, total):
        value, most = judge(self, total), self.fmt.max_lsbs
        return Mux(value == most, most - 1, value)[: self.fmt.width]

    monkeypatch.setattr(FixedAccumulator, "_saturated", lower)


def wrap_instead_of_saturate(monkeypatch):
    """Overflow is not looked at."""
    monkeypatch.setattr(FixedAccumulator, "_saturated", lambda self, total: total[: self.fmt.width])


def large_products_cut_off(monkeypatch):
    """Bits of a product above the format get lost."""
    monkeypatch.setattr(FixedAccumulator, "_limits", False)


def chunk_off_by_one(monkeypatch):
    """A chunk takes one product too many."""
    layout = ChunkedAccumulator.__init__

    def longer(self, *arguments):
        layout(self, *arguments)
        self.chunk += 1

    monkeypatch.setattr(ChunkedAccumulator, "__init__", longer)


def last_chunk_forgotten(monkeypatch):
    """The sum of a last chunk, short or full, is not added."""

    def skip(self, m, state):
        return self.outer, self._split(m, state)[1]

    monkeypatch.setattr(ChunkedAccumulator, "finish", skip)


SATURATING = fixed("int8", "int8", "int16"), [([0x7F] * k, [0x7F] * k) for k in range(1, 6)]
LARGE = fixed("int16", "int16", "s3.0"), [([0x0100], [0x0100]), ([3], [1])]
# The fp32 of these sums differs with the places where chunks end.
GROWING = chunked(3, "float"), [([0x7FFF - k] * 9, [0x7001] * 9) for k in range(8)]
MUTANTS = {
    saturation_off_by_one: SATURATING,
    wrap_instead_of_saturate: SATURATING,
    large_products_cut_off: LARGE,
    chunk_off_by_one: GROWING,
    last_chunk_forgotten: GROWING,
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda f: f.__name__)
def test_mutant_is_caught(mutant, monkeypatch):
    design, operands = MUTANTS[mutant]
    assert_agrees(design, operands, "unbroken")
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match=r"got 0x.*, expected 0x"):
        assert_agrees(design, operands, "broken")
