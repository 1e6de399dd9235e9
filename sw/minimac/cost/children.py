"""Tools that run as processes of their own, in one folder, until a common deadline."""

import os
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


class TimeUp(RuntimeError):
    """A tool took longer than it may."""


@dataclass(frozen=True)
class Child:
    """Runs of Python programs in one folder, each in a process of its own.

    Parameters
    ----------
    folder : Path
        Their working folder, and where they put temporary files.
    deadline_s : float
        When all of them must have ended, by ``time.monotonic``.
    """

    folder: Path
    deadline_s: float

    def run(self, program: str, arguments: Sequence[str] = (), text: str = "") -> str:
        """Run a program on some input; return what it printed.

        It has a group of its own, so that what it starts ends with it.

        Raises
        ------
        ChildError
            If its status is not 0.
        TimeUp
            If the deadline is over.
        """
        left_s = self.deadline_s - time.monotonic()
        with (self.folder / "log").open("w+", encoding="utf-8", errors="replace") as log:
            child = subprocess.Popen(
                [sys.executable, "-c", _TIED + program, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, "TMPDIR": str(self.folder)},
                text=True,
                start_new_session=True,
            )
            try:
                child.communicate(text, timeout=max(left_s, 0.01))
            except subprocess.TimeoutExpired:
                raise TimeUp from None
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
            log.seek(0)
            said = log.read()
        if child.returncode:
            raise ChildError(child.returncode, said)
        return said
