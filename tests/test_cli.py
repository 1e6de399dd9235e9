"""Tests of :mod:`minimac.cli`."""

import csv
import errno
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from minimac.cli import main
from minimac.cli.lists import LISTED_FORMATS
from minimac.model import decode
from minimac.spec import UNITS, SpecError, load_design, parse_format
from minimac.spec.names import FAMILIES

EXAMPLES = Path(__file__).parents[1] / "examples"
INT8 = str(EXAMPLES / "int8.yaml")
BERT = str(EXAMPLES / "workloads" / "bert_base_block.yaml")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def wrong(capsys):
    """Run what is wrong; return the one line that says so."""

    def wrong_(*args: str) -> str:
        assert main(args) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("minimac: error: ")
        assert err.count("\n") == 1
        return err.removeprefix("minimac: error: ").rstrip("\n")

    return wrong_


def test_version(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"minimac \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "verb",
    [
        [],
        *(["list"], ["decode"], ["encode"], ["table"]),
        *(["generate"], ["simulate"], ["cost"], ["predict"], ["workload"]),
        *(["compare"], ["explore"], ["report"]),
    ],
)
def test_help(verb, capsys):
    assert main([*verb, "--help"]) == 0
    out, err = capsys.readouterr()
    assert "Usage: " in out
    assert err == ""


def test_help_and_lists_are_quick():
    """Neither may import what only other verbs need."""
    slow = {"numpy", "amaranth", "numba", "sklearn", "plotly", "cocotb", "pandas", "jinja2"}
    for args in (
        *(["--help"], ["list", "formats"], ["list", "units"]),
        *(["decode", "nf4", "3"], ["table", "e4m3fn"], ["table", "mxint8", "--json"]),
    ):
        code = (
            f"import sys; from minimac.cli import main; main({args!r});"
            f"sys.exit(repr({slow!r} & set(sys.modules)) if {slow!r} & set(sys.modules) else 0)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr


def test_formats_are_generated_from_the_spec(capsys):
    assert main(["list", "formats", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["format"] for row in rows] == [parse_format(name).name for name in LISTED_FORMATS]
    by_name = {row["format"]: row for row in rows}
    assert by_name["e4m3fn"] == {
        "format": "e4m3fn",
        "bits": 8,
        "E": 4,
        "M": 3,
        "bias": 7,
        "max": 448.0,
        "min>0": 2.0**-9,
        "specials": "NaN",
        "what": "OCP FP8 E4M3",
    }
    assert by_name["bf16"]["specials"] == "inf NaN"
    assert (by_name["int8"]["E"], by_name["int8"]["max"]) == (None, 127.0)
    assert (by_name["e8m0"]["max"], by_name["e8m0"]["min>0"]) == (2.0**127, 2.0**-127)
    assert by_name["nf4"]["min>0"] == 0.07958029955625534
    assert (by_name["mxfp4"]["E"], by_name["mxfp4"]["max"]) == (2, 6.0)
    assert all(row["what"] for row in rows)
    kinds = {type(parse_format(name)).__name__ for name in LISTED_FORMATS}
    assert kinds == {family.__name__ for family in FAMILIES}


def test_formats_as_a_table(capsys):
    assert main(["list", "formats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = ["format", "bits", "E", "M", "bias", "max", "min>0", "specials", "what"]
    assert lines[0].split() == heads
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert rows["e2m1"] == [*"4 2 1 1 6 0.5 OCP FP4 E2M1".split()]
    assert rows["int8"] == [*"8 - - - 127 1 two's complement".split()]
    assert max(map(len, lines)) < 120


def test_units(capsys):
    assert main(["list", "units", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["unit"] for row in rows] == list(UNITS)
    assert all(row["what"].endswith(".") for row in rows)
    assert "`" not in str(rows)


def test_technologies(capsys):
    assert main(["list", "technologies"]) == 0
    assert {"sky130", "ecp5"} <= set(capsys.readouterr().out.split())


def test_boards(capsys):
    assert main(["list", "boards", "--json"]) == 0
    out, err = capsys.readouterr()
    assert isinstance(json.loads(out), list)
    assert err == ""


def test_decode(capsys):
    assert main(["decode", "e4m3fn", "0x38", "1", "0b1_1111_111", "128"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "code  bits              value  class              ulp",
        "0x38  0_0111_000            1  normal           0.125",
        "0x01  0_0000_001  0.001953125  subnormal  0.001953125",
        "0xff  1_1111_111          nan  NaN                  -",
        "0x80  1_0000_000           -0  zero       0.001953125",
    ]
    assert err == ""


def test_decode_as_json(capsys):
    assert main(["decode", "e5m2", "0x3c", "0xfc", "0x7d", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0] == {
        "code": 60,
        "hex": "0x3c",
        "bits": "0_01111_00",
        "value": 1.0,
        "class": "normal",
        "ulp": 0.25,
    }
    assert [(row["value"], row["class"]) for row in rows[1:]] == [
        ("-inf", "infinity"),
        ("nan", "NaN"),
    ]


@pytest.mark.parametrize("verb", ["decode", "encode"])
def test_elements_of_blocks(verb, capsys):
    assert main([verb, "mxfp4", "5"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split()[-5 if verb == "decode" else 0] in ("0x5", "5")
    assert err == "mxfp4: elements are e2m1; scales apart\n"


def test_encode(capsys):
    assert main(["encode", "e4m3fn", "0.1", "1/3", "-1.5", "-inf", "1000", "-0.0", "nan"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "given  code  bits            value      error      ulps    below      above",
        "0.1    0x1d  0_0011_101  0.1015625  0.0015625       0.2  0.09375  0.1015625",
        "1/3    0x2b  0_0101_011    0.34375  0.0104167  0.333333   0.3125    0.34375",
        "-1.5   0xbc  1_0111_100       -1.5          0         0        -          -",
        "-inf   0xfe  1_1111_110       -448          -         -        -          -",
        "1000   0x7e  0_1111_110        448        552     17.25      448          -",
        "-0.0   0x80  1_0000_000         -0          0         0        -          -",
        "nan    0x7f  0_1111_111        nan          -         -        -          -",
    ]
    assert err == ""


def test_encode_as_json(capsys):
    assert main(["encode", "e2m1", "-1/3", "--rounding", "down", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {
        "given": "-1/3",
        "code": 9,
        "hex": "0x9",
        "bits": "1_00_1",
        "value": -0.5,
        "class": "subnormal",
        "ulp": 0.5,
        "error": 1 / 6,
        "ulps": 1 / 3,
        "below": -0.5,
        "above": 0.0,
    }


@pytest.mark.parametrize(
    ("args", "codes"),
    [
        # Numbers with a minus are no options, wherever they stand.
        (["e4m3fn", "-1.5", "-inf", "-.5", "-1/2", "-1e-1"], [0xBC, 0xFE, 0xB0, 0xB0, 0x9D]),
        (["-1.5", "--", "-2"], None),
        (["e4m3fn", "--", "-1.5", "-2"], [0xBC, 0xC0]),
        (["e4m3fn", "--rounding", "up", "-1.45"], [0xBB]),
        (["e4m3fn", "-1.45", "--rounding=down"], [0xBC]),
        (["e5m2", "1e9", "-1e9", "--overflow", "infinity"], [0x7C, 0xFC]),
        (["e5m2", "inf", "--overflow", "saturate"], [0x7C]),
        (["e4m3fn", "1e9", "--overflow", "nan"], [0x7F]),
        (["int8", "200", "-129", "--overflow", "wrap"], [200, 127]),
        (["e2m1", "nan"], [0]),
        (["int8", "9" * 30, "-" + "9" * 300], [0x7F, 0x80]),
        (["int8", "2.5", "--rounding", "sr_a", "--random", "1", "--random-bits", "2"], [2]),
        (["int8", "2.5", "--rounding", "sr_a", "--random", "2", "--random-bits", "2"], [3]),
        # A tie, and what float64 takes for one.
        (["e4m3fn", "1.0625", "1.0625" + "0" * 40 + "1", "1.06249" + "9" * 40], [56, 57, 56]),
        (["bf16", "0.1", "1/3"], [0x3DCD, 0x3EAB]),
        (["nf4", "0.3", "-2"], [0xB, 0]),
        (["e8m0", "3", "0"], [0x80, 0xFF]),
        (["khot1:int8", "7", "-100"], [8, 128]),
    ],
)
def test_codes_of_values(args, codes, capsys):
    status = main(["encode", *args, "--json"] if "--" not in args else ["encode", "--json", *args])
    out, err = capsys.readouterr()
    if codes is None:
        assert status == 2
        assert err.startswith("minimac: error: unknown format '-1.5'")
    else:
        assert (status, err) == (0, "")
        assert [row["code"] for row in json.loads(out)] == codes


@pytest.mark.parametrize("name", ["e4m3fn", "e5m2fnuz", "int8:sym", "nf4", "khot2:s0.7", "mxint8"])
def test_tables_have_every_code(name, capsys):
    fmt = parse_format(name)
    element = getattr(fmt, "element", fmt)
    codes = [code for code in range(1 << element.width) if element.holds(code)]
    values = decode(element, codes)
    assert main(["table", name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["format"] == name
    assert ("block" in told) == (name == "mxint8")
    assert [row["code"] for row in told["codes"]] == codes
    np.testing.assert_array_equal([float(row["value"]) for row in told["codes"]], values)
    assert main(["table", name, "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [int(row["hex"], 16) for row in rows] == codes
    np.testing.assert_array_equal([float(row["value"]) for row in rows], values)


def test_table(capsys):
    assert main(["table", "e2m1"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "e2m1: 4 bits, sign, 2 exponent, 1 mantissa, bias 1",
        "  values          15, from -6 to 6",
        "  least positive  0.5",
        "  least normal    1",
        "  ulp at 1        0.5",
        "  negative zero   yes",
        "",
        "code  bits    0    1",
        "0x0   0_00_x  0  0.5",
        "0x2   0_01_x  1  1.5",
        "0x4   0_10_x  2    3",
        "0x6   0_11_x  4    6",
        "from 0x8 on the same, negative",
    ]
    assert err == ""


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("e4m3fnuz", ["  NaN             0x80", "from 0x81 on the same, negative; 0x80 is NaN"]),
        ("e4m3fn", ["  NaN             0x7f; 2 codes"]),
        ("mxfp4", ["mxfp4: blocks of 32 elements; scale e8m0, rule floor"]),
        (
            "nvfp4",
            ["nvfp4: blocks of 16 elements; scale ue4m3fn, rule even, and fp32 for a tensor"],
        ),
        ("dfp8", ["dfp8: blocks of a whole tensor; scale e8m0, rule floor"]),
        ("bin", ["bin: 1 bit, 2 values of tern", "0x0   x     -1  1"]),
    ],
)
def test_what_tables_say(name, lines, capsys):
    assert main(["table", name]) == 0
    assert {*lines} <= {*capsys.readouterr().out.splitlines()}


def test_summaries_of_large_formats(capsys):
    assert main(["table", "bf16"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "bf16: 16 bits, sign, 8 exponent, 7 mantissa, bias 127",
        "  values          65279, from -3.3895313892515355e+38 to 3.3895313892515355e+38",
        "  least positive  9.183549615799121e-41",
        "  least normal    1.1754943508222875e-38",
        "  ulp at 1        0.0078125",
        "  negative zero   yes",
        "  infinities      0x7f80, 0xff80",
        "  NaN             0x7fc0; 254 codes",
    ]
    assert main(["table", "dfp16", "--csv"]) == 0
    rows = dict(csv.reader(capsys.readouterr().out.splitlines()))
    assert (rows["block.element"], rows["largest"], rows["infinities"]) == ("int16", "32767.0", "")
    assert main(["table", "bf16", "--json"]) == 0
    assert "codes" not in json.loads(capsys.readouterr().out)


VALUE = "value must be a number, as -1.5, 1e-3 or 1/3, or inf or nan, not "
CODE = "code must be 0 to 255, or the same as 0x.. or 0b.., not "
MANY = "value must have at most 1000 digits, and 4 in its exponent, not as many as "
STANDS = "value must be one that float64 can stand for when it is rounded to "
RULES = "saturate, infinity, nan, wrap"
MODES = "rne, rna, truncate, up, down, odd, sr_a, sr_b, sr_c"
SR = ["encode", "e4m3fn", "1.1", "--rounding", "sr_b"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["decode"], "Missing argument 'FORMAT'; see minimac decode --help"),
        (["decode", "e4m3fn"], "Missing argument 'CODE'; see minimac decode --help"),
        (["decode", "bf61", "1"], "unknown format 'bf61'; did you mean 'bf16'?"),
        (["decode", "e4m3fn", "256"], "code must be 0 to 255 to be of e4m3fn, not 256"),
        (["decode", "e4m3fn", "-1"], "code must be 0 to 255 to be of e4m3fn, not -1"),
        (["decode", "e4m3fn", "--", "-1"], "code must be 0 to 255 to be of e4m3fn, not -1"),
        (["decode", "mxfp4", "16"], "code must be 0 to 15 to be of e2m1, not 16"),
        (["decode", "e4m3fn", "-0x1"], CODE + "'-0x1'"),
        (["decode", "e4m3fn", "1.5"], CODE + "'1.5'; minimac encode takes values"),
        *((["decode", "e4m3fn", text], CODE + repr(text)) for text in ("", " ", "abc", "0x", "٣")),
        (["decode", "e4m3fn", "9" * 5000], CODE + repr("9" * 61 + "...")),
        (
            ["decode", "e4m3fn", "1" + "0" * 60],
            "code must be 0 to 255 to be of e4m3fn, not 1" + "0" * 60,
        ),
        (["decode", "e4m3fn", "1", "2", "x"], CODE + "'x'"),
        (["decode", "int8:sym", "128"], "code must be one that int8:sym uses, which 0x80 is not"),
        (
            ["decode", "power4:a=0.5", "15"],
            "code must be one that power4:a=0.5 uses, which 0xf is not",
        ),
        (["decode", "khot1:int8", "3"], "code must be one that khot1:int8 uses, which 0x3 is not"),
        (["decode", "e4m3fn", "--bad", "1"], "No such option: --bad; see minimac decode --help"),
        (["decode", "e4m3fn", "-j", "1"], "No such option: -j; see minimac decode --help"),
        (["encode", "e4m3fn"], "Missing argument 'VALUE'; see minimac encode --help"),
        (["encode", "--bad", "1"], "No such option: --bad; see minimac encode --help"),
        (
            ["encode", "e4m3fn", "--rouding", "up", "1"],
            "No such option: --rouding; see minimac encode --help",
        ),
        *(
            (["encode", "e4m3fn", text], VALUE + repr(text))
            for text in ("", "abc", "1 2", "-", "1,5")
        ),
        (["encode", "e4m3fn", "0x38"], VALUE + "'0x38'; minimac decode takes codes"),
        (["encode", "e4m3fn", "-0x38"], VALUE + "'-0x38'; minimac decode takes codes"),
        (["encode", "e4m3fn", "1/0"], "value must not be divided by zero, as in '1/0'"),
        (["encode", "e4m3fn", "1e999999999"], MANY + "'1e999999999'"),
        (["encode", "e4m3fn", "9" * 5000], MANY + repr("9" * 61 + "...")),
        (
            ["encode", "e4m3fn", "1", "--rounding", "nre"],
            f"--rounding must be one of {MODES}, not 'nre'; did you mean 'rne'?",
        ),
        (
            ["encode", "e4m3fn", "1", "--overflow", "sat"],
            f"--overflow must be one of {RULES}, not 'sat'; did you mean 'saturate'?",
        ),
        (
            ["encode", "e4m3fn", "1", "--overflow", "wrap"],
            "--overflow must not be wrap: e4m3fn is not fixed point with all codes",
        ),
        (
            ["encode", "e2m1", "nan", "--overflow", "nan"],
            "--overflow must not be nan: e2m1 has no such code",
        ),
        (
            ["encode", "int8", "nan", "--overflow", "wrap"],
            "nan: must have a code in int8, which has none for nan with overflow wrap",
        ),
        (
            ["encode", "int8", "1", "-inf", "--overflow", "wrap"],
            "-inf: must have a code in int8, which has none for -inf with overflow wrap",
        ),
        (
            ["encode", "int8", "1" + "0" * 40 + "1", "--overflow", "wrap"],
            STANDS + "int8; write it with fewer digits",
        ),
        (SR, "--rounding sr_b needs random bits: --random R --random-bits N"),
        ([*SR, "--random", "1"], "--rounding sr_b needs random bits: --random R --random-bits N"),
        (
            [*SR, "--random-bits", "4"],
            "--rounding sr_b needs random bits: --random R --random-bits N",
        ),
        (
            [*SR, "--random", "4", "--random-bits", "2"],
            "--random must be 0 to 3 with --random-bits 2, not 4",
        ),
        (
            [*SR, "--random", "-1", "--random-bits", "2"],
            "--random must be 0 to 3 with --random-bits 2, not -1",
        ),
        (
            [*SR, "--random", "1", "--random-bits", "33"],
            "--random-bits must be 1 to 32, not 33",
        ),
        (
            ["encode", "fp32", "0.1", *SR[3:], "--random", "1", "--random-bits", "32"],
            STANDS + "fp32; write it with fewer digits or take fewer random bits",
        ),
        (
            ["encode", "e4m3fn", "1", "--random", "1", "--random-bits", "2"],
            "--random and --random-bits are for sr_a, sr_b and sr_c, not rne",
        ),
        (["table"], "Missing argument 'FORMAT'; see minimac table --help"),
        (
            ["table", "e4m3fn", "1"],
            "Got unexpected extra argument(s) (1); see minimac table --help",
        ),
        (["table", "nvfp5"], "unknown format 'nvfp5'; did you mean 'nvfp4'?"),
        (["table", "e4m3fn", "--json", "--csv"], "--json and --csv exclude each other"),
        (["table", "--bad", "e4m3fn"], "No such option: --bad; see minimac table --help"),
    ],
)
def test_wrong_codes_and_values(wrong, args, message):
    assert wrong(*args) == message


def test_words_of_all_sorts_are_one_line(capsys):
    """Whatever the words, it is a result or one line, and never a traceback."""
    formats = ["e4m3fn", "int8", "nf4", "khot2:s0.7", "e8m0", "mxfp4", "", "-1", "x" * 5000, "--"]
    words = ["1", "-1", "-inf", "nan", "1e-300", "1e400", "--", "-", "-x", "\0", "é", "0b1", "1/7"]
    for verb in ("decode", "encode", "table"):
        for fmt in formats:
            for word in words:
                status = main([verb, fmt, word])
                out, err = capsys.readouterr()
                assert status in (0, 2), (verb, fmt, word)
                assert bool(out) == (status == 0)
                assert err.count("\n") <= 1
                assert (status == 2) == err.startswith("minimac: error: ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Missing command; see minimac --help"),
        (["frobnicate"], "No such command 'frobnicate'; see minimac --help"),
        (["generate"], "Missing argument 'DESIGN'; see minimac generate --help"),
        (["generate", "x", "--bad"], "No such option: --bad; see minimac generate --help"),
        (
            ["list", "frmats"],
            (
                "list must be one of formats, units, boards, technologies, not 'frmats'; "
                "did you mean 'formats'?"
            ),
        ),
        (["generate", "no.yaml"], "no.yaml: cannot be read: No such file or directory"),
        (["explore", "no.yaml"], "no.yaml: cannot be read: No such file or directory"),
        (["generate", "."], ".: cannot be read: Is a directory"),
        (["report", "no"], "no/results.json: no such file; minimac explore writes it"),
        (
            ["simulate", INT8, "--simulator", "vcs"],
            "--simulator must be one of verilator, icarus, not 'vcs'",
        ),
        (
            ["generate", INT8, "--set", "accumulate.kind"],
            "--set must be KEY=VALUE, not 'accumulate.kind'",
        ),
        (
            ["generate", INT8, "--set", "a=["],
            "--set a, line 1: not valid YAML: expected the node content, but found '<stream end>'",
        ),
        (
            ["generate", INT8, "--set", "a.b=1"],
            "--set a.b: a is not a mapping; set it whole",
        ),
        (
            ["generate", INT8, "--set", "a=bf61"],
            f"{INT8} with --set a=bf61: a: unknown format 'bf61'; did you mean 'bf16'?",
        ),
        (
            ["generate", INT8, "--set", "array.rosw=3"],
            f"{INT8} with --set array.rosw=3: array.rosw: unknown key; did you mean 'rows'?",
        ),
    ],
)
def test_wrong_input_is_one_line(wrong, args, message):
    assert wrong(*args) == message


NO_CIRCUIT = [
    (
        ["accumulate={kind: fused, group: 4, frac_bits: 9}"],
        (
            "accumulate.kind: systolic has no circuit for fused; use unit dot, or one of exact, "
            "fixed, float, rounded"
        ),
    ),
    (
        ["out_round=sr_a"],
        (
            "out_round: sr_a is for unit convert; use another mode, or give out more bits and "
            "convert behind"
        ),
    ),
    (
        ["b=mxfp4"],
        "b: systolic takes no blocks; use unit dot, or e2m1, the format of their elements",
    ),
]


@pytest.mark.parametrize("verb", ["generate", "simulate", "cost", "predict"])
@pytest.mark.parametrize(("changes", "message"), NO_CIRCUIT)
def test_what_has_no_circuit(wrong, verb, changes, message):
    args = [part for change in changes for part in ("--set", change)]
    assert wrong(verb, INT8, *args) == f"{INT8}: {message}"
    assert not Path("build").exists()


def test_wrong_seed(wrong):
    assert "--seed" in wrong("simulate", INT8, "--seed", "-1")
    assert "--seed" in wrong("simulate", INT8, "--seed", "one")


def test_ten_megabytes_of_yaml(wrong):
    Path("big.yaml").write_text("a: " + "x" * 10_000_000)
    assert wrong("generate", "big.yaml").startswith("big.yaml: ")


def test_bytes_that_are_no_text(wrong):
    Path("binary.yaml").write_bytes(bytes(range(256)))
    assert wrong("generate", "binary.yaml") == "binary.yaml: must be UTF-8 text"


def test_generate(capsys):
    assert main(["generate", INT8, "-o", "out", "--set", "array.rows=2", "--set", "name=x"]) == 0
    out, err = capsys.readouterr()
    ends = ["v", "json", "md", "yaml", "sdc", "xdc", "ys", "openroad.tcl", "vivado.tcl"]
    assert out.splitlines() == [f"out/x.{end}" for end in ends]
    assert err == ""
    assert sorted(map(str, Path("out").iterdir())) == sorted(out.splitlines())
    design = load_design(Path("out/x.yaml"))
    assert (design.name, design.array.rows, design.array.columns) == ("x", 2, 8)


def test_generate_into_its_own_folder(capsys):
    assert main(["generate", INT8]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "build/int8/int8.v"


def test_set_leaves_a_key_out(capsys, wrong):
    assert main(["generate", INT8, "-o", "out", "--set", "unit=mac", "--set", "array="]) == 0
    capsys.readouterr()
    assert load_design(Path("out/int8.yaml")).unit == "mac"
    assert wrong("generate", INT8, "--set", "a=") == (
        f"{INT8} with --set a=: a: is missing; this key is required"
    )


def test_generate_spares_the_design(capsys, wrong):
    text = f"# mine\n{Path(INT8).read_text()}"
    Path("int8.yaml").write_text(text)
    said = "int8.yaml: is the design, and would be lost; write elsewhere with -o"
    assert wrong("generate", "int8.yaml", "-o", ".") == said
    assert [str(path) for path in Path().iterdir()] == ["int8.yaml"]
    assert Path("int8.yaml").read_text() == text
    assert main(["generate", "int8.yaml", "-o", "out"]) == 0
    capsys.readouterr()
    whole = Path("out/int8.yaml").read_text()
    assert wrong("generate", "out/int8.yaml", "-o", "out", "--set", "clock_mhz=50") == f"out/{said}"
    assert main(["generate", "out/int8.yaml", "-o", "out"]) == 0
    assert Path("out/int8.yaml").read_text() == whole


def test_vectors(capsys):
    assert main(["vectors", INT8, "-o", "out/x.csv", "--count", "3", "--terms", "2"]) == 0
    assert capsys.readouterr() == ("out/x.csv\n", "")
    lines = [line for line in Path("out/x.csv").read_text().splitlines() if line[0] != "#"]
    assert lines[0] == "a0,a1,b0,b1,out"
    assert len(lines) == 4


def test_vectors_in_a_folder(capsys):
    assert main(["vectors", INT8, "-o", "kit", "--set", "name=x", "--count", "3"]) == 0
    written = capsys.readouterr().out.splitlines()
    assert {"kit/x.csv", "kit/x.hex", "kit/x.npz", "kit/x_model.h", "kit/x_dpi.sv"} < {*written}
    assert sorted(map(str, Path("kit").iterdir())) == sorted(written)


def test_wrong_vectors(wrong):
    assert wrong("vectors", INT8, "-o", "x.txt").startswith("x.txt: must end in .csv, .hex, .npz")
    assert "count" in wrong("vectors", INT8, "-o", "x.csv", "--count", "0")
    assert "terms" in wrong("vectors", INT8, "-o", "x.csv", "--terms", "70000")
    Path("file").write_text("x")
    expected = "file: must be a folder to write into, not a file"
    assert wrong("vectors", INT8, "-o", "file/x.csv") == expected
    assert not Path("x.csv").exists()


@pytest.mark.parametrize("suffix", [".csv", ".h", ""])
@pytest.mark.parametrize("name", ["convert_fp32_e4m3fn", "quantize_fp32_mxfp4", "softmax_int8"])
def test_units_without_vectors(wrong, name, suffix):
    said = wrong("vectors", str(EXAMPLES / "units" / f"{name}.yaml"), "-o", f"x{suffix}")
    assert said.startswith(f"unit: there are no test vectors of {name.partition('_')[0]} yet; ")
    assert not list(Path().iterdir())


OTHER_UNITS = [
    ("convert_fp32_e4m3fn", "lanes=3", "lanes: is a key of unit dot or hadamard; leave it out"),
    ("convert_fp32_e4m3fn", "normalizer=anticipator", "normalizer: convert normalises no sums; "),
    ("convert_bf16_e5m2_stochastic", "random_bits=0", "random_bits: must be 1 to 32, not 0"),
    ("convert_bf16_e5m2_stochastic", "reset=none", "random: lfsr starts from its seed at a reset"),
    ("convert_bf16_nf4", "out=mxfp4", "out: convert gives single numbers; for mxfp4 use quantize"),
    ("convert_bf16_nf4", "out_overflow=nan", "out_overflow: nan needs an out with NaN, which nf4 "),
    (
        "convert_requantise_int8",
        "out=nf4",
        "b: significands must have 53 bits at most together with those of int32 for an out of nf4",
    ),
    (
        "convert_bf16_e5m2_stochastic",
        "out=dynamic8",
        "random_bits: must be at most 4 for an out of dynamic8",
    ),
    ("quantize_fp32_mxfp4", "b=bf16", "b: quantize has one operand; leave this key out"),
    (
        "quantize_fp32_mxfp4",
        "out=mxfp4:size=300",
        "out: a block must have 1 to 256 elements, not 300; end mxfp4 with :size=N",
    ),
    ("hadamard_int8", "lanes=3", "lanes: must be a power of two from 2 to 128, not 3"),
    ("hadamard_int8", "b=int8", "b: hadamard has one operand; leave this key out"),
    ("hadamard_int8", "accumulate={kind: float, width: 9}", "accumulate: hadamard rounds once; "),
    ("softmax_int8", "length=0", "length: must be 1 to 65536, not 0"),
    ("softmax_int8", "product=lmul", "product: softmax multiplies no operands; leave this key"),
    ("activation_gelu_bf16", "function=foo", "function: must be 'relu', 'gelu', 'silu', "),
    ("activation_gelu_bf16", "K=3", "K: unknown key; known are "),
    ("activation_gelu_bf16", "normalizer=anticipator", "normalizer: activation has one of its "),
    ("dot_hopper_fp8", "lanes=3", "lanes: must be 32 for groups of 32, not 3"),
]


@pytest.mark.parametrize(("name", "change", "message"), OTHER_UNITS)
def test_wrong_keys_of_other_units(wrong, name, change, message):
    path = str(EXAMPLES / "units" / f"{name}.yaml")
    said = wrong("generate", path, "--set", change)
    assert said.startswith(f"{path} with --set {change}: {message}")


@pytest.mark.parametrize(
    ("name", "changes", "port"),
    [
        ("convert_fp32_e4m3fn", ["out_round=sr_b", "random_bits=5"], "i_random[4:0]"),
        ("hadamard_int8", ["lanes=4"], "o_result[31:0]"),
        ("softmax_int8", ["a=e4m3fn", "length=4"], "i_last"),
        ("activation_gelu_e4m3fn", ["function=silu", "out=bf16"], "o_result[15:0]"),
        ("dot_nvfp4", ["a=nvfp4:size=4", "b=nvfp4:size=4"], "i_b_scale[6:0]"),
    ],
)
def test_generate_other_units(capsys, name, changes, port):
    args = [part for change in ["name=x", *changes] for part in ("--set", change)]
    assert main(["generate", str(EXAMPLES / "units" / f"{name}.yaml"), *args]) == 0
    assert port in Path("build/x/x.md").read_text()


def test_set_takes_yaml_values(capsys):
    args = ["--set", "accumulate={kind: float, width: 20, normalize: 'approx(1,2)'}"]
    assert main(["generate", INT8, "-o", "out", *args]) == 0
    assert load_design(Path("out/int8.yaml")).accumulate.width == 20


def test_output_that_is_a_file(wrong):
    Path("file").write_text("x")
    expected = "file: must be a folder to write into, not a file"
    assert wrong("generate", INT8, "-o", "file") == expected
    assert Path("file").read_text() == "x"


def test_simulate(capsys, monkeypatch):
    asked = {}

    def simulate(design, **how):
        asked.update(how, design=design)
        return SimpleNamespace(tests=3, vectors=99, seconds=1.25, simulator="Icarus", seed=7)

    monkeypatch.setattr("minimac.bench.simulate", simulate)
    monkeypatch.setattr("minimac.bench.available_simulators", lambda: ["icarus"])
    args = ["--simulator", "icarus", "--seed", "7", "--waves", "--exhaustive"]
    assert main(["simulate", INT8, *args]) == 0
    expected = "int8: 3 tests passed, 99 vectors (Icarus, seed 7, 1.2 s)\n"
    assert capsys.readouterr().out == expected
    assert asked.pop("design") == load_design(Path(INT8))
    assert asked == {
        "build_dir": Path("build/int8/simulate"),
        "simulator": "icarus",
        "seed": 7,
        "waves": True,
        "exhaustive": True,
    }


def test_a_simulation_that_fails(capsys, monkeypatch):
    from minimac.bench import SimulationError

    def simulate(design, **how):
        raise SimulationError("o #68: got -3,\nexpected nan (seed 0)")

    monkeypatch.setattr("minimac.bench.simulate", simulate)
    monkeypatch.setattr("minimac.bench.available_simulators", lambda: ["verilator"])
    assert main(["simulate", INT8]) == 1
    expected = "minimac: FAIL: o #68: got -3, expected nan (seed 0)\n"
    assert capsys.readouterr() == ("", expected)


def test_a_simulator_that_is_missing(wrong, monkeypatch):
    monkeypatch.setattr("minimac.bench.available_simulators", lambda: ["verilator"])
    assert wrong("simulate", INT8, "--simulator", "icarus") == (
        "simulator icarus was not found; install it, or use verilator"
    )


@pytest.fixture
def measured(monkeypatch):
    """Replace the measurement; returns the operands that it was given."""
    given = []

    def measure(design, technology, operands=None, **options):
        given.append(operands)
        figures = {"area_um2": 1234.5, "cells": 10, "provenance": {"tool": "Yosys"}}
        return SimpleNamespace(as_dict=lambda: figures)

    monkeypatch.setattr("minimac.cost.measure", measure)
    return given


def test_cost(capsys, measured):
    assert main(["cost", INT8, "--technology", "sky130"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == ["metric     value", "area_um2  1234.5", "cells         10"]
    assert measured == [None]


def test_the_clock_of_a_cost_is_set_like_any_key(capsys, monkeypatch):
    assert main(["cost", "--help"]) == 0
    (example,) = re.findall(r"clock_mhz=[0-9]+", capsys.readouterr().out)
    clocks = []

    def measure(design, technology, **_):
        clocks.append(design.clock_mhz)
        return SimpleNamespace(as_dict=lambda: {"area_um2": 1.0, "provenance": {}})

    monkeypatch.setattr("minimac.cost.measure", measure)
    assert main(["cost", INT8, "--set", example]) == 0
    assert clocks == [float(example.removeprefix("clock_mhz="))]


def test_glitches(capsys, monkeypatch, tmp_path):
    """A figure of its own: nothing where no cell waits for another, and more in a multiplier."""
    monkeypatch.setenv("MINIMAC_CACHE", str(tmp_path))
    found = []
    for fmt in "uint1", "int3":
        text = f"name: x\nunit: multiplier\na: {fmt}\nb: {fmt}\nout: {fmt}\n"
        Path("x.yaml").write_text(text)
        for args in [], ["--glitches"]:
            assert main(["cost", "x.yaml", "--json", *args]) == 0
            found.append(json.loads(capsys.readouterr().out))
    key = "energy_glitches_pj_per_mac"
    calm, calm_too, bare, shaken = found
    assert calm_too[key] == 0
    assert 0 < shaken.pop(key) < 3 * shaken["energy_pj_per_mac"]
    assert bare == shaken
    assert key not in calm
    assert main(["cost", "x.yaml", "--glitches"]) == 0
    out, err = capsys.readouterr()
    assert f"\n{key} " in out
    assert "without glitches (a figure of their own) and clock tree" in err
    assert main(["cost", "x.yaml", "--glitches", "--technology", "ice40", "--no-route"]) == 0
    assert "\nglitches: no figure: energy is that of standard cells" in capsys.readouterr().err


def test_neither_glitches_nor_parts_are_composed(wrong):
    assert wrong("cost", INT8, "--compose", "--glitches") == (
        "--glitches: are simulated, not composed; use --direct"
    )
    assert wrong("cost", INT8, "--compose", "--parts") == (
        "--parts: are told apart in a netlist, not composed; use --direct"
    )


@pytest.mark.parametrize(
    ("args", "composes"),
    [
        (["--set", "array.rows=17", "--set", "array.columns=16"], True),
        (["--set", "array.rows=16", "--set", "array.columns=16"], False),
        (["--set", "array.rows=17", "--set", "array.columns=16", "--direct"], False),
        (["--set", "array.rows=17", "--set", "array.columns=16", "--technology", "ice40"], False),
        (["--compose"], True),
    ],
)
def test_large_arrays_are_composed(capsys, monkeypatch, measured, args, composes):
    told = {"from": ["2x2"], "checked_at": "4x4", "errors_percent": {"area_um2": -0.25}}
    conditions = {"composed": told, "tool": "Yosys"}
    figures = {"area_um2": 5.0, "delay_ps": 1.0, "meets_clock": True, "provenance": conditions}
    found = SimpleNamespace(cost=SimpleNamespace(as_dict=lambda: figures))

    def compose(*_, watch):
        watch("1 of 15: array of 2x2")
        return found

    monkeypatch.setattr("minimac.cost.compose", compose)
    assert main(["cost", INT8, *args]) == 0
    err = capsys.readouterr().err
    told = "composed from arrays of 2x2; a composed 4x4 is off by area -0.2 %"
    assert (told in err) == err.startswith("1 of 15: array of 2x2\n") == composes
    assert len(measured) == (not composes)
    if composes:
        assert "--parts" not in err


def test_on_a_terminal_nothing_is_left_of_what_was_under_way(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")

    def compose(*_, watch):
        for n in (1, 2):
            watch(f"{n} of 15")
            time.sleep(0.2)  # it is drawn a few times a second
        raise SpecError("enough")

    monkeypatch.setattr("minimac.cost.compose", compose)
    assert main(["cost", INT8, "--compose"]) == 2
    shown, _, after = capsys.readouterr().err.rpartition("2 of 15")
    assert "1 of 15" in shown
    assert "\n" not in shown
    assert "\x1b[2K" in after  # erases the line
    assert after.endswith(f"minimac: error: {INT8}: enough\n")


def test_what_cannot_be_composed(wrong):
    assert wrong("cost", INT8, "--compose", "--set", "array.dataflow=broadcast") == (
        f"{INT8}: unit: figures are composed of systolic arrays with dataflow ws or os; use "
        "minimac cost without --compose"
    )


def test_files_for_other_tools(capsys, monkeypatch, measured):
    given = []

    def export(tool, design, cost):
        given.append((tool, design.name, cost.as_dict()["cells"]))
        return {"some.csv": "a,b\n"}

    monkeypatch.setattr("minimac.cost.export", export)
    assert main(["cost", INT8, "--export", "accelergy", "-o", "there"]) == 0
    assert capsys.readouterr().out == "there/some.csv\n"
    assert Path("there/some.csv").read_text() == "a,b\n"
    assert given == [("accelergy", "int8", 10)]


def test_files_for_other_tools_have_a_folder_of_their_own(capsys, wrong, monkeypatch, measured):
    monkeypatch.setattr("minimac.cost.export", lambda *_: {"int8.yaml": "name: int8\n"})
    assert main(["cost", INT8, "--export", "zigzag"]) == 0
    assert capsys.readouterr().out == "build/int8/zigzag/int8.yaml\n"
    text = Path(INT8).read_text()
    Path("int8.yaml").write_text(text)
    assert wrong("cost", "int8.yaml", "--export", "zigzag", "-o", ".").startswith("int8.yaml: is ")
    assert Path("int8.yaml").read_text() == text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ["cost", INT8, "--export", "zigzag", "--technology", "xc7"],
            (
                "--technology must be one of asap7, sg13g2, sky130, or a Liberty file, not xc7: "
                "zigzag needs area and energy"
            ),
        ),
        (
            ["cost", INT8, "-o", "out"],
            "--output: is for the files of --export; add that, or leave this out",
        ),
        (
            ["cost", INT8, "--technology", ""],
            (
                "--technology must be one of asap7, ecp5, gowin, ice40, sg13g2, sky130, xc7, or "
                "the path of a Liberty file, not ''"
            ),
        ),
        (
            ["workload", BERT, str(EXAMPLES / "units" / "mac_binary.yaml")],
            (
                f"{EXAMPLES}/units/mac_binary.yaml: unit: mac has no schedule of layers; use "
                "systolic with dataflow ws or os"
            ),
        ),
        (
            ["workload", BERT, INT8, "--set", "array.dataflow=broadcast"],
            (
                f"{INT8}: array.dataflow: broadcast has no schedule of layers; use systolic with "
                "dataflow ws or os"
            ),
        ),
        (
            ["workload", BERT, INT8, "--set", "technology=ecp5"],
            (
                f"{INT8}: technology: must be one of asap7, sg13g2, sky130, or a Liberty file, not "
                "ecp5: layers are priced in standard cells"
            ),
        ),
        (
            ["build", INT8, "--board", "icebreaker", "--clock-mhz", "inf"],
            "--clock-mhz must be a number of MHz, not inf",
        ),
        (
            ["build", INT8, "--board", "icebreaker", "--largest", "--no-dsp"],
            "--largest: tries with and without multiplier blocks; leave --dsp out",
        ),
        (
            ["build", INT8, "--board", "kv260", "--no-dsp"],
            "--dsp: kv260 has no open tools; leave this out",
        ),
        (
            ["explore", BERT, "--jobs", "999999999999"],
            (
                "Invalid value for '--jobs': Input should be less than or equal to 1000; see "
                "minimac explore --help"
            ),
        ),
    ],
)
def test_what_cannot_be_is_said_before_it_takes_time(wrong, measured, args, said):
    assert wrong(*args) == said
    assert not measured
    assert not list(Path().iterdir())


def test_a_board_takes_a_folder(wrong):
    Path("file").write_text("x")
    expected = "file: must be a folder to write into, not a file"
    assert wrong("build", INT8, "--board", "kv260", "-o", "file") == expected


@pytest.mark.parametrize(
    ("pipeline", "remedy"), [("0", "pipeline: auto adds"), ("auto", "set clo")]
)
def test_a_clock_that_is_missed(capsys, monkeypatch, pipeline, remedy):
    figures = {"area_um2": 1.0, "clock_mhz": 500.0, "delay_ps": 3000.0, "meets_clock": False}
    figures |= {"provenance": {}}
    monkeypatch.setattr(
        "minimac.cost.measure", lambda *_, **__: SimpleNamespace(as_dict=lambda: figures)
    )
    assert main(["cost", INT8, "--set", f"pipeline={pipeline}"]) == 0
    assert f"warning: misses 500 MHz by 1000 ps; {remedy}" in capsys.readouterr().err


def test_parts_of_an_fpga(capsys, monkeypatch):
    figures = {"luts": 7, "provenance": {}}
    monkeypatch.setattr(
        "minimac.cost.measure", lambda *_, **__: SimpleNamespace(as_dict=lambda: figures)
    )
    assert main(["cost", INT8, "--technology", "ecp5", "--parts"]) == 0
    assert "parts: no figures: areas are those of standard cells\n" in capsys.readouterr().err


def test_a_tool_that_is_not_known(wrong, measured):
    assert wrong("cost", INT8, "--export", "zigzga") == (
        "--export must be one of accelergy, hwcomponents, zigzag, not 'zigzga'; "
        "did you mean 'zigzag'?"
    )
    assert not measured


def test_a_workload(capsys, monkeypatch):
    given = []
    layer = dict.fromkeys(
        (
            "cycles",
            "utilisation_percent",
            "time_us",
            "operands_uj",
            "turns_uj",
            "idle_uj",
            "sram_uj",
        ),
        1.5,
    ) | {"name": "c", "macs": 12, "dram_uj": 0.25, "energy_uj": 7.0}
    figures = {"clock_mhz": 50.0, "fmax_mhz": 80.0, "layers": [layer], "total": layer}
    figures["provenance"] = {"memory": {"source": "somebody"}}
    monkeypatch.setattr("minimac.cost.compose", lambda *args, watch: given.append(args))
    monkeypatch.setattr("minimac.cost.cost_of", lambda *_: SimpleNamespace(as_dict=lambda: figures))
    assert main(["workload", BERT, INT8, "--technology", "asap7"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert "time: at 50 MHz; the array allows 80 MHz" in err
    assert "memory: somebody" in err
    assert given[0][0].name == "int8"
    assert given[0][1:] == ("asap7", None)
    assert main(["workload", BERT, INT8, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["energy_uj"] == 7.0


def test_a_workload_that_is_wrong(wrong):
    Path("none.yaml").write_text("name: x\nlayers: []\n")
    assert wrong("workload", "none.yaml", INT8) == (
        "none.yaml: layers: must be a list of at least one layer, as in "
        "{name: first, m: 128, k: 768, n: 768} or {name: first, conv: {...}}"
    )
    Path("zero.yaml").write_text("name: x\nlayers: [{name: a, m: 1, k: 0, n: 1}]\n")
    assert wrong("workload", "zero.yaml", INT8) == (
        "zero.yaml: layers.0.k: must be a whole number from 1 to 2**32, not 0"
    )
    assert wrong("workload", INT8, BERT) == (
        f"{INT8}: is a design and not a workload; name the workload before the design"
    )
    assert wrong("workload", BERT, BERT) == (
        f"{BERT}: is a workload and not a design; minimac workload runs it on one"
    )


def test_layers_that_an_array_cannot_run_are_said_before_it_is_composed(wrong, monkeypatch):
    monkeypatch.setattr("minimac.cost.compose", lambda *_, **__: pytest.fail("composed"))
    short = ["--set", "accumulate.max_terms=1024"]
    assert wrong("workload", BERT, INT8, *short) == (
        f"{BERT}: layer down: k: must be at most accumulate.max_terms (1024) of the design, not "
        "3072; set that to more"
    )


@pytest.mark.parametrize("verb", [["workload", BERT], ["cost", "--compose"]])
def test_what_is_wrong_with_a_composition_is_said_of_the_file(wrong, verb):
    np.savez("x.npz", a=np.zeros((9, 4), int), b=np.zeros((4, 16), int))
    assert wrong(*verb, INT8, "--operands", "x.npz") == (
        "x.npz: K and N must be at least 8 to compose an array, not (4, 16)"
    )
    assert wrong(*verb, INT8, "--set", "interface=wishbone") == (
        f"{INT8}: interface: energy behind wishbone is not measured; use stream"
    )


def test_cost_as_json_with_operands(capsys, measured):
    a, b = np.arange(6).reshape(2, 3), np.full((3, 4), 255)
    np.savez("x.npz", a=a, b=b)
    args = ["--technology", "sky130", "--operands", "x.npz", "--json"]
    assert main(["cost", INT8, *args]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"] == {"tool": "Yosys"}
    np.testing.assert_array_equal(measured[0][0][0], a)
    np.testing.assert_array_equal(measured[0][0][1], b)


ENCODE = "minimac.model.encode makes codes of values"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((2, 3), int)}, "must hold two arrays, a and b, not a"),
        (
            {"a": np.zeros((2, 3), int), "w": np.zeros((3, 4), int)},
            "must hold two arrays, a and b, not a, w",
        ),
        (
            dict.fromkeys(("a", "b", "a_scale"), np.zeros((2, 2), int)),
            "must hold two arrays, a and b, not a, b, a_scale",
        ),
        (
            {"a": np.zeros((2, 0), int), "b": np.zeros((0, 4), int)},
            "a: must not be empty, as it is of shape (2, 0)",
        ),
        (
            {"a": np.zeros((2, 3)), "b": np.zeros((3, 4), int)},
            (
                "a: must be a matrix of integer codes, not float64 of shape (2, 3); "
                "minimac.model.encode makes them of values"
            ),
        ),
        (
            {"a": np.zeros((2, 3), int), "b": np.zeros(3, int)},
            "b: must be a matrix of integer codes, not int64 of shape (3,)",
        ),
        (
            {"a": np.zeros((2, 3), int), "b": np.full((3, 4), 256)},
            f"b must be 0 to 255 to be of int8, not 256 (at index [0, 0]); {ENCODE}",
        ),
        (
            {"a": np.full((2, 3), -1), "b": np.zeros((3, 4), int)},
            f"a must be 0 to 255 to be of int8, not -1 (at index [0, 0]); {ENCODE}",
        ),
        (
            {"a": np.zeros((2, 3), int), "b": np.zeros((2, 4), int)},
            "a must be of shape (M, K) and b of (K, N), not (2, 3) and (2, 4)",
        ),
        (
            {"a": np.zeros((1, 4097), int), "b": np.zeros((4097, 1), int)},
            "K must be at most accumulate.max_terms (4096), not 4097",
        ),
        (
            {"a": np.array([[None]]), "b": np.zeros((1, 1), int)},
            "must be an .npz file of plain arrays",
        ),
    ],
)
def test_wrong_operands(wrong, measured, arrays, message):
    np.savez("x.npz", **arrays)
    args = ["cost", INT8, "--technology", "sky130", "--operands", "x.npz"]
    assert wrong(*args) == f"x.npz: {message}"


def test_operands_of_a_unit_that_takes_one(measured):
    a = np.arange(6).reshape(2, 3)
    np.savez("x.npz", a=a)
    path = str(EXAMPLES / "units" / "hadamard_int8.yaml")
    assert main(["cost", path, "--technology", "sky130", "--operands", "x.npz"]) == 0
    np.testing.assert_array_equal(measured[0][0][0], a)
    assert measured[0][0][1].shape[0] == a.shape[1]


NVFP4 = str(EXAMPLES / "units" / "dot_nvfp4.yaml")
ELEMENTS = {"a": np.ones((2, 32), int), "b": np.ones((32, 3), int)}


def test_operands_in_blocks(measured):
    np.savez("x.npz", **ELEMENTS, b_scale=np.full((2, 3), 0x30))
    assert main(["cost", NVFP4, "--technology", "sky130", "--operands", "x.npz"]) == 0
    a, b = measured[0][0]
    np.testing.assert_array_equal(b.scales, np.full((2, 3), 0x30))
    np.testing.assert_array_equal(decode(parse_format("ue4m3fn"), a.scales), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("path", "arrays", "message"),
    [
        ("units/softmax_int8.yaml", {"b": np.zeros((2, 3), int)}, "must hold an array, a, not b"),
        (
            "units/dot_nvfp4.yaml",
            ELEMENTS | {"a_scales": np.zeros((2, 2), int)},
            "must hold two arrays, a and b, and perhaps a_scale and b_scale, not a, b, a_scales",
        ),
        (
            "units/dot_nvfp4.yaml",
            ELEMENTS | {"a_scale": np.zeros((2, 3), int)},
            "a_scale: must be of shape (2, 2), a code of ue4m3fn for each block, not (2, 3)",
        ),
        (
            "units/dot_nvfp4.yaml",
            ELEMENTS | {"a_scale": np.full((2, 2), 256)},
            f"a_scale must be 0 to 127 to be of ue4m3fn, not 256 (at index [0, 0]); {ENCODE}",
        ),
        (
            "units/dot_binary.yaml",
            {"a": np.ones((2, 65), int), "b": np.ones((65, 3), int)},
            "K must fill transfers of 64 lanes, which 65 does not",
        ),
    ],
)
def test_wrong_operands_of_other_units(wrong, measured, path, arrays, message):
    np.savez("x.npz", **arrays)
    args = ["cost", str(EXAMPLES / path), "--technology", "sky130", "--operands", "x.npz"]
    assert wrong(*args) == f"x.npz: {message}"


def test_operands_that_are_no_archive(wrong, measured):
    args = ["cost", INT8, "--technology", "sky130", "--operands"]
    for content in (b"", b"hello", b"PK\x03\x04 not really"):
        Path("x.npz").write_bytes(content)
        assert wrong(*args, "x.npz") == "x.npz: must be an .npz file of plain arrays"
    np.save("x.npy", np.zeros(3))
    assert wrong(*args, "x.npy") == "x.npy: must hold two arrays, a and b, not one array"
    assert wrong(*args, "no.npz") == "no.npz: No such file or directory"


def test_unknown_technology(wrong, measured):
    message = wrong("cost", INT8, "--technology", "sky31")
    assert message.startswith("--technology must be one of ")
    assert message.endswith(", not 'sky31'; did you mean 'sky130'?")


def test_a_liberty_file(wrong, measured):
    assert main(["cost", INT8, "--technology", "my/cells.lib"]) == 0  # measured by a stand-in
    assert main(["cost", INT8, "--set", "technology=cells.lib.gz"]) == 0


def test_wrong_liberty_files(wrong):
    assert wrong("cost", INT8, "--technology", "no.lib") == "no.lib: No such file or directory"
    Path("text.lib").write_text("hello")
    message = wrong("cost", INT8, "--technology", "text.lib")
    assert message == "text.lib: line 1: must be a Liberty file: library(name) { ... }"


def test_a_synthesis_that_fails(wrong, monkeypatch):
    from minimac.cost import SynthesisError

    def measure(design, technology, operands=None, **options):
        raise SynthesisError("element: x cannot be mapped to sky130: it is a $dlatch")

    monkeypatch.setattr("minimac.cost.measure", measure)
    assert wrong("cost", INT8, "--technology", "sky130") == (
        f"{INT8}: element: x cannot be mapped to sky130: it is a $dlatch"
    )


def test_a_disk_that_is_full(wrong, monkeypatch):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/minimac-x")

    monkeypatch.setattr("minimac.cost.measure", full)
    assert wrong("cost", INT8) == "/tmp/minimac-x: No space left on device"


def cost_file(name, area, **more):
    """Write what cost --json would have."""
    figures = {"name": name, "technology": "sky130", "clock_mhz": 100.0, "area_um2": area}
    versions = {"versions": {"pyosys": "0.70"}, "corner": "typical"}
    Path(f"{name}.json").write_text(json.dumps({**figures, "provenance": versions, **more}))
    return f"{name}.json"


def test_compare(capsys):
    files = cost_file("a", 50.0, fmax_mhz=100.0, cells=3), cost_file("b", 40.0, fmax_mhz=90.0)
    assert main(["compare", *files]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "metric    a      b     ratio 1",
        "area_um2   50    40 *      0.8",
        "cells       3     -          -",
        "fmax_mhz  100 *  90        0.9",
    ]
    assert err == ("conditions: sky130, 100 MHz, typical, pyosys 0.70; ratios to a; * the best\n")
    assert main(["compare", *files, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["ratios"]["area_um2"] == [1.0, 0.8]
    assert found["best"]["fmax_mhz"] == [0]
    assert found["costs"][1]["area_um2"] == 40.0


def test_compare_what_should_not_be(capsys):
    files = [cost_file("a", 50.0), cost_file("b", 40.0, clock_mhz=50.0, technology="asap7")]
    slow = cost_file("c", 1.0, meets_clock=False, delay_ps=11_000.0, clock_mhz=100.0)
    assert main(["compare", *files, slow]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert warnings == [
        "warning: not the same for all: technology: sky130, asap7, sky130",
        "warning: not the same for all: clock_mhz: 100, 50, 100",
        "warning: c misses 100 MHz by 1000 ps",
    ]


@pytest.mark.parametrize(
    "change", [{"name": 1}, {"clock_mhz": "fast"}, {"provenance": 3}, {"area_um2": "large"}, {}]
)
def test_compare_what_is_no_cost(wrong, change):
    cost = json.loads(Path(cost_file("a", 50.0)).read_text()) | change
    if not change:
        del cost["area_um2"]
    Path("b.json").write_text(json.dumps(cost))
    assert wrong("compare", "b.json", "b.json") == (
        "b.json: must be what minimac cost --json printed"
    )


def test_compare_designs(capsys, monkeypatch):
    asked = []

    def measure(design, technology, **options):
        asked.append((design.name, technology, options["clock_mhz"], list(options["seeds"])))
        figures = {"name": "x", "technology": technology, "clock_mhz": 50.0, "luts": len(asked)}
        return SimpleNamespace(as_dict=lambda: {**figures, "provenance": {}})

    monkeypatch.setattr("minimac.cost.measure", measure)
    options = ["--technology", "ecp5", "--technology", "ice40", "--clock-mhz", "50", "--seeds", "2"]
    assert main(["compare", INT8, INT8, *options]) == 0
    assert asked == [("int8", t, 50.0, [0, 1]) for t in ("ecp5", "ecp5", "ice40", "ice40")]
    out = capsys.readouterr().out
    assert out.split()[:4] == ["metric", "1:int8", "2:int8", "ratio"]


def test_wrong_comparisons(wrong):
    assert wrong("compare", INT8) == "compare takes two files or more"
    both = ["--clock-mhz", "5", "--fastest"]
    assert wrong("compare", INT8, INT8, *both) == "--clock-mhz and --fastest exclude each other"
    assert wrong("compare", INT8, INT8, "--clock-mhz", "0") == "--clock-mhz must be above 0, not 0"
    Path("x.json").write_text("[]")
    assert wrong("compare", "x.json", INT8) == "x.json: must be what minimac cost --json printed"
    Path("x.json").write_text("{")
    assert wrong("compare", "x.json", INT8) == "x.json: must be what minimac cost --json printed"
    message = wrong("compare", cost_file("a", 1.0), INT8, "--technology", "asap7")
    assert message == "a.json: technology: must be asap7, as --technology says, not sky130"
    assert wrong("compare", INT8, "no.yaml").startswith("no.yaml: ")


def test_predict(capsys):
    assert main(["predict", INT8, "--technology", "xc7"]) == 0
    out, err = capsys.readouterr()
    head, line = out.splitlines()
    assert re.fullmatch(r"metric +value +held out +9 of 10", head)
    assert re.fullmatch(r"luts +\d+(\.\d+)? +± \d+\.\d % +± \d+ %", line)
    assert err.startswith("mapped for area, as at 10 MHz; half of the designs ")
    assert "warning" not in err


def test_predict_as_json(capsys):
    assert main(["predict", INT8, "--json", "--set", "clock_mhz=2000"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["technology"] == "sky130"
    assert found["area_um2"]["value"] > 1e5
    assert 0 < found["area_um2"]["error"] < 0.05
    assert found["warnings"]
    assert err == ""


def test_predict_warns(capsys):
    assert main(["predict", INT8, "--set", "clock_mhz=2000"]) == 0
    assert "\nwarning: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--technology", "sky31"], "--technology must be one of asap7, ecp5, "),
        (["--technology", "ice40"], "--technology: costs are predicted in asap7, ecp5, sky130, "),
        (["--set", "technology=ice40"], f"{INT8}: technology: costs are predicted in asap7, "),
        (["--set", "pipeline=1"], f"{INT8}: pipeline: costs are predicted with 0, not with 1; "),
        (["--set", "a=nf4"], f"{INT8}: a: costs are predicted for minifloats, integers and "),
    ],
)
def test_wrong_predictions(wrong, args, message):
    assert wrong("predict", INT8, *args).startswith(message)


def test_explore_and_report(capsys, monkeypatch, measured):
    from minimac import explore

    run = explore.run
    ran = SimpleNamespace(tests=1, vectors=5, simulator="Verilator", seed=0)
    monkeypatch.setattr("minimac.bench.simulate", lambda design, **how: ran)
    monkeypatch.setattr("minimac.bench.available_simulators", lambda: ["verilator"])
    # In this process, where the replacements are.
    monkeypatch.setattr(
        explore, "run", lambda *args, jobs, scheduler, **shown: run(*args, 0, **shown)
    )
    Path("s.yaml").write_text(f"designs: [{INT8}]\ntechnologies: [sky130]\n")
    assert main(["explore", "s.yaml", "-o", "out"]) == 0
    out, err = capsys.readouterr()
    assert "int8 x int8 -> bf16, exact" in out
    assert "4/4  int8 simulate" in err
    assert main(["report", "out"]) == 0
    written = capsys.readouterr().out.splitlines()
    assert written[:3] == ["out/report.html", "out/results.csv", "out/results.parquet"]

    def fail(design, **how):
        raise ValueError("no")

    monkeypatch.setattr("minimac.bench.simulate", fail)
    # Results of the same seed are there already.
    Path("s.yaml").write_text(f"designs: [{INT8}]\ntechnologies: [sky130]\nseed: 1\n")
    assert main(["explore", "s.yaml", "-o", "again"]) == 1
    assert "failed  int8 simulate: ValueError: no" in capsys.readouterr().out


def test_a_reader_that_leaves():
    """As with ``minimac list formats | head -1``, of more than a pipe holds."""
    code = "import sys; from minimac.cli import main; sys.exit(main(['list', 'formats']))"
    reader = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    reader.stdout.close()
    said = reader.stderr.read()
    reader.stderr.close()
    assert reader.wait() == 0
    assert said == b""


def test_an_interrupt(capsys, monkeypatch):
    def interrupted(*args, **how):
        raise KeyboardInterrupt

    monkeypatch.setattr("minimac.explore.artefacts.design_files", interrupted)
    assert main(["generate", INT8]) == 130
    assert capsys.readouterr() == ("", "minimac: error: interrupted\n")
