"""Figures for the tools of others that model accelerators: Accelergy, HWComponents, ZigZag.

The formats are those that the tools publish:

* Accelergy: a table of the library plug-in of version 0.4 (README of
  ``Accelergy-Project/accelergy-library-plug-in``): sections ``COMPONENT``, energies in pJ, areas in
  um^2, and the actions that it requires of each component: ``read``, ``write``, ``update`` and
  ``leak``, which is the energy of a cycle.
* HWComponents: a module of subclasses of ``ComponentModel`` (version 1.0): areas in m^2, leakage in
  W, actions that return energy in J and latency in s.
* ZigZag: an accelerator in YAML (``zigzag-dse`` 3.9): energy and area of a unit of the operational
  array, and memories from the lowest to the highest.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from minimac.cost import Cost
from minimac.cost.workload import memory_of
from minimac.spec import Design, Mac, SpecError, Systolic
from minimac.spec.errors import nearest

__all__ = ["TOOLS", "export"]

#: Size of the memories that ZigZag is told of, in bits: an SRAM of 32 kB, and a DRAM of 8 GB.
_SRAM_KB, _SRAM_BITS, _DRAM_BITS = 32, 32 * 8192, 1 << 36
_WORD_BITS = 64


class _Component(NamedTuple):
    """A part of a design, for tools that count what it does.

    Attributes
    ----------
    name, what : str
        An identifier, and what it is.
    area_um2 : float
        Of one.
    mac_pj : float
        Energy of a multiply-accumulate, clock included, leakage not.
    leakage_uw : float
        Of one.
    """

    name: str
    what: str
    area_um2: float
    mac_pj: float
    leakage_uw: float


def export(tool: str, design: Design, cost: Cost) -> dict[str, str]:
    """Return the files that a tool loads, by name.

    Parameters
    ----------
    tool : {"accelergy", "hwcomponents", "zigzag"}
        The tool.
    design : Design
        What was measured.
    cost : Cost
        Its cost in standard cells, energy included, built or composed.

    Raises
    ------
    SpecError
        If the tool is not known, there is no energy, or ZigZag is told of something that is no
        array.
    """
    if tool not in TOOLS:
        known = ", ".join(TOOLS)
        raise SpecError(f"export: must be one of {known}, not {tool!r}{nearest(tool, TOOLS)}")
    if cost.energy_pj_per_mac is None or cost.area_um2 is None:
        raise SpecError(
            f"export: {tool} needs area and energy, which {cost.name} has not in "
            f"{cost.technology}; choose standard cells and interface stream"
        )
    return TOOLS[tool](design, cost)


def _components(cost: Cost) -> Iterator[_Component]:
    """Return a multiply-accumulate with its share of all, and the parts, each apart."""
    per_cycle = cost.provenance["stimulus"]["macs_per_cycle"]

    def component(name: str, what: str, part: Any, count: int) -> _Component:
        leakage_pj = part.leakage_uw / cost.clock_mhz / per_cycle  # uW / MHz = pJ
        return _Component(
            f"{cost.name}_{name}",
            what,
            part.area_um2 / count,
            part.energy_pj_per_mac - leakage_pj,
            part.leakage_uw / count,
        )

    elements = cost.parts["element"].count if "element" in cost.parts else 1
    yield component("mac", "an element with its share of feet and edge", cost, elements)
    for name, part in cost.parts.items():
        yield component(name, f"one {name} of {part.count}, energy for each MAC", part, part.count)


def _accelergy(design: Design, cost: Cost) -> dict[str, str]:
    # No commas in comments: a plug-in that forgot to strip them would take them for cells.
    lines = [f"# {line.replace(',', ';')}" for line in _origin(design, cost)]
    cycle_s = f"{1e-6 / cost.clock_mhz:.6g}"
    node = f"{_nanometres(cost)}nm"
    for part in _components(cost):
        leak_pj = part.leakage_uw / cost.clock_mhz
        lines += [
            "",
            f"COMPONENT: {part.name}",
            "technology,global_cycle_seconds,energy,area,action",
        ]
        lines += [
            f"{node},{cycle_s},{energy:.6g},{part.area_um2:.6g},{actions}"
            for energy, actions in (
                (part.mac_pj, "mac|compute|read"),
                (leak_pj, "leak"),
                (0.0, "write|update"),
            )
        ]
    return {f"{cost.name}.csv": "\n".join(lines) + "\n"}


def _hwcomponents(design: Design, cost: Cost) -> dict[str, str]:
    latency_s = 1e-6 / cost.clock_mhz
    lines = [
        f'"""{cost.name} in {cost.technology}, as measured by minimac.',
        "",
        *_origin(design, cost),
        '"""',
        "",
        "from hwcomponents import ComponentModel, action",
    ]
    for part in _components(cost):
        lines += [
            "",
            "",
            f"class {_camel(part.name)}(ComponentModel):",
            f'    """{part.what[0].upper()}{part.what[1:]}."""',
            "",
            f'    component_name = ["{part.name}"]',
            "    priority = 0.9",
            "",
            "    def __init__(self):",
            "        super().__init__(",
            f"            area={part.area_um2 * 1e-12:.6g},",
            f"            leak_power={part.leakage_uw * 1e-6:.6g},",
            "        )",
        ]
        for name in ("mac", "compute"):
            lines += [
                "",
                "    @action",
                f"    def {name}(self):",
                '        """Return energy in J and latency in s of a multiply-accumulate."""',
                f"        return {part.mac_pj * 1e-12:.6g}, {latency_s:.6g}",
            ]
    return {f"{cost.name}_hwcomponents.py": "\n".join(lines) + "\n"}


def _zigzag(design: Design, cost: Cost) -> dict[str, str]:
    import yaml

    from minimac.rtl import plan

    if not isinstance(design, Systolic | Mac):
        raise SpecError("export: zigzag knows arrays; use unit systolic or mac, or accelergy")
    rows = columns = 1
    stationary = "O"
    if isinstance(design, Systolic):
        rows, columns = design.array.rows, design.array.columns
        stationary = "O" if design.array.dataflow == "os" else "I2"
    planned: Any = plan(design)
    memory = memory_of({"sram_kb": _SRAM_KB})
    memories: dict[str, Any] = {}
    if stationary == "I2":
        memories["weights"] = _registers(design.b.width if design.b else 0, "I2")
    memories["sums"] = _registers(planned.accumulator.state_layout.size, "O")
    sram_bits = _words(max(rows * design.a.width, columns * design.out.width))
    outer = {"sram": (_SRAM_BITS, sram_bits, memory.sram_pj_per_bit)}
    outer["dram"] = (_DRAM_BITS, _WORD_BITS, memory.dram_pj_per_bit)
    for name, (size, width, each_pj) in outer.items():
        memories[name] = {
            "size": size,
            "r_cost": width * each_pj,
            "w_cost": width * each_pj,
            "area": 0.0,
            "latency": 1,
            "operands": ["I1", "I2", "O"],
            "ports": [
                _port("rw_port_1", "read_write", width, ("I1", "I2", "O"), "fh", "tl", "fl", "th")
            ],
            "served_dimensions": ["D1", "D2"],
        }
    assert cost.area_um2 is not None
    tree = {
        "name": cost.name,
        "memories": memories,
        "operational_array": {
            "unit_energy": round(float(cost.energy_pj_per_mac or 0.0), 6),
            "unit_area": round(cost.area_um2 / (rows * columns), 3),
            "dimensions": ["D1", "D2"],
            "sizes": [rows, columns],
        },
    }
    told = [
        *_origin(design, cost),
        "unit_energy: pJ for a multiply-accumulate, clock, leakage, feet and edge included, so",
        "that registers inside the array cost nothing more. unit_area: um^2 of an element with its",
        "share of feet and edge.",
        "D1 are the rows, D2 the columns.",
        f"Memories outside the array, for as many bits as a port has: {memory.source};",
        "area unknown, so 0.",
    ]
    text = "".join(f"# {line}\n" for line in told)
    return {f"{cost.name}.yaml": text + yaml.safe_dump(tree, sort_keys=False)}


def _registers(bits: int, operand: str) -> dict[str, Any]:
    """Describe a register in each element, whose energy the element has already."""
    ports = [
        _port("r_port_1", "read", bits, (operand,), "tl"),
        _port("w_port_1", "write", bits, (operand,), "fh"),
    ]
    if operand == "O":
        ports += [
            _port("r_port_2", "read", bits, (operand,), "th"),
            _port("w_port_2", "write", bits, (operand,), "fl"),
        ]
    return {
        "size": bits,
        "r_cost": 0.0,
        "w_cost": 0.0,
        "area": 0.0,
        "latency": 1,
        "operands": [operand],
        "ports": ports,
        "served_dimensions": [],
    }


def _port(
    name: str, kind: str, bits: int, operands: tuple[str, ...], *directions: str
) -> dict[str, Any]:
    """Describe a port; only sums go up to a memory, and come back from below."""
    return {
        "name": name,
        "type": kind,
        "bandwidth_min": min(bits, _WORD_BITS),
        "bandwidth_max": bits,
        "allocation": [
            f"{operand}, {direction}"
            for operand in operands
            for direction in directions
            if operand == "O" or direction in ("fh", "tl")
        ],
    }


def _words(bits: int) -> int:
    """Round up to whole words."""
    return -(-bits // _WORD_BITS) * _WORD_BITS


def _origin(design: Design, cost: Cost) -> list[str]:
    """Say what was measured, how, and where figures hold."""
    found = cost.provenance
    stimulus = found["stimulus"]
    lines = [
        f"{design.summary()}; {cost.technology} ({found['process']}), {cost.clock_mhz:g} MHz",
        (
            f"minimac {found['versions']['minimac']} {found['commit']}, pyosys "
            f"{found['versions']['pyosys']}, no place and route; design {found['design_digest']}"
        ),
        (
            f"energy: operands {stimulus['operands']}, M x K x N "
            f"{' '.join(stimulus['shapes_mkn'])}, {stimulus['macs_per_cycle']:.4g} MACs a cycle, "
            "without glitches and clock tree"
        ),
    ]
    if "composed" in found:
        lines.append(f"composed from arrays of {', '.join(found['composed']['from'])}")
    return lines


def _nanometres(cost: Cost) -> str:
    node = re.search(r"(\d+) nm", str(cost.provenance["process"]))
    if node is None:
        raise SpecError(
            f"export: accelergy needs the node, and the process of {cost.technology} names none; "
            "write it as '130 nm' there"
        )
    return node[1]


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


#: What writes the files of each tool.
TOOLS: Mapping[str, Callable[[Design, Cost], dict[str, str]]] = {
    "accelergy": _accelergy,
    "hwcomponents": _hwcomponents,
    "zigzag": _zigzag,
}
