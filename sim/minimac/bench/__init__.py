"""Co-simulation of generated Verilog with the model.

``stream``, ``scoreboard`` and ``operands`` know nothing of any unit. ``tb_<unit>`` modules hold the
cocotb tests of one unit and run inside the simulator. ``run`` builds and starts a simulation from
outside it; ``traffic`` turns matrices into transfers.
"""

from minimac.bench.run import (
    SIMULATORS,
    SimulationError,
    SimulationResult,
    available_simulators,
    simulate,
)

__all__ = [
    "SIMULATORS",
    "SimulationError",
    "SimulationResult",
    "available_simulators",
    "simulate",
]
