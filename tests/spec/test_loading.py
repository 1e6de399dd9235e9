"""Tests of :mod:`minimac.spec.loading`: what is wrong is said, in one line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from minimac.spec import UNITS, Design, SpecError, load_design, parse_format

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
    "pipeline, technology, clock_mhz, a, b, out, accumulate, product, out_round, out_overflow, "
    "name, array"
)
MODES = "'rne', 'rna', 'truncate', 'up', 'down' or 'odd'"
NORMAL = "exact, none or approx(k,l) with k and l at least 1"
NO_CONSTRUCTOR = "could not determine a constructor for the tag 'tag:yaml.org,2002"
QUOTES = "(inside { } it needs quotes)"
EXAMPLES = [  # those that are designs: a sweep has no unit of its own
    path
    for path in sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
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
        ("unit: systolic\n", "", "unit: is missing; it must be one of mac, systolic"),
        ("width: 16, ", "", "accumulate.width: is missing; this key is required"),
        (
            "kind: float, ",
            "",
            "accumulate.kind: is missing; it must be one of exact, float",
        ),
        # Words that name nothing.
        (
            "systolic",
            "systolc",
            "unit: must be one of mac, systolic, not 'systolc'; did you mean 'systolic'?",
        ),
        ("systolic", "[mac]", "unit: must be one of mac, systolic, not ['mac']"),
        ("a: bf16", "a: bf61", "a: unknown format 'bf61'; did you mean 'bf16'?"),
        (
            "kind: float",
            "kind: flaot",
            "accumulate.kind: must be one of exact, float, not 'flaot'",
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
            "pipeline: 4",
            (
                "pipeline: must be auto or 0 to 3 in a systolic of bf16 x bf16 -> fp32, "
                "float 16 approx(1,2), not 4"
            ),
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
        ("systolic", "no", "unit: must be one of mac, systolic, not False"),
        ("a: bf16", "a: no", "a: must be a word, not False"),
        ("a: bf16", "a: 16", "a: must be a word, not 16"),
        ("out: fp32", "out:", "out: must be a word, not None"),
        ("sky130", "off", "technology: must be a word, not False"),
        ("width: 16", "width: 5e2", "accumulate.width: must be a valid integer, not '5e2'"),
        ("width: 16", "width: yes", "accumulate.width: must be a valid integer, not True"),
        ("width: 16", "width: 16.0", "accumulate.width: must be a valid integer, not 16.0"),
        ("width: 16", "width: '16'", "accumulate.width: must be a valid integer, not '16'"),
        ("rows: 8", "rows: no", "array.rows: must be a valid integer, not False"),
        (
            "width: 16",
            "width: 16, sticky: 1",
            "accumulate.sticky: must be a valid boolean, not 1",
        ),
        (
            "clock_mhz: 100",
            "clock_mhz: 5e2",
            "clock_mhz: must be a valid number, not '5e2'",
        ),
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
        ({}, "unit: is missing; it must be one of mac, systolic"),
        ({"unit": None}, "unit: must be one of mac, systolic, not None"),
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
    with pytest.raises(SpecError, match=r"^array: unknown key; known are pipeline, .*, name$"):
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
