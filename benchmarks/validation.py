"""Hold the cost model against figures of others: ``python -m benchmarks.validation``.

Writes ``docs/validation.md`` and the figures beside it; with ``--only NAME``, that table of them.
Published figures are of other circuits, in other nodes and flows; what is compared are ratios,
unless node and flow are the same.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tables import table_of
from minimac.cost import Cost, SynthesisError, measure
from minimac.spec import load_design

_PAGE = Path(__file__).parent.parent / "docs" / "validation.md"
#: Relaxed clocks, in MHz: nothing is sized for speed.
_CLOCKS = {"sky130": 20.0, "asap7": 100.0}
_CELLS = tuple(_CLOCKS)

Table = list[dict[str, str]]


class Figures(NamedTuple):
    """What an element takes: um2 and pJ an operation, or LUTs; and the longest path of the unit."""

    area_um2: float
    energy_pj: float
    luts: int
    delay_ps: float


class Bench:
    """Measures elements, each once."""

    def __init__(self) -> None:
        self.found: dict[str, Figures | None] = {}

    def element(self, technology: str, *, part: str = "element", **tree: Any) -> Figures | None:
        """Measure the element of a design, or all of it; None if synthesis fails."""
        title = json.dumps([technology, part, tree], sort_keys=True)
        if title not in self.found:
            self.found[title] = self._measure(technology, part, tree)
            print(title, self.found[title], file=sys.stderr, flush=True)
        return self.found[title]

    def _measure(self, technology: str, part: str, tree: Mapping[str, Any]) -> Figures | None:
        clock_mhz = _CLOCKS.get(technology, 100.0)
        design = load_design({"name": "unit", "clock_mhz": clock_mhz, "pipeline": 0, **tree})
        try:
            cost = measure(design, technology, dsp=None if technology in _CLOCKS else False)
        except SynthesisError as error:
            print(f"left out: {error}", file=sys.stderr)
            return None
        found = cost if part == "unit" else cost.parts[part]
        return Figures(
            area_um2=found.area_um2 or 0.0,
            energy_pj=found.energy_pj_per_mac or 0.0,
            luts=found.luts or 0,
            delay_ps=cost.delay_ps or 0.0,
        )


def _ratio(x: Figures | None, y: Figures | None, name: str = "area_um2") -> str:
    """Return a ratio as text, empty if there is none."""
    return f"{getattr(x, name) / getattr(y, name):.3f}" if x and y and getattr(y, name) else ""


def _elementwise(unit: str, fmt: str, out: str | None = None, **more: Any) -> dict[str, Any]:
    return {"unit": unit, "a": fmt, "b": fmt, "out": out or fmt, **more}


#: M. Horowitz, ISSCC 2014, 45 nm, 0.9 V: pJ, and um2 as they are often quoted.
_HOROWITZ = [
    ("int8 add", _elementwise("adder", "int8"), 0.03, 36),
    ("int16 add", _elementwise("adder", "int16"), 0.05, 67),
    ("int32 add", _elementwise("adder", "int32"), 0.1, 137),
    ("fp16 add", _elementwise("adder", "fp16"), 0.4, 1360),
    ("fp32 add", _elementwise("adder", "fp32"), 0.9, 4184),
    ("int8 mul", _elementwise("multiplier", "int8", "int16"), 0.2, 282),
    ("int32 mul", _elementwise("multiplier", "int32", "int32", out_overflow="wrap"), 3.1, 3495),
    ("fp16 mul", _elementwise("multiplier", "fp16"), 1.1, 1640),
    ("fp32 mul", _elementwise("multiplier", "fp32"), 3.7, 7700),
]


def horowitz(bench: Bench) -> Iterator[dict[str, str]]:
    """Compare operations with the fp32 multiplication of the same table."""
    for title, tree, energy, area in _HOROWITZ:
        row = {"operation": title, "pJ, 45 nm": f"{energy:g}", "of fp32 mul": f"{energy / 3.7:.3f}"}
        for technology in _CELLS:
            mine, base = (bench.element(technology, **x) for x in (tree, _HOROWITZ[-1][1]))
            row[f"{technology}, pJ"] = f"{mine.energy_pj:.3g}" if mine else ""
            row[f"{technology}, energy of fp32 mul"] = _ratio(mine, base, "energy_pj")
            row[f"{technology}, area of fp32 mul"] = _ratio(mine, base)
        row["area of fp32 mul, 45 nm"] = f"{area / 7700:.3f}"
        yield row


#: Dot products of FormatScope: published um2 on sky130 (Yosys 0.68, OpenSTA), and its own source
#: through the plain flow of benchmarks.dots on the tables of this project.
_FORMATSCOPE = [
    ("INT4", 27_906, 28_954),
    ("INT8", 100_177, 99_135),
    ("FP8 E4M3, window 24", 111_259, 107_914),
    ("MXINT8", 110_692, 106_002),
    ("MXFP4", 35_967, 35_478),
]


def formatscope(bench: Bench) -> Iterator[dict[str, str]]:
    """Compare published areas with those of the same source through this flow."""
    base = _FORMATSCOPE[1]
    for title, published, here in _FORMATSCOPE:
        yield {
            "unit of 32 lanes": title,
            "published, um2": f"{published:,}",
            "same source, our flow, um2": f"{here:,}",
            "difference": f"{here / published - 1:+.1%}",
            "of INT8, published": f"{published / base[1]:.3f}",
            "of INT8, our flow": f"{here / base[2]:.3f}",
        }


def fma(bench: Bench) -> Iterator[dict[str, str]]:
    """Compare the fused multiply-add with those of others, through the same flow."""
    for title, figures in (("CVFPU", (7_880, 112.4)), ("HardFloat", (9_552, 131.1))):
        row = {"bf16 fma of": title}
        for technology, figure in zip(_CELLS, figures, strict=True):
            mine = bench.element(technology, **_elementwise("fma", "bf16"))
            area = f"{mine.area_um2:,.4g}" if mine else ""
            row[f"{technology}, um2"] = f"{figure:,}"
            row[f"ours, {technology}"] = area
            row[f"ratio, {technology}"] = f"{mine.area_um2 / figure:.3f}" if mine else ""
        yield row


_LMUL = [
    ("e4m3fn", "0.325 FreePDK45 [1]; 0.32 LUT of UltraScale+ [2]"),
    ("bf16", "0.239 FreePDK45 [1]; 0.332 Nangate45 [3]"),
    ("fp32", "0.111 FreePDK45 [1]"),
]


def lmul(bench: Bench) -> Iterator[dict[str, str]]:
    """Compare multiplication by addition with multiplication."""
    for fmt, published in _LMUL:
        row = {"L-Mul of exact multiplication": fmt, "area, published": published}
        for technology in (*_CELLS, "xc7"):
            pair = [
                bench.element(technology, **_elementwise("multiplier", fmt, product=product))
                for product in ("lmul_add", "exact")
            ]
            if technology == "xc7":
                row["LUT, xc7"] = _ratio(*pair, "luts")
            else:
                row[f"area, {technology}"] = _ratio(*pair)
                row[f"energy, {technology}"] = _ratio(*pair, "energy_pj")
                row[f"delay, {technology}"] = _ratio(*pair, "delay_ps")
        yield row


def khot(bench: Bench) -> Iterator[dict[str, str]]:
    """Compare multiplication by one or two powers of two with that of int8."""
    base = {"unit": "multiplier", "a": "int8", "b": "int8", "out": "int16"}
    for digits in (1, 2):
        row = {"multiplier": f"{digits} power{'s' if digits > 1 else ''} of two x int8"}
        for technology in (*_CELLS, "xc7"):
            pair = [
                bench.element(technology, **base | {"a": a}) for a in (f"khot{digits}:s0.7", "int8")
            ]
            name = "luts" if technology == "xc7" else "area_um2"
            row[f"{'LUT' if technology == 'xc7' else 'area'}, {technology}"] = _ratio(*pair, name)
            if technology != "xc7":
                row[f"energy, {technology}"] = _ratio(*pair, "energy_pj")
                row[f"delay, {technology}"] = _ratio(*pair, "delay_ps")
        yield row


_WINDOW = {"kind": "fused", "frac_bits": 24, "sticky": True, "round": "rne"}
#: Pairs of blocks: what the paper has, and how ours are summed inside a block.
_BLOCKS = [
    ("MXINT8 of MXFP8", "mxint8", "mxfp8_e4m3", "0.79", "0.63"),
    ("NVINT4 of NVFP4", "nvint4", "nvfp4", "0.70", "0.62"),
    ("NVFP4 of MXFP8", "nvfp4", "mxfp8_e4m3", "0.54", "0.55"),
]


def blocks(bench: Bench) -> Iterator[dict[str, str]]:
    """Compare dot products of blocks, a lane, with what INT v.s. FP estimates."""
    for title, first, second, area, energy in _BLOCKS:
        row = {"a lane": title, "area, paper": area, "energy, paper": energy}
        for technology in _CELLS:
            figures = []
            for fmt in (first, second):
                lanes = 16 if fmt.startswith("nv") else 32
                is_wide = fmt.startswith("mxfp8")
                within = {"within": {**_WINDOW, "group": lanes}} if is_wide else {}
                # Two roundings in a row: at the clock of the others it would be sized for speed.
                tree = _elementwise("dot", fmt, "fp32", clock_mhz=_CLOCKS[technology] / 4, **within)
                mine = bench.element(technology, part="unit", **tree)
                figures.append(mine and mine._replace(area_um2=mine.area_um2 / lanes))
            row[f"area, {technology}"] = _ratio(*figures)
            row[f"energy, {technology}"] = _ratio(*figures, "energy_pj")
            row[f"delay, {technology}"] = _ratio(*figures, "delay_ps")
        yield row


_SAED32 = "SAED32, 500 MHz [4]", 1287.7, 333.4


def mac(bench: Bench) -> Iterator[dict[str, str]]:
    """Compare the share of registers of an int8 multiply-accumulate."""
    title, area, registers = _SAED32
    yield {
        "int8 mac, 32 bits": title,
        "um2": f"{area:,}",
        "registers": f"{registers / area:.3f}",
    }
    for technology, clock_mhz in (("sky130", 100.0), ("asap7", 500.0)):
        design = load_design(
            {
                **{"name": "unit", "unit": "systolic", "a": "int8", "b": "int8", "out": "int32"},
                "accumulate": {"kind": "exact", "max_terms": 65536},
                "array": {"rows": 2, "columns": 2, "dataflow": "os"},
            }
        )
        found: Cost = measure(design, technology, clock_mhz=clock_mhz, with_energy=False)
        part = found.parts["element"]
        flip_flops = _flip_flop_area(technology) * (part.registers or 0)
        area = part.area_um2 or 0.0
        yield {
            "int8 mac, 32 bits": f"{technology}, {clock_mhz:g} MHz, an element of an array",
            "um2": f"{area / part.count:,.4g}",
            "registers": f"{flip_flops / area:.3f}",
        }


def _flip_flop_area(technology: str) -> float:
    from minimac.cost import Library, load_technology

    library = load_technology(technology)
    assert isinstance(library, Library)
    return library.flip_flop.area_um2


_SECTIONS = {
    "horowitz": (
        "Horowitz, 45 nm",
        """\
M. Horowitz, ISSCC 2014: energy of an operation at 45 nm and 0.9 V (areas as they are often quoted),
relative to that of an fp32 multiplication, beside combinational elements of ours: `adder` and
`multiplier` with `pipeline: 0`, subnormals and IEEE rounding included, normally distributed
operands. Ours count settled values of the logic alone, no glitches and no registers; what his count
is not published.
""",
    ),
    "formatscope": (
        "FormatScope: the same source in two flows",
        """\
Dot products of 32 lanes, sky130, unconstrained: as published (Yosys 0.68, the full library), and
their Verilog through the plain flow of [dots.md](dots.md) on the tables of this project. How our
own dot products compare is there.
""",
    ),
    "fma": (
        "Fused multiply-add of bf16",
        """\
CVFPU and HardFloat, bf16, through the flow of `minimac cost` at a relaxed clock, beside the element
of our `fma` (subnormals, NaN, infinities; round to nearest even).
""",
    ),
    "lmul": (
        "L-Mul",
        """\
`product: lmul_add` against `exact` in a `multiplier` of one format. [1] a capstone project at UCSD
(OpenROAD, FreePDK45, combinational); [2] Chen et al., arXiv 2412.18948, of a vendor's 8-bit
multiplier; [3] a capstone project (Yosys, OpenSTA, Nangate45). Their exact multipliers round, and
most flush subnormals to zero; ours has them.
""",
    ),
    "khot": (
        "Sums of powers of two (QFX)",
        """\
`khot1` and `khot2` weights against int8 ones, times int8. The paper (arXiv 2401.17544) has no table
of areas to compare with.
""",
    ),
    "blocks": (
        "Block formats: INT v.s. FP",
        """\
arXiv 2510.25602, Table 5, an analytic estimate of a lane with a share of accumulator and
dequantiser; beside `dot` units, registers included, a lane of them: 32 lanes of MX, 16 of NV. Sums
in a block are exact, but for MXFP8, which is summed in a window of 24 bits with a sticky one, as
the paper's aligner is at most 24 wide. Clocks are a quarter of those above, for all to be mapped
for area. Energy: of a MAC, with normally distributed operands.
""",
    ),
    "mac": (
        "int8 multiply-accumulate",
        """\
[4] Synopsys DC, SAED32 RVT, typical, 0.85 V: int8 x int8 + int32 with registers for both operands
and the sum, from the repository that follows up on EN-T. The node and its cells differ; the share
of the area that is registers is comparable.
""",
    ),
}

_HEAD = """\
# How far the cost model agrees with others

Written by `python -m benchmarks.validation`; the figures are in [validation.json](validation.json).
`minimac cost`: Yosys {pyosys} and ABC on the tables of `sw/minimac/cost/technologies`, sky130 at
{sky130:g} MHz and asap7 at {asap7:g} MHz, so that logic is mapped for area; LUTs of xc7 without
DSP. Delays are the longest paths of these netlists, which nothing made short: how deep logic is,
not how fast it can be. Approximate normalisation is in [elements.md](elements.md), EN-T in
[arrays.md](arrays.md).
"""


def write_page(output: Path, tables: Mapping[str, Table]) -> None:
    """Write the page of what was measured so far, and the figures beside it."""
    lines = [_HEAD.format(pyosys=version("pyosys"), **_CLOCKS)]
    for name, rows in tables.items():
        title, words = _SECTIONS[name]
        lines += [f"\n## {title}\n", words, table_of(rows)]
    output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    figures = json.dumps(tables, indent=1) + "\n"
    output.with_suffix(".json").write_text(figures, encoding="utf-8")


def main() -> None:
    """Measure, and write the page and its figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("-o", "--output", type=Path, default=_PAGE, help="where the page goes")
    parser.add_argument("--only", choices=_SECTIONS, nargs="+", help="the tables to measure anew")
    chosen = parser.parse_args()
    bench = Bench()
    tables: dict[str, Table] = {}
    if chosen.only:
        tables = json.loads(chosen.output.with_suffix(".json").read_text(encoding="utf-8"))
    makers = (horowitz, formatscope, fma, lmul, khot, blocks, mac)
    for make, key in zip(makers, _SECTIONS, strict=True):
        if chosen.only and key not in chosen.only:
            continue
        tables[key] = list(make(bench))
        write_page(chosen.output, tables)


if __name__ == "__main__":
    main()
