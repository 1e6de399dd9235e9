"""Tests of converters: every code of small formats, in logic, against model and definition."""

import itertools
import random

import numpy as np
import pytest

import oracle
from evaluation import evaluate
from minimac.bench.operands import all_codes
from minimac.model import convert_numbers, encode
from minimac.rtl import elementwise as rtl
from minimac.rtl import togrid, tominifloat
from minimac.rtl.elementwise import Operation
from minimac.spec import Overflow, Rounding, SpecError, load_design

SOURCES = [
    "e4m3fn", "e5m2", "e4m3fnuz", "e3m2", "e2m3", "e2m1", "e4m3p3109", "binary8p3se", "ue5m3",
    "e8m0", "e3m0", "e0m3", "e4m3fn:ftz", "e4m3fn:bias=9", "int8", "uint8", "int4", "s4.3", "u0.8",
    "tern", "bin", "nf4", "lut:e5m2:3c00bc01", "khot2:s0.7", "dynamic8",
]  # fmt: skip
MORE_SOURCES = ["e5m2fnuz", "e4m3", "e3m4", "e5m2:ftz", "binary8p4sf", "binary8p3ue", "ue4m3fn",
                "e3m3ieee", "e2m2fnuz", "int8:sym", "int4:sym", "int2", "s1.6", "u2.2"]  # fmt: skip
GRIDS = ["nf4", "dynamic8", "power4:a=0.5", "khot1:s0.7", "khot2:int8", "bin", "e8m0",
         "lut:e5m2:3c00bc01"]  # fmt: skip
MODES = [str(mode) for mode in Rounding]


def check(tree, codes=None):
    """Compare a converter with the model on all codes, with all random bits; return how many."""
    design = load_design({"name": "m", "unit": "convert", **tree})
    fields = {"a": all_codes(design.a) if codes is None else codes}
    if design.random_bits:
        mesh = np.meshgrid(fields["a"], np.arange(1 << design.random_bits))
        fields = dict(zip(("a", "random"), (part.ravel() for part in mesh), strict=True))
    got = np.array(evaluate(Operation(design), fields)["result"])
    want = convert_numbers(design, fields["a"], None, fields.get("random"))
    wrong = np.flatnonzero(got != want)
    shown = [tuple(hex(column[i]) for column in (*fields.values(), got, want)) for i in wrong[:5]]
    assert not wrong.size, f"{design.summary()}, {design.out_overflow}: {shown}"
    return len(got)


def trees(sources, targets, rules, rng):
    """Yield all converters that there are, in any order."""
    combined = [*itertools.product(sources, targets, MODES, rules)]
    rng.shuffle(combined)
    for src, out, mode, rule in combined:
        tree = {"a": src, "out": out, "out_round": mode, "out_overflow": str(rule)}
        if mode.startswith("sr"):
            tree["random_bits"] = 3
        try:
            load_design({"name": "m", "unit": "convert", **tree})
        except SpecError:
            continue
        yield tree


def test_pairs_of_small_formats(seed, tally, pytestconfig):
    """Every code in every mode: of all pairs of formats, or of some drawn by the seed."""
    everything = pytestconfig.option.exhaustive
    sources = SOURCES + MORE_SOURCES * everything
    targets = [name for name in sources if name not in GRIDS and not name.startswith("khot")]
    cases = trees(sources, targets, list(Overflow), random.Random(seed))
    some = None if everything else 60
    tally("the model, converters", sum(map(check, itertools.islice(cases, some))))


def test_sixteen_bits_to_eight(seed, tally, pytestconfig):
    small = [*SOURCES, *MORE_SOURCES]
    targets = [name for name in small if name not in GRIDS and not name.startswith("khot")]
    cases = trees(["bf16", "fp16"], targets, [Overflow.SATURATE], random.Random(seed))
    some = None if pytestconfig.option.exhaustive else 6
    tally("the model, converters", sum(map(check, itertools.islice(cases, some))))


@pytest.mark.parametrize("out", GRIDS)
def test_small_formats_to_uneven_ones(out, seed, tally, pytestconfig):
    """As between pairs of small formats."""
    everything = pytestconfig.option.exhaustive
    sources = SOURCES + MORE_SOURCES * everything
    cases = trees(sources, [out], list(Overflow), random.Random(seed))
    some = None if everything else 4
    tally("the model, uneven formats", sum(map(check, itertools.islice(cases, some))))


def test_sixteen_bits_to_uneven_formats(seed, tally, pytestconfig):
    cases = trees(["bf16", "fp16"], ["nf4", "e8m0"], list(Overflow), random.Random(seed))
    some = None if pytestconfig.option.exhaustive else 2
    tally("the model, uneven formats", sum(map(check, itertools.islice(cases, some))))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("src", "out"),
    [
        *(("e5m2", "e2m1"), ("e4m3fn", "e3m2"), ("s3.4", "e3m1"), ("e4m3fn", "s4.2")),
        *(
            ("int8", "int4"),
            ("s1.4", "nf4"),
            ("e3m2", "bin"),
            ("s3.4", "e8m0"),
            ("nf4", "khot1:s0.5"),
        ),
    ],
)
def test_against_the_definition(src, out, mode, tally):
    """The oracle shares no code with model or circuit."""
    bits = 3 if mode.startswith("sr") else None
    tree = {"a": src, "out": out, "out_round": mode}
    design = load_design(
        {"name": "m", "unit": "convert", **tree, **({"random_bits": bits} if bits else {})}
    )
    cases = [(a, r) for a in all_codes(design.a).tolist() for r in range(1 << (bits or 0))]
    fields = {"a": [a for a, _ in cases]} | ({"random": [r for _, r in cases]} if bits else {})
    got = evaluate(Operation(design), fields)["result"]
    for (a, r), code in zip(cases, got, strict=True):
        value = oracle.value(design.a, a)
        wanted = oracle.round_to(
            design.out, value, mode, "saturate", *([(r, bits)] if bits else [])
        )
        negative_zero = (
            value == 0
            and wanted == 0
            and a >> design.a.width - 1
            and not src.startswith(("s", "i"))
        )
        if negative_zero and getattr(design.out, "has_negative_zero", False):
            wanted = 1 << design.out.width - 1
        assert code == wanted, (hex(a), r, hex(code), hex(wanted))
    tally("the definition, converters", len(cases))


@pytest.mark.parametrize(
    "tree",
    [
        {"a": "int32", "b": "fp32", "out": "int8"},
        {"a": "int32", "b": "u0.16", "out": "int8", "out_round": "rna"},
        {"a": "e2m1", "b": "e8m0", "out": "bf16"},
        {"a": "int8", "b": "bf16", "out": "e4m3fn", "out_round": "sr_c", "random_bits": 5},
        {"a": "int16", "b": "int8", "out": "s6.-3", "out_round": "sr_b", "random_bits": 4},
        {"a": "e4m3fn", "b": "ue4m3fn", "out": "nf4", "out_round": "up"},
        {"a": "int8", "b": "s0.7", "out": "khot2:s5.7"},
        {"a": "nf4", "b": "e5m2", "out": "e8m0", "out_round": "odd"},
        {"a": "e3m2", "b": "e3m2", "out": "bin", "out_round": "sr_a", "random_bits": 2},
        {"a": "s20.22", "b": "e5m2", "out": "e4m3fn"},
        {"a": "int53", "b": "fp32", "out": "bf16", "out_round": "odd"},
        {"a": "int48", "b": "int8", "out": "int16", "out_overflow": "wrap"},
    ],
    ids=lambda tree: f"{tree['a']}_{tree['b']}_{tree['out']}",
)
def test_scales(tree, seed):
    design = load_design({"name": "m", "unit": "convert", **tree})
    rng = np.random.default_rng(seed)
    fields = {key: rng.integers(1 << fmt.width, size=3000) for key, fmt in design.operands.items()}
    if design.random_bits:
        fields["random"] = rng.integers(1 << design.random_bits, size=3000)
    got = evaluate(Operation(design), fields)["result"]
    want = convert_numbers(design, fields["a"], fields["b"], fields.get("random"))
    assert got == want.tolist()


@pytest.mark.parametrize("mode", ["rne", "down", "sr_b"])
@pytest.mark.parametrize(
    ("src", "scale", "out"),
    [("s20.22", None, "e4m3fn"), ("s20.22", "fp32", "e4m3fn"), ("uint53", "fp32", "int8"),
     ("int43", None, "nf4")],
)  # fmt: skip
def test_wide_accumulators_against_the_definition(src, scale, out, mode, seed, tally):
    tree = {"a": src, "out": out, "out_round": mode} | ({"b": scale} if scale else {})
    tree |= {"random_bits": 5} if mode.startswith("sr") else {}
    design = load_design({"name": "m", "unit": "convert", **tree})
    rng, count = np.random.default_rng(seed), 500
    width = design.a.width
    # Numbers of all sizes, and scales that bring most of them into the range of the result.
    codes = rng.integers(1 << width, size=count) >> rng.integers(width - 1, size=count)
    codes = np.where(rng.random(count) < 0.5, codes, -codes) & (1 << width) - 1
    fields = {"a": codes}
    if scale:
        fields["b"] = encode(design.b, 2.0 ** -rng.uniform(0, 60, count)).astype(np.int64)
    if design.random_bits:
        fields["random"] = rng.integers(1 << design.random_bits, size=count)
    got = evaluate(Operation(design), fields)["result"]
    assert (
        got == convert_numbers(design, *(fields.get(key) for key in ("a", "b", "random"))).tolist()
    )
    for n, code in enumerate(got):
        value = oracle.value(design.a, int(codes[n]))
        value *= oracle.value(design.b, int(fields["b"][n])) if scale else 1
        random_bits = [(int(fields["random"][n]), 5)] if design.random_bits else []
        wanted = oracle.round_to(design.out, value, mode, "saturate", *random_bits)
        assert code == wanted, (hex(codes[n]), n)
    tally("the definition, converters", count)


def sticky_bit_dropped(monkeypatch):
    shift = tominifloat.shift_into
    monkeypatch.setattr(tominifloat, "shift_into", lambda *args: (shift(*args)[0], rtl.Const(0, 1)))


def carry_of_chance_lost(monkeypatch):
    monkeypatch.setattr(tominifloat, "round_rest", lambda *args, **more: rtl.Const(0))


@pytest.mark.parametrize("mutant", [sticky_bit_dropped, carry_of_chance_lost])
def test_mutant_is_caught(mutant, monkeypatch):
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match="fp16 -> e4m3fn"):
        check({"a": "fp16", "out": "e4m3fn", "out_round": "sr_c", "random_bits": 2})


def bounds_one_too_high(monkeypatch):
    find = togrid.find_changes
    monkeypatch.setattr(
        togrid, "find_changes", lambda *args: [(key + 1, code) for key, code in find(*args)]
    )


def nan_kept(monkeypatch):
    monkeypatch.setattr(togrid.ToGrid, "_nan", 0)


@pytest.mark.parametrize("mutant", [bounds_one_too_high, nan_kept])
def test_mutant_of_a_search_is_caught(mutant, monkeypatch):
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match="e4m3fn -> nf4"):
        check({"a": "e4m3fn", "out": "nf4"})
