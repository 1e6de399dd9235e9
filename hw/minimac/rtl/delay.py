"""How long parts of a datapath take, estimated: enough to choose where registers go.

The estimate counts levels of logic and multiplies them by the delay of a level. Whether a design
meets its clock is for :mod:`minimac.cost` to say, from the mapped netlist.
"""

import itertools
from collections.abc import Sequence
from math import ceil, log2
from typing import NamedTuple

__all__ = ["Delays", "Section", "place_registers", "stages_ps"]

# Delay of a level of logic with its share of wire, fan-out and rounding up, in ps. Standard cells:
# above 90 % of the critical paths that this project's flow (Yosys 0.70) reached for bf16, e5m2 and
# fp32 elements, cut in 0 to 3 places and mapped for speed. FPGAs: a LUT and its wire, a guess.
_LEVEL_PS = {
    "asap7": 36.0,
    "sky130": 200.0,
    "sg13g2": 220.0,
    "xc7": 800.0,
    "ecp5": 1000.0,
    "ice40": 1500.0,
}


def _log(count: int) -> int:
    return ceil(log2(max(count, 2)))


class Delays:
    """Estimated delays of primitives in a technology, in ps.

    Parameters
    ----------
    technology : str
        Its name; one that is not known counts as the slowest.
    """

    def __init__(self, technology: str) -> None:
        self._level_ps = _LEVEL_PS.get(technology, max(_LEVEL_PS.values()))

    @property
    def register(self) -> float:
        """From the clock to an output, and the set-up of the next register."""
        return self.gates(2)

    def gates(self, levels: int) -> float:
        """Return the delay of some levels of simple gates or of two-way multiplexers."""
        return levels * self._level_ps

    def adder(self, bits: int) -> float:
        """Return the delay of an adder, or of a comparison, of so many bits."""
        return self.gates(2 * _log(bits))

    def multiplier(self, x_bits: int, y_bits: int) -> float:
        """Return the delay of an unsigned multiplier."""
        return self.gates(4 * _log(min(x_bits, y_bits))) + self.adder(x_bits + y_bits)

    def shifter(self, bits: int) -> float:
        """Return the delay of a shifter of so many bits by any distance."""
        return self.gates(2 * _log(bits))

    def leading_zeros(self, bits: int) -> float:
        """Return the delay of counting the zeros above the leading one of so many bits."""
        return self.gates(2 * _log(bits))


class Section(NamedTuple):
    """A piece of a datapath between places where registers may be.

    Attributes
    ----------
    place : str
        Name of the place at its end.
    delay_ps : float
        Estimated delay.
    ahead : bool
        Whether it depends on the operands alone, and so may run ahead of the state of a chain.
    """

    place: str
    delay_ps: float
    ahead: bool = False


def stages_ps(sections: Sequence[Section], cuts: Sequence[str], register_ps: float) -> list[float]:
    """Estimate the delay of each stage, registers included, in the order that data takes.

    Examples
    --------
    >>> parts = [Section("multiply", 50.0), Section("align", 30.0), Section("", 40.0)]
    >>> stages_ps(parts, ["multiply"], 10.0)
    [60.0, 80.0]
    """
    stages = [register_ps]
    for section in sections:
        stages[-1] += section.delay_ps
        if section.place in cuts:
            stages.append(register_ps)
    return stages


def place_registers(
    sections: Sequence[Section],
    offered: Sequence[str],
    *,
    stages: int | None,
    period_ps: float,
    register_ps: float,
) -> tuple[str, ...]:
    """Choose the places for registers that balance a datapath best.

    Parameters
    ----------
    sections : sequence of Section
        The datapath, in the order that data takes.
    offered : sequence of str
        Places that may be chosen.
    stages : int or None
        Registers to place; None for the fewest with which every stage takes ``period_ps`` at most,
        or, where there is no such number, the fewest that make the slowest stage as fast as it
        can be.

    Examples
    --------
    >>> parts = [Section("multiply", 50.0), Section("align", 30.0), Section("", 40.0)]
    >>> place_registers(
    ...     parts, ["multiply", "align"], stages=1, period_ps=0.0, register_ps=10.0
    ... )
    ('multiply',)
    """

    def slowest(cuts: tuple[str, ...]) -> float:
        return max(stages_ps(sections, cuts, register_ps))

    counts = [stages] if stages is not None else range(len(offered) + 1)
    balanced = [min(itertools.combinations(offered, n), key=slowest) for n in counts]
    fast_enough = (cuts for cuts in balanced if slowest(cuts) <= period_ps)
    return next(fast_enough, min(balanced, key=slowest))
