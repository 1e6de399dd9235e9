"""Clocks of FPGAs: place and route by nextpnr, which comes as wheels.

A unit is placed *between registers*: its inputs come from a shift register, and its outputs lead
through registers to a tree of ors with a register in each level, so that three pins do
for any number of ports and every path of the unit is from register to register. The tree and the
shift register are never slower than a unit, and are not counted as part of it.

The unit and its elements and feet stay modules while they are mapped, as for the counts, and are
dissolved then, so that the same netlist is counted and routed. Placement begins from a seed and is
a matter of luck: one run is no figure, the median of several is. The clock that nextpnr is asked
for made no difference to any result, since all paths have the same one.
"""

import importlib.metadata
import importlib.util
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimac.cost.cache import Cache
from minimac.cost.children import Child, ChildError, TimeUp
from minimac.cost.errors import RoutingError
from minimac.cost.synthesis import Yosys, flow_digest, fpga_flow, source_digest, synthesise
from minimac.cost.technology import Device, Family, Router

__all__ = ["Routed", "place_and_route"]


@dataclass(frozen=True, kw_only=True)
class Routed:
    """A unit in a part, placed from one seed.

    Parameters
    ----------
    part, version : str
        The part, and the version of nextpnr's wheel.
    seed : int
        The seed.
    fmax_mhz : float
        What its longest path allows.
    used : dict of str to int
        Resources of the part, with the registers around the unit.
    path : tuple of dict
        The longest path: ``instance``, ``signal`` that leaves it, ``arrival_ps`` there.
    """

    part: str
    version: str
    seed: int
    fmax_mhz: float
    used: dict[str, int]
    path: tuple[dict[str, Any], ...]

    @property
    def period_ps(self) -> float:
        """Time that the longest path takes, in ps."""
        return 1e6 / self.fmax_mhz


def place_and_route(
    verilog: str,
    top: str,
    family: Family,
    *,
    seeds: Sequence[int] = (0,),
    keep: Sequence[str] = (),
    dsp: bool | None = None,
    clock_mhz: float = 100.0,
    timeout_s: float = 600.0,
    cache: Cache | None = None,
    watch: Callable[[str], None] | None = None,
) -> list[Routed]:
    """Place and route a module with a clock ``clk``, once for each seed.

    Parameters
    ----------
    verilog, top, family, keep, dsp, clock_mhz
        As for :func:`minimac.cost.synthesis.synthesise`.
    seeds : sequence of int
        Seeds of the placement.
    timeout_s : float
        Time that each of them may take, in s.
    cache : Cache or None
        Where results are kept, one entry a seed; by default the usual folder.
    watch : callable or None
        What is told, in a line, before and after each seed.

    Raises
    ------
    RoutingError
        If there is no open place and route of the family, or it is not installed, the unit does not
        fit, or it takes too long.
    SynthesisError
        If synthesis fails.
    """
    router = family.router
    if router is None:
        raise RoutingError(f"{family.name} has no open place and route")
    cache = cache or Cache()
    options: dict[str, Any] = {"keep": keep, "dsp": dsp, "clock_mhz": clock_mhz}
    counted = synthesise(verilog, top, family, **options, timeout_s=timeout_s, cache=cache)
    _check_timed(router, counted.total(), family)
    use = family.dsp_by_default if dsp is None else dsp
    nextpnr = _version(router)
    device = router.dsp_device if use and router.dsp_device else router.device
    around = _registers_around(top, counted.modules[top]["ports"])
    # The unit is kept apart from the registers around it until both are mapped: they would merge.
    steps = fpga_flow(family, f"{top}_placed", [*keep, top], dsp, clock_mhz)
    steps += ["setattr -mod -unset keep_hierarchy *", "flatten", "opt_clean", *router.finish]
    steps.append("write_json netlist.json")
    key = {
        "verilog": verilog + around,
        "technology": family.text,
        "flow": steps,
        "part": device.part,
        "code": [flow_digest(), source_digest("routing.py")],
        "pyosys": importlib.metadata.version("pyosys"),
        router.wheel: nextpnr,
    }
    found = []
    with tempfile.TemporaryDirectory(prefix="minimac-") as temporary:
        folder = Path(temporary)
        for number, seed in enumerate(seeds):
            tree = cache.load({**key, "seed": seed})
            if tree is None:
                begun_s = time.monotonic()
                deadline_s = begun_s + timeout_s
                if watch:
                    watch(f"place and route: seed {number + 1} of {len(seeds)}")
                if not (folder / "netlist.json").exists():
                    files = {**device.files, "design.v": verilog + around}
                    for name, text in files.items():
                        (folder / name).write_text(text, encoding="utf-8")
                    Yosys(folder, deadline_s).run(steps)
                tree = _route(folder, deadline_s, router, device, f"{top}_placed", seed)
                cache.store({**key, "seed": seed}, tree)
                if watch:
                    taken_s = time.monotonic() - begun_s
                    watch(f"{tree['fmax_mhz']:.1f} MHz, found in {taken_s:.0f} s")
            facts = {**tree, "path": tuple(tree["path"])}
            found.append(Routed(part=device.part, version=nextpnr, seed=seed, **facts))
    return found


def _version(router: Router) -> str:
    if importlib.util.find_spec(router.module) is None:
        raise RoutingError(
            f"{router.wheel} is not installed; pip install 'minimac[fpga]' brings place and route"
        )
    return importlib.metadata.version(router.wheel)


def _check_timed(router: Router, total: Counter[str], family: Family) -> None:
    for primitive in router.untimed:
        if primitive in total:
            raise RoutingError(
                f"nextpnr has no delays through {primitive} of {family.name}; without DSP it has"
            )


def _registers_around(top: str, ports: dict[str, Any]) -> str:
    """Write the module ``<top>_placed``: a unit between registers, with three pins."""
    connections, inputs, outputs = [".clk(clk)"], 0, 0
    for port, facts in ports.items():
        width = len(facts["bits"])
        if facts["direction"] == "output":
            connections.append(f".{port}(given[{outputs} +: {width}])")
            outputs += width
        elif port != "clk":
            connections.append(f".{port}(held[{inputs} +: {width}])")
            inputs += width
    if not (inputs and outputs and "clk" in ports):
        raise RoutingError(f"{top} must have a clock clk, inputs and outputs to be placed")
    lines = [
        f"module {top}_placed(input clk, input i, output o);",
        f"  reg [{inputs}:0] held;",
        "  always @(posedge clk) held <= {held, i};",
        f"  wire [{outputs - 1}:0] given;",
        f"  {top} unit({', '.join(connections)});",
        f"  reg [{outputs - 1}:0] level0;",
        "  always @(posedge clk) level0 <= given;",
    ]
    width, level = outputs, 0
    while width > 1:
        narrower = -(-width // 4)
        lines.append(f"  reg [{narrower - 1}:0] level{level + 1};")
        for n in range(narrower):
            bits = f"level{level}[{min(4 * n + 3, width - 1)}:{4 * n}]"
            lines.append(f"  always @(posedge clk) level{level + 1}[{n}] <= |{bits};")
        width, level = narrower, level + 1
    return "\n".join([*lines, f"  assign o = level{level};", "endmodule", ""])


def _route(
    folder: Path, deadline_s: float, router: Router, device: Device, top: str, seed: int
) -> dict[str, Any]:
    options = ["--json", "netlist.json", "--report", "report.json", "--top", top]
    options += ["--timing-allow-fail", "--freq", "100", "--seed", str(seed), *device.options]
    try:
        Child(router.program, folder, deadline_s).run(arguments=options)
    except TimeUp:
        raise RoutingError(f"place and route in {device.part} took longer than its limit") from None
    except ChildError as error:
        raise RoutingError(f"does not go into {device.part}: {error.said}") from None
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if len(report["fmax"]) != 1:
        raise RoutingError(f"nextpnr found {len(report['fmax'])} clocks in {top}, not one")
    (clock,) = report["fmax"].values()
    used = {name: item["used"] for name, item in report["utilization"].items() if item["used"]}
    return {"fmax_mhz": clock["achieved"], "used": used, "path": _path(report)}


def _path(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the longest path from clock edge to clock edge, net by net."""
    steps: list[dict[str, Any]] = []
    arrival_ps = 0.0
    inside = [
        path
        for path in report["critical_paths"]
        if path["from"].startswith("posedge") and path["to"].startswith("posedge")
    ]
    if not inside:
        return steps
    for part in inside[0]["path"]:
        if part["type"] == "routing":
            name = part["from"]["cell"].removeprefix("unit.")
            signal = part.get("net", "").removeprefix("unit.")
            steps.append({"instance": name, "signal": signal, "arrival_ps": round(arrival_ps, 1)})
        arrival_ps += 1000 * part["delay"]
    return steps
