"""Tools that run as processes of their own, in one folder, until a common deadline."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Child", "ChildError", "TimeUp"]

# Linux: end when the parent does, however that ends.
_TIED = """\
import contextlib, ctypes, signal, sys
with contextlib.suppress(Exception):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
"""


class ChildError(RuntimeError):
    """A tool ended with an error: its status and what it printed."""

    def __init__(self, status: int, log: str) -> None:
        super().__init__(f"status {status}")
        self.status, self.log = status, log

    @property
    def said(self) -> str:
        """The first error that the tool named, or else its last line; cells have no names here."""
        lines = [line for line in self.log.splitlines() if line.strip()] or ["no output"]
        line = next((line for line in lines if line.startswith("ERROR: ")), lines[-1])
        # Names of cells can be of any length.
        return re.sub(r"cell '[^']*'", "a cell", line.removeprefix("ERROR: ").strip())


class TimeUp(RuntimeError):
    """A tool took longer than it may."""


#: How long to wait before asking again whether a process has ended, in s.
_POLL_S = 0.005


def _processors() -> int:
    """Count the processors that this process may use; not every system tells."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


@dataclass(frozen=True)
class Child:
    """Runs of a Python program in one folder, each in a process of its own.

    Parameters
    ----------
    program : str
        The program.
    folder : Path
        Its working folder, and where it puts temporary files.
    deadline_s : float
        When all runs must have ended, by ``time.monotonic``.
    """

    program: str
    folder: Path
    deadline_s: float

    def run(self, text: str = "", arguments: Sequence[str] = ()) -> str:
        """Run the program on some input; return what it printed.

        Raises
        ------
        ChildError
            If its status is not 0.
        TimeUp
            If the deadline is over.
        """
        (said,) = self.run_all([text], arguments)
        return said

    def run_all(self, texts: Sequence[str], arguments: Sequence[str] = ()) -> list[str]:
        """Run the program on each of some inputs, on as many processors as there are.

        Each process has a group of its own, so that what it starts ends with it.
        """
        running: dict[int, subprocess.Popen[bytes]] = {}
        said: dict[int, str] = {}
        waiting, most = list(enumerate(texts)), _processors()
        try:
            while waiting or running:
                if waiting and len(running) < most:
                    number, text = waiting.pop(0)
                    running[number] = self._start(number, text, arguments)
                    continue
                for number in [n for n, child in running.items() if child.poll() is not None]:
                    status = running.pop(number).returncode
                    said[number] = self._log(number).read_text("utf-8", errors="replace")
                    if status:
                        raise ChildError(status, said[number])
                if time.monotonic() > self.deadline_s:
                    raise TimeUp
                time.sleep(_POLL_S)
        finally:
            for child in running.values():
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        return [said[number] for number in range(len(texts))]

    def _log(self, number: int) -> Path:
        return self.folder / f"log{number}"

    def _start(self, number: int, text: str, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        given = self.folder / f"input{number}"
        given.write_text(text, encoding="utf-8")
        with given.open("rb") as source, self._log(number).open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", _TIED + self.program, *arguments],
                stdin=source,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, "TMPDIR": str(self.folder)},
                start_new_session=True,
            )
