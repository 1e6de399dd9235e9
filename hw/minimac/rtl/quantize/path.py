"""The datapath of a quantiser while it is built, which tells what its pieces are."""

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Const, Module, Value
from amaranth.lib import data

from minimac.rtl.accumulator import Fraction, State
from minimac.rtl.conversion import conversion_to
from minimac.rtl.delay import Delays, Section
from minimac.rtl.pipeline import Pipeline, Prefixed
from minimac.rtl.round import Modes
from minimac.spec import Format, Quantize, Rounding

__all__ = ["Path"]


class _Finite(State):
    """Finite numbers that wait to be rounded, presented by whoever knows their fields."""

    special_bits = 0

    def __init__(
        self, design: Quantize, layout: Any, present: Callable[[data.View], Fraction]
    ) -> None:
        super().__init__(design)
        self._layout, self._present = layout, present

    @property
    def state_layout(self) -> data.StructLayout:
        """The fields."""
        return self._layout

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Present the state."""
        return self._present(state)


class Path:
    """What is added to a module, with places for registers.

    Parameters
    ----------
    design : Quantize
        The unit.
    m : Module
        The module.
    pipe : Pipeline
        Its registers.
    """

    def __init__(self, design: Quantize, m: Module, pipe: Pipeline) -> None:
        self.design, self.m, self.pipe = design, m, pipe
        self.delays = Delays(design.technology)
        self._ended: list[Section] = []
        self._since_ps = 0.0  # of what has no place at its end yet

    @property
    def sections(self) -> list[Section]:
        """Pieces between places for registers."""
        return [*self._ended, Section("", self._since_ps)]

    def end(self, place: str, delay_ps: float, *values: Any) -> list[Any]:
        """End a piece: all values that go on, and lists of them, pass its place."""
        self._ended.append(Section(place, self._since_ps + delay_ps))
        self._since_ps = 0.0
        return [self._pass(place, value) for value in values]

    def _pass(self, place: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._pass(place, each) for each in value]
        return value if isinstance(value, Const) else self.pipe.cut(self.m, place, value)

    def round(
        self,
        fmt: Format,
        mode: Rounding,
        states: Sequence[data.View],
        present: Callable[[data.View], Fraction],
        others: Sequence[Any],
        *,
        random: Sequence[Value] = (),
        prefix: str = "",
    ) -> tuple[list[Value], list[Any]]:
        """Round finite numbers; return their codes, and others, which pass the same places.

        Parameters
        ----------
        fmt : Minifloat or FixedPoint
            The format.
        mode : Rounding
            The mode.
        states : sequence of data.View
            The numbers.
        present : callable
            What turns one of them into a fraction.
        others : sequence
            Values and lists of them.
        random : sequence of Value
            Random bits for each number, for a stochastic mode.
        prefix : str
            What the names of the places begin with.
        """
        finite = _Finite(self.design, states[0].shape(), present)
        bits = len(random[0]) if random else None
        conversion = conversion_to(fmt, Modes(mode), finite, random_bits=bits)
        pipe = Prefixed(self.pipe, prefix)
        codes = [
            conversion.build(self.m, pipe, state, random[n] if random else None)
            for n, state in enumerate(states)
        ]
        *inside, last = conversion.sections(self.delays)
        for section in inside:
            others = self.end(prefix + section.place, section.delay_ps, *others)
        self._since_ps = last.delay_ps
        return codes, [*others]
