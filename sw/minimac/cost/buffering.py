"""Trees of buffers for nets that drive too much, module by module, with the hierarchy kept.

ABC buffers the logic of one module. What leaves registers, and what many modules share (the enable
of an array, say), it does not see; without buffers such nets would dominate every critical path.
"""

from collections.abc import Mapping
from typing import Any

from minimac.cost.technology import Cell, Library

__all__ = ["add_buffers", "most_load_ff"]

_FANOUT = 12


def most_load_ff(library: Library) -> float:
    """Return the load beyond which a net is buffered, in fF: that of 12 inverters.

    Examples
    --------
    >>> from minimac.cost.technology import load_technology
    >>> round(most_load_ff(load_technology("sky130")), 1)
    55.7
    """
    inverter = library.inverter
    each = inverter.pins[inverter.inputs[0]].cap_ff + library.wire_ff_per_sink
    return _FANOUT * each


def add_buffers(modules: Mapping[str, Any], top: str, library: Library) -> int:
    """Add trees of buffers to a netlist as Yosys writes it, in place.

    After it no net but clocks and constants drives more than :func:`most_load_ff`, where a port of
    a module counts as what it leads to. Sinks are grouped in the order of the netlist.

    Returns
    -------
    int
        Buffers added, over all modules.
    """
    limit_ff = most_load_ff(library)
    buffer = _buffer(library, limit_ff)
    ports: dict[str, dict[tuple[str, int], float | None]] = {}
    added = 0

    def visit(name: str) -> None:
        nonlocal added
        if name in ports:
            return
        for cell in modules[name]["cells"].values():
            if cell["type"] in modules:
                visit(cell["type"])
        module = _Buffered(modules[name], library, ports)
        added += module.buffer(buffer, limit_ff)
        ports[name] = module.port_loads()

    visit(top)
    return added


def _buffer(library: Library, load_ff: float) -> Cell:
    """Take the buffer that drives a full load soonest, its own input counted in."""
    previous = library.inverter.pins[library.inverter.outputs[0]].delay_slope_ps_per_ff

    def delay_ps(cell: Cell) -> float:
        (source,), (output,) = cell.inputs, cell.outputs
        pin = cell.pins[output]
        own = previous * cell.pins[source].cap_ff
        return own + pin.delay_ps + pin.delay_slope_ps_per_ff * load_ff

    # Of a buffer's inputs at least two must be a load that is allowed, or trees would not end.
    most_ff = load_ff / 2 - library.wire_ff_per_sink
    light = (cell for cell in library.buffers if cell.pins[cell.inputs[0]].cap_ff <= most_ff)
    return min(light, key=delay_ps)


class _Buffered:
    """One module, its sinks by net."""

    def __init__(
        self,
        tree: dict[str, Any],
        library: Library,
        ports: Mapping[str, Mapping[tuple[str, int], float | None]],
    ) -> None:
        self.tree = tree
        self.wire_ff = library.wire_ff_per_sink
        # For each net the places that a sink's connection is written in, with its load; a clock
        # has no load that counts.
        self.sinks: dict[int, list[tuple[list[Any], int, float]]] = {}
        self.clocks: set[int] = set()
        for cell in tree["cells"].values():
            kind = cell["type"]
            for pin, bits in cell["connections"].items():
                for k, bit in enumerate(bits):
                    if not isinstance(bit, int):
                        continue
                    if kind in ports:
                        load = ports[kind].get((pin, k), 0.0)
                        if load == 0.0:  # an output, or an input that leads nowhere
                            continue
                    else:
                        facts = library.cells[kind].pins[pin]
                        if facts.function is not None:
                            continue
                        load = None if facts.clock else facts.cap_ff + self.wire_ff
                    if load is None:
                        self.clocks.add(bit)
                    else:
                        self.sinks.setdefault(bit, []).append((bits, k, load))

    def buffer(self, cell: Cell, limit_ff: float) -> int:
        """Add the buffers that the module needs."""
        (source,), (output,) = cell.inputs, cell.outputs
        each_ff = cell.pins[source].cap_ff + self.wire_ff
        named = (bit for facts in self.tree["netnames"].values() for bit in facts["bits"])
        fresh = max((bit for bit in named if isinstance(bit, int)), default=1)
        used = (
            b for c in self.tree["cells"].values() for n in c["connections"].values() for b in n
        )
        fresh = max([fresh, *(bit for bit in used if isinstance(bit, int))])
        added = 0
        for net, sinks in self.sinks.items():
            if net in self.clocks:
                continue
            while len(sinks) > 1 and sum(load for _, _, load in sinks) > limit_ff:
                above = []
                for group in _groups(sinks, limit_ff):
                    fresh += 1
                    added += 1
                    for bits, k, _ in group:
                        bits[k] = fresh
                    connections = {source: [net], output: [fresh]}
                    self.tree["cells"][f"fanout{added}"] = {
                        "type": cell.name,
                        "connections": connections,
                    }
                    above.append((connections[source], 0, each_ff))
                sinks = above
            self.sinks[net] = sinks
        return added

    def port_loads(self) -> dict[tuple[str, int], float | None]:
        """Return the load that each bit of an input port leads to; None for a clock."""
        loads: dict[tuple[str, int], float | None] = {}
        for port, facts in self.tree["ports"].items():
            if facts["direction"] != "input":
                continue
            for k, bit in enumerate(facts["bits"]):
                sinks = self.sinks.get(bit, [])
                clock = bit in self.clocks
                loads[port, k] = None if clock else sum(load for _, _, load in sinks)
        return loads


def _groups(
    sinks: list[tuple[list[Any], int, float]], limit_ff: float
) -> list[list[tuple[list[Any], int, float]]]:
    """Cut sinks into runs that stay below the limit, or are a single sink."""
    groups: list[list[tuple[list[Any], int, float]]] = [[]]
    filled_ff = 0.0
    for sink in sinks:
        if groups[-1] and filled_ff + sink[2] > limit_ff:
            groups.append([])
            filled_ff = 0.0
        groups[-1].append(sink)
        filled_ff += sink[2]
    return groups
