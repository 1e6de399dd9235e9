"""What a person runs Vivado on: Verilog, pins and a script."""

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
write_bitstream -force $bitstream
# $load
""")


def write_vivado(design: Systolic, board: Board, folder: Path) -> list[Path]:
    """Write ``design.v``, the constraints and ``build.tcl`` for a board; return their paths."""
    bitstream = f"{design.name}_{board.name}.bit"
    files = {
        "design.v": verilog_for(design, board),
        board.constraints: board.constraint_text(),
        "build.tcl": _TCL.substitute(
            title=board.title,
            design=design.summary(),
            part=board.part,
            constraints=board.constraints,
            top=f"{design.name}_top",
            bitstream=bitstream,
            load=board.load.format(file=bitstream),
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]
