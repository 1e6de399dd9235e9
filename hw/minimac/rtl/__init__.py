"""Hardware generators: components for Amaranth designs, and Verilog."""

from minimac.rtl.emit import create, describe, to_verilog
from minimac.rtl.foot import Foot
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.mac import MacUnit
from minimac.rtl.multiplyadd import MultiplyAdd
from minimac.rtl.outline import Outline
from minimac.rtl.planning import plan
from minimac.rtl.systolic import Element, SystolicArray

__all__ = [
    "Element",
    "Foot",
    "MacUnit",
    "MultiplyAdd",
    "Outline",
    "SystolicArray",
    "accumulator_for",
    "create",
    "describe",
    "plan",
    "to_verilog",
]
