"""Where the parts of a datapath end, for tools that ask where its area and its delay are.

A part ends at each place that may hold a register, and where :func:`mark` says so. It has the name
of the place, but for those of ``PARTS``: what several kinds of units do has one name in all. So a
unit describes its parts by its places. Marks are wires that nobody reads, named
``end.<number>.<part>.<field>`` and kept by synthesis; there are none unless :func:`marking` asks.
Numbers count from 0 in every module, so that modules that are alike remain so.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data

__all__ = ["PARTS", "mark", "marking", "part_after", "part_of"]

#: What ends at a place, where that is called otherwise.
PARTS = {
    "unpack": "decode",
    "order": "align",
    "largest": "align",
    "place": "align",
    "magnitude": "add",
    "tree": "add",
    "count": "normalise",
    "shift": "normalise",
    "normalize": "normalise",
}

#: What follows the last place of a step, up to its result.
_AFTER = {"multiply": "add", "align": "add", "normalise": "round"}

_numbers: ContextVar[defaultdict[Module, Iterator[int]] | None]
_numbers = ContextVar("numbers", default=None)


@contextmanager
def marking() -> Iterator[None]:
    """Mark the ends of parts in all that is elaborated meanwhile."""
    token = _numbers.set(defaultdict(itertools.count))
    try:
        yield
    finally:
        _numbers.reset(token)


def mark(m: Module, place: str, *values: Any) -> None:
    """Mark values that the part which ends at a place hands on."""
    numbers = _numbers.get()
    if numbers is None:
        return
    stem = f"end.{next(numbers[m])}.{part_of(place)}"
    for n, value in enumerate(values):
        fields = {str(n): value}
        if isinstance(value, data.View) and isinstance(value.shape(), data.StructLayout):
            fields = {key: value[key] for key, _ in value.shape()}
        for key, part in fields.items():
            bits = Value.cast(part)
            if len(bits):
                end = Signal(len(bits), name=f"{stem}.{key}", attrs={"keep": 1})
                m.d.comb += end.eq(bits)


def part_of(place: str) -> str:
    """Return the part that ends at a place.

    Examples
    --------
    >>> part_of("order"), part_of("interpolate"), part_of("outer_count")
    ('align', 'interpolate', 'normalise')
    """
    place = place.removeprefix("outer_")
    return PARTS.get(place, place)


def part_after(place: str) -> str:
    """Return the part behind the last place of a step."""
    part = part_of(place)
    return _AFTER.get(part, part)
