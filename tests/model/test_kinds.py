"""Tests of every kind of accumulation of ``matmul`` of :mod:`minimac.model`, against the oracle."""

import collections
import itertools
import json
import random
from fractions import Fraction

import numpy as np
import pytest

import chains
import oracle
from chains import KINDS, PRODUCTS, Codes, assert_agrees, draw_design, draw_operands
from minimac.model import decode, encode, matmul
from minimac.spec import load_design, parse_format
from oracle import Special, State, Term

FLAT = {"name": "m", "unit": "mac"}
SHAPES = [(2, 4), (2, 4), (1, 1), (3, 17), (20, 2)]  # both ways of laying chains side by side
TERMS = [1, 2, 3, 5, 8, 13, 21]
STEADY = ["rne", "rna", "truncate", "up", "down", "odd"]


# --- Random designs ----------------------------------------------------------------------------


def draw_case(key, kind):
    """Draw a design, operands and random bits, all by one key."""
    rng = random.Random(key)
    product = rng.choice(["exact"] * 3 + PRODUCTS)
    tree = draw_design(rng, kind, product)
    rows, columns = rng.choice(SHAPES)
    spec = load_design(tree)
    operands = draw_operands(rng, spec, rows, rng.choice(TERMS), columns)
    return tree, operands, chains.draw_random_bits(rng, spec, (rows, columns))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("group", range(4))
def test_random_designs(kind, group, seed, pytestconfig, tally):
    """As many designs of each kind with each kind of product as there is time for."""
    cases = 1000 if pytestconfig.option.exhaustive else 25
    for case in range(cases):
        key = f"seed {seed}, {kind}, group {group}, case {case}"
        tree, operands, bits = draw_case(key, kind)
        tally(f"random designs, {kind}", assert_agrees(tree, *operands, key, bits))


def total_and_result(key, kind):
    """Return the sum that the first chain of a case ends in, by the oracle, and what it becomes."""
    tree, (a, b), bits = draw_case(key, kind)
    spec = load_design(tree)
    first = a.elements[0], b.elements[0]
    pairs = zip(*first, strict=True)
    products = [oracle.product(spec.a, x, spec.b, y, str(spec.product)) for x, y in pairs]
    drawn = None if bits is None else (int(bits[0][0, 0]), bits[1])
    total = oracle.total_of(spec.accumulate, products)
    return products, total, oracle.value(spec.out, oracle.chain(spec, *first, drawn))


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_varied(kind, seed):
    """The random test would be worth little if its chains ended in few different results."""
    seen, totals, results = collections.Counter(), set(), set()
    for case in range(300):
        products, total, result = total_and_result(f"varied {seed} {case}", kind)
        totals.add(total)
        results.add(result)
        for number, what in ((total, "total"), (result, "result")):
            seen[what, number if isinstance(number, Special) else number == 0] += 1
        overflowed = total in oracle.INFINITIES and not any(map(chains.is_special, products))
        seen["overflow of the accumulator"] += overflowed
    wanted = {("total", part) for part in (True, False, Special.NAN, *oracle.INFINITIES)}
    wanted |= {("result", part) for part in (True, False, Special.NAN, *oracle.INFINITIES)}
    if kind == "rounded":
        wanted.add(("total", Special.MINUS_ZERO))
    if kind in ("rounded", "fused"):
        wanted.add("overflow of the accumulator")
    assert not wanted - {what for what, count in seen.items() if count}
    assert len(totals) > 60
    assert len(results) > 60


# --- Exhaustive where it closes ----------------------------------------------------------------


def assert_all_chains(fmt, acc, terms, tally, out="fp32", **fields):
    """Compare all chains of ``terms`` products, of which the oracle sums each sort once."""
    tree = FLAT | {"a": fmt, "b": fmt, "out": out, "accumulate": acc} | fields
    spec = load_design(tree)
    codes = range(2 ** oracle.code_bits(spec.a))
    sorts, of = {}, np.empty((len(codes), len(codes)), int)
    for x, y in np.ndindex(of.shape):
        term = oracle.product(spec.a, x, spec.b, y)
        of[x, y] = sorts.setdefault(term, (len(sorts), (x, y)))[0]
    pairs = [pair for _, pair in sorts.values()]
    wanted = np.empty([len(pairs)] * terms, np.int64)
    for at in np.ndindex(wanted.shape):
        wanted[at] = oracle.chain(spec, *zip(*[pairs[i] for i in at], strict=True))
    rows = np.array(list(itertools.product(codes, repeat=terms)))
    sorts_of = tuple(of[rows[:, None, k], rows[None, :, k]] for k in range(terms))
    got = matmul(spec, rows, rows.T).astype(np.int64)
    wrong = np.argwhere(got != wanted[sorts_of])
    assert got.size == len(codes) ** (2 * terms)
    assert not wrong.size, (
        f"{len(wrong)} of {got.size} chains of {json.dumps(tree)}, such as "
        f"a = {rows[wrong[0][0]].tolist()}, b = {rows[wrong[0][1]].tolist()}"
    )
    tally(f"all chains of {terms}", got.size)


def float_kind(fmt, more=0, **fields):
    width = 2 * oracle.operand(parse_format(fmt), 0).width
    return {"kind": "float", "width": width + more} | fields


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"normalize": "none"},
        {"normalize": "approx(1,1)"},
        {"normalize": "approx(1,2)", "guard": 1, "round": "rne"},
        {"normalize": "approx(2,2)", "sticky": True, "round": "rna"},
        {"guard": 3, "sticky": True, "round": "rne", "more": 1},
        {"guard": 1, "sticky": True, "round": "up"},
        {"normalize": "none", "guard": 1, "round": "down", "more": 2},
        {"sticky": True, "round": "odd"},
    ],
    ids=lambda fields: " ".join(map(str, fields.values())),
)
def test_all_chains_of_two_e2m1(fields, tally):
    assert_all_chains("e2m1", float_kind("e2m1", **fields), 2, tally)


@pytest.mark.parametrize(
    "fmt", ["e1m1", "e2m0", "int3", "e1m1fn", "e1m1p3109", "s1.1", "ue2m1p3109"]
)
@pytest.mark.parametrize(
    "fields",
    [
        {"normalize": "approx(1,1)"},
        {"guard": 1, "sticky": True, "round": "rne"},
        {"normalize": "none", "sticky": True, "round": "up"},
    ],
    ids=lambda fields: " ".join(map(str, fields.values())),
)
def test_all_chains_of_three_3_bit_numbers(fmt, fields, tally):
    assert_all_chains(fmt, float_kind(fmt, **fields), 3, tally)


@pytest.mark.parametrize("out", ["e2m1", "int4", "e3m2ieee", "ue2m2"])
def test_all_exact_chains_of_two_e2m1(out, tally):
    assert_all_chains("e2m1", {"kind": "exact"}, 2, tally, out)


@pytest.mark.parametrize("mode", STEADY)
@pytest.mark.parametrize("state", ["e2m1", "e2m1ieee", "e1m2fn", "e3m1fnuz", "e2m2p3109"])
def test_all_rounded_chains_of_two(state, mode, tally):
    acc = {"kind": "rounded", "format": state, "round": mode}
    assert_all_chains("e2m1ieee", acc, 2, tally, "e2m1ieee", out_overflow="infinity")


@pytest.mark.parametrize("mode", STEADY)
@pytest.mark.parametrize(
    ("group", "frac_bits", "sticky"), [(1, 1, False), (2, 0, True), (2, 2, False)]
)
def test_all_fused_chains_of_two(group, frac_bits, sticky, mode, tally):
    acc = {"kind": "fused", "group": group, "frac_bits": frac_bits, "sticky": sticky}
    acc |= {"format": "e2m2ieee", "round": mode}
    assert_all_chains("e2m1ieee", acc, 2, tally, "e2m2ieee", out_overflow="infinity")


@pytest.mark.parametrize("mode", STEADY)
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_all_fixed_chains_of_two(overflow, mode, tally):
    acc = {"kind": "fixed", "format": "s2.0", "round": mode, "overflow": overflow}
    assert_all_chains("e2m1", acc, 2, tally, "s3.0")


# --- Chains by hand ----------------------------------------------------------------------------
# What is wanted was worked out from the design, and is held against the oracle as well.

INF, NAN = float("inf"), float("nan")
BIG = 255 * 2.0**120  # the largest bf16
TINY = 2.0**-133  # the least


def total(acc, *terms, a="bf16", b="bf16", out="fp32", **fields):
    """Return the value of a chain of terms: pairs of factors, or factors of 1; in text."""
    tree = FLAT | {"a": a, "b": b, "out": out, "accumulate": acc} | fields
    spec = load_design(tree)
    pairs = [term if isinstance(term, tuple) else (term, 1.0) for term in terms]
    codes = []
    for fmt, values in zip((spec.a, spec.b), zip(*pairs, strict=True), strict=True):
        codes.append(encode(fmt, values))
        assert repr(decode(fmt, codes[-1]).tolist()) == repr(list(map(float, values)))
    assert_agrees(tree, *(Codes([row.tolist()]) for row in codes), "by hand")
    code = matmul(spec, codes[0][None, :], codes[1][:, None])
    return repr(float(decode(spec.out, code)[0, 0]))


def in_each_mode(acc, *terms, **fields):
    """Return the value of a chain in each mode of the accumulator."""
    return [total(acc | {"round": mode}, *terms, **fields) for mode in STEADY]


def texts(*numbers):
    return [repr(float(number)) for number in numbers]


EXACT = {"kind": "exact"}
TERMS_AND_SUMS = [
    ([NAN], NAN),
    ([(INF, 0.0)], NAN),
    ([(INF, -0.0)], NAN),
    ([INF, -INF], NAN),
    ([INF, (INF, -1.0)], NAN),
    ([INF, INF], INF),
    ([-INF, BIG], -INF),
    ([(-INF, -INF), -BIG], INF),
    ([NAN, INF, -INF], NAN),
    ([1.0, INF, 0.0, -3.0], INF),
    ([-0.0, -0.0], 0.0),  # a sum that is zero is +0
    ([1.0, -1.0], 0.0),
    ([1.0, 2.0, 3.0], 6.0),
    ([(-2.0, 3.0), 7.0], 1.0),
]


@pytest.mark.parametrize(
    "acc",
    [
        EXACT,
        {"kind": "fixed", "format": "s15.16"},
        {"kind": "fixed", "format": "s15.16", "chunk": 2, "outer": EXACT},
        {"kind": "float", "width": 16},
        {"kind": "float", "width": 24, "guard": 2, "sticky": True, "round": "down"},
        {"kind": "rounded", "format": "bf16"},
        {"kind": "rounded", "format": "e4m3fn"},  # infinities of operands are kept all the same
        {"kind": "fused", "group": 2, "frac_bits": 25},
        {"kind": "fused", "group": 16, "frac_bits": 25, "round": "down"},
    ],
    ids=lambda acc: acc["kind"],
)
@pytest.mark.parametrize(("terms", "wanted"), TERMS_AND_SUMS)
def test_special_values_of_every_kind(acc, terms, wanted):
    assert [total(acc, *terms, out="bf16")] == texts(wanted)


def test_nan_is_canonical():
    spec = load_design(FLAT | {"a": "bf16", "b": "bf16", "out": "bf16", "accumulate": EXACT})
    for code in (0x7F81, 0x7FFF, 0xFF81, 0xFFC0, 0xFFFF):
        assert matmul(spec, [[code]], [[0x3F80]]) == 0x7FC0


def test_flushed_subnormal_times_infinity_is_nan():
    tree = FLAT | {"a": "bf16:ftz", "b": "bf16", "out": "bf16", "accumulate": EXACT}
    spec = load_design(tree)
    assert matmul(spec, [[0x0001]], [[0x7F80]]) == 0x7FC0
    assert matmul(spec, [[0x0080]], [[0x7F80]]) == 0x7F80


def test_exact_sums_lose_nothing():
    assert [total(EXACT, BIG, TINY, -BIG)] == texts(TINY)
    assert [total(EXACT, (BIG, BIG), (TINY, TINY), (-BIG, BIG), 1.5)] == texts(1.5)
    # 257 is a tie of bf16, which the least there is decides.
    assert [total(EXACT, 256.0, 1.0, out="bf16")] == texts(256)
    assert [total(EXACT, 256.0, 1.0, (TINY, TINY), out="bf16")] == texts(258)
    assert [total(EXACT, 256.0, 1.0, (-TINY, TINY), out="bf16")] == texts(256)


def test_a_zero_sum_is_positive_also_where_rounding_goes_down():
    assert [total(EXACT, 1.0, -1.0, out_round="down")] == texts(0)
    assert [total(EXACT, (-TINY, TINY), out="bf16")] == texts(-0.0)  # not zero until rounded


@pytest.mark.parametrize(
    ("term", "sums"),  # of four, in units: rne, rna, truncate, up, down, odd
    [
        (0.5, [0, 4, 0, 4, 0, 4]),
        (-0.5, [0, -4, 0, 0, -4, -4]),
        (1.5, [8, 8, 4, 8, 4, 4]),
        (-1.5, [-8, -8, -4, -4, -8, -4]),
        (1.25, [4, 4, 4, 8, 4, 4]),
        (2.5, [8, 12, 8, 12, 8, 12]),
        (TINY, [0, 0, 0, 4, 0, 4]),
        (-TINY, [0, 0, 0, 0, -4, -4]),
        (3.0, [12] * 6),
    ],
)
def test_fixed_rounds_every_product(term, sums):
    got = in_each_mode({"kind": "fixed", "format": "int8"}, *[term] * 4)
    assert got == texts(*sums)


@pytest.mark.parametrize(
    ("fmt", "terms", "saturated", "wrapped"),
    [
        ("int8", [100.0, 100.0, -100.0], 27, 100),  # step by step, not at the end
        ("int8", [-100.0, -100.0, 100.0], -28, -100),
        ("int8", [100.0, 100.0], 127, -56),
        ("int8", [(300.0 - 44, 256.0), 5.0], 127, 5),
        ("int8", [(BIG, BIG), -1.0], 126, -1),
        ("int8", [(BIG, -BIG), 1.0], -127, 1),
        ("uint8", [5.0, -10.0, 10.0], 10, 5),
        ("uint8", [200.0, 100.0], 255, 44),
        ("s1.2", [1.75, 0.25, 0.25], 1.75, -1.75),
        ("s-2.4", [0.1875, 0.0625, 0.0625], 0.1875, -0.1875),
    ],
)
def test_fixed_overflows_in_every_step(fmt, terms, saturated, wrapped):
    got = [
        total({"kind": "fixed", "format": fmt, "overflow": rule}, *terms)
        for rule in ("saturate", "wrap")
    ]
    assert got == texts(saturated, wrapped)


def test_fixed_and_symmetric_saturates_at_both_ends_alike():
    acc = {"kind": "fixed", "format": "int8:sym"}
    assert [total(acc, -100.0, -100.0), total(acc, -100.0, -100.0, 100.0)] == texts(-127, -27)


@pytest.mark.parametrize(
    ("chunk", "outer", "wanted"),
    [
        (1, EXACT, 300),
        (2, EXACT, 127 + 100),
        (3, EXACT, 127),
        (64, EXACT, 127),
        (2, {"kind": "fixed", "format": "s7.0"}, 127),
        (1, {"kind": "fixed", "format": "s9.0"}, 300),
        (1, {"kind": "rounded", "format": "bf16"}, 300),
        (1, {"kind": "rounded", "format": "e5m2"}, 320),  # 96, 192, and 292 is nearer to 320
        (2, {"kind": "fused", "group": 1, "frac_bits": 3}, 120 + 96),
        (1, {"kind": "fused", "group": 1, "frac_bits": 3}, 96 + 96 + 96),
        (1, {"kind": "fused", "group": 1, "frac_bits": 1}, 96 + 96 + 64),  # of units of 64
        (1, {"kind": "float", "width": 8}, 300),
    ],
)
def test_chunks(chunk, outer, wanted):
    """Three times 100, in chunks that saturate at 127; the last one may be short."""
    acc = {"kind": "fixed", "format": "int8", "chunk": chunk, "outer": outer}
    assert [total(acc, 100.0, 100.0, 100.0)] == texts(wanted)


@pytest.mark.parametrize(
    ("chunk", "terms", "wanted"),
    [
        (1, [2.0**15, 2.0**15, 1.0], INF),
        (2, [2.0**15, 2.0**15, 1.0], INF),
        (2, [2.0**15, 2.0**15, -(2.0**15), -(2.0**15)], INF),
        (4, [2.0**15, 2.0**15, -(2.0**15), -(2.0**15)], 0),
        (2, [2.0**15, 2.0**15, -INF], NAN),
        (2, [2.0**15, 2.0**15, 1.0, -INF], NAN),
        (3, [2.0**15, 2.0**15, -INF], -INF),
        (2, [-INF, 1.0, 2.0**15, 2.0**15], -INF),
        (2, [2.0**15, INF, -(2.0**15), -(2.0**15)], INF),
        (2, [-(2.0**15), -(2.0**15), 1.0, (0.0, INF)], NAN),
    ],
)
@pytest.mark.parametrize(
    "outer", [{"kind": "rounded"}, {"kind": "fused", "group": 1, "frac_bits": 20, "round": "rne"}]
)
def test_chunks_and_a_state_that_overflows(outer, chunk, terms, wanted):
    acc = {"kind": "fixed", "format": "int32", "chunk": chunk, "outer": outer | {"format": "fp16"}}
    assert [total(acc, *terms)] == texts(wanted)


def float_16(**fields):
    return {"kind": "float", "width": 16} | fields


def test_order_matters_in_a_chain_and_not_in_an_exact_sum():
    assert [total(float_16(), 2.0**16, 1.0, -(2.0**16))] == texts(0)
    assert [total(float_16(), 2.0**16, -(2.0**16), 1.0)] == texts(1)
    assert [total(EXACT, 2.0**16, 1.0, -(2.0**16))] == texts(1)


def test_float_keeps_as_many_bits_as_the_window_has():
    assert [total(float_16(), 2.0**15, 1.0)] == texts(2**15 + 1)
    assert [total(float_16(), 2.0**16, 1.0)] == texts(2**16)
    assert [total(float_16(width=17), 2.0**16, 1.0)] == texts(2**16 + 1)
    # 65535 is all ones. What carries out of the window shifts it, and a bit falls out.
    ones = [(255.0, 256.0), 255.0]
    assert [total(float_16(), *ones, last) for last in (1.0, 2.0, 3.0)] == texts(
        65536, 65536, 65538
    )


@pytest.mark.parametrize(
    ("fields", "terms", "sums"),  # in units of 2 from 65536: rne, rna, truncate, up, down, odd
    [
        ({}, [1.0], [0] * 6),  # there is nothing to round
        ({"guard": 1}, [1.0], [0, 1, 0, 1, 0, 1]),
        ({"guard": 1}, [0.5], [0] * 6),
        ({"guard": 2}, [0.5], [0, 0, 0, 1, 0, 1]),
        ({"guard": 1}, [2.0, 1.0], [2, 2, 1, 2, 1, 1]),
        ({"guard": 2}, [1.5], [1, 1, 0, 1, 0, 1]),
        ({"sticky": True}, [TINY], [0, 1, 0, 1, 0, 1]),  # has the weight of a half
        ({"sticky": True}, [2.0, TINY], [2, 2, 1, 2, 1, 1]),
        ({"guard": 1, "sticky": True}, [TINY], [0, 0, 0, 1, 0, 1]),
        ({"guard": 1, "sticky": True}, [1.0, 0.0], [0, 1, 0, 1, 0, 1]),
    ],
)
def test_float_rounds_what_is_below_the_window(fields, terms, sums):
    got = in_each_mode(float_16(**fields), 2.0**16, *terms)
    assert got == texts(*(65536 + 2 * units for units in sums))


def test_float_without_normalisation_keeps_the_exponent():
    none = {"normalize": "none"}
    # A product of ones has one zero above its leading one, which normalisation takes away.
    assert [total(float_16(), 1.0, 2.0**-15)] == texts(1 + 2.0**-15)
    assert [total(float_16(**none), 1.0, 2.0**-15)] == texts(1)
    assert [total(float_16(**none), 1.0, 2.0**-14)] == texts(1 + 2.0**-14)
    cancelling = [2.0**20, -127 * 2.0**13, 1.0]
    assert [total(float_16(), *cancelling)] == texts(8193)
    assert [total(float_16(**none), *cancelling)] == texts(8192)
    # Zero has no exponent.
    assert [total(float_16(**none), 2.0**20, -(2.0**20), 2.0**-10)] == texts(2.0**-10)


def test_a_zero_product_is_not_a_no_op():
    """It normalises further what approximate normalisation left behind: 4.3, step 1."""
    acc = float_kind("e4m3fn", normalize="approx(1,1)")
    tree = FLAT | {"a": "e4m3fn", "b": "e4m3fn", "out": "fp32", "accumulate": acc}
    spec = load_design(tree)
    left = State(False, 0, 0b0000_0101)
    zero = Term(False, 0, 0, 8)
    once = oracle.step(spec.accumulate, left, zero)
    assert once == State(False, -2, 0b0001_0100)
    assert oracle.step(spec.accumulate, once, zero) == State(False, -4, 0b0101_0000)
    # 9/8 - 1 leaves 0010_0000 with exponent -1, and a zero product makes that 1000_0000 with -3.
    # So the window of 8 bits cuts the next product, 81 * 2**-14, to 1 * 2**-8 or 5 * 2**-10.
    for zeros, wanted in [(0, Fraction(33, 256)), (1, Fraction(133, 1024))]:
        rows = [0x39, 0xB8, *[0] * zeros, 0x19], [0x38, 0x38, *[0] * zeros, 0x19]
        assert_agrees(tree, *(Codes([row]) for row in rows), f"{zeros} zeros")
        assert oracle.value(spec.out, oracle.chain(spec, *rows)) == wanted


@pytest.mark.parametrize(("sticky", "wanted"), [(False, 1.0), (True, 1 - 2.0**-8)])
def test_sticky_borrows(sticky, wanted):
    """1 - 2**-40, truncated: the sticky bit takes one from the last place."""
    got = total(float_16(sticky=sticky), 1.0, -(2.0**-40), out="bf16", out_round="truncate")
    assert [got] == texts(wanted)


ROUNDED = {"kind": "rounded", "format": "bf16"}


@pytest.mark.parametrize(
    ("terms", "wanted"),  # rne, rna, truncate, up, down, odd
    [
        ([-0.0], [0.0] * 4 + [-0.0, 0.0]),  # to +0, which a chain starts from
        ([0.0], [0.0] * 6),
        ([0.0, -0.0], [0.0] * 4 + [-0.0, 0.0]),
        ([1.0, -1.0], [0.0] * 4 + [-0.0, 0.0]),
        ([1.0, -1.0, 0.0], [0.0] * 4 + [-0.0, 0.0]),
        ([(TINY, TINY)], [0.0, 0.0, 0.0, TINY, 0.0, TINY]),
        ([(-TINY, TINY)], [-0.0, -0.0, -0.0, -0.0, -TINY, -TINY]),
        ([(-TINY, TINY), -0.0], [-0.0, -0.0, -0.0, -0.0, -TINY, -TINY]),
        ([(-TINY, TINY), 0.0], [0.0, 0.0, 0.0, 0.0, -TINY, -TINY]),
        ([(-TINY, 0.5)], [-0.0, -TINY, -0.0, -0.0, -TINY, -TINY]),  # a tie: zero is even
        ([(TINY, 1.5)], [2 * TINY, 2 * TINY, TINY, 2 * TINY, TINY, TINY]),
        ([BIG, BIG], [INF, INF, BIG, INF, BIG, BIG]),
        ([-BIG, -BIG], [-INF, -INF, -BIG, -BIG, -INF, -BIG]),
        ([BIG, BIG, -BIG], [INF, INF, 0.0, INF, -0.0, 0.0]),
        ([BIG, BIG, -INF], [NAN, NAN, -INF, NAN, -INF, -INF]),
        ([-INF, BIG, BIG], [-INF] * 6),
        ([BIG, BIG, NAN], [NAN] * 6),
        ([BIG, BIG, (0.0, INF)], [NAN] * 6),
        # The largest and almost half an ulp; and half, a tie that overflows.
        ([BIG, 127 * 2.0**112], [BIG, BIG, BIG, INF, BIG, BIG]),
        ([BIG, 2.0**119], [INF, INF, BIG, INF, BIG, BIG]),
        ([256.0, 1.0], [256, 258, 256, 258, 256, 258]),
        ([258.0, 1.0], [260, 260, 258, 260, 258, 258]),
        ([-256.0, -1.0], [-256, -258, -256, -256, -258, -258]),
        ([256.0, 1.0, (TINY, TINY)], [256, 258, 256, 260, 256, 258]),
        ([256.0, -TINY], [256, 256, 255, 256, 255, 255]),
    ],
)
def test_rounded_in_each_mode(terms, wanted):
    got = in_each_mode(ROUNDED, *terms, out="bf16", out_overflow="infinity")
    assert got == texts(*wanted)


def test_rounded_rounds_product_and_sum_at_once():
    """To 1 + 1/8 and a little; a product rounded before would leave the tie 1 + 1/8, and 1."""
    little = 2.0**-3 * (1 + 2.0**-7)
    acc = {"kind": "rounded", "format": "e5m2"}
    assert [total(acc, 1.0, little)] == texts(1.25)
    assert [total(acc, 1.0, 2.0**-3)] == texts(1)


def test_rounded_without_infinities_saturates_in_every_step():
    acc = {"kind": "rounded", "format": "e4m3fn"}
    assert in_each_mode(acc, 448.0, 448.0) == texts(*[448] * 6)
    assert in_each_mode(acc, 448.0, 448.0, -448.0) == texts(0, 0, 0, 0, -0.0, 0)
    assert in_each_mode(acc, (-BIG, BIG), 1.0) == texts(-448, -448, -416, -416, -448, -416)
    assert in_each_mode(acc, 448.0, INF) == texts(*[INF] * 6)


def test_rounded_flushes_subnormals_after_rounding():
    acc = {"kind": "rounded", "format": "bf16:ftz"}
    least = 2.0**-126
    # Just below the least normal; only what is rounded up to it is kept.
    assert in_each_mode(acc, (least, 1 - 2.0**-8)) == texts(least, least, 0, least, 0, 0)
    assert in_each_mode(acc, (-least, 0.5)) == texts(*[-0.0] * 6)


def fused(group, frac_bits, **fields):
    return {"kind": "fused", "group": group, "frac_bits": frac_bits} | fields


@pytest.mark.parametrize(
    ("acc", "terms", "wanted"),
    [
        (fused(4, 3), [1.0, 0.125, 0.0625], 1.125),
        (fused(4, 3), [1.0, -0.1875], 0.875),  # toward zero
        (fused(4, 3), [1.0, 0.0625, 0.0625, 0.0625], 1),
        (fused(4, 4), [1.0, 0.0625, 0.0625, 0.0625], 1.1875),
        (fused(4, 3, sticky=True), [1.0, 0.0625], 1.0625),
        (fused(4, 3, sticky=True), [1.0, TINY], 1.0625),
        (fused(4, 3, sticky=True), [1.0, 0.125], 1.125),
        (fused(4, 3, sticky=True), [1.0, -0.1875], 1 - 0.1875),
        # The exponent of 1.5 * 1.5 is 0 as a product, and 1 in the accumulator.
        (fused(2, 3), [(1.5, 1.5), 0.125], 2.375),
        (fused(1, 3), [(1.5, 1.5), 0.125], 2.25),
        (fused(1, 3), [(1.5, 1.5), 0.25], 2.5),
        (fused(2, 3), [(0.0, BIG), 2.0**-20], 2.0**-20),  # zero has no exponent
        (fused(2, 3), [(-0.0, BIG), -0.0, 1.0], 1),
        (fused(3, 3), [1024.0, -1024.0, 1.0], 0),  # what cancels has
        (fused(2, 3), [1024.0, -1024.0, 1.0], 1),
        (fused(2, 3), [1024.0, 1.0, -1024.0, 1.0], 0),
        (fused(4, 0), [1.0, 1.0, 1.0, 0.5, 1.0], 2),  # 3 in the accumulator, which is cut to 2
        (fused(3, 30, out_frac_bits=2), [1.0, 0.125], 1),
        (fused(3, 30, out_frac_bits=2, round="up"), [1.0, 0.125], 1.25),
        (fused(3, 30, out_frac_bits=2, round="rna"), [1.0, 0.125], 1.25),
        (fused(3, 30, out_frac_bits=2, round="rne"), [1.0, 0.125], 1),
        (fused(3, 30, format="fp16"), [(256.0, 255.0), 256.0], INF),  # though it truncates
        (fused(3, 30, format="fp16", round="rne"), [(256.0, 255.0), 256.0], INF),
        (fused(2, 30, format="fp16", round="rne"), [(256.0, 255.0), 256.0, -INF], NAN),
        (fused(3, 30, format="fp16", round="rne"), [(256.0, 255.0), 256.0, -INF], -INF),
        (fused(2, 30, format="e4m3fn", round="rne"), [448.0, 448.0, -448.0], 0),
    ],
)
def test_fused(acc, terms, wanted):
    assert [total(acc, *terms)] == texts(wanted)


# --- Products by hand --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "x", "y", "wanted"),
    [
        # e4m3fn: M = 3, l = 3, so 2**-3 is added to 1 + x_m + y_m.
        ("lmul", 1.0, 1.0, 1.125),
        ("lmul", 1.5, 1.5, 2.125),
        ("lmul", 1.875, 1.875, 1 + 0.875 + 0.875 + 0.125),
        ("lmul", 448.0, 448.0, (1 + 0.75 + 0.75 + 0.125) * 2.0**16),  # there is no limit
        ("lmul", 2.0**-6, 2.0**-6, 1.125 * 2.0**-12),
        ("lmul", 2.0**-7, 16.0, 0.0),  # a subnormal
        ("lmul", -1.0, 1.0, -1.125),
        ("lmul_add", 1.0, 1.0, 1.125),
        ("lmul_add", 1.5, 1.5, 2.25),  # 0x3c + 0x3c - 0x38 + 1 = 0x41
        ("lmul_add", 1.875, 1.875, 3.75),  # 0x3f + 0x3f - 0x38 + 1 = 0x47
        ("lmul_add", 448.0, 448.0, 448.0),
        ("lmul_add", 2.0**-6, 2.0**-6, 0.0),
        ("lmul_add", 2.0**-6, 0.9375, 2.0**-6),  # 0x08 + 0x37 - 0x38 + 1 = 0x08
        ("lmul_add", 2.0**-7, 16.0, 0.0),
        ("mitchell", 1.0, 1.0, 1.0),
        ("mitchell", 1.5, 1.5, 2.0),  # 0x3c + 0x3c - 0x38 = 0x40
        ("mitchell", 1.875, 1.875, 3.5),
        ("mitchell", 2.0**-6, 0.9375, 0.0),
        ("mitchell", -448.0, 448.0, -448.0),
        ("mitchell", NAN, 0.0, NAN),
    ],
)
@pytest.mark.parametrize(
    "acc", [EXACT, {"kind": "float", "width": 40}, {"kind": "rounded", "format": "fp32"}]
)
def test_products_that_are_not_exact(product, x, y, wanted, acc):
    got = total(acc, (x, y), (x, y), a="e4m3fn", b="e4m3fn", product=product)
    assert [got] == texts(2 * wanted)


@pytest.mark.parametrize(
    ("fmt", "offset"),  # 2**-l(M)
    [
        ("e2m1", 2.0**-1),
        ("e5m2", 2.0**-2),
        ("e4m3fn", 2.0**-3),
        ("e3m4ieee", 2.0**-3),
        ("e4m5", 2.0**-4),
        ("bf16", 2.0**-4),
        ("fp16", 2.0**-4),
    ],
)
def test_what_lmul_adds(fmt, offset):
    for product, wanted in (("lmul", 1 + offset), ("lmul_add", 1 + offset), ("mitchell", 1)):
        assert [total(EXACT, 1.0, a=fmt, b=fmt, product=product)] == texts(wanted)


# --- Stochastic conversion at the foot ---------------------------------------------------------


@pytest.mark.parametrize("mode", ["sr_a", "sr_b", "sr_c"])
@pytest.mark.parametrize("kind", KINDS)
def test_all_random_integers_at_the_foot(kind, mode):
    """Sums from 1 to 2 in steps of 1/32, each with every integer of 3 bits, to steps of 1/4."""
    acc = {
        "exact": EXACT,
        "fixed": {"kind": "fixed", "format": "s7.8"},
        "chunked": {"kind": "fixed", "format": "s7.8", "chunk": 1, "outer": EXACT},
        "float": float_16(),
        "rounded": {"kind": "rounded", "format": "fp32"},
        "fused": fused(2, 20),
    }[kind]
    out = "s3.2" if kind == "fixed" else "e5m2"
    tree = FLAT | {"a": "bf16", "b": "bf16", "out": out, "out_round": mode, "accumulate": acc}
    spec = load_design(tree)
    thirds = encode(spec.a, np.arange(33) / 32).tolist()
    rows = Codes([[0x3F80, code] for code in thirds])
    columns = Codes([[0x3F80, 0x3F80]] * 8)
    bits = np.broadcast_to(np.arange(8), (33, 8)), 3
    assert assert_agrees(tree, rows, columns, mode, bits, most=33 * 8) == 33 * 8
    flat = matmul(spec, np.array(rows.elements), np.array(columns.elements).T, bits)
    assert (np.diff(flat.astype(int), axis=1) >= 0).all()
    assert len(np.unique(flat)) == 5
