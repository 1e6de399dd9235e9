"""What goes in and out of a unit, by its plan: streams and their fields."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.lib import data, stream, wiring

__all__ = ["Field", "Port", "Stream", "align", "streams_of"]


@dataclass(frozen=True)
class Field:
    """Part of a stream's payload: one number, or several alike.

    Parameters
    ----------
    name, meaning : str
        What it is.
    width, count : int
        Bits of an item, and how many items there are; item 0 is in the lowest bits.
    parts : mapping
        If an item has parts: their lowest bits, widths and meanings, by name.
    """

    name: str
    meaning: str
    width: int
    count: int = 1
    parts: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Width of all items together."""
        return self.width * self.count

    def described(self) -> dict[str, Any]:
        """Return what a description says of the field, wherever it is to be found."""
        told: dict[str, Any] = {"width": self.width, "count": self.count, "meaning": self.meaning}
        return told | ({"parts": dict(self.parts)} if self.parts else {})


@dataclass(frozen=True)
class Stream:
    """A ready/valid stream of a unit.

    Parameters
    ----------
    name : str
        Name of the unit's member.
    into : bool
        Whether the unit takes it.
    fields : tuple of Field
        The payload.
    """

    name: str
    into: bool
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Port:
    """A port of a Verilog module."""

    name: str
    into: bool
    width: int
    meaning: str


def align(fields: Sequence[Field], bits: int) -> Iterator[tuple[Field, int]]:
    """Place fields one after the other, each at a multiple of ``bits``; yield their lowest bits.

    Examples
    --------
    >>> [low for _, low in align([Field("a", "", 4), Field("b", "", 9), Field("c", "", 1)], 8)]
    [0, 8, 24]
    """
    low = 0
    for each in fields:
        yield each, low
        low += -(-each.bits // bits) * bits


def streams_of(planned: Any) -> list[Stream]:
    """Return the streams of a unit, by its plan, in the order in which it has them."""
    found = []
    for name, member in planned.signature.members.items():
        assert isinstance(member.signature, stream.Signature)
        layout = member.signature.members["payload"].shape
        meaning = planned.meaning[name]
        fields = tuple(_field(planned, key, place.shape, meaning[key]) for key, place in layout)
        found.append(Stream(name, member.flow is wiring.In, fields))
    return found


def _field(planned: Any, name: str, shape: Any, meaning: str) -> Field:
    count, item = 1, shape
    if isinstance(shape, data.ArrayLayout):
        count, item = shape.length, shape.elem_shape
    parts = {}
    if isinstance(item, data.StructLayout):  # the state of a chain
        states = planned.accumulator.meaning
        parts = {
            key: {
                "lowest_bit": place.offset,
                "width": place.width,
                "meaning": states[key],
            }
            for key, place in item
        }
    return Field(name, meaning, data.Field(item, 0).width, count, parts)
