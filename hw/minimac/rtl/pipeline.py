"""Registers inside a datapath, placed by name."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from minimac.rtl.parts import mark

__all__ = ["Pipeline", "Prefixed", "Staged"]


class Pipeline:
    """Register stages of a datapath.

    A datapath names the places where it may be cut; the pipeline holds a register at those that
    were chosen. All other places stay wires.

    Parameters
    ----------
    cuts : sequence of str
        Names of the places to cut.
    step : Value
        Whether the registers take a new value in this cycle.
    """

    def __init__(self, cuts: Sequence[str], step: Value) -> None:
        self.cuts = tuple(cuts)
        self.step = step

    def cut(self, m: Module, place: str, value: data.View) -> data.View:
        """Return ``value``, a clock cycle later if the place is cut."""
        mark(m, place, value)
        if place not in self.cuts:
            return value
        held = Signal(value.shape(), name=f"{place}_register", reset_less=True)
        with m.If(self.step):
            m.d.sync += held.eq(value)
        return held


class Prefixed(Pipeline):
    """A pipeline for a part of a datapath whose places have a prefix in that of the whole."""

    def __init__(self, pipe: Pipeline, prefix: str) -> None:
        cuts = (cut.removeprefix(prefix) for cut in pipe.cuts if cut.startswith(prefix))
        super().__init__(tuple(cuts), pipe.step)
        self._whole, self._prefix = pipe, prefix

    def cut(self, m: Module, place: str, value: data.View) -> data.View:
        """Return ``value``, a clock cycle later if the place is cut."""
        return self._whole.cut(m, self._prefix + place, value)


class Staged(wiring.Component):
    """A component that is logic, or a pipeline.

    Parameters
    ----------
    members : dict
        What it takes and gives.
    cuts : sequence of str
        Places of the registers inside.

    Members
    -------
    step : ``In(1)``
        Whether the registers move in this cycle; only if there are any.
    """

    def __init__(self, members: dict[str, Any], cuts: Sequence[str]) -> None:
        self._is_staged = bool(cuts)
        super().__init__(members | ({"step": In(1)} if cuts else {}))

    @property
    def COMBINATIONAL(self) -> bool:
        """Whether there are no registers inside."""
        return not self._is_staged

    @property
    def moves(self) -> Value:
        """Whether the registers move."""
        return self.step if self._is_staged else Const(1)
