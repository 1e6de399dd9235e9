"""``minimac decode``, ``encode`` and ``table``: what codes mean."""

import re
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from minimac.cli.designs import one_of
from minimac.cli.options import AsJson, FormatName
from minimac.cli.output import print_csv, print_json, print_table
from minimac.spec import BlockFormat, Format, Minifloat, Overflow, Rounding, SpecError, parse_format

__all__ = ["decode", "element_of", "encode", "table"]


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
        print_json([code.as_dict() for code in found])
        return
    print_table(
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
    mode = Rounding(one_of("--rounding", rounding, Rounding))
    rule = Overflow(one_of("--overflow", overflow, Overflow))
    bits = _read_random(mode, random, random_bits)
    rows = [_encode(element_of(fmt), value, mode, rule, bits) for value in values]
    _note_blocks(fmt)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row["code"] = row["hex"]
        row["given"] = row["given"] if len(row["given"]) <= 24 else row["given"][:21] + "..."
        for key in ("error", "ulps"):
            row[key] = float(f"{float(row[key]):.6g}") if row[key] is not None else None
    heads = ("given", "code", "bits", "value", "error", "ulps", "below", "above")
    print_table([{head: row[head] for head in heads} for row in rows], show)


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
    element = element_of(fmt)
    summary = summarize(fmt)
    codes = range(1 << element.width) if element.width <= 8 else ()
    rows = [describe(element, code).as_dict() for code in codes if element.holds(code)]
    if as_json:
        print_json(summary | ({"codes": rows} if rows else {}))
    elif as_csv:
        print_csv(rows or _flat(summary))
    else:
        _print_summary(summary)
        if rows:
            _print_grid(element)


def _refuse_options(verb: str, words: Iterable[str]) -> None:
    """Tell a misspelt option from a number with a minus."""
    for word in words:
        if re.match(r"--|-(?!inf|nan)[a-z]", word, re.IGNORECASE):
            raise SpecError(f"No such option: {word[:40]}; see minimac {verb} --help")


def element_of(fmt: Format) -> Format:
    """Return a format of codes: of one of blocks, that of the elements."""
    return fmt.element if isinstance(fmt, BlockFormat) else fmt


def _note_blocks(fmt: Format) -> None:
    if isinstance(fmt, BlockFormat):
        print(f"{fmt.name}: elements are {fmt.element.name}; scales apart", file=sys.stderr)


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
    print_table(grid(fmt), show)
    if isinstance(fmt, Minifloat) and fmt.signed:
        first = 1 << fmt.magnitude_bits
        zero = "" if fmt.has_negative_zero else f"; {first:#x} is NaN"
        print(f"from {first + (zero != ''):#x} on the same, negative{zero}")
