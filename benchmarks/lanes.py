"""Dot products that the gate counts of arXiv 2510.25602 are held against, and their synthesis."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minimac.cost import SynthesisError, measure
from minimac.cost.cache import Cache
from minimac.cost.gatecount import Lanes
from minimac.model import encode
from minimac.spec import Design, FixedPoint, load_design

__all__ = ["measure_lanes"]

_FLOATS = ["e2m1", "e2m3", "e3m2", "e4m3fn", "e5m2", "e3m4"]
_INTEGERS = ["int3", "int4", "int5", "int6", "int8", "int10"]
#: Lanes of all formats, and of those that are compared; 32 of floats take longer than minutes.
_LANES, _MANY = (4, 8), (16,)
_COMPARED = ["int4", "int8", "e2m1", "e4m3fn"]


def _designs() -> Iterator[tuple[str, int]]:
    for lanes in _LANES:
        yield from ((name, lanes) for name in (*_FLOATS, *_INTEGERS))
    for lanes in _MANY:
        yield from ((name, lanes) for name in _COMPARED)


def design_of(name: str, lanes: int) -> dict[str, Any]:
    """Return a dot product as the paper has it: aligned in a window, or of integers."""
    tree: dict[str, Any] = {"unit": "dot", "a": name, "b": name, "lanes": lanes}
    if name.startswith("int"):
        return tree | {"out": "int32", "accumulate": {"kind": "exact", "max_terms": 1024}}
    window = Lanes.of(name, lanes).window_bits
    # Two bits are above the binary point of the largest product.
    accumulate = {"kind": "fused", "group": lanes, "frac_bits": window - 2}
    return tree | {"out": "fp32", "accumulate": accumulate}


def _operands(design: Design) -> tuple[Any, Any]:
    """Draw matrices whose sums take eight transfers, however many lanes there are."""
    rng = np.random.default_rng(0)
    terms = 8 * design.lanes  # type: ignore[attr-defined]  # a Dot
    scale = design.a.max_lsbs / 3 if isinstance(design.a, FixedPoint) else 1.0
    shapes = (256, terms), (terms, 8)
    a, b = (encode(design.a, scale * rng.normal(size=shape)).astype(np.int64) for shape in shapes)
    return a, b


def measure_lanes(
    technology: str,
    clock_mhz: float,
    path: Path,
    cache: Cache | None = None,
    timeout_s: float = 400.0,
) -> None:
    """Append a line to a file for each dot product that it lacks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = {(x["format"], x["lanes"]) for x in map(json.loads, lines)}
    for name, lanes in _designs():
        if (name, lanes) in known:
            continue
        design = load_design({"name": "unit", "clock_mhz": clock_mhz, **design_of(name, lanes)})
        try:
            cost = measure(
                design, technology, [_operands(design)], cache=cache, timeout_s=timeout_s
            )
        except SynthesisError as error:
            print(f"{technology}: {lanes} x {name}: {error}", flush=True)
            continue
        part = cost.parts["element"]
        assert part.area_um2 is not None
        assert part.energy_pj_per_mac is not None
        point = {
            "format": name,
            "lanes": lanes,
            "area_um2": float(f"{part.area_um2:.6g}"),
            "energy_pj_per_mac": float(f"{part.energy_pj_per_mac:.6g}"),
        }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point) + "\n")
        print(f"{technology} {lanes} x {name}", flush=True)
