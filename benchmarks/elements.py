"""Measure elements against their targets: ``python -m benchmarks.elements``.

Writes ``docs/elements.md`` and the figures beside it. The flow of :mod:`minimac.cost` asks each
recipe for a clock once. Here each element is mapped by itself, with every recipe and several
targets for its delay, and at a clock the smallest of all netlists that meet it counts: two elements
are compared at the best that the flow can do for each.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from minimac.cost import Library, flatten, load_technology
from minimac.cost import synthesis as flow
from minimac.cost.activity import energy
from minimac.cost.cache import Cache
from minimac.cost.evaluation import _activity, _made_up
from minimac.cost.synthesis import Mapped, smallest
from minimac.rtl import to_verilog
from minimac.spec import Design, load_design

_PAGE = Path(__file__).parent.parent / "docs" / "elements.md"
_TIMEOUT_S = 3600.0

#: Periods that recipes are asked for, in ps. Only sizing depends on it in those for area.
_TARGETS = {
    "sky130": {
        "area": [25000, 20000],
        "area_built": [25000, 20000],
        "balanced": [14000, 11000],
        "balanced_built": [14000, 9500],
        "shallow": [14000, 9500],
        "shallow_built": [9500],
        "fast": [14000, 9500, 6000],
        "fastest": [9500, 7000],
    },
    "asap7": {
        "area": [5000, 4000],
        "area_built": [5000, 4000],
        "balanced": [2800, 2200],
        "balanced_built": [2800, 1900],
        "shallow": [2800, 1900],
        "shallow_built": [1900],
        "fast": [2800, 1900, 1200],
        "fastest": [1900, 1400],
    },
}
#: A relaxed clock, in MHz.
_RELAXED = {"sky130": 40.0, "asap7": 200.0}


class Reference(NamedTuple):
    """A figure to be held against."""

    area_um2: float
    most: float  #: Times that figure that an element may have.
    source: str


@dataclass(frozen=True)
class Row:
    """An element to be measured at the relaxed clock; append more to :data:`ROWS`."""

    title: str
    design: Mapping[str, Any]
    part: str = "element"  #: Module, or a combination of ``+``: ``element+foot``.
    reference: Mapping[str, Reference] = field(default_factory=dict)  #: By technology.
    registers: tuple[str, ...] | None = None  #: Places; None for those of ``pipeline``.


def systolic(fmt: str, width: int, normalize: str = "exact", **changes: Any) -> dict[str, Any]:
    """Return a weight-stationary array of 8 x 8 elements of one format, with chains of floats."""
    accumulate = {"kind": "float", "width": width, "normalize": normalize}
    tree = {"name": "unit", "unit": "systolic", "a": fmt, "b": fmt, "out": fmt}
    return tree | {"accumulate": accumulate} | changes


_SKETCH = {
    "sky130": Reference(9000.0, 0.9, "a plain sketch of two stages"),
    "asap7": Reference(128.0, 0.9, "a plain sketch of two stages"),
}

#: What is held against figures of others.
ROWS = [
    Row("bf16, float of 20 bits, one stage", systolic("bf16", 20), reference=_SKETCH),
    Row(
        "bf16, float of 20 bits, two stages",
        systolic("bf16", 20, pipeline=1),
        reference=_SKETCH,
        registers=("multiply",),
    ),
]

#: Normalisations that are compared; the exact ones first.
VARIANTS = {
    "exact, counter": {"normalize": "exact", "normalizer": "counter"},
    "exact, anticipator": {"normalize": "exact", "normalizer": "anticipator"},
    "approx(1,1)": {"normalize": "approx(1,1)"},
    "approx(1,2)": {"normalize": "approx(1,2)"},
    "approx(2,2)": {"normalize": "approx(2,2)"},
    "none": {"normalize": "none"},
}
_EXACT = [name for name in VARIANTS if name.startswith("exact")]

#: Places of registers: none, and so that by far the slowest stage is the one that normalises.
STAGES: dict[str, tuple[str, ...]] = {"none": (), "behind the multiplier": ("multiply",)}
#: Longer periods at which areas are compared, too: times the tightest.
_SLOWER = (1.0, 1.05, 1.1, 1.2, 1.4, 1.7)


class Mapper:
    """Maps the parts of designs in many ways, with a cache."""

    def __init__(self, technology: str, cache: Cache) -> None:
        library = load_technology(technology)
        assert isinstance(library, Library)
        self.library, self.cache = library, cache
        self.points = [
            (recipe, float(target))
            for recipe, targets in _TARGETS[technology].items()
            for target in targets
        ]

    def netlists(self, verilog: str, top: str) -> list[Mapped]:
        """Map a module in all ways, with what is below it."""
        return self._mapped(verilog, top, (), self.points)

    def for_area(self, verilog: str, top: str, keep: Sequence[str]) -> Mapped:
        """Map a module for area; modules to ``keep`` stay modules."""
        (netlist,) = self._mapped(verilog, top, keep, self.points[:1])
        return netlist

    def _mapped(
        self, verilog: str, top: str, keep: Sequence[str], points: Sequence[tuple[str, float]]
    ) -> list[Mapped]:
        def key(recipe: str, target_ps: float) -> dict[str, Any]:
            return {
                "verilog": verilog,
                "technology": self.library.text,
                "keep": keep,
                "recipe": recipe,
                "target_ps": target_ps,
                "code": flow.flow_digest(),
                "pyosys": version("pyosys"),
            }

        found = [self.cache.load(key(*point)) for point in points]
        if None in found:
            with tempfile.TemporaryDirectory(prefix="minimac-") as name:
                yosys = flow.Yosys(Path(name), time.monotonic() + _TIMEOUT_S)
                (yosys.folder / "design.v").write_text(verilog, encoding="utf-8")
                mapper = flow._Mapper(yosys, top, keep, self.library)
                for n, (recipe, target_ps) in enumerate(points):
                    if found[n] is None:
                        (mapped,) = mapper.map({recipe: 1.0}, 1e6 / target_ps)
                        found[n] = mapped._asdict()
                        self.cache.store(key(recipe, target_ps), found[n])
        return [Mapped(**netlist) for netlist in found]


@contextlib.contextmanager
def registers_at(places: tuple[str, ...] | None) -> Iterator[None]:
    """Put registers at these places of all multiply-adds, not where the estimate would."""
    if places is None:
        yield
        return
    with mock.patch("minimac.rtl.multiplyadd.choose_cuts", return_value=places):
        yield


def element_energy(
    mapper: Mapper, design: Design, verilog: str, element: Mapped, period_ps: float
) -> float:
    """Measure the energy of an element in its array, in pJ for each product.

    All but the elements is mapped for area. Operands are those of :func:`minimac.cost.measure`.
    """
    name, top = f"{design.name}_element", design.name
    kept = [name, f"{design.name}_foot"]
    array = mapper.for_area(verilog, top, kept)
    netlist = flatten(array.modules | {name: element.modules[name]}, top, mapper.library)
    activity, _, macs = _activity(design, netlist, [_made_up(design)], with_glitches=False)
    spent = energy(netlist, activity, clock_mhz=1e6 / period_ps)
    inside = [f"{path}." for path, module in netlist.scopes if module == name]
    found = sum(
        fj
        for path, fj in spent.by_scope_fj.items()
        if any(f"{path}.".startswith(start) for start in inside)
    )
    return float(found / macs / 1000)


@dataclass
class Compared:
    """One element of a comparison at one clock."""

    name: str
    netlist: Mapped | None
    energy_pj: float | None = None


def build(tree: Mapping[str, Any], technology: str, places: tuple[str, ...] | None) -> Any:
    """Return a design and its Verilog."""
    design = load_design({**tree, "technology": technology, "clock_mhz": _RELAXED[technology]})
    assert isinstance(design, Design)
    with registers_at(places):
        text = to_verilog(design)
    # Comments tell the whole design, clock and all, which would defeat the cache.
    return design, "".join(x for x in text.splitlines(True) if not x.startswith("//"))


class Variant(NamedTuple):
    """A normalisation, in all the ways that its element was mapped."""

    design: Design
    verilog: str
    netlists: list[Mapped]

    @property
    def fastest_ps(self) -> float:
        """Least period that a netlist meets."""
        return min(netlist.delay_ps for netlist in self.netlists)


def variants(
    mapper: Mapper, technology: str, width: int, places: tuple[str, ...]
) -> dict[str, Variant]:
    """Map the elements that are to be compared."""
    found = {}
    for name, changes in VARIANTS.items():
        design, verilog = build(systolic("bf16", width, **changes), technology, places)
        netlists = mapper.netlists(verilog, f"{design.name}_element")
        found[name] = Variant(design, verilog, netlists)
        print(f"{technology}, {places}, {width} bits, {name}", file=sys.stderr)
    return found


def tightest(found: Mapping[str, Variant]) -> float:
    """Return the least period that all meet, the slower of the exact ones apart."""
    exact = min(found[name].fastest_ps for name in _EXACT)
    return max(exact, *(x.fastest_ps for name, x in found.items() if name not in _EXACT))


def compare(
    mapper: Mapper, found: Mapping[str, Variant], period_ps: float, places: tuple[str, ...] | None
) -> list[Compared]:
    """Compare normalisations at a clock; energies only if ``places`` is not None."""
    compared = []
    for name, variant in found.items():
        best = smallest(variant.netlists, period_ps)
        entry = Compared(name, best)
        if places is not None and best is not None:
            with registers_at(places):
                entry.energy_pj = element_energy(
                    mapper, variant.design, variant.verilog, best, period_ps
                )
        compared.append(entry)
    return compared


def saved(compared: Sequence[Compared], figure: str) -> dict[str, float]:
    """Return what each one saves against the best exact one, in percent."""

    def value(entry: Compared) -> float | None:
        if entry.netlist is None:
            return None
        return entry.netlist.area_um2 if figure == "area" else entry.energy_pj

    values = {entry.name: value(entry) for entry in compared}
    exact = [x for name in _EXACT if (x := values[name]) is not None]
    others = {name: x for name, x in values.items() if name not in _EXACT and x is not None}
    return {name: 100 * (1 - x / min(exact)) for name, x in others.items()}


def shares(mapper: Mapper, technology: str, width: int) -> list[tuple[str, float]]:
    """Return what the element is made of, by leaving out: areas at a relaxed clock, in um^2.

    The share of a normalisation is what an element without any lacks.
    """
    areas = {}
    for name in ("exact, counter", "none"):
        design, verilog = build(systolic("bf16", width, **VARIANTS[name]), technology, ())
        best = smallest(
            mapper.netlists(verilog, f"{design.name}_element"), 1e6 / _RELAXED[technology]
        )
        assert best is not None
        areas[name] = best.area_um2
    cells = [
        mapper.library.cells[cell["type"]]
        for cell in best.modules[f"{design.name}_element"]["cells"].values()
    ]
    registers = sum(cell.area_um2 for cell in cells if cell.ff is not None)
    text = "module multiplier(input [7:0] a, b, output [15:0] y); assign y = a * b; endmodule"
    product = min(x.area_um2 for x in mapper.netlists(text, "multiplier"))
    normalisation = areas["exact, counter"] - areas["none"]
    rest = areas["none"] - registers - product
    return [
        ("flip-flops", registers),
        ("multiplier of significands", product),
        ("align, add, exponents, enables", rest),
        ("exact normalisation to the left", normalisation),
    ]


def main() -> None:
    """Measure, and write the page and its figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("-o", "--output", type=Path, default=_PAGE, help="where the page goes")
    parser.add_argument("--technology", nargs="*", default=list(_TARGETS), choices=list(_TARGETS))
    parser.add_argument("--width", nargs="*", type=int, default=[16, 20])
    parser.add_argument(
        "--energy", nargs="*", type=int, default=[16], help="widths whose energy is measured, too"
    )
    chosen = parser.parse_args()
    cache = Cache()
    lines = [_HEAD.format(figures=chosen.output.with_suffix(".json").name)]
    figures: dict[str, Any] = {"conditions": _conditions()}
    mappers = {technology: Mapper(technology, cache) for technology in chosen.technology}

    lines += ["## Against figures of others", "", *_table(_REFERENCES)]
    figures["references"] = []
    for row in ROWS:
        for technology, mapper in mappers.items():
            entry = _against(mapper, technology, row)
            figures["references"].append(entry)
            lines.append(_line([*entry.values()]))

    lines += ["", "## What approximate normalisation saves", "", _SAVES, *_table(_COMPARED)]
    figures["normalisation"] = []
    clocks: list[dict[str, Any]] = []
    for technology, mapper in mappers.items():
        for stages, places in STAGES.items():
            for width in chosen.width:
                found = variants(mapper, technology, width, places)
                tight = tightest(found)
                # Energy takes minutes; that of one sort of element tells enough.
                measured = None if width not in chosen.energy or places else places
                for period_ps in (tight, 1e6 / _RELAXED[technology]):
                    where = [technology, stages, width, f"{period_ps:.0f}"]
                    for entry in _compared(compare(mapper, found, period_ps, measured)):
                        figures["normalisation"].append(dict(zip(_COMPARED, [*where, *entry])))
                        lines.append(_line([*where, *entry]))
                for slower in _SLOWER:
                    entries = compare(mapper, found, slower * tight, None)
                    areas = {x.name: x.netlist.area_um2 for x in entries if x.netlist}
                    exact = min((name for name in _EXACT if name in areas), key=lambda n: areas[n])
                    less = (f"{x:.1f}" for x in saved(entries, "area").values())
                    period = f"{slower * tight:.0f}"
                    values = [technology, stages, width, period, exact, _round(areas[exact]), *less]
                    clocks.append(dict(zip(_CLOCKS, values)))

    figures["clocks"] = clocks
    lines += ["", "## ... and how it depends on the clock", "", _PRESSED, *_table(_CLOCKS)]
    lines += [_line([*entry.values()]) for entry in clocks]

    lines += ["", "## Where the area is", "", _SHARES, *_table(_SHARE)]
    figures["shares"] = []
    for technology, mapper in mappers.items():
        for width in chosen.width:
            parts = shares(mapper, technology, width)
            total = sum(area for _, area in parts)
            for name, area in parts:
                entry = [technology, width, name, _round(area), f"{100 * area / total:.1f}"]
                figures["shares"].append(dict(zip(_SHARE, entry)))
                lines.append(_line(entry))

    lines += ["", "## Conditions", "", *_table(["condition", "value"])]
    lines += [_line([key, value]) for key, value in figures["conditions"].items()]
    chosen.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = json.dumps(figures, indent=1) + "\n"
    chosen.output.with_suffix(".json").write_text(text, encoding="utf-8")
    print(chosen.output)


_HEAD = """\
# What elements cost

Written by `python -m benchmarks.elements`; the figures are in [{figures}]({figures}). An element is
mapped by itself, with eight recipes and some targets for its delay; of all netlists that meet a
clock the smallest counts. So an element is never larger than this flow can make it, and a
difference is one of circuits, not of the recipe that happened to be the first to meet the clock.
ABC is not monotonic: differences below 1 or 2 % mean nothing.
"""
_REFERENCES = [
    "element",
    "technology",
    "MHz",
    "area µm²",
    "delay ps",
    "reference µm²",
    "ratio",
    "at most",
    "reference is",
]
_SAVES = """\
Elements of bfloat16 arrays. Of each pair of clocks the first is the tightest that all but the
slower exact normaliser meet, the second a relaxed one. Saved: against the smaller, or thriftier, of
the two exact ones at that clock. Energy: of the elements of an 8 x 8 array, while it multiplies
normally distributed matrices, without glitches and clock tree.
"""
_COMPARED = [
    "technology",
    "registers",
    "width",
    "period ps",
    "normalisation",
    "area µm²",
    "delay ps",
    "fJ/MAC",
    "saved: area %",
    "energy %",
]
_PRESSED = """\
Of the area of the best exact element that meets a clock, what the others save, in percent.
"""
_CLOCKS = [
    "technology",
    "registers",
    "width",
    "period ps",
    "best exact",
    "area µm²",
    *(name for name in VARIANTS if name not in _EXACT),
]
_SHARES = """\
An element of one stage at the relaxed clock. What an exact normalisation takes is the area that an
element without one lacks; what an approximate one saves is part of it.
"""
_SHARE = ["technology", "width", "part", "area µm²", "%"]


def _against(mapper: Mapper, technology: str, row: Row) -> dict[str, Any]:
    """Measure a row of the first table."""
    design, verilog = build(row.design, technology, row.registers)
    period_ps = 1e6 / _RELAXED[technology]
    found = [
        smallest(mapper.netlists(verilog, f"{design.name}_{part}"), period_ps)
        for part in row.part.split("+")
    ]
    reference = row.reference.get(technology)
    met = [netlist for netlist in found if netlist is not None]
    area = sum(netlist.area_um2 for netlist in met) if len(met) == len(found) else None
    given = reference is not None and area is not None
    values = [
        row.title,
        technology,
        f"{_RELAXED[technology]:g}",
        _round(area),
        f"{max(netlist.delay_ps for netlist in met):.0f}" if area is not None else "not met",
        _round(reference.area_um2) if reference else "",
        f"{area / reference.area_um2:.3f}" if given and area and reference else "",
        f"{reference.most:g}" if reference else "",
        reference.source if reference else "",
    ]
    return dict(zip(_REFERENCES, values, strict=True))


def _compared(compared: Sequence[Compared]) -> Iterator[list[str]]:
    areas, energies = saved(compared, "area"), saved(compared, "energy")
    for entry in compared:
        if entry.netlist is None:
            yield [entry.name, "", "not met", "", "", ""]
            continue
        yield [
            entry.name,
            _round(entry.netlist.area_um2),
            f"{entry.netlist.delay_ps:.0f}",
            "" if entry.energy_pj is None else _round(1000 * entry.energy_pj),
            f"{areas[entry.name]:.1f}" if entry.name in areas else "",
            f"{energies[entry.name]:.1f}" if entry.name in energies else "",
        ]


def _round(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.0f}" if figure > 1000 else f"{figure:.1f}"


def _line(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _table(columns: Sequence[str]) -> list[str]:
    return [_line(columns), _line(["---"] * len(columns))]


def _conditions() -> dict[str, str]:
    """Return what the figures were made with."""
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    folder = Path(__file__).parent
    commit = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip() or "unknown",
        **{name: version(name) for name in ("minimac", "pyosys", "amaranth", "numpy")},
        "recipes": "; ".join(
            f"{name}: {recipe.form}; {recipe.script}" for name, recipe in flow.RECIPES.items()
        ),
        "targets, ps": json.dumps(_TARGETS).replace('"', ""),
        "corners": "typical; see cost/technologies",
    }


if __name__ == "__main__":
    main()
