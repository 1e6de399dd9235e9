"""Hardware generators: components for Amaranth designs, and Verilog."""

from minimac.rtl.activation import ActivationUnit
from minimac.rtl.description import as_markdown, describe
from minimac.rtl.elementwise import ElementwiseUnit, Operation
from minimac.rtl.emit import create, to_verilog
from minimac.rtl.foot import Foot
from minimac.rtl.hadamard import HadamardUnit
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.mac import MacUnit
from minimac.rtl.multiplyadd import MultiplyAdd
from minimac.rtl.outline import Outline
from minimac.rtl.planning import plan
from minimac.rtl.quantize import Quantizer, QuantizeUnit
from minimac.rtl.scripts import scripts
from minimac.rtl.softmax import SoftmaxUnit

__all__ = [
    "ActivationUnit",
    "ElementwiseUnit",
    "Foot",
    "HadamardUnit",
    "MacUnit",
    "MultiplyAdd",
    "Operation",
    "Outline",
    "QuantizeUnit",
    "Quantizer",
    "SoftmaxUnit",
    "accumulator_for",
    "as_markdown",
    "create",
    "describe",
    "plan",
    "scripts",
    "to_verilog",
]
