"""Tests of quantisers of blocks, in logic, against the model."""

import itertools
import random
import re

import numpy as np
import pytest
from amaranth.hdl import Const

from circuits import run_unit
from evaluation import evaluate
from minimac.bench.quantize import QuantizeBench, draw_blocks
from minimac.model import quantize_blocks, quantize_numbers
from minimac.rtl.quantize import QuantizePlan, Quantizer, QuantizeUnit, powers, quotients, task
from minimac.rtl.quantize.leasterror import LeastError, smaller_scales
from minimac.spec import SpecError, load_design, parse_format

SIZE = 4
INPUTS = ["bf16", "fp16", "fp32", "bf16:ftz", "e4m3fn", "int16", "s3.4", "uint8"]
POWERS = ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp4", "mxint8", "mxint8:ocp", "bfp12",
          "block:e3m0", "block:e4m3fn:bias=-100", "block:e4m3fn:bias=120",
          "mxfp4:tensor=fp32", "mxint8:tensor=bf16"]  # fmt: skip
OTHERS = ["nvfp4", "nvint4", "nvfp4:scale=ue5m3fn", "nvfp4:tensor=none", "block:e4m3fn:scale=bf16",
          "block:e2m3:scale=ue4m3fn:tensor=bf16", "block:int8:scale=fp32",
          "block:s0.3:scale=ue4m3p3109"]  # fmt: skip
RULES = ["floor", "ceil", "even", "roundup"]


def pack(rows, width):
    return [sum(int(code) << n * width for n, code in enumerate(row)) for row in rows]


def check(tree, seed, count=400):
    """Compare a quantiser with the model; return the number of elements."""
    design = load_design({"name": "m", "unit": "quantize", **tree})
    rng = np.random.default_rng(seed)
    blocks = draw_blocks(design.a, rng, count, design.block.size)
    fields = QuantizeBench().complete(design, rng, {"a": blocks})
    widths = {"a": design.a.width, "random": design.random_bits}
    packed = {
        name: pack(column, widths[name]) if column.ndim == 2 else column.tolist()
        for name, column in fields.items()
    }
    got = evaluate(Quantizer(design), packed)
    want = quantize_numbers(design, blocks, fields.get("tensor"), fields.get("random"))
    assert got["scale"] == want[1].tolist(), design.summary()
    assert got["elements"] == pack(want[0], design.block.element.width), design.summary()
    return blocks.size


def test_rules_formats_and_inputs(seed, tally, pytestconfig):
    cases = [
        {"a": a, "out": f"{out}:size={SIZE}:rule={rule}"}
        for a in INPUTS for out in POWERS + OTHERS for rule in RULES
    ]  # fmt: skip
    if not pytestconfig.option.exhaustive:
        cases = random.Random(seed).sample(cases, 6)
    tally("the model, quantisers", sum(check(case, seed) for case in cases))


MODES = ["rna", "truncate", "up", "down", "odd", "sr_a", "sr_b", "sr_c"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("out", ["mxfp4", "nvfp4", "nvint4"])
def test_modes_of_elements(out, mode, seed, pytestconfig):
    chosen = ("nvfp4", "nvint4")[(MODES.index(mode) + seed) % 2]
    if not pytestconfig.option.exhaustive and out not in ("mxfp4", chosen):
        pytest.skip("only with --exhaustive, or another seed")
    tree = {"a": "bf16", "out": f"{out}:size={SIZE}", "out_round": mode}
    check(tree | ({"random_bits": 4} if mode.startswith("sr") else {}), seed, 200)


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"out": "e4m3fn"}, "out: must be a block format"),
        ({"out": "dfp8"}, "out: a block must have 1 to 256 elements"),
        ({"out": "block:nf4:size=4"}, "out: elements must be of a minifloat or fixed-point"),
        ({"out": "nvfp4:scale=ue5m3"}, "out: ue5m3, the format of its scales, has no NaN"),
        ({"out": "mxfp4", "out_overflow": "nan"}, "out_overflow: elements of blocks saturate"),
        ({"out": "mxfp4", "b": "int8"}, "b: quantize has one operand"),
        ({"out": "mxfp4", "a": "nf4"}, "a: must be a minifloat or fixed-point format, not nf4"),
        ({"out": "mxfp4", "seed": 3}, "seed: is for a stochastic out_round"),
    ],
)
def test_what_is_refused(tree, said):
    with pytest.raises(SpecError, match=f"^{said}"):
        load_design({"name": "m", "unit": "quantize", "a": "bf16", **tree})


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("nvfp4:rule=mse", "out: rule mse has circuits for scales of powers of two and none of"),
        ("mxfp4:rule=mse:tensor=fp32", "out: rule mse has circuits for scales of powers of two"),
        ("mxfp8_e5m2:rule=mse", "out: rule mse has circuits for signed elements of at most 12 "),
        ("block:int13:rule=mse", "out: rule mse has circuits for signed elements of at most 12 "),
        ("block:uint4:rule=mse", "out: rule mse has circuits for signed elements of at most 12 "),
        ("mxfp4:size=64:rule=mse", "out: rule mse has to try too many scales in blocks of 64 of"),
    ],
)
def test_least_errors_without_a_circuit(out, said):
    design = load_design({"name": "m", "unit": "quantize", "a": "bf16", "out": out})
    with pytest.raises(SpecError, match=f"^{said}"):
        QuantizePlan(design)


LEAST = ["mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxint8", "mxint8:ocp", "mxint4", "bfp12",
         "block:e3m0", "block:e2m1fn", "block:e0m3", "block:s0.4"]  # fmt: skip


def test_least_error(seed, tally, pytestconfig):
    names = LEAST + ["mxfp8_e4m3", "block:e3m4"] * pytestconfig.option.exhaustive
    cases = [{"a": a, "out": f"{out}:size={SIZE}:rule=mse"} for a in INPUTS for out in names]
    cases.append({"a": "bf16", "out": "mxfp4:size=1:rule=mse"} | {"out_round": "sr_a"})
    if not pytestconfig.option.exhaustive:
        cases = [*random.Random(seed).sample(cases[:-1], 2), cases[-1]]
    tally("the model, quantisers of least error", sum(check(case, seed) for case in cases))


def test_least_error_of_wide_elements(seed, tally):
    tree = {"a": "e4m3fn", "out": "block:e3m4:size=2:rule=mse"}
    tally("the model, quantisers of least error", check(tree, seed, 200))


@pytest.mark.parametrize("out", ["mxfp4", "block:e3m0", "mxint4"])
def test_least_error_of_every_pair(out, tally):
    """Of numbers of 6 bits, from all clipped to all exact."""
    design = load_design({"name": "m", "unit": "quantize", "a": "e3m2", "out": f"{out}:size=2"
                          ":rule=mse"})  # fmt: skip
    blocks = np.array([*itertools.product(range(64), repeat=2)])
    got = evaluate(Quantizer(design), {"a": pack(blocks, 6)})
    elements, scales = quantize_numbers(design, blocks)
    assert got["scale"] == scales.tolist()
    assert got["elements"] == pack(elements, design.block.element.width)
    tally("the model, every pair of least error", len(blocks))


@pytest.mark.parametrize(
    ("out", "size"),
    [("mxfp4", 32), ("mxint4", 16), ("mxint4", 32), ("mxfp6_e3m2", 64), ("mxfp8_e4m3", 32)],
)
def test_no_scale_is_better_that_is_not_tried(out, size, seed):
    """Blocks in which clipping costs little, and all others gain from it."""
    rng = np.random.default_rng(seed)
    fmt = parse_format(f"{out}:size={size}:rule=mse")
    tried = smaller_scales(fmt.element, size)
    least, half = 2.0**fmt.lsb_exp, fmt.max_lsbs * 2.0 ** (fmt.lsb_exp - 1)
    values = rng.choice([0.25, 0.5, 0.75, 1.25, 0.375, 0.3], (4000, size)) * least
    values *= rng.choice([0.25, 0.5, 1.0, 1.0, 1.1, 2.0], (4000, 1))
    values[:, 0] = half * rng.uniform(1.0, 1.5, 4000)
    best = quantize_blocks(fmt, values).scales[:, 0].astype(int)
    roundup = quantize_blocks(parse_format(f"{out}:size={size}:rule=roundup"), values).scales[:, 0]
    below = roundup.astype(int) - best
    assert 0 < below.max() <= tried


@pytest.mark.parametrize("out", ["mxfp4", "nvfp4"])
def test_as_many_stages_as_there_are_places(out, seed):
    tree = {"name": "m", "unit": "quantize", "a": "e4m3fn", "out": f"{out}:size=2"}
    with pytest.raises(SpecError, match=r"^pipeline: must be auto or 0 to \d+") as refused:
        QuantizePlan(load_design(tree | {"pipeline": 99}))
    most = int(re.search(r"0 to (\d+)", str(refused.value))[1])
    design = load_design(tree | {"pipeline": most})
    assert QuantizePlan(design).latency == most + 1
    rng = np.random.default_rng(seed)
    blocks = draw_blocks(design.a, rng, 20, 2)
    fields = QuantizeBench().complete(design, rng, {"a": blocks})
    columns = [column.tolist() for column in fields.values()]
    transfers = [dict(zip(fields, each, strict=True)) for each in zip(*columns, strict=True)]
    got, _ = run_unit(QuantizeUnit(design), transfers, len(transfers))
    elements, scales = quantize_numbers(design, blocks, fields.get("tensor"))
    assert [each["scale"] for each in got] == scales.tolist()
    assert [each["elements"] for each in got] == elements.tolist()


def remainder_forgotten(monkeypatch):
    divide = quotients.divide
    monkeypatch.setattr(quotients, "divide", lambda *args: (divide(*args)[0], Const(0, 1)))
    return "nvfp4"


def rule_ignored(monkeypatch):
    monkeypatch.setattr(powers, "_goes_up", lambda *args: Const(0))
    return "mxfp4:rule=even"


def ties_to_the_smaller(monkeypatch):
    nearest = LeastError.nearest
    monkeypatch.setattr(
        LeastError,
        "nearest",
        lambda self, *args: (nearest(self, *args)[0], Const(1, self.element_bits)),
    )
    return "mxfp4:rule=mse"


def never_clips(monkeypatch):
    monkeypatch.setattr(task, "smaller_scales", lambda element, size: 0)
    return "mxfp6_e3m2:rule=mse"


@pytest.mark.parametrize(
    "mutant", [remainder_forgotten, rule_ignored, ties_to_the_smaller, never_clips]
)
def test_mutant_is_caught(mutant, monkeypatch, seed):
    with pytest.raises(AssertionError, match="blocks of 4"):
        check({"a": "bf16", "out": f"{mutant(monkeypatch)}:size={SIZE}"}, seed)
