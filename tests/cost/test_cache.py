"""Tests of :mod:`minimac.cost.cache`."""

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


def test_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file")
    cache.store(KEY, {"cells": 1})
    assert "cannot be written" in capsys.readouterr().err


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIMAC_CACHE", raising=False)
    assert str(Cache().folder) == "build/cache"
    monkeypatch.setenv("MINIMAC_CACHE", str(tmp_path))
    assert Cache().folder == tmp_path
