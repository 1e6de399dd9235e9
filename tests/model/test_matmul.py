"""Tests of ``matmul`` of :mod:`minimac.model`: shapes, sizes, types, and what is refused.

What is computed is the matter of ``test_kinds``; here every result is a plain loop over the oracle,
or the result of an equal product in the plainest layout.
"""

import re
from fractions import Fraction

import numpy as np
import pytest

import oracle
from chains import valid_codes
from minimac.model import decode, encode, matmul, tiling
from minimac.spec import (
    Arithmetic,
    FloatAccumulation,
    Normalization,
    load_design,
    parse_format,
)

FLAT = {"name": "m", "unit": "mac"}
EXACT = {"kind": "exact"}
INT16 = {"kind": "fixed", "format": "int16"}
ONE = 0x3F80  # of bf16


def design(a="bf16", b="bf16", out="bf16", acc=EXACT, **fields):
    return load_design(FLAT | {"a": a, "b": b, "out": out, "accumulate": acc} | fields)


def float_16(**fields):
    return {"kind": "float", "width": 16} | fields


# One design for every way that a product takes through the model.
DESIGNS = [
    design("int8", "int8", "int32"),
    design("e4m3fn", "e5m2", "bf16"),
    design("bf16", "int8", "fp32"),
    design("fp32", "fp32", "fp32"),
    design("nf4", "khot2:s0.7", "e4m3fn"),
    design(acc=float_16(normalize="approx(1,2)")),
    design(out="fp32", acc=float_16(width=24, guard=3, sticky=True, round="rne")),
    design(acc=float_16(width=40, normalize="none", guard=1, round="up")),
    design(acc={"kind": "fixed", "format": "s7.8", "overflow": "wrap"}),
    design("int8", "int8", "int16", INT16 | {"chunk": 3, "outer": EXACT}),
    design(out="fp32", acc={"kind": "rounded", "format": "fp32"}),
    design(acc={"kind": "rounded", "format": "bf16", "round": "down"}),
    design("fp16", "fp16", "fp32", {"kind": "fused", "group": 4, "frac_bits": 25}),
    design("e4m3fn", "e4m3fn", "fp32", "hopper_fp8"),
    design("e4m3fn", "e4m3fn", "bf16", product="lmul"),
    design("bf16", "bf16", "bf16", float_16(), product="mitchell"),
]  # fmt: skip
FEW = [DESIGNS[i] for i in (0, 1, 5, 9, 11, 13, 14)]


def of_each(designs):
    return pytest.mark.parametrize("spec", designs, ids=lambda spec: spec.summary())


def draw_arrays(spec, shape_a, shape_b, seed, share=0.0):
    """Finite operands of like size, and a share of any codes at all."""
    rng = np.random.default_rng(seed)
    arrays = []
    for fmt, shape in ((spec.a, shape_a), (spec.b, shape_b)):
        like = encode(fmt, rng.standard_normal(shape) * (16 if fmt.name == "int8" else 1))
        codes = valid_codes(fmt.name) if fmt.width <= 16 else [0, 1, 2**31, 0x7F800000, 2**32 - 1]
        arrays.append(np.where(rng.random(shape) < share, rng.choice(np.array(codes), shape), like))
    return arrays


def assert_equal(got, wanted):
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


# --- Shapes ------------------------------------------------------------------------------------


def plain_loop(spec, a, b):
    """Multiply stacks of matrices, chain by chain."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    wide_a, wide_b = (np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b))
    results = np.empty((*lead, a.shape[-2], b.shape[-1]), np.uint32)
    for *at, i, j in np.ndindex(results.shape):
        at = tuple(at)
        results[(*at, i, j)] = oracle.chain(spec, wide_a[(*at, i)], wide_b[at][:, j])
    return results


@of_each(DESIGNS)
@pytest.mark.parametrize(
    ("shape_a", "shape_b"),
    [  # many rows and few columns, few rows and many columns; one matrix and many; both; and ones
        ((3, 5), (5, 2)),
        ((18, 4), (4, 1)),
        ((1, 4), (4, 18)),
        ((2, 3), (3, 17)),
        ((2, 1, 3), (2, 3, 2)),
        ((3, 2, 4), (4, 2)),
        ((3, 1, 4), (4, 17)),
        ((2, 4), (3, 4, 2)),
        ((17, 4), (2, 4, 1)),
        ((2, 1, 2, 4), (3, 4, 1)),
        ((3, 1, 1, 2), (1, 2, 2, 1)),
        ((1, 1, 2, 3), (3, 2)),
        ((2, 3), (1, 1, 3, 2)),
        ((1, 2, 3), (1, 3, 2)),
    ],
)  # fmt: skip
def test_every_layout_is_a_loop_over_chains(spec, shape_a, shape_b, seed):
    a, b = draw_arrays(spec, shape_a, shape_b, seed, 0.02)
    np.testing.assert_array_equal(matmul(spec, a, b), plain_loop(spec, a, b))


@of_each(DESIGNS)
@pytest.mark.parametrize("shape", [(3, 40, 5), (2, 9, 300), (130, 7, 17), (1, 33, 1)])
def test_some_outputs_of_larger_products(spec, shape, seed):
    m, k, n = shape
    a, b = draw_arrays(spec, (m, k), (k, n), seed, 2e-3)
    got = matmul(spec, a, b)
    rng = np.random.default_rng(seed)
    for i, j in zip(rng.integers(m, size=6), rng.integers(n, size=6), strict=True):
        wanted = oracle.chain(spec, a[i], b[:, j])
        assert got[i, j] == wanted, f"seed {seed}: {spec.summary()} at {i}, {j}"


@of_each(DESIGNS)
@pytest.mark.parametrize(
    ("lead_a", "lead_b", "lead"),
    [
        ((), (3,), (3,)),
        ((3,), (), (3,)),
        ((5, 1), (3,), (5, 3)),
        ((2, 1, 4), (3, 1), (2, 3, 4)),
        ((0,), (), (0,)),
        ((), (2, 0), (2, 0)),
        ((0, 1), (3,), (0, 3)),
        ((1,), (0,), (0,)),
    ],
)
def test_leading_axes_broadcast(spec, lead_a, lead_b, lead, seed):
    a, b = draw_arrays(spec, (*lead_a, 3, 6), (*lead_b, 6, 20), seed)
    got = matmul(spec, a, b)
    assert got.shape == (*lead, 3, 20)
    wide_a, wide_b = np.broadcast_to(a, (*lead, 3, 6)), np.broadcast_to(b, (*lead, 6, 20))
    for at in np.ndindex(lead):
        assert_equal(got[at], matmul(spec, wide_a[at], wide_b[at]))


@of_each(DESIGNS)
def test_views_that_repeat_a_matrix(spec, seed):
    """Broadcast arrays have strides of zero."""
    a, b = draw_arrays(spec, (3, 6), (6, 20), seed)
    wanted = matmul(spec, a, b)
    many_a, many_b = np.broadcast_to(a, (4, 3, 6)), np.broadcast_to(b, (4, 6, 20))
    for left, right in ((many_a, many_b), (many_a, b), (a, many_b)):
        for part in matmul(spec, left, right):
            assert_equal(part, wanted)
    same = np.broadcast_to(a[:1], (5, 6)), np.broadcast_to(b[:, :1], (6, 20))
    assert_equal(matmul(spec, *same), np.broadcast_to(wanted[:1, :1], (5, 20)))


@of_each(DESIGNS)
def test_no_terms_make_positive_zero(spec):
    got = matmul(spec, np.empty((2, 0), np.uint8), np.empty((0, 3), np.uint8))
    assert_equal(got, np.zeros((2, 3), f"u{-(-spec.out.width // 8)}"))
    assert matmul(spec, np.empty((4, 2, 0), int), np.empty((0, 3), int)).shape == (4, 2, 3)
    assert matmul(spec, [[], []], np.empty((0, 3), int)).shape == (2, 3)


@of_each(DESIGNS)
def test_no_rows_or_columns(spec):
    assert matmul(spec, np.empty((0, 4), np.uint8), np.zeros((4, 3), int)).shape == (0, 3)
    assert matmul(spec, np.zeros((2, 4), int), np.empty((4, 0), np.uint8)).shape == (2, 0)
    assert matmul(spec, np.empty((0, 0), int), np.empty((0, 0), int)).shape == (0, 0)
    assert matmul(spec, np.empty((3, 0, 4), int), np.zeros((4, 3), int)).shape == (3, 0, 3)


@of_each(DESIGNS)
def test_a_large_product_equals_its_parts(spec, seed, monkeypatch):
    """Results depend on neither size nor threads: the whole is above the limit for threads."""
    a, b = draw_arrays(spec, (150, 260), (260, 140), seed, 2e-4)
    whole = matmul(spec, a, b)
    rows = np.concatenate([matmul(spec, a[i : i + 37], b) for i in range(0, 150, 37)])
    columns = [matmul(spec, a, b[:, j : j + 11]) for j in range(0, 140, 11)]
    assert_equal(rows, whole)
    assert_equal(np.concatenate(columns, axis=1), whole)
    for threads in (1, 3):
        monkeypatch.setattr(tiling, "_threads", lambda threads=threads: threads)
        assert_equal(matmul(spec, a, b), whole)
    assert len(np.unique(whole)) > 50


# --- Types and memory --------------------------------------------------------------------------


@of_each(DESIGNS)
def test_any_layout_and_type(spec, seed):
    a, b = draw_arrays(spec, (12, 10), (10, 14), seed, 0.02)
    wanted = matmul(spec, a, b)
    assert wanted.dtype == np.dtype(f"u{-(-spec.out.width // 8)}")
    frozen, before = a.copy(), b.copy()
    frozen.flags.writeable = False
    for left, right in [
        (frozen, b),
        (np.asfortranarray(a), np.asfortranarray(b)),
        (a.astype(np.uint64), b.astype(np.uint32)),
        (a.astype(">u4"), b.astype(">i8")),
        (a.tolist(), b.tolist()),
        ([list(row) for row in a], tuple(map(tuple, b))),  # of scalars of NumPy
        (a.T.copy().T, np.concatenate([b, b], axis=1)[:, :14]),
    ]:
        assert_equal(matmul(spec, left, right), wanted)
    assert_equal(matmul(spec, a[::-1], b[:, ::-1]), wanted[::-1, ::-1])
    assert_equal(matmul(spec, a[::2], b[:, ::3]), wanted[::2, ::3])
    assert_equal(
        matmul(spec, a[:, ::-2][:, ::-1], b[1::2]), matmul(spec, a[:, 1::2].copy(), b[1::2].copy())
    )
    assert_equal(b, before)


def test_results_are_new_and_writeable():
    spec = DESIGNS[0]
    a = np.ones((2, 2), np.uint8)
    got = matmul(spec, a, a)
    assert got.flags.writeable
    assert got.flags.c_contiguous
    assert not np.shares_memory(got, a)


def test_scalars_of_numpy_are_codes():
    one = np.uint16(ONE)
    assert matmul(DESIGNS[5], [[one, one]], [[one], [one]]).tolist() == [[0x4000]]


# --- Specs -------------------------------------------------------------------------------------


def test_an_arithmetic_is_enough():
    bf16 = parse_format("bf16")
    acc = FloatAccumulation(width=16, normalize=Normalization((1, 2)))
    spec = Arithmetic(a=bf16, b=bf16, out=bf16, accumulate=acc)
    a, b = draw_arrays(spec, (4, 9), (9, 5), 0)
    assert_equal(matmul(spec, a, b), matmul(DESIGNS[5], a, b))


def test_the_size_of_an_array_is_of_no_matter():
    spec = DESIGNS[5]
    a, b = draw_arrays(spec, (4, 29), (29, 5), 0)
    tree = spec.as_dict() | {"unit": "systolic"}
    for rows, columns in [(8, 8), (3, 1), (64, 2)]:
        array = {"array": {"rows": rows, "columns": columns}}
        assert_equal(matmul(load_design(tree | array), a, b), matmul(spec, a, b))


@pytest.mark.parametrize("spec", [{"a": "bf16"}, None, "bf16", parse_format("bf16")])
def test_wrong_spec(spec):
    with pytest.raises(TypeError, match=r"^spec must be an Arithmetic, such as a design, not "):
        matmul(spec, [[1]], [[1]])


# --- The longest chains ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "acc",
    [
        EXACT,
        float_16(width=40),
        {"kind": "fixed", "format": "s15.0", "chunk": 8, "outer": EXACT | {"max_terms": 8}},
    ],
    ids=lambda acc: acc["kind"],
)
def test_max_terms(acc):
    acc = acc if "chunk" in acc else acc | {"max_terms": 64}
    spec = design(out="fp32", acc=acc)
    a = np.full((2, 65), ONE)
    assert (matmul(spec, a[:, :64], a.T[:64]) == 0x42800000).all()
    with pytest.raises(ValueError, match=r"^K must be at most max_terms, 64, not 65$"):
        matmul(spec, a, a.T)
    with pytest.raises(ValueError, match=r"^K must be at most max_terms, 64, not 65$"):
        matmul(spec, a[:0], a.T)


LONGEST = 65536


@pytest.mark.parametrize(
    ("a", "b", "out"),
    [
        ("int8", "int8", "int32"),
        ("int8", "uint8", "fp32"),
        ("int16", "int16", "fp32"),
        ("int16", "int16", "int32"),
        ("e4m3fn", "e4m3fn", "fp32"),
        ("e5m2", "e4m3fn", "bf16"),
        ("fp16", "fp16", "fp32"),
        ("bf16", "bf16", "fp32"),
        ("bf16", "e5m2", "bf16"),
        ("fp32", "fp32", "fp32"),
        ("s4.27", "u0.32", "fp32"),
        ("e8m0", "e8m0", "fp32"),
        ("nf4", "bf16", "fp32"),
    ],
)
def test_the_longest_exact_sums_of_the_largest_products(a, b, out):
    """All of one sign; all but one, which is tiny, cancelling; and more terms are refused."""
    spec = design(a, b, out)
    top_b = oracle.largest(spec.b, False)
    ends = [oracle.largest(spec.a, negative) for negative in (True, False)]
    least = 1 if oracle.value(spec.a, 0) == 0 else 0
    cases = {"low": np.full(LONGEST, ends[0]), "high": np.full(LONGEST, ends[1])}
    products = [oracle.product(spec.a, code, spec.b, top_b) for code in ends]
    values = [Fraction(0) if isinstance(p, oracle.Special) else oracle.exact(p) for p in products]
    sums = {"low": values[0] * LONGEST, "high": values[1] * LONGEST}
    if values[0] < 0:
        mixed = np.tile(ends, LONGEST // 2)
        mixed[-2:] = least, least
        some = oracle.exact(oracle.product(spec.a, least, spec.b, top_b))
        cases["mixed"] = mixed
        sums["mixed"] = sum(values) * (LONGEST // 2 - 1) + 2 * some
    if any(isinstance(p, oracle.Special) for p in products):
        del cases["low"]
    column = np.full((LONGEST, 1), top_b)
    for name, row in cases.items():
        got = matmul(spec, row[None], column)
        assert got == oracle.round_to(spec.out, sums[name], "rne", "saturate"), name
        if spec.a == spec.b:
            assert matmul(spec, column.T, row[:, None]) == got, name
    row = np.append(cases["high"], 0)
    with pytest.raises(ValueError, match=r"^K must be at most max_terms, 65536, not 65537$"):
        matmul(spec, row[None], np.append(column, [[0]], axis=0))


@pytest.mark.parametrize(
    "acc",
    [
        float_16(),
        float_16(width=17, guard=2, sticky=True, round="up"),
        float_16(width=20, normalize="none", guard=1, round="rne"),
    ],
    ids=["truncate", "up", "none"],
)
def test_the_longest_float_chains(acc):
    """Of the largest products; ``up`` with a sticky bit grows in every step, and still fits."""
    spec = design(out="fp32", acc=acc)
    rng = np.random.default_rng(0)
    row = np.full(LONGEST, 0x7F7F)
    row[rng.random(LONGEST) < 0.5] = 0x0001
    wanted = oracle.chain(spec, row, row)
    assert matmul(spec, row[None], row[:, None]) == wanted


def test_long_rounded_chains_agree_with_float32(seed):
    """NumPy adds up in float32 one after the other; products of e4m3fn are exact there."""
    spec = design("e4m3fn", "e4m3fn", "fp32", {"kind": "rounded", "format": "fp32"})
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0x7F, size=(2, LONGEST)) | rng.integers(2, size=(2, LONGEST)) << 7
    products = (decode(spec.a, a) * decode(spec.b, b)).astype(np.float32)
    wanted = np.add.accumulate(products)[-1]
    assert matmul(spec, a[None], b[:, None]).view(np.float32) == wanted


# --- Random bits -------------------------------------------------------------------------------


@of_each([spec for spec in DESIGNS if spec.out.width < 32])
@pytest.mark.parametrize("mode", ["sr_a", "sr_b", "sr_c"])
def test_random_bits_of_the_foot(spec, mode, seed):
    spec = load_design(spec.as_dict() | {"out_round": mode})
    rng = np.random.default_rng(seed)
    a, b = draw_arrays(spec, (2, 2, 5), (5, 3), seed, 0.02)
    for bits, dtype in ((8, "u1"), (16, ">u2"), (32, "u4"), (5, None)):
        drawn = rng.integers(2**bits, size=(2, 2, 3))
        got = matmul(spec, a, b, drawn.astype(dtype) if dtype else (drawn, bits))
        for *at, i, j in np.ndindex(got.shape):
            pair = int(drawn[(*at, i, j)]), bits
            assert got[(*at, i, j)] == oracle.chain(spec, a[(*at, i)], b[:, j], pair)


@of_each(FEW)
def test_random_bits_broadcast(spec, seed):
    spec = load_design(spec.as_dict() | {"out_round": "sr_a"})
    a, b = draw_arrays(spec, (2, 3, 5), (5, 4), seed)
    rng = np.random.default_rng(seed)
    for shape in [(), (4,), (3, 1), (2, 1, 1), (2, 3, 4)]:
        bits = rng.integers(256, size=shape, dtype=np.uint8)
        wide = np.ascontiguousarray(np.broadcast_to(bits, (2, 3, 4)))
        assert_equal(matmul(spec, a, b, bits), matmul(spec, a, b, wide))
        assert_equal(matmul(spec, a, b, (bits.astype(int), 8)), matmul(spec, a, b, wide))
    assert matmul(spec, a[:, :0], b, bits[:, :0]).shape == (2, 0, 4)
    assert matmul(spec, a[..., :0], b[:0], bits).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("mode", "bits", "error", "message"),
    [
        ("rne", np.zeros((1, 1), np.uint8), ValueError, "must be None with rounding rne"),
        ("sr_a", None, ValueError, "must be given with rounding sr_a"),
        ("sr_b", [[1]], TypeError, "must be of type uint8, uint16 or uint32, or a pair (bits, N)"),
        ("sr_b", np.zeros((1, 1), np.int8), TypeError, "not of type int8"),
        ("sr_b", np.zeros((1, 1)), TypeError, "not of type float64"),
        ("sr_c", ([[4]], 2), ValueError, "random_bits of 2 bits must be 0 to 3"),
        ("sr_c", ([[-1]], 2), ValueError, "random_bits of 2 bits must be 0 to 3"),
        ("sr_c", ([[0]], 0), ValueError, "with N of 1 to 32, not 0"),
        ("sr_c", ([[0]], 33), ValueError, "with N of 1 to 32, not 33"),
        ("sr_a", np.zeros((2, 1), np.uint8), ValueError, "(1, 1), not be of (2, 1)"),
        ("sr_a", np.zeros((1, 1, 1), np.uint8), ValueError, "(1, 1), not be of (1, 1, 1)"),
    ],
)
def test_wrong_random_bits(mode, bits, error, message):
    spec = design(out_round=mode)
    with pytest.raises(error) as caught:
        matmul(spec, [[ONE]], [[ONE]], bits)
    assert str(caught.value).startswith("random_bits ")
    assert message in str(caught.value)


def test_random_bits_and_wide_integers():
    spec = design("int8", "int8", "int32", out_round="sr_a")
    assert matmul(spec, [[3]], [[5]], ([[0]], 31)) == 15
    with pytest.raises(
        ValueError, match=r"^random_bits must have at most 31 bits for an out of in"
    ):
        matmul(spec, [[3]], [[5]], ([[0]], 32))


# --- What is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ([[0, 65536]], [[0], [0]], ValueError, "a must be 0 to 65535 to be of bf16, not 65536"),
        ([[0, 0]], [[0], [-1]], ValueError, "b must be 0 to 65535 to be of bf16, not -1"),
        ([[2**70]], [[0]], ValueError, f"not {2**70}"),
        ([[-(2**70)]], [[0]], ValueError, f"not {-(2**70)}"),
        (np.array([[2**64 - 1]], np.uint64), [[0]], ValueError, f"not {2**64 - 1}"),
        ([[2**63]], [[0]], ValueError, f"not {2**63}"),
        ([[0]], np.array([[-(2**63)]]), ValueError, f"of bf16, not {-(2**63)}"),
        (np.array([[-1]], np.int8), [[0]], ValueError, "a must be 0 to 65535 to be of bf16, not "),
        (np.array([[0, 1 << 20]], ">u4"), [[0], [0]], ValueError, "not 1048576 (at index [0, 1])"),
        ([[1.0]], [[0]], TypeError, "a must be integers, not float64"),
        (np.ones((1, 1), np.float16), [[0]], TypeError, "a must be integers, not float16"),
        ([[1]], [[True]], TypeError, "b must be integers, not bool"),
        ([[1j]], [[0]], TypeError, "a must be integers, not complex128"),
        (np.array([[1]], object), [[0]], TypeError, "a must be integers, not object"),
        ([[None]], [[0]], TypeError, "a must be integers"),
        ([["1"]], [[0]], TypeError, "a must be integers"),
        ([[Fraction(1)]], [[0]], TypeError, "a must be integers"),
        ([[np.True_]], [[0]], TypeError, "a must be integers"),
        (np.array([["2020"]], "M8[Y]"), [[0]], TypeError, "a must be integers"),
        (np.zeros((1, 1), [("x", int)]), [[0]], TypeError, "a must be integers"),
        ([1, 2], [[1], [2]], ValueError, "a and b must have at least 2 axes, not shapes (2,) and"),
        ([[1, 2]], [1, 2], ValueError, "at least 2 axes, not shapes (1, 2) and (2,)"),
        (3, 4, ValueError, "a and b must have at least 2 axes, not shapes () and ()"),
        (np.int64(3), [[1]], ValueError, "at least 2 axes"),
        ([], [[1]], ValueError, "at least 2 axes"),
        ([[1, 2]], [[1, 2]], ValueError, "(..., M, K) and (..., K, N), not of shapes (1, 2)"),
        (np.zeros((2, 0), int), np.zeros((1, 2), int), ValueError, "(2, 0) and (1, 2)"),
        (np.zeros((2, 1, 3), int), np.zeros((3, 3, 1), int), ValueError, "leading axes of a and b"),
        (np.zeros((0, 1, 3), int), np.zeros((2, 3, 1), int), ValueError, "leading axes of a and b"),
    ],
)  # fmt: skip
def test_wrong_operands(a, b, error, message):
    for spec in (DESIGNS[5], design()):
        with pytest.raises(error, match=re.escape(message)):
            matmul(spec, a, b)


@pytest.mark.parametrize(
    ("fmt", "wrong", "message"),
    [
        ("int8:sym", 128, "a must be 0 to 255 other than 128 to be of int8:sym, not 128"),
        ("int8", 256, "a must be 0 to 255 to be of int8, not 256"),
        ("int8", -1, "a must be 0 to 255 to be of int8, not -1"),
        ("tern", 2, "a must be 0 to 3 other than 2 to be of tern, not 2"),
        ("bin", 2, "a must be 0 to 1 to be of bin, not 2"),
        ("nf4", 16, "a must be 0 to 15 to be of nf4, not 16"),
        ("lut:int4:f17", 3, "a must be 0 to 2 to be of lut:int4:f17, not 3"),
        ("khot2:s0.7", 11, "a must be codes to be of khot2:s0.7, not 11"),
        ("e2m1", 16, "a must be 0 to 15 to be of e2m1, not 16"),
        ("fp32", 2**32, "a must be 0 to 4294967295 to be of fp32, not 4294967296"),
        ("e8m0", 256, "a must be 0 to 255 to be of e8m0, not 256"),
    ],
)
def test_codes_that_mean_nothing(fmt, wrong, message):
    spec = design(fmt, fmt, "fp32")
    good = 1 if fmt != "khot2:s0.7" else 12
    assert matmul(spec, [[good]], [[good]]).shape == (1, 1)
    with pytest.raises(ValueError, match=f"^{re.escape(message)} \\(at index \\[0, 1\\]\\)$"):
        matmul(spec, [[good, wrong]], [[good], [good]])
    with pytest.raises(
        ValueError, match=f"^{re.escape('b' + message[1:])} \\(at index \\[1, 0\\]\\)"
    ):
        matmul(spec, [[good, good]], [[good], [wrong]])
