"""``minimac cost``, ``predict`` and ``workload``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minimac.cli.designs import (
    check_cells,
    check_technology,
    load,
    load_buildable,
    one_of,
    spare,
    technology_of,
)
from minimac.cli.measuring import composed_of, measured
from minimac.cli.options import AsJson, Changes, DesignFile, Dsp, Fastest, Route, Seeds, Technology
from minimac.cli.output import print_json, print_table
from minimac.spec import Design, SpecError, Systolic

if TYPE_CHECKING:
    from minimac.cost import Cost

__all__ = ["LARGEST_BUILT", "cost", "predict", "workload"]

#: Elements of the largest array that `cost` synthesises unless it is told to.
LARGEST_BUILT = 256


def cost(
    design: DesignFile,
    technology: Technology = None,
    operands: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Codes a (M,K) and b (K,N), if there is b, for the energy, as .npz.",
        ),
    ] = None,
    dsp: Dsp = None,
    seeds: Seeds = 3,
    route: Route = True,
    parts: Annotated[
        bool,
        typer.Option("--parts", help="Cells: area by what the datapath does, and its path."),
    ] = False,
    glitches: Annotated[
        bool,
        typer.Option("--glitches", help="Cells: the energy of glitches, too, by unit delays."),
    ] = False,
    composed: Annotated[
        bool | None,
        typer.Option(
            "--compose/--direct",
            help="Compose an array from small ones, or synthesise it (default: compose those of "
            f"more than {LARGEST_BUILT} elements).",
        ),
    ] = None,
    tool: Annotated[
        str | None,
        typer.Option(
            "--export",
            metavar="accelergy|hwcomponents|zigzag",
            help="Write files for a tool of others, not a table.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Their folder (default: build/NAME/TOOL)."
        ),
    ] = None,
    quickest: Fastest = False,
    as_json: AsJson = False,
    changes: Changes = None,
) -> None:
    """State area, delay and energy of a design, or its resources and its clock on an FPGA."""
    loaded = load(design, changes)
    key, chosen = technology_of(design, loaded, technology)
    if tool:
        _check_tool(tool, key, chosen)
    elif output:
        raise SpecError("--output: is for the files of --export; add that, or leave this out")
    codes = _codes(operands, loaded)
    if composed is None:
        composed = not quickest and _is_large(loaded, chosen)
    if composed and quickest:
        raise SpecError("--fastest: is measured, not composed; use --direct")
    if composed and glitches:
        raise SpecError("--glitches: are simulated, not composed; use --direct")
    if composed and parts:
        raise SpecError("--parts: are told apart in a netlist, not composed; use --direct")
    options: dict[str, Any] = {"dsp": dsp, "with_parts": parts, "with_glitches": glitches}
    options["seeds"] = range(seeds if route else 0)
    if composed:
        figures = composed_of(design, loaded, chosen, operands, codes).cost
    else:
        figures = measured(design, loaded, chosen, quickest, operands=codes and [codes], **options)
    if tool:
        _export(tool, design, loaded, figures, output or Path("build") / loaded.name / tool)
        return
    found = figures.as_dict()
    if as_json:
        print(json.dumps(found, indent=2, default=str))
    else:
        print_table(
            [
                {"metric": key, "value": value}
                for key, value in found.items()
                if isinstance(value, int | float) and key != "count"
            ]
        )
        _print_parts(found)
        _print_conditions(found, loaded.pipeline)
    if glitches and "energy_glitches_pj_per_mac" not in found:
        print(
            "glitches: no figure: energy is that of standard cells, and of no unit behind wishbone",
            file=sys.stderr,
        )
    if parts and "area_by_part_um2" not in found:
        print("parts: no figures: areas are those of standard cells", file=sys.stderr)


def _codes(path: Path | None, design: Design) -> tuple[Any, Any] | None:
    """Read the operands of a file, if there is one."""
    if path is None:
        return None
    from minimac.cli.operands import read_operands  # with NumPy and the model

    return read_operands(path, design)


def _check_tool(tool: str, key: str, technology: str) -> None:
    """Refuse, before anything is measured, files that a tool has no use for."""
    from minimac.cost.exchange import TOOLS

    one_of("--export", tool, TOOLS)
    check_cells(key, technology, f"{tool} needs area and energy")


def _print_parts(found: dict[str, Any]) -> None:
    """Say where the area goes, and the longest path."""
    if "area_by_part_um2" not in found:
        if "area_um2" in found and "composed" not in found["provenance"]:
            print("--parts shows where the area and the delay are", file=sys.stderr)
        return
    print()
    print_table(
        [
            {"part": part, "area_um2": area, "share_%": round(100 * area / found["area_um2"], 1)}
            for part, area in found["area_by_part_um2"].items()
        ]
    )
    first, *others = found["critical_signals"]
    steps = [first["signal"], *(f"{s['signal']} at {s['arrival_ps']:.0f} ps" for s in others)]
    print(f"\npath: {', '.join(steps)}")


def _export(tool: str, path: Path, design: Design, figures: "Cost", folder: Path) -> None:
    """Write the files of a tool for the design of a file, and print where they are."""
    from minimac.cost import export
    from minimac.spec.files import make_folder, write_whole

    files = export(tool, design, figures)
    spare(path, folder, files)
    make_folder(folder)
    for name, text in files.items():
        print(write_whole(folder / name, text))


def _is_large(design: Design, technology: str) -> bool:
    """Say whether a design is an array of standard cells that takes long to synthesise."""
    from minimac.cost import Library, load_technology

    if not isinstance(design, Systolic) or design.array.dataflow == "broadcast":
        return False
    large = design.array.rows * design.array.columns > LARGEST_BUILT
    return large and isinstance(load_technology(technology), Library)


def _print_composed(conditions: dict[str, Any]) -> None:
    """Say what figures are composed from, if they are, and how far off that is."""
    if "composed" in conditions:
        told = conditions["composed"]
        errors = ", ".join(
            f"{key.split('_')[0]} {error:+.1f} %" for key, error in told["errors_percent"].items()
        )
        print(
            f"composed from arrays of {', '.join(told['from'])}; a composed {told['checked_at']} "
            f"is off by {errors}; larger ones: docs/composition.md",
            file=sys.stderr,
        )


def _print_conditions(found: dict[str, Any], registers: int | str) -> None:
    """Say under which conditions a cost holds, and whether it misses its clock."""
    conditions = found["provenance"]
    _print_composed(conditions)
    if "stimulus" in conditions:
        stimulus = conditions["stimulus"]
        aside = " (a figure of their own)" if "energy_glitches_pj_per_mac" in found else ""
        print(
            f"energy: operands {stimulus['operands']}, {stimulus['macs_per_cycle']:.3g} MACs a "
            f"cycle, without glitches{aside} and clock tree",
            file=sys.stderr,
        )
    if "routing" in conditions:
        routing, (least, most) = conditions["routing"], found["fmax_range_mhz"]
        print(
            f"clock: after place and route in {routing['part']} between registers, median of "
            f"{len(routing['fmax_mhz_by_seed'])} seeds, {least:.1f} to {most:.1f} MHz; counts: "
            "before it, of the unit alone",
            file=sys.stderr,
        )
    if "delay_ps" not in found:
        why = conditions.get("not_routed", "not asked for")
        print(f"clock: none: {why}; counts are before place and route", file=sys.stderr)
    elif not found["meets_clock"]:
        slack_ps = 1e6 / found["clock_mhz"] - found["delay_ps"]
        remedy = "set clock_mhz to less" if registers == "auto" else "pipeline: auto adds registers"
        print(
            f"warning: misses {found['clock_mhz']:g} MHz by {-slack_ps:.0f} ps; {remedy}",
            file=sys.stderr,
        )


def predict(
    design: DesignFile,
    technology: Technology = None,
    as_json: AsJson = False,
    changes: Changes = None,
) -> None:
    """Predict area, delay and energy of a design at once, without synthesis."""
    from minimac.cost import predict as predict_

    loaded = load_buildable(design, changes)
    if technology is not None:
        check_technology("--technology", technology)
    try:
        found = predict_(loaded, technology)
    except SpecError as error:
        key = "--" if technology and str(error).startswith("technology:") else f"{design}: "
        raise SpecError(f"{key}{error}") from None
    if as_json:
        print_json(found.as_dict())
        return
    print_table(
        [
            {
                "metric": name,
                "value": estimate.value,
                "held out": f"± {100 * estimate.error:.1f} %",
                "9 of 10": f"± {100 * estimate.error_90:.0f} %",
            }
            for name, estimate in found.figures.items()
        ]
    )
    print(
        f"mapped for area, as at {found.clock_mhz:g} MHz; half of the designs of formats and "
        "widths that were held out were within the first error",
        file=sys.stderr,
    )
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def workload(
    network: Annotated[
        Path, typer.Argument(metavar="NETWORK", help="Workload file (YAML): shapes of layers.")
    ],
    design: DesignFile,
    technology: Technology = None,
    operands: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Codes a (M,K) and b (K,N) for the energy, as .npz."),
    ] = None,
    as_json: AsJson = False,
    changes: Changes = None,
) -> None:
    """State cycles, time and energy of a network's layers on an array."""
    from minimac.cost import cost_of, load_workload
    from minimac.cost.workload import lay_out

    layers = load_workload(network)
    loaded = load_buildable(design, changes)
    if not isinstance(loaded, Systolic) or loaded.array.dataflow == "broadcast":
        what = f"array.dataflow: {loaded.array.dataflow}" if isinstance(loaded, Systolic) else ""
        raise SpecError(
            f"{design}: {what or f'unit: {loaded.unit}'} has no schedule of layers; use systolic "
            "with dataflow ws or os"
        )
    key, chosen = technology_of(design, loaded, technology)
    check_cells(key, chosen, "layers are priced in standard cells")
    codes = _codes(operands, loaded)
    try:
        lay_out(layers, loaded)
    except SpecError as error:
        raise SpecError(f"{network}: {error}") from None
    found = cost_of(layers, composed_of(design, loaded, chosen, operands, codes)).as_dict()
    if as_json:
        print(json.dumps(found, indent=2, default=str))
        return
    shown = {
        "layer": "name",
        "MACs": "macs",
        "cycles": "cycles",
        "used %": "utilisation_percent",
        "us": "time_us",
        "operands uJ": "operands_uj",
        "turns uJ": "turns_uj",
        "idle uJ": "idle_uj",
        "SRAM uJ": "sram_uj",
        "DRAM uJ": "dram_uj",
        "uJ": "energy_uj",
    }
    rows = [*found["layers"], found["total"]]
    print_table([{head: row[key] for head, key in shown.items()} for row in rows])
    print(
        f"time: at {found['clock_mhz']:g} MHz; the array allows {found['fmax_mhz']:.4g} MHz",
        file=sys.stderr,
    )
    print(f"memory: {found['provenance']['memory']['source']}", file=sys.stderr)
    _print_composed(found["provenance"])
