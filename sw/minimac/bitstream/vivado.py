"""What a person runs Vivado on: Verilog, pins and a script."""

import json
from pathlib import Path
from string import Template

from minimac.soc.board import Board
from minimac.soc.top import verilog_for
from minimac.spec import Systolic

__all__ = ["write_vivado"]

_TCL = Template("""\
# $title: $design; from its folder: vivado -mode batch -source build.tcl
# minimac cannot run Vivado. The clock is met if timing.rpt has no negative slack.
create_project -in_memory -part $part
read_verilog design.v
read_xdc $constraints
synth_design -top $top -part $part
opt_design
place_design
phys_opt_design
route_design
report_utilization -file utilization.rpt
report_timing_summary -file timing.rpt
$write
# $load
""")

_WRITE = "write_bitstream -force $name.bit"

#: The FPGA manager of Linux takes a bitstream without a header, dfx-mgr one of such a name.
_WRITE_FOR_LINUX = """\
write_bitstream -force -bin_file $name.bit
file rename -force $name.bin $name.bit.bin"""

#: Linux loads the bitstream, and sets the clock and keeps it on: its clock 71 is ``pl_clk0``
#: (dt-bindings/clock/xlnx-zynqmp-clk.h, PL0_REF), as in AMD's own (Xilinx/kria-apps-firmware).
_OVERLAY = Template("""\
/dts-v1/;
/plugin/;

&fpga_full {
    firmware-name = "$name.bit.bin";
};

&amba {
    clocking0: clocking0 {
        compatible = "xlnx,fclk";
        #clock-cells = <0>;
        clocks = <&zynqmp_clk 71>;
        clock-output-names = "fabric_clk";
        assigned-clocks = <&zynqmp_clk 71>;
        assigned-clock-rates = <$clock_hz>;
    };
};
""")

#: What dfx-mgr is to be told of a bitstream of one piece (Xilinx/kria-apps-docs, target.md).
_SHELL = {"shell_type": "XRT_FLAT", "num_slots": "1"}


def write_vivado(design: Systolic, board: Board, folder: Path) -> list[Path]:
    """Write ``design.v``, the constraints and ``build.tcl`` for a board; return their paths.

    Where the clock is that of a Zynq UltraScale+ processor, also a device tree overlay
    ``NAME.dtso`` and ``shell.json``, for Linux on it.
    """
    name = f"{design.name}_{board.name}"
    by_linux = board.clock_source == "ps8"
    file = f"{name}.bit.bin" if by_linux else f"{name}.bit"
    write = Template(_WRITE_FOR_LINUX if by_linux else _WRITE)
    files = {
        "design.v": verilog_for(design, board),
        board.constraints: board.constraint_text(),
        "build.tcl": _TCL.substitute(
            title=board.title,
            design=design.summary(),
            part=board.part,
            constraints=board.constraints,
            top=f"{design.name}_top",
            write=write.substitute(name=name),
            load=board.load.format(file=file, name=name),
        ),
    }
    if by_linux:
        clock_hz = round(1e6 * board.clock_mhz)
        files[f"{name}.dtso"] = _OVERLAY.substitute(name=name, clock_hz=clock_hz)
        files["shell.json"] = json.dumps(_SHELL, indent=4) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (folder / path).write_text(text, encoding="utf-8")
    return [folder / path for path in files]
