"""Static timing of a mapped netlist, with linear delays and an ideal clock."""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from minimac.cost.netlist import Netlist

__all__ = ["Step", "Timing", "analyse"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


class Step(NamedTuple):
    """One cell on a path, when its output settles, and what the design calls that, if anything."""

    instance: str
    cell: str
    arrival_ps: float
    signal: str = ""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The longest path of a netlist.

    Parameters
    ----------
    delay_ps : float
        Least clock period: from clock edge or input to output, or to a flip-flop with its set-up.
    start, end : str
        A port or an instance of a flip-flop, each.
    end_signal : str
        What the design calls the end: a port, or what leaves the flip-flop.
    path : tuple of Step
        The cells from start to end. Set-up is not part of the last arrival.
    by_kind_ps : dict of str to float
        The longest of each kind: ``register_to_register``, ``input_to_register``,
        ``register_to_output``, ``input_to_output``; 0 where there is none.
    """

    delay_ps: float
    start: str
    end: str
    end_signal: str
    path: tuple[Step, ...]
    by_kind_ps: dict[str, float]


def analyse(netlist: Netlist) -> Timing:
    """Find the longest path.

    The delay of a cell is ``delay_ps + delay_slope_ps_per_ff * load``, the same for all inputs and
    for both edges; the load is that of the pins that the net drives and of the wire to them.
    Inputs change with the clock edge and are driven without delay. Constants have no paths.

    Returns
    -------
    Timing
        With ``delay_ps`` 0 and an empty path if there is no path at all.
    """
    delay = netlist.per_pin(lambda cell, pin: cell.pins[pin].delay_ps)
    slope = netlist.per_pin(lambda cell, pin: cell.pins[pin].delay_slope_ps_per_ff)
    delay += slope * netlist.load_ff[netlist.pin_nets]

    longest = _Ending(-np.inf, "", "", -1)
    of_longest = None
    by_kind_ps = {}
    for start in ("register", "input"):
        arrival = _sources(netlist, delay, start)
        before = np.full(netlist.nets, -1, dtype=np.int32)
        facts = netlist.order, netlist.pin_start, netlist.pin_nets, netlist.inputs_of, delay
        _propagate(*facts, arrival, before)
        for end in ("register", "output"):
            ending = _latest(netlist, arrival, end)
            by_kind_ps[f"{start}_to_{end}"] = max(ending.time_ps, 0.0)
            if ending.time_ps > longest.time_ps:
                longest, of_longest = ending, (arrival, before)
    if of_longest is None:
        return Timing(delay_ps=0.0, start="", end="", end_signal="", path=(), by_kind_ps=by_kind_ps)
    first, path = _trace(netlist, longest.net, *of_longest)
    return Timing(
        delay_ps=longest.time_ps,
        start=first,
        end=longest.name,
        end_signal=longest.signal,
        path=path,
        by_kind_ps=by_kind_ps,
    )


class _Ending(NamedTuple):
    time_ps: float
    name: str
    signal: str
    net: int


def _sources(netlist: Netlist, delay: Floats, start: str) -> Floats:
    """Say when each net changes that paths begin at; never, for all others."""
    arrival = np.full(netlist.nets, -np.inf)
    if start == "register":
        for i in netlist.flip_flops:
            begin, end = netlist.pin_start[i : i + 2]
            outputs = slice(begin + netlist.inputs_of[i], end)
            arrival[netlist.pin_nets[outputs]] = delay[outputs]
    else:
        for nets in netlist.inputs.values():
            arrival[[net for net in nets if net not in netlist.clocks]] = 0.0
    return arrival


def _latest(netlist: Netlist, arrival: Floats, end: str) -> _Ending:
    """Find where paths end last, set-up included."""
    ending = _Ending(-np.inf, "", "", -1)
    if end == "output":
        for port, nets in netlist.outputs.items():
            bit = int(np.argmax(arrival[nets]))
            if arrival[nets[bit]] > ending.time_ps:
                name = f"{port}[{bit}]" if len(nets) > 1 else port
                ending = _Ending(float(arrival[nets[bit]]), name, name, int(nets[bit]))
        return ending
    for i in netlist.flip_flops:
        begin = netlist.pin_start[i]
        nets = netlist.pin_nets[begin : begin + netlist.inputs_of[i]]
        last = nets[np.argmax(arrival[nets])]
        ff = netlist.cells[netlist.kinds[i]].ff
        assert ff is not None
        time_ps = float(arrival[last]) + ff.setup_ps
        if time_ps > ending.time_ps:
            outputs = netlist.pin_nets[begin + netlist.inputs_of[i] : netlist.pin_start[i + 1]]
            signal = next(filter(None, (netlist.signal(int(net)) for net in outputs)), "")
            ending = _Ending(time_ps, netlist.name(i), signal, int(last))
    return ending


def _trace(
    netlist: Netlist, net: int, arrival: Floats, before: Ints
) -> tuple[str, tuple[Step, ...]]:
    """Go back from a net to where its path begins."""
    steps = []
    while True:
        driver = int(netlist.driver[net])
        if driver < 0:
            start = netlist.net_name(net)
            break
        cell = netlist.cells[netlist.kinds[driver]]
        start = netlist.name(driver)
        steps.append(Step(start, cell.name, float(arrival[net]), netlist.signal(net)))
        if before[net] < 0:
            break
        net = int(before[net])
    return start, tuple(reversed(steps))


@numba.njit(cache=True)
def _propagate(
    order: Ints,
    pin_start: Ints,
    pin_nets: Ints,
    inputs_of: Ints,
    delay: Floats,
    arrival: Floats,
    before: Ints,
) -> None:
    """Carry arrival times through the combinational instances, in order."""
    for i in order:
        first_output = pin_start[i] + inputs_of[i]
        latest = -np.inf
        source = -1
        for p in range(pin_start[i], first_output):
            if arrival[pin_nets[p]] > latest:
                latest = arrival[pin_nets[p]]
                source = pin_nets[p]
        for p in range(first_output, pin_start[i + 1]):
            arrival[pin_nets[p]] = latest + delay[p]
            before[pin_nets[p]] = source
