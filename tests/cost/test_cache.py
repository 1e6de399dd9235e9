"""Tests of :mod:`minimac.cost.cache`."""

import os
import random
import subprocess
import sys
import time

import pytest

from minimac.cost.cache import Cache

KEY = {"verilog": "module m; endmodule", "flow": ["synth"]}


def test_round_trip(cache):
    assert cache.load(KEY) is None
    cache.store(KEY, {"cells": [1, 2]})
    assert cache.load(KEY) == {"cells": [1, 2]}
    assert cache.load({**KEY, "flow": []}) is None
    assert len(list(cache.folder.rglob("*"))) == 2  # a folder and a file; nothing temporary


@pytest.mark.parametrize("damage", [b"", b"junk", b"0" * 64 + b"\njunk"])
def test_damaged_entry_is_reported_and_ignored(cache, capsys, damage):
    cache.store(KEY, {"cells": 1})
    cache.path(KEY).write_bytes(damage)
    assert cache.load(KEY) is None
    error = capsys.readouterr().err
    assert error == f"warning: {cache.path(KEY)}: damaged; the result is computed anew\n"
    cache.store(KEY, {"cells": 1})
    assert cache.load(KEY) == {"cells": 1}


def test_entry_that_cannot_be_read(cache, capsys):
    cache.path(KEY).mkdir(parents=True)
    assert cache.load(KEY) is None
    error = capsys.readouterr().err
    assert error.startswith(f"warning: {cache.path(KEY)}: cannot be read (Is a directory); ")


def test_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file")
    for number in range(3):
        assert cache.load({"n": number}) is None
        cache.store({"n": number}, {"cells": 1})
    said = capsys.readouterr().err
    assert said == f"warning: {tmp_path}/file: results cannot be kept: Not a directory\n"


def run(program, *arguments):
    """Start a program that knows the cache."""
    head = "import sys\nfrom minimac.cost.cache import Cache\ncache = Cache(sys.argv[1])\n"
    command = [sys.executable, "-c", head + program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
import random
cache.store({"n": 0}, [random.random() for _ in range(1000)])
print("the figure")
"""


def test_disk_that_is_full(cache):
    """Files end at 1000 bytes: nothing of the entry is left, and all else goes on."""
    out, err = run(FULL, cache.folder).communicate()
    assert out == "the figure\n"
    assert err == f"warning: {cache.folder}: results cannot be kept: File too large\n"
    assert not [path for path in cache.folder.rglob("*") if path.is_file()]


WRITER = """
import itertools
text = "minimac" * 300_000  # some ms to write
print("ready", flush=True)
for number in itertools.count():
    cache.store({"n": number % 5}, {"n": number % 5, "text": [text, number]})
"""


def test_killed_at_any_moment(cache, capsys, seed):
    rng = random.Random(seed)
    for _ in range(20):
        child = run(WRITER, cache.folder)
        child.stdout.readline()
        time.sleep(0.02 * rng.random())
        child.kill()
        child.communicate()
        for number in range(5):
            found = cache.load({"n": number})
            assert found is None or found["n"] == number
    assert capsys.readouterr().err == ""
    assert any(cache.load({"n": number}) for number in range(5))


def test_what_was_left_is_removed(cache):
    cache.store(KEY, 1)
    old, new = (cache.path(KEY).parent / name for name in ("old.part", "new.part"))
    for part in (old, new):
        part.write_text("half")
    os.utime(old, (1, 1))
    cache.store(KEY, 1)
    assert (old.exists(), new.exists()) == (False, True)


SHARER = """
for number in range(300):
    key = {"n": number % 3}
    assert cache.load(key) in (None, [number % 3] * 999)
    cache.store(key, [number % 3] * 999)
"""


def test_two_processes(cache):
    children = [run(SHARER, cache.folder) for _ in range(2)]
    for child in children:
        assert child.communicate() == ("", "")
        assert child.returncode == 0


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIMAC_CACHE", raising=False)
    assert str(Cache().folder) == "build/cache"
    monkeypatch.setenv("MINIMAC_CACHE", str(tmp_path))
    assert Cache().folder == tmp_path
