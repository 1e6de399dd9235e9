"""What a measurement is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.random import Generator

__all__ = ["FULL", "QUICK", "Contest", "Entry", "Job", "Kernel", "Size"]


class Size(NamedTuple):
    """How much is measured."""

    values: int  #: Values to convert.
    side: int  #: Rows and columns of matrices.
    rounds: int  #: Runs of each entry.


FULL = Size(1 << 24, 512, 11)
QUICK = Size(1 << 17, 64, 2)


class Job(NamedTuple):
    """A call to time."""

    call: Callable[[], Any]
    work: int  #: What it does, in units of the contest.


class Kernel(NamedTuple):
    """The compiled loops of an entry, and the bytes that an element takes."""

    name: str  #: In ``minimac.model.kernels``.
    reads: float  #: Of operands, beyond the fastest cache.
    writes: float = 0  #: To memory that is new.
    turns: Sequence[float] = (1,)  #: How often an element goes through each loop, hottest first.


@dataclass(frozen=True)
class Entry:
    """One way to do the work of a contest."""

    name: str
    library: str
    prepare: Callable[[Size, Generator], Job]
    kernel: Kernel | None = None
    target: float | None = None  #: How many times as fast as the fastest peer it is to be.
    is_peer: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it measures the model."""
        return self.library == "minimac"


@dataclass(frozen=True)
class Contest:
    """Entries that are measured in turn, so that all of them see the same drifts of a machine."""

    name: str
    unit: str  #: Of work.
    entries: tuple[Entry, ...]
    same_bits: bool = False  #: Whether all entries must return the same bits.
