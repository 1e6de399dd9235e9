"""Tests of :mod:`minimac.cost.children`."""

import time
from pathlib import Path

import pytest

from minimac.cost import children
from minimac.cost.children import Child, ChildError, TimeUp

ECHO = "print('got', sys.stdin.read(), *sys.argv[1:])"

# Starts a process of its own, says which, and waits; but for what is to fail.
STARTS = """
import pathlib, subprocess, time
text = sys.stdin.read()
if text == "fail":
    while len(list(pathlib.Path().glob("pid*"))) < 1:
        time.sleep(0.01)
    sys.exit("all is lost")
child = subprocess.Popen(["sleep", "60"])
pathlib.Path("half").write_text(str(child.pid))
pathlib.Path("half").rename(f"pid{text}")
time.sleep(60)
"""


def child(program, folder, seconds=60.0):
    return Child(program, folder, time.monotonic() + seconds)


def gone(folder):
    """Whether the processes that were started have ended; nobody may have waited for them."""
    found = [Path("/proc", path.read_text(), "stat") for path in folder.glob("pid*")]
    assert found
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if all(not stat.exists() or ") Z " in stat.read_text() for stat in found):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("processors", [1, 3])
def test_outputs_in_order(tmp_path, monkeypatch, processors):
    monkeypatch.setattr(children, "_processors", lambda: processors)
    texts = [f"{n}" for n in range(4)]
    found = child(ECHO, tmp_path).run_all(texts, ["a", "b"])
    assert found == [f"got {n} a b\n" for n in range(4)]
    assert child(ECHO, tmp_path).run("x") == "got x\n"
    assert child(ECHO, tmp_path).run_all([]) == []


def test_one_that_fails_ends_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(children, "_processors", lambda: 2)
    begun = time.monotonic()
    with pytest.raises(ChildError) as caught:
        child(STARTS, tmp_path).run_all(["1", "fail"])
    assert (caught.value.status, caught.value.log) == (1, "all is lost\n")
    assert time.monotonic() - begun < 30
    assert gone(tmp_path)


def test_what_takes_too_long_ends_with_all_that_it_started(tmp_path):
    with pytest.raises(TimeUp):
        child(STARTS, tmp_path, 1.5).run("1")
    assert gone(tmp_path)
