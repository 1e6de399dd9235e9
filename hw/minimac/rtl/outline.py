"""Modules that are written once and instantiated by name."""

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    EnableInserter,
    Fragment,
    Instance,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

from minimac.spec import Design

__all__ = ["Outline"]


class Outline:
    """Where a unit gets its parts from.

    By default a part is elaborated wherever it is used, as in any Amaranth design. With a
    ``design`` it is replaced by an instance of the module ``<design.name>_<name>``, and kept in
    ``texts``, so that a Verilog file has it once. Clock, reset and clock enable reach every module
    that has a use for them.

    Parameters
    ----------
    design : Design, optional
        The design whose Verilog is written.

    Attributes
    ----------
    texts : dict of str to str
        RTLIL of the modules, by name.
    enable : Signal or None
        The clock enable in every module, if there is one.
    """

    def __init__(self, design: Design | None = None) -> None:
        self.design = design
        self.texts: dict[str, str] = {}
        self.enable = Signal(name="ce") if design is not None and design.clock_enable else None
        self._parts: dict[str, tuple[wiring.Signature, set[str]]] = {}

    def domain(self) -> ClockDomain:
        """Return a new clock domain with the design's sort of reset."""
        assert self.design is not None
        reset = self.design.reset
        return ClockDomain("sync", reset_less=reset == "none", async_reset=reset == "async")

    def part(self, m, name: str, instance: str, make: Callable[[], wiring.Component]):
        """Add a part to a module as the submodule ``instance``; return its ports."""
        if self.design is None:
            m.submodules[instance] = component = make()
            return component
        module = f"{self.design.name}_{name}"
        if module not in self._parts:
            part = make()
            self._parts[module] = part.signature, self._add_part(module, part)
        signature, used = self._parts[module]
        ports = signature.create(path=(instance,))
        connections = {
            f"{'i' if member.flow is wiring.In else 'o'}_{port}": Value.cast(getattr(ports, port))
            for port, member in signature.members.items()
            if port in used
        }
        if "clk" in used:
            connections["i_clk"] = ClockSignal()
        if "rst" in used:
            connections["i_rst"] = ResetSignal()
        if "ce" in used:
            connections["i_ce"] = self.enable
        m.submodules[instance] = Instance(module, **connections)
        return ports

    def _add_part(self, name: str, part: wiring.Component) -> set[str]:
        domain = self.domain()
        controls = {"clk": domain.clk, "rst": domain.rst, "ce": self.enable}
        ports = {
            port: (signal, PortDirection.Input)
            for port, signal in controls.items()
            if signal is not None
        }
        for port, member in part.signature.members.items():
            direction = PortDirection.Input if member.flow is wiring.In else PortDirection.Output
            ports[port] = Value.cast(getattr(part, port)), direction
        self.add(name, part, ports, domain)
        self.texts[name], used = _without_unused(self.texts[name])
        return used

    def add(
        self,
        name: str,
        elaboratable: Any,
        ports: Mapping[str, tuple[Signal, PortDirection]],
        domain: ClockDomain,
    ) -> None:
        """Convert a module with all that is in it to RTLIL, with these ports in this order."""
        if self.enable is not None:
            elaboratable = EnableInserter(self.enable)(elaboratable)
        fragment = Fragment.get(elaboratable, None)
        fragment.add_domains(domain)
        text = rtlil.convert(fragment, name=name, ports=ports, emit_src=False)
        modules = share_modules(text)
        order = list(ports)

        def number(found: re.Match[str]) -> str:
            return f"{found[1]} {order.index(found[2]) + 1} \\{found[2]}\n"

        modules[name] = _PORT.sub(number, modules[name])
        self.texts |= modules


_CELL = re.compile(r"^(  cell \\)(\S+)", re.MULTILINE)
_MODULE = re.compile(r"^(?:attribute [^\n]*\n)*module \\(\S+)\n.*?^end\n", re.MULTILINE | re.DOTALL)


def share_modules(text: str) -> dict[str, str]:
    r"""Return the modules of RTLIL by name, those that differ only by name once.

    The top, which comes first, keeps its name; ``\top.product_0``, ``\top.product_1`` and so on
    become ``\top_product``.
    """
    modules = {found[1]: found[0] for found in _MODULE.finditer(text)}
    top = next(iter(modules))
    shared: dict[str, str] = {}  # names by path
    kept: dict[str, str] = {}
    # A module's own parts first, since their names are part of its text.
    for path in sorted(modules, key=lambda path: -path.count(".")):
        body = _CELL.sub(lambda cell: cell[1] + shared.get(cell[2], cell[2]), modules[path])
        base = re.sub("_[0-9]+$", "", path.rpartition(".")[2])
        names = (
            f"{top}_{base}{n}" for n in itertools.chain([""], map("_{}".format, itertools.count(2)))
        )
        for name in [top] if path == top else names:
            renamed = body.replace(f"module \\{path}\n", f"module \\{name}\n")
            if kept.setdefault(name, renamed) == renamed:
                shared[path] = name
                break
    return kept


_PORT = re.compile(
    r"^(  wire width \d+ (?:input|output)) \d+ +(?:signed +)?\\(\S+)\n", re.MULTILINE
)


def _without_unused(module: str) -> tuple[str, set[str]]:
    """Remove the ports of a module that nothing in it uses; return also those that are left."""
    ports = {port for _, port in _PORT.findall(module)}
    used = {port for port in ports if len(re.findall(rf"\\{re.escape(port)}(?=\s)", module)) > 1}
    return _PORT.sub(lambda found: found[0] if found[2] in used else "", module), used
