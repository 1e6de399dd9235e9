"""Measure the delays of primitives, for the places of registers: ``python -m benchmarks.delays``.

Writes ``hw/minimac/rtl/delays.yaml``. Standard cells: each primitive between registers, mapped for
a clock that it cannot meet, with the flow and the timing of :mod:`minimac.cost`. ECP5, iCE40 and
GW2A: in the same way, placed and routed by nextpnr. xc7, which has no open flow that is as easy to
install: those of ECP5 times a guess.
"""

import argparse
import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml
from amaranth.back import verilog
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from minimac.cost import (
    Library,
    analyse,
    flatten,
    load_technology,
    place_and_route,
    synthesise,
)
from minimac.rtl.shift import leading_zeros, shift_left

TARGET = Path(__file__).parent.parent / "hw/minimac/rtl/delays.yaml"
CELLS = ("sky130", "asap7", "sg13g2")
FAMILIES = ("ecp5", "ice40", "gowin")

# Far beyond what any of them does, so that the mapper goes for speed.
_CLOCK_MHZ = {"sky130": 2000.0, "asap7": 10_000.0, "sg13g2": 2000.0}

# An Artix-7 of speed grade 1 against an ECP5 of grade 6: a guess, by data sheets.
_XC7_TO_ECP5 = 0.8

Logic = Callable[[Module, Sequence[Value]], Value]


class Primitive(wiring.Component):
    """Some logic between registers."""

    def __init__(self, widths: Sequence[int], logic: Logic, out_width: int) -> None:
        self.widths, self.logic = widths, logic
        inputs = {f"i{n}": In(width) for n, width in enumerate(widths)}
        super().__init__(inputs | {"o": Out(out_width)})

    def elaborate(self, platform: Any) -> Module:
        """Put registers on either side."""
        m = Module()
        held = [
            Signal(width, name=f"held_{n}", reset_less=True) for n, width in enumerate(self.widths)
        ]
        for n, signal in enumerate(held):
            m.d.sync += signal.eq(getattr(self, f"i{n}"))
        result = Signal.like(self.o, reset_less=True)
        m.d.sync += result.eq(self.logic(m, held))
        m.d.comb += self.o.eq(result)
        return m


def register() -> Primitive:
    """Put nothing between registers, but drive four."""
    return Primitive([1], lambda m, x: x[0].replicate(4), 4)


def gates(levels: int) -> Primitive:
    """Chain what no mapper can turn into a tree: exclusive or and multiplexer in turn."""

    def logic(m: Module, x: Sequence[Value]) -> Value:
        value: Value = x[0][0]
        for n in range(levels // 2):
            value = Mux(x[2][n], value ^ x[1][n], x[3][n])
        return value

    return Primitive([1, levels // 2, levels // 2, levels // 2], logic, 1)


def adder(bits: int) -> Primitive:
    """Make a sum."""
    return Primitive([bits, bits], lambda m, x: x[0] + x[1], bits)


def incrementer(bits: int) -> Primitive:
    """Choose a number or its successor."""
    return Primitive([bits, 1], lambda m, x: x[0] + x[1], bits)


def multiplier(x_bits: int, y_bits: int) -> Primitive:
    """Make an unsigned product."""
    return Primitive([x_bits, y_bits], lambda m, x: x[0] * x[1], x_bits + y_bits)


def shifter(bits: int) -> Primitive:
    """Shift by any distance."""
    return Primitive([bits, (bits - 1).bit_length()], lambda m, x: shift_left(m, x[0], x[1]), bits)


def counter(bits: int) -> Primitive:
    """Count the zeros above a leading one."""
    return Primitive([bits], lambda m, x: leading_zeros(m, x[0]), (bits - 1).bit_length())


def reducer(bits: int) -> Primitive:
    """Say whether any bit is set."""
    return Primitive([bits], lambda m, x: x[0].any(), 1)


#: Primitives: what makes one, and of which sizes.
PRIMITIVES: dict[str, tuple[Callable[..., Primitive], list[tuple[int, ...]]]] = {
    "adder": (adder, [(8,), (16,), (32,), (64,)]),
    "incrementer": (incrementer, [(8,), (16,), (32,)]),
    "multiplier": (multiplier, [(4, 4), (8, 8), (11, 11), (24, 24)]),
    "shifter": (shifter, [(8,), (16,), (32,), (64,)]),
    "leading_zeros": (counter, [(8,), (16,), (32,), (64,)]),
    "any": (reducer, [(8,), (32,)]),
}
_TREES = ("shifter", "leading_zeros", "any")
_CHAIN = 8


def measured_ps(technology: str, primitive: Primitive, seed: int) -> float:
    """Return the least clock period of a primitive between registers."""
    target = load_technology(technology)
    text = verilog.convert(primitive, name="primitive", emit_src=False)
    if isinstance(target, Library):
        clock = _CLOCK_MHZ[technology]
        synthesis = synthesise(text, "primitive", target, clock_mhz=clock)
        return analyse(flatten(synthesis.modules, "primitive", target)).by_kind_ps[
            "register_to_register"
        ]
    # Placement is a matter of luck; the clock is one for which all is as fast as it can be.
    options = {"seeds": range(seed, seed + 3), "clock_mhz": 1000.0}
    return median(x.period_ps for x in place_and_route(text, "primitive", target, **options))


def measure(technology: str, seed: int) -> dict[str, Any]:
    """Return the delays of a technology, fitted."""
    own_ps = measured_ps(technology, register(), seed)
    chain_ps = measured_ps(technology, gates(_CHAIN), seed)
    found: dict[str, Any] = {
        "register": round(own_ps, 1),
        "level": round((chain_ps - own_ps) / _CHAIN, 1),
    }
    for name, (make, sizes) in PRIMITIVES.items():
        points = {}
        for size in sizes:
            points[sum(size)] = measured_ps(technology, make(*size), seed) - own_ps
            print(f"{technology} {name} {size}: {points[sum(size)]:.0f} ps", flush=True)
        found[name] = fitted(points, tree=name in _TREES)
    return found


def fitted(points: dict[int, float], *, tree: bool) -> dict[str, Any]:
    """Fit delays by the logarithm of the size; what is no tree, by the size if that is nearer."""
    sizes, delays = list(points), list(points.values())
    fits = {}
    for key, scale in (("per_log2", np.log2(sizes)), ("per_bit", np.asarray(sizes))):
        slope, base = np.polyfit(scale, delays, 1)
        error = float(np.sum((base + slope * scale - delays) ** 2))
        fits[key] = error, {"base": round(float(base), 1), key: round(float(slope), 1)}
    _, best = fits["per_log2"] if tree else min(fits.values(), key=lambda fit: fit[0])
    return {**best, "measured": {size: round(delay, 1) for size, delay in points.items()}}


def scaled(found: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return delays times a factor, without the figures that were measured."""
    return {
        key: scaled(value, factor) if isinstance(value, dict) else round(value * factor, 1)
        for key, value in found.items()
        if key != "measured"
    }


_HEADER = """\
# Delays of primitives in ps, written by `python -m benchmarks.delays`; do not edit.
# One of so many bits (a multiplier: x and y bits) takes base + per_log2 * log2(bits), or base +
# per_bit * bits. `register` is from the clock to an output and the set-up of the next register,
# `level` a gate or two-way multiplexer with its wires.
"""


def main() -> None:
    """Measure the technologies that are asked for, and keep what is known of the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="first seed of nextpnr")
    known = [*CELLS, *FAMILIES]
    parser.add_argument("technologies", nargs="*", metavar="TECHNOLOGY", help=", ".join(known))
    options = parser.parse_args()
    tree = yaml.safe_load(TARGET.read_text()) if TARGET.exists() else {}
    delays = tree.get("delays", {})
    for technology in options.technologies or known:
        delays[technology] = measure(technology, options.seed)
    if "ecp5" in delays:
        delays["xc7"] = scaled(delays["ecp5"], _XC7_TO_ECP5)
    wheels = (f"yowasp-nextpnr-{name}" for name in ("ecp5", "ice40", "himbaechel-gowin"))
    packages = ("pyosys", "amaranth", *wheels)
    tree = {
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "guessed": {"xc7": f"{_XC7_TO_ECP5} times ecp5"},
        "delays": {name: delays[name] for name in (*CELLS, *FAMILIES, "xc7") if name in delays},
    }
    TARGET.write_text(_HEADER + yaml.safe_dump(tree, sort_keys=False))


if __name__ == "__main__":
    main()
