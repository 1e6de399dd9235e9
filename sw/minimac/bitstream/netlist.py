"""The netlist of a board after synthesis, to be simulated with the cell models of Yosys."""

import re
import time
from pathlib import Path

from minimac.bitstream.flow import mapping
from minimac.cost.synthesis import Yosys
from minimac.rtl.emit import yosys_share
from minimac.soc.board import Board
from minimac.soc.core import CoreParameters
from minimac.soc.top import board_verilog

__all__ = ["post_synthesis"]

#: Models of a family's cells, and the option that leaves out block RAM where that has none.
_MODELS = {
    "ice40": (["ice40/cells_sim.v"], ""),
    "ecp5": (["ecp5/cells_sim.v"], "-nobram"),
    "gowin": (["gowin/cells_sim.v"], "-nobram"),
}

_INCLUDE = re.compile(r'^\s*`include "([^"]+)"', re.MULTILINE)
_TIMEOUT_S = 600.0


def post_synthesis(
    parameters: CoreParameters, board: Board, folder: Path, *, divisor: int, dsp: bool = False
) -> str:
    """Return Verilog of a board's netlist, with models of its cells.

    Parameters
    ----------
    parameters : CoreParameters
        What is on the board.
    board : Board
        The board.
    folder : Path
        Where it is mapped.
    divisor : int
        Cycles of a bit.
    dsp : bool
        Whether multiplier blocks are used, which ice40 alone has models of.

    Notes
    -----
    Yosys has no models of the block RAM of ecp5 and gowin: there, buffers are LUTs.
    """
    models, option = _MODELS[board.family]
    folder.mkdir(parents=True, exist_ok=True)
    text = board_verilog(parameters, divisor=divisor)
    (folder / "design.v").write_text(text, encoding="utf-8")
    steps = mapping(
        parameters.design, board, text, dsp=dsp, clock_mhz=board.clock_mhz, option=option
    )
    steps.append("write_verilog -noattr netlist.v")
    Yosys(folder, time.monotonic() + _TIMEOUT_S).run(steps)
    share = yosys_share()
    cells = "\n".join(_inlined(share / name) for name in models)
    return (folder / "netlist.v").read_text(encoding="utf-8") + cells


def _inlined(path: Path) -> str:
    """Return a file with those that it includes."""
    text = path.read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: _inlined(path.parent / found[1]), text)
