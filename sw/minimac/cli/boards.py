"""``minimac build``."""

import dataclasses
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from minimac.cli.designs import load_buildable
from minimac.cli.options import AsJson, Changes, DesignFile, Dsp
from minimac.cli.output import fail, print_json, print_table, watch
from minimac.spec import SpecError, Systolic

if TYPE_CHECKING:
    from minimac.bitstream import Bitstream, FitError
    from minimac.soc.board import Board

__all__ = ["build"]


def build(
    design: DesignFile,
    board: Annotated[
        str, typer.Option("--board", metavar="B", help="A board of `minimac list boards`.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder (default: build/NAME/BOARD)."),
    ] = None,
    largest: Annotated[
        bool, typer.Option("--largest", help="The largest array that fits, found by trying.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 31) - 1, help="Seed of the placement.")] = 0,
    clock_mhz: Annotated[
        float | None,
        typer.Option(metavar="F", min=1.0, help="Clock, by a PLL (default: that of the board)."),
    ] = None,
    timeout_s: Annotated[
        float | None,
        typer.Option(
            metavar="T", min=1.0, help="Time to place and route an array (default: 3600)."
        ),
    ] = None,
    dsp: Dsp = None,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Build a bitstream for a board, with a serial line for `minimac.host`."""
    from minimac import bitstream
    from minimac.soc.board import load_board
    from minimac.spec.files import make_folder

    if clock_mhz is not None and not math.isfinite(clock_mhz):
        raise SpecError(f"--clock-mhz must be a number of MHz, not {clock_mhz:g}")
    if largest and dsp is not None:
        raise SpecError("--largest: tries with and without multiplier blocks; leave --dsp out")
    loaded, target = load_buildable(design, changes), load_board(board)
    if not isinstance(loaded, Systolic):
        raise SpecError(f"{design}: unit: a board takes systolic, not {loaded.unit}")
    folder = output or Path("build") / loaded.name / target.name
    if target.family not in bitstream.FLOWS:
        for option, given in (
            ("--largest", largest),
            ("--clock-mhz", clock_mhz is not None),
            ("--timeout-s", timeout_s is not None),
            ("--dsp", dsp is not None),
            ("--json", as_json),
        ):
            if given:
                raise SpecError(f"{option}: {target.name} has no open tools; leave this out")
        for path in bitstream.write_vivado(loaded, target, make_folder(folder)):
            print(path)
        print("now run: vivado -mode batch -source build.tcl", file=sys.stderr)
        return
    make_folder(folder)
    options: dict[str, Any] = {"seed": seed, "clock_mhz": clock_mhz}
    if timeout_s is not None:
        options["timeout_s"] = timeout_s
    try:
        if largest:
            built = bitstream.largest(loaded, target, folder, **options, watch=watch)
        else:
            built = bitstream.build(loaded, target, folder, **options, dsp=dsp)
    except bitstream.FitError as error:
        _refuse_size(loaded, target, folder, error, largest)
    except bitstream.SlowError as error:
        fail(f"{error}; hardly a site may be free: --largest looks for an array that is placed")
    except bitstream.BuildError as error:
        fail(str(error))
    _print_built(built, as_json)
    if built.fmax_mhz < built.clock_mhz:
        fail(
            f"{target.name}: {built.fmax_mhz:.1f} MHz is less than the clock of "
            f"{built.clock_mhz:g} MHz; set pipeline to auto, or --clock-mhz to less"
        )


def _refuse_size(
    design: Systolic, board: "Board", folder: Path, error: "FitError", largest: bool
) -> NoReturn:
    """Say that an array is too large, and which one would do."""
    from minimac import bitstream

    if largest:
        fail(str(error))
    size = bitstream.estimate_best(design, board, folder / "smaller", watch=watch)
    over = ", ".join(
        f"{used} {name} of {there}" for name, (used, there) in error.used.items() if used > there
    )
    fits = bitstream.shape_of(bitstream.reshaped(design, size)) if size else ""
    fail(
        f"{design.name}: {bitstream.shape_of(design)} does not fit {board.name}"
        + (f" ({over})" if over else "")
        + (f"; about {fits} does, and --largest finds out" if size else ", nor does any array")
    )


def _print_built(built: "Bitstream", as_json: bool) -> None:
    if as_json:
        told = {**dataclasses.asdict(built), "file": str(built.file)}
        print_json(told)
        return
    print(f"{built.file}: {built.design}, {built.rows}x{built.columns}, for {built.board}")
    rows = [
        {"resource": name, "used": used, "there": there, "%": 100.0 * used / there}
        for name, (used, there) in built.used.items()
    ]
    print_table(rows)
    print(f"clock {built.clock_mhz:g} MHz, possible {built.fmax_mhz:.1f} MHz")
    print(", ".join(f"{step} {taken:.0f} s" for step, taken in built.seconds.items()))
    print(f"load it: {built.load}")
