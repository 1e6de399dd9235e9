"""The ``minimac`` command.

Results go to standard output, all else to standard error. Exit status: 0 if all is well, 1 if a
check failed, 2 if the command line or a file is wrong. What a verb needs is imported by the verb:
help and lists come at once.
"""

import contextlib
import dataclasses
import inspect
import io
import json
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from minimac.spec import (
    UNITS,
    BlockFormat,
    Design,
    Dot,
    Format,
    Mac,
    Minifloat,
    Overflow,
    Rounding,
    SpecError,
    Systolic,
    load_design,
    parse_format,
)
from minimac.spec.errors import nearest
from minimac.spec.loading import load_yaml, parse_yaml

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from minimac.bitstream import Bitstream, FitError
    from minimac.cost import Composition, Cost
    from minimac.soc.board import Board

__all__ = ["main"]

#: Formats that ``list formats`` shows, and what each is; the grammar has thousands.
LISTED_FORMATS = {
    "fp32": "IEEE 754 binary32",
    "tf32": "TensorFloat-32",
    "bf16": "bfloat16",
    "fp16": "IEEE 754 binary16",
    "e5m2": "OCP FP8 E5M2",
    "e4m3fn": "OCP FP8 E4M3",
    "e4m3": "minifloat, all codes finite",
    "e5m2fnuz": "FP8 without -0",
    "e4m3fnuz": "FP8 without -0",
    "binary8p3se": "IEEE P3109",
    "binary8p4se": "IEEE P3109",
    "e3m2": "OCP FP6 E3M2",
    "e2m3": "OCP FP6 E2M3",
    "e2m1": "OCP FP4 E2M1",
    "ue5m3": "scale",
    "ue4m3fn": "scale of NVFP4",
    "e8m0": "scale of OCP MX: powers of two",
    "int16": "two's complement",
    "int8": "two's complement",
    "int8:sym": "without -128",
    "uint8": "unsigned",
    "int4": "two's complement",
    "uint4": "unsigned",
    "s4.3": "fixed point: integer and fraction bits",
    "u0.8": "fixed point, unsigned",
    "tern": "-1, 0 and 1",
    "bin": "-1 and 1",
    "khot2:s0.7": "at most 2 non-zero signed digits",
    "nf4": "codebook: quantiles of a normal distribution",
    "dynamic8": "codebook: dynamic tree",
    "power4:a=0.5": "codebook: power-function grid",
    "lut:e2m1:9017": "codebook: any table",
    "mxfp8_e4m3": "OCP MX: blocks of 32, scale e8m0",
    "mxfp8_e5m2": "OCP MX",
    "mxfp6_e3m2": "OCP MX",
    "mxfp6_e2m3": "OCP MX",
    "mxfp4": "OCP MX",
    "mxint8": "OCP MX, symmetric (mxint8:ocp: not)",
    "mxint4": "blocks of 32, symmetric",
    "nvfp4": "blocks of 16, scales ue4m3fn and fp32",
    "nvint4": "blocks of 16, scales ue4m3fn and fp32",
    "bfp16": "block floating point: blocks of 64",
    "bfp12": "block floating point: blocks of 64",
    "dfp16": "dynamic fixed point: a scale for a tensor",
}

app = typer.Typer(
    name="minimac",
    help="Few-bit multiply-accumulate hardware: generated, verified and costed.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


Dsp = Annotated[
    bool | None,
    typer.Option(
        "--dsp/--no-dsp", help="FPGAs: use multiplier blocks, or none (default: the family's)."
    ),
]
Seeds = Annotated[
    int, typer.Option(metavar="N", min=1, max=1000, help="FPGAs: seeds of place and route.")
]
Route = Annotated[
    bool,
    typer.Option(
        "--route/--no-route", help="FPGAs: place and route, for the clock, or only count."
    ),
]
Fastest = Annotated[
    bool,
    typer.Option("--fastest", help="Cells: at the tightest clock that is met, found by search."),
]
Technology = Annotated[
    str | None,
    typer.Option(metavar="T", help="What to build for (default: that of the design)."),
]
DesignFile = Annotated[Path, typer.Argument(metavar="DESIGN", help="Design file (YAML).")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key, as in clock_mhz=200 or accumulate.width=20; KEY= leaves it out.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FormatName = Annotated[
    str,
    typer.Argument(metavar="FORMAT", help="A format: e4m3fn, bf16, int8, nf4, mxfp4, ..."),
]

#: Elements of the largest array that `cost` synthesises unless it is told to.
LARGEST_BUILT = 256

#: Lets numbers with a minus be arguments.
NUMBERS = {"ignore_unknown_options": True}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, without the program's name; those of the process by default.

    Examples
    --------
    >>> main(["decode", "e2m1", "5"])
    code  bits    value  class   ulp
    0x5   0_10_1      3  normal    1
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


def _fail(said: str) -> NoReturn:
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
    return [_format_row(parse_format(name), what) for name, what in LISTED_FORMATS.items()]


def _format_row(fmt: Format, what: str) -> dict[str, Any]:
    from minimac.codes import least_positive

    element = _element(fmt)
    floating = element if isinstance(element, Minifloat) else None
    specials = [
        word for word, has in (("inf", element.has_infinities), ("NaN", element.has_nan)) if has
    ]
    return {
        "format": fmt.name,
        "bits": fmt.width,
        "E": floating.exp_bits if floating else None,
        "M": floating.man_bits if floating else None,
        "bias": floating.bias if floating else None,
        "max": fmt.max_lsbs * 2.0**fmt.lsb_exp,
        "min>0": least_positive(element),
        "specials": " ".join(specials),
        "what": what,
    }


def _units() -> list[dict[str, Any]]:
    return [
        {"unit": word, "what": (inspect.getdoc(unit) or "").split("\n")[0].replace("``", "")}
        for word, unit in UNITS.items()
    ]


def _boards() -> list[dict[str, Any]]:
    from minimac.soc.board import boards, load_board

    found = [load_board(name) for name in boards()]
    return [
        {"board": x.name, "family": x.family, "part": x.part, "MHz": x.clock_mhz, "title": x.title}
        for x in found
    ]


def _technologies() -> list[dict[str, Any]]:
    from minimac.cost import technologies

    return [{"technology": name} for name in technologies()]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _print_table(rows: Sequence[dict[str, Any]], cell: Callable[[Any], str] = _cell) -> None:
    """Print rows aligned: text to the left, numbers to the right, the unit in the heading."""
    heads = list(rows[0])
    cells = [[cell(row[head]) for head in heads] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    words = [all(isinstance(row[head], str) for row in rows) for head in heads]
    for line in [heads, *cells]:
        aligned = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, words, strict=True)
        ]
        print("  ".join(aligned).rstrip())


@app.command(context_settings=NUMBERS)
def decode(
    name: FormatName,
    codes: Annotated[
        list[str], typer.Argument(metavar="CODE", help="Codes: 56, 0x38, 0b0_0111_000.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say what codes mean."""
    from minimac.codes import describe, read_code, show

    _refuse_options("decode", [name, *codes])
    fmt = parse_format(name)
    found = [describe(fmt, read_code(fmt, code)) for code in codes]
    _note_blocks(fmt)
    if as_json:
        _print_json([code.as_dict() for code in found])
        return
    _print_table(
        [
            {
                "code": code.hex,
                "bits": code.bits,
                "value": code.value,
                "class": code.kind,
                "ulp": code.ulp,
            }
            for code in found
        ],
        show,
    )


@app.command(context_settings=NUMBERS)
def encode(
    name: FormatName,
    values: Annotated[
        list[str], typer.Argument(metavar="VALUE", help="Values: -1.5, 1e-3, 1/3, inf, nan.")
    ],
    rounding: Annotated[
        str, typer.Option(metavar="MODE", help=f"One of {', '.join(Rounding)}.")
    ] = "rne",
    overflow: Annotated[
        str, typer.Option(metavar="RULE", help=f"One of {', '.join(Overflow)}.")
    ] = "saturate",
    random: Annotated[
        int | None, typer.Option(metavar="R", help="Random bits of a stochastic mode.")
    ] = None,
    random_bits: Annotated[
        int | None, typer.Option(metavar="N", help="How many they are, 1 to 32.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Round values, exactly as written, and say how far off the codes are."""
    from minimac.codes import show

    _refuse_options("encode", [name, *values])
    fmt = parse_format(name)
    mode = Rounding(_one_of("--rounding", rounding, Rounding))
    rule = Overflow(_one_of("--overflow", overflow, Overflow))
    bits = _read_random(mode, random, random_bits)
    rows = [_encode(_element(fmt), value, mode, rule, bits) for value in values]
    _note_blocks(fmt)
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        row["code"] = row["hex"]
        row["given"] = row["given"] if len(row["given"]) <= 24 else row["given"][:21] + "..."
        for key in ("error", "ulps"):
            row[key] = float(f"{float(row[key]):.6g}") if row[key] is not None else None
    heads = ("given", "code", "bits", "value", "error", "ulps", "below", "above")
    _print_table([{head: row[head] for head in heads} for row in rows], show)


def _encode(
    fmt: Format, text: str, mode: Rounding, rule: Overflow, random: tuple[int, int] | None
) -> dict[str, Any]:
    """Round one value, and say what became of it."""
    from minimac.codes import describe, error_of, read_value, stand_in
    from minimac.model import encode as round_

    given = read_value(text)
    if isinstance(given, float):
        value = given
    else:
        count = random[1] if random else 0
        value = stand_in(fmt, given, count, wraps=rule is Overflow.WRAP)
    try:
        bits = ([random[0]], random[1]) if random else None
        code = describe(fmt, int(round_(fmt, [value], mode, rule, bits)[0]))
    except ValueError as error:
        said = str(error).replace(" (at index [0])", "").removeprefix("values ")
        raise SpecError(f"--{said}" if said.startswith("overflow") else f"{text}: {said}") from None
    return {"given": text.strip(), **code.as_dict(), **error_of(code, given)}


def _read_random(mode: Rounding, random: int | None, count: int | None) -> tuple[int, int] | None:
    if not mode.stochastic:
        if random is not None or count is not None:
            raise SpecError(f"--random and --random-bits are for sr_a, sr_b and sr_c, not {mode}")
        return None
    if random is None or count is None:
        raise SpecError(f"--rounding {mode} needs random bits: --random R --random-bits N")
    if not 1 <= count <= 32:
        raise SpecError(f"--random-bits must be 1 to 32, not {count}")
    if not 0 <= random < 1 << count:
        raise SpecError(
            f"--random must be 0 to {(1 << count) - 1} with --random-bits {count}, not {random}"
        )
    return random, count


@app.command()
def table(
    name: FormatName,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """Show a format: all its codes up to 8 bits, and what there is to know of larger ones."""
    from minimac.codes import describe, summarize

    if as_json and as_csv:
        raise SpecError("--json and --csv exclude each other")
    fmt = parse_format(name)
    element = _element(fmt)
    summary = summarize(fmt)
    codes = range(1 << element.width) if element.width <= 8 else ()
    rows = [describe(element, code).as_dict() for code in codes if element.holds(code)]
    if as_json:
        _print_json(summary | ({"codes": rows} if rows else {}))
    elif as_csv:
        _print_csv(rows or _flat(summary))
    else:
        _print_summary(summary)
        if rows:
            _print_grid(element)


def _refuse_options(verb: str, words: Iterable[str]) -> None:
    """Tell a misspelt option from a number with a minus."""
    for word in words:
        if re.match(r"--|-(?!inf|nan)[a-z]", word, re.IGNORECASE):
            raise SpecError(f"No such option: {word[:40]}; see minimac {verb} --help")


def _element(fmt: Format) -> Format:
    """Return a format of codes: of one of blocks, that of the elements."""
    return fmt.element if isinstance(fmt, BlockFormat) else fmt


def _note_blocks(fmt: Format) -> None:
    if isinstance(fmt, BlockFormat):
        print(f"{fmt.name}: elements are {fmt.element.name}; scales apart", file=sys.stderr)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def _print_csv(rows: Sequence[dict[str, Any]]) -> None:
    import csv

    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _flat(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a summary as rows of a key and a word."""
    rows = []
    for key, value in summary.items():
        if isinstance(value, dict):
            rows += [{"key": f"{key}.{part}", "value": word} for part, word in value.items()]
        else:
            words = " ".join(value) if isinstance(value, list) else value
            rows.append({"key": key, "value": words})
    return rows


def _print_summary(summary: dict[str, Any]) -> None:
    from minimac.codes import show

    name, block = summary["format"], summary.get("block")
    if block:
        size = f"{block['size']} elements" if block["size"] else "a whole tensor"
        tensor = f", and {block['tensor_scale']} for a tensor" if block["tensor_scale"] else ""
        print(f"{name}: blocks of {size}; scale {block['scale']}, rule {block['rule']}{tensor}")
        name = f"element {block['element']}"
    bits = f"{summary['bits']} bit{'s' if summary['bits'] > 1 else ''}"
    print(f"{name}: {bits}, {summary['what']}")
    least, largest, nan = (summary[key] for key in ("least", "largest", "nan"))
    lines = {
        "values": f"{summary['values']}, from {show(least)} to {show(largest)}",
        "least positive": show(summary["least_positive"]),
        "least normal": summary["least_normal"] and show(summary["least_normal"]),
        "ulp at 1": summary["ulp_at_1"] and show(summary["ulp_at_1"]),
        "negative zero": summary["negative_zero"] and "yes",
        "infinities": ", ".join(summary["infinities"]),
        "NaN": f"{nan}; {summary['nan_codes']} codes" if summary["nan_codes"] > 1 else nan,
    }
    lines = {head: line for head, line in lines.items() if line}
    for head, line in lines.items():
        print(f"  {head:<14}  {line}")


def _print_grid(fmt: Format) -> None:
    from minimac.codes import grid, show

    print()
    _print_table(grid(fmt), show)
    if isinstance(fmt, Minifloat) and fmt.signed:
        first = 1 << fmt.magnitude_bits
        zero = "" if fmt.has_negative_zero else f"; {first:#x} is NaN"
        print(f"from {first + (zero != ''):#x} on the same, negative{zero}")


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


def _load_buildable(path: Path, changes: Sequence[str] | None = None) -> Design:
    """Read a design that is to become a circuit; some have only a model."""
    design = _load(path, changes)
    from minimac.rtl import describe

    try:
        describe(design)
        _check_technology("technology:", design.technology)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    return design


def _technology_of(path: Path, design: Design, given: str | None) -> tuple[str, str]:
    """Return the technology that is given, or else the design's, after what names it."""
    key = f"{path}: technology:" if given is None else "--technology"
    chosen = design.technology if given is None else given
    _check_technology(key, chosen)
    return key, chosen


def _check_technology(key: str, name: str) -> None:
    from minimac.cost import is_liberty, technologies

    if not is_liberty(name):
        _one_of(key, name, technologies())


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
    if value is None:
        tree.pop(last, None)
    else:
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
    """Write Verilog, a description of the ports, the design itself, constraints and scripts."""
    from minimac.explore.artefacts import design_files, write_files

    loaded = _load_buildable(design, changes)
    folder, files = output or Path("build") / loaded.name, design_files(loaded)
    _spare(design, folder, files)
    for path in write_files(files, folder):
        print(path)


def _spare(design: Path, folder: Path, files: Mapping[str, str]) -> None:
    """Refuse to write another text over the very file that was read."""
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.samefile(design) and path.read_text(encoding="utf-8") != text:
            raise SpecError(f"{path}: is the design, and would be lost; write elsewhere with -o")


@app.command()
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

    loaded = _load(design, changes)
    for path in write_vectors(
        loaded, output, count=count, terms=terms, seed=seed, exhaustive=exhaustive
    ):
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
    from minimac.explore import check_simulator
    from minimac.spec.files import make_folder

    _one_of("--simulator", simulator, SIMULATORS)
    loaded = _load_buildable(design, changes)
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
    loaded = _load(design, changes)
    key, chosen = _technology_of(design, loaded, technology)
    if tool:
        _check_tool(tool, key, chosen)
    elif output:
        raise SpecError("--output: is for the files of --export; add that, or leave this out")
    codes = None if operands is None else [_read_operands(operands, loaded)]
    if composed is None:
        composed = not quickest and _is_large(loaded, chosen)
    if composed and quickest:
        raise SpecError("--fastest: is measured, not composed; use --direct")
    if composed and glitches:
        raise SpecError("--glitches: are simulated, not composed; use --direct")
    options: dict[str, Any] = {"dsp": dsp, "with_parts": parts, "with_glitches": glitches}
    options["seeds"] = range(seeds if route else 0)
    if composed:
        figures = _composed(design, loaded, chosen, operands, codes[0] if codes else None).cost
    else:
        figures = _measured(design, loaded, chosen, quickest, operands=codes, **options)
    if tool:
        _export(tool, design, loaded, figures, output or Path("build") / loaded.name / tool)
        return
    found = figures.as_dict()
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
        _print_parts(found)
        _print_conditions(found, loaded.pipeline)
    if glitches and "energy_glitches_pj_per_mac" not in found:
        print(
            "glitches: no figure: energy is that of standard cells, and of no unit behind wishbone",
            file=sys.stderr,
        )
    if parts and "area_by_part_um2" not in found:
        print("parts: no figures: areas are those of standard cells", file=sys.stderr)


def _check_tool(tool: str, key: str, technology: str) -> None:
    """Refuse, before anything is measured, files that a tool has no use for."""
    from minimac.cost.exchange import TOOLS

    _one_of("--export", tool, TOOLS)
    _check_cells(key, technology, f"{tool} needs area and energy")


def _check_cells(key: str, technology: str, why: str) -> None:
    """Refuse an FPGA where only standard cells will do."""
    from minimac.cost import Library, is_liberty, load_technology, technologies

    if not is_liberty(technology) and not isinstance(load_technology(technology), Library):
        cells = [name for name in technologies() if isinstance(load_technology(name), Library)]
        raise SpecError(
            f"{key} must be one of {', '.join(cells)}, or a Liberty file, not {technology}: {why}"
        )


def _measured(
    path: Path, design: Design, technology: str, quickest: bool, **options: Any
) -> "Cost":
    """Measure a design of a file, at its clock or at the tightest that it meets."""
    from minimac.cost import SynthesisError, measure

    try:
        if quickest:
            from minimac.cost import fastest

            options.pop("seeds", None)
            return fastest(design, technology, watch=_watch, **options)
        return measure(design, technology, watch=_watch, **options)
    except SynthesisError as error:
        raise SpecError(f"{path}: {error}") from None
    except SpecError as error:
        raise SpecError(_in_file(path, technology, error)) from None


def _composed(
    path: Path, design: Design, technology: str, operands: Path | None, codes: Any
) -> "Composition":
    """Compose an array of a file from small ones, for codes that may be of another file."""
    from minimac.cost import SynthesisError, compose

    try:
        with _under_way() as watch:
            return compose(design, technology, codes, watch=watch)
    except SynthesisError as error:
        raise SpecError(f"{path}: {error}") from None
    except SpecError as error:
        said = str(error)
        if operands is not None and said.startswith("operands: "):
            raise SpecError(f"{operands}: {said.removeprefix('operands: ')}") from None
        raise SpecError(_in_file(path, technology, error)) from None


def _in_file(path: Path, technology: str, error: SpecError) -> str:
    """Return what is wrong after the file that it is wrong in: the design, or a Liberty file."""
    said = str(error)
    return said if said.startswith(f"{technology}: ") else f"{path}: {said}"


def _print_parts(found: dict[str, Any]) -> None:
    """Say where the area goes, and the longest path."""
    if "area_by_part_um2" not in found:
        if "area_um2" in found:
            print("--parts shows where the area and the delay are", file=sys.stderr)
        return
    print()
    _print_table(
        [
            {"part": part, "area_um2": area, "share_%": round(100 * area / found["area_um2"], 1)}
            for part, area in found["area_by_part_um2"].items()
        ]
    )
    first, *others = found["critical_signals"]
    steps = [first["signal"], *(f"{s['signal']} at {s['arrival_ps']:.0f} ps" for s in others)]
    print(f"\npath: {', '.join(steps)}")


def _watch(said: str) -> None:
    print(said, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _under_way() -> Iterator[Callable[[str], None]]:
    """Show on standard error what is under way: on a terminal the last line, elsewhere each.

    What is kept in the cache is there at once, so that on a terminal nothing is left of it.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _watch
        return
    with console.status("") as status:
        yield status.update


@app.command()
def predict(
    design: DesignFile,
    technology: Technology = None,
    as_json: AsJson = False,
    changes: Changes = None,
) -> None:
    """Predict area, delay and energy of a design at once, without synthesis."""
    from minimac.cost import predict as predict_

    loaded = _load_buildable(design, changes)
    if technology is not None:
        _check_technology("--technology", technology)
    try:
        found = predict_(loaded, technology)
    except SpecError as error:
        key = "--" if technology and str(error).startswith("technology:") else f"{design}: "
        raise SpecError(f"{key}{error}") from None
    if as_json:
        _print_json(found.as_dict())
        return
    _print_table(
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


def _export(tool: str, path: Path, design: Design, figures: "Cost", folder: Path) -> None:
    """Write the files of a tool for the design of a file, and print where they are."""
    from minimac.cost import export
    from minimac.spec.files import make_folder, write_whole

    files = export(tool, design, figures)
    _spare(path, folder, files)
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


@app.command()
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
    loaded = _load_buildable(design, changes)
    if not isinstance(loaded, Systolic) or loaded.array.dataflow == "broadcast":
        what = f"array.dataflow: {loaded.array.dataflow}" if isinstance(loaded, Systolic) else ""
        raise SpecError(
            f"{design}: {what or f'unit: {loaded.unit}'} has no schedule of layers; use systolic "
            "with dataflow ws or os"
        )
    key, chosen = _technology_of(design, loaded, technology)
    _check_cells(key, chosen, "layers are priced in standard cells")
    codes = None if operands is None else _read_operands(operands, loaded)
    try:
        lay_out(layers, loaded)
    except SpecError as error:
        raise SpecError(f"{network}: {error}") from None
    found = cost_of(layers, _composed(design, loaded, chosen, operands, codes)).as_dict()
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
    _print_table([{head: row[key] for head, key in shown.items()} for row in rows])
    print(
        f"time: at {found['clock_mhz']:g} MHz; the array allows {found['fmax_mhz']:.4g} MHz",
        file=sys.stderr,
    )
    print(f"memory: {found['provenance']['memory']['source']}", file=sys.stderr)
    _print_composed(found["provenance"])


@app.command()
def compare(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="A B ...", help="Designs, or what `cost --json` printed (.json)."),
    ],
    technology: Annotated[
        list[str] | None,
        typer.Option(metavar="T", help="Build for it, instead of what each design says; repeat."),
    ] = None,
    clock_mhz: Annotated[
        float | None, typer.Option(metavar="F", help="One clock for all, in MHz.")
    ] = None,
    quickest: Fastest = False,
    energy: Annotated[
        bool, typer.Option("--energy/--no-energy", help="Measure energy, too.")
    ] = True,
    dsp: Dsp = None,
    seeds: Seeds = 3,
    route: Route = True,
    as_json: AsJson = False,
) -> None:
    """Set designs side by side: figures, ratios to the first, the best marked with a star."""
    from minimac.cost import compare as side_by_side

    if len(files) < 2:
        raise SpecError("compare takes two files or more")
    if clock_mhz is not None and quickest:
        raise SpecError("--clock-mhz and --fastest exclude each other")
    if clock_mhz is not None and not clock_mhz > 0:
        raise SpecError(f"--clock-mhz must be above 0, not {clock_mhz:g}")
    designs = {path: None if path.suffix == ".json" else _load(path) for path in files}
    for name in technology or ():
        _check_technology("--technology", name)
    for path, design in designs.items():
        if design is not None and not technology:
            _check_technology(f"{path}: technology:", design.technology)
    options: dict[str, Any] = {} if quickest else {"clock_mhz": clock_mhz}
    options |= {"dsp": dsp, "with_energy": energy, "seeds": range(seeds if route else 0)}
    tables = []
    wanted: list[str | None] = list(technology) if technology else [None]
    for target in wanted:
        costs = []
        for path in files:
            design = designs[path]
            if design is None:
                costs.append(_read_cost(path, target))
            else:
                chosen = target or design.technology
                costs.append(_measured(path, design, chosen, quickest, **options).as_dict())
        tables.append(costs)
    if as_json:
        _print_json([_compared(costs, side_by_side(costs)) for costs in tables])
        return
    for n, costs in enumerate(tables):
        if n:
            print()
        _print_comparison(_told_apart(files, costs), costs, side_by_side(costs))


def _read_cost(path: Path, technology: str | None) -> dict[str, Any]:
    """Read what ``minimac cost --json`` printed."""
    from minimac.cost.comparison import METRICS

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    kinds: dict[str, Any] = {
        "name": str,
        "technology": str,
        "clock_mhz": int | float,
        "provenance": dict,
    }
    if (
        not isinstance(found, dict)
        or not all(isinstance(found.get(key), kind) for key, kind in kinds.items())
        or not METRICS.keys() & found.keys()
        or not all(isinstance(found.get(key), int | float | None) for key in METRICS)
    ):
        raise SpecError(f"{path}: must be what minimac cost --json printed")
    if technology is not None and found["technology"] != technology:
        raise SpecError(
            f"{path}: technology: must be {technology}, as --technology says, not "
            f"{found['technology']}"
        )
    return found


def _compared(costs: list[dict[str, Any]], rows: Sequence[Any]) -> dict[str, Any]:
    return {
        "costs": costs,
        "ratios": {row.metric: row.ratios for row in rows},
        "best": {row.metric: sorted(row.best) for row in rows},
    }


def _told_apart(files: Sequence[Path], costs: Sequence[dict[str, Any]]) -> list[str]:
    """Return names of the designs; of their files, where two have one name."""
    names = [str(cost["name"]) for cost in costs]
    if len(set(names)) == len(names):
        return names
    stems = [path.stem for path in files]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{n}:{stem}" for n, stem in enumerate(stems, 1)]


def _print_comparison(
    names: Sequence[str], costs: Sequence[dict[str, Any]], rows: Sequence[Any]
) -> None:
    from minimac.cost import differences

    table = []
    for row in rows:
        cells: dict[str, Any] = {"metric": row.metric}
        for n, name in enumerate(names):
            cells[name] = f"{_cell(row.values[n])} {'*' if n in row.best else ' '}"
            if n:
                cells[f"ratio {n}"] = row.ratios[n] and float(f"{row.ratios[n]:.4g}")
        table.append(cells)
    for name in names:  # numbers to the right, with their stars
        width = max(len(cells[name]) for cells in table)
        for cells in table:
            cells[name] = cells[name].rjust(width)
    _print_table(table)
    first = costs[0]
    clocks = sorted({f"{cost['clock_mhz']:g}" for cost in costs}, key=float)
    versions = first["provenance"].get("versions", {})
    print(
        f"conditions: {first['technology']}, {' / '.join(clocks)} MHz, "
        f"{first['provenance'].get('corner', 'Yosys and nextpnr')}, "
        f"pyosys {versions.get('pyosys', 'unknown')}; ratios to {names[0]}; * the best",
        file=sys.stderr,
    )
    for said in differences(costs):
        print(f"warning: not the same for all: {said}", file=sys.stderr)
    for name, cost in zip(names, costs, strict=True):
        if "not_routed" in cost["provenance"]:
            print(f"{name}: no clock: {cost['provenance']['not_routed']}", file=sys.stderr)
        elif cost.get("meets_clock") is False:
            over_ps = cost["delay_ps"] - 1e6 / cost["clock_mhz"]
            print(
                f"warning: {name} misses {cost['clock_mhz']:g} MHz by {over_ps:.0f} ps",
                file=sys.stderr,
            )


def _read_operands(path: Path, design: Design) -> "tuple[Any, Any]":
    """Read matrices of codes, and of scales, and check that the design can take them."""
    import numpy as np

    from minimac.model import Blocks
    from minimac.model import encode as encode_
    from minimac.model.operands import read_codes

    formats = {name: fmt for name, fmt in design.operands.items() if name in ("a", "b")}
    scales_of = {f"{name}_scale" for name, fmt in formats.items() if isinstance(fmt, BlockFormat)}
    try:
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            names = archive.files if isinstance(archive, np.lib.npyio.NpzFile) else ["one array"]
            arrays = "two arrays, a and b" if "b" in formats else "an array, a"
            if scales_of:
                arrays += f", and perhaps {' and '.join(sorted(scales_of))}"
            if not formats.keys() <= {*names} <= formats.keys() | scales_of:
                raise SpecError(
                    f"{path}: must hold {arrays}, not {', '.join(names)[:60] or 'nothing'}"
                )
            found = {name: archive[name] for name in names}
    except (SpecError, OSError):
        raise
    except Exception:  # zip, zlib, tokenizer, memory: a damaged archive has many faces
        raise SpecError(f"{path}: must be an .npz file of plain arrays") from None

    def codes(name: str, fmt: Format) -> "NDArray[Any]":
        array = found[name]
        if not isinstance(array, np.ndarray):
            raise SpecError(f"{path}: must be an .npz file of plain arrays")
        if array.ndim != 2 or array.dtype.kind not in "iu":
            encoded = "; minimac.model.encode makes them of values" * (array.dtype.kind == "f")
            raise SpecError(
                f"{path}: {name}: must be a matrix of integer codes, not "
                f"{array.dtype} of shape {array.shape}{encoded}"
            )
        if not array.size:
            raise SpecError(f"{path}: {name}: must not be empty, as it is of shape {array.shape}")
        try:
            read_codes(fmt, array, name)
        except ValueError as error:
            raise SpecError(
                f"{path}: {error}; minimac.model.encode makes codes of values"
            ) from None
        return array

    a, *others = (codes(name, fmt) for name, fmt in formats.items())
    if not others:
        return a, np.zeros((a.shape[1], 1), np.int64)
    (b,) = others
    if a.shape[1] != b.shape[0]:
        raise SpecError(
            f"{path}: a must be of shape (M, K) and b of (K, N), not {a.shape} and {b.shape}"
        )
    chains = isinstance(design, (Dot, Mac, Systolic))
    if chains and len(b) > design.accumulate.max_terms:
        raise SpecError(
            f"{path}: K must be at most accumulate.max_terms ({design.accumulate.max_terms}), "
            f"not {len(b)}"
        )
    if design.padding is None and isinstance(design, Dot) and len(b) % design.lanes:
        raise SpecError(
            f"{path}: K must fill transfers of {design.lanes} lanes, which {len(b)} does not"
        )
    placed: list[Any] = []
    for (name, fmt), matrix in zip(formats.items(), (a, b), strict=True):
        if not isinstance(fmt, BlockFormat):
            placed.append(matrix)
            continue
        shape = [1, 1]
        if fmt.size:
            shape = list(matrix.shape)
            shape[name == "a"] = -(-len(b) // fmt.size)
        scale = f"{name}_scale"
        scales = (
            codes(scale, fmt.scale)
            if scale in found
            else np.full(shape, int(encode_(fmt.scale, 1.0)), np.int64)
        )
        if list(scales.shape) != shape:
            raise SpecError(
                f"{path}: {scale}: must be of shape {tuple(shape)}, a code of {fmt.scale.name} for "
                f"each block, not {scales.shape}"
            )
        placed.append(Blocks(matrix, scales))
    return placed[0], placed[1]


@app.command()
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
    loaded, target = _load_buildable(design, changes), load_board(board)
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
            built = bitstream.largest(loaded, target, folder, **options, watch=_watch)
        else:
            built = bitstream.build(loaded, target, folder, **options, dsp=dsp)
    except bitstream.FitError as error:
        _refuse_size(loaded, target, folder, error, largest)
    except bitstream.SlowError as error:
        _fail(f"{error}; hardly a site may be free: --largest looks for an array that is placed")
    except bitstream.BuildError as error:
        _fail(str(error))
    _print_built(built, as_json)
    if built.fmax_mhz < built.clock_mhz:
        _fail(
            f"{target.name}: {built.fmax_mhz:.1f} MHz is less than the clock of "
            f"{built.clock_mhz:g} MHz; set pipeline to auto, or --clock-mhz to less"
        )


def _refuse_size(
    design: Systolic, board: "Board", folder: Path, error: "FitError", largest: bool
) -> NoReturn:
    """Say that an array is too large, and which one would do."""
    from minimac import bitstream

    if largest:
        _fail(str(error))
    size = bitstream.estimate_best(design, board, folder / "smaller", watch=_watch)
    over = ", ".join(
        f"{used} {name} of {there}" for name, (used, there) in error.used.items() if used > there
    )
    fits = bitstream.shape_of(bitstream.reshaped(design, size)) if size else ""
    _fail(
        f"{design.name}: {bitstream.shape_of(design)} does not fit {board.name}"
        + (f" ({over})" if over else "")
        + (f"; about {fits} does, and --largest finds out" if size else ", nor does any array")
    )


def _print_built(built: "Bitstream", as_json: bool) -> None:
    if as_json:
        told = {**dataclasses.asdict(built), "file": str(built.file)}
        _print_json(told)
        return
    print(f"{built.file}: {built.design}, {built.rows}x{built.columns}, for {built.board}")
    rows = [
        {"resource": name, "used": used, "there": there, "%": 100.0 * used / there}
        for name, (used, there) in built.used.items()
    ]
    _print_table(rows)
    print(f"clock {built.clock_mhz:g} MHz, possible {built.fmax_mhz:.1f} MHz")
    print(", ".join(f"{step} {taken:.0f} s" for step, taken in built.seconds.items()))
    print(f"load it: {built.load}")


@app.command()
def explore(
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP", help="Sweep file (YAML).")],
    jobs: Annotated[int, typer.Option(min=1, max=1000, help="Worker processes.")] = 2,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask scheduler to use instead: tcp://HOST:PORT."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder (default: build/NAME)."),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Run nothing; of what was run, say why this design is on a front or is not.",
        ),
    ] = None,
) -> None:
    """Generate, simulate and cost many designs, and judge each by a network.

    What was begun and not finished goes on where it was.
    """
    from minimac.explore import load_sweep, progress, run, table

    loaded = load_sweep(sweep)
    folder = output or Path("build") / loaded.name
    if explain is not None:
        from minimac.explore import explain as reasons
        from minimac.explore import load_results

        for line in reasons(load_results(folder), explain):
            print(line)
        return
    began, used_s = time.monotonic(), _processor_s()
    with progress() as shown:
        results = run(loaded, folder, jobs=jobs, scheduler=scheduler, **shown)
    took_s = time.monotonic() - began
    busy = (_processor_s() - used_s) / took_s
    table(results)
    measured, screened = results.space["measured"], results.space["screened"]
    before = f", {screened} judged before," if screened else ""
    print(
        f"{measured} designs measured{before} in {took_s:.1f} s, {60 * measured / took_s:.0f} a "
        f"minute, {busy:.2f} cores busy",
        file=sys.stderr,
    )
    print(f"results: {folder / 'results.json'}; report: minimac report {folder}", file=sys.stderr)
    if results.failed:
        raise typer.Exit(1)


def _processor_s() -> float:
    """Return the processor time of this process and of those that it has waited for, in s."""
    import resource

    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What explore wrote into.")],
) -> None:
    """Write report.html, results.csv and results.parquet of a sweep, and pictures of its fronts."""
    from minimac.explore import report as write

    for path in write(folder):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
