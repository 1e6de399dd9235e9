"""``minimac list``."""

import inspect
import sys
from typing import Annotated, Any

import typer

from minimac.cli.designs import one_of
from minimac.cli.formats import element_of
from minimac.cli.options import AsJson
from minimac.cli.output import print_json, print_table
from minimac.spec import UNITS, Format, Minifloat, parse_format

__all__ = ["LISTED_FORMATS", "list_"]

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
    rows = lists[one_of("list", what, lists)]()
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows)
    else:
        print(f"there are no {what} yet", file=sys.stderr)


def _formats() -> list[dict[str, Any]]:
    return [_format_row(parse_format(name), what) for name, what in LISTED_FORMATS.items()]


def _format_row(fmt: Format, what: str) -> dict[str, Any]:
    from minimac.codes import least_positive

    element = element_of(fmt)
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
