"""Tests of :mod:`minimac.rtl.softmax`: circuits against the definition, latency, throughput."""

import contextlib
import random

import numpy as np
import pytest

import chains
import functions
from circuits import run_unit
from minimac.model import encode
from minimac.model.functions import softmax_stream
from minimac.rtl.softmax import SoftmaxPlan, SoftmaxUnit
from minimac.spec import SpecError, load_design

FORMATS = ["bf16", "fp16", "e5m2", "e4m3fn", "s4.3", "u3.2", "nf4", "e4m3p3109", "int4:sym", "e8m0"]
OUTS = ["bf16", "fp16", "e4m3fn", "u0.8", "e5m2", "fp32", "s0.7", "e4m3p3109"]


def draw_design(rng):
    while True:
        tree = {
            "name": "s",
            "unit": "softmax",
            "a": rng.choice(FORMATS),
            "out": rng.choice(OUTS),
            "length": rng.choice([1, 2, 3, 7, 8, 20]),
            "mantissa": rng.choice([6, 8, 12, 16]),
            "out_round": rng.choice(["rne", "up", "down"]),
            "pipeline": rng.choice([0, 0, 1, 3, "auto"]),
            "clock_mhz": 500,
        }
        with contextlib.suppress(SpecError):
            design = load_design(tree)
            SoftmaxPlan(design)
            return design


def draw_rows(rng, design, count):
    rows = []
    while sum(map(len, rows)) < count:
        size = rng.choice([1, design.length, rng.randrange(1, design.length + 1)])
        manner = rng.choice(["any", "small", "near"])
        row = chains.draw_row(rng, design.a, size, manner)
        if rng.random() < 0.2 and (rare := chains.specials(design.a)):
            row[rng.randrange(size)] = rng.choice(rare)
        elif design.a.signed:
            values = [rng.gauss(0, 4) for _ in row]
            row = np.asarray(encode(design.a, values)).tolist()
        rows.append(row)
    return rows


def transfers_of(rows, *, full=None):
    """Return transfers; vectors of ``full`` numbers end without being told."""
    return [
        {"a": code, "last": int(n == len(row) - 1 and len(row) != full)}
        for row in rows
        for n, code in enumerate(row)
    ]


@pytest.mark.parametrize("case", range(12))
def test_random_designs_against_the_definition(case, seed, tally, pytestconfig):
    if not pytestconfig.option.exhaustive and case >= 6:
        pytest.skip("only with --exhaustive")
    context = f"{seed} {case}"
    rng = random.Random(context)
    design = draw_design(rng)
    rows = draw_rows(rng, design, 60)
    transfers = transfers_of(rows, full=design.length)
    stalls = case if case % 2 else None
    got, _ = run_unit(SoftmaxUnit(design), transfers, len(transfers), stalls)
    wanted = [code for row in rows for code in functions.softmaxed(design, row)]
    assert [each["result"] for each in got] == wanted, (context, design.as_dict())
    ends = [int(n == len(row) - 1) for row in rows for n in range(len(row))]
    assert [each["last"] for each in got] == ends
    tally("the definition, circuits, softmax", len(wanted))


@pytest.mark.parametrize(("pipeline", "mantissa"), [(0, 6), (6, 8)])
def test_latency_and_throughput(pipeline, mantissa):
    """As stated: from the last number to the first result, and between vectors."""
    tree = {"name": "s", "unit": "softmax", "a": "bf16", "out": "bf16", "length": 64}
    design = load_design(tree | {"pipeline": pipeline, "mantissa": mantissa})
    stated = SoftmaxPlan(design).latency
    _, cycles = run_unit(SoftmaxUnit(design), [{"a": 0, "last": 1}], 1)
    assert cycles == stated + 1
    for size, wanted in ((1, mantissa + 4), (stated + 2, stated + 3)):
        times = []
        for vectors in (3, 4):
            rows = [[0x3F80] * size] * vectors
            _, cycles = run_unit(SoftmaxUnit(design), transfers_of(rows), size * vectors)
            times.append(cycles)
        assert times[1] - times[0] == wanted


def test_long_streams_against_the_model(seed, tally, pytestconfig):
    tree = {"name": "s", "unit": "softmax", "a": "s4.3", "out": "u0.8", "length": 32}
    design = load_design(tree | {"mantissa": 8, "pipeline": 2})
    rng = random.Random(seed)
    codes = [rng.randrange(256) for _ in range(3000 if pytestconfig.option.exhaustive else 300)]
    last = [int(rng.random() < rng.choice([0.02, 0.3])) for _ in codes]
    wanted, ends = softmax_stream(design, codes, last)
    transfers = [{"a": a, "last": z} for a, z in zip(codes, last, strict=True)]
    got, _ = run_unit(SoftmaxUnit(design), transfers, len(wanted), stalls=seed)
    assert [each["result"] for each in got] == wanted.tolist()
    assert [each["last"] for each in got] == ends.tolist()
    tally("the model, circuits, softmax", len(wanted))


def test_places_for_registers():
    tree = {"name": "s", "unit": "softmax", "a": "bf16", "out": "bf16", "length": 64}
    slow = SoftmaxPlan(load_design(tree | {"pipeline": "auto", "clock_mhz": 1}))
    assert slow.cuts == ()
    with pytest.raises(SpecError, match=r"^pipeline: must be auto or 0 to 6 for unit softmax"):
        SoftmaxPlan(load_design(tree | {"pipeline": 7}))
