"""From designs to components, Verilog, and a description of the interface."""

import os
from importlib.metadata import version
from typing import Any

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil
from amaranth.lib import data, stream, wiring

from minimac.rtl.outline import Outline
from minimac.rtl.planning import plan
from minimac.spec import Design

__all__ = ["create", "describe", "to_verilog"]

_CHOICE = "AMARANTH_USE_YOSYS"


def create(design: Design) -> wiring.Component:
    """Create the component of a design, for use in an Amaranth module."""
    component: wiring.Component = plan(design).create()
    return component


def to_verilog(design: Design) -> str:
    """Return Verilog for a design, in a module called ``design.name``.

    Elements and feet have a module each, ``<name>_element`` and ``<name>_foot``. The text depends
    on the design and on the versions of Amaranth and Yosys, and on nothing else, so that outputs
    can be compared.
    """
    outline = Outline(design.name)
    texts = [rtlil.convert(plan(design).create(outline), name=design.name, emit_src=False)]
    for name, part in outline.modules.items():
        texts.append(rtlil.convert(part, name=name, emit_src=False))
    return _header(design) + _verilog("\n".join(texts))


def _header(design: Design) -> str:
    """Say what a file holds, and what a linter need not."""
    return "\n".join(
        [
            f"// {design.name}: {design.unit}, {design.summary()}",
            (
                f"// latency {plan(design).latency} cycles, minimac {version('minimac')}, "
                f"design {design.digest}"
            ),
            "// Ports, packing and protocol are in the description beside this file.",
            "/* verilator lint_off WIDTHEXPAND */  // Yosys writes constants as narrow as they are",
            "",
        ]
    )


def _verilog(rtlil_text: str) -> str:
    """Convert RTLIL to Verilog: assignments and registers, no ``always @*``.

    Amaranth's own conversion keeps conditions as ``always @*``. Those that depend on nothing but
    what is constant at first never run in an event-driven simulator, and their outputs stay X.
    """
    script = [
        f"read_rtlil <<rtlil\n{rtlil_text}\nrtlil",
        "proc -norom",
        "opt_clean",
        "opt_dff",  # enables and resets as people write them
        "opt_clean -purge",
        "write_verilog -norename -noattr",
    ]
    # Amaranth comes with the program, but offers no public way to find it.
    asked = os.environ.get(_CHOICE)
    os.environ[_CHOICE] = "builtin"  # equal designs give equal text, whatever else is installed
    try:
        text: str = find_yosys(lambda found: found >= (0, 40)).run(["-q", "-"], "\n".join(script))
    finally:
        del os.environ[_CHOICE]
        if asked is not None:
            os.environ[_CHOICE] = asked
    return text


def describe(design: Design) -> dict[str, Any]:
    """Describe the interface of a design: ports, packing of the payloads, latency, protocol.

    Returns
    -------
    dict
        ``module``, ``clock``, ``reset``, ``latency_cycles``, ``register_stages`` inside an element,
        ``protocol``, and ``ports``: for each stream its direction, its signals and, for each field
        of the payload, lowest bit, width, count and meaning.
    """
    planned = plan(design)
    ports: dict[str, Any] = {}
    for name, member in planned.signature.members.items():
        assert isinstance(member.signature, stream.Signature)
        payload = member.signature.members["payload"].shape
        ports[name] = {
            "direction": "in" if member.flow is wiring.In else "out",
            "signals": [f"{name}__payload", f"{name}__valid", f"{name}__ready"],
            "payload": _fields(payload, planned.meaning[name], planned.accumulator.meaning),
        }
    return {
        "module": design.name,
        "arithmetic": design.summary(),
        "clock": "clk, rising edge",
        "reset": "rst, synchronous, active high; data registers keep their values",
        "register_stages": len(planned.cuts),
        "latency_cycles": planned.latency,
        "protocol": planned.protocol,
        "ports": ports,
    }


def _fields(
    layout: data.StructLayout, meaning: dict[str, str], state: dict[str, str]
) -> dict[str, Any]:
    """Describe the fields of a payload; an array by its lowest item and their count."""
    found: dict[str, Any] = {}
    for name, field in layout:
        count, item = 1, field.shape
        if isinstance(item, data.ArrayLayout):
            count, item = item.length, item.elem_shape
        found[name] = {
            "lowest_bit": field.offset,
            "width": data.Field(item, 0).width,
            "count": count,
            "meaning": meaning[name],
        }
        if isinstance(item, data.StructLayout):
            found[name]["fields"] = _fields(item, state, {})
    return found
