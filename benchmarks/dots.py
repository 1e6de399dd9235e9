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
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from amaranth.back import rtlil
from amaranth.hdl import Cat, Const, Fragment, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from minimac.cost import Library, load_technology, measure
from minimac.cost import synthesis as flow
from minimac.cost.cache import Cache
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.pipeline import Pipeline
from minimac.spec import Dot, load_design

_PAGE = Path(__file__).parent.parent / "docs" / "dots.md"
_CELLS = ("sky130", "asap7")
_MOST_BITS = 1 << 14  # that pass a place; those that do not are zero, and cost nothing


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


class _Recorder(Pipeline):
    """A pipeline without registers that remembers what passes each place."""

    def __init__(self) -> None:
        super().__init__((), Const(1))
        self.passed: dict[str, list[Value]] = {}

    def cut(self, m: Module, place: str, value: data.View) -> data.View:
        self.passed.setdefault(place, []).append(value.as_value())
        return value


class Step(wiring.Component):
    """One step of a chain, with a register for its state or without; or its beginning.

    Parameters
    ----------
    design : Dot
        What is computed.
    register : bool
        Whether the result is held, and added to in the next step; else it starts from zero.
    place : str, optional
        Where it ends: at this place for registers. What was held in between is an output.
    """

    def __init__(self, design: Dot, *, register: bool, place: str | None = None) -> None:
        self.accumulator = accumulator_for(design)
        self.register, self.place = register, place
        layout = self.accumulator.state_layout
        operands = {name: In(shape) for name, shape in self.accumulator.operands.items()}
        super().__init__(
            operands
            | ({"first": In(1)} if register else {})
            | ({"state": In(layout)} if place else {})
            | {"y": Out(_MOST_BITS if place else layout)}
        )

    def elaborate(self, platform):  # noqa: D102
        m = Module()
        accumulator, pipe = self.accumulator, _Recorder()
        state = Signal(accumulator.state_layout, reset_less=True)
        operands = {name: getattr(self, name) for name in accumulator.operands}
        product = accumulator.multiply(m, pipe, **operands)
        start = Signal.like(state)
        if self.place:
            m.d.comb += start.eq(self.state)
        elif self.register:
            m.d.comb += start.eq(Mux(self.first, 0, state))
        result = accumulator.step(m, pipe, start, product)
        if self.place:
            m.d.comb += self.y.eq(Cat(pipe.passed[self.place]))
        elif self.register:
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
        Time for one mapping: ABC takes minutes to prove what cannot happen in a rounded sum.
    """

    def __init__(self, limit_s: float) -> None:
        self.cache, self.limit_s = Cache(), limit_s

    def netlist(self, step: Step, commands: list[str], files: Mapping[str, str]) -> Any:
        """Return the netlist that commands make of a step, None if it takes too long."""
        text = rtlil.convert(step, name="unit", emit_src=False)
        key = {"rtlil": text, "flow": commands, **files, "pyosys": version("pyosys")}
        modules = self.cache.load(key)
        if modules is not None:
            return modules
        with tempfile.TemporaryDirectory(prefix="minimac-") as name:
            folder = Path(name)
            for file, content in {"design.il": text, **files}.items():
                (folder / file).write_text(content, encoding="utf-8")
            yosys = flow._Yosys(folder, time.monotonic() + self.limit_s)
            run = ["read_rtlil design.il", *commands, "write_json netlist.json"]
            try:
                modules = yosys.netlist(run)
            except flow.SynthesisError as error:
                print(f"left out: {error}", file=sys.stderr)
                return None
        self.cache.store(key, modules)
        return modules

    def area(self, step: Step, technology: str) -> float | None:
        """Return the area of a step in um^2."""
        library = load_technology(technology)
        assert isinstance(library, Library)
        commands = [
            "synth -flatten -noabc -noalumacc -top unit",
            "opt -full",
            "dfflibmap -liberty cells.lib",
            "abc -liberty cells.lib",
            "opt_clean -purge",
        ]
        modules = self.netlist(step, commands, {"cells.lib": library.liberty()})
        if modules is None:
            return None
        cells = modules["unit"]["cells"].values()
        return float(sum(library.cells[cell["type"]].area_um2 for cell in cells))

    def luts(self, step: Step) -> tuple[int, int] | None:
        """Return LUTs and CARRY4 of xc7, without DSP."""
        options = "-family xc7 -flatten -noiopad -noclkbuf -nodsp -top unit"
        modules = self.netlist(step, [f"synth_xilinx {options}"], {})
        if modules is None:
            return None
        kinds = [cell["type"] for cell in modules["unit"]["cells"].values()]
        return sum(kind.startswith("LUT") for kind in kinds), kinds.count("CARRY4")


def _load(tree: Mapping[str, Any]) -> Dot:
    design = load_design(dict(tree))
    assert isinstance(design, Dot)
    return design


def compare(row: Reference, mapper: Mapper) -> dict[str, str]:
    """Measure a circuit beside that of others."""
    design = _load(row.design)
    found = {"dot product": row.title, "of": row.source}
    for technology, figure in zip(_CELLS, row.figures, strict=False):
        mine = mapper.area(Step(design, register=row.has_register), technology)
        found[f"{technology}, um2"] = f"{mine:,.{0 if mine > 10_000 else 1}f}" if mine else ""
        found[f"{technology}, ratio"] = f"{mine / figure:.3f}" if mine else ""
    mapped = mapper.luts(Step(design, register=row.has_register))
    found["xc7 LUT + CARRY4"] = "{:,} + {}".format(*mapped) if mapped else ""
    found["xc7, ratio"] = f"{mapped[0] / row.figures[2]:.3f}" if mapped else ""
    return found


def breakdown(row: Reference, mapper: Mapper) -> list[dict[str, str]]:
    """Map all beginnings of a step on sky130; a part is what its end adds to the one before."""
    design = _load(row.design)
    accumulator = accumulator_for(design)
    recorder, m = _Recorder(), Module()
    operands = {name: Signal(shape, name=name) for name, shape in accumulator.operands.items()}
    product = accumulator.multiply(m, recorder, **operands)
    accumulator.step(m, recorder, Signal(accumulator.state_layout), product)
    Fragment.get(m, None)  # it leads nowhere, and Amaranth would warn
    steps = {place: Step(design, register=False, place=place) for place in recorder.passed}
    steps["its end"] = Step(design, register=row.has_register)
    found, before = [], 0.0
    for place, step in steps.items():
        upto = mapper.area(step, "sky130")
        if upto is not None:
            values = row.title, place, f"{upto:,.0f}", f"{upto - before:,.0f}"
            found.append(dict(zip(["dot product", "up to", "um2", "more"], values, strict=True)))
            before = upto
    return found


def windows() -> list[dict[str, str]]:
    """Measure what the short window of an H100 saves, by the flow of ``minimac cost``."""
    found = []
    for technology, clock_mhz in (("sky130", 20.0), ("asap7", 100.0)):
        for title, tree in WINDOWS.items():
            design = _load({**tree, "technology": technology, "clock_mhz": clock_mhz})
            try:
                cost = measure(design)
            except flow.SynthesisError as error:
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
where the reference has one. Figures of FormatScope and of MX-for-FPGA are from another run of that
flow; those of MX-for-FPGA on sky130 with the full library.
""",
    """\
`minimac cost`, `pipeline: 0`, a relaxed clock, e4m3fn x e4m3fn -> fp32, 32 lanes, foot included;
energy with normally distributed operands.
""",
    """\
Beginnings of a step, each mapped by itself on sky130: area up to a place, and what that is more
than up to the one before; optimisation across places goes to the later one. `multiply`: products,
and their exponents. `largest`: the largest exponent. `align`: all terms shifted into the window.
`tree`: added up. `count`, `shift`, `round`: the leading one found and brought to the top, rounded.
`scale`: times the scales. `outer_...`: places of the sum in fp32.
""",
]


def _table(rows: list[dict[str, str]]) -> list[str]:
    head = list(rows[0])
    return [
        f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *map(dict.values, rows))
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
            lines += [title, words, *_table(rows)] if rows else []
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
