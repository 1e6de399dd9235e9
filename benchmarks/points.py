"""Synthesise the sample that predictions are learnt from, one line of a file a design.

A run that was stopped goes on where it was. The first line of a file says how it was begun; if
versions, flow or clock have changed since, it is begun anew. Remove a file if circuits have.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from minimac.cost import Cost, SynthesisError, measure
from minimac.cost.cache import Cache
from minimac.cost.measurement import _commit
from minimac.cost.synthesis import flow_digest
from minimac.spec import Design, load_design

__all__ = ["RELAXED", "conditions", "measure_points"]

#: Clocks, in MHz, that all designs meet when they are mapped for area.
RELAXED = {"sky130": 10.0, "asap7": 50.0, "xc7": 10.0, "ecp5": 10.0}

_FIGURES = ("area_um2", "delay_ps", "energy_pj_per_mac", "registers", "luts", "ffs", "carries")
_OF_PARTS = ("area_um2", "energy_pj_per_mac", "registers", "luts")
_DEFAULTS = {"product": "exact", "out_round": "rne", "normalizer": "counter"}


class _NoCache(Cache):
    """A cache that keeps nothing: netlists that nobody asks for again would fill a disk."""

    def load(self, key: dict[str, Any]) -> None:
        """Find nothing."""

    def store(self, key: dict[str, Any], result: Any) -> None:
        """Keep nothing."""


def conditions(technology: str, seed: int) -> dict[str, Any]:
    """Return what points are made with."""
    return {
        "technology": technology,
        "clock_mhz": RELAXED[technology],
        "dsp": False if _is_fpga(technology) else None,
        "seed": seed,
        "versions": {name: version(name) for name in ("minimac", "pyosys", "amaranth", "numpy")},
        "flow": flow_digest()[:16],
        "commit": _commit(),
    }


def measure_points(
    designs: Iterable[Design], technology: str, path: Path, made_with: Mapping[str, Any]
) -> None:
    """Append a line to a file for each design that it lacks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if not lines or json.loads(lines[0]) | {"commit": ""} != {**made_with, "commit": ""}:
        lines = [json.dumps(made_with)]
        path.write_text(lines[0] + "\n", encoding="utf-8")
    known = {json.dumps(json.loads(line)["design"]) for line in lines[1:]}
    for design in designs:
        tree = _tree(design)
        if json.dumps(tree) in known:
            continue
        built = load_design({"name": "unit", **tree})
        try:
            cost = measure(
                built,
                technology,
                clock_mhz=RELAXED[technology],
                dsp=False if _is_fpga(technology) else None,
                cache=_NoCache(),
            )
        except SynthesisError as error:
            print(f"{technology}: {built.summary()}: {error}", flush=True)
            continue
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"design": tree, **_figures(cost)}) + "\n")
        print(f"{technology}: {built.unit} {built.summary()}", flush=True)


def _is_fpga(technology: str) -> bool:
    return technology in ("xc7", "ecp5")


def _tree(design: Design) -> dict[str, Any]:
    """Return what a design file would say, without what is so by default."""
    tree = design.as_dict()
    kept = {key: tree[key] for key in ("unit", "a", "b", "out")}
    if design.unit in ("mac", "systolic"):
        kept["accumulate"] = _without_defaults(design.accumulate, tree["accumulate"])
    kept |= {key: tree[key] for key, value in _DEFAULTS.items() if tree[key] != value}
    if "array" in tree:
        kept["array"] = {key: tree["array"][key] for key in ("rows", "columns", "dataflow")}
    return kept


def _without_defaults(accumulate: Any, tree: Mapping[str, Any]) -> dict[str, Any]:
    usual = {field.name: field.default for field in dataclasses.fields(accumulate)}
    own = {key: getattr(accumulate, key, None) for key in tree}
    return {
        key: value for key, value in tree.items() if key == "kind" or own[key] != usual.get(key)
    }


def _figures(cost: Cost) -> dict[str, Any]:
    found = {name: getattr(cost, name) for name in _FIGURES}
    parts = {
        name: _present({key: getattr(part, key) for key in _OF_PARTS})
        for name, part in cost.parts.items()
    }
    return {**_present(found), "parts": parts}


def _present(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: float(f"{value:.6g}") if isinstance(value, float) else value
        for key, value in figures.items()
        if value is not None
    }
