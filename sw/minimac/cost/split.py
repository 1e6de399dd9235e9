"""Area by what a datapath does, and the critical path in the generator's own signals.

Generators mark where parts end (:mod:`minimac.rtl.parts`). Mappers move logic across such borders,
and what they are told to keep they cannot remove: so a second netlist is mapped, by the same recipe
and for the same clock, with the marks kept, and only its *shares* are used (it was larger by 0 to
8 %). A cell belongs to the part whose marked signals it lies in the fan-in cone of, back to
registers, and of several parts to the one with the smallest such cone: the first one on the way.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from minimac.cost.technology import Library

__all__ = ["FOOT", "REGISTERS", "REST", "USUAL", "End", "end_of", "parts_of_module", "spoken"]

#: Parts that nothing marks: all of a foot, all that holds state, and logic in no cone: handshakes,
#: choices.
FOOT, REGISTERS, REST = "foot", "registers", "rest"

#: Parts that most units have, as data goes; a unit may have others.
USUAL = ("decode", "multiply", "align", "add", "normalise", "round")

_END = re.compile(r"\bend\.(\d+)\.(\w+)\.(\w+)(?:\$\d+)?((?:\[\d+\])?)$")


class End(NamedTuple):
    """A mark: its number, the part that ends, and the field, with the bit if it has several."""

    number: int
    part: str
    field: str


def end_of(name: str) -> End | None:
    """Read the name of a marked signal.

    Examples
    --------
    >>> end_of("element.end.3.align.distance[2]")
    End(number=3, part='align', field='distance[2]')
    >>> end_of("element.friend")
    """
    found = _END.search(name)
    return End(int(found[1]), found[2], found[3] + found[4]) if found else None


def spoken(name: str) -> str:
    """Return the name of a signal as people say it: the part and the field, if it is a mark.

    Examples
    --------
    >>> spoken("element.end.3.align.distance[2]"), spoken("o_sum[3]")
    ('element.align.distance[2]', 'o_sum[3]')
    """
    end = end_of(name)
    return f"{name[: name.rindex('end.')]}{end.part}.{end.field}" if end else name


def parts_of_module(module: Mapping[str, Any], library: Library) -> dict[str, float]:
    """Return the area of the cells directly in a module by part, in um^2.

    Parameters
    ----------
    module : mapping
        A mapped module as Yosys writes it, with marks.
    library : Library
        What the cells are.
    """
    drivers: dict[Any, str] = {}
    sources: dict[str, list[Any]] = {}
    area: dict[str, float] = {}
    found: dict[str, float] = {REGISTERS: 0.0, REST: 0.0}
    for instance, facts in module["cells"].items():
        cell = library.cells.get(facts["type"])
        if cell is None:  # another module
            continue
        if cell.ff is not None:
            found[REGISTERS] += cell.area_um2
            continue
        area[instance] = cell.area_um2
        pins = facts["connections"]
        sources[instance] = [bit for pin in cell.inputs for bit in pins.get(pin, ())]
        for pin in cell.outputs:
            drivers.update(dict.fromkeys(pins.get(pin, ()), instance))

    ends: dict[tuple[int, str, str], set[Any]] = {}
    for name, facts in module["netnames"].items():
        if end := end_of(name):
            inside = name[: name.rindex("end.")]
            ends.setdefault((end.number, end.part, inside), set()).update(facts["bits"])
    cones = [(part, _cone(bits, drivers, sources)) for (_, part, _), bits in sorted(ends.items())]
    owner: dict[str, str] = {}
    for part, cone in sorted(cones, key=lambda entry: len(entry[1])):
        for instance in cone:
            owner.setdefault(instance, part)
    for instance, size in area.items():
        part = owner.get(instance, REST)
        found[part] = found.get(part, 0.0) + size
    return {part: size for part, size in found.items() if size}


def _cone(
    bits: Iterable[Any], drivers: Mapping[Any, str], sources: Mapping[str, list[Any]]
) -> set[str]:
    """Return the cells that some bits depend on, back to registers."""
    cone: set[str] = set()
    waiting = list(bits)
    while waiting:
        instance = drivers.get(waiting.pop())
        if instance is not None and instance not in cone:
            cone.add(instance)
            waiting += sources[instance]
    return cone
