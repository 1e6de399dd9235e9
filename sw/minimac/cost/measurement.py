"""What a design costs in a technology: the question that this package answers.

A figure that was found before is returned without building anything: the finished cost is kept
under what it follows from, which is the design, the technology, the operands, the versions of the
tools, and the code.
"""

import functools
import hashlib
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimac.cost.cache import Cache
from minimac.cost.result import Cost
from minimac.cost.technology import Library, load_technology, technology_text
from minimac.spec import Design, SpecError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Operands = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]

__all__ = ["measure"]

#: Packages whose versions decide figures; of place and route, that of the wheel.
_TOOLS = ("minimac", "pyosys", "amaranth", "numba", "numpy")

#: Packages of this project that figures follow from.
_SOURCES = ("spec", "rtl", "model", "bench", "cost")


def measure(
    design: Design,
    technology: str | None = None,
    operands: "Operands | None" = None,
    *,
    clock_mhz: float | None = None,
    dsp: bool | None = None,
    with_energy: bool = True,
    with_glitches: bool = False,
    with_parts: bool = False,
    seeds: Sequence[int] = (),
    timeout_s: float = 600.0,
    cache: Cache | None = None,
    watch: Callable[[str], None] | None = None,
) -> Cost:
    """Map a design to a technology and measure it.

    Parameters
    ----------
    design : Design
        What to build.
    technology : str or None
        Name of a technology; by default that of the design.
    operands : sequence of pairs of int arrays, shapes (M, K) and (K, N), or None
        Codes of the matrices whose products are computed, one after the other, while activity is
        counted. By default normally distributed values with a fixed seed: a figure for comparisons,
        not for a workload.
    clock_mhz : float or None
        Clock to map for and to count leakage at, in MHz; by default that of the design.
    dsp : bool or None
        Whether an FPGA's multiplier blocks are used; None for the habit of the family.
    with_energy : bool
        Whether to measure energy, which FPGAs have no figure for, nor has a unit behind Wishbone:
        a processor's accesses would be most of it.
    with_glitches : bool
        Whether to estimate the energy of glitches, too, which takes many times as long as the
        energy without them.
    with_parts : bool
        Whether to split the area of standard cells by what the datapath does, and to follow the
        longest path in the generator's terms, which takes one more mapping.
    seeds : sequence of int
        Seeds of place and route on an FPGA; with none, there is no clock. If there is no result,
        ``provenance`` says so in ``not_routed``.
    timeout_s : float
        Time that synthesis may take, and place and route for each seed, in s.
    cache : Cache or None
        Where results are kept; by default the usual folder.
    watch : callable or None
        What is told, in a line, of what takes long.

    Raises
    ------
    SpecError
        If the technology is not known, has no flip-flops for the design's reset, or is one of
        standard cells and ``dsp`` is given.
    SynthesisError
        If synthesis fails.
    """
    name = technology or design.technology
    is_family = "\nprimitives:" in technology_text(name)
    if dsp is not None and not is_family:
        raise SpecError(f"dsp: {name} has no multiplier blocks; leave it out")
    # What has no meaning for a technology makes no other entry.
    options: dict[str, Any] = {"dsp": dsp, "seeds": list(seeds) if is_family else []}
    options["with_energy"] = with_energy
    options["with_glitches"] = with_glitches and with_energy and not is_family
    options["with_parts"] = with_parts and not is_family
    clock = design.clock_mhz if clock_mhz is None else clock_mhz
    # `pipeline: auto` places registers for the technology and clock that are asked for.
    design = replace(design, technology=name, clock_mhz=clock)
    cache = cache or Cache()
    key = _key(design, name, operands, options)
    state = cache.load(key)
    if state is not None:
        return Cost.of_state(state)
    from minimac.cost.evaluation import evaluate

    target = load_technology(name)
    if design.reset == "async" and isinstance(target, Library) and not target.has_clear:
        raise SpecError(
            f"reset: {target.name} has no flip-flop with an asynchronous reset; use sync"
        )
    provenance = {
        "design": design.as_dict(),
        "design_digest": design.digest,
        "commit": _commit(),
        "versions": _versions(),
        "process": target.process,
        "source": target.source,
    }
    cost = evaluate(
        design,
        target,
        operands,
        **options,
        timeout_s=timeout_s,
        cache=cache,
        watch=watch,
        provenance=provenance,
    )
    # Whether nextpnr is installed, or has the time, may be otherwise tomorrow.
    if "not_routed" not in cost.provenance or getattr(target, "router", None) is None:
        cache.store(key, cost.state())
    return cost


def _key(
    design: Design, technology: str, operands: "Operands | None", options: dict[str, Any]
) -> dict[str, Any]:
    """Return all that a cost follows from."""
    digest = hashlib.sha256()
    for pair in operands or ():
        for operand in pair:
            # Blocks consist of arrays; codes are one.
            arrays = (getattr(operand, name, None) for name in ("elements", "scales"))
            for array in [array for array in arrays if array is not None] or [operand]:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(array.tobytes())
            digest.update(repr(getattr(operand, "tensor_scale", None)).encode())
    return {
        "cost": design.as_dict(),
        "technology": technology_text(technology),
        "operands": None if operands is None else digest.hexdigest(),
        "options": options,
        "code": _sources_digest(),
        "versions": _versions() | _router_version(technology, options["seeds"]),
    }


def _router_version(technology: str, seeds: Sequence[int]) -> dict[str, str]:
    """Return the version of what places and routes, if it is to."""
    # Facts of cells are long to read, and have no such line.
    wheel = re.search(r"^  wheel: (\S+)$", technology_text(technology), re.MULTILINE)
    return {wheel[1]: _version(wheel[1])} if wheel and seeds else {}


@functools.cache
def _sources_digest() -> str:
    """Hash the code and the facts of this project that figures follow from."""
    digest = hashlib.sha256()
    for package in _SOURCES:
        found = find_spec(f"minimac.{package}")
        assert found is not None
        for place in found.submodule_search_locations or ():
            for path in sorted(Path(place).rglob("*")):
                if path.suffix in (".py", ".yaml", ".v"):
                    digest.update(f"{package}/{path.name}\n".encode())
                    digest.update(path.read_bytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    return {package: _version(package) for package in _TOOLS}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


@functools.cache
def _commit() -> str:
    """Return the commit that the package is run from, with ``+`` if files were changed since."""
    folder = Path(__file__).parent

    # Installed into somebody's project, git would tell of theirs.
    if not (folder.parents[2] / "hw" / "minimac").is_dir():
        return "unknown"

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
