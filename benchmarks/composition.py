"""Arrays composed from small ones, against direct synthesis of the same arrays.

    python -m benchmarks.composition

writes ``docs/composition.md`` and, with all figures, ``docs/composition.json``.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.console import Console

from minimac.cli.costs import LARGEST_BUILT
from minimac.cost import Composition, compose, measure
from minimac.cost.composition import SIZES
from minimac.model import encode
from minimac.spec import Systolic, load_design

__all__ = ["Row", "compare"]

_EXAMPLES = Path(__file__).parents[1] / "examples"
_PAGE = Path(__file__).parents[1] / "docs" / "composition.md"

#: Designs by name: file in ``examples`` and dataflow.
DESIGNS = {
    "int8, os": ("int8", "os"),
    "int8, ws": ("int8", "ws"),
    "e4m3fn, ws": ("e4m3fn", "ws"),
    "bf16 approx(1,2), ws": ("bf16_approx_1_2", "ws"),
}

#: Clocks that all meet with the recipe for area, in MHz.
CLOCKS = {"sky130": 20.0, "asap7": 100.0}

CHECKED = (4, 8, 16)

#: Products M, K, N that 8x8 arrays are compared on, too: few vectors, and what does not fill them.
SHAPES = ((512, 64, 16), (16, 64, 64), (300, 9, 20))

_TEXT = """\
# Arrays that are composed

Written by `python -m benchmarks.composition`; the figures are in [{figures}]({figures}).

`minimac cost --compose` does not synthesise an array: it composes it from arrays of {sizes}
elements of the same design (`sw/minimac/cost/composition.py` says how), and does so by itself
from {beyond} elements on. Here are arrays that were built both ways: Yosys and ABC, no place and
route, {clocks}, which the recipe for area meets. Errors are those of the composed figure, relative
to direct synthesis. Energy: a product of 1024 x 16 by 16 x 32, normally distributed.

{table}

Largest errors: {worst}.

Energy of products of other shapes, M x K x N, on 8x8 arrays, normally distributed, in pJ/MAC, and
the error in percent:

{shapes}

* **Area.** Elements and feet are mapped alike in arrays of all sizes; what differs is the edge,
  which is composed of six terms.
* **Energy.** Composed by event (a vector or term, loading weights or moving sums out, a cycle of
  the clock), so that it holds for other shapes, too: `minimac workload` uses the same terms. What
  grows is the share of the edge, and what waits while a product begins and ends.
* **Delay.** The longest path of each kind. It grows with the logarithm of the number of elements if
  it does so in the small arrays: enables of all elements are trees of buffers.
"""


class Product(NamedTuple):
    """A product on an array of 8x8, measured and composed; the error in percent."""

    technology: str
    design: str
    shape: tuple[int, int, int]
    energy_pj_per_mac: float
    energy_error: float


class Row(NamedTuple):
    """An array, built and composed; errors in percent of direct synthesis."""

    technology: str
    design: str
    size: int
    area_um2: float
    energy_pj_per_mac: float
    delay_ps: float
    area_error: float
    energy_error: float
    delay_error: float


def composed(technology: str, name: str) -> Composition:
    """Compose an array of 8x8."""
    file, dataflow = DESIGNS[name]
    design = load_design(_EXAMPLES / f"{file}.yaml")
    assert isinstance(design, Systolic)
    design = replace(design, array=replace(design.array, dataflow=dataflow))
    return compose(design, technology, clock_mhz=CLOCKS[technology])


def compare_shapes(composition: Composition, name: str) -> Iterator[Product]:
    """Run products of some shapes."""
    design = composition.design
    for shape in SHAPES:
        m, k, n = shape
        rng = np.random.default_rng(1)
        a, b = (
            encode(fmt, rng.normal(size=size) * (fmt.max_lsbs / 3 if fmt.name == "int8" else 1))
            for fmt, size in ((design.a, (m, k)), (design.b, (k, n)))
        )
        direct = measure(design, operands=[(a.astype(np.int64), b.astype(np.int64))])
        energy = direct.energy_pj_per_mac or 0.0
        error = 100 * (composition.pj_per_mac(*shape) / energy - 1)
        yield Product(direct.technology, name, shape, energy, error)


def compare(composition: Composition, name: str, sizes: Sequence[int]) -> Iterator[Row]:
    """Build arrays of some sizes."""
    design, technology = composition.design, composition.cost.technology
    for size in sizes:
        array = replace(design.array, rows=size, columns=size)
        direct = measure(replace(design, array=array), timeout_s=3600)
        found = composition.resized(size, size).cost
        figures = [
            (getattr(direct, key), getattr(found, key))
            for key in ("area_um2", "energy_pj_per_mac", "delay_ps")
        ]
        errors = [100 * (other / built - 1) for built, other in figures]
        yield Row(technology, name, size, *(built for built, _ in figures), *errors)


def write_page(rows: Sequence[Row], products: Sequence[Product], figures: str) -> str:
    """Return the page, in Markdown, which refers to the name of a file with the ``figures``."""

    def lines() -> Iterator[str]:
        yield (
            "| technology | design | size | area, um² | error, % | pJ/MAC | error, % | delay, ps "
            "| error, % |"
        )
        yield "| --- | --- | --- " + "| ---: " * 6 + "|"
        for row in rows:
            cells: list[Any] = [
                row.technology,
                row.design,
                f"{row.size}x{row.size}",
                f"{row.area_um2:,.0f}",
                f"{row.area_error:+.1f}",
                f"{row.energy_pj_per_mac:.3g}",
                f"{row.energy_error:+.1f}",
                f"{row.delay_ps:,.0f}",
                f"{row.delay_error:+.1f}",
            ]
            yield f"| {' | '.join(cells)} |"

    def product_lines() -> Iterator[str]:
        yield "| technology | design | " + " | ".join("x".join(map(str, s)) for s in SHAPES) + " |"
        yield "| --- | --- " + "| ---: " * len(SHAPES) + "|"
        for technology, name in dict.fromkeys((x.technology, x.design) for x in products):
            cells = [
                f"{x.energy_pj_per_mac:.3g} ({x.energy_error:+.1f})"
                for x in products
                if (x.technology, x.design) == (technology, name)
            ]
            yield f"| {technology} | {name} | {' | '.join(cells)} |"

    technologies = list(dict.fromkeys(row.technology for row in rows))
    worst = {
        key: max((abs(getattr(row, f"{key}_error")) for row in rows), default=0.0)
        for key in ("area", "energy", "delay")
    }
    return _TEXT.format(
        figures=figures,
        beyond=LARGEST_BUILT + 1,
        sizes=", ".join(f"{r}x{c}" for r, c in SIZES),
        clocks=", ".join(f"{CLOCKS[name]:g} MHz on {name}" for name in technologies),
        table="\n".join(lines()),
        shapes="\n".join(product_lines()),
        worst=", ".join(f"{key} {error:.1f} %" for key, error in worst.items()),
    )


def main(
    page: Annotated[Path, typer.Option("--output", "-o", help="Where the page goes.")] = _PAGE,
    technologies: Annotated[str, typer.Option(help="With commas.")] = "sky130,asap7",
    quick: Annotated[bool, typer.Option(help="Only see whether all of it runs.")] = False,
) -> None:
    """Build arrays and compose them; the figures go to a page and a JSON file beside it."""
    console = Console(stderr=True)
    rows, products = [], []
    for technology in technologies.split(","):
        for name in list(DESIGNS)[: 1 if quick else None]:
            composition = composed(technology, name)
            for row in compare(composition, name, CHECKED[: 1 if quick else None]):
                rows.append(row)
                console.print(*row)
            products += compare_shapes(composition, name)
    page.write_text(write_page(rows, products, page.with_suffix(".json").name), encoding="utf-8")
    figures = {
        "clocks_mhz": CLOCKS,
        "arrays": [row._asdict() for row in rows],
        "products": [product._asdict() for product in products],
    }
    page.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
