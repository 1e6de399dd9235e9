"""A description of what a design's Verilog has for ports: for programs, and for people."""

from collections.abc import Iterator
from typing import Any

from minimac.rtl.planning import plan
from minimac.rtl.wrappers import Interface, interface_of
from minimac.spec import Design

__all__ = ["as_markdown", "describe"]


def describe(design: Design) -> dict[str, Any]:
    """Describe the interface of a design: ports, where their fields are, latency, protocol.

    Returns
    -------
    dict
        ``module``, ``unit``, ``arithmetic``, ``interface``; ``clock``, ``reset`` and
        ``clock_enable``, the latter two None if there are none; ``register_stages`` inside an
        element; ``latency_cycles``, ``throughput``, ``protocol``; ``ports``, in order: name,
        direction, width, meaning; ``streams``: for each its direction and for each field of it
        where it is, width and count of its items, meaning and, where an item has parts, those.
        Of a Wishbone slave also ``registers``.
    """
    planned = plan(design)
    interface = interface_of(design)
    return {
        "module": design.name,
        "unit": design.unit,
        "arithmetic": design.summary(),
        "interface": design.interface,
        "clock": {"port": interface.CLOCK, "edge": "rising", "mhz": design.clock_mhz},
        "reset": _reset(design, interface),
        "clock_enable": _enable(interface) if design.clock_enable else None,
        "register_stages": len(planned.cuts),
        "latency_cycles": planned.latency,
        "throughput": "a transfer a cycle at most, on each stream",
        "protocol": [*planned.protocol, *interface.protocol],
        "ports": [
            {
                "name": port.name,
                "direction": "in" if port.into else "out",
                "width": port.width,
                "meaning": port.meaning,
            }
            for port in interface.ports
        ],
        **interface.describe(),
    }


def _reset(design: Design, interface: Interface) -> dict[str, str] | None:
    if design.reset == "none":
        return None
    when = {
        "sync": "taken at a rising edge of the clock",
        "async": "at once; release it away from a rising edge of the clock",
    }[design.reset]
    return {
        "port": interface.RESET,
        "style": design.reset,
        "active": "low" if interface.ACTIVE_LOW else "high",
        "meaning": f"{when}; registers of data may keep their values",
    }


def _enable(interface: Interface) -> dict[str, str]:
    return {
        "port": interface.ENABLE,
        "meaning": "while it is low no register changes, and what the unit drives of valid, ready "
        "and acknowledge is low, so that nothing is transferred; afterwards all is as before",
    }


def as_markdown(told: dict[str, Any]) -> str:
    """Return a description as a page for people: sketch, ports, streams or registers, protocol.

    Parameters
    ----------
    told : dict
        As :func:`describe` returns it.
    """
    reset = told["reset"]
    lines = [
        f"# {told['module']}",
        "",
        f"{told['unit']}: {told['arithmetic']}",
        "",
        "```",
        *_sketch(told),
        "```",
        "",
        f"* Latency in cycles: {told['latency_cycles']}. Throughput: {told['throughput']}.",
        f"* Register stages: {told['register_stages']}; `minimac cost` has the clock they meet.",
        f"* Clock: {told['clock']['port']}, rising edge, {told['clock']['mhz']:g} MHz.",
        f"* Reset: {reset['port']}, active {reset['active']}, {reset['meaning']}."
        if reset
        else "* Reset: none; registers have their values from the start, as an FPGA can give them.",
    ]
    if enable := told["clock_enable"]:
        lines.append(f"* Clock enable: {enable['port']}; {enable['meaning']}.")
    ports = [[p["name"], p["direction"], p["width"], p["meaning"]] for p in told["ports"]]
    lines += ["", *_table(["port", "direction", "width", "meaning"], ports)]
    if registers := told.get("registers"):
        rows = [[f"{r['offset']:#04x}", r["name"], r["access"], r["meaning"]] for r in registers]
        lines += ["", *_table(["offset", "register", "access", "meaning"], rows)]
    if rows := list(_fields(told)):
        lines += ["", *_table(["field", "where", "items x bits", "meaning"], rows)]
    lines += ["", " ".join(told["protocol"]), ""]
    return "\n".join(lines)


def _fields(told: dict[str, Any]) -> Iterator[list[str]]:
    """Say where fields are; not those that are a port of their own, without parts."""

    def bits(low: int, width: int) -> str:
        return f"[{low + width - 1}:{low}]" if width > 1 else f"[{low}]"

    for name, each in told["streams"].items():
        for field, place in each["fields"].items():
            width, count, parts = place["width"], place["count"], place.get("parts", {})
            if told["interface"] == "stream" and count == 1 and not parts:
                continue
            where = place.get("port") or place["register"]
            where += bits(place.get("lowest_bit", 0), width * count)
            yield [f"{name}.{field}", where, f"{count} x {width}", place["meaning"]]
            for part, inside in parts.items():
                at = f"{part}: {bits(inside['lowest_bit'], inside['width'])} of an item"
                yield ["", at, "", inside["meaning"]]


def _sketch(told: dict[str, Any]) -> list[str]:
    """Draw the module as a block: inputs at the left, outputs at the right."""

    def label(port: dict[str, Any]) -> str:
        return str(port["name"]) + (f"[{port['width'] - 1}:0]" if port["width"] > 1 else "")

    left = [label(port) for port in told["ports"] if port["direction"] == "in"]
    right = [label(port) for port in told["ports"] if port["direction"] == "out"]
    wide = max(map(len, left))
    inside = max(len(told["module"]), 8) + 2
    edge = " " * wide + "    +" + "-" * inside + "+"
    lines = [edge]
    for n in range(max(len(left), len(right))):
        into = f"{left[n]:>{wide}} -->|" if n < len(left) else " " * wide + "    |"
        out = f"|--> {right[n]}" if n < len(right) else "|"
        lines.append(f"{into}{told['module'] if n == 0 else '':^{inside}}{out}")
    return [*lines, edge]


def _table(heads: list[str], rows: list[list[Any]]) -> list[str]:
    def line(cells: list[Any]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return [line(heads), line(["---"] * len(heads)), *map(line, rows)]
