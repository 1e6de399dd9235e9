"""What a design would cost, from its fields alone and in a moment: no circuit is built.

The models are data, fitted by :mod:`minimac.cost.fitting` to designs that were synthesised. They
say how far off they were on formats and widths that they had not seen.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimac.cost.blocks import BLOCKS, Part, kind_of, parts_of
from minimac.spec import Design, SpecError

__all__ = ["FIGURES", "KINDS", "Estimate", "Prediction", "Rows", "Surface", "predict", "rows_of"]

Array = NDArray[np.float64]

#: Kinds of accumulation, and single operations.
KINDS = ("float", "exact", "fixed", "rounded", "fma", "multiplier", "adder")

#: What is predicted, and the parts that it is the sum of; a delay is that of the whole.
FIGURES = {
    "area_um2": ("element", "foot", "edge"),
    "luts": ("element", "foot", "edge"),
    "energy_pj_per_mac": ("element", "foot", "edge"),
    "delay_ps": ("whole",),
}

_REGISTERS = ("register", "free_register")


class Rows(NamedTuple):
    """What a surface is evaluated on, a row a design.

    Attributes
    ----------
    sums : tuple of arrays
        Amounts of blocks: one array for each path that may be the longest, else one.
    shapes : array
        What designs are compared by.
    kinds : array
        Places in :data:`KINDS`.
    """

    sums: tuple[Array, ...]
    shapes: Array
    kinds: NDArray[np.int64]


def rows_of(figure: str, part: str, designs: Sequence[tuple[str, Mapping[str, Part]]]) -> Rows:
    """Return the rows of some designs, of each of which kind and parts are given."""
    kinds = np.array([KINDS.index(kind) for kind, _ in designs], np.int64)

    def table(parts: Iterable[Mapping[str, float]]) -> Array:
        rows = [[blocks.get(name, 0.0) for name in BLOCKS] for blocks in parts]
        return np.array(rows, np.float64).reshape(-1, len(BLOCKS))

    if figure == "delay_ps":
        paths = tuple(
            table(parts[name].path if name in parts else {} for _, parts in designs)
            for name in ("element", "foot")
        )
        return Rows(paths, np.log1p(np.hstack(paths)), kinds)
    own = [parts[part] for _, parts in designs]
    blocks = table(x.blocks for x in own)
    if figure == "energy_pj_per_mac":
        held = np.array([name in _REGISTERS for name in BLOCKS])
        uses, clocks = (np.array([[getattr(x, key)] for x in own]) for key in ("uses", "clocks"))
        others = np.array([[x.uses, x.clocks, x.apart, x.beyond] for x in own])
        return Rows(
            (blocks * np.where(held, clocks, uses),), np.log1p(np.hstack([blocks, others])), kinds
        )
    instances = np.array([[x.instances] for x in own], np.float64)
    shapes = blocks
    if figure == "luts":
        # Mappers to LUTs repeat logic to shorten what is on the longest path.
        shapes = np.hstack([blocks, table(x.path for x in own)])
    return Rows((blocks * instances,), np.log1p(shapes), kinds)


@dataclass(frozen=True, eq=False)
class Surface:
    """A figure of a part as a function of what it is made of.

    Parameters
    ----------
    factors : array, shape (paths, 1 + kinds, blocks)
        What a block adds in general, and in each kind besides.
    shapes, kinds, weights : array
        Of the points of the kernel.
    width : float
        Width of the kernel.
    """

    factors: Array
    shapes: Array
    kinds: NDArray[np.int64]
    weights: Array
    width: float

    def __call__(self, rows: Rows) -> Array:
        """Return the figure of each row."""
        return longest(self.factors, rows) * np.exp(self._correction(rows))

    def _correction(self, rows: Rows) -> Array:
        if not len(self.weights):
            return np.zeros(len(rows.kinds))
        there, here = (
            embed(shapes, kinds, self.width)
            for shapes, kinds in ((self.shapes, self.kinds), (rows.shapes, rows.kinds))
        )
        distances = ((here[:, None] - there[None]) ** 2).sum(axis=-1)
        correction: Array = np.exp(-distances / 2) @ self.weights
        return correction


def longest(factors: Array, rows: Rows) -> Array:
    """Return the sum over the blocks, the largest one if there are several paths."""
    totals = [
        np.einsum("nb,nb->n", amounts, own[0] + own[1 + rows.kinds])
        for own, amounts in zip(factors, rows.sums, strict=True)
    ]
    result: Array = np.maximum(np.max(totals, axis=0), 1e-9)
    return result


def embed(shapes: Array, kinds: NDArray[np.int64], width: float) -> Array:
    """Place designs in a space where the kernel has width 1: other kinds are one apart."""
    return np.hstack([shapes / width, np.eye(len(KINDS))[kinds] / np.sqrt(2)])


class Estimate(NamedTuple):
    """A predicted figure, and how far off such figures were on formats and widths not learnt from.

    Attributes
    ----------
    value : float
        In the unit of the figure.
    error : float
        Relative error that half of them were within.
    error_90 : float
        Relative error that nine of ten were within.
    """

    value: float
    error: float
    error_90: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a design would cost.

    Parameters
    ----------
    name, technology : str
        Of what, and in what.
    clock_mhz : float
        The relaxed clock of the designs that were learnt from, which were mapped for area: a clock
        that ``delay_ps`` does not meet takes larger circuits, or registers.
    area_um2, delay_ps, energy_pj_per_mac : Estimate or None
        Standard cells only.
    luts : Estimate or None
        FPGAs only, without their multiplier blocks.
    outside : tuple of str
        What of the design is beyond all that was learnt from.
    warnings : tuple of str
        What to know before the figures are used, a line each.
    provenance : dict
        What was learnt from.
    """

    name: str
    technology: str
    clock_mhz: float
    area_um2: Estimate | None = None
    delay_ps: Estimate | None = None
    energy_pj_per_mac: Estimate | None = None
    luts: Estimate | None = None
    outside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, Any]

    @property
    def figures(self) -> dict[str, Estimate]:
        """The figures that there are, by name."""
        found = {name: getattr(self, name) for name in FIGURES}
        return {name: value for name, value in found.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers."""
        return {
            "name": self.name,
            "technology": self.technology,
            "clock_mhz": self.clock_mhz,
            **{name: _plain(estimate) for name, estimate in self.figures.items()},
            "outside": list(self.outside),
            "warnings": list(self.warnings),
            "provenance": dict(self.provenance),
        }


def _plain(estimate: Estimate) -> dict[str, float]:
    return {key: float(f"{value:.6g}") for key, value in estimate._asdict().items()}


def technologies() -> list[str]:
    """Return the technologies that costs can be predicted in."""
    folder = files("minimac.cost") / "models"
    names = (entry.name for entry in folder.iterdir())
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def predict(design: Design, technology: str | None = None) -> Prediction:
    """Predict what a design costs, in milliseconds.

    Parameters
    ----------
    design : Design
        Which one. Its clock is only compared with the predicted delay.
    technology : str or None
        Name of a technology; by default that of the design.

    Raises
    ------
    SpecError
        If nothing is known of the technology, or of such designs in it.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> found = predict(load_design({"name": "m", "unit": "mac", "a": "e4m3fn", "b": "e4m3fn",
    ...     "out": "bf16", "accumulate": {"kind": "float", "width": 16}, "clock_mhz": 10}))
    >>> found.area_um2.value > 1000, found.area_um2.error < 0.1, found.outside
    (True, True, ())
    """
    name = technology or design.technology
    known = technologies()
    if name not in known:
        raise SpecError(
            f"technology: costs are predicted in {', '.join(known)}, not in {name}; measure it"
        )
    parts, kind = parts_of(design), kind_of(design)
    model = load_model(name)
    figures = {}
    for figure, surfaces in model.surfaces.items():
        value = 0.0
        for part, surface in surfaces.items():
            if part == "whole" or part in parts:
                value += float(surface(rows_of(figure, part, [(kind, parts)]))[0])
        held_out = model.held_out[figure]
        half, most = held_out.get(kind, held_out["all"])
        figures[figure] = Estimate(value, half, most)
    outside = model.outside(kind, parts)
    warnings = []
    if outside:
        warnings.append(
            f"outside of what was learnt from, errors may be larger: {', '.join(outside)}"
        )
    if "delay_ps" in figures and figures["delay_ps"].value > 1e6 / design.clock_mhz:
        warnings.append(
            f"as mapped for area it misses {design.clock_mhz:g} MHz by "
            f"{figures['delay_ps'].value - 1e6 / design.clock_mhz:.0f} ps; one that meets it is "
            "larger, and takes more energy"
        )
    return Prediction(
        name=design.name,
        technology=name,
        clock_mhz=model.clock_mhz,
        **figures,
        outside=outside,
        warnings=tuple(warnings),
        provenance=model.provenance,
    )


@dataclass(frozen=True, eq=False)
class Model:
    """All that is known of a technology.

    Parameters
    ----------
    clock_mhz : float
        The relaxed clock of its points.
    surfaces : dict
        By figure and part.
    held_out : dict
        By figure and kind, or ``all``: errors that half of the designs held out, and nine of ten,
        were within.
    ranges : dict
        By :func:`range_key` and block: least and greatest amount.
    provenance : dict
        Digest and number of the points, versions.
    """

    clock_mhz: float
    surfaces: Mapping[str, Mapping[str, Surface]]
    held_out: Mapping[str, Mapping[str, tuple[float, float]]]
    ranges: Mapping[str, Mapping[str, tuple[float, float]]]
    provenance: Mapping[str, Any]

    def outside(self, kind: str, parts: Mapping[str, Part]) -> tuple[str, ...]:
        """Return what is out of range, as ``element.product 1024 > 484``."""
        found = []
        for name, part in parts.items():
            own = self.ranges.get(range_key(kind, name), {})
            for block, amount in part.blocks.items():
                low, high = own.get(block, (0.0, 0.0))
                if amount > high:
                    found.append(f"{name}.{block} {amount:g} > {high:g}")
                elif amount < low:
                    found.append(f"{name}.{block} {amount:g} < {low:g}")
        return tuple(found)


def range_key(kind: str, part: str) -> str:
    """Return what ranges are kept by: the edge does not depend on the kind of a sum."""
    return part if part == "edge" else f"{kind} {part}"


@functools.cache
def load_model(technology: str) -> Model:
    """Read the model of a technology that comes with the package."""
    path = files("minimac.cost") / "models" / f"{technology}.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    designs = [
        (kind, {name: _unpack(part) for name, part in parts.items()})
        for kind, parts in found["designs"]
    ]
    return Model(
        clock_mhz=found["clock_mhz"],
        surfaces={
            figure: {
                part: _surface(figure, part, surface, designs) for part, surface in parts.items()
            }
            for figure, parts in found["surfaces"].items()
        },
        held_out={
            figure: {kind: (errors[0], errors[1]) for kind, errors in kinds.items()}
            for figure, kinds in found["held_out"].items()
        },
        ranges=found["ranges"],
        provenance=found["provenance"],
    )


def _unpack(packed: Sequence[Any]) -> Part:
    """Read a part as :func:`pack` wrote it."""
    instances, *amounts = packed[:3]
    blocks, path = (dict(zip(BLOCKS, values, strict=True)) for values in amounts)
    return Part(instances, blocks, path, *packed[3:])


def pack(part: Part) -> list[Any]:
    """Return a part as a model's file has it."""
    amounts = ([x.get(name, 0.0) for name in BLOCKS] for x in (part.blocks, part.path))
    rest = (_short(value) for value in part[3:])
    return [part.instances, *([*map(_short, x)] for x in amounts), *rest]


def _short(value: float) -> float:
    """Return an integer as such."""
    return int(value) if value == int(value) else value


def _surface(
    figure: str, part: str, packed: Mapping[str, Any], designs: Sequence[tuple[str, Any]]
) -> Surface:
    rows = rows_of(figure, part, [designs[n] for n in packed["designs"]])
    factors = np.zeros((len(rows.sums), 1 + len(KINDS), len(BLOCKS)))
    names = ["all", *KINDS]
    for path, own in enumerate(packed["factors"]):
        for kind, entries in own.items():
            for block, factor in entries.items():
                factors[path, names.index(kind), list(BLOCKS).index(block)] = factor
    weights = np.array(packed["weights"])
    return Surface(factors, rows.shapes, rows.kinds, weights, packed["width"])
