"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsJson",
    "Changes",
    "DesignFile",
    "Dsp",
    "Fastest",
    "Folder",
    "FormatName",
    "Route",
    "Seeds",
    "Technology",
]

Dsp = Annotated[
    bool | None,
    typer.Option(
        "--dsp/--no-dsp", help="FPGAs: use multiplier blocks, or none (default: the family's)."
    ),
]


Folder = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="Folder (default: build/NAME)."),
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
