"""Activity and energy: the mapped netlist, run on real operands and counted net by net.

64 independent streams run at once, one in each bit of a word. State is kept for each of them, so
feedback is exact.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from minimac.bench.traffic import LANES
from minimac.cost.boolean import decompose, truth_table
from minimac.cost.netlist import Netlist
from minimac.cost.technology import Cell

__all__ = ["Activity", "Energy", "energy", "simulate"]

Ints = NDArray[np.int32]
Words = NDArray[np.uint64]
#: Without a sign, for compiled code would look whether an index counts from the end.
Places = NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Activity:
    """What the nets of a netlist did.

    Parameters
    ----------
    toggles : int64 array of shape (nets,)
        Changes of each net in all lanes together, from the first cycle's values on.
    outputs : dict of str to uint64 array of shape (cycles, width)
        Values of the output ports at the end of each cycle, a lane in each bit.
    cycles : int
        Cycles simulated, in each lane.
    periods : int
        Clock periods over which changes were counted: one fewer for each run.
    """

    toggles: NDArray[np.int64]
    outputs: Mapping[str, Words]
    cycles: int
    periods: int


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy of a run, summed over all lanes, in fJ, and where it goes.

    Parameters
    ----------
    internal_fj, load_fj : float
        Inside cells as their outputs change, and for charging what they drive.
    clock_fj : float
        In clock pins, and for charging them.
    leakage_fj : float
        Leakage times duration.
    by_scope_fj : dict of str to float
        All of it again, by path of the module instance; the top's path is empty.
    """

    internal_fj: float
    load_fj: float
    clock_fj: float
    leakage_fj: float
    by_scope_fj: dict[str, float]

    @property
    def total_fj(self) -> float:
        """Sum of the four parts, in fJ."""
        return self.internal_fj + self.load_fj + self.clock_fj + self.leakage_fj


def simulate(netlist: Netlist, inputs: Mapping[str, Words], *, glitches: bool = False) -> Activity:
    """Run a netlist cycle by cycle, 64 streams at once.

    All flip-flops start at 0. In each cycle the inputs are applied, everything settles, changes
    are counted, and the clock edge follows. An asynchronous clear takes effect at that edge.

    Parameters
    ----------
    netlist : Netlist
        The circuit.
    inputs : dict of str to uint64 array of shape (cycles, width)
        A value for every input port except the clock; bit ``l`` of a word is lane ``l``.
    glitches : bool
        Give every cell a delay of one unit, and count each change on the way. Without it nothing
        changes more than once a cycle.

    Raises
    ------
    ValueError
        If an input is missing, unknown, or of the wrong shape.
    """
    words, nets = _stimulus(netlist, inputs)
    compiled = _compile(netlist)
    out_nets = np.concatenate([*netlist.outputs.values(), np.zeros(0, np.int32)])
    toggles = np.zeros(compiled.words, dtype=np.int64)  # and of places that are no nets
    sampled = np.zeros((len(words), len(out_nets)), dtype=np.uint64)
    _run(
        words, _places(nets), _places(out_nets), *compiled, netlist.nets, glitches, toggles, sampled
    )
    outputs, first = {}, 0
    for port, bits in netlist.outputs.items():
        outputs[port] = sampled[:, first : first + len(bits)]
        first += len(bits)
    toggles = toggles[: netlist.nets]
    return Activity(toggles=toggles, outputs=outputs, cycles=len(words), periods=len(words) - 1)


def energy(netlist: Netlist, activity: Activity, *, clock_mhz: float) -> Energy:
    """Turn activity into energy.

    A change of a cell's output takes its internal energy and ``C V^2 / 2`` for its load: the pins
    that it drives and the wire to them. A clock pin takes its internal energy and ``C V^2 / 2``
    twice a cycle; a tree of clock buffers is not included. Leakage counts for the duration of the
    cycles over which changes were counted. Input ports are driven, and paid for, from outside.

    Parameters
    ----------
    clock_mhz : float
        Clock, in MHz; it decides the share of leakage only.

    Raises
    ------
    ValueError
        If the clock is not above 0.
    """
    if not clock_mhz > 0:
        raise ValueError(f"clock_mhz must be above 0, not {clock_mhz}")
    half_v2 = netlist.library.voltage_v**2 / 2
    instances = len(netlist.kinds)
    periods = activity.periods * LANES

    internal, load = np.zeros(instances), np.zeros(instances)
    per_change = netlist.per_pin(lambda cell, pin: cell.pins[pin].energy_fj)
    driven = np.flatnonzero(netlist.is_output)
    owner, nets = netlist.owner[driven], netlist.pin_nets[driven]
    np.add.at(internal, owner, activity.toggles[nets] * per_change[driven])
    np.add.at(load, owner, activity.toggles[nets] * netlist.load_ff[nets] * half_v2)

    wire = netlist.library.wire_ff_per_sink

    def per_edge(cell: Cell) -> float:
        clocks = [pin for pin in cell.pins.values() if pin.clock]
        return sum(pin.energy_fj + (pin.cap_ff + wire) * half_v2 for pin in clocks)

    by_kind = np.array([[2 * per_edge(c), c.leakage_nw / clock_mhz] for c in netlist.cells])
    clock, leakage = by_kind.reshape(-1, 2)[netlist.kinds].T * periods  # nW / MHz = fJ
    parts = (internal, load, clock, leakage)
    by_scope = np.bincount(netlist.scope, weights=sum(parts), minlength=len(netlist.scopes))
    return Energy(
        internal_fj=float(internal.sum()),
        load_fj=float(load.sum()),
        clock_fj=float(clock.sum()),
        leakage_fj=float(leakage.sum()),
        by_scope_fj={s.path: float(e) for s, e in zip(netlist.scopes, by_scope, strict=True)},
    )


def _stimulus(netlist: Netlist, inputs: Mapping[str, Words]) -> tuple[Words, Ints]:
    clocks = netlist.clocks
    wanted = {
        port: nets
        for port, nets in netlist.inputs.items()
        if not all(int(net) in clocks for net in nets)
    }
    for port in inputs:
        if port not in netlist.inputs:
            raise ValueError(f"inputs must be of {', '.join(wanted)}, not {port!r}")
    columns = []
    for port, nets in wanted.items():
        if port not in inputs:
            raise ValueError(f"inputs must have a value for {port}")
        column = np.asarray(inputs[port], dtype=np.uint64)
        if column.ndim != 2 or column.shape[1] != len(nets):
            raise ValueError(
                f"input {port} must have shape (cycles, {len(nets)}), not {column.shape}"
            )
        columns.append(column)
    if not columns or len({len(column) for column in columns}) != 1 or not len(columns[0]):
        raise ValueError("inputs must all have the same number of cycles, at least one")
    return np.hstack(columns), np.concatenate(list(wanted.values()))


def _program(function: int, variables: int) -> NDArray[np.int32]:
    """Return operations as rows of flags, x and y; flags are xor, invert x, y and result."""
    rows = [
        (o.xor | o.invert_x << 1 | o.invert_y << 2 | o.invert << 3, o.x, o.y)
        for o in decompose(function, variables)
    ]
    return np.array(rows, dtype=np.int32)


def _place(program: Ints, sources: Ints, temporary: int, results: Ints) -> Ints:
    """Turn a cell's operations into those of its instances, one row an operation.

    ``sources`` are the nets of the variables, shape (instances, variables); operations before the
    last write to temporary places, which all cells share.
    """
    instances, ops = len(sources), len(program)
    temps = np.broadcast_to(np.arange(temporary, temporary + ops), (instances, ops))
    places = np.hstack([sources, temps])
    placed = np.empty((instances, ops, 4), dtype=np.int32)
    placed[:, :, 0] = program[:, 0]
    placed[:, :, 1] = places[:, program[:, 1]]
    placed[:, :, 2] = places[:, program[:, 2]]
    placed[:, :, 3] = temps
    placed[:, -1, 3] = results
    return placed.reshape(-1, 4)


def _places(indices: NDArray[Any]) -> Places:
    return indices.astype(np.uint32)


class _Compiled(NamedTuple):
    """A netlist as operations ``flags, x, y, result`` on an array of words.

    The nets come first in the array, then places that operations share, then the next states.
    """

    operations: Places  # of the combinational instances, in order
    starts: Ints  # where those of each instance begin
    level_starts: Ints  # the first instance of each level
    next_operations: Places  # of the next states
    states: Places  # for each output of a flip-flop: place of its next state, net, inversion
    words: int


@functools.lru_cache(maxsize=2)
def _compile(netlist: Netlist) -> _Compiled:
    shared, most = netlist.nets, 64  # no cell has more operations
    held_from = shared + most
    place_of = np.full(len(netlist.kinds), -1, dtype=np.int64)
    place_of[netlist.order] = np.arange(len(netlist.order))
    operations, instances = [np.zeros((0, 4), np.int32)], [np.zeros(0, np.int64)]
    next_operations, states = [np.zeros((0, 4), np.int32)], [np.zeros((0, 3), np.int32)]
    for kind, cell in enumerate(netlist.cells):
        which = np.flatnonzero(netlist.kinds == kind).astype(np.int32)
        first = netlist.pin_start[which][:, None]
        variables = len(cell.inputs)
        sources = netlist.pin_nets[first + np.arange(variables, dtype=np.int32)]
        results = netlist.pin_nets[first + variables + np.arange(len(cell.outputs))]
        if cell.ff is None:
            for output, nets in zip(cell.outputs, results.T, strict=True):
                program = _program(cell.truth_table(output), variables)
                operations.append(_place(program, sources, shared, nets))
                instances.append(np.repeat(place_of[which], len(program)))
            continue
        held = np.arange(held_from, held_from + len(which), dtype=np.int32)
        held_from += len(which)
        next_state = truth_table(cell.ff.next_state, cell.inputs)
        if cell.ff.clear:
            next_state &= ~truth_table(cell.ff.clear, cell.inputs)
        program = _program(next_state, variables)
        next_operations.append(_place(program, sources, shared, held))
        for output, nets in zip(cell.outputs, results.T, strict=True):
            inverted = truth_table(cell.pins[output].function or "", [cell.ff.state]) == 0b01
            states.append(np.stack([held, nets, np.full_like(held, inverted)], axis=1))
    place = np.concatenate(instances)
    in_order = np.argsort(place, kind="stable")
    levels = netlist.level[netlist.order]
    deepest = int(levels.max(initial=0))
    return _Compiled(
        operations=_places(np.concatenate(operations)[in_order]),
        starts=np.searchsorted(place[in_order], np.arange(len(netlist.order) + 1)).astype(np.int32),
        level_starts=np.searchsorted(levels, np.arange(deepest + 1)).astype(np.int32),
        next_operations=_places(np.concatenate(next_operations)),
        states=_places(np.concatenate(states)),
        words=held_from,
    )


@numba.njit(cache=True, inline="always")
def _ones(word: np.uint64) -> np.int64:
    """Count the ones in a word."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@numba.njit(cache=True, inline="always")
def _apply(operation: Places, v: Words) -> np.uint64:
    """Evaluate one operation, without branches: which it is cannot be foretold."""
    flags, none, one = np.uint64(operation[0]), np.uint64(0), np.uint64(1)
    x = v[operation[1]] ^ (none - (flags >> one & one))
    y = v[operation[2]] ^ (none - (flags >> np.uint64(2) & one))
    if_xor, inverted = none - (flags & one), none - (flags >> np.uint64(3) & one)
    result: np.uint64 = (x & y) ^ ((x | y) & if_xor) ^ inverted
    return result


@numba.njit(cache=True)
def _run(
    inputs: Words,
    input_nets: Places,
    output_nets: Places,
    operations: Places,
    starts: Ints,
    level_starts: Ints,
    next_operations: Places,
    states: Places,
    words: int,
    nets: int,
    glitches: bool,
    toggles: NDArray[np.int64],
    outputs: Words,
) -> None:
    """Fill ``toggles`` and ``outputs``."""
    instances = len(starts) - 1
    v = np.zeros(words, np.uint64)
    v[1] = ~np.uint64(0)
    for t in range(len(inputs)):
        for s in range(len(states)):
            net = states[s, 1]
            new = v[states[s, 0]] ^ (np.uint64(0) - np.uint64(states[s, 2]))
            toggles[net] += _ones(v[net] ^ new)
            v[net] = new
        for k in range(len(input_nets)):
            net = input_nets[k]
            toggles[net] += _ones(v[net] ^ inputs[t, k])
            v[net] = inputs[t, k]
        if glitches and t > 0:
            # Consumers before producers: each cell sees what its inputs were a unit ago. After n
            # units nothing below level n changes any more.
            for level in range(1, len(level_starts)):
                changed = False
                for i in range(instances - 1, level_starts[level] - 1, -1):
                    for o in range(starts[i], starts[i + 1]):
                        new = _apply(operations[o], v)
                        net = operations[o, 3]
                        if net < nets and v[net] != new:
                            toggles[net] += _ones(v[net] ^ new)
                            changed = True
                        v[net] = new
                if not changed:
                    break
        else:
            for o in range(len(operations)):
                new = _apply(operations[o], v)
                net = operations[o, 3]
                toggles[net] += _ones(v[net] ^ new)
                v[net] = new
        if t == 0:
            toggles[:] = 0
        for k in range(len(output_nets)):
            outputs[t, k] = v[output_nets[k]]
        for o in range(len(next_operations)):
            v[next_operations[o, 3]] = _apply(next_operations[o], v)
