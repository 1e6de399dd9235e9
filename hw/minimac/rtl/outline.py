"""Modules that are written once and instantiated by name."""

from collections.abc import Callable

from amaranth.hdl import ClockSignal, Instance, ResetSignal, Value
from amaranth.lib import wiring

__all__ = ["Outline"]


class Outline:
    """Where a unit gets its parts from.

    By default a part is elaborated wherever it is used, as in any Amaranth design. With a
    ``prefix`` it is replaced by an instance of the module ``<prefix>_<name>``, and kept in
    ``modules``, so that a Verilog file has it once.

    Parameters
    ----------
    prefix : str, optional
        Start of the modules' names.

    Attributes
    ----------
    modules : dict
        The parts, by the names of their modules.
    """

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = prefix
        self.modules: dict[str, wiring.Component] = {}

    def part(self, m, name: str, instance: str, make: Callable[[], wiring.Component]):
        """Add a part to a module as the submodule ``instance``; return its ports."""
        if self.prefix is None:
            m.submodules[instance] = component = make()
            return component
        module = f"{self.prefix}_{name}"
        if module not in self.modules:
            self.modules[module] = make()
        model = self.modules[module]
        ports = model.signature.create(path=(instance,))
        connections = {
            f"{'i' if member.flow is wiring.In else 'o'}_{port}": Value.cast(getattr(ports, port))
            for port, member in model.signature.members.items()
        }
        if not getattr(model, "COMBINATIONAL", False):
            connections |= {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        m.submodules[instance] = Instance(module, **connections)
        return ports
