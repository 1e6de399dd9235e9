"""A headless Chromium, driven over a pipe: the DevTools protocol needs nothing but the browser."""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import time
from pathlib import Path
from typing import Any, Self

__all__ = ["Browser", "chromium"]

_PATIENCE_S = 20.0


def chromium() -> str | None:
    """Return the path of a Chromium or Chrome, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Browser:
    """One page in one browser.

    Parameters
    ----------
    profile : Path
        An empty folder for the browser to write into.
    width, height : int
        Of the window, in pixels.

    Attributes
    ----------
    complaints : list of str
        What the console said that is a warning or an error, and exceptions that nothing caught.
    requests : list of str
        URLs that the page asked for, those of itself and of data in it left out.
    """

    def __init__(self, profile: Path, width: int = 1280, height: int = 1000) -> None:
        program = chromium()
        assert program is not None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._events: list[dict[str, Any]] = []
        self._width, self._height = width, height
        self._number, self._buffer, self._session = 0, b"", None
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # Clear of 3 and 4, the places where the browser looks for them.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (theirs_in, theirs_out)]
        quiet = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
        self._pid = os.posix_spawn(
            program,
            [
                *(program, "--headless", "--remote-debugging-pipe", f"--user-data-dir={profile}"),
                *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
                *("--disable-background-networking", "--hide-scrollbars"),
                *("--mute-audio", "about:blank"),
            ],
            os.environ,
            file_actions=[
                *(quiet, (*quiet[:1], 2, *quiet[2:])),
                *((os.POSIX_SPAWN_DUP2, end, n) for n, end in enumerate(ends, 3)),
            ],
            setpgroup=0,
        )
        for fd in (theirs_in, theirs_out, *ends):
            os.close(fd)
        self._out, self._in = ours_out, ours_in

    def __enter__(self) -> Self:
        try:
            target = self.call("Target.createTarget", url="about:blank")
            self._session = self.call("Target.attachToTarget", flatten=True, **target)["sessionId"]
            size = {"width": self._width, "height": self._height}
            self.call(
                "Emulation.setDeviceMetricsOverride", deviceScaleFactor=1, mobile=False, **size
            )
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            self.call("Browser.close")
        for fd in (self._out, self._in):
            os.close(fd)
        for _ in range(100):
            if os.waitpid(self._pid, os.WNOHANG)[0]:
                return
            time.sleep(0.02)
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        number = self._number
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], _PATIENCE_S)[0]:
                raise TimeoutError("the browser does not answer")
            more = os.read(self._in, 1 << 20)
            if not more:
                raise EOFError("the browser has gone")
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        match message.get("method"):
            case "Runtime.consoleAPICalled" if message["params"]["type"] in ("warning", "error"):
                self.complaints.append(str(message["params"]["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))
            case "Log.entryAdded":
                self.complaints.append(str(message["params"]["entry"]["text"]))
            case "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        self._events.append(message)
        return message

    def open(self, path: Path) -> None:
        """Load a file, and wait until it is loaded."""
        self._events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._receive()

    def run(self, script: str) -> Any:
        """Return the value of an expression; of a promise, what it comes to."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", found))
        return found["result"].get("value")

    def wait(self, condition: str) -> Any:
        """Wait until an expression is true, and return its value."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            if found := self.run(condition):
                return found
            time.sleep(0.02)
        raise TimeoutError(f"never true: {condition}")

    def press(self, key: str) -> None:
        """Press a key: a letter, or a name such as ``Enter``."""
        codes = {"Enter": 13, "Tab": 9, "ArrowRight": 39, "ArrowLeft": 37, "Escape": 27, " ": 32}
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = codes.get(key, ord(key[0].upper()))
        known = {"key": key, "code": key if len(key) > 1 else "", "windowsVirtualKeyCode": code}
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.call("Input.dispatchKeyEvent", **down, **known)
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def prefer(self, scheme: str) -> None:
        """Prefer a light or a dark page."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
