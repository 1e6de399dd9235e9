"""``minimac generate``, ``vectors`` and ``simulate``: circuits, and what checks them."""

from pathlib import Path
from typing import Annotated

import typer

from minimac.cli.designs import load, load_buildable, one_of, spare
from minimac.cli.options import Changes, DesignFile, Folder
from minimac.cli.output import fail

__all__ = ["generate", "simulate", "vectors"]


def generate(
    design: DesignFile,
    output: Folder = None,
    changes: Changes = None,
) -> None:
    """Write Verilog, a description of the ports, the design itself, constraints and scripts."""
    from minimac.explore.artefacts import design_files, write_files

    loaded = load_buildable(design, changes)
    folder, files = output or Path("build") / loaded.name, design_files(loaded)
    spare(design, folder, files)
    for path in write_files(files, folder):
        print(path)


def vectors(
    design: DesignFile,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help=".csv, .hex or .npz: vectors; .h: a model in C; no suffix: a folder of all.",
        ),
    ],
    count: Annotated[
        int | None, typer.Option(metavar="N", help="Dot products or operations (default: 1000).")
    ] = None,
    terms: Annotated[
        int | None, typer.Option(metavar="K", help="Products in each (default: 16 or more).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 32) - 1, help="Seed of the operands.")] = 0,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="All operands, if those have 20 bits at most.")
    ] = False,
    changes: Changes = None,
) -> None:
    """Write test vectors for other people's benches, and a model in C."""
    from minimac.model.kit import write_vectors

    loaded = load(design, changes)
    for path in write_vectors(
        loaded, output, count=count, terms=terms, seed=seed, exhaustive=exhaustive
    ):
        print(path)


def simulate(
    design: DesignFile,
    simulator: Annotated[
        str, typer.Option(metavar="verilator|icarus", help="Simulator.")
    ] = "verilator",
    seed: Annotated[
        int, typer.Option(min=0, max=(1 << 32) - 1, help="Seed of the random stimulus.")
    ] = 0,
    waves: Annotated[bool, typer.Option("--waves", help="Keep waveforms.")] = False,
    exhaustive: Annotated[
        bool,
        typer.Option(
            "--exhaustive",
            help="Also all pairs of codes, if those have 16 bits, and the longest chain.",
        ),
    ] = False,
    changes: Changes = None,
) -> None:
    """Check the circuit of a design, bit by bit, against the model."""
    from minimac.bench import SIMULATORS, SimulationError
    from minimac.bench import simulate as run
    from minimac.explore import check_simulator
    from minimac.spec.files import make_folder

    one_of("--simulator", simulator, SIMULATORS)
    loaded = load_buildable(design, changes)
    check_simulator(simulator)

    build_dir = make_folder(Path("build") / loaded.name / "simulate")
    try:
        ran = run(
            loaded,
            build_dir=build_dir,
            simulator=simulator,
            seed=seed,
            waves=waves,
            exhaustive=exhaustive,
        )
    except SimulationError as error:
        fail(str(error))
    else:
        print(
            f"{loaded.name}: {ran.tests} tests passed, {ran.vectors} vectors "
            f"({ran.simulator}, seed {ran.seed}, {ran.seconds:.1f} s)"
        )
