"""Measure what it saves to recode activations once at the edge of an array; write docs/arrays.md.

``python -m benchmarks.arrays``: an hour, most of it for arrays of 32 x 32.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from amaranth.back import verilog
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data
from rich.console import Console

from benchmarks.tables import table
from minimac.cost import measure
from minimac.cost.netlist import flatten
from minimac.cost.synthesis import synthesise
from minimac.cost.technology import Library, load_technology
from minimac.cost.timing import analyse
from minimac.rtl.arrays.encoding import Encoder, element_arithmetic, encoding_for
from minimac.rtl.arrays.weight_stationary import Element, WeightStationaryPlan
from minimac.spec import Systolic, load_design

_PAGE = Path(__file__).parent.parent / "docs" / "arrays.md"

#: Clocks that all arrays meet, in MHz, and those that single elements are mapped for besides.
CLOCKS = {"sky130": 100, "asap7": 550}
ELEMENT_CLOCKS = {"sky130": [50, 100, 125], "asap7": [400, 550, 900]}
SIZES = [8, 16, 32]
DATAFLOWS = ["ws", "os"]
ENCODINGS = ["none", "booth", "ent"]
SHAPE = (512, 256, 64)  # M, K, N of the product that runs while energy is measured

_TEXT = """\
# Arrays that recode activations at the edge

Written by `python -m benchmarks.arrays`; the figures are in [{figures}]({figures}). int8 x int8 ->
int32, exact sums of up to 65536 terms in {chain} bits. The flow is that of
[figures.md](figures.md): Yosys and ABC, element and foot mapped once, no place and route.

A multiplier begins with a recoder of one operand into digits, each of which selects a multiple of
the other. `array.encode` takes the recoder out of the elements and puts one for each row at the
edge: `booth` sends {booth_bits} bits through the elements (3 a digit), `ent` (EN-T, arXiv
2404.11887) {ent_bits}. Inside an element, partial products and the chain go down one tree of full
adders.

## Arrays

All of a technology at one clock: {clocks}. Energy while normally
distributed codes (three standard deviations are full scale) run through a product of {m} x {k} by
{k} x {n}. An efficiency is per area, or per energy, relative to the array of the same size and
dataflow without recoding. The paper has +8.7 to +12.2 % for area and +13 to +17.5 % for energy:
averages over several architectures, in another flow and node.

{arrays}

## Where it comes from

One weight-stationary element, its registers included, mapped alone: area in um². `inside` has the
recoder in the element, and all else as at the edge.

{elements}

The recoder of a row, mapped alone, in um²: {encoders}.

* **Recoder.** A Booth recoder of int8 is 2 % of an element in this flow, and the registers of the
  4 bits more that digits take cost as much: to move it to the edge saves nothing. That of EN-T is
  twice as large, and its digits take 1 bit more, but an element has to tell 2 and -1 apart and to
  apply the sign: it is worth moving, and then as good as Booth's.
* **Tree.** What `none` has more than `booth inside` is the multiplier as Yosys builds it, which
  propagates carries before the chain is added in a second adder. In the tree all bits, those of the
  chain too, propagate carries once. At a relaxed clock that saves 5 or 6 %; the faster the clock,
  the more the second adder costs. This is where the gain comes from.
* **Sum of partial products.** Three forms were tried, in an earlier flow. As one expression of
  Yosys, `p0 + p1 + p2 + p3 + sum`, which extends each sign to the width of the sum, the element is
  35 to 55 % larger. A tree for the product and an adder behind it are as large at a relaxed clock,
  and 7 to 11 % larger at a fast one. So it is one tree, with signs complemented and their weights
  in one constant.
* **Dataflow.** The edge of a weight-stationary array, a quarter of its area, does not gain: it
  delays chains on their way in and out, so that all columns enter and leave together, it grows as
  the array does, and recoding adds a cycle to that. Energy gains in output-stationary arrays only,
  where a sum stays in its element; where sums move on with each product, it is lost.
"""


class Row(NamedTuple):
    """An array and what it costs."""

    technology: str
    clock_mhz: float
    dataflow: str
    size: int
    encode: str
    area_um2: float
    edge_um2: float
    delay_ps: float
    meets_clock: bool
    energy_pj: float


class ElementRow(NamedTuple):
    """An element and its area."""

    technology: str
    clock_mhz: float
    encode: str
    place: str
    area_um2: float
    delay_ps: float


_ARRAYS = (
    "technology|dataflow|size|encode|area, um²:|edge, %:|delay, ps:|pJ/MAC:"
    "|area efficiency, %:|energy efficiency, %:"
)
_ELEMENTS = "technology|MHz:|none:|booth inside:|booth at the edge:|ent inside:|ent at the edge:"


def design(size: int, dataflow: str, encode: str) -> Systolic:
    """Return an array."""
    shape = {"rows": size, "columns": size, "dataflow": dataflow, "encode": encode}
    fields = {"a": "int8", "b": "int8", "out": "int32", "accumulate": {"kind": "exact"}}
    found = load_design({"name": "unit", "unit": "systolic", "array": shape} | fields)
    assert isinstance(found, Systolic)
    return found


def operands(shape: tuple[int, int, int]) -> list[tuple[Any, Any]]:
    """Draw normally distributed codes."""
    m, k, n = shape
    rng = np.random.default_rng(0)

    def codes(*shape: int) -> Any:
        values = np.rint(rng.normal(size=shape) * 127 / 3).clip(-128, 127)
        return values.astype(np.int64) & 255

    return [(codes(m, k), codes(k, n))]


def measure_array(technology: str, size: int, dataflow: str, encode: str, shape: Any) -> Row:
    """Map an array and run it."""
    clock = CLOCKS[technology]
    cost = measure(
        design(size, dataflow, encode), technology, operands(shape), clock_mhz=clock, timeout_s=3600
    )
    assert cost.area_um2 is not None
    assert cost.delay_ps is not None
    assert cost.energy_pj_per_mac is not None
    return Row(
        technology,
        clock,
        dataflow,
        size,
        encode,
        cost.area_um2,
        cost.parts["edge"].area_um2 or 0.0,
        cost.delay_ps,
        bool(cost.meets_clock),
        cost.energy_pj_per_mac,
    )


class _RecodesInside(WeightStationaryPlan):
    """An array that recodes in each element: what it would be without an edge."""

    @property
    def activation_bits(self) -> int:
        return self.design.a.width

    def __init__(self, design: Systolic) -> None:
        super().__init__(design)
        at_edge = element_arithmetic(design)
        assert self.encoding is not None
        encoding = self.encoding

        class Inside:
            def build(
                self, m: Module, *, step: Value, a: Value, b: Value, state: data.View
            ) -> data.View:
                digits = Signal(encoding.width)
                m.d.comb += digits.eq(encoding.encode(m, a))
                return at_edge.build(m, step=step, a=digits, b=b, state=state)

        self.arithmetic = Inside()


def measure_elements(technology: str) -> Iterator[ElementRow]:
    """Map single elements."""
    plans = {("none", ""): WeightStationaryPlan(design(8, "ws", "none"))}
    for encode in ENCODINGS[1:]:
        plans[encode, "inside"] = _RecodesInside(design(8, "ws", encode))
        plans[encode, "edge"] = WeightStationaryPlan(design(8, "ws", encode))
    for clock in ELEMENT_CLOCKS[technology]:
        for (encode, place), plan in plans.items():
            area, delay = _map(Element(plan), technology, clock)
            yield ElementRow(technology, clock, encode, place, area, delay)


def encoder_area(technology: str, encode: str) -> float:
    """Map the recoder of a row."""
    encoding = encoding_for(design(8, "ws", encode))
    assert encoding is not None
    return _map(Encoder(encoding), technology, CLOCKS[technology])[0]


def _digit_bits(encode: str) -> int:
    return WeightStationaryPlan(design(8, "ws", encode)).activation_bits


def _map(component: Any, technology: str, clock_mhz: float) -> tuple[float, float]:
    """Return area in um² and delay in ps."""
    library = load_technology(technology)
    assert isinstance(library, Library)
    text = verilog.convert(component, name="part", emit_src=False)
    found = synthesise(text, "part", library, clock_mhz=clock_mhz)
    area = sum(library.cells[kind].area_um2 * n for kind, n in found.total().items())
    return area, analyse(flatten(found.modules, "part", library)).delay_ps


def write_page(rows: Sequence[Row], elements: Sequence[ElementRow], figures: dict[str, Any]) -> str:
    """Return the page, in Markdown."""
    plain = {(r.technology, r.dataflow, r.size): r for r in rows if r.encode == "none"}

    def array_rows() -> Iterator[list[str]]:
        for row in rows:
            base = plain[row.technology, row.dataflow, row.size]
            gains = [base.area_um2 / row.area_um2, base.energy_pj / row.energy_pj]
            yield [
                row.technology,
                row.dataflow,
                f"{row.size}x{row.size}",
                row.encode,
                f"{row.area_um2:,.0f}",
                f"{100 * row.edge_um2 / row.area_um2:.0f}",
                f"{row.delay_ps:,.0f}" + ("" if row.meets_clock else " (missed)"),
                f"{row.energy_pj:.3g}",
                *("" if row is base else f"{100 * gain - 100:+.1f}" for gain in gains),
            ]

    def element_rows() -> Iterator[list[str]]:
        kinds = itertools.groupby(elements, lambda row: (row.technology, row.clock_mhz))
        for (technology, clock), group in kinds:
            yield [technology, f"{clock:g}", *(f"{row.area_um2:,.4g}" for row in group)]

    m, k, n = figures["operands_mkn"]
    return _TEXT.format(
        figures="arrays.json",
        chain=design(8, "ws", "none").sum_bits,
        clocks=", ".join(f"{mhz} MHz on {name}" for name, mhz in figures["clocks_mhz"].items()),
        m=m,
        k=k,
        n=n,
        arrays=table([_ARRAYS.split("|"), *array_rows()]),
        elements=table([_ELEMENTS.split("|"), *element_rows()]),
        encoders="; ".join(
            f"{name}: booth {areas['booth']:.3g}, ent {areas['ent']:.3g}"
            for name, areas in figures["encoders_um2"].items()
        ),
        booth_bits=_digit_bits("booth"),
        ent_bits=_digit_bits("ent"),
    )


def main(
    page: Annotated[Path, typer.Option("--output", "-o", help="Where the page goes.")] = _PAGE,
    largest: Annotated[int, typer.Option(help="Largest array to map.")] = max(SIZES),
    quick: Annotated[bool, typer.Option(help="Only see whether all of it runs.")] = False,
) -> None:
    """Measure arrays; the figures go to a page and a JSON file beside it."""
    console = Console(stderr=True)
    technologies = ["asap7"] if quick else list(CLOCKS)
    sizes, shape = ([2], (64, 8, 4)) if quick else ([n for n in SIZES if n <= largest], SHAPE)
    rows, elements = [], []
    for case in itertools.product(sizes, technologies, DATAFLOWS, ENCODINGS):
        size, technology, dataflow, encode = case
        rows.append(measure_array(technology, size, dataflow, encode, shape))
        console.print(*rows[-1])
    for technology in technologies:
        elements += measure_elements(technology)
    rows.sort(key=lambda row: technologies.index(row.technology))
    figures = {
        "clocks_mhz": {name: CLOCKS[name] for name in technologies},
        "operands_mkn": shape,
        "encoders_um2": {
            name: {encode: encoder_area(name, encode) for encode in ENCODINGS[1:]}
            for name in technologies
        },
        "arrays": [row._asdict() for row in rows],
        "elements": [row._asdict() for row in elements],
    }
    page.write_text(write_page(rows, elements, figures), encoding="utf-8")
    page.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
