"""Simulated boards: the top as it is synthesised, in a program that Verilator makes of it."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from minimac.bench.run import SimulationError, check_compiler, environment, simulator_version
from minimac.bench.runtime import keep_runtime, put_runtime, runtime_folder
from minimac.host.errors import HostError
from minimac.soc.core import CoreParameters
from minimac.soc.top import board_verilog
from minimac.spec import Systolic

__all__ = ["SimulatedBoard", "build_board", "open_simulated"]

#: Of Verilator; a bit on the line takes a cycle, the least that the top allows.
_FLAGS = ["-O3", "--output-split", "0", "-Wno-fatal", "-CFLAGS", "-O2"]
_DIVISOR = 1


def build_board(parameters: CoreParameters, verilog: str | None = None) -> Path:
    """Build the program of a simulated board, unless the same was built before; return it.

    Parameters
    ----------
    parameters : CoreParameters
        What is on the board.
    verilog : str, optional
        Its text, if it is not the one that the parameters give: a netlist, say.

    Raises
    ------
    HostError
        If it cannot be built.
    """
    top = f"{parameters.design.name}_top"
    text = verilog or board_verilog(parameters, divisor=_DIVISOR)
    main = files("minimac.host").joinpath("board.cpp").read_text(encoding="utf-8")
    parts = [f'no_inline -module "{parameters.design.name}_{x}"' for x in ("element", "foot")]
    sources = {
        "board.cpp": main,
        "top.v": text,
        "control.vlt": "\n".join(["`verilator_config", *parts, ""]),
    }
    facts = [sources, _FLAGS, simulator_version("verilator")]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "minimac" / "boards"
    program = folder / digest
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{digest}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who builds the same comes first
        if not program.exists():
            with tempfile.TemporaryDirectory(prefix="minimac-") as temporary:
                _compile(Path(temporary), sources, top)
                part = folder / f"{digest}.part"
                shutil.copy(Path(temporary) / "obj" / "Vtop", part)
                os.replace(part, program)
    return program


def _compile(folder: Path, sources: dict[str, str], top: str) -> None:
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    try:
        check_compiler()
    except SimulationError as error:
        raise HostError(f"sim: {error}") from None
    command = ["verilator", "--cc", "--exe", "--build", "--Mdir", "obj", "--prefix", "Vtop"]
    command += ["--top-module", top, *_FLAGS, "control.vlt", "top.v", "board.cpp"]
    objects, made = (
        runtime_folder(simulator_version("verilator"), _FLAGS, waves=False),
        folder / "obj",
    )
    made.mkdir()
    put_runtime(objects, made)
    with environment("verilator"):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
        raise HostError(f"sim: {top} was not built: {errors[0] if errors else 'no output'}")
    keep_runtime(objects, made)


class SimulatedBoard:
    """A simulated board that runs, and the serial port at which it is.

    Parameters
    ----------
    program : Path
        As :func:`build_board` returned it.

    Attributes
    ----------
    terminal : str
        The pseudo-terminal, to be opened as any serial port.
    """

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.terminal = self._process.stdout.readline().strip()
        if not self.terminal:
            self._process.wait()
            raise HostError("sim: the simulated board did not start")

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


class _Port:
    """A serial port at a simulated board, which ends with it."""

    def __init__(self, board: SimulatedBoard) -> None:
        import serial

        self._board = board
        self._serial = serial.Serial(board.terminal, timeout=0.05)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._serial, name)

    @property
    def baudrate(self) -> None:
        """A simulation has none."""
        return None

    def close(self) -> None:
        self._serial.close()
        self._board.stop()


def open_simulated(design: Systolic) -> Any:
    """Start the simulated board of a design; return a port that is connected to it."""
    board = SimulatedBoard(build_board(CoreParameters(design)))
    try:
        return _Port(board)
    except BaseException:
        board.stop()
        raise
