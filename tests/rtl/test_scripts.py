"""Tests of :mod:`minimac.rtl.scripts`."""

import re
import shutil
import subprocess
import sys

import pytest

from minimac.rtl import describe, scripts, to_verilog
from minimac.spec import load_design


def design(**changes):
    fields = {"name": "unit", "unit": "mac", "a": "int4", "b": "int4", "out": "int16"}
    return load_design(fields | {"accumulate": {"kind": "exact", "max_terms": 64}} | changes)


def test_equal_designs_give_equal_text():
    assert scripts(design()) == scripts(design())


@pytest.mark.parametrize(
    ("clock_mhz", "period"), [(100, "10.000"), (333, "3.003"), (2000, "0.500")]
)
@pytest.mark.parametrize("interface", ["stream", "axi4stream", "wishbone"])
def test_constraints(interface, clock_mhz, period):
    made = design(clock_mhz=clock_mhz, interface=interface)
    told = describe(made)
    clk = told["clock"]["port"]
    texts = scripts(made)
    for end in (".sdc", ".xdc"):
        text = texts[end]
        assert f"create_clock -name {clk} -period {period} [get_ports {{{clk}}}]" in text
        assert "set_false_path" not in text
        # Each port but the clock has its delay, once.
        found = [
            name.removesuffix("[*]")
            for ports in re.findall(r"set_\w+_delay .*get_ports {(.*)}", text)
            for name in ports.split()
        ]
        assert found == sorted(found, key=found.index)
        assert sorted(found) == sorted(p["name"] for p in told["ports"] if p["name"] != clk)


def test_an_asynchronous_reset_is_no_timing_path():
    text = scripts(design(reset="async"))[".sdc"]
    assert "set_false_path -from [get_ports {rst}]" in text
    assert "rst" not in re.search(r"set_input_delay .*", text)[0]
    assert "rst" not in scripts(design(reset="none"))[".sdc"]


def test_yosys_runs_its_script(tmp_path):
    made = design()
    (tmp_path / "unit.v").write_text(to_verilog(made))
    (tmp_path / "unit.ys").write_text(scripts(made)[".ys"])
    code = "from pyosys import libyosys as ys; ys.run_pass('script unit.ys', ys.Design())"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr
    assert "module unit(" in (tmp_path / "unit.netlist.v").read_text()


# Commands of the tools are recorded; what is Tcl itself runs.
RECORD = """
set said {}
proc unknown {args} { lappend ::said $args; return $args }
foreach name {TECH_LEF CELLS_LEF CELLS_LIB SITE LAYERS_H LAYERS_V BUFFER NETLIST} {
    set ::env($name) of_$name
}
set argv {}
source [lindex $::files 0]
foreach line $said { puts $line }
"""


@pytest.mark.skipif(not shutil.which("tclsh"), reason="tclsh was not found")
@pytest.mark.parametrize("end", [".sdc", ".xdc", ".openroad.tcl", ".vivado.tcl"])
@pytest.mark.parametrize("reset", ["sync", "async"])
def test_tcl_reads_them(end, reset, tmp_path):
    path = tmp_path / f"unit{end}"
    path.write_text(scripts(design(reset=reset))[end])
    ran = subprocess.run(
        ["tclsh"],
        input=f"set files [list {path}]\n{RECORD}",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    text = "create_clock -name clk" if end in (".sdc", ".xdc") else "unit.v"
    assert text in ran.stdout or "link_design unit" in ran.stdout
