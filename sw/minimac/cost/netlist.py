"""The mapped netlist, flattened: cells, nets and an order of evaluation."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from minimac.cost.technology import Cell, Library

__all__ = ["ONE", "ZERO", "Netlist", "NetlistError", "Scope", "flatten"]

Ints = NDArray[np.int32]

#: The nets that are constant, ahead of all others.
ZERO, ONE = 0, 1


class NetlistError(ValueError):
    """The netlist cannot be evaluated; the message is one line and names cells or nets."""


class Scope(NamedTuple):
    """One instance of a module: its path (empty for the top) and the module's name."""

    path: str
    module: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Netlist:
    """A flat netlist of library cells.

    Net 0 is the constant 0, net 1 the constant 1. The pins of an instance are
    ``pin_nets[pin_start[i]:pin_start[i + 1]]``, the inputs of its cell first, then the outputs.

    Parameters
    ----------
    library : Library
        Where the cells are from.
    cells : tuple of Cell
        The cells in use.
    nets : int
        Number of nets.
    kinds : int32 array of shape (instances,)
        Which of ``cells`` an instance is.
    pin_start, pin_nets : int32 arrays
        Connections, as above.
    scopes : tuple of Scope
        The instances of modules, the top first.
    scope : int32 array of shape (instances,)
        Which of them an instance of a cell is directly in.
    local_names : tuple of str
        Names of the instances within their scopes.
    inputs, outputs : dict of str to int32 array
        Nets of the ports of the top, least significant bit first.
    order, level : int32 arrays
        The combinational instances, by level; the level of all instances: 0 for flip-flops, else
        one more than the highest level that an input comes from.
    names : dict of int to str
        Names of nets, with the paths of their scopes; not every net has one.
    """

    library: Library
    cells: tuple[Cell, ...]
    nets: int
    kinds: Ints
    pin_start: Ints
    pin_nets: Ints
    scopes: tuple[Scope, ...]
    scope: Ints
    local_names: tuple[str, ...]
    inputs: Mapping[str, Ints]
    outputs: Mapping[str, Ints]
    order: Ints
    level: Ints
    names: Mapping[int, str]

    def name(self, instance: int) -> str:
        """Return the path of an instance."""
        path = self.scopes[self.scope[instance]].path
        return f"{path}.{self.local_names[instance]}" if path else self.local_names[instance]

    def pins(self, instance: int) -> dict[str, int]:
        """Return the nets of an instance's pins."""
        cell = self.cells[self.kinds[instance]]
        start = self.pin_start[instance]
        return {
            pin: int(self.pin_nets[start + i]) for i, pin in enumerate(cell.inputs + cell.outputs)
        }

    @functools.cached_property
    def flip_flops(self) -> Ints:
        """The instances that hold state."""
        stores = np.array([cell.ff is not None for cell in self.cells], dtype=bool)
        return np.flatnonzero(stores[self.kinds]).astype(np.int32)

    @functools.cached_property
    def area_um2(self) -> float:
        """Area of all cells, in um^2."""
        return float(np.array([c.area_um2 for c in self.cells])[self.kinds].sum())

    @functools.cached_property
    def inputs_of(self) -> Ints:
        """Number of input pins, for each instance."""
        return np.array([len(c.inputs) for c in self.cells], dtype=np.int32)[self.kinds]

    @functools.cached_property
    def driver(self) -> Ints:
        """The instance that drives each net, or -1."""
        driver = np.full(self.nets, -1, dtype=np.int32)
        driver[self.pin_nets[self.is_output]] = self.owner[self.is_output]
        return driver

    @functools.cached_property
    def clocks(self) -> frozenset[int]:
        """The nets on clock pins.

        Raises
        ------
        NetlistError
            If one of them is no input of the top: gated clocks are not modelled.
        """
        found: set[int] = set()
        for kind, cell in enumerate(self.cells):
            if cell.ff is not None:
                pin = cell.inputs.index(cell.ff.clocked_on)
                which = np.flatnonzero(self.kinds == kind)
                found |= set(self.pin_nets[self.pin_start[which] + pin].tolist())
        ports = {int(net) for nets in self.inputs.values() for net in nets}
        for net in found - ports:
            raise NetlistError(f"clock {self.net_name(net)} must be an input, not derived")
        return frozenset(found)

    @functools.cached_property
    def load_ff(self) -> NDArray[np.float64]:
        """Capacitance on each net, in fF: input pins, and wire for each of them.

        A net at an output port has a load of one inverter more.
        """
        per_pin = self.per_pin(lambda cell, pin: cell.pins[pin].cap_ff)
        sinks = ~self.is_output
        wire = self.library.wire_ff_per_sink
        load = np.zeros(self.nets)
        np.add.at(load, self.pin_nets[sinks], per_pin[sinks] + wire)
        outside = self.library.inverter
        cap = outside.pins[outside.inputs[0]].cap_ff + wire
        for nets in self.outputs.values():
            np.add.at(load, nets, cap)
        return load

    def per_pin(self, fact: Any) -> NDArray[np.float64]:
        """Look up ``fact(cell, pin)`` for each pin of the netlist."""
        table = [[fact(c, pin) for pin in c.inputs + c.outputs] for c in self.cells]
        flat = np.array([value for row in table for value in row], dtype=np.float64)
        first = np.concatenate([[0], np.cumsum([len(row) for row in table])])
        return flat[first[self.kinds[self.owner]] + self._position]

    def net_name(self, net: int) -> str:
        """Return a name of a net, with the path of its scope; ``n<number>`` if it has none."""
        return self.names.get(net, f"n{net}")

    def signal(self, net: int) -> str:
        """Return what the design calls a net, with the path of its scope; empty if nothing."""
        name = self.names.get(net, "")
        return "" if name.startswith("$") or ".$" in name else name

    @functools.cached_property
    def owner(self) -> Ints:
        """The instance that each pin belongs to."""
        counts = np.diff(self.pin_start)
        return np.repeat(np.arange(len(self.kinds), dtype=np.int32), counts)

    @functools.cached_property
    def _position(self) -> Ints:
        return np.arange(len(self.pin_nets), dtype=np.int32) - self.pin_start[self.owner]

    @functools.cached_property
    def is_output(self) -> NDArray[np.bool_]:
        """Whether each pin is an output."""
        return self._position >= self.inputs_of[self.owner]


class _Module:
    """A module of the Yosys netlist with nets numbered from 0, and constants first."""

    def __init__(self, name: str, tree: dict[str, Any], modules: Any, library: Library) -> None:
        self.name = name
        self.numbers: dict[Any, int] = {"0": ZERO, "1": ONE, "x": ZERO, "z": ZERO}
        self.ports = {
            port: (facts["direction"], self._nets(facts["bits"]))
            for port, facts in tree["ports"].items()
        }
        leaves: dict[str, list[tuple[str, list[int]]]] = {}
        self.children: list[tuple[str, str, dict[str, Ints]]] = []
        for instance, facts in tree["cells"].items():
            kind, pins = facts["type"], facts["connections"]
            if kind in modules:
                connections = {port: self._nets(bits) for port, bits in pins.items()}
                self.children.append((instance, kind, connections))
                continue
            cell = library.cells.get(kind)
            if cell is None:
                raise NetlistError(
                    f"{name}.{instance} must be mapped to a cell of {library.name}, not {kind}"
                )
            row = []
            for pin in cell.inputs + cell.outputs:
                bits = pins.get(pin) or [None]
                # An unconnected output still needs a net of its own.
                row.append(self._number((instance, pin) if bits[0] is None else bits[0]))
            leaves.setdefault(kind, []).append((instance, row))
        self.groups = [
            (kind, [name for name, _ in rows], np.array([row for _, row in rows], dtype=np.int32))
            for kind, rows in leaves.items()
        ]
        self.names: dict[int, str] = {}
        for word, facts in tree["netnames"].items():
            bits = facts["bits"]
            for i, bit in enumerate(bits):
                number = self.numbers.get(bit, ZERO)
                if number > ONE and (number not in self.names or not facts.get("hide_name")):
                    self.names[number] = f"{word}[{i}]" if len(bits) > 1 else word
        self.size = max(self.numbers.values()) + 1

    def _number(self, bit: Any) -> int:
        return self.numbers.setdefault(bit, len(self.numbers) - 2)

    def _nets(self, bits: Sequence[Any]) -> Ints:
        return np.array([self._number(bit) for bit in bits], dtype=np.int32)


def flatten(modules: Mapping[str, Any], top: str, library: Library) -> Netlist:
    """Dissolve the hierarchy of a netlist as Yosys writes it (``write_json``, ``modules``).

    Parameters
    ----------
    modules : mapping
        Modules by name.
    top : str
        Where to start.
    library : Library
        What the cells are.

    Returns
    -------
    Netlist
        With the paths of instances kept.

    Raises
    ------
    NetlistError
        If a cell is not of the library, a net has no driver or two, or there is a combinational
        loop (the message names a cell on it).
    """
    if top not in modules:
        raise NetlistError(f"top must be one of {', '.join(modules)}, not {top!r}")

    @functools.cache
    def compiled(name: str) -> _Module:
        return _Module(name, modules[name], modules, library)

    kinds: dict[str, int] = {}
    kind_parts: list[Ints] = []
    row_parts: list[Ints] = []
    scopes: list[Scope] = []
    scope_parts: list[Ints] = []
    local_names: list[str] = []
    placed: list[tuple[str, _Module, Ints]] = []
    aliases: list[tuple[int, int]] = []
    count = 2

    def place(module: _Module, path: str, mapping: Ints) -> None:
        nonlocal count
        fresh = mapping < 0
        mapping[fresh] = np.arange(count, count + fresh.sum())
        count += int(fresh.sum())
        number = len(scopes)
        scopes.append(Scope(path, module.name))
        placed.append((path, module, mapping))
        for kind, names, rows in module.groups:
            index = kinds.setdefault(kind, len(kinds))
            kind_parts.append(np.full(len(rows), index, dtype=np.int32))
            row_parts.append(mapping[rows])
            scope_parts.append(np.full(len(rows), number, dtype=np.int32))
            local_names.extend(names)
        for name, kind, connections in module.children:
            child = compiled(kind)
            inner = np.full(child.size, -1, dtype=np.int32)
            inner[:2] = ZERO, ONE
            for port, nets in connections.items():
                for local, net in zip(child.ports[port][1], mapping[nets], strict=True):
                    if inner[local] < 0:
                        inner[local] = net
                    elif inner[local] != net:  # a wire, or a constant, straight through the child
                        aliases.append((int(inner[local]), int(net)))
            place(child, f"{path}.{name}" if path else name, inner)

    root = compiled(top)
    mapping = np.full(root.size, -1, dtype=np.int32)
    mapping[:2] = ZERO, ONE
    place(root, "", mapping)
    merge = _merged(count, aliases)

    widths = [rows.shape[1] for rows in row_parts for _ in range(len(rows))]
    pin_start = np.concatenate([[0], np.cumsum(widths)]).astype(np.int32)
    flat = [merge[rows.reshape(-1)] for rows in row_parts]
    pin_nets = np.concatenate([*flat, np.zeros(0, np.int32)]).astype(np.int32)
    kinds_of = np.concatenate([*kind_parts, np.zeros(0, np.int32)]).astype(np.int32)
    cells = tuple(library.cells[kind] for kind in kinds)
    names: dict[int, str] = {}
    for path, module, inner in placed:
        for local, word in module.names.items():
            names.setdefault(int(merge[inner[local]]), f"{path}.{word}" if path else word)
    ports = {
        direction: {
            port: merge[mapping[nets]]
            for port, (which, nets) in root.ports.items()
            if which == direction
        }
        for direction in ("input", "output")
    }
    stores = np.array([cell.ff is not None for cell in cells], dtype=bool)[kinds_of]
    inputs_of = np.array([len(cell.inputs) for cell in cells], dtype=np.int32)[kinds_of]
    order, level, drivers = _levels(pin_start, pin_nets, inputs_of, stores, count)
    netlist = Netlist(
        library=library,
        cells=cells,
        nets=count,
        kinds=kinds_of,
        pin_start=pin_start,
        pin_nets=pin_nets,
        scopes=tuple(scopes),
        scope=np.concatenate([*scope_parts, np.zeros(0, np.int32)]).astype(np.int32),
        local_names=tuple(local_names),
        inputs=ports["input"],
        outputs=ports["output"],
        order=order[np.argsort(level[order], kind="stable")],
        level=level,
        names=names,
    )
    _check(netlist, drivers, stores)
    return netlist


def _check(netlist: Netlist, drivers: Ints, stores: NDArray[np.bool_]) -> None:
    drivers[[ZERO, ONE]] += 1
    for nets in netlist.inputs.values():
        drivers[nets] += 1
    for net in np.flatnonzero(drivers > 1):
        raise NetlistError(f"net {netlist.net_name(int(net))} must have one driver, not several")
    used = np.concatenate([netlist.pin_nets, *netlist.outputs.values()])
    for net in used[drivers[used] == 0]:
        raise NetlistError(f"net {netlist.net_name(int(net))} must have a driver, not none")
    if len(netlist.order) < len(netlist.kinds) - stores.sum():
        raise NetlistError(f"combinational loop: {_loop(netlist, stores)}")


def _loop(netlist: Netlist, stores: NDArray[np.bool_]) -> str:
    """Name the cells of one loop, by going backwards among those that could not be ordered."""
    stuck = ~stores
    stuck[netlist.order] = False
    here, seen = int(np.flatnonzero(stuck)[0]), []
    while here not in seen:
        seen.append(here)
        cell = netlist.cells[netlist.kinds[here]]
        nets = netlist.pins(here)
        sources = (int(netlist.driver[nets[pin]]) for pin in cell.inputs)
        here = next(source for source in sources if source >= 0 and stuck[source])
    cycle = seen[seen.index(here) :]
    names = [netlist.name(instance) for instance in reversed(cycle)]
    return " -> ".join([*names[:5], *(["..."] if len(names) > 5 else []), names[0]])


def _merged(count: int, aliases: Sequence[tuple[int, int]]) -> Ints:
    """Give nets that are the same wire the same number; constants keep theirs."""
    root = np.arange(count, dtype=np.int32)

    def find(net: int) -> int:
        while root[net] != net:
            root[net] = root[root[net]]
            net = int(root[net])
        return net

    for x, y in aliases:
        a, b = sorted((find(x), find(y)))
        root[b] = a
    for net in {net for pair in aliases for net in pair}:
        root[net] = find(net)
    return root


@numba.njit(cache=True)
def _levels(
    pin_start: Ints, pin_nets: Ints, inputs_of: Ints, stores: NDArray[np.bool_], nets: int
) -> tuple[Ints, Ints, Ints]:
    """Order the combinational instances; those on or behind a loop are missing from the order."""
    instances = len(inputs_of)
    drivers = np.zeros(nets, np.int32)
    source = np.full(nets, -1, np.int32)
    fanout = np.zeros(nets + 1, np.int32)
    for i in range(instances):
        first_output = pin_start[i] + inputs_of[i]
        for p in range(first_output, pin_start[i + 1]):
            drivers[pin_nets[p]] += 1
            if not stores[i]:
                source[pin_nets[p]] = i
        if not stores[i]:
            for p in range(pin_start[i], first_output):
                fanout[pin_nets[p] + 1] += 1
    fanout = np.cumsum(fanout).astype(np.int32)
    sinks = np.empty(fanout[nets], np.int32)
    fill = fanout.copy()
    pending = np.zeros(instances, np.int32)
    order = np.empty(instances, np.int32)
    level = np.zeros(instances, np.int32)
    done = 0
    for i in range(instances):
        if stores[i]:
            continue
        for p in range(pin_start[i], pin_start[i] + inputs_of[i]):
            net = pin_nets[p]
            sinks[fill[net]] = i
            fill[net] += 1
            pending[i] += source[net] >= 0
        if pending[i] == 0:
            level[i] = 1
            order[done] = i
            done += 1
    head = 0
    while head < done:
        i = order[head]
        head += 1
        for p in range(pin_start[i] + inputs_of[i], pin_start[i + 1]):
            net = pin_nets[p]
            for s in range(fanout[net], fanout[net + 1]):
                j = sinks[s]
                level[j] = max(level[j], level[i] + 1)
                pending[j] -= 1
                if pending[j] == 0:
                    order[done] = j
                    done += 1
    return order[:done].copy(), level, drivers
