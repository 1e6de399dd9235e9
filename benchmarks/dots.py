"""Measure dot products beside those of others: ``python -m benchmarks.dots``.

Writes ``docs/dots.md`` and the figures beside it. Every circuit goes through one plain flow, the
one that the figures of others were made with: Yosys and ABC with their own scripts, no timing. What
stands on either side of a comparison is the logic of a dot product and one register for its state.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from amaranth.back import rtlil
from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from benchmarks.tables import table_of
from minimac.cost import Library, SynthesisError, load_technology, measure
from minimac.cost import synthesis as flow
from minimac.cost.cache import Cache
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.outline import share_modules
from minimac.rtl.pipeline import Pipeline
from minimac.spec import Dot, load_design

_PAGE = Path(__file__).parent.parent / "docs" / "dots.md"
_CELLS = ("sky130", "asap7")
_PARTS = ["dot product", "part", "count", "um2", "share"]
_CELL_FLOW = [
    "synth -flatten -noabc -noalumacc -top unit",
    "opt -full",
    "dfflibmap -liberty cells.lib",
    "abc -liberty cells.lib",
    "opt_clean -purge",
]
_LUT_FLOW = ["synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -nodsp -top unit"]


class Reference(NamedTuple):
    """A dot product of others, and what it takes: um^2 on sky130 and asap7, LUTs of xc7."""

    title: str
    design: Mapping[str, Any]
    figures: tuple[float, float, int]
    source: str
    has_register: bool = True


def _fused(frac_bits: int, **changes: Any) -> dict[str, Any]:
    return {"kind": "fused", "group": 32, "frac_bits": frac_bits, **changes}


def _dot(a: str, out: str, accumulate: Any = None) -> dict[str, Any]:
    tree = {"name": "unit", "unit": "dot", "a": a, "b": a, "out": out}
    return tree | ({"accumulate": accumulate} if accumulate else {})


_FORMATSCOPE = "FormatScope, DP32"
_MX = "MX-for-FPGA"
#: Dot products of 32 lanes.
REFERENCES = [
    Reference(
        "int4, sum of 32 bits",
        _dot("int4", "int32", {"kind": "exact", "max_terms": 1 << 24}),
        (28_954, 352.9, 1_792),
        _FORMATSCOPE,
    ),
    Reference(
        "int8, sum of 32 bits",
        _dot("int8", "int32", {"kind": "exact", "max_terms": 1 << 16}),
        (99_135, 1_215.1, 6_035),
        _FORMATSCOPE,
    ),
    Reference(
        "e4m3fn, window of 24, sticky, rne, fp32",
        _dot("e4m3fn", "fp32", _fused(24, sticky=True, round="rne")),
        (107_914, 1_453.7, 7_325),
        _FORMATSCOPE,
    ),
    Reference("mxint8, fp32", _dot("mxint8", "fp32"), (106_002, 1_342.9, 6_790), _FORMATSCOPE),
    Reference("mxfp4, fp32", _dot("mxfp4", "fp32"), (35_478, 453.8, 1_916), _FORMATSCOPE),
    Reference(
        "e4m3, exact, no register",
        _dot("e4m3", "fp32", {"kind": "exact", "max_terms": 32}),
        (89_281, 1_206.3, 5_609),
        _MX,
        has_register=False,
    ),
    Reference(
        "e2m1, exact, no register",
        _dot("e2m1", "fp32", {"kind": "exact", "max_terms": 32}),
        (19_659, 262.9, 1_343),
        _MX,
        has_register=False,
    ),
]

#: What the short window of an H100 saves.
WINDOWS = {
    "`hopper_fp8`: 13 bits": _dot("e4m3fn", "fp32", "hopper_fp8"),
    "25 bits": _dot("e4m3fn", "fp32", _fused(25)),
    "exact": _dot("e4m3fn", "fp32", {"kind": "exact", "max_terms": 65536}),
}


class Step(wiring.Component):
    """One step of a chain, with a register for its state or without.

    Parameters
    ----------
    design : Dot
        What is computed.
    register : bool
        Whether the result is held, and added to in the next step; else it starts from zero.
    """

    def __init__(self, design: Dot, *, register: bool) -> None:
        self.accumulator = accumulator_for(design)
        self.register = register
        operands = {name: In(shape) for name, shape in self.accumulator.operands.items()}
        first = {"first": In(1)} if register else {}
        super().__init__(operands | first | {"y": Out(self.accumulator.state_layout)})

    def elaborate(self, platform):  # noqa: D102
        m = Module()
        accumulator, pipe = self.accumulator, Pipeline((), Const(1))
        state = Signal(accumulator.state_layout, reset_less=True)
        operands = {name: getattr(self, name) for name in accumulator.operands}
        product = accumulator.multiply(m, pipe, **operands)
        start = Signal.like(state)
        if self.register:
            m.d.comb += start.eq(Mux(self.first, 0, state))
        result = accumulator.step(m, pipe, start, product)
        if self.register:
            m.d.sync += state.eq(result)
            m.d.comb += self.y.eq(state)
        else:
            m.d.comb += self.y.eq(result)
        return m


class Mapper:
    """Maps steps by the plain flow, with a cache and a limit of time.

    Parameters
    ----------
    limit_s : float
        Time for one mapping.
    """

    def __init__(self, limit_s: float) -> None:
        self.cache, self.limit_s = Cache(), limit_s

    def map(self, step: Step, technology: str) -> flow.Synthesis | None:
        """Map a step, None if it takes too long."""
        target = load_technology(technology)
        parts = share_modules(rtlil.convert(step, name="unit", emit_src=False))
        text, files = "\n".join(parts.values()), {}
        commands = [
            f"setattr -mod -set keep_hierarchy 1 {name}" for name in parts if name != "unit"
        ]
        if isinstance(target, Library):
            files["cells.lib"] = target.liberty()
            commands += _CELL_FLOW
        else:
            commands += _LUT_FLOW
        key = {"rtlil": text, "flow": commands, **files, "pyosys": version("pyosys")}
        modules = self.cache.load(key)
        if modules is None:
            modules = self._run({"design.il": text, **files}, commands)
        if modules is None:
            return None
        self.cache.store(key, modules)
        versions = {"pyosys": key["pyosys"]}
        return flow.Synthesis(
            top="unit",
            technology=target,
            modules=modules,
            flow=tuple(commands),
            recipe="",
            versions=versions,
        )

    def _run(self, files: Mapping[str, str], commands: list[str]) -> Any:
        with tempfile.TemporaryDirectory(prefix="minimac-") as name:
            folder = Path(name)
            for file, content in files.items():
                (folder / file).write_text(content, encoding="utf-8")
            yosys = flow.Yosys(folder, time.monotonic() + self.limit_s)
            try:
                return yosys.netlist(["read_rtlil design.il", *commands])
            except SynthesisError as error:
                print(f"left out: {error}", file=sys.stderr)
                return None


def areas(mapped: flow.Synthesis) -> dict[str, tuple[int, float]]:
    """Return how often each module occurs, and the area of all of its cells in um^2."""
    library = mapped.technology
    assert isinstance(library, Library)
    found = {}
    for module, times in mapped.instances().items():
        cells = mapped.cells(module)
        each = sum(library.cells[kind].area_um2 * count for kind, count in cells.items())
        found[module] = times, times * each
    return found


def _load(tree: Mapping[str, Any]) -> Dot:
    design = load_design(dict(tree))
    assert isinstance(design, Dot)
    return design


def compare(row: Reference, mapper: Mapper) -> dict[str, str]:
    """Measure a circuit beside that of others."""
    step = Step(_load(row.design), register=row.has_register)
    found = {"dot product": row.title, "of": row.source}
    for technology, figure in zip(_CELLS, row.figures, strict=False):
        mapped = mapper.map(step, technology)
        area = sum(area for _, area in areas(mapped).values()) if mapped else None
        found[f"{technology}, um2"] = f"{area:,.{0 if area > 10_000 else 1}f}" if area else ""
        found[f"{technology}, ratio"] = f"{area / figure:.3f}" if area else ""
    mapped = mapper.map(step, "xc7")
    kinds = mapped.total() if mapped else Counter()
    luts = sum(count for kind, count in kinds.items() if kind.startswith("LUT"))
    found["xc7 LUT + CARRY4"] = f"{luts:,} + {kinds['CARRY4']}" if luts else ""
    found["xc7, ratio"] = f"{luts / row.figures[2]:.3f}" if luts else ""
    return found


def breakdown(row: Reference, mapper: Mapper) -> list[dict[str, str]]:
    """Say where the area of a circuit is on sky130, module by module."""
    mapped = mapper.map(Step(_load(row.design), register=row.has_register), "sky130")
    by_module = areas(mapped) if mapped else {}
    total = sum(area for _, area in by_module.values())
    found = []
    for module, (times, area) in sorted(by_module.items(), key=lambda item: -item[1][1]):
        part = module.removeprefix("unit_").replace("unit", "the rest")
        values = row.title, part, f"{times}", f"{area:,.0f}", f"{area / total:.1%}"
        found.append(dict(zip(_PARTS, values, strict=True)))
    return found


def windows() -> list[dict[str, str]]:
    """Measure what the short window of an H100 saves, by the flow of ``minimac cost``."""
    found = []
    for technology, clock_mhz in (("sky130", 20.0), ("asap7", 100.0)):
        for title, tree in WINDOWS.items():
            design = _load({**tree, "technology": technology, "clock_mhz": clock_mhz})
            try:
                cost = measure(design)
            except SynthesisError as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            found.append(
                {
                    "technology": technology,
                    "MHz": f"{clock_mhz:g}",
                    "window": title,
                    "um2": f"{cost.area_um2:,.0f}",
                    "ps": f"{cost.delay_ps:,.0f}",
                    "pJ/MAC": f"{cost.energy_pj_per_mac:.4g}",
                }
            )
            print(found[-1], file=sys.stderr)
    return found


_HEAD = """\
# Dot products beside those of others

Written by `python -m benchmarks.dots`; the figures are in [dots.json](dots.json). What took longer
than {limit:g} s to be mapped is left out.
"""
_TITLES = [
    "## Against figures of others\n",
    "\n## What a short window saves\n",
    "\n## Where the area is\n",
]
_WORDS = [
    """\
One plain flow on either side: Yosys with `synth -flatten -noabc -noalumacc; opt -full; dfflibmap;
abc -liberty` on the tables of `sw/minimac/cost/technologies`, and `synth_xilinx -family xc7
-flatten -noiopad -noclkbuf -nodsp`. 32 lanes: the logic of a step, and a register for its state
where the reference has one. Parts of ours stay modules (the attribute `keep_hierarchy`): behind a
rounded sum ABC tries to prove for hours what the products in front of it cannot be. Figures of
FormatScope and of MX-for-FPGA are from another run of that flow, flat; those
of MX-for-FPGA on sky130 with the full library.
""",
    """\
`minimac cost`, `pipeline: 0`, a relaxed clock, e4m3fn x e4m3fn -> fp32, 32 lanes, foot included;
energy with normally distributed operands.
""",
    """\
The same netlists on sky130, module by module; nothing is optimised across their borders.
`product`: a lane's product; of an exact sum in floating point, also its shift to where the sum has
it. `block`: the tree of a block; of integers, their partial products with it. `aligner`: a lane's
shift to the largest exponent. `adder_tree`: all lanes and the state. `rounder`: the leading one
found and brought to the top, rounded. The rest: the largest exponent, scales and the sum in fp32,
registers; of exact sums the tree.
""",
]


def main() -> None:
    """Measure, and write the page and its figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("-o", "--output", type=Path, default=_PAGE, help="where the page goes")
    parser.add_argument("--no-windows", action="store_true", help="leave out windows and parts")
    parser.add_argument("--limit", type=float, default=3600, help="time for one mapping, in s")
    chosen = parser.parse_args()
    mapper = Mapper(chosen.limit)
    tables: dict[str, list[dict[str, str]]] = {"compared": [], "windows": [], "parts": []}

    def write() -> None:
        lines = [_HEAD.format(pyosys=version("pyosys"), limit=chosen.limit)]
        for title, words, rows in zip(_TITLES, _WORDS, tables.values(), strict=True):
            lines += [title, words, table_of(rows)] if rows else []
        chosen.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
        text = json.dumps(tables, indent=1) + "\n"
        chosen.output.with_suffix(".json").write_text(text, encoding="utf-8")

    for row in REFERENCES:
        tables["compared"].append(compare(row, mapper))
        print(tables["compared"][-1], file=sys.stderr)
        write()
    if chosen.no_windows:
        return
    tables["windows"] = windows()
    write()
    for row in REFERENCES:
        tables["parts"] += breakdown(row, mapper)
        print(row.title, file=sys.stderr)
        write()


if __name__ == "__main__":
    main()
