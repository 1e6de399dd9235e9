"""Hold activity against an ordinary simulator: ``python -m benchmarks.activity``.

The mapped netlist of each design is written as Verilog, cell by cell, and runs in Icarus on one
lane of the operands that ``minimac cost`` uses; the changes of every net in its waveform must be
those that :func:`minimac.cost.activity.simulate` counts. Then both run 65,536 vectors of a bf16
element, for time. Writes ``docs/activity.md``.
"""

import argparse
import contextlib
import functools
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import table_of
from minimac.bench.traffic import LANES
from minimac.cost import Cache, Netlist, measurement
from minimac.cost.activity import simulate
from minimac.spec import load_design

_ROOT = Path(__file__).parent.parent
_PAGE = _ROOT / "docs" / "activity.md"
_DESIGNS = [
    ("units/os_booth", "sky130"),
    ("units/mac_bf16_nf4", "sky130"),
    ("units/mac_int16_chunks", "asap7"),
    ("units/mac_rounded_fp32", "asap7"),
    ("units/fma_bf16", "sky130"),
    ("units/multiplier_lmul_e4m3fn", "sky130"),
    ("units/convert_fp32_e4m3fn", "sg13g2"),
    ("units/dot_binary", "sky130"),
    ("units/dot_mxfp4", "asap7"),
    ("units/hadamard_int8", "sky130"),
]
_SMALL = "units/mac_lmul", "sky130"
_RACE = "units/fma_bf16"
_CYCLES = 300
_VECTORS = 1 << 16
_ROUNDS = 5

Words = NDArray[np.uint64]


@functools.cache
def netlist_of(path: str, technology: str) -> tuple[Netlist, Mapping[str, Words]]:
    """Map an example; return its netlist, and the first stimulus that its energy is found with."""
    design = load_design(_ROOT / "examples" / f"{path}.yaml")
    clock_mhz = 20.0 if technology != "asap7" else 100.0
    stimulus: list[Mapping[str, Words]] = []
    netlists: list[Netlist] = []

    def record(netlist: Netlist, inputs: Mapping[str, Words], **options: Any) -> Any:
        netlists.append(netlist)
        stimulus.append(inputs)
        return simulate(netlist, inputs, **options)

    with (
        mock.patch("minimac.cost.activity.simulate", record),
        # It simulates an inverter.
        mock.patch("minimac.cost.evaluation._load_compiled"),
        tempfile.TemporaryDirectory(prefix="minimac-") as empty,  # else nothing would be done twice
    ):
        measurement.measure(design, technology, clock_mhz=clock_mhz, cache=Cache(empty))
    return netlists[0], stimulus[0]


def as_verilog(netlist: Netlist) -> str:
    """Write a module ``netlist`` with an assignment a cell, whose nets are ``n<i>``."""
    clock = next(iter(netlist.clocks), None)
    driven = [int(net) for nets in netlist.inputs.values() for net in nets]
    ports = ", ".join(f"n{net}" for net in driven)
    stores: list[int] = []
    body = []
    for instance, kind in enumerate(netlist.kinds.tolist()):
        cell, pins = netlist.cells[kind], netlist.pins(instance)
        words = {pin: f"n{net}" for pin, net in pins.items()}
        if cell.ff:
            words[cell.ff.state] = f"s{instance}"
            stores.append(instance)
            after = _expression(cell.ff.next_state, words)
            body.append(f"always @(posedge n{clock}) s{instance} <= {after};")
        for pin in cell.outputs:
            function = cell.pins[pin].function
            assert function is not None
            body.append(f"assign {words[pin]} = {_expression(function, words)};")
    wires = [f"wire n{net};" for net in range(2, netlist.nets) if net not in driven]
    states = [f"reg s{instance} = 0;" for instance in stores]
    constants = ["wire n0 = 0;", "wire n1 = 1;"]
    head = f"module netlist({', '.join(f'input n{net}' for net in driven)});"
    assert ports
    return "\n".join([head, *constants, *wires, *states, *body, "endmodule"]) + "\n"


def _expression(function: str, words: Mapping[str, str]) -> str:
    """Turn a Liberty function of pins into Verilog."""
    text = re.sub(r"[A-Za-z_]\w*", lambda found: words[found[0]], function)
    assert "'" not in text
    return text.translate(str.maketrans("!*+", "~&|"))


def _bench(netlist: Netlist, rows: NDArray[np.uint8], *, waves: bool) -> str:
    """Return a bench that applies rows of bits, a row a cycle, just after the clock edge."""
    clock = next(iter(netlist.clocks), None)
    nets = [int(net) for nets in netlist.inputs.values() for net in nets if int(net) != clock]
    connections = [f".n{net}(row[{k}])" for k, net in enumerate(nets)]
    if clock is not None:
        connections.append(f".n{clock}(clk)")
    dump = ['$dumpfile("waves.vcd");', "$dumpvars(1, dut);"] if waves else []
    return "\n".join(
        [
            "module bench;",
            f"reg [{len(nets) - 1}:0] rows [0:{len(rows) - 1}];",
            f"reg [{len(nets) - 1}:0] row; reg clk = 0; integer t;",
            f"netlist dut({', '.join(connections)});",
            "initial begin",
            '$readmemb("rows.txt", rows);',
            "row = rows[0];",
            "#5;",
            *dump,
            f"for (t = 1; t < {len(rows)}; t = t + 1) begin",
            "#1 clk = 1; row <= rows[t]; #1 clk = 0;",
            "end",
            "#1 $finish;",
            "end",
            "endmodule",
        ]
    )


@contextlib.contextmanager
def built(netlist: Netlist, inputs: Mapping[str, Words], *, waves: bool) -> Iterator[list[str]]:
    """Compile a bench with lane 0 of the stimulus; return the command that runs it."""
    clocks = netlist.clocks
    columns = [inputs[port] for port, nets in netlist.inputs.items() if not clocks & set(nets)]
    rows = (np.concatenate(columns, axis=1) & np.uint64(1)).astype(np.uint8)
    with tempfile.TemporaryDirectory(prefix="minimac-") as name:
        folder = Path(name)
        text = "\n".join("".join(map(str, row[::-1])) for row in rows.tolist())
        (folder / "rows.txt").write_text(text + "\n", encoding="utf-8")
        source = as_verilog(netlist) + _bench(netlist, rows, waves=waves)
        (folder / "bench.v").write_text(source, encoding="utf-8")
        command = ["iverilog", "-g2005", "-o", "bench", "bench.v"]
        subprocess.run(command, cwd=folder, check=True)
        yield ["sh", "-c", 'cd "$0" && exec vvp -n bench', str(folder)]


def changes(netlist: Netlist, inputs: Mapping[str, Words]) -> NDArray[np.int64]:
    """Count the changes of each net in a waveform of lane 0."""
    with built(netlist, inputs, waves=True) as command:
        subprocess.run(command, check=True, capture_output=True)
        text = (Path(command[-1]) / "waves.vcd").read_text(encoding="utf-8")
    head, body = text.split("$enddefinitions $end", 1)
    nets: dict[str, list[int]] = {}  # a buffer's two have one symbol
    for symbol, net in re.findall(r"\$var \w+ 1 (\S+) n(\d+) \$end", head):
        nets.setdefault(symbol, []).append(int(net))
    # The first values are no changes, nor is what ends a period as it began.
    last: dict[str, str] = {}
    found: Counter[str] = Counter()
    for value, symbol in re.findall(r"^([01xz])(\S+)$", body, re.MULTILINE):
        assert value in "01", "a net is not driven"
        found[symbol] += last.get(symbol, value) != value
        last[symbol] = value
    counts = np.zeros(netlist.nets, np.int64)
    for symbol, same in nets.items():
        counts[same] = found[symbol]
    return counts


def one_lane(inputs: Mapping[str, Words], cycles: int) -> dict[str, Words]:
    """Return the first cycles with lane 0 in all lanes."""
    one = np.uint64(1)
    return {
        port: np.where(words[:cycles] & one, ~np.uint64(0), np.uint64(0))
        for port, words in inputs.items()
    }


def compare(path: str, technology: str) -> dict[str, Any]:
    """Compare the changes of all nets of a design but the clock."""
    netlist, inputs = netlist_of(path, technology)
    inputs = one_lane(inputs, _CYCLES)
    ours = simulate(netlist, inputs).toggles // LANES
    theirs = changes(netlist, inputs)
    nets = [net for net in range(2, netlist.nets) if net not in netlist.clocks]
    return {
        "design": path.rpartition("/")[2],
        "technology": technology,
        "nets": len(nets),
        "cycles": len(next(iter(inputs.values()))),
        "changes": int(ours[nets].sum()),
        "nets that differ": int((ours != theirs)[nets].sum()),
    }


def race(path: str, rounds: int, vectors: int) -> dict[str, Any]:
    """Time vectors of a design on sky130, without waveforms; compiling does not count."""
    netlist, inputs = netlist_of(path, "sky130")
    rng = np.random.default_rng(0)
    full = np.iinfo(np.uint64).max
    widths = {port: words.shape[1] for port, words in inputs.items()}

    def draw(cycles: int) -> dict[str, Words]:
        return {
            port: rng.integers(full, size=(cycles, width), dtype=np.uint64, endpoint=True)
            for port, width in widths.items()
        }

    packed, single = draw(vectors // LANES), draw(vectors)
    simulate(netlist, packed)
    ours, theirs = [], []
    with built(netlist, single, waves=False) as command:
        for _ in range(rounds):
            start = time.perf_counter()
            simulate(netlist, packed)
            ours.append(time.perf_counter() - start)
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            theirs.append(time.perf_counter() - start)
    times = statistics.median(ours), statistics.median(theirs)
    ratio = statistics.median(y / x for x, y in zip(ours, theirs, strict=True))
    figures = {"ours_s": times[0], "icarus_s": times[1], "ratio": ratio}
    return {"rounds": rounds, "vectors": vectors, "cells": len(netlist.kinds), **figures}


_TEXT = """\
# Activity beside that of a simulator

Written by `python -m benchmarks.activity`. The mapped netlist, cell by cell in Verilog, runs in
{version} on one lane of the operands that `minimac cost` uses; the changes of every net in its
waveform beside those that are counted here.

{table}

{vectors:,} random vectors of a bf16 `fma`, {cells:,} cells on sky130, settled values, no waveform:
{ours_s:.3g} s here, {icarus_s:.3g} s in Icarus, {ratio:.0f} times as long (medians of {rounds};
compiling does not count).
"""


def main() -> None:
    """Compare, time, and write the page."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("-o", "--output", type=Path, default=_PAGE, help="where the page goes")
    parser.add_argument("--quick", action="store_true", help="a small design only, and no race")
    chosen = parser.parse_args()
    if shutil.which("iverilog") is None:
        parser.error("iverilog was not found (Debian: apt install iverilog)")
    rows = []
    for path, technology in [_SMALL] if chosen.quick else _DESIGNS:
        rows.append(compare(path, technology))
        print(rows[-1], file=sys.stderr, flush=True)
    timed = race(_SMALL[0], 1, 1 << 10) if chosen.quick else race(_RACE, _ROUNDS, _VECTORS)
    said = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=True).stdout
    text = _TEXT.format(
        version=said.splitlines()[0].partition(" (")[0],
        table=table_of(rows),
        **timed,
    )
    chosen.output.write_text(text, encoding="utf-8")
    figures = json.dumps({"designs": rows, "time": timed}, indent=1) + "\n"
    chosen.output.with_suffix(".json").write_text(figures, encoding="utf-8")


if __name__ == "__main__":
    main()
