"""Tests of :mod:`minimac.model.vectors`: cases, and the files that hold them."""

import csv
import io
import itertools
import json
import random
import re

import numpy as np
import pytest

import chains
from minimac.model import Blocks, decode, matmul
from minimac.model.vectors import draw_vectors
from minimac.spec import BlockFormat, SpecError, load_design

MAC = {"name": "mine", "unit": "mac"}
FP8 = MAC | {"a": "e4m3fn", "b": "e5m2", "out": "bf16"}
EXACT = {"kind": "exact"}


def design(**fields):
    return load_design(FP8 | {"accumulate": EXACT} | fields)


def codes_of(vectors):
    return {field.name: field.codes for field in vectors.fields}


# --- Attributes --------------------------------------------------------------------------------


def test_fields_of_scalars():
    vectors = draw_vectors(design(out="e5m2"), count=10, terms=3)
    shapes = [(field.name, field.width, field.codes.shape) for field in vectors.fields]
    assert shapes == [("a", 8, (10, 3)), ("b", 8, (10, 3)), ("out", 8, (10, 1))]
    assert (len(vectors), vectors.terms, vectors.case_bits) == (10, 3, 56)


def test_fields_of_blocks_and_random_bits():
    nvfp4 = design(a="nvfp4", b="mxfp4:size=16", out="fp32", out_round="sr_a")
    vectors = draw_vectors(nvfp4, count=40, terms=32)
    assert [(field.name, field.width, field.count) for field in vectors.fields] == [
        *[("a", 4, 32), ("a_scale", 7, 2), ("a_tensor", 32, 1)],
        *[("b", 4, 32), ("b_scale", 8, 2), ("random", 16, 1), ("out", 32, 1)],
    ]


@pytest.mark.parametrize(
    ("fields", "terms"),
    [
        ({}, 16),
        ({"accumulate": {"kind": "exact", "max_terms": 5}}, 5),
        ({"accumulate": {"kind": "fused", "group": 32, "frac_bits": 13}}, 64),
        ({"accumulate": {"kind": "fixed", "format": "s9.9", "chunk": 20, "outer": EXACT}}, 40),
        ({"a": "mxfp4", "b": "mxfp8_e4m3"}, 64),
        ({"a": "dfp8", "b": "dfp8"}, 16),
    ],
)
def test_usual_number_of_terms(fields, terms):
    assert draw_vectors(design(**fields), count=3).terms == terms


def test_what_a_reader_must_know():
    drawn = draw_vectors(design(out_round="sr_b", product="exact"), count=4, terms=2, seed=7)
    lines = drawn.describe()
    assert re.fullmatch(r"minimac \S+: test vectors of mine \([0-9a-f]{16}\)", lines[0])
    assert lines[1:] == [
        "a: e4m3fn, b: e5m2, out: bf16",
        "product: exact, out_round: sr_b, out_overflow: saturate",
        'accumulate: {"kind": "exact", "max_terms": 65536}',
        "cases: 4 (dot products of 2 terms, drawn with seed 7)",
        "fields: a:8*2 b:8*2 random:16 out:16",
    ]


# --- Wrong arguments ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "arguments", "said"),
    [
        ({}, {"count": 0}, "count must be 1 to 262144 with 16 terms, not 0"),
        ({}, {"count": 1 << 20}, "count must be 1 to 262144 with 16 terms, not 1048576"),
        ({}, {"terms": 0}, "terms must be 1 to 65536, not 0"),
        ({"accumulate": EXACT | {"max_terms": 9}}, {"terms": 10}, "terms must be 1 to 9, not 10"),
        ({"a": "mxfp4"}, {"terms": 40}, "terms must fill blocks of 32, which 40 do not"),
        (
            {},
            {"exhaustive": True, "count": 3},
            "count and exhaustive exclude each other: the latter takes all cases",
        ),
        (
            {},
            {"exhaustive": True, "terms": 2},
            "exhaustive takes operands of at most 20 bits altogether; 2 of e4m3fn and e5m2 have 32",
        ),
        (
            {"a": "mxfp4", "b": "mxfp4"},
            {"exhaustive": True, "terms": 32},
            "exhaustive is for scalar formats: blocks and their scales are too many",
        ),
    ],
)
def test_wrong_arguments(fields, arguments, said):
    with pytest.raises(SpecError, match=f"^{re.escape(said)}$"):
        draw_vectors(design(**fields), **arguments)


# --- Reproducibility ---------------------------------------------------------------------------


def test_equal_seeds_give_equal_bytes():
    def contents(seed):
        drawn = draw_vectors(design(out_round="sr_a"), count=50, seed=seed)
        return drawn.as_csv(), drawn.as_hex(), drawn.as_npz()

    first, again, other = contents(1), contents(1), contents(2)
    assert first == again
    assert all(x != y for x, y in zip(first, other, strict=True))


# --- Cases -------------------------------------------------------------------------------------


def test_exhaustive_pairs():
    drawn = draw_vectors(design(), exhaustive=True)
    a, b, out = codes_of(drawn).values()
    pairs = list(zip(a[:, 0].tolist(), b[:, 0].tolist(), strict=True))
    assert pairs == list(itertools.product(range(256), repeat=2))
    table = matmul(drawn.design, np.arange(256)[:, None], np.arange(256)[None])
    np.testing.assert_array_equal(out.reshape(256, 256), table)
    assert "all operands" in drawn.describe()[4]


def test_exhaustive_chains_of_two():
    drawn = draw_vectors(design(a="tern", b="int4:sym", out="int8"), exhaustive=True, terms=2)
    cases = np.concatenate([codes_of(drawn)["a"], codes_of(drawn)["b"]], axis=1)
    assert len(np.unique(cases, axis=0)) == len(drawn) == 3**2 * 15**2


DRAWN = {
    "minifloats": {},
    "unsigned": {"a": "ue4m3fn", "b": "u0.8", "out": "ue5m3"},
    "symmetric": {"a": "int8:sym", "b": "tern", "out": "int16"},
    "tables": {"a": "nf4", "b": "lut:e5m2:3c00bc", "out": "fp32"},
    "sparse": {"a": "khot2:s0.7", "b": "e8m0", "out": "e4m3p3109"},
    "wide": {"a": "fp32", "b": "tf32", "out": "fp32"},
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_format_can_be_drawn(name, seed):
    spec = design(**DRAWN[name])
    codes = codes_of(draw_vectors(spec, count=200, terms=6, seed=seed))
    a, b = codes["a"].astype(np.int64), codes["b"].astype(np.int64)
    for fmt, drawn in ((spec.a, a), (spec.b, b)):
        assert all(fmt.holds(code) for code in np.unique(drawn).tolist())
    wanted = [int(matmul(spec, x[None], y[:, None])[0, 0]) for x, y in zip(a, b, strict=True)]
    assert codes["out"][:, 0].tolist() == wanted
    assert len(np.unique(codes["out"])) > 20


def test_cases_find_faults(seed):
    """Among a thousand cases are specials and finite sums, subnormals, and sums that cancel."""
    spec = design(out="fp32")
    codes = codes_of(draw_vectors(spec, seed=seed))
    out, a = decode(spec.out, codes["out"][:, 0]), decode(spec.a, codes["a"])
    assert 600 < np.isfinite(out).sum() < 1000
    assert np.isinf(out).any()
    assert np.isnan(out).any()
    assert (out == 0).sum() > 10
    assert ((a != 0) & (np.abs(a) < 2.0**-6)).any(axis=1).sum() > 200


@pytest.mark.parametrize("tensor", ["nvfp4:size=4", "dfp8", "mxfp4:size=4"])
def test_blocks(tensor, seed):
    """The results are those of the blocks that the fields spell out."""
    spec = design(a=tensor, b=tensor, out="fp32")
    codes = codes_of(draw_vectors(spec, count=60, terms=12, seed=seed))
    for case in range(60):
        sides = []
        for name, axis in (("a", -1), ("b", -2)):
            fmt = getattr(spec, name)
            assert isinstance(fmt, BlockFormat)
            scale = 1.0
            if fmt.tensor_scale:
                scale = float(decode(fmt.tensor_scale, codes[f"{name}_tensor"][case])[0])
            elements, scales = codes[name][case], codes[f"{name}_scale"][case]
            turned = [np.expand_dims(x, -3 - axis) for x in (elements, scales)]
            sides.append(Blocks(*turned, scale))
        assert matmul(spec, *sides)[0, 0] == codes["out"][case, 0]
    if tensor != "dfp8":
        assert len(np.unique(codes["a_scale"])) > 5
    assert len(np.unique(codes["out"])) > 30


def test_all_kinds(seed):
    rng = random.Random(seed)
    for kind in chains.KINDS:
        vectors = draw_vectors(load_design(chains.draw_design(rng, kind)), count=20, terms=5)
        assert len(vectors) == 20


# --- Files -------------------------------------------------------------------------------------

FILES = {
    "scalars": ({"out_round": "sr_c", "b": "e2m3"}, {"count": 30, "terms": 5}),
    "blocks": ({"a": "nvfp4:size=4", "b": "mxfp6_e3m2:size=4"}, {"count": 30, "terms": 8}),
    "all": ({"a": "e2m1", "b": "tern", "out": "s2.2"}, {"exhaustive": True}),
    "one": ({}, {"count": 1, "terms": 1}),
}


@pytest.fixture(params=FILES)
def vectors(request, seed):
    fields, arguments = FILES[request.param]
    return draw_vectors(design(**fields), seed=seed, **arguments)


def test_csv(vectors):
    text = vectors.as_csv()
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert [line[2:] for line in head[:-1]] == vectors.describe()
    rows = list(csv.reader(io.StringIO("\n".join(text.splitlines()[len(head) :]))))
    names, *rows = rows
    assert names[0] == "a0"
    assert names[-1] == "out"
    got = np.array([[int(code, 16) for code in row] for row in rows])
    np.testing.assert_array_equal(got, np.concatenate([f.codes for f in vectors.fields], axis=1))


def test_hex(vectors):
    lines = vectors.as_hex().splitlines()
    assert all(line.startswith("//") for line in lines[:7])
    assert len({len(line) for line in lines[7:]}) == 1
    for number, row in zip(lines[7:], zip(*(f.codes for f in vectors.fields)), strict=True):
        rest = int(number, 16)
        for field, codes in zip(vectors.fields, row, strict=True):
            for code in codes.tolist():
                assert rest % (1 << field.width) == code
                rest >>= field.width
        assert rest == 0


def test_packed_in_parts(monkeypatch):
    drawn = draw_vectors(design(), count=20, terms=3)
    whole = drawn.as_hex()
    monkeypatch.setattr("minimac.model.vectors._AT_ONCE", 200)
    assert drawn.as_hex() == whole


def test_npz(vectors):
    with np.load(io.BytesIO(vectors.as_npz())) as archive:
        found = dict(archive)
    meta = json.loads(str(found.pop("meta")))
    assert load_design(meta["design"]) == vectors.design
    assert meta["seed"] == vectors.seed
    assert meta["widths"] == {field.name: field.width for field in vectors.fields}
    assert list(found) == [field.name for field in vectors.fields]
    for field in vectors.fields:
        array = found[field.name]
        shape = field.codes.shape if field.name in ("a", "b") else array.shape
        assert array.shape == shape
        np.testing.assert_array_equal(array.reshape(field.codes.shape), field.codes)
    assert found["out"].shape == (len(vectors),)
    assert found["a"].dtype == np.uint8
