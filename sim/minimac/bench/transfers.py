"""Units that take transfers on ``i`` and give some on ``o``: how each of them is tried.

To register a unit, write a subclass of :class:`minimac.bench.transferbench.TransferBench` in a
module ``minimac.bench.<unit>`` and add a row to :data:`TRANSFERS`. It says which fields of ``i``
are codes of which format (``formats``), fills in all others (``complete``), and asks the model what
comes out (``expected``), which may be more or fewer transfers than went in. That is all that
:mod:`minimac.bench.tb_transfers` needs, which runs random traffic with gaps and stalls, corner
codes, every code where they are few, the operands of the job, and counts the latency;
:func:`minimac.bench.traffic.waveforms` drives the unit from the same row when energy is measured.

Override ``draw`` for operands aimed at what is hard for the unit, ``given`` if a job's matrices
mean something else than numbers in a row, ``since_reset`` if a sequence depends on those before it,
``gaps`` if the unit is not ready in every cycle, and ``ONE_TO_ONE`` if results are not one for one.

Examples
--------
>>> from minimac.spec import load_design
>>> adder = load_design({"name": "x", "unit": "adder", "a": "int8", "b": "int8", "out": "int8"})
>>> bench = TRANSFERS[type(adder)]
>>> fields = {"a": np.array([1, 100]), "b": np.array([2, 100])}
>>> bench.expected(adder, fields)["result"].tolist()
[3, 127]
"""

import numpy as np

from minimac.bench.convert import ConvertBench
from minimac.bench.elementwise import ElementwiseBench
from minimac.bench.functions import ActivationBench, HadamardBench, SoftmaxBench
from minimac.bench.quantize import QuantizeBench
from minimac.bench.transferbench import Fields, TransferBench
from minimac.spec import (
    Activation,
    Adder,
    Convert,
    Design,
    Fma,
    Hadamard,
    Multiplier,
    Quantize,
    Softmax,
)

__all__ = ["TRANSFERS", "Fields", "TransferBench", "length"]

#: How units are tried, by the class of their design.
TRANSFERS: dict[type[Design], TransferBench] = {
    Activation: ActivationBench(),
    Adder: ElementwiseBench(),
    Convert: ConvertBench(),
    Fma: ElementwiseBench(),
    Hadamard: HadamardBench(),
    Multiplier: ElementwiseBench(),
    Quantize: QuantizeBench(),
    Softmax: SoftmaxBench(),
}


def length(fields: Fields) -> int:
    """Return the number of transfers of a sequence."""
    return max((len(np.atleast_1d(column)) for column in fields.values()), default=0)
