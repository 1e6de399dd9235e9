"""Tests of :mod:`minimac.bitstream`, with the tools that it runs."""

import json

import numpy as np
import pytest

from minimac.bitstream import FitError, build, estimate_best, reshaped, shape_of, write_vivado
from minimac.bitstream.flow import map_board
from minimac.bitstream.netlist import post_synthesis
from minimac.cli import main
from minimac.host import Accelerator
from minimac.host.simulation import SimulatedBoard, build_board
from minimac.model import matmul
from minimac.soc.board import boards, load_board
from minimac.soc.core import CoreParameters
from minimac.spec import load_design

SMALL = {
    "name": "tiny",
    "unit": "systolic",
    "a": "int8",
    "b": "int8",
    "out": "int16",
    "accumulate": {"kind": "exact", "max_terms": 64},
    "array": {"rows": 2, "columns": 2},
}


def test_a_bitstream_for_the_icebreaker(tmp_path):
    design = load_design(SMALL | {"array": {"rows": 1, "columns": 1}})
    board = load_board("icebreaker")
    built = build(design, board, tmp_path)
    # Of an iCE40, it begins with an empty comment and the preamble (icestorm, format.txt).
    assert built.file.read_bytes()[:6] == bytes.fromhex("ff00007eaa99") or (
        b"\x7e\xaa\x99\x7e" in built.file.read_bytes()[:64]
    )
    used, there = built.used["ICESTORM_LC"]
    assert 500 < used < there == 5280
    assert built.used["ICESTORM_DSP"] == (1, 8)
    assert built.fmax_mhz > built.clock_mhz == 12
    assert built.load == f"openFPGALoader -b ice40_generic {built.file}"


def test_multiplier_blocks_keep_all_products(tmp_path):
    """Yosys 0.70 dropped the products of one row when all was one module."""
    map_board(load_design(SMALL), load_board("icebreaker"), tmp_path)
    cells = json.loads((tmp_path / "netlist.json").read_text())["modules"]["tiny_top"]["cells"]
    assert sum(cell["type"] == "SB_MAC16" for cell in cells.values()) == 4


@pytest.mark.parametrize(
    ("name", "dsp"),
    [("icebreaker", False), ("icebreaker", True), ("ulx3s_85f", False), ("tang_nano_20k", False)],
)
def test_the_netlist_multiplies_as_the_model(name, dsp, tmp_path, seed, pytestconfig, tally):
    """The whole top after synthesis, with Yosys' models of its cells, behind the same driver."""
    if not pytestconfig.option.exhaustive:
        pytest.skip("needs --exhaustive")
    parameters = CoreParameters(load_design(SMALL), depth=16)
    text = post_synthesis(parameters, load_board(name), tmp_path, divisor=1, dsp=dsp)
    board = SimulatedBoard(build_board(parameters, text))
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 256, (40, 50)), rng.integers(0, 256, (50, 7))
    try:
        with Accelerator.open(board.terminal, timeout_s=20.0) as accelerator:
            expected = matmul(parameters.design, a, b)
            assert np.array_equal(accelerator.matmul(a, b), expected)
            tally(f"results of netlists, {name}", expected.size)
    finally:
        board.stop()


def test_sizes_grow_by_little():
    design = load_design(SMALL)
    elements = [
        x.array.rows * x.array.columns for x in (reshaped(design, size) for size in range(1, 40))
    ]
    assert elements == sorted(set(elements))
    assert shape_of(reshaped(design, 3)) == "2x2"


def test_what_is_too_large_is_refused(tmp_path, pytestconfig):
    if not pytestconfig.option.exhaustive:
        pytest.skip("needs --exhaustive")
    board = load_board("icebreaker")
    design = load_design(SMALL | {"array": {"rows": 8, "columns": 8}})
    with pytest.raises(FitError, match="does not fit: "):
        build(design, board, tmp_path / "large")
    size = estimate_best(design, board, tmp_path / "tiny")
    assert 2 < size < 10


@pytest.mark.parametrize("name", [x for x in boards() if load_board(x).family == "xc7"])
def test_files_for_vivado(name, tmp_path):
    board = load_board(name)
    paths = {path.name: path for path in write_vivado(load_design(SMALL), board, tmp_path)}
    script = paths["build.tcl"].read_text()
    assert f"synth_design -top tiny_top -part {board.part}" in script
    for said in ("read_verilog design.v", "read_xdc pins.xdc"):
        assert said in script
        assert paths[said.split()[1]].exists()
    assert "module tiny_top(clk, uart_rx, uart_tx);" in paths["design.v"].read_text()


def test_wrong_input_is_refused(tmp_path, capsys):
    path = tmp_path / "mac.yaml"
    path.write_text("{name: x, unit: mac, a: int8, b: int8, out: int32, accumulate: {kind: exact}}")
    assert main(["build", str(path), "--board", "icebreaker"]) == 2
    assert "a board takes systolic, not mac" in capsys.readouterr().err
    assert main(["build", "examples/int8.yaml", "--board", "icebraker"]) == 2
    assert "did you mean 'icebreaker'" in capsys.readouterr().err
    assert main(["build", "examples/int8.yaml", "--board", "pynq_z2", "--largest"]) == 2
    assert "--largest: pynq_z2 has no open tools" in capsys.readouterr().err
