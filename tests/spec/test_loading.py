"""Tests of :mod:`minimac.spec.loading`: what is wrong is said, in one line."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from minimac.spec import (
    PRESETS,
    UNITS,
    Accumulation,
    Design,
    FusedAccumulation,
    Overflow,
    Product,
    RoundedAccumulation,
    Rounding,
    SpecError,
    load_design,
    parse_format,
)

GOOD = """\
name: mine
unit: systolic
a: bf16
b: bf16
out: fp32
accumulate: {kind: float, width: 16, normalize: "approx(1,2)"}
array: {rows: 8, columns: 4, dataflow: ws}
pipeline: auto
technology: sky130
clock_mhz: 100
"""
KEYS = (
    "pipeline, technology, clock_mhz, normalizer, interface, reset, clock_enable, a, b, out, "
    "accumulate, product, out_round, out_overflow, within, name, array"
)
UNIT_WORDS = (
    "mac, multiplier, adder, fma, systolic, convert, quantize, dot, hadamard, activation, softmax"
)
KINDS = "exact, fixed, rounded, float, fused"
MODES = "'rne', 'rna', 'truncate', 'up', 'down', 'odd', 'sr_a', 'sr_b' or 'sr_c'"
NORMAL = "exact, none or approx(k,l) with k and l at least 1"
NO_CONSTRUCTOR = "could not determine a constructor for the tag 'tag:yaml.org,2002"
QUOTES = "(inside { } it needs quotes)"
EXAMPLES = [  # those that are designs: a sweep has no unit of its own
    path
    for path in sorted((Path(__file__).parents[2] / "examples").rglob("*.yaml"))
    if re.search("^unit:", path.read_text(), re.MULTILINE)
]


def test_good_design(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    design = load_design(path)
    assert design == load_design(str(path))
    assert isinstance(design, UNITS["systolic"])
    assert (design.name, design.a, design.out) == (
        "mine",
        parse_format("bf16"),
        parse_format("fp32"),
    )
    assert (design.array.rows, design.array.columns, design.clock_mhz) == (8, 4, 100.0)
    assert design.accumulate.normalize.coarse == (1, 2)


def test_defaults():
    tree = {"name": "m", "unit": "systolic", "a": "int8", "b": "int8", "out": "int32"}
    design = load_design(tree | {"accumulate": {"kind": "exact"}})
    assert (design.product, design.out_round, design.out_overflow) == ("exact", "rne", "saturate")
    assert (design.array.rows, design.array.columns, design.array.dataflow) == (8, 8, "ws")
    assert (design.pipeline, design.technology, design.clock_mhz) == (0, "sky130", 100)
    assert design.accumulate.max_terms == 65536


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_valid(path):
    design = load_design(path)
    assert isinstance(design, Design)
    assert load_design(design.as_dict()) == design


def test_there_are_examples():
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # Unknown and missing keys.
        ("width: 16", "wdith: 16", "accumulate.wdith: unknown key; did you mean 'width'?"),
        ("name: mine", "nmae: mine", "nmae: unknown key; did you mean 'name'?"),
        ("rows: 8", "rwos: 8", "array.rwos: unknown key; did you mean 'rows'?"),
        ("technology", "tech", "tech: unknown key; did you mean 'technology'?"),
        ("pipeline: auto", "5: 3", f"5: unknown key; known are {KEYS}"),
        ("name: mine\n", "", "name: is missing; this key is required"),
        ("out: fp32\n", "", "out: is missing; this key is required"),
        ("unit: systolic\n", "", f"unit: is missing; it must be one of {UNIT_WORDS}"),
        ("width: 16, ", "", "accumulate.width: is missing; this key is required"),
        (
            "kind: float, ",
            "",
            f"accumulate.kind: is missing; it must be one of {KINDS}",
        ),
        # Words that name nothing.
        (
            "systolic",
            "systolc",
            f"unit: must be one of {UNIT_WORDS}, not 'systolc'; did you mean 'systolic'?",
        ),
        ("systolic", "[mac]", f"unit: must be one of {UNIT_WORDS}, not ['mac']"),
        ("a: bf16", "a: bf61", "a: unknown format 'bf61'; did you mean 'bf16'?"),
        (
            "kind: float",
            "kind: flaot",
            f"accumulate.kind: must be one of {KINDS}, not 'flaot'",
        ),
        (
            "width: 16",
            "width: 16, round: rnd",
            f"accumulate.round: must be {MODES}, not 'rnd'",
        ),
        ("pipeline: auto", "out_round: near", f"out_round: must be {MODES}, not 'near'"),
        (
            '"approx(1,2)"',
            '"approx(0,2)"',
            f"accumulate.normalize: must be {NORMAL}, not 'approx(0,2)' {QUOTES}",
        ),
        # Numbers out of range.
        (
            "width: 16",
            "width: 15",
            "accumulate.width: must be at least 16 to hold the product of bf16 and bf16, not 15",
        ),
        (
            "width: 16",
            "width: 16, guard: 47",
            "accumulate: width, guard and sticky must be 62 bits at most together, not 63",
        ),
        ("width: 16", "width: 16, guard: -1", "accumulate: guard must be at least 0, not -1"),
        (
            '"approx(1,2)"',
            '"approx(9,9)"',
            "accumulate: normalize approx(9,9) looks at more than width (16) bits",
        ),
        ("rows: 8", "rows: 0", "array: rows must be 1 to 1024, not 0"),
        ("columns: 4", "columns: 1025", "array: columns must be 1 to 1024, not 1025"),
        (
            "width: 16",
            "width: 16, max_terms: 0",
            "accumulate: max_terms must be 1 to 2**30, not 0",
        ),
        (
            "pipeline: auto",
            "pipeline: -1",
            "pipeline: must be auto or 0 or more, not -1",
        ),
        (
            "clock_mhz: 100",
            "clock_mhz: 0",
            "clock_mhz: must be above 0 and at most 100000, not 0.0",
        ),
        (
            "clock_mhz: 100",
            "clock_mhz: .nan",
            "clock_mhz: must be above 0 and at most 100000, not nan",
        ),
        # Types: YAML 1.1 reads `no` as a boolean and `5e2` as text.
        ("systolic", "no", f"unit: must be one of {UNIT_WORDS}, not False"),
        ("a: bf16", "a: no", "a: must be a word, not False"),
        ("a: bf16", "a: 16", "a: must be a word, not 16"),
        ("out: fp32", "out:", "out: must be a word, not None"),
        ("sky130", "off", "technology: must be a word, not False"),
        (
            "width: 16",
            "width: 5e2",
            "accumulate.width: must be a whole number, not '5e2'; write 500 without quotes",
        ),
        ("width: 16", "width: yes", "accumulate.width: must be a whole number, not True"),
        ("width: 16", "width: 16.0", "accumulate.width: must be a whole number, not 16.0"),
        (
            "width: 16",
            "width: '16'",
            "accumulate.width: must be a whole number, not '16'; write 16 without quotes",
        ),
        ("rows: 8", "rows: no", "array.rows: must be a whole number, not False"),
        (
            "width: 16",
            "width: 16, sticky: 1",
            "accumulate.sticky: must be a valid boolean, not 1",
        ),
        (
            "clock_mhz: 100",
            "clock_mhz: 5e2",
            "clock_mhz: must be a number, not '5e2'; write 500 without quotes",
        ),
        ("clock_mhz: 100", "clock_mhz: 1e-5", "clock_mhz: must be a number, not '1e-5'"),
        (
            "pipeline: auto",
            "pipeline: yes",
            "pipeline: must be auto or a whole number, not True",
        ),
        (
            "array: {rows: 8, columns: 4, dataflow: ws}",
            "array: 8",
            "array: must be a mapping, not 8",
        ),
        ("name: mine", "name: 7", "name: must be a word, not 7"),
        (
            "name: mine",
            "name: a-b",
            "name: must be a letter and then up to 63 letters, digits or _, not 'a-b'",
        ),
        (
            "name: mine",
            "name: " + "a" * 100,
            "name: must be a letter and then up to 63 letters, digits or _, not " + repr("a" * 80),
        ),
        (
            "out: fp32",
            "out: fp32\nout_overflow: wrap",
            "out_overflow: wrap needs a fixed-point out with all its codes, not fp32",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, old, new, message):
    path = tmp_path / "mine.yaml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SpecError, match=f"^{re.escape(f'{path}: {message}')}$"):
        load_design(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[]", ": must be a mapping of keys to values, not a list"),
        (b"hello", ": must be a mapping of keys to values, not text"),
        (b"", ": must be a mapping of keys to values, not nothing"),
        (b"3", ": must be a mapping of keys to values, not a number"),
        (
            b"a: b\n\tc: d\n",
            ", line 2: not valid YAML: found character '\\t' that cannot start any token",
        ),
        (b"name: caf\xe9\n", ": must be UTF-8 text"),
        (b"\xff\xfe\x00", ": must be UTF-8 text"),
        (b"#" * (10 << 20), ": must have at most 65536 bytes, not 10485760"),
        (b"a: 1\n---\nb: 2\n", ", line 2: not valid YAML: but found another document"),
        (b"? [1, 2]\n: 3\n", ", line 1: not valid YAML: found unhashable key"),
        (
            b"a: !!python/object:os.system x",
            f", line 1: not valid YAML: {NO_CONSTRUCTOR}:python/object:os.system'",
        ),
    ],
    ids=[
        "list",
        "text",
        "empty",
        "number",
        "tab",
        "latin-1",
        "utf-16",
        "10 MB",
        "two documents",
        "list as key",
        "object",
    ],
)
def test_files_that_are_no_mapping(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text)
    with pytest.raises(SpecError, match=f"^{re.escape(f'{path}{message}')}$"):
        load_design(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a: " + "{a: " * 3000 + "}" * 3000,
        "a\0b",
        "a: &a {b: *a}\nunit: mac\n",
        "name: " + "9" * 5000 + "\nunit: mac\n",
        "unit: mac\nname: *x\n",
        "unit: mac\n: : :\n",
    ],
    ids=["deep list", "deep mapping", "NUL", "cycle", "huge number", "no anchor", "colons"],
)
def test_hostile_files_are_one_line(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=f"^{re.escape(str(path))}") as caught:
        load_design(path)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    for path, why in [
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ]:
        with pytest.raises(SpecError, match=f"^{re.escape(f'{path}: cannot be read: {why}')}$"):
            load_design(path)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, f"unit: is missing; it must be one of {UNIT_WORDS}"),
        ({"spaces": []}, "is a sweep and not a design; minimac explore runs it"),
        ({"unit": None}, f"unit: must be one of {UNIT_WORDS}, not None"),
        ({"unit": "mac"}, "a: is missing; this key is required"),
    ],
)
def test_wrong_dicts_name_no_file(tree, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        load_design(tree)


def test_a_dict_is_left_as_it_was():
    tree = {"name": "m", "unit": "mac", "a": "int8", "b": "int8", "out": "int8"}
    tree["accumulate"] = {"kind": "float", "width": 20, "normalize": "none"}
    before = repr(tree)
    load_design(tree)
    assert repr(tree) == before


def test_import_needs_neither_numpy_nor_amaranth():
    """Section 2: the spec is quick to import."""
    slow = {"numpy", "amaranth", "numba", "yaml", "pydantic"}
    code = f"import sys, minimac.spec; print(sorted({slow} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


PLAIN = (
    "name: x\nunit: systolic\na: bf16\nb: bf16\nout: bf16\n"
    "accumulate: {kind: float, width: 16}\narray: {rows: 8, columns: 8}\n"
)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rows: 8", "rows: 8, rows: 9", ", line 7: 'rows' stands there twice"),
        ("a: bf16\n", "a: &x bf16\nb: *x\n", None),
        (
            "width: 16",
            "width: 16, normalize: approx(1,2)",
            ': accumulate.normalize: inside { } a comma needs quotes: "approx(k,l)"',
        ),
        ("name: x", "name: 2001-01-01", ": name: must be a word or a number, not a date"),
        ("name: x", "name: !!binary aGVsbG8=", ": name: must be a word or a number, not a bytes"),
        ("name: x", 'name: "a\\u0007"', ": 'name': must be printable text, not 'a\\x07'"),
    ],
)
def test_what_yaml_lets_pass(tmp_path, old, new, message):
    path = tmp_path / "mine.yaml"
    path.write_text(PLAIN)
    load_design(path)
    path.write_text(PLAIN.replace(old, new))
    with pytest.raises(SpecError) as caught:
        load_design(path)
    if message:
        assert str(caught.value) == f"{path}{message}"
    assert "\n" not in str(caught.value)


def test_aliases_cannot_blow_up(tmp_path):
    path = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path.write_text("\n".join(lines))
    with pytest.raises(SpecError, match=r"aliases \(\*name\) are not allowed"):
        load_design(path)


def test_array_of_a_unit_without_one():
    with pytest.raises(SpecError, match=r"^array: is a key of unit systolic; leave it out$"):
        load_design(
            {
                "name": "x",
                "unit": "mac",
                "a": "int8",
                "b": "int8",
                "out": "int32",
                "accumulate": {"kind": "exact"},
                "array": {"rows": 2},
            }
        )


MAC = {"name": "m", "unit": "mac", "a": "e4m3fn", "b": "e4m3fn", "out": "bf16"}
FIXED = {"kind": "fixed", "format": "int16"}
FUSED = {"kind": "fused", "group": 4, "frac_bits": 9}
MX = {"a": "mxfp8_e4m3", "b": "mxfp8_e4m3"}


def chunked(**outer):
    return {"accumulate": FIXED | {"chunk": 4, "outer": outer}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # fixed
        ({"accumulate": {"kind": "fixed"}}, "accumulate.format: is missing; this key is required"),
        (
            {"accumulate": FIXED | {"format": "bf16"}},
            "accumulate: format must be fixed point, not bf16",
        ),
        (
            {"accumulate": FIXED | {"format": "int61"}},
            (
                "accumulate.format: format 'int61': a fixed-point format has at most 32 bits, or "
                "53 as a of unit convert, not 61"
            ),
        ),
        (
            {"accumulate": FIXED | {"format": "int33"}},
            "accumulate: int33 has more than 32 bits: it is for a of unit convert alone",
        ),
        ({"a": "int33"}, "a: int33 has more than 32 bits: it is for a of unit convert alone"),
        (
            {"accumulate": FIXED | {"round": "sr_a"}},
            "accumulate: round must not be stochastic, as sr_a is",
        ),
        (
            {"accumulate": FIXED | {"overflow": "infinity"}},
            "accumulate: overflow must be saturate or wrap, not infinity",
        ),
        (
            {"accumulate": FIXED | {"overflow": "clip"}},
            ("accumulate.overflow: must be 'saturate', 'infinity', 'nan' or 'wrap', not 'clip'"),
        ),
        (
            {"accumulate": FIXED | {"max_terms": 4}},
            ("accumulate.max_terms: unknown key; known are format, round, overflow, chunk, outer"),
        ),
        (
            {"accumulate": FIXED | {"chunk": 4}},
            "accumulate: chunk and outer go together: the sum of a chunk is a term of outer",
        ),
        (
            {"accumulate": FIXED | {"chunk": "4", "outer": {"kind": "exact"}}},
            "accumulate.chunk: must be a whole number, not '4'; write 4 without quotes",
        ),
        (
            {"accumulate": FIXED | {"chunk": 0, "outer": {"kind": "exact"}}},
            "accumulate: chunk must be 1 to 2**30, not 0",
        ),
        # ... and what is inside it
        (chunked(), f"accumulate.outer.kind: is missing; it must be one of {KINDS}"),
        (chunked(kind="flaot"), f"accumulate.outer.kind: must be one of {KINDS}, not 'flaot'"),
        (chunked(kind="float"), "accumulate.outer.width: is missing; this key is required"),
        (
            chunked(kind="float", width=15),
            "accumulate: outer.width must be at least 16 to hold a sum of int16, not 15",
        ),
        (
            chunked(kind="float", width=20, normalise="exact"),
            "accumulate.outer.normalise: unknown key; did you mean 'normalize'?",
        ),
        (
            chunked(kind="float", width=20, guard=-1),
            "accumulate.outer: guard must be at least 0, not -1",
        ),
        (
            chunked(kind="rounded", format="bf61"),
            "accumulate.outer.format: unknown format 'bf61'; did you mean 'bf16'?",
        ),
        (
            chunked(kind="rounded", format="int8"),
            "accumulate.outer: format must be a signed minifloat, not int8",
        ),
        (
            chunked(**FIXED, chunk=2, outer={"kind": "exact"}),
            "accumulate: outer must not have chunks of its own",
        ),
        (
            chunked(**FIXED, chunk=2, outer={"kind": "exact", "terms": 2}),
            "accumulate.outer.outer.terms: unknown key; did you mean 'max_terms'?",
        ),
        (
            {"accumulate": FIXED | {"chunk": 4, "outer": "hopper_fp8"}},
            "accumulate.outer: must be a mapping, not 'hopper_fp8'",
        ),
        # rounded
        (
            {"accumulate": {"kind": "rounded"}},
            "accumulate.format: is missing; this key is required",
        ),
        (
            {"accumulate": {"kind": "rounded", "format": "ue4m3fn"}},
            "accumulate: format must be a signed minifloat, not ue4m3fn",
        ),
        (
            {"accumulate": {"kind": "rounded", "format": "fp32", "round": "sr_b"}},
            "accumulate: round must not be stochastic, as sr_b is",
        ),
        (
            {"accumulate": {"kind": "rounded", "format": "fp32", "max_terms": 3}},
            "accumulate.max_terms: unknown key; known are format, round",
        ),
        # fused
        ({"accumulate": {"kind": "fused"}}, "accumulate.group: is missing; this key is required"),
        (
            {"accumulate": {"kind": "fused", "group": 4}},
            "accumulate.frac_bits: is missing; this key is required",
        ),
        ({"accumulate": FUSED | {"group": 0}}, "accumulate: group must be at least 1, not 0"),
        (
            {"accumulate": FUSED | {"frac_bits": -1}},
            "accumulate: frac_bits must be at least 0, not -1",
        ),
        (
            {"accumulate": FUSED | {"frac_bits": 60}},
            "accumulate: frac_bits 60 and group 4 make sums of 65 bits; 62 are the most",
        ),
        (
            {"accumulate": FUSED | {"group": 1 << 70}},
            (
                "accumulate: frac_bits 9 and group 1180591620717411303424 make sums of 82 bits; "
                "62 are the most"
            ),
        ),
        (
            {"accumulate": FUSED | {"out_frac_bits": 24}},
            "accumulate: out_frac_bits must be 0 to 23, those of fp32, not 24",
        ),
        (
            {"accumulate": FUSED | {"out_frac_bits": 0}},
            (
                "accumulate: out_frac_bits: an ieee format needs at least 2 exponent bits and 1 "
                "mantissa bit"
            ),
        ),
        (
            {"accumulate": FUSED | {"out_frac_bits": 9.0}},
            "accumulate.out_frac_bits: must be a whole number, not 9.0",
        ),
        (
            {"accumulate": FUSED | {"format": "int8"}},
            "accumulate: format must be a signed minifloat, not int8",
        ),
        (
            {"accumulate": FUSED | {"round": "sr_c"}},
            "accumulate: round must not be stochastic, as sr_c is",
        ),
        # presets
        (
            {"accumulate": "hopper_fp9"},
            (
                "accumulate: must be a mapping with a kind, or one of hopper_fp8, hopper_fp16, "
                "not 'hopper_fp9'; did you mean 'hopper_fp8'?"
            ),
        ),
        (
            {"accumulate": "hopper_fp16"},
            (
                "a: accumulate hopper_fp16 holds for fp16 and bf16, not e4m3fn; write the "
                "accumulation out to use it for others"
            ),
        ),
        (
            {"accumulate": "hopper_fp8", "b": "e4m3"},
            (
                "b: accumulate hopper_fp8 holds for e4m3fn and e5m2, not e4m3; write the "
                "accumulation out to use it for others"
            ),
        ),
        ({"accumulate": 3}, "accumulate: must be a mapping, not 3"),
        ({"accumulate": None}, "accumulate: must be a mapping, not None"),
        ({}, "accumulate: is missing; this key is required"),
        # products
        (
            {"product": "lmull", "accumulate": {"kind": "exact"}},
            "product: must be 'exact', 'lmul', 'lmul_add' or 'mitchell', not 'lmull'",
        ),
        *(
            (
                {"product": product, "a": a, "b": b, "accumulate": {"kind": "exact"}},
                (
                    f"product: {product} needs a and b of one minifloat format with exponent and "
                    f"mantissa, not {a} and {b}"
                ),
            )
            for product in ("lmul", "lmul_add", "mitchell")
            for a, b in [
                *(("e4m3fn", "e5m2"), ("int8", "int8"), ("e4m0", "e4m0"), ("e0m4", "e0m4")),
                *(("nf4", "nf4"), ("mxfp4", "mxfp4"), ("e4m3fn", "e4m3fn:bias=9")),
            ]
        ),
        (
            {"product": "lmul", "accumulate": {"kind": "float", "width": 4}},
            (
                "accumulate.width: must be at least 5 to hold the product of e4m3fn and e4m3fn, "
                "not 4"
            ),
        ),
        # blocks
        (
            {"a": "mxfp4", "b": "nvfp4"},
            "b: blocks must be as long as those of a, mxfp4, unlike nvfp4",
        ),
        (
            {"a": "dfp16", "b": "mxfp4"},
            "b: blocks must be as long as those of a, dfp16, unlike mxfp4",
        ),
        *(
            (
                MX | {"accumulate": accumulate},
                (
                    "accumulate.kind: must be exact, rounded or fused for sums of blocks, not "
                    f"{accumulate['kind']}"
                ),
            )
            for accumulate in (FIXED, {"kind": "float", "width": 20})
        ),
        (
            MX | {"within": FUSED},
            "within.group: must be the size of a block, 32, not 4",
        ),
        (MX | {"within": {"kind": "exact"}}, "within.kind: must be fused, not exact"),
        (MX | {"within": {"kind": "fusde"}}, f"within.kind: must be one of {KINDS}, not 'fusde'"),
        (MX | {"within": {"kind": "fused"}}, "within.group: is missing; this key is required"),
        (
            MX | {"within": FUSED | {"gruop": 1}},
            "within.gruop: unknown key; did you mean 'group'?",
        ),
        (MX | {"within": "hopper_fp8"}, "within: must be a mapping, not 'hopper_fp8'"),
        (
            {"a": "dfp8", "b": "dfp8", "within": FUSED},
            "within: needs blocks of a fixed size; theirs is that of a tensor",
        ),
        (
            {"accumulate": {"kind": "exact"}, "within": FUSED},
            "within: is for block formats; a and b are scalar",
        ),
        (
            MX | {"within": FUSED | {"group": 32, "format": "e4m3fn"}},
            "within.format: must hold every sum of a block, which e4m3fn does not",
        ),
        (
            {
                "a": "mxfp4:scale=fp32",
                "b": "mxfp4:scale=fp32",
                "within": FUSED | {"group": 32},
            },
            "within.out_frac_bits: too many for a sum to be multiplied by scales",
        ),
        (
            {"a": "mxint8", "b": "block:s1.22:scale=fp32"},
            (
                "b: significands of an element and its scale must have 32 bits at most together "
                "to be multiplied, unlike those of block:s1.22:scale=fp32"
            ),
        ),
        # out
        *(
            (
                {"accumulate": {"kind": "exact"}, "out": out},
                f"out: must be a minifloat or fixed-point format, not {out}",
            )
            for out in ("nf4", "khot2:s0.7", "e8m0", "mxfp4")
        ),
        (
            {
                "a": "int8",
                "b": "int8",
                "out": "int8",
                "out_overflow": "wrap",
                "accumulate": {"kind": "rounded", "format": "fp32"},
            },
            (
                "out_overflow: wrap cannot express the NaN or infinity that int8 x int8 -> int8, "
                "rounded fp32 rne can lead to; use saturate"
            ),
        ),
        (
            {"a": "lut:" * 1000 + "0"},
            f"a: format '{('lut:' * 16)[:61]}...': a name has at most 32 words",
        ),
    ],
)
def test_what_is_wrong_with_new_kinds(changes, message):
    with pytest.raises(SpecError) as caught:
        load_design(MAC | changes)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_it_stands_for(name):
    preset = PRESETS[name]
    for a in preset.operands:
        for b in preset.operands if preset.mixed else [a]:
            design = load_design(MAC | {"a": a, "b": b, "accumulate": name})
            assert design.accumulate == preset.accumulate
            assert load_design(design.as_dict()) == design
    if not preset.mixed:
        a, b = preset.operands
        with pytest.raises(SpecError, match=f"^b: accumulate {name} takes operands of one format"):
            load_design(MAC | {"a": a, "b": b, "accumulate": name})
    # Written out, it is for any operands.
    written = MAC | {"a": "int8", "b": "int8", "accumulate": preset.accumulate.as_dict()}
    assert load_design(written).accumulate == preset.accumulate


def test_blocks_accumulate_in_single_precision_by_default():
    design = load_design(MAC | MX)
    assert design.accumulate == RoundedAccumulation(format=parse_format("fp32"))
    assert design.within is None
    assert load_design(MAC | {"a": "mxfp4"}).accumulate == design.accumulate
    exact = load_design(MAC | MX | {"within": None, "accumulate": {"kind": "exact"}})
    assert "within" not in exact.as_dict()


SCALARS = [
    *("bf16", "fp16", "fp32", "e4m3fn", "e5m2", "e2m1", "e4m3fn:bias=9:ftz", "ue4m3fn", "e8m0"),
    *("int8", "int8:sym", "uint4", "s4.3", "s-2.8", "tern", "bin", "nf4", "nf4:bf16", "dynamic8"),
    *("power4:a=0.5:bf16", "lut:e2m1:9017", "khot2:s0.7:sym", "e4m3p3109"),
]
BLOCKS = [
    *("mxfp8_e4m3", "mxfp4", "mxint8:ocp", "nvfp4", "nvint4:scale=ue5m3", "bfp16", "dfp16"),
    *("block:nf4:size=16", "block:e4m3fn:bias=9:size=16:scale=ue4m3fn:bias=5", "mxfp4:size=4"),
]
OUTS = ["bf16", "fp32", "e4m3fn", "int8", "int32", "e2m1", "s4.3:sym", "fp16:ftz"]


def some_accumulation(rng, depth=0):
    kind = rng.choice([sub.kind for sub in Accumulation.__subclasses__()])
    tree = {"kind": kind}

    def maybe(**options):
        tree.update({k: v for k, v in options.items() if rng.random() < 0.5})

    round_ = rng.choice(["rne", "rna", "truncate", "up", "down", "odd"])
    match kind:
        case "exact":
            maybe(max_terms=rng.randrange(1, 5000))
        case "fixed":
            tree["format"] = rng.choice(["int32", "int16", "s8.8", "s20.10:sym"])
            maybe(round=round_, overflow=rng.choice(["saturate", "wrap"]))
            if depth == 0 and rng.random() < 0.7:
                tree |= {"chunk": rng.randrange(1, 64), "outer": some_accumulation(rng, 1)}
        case "rounded":
            tree["format"] = rng.choice(["fp32", "bf16", "e5m10", "e4m3fn:ftz"])
            maybe(round=round_)
        case "float":
            tree["width"] = rng.randrange(4, 50)
            maybe(guard=rng.randrange(4), sticky=True, round=round_, max_terms=77)
            maybe(normalize=rng.choice(["exact", "none", "approx(1,2)"]))
        case "fused":
            tree |= {"group": rng.choice([1, 4, 16, 32, 64]), "frac_bits": rng.randrange(30)}
            maybe(sticky=True, round=round_, format=rng.choice(["bf16", "fp32"]))
            maybe(out_frac_bits=rng.randrange(1, 24))
    return tree


def some_design(rng):
    operands = rng.choice([SCALARS, SCALARS, BLOCKS])
    a = rng.choice(operands)
    tree = {
        "name": "d" + str(rng.randrange(1000)),
        "unit": rng.choice([*["systolic", "mac"] * 5, *UNITS]),
        "a": a,
        "b": rng.choice([a, a, rng.choice(operands)]),
        "out": rng.choice(OUTS),
        "accumulate": some_accumulation(rng),
    }
    if operands is BLOCKS:
        if rng.random() < 0.3:
            del tree["accumulate"]
        if rng.random() < 0.6 and (size := parse_format(a).size):
            tree["within"] = {"kind": "fused", "group": size, "frac_bits": 20}
    choices = {
        "product": [*Product],
        "out_round": [*Rounding],
        "out_overflow": [*Overflow],
        "pipeline": ["auto", 0, 1],
        "technology": ["asap7"],
        "clock_mhz": [1, 2.5, 1000.0],
        "normalizer": ["counter", "anticipator"],
    }
    for key, values in choices.items():
        if rng.random() < 0.3:
            value = rng.choice(values)
            tree[key] = str(value) if isinstance(value, str) else value
    if tree["unit"] == "systolic" and rng.random() < 0.5:
        tree["array"] = {"rows": rng.randrange(1, 9)}
    tree |= own_keys(tree["unit"], rng)
    # Of one operand, and nothing to add up, but for those that are to be refused.
    single = "accumulate", "product", "b"
    left_out = {"quantize": single, "hadamard": single, "activation": single, "softmax": single}
    left_out |= dict.fromkeys(("multiplier", "adder", "fma", "convert"), single[:2])
    for key in left_out.get(tree["unit"], ()):
        if rng.random() < 0.95:
            tree.pop(key, None)
    if tree["unit"] == "quantize":
        tree["out"] = rng.choice(BLOCKS)
    return tree


def own_keys(unit, rng):
    """Keys that only some units have, with values that may or may not do."""
    choices = {
        "dot": {"lanes": [1, 8, 16, 32, 64]},
        "hadamard": {"lanes": [2, 3, 16, 128, 256]},
        "activation": {
            "function": ["relu", "gelu", "silu", "sigmoid", "tanh", "exp"],
            "segments": [8, 16, 24],
            "fraction": [8, 12, 21],
        },
        "softmax": {"length": [1, 100, 1 << 17], "mantissa": [5, 8, 16]},
        "convert": {"random": ["port", "lfsr"], "random_bits": [0, 1, 32], "seed": [0, 7]},
    }
    choices["quantize"] = choices["convert"]
    keys = choices.get(unit, {}).items()
    return {key: rng.choice(values) for key, values in keys if rng.random() < 0.4}


def test_random_designs_are_read_back(tmp_path, seed):
    """Of all kinds, by way of YAML; those that do not fit together say so in one line."""
    rng = random.Random(seed)
    path = tmp_path / "d.yaml"
    seen = set()
    complaints = set()
    kinds = {sub.kind for sub in Accumulation.__subclasses__()}
    wanted = kinds | {f"outer {kind}" for kind in kinds} | {*map(str, Product)} | {"within"}
    wanted |= {"Minifloat", "FixedPoint", "Codebook", "KHot", "BlockFormat", "ExponentOnly"}
    wanted |= {*Rounding, *UNITS}
    for trial in range(5000):
        if trial >= 1000 and seen >= wanted:
            break
        try:
            design = load_design(some_design(rng))
        except SpecError as error:
            complaints.add(str(error))
            continue
        path.write_text(yaml.safe_dump(design.as_dict()))
        again = load_design(path)
        assert again == design
        assert again.digest == design.digest
        assert again.as_dict() == design.as_dict()
        assert len(design.summary()) < 400
        acc = design.accumulate
        seen |= {design.unit}
        seen |= {acc.kind, str(design.product), type(design.a).__name__, design.out_round}
        seen |= {f"outer {acc.outer.kind}"} if acc.kind == "fixed" and acc.outer else set()
        seen |= {"within"} if isinstance(design.within, FusedAccumulation) else set()
    assert seen >= wanted
    keys = "accumulate|product|a|b|out|within|out_round|out_overflow|pipeline|normalizer"
    own = "lanes|function|segments|fraction|length|mantissa|random|random_bits|seed"
    for said in complaints:
        assert re.fullmatch(rf"({keys}|{own})[a-z._]*: .+", said)
