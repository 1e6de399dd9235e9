"""Constraints and scripts beside the Verilog, for tools of others."""

from string import Template
from typing import Any

from minimac.rtl.description import describe
from minimac.spec import Design

__all__ = ["scripts"]

#: Share of the period that what is outside is taken to need before an input and behind an output.
_OUTSIDE = 0.2

_HEAD = """\
# $name: $arithmetic
# design $digest; from its folder: $run
"""

_SDC = """\
create_clock -name $clk -period $period [get_ports {$clk}]
# What is outside takes $percent % of the period on either side; set this to what it really takes.
set_input_delay $outside -clock $clk [get_ports {$inputs}]
set_output_delay $outside -clock $clk [get_ports {$outputs}]
"""

_FALSE_PATH = """\
# The reset is taken at once; what releases it keeps away from rising edges of the clock.
set_false_path -from [get_ports {$rst}]
"""

_YS = """\
read_verilog $name.v
hierarchy -check -top $name
synth -flatten -booth -top $name
# With standard cells, instead of the two lines below:
#   dfflibmap -liberty CELLS.lib
#   abc -liberty CELLS.lib -D $period_ps
#   opt_clean -purge
#   stat -liberty CELLS.lib
opt_clean -purge
stat
write_verilog -noattr $name.netlist.v
"""

_OPENROAD = """\
# Needs: TECH_LEF, CELLS_LEF, CELLS_LIB, SITE, LAYERS_H, LAYERS_V, BUFFER in the environment, and
# NETLIST: the design mapped to those cells, as $name.ys says. minimac cannot run OpenROAD: a start.
read_lef $$::env(TECH_LEF)
read_lef $$::env(CELLS_LEF)
read_liberty $$::env(CELLS_LIB)
read_verilog $$::env(NETLIST)
link_design $name
read_sdc $name.sdc

initialize_floorplan -site $$::env(SITE) -utilization 60 -aspect_ratio 1 -core_space 2
make_tracks
place_pins -hor_layers $$::env(LAYERS_H) -ver_layers $$::env(LAYERS_V)
global_placement -density 0.7
estimate_parasitics -placement
repair_design
detailed_placement
clock_tree_synthesis -root_buf $$::env(BUFFER) -buf_list $$::env(BUFFER)
set_propagated_clock [all_clocks]
estimate_parasitics -placement
repair_timing -setup
detailed_placement
global_route
estimate_parasitics -global_routing

report_checks -path_delay min_max
report_wns
report_tns
report_power
report_design_area
write_def $name.def
write_verilog $name.routed.v
"""

_VIVADO = """\
# A part of yours: vivado -mode batch -source $name.vivado.tcl -tclargs PART
# The unit alone, out of context: its ports stay inside the device. minimac cannot run Vivado.
set part xc7a35ticsg324-1L
if {[info exists argv] && [llength $$argv] > 0} {
    set part [lindex $$argv 0]
}
read_verilog $name.v
read_xdc -mode out_of_context $name.xdc
synth_design -top $name -part $$part -mode out_of_context
opt_design
place_design
phys_opt_design
route_design
report_utilization -file $name.utilization.rpt
report_timing_summary -file $name.timing.rpt
report_power -file $name.power.rpt
write_checkpoint -force $name.dcp
"""


def scripts(design: Design) -> dict[str, str]:
    """Return constraints and scripts by the ends of their files' names.

    ``.sdc`` and ``.xdc``: clock at ``clock_mhz``, delays outside, no path from an asynchronous
    reset. ``.ys``: Yosys, to gates. ``.openroad.tcl`` and ``.vivado.tcl``: from Verilog to a layout
    and to a routed device.
    """
    told = describe(design)
    words = _words(design, told)
    paths = _SDC + (_FALSE_PATH if design.reset == "async" else "")
    files = {
        ".sdc": ("read_sdc $name.sdc", paths),
        ".xdc": ("read_xdc $name.xdc", paths),
        ".ys": ("yosys $name.ys", _YS),
        ".openroad.tcl": ("openroad $name.openroad.tcl", _OPENROAD),
        ".vivado.tcl": ("vivado -mode batch -source $name.vivado.tcl", _VIVADO),
    }
    return {
        end: Template(_HEAD.replace("$run", run) + body).substitute(words)
        for end, (run, body) in files.items()
    }


def _words(design: Design, told: dict[str, Any]) -> dict[str, str]:
    """Return what the templates have blanks for."""
    period_ns = 1e3 / design.clock_mhz
    clk = told["clock"]["port"]
    # An asynchronous reset has no delay with respect to the clock.
    apart = {clk} | ({told["reset"]["port"]} if design.reset == "async" else set())
    # Vivado takes the name of a bus for none of its bits.
    ports = [
        (port["name"] + ("[*]" if port["width"] > 1 else ""), port["direction"])
        for port in told["ports"]
    ]
    return {
        "name": design.name,
        "arithmetic": design.summary(),
        "digest": design.digest,
        "clk": clk,
        "rst": told["reset"]["port"] if told["reset"] else "",
        "period": f"{period_ns:.3f}",
        "period_ps": f"{1e3 * period_ns:.0f}",
        "percent": f"{100 * _OUTSIDE:.0f}",
        "outside": f"{_OUTSIDE * period_ns:.3f}",
        "inputs": " ".join(name for name, way in ports if way == "in" and name not in apart),
        "outputs": " ".join(name for name, way in ports if way == "out"),
    }
