"""From designs to components, Verilog, and a description of the interface."""

from typing import Any

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil
from amaranth.lib import data, stream, wiring

from minimac.rtl.mac import MacPlan
from minimac.rtl.outline import Outline
from minimac.rtl.systolic import SystolicPlan
from minimac.spec import Design, Mac, Systolic

__all__ = ["create", "describe", "plan", "to_verilog"]

#: What is known of a unit before it is built, by the class of its design.
_PLANS: dict[type[Design], Any] = {Mac: MacPlan, Systolic: SystolicPlan}


def plan(design: Design) -> Any:
    """Return interface and timing of a design: ``signature``, ``latency``, ``create()``."""
    return _PLANS[type(design)](design)


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
    return _verilog("\n".join(texts))


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
    # The program that comes with Amaranth; its package offers no other way to find it.
    yosys = find_yosys(lambda version: version >= (0, 40))
    text: str = yosys.run(["-q", "-"], "\n".join(script))
    return text


def describe(design: Design) -> dict[str, Any]:
    """Describe the interface of a design: ports, packing of the payloads, latency.

    Returns
    -------
    dict
        ``module``, ``latency_cycles``, and ``ports``: for each stream its direction and, for each
        field of the payload, lowest bit, width and count.
    """
    planned = plan(design)
    ports: dict[str, Any] = {}
    for name, member in planned.signature.members.items():
        assert isinstance(member.signature, stream.Signature)
        ports[name] = {
            "direction": "in" if member.flow is wiring.In else "out",
            "signals": [f"{name}__payload", f"{name}__valid", f"{name}__ready"],
            "payload": _fields(member.signature.members["payload"].shape),
        }
    return {
        "module": design.name,
        "clock": "clk",
        "reset": "rst (synchronous, active high)",
        "latency_cycles": planned.latency,
        "ports": ports,
    }


def _fields(shape: Any) -> dict[str, Any]:
    """Bit positions of a payload's fields; an array is its first element and a count."""
    if not isinstance(shape, data.StructLayout):
        width = shape if isinstance(shape, int) else shape.width
        return {"": {"lowest_bit": 0, "width": width, "count": 1}}
    found: dict[str, Any] = {}
    for name, field in shape:
        count, item = 1, field.shape
        if isinstance(item, data.ArrayLayout):
            count, item = item.length, item.elem_shape
        width = data.Field(item, 0).width
        entry: dict[str, Any] = {"lowest_bit": field.offset, "width": width, "count": count}
        if isinstance(item, data.StructLayout):
            entry["fields"] = _fields(item)
        if width:
            found[name] = entry
    return found
