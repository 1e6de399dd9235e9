"""Tests of ``matmul`` of :mod:`minimac.model`, against the oracle, chain by chain."""

import dataclasses
import itertools
import json
import random
import re
from fractions import Fraction

import numpy as np
import pytest

import oracle
from minimac.model import encode, matmul, tiling
from minimac.spec import (
    Arithmetic,
    ExactAccumulation,
    FloatAccumulation,
    Normalization,
    Rounding,
    load_design,
    parse_format,
)
from oracle import Special, State, Term

OPERANDS = [
    "bf16", "fp16", "e4m3fn", "e5m2", "e4m3fnuz", "e3m2", "e2m1", "int8", "int4:sym", "uint8",
    "s4.3", "int8:sym", "bf16:ftz", "e4m3fn:ftz", "e0m3", "ue4m3fn", "e4m3p3109", "ue3m2p3109",
    "e5m0", "e4m3fn:bias=20", "u-2.6", "int16", "tf32",
]  # fmt: skip
OUTS = ["bf16", "e4m3fn", "e5m2", "fp32", "int8", "int32", "s4.3", "ue4m3fn", "bf16:ftz",
        "e4m3fnuz", "e2m1", "uint8", "int4:sym", "e4m3p3109", "fp16"]  # fmt: skip
NORMALIZATIONS = ["exact", "exact", "approx(1,1)", "approx(1,2)", "approx(2,2)", "approx(3,1)",
                  "none"]  # fmt: skip
MANNERS = ["any", "finite", "special", "small", "few", "large", "near"]
MODES = [str(mode) for mode in Rounding]
FLAT = {"name": "m", "unit": "mac"}


# --- Drawing designs and operands --------------------------------------------------------------


def used_codes(fmt):
    codes = list(range(2 ** oracle.code_bits(fmt)))
    if getattr(fmt, "symmetric", False):
        del codes[len(codes) // 2]
    return codes


def draw_design(rng):
    """Draw a design; half of the time with operands of one format."""
    a = rng.choice(OPERANDS)
    b = a if rng.random() < 0.5 else rng.choice(OPERANDS)
    out = parse_format("fp32" if rng.random() < 0.3 else rng.choice(OUTS))
    overflows = ["saturate"] * 3
    if oracle.canonical_nan(out) is not None:
        overflows += ["nan", "infinity"]
    elif can_wrap(out) and not any(map(has_specials, (a, b))):
        overflows += ["wrap"] * 3
    tree = FLAT | {"a": a, "b": b, "out": out.name}
    tree |= {"out_round": rng.choice(MODES), "out_overflow": rng.choice(overflows)}
    if rng.random() < 0.15:
        return tree | {"accumulate": {"kind": "exact", "max_terms": 64}}
    width = sum(oracle.operand(parse_format(name), 0).width for name in (a, b))
    guard, sticky = rng.choice([0, 1, 1, 3]), rng.random() < 0.5
    normalize = rng.choice(NORMALIZATIONS)
    width = max(width, sum(Normalization.parse(normalize).coarse or ()))
    width = min(width + rng.choice([0, 0, 1, 2, 5, 16, 40]), 62 - guard - sticky)
    acc = {"kind": "float", "width": width, "guard": guard, "sticky": sticky, "max_terms": 64}
    return tree | {"accumulate": acc | {"normalize": normalize, "round": rng.choice(MODES)}}


def can_wrap(fmt):
    return hasattr(fmt, "frac_bits") and not fmt.symmetric


def has_specials(name):
    fmt = parse_format(name)
    return oracle.canonical_nan(fmt) is not None


def draw_codes(rng, fmt, count, manner):
    """Draw the codes of one operand of a chain."""
    bits = oracle.code_bits(fmt)
    sign = 2 ** (bits - 1)
    binade = 2 ** getattr(fmt, "man_bits", bits - 3)
    finite = [code for code in (rng.randrange(2**bits) for _ in range(64)) if is_finite(fmt, code)]
    match manner:
        case "any":
            chosen = [rng.randrange(2**bits) for _ in range(count)]
        case "finite":
            chosen = [rng.choice(finite) for _ in range(count)]
        case "special":  # one among numbers; an infinity if there are any
            chosen = [rng.choice(finite) for _ in range(count)]
            infinities = [oracle.infinity(fmt, negative) for negative in (False, True)]
            special = rng.choice([*infinities, oracle.canonical_nan(fmt)])
            chosen[rng.randrange(count)] = finite[0] if special is None else special
        case "small":  # zeros, subnormals, the least normals
            chosen = [rng.randrange(2 * binade) + sign * rng.randrange(2) for _ in range(count)]
        case "few":  # a few codes, zero among them, over and over
            pool = [0, *rng.choices(finite, k=2)]
            chosen = [rng.choice(pool) for _ in range(count)]
        case "large":  # all but one
            chosen = [oracle.largest(fmt, False)] * count
            chosen[-1] = rng.choice(finite)
        case "near":  # a few binades, or but a few ulps, and either sign
            spread = rng.choice([2, binade, 6 * binade])
            centre = rng.choice(finite)
            chosen = [centre + rng.randint(-spread, spread) for _ in range(count)]
            chosen = [code ^ sign * rng.randrange(2) for code in chosen]
            chosen = [code if is_finite(fmt, code % 2**bits) else centre for code in chosen]
    unused = sign if getattr(fmt, "symmetric", False) else None
    chosen = [code % 2**bits for code in chosen]
    return [0 if code == unused else code for code in chosen]


def is_finite(fmt, code):
    if getattr(fmt, "symmetric", False) and code == 2 ** (oracle.code_bits(fmt) - 1):
        return False
    return not isinstance(oracle.operand(fmt, code), Special)


def negated(fmt, code):
    """Return the code of the negative of a value, where there is one."""
    bits = oracle.code_bits(fmt)
    if not fmt.signed:
        return code
    return -code % 2**bits if hasattr(fmt, "frac_bits") else code ^ 2 ** (bits - 1)


def draw_chains(rng, fmt, rows, terms, manners):
    """Draw codes of rows of operands; in some, pairs that cancel side by side, or zeros."""
    drawn = [draw_codes(rng, fmt, terms, rng.choice(manners)) for _ in range(rows)]
    for row in drawn:
        if rng.random() < 0.3:
            for k in range(1, terms, 2):
                other = negated(fmt, row[k - 1])
                row[k] = other if is_finite(fmt, other) else row[k]
        if rng.random() < 0.3:
            row[:] = [0 if rng.random() < 0.3 else code for code in row]
    return drawn


def draw_operands(rng, spec):
    """Draw two rows of ``a`` and four columns of ``b``; half of the time of like exponents."""
    terms = rng.choice([1, 2, 3, 5, 8, 13, 21])
    manners = ["near"] if rng.random() < 0.5 else MANNERS
    a = draw_chains(rng, spec.a, 2, terms, manners)
    return a, list(zip(*draw_chains(rng, spec.b, 4, terms, manners), strict=True))


def assert_chain_by_chain(tree, a, b, context):
    """Compare a product of matrices with the oracle; the message has all that replays it."""
    spec = load_design(tree)
    got = matmul(spec, np.array(a), np.array(b))
    assert got.shape == (len(a), len(b[0]))
    for i, row in enumerate(a):
        for j, column in enumerate(zip(*b, strict=True)):
            wanted = oracle.chain(spec, row, column)
            assert got[i, j] == wanted, (
                f"{context}: got {int(got[i, j]):#x}, not {wanted:#x}\n"
                f"design = {json.dumps(tree)}\na = {list(map(int, row))}\n"
                f"b = {list(map(int, column))}"
            )
    return got.size


@pytest.mark.parametrize("group", range(40))
def test_random_designs(group, seed):
    """A thousand designs, 8 chains each."""
    count = 0
    for case in range(25):
        rng = random.Random(f"{seed} {group} {case}")
        tree = draw_design(rng)
        spec = load_design(tree)
        a, b = draw_operands(rng, spec)
        count += assert_chain_by_chain(tree, a, b, f"seed {seed}, group {group}, case {case}")
    assert count == 25 * 8


def test_draws_are_varied(seed):
    """The random test would be worth little if its chains ended in few different results."""
    kinds, results = set(), set()
    for case in range(1000):
        rng = random.Random(f"{seed} {case}")
        tree = draw_design(rng)
        spec = load_design(tree)
        a, b = draw_operands(rng, spec)
        wanted = oracle.value(spec.out, oracle.chain(spec, a[0], next(zip(*b, strict=True))))
        results.add(wanted)
        kinds.add(wanted if isinstance(wanted, Special) else wanted == 0)
    assert kinds >= {Special.NAN, Special.PLUS_INFINITY, Special.MINUS_INFINITY, True, False}
    assert len(results) > 200


# --- Exhaustive where it closes ----------------------------------------------------------------


def float_design(fmt, **acc):
    width = 2 * oracle.operand(parse_format(fmt), 0).width
    acc = {"kind": "float", "width": width + acc.pop("more", 0)} | acc
    return FLAT | {"a": fmt, "b": fmt, "out": "fp32", "accumulate": acc}


def assert_all_chains(tree, terms):
    """Compare all chains of ``terms`` products, of which the oracle sums each sort once."""
    spec = load_design(tree)
    count_a, count_b = (2 ** oracle.code_bits(fmt) for fmt in (spec.a, spec.b))
    sorts, of = {}, np.empty((count_a, count_b), int)
    for x, y in np.ndindex(count_a, count_b):
        term = oracle.product(spec.a, x, spec.b, y)
        of[x, y] = sorts.setdefault(term, (len(sorts), (x, y)))[0]
    pairs = [pair for _, pair in sorts.values()]
    wanted = np.empty([len(pairs)] * terms, np.int64)
    for at in np.ndindex(wanted.shape):
        wanted[at] = oracle.chain(spec, *zip(*[pairs[i] for i in at], strict=True))
    a = np.array(list(itertools.product(range(count_a), repeat=terms)))
    b = np.array(list(itertools.product(range(count_b), repeat=terms))).T
    sorts_of = tuple(of[a[:, None, k], b[None, k, :]] for k in range(terms))
    got = matmul(spec, a, b).astype(np.int64)
    wrong = np.argwhere(got != wanted[sorts_of])
    assert got.size == (count_a * count_b) ** terms
    assert not wrong.size, (
        f"{len(wrong)} of {got.size} chains of {json.dumps(tree)}, such as "
        f"a = {a[wrong[0][0]].tolist()}, b = {b[:, wrong[0][1]].tolist()}"
    )


@pytest.mark.parametrize(
    "acc",
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
    ids=lambda acc: " ".join(map(str, acc.values())),
)
def test_all_chains_of_two_e2m1(acc):
    assert_all_chains(float_design("e2m1", **acc), 2)


@pytest.mark.parametrize(
    "fmt", ["e1m1", "e2m0", "int3", "e1m1fn", "e1m1p3109", "s1.1", "ue2m1p3109"]
)
@pytest.mark.parametrize(
    "acc",
    [
        {"normalize": "approx(1,1)"},
        {"guard": 1, "sticky": True, "round": "rne"},
        {"normalize": "none", "sticky": True, "round": "up"},
    ],
    ids=lambda acc: " ".join(map(str, acc.values())),
)
def test_all_chains_of_three_3_bit_numbers(fmt, acc):
    assert_all_chains(float_design(fmt, **acc), 3)


@pytest.mark.parametrize("out", ["e2m1", "int4", "e3m2ieee", "ue2m2"])
def test_all_exact_chains_of_two_e2m1(out):
    tree = FLAT | {"a": "e2m1", "b": "e2m1", "out": out, "accumulate": {"kind": "exact"}}
    assert_all_chains(tree, 2)


# --- Chains by hand ----------------------------------------------------------------------------

ONE = 0x3F80  # of bf16
INF, MINUS_INF, NAN = 0x7F80, 0xFF80, 0x7FC0


def bf16_design(out="bf16", **acc):
    acc = {"kind": "float", "width": 16} | acc
    return load_design(FLAT | {"a": "bf16", "b": "bf16", "out": out, "accumulate": acc})


def exact_design(a, b, out):
    return load_design(FLAT | {"a": a, "b": b, "out": out, "accumulate": {"kind": "exact"}})


@pytest.mark.parametrize("kind", ["float", "exact"])
@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        ([ONE, NAN], [ONE, ONE], NAN),
        ([0xFFFF, ONE], [ONE, ONE], NAN),  # the canonical one, whatever went in
        ([INF, ONE], [0x0000, ONE], NAN),
        ([INF, ONE], [0x8000, ONE], NAN),
        ([INF, MINUS_INF], [ONE, ONE], NAN),
        ([INF, INF], [ONE, 0xBF80], NAN),
        ([INF, INF], [ONE, ONE], INF),
        ([MINUS_INF, ONE], [ONE, 0x7F7F], MINUS_INF),
        ([MINUS_INF, ONE], [MINUS_INF, 0x7F7F], INF),
        ([NAN, INF, MINUS_INF], [ONE, ONE, ONE], NAN),
        ([0x8000, 0x8000], [ONE, ONE], 0),  # a sum that is zero is +0
        ([ONE, 0xBF80], [ONE, ONE], 0),
        ([0x0001, 0], [0x8001, 0], 0x8000),  # what rounds to zero keeps its sign
    ],
)
def test_special_values(kind, a, b, result):
    spec = bf16_design()
    if kind == "exact":
        spec = dataclasses.replace(spec, accumulate=ExactAccumulation())
    assert matmul(spec, [a], np.array([b]).T).tolist() == [[result]]
    assert oracle.chain(spec, a, b) == result


def test_flushed_subnormal_times_infinity_is_nan():
    spec = exact_design("bf16:ftz", "bf16", "bf16")
    assert matmul(spec, [[0x0001]], [[INF]]) == NAN
    assert matmul(spec, [[0x0080]], [[INF]]) == INF


def test_order_matters_in_a_chain_and_not_in_an_exact_sum():
    codes = encode(parse_format("bf16"), [2.0**16, 1.0, -(2.0**16)])
    b = np.full((3, 1), ONE)
    narrow = bf16_design()
    exact = dataclasses.replace(narrow, accumulate=ExactAccumulation())
    swapped = codes[[0, 2, 1]]
    assert [int(matmul(narrow, [c], b)[0, 0]) for c in (codes, swapped)] == [0, ONE]
    assert [int(matmul(exact, [c], b)[0, 0]) for c in (codes, swapped)] == [ONE, ONE]


def test_a_zero_product_is_not_a_no_op():
    """It normalises further what approximate normalisation left behind: 4.3, step 1."""
    tree = float_design("e4m3fn", normalize="approx(1,1)")
    spec = load_design(tree)
    acc = spec.accumulate
    left = State(False, 0, 0b0000_0101)
    zero = Term(False, 0, 0, 8)
    assert oracle.step(acc, left, zero) == State(False, -2, 0b0001_0100)
    assert oracle.step(acc, oracle.step(acc, left, zero), zero) == State(False, -4, 0b0101_0000)
    # 9/8 - 1 leaves 0010_0000 with exponent -1, and a zero product makes that 1000_0000 with -3.
    # So the window of 8 bits cuts the next product, 81 * 2**-14, to 1 * 2**-8 or 5 * 2**-10.
    for zeros, wanted in [(0, Fraction(33, 256)), (1, Fraction(133, 1024))]:
        row, column = [0x39, 0xB8, *[0] * zeros, 0x19], [0x38, 0x38, *[0] * zeros, 0x19]
        assert_chain_by_chain(tree, [row], [[code] for code in column], f"{zeros} zeros")
        assert oracle.value(spec.out, oracle.chain(spec, row, column)) == wanted


@pytest.mark.parametrize(("sticky", "result"), [(False, 0x3F80), (True, 0x3F7F)])
def test_sticky_borrows(sticky, result):
    """1 - 2**-40, truncated: the sticky bit takes one from the last place."""
    spec = bf16_design(out="fp32", sticky=sticky)
    spec = dataclasses.replace(spec, out=parse_format("bf16"), out_round=Rounding.TRUNCATE)
    codes = encode(parse_format("bf16"), [[1.0, -(2.0**-40)]])
    assert matmul(spec, codes, [[ONE], [ONE]]) == result


# --- Shapes, sizes and threads -----------------------------------------------------------------

SIZES = [
    bf16_design(normalize="approx(1,2)"),
    bf16_design(width=24, guard=3, sticky=True, round="rne", out="fp32"),
    bf16_design(width=40, normalize="none", guard=1, round="up"),
    exact_design("e4m3fn", "e5m2", "bf16"),
    exact_design("int8", "int8", "int32"),
    exact_design("bf16", "int8", "fp32"),
]  # fmt: skip


def draw_arrays(spec, shape_a, shape_b, seed):
    """Mostly finite operands of like size, and now and then any code at all."""
    rng = np.random.default_rng(seed)
    arrays = []
    for fmt, shape in ((spec.a, shape_a), (spec.b, shape_b)):
        like = encode(fmt, rng.standard_normal(shape) * (16 if fmt.name == "int8" else 1))
        anything = rng.integers(2**fmt.width, size=shape)
        arrays.append(np.where(rng.random(shape) < 2e-4, anything, like))
    return arrays


@pytest.mark.parametrize("spec", SIZES, ids=lambda spec: spec.summary())
@pytest.mark.parametrize("shape", [(3, 40, 5), (2, 9, 300), (130, 7, 17), (1, 33, 1)])
def test_some_outputs_of_larger_products(spec, shape, seed):
    m, k, n = shape
    a, b = draw_arrays(spec, (m, k), (k, n), seed)
    got = matmul(spec, a, b)
    rng = np.random.default_rng(seed)
    for i, j in zip(rng.integers(m, size=6), rng.integers(n, size=6)):
        wanted = oracle.chain(spec, a[i], b[:, j])
        assert got[i, j] == wanted, f"seed {seed}: {spec.summary()} at {i}, {j}"


@pytest.mark.parametrize("spec", SIZES, ids=lambda spec: spec.summary())
def test_a_large_product_equals_its_blocks(spec, seed, monkeypatch):
    """Results depend on neither size nor threads: the whole is above the limit for threads."""
    a, b = draw_arrays(spec, (150, 260), (260, 140), seed)
    whole = matmul(spec, a, b)
    rows = np.concatenate([matmul(spec, a[i : i + 37], b) for i in range(0, 150, 37)])
    columns = [matmul(spec, a, b[:, j : j + 11]) for j in range(0, 140, 11)]
    np.testing.assert_array_equal(rows, whole)
    np.testing.assert_array_equal(np.concatenate(columns, axis=1), whole)
    for threads in (1, 3):
        monkeypatch.setattr(tiling, "_threads", lambda threads=threads: threads)
        np.testing.assert_array_equal(matmul(spec, a, b), whole)
    assert len(np.unique(whole)) > 100


@pytest.mark.parametrize("spec", SIZES[::2], ids=lambda spec: spec.summary())
@pytest.mark.parametrize(
    ("lead_a", "lead_b", "lead"),
    [
        ((), (3,), (3,)),
        ((3,), (), (3,)),
        ((5, 1), (3,), (5, 3)),
        ((2, 1, 4), (3, 1), (2, 3, 4)),
        ((1,), (1,), (1,)),
        ((0,), (), (0,)),
    ],
)
def test_leading_axes_broadcast(spec, lead_a, lead_b, lead, seed):
    a, b = draw_arrays(spec, (*lead_a, 3, 6), (*lead_b, 6, 20), seed)
    got = matmul(spec, a, b)
    assert got.shape == (*lead, 3, 20)
    wide_a, wide_b = np.broadcast_to(a, (*lead, 3, 6)), np.broadcast_to(b, (*lead, 6, 20))
    for at in np.ndindex(lead):
        np.testing.assert_array_equal(got[at], matmul(spec, wide_a[at], wide_b[at]))


@pytest.mark.parametrize("spec", SIZES, ids=lambda spec: spec.summary())
def test_any_layout_and_type(spec, seed):
    a, b = draw_arrays(spec, (12, 10), (10, 14), seed)
    wanted = matmul(spec, a, b)
    frozen = a.copy()
    frozen.flags.writeable = False
    before = b.copy()
    np.testing.assert_array_equal(matmul(spec, frozen, b), wanted)
    np.testing.assert_array_equal(matmul(spec, np.asfortranarray(a), np.asfortranarray(b)), wanted)
    np.testing.assert_array_equal(matmul(spec, a.astype(np.uint64), b.astype(np.int32)), wanted)
    np.testing.assert_array_equal(matmul(spec, a.tolist(), b.tolist()), wanted)
    np.testing.assert_array_equal(matmul(spec, a[::-1], b[:, ::-1]), wanted[::-1, ::-1])
    np.testing.assert_array_equal(matmul(spec, a[::2], b[:, ::3]), wanted[::2, ::3])
    np.testing.assert_array_equal(b, before)
    assert wanted.dtype == np.dtype(f"u{-(-spec.out.width // 8)}")


def test_no_terms_make_positive_zero():
    for spec in SIZES:
        got = matmul(spec, np.empty((2, 0), np.uint8), np.empty((0, 3), np.uint8))
        assert (got == 0).all()
        assert got.shape == (2, 3)


def test_no_rows_or_columns():
    spec = SIZES[0]
    assert matmul(spec, np.empty((0, 4), np.uint8), np.zeros((4, 3), int)).shape == (0, 3)
    assert matmul(spec, np.zeros((2, 4), int), np.empty((4, 0), np.uint8)).shape == (2, 0)


def test_an_arithmetic_is_enough():
    bf16 = parse_format("bf16")
    acc = FloatAccumulation(width=16, normalize=Normalization((1, 2)))
    spec = Arithmetic(a=bf16, b=bf16, out=bf16, accumulate=acc)
    a, b = draw_arrays(spec, (4, 9), (9, 5), 0)
    np.testing.assert_array_equal(matmul(spec, a, b), matmul(SIZES[0], a, b))


def test_the_size_of_an_array_is_of_no_matter():
    a, b = draw_arrays(SIZES[0], (4, 29), (29, 5), 0)
    shapes = [{"rows": 8, "columns": 8}, {"rows": 3, "columns": 1}, {"rows": 64, "columns": 2}]
    tree = SIZES[0].as_dict() | {"unit": "systolic"}
    for shape in shapes:
        np.testing.assert_array_equal(
            matmul(load_design(tree | {"array": shape}), a, b), matmul(SIZES[0], a, b)
        )


@pytest.mark.parametrize(("terms", "fine"), [(64, True), (65, False)])
def test_max_terms(terms, fine):
    bf16 = parse_format("bf16")
    for acc in (ExactAccumulation(max_terms=64), FloatAccumulation(width=16, max_terms=64)):
        spec = Arithmetic(a=bf16, b=bf16, out=parse_format("fp32"), accumulate=acc)
        a, b = np.full((1, terms), ONE), np.full((terms, 1), ONE)
        if fine:
            assert matmul(spec, a, b) == 0x42800000
        else:
            with pytest.raises(ValueError, match=r"^K must be at most max_terms, 64, not 65$"):
                matmul(spec, a, b)


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ([[0, 65536]], [[0], [0]], ValueError, "a must be 0 to 65535 to be of bf16, not 65536"),
        ([[0, 0]], [[0], [-1]], ValueError, "b must be 0 to 65535 to be of bf16, not -1"),
        ([[2**70]], [[0]], ValueError, f"not {2**70}"),
        (np.array([[2**64 - 1]], np.uint64), [[0]], ValueError, f"not {2**64 - 1}"),
        ([[1.0]], [[0]], TypeError, "a must be integers, not float64"),
        ([[1]], [[True]], TypeError, "b must be integers, not bool"),
        ([[None]], [[0]], TypeError, "a must be integers"),
        ([1, 2], [[1], [2]], ValueError, "at least 2 axes"),
        (3, 4, ValueError, "at least 2 axes"),
        ([[1, 2]], [[1, 2]], ValueError, "(1, 2) and (1, 2)"),
        (np.zeros((2, 1, 3), int), np.zeros((3, 3, 1), int), ValueError, "broadcast"),
    ],
)
def test_wrong_operands(a, b, error, message):
    with pytest.raises(error, match=re.escape(message)):
        matmul(SIZES[0], a, b)


def test_wrong_spec():
    with pytest.raises(TypeError, match="spec must be"):
        matmul({"a": "bf16"}, [[1]], [[1]])


def test_the_unused_code_of_a_symmetric_format_is_refused():
    spec = exact_design("int8:sym", "int8", "int32")
    with pytest.raises(ValueError, match="int8:sym, not 128"):
        matmul(spec, [[128]], [[128]])
    assert matmul(spec, [[129]], [[128]]) == 127 * 128
