"""How long parts of a datapath take, estimated: enough to choose where registers go.

The delays of primitives are measured, by ``python -m benchmarks.delays``, which writes
``delays.yaml``. Whether a design meets its clock is for :mod:`minimac.cost` to say, from the mapped
netlist.
"""

import functools
import itertools
from collections.abc import Sequence
from math import log2
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from minimac.spec import Design, SpecError

__all__ = ["Delays", "Section", "choose_cuts", "place_registers", "stages_ps"]

# What units take beyond their primitives: enables, fan-out to many bits, borders of modules that
# nothing is optimised across. Mapped units took 0.9 to 1.3 times the sums (benchmarks/timing.py).
_MARGIN = 1.15


@functools.cache
def _measured() -> dict[str, dict[str, Any]]:
    """Return the delays of each technology."""
    text = (Path(__file__).parent / "delays.yaml").read_text(encoding="utf-8")
    delays: dict[str, dict[str, Any]] = yaml.safe_load(text)["delays"]
    return delays


class Delays:
    """Estimated delays of primitives in a technology, in ps.

    Parameters
    ----------
    technology : str
        Its name. One that is not known, as a Liberty file is not, counts as the slowest.
    """

    def __init__(self, technology: str) -> None:
        known = _measured()
        slowest = max(known.values(), key=lambda facts: facts["level"])
        self._facts = known.get(technology, slowest)

    @property
    def register(self) -> float:
        """From the clock to an output, and the set-up of the next register."""
        return _MARGIN * float(self._facts["register"])

    def gates(self, levels: int) -> float:
        """Return the delay of some levels of simple gates or of two-way multiplexers."""
        return _MARGIN * levels * float(self._facts["level"])

    def adder(self, bits: int) -> float:
        """Return the delay of an adder, or of a comparison, of so many bits."""
        return self._sized("adder", bits)

    def incrementer(self, bits: int) -> float:
        """Return the delay of adding one bit to so many."""
        return self._sized("incrementer", bits)

    def multiplier(self, x_bits: int, y_bits: int) -> float:
        """Return the delay of an unsigned multiplier."""
        if min(x_bits, y_bits) <= 1:
            return self.gates(1)
        return self._sized("multiplier", x_bits + y_bits)

    def shifter(self, bits: int) -> float:
        """Return the delay of a shifter of so many bits by any distance."""
        return self._sized("shifter", bits)

    def leading_zeros(self, bits: int) -> float:
        """Return the delay of counting the zeros above the leading one of so many bits."""
        return self._sized("leading_zeros", bits)

    def any(self, bits: int) -> float:
        """Return the delay of telling whether one of so many bits is set."""
        return self._sized("any", bits)

    def _sized(self, primitive: str, bits: int) -> float:
        """Evaluate a fit; far below the least size that was measured, a level is the least."""
        facts = self._facts[primitive]
        size = max(bits, 2)
        scaled = facts["per_bit"] * size if "per_bit" in facts else facts["per_log2"] * log2(size)
        return max(_MARGIN * float(facts["base"] + scaled), self.gates(1))


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
    offered: Sequence[str] | None = None,
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
    offered : sequence of str, optional
        Places that may be chosen; by default all.
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

    if offered is None:
        offered = [section.place for section in sections[:-1]]
    found = []
    for count in [stages] if stages is not None else range(len(offered) + 1):
        found.append(min(itertools.combinations(offered, count), key=slowest))
        if slowest(found[-1]) <= period_ps:
            return found[-1]
    return min(found, key=slowest)


def choose_cuts(
    design: Design,
    sections: Sequence[Section],
    where: str,
    offered: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Place the registers that a design's ``pipeline`` and clock ask for.

    Parameters
    ----------
    design : Design
        The design.
    sections, offered
        As for :func:`place_registers`.
    where : str
        What the registers are in, as an error says it.

    Raises
    ------
    SpecError
        If there are fewer places than ``pipeline`` asks for.
    """
    stages = None if design.pipeline == "auto" else design.pipeline
    most = len(sections) - 1 if offered is None else len(offered)
    if stages is not None and stages > most:
        raise SpecError(f"pipeline: must be auto or 0 to {most} {where}, not {stages}")
    return place_registers(
        sections,
        offered,
        stages=stages,
        period_ps=1e6 / design.clock_mhz,
        register_ps=Delays(design.technology).register,
    )
