"""First calls in a fresh process: how long they take, what they compile, and to which loops.

``python -m benchmarks.startup`` makes them and prints what it found, for :func:`first_calls`.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.assembly import Loop, hot_loops

__all__ = ["First", "Start", "first_calls"]

_ROOT = Path(__file__).parent.parent


@dataclass
class First:
    """The first call of an entry in a process."""

    contest: str
    entry: str
    seconds: float
    compiled: int  #: Functions that were compiled for it, and not loaded.
    loops: list[Loop]  #: Of its kernel, if that was compiled in this process.


@dataclass
class Start:
    """A fresh process."""

    import_seconds: float  #: Of the model and of Numba.
    calls: list[First]

    @property
    def seconds(self) -> float:
        """How long all first calls took."""
        return sum(call.seconds for call in self.calls)

    @property
    def compiled(self) -> int:
        """How many functions were compiled."""
        return sum(call.compiled for call in self.calls)


def first_calls(most: int | None = None) -> tuple[Start, Start]:
    """Make first calls, of ``most`` entries, in two processes: without cache, then with it."""
    command = [sys.executable, "-m", __name__, *([] if most is None else [str(most)])]
    with TemporaryDirectory() as cache:
        variables = os.environ | {"NUMBA_CACHE_DIR": cache, "NUMBA_NUM_THREADS": "1"}
        cold, warm = (_start(command, variables) for _ in range(2))
    return cold, warm


def _start(command: list[str], variables: dict[str, str]) -> Start:
    ended = subprocess.run(command, env=variables, cwd=_ROOT, check=True, stdout=subprocess.PIPE)
    found = json.loads(ended.stdout)
    for call in found["calls"]:
        call["loops"] = [Loop(*loop) for loop in call["loops"]]
    return Start(found["import_seconds"], [First(**call) for call in found["calls"]])


def _main(most: int | None) -> Start:
    begin = time.perf_counter()
    import_module("minimac.model.kernels")
    import_seconds = time.perf_counter() - begin

    import numpy as np
    from numba.core.event import install_recorder

    from benchmarks.contests import CONTESTS
    from benchmarks.entries import QUICK

    calls: list[First] = []
    loops: dict[str, list[Loop]] = {}
    all_entries = ((contest, entry) for contest in CONTESTS for entry in contest.entries)
    ours = [(contest, entry) for contest, entry in all_entries if entry.is_ours]
    for contest, entry in ours[:most]:
        with install_recorder("numba:compile") as recorder:
            begin = time.perf_counter()
            entry.prepare(QUICK, np.random.default_rng(0)).call()
            seconds = time.perf_counter() - begin
        compiled = [event.data for _, event in recorder.buffer if event.is_start]
        name = entry.kernel.name if entry.kernel else ""
        for data in compiled:
            if name and data["dispatcher"].py_func.__qualname__.startswith(name):
                loops[name] = _loops_of(**data)
        calls.append(First(contest.name, entry.name, seconds, len(compiled), loops.get(name, [])))
    return Start(import_seconds, calls)


def _loops_of(dispatcher: Any, args: Any, **_: Any) -> list[Loop]:
    return hot_loops(dispatcher.inspect_asm(args))


if __name__ == "__main__":
    print(json.dumps(asdict(_main(int(sys.argv[1]) if sys.argv[1:] else None))))
