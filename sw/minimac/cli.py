"""The ``minimac`` command.

Results go to standard output, all else to standard error. Exit status: 0 if all is well, 1 if a
check failed, 2 if the command line or a file is wrong. What a verb needs is imported by the verb:
help and lists come at once.
"""

import contextlib
import inspect
import io
import json
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minimac.spec import UNITS, Design, Format, Minifloat, SpecError, load_design, parse_format
from minimac.spec.errors import nearest
from minimac.spec.loading import load_yaml, parse_yaml

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["main"]

#: Formats that ``list formats`` shows; the grammar has thousands.
LISTED_FORMATS = (
    *("fp32", "tf32", "bf16", "fp16"),
    *("e5m2", "e4m3fn", "e4m3", "e5m2fnuz", "e4m3fnuz", "binary8p3se", "binary8p4se"),
    *("e3m2", "e2m3", "e2m1", "ue5m3", "ue4m3fn"),
    *("int16", "int8", "int8:sym", "uint8", "int4", "uint4", "s4.3", "u0.8"),
)

app = typer.Typer(
    name="minimac",
    help="Few-bit multiply-accumulate hardware: generated, verified and costed.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


DesignFile = Annotated[Path, typer.Argument(metavar="DESIGN", help="Design file (YAML).")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key, as in accumulate.width=20."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, without the program's name; those of the process by default.

    Examples
    --------
    >>> main(["list", "boards", "--json"])
    []
    0
    """
    if argv is None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are seen to
    if sys.stdout is None:
        sys.stdout = io.StringIO()
    try:
        # Not `app()`: that would see to errors, interrupts and closed pipes in its own way.
        command = typer.main.get_command(app)
        with command.make_context(
            "minimac", list(sys.argv[1:] if argv is None else argv)
        ) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as leaving:
        sys.stdout.flush()
        return leaving.exit_code
    except typer.TyperException as error:
        said = error.format_message().rstrip(".")
        where = getattr(error, "ctx", None)
        _complain(f"{said}; see {where.command_path if where else 'minimac'} --help")
        return 2
    except SpecError as error:
        _complain(str(error))
        return 2
    except BrokenPipeError:
        # The reader has gone, as with `minimac ... | head`; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        _complain(f"{where}{error.strerror or error}")
        return 2
    except (typer.Abort, KeyboardInterrupt):
        _complain("interrupted")
        return 130
    return 0


def _complain(said: str) -> None:
    line = " ".join(said.split())
    with contextlib.suppress(OSError):  # nobody listens
        print(f"minimac: error: {line}", file=sys.stderr)


def _fail(said: str) -> None:
    """Report a check that failed, and leave with status 1."""
    print(f"minimac: FAIL: {' '.join(said.split())}", file=sys.stderr)
    raise typer.Exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"minimac {version('minimac')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    pass


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(metavar="formats|units|boards|technologies")],
    as_json: AsJson = False,
) -> None:
    """List what there is to choose from."""
    lists = {
        "formats": _formats,
        "units": _units,
        "boards": _boards,
        "technologies": _technologies,
    }
    rows = lists[_one_of("list", what, lists)]()
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        _print_table(rows)
    else:
        print(f"there are no {what} yet", file=sys.stderr)


def _one_of(name: str, word: str, known: Iterable[str]) -> str:
    known = list(known)
    if word not in known:
        raise SpecError(
            f"{name} must be one of {', '.join(known)}, not {word!r}{nearest(word, known)}"
        )
    return word


def _formats() -> list[dict[str, Any]]:
    return [_format_row(parse_format(name)) for name in LISTED_FORMATS]


def _format_row(fmt: Format) -> dict[str, Any]:
    floating = fmt if isinstance(fmt, Minifloat) else None
    specials = [word for word, has in (("inf", fmt.has_infinities), ("NaN", fmt.has_nan)) if has]
    return {
        "format": fmt.name,
        "bits": fmt.width,
        "E": floating.exp_bits if floating else None,
        "M": floating.man_bits if floating else None,
        "bias": floating.bias if floating else None,
        "max": fmt.max_lsbs * 2.0**fmt.lsb_exp,
        "min>0": 2.0**fmt.lsb_exp,
        "specials": " ".join(specials),
    }


def _units() -> list[dict[str, Any]]:
    return [
        {"unit": word, "what": (inspect.getdoc(unit) or "").split("\n")[0]}
        for word, unit in UNITS.items()
    ]


def _boards() -> list[dict[str, Any]]:
    from importlib.resources import files

    try:
        found = files("minimac.boards")
    except ModuleNotFoundError:
        return []
    names = (entry.name for entry in found.iterdir() if (entry / "board.yaml").is_file())
    return [{"board": name} for name in sorted(names)]


def _technologies() -> list[dict[str, Any]]:
    from minimac.cost import technologies

    return [{"technology": name} for name in technologies()]


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows aligned: text to the left, numbers to the right, the unit in the heading."""
    heads = list(rows[0])
    cells = [[_cell(row[head]) for head in heads] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    words = [all(isinstance(row[head], str) for row in rows) for head in heads]
    for line in [heads, *cells]:
        aligned = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, words, strict=True)
        ]
        print("  ".join(aligned).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _load(path: Path, changes: Sequence[str] | None = None) -> Design:
    """Read a design, with the keys that ``--set`` changes."""
    if not changes:
        return load_design(path)
    tree = load_yaml(path)
    for change in changes:
        _change(tree, change)
    try:
        return load_design(tree)
    except SpecError as error:
        raise SpecError(f"{path} with --set {' '.join(changes)}: {error}") from None


def _change(tree: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    *outer, last = parts = key.strip().split(".")
    if not equals or not all(parts):
        raise SpecError(f"--set must be KEY=VALUE, not {change!r}")
    value = parse_yaml(text, f"--set {key}")
    for part in outer:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise SpecError(f"--set {key}: {part} is not a mapping; set it whole")
    tree[last] = value


@app.command()
def generate(
    design: DesignFile,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder (default: build/NAME)."),
    ] = None,
    changes: Changes = None,
) -> None:
    """Write Verilog, interface description and the design itself."""
    from minimac.explore import write_design

    loaded = _load(design, changes)
    for path in write_design(loaded, output or Path("build") / loaded.name):
        print(path)


@app.command()
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
    from minimac.explore import check_simulator, make_folder

    _one_of("--simulator", simulator, SIMULATORS)
    loaded = _load(design, changes)
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
        _fail(str(error))
    else:
        print(
            f"{loaded.name}: {ran.tests} tests passed, {ran.vectors} vectors "
            f"({ran.simulator}, seed {ran.seed}, {ran.seconds:.1f} s)"
        )


@app.command()
def cost(
    design: DesignFile,
    technology: Annotated[
        str | None,
        typer.Option(metavar="T", help="What to build for (default: that of the design)."),
    ] = None,
    operands: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Codes a (M,K) and b (K,N) for the energy, as .npz."),
    ] = None,
    as_json: AsJson = False,
    changes: Changes = None,
) -> None:
    """State area, delay and energy of a design."""
    from minimac.cost import SynthesisError, measure, technologies

    loaded = _load(design, changes)
    chosen = technology or loaded.technology
    key = "--technology" if technology else f"{design}: technology:"
    _one_of(key, chosen, technologies())
    codes = None if operands is None else [_read_operands(operands, loaded)]
    try:
        found = measure(loaded, chosen, operands=codes).as_dict()
    except SynthesisError as error:
        _fail(str(error))
        return
    if as_json:
        print(json.dumps(found, indent=2, default=str))
    else:
        _print_table(
            [
                {"metric": key, "value": value}
                for key, value in found.items()
                if isinstance(value, int | float) and key != "count"
            ]
        )
        _print_conditions(found)


def _print_conditions(found: dict[str, Any]) -> None:
    """Say under which conditions a cost holds, and whether it misses its clock."""
    conditions = found["provenance"]
    if "stimulus" in conditions:
        stimulus = conditions["stimulus"]
        print(
            f"energy: operands {stimulus['operands']}, {stimulus['macs_per_cycle']:.3g} MACs a "
            "cycle, without glitches and clock tree",
            file=sys.stderr,
        )
    if "delay_ps" not in found:
        print("clock: not checked; counts are before place and route", file=sys.stderr)
    elif not found["meets_clock"]:
        slack_ps = 1e6 / found["clock_mhz"] - found["delay_ps"]
        print(
            f"warning: misses {found['clock_mhz']:g} MHz by {-slack_ps:.0f} ps; "
            "pipeline: auto adds registers",
            file=sys.stderr,
        )


def _read_operands(path: Path, design: Design) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Read two matrices of codes, and check that the design can take them."""
    import numpy as np

    from minimac.model.operands import read_codes

    try:
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile) or {"a", "b"} - {*archive.files}:
                raise SpecError(f"{path}: must hold two arrays, a and b")
            a, b = archive["a"], archive["b"]
    except (SpecError, OSError):
        raise
    except Exception:  # zip, zlib, tokenizer, memory: a damaged archive has many faces
        raise SpecError(f"{path}: must be an .npz file of plain arrays") from None
    for name, codes, fmt in (("a", a, design.a), ("b", b, design.b)):
        if not isinstance(codes, np.ndarray):
            raise SpecError(f"{path}: must be an .npz file of plain arrays")
        if codes.ndim != 2 or not codes.size or codes.dtype.kind not in "iu":
            raise SpecError(
                f"{path}: {name}: must be a matrix of integer codes, not "
                f"{codes.dtype} of shape {codes.shape}"
            )
        try:
            read_codes(fmt, codes, name)
        except ValueError as error:
            raise SpecError(f"{path}: {error}") from None
    if a.shape[1] != b.shape[0]:
        raise SpecError(f"{path}: a {a.shape} and b {b.shape} do not match along K")
    if len(b) > design.accumulate.max_terms:
        raise SpecError(
            f"{path}: K must be at most accumulate.max_terms ({design.accumulate.max_terms}), "
            f"not {len(b)}"
        )
    return a, b


@app.command()
def explore(
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP", help="Sweep file (YAML).")],
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder (default: build/NAME)."),
    ] = None,
) -> None:
    """Generate, simulate and cost many designs, and judge each by a network."""
    from minimac.explore import load_sweep, progress, run, table

    loaded = load_sweep(sweep)
    folder = output or Path("build") / loaded.name
    with progress() as watch:
        results = run(loaded, folder, jobs=jobs, watch=watch)
    table(results)
    print(f"results: {folder / 'results.json'}; report: minimac report {folder}", file=sys.stderr)
    if results.failed:
        raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What explore wrote into.")],
) -> None:
    """Write report.html and results.csv of a sweep."""
    from minimac.explore import report as write

    for path in write(folder):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
