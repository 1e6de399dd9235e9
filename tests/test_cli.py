"""Tests of :mod:`minimac.cli`."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from minimac.cli import LISTED_FORMATS, main
from minimac.spec import UNITS, load_design, parse_format

EXAMPLES = Path(__file__).parents[1] / "examples"
INT8 = str(EXAMPLES / "int8.yaml")


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
    "verb", [[], *(["list"], ["generate"], ["simulate"], ["cost"], ["explore"], ["report"])]
)
def test_help(verb, capsys):
    assert main([*verb, "--help"]) == 0
    out, err = capsys.readouterr()
    assert "Usage: " in out
    assert err == ""


def test_help_and_lists_are_quick():
    """Neither may import what only other verbs need."""
    slow = {"numpy", "amaranth", "numba", "sklearn", "plotly", "cocotb", "pandas", "jinja2"}
    for args in (["--help"], ["list", "formats"], ["list", "units"]):
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
    }
    assert by_name["bf16"]["specials"] == "inf NaN"
    assert (by_name["int8"]["E"], by_name["int8"]["max"]) == (None, 127.0)


def test_formats_as_a_table(capsys):
    assert main(["list", "formats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["format", "bits", "E", "M", "bias", "max", "min>0", "specials"]
    assert "e2m1          4  2   1     1            6          0.5" in lines
    assert "int8          8  -   -     -          127            1" in lines


def test_units(capsys):
    assert main(["list", "units", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["unit"] for row in rows] == list(UNITS)
    assert all(row["what"].endswith(".") for row in rows)


def test_technologies(capsys):
    assert main(["list", "technologies"]) == 0
    assert {"sky130", "ecp5"} <= set(capsys.readouterr().out.split())


def test_boards(capsys):
    assert main(["list", "boards", "--json"]) == 0
    out, err = capsys.readouterr()
    assert isinstance(json.loads(out), list)
    assert err == ""


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
    assert out.splitlines() == ["out/x.v", "out/x.json", "out/x.yaml"]
    assert err == ""
    assert sorted(path.name for path in Path("out").iterdir()) == ["x.json", "x.v", "x.yaml"]
    design = load_design(Path("out/x.yaml"))
    assert (design.name, design.array.rows, design.array.columns) == ("x", 2, 8)


def test_generate_into_its_own_folder(capsys):
    assert main(["generate", INT8]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "build/int8/int8.v"


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

    def measure(design, technology, operands=None):
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


def test_cost_as_json_with_operands(capsys, measured):
    a, b = np.arange(6).reshape(2, 3), np.full((3, 4), 255)
    np.savez("x.npz", a=a, b=b)
    args = ["--technology", "sky130", "--operands", "x.npz", "--json"]
    assert main(["cost", INT8, *args]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"] == {"tool": "Yosys"}
    np.testing.assert_array_equal(measured[0][0][0], a)
    np.testing.assert_array_equal(measured[0][0][1], b)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((2, 3), int)}, "must hold two arrays, a and b"),
        (
            {"a": np.zeros((2, 3)), "b": np.zeros((3, 4), int)},
            "a: must be a matrix of integer codes, not float64 of shape (2, 3)",
        ),
        (
            {"a": np.zeros((2, 3), int), "b": np.zeros(3, int)},
            "b: must be a matrix of integer codes, not int64 of shape (3,)",
        ),
        (
            {"a": np.zeros((2, 3), int), "b": np.full((3, 4), 256)},
            "b must be 0 to 255 to be of int8, not 256 (at index [0, 0])",
        ),
        (
            {"a": np.full((2, 3), -1), "b": np.zeros((3, 4), int)},
            "a must be 0 to 255 to be of int8, not -1 (at index [0, 0])",
        ),
        (
            {"a": np.zeros((2, 3), int), "b": np.zeros((2, 4), int)},
            "a (2, 3) and b (2, 4) do not match along K",
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


def test_operands_that_are_no_archive(wrong, measured):
    args = ["cost", INT8, "--technology", "sky130", "--operands"]
    for content in (b"", b"hello", b"PK\x03\x04 not really"):
        Path("x.npz").write_bytes(content)
        assert wrong(*args, "x.npz") == "x.npz: must be an .npz file of plain arrays"
    np.save("x.npy", np.zeros(3))
    assert wrong(*args, "x.npy") == "x.npy: must hold two arrays, a and b"
    assert wrong(*args, "no.npz") == "no.npz: No such file or directory"


def test_unknown_technology(wrong, measured):
    message = wrong("cost", INT8, "--technology", "sky31")
    assert message.startswith("--technology must be one of ")
    assert message.endswith(", not 'sky31'; did you mean 'sky130'?")


def test_a_synthesis_that_fails(capsys, monkeypatch):
    from minimac.cost import SynthesisError

    def measure(design, technology, operands=None):
        raise SynthesisError("int8: took longer than 600 s")

    monkeypatch.setattr("minimac.cost.measure", measure)
    assert main(["cost", INT8, "--technology", "sky130"]) == 1
    assert capsys.readouterr() == ("", "minimac: FAIL: int8: took longer than 600 s\n")


def test_explore_and_report(capsys, monkeypatch, measured):
    from minimac import explore

    run = explore.run
    ran = SimpleNamespace(tests=1, vectors=5, simulator="Verilator", seed=0)
    monkeypatch.setattr("minimac.bench.simulate", lambda design, **how: ran)
    monkeypatch.setattr("minimac.bench.available_simulators", lambda: ["verilator"])
    # In this process, where the replacements are.
    monkeypatch.setattr(explore, "run", lambda *args, jobs, watch: run(*args, 0, watch))
    Path("s.yaml").write_text(f"designs: [{INT8}]\ntechnologies: [sky130]\n")
    assert main(["explore", "s.yaml", "-o", "out"]) == 0
    out, err = capsys.readouterr()
    assert "int8 x int8 -> bf16, exact" in out
    assert "4/4  int8 cost:sky130" in err
    assert main(["report", "out"]) == 0
    assert capsys.readouterr().out.splitlines() == ["out/report.html", "out/results.csv"]

    def fail(design, **how):
        raise ValueError("no")

    monkeypatch.setattr("minimac.bench.simulate", fail)
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

    monkeypatch.setattr("minimac.explore.write_design", interrupted)
    assert main(["generate", INT8]) == 130
    assert capsys.readouterr() == ("", "minimac: error: interrupted\n")
