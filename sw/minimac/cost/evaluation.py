"""Designs mapped, timed and run: how the figures of :mod:`minimac.cost.measurement` come about."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minimac.cost.cache import Cache
from minimac.cost.errors import RoutingError
from minimac.cost.result import Cost, Part
from minimac.cost.routing import Routed, place_and_route
from minimac.cost.split import FOOT, REGISTERS, REST, USUAL, end_of, parts_of_module, spoken
from minimac.cost.synthesis import Synthesis, synthesise
from minimac.cost.technology import Cell, Family, Library
from minimac.rtl import plan, to_verilog
from minimac.spec import BlockFormat, Design, FixedPoint, Format

if TYPE_CHECKING:
    from minimac.cost.activity import Activity
    from minimac.cost.netlist import Netlist

__all__ = ["DEFAULT_SHAPE", "evaluate"]

Codes = NDArray[np.int64]
Operands = Sequence[tuple[Codes, Codes]]

_ASSUMPTIONS = (
    "delay: linear in the load, worst arc of each output, ideal clock; wires have no resistance",
    "load: pins, and wire_ff_per_sink for each pin",
    "energy: internal energy and C V^2 / 2 for each change of a settled value, clock pins, leakage",
    "energy: without glitches, clock tree and input ports",
)

#: Shape of the operands that are made up when none are given: M, K, N.
DEFAULT_SHAPE = (1024, 16, 32)


def evaluate(
    design: Design,
    target: Library | Family,
    operands: Operands | None,
    *,
    dsp: bool | None,
    with_energy: bool,
    with_glitches: bool,
    with_parts: bool,
    seeds: Sequence[int],
    timeout_s: float,
    cache: Cache,
    watch: Callable[[str], None] | None,
    provenance: dict[str, Any],
) -> Cost:
    """Measure a design whose ``technology`` and ``clock_mhz`` are those of the figures.

    Parameters
    ----------
    provenance : dict
        What is known of the figures already; more is added.
    """
    verilog = to_verilog(design)
    keep = _kept(verilog, design.name)
    clock = design.clock_mhz
    options: dict[str, Any] = {"keep": keep, "clock_mhz": clock}
    options |= {"dsp": dsp, "timeout_s": timeout_s, "cache": cache}
    with ThreadPoolExecutor() as beside:
        if isinstance(target, Library):  # while this process waits for Yosys
            beside.submit(_load_compiled, target)
        synthesis = synthesise(verilog, design.name, target, **options)
    provenance["flow"] = list(synthesis.flow)
    common: dict[str, Any] = {
        "name": design.name,
        "technology": target.name,
        "clock_mhz": float(clock),
        "latency_cycles": plan(design).latency,
        "cell_types": dict(sorted(synthesis.total().items())),
        "provenance": provenance,
        "count": 1,
    }
    if isinstance(target, Family):
        provenance["lut_inputs"] = target.lut_inputs
        cost = _fpga(synthesis, target, common)
        if not seeds:
            return cost
        try:
            routed = place_and_route(
                verilog, design.name, target, seeds=seeds, watch=watch, **options
            )
        except RoutingError as error:
            return replace(cost, provenance={**provenance, "not_routed": str(error)})
        return _with_clock(cost, routed)
    cost, netlist = _asic(synthesis, target, clock, common)
    if with_parts:
        with_marks = to_verilog(design, marks=True)
        marked = synthesise(with_marks, design.name, target, recipe=synthesis.recipe, **options)
        cost = _with_parts(cost, synthesis, marked, target)
    if not with_energy or design.interface == "wishbone":
        return cost
    return _with_energy(cost, design, netlist, operands, with_glitches)


def _load_compiled(library: Library) -> None:
    """Load compiled code by using it: imports apart, the first call of any takes 0.4 s."""
    from minimac.cost.activity import simulate
    from minimac.cost.netlist import flatten
    from minimac.cost.timing import analyse

    inverter = library.inverter
    pins = dict(zip([*inverter.inputs, *inverter.outputs], [[2], [3]]))
    ports = {
        "a": {"direction": "input", "bits": [2]},
        "y": {"direction": "output", "bits": [3]},
    }
    cells = {"inverter": {"type": inverter.name, "connections": pins}}
    netlist = flatten({"top": {"ports": ports, "cells": cells, "netnames": {}}}, "top", library)
    analyse(netlist)
    simulate(netlist, {"a": np.zeros((2, 1), np.uint64)})


_UNMARKED = (FOOT, REGISTERS, REST)


def _with_parts(cost: Cost, synthesis: Synthesis, marked: Synthesis, library: Library) -> Cost:
    """Split the area by the shares of a netlist with marks, and follow its longest path."""
    from minimac.cost.netlist import flatten
    from minimac.cost.timing import analyse

    areas = dict.fromkeys([*USUAL, *_UNMARKED], 0.0)
    of_marked = 0.0
    for module, times in synthesis.instances().items():
        real = parts_of_module(synthesis.modules[module], library)
        areas[REGISTERS] += times * real.pop(REGISTERS, 0.0)
        logic_um2 = times * sum(real.values())
        shares = parts_of_module(marked.modules[module], library)
        of_marked += times * sum(shares.values())
        shares.pop(REGISTERS, None)
        if _part_of(module, synthesis.top) == FOOT:
            shares = {FOOT: 1.0}
        whole = sum(shares.values())
        for part, share in (shares if whole else {REST: 1.0}).items():
            areas[part] = areas.get(part, 0.0) + logic_um2 * share / (whole or 1.0)
    last = {part: areas.pop(part) for part in _UNMARKED}
    # The first mark on the way names what several marks are on.
    for tree in marked.modules.values():
        names = sorted(tree["netnames"], key=lambda name: -getattr(end_of(name), "number", 1 << 30))
        tree["netnames"] = {name: tree["netnames"][name] for name in names}
    timing = analyse(flatten(marked.modules, marked.top, library))
    begin = timing.path[0] if timing.path else None
    first = begin.signal if begin and begin.instance == timing.start else timing.start
    steps: list[dict[str, Any]] = [{"signal": spoken(first), "arrival_ps": 0.0}]
    for step in timing.path:
        if end := end_of(step.signal):
            at = {"part": end.part, "arrival_ps": step.arrival_ps}
            steps.append({"signal": spoken(step.signal), **at})
    end_signal = spoken(timing.end_signal or timing.end)
    steps.append({"signal": end_signal, "arrival_ps": timing.delay_ps})
    split = {"area_with_marks_um2": of_marked, "delay_with_marks_ps": timing.delay_ps}
    return replace(
        cost,
        area_by_part_um2={part: area for part, area in (areas | last).items() if area},
        critical_signals=tuple(steps),
        provenance={**cost.provenance, "split": split},
    )


def _with_clock(cost: Cost, routed: Sequence[Routed]) -> Cost:
    """Add what place and route found; the path is that of the seed nearest the median."""
    clocks = [found.fmax_mhz for found in routed]
    middle = median(clocks)
    nearest = min(routed, key=lambda found: abs(found.fmax_mhz - middle))
    routing = {
        "part": routed[0].part,
        "fmax_mhz_by_seed": {str(found.seed): found.fmax_mhz for found in routed},
        "used_with_registers_around": dict(nearest.used),
        "nextpnr": routed[0].version,
    }
    return replace(
        cost,
        delay_ps=1e6 / middle,
        fmax_mhz=middle,
        fmax_range_mhz=(min(clocks), max(clocks)),
        meets_clock=middle >= cost.clock_mhz,
        critical_path=nearest.path,
        provenance={**cost.provenance, "routing": routing},
    )


_SUFFIXES = {"element": "_element", "foot": "_foot"}


def _kept(verilog: str, top: str) -> list[str]:
    """Return the modules that stay modules: elements, feet and what these consist of."""
    modules = re.findall(r"^module (\w+)", verilog, re.MULTILINE)
    return [name for name in modules if name != top and _part_of(name, top) != "edge"]


def _part_of(module: str, top: str) -> str:
    """Say which part a module of a design belongs to."""
    for part, suffix in _SUFFIXES.items():
        if f"{module}_".startswith(f"{top}{suffix}_"):
            return part
    return "edge"


def _whole_part(module: str, top: str) -> str:
    """Say which part a module is the whole of, if any: what is inside of one is counted with it."""
    part = _part_of(module, top)
    return part if part == "edge" or module == top + _SUFFIXES[part] else ""


def _fpga(synthesis: Synthesis, family: Family, common: dict[str, Any]) -> Cost:
    resources = ("luts", "ffs", "dsps", "carries", "brams")
    sums: dict[str, Counter[str]] = {part: Counter() for part in (*_SUFFIXES, "edge")}
    counts: Counter[str] = Counter()
    for module, times in synthesis.instances().items():
        part = _part_of(module, synthesis.top)
        counts[_whole_part(module, synthesis.top)] += times
        for kind, number in synthesis.cells(module).items():
            for resource, each in family.primitives[kind].items():
                sums[part][resource] += times * number * each
    parts = {
        part: Part(count=counts[part], **{name: taken[name] for name in resources})
        for part, taken in sums.items()
        if counts[part]
    }
    total: dict[str, Any] = {r: sum(taken[r] for taken in sums.values()) for r in resources}
    return Cost(**common, **total, parts=parts)


def _asic(
    synthesis: Synthesis, library: Library, clock_mhz: float, common: dict[str, Any]
) -> tuple[Cost, "Netlist"]:
    from minimac.cost.netlist import flatten
    from minimac.cost.timing import analyse

    netlist = flatten(synthesis.modules, synthesis.top, library)
    timing = analyse(netlist)
    provenance = common["provenance"]
    provenance["recipe"] = synthesis.recipe
    provenance["corner"] = library.corner
    provenance["wire_ff_per_sink"] = library.wire_ff_per_sink
    provenance["assumptions"] = list(_ASSUMPTIONS)
    scope_parts = _scope_parts(netlist)
    names = [*_SUFFIXES, "edge"]
    part_number = np.array([names.index(part) for part in scope_parts])[netlist.scope]

    def by_part(fact: Callable[[Cell], float]) -> dict[str, float]:
        per_kind = np.array([fact(cell) for cell in netlist.cells], dtype=np.float64)
        sums = np.bincount(part_number, weights=per_kind[netlist.kinds], minlength=len(names))
        return {name: float(value) for name, value in zip(names, sums, strict=True)}

    area = by_part(lambda cell: cell.area_um2)
    cells = by_part(lambda cell: 1)
    registers = by_part(lambda cell: cell.ff is not None)
    leakage = by_part(lambda cell: cell.leakage_nw / 1000)
    counts = Counter(_whole_part(scope.module, synthesis.top) for scope in netlist.scopes)
    parts = {
        name: Part(
            count=counts[name],
            area_um2=area[name],
            cells=int(cells[name]),
            registers=int(registers[name]),
            leakage_uw=leakage[name],
        )
        for name in names
        if counts[name]
    }
    cost = Cost(
        **common,
        area_um2=sum(area.values()),
        cells=int(sum(cells.values())),
        registers=int(sum(registers.values())),
        leakage_uw=sum(leakage.values()),
        delay_ps=timing.delay_ps,
        fmax_mhz=1e6 / timing.delay_ps if timing.delay_ps else None,
        meets_clock=timing.delay_ps <= 1e6 / clock_mhz,
        delay_by_kind_ps=timing.by_kind_ps,
        critical_path=tuple(step._asdict() for step in timing.path),
        parts=parts,
    )
    return cost, netlist


def _scope_parts(netlist: "Netlist") -> list[str]:
    """Say which part each instance of a module belongs to: its own, or that of what it is in."""
    parts: dict[str, str] = {}
    for path, module in netlist.scopes:
        own = _part_of(module, netlist.scopes[0].module)
        outer = parts.get(path.rpartition(".")[0], "edge") if path else "edge"
        parts[path] = outer if own == "edge" else own
    return list(parts.values())


def _with_energy(
    cost: Cost,
    design: Design,
    netlist: "Netlist",
    operands: Operands | None,
    with_glitches: bool,
) -> Cost:
    from minimac.bench.traffic import LANES
    from minimac.cost.activity import energy

    products = [_made_up(design)] if operands is None else operands
    activity, shaken, macs = _activity(design, netlist, products, with_glitches)
    spent = energy(netlist, activity, clock_mhz=cost.clock_mhz)
    per_mac = 1 / macs / 1000  # fJ in all lanes to pJ for a MAC of all lanes
    by_part = dict.fromkeys([*_SUFFIXES, "edge"], 0.0)
    for part, scope_fj in zip(_scope_parts(netlist), spent.by_scope_fj.values(), strict=True):
        by_part[part] += scope_fj * per_mac
    glitches = None
    if shaken is not None:
        total_fj = energy(netlist, shaken, clock_mhz=cost.clock_mhz).total_fj
        glitches = (total_fj - spent.total_fj) * per_mac
    stimulus = {
        "operands": "normally distributed, seed 0" if operands is None else "given",
        "shapes_mkn": [
            "x".join(map(str, (*_codes(a).shape, _codes(b).shape[1]))) for a, b in products
        ],
        "macs": round(macs),
        "cycles": activity.cycles,
        "macs_per_cycle": macs / LANES / activity.cycles,
    }
    return replace(
        cost,
        energy_pj_per_mac=spent.total_fj * per_mac,
        energy_glitches_pj_per_mac=glitches,
        energy_split_pj_per_mac={
            "internal": spent.internal_fj * per_mac,
            "load": spent.load_fj * per_mac,
            "clock": spent.clock_fj * per_mac,
            "leakage": spent.leakage_fj * per_mac,
        },
        parts={
            name: replace(part, energy_pj_per_mac=by_part[name])
            for name, part in cost.parts.items()
        },
        provenance={**cost.provenance, "stimulus": stimulus},
    )


def _activity(
    design: Design, netlist: "Netlist", products: Operands, with_glitches: bool
) -> tuple["Activity", "Activity | None", float]:
    """Run matrix products on a netlist.

    Returns what its nets did without glitches, with them if asked to, and the MACs of all lanes.
    Lanes that are not in use repeat others, which counts on both sides: as activity and as MACs.
    """
    from minimac.bench.traffic import LANES, waveforms
    from minimac.cost.activity import Activity, simulate

    toggles = {glitches: np.zeros(netlist.nets, np.int64) for glitches in [False, True]}
    cycles, periods, macs = 0, 0, 0.0
    for a, b in products:
        runs = waveforms(design, a, b)
        wave = next(runs)
        while True:
            did = simulate(netlist, wave.inputs)
            toggles[False] += did.toggles
            if with_glitches:
                toggles[True] += simulate(netlist, wave.inputs, glitches=True).toggles
            cycles += did.cycles
            periods += did.periods
            macs += wave.macs * LANES / wave.lanes
            try:
                # Partial sums that the netlist itself returned go back in with the next pass.
                wave = runs.send(did.outputs)
            except StopIteration:
                break
    settled, shaken = (
        Activity(toggles=found, outputs={}, cycles=cycles, periods=periods)
        for found in toggles.values()
    )
    return settled, shaken if with_glitches else None, macs


def _made_up(design: Design) -> tuple[Codes, Codes]:
    """Draw operands: three standard deviations fill a fixed-point format, one is 1 in others."""
    from minimac.model import encode, quantize_blocks

    rng = np.random.default_rng(0)
    m, k, n = DEFAULT_SHAPE

    def codes(fmt: Format, shape: tuple[int, int], axis: int = 1) -> Any:
        values = rng.normal(size=shape)
        if isinstance(fmt, BlockFormat):
            return quantize_blocks(replace(fmt, tensor_scale=None), values, axis)
        if isinstance(fmt, FixedPoint):
            values *= fmt.max_lsbs * 2.0**fmt.lsb_exp / 3
        return np.asarray(encode(fmt, values if fmt.signed else np.abs(values)), dtype=np.int64)

    if design.b is None:  # a unit of one operand, which looks at no others
        return codes(design.a, (m, k)), np.zeros((k, 1), np.int64)
    return codes(design.a, (m, k)), codes(design.b, (k, n), 0)


def _codes(operand: Any) -> Codes:
    """Return the codes of an operand, those of the elements if it is in blocks."""
    codes: Codes = getattr(operand, "elements", operand)
    return codes
