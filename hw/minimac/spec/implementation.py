"""How a unit is built: the fields of a design that never change a result."""

from dataclasses import dataclass
from typing import Literal

from minimac.spec.errors import SpecError

__all__ = ["Implementation"]


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """How a unit is built: the fields of a design that never change a result.

    Parameters
    ----------
    pipeline : int or "auto"
        Register stages inside an element, besides the one at its output, put where they balance it;
        ``auto``: as many as ``clock_mhz`` takes in ``technology``.
    technology : str
        What the unit is built for.
    clock_mhz : float
        Target clock, in MHz.
    normalizer : {"counter", "anticipator"}
        How an exact normalisation finds the leading one: by counting zeros in the sum, or beside
        the adder, from its operands.
    interface : {"stream", "axi4stream", "wishbone"}
        What the ports of the Verilog speak.
    reset : {"sync", "async", "none"}
        How registers of control are reset; ``none``: they have their values from the start.
    clock_enable : bool
        Whether there is a port that stops everything while it is low.
    """

    pipeline: int | Literal["auto"] = 0
    technology: str = "sky130"
    clock_mhz: float = 100.0
    normalizer: Literal["counter", "anticipator"] = "counter"
    interface: Literal["stream", "axi4stream", "wishbone"] = "stream"
    reset: Literal["sync", "async", "none"] = "sync"
    clock_enable: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "clock_mhz", float(self.clock_mhz))
        if self.pipeline != "auto" and self.pipeline < 0:
            raise SpecError(f"pipeline: must be auto or 0 or more, not {self.pipeline}")
        if not 0 < self.clock_mhz <= 100_000:
            raise SpecError(f"clock_mhz: must be above 0 and at most 100000, not {self.clock_mhz}")
