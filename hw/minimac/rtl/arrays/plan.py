"""Interface and timing of arrays, found without building them."""

from abc import ABC, abstractmethod

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.arrays.encoding import encoding_for
from minimac.rtl.foot import FootPlan
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.outline import Outline
from minimac.spec import Systolic

__all__ = ["ArrayPlan", "StationaryPlan"]


class ArrayPlan(ABC):
    """Interface and timing of an array.

    Parameters
    ----------
    design : Systolic
        The array.
    cuts : tuple of str
        Places that hold a register inside an element.
    slowest_ps : float
        Estimated delay of an element's slowest stage.

    Attributes
    ----------
    rows, columns : int
        Its shape.
    accumulator : Accumulator
        The kind of accumulation.
    encoding : Encoding or None
        How activations are recoded at the edge.
    edge : int
        Cycles that the edge takes for that.
    foot : FootPlan
        Timing of the foot.
    shares_foot, foot_cycles : bool, int
        Whether the columns take one foot in turn; cycles until all of them are rounded.
    """

    #: Cycles from a transfer on ``i`` to ``o.valid``, if ``o`` does not stall.
    latency: int

    def __init__(self, design: Systolic, cuts: tuple[str, ...], slowest_ps: float) -> None:
        self.design = design
        self.cuts = cuts
        self.slowest_ps = slowest_ps
        self.rows, self.columns = design.array.rows, design.array.columns
        self.accumulator = accumulator_for(design)
        self.encoding = encoding_for(design)
        self.edge = int(self.encoding is not None)
        self.shares_foot = design.array.foot == "shared"
        self.foot = FootPlan(design, pace_ps=slowest_ps)
        self.foot_cycles = (self.columns if self.shares_foot else 1) + self.foot.latency

    @property
    def activation_bits(self) -> int:
        """Width of an activation on its way through the elements."""
        return self.encoding.width if self.encoding else self.design.a.width

    @property
    @abstractmethod
    def signature(self) -> wiring.Signature:
        """Members of the array."""

    @property
    @abstractmethod
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""

    @property
    @abstractmethod
    def protocol(self) -> list[str]:
        """How the ports are used."""

    @abstractmethod
    def create(self, outline: Outline | None = None) -> wiring.Component:
        """Create the hardware."""


class StationaryPlan(ArrayPlan):
    """Of an array whose weights stay, pass after pass.

    Attributes
    ----------
    in_use : int
        Cycles after a transfer on ``i`` in which elements still need the weights.
    load_delay : int
        Of a double buffer: cycles from the swap to the first of the next weights.
    """

    in_use: int
    load_delay: int

    @property
    def reload_cycles(self) -> int:
        """Cycles without a vector while new weights come in, of a single buffer."""
        return self.in_use + self.rows

    @property
    def hidden_by(self) -> int:
        """Vectors for the same weights that give the next ones time to come in beside them."""
        return max(self.load_delay, 1) + self.rows

    @property
    def signature(self) -> wiring.Signature:
        """Members of the array."""
        design = self.design
        partial = data.ArrayLayout(self.accumulator.state_layout, self.columns)
        weights = {"weights": data.ArrayLayout(design.b.width, self.columns)}
        vector = {
            "activations": data.ArrayLayout(design.a.width, self.rows),
            "partial": partial,
            "first": 1,
            "reload": 1,
        } | ({"last": 1} if self.shares_foot else {})
        result = {"sums": data.ArrayLayout(design.out.width, self.columns), "partial": partial}
        return wiring.Signature(
            {
                "w": In(stream.Signature(data.StructLayout(weights))),
                "i": In(stream.Signature(data.StructLayout(vector))),
                "o": Out(stream.Signature(data.StructLayout(result))),
            }
        )

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        design = self.design
        last = {"last": "1: the chains end here, and the foot rounds them; 0: sums mean nothing"}
        return {
            "w": {"weights": f"codes of {design.b.name}, column 0 lowest"},
            "i": {
                "activations": f"codes of {design.a.name}, row 0 (term 0 of the pass) lowest",
                "partial": "states of the chains, column 0 lowest, as o gave them for the pass "
                "before; ignored if first",
                "first": "1: the chains start from zero",
                "reload": "1: last vector for these weights",
            }
            | (last if self.shares_foot else {}),
            "o": {
                "sums": f"codes of {design.out.name}, column 0 lowest: the chains, rounded once",
                "partial": "the chains, unrounded",
            },
        }

    @property
    def protocol(self) -> list[str]:
        """How the ports are used."""
        rows, terms = self.rows, self.design.accumulate.max_terms
        activation, weight = self.design.padding or (0, 0)
        return [
            f"Load {rows} transfers on w: the weights of row {rows - 1} first, of row 0 last.",
            "Then send vectors on i, one a cycle, all rows at once; results come in order on o.",
            *self._reload_protocol,
            f"Chains longer than {rows} take several passes: send partial as the pass before gave",
            f"it, with first at 0; fill missing rows with activations of {activation:#x} and",
            f"weights of {weight:#x}, whose products change nothing. {terms} terms are the most.",
            *self._foot_protocol,
            "latency_cycles: from the edge that takes a vector on i to the one after which",
            "o.valid is set. While o is stalled, the vectors behind it wait.",
        ]

    @property
    def _foot_protocol(self) -> list[str]:
        if not self.shares_foot:
            return []
        return [
            "The columns take the foot in turn: a vector with last takes",
            f"{self.foot_cycles} cycles, one without it a single one.",
        ]

    @property
    def _reload_protocol(self) -> list[str]:
        if not self.design.array.double_buffer:
            return [
                "Set reload with the last vector for these weights. Then w is ready once all",
                "vectors have left the elements, and i once the new weights are loaded:",
                f"{self.reload_cycles} cycles without a vector.",
            ]
        return [
            "The next weights are loaded on w while vectors pass, and take the place of the",
            "present ones behind a vector with reload, or later if they are not there yet. From",
            f"{self.hidden_by} vectors for the same weights on, that takes no cycle.",
        ]
