"""Tests of :mod:`minimac.bitstream`, with the tools that it runs."""

import json
import re

import numpy as np
import pytest

from minimac.bitstream import (
    FLOWS,
    FitError,
    SlowError,
    build,
    estimate_best,
    fitting,
    flow,
    largest,
    reshaped,
    shape_of,
    write_vivado,
)
from minimac.bitstream.flow import map_board
from minimac.bitstream.netlist import post_synthesis
from minimac.cli import main
from minimac.host import Accelerator
from minimac.host.simulation import SimulatedBoard, build_board
from minimac.model import matmul
from minimac.rtl.emit import yosys_share
from minimac.soc.board import boards, load_board
from minimac.soc.core import CoreParameters
from minimac.soc.top import board_verilog
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


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("guess", [0, 1, 5, 9, 10, 11, 20, 37])
def test_the_largest_array_is_found(guess, slow, tmp_path, monkeypatch):
    fits, tried = 10, []

    def pretended(design, board, folder, *, timeout_s, **_):
        size = next(n for n in range(1, 99) if reshaped(design, n).array == design.array)
        tried.append(size)
        if size > fits:
            raise SlowError("") if slow and timeout_s == 7 else FitError("", {})
        return size

    monkeypatch.setattr(fitting, "build", pretended)
    monkeypatch.setattr(fitting, "estimate_best", lambda *_: guess)
    design, board = load_design(SMALL), load_board("icebreaker")
    if guess == 0:
        with pytest.raises(FitError, match="not even one element fits icebreaker"):
            largest(design, board, tmp_path, timeout_s=7)
        return
    assert largest(design, board, tmp_path, timeout_s=7) == fits
    assert tried == sorted(set(tried), key=tried.index)
    assert {fits, fits + 1} <= set(tried)
    assert len(tried) <= min(2 + abs(guess - fits), 11)


@pytest.mark.parametrize(("columns", "used"), [(7, True), (8, False)])
def test_blocks_are_used_where_each_element_gets_one(columns, used, tmp_path, monkeypatch):
    """An UP5K has 8, of which the link takes one."""
    asked = []
    monkeypatch.setattr(flow, "mapping", lambda *_, dsp, **__: asked.append(dsp) or [])
    monkeypatch.setattr(flow.Yosys, "run", lambda *_: None)
    row = load_design(SMALL | {"array": {"rows": 1, "columns": columns}})
    flow.map_board(row, load_board("icebreaker"), tmp_path)
    assert asked == [used]
    assert flow.multipliers_for(load_board("tang_nano_20k")) == 0


def test_resources_that_share_sites_are_counted_together():
    log = "Info: \t  LUT4:   19299/  20736    93%\nInfo: \t   ALU:   10090/  15552    64%\n"
    assert flow._used(log, load_board("tang_nano_20k")) == {
        "LUT4": (29389, 20736),
        "ALU": (10090, 15552),
    }
    assert flow._used(log, load_board("icebreaker"))["LUT4"] == (19299, 20736)


def test_what_is_too_large_is_refused(tmp_path, pytestconfig):
    if not pytestconfig.option.exhaustive:
        pytest.skip("needs --exhaustive")
    board = load_board("icebreaker")
    design = load_design(SMALL | {"array": {"rows": 8, "columns": 8}})
    with pytest.raises(FitError, match="does not fit: "):
        build(design, board, tmp_path / "large")
    size = estimate_best(design, board, tmp_path / "tiny")
    assert 2 < size < 10


#: Options that Vivado's commands have (UG835, 2025.2), of those that are of use here.
VIVADO = {
    "create_project": {"-in_memory", "-part", "-force"},
    "read_verilog": {"-library", "-sv"},
    "read_xdc": {"-mode", "-ref", "-cells"},
    "synth_design": {"-top", "-part", "-mode", "-flatten_hierarchy"},
    "opt_design": {"-directive"},
    "place_design": {"-directive"},
    "phys_opt_design": {"-directive"},
    "route_design": {"-directive"},
    "report_utilization": {"-file", "-hierarchical"},
    "report_timing_summary": {"-file", "-max_paths"},
    "write_bitstream": {"-force", "-bin_file"},
    "set_property": {"-dict"},
    "create_clock": {"-name", "-period"},
    "set_false_path": {"-from", "-to"},
    "get_ports": set(),
    "get_pins": set(),
    "current_design": set(),
}


def ran(folder, monkeypatch):
    """Run ``build.tcl`` in Tcl with commands that do nothing; return what each was told."""
    tcl = pytest.importorskip("tkinter").Tcl()
    monkeypatch.chdir(folder)
    calls = []

    def told(command, *words):
        calls.append((command, words))
        assert {word for word in words if word.startswith("-")} <= VIVADO[command]
        if command == "read_xdc":
            tcl.eval(folder.joinpath(words[-1]).read_text())
        if command == "write_bitstream":
            folder.joinpath(words[-1]).touch()
            if "-bin_file" in words:
                folder.joinpath(words[-1]).with_suffix(".bin").touch()
        return words[0] if command.startswith("get_") else ""

    for command in VIVADO:
        tcl.createcommand(command, lambda *words, command=command: told(command, *words))
    tcl.eval("source build.tcl")
    return calls


@pytest.mark.parametrize("name", [x for x in boards() if load_board(x).family not in FLOWS])
def test_files_for_vivado(name, tmp_path, monkeypatch):
    board = load_board(name)
    paths = {path.name: path for path in write_vivado(load_design(SMALL), board, tmp_path)}
    calls = ran(tmp_path, monkeypatch)
    steps = [words for words in calls if words[0] not in ("set_property", "create_clock")]
    steps = [command for command, _ in steps if not command.startswith(("set_", "get_", "cur"))]
    assert steps[:4] == ["create_project", "read_verilog", "read_xdc", "synth_design"]
    assert (
        steps.index("place_design") < steps.index("route_design") < steps.index("write_bitstream")
    )
    told = dict(calls)
    assert told["synth_design"] == ("-top", "tiny_top", "-part", board.part)
    assert [told[x] for x in ("read_verilog", "read_xdc")] == [("design.v",), (board.constraints,)]
    # The constraints speak of what the top has: its ports, and a pin of a cell in it.
    head = re.search(r"^module tiny_top\((.*)\);$", paths["design.v"].read_text(), re.MULTILINE)
    assert head[1].split(", ") == list(board.ports)
    assert {words[0] for command, words in calls if command == "get_ports"} == set(board.ports)
    placed = {words[2]: words[1].split() for _, words in calls if words[:1] == ("-dict",)}
    assert {port: words[1] for port, words in placed.items()} == board.pins
    clock = told["create_clock"][-1]
    made = f"tiny_{name}.bit"
    if board.clock_source == "pin":
        assert clock == "clk"
        assert (tmp_path / made).exists()
        return
    cell, pin = clock.split("/")
    assert pin == "PLCLK[0]"
    assert f"\n  PS8 {cell} (\n" in paths["design.v"].read_text()
    # Linux finds what Vivado wrote by the name in the overlay, and dfx-mgr all of it by one name.
    overlay = paths[f"tiny_{name}.dtso"].read_text()
    assert re.search(r'firmware-name = "(.*)";', overlay)[1] == f"{made}.bin"
    assert (tmp_path / f"{made}.bin").exists()
    clock_hz = int(re.search(r"assigned-clock-rates = <(\d+)>;", overlay)[1])
    assert clock_hz == 1e6 * board.clock_mhz == 1e9 / float(told["create_clock"][3])
    assert json.loads(paths["shell.json"].read_text())["shell_type"] == "XRT_FLAT"


#: A buffer of a processor's clock, and the port for it that a simulation has.
AROUND = """
module BUFG_PS(input I, output O);
  assign O = I;
endmodule
module tiny_top(input clk, input uart_rx, output uart_tx);
  tiny_on_it top(.uart_rx(uart_rx), .uart_tx(uart_tx));
endmodule
"""


def test_a_top_runs_on_the_clock_of_a_processor(seed, tally):
    parameters = CoreParameters(load_design(SMALL), depth=16)
    text = board_verilog(parameters, divisor=1, clock_source="ps8")
    text = text.replace("module tiny_top(", "module tiny_on_it(") + AROUND
    # A processor that does nothing but give out the clock of the simulation.
    cells = (yosys_share() / "xilinx/cells_xtra.v").read_text()
    ps8 = re.search(r"^module PS8\(.*?^(?=endmodule)", cells, re.MULTILINE | re.DOTALL)[0]
    text += f"{ps8}  assign PLCLK = {{3'b000, tiny_top.clk}};\nendmodule\n"
    board = SimulatedBoard(build_board(parameters, text))
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 256, (20, 9)), rng.integers(0, 256, (9, 5))
    try:
        with Accelerator.open(board.terminal) as accelerator:
            expected = matmul(parameters.design, a, b)
            assert np.array_equal(accelerator.matmul(a, b), expected)
            tally("results of boards", expected.size)
    finally:
        board.stop()


def test_wrong_input_is_refused(tmp_path, capsys):
    path = tmp_path / "mac.yaml"
    path.write_text("{name: x, unit: mac, a: int8, b: int8, out: int32, accumulate: {kind: exact}}")
    assert main(["build", str(path), "--board", "icebreaker"]) == 2
    assert "a board takes systolic, not mac" in capsys.readouterr().err
    assert main(["build", "examples/int8.yaml", "--board", "icebraker"]) == 2
    assert "did you mean 'icebreaker'" in capsys.readouterr().err
    assert main(["build", "examples/int8.yaml", "--board", "pynq_z2", "--largest"]) == 2
    assert "--largest: pynq_z2 has no open tools" in capsys.readouterr().err
