"""Linters and readers of others on the Verilog of every unit."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from minimac.bench.run import _verilator_bin
from minimac.rtl import describe, to_verilog
from minimac.spec import load_design

EXACT = {"kind": "exact", "max_terms": 64}
NARROW = {"kind": "float", "width": 8, "guard": 2, "sticky": True, "round": "rne"}

# Between them: every unit, kind of accumulation, special value, interface and reset.
DESIGNS = {
    "bf16": {"a": "bf16", "accumulate": {"kind": "float", "width": 16}, "pipeline": 2},
    "approx": {
        "a": "bf16",
        "b": "int4",
        "accumulate": {"kind": "float", "width": 14, "normalize": "approx(1,2)"},
        "clock_enable": True,
    },
    "e5m2": {"a": "e5m2", "out_overflow": "infinity", "accumulate": NARROW, "reset": "none"},
    "e4m3fn": {"a": "e4m3fn", "accumulate": EXACT, "pipeline": 1, "interface": "axi4stream"},
    "int8": {"a": "int8", "out": "int32", "accumulate": EXACT, "interface": "wishbone"},
    "wraps": {"a": "uint4", "out": "uint8", "out_overflow": "wrap", "accumulate": EXACT},
    "e2m1_mac": {"unit": "mac", "a": "e2m1", "out": "int8", "accumulate": EXACT},
    "bf16_mac": {
        "unit": "mac",
        "a": "bf16",
        "accumulate": {"kind": "float", "width": 16},
        "reset": "async",
        "clock_enable": True,
        "interface": "wishbone",
    },
    "u1_mac": {
        "unit": "mac",
        "a": "u1.0",
        "accumulate": {"kind": "float", "width": 2, "sticky": True, "round": "rne"},
    },
    "e3m0_mac": {"unit": "mac", "a": "e3m0", "accumulate": {"kind": "float", "width": 2}},
    "multiplier": {"unit": "multiplier", "a": "e4m3fn", "interface": "axi4stream"},
    "adder": {"unit": "adder", "a": "e5m2"},
    "fma": {"unit": "fma", "a": "e4m3fn", "b": "e5m2"},
    "convert": {
        "unit": "convert",
        "a": "bf16",
        "out": "e5m2",
        "out_round": "sr_a",
        "random": "lfsr",
    },
    "rescale": {"unit": "convert", "a": "int16", "b": "bf16", "out": "int8", "reset": "none"},
    "quantize": {"unit": "quantize", "a": "e5m2", "out": "mxfp4:size=4", "pipeline": 1},
    "divide": {"unit": "quantize", "a": "e5m2", "out": "nvfp4:size=2:tensor=bf16"},
    "hadamard": {"unit": "hadamard", "a": "e5m2", "lanes": 4, "pipeline": 1},
    "softmax": {"unit": "softmax", "a": "e5m2", "length": 8, "interface": "axi4stream"},
    "softmax_of_any": {"unit": "softmax", "a": "s4.3", "out": "u0.8", "length": 5, "reset": "none"},
    "gelu": {"unit": "activation", "a": "bf16", "function": "gelu", "segments": 8, "pipeline": 2},
    "exp": {"unit": "activation", "a": "fp16", "function": "exp", "segments": 8},
    "tanh": {"unit": "activation", "a": "e4m3fn", "out": "s0.7", "function": "tanh"},
    "dot_exact": {"unit": "dot", "a": "int4", "out": "int16", "accumulate": EXACT, "lanes": 4},
    "dot_fused": {
        "unit": "dot",
        "a": "e4m3fn",
        "b": "e5m2",
        "accumulate": {"kind": "fused", "group": 4, "frac_bits": 13},
    },
    "dot_blocks": {"unit": "dot", "a": "mxfp4:size=4", "b": "mxint8:size=4"},
}

#: Units that do without ``b``.
ALONE = {"convert", "quantize", "hadamard", "softmax", "activation"}


@pytest.fixture(params=DESIGNS, scope="module")
def made(request, tmp_path_factory):
    """A design and the file of its Verilog."""
    fields = {"unit": "systolic", "out": "bf16", **DESIGNS[request.param]}
    if fields["unit"] not in ALONE:
        fields.setdefault("b", fields["a"])
    if fields["unit"] == "systolic":
        fields["array"] = {"rows": 2, "columns": 3}
    design = load_design({"name": request.param, **fields})
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}.v"
    path.write_text(to_verilog(design))
    return design, path


def run(*command, **options):
    ran = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **options
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_verilator_warns_of_nothing(made):
    design, path = made
    environment = {key: value for key, value in os.environ.items() if key != "VERILATOR_ROOT"}
    program = _verilator_bin() / "verilator"
    options = "--lint-only", "-Wall", "--top-module", design.name
    status, said = run(program, *options, path, env=environment)
    assert (status, "%" in said) == (0, False), said


def test_waivers_have_a_reason(made):
    design, path = made
    waivers = [line for line in path.read_text().splitlines() if "lint_off" in line]
    assert len(waivers) == 6 + (design.reset == "none")
    for line in waivers:
        assert re.fullmatch(r"/\* verilator lint_off [A-Z]+ \*/  // \w.{20,}", line)


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog was not found")
def test_icarus_warns_of_nothing(made, tmp_path):
    design, path = made
    options = "-Wall", "-g2005", "-s", design.name, "-o", tmp_path / "out"
    assert run("iverilog", *options, path) == (0, "")


READ = """
import sys
from pyosys import libyosys as ys
design = ys.Design()
for reader in ("read_verilog", "read_slang"):
    ys.run_pass(f"{reader} {sys.argv[1]}", design)
    ys.run_pass(f"hierarchy -check -top {sys.argv[2]}", design)
    ys.run_pass("proc; check -assert", design)
    ports = f"{sys.argv[2]}/i:* {sys.argv[2]}/o:* %u"
    ys.run_pass(f"select -assert-count {sys.argv[3]} {ports}", design)
    ys.run_pass("design -reset", design)
"""


def test_yosys_reads_it_either_way(made):
    design, path = made
    status, said = run(
        sys.executable, "-c", READ, path, design.name, len(describe(design)["ports"])
    )
    assert status == 0, said[-2000:]
    assert "Warning" not in said
