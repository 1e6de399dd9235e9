"""Tests of :mod:`minimac.bench.runtime`."""

import time

from minimac.bench.runtime import keep_runtime, put_runtime, runtime_folder


def test_objects_are_kept_and_come_back_newer_than_what_is_written_next(tmp_path):
    built, cache, again = (tmp_path / name for name in ("built", "cache", "again"))
    for folder in (built, again):
        folder.mkdir()
    (built / "verilated.o").write_bytes(b"runtime")
    (built / "Vtop__ALL.o").write_bytes(b"the design")
    keep_runtime(cache, built)
    put_runtime(cache, again)
    assert [found.name for found in again.iterdir()] == ["verilated.o"]
    assert (again / "verilated.o").read_bytes() == b"runtime"
    assert (again / "verilated.o").stat().st_mtime > time.time()


def test_nothing_kept_is_no_reason_to_fail(tmp_path):
    put_runtime(tmp_path / "missing", tmp_path)
    assert not [*tmp_path.iterdir()]
    (tmp_path / "file").write_text("")
    (tmp_path / "verilated.o").write_bytes(b"")
    keep_runtime(tmp_path / "file" / "below", tmp_path)
    assert {found.name for found in tmp_path.iterdir()} == {"file", "verilated.o"}


def test_each_version_and_flag_has_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folders = [
        runtime_folder("Verilator 1", [], waves=False),
        runtime_folder("Verilator 2", [], waves=False),
        runtime_folder("Verilator 1", ["-O3"], waves=False),
        runtime_folder("Verilator 1", [], waves=True),
    ]
    monkeypatch.setenv("CXXFLAGS", "-g")
    folders.append(runtime_folder("Verilator 1", [], waves=False))
    assert len(set(folders)) == len(folders)
    assert all(folder.is_relative_to(tmp_path) for folder in folders)
