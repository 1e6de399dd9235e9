"""Tests of products of blocks of :mod:`minimac.model`, against the oracle."""

import collections
import random

import numpy as np
import pytest

import chains
import oracle
import oracle_blocks
from chains import Codes, assert_agrees, draw_block_design, draw_operands
from minimac.model import Blocks, decode, dequantize_blocks, encode, matmul, quantize_blocks
from minimac.spec import load_design, parse_format
from oracle import Special

FLAT = {"name": "m", "unit": "mac"}
EXACT = {"kind": "exact"}
NAN, INF = float("nan"), float("inf")


# --- Random designs ----------------------------------------------------------------------------


def draw_case(key):
    rng = random.Random(key)
    tree = draw_block_design(rng)
    spec = load_design(tree)
    rows, columns = rng.choice([(2, 3), (2, 3), (1, 1), (3, 18)])
    operands = draw_operands(rng, spec, rows, rng.choice([1, 3, 4, 7, 12, 13]), columns)
    return tree, operands, chains.draw_random_bits(rng, spec, (rows, columns))


@pytest.mark.parametrize("group", range(6))
def test_random_designs(group, seed, pytestconfig, tally):
    cases = 1000 if pytestconfig.option.exhaustive else 25
    for case in range(cases):
        key = f"blocks, seed {seed}, group {group}, case {case}"
        tree, operands, bits = draw_case(key)
        tally("random designs, blocks", assert_agrees(tree, *operands, key, bits))


def test_draws_are_varied(seed):
    seen, results = collections.Counter(), set()
    for case in range(300):
        tree, (a, b), bits = draw_case(f"varied {seed} {case}")
        spec = load_design(tree)
        drawn = None if bits is None else (int(bits[0][0, 0]), bits[1])
        operands = [
            part
            for codes in (a, b)
            for part in (codes.elements[0], codes.scales and codes.scales[0], codes.tensor)
        ]
        result = oracle.value(spec.out, oracle_blocks.block_chain(spec, *operands, drawn))
        results.add(result)
        seen[result if isinstance(result, Special) else result == 0] += 1
        seen[spec.accumulate.kind] += 1
        seen["within"] += spec.within is not None
    wanted = {True, False, Special.NAN, *oracle.INFINITIES}
    assert not (wanted | {"exact", "rounded", "fused", "within"}) - set(+seen)
    assert len(results) > 100


# --- By hand -----------------------------------------------------------------------------------


def total(acc, *blocks, a="mxfp4:size=2", b=None, out="fp32", tensors=(1.0, 1.0), **fields):
    """Return the value of pairs of blocks: the elements and the scale of each.

    A block with the scale None is of a scalar format.
    """
    tree = FLAT | {"a": a, "b": b or a, "out": out} | fields
    tree |= {"accumulate": acc} if acc else {}
    spec = load_design(tree)
    operands = []
    for fmt, side, tensor in zip((spec.a, spec.b), zip(*blocks, strict=True), tensors, strict=True):
        element = getattr(fmt, "element", fmt)
        values = [value for block in side for value in block[0]]
        elements = encode(element, values).tolist()
        assert repr(decode(element, elements).tolist()) == repr(list(map(float, values)))
        scales = None
        if hasattr(fmt, "scale"):
            scales = encode(fmt.scale, [block[1] for block in side]).tolist()
        operands.append(Codes([elements], scales and [scales], tensor))
    assert_agrees(tree, *operands, "by hand")
    arguments = (
        chains.as_argument(fmt, codes, axis)
        for fmt, codes, axis in zip((spec.a, spec.b), operands, (-1, -2), strict=True)
    )
    return repr(float(decode(spec.out, matmul(spec, *arguments))[0, 0]))


def text(number):
    return repr(float(number))


def one(scale, *values):
    """Return a pair of blocks of which the second is of ones."""
    return (values, scale), ([1.0] * len(values), 1.0)


def test_the_default_is_a_rounded_sum_in_fp32():
    # 2**24 + 1 is a tie of fp32, and the order of the terms counts.
    assert total(None, one(2.0**24, 1.0, 0.0), one(1.0, 1.0, 0.0)) == text(2**24)
    twice = one(1.0, 1.0, 0.0), one(1.0, 1.0, 0.0)
    assert total(None, *twice, one(2.0**24, 1.0, 0.0)) == text(2**24 + 2)
    assert total(None, one(2.0**24, 1.0, 0.0), one(1.0, 1.0, 1.0)) == text(2**24 + 2)


def test_the_sum_of_a_pair_is_exact_and_scaled_once():
    """In bf16 each of the products would be rounded alone; the sum of the pair is one term."""
    acc = {"kind": "rounded", "format": "e5m2"}
    pair = ([1.5, 0.5], 4.0), ([1.5, 0.5], 0.5)  # (2.25 + 0.25) * 2
    assert total(acc, pair) == text(5)
    assert total(acc, (([1.5, 0.5], 1.0), ([1.5, 1.5], 1.0)), one(0.5, 0.5, 0.0)) == text(3.0)
    assert total(EXACT, (([1.5, 0.5], 1.0), ([1.5, 1.5], 1.0)), one(0.5, 0.5, 0.0)) == text(3.25)


def test_the_last_block_may_be_short():
    assert total(EXACT, one(2.0, 1.0, 1.0), one(8.0, 3.0)) == text(28)
    assert total(EXACT, one(8.0, 3.0)) == text(24)


def test_a_zero_block_has_no_exponent():
    """Found in random designs: a zero times a large scale wiped out the state."""
    for acc in (None, EXACT, {"kind": "fused", "group": 2, "frac_bits": 24}):
        assert total(acc, one(1.0, 1.0, 0.5), one(2.0**97, 0.0, 0.0)) == text(1.5)
        assert total(acc, one(2.0**97, 0.0, 0.0), one(1.0, 1.0, 0.5)) == text(1.5)
        assert total(acc, one(2.0**97, 3.0, -3.0), one(1.0, 1.0, 0.5)) == text(1.5)
    acc = {"kind": "rounded", "format": "e5m2fnuz", "round": "up"}
    pairs = (([1.0, 0.0], None), ([1.0, 1.0], 4.0)), (([0.0, 0.0], None), ([1.0, 1.0], 2.0**97))
    acc = {"kind": "rounded", "format": "e5m2fnuz", "round": "up"}
    assert total(acc, *pairs, a="int8", b="mxint8:size=2") == text(4)


@pytest.mark.parametrize(
    ("blocks", "wanted"),
    [
        ([one(NAN, 1.0, 1.0)], NAN),
        ([one(NAN, 0.0, 0.0)], NAN),
        ([one(1.0, 1.0, 1.0), one(NAN, 0.0)], NAN),
        ([one(2.0**-127, 1.0, -1.0)], 0.0),
        ([one(2.0**127, 1.0, -1.0), one(1.0, -1.0, 1.0)], 0.0),
        ([one(1.0, -0.0, -0.0)], 0.0),
    ],
)
@pytest.mark.parametrize("acc", [None, EXACT, {"kind": "fused", "group": 1, "frac_bits": 24}])
def test_nan_scales_and_zeros(acc, blocks, wanted):
    assert total(acc, *blocks, out="bf16") == text(wanted)


@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        ([(INF, 1.0)], INF),
        ([(INF, -INF)], NAN),
        ([(INF, 0.0), (1.0, -INF)], NAN),
        ([(1.0, 1.0), (-INF, 2.0)], -INF),
        ([(NAN, 1.0)], NAN),
    ],
)
@pytest.mark.parametrize("acc", [None, EXACT, {"kind": "fused", "group": 1, "frac_bits": 24}])
def test_infinite_elements(acc, terms, wanted):
    blocks = [one(2.0, *values) for values in terms]
    assert total(acc, *blocks, a="mxfp8_e5m2:size=2", out="bf16") == text(wanted)


def test_an_infinite_scale_counts_as_nan():
    fmt = "block:e2m1:size=2:scale=e5m2"
    for values in ([1.0, 1.0], [0.0, 0.0]):
        assert total(None, one(INF, *values), a=fmt) == text(NAN)


def test_a_state_that_overflows():
    acc = {"kind": "rounded", "format": "fp16"}
    large = one(2.0**15, 1.0, 1.0)
    assert total(acc, large, one(1.0, 1.0, 1.0)) == text(INF)
    assert total(acc, large, (([-1.0, -1.0], 2.0**15), ([1.0, 1.0], 1.0))) == text(INF)
    assert total(acc | {"round": "truncate"}, large, large) == text(65504)
    fp8 = {"kind": "rounded", "format": "e4m3fn"}
    assert total(fp8, large, one(1.0, -1.0, -1.0)) == text(448)


def test_scales_of_tensors_multiply_the_result_before_it_is_rounded():
    """257 is a tie of bf16, 3 * 257 is none, nor is 3 * 256.5."""
    pairs = one(256.0, 1.0, 0.0), one(1.0, 1.0, 0.0)
    fields = {"a": "nvfp4:size=2", "out": "bf16"}
    assert total(EXACT, *pairs, **fields) == text(256)
    assert total(EXACT, *pairs, **fields, tensors=(3.0, 1.0)) == text(772)
    assert total(EXACT, *pairs, **fields, tensors=(3.0, 0.5)) == text(386)
    half = one(256.0, 1.0, 0.0), one(0.5, 1.0, 0.0)
    assert total(EXACT, *half, **fields, tensors=(1.0, 3.0)) == text(768)
    tiny = float(np.float32(2.0**-149))
    assert total(EXACT, *pairs, a="nvfp4:size=2", tensors=(tiny, 1.0)) == text(257 * tiny)
    assert total(EXACT, *pairs, **fields, tensors=(2.0**127, 4.0)) == text(255 * 2.0**120)


def test_within_a_pair_of_blocks_fused():
    """4 fraction bits: of 9 and 0.25, whose products have the exponents 2 and -2, all is kept."""
    within = {"kind": "fused", "group": 2, "frac_bits": 4}
    pair = ([3.0, 0.5], 2.0), ([3.0, 0.5], 1.0)
    assert total(EXACT, pair, within=within) == text(2 * 9.25)
    assert total(EXACT, pair, within=within | {"frac_bits": 3}) == text(2 * 9)
    assert total(EXACT, pair, within=within | {"out_frac_bits": 3}) == text(2 * 9)
    up = within | {"out_frac_bits": 3, "round": "up"}
    assert total(EXACT, pair, within=up) == text(2 * 10)
    assert total(EXACT, pair, one(1.0, 0.5), within=up) == text(2 * 10 + 0.5)  # a short block


def test_one_block_for_a_tensor(seed):
    """Dynamic fixed point: an integer product, and one exponent at the end."""
    rng = np.random.default_rng(seed)
    spec = load_design(FLAT | {"a": "dfp16", "b": "dfp16", "out": "fp32", "accumulate": EXACT})
    x, y = rng.normal(size=(3, 50)), rng.normal(size=(50, 4)) * 1000
    a, b = quantize_blocks(spec.a, x), quantize_blocks(spec.b, y)
    product = dequantize_blocks(spec.a, a) @ dequantize_blocks(spec.b, b)  # exact in float64
    np.testing.assert_array_equal(decode(spec.out, matmul(spec, a, b)), product.astype(np.float32))


# --- Shapes ------------------------------------------------------------------------------------


def draw_blocks(fmt, rng, shape, axis):
    """Draw blocks of like size, of a scalar format the codes."""
    values = rng.standard_normal(shape)
    if not hasattr(fmt, "element"):
        return encode(fmt, values)
    return quantize_blocks(fmt, values, axis)


def is_one_block(operand):
    """Say whether one scale stands for all."""
    return operand.scales.size == 1 and operand.elements.size > 1


def parts_of(operand, at):
    """Return one of the matrices of a stack of blocks or codes."""
    if not isinstance(operand, Blocks):
        return operand[at]
    elements = operand.elements[at]
    if is_one_block(operand):
        return operand._replace(elements=elements, scales=operand.scales.reshape(1, 1))
    return operand._replace(elements=elements, scales=operand.scales[at])


def line_of(operand, at):
    """Return elements, scales and tensor scale of a row or column; of a scalar format the codes."""
    if not isinstance(operand, Blocks):
        return operand[at], None, None
    scales = operand.scales.ravel() if is_one_block(operand) else operand.scales[at]
    return operand.elements[at], scales, operand.tensor_scale


SIZES = [
    {"a": "mxfp8_e4m3", "b": "mxfp8_e4m3", "out": "bf16"},
    {"a": "dfp8", "b": "dfp16", "out": "bf16"},
    {"a": "e4m3fn", "b": "dfp8", "out": "fp32", "accumulate": EXACT},
    {"a": "nvfp4", "b": "nvfp4", "out": "bf16", "accumulate": EXACT},
    {"a": "bf16", "b": "mxint8", "out": "fp32"},
    {
        "a": "mxfp4",
        "b": "mxfp6_e3m2",
        "out": "fp32",
        "accumulate": {"kind": "fused", "group": 2, "frac_bits": 25},
    },
]


@pytest.mark.parametrize("tree", SIZES, ids=lambda tree: f"{tree['a']}, {tree['b']}")
@pytest.mark.parametrize(
    ("lead_a", "lead_b"), [((), (3,)), ((3,), ()), ((2, 1), (3,)), ((0,), (1,))]
)
def test_leading_axes_broadcast(tree, lead_a, lead_b, seed):
    spec, rng = load_design(FLAT | tree), np.random.default_rng(seed)
    a = draw_blocks(spec.a, rng, (*lead_a, 5, 70), -1)
    b = draw_blocks(spec.b, rng, (*lead_b, 70, 6), -2)
    got = matmul(spec, a, b)
    lead = np.broadcast_shapes(lead_a, lead_b)
    assert got.shape == (*lead, 5, 6)
    places = (np.arange(np.prod(own, dtype=int)).reshape(own) for own in (lead_a, lead_b))
    places = [np.broadcast_to(place, lead) for place in places]
    for at in np.ndindex(lead):
        each = []
        for operand, own, place in zip((a, b), (lead_a, lead_b), places, strict=True):
            index = np.unravel_index(place[at], own) if own else ()
            each.append(parts_of(operand, tuple(index)))
        np.testing.assert_array_equal(got[at], matmul(spec, *each))


@pytest.mark.parametrize("tree", SIZES, ids=lambda tree: f"{tree['a']}, {tree['b']}")
def test_larger_products_and_any_layout(tree, seed):
    spec, rng = load_design(FLAT | tree), np.random.default_rng(seed)
    a = draw_blocks(spec.a, rng, (90, 130), -1)
    b = draw_blocks(spec.b, rng, (130, 40), -2)
    got = matmul(spec, a, b)
    for i, j in zip(rng.integers(90, size=6), rng.integers(40, size=6), strict=True):
        codes = *line_of(a, (i, slice(None))), *line_of(b, (slice(None), j))
        assert got[i, j] == oracle_blocks.block_chain(spec, *codes), (seed, i, j)
    b_turned = b
    if isinstance(b, Blocks):
        b_turned = b._replace(elements=np.asfortranarray(b.elements), scales=b.scales.tolist())
    np.testing.assert_array_equal(matmul(spec, a, b_turned), got)
    if isinstance(a, Blocks):  # a tuple will do
        np.testing.assert_array_equal(matmul(spec, tuple(a)[:3], b), got)
        scales = a.scales if is_one_block(a) else a.scales[::-3]
        some = a._replace(elements=a.elements[::-3], scales=scales)
        np.testing.assert_array_equal(matmul(spec, some, b), got[::-3])


def test_no_terms_no_rows_no_columns():
    spec = load_design(FLAT | SIZES[0])

    def blocks(rows, columns, axis):
        return quantize_blocks(spec.a, np.zeros((rows, columns)), axis)

    assert matmul(spec, blocks(2, 0, -1), blocks(0, 3, -2)).tolist() == [[0] * 3] * 2
    assert matmul(spec, blocks(0, 40, -1), blocks(40, 3, -2)).shape == (0, 3)
    assert matmul(spec, blocks(2, 40, -1), blocks(40, 0, -2)).shape == (2, 0)
    tensor = load_design(FLAT | {"a": "dfp8", "b": "dfp8", "out": "fp32"})
    empty = Blocks(np.empty((2, 0), np.uint8), [[127]]), Blocks(np.empty((0, 3), np.uint8), [[127]])
    assert matmul(tensor, *empty).shape == (2, 3)


# --- What is refused ---------------------------------------------------------------------------

CODES = np.zeros((2, 4), np.uint8)
SCALES = np.full((2, 2), 127, np.uint8)
GOOD = Blocks(CODES, SCALES)
OTHER = Blocks(CODES.T, SCALES.T)


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        (CODES, OTHER, TypeError, "a must be Blocks (see quantize_blocks), not ndarray"),
        (GOOD, CODES.T, TypeError, "b must be Blocks (see quantize_blocks), not ndarray"),
        (GOOD, None, TypeError, "b must be Blocks (see quantize_blocks), not NoneType"),
        ((CODES,), OTHER, TypeError, "a must be Blocks"),
        (Blocks(CODES + 16, SCALES), OTHER, ValueError, "a.elements must be 0 to 15 to be of e2m1"),
        (Blocks(CODES, SCALES + 200.0), OTHER, TypeError, "a.scales must be integers, not float64"),
        (Blocks(CODES, SCALES.astype(int) + 200), OTHER, ValueError, "a.scales must be 0 to 255"),
        (Blocks(CODES, SCALES, 2.0), OTHER, ValueError, "a.tensor_scale must be 1"),
        (Blocks(CODES, SCALES[:, :1]), OTHER, ValueError, "a.scales must be of shape (2, 2)"),
        (Blocks(CODES, SCALES[0]), OTHER, ValueError, "a.scales must be of shape (2, 2)"),
        (GOOD, Blocks(CODES.T, SCALES[:, :1]), ValueError, "b.scales must be of shape (2, 2)"),
        (GOOD, Blocks(CODES[:, :2].T, SCALES.T[:1]), ValueError, "(2, 4) and (2, 2)"),
        (Blocks(CODES[0], SCALES[0]), OTHER, ValueError, "a and b must have at least 2 axes"),
    ],
)
def test_wrong_blocks(a, b, error, message):
    spec = load_design(FLAT | {"a": "mxfp4:size=2", "b": "mxfp4:size=2", "out": "fp32"})
    assert matmul(spec, GOOD, OTHER).shape == (2, 2)
    with pytest.raises(error) as caught:
        matmul(spec, a, b)
    assert message in str(caught.value)


def test_blocks_are_not_codes():
    spec = load_design(FLAT | {"a": "bf16", "b": "bf16", "out": "fp32", "accumulate": EXACT})
    for a, b, name in ((GOOD, CODES.T, "a"), (CODES, OTHER, "b")):
        with pytest.raises(TypeError, match=f"^{name} must be codes, not Blocks: bf16 is a scalar"):
            matmul(spec, a, b)


def test_max_terms_counts_products_of_elements():
    spec = load_design(
        FLAT
        | {
            "a": "mxfp4:size=2",
            "b": "mxfp4:size=2",
            "out": "fp32",
            "accumulate": EXACT | {"max_terms": 3},
        }
    )
    with pytest.raises(ValueError, match=r"^K must be at most max_terms, 3, not 4$"):
        matmul(spec, GOOD, OTHER)


def test_random_bits(seed):
    spec = load_design(FLAT | SIZES[0] | {"out_round": "sr_b"})
    rng = np.random.default_rng(seed)
    a, b = draw_blocks(spec.a, rng, (3, 40), -1), draw_blocks(spec.b, rng, (40, 4), -2)
    with pytest.raises(ValueError, match="random_bits must be given"):
        matmul(spec, a, b)
    got = matmul(spec, a, b, rng.integers(256, size=(3, 4), dtype=np.uint8))
    exact = dequantize_blocks(spec.a, a) @ dequantize_blocks(spec.b, b)
    assert np.abs(decode(parse_format("bf16"), got) - exact).max() < 2.0**-7 * np.abs(exact).max()
