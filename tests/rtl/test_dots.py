"""Tests of dot products: their logic, many chains at a time, against model and definition."""

import numpy as np
import pytest

import oracle
import oracle_blocks
from evaluation import evaluate
from minimac.bench.dots import chains, with_scales
from minimac.bench.operands import STYLES, Elements
from minimac.model import Blocks, matmul
from minimac.rtl import describe, plan
from minimac.rtl.foot import Foot
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.multiplyadd import MultiplyAdd
from minimac.spec import SpecError, load_design
from recordings import CASES, OWN_CASES, recorded
from recordings import design as recorded_design

EXACT = {"kind": "exact", "max_terms": 1024}


def fused(group, frac_bits, **more):
    return {"kind": "fused", "group": group, "frac_bits": frac_bits, **more}


def rounded(name, mode="rne"):
    return {"kind": "rounded", "format": name, "round": mode}


#: Designs: a, b, out, accumulate, lanes, and what is done within a block.
SMALL = [
    ("int8", "int4", "int32", EXACT, 5),
    ("uint4", "int8", "s12.-2", EXACT, 4),
    ("int8:sym", "uint3", "bf16", EXACT, 3),
    ("int2", "int3", "int16", EXACT, 7),
    ("bin", "bin", "int16", EXACT, 9),
    ("tern", "int8", "int32", EXACT, 4),
    ("khot1:s0.7", "int8", "fp16", EXACT, 3),
    ("e2m1", "e2m1", "fp16", EXACT, 8),
    ("e4m3", "e4m3fn", "bf16", EXACT, 4),
    ("e5m2", "e3m2", "fp32", EXACT, 2),
    ("nf4", "e4m3fn", "fp16", EXACT, 3),
    ("e4m3fn", "e5m2", "fp32", "hopper_fp8", None),
    ("e4m3fn", "e4m3fn", "fp32", fused(4, 24, sticky=True, round="rne"), None),
    ("bf16", "bf16", "fp32", fused(2, 25), None),
    ("fp16", "fp16", "bf16", fused(2, 25), None),
    ("e5m2", "int4", "e5m2", fused(3, 2, round="up", format="e5m2", out_frac_bits=1), None),
    ("e3m2", "e3m2", "e4m3fn", fused(4, 3, sticky=True, round="rna", format="e4m3fn"), None),
    ("e4m3fnuz", "e2m1", "e4m3p3109", fused(3, 0, round="odd", format="e3m2"), None),
    ("e2m1", "nf4", "fp16", fused(5, 8, format="e5m2", round="down"), None),
    ("mxint8:size=4", "mxint8:size=4", "fp32", None, None),
    ("mxfp4:size=4", "mxfp4:size=4", "fp32", rounded("bf16", "odd"), None),
    ("mxfp8_e5m2:size=2", "mxfp8_e4m3:size=2", "bf16", None, None),
    ("nvfp4:size=4", "nvint4:size=4", "bf16", rounded("fp16"), None),
    ("mxint4:size=4", "int8", "fp32", None, None),
    ("e4m3fn", "mxfp6_e2m3:size=3", "e5m2", None, None),
    ("bfp12:size=2:scale=ue3m0", "bfp12:size=2:scale=ue4m1", "fp32", EXACT, 4),
    ("nvfp4:size=2", "nvfp4:size=2", "fp32", fused(3, 9, sticky=True, round="rne"), None),
    ("mxfp6_e3m2:size=2", "mxint6:size=2", "bf16", fused(2, 25, format="bf16"), None),
    ("block:e5m2:size=2:scale=e4m3fn", "block:e2m1:size=2:scale=e3m2ieee", "fp32", None, None),
    ("mxfp4:size=4", "mxfp4:size=4", "fp32", None, None, fused(4, 3)),
    (
        *("mxfp8_e5m2:size=3", "mxfp6_e3m2:size=3", "bf16", fused(2, 12, sticky=True), None),
        fused(3, 9, sticky=True, round="rne", out_frac_bits=5),
    ),
    (
        *("nvfp4:size=2", "block:e4m3fn:size=2:scale=e3m2ieee", "fp32", EXACT, 4),
        fused(2, 6, round="up", format="e8m3"),
    ),
    ("dfp8", "dfp4", "fp32", None, 4),
    ("block:e4m3fn:size=tensor:scale=ue5m3", "dfp8", "bf16", rounded("bf16", "up"), 2),
]


def dot(a, b, out, accumulate, lanes=None, within=None):
    tree = {"name": "d", "unit": "dot", "a": a, "b": b, "out": out}
    tree |= {"within": within} if within else {}
    tree |= {"accumulate": accumulate} if accumulate else {}
    return load_design(tree | ({"lanes": lanes} if lanes else {}))


def draw(design, rng, outputs, depth):
    """Return matrices whose diagonal blocks are all of some style."""
    style = STYLES[rng.choice(sorted(STYLES))]
    a, b = style(Elements(design), rng, outputs, depth, 1)
    return with_scales(design, rng, a, b)


def run(design, sequences):
    """Send chains of equal numbers of transfers through element and foot; return the codes."""
    element, accumulator = MultiplyAdd(design, loops=True), accumulator_for(design)
    assert element.COMBINATIONAL
    states = [0] * len(sequences)
    widths = {}
    for name, field in describe(design)["streams"]["i"]["fields"].items():
        widths[name] = field["width"]
    for n in range(len(sequences[0])):
        inputs = {"step": [1] * len(sequences), "state": states}
        for name in accumulator.operands:
            inputs[name] = [
                sum(code << widths[name] * k for k, code in enumerate(chain[n][name]))
                for chain in sequences
            ]
        states = evaluate(element, inputs)["result"]
    foot = Foot(design, stages=0)
    return evaluate(foot, {"state": states})["code"]


def check(design, rng, outputs, depth):
    """Compare circuit and model; return what went in and what came out."""
    a, b = draw(design, rng, outputs, depth)
    want = matmul(design, a, b)[:, 0]
    got = run(design, [chain for _, chain in chains(design, a, b)])
    assert got == want.tolist(), design.summary()
    return a, b, got


def by_definition(design, a, b, output):
    """Return the code that exact fractions lead to."""
    parts = []
    for operand, line in ((a, (output, slice(None))), (b, (slice(None), 0))):
        if isinstance(operand, Blocks):
            scales = operand.scales if operand.scales.size == 1 else operand.scales[line]
            parts.append((operand.elements[line].tolist(), scales.ravel().tolist()))
        else:
            parts.append((operand[line].tolist(), None))
    (x, x_scales), (y, y_scales) = parts
    if design.has_blocks:
        return oracle_blocks.block_chain(design, x, x_scales, None, y, y_scales, None)
    return oracle.chain(design, x, y)


@pytest.mark.parametrize("row", SMALL, ids=lambda row: f"{row[0]}-{row[1]}-{row[4]}")
def test_chains_of_several_transfers(row, seed, tally, pytestconfig):
    """Sums of random operands of every style, with short last transfers; some by definition."""
    design = dot(*row)
    rng = np.random.default_rng([seed, SMALL.index(row)])
    exhaustive = pytestconfig.option.exhaustive
    for _ in range(40 if exhaustive else 1):
        depth = int(rng.integers(1, 4 * design.lanes + 1))
        if design.padding is None:
            depth = design.lanes * -(-depth // design.lanes)
        outputs = 2000 if exhaustive else 60
        a, b, got = check(design, rng, outputs, depth)
        defined = range(20 if exhaustive else 8)
        assert [got[n] for n in defined] == [by_definition(design, a, b, n) for n in defined]
        tally("chains", outputs)


FEW = ["e4m3.e5m2.normal.k32", "fp16.fp16.normal.k16", *OWN_CASES[16::16]]


@pytest.mark.parametrize("case", [*CASES, *OWN_CASES])
def test_recordings_of_a_tensor_core(case, tally, pytestconfig):
    """What an H100 returned, out of the circuit: every bit, but for the code of NaN."""
    exhaustive = pytestconfig.option.exhaustive
    if not (exhaustive or case in FEW):
        pytest.skip("is for --exhaustive")
    a, b, y = recorded(case)
    design = dot(*(load(case)))
    rows = len(y) if exhaustive else max(len(y) // 32, 1)
    sequences = [chain for _, chain in chains(design, a[:rows].astype(int), b.astype(int))]
    got = np.array(run(design, sequences), np.uint32).view(np.float32)
    wanted = y[:rows].ravel().view(np.float32)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    keep = ~np.isnan(wanted)
    np.testing.assert_array_equal(got[keep].view(np.uint32), wanted[keep].view(np.uint32))
    tally("recordings of a tensor core", wanted.size)


def load(case):
    design = recorded_design(case)
    preset = "hopper_fp16" if design.a.width == 16 else "hopper_fp8"
    return design.a.name, design.b.name, "fp32", preset


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"accumulate": rounded("fp32")},
            (
                "accumulate.kind: a dot adds many products at once, so it must be exact or fused, "
                "not rounded; use unit mac or systolic to keep it"
            ),
        ),
        ({"accumulate": "hopper_fp8", "lanes": 16}, "lanes: must be 32 for groups of 32, not 16"),
        ({"accumulate": EXACT, "lanes": 0}, "lanes: must be 1 to 1024, not 0"),
        ({"accumulate": EXACT, "lanes": 1025}, "lanes: must be 1 to 1024, not 1025"),
        (
            {"a": "mxfp4", "b": "mxfp4", "accumulate": EXACT, "lanes": 48},
            "lanes: must be a multiple of 32 for blocks of 32, not 48",
        ),
        ({"a": "nvfp4", "b": "nvfp4", "lanes": 32}, "lanes: must be 16 for blocks of 16, not 32"),
        (
            {"a": "nvfp4", "b": "nvfp4", "lanes": 16, "accumulate": fused(4, 20)},
            "lanes: must be 64 for groups of 4 blocks of 16, not 16",
        ),
        (
            {"a": "dfp8", "b": "dfp8", "accumulate": fused(4, 20)},
            (
                "accumulate.kind: a tensor with one scale is one term, so it must be rounded, "
                "not fused"
            ),
        ),
        (
            {"a": "int8", "b": "int8", "accumulate": EXACT, "pipeline": 2},
            "pipeline: must be auto or 0 to 1 in a dot of int8 x int8 -> fp32, exact, not 2",
        ),
    ],
)
def test_what_a_dot_cannot_be(changes, message):
    tree = {"name": "d", "unit": "dot", "a": "e4m3fn", "b": "e4m3fn", "out": "fp32", **changes}
    with pytest.raises(SpecError) as caught:
        plan(load_design(tree))
    assert str(caught.value) == message


def test_lanes_follow_from_what_is_added_up():
    assert dot("int8", "int8", "int32", EXACT).lanes == 32
    assert dot("e4m3fn", "e4m3fn", "fp32", "hopper_fp8").lanes == 32
    assert dot("nvfp4", "nvfp4", "fp32", None).lanes == 16
    assert dot("nvfp4", "nvfp4", "fp32", fused(2, 20)).lanes == 32
    assert dot("mxfp4", "mxfp4", "fp32", None).blocks == 1
    assert dot("dfp8", "dfp8", "fp32", None).blocks == 1
    assert dot("int8", "int8", "int32", EXACT).blocks == 0


def test_scales_have_ports():
    fields = describe(dot("nvfp4", "int8", "fp32", fused(2, 20)))["streams"]["i"]["fields"]
    assert list(fields) == ["a", "b", "a_scale", "last"]
    assert (fields["a"]["width"], fields["a"]["count"]) == (4, 32)
    assert (fields["a_scale"]["width"], fields["a_scale"]["count"]) == (7, 2)
