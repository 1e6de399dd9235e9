"""Sweeps that are stopped: killed, out of disk, without workers. What was done stays done."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minimac.explore import load_results, load_sweep, run
from minimac.spec import SpecError

SWEEP = """\
base: {unit: mac, out: bf16, accumulate: {kind: exact, max_terms: 64}, clock_mhz: 20}
spaces:
- axes: {a: [int3, int4, int5, e2m1, e2m2, e3m1], b: [int2, int3, int4]}
simulate: none
"""
STEPS = 18 * 2


@pytest.fixture
def sweep_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMAC_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


def _start(sweep_file, out, *options):
    command = [sys.executable, "-m", "minimac.cli", "explore", str(sweep_file), "-o", str(out)]
    roots = os.pathsep.join(str(Path(__file__).parents[2] / r) for r in ("hw", "sim", "sw"))
    return subprocess.Popen(
        [*command, *options],
        env={**os.environ, "PYTHONPATH": roots},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _lines(out):
    path = out / "results.jsonl"
    return path.read_text().splitlines() if path.is_file() else []


def _wait_for(count, out, process):
    began = time.monotonic()
    while len(_lines(out)) < count:
        assert process.poll() is None
        assert time.monotonic() - began < 60
        time.sleep(0.02)


def _without_times(results):
    tree = json.loads((results / "results.json").read_text())
    for design in tree["designs"]:
        for step in design["steps"].values():
            del step["seconds"]
    return tree


def test_killed_at_any_moment_it_goes_on_where_it_was(sweep_file, tmp_path):
    out = tmp_path / "out"
    killed = _start(sweep_file, out)
    _wait_for(5, out, killed)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    time.sleep(0.5)  # workers end with their parent
    finished = [json.loads(line)["key"] for line in _lines(out)[:5]]
    resumed = _start(sweep_file, out)
    assert resumed.wait() == 0
    keys = [json.loads(line)["key"] for line in _lines(out)]
    assert all(keys.count(key) == 1 for key in finished)
    assert STEPS <= len(keys) <= STEPS + 4  # what was under way may have been written twice
    assert not load_results(out).failed
    whole = tmp_path / "whole"
    shutil.rmtree(tmp_path / "cache")
    assert _start(sweep_file, whole).wait() == 0
    assert _without_times(out) == _without_times(whole)


def test_a_disk_that_is_full_is_said_and_harms_nothing(sweep_file, tmp_path, monkeypatch):
    out = tmp_path / "out"
    sweep = load_sweep(sweep_file)
    done = []

    def stop(step, result, n, total):
        done.append(step.key)
        if n == 4:
            real = os.fsync

            def full(fd):
                if os.readlink(f"/proc/self/fd/{fd}").startswith(str(out)):
                    raise OSError(28, "No space left on device")
                real(fd)

            monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(SpecError, match=r"cannot be written: No space left on device$"):
        run(sweep, out, jobs=0, watch=stop)
    monkeypatch.undo()
    monkeypatch.setenv("MINIMAC_CACHE", str(tmp_path / "cache"))
    assert load_results(out).sweep == "sweep"  # as it was before, and whole
    seen = []
    results = run(sweep, out, jobs=0, watch=lambda step, result, n, total: seen.append(step.key))
    assert not results.failed
    keys = [json.loads(line)["key"] for line in _lines(out)]
    assert all(keys.count(key) == 1 for key in done[:4])


def test_two_sweeps_at_once_share_what_they_find(sweep_file, tmp_path):
    both = [_start(sweep_file, tmp_path / name) for name in ("one", "two")]
    for process in both:
        assert process.wait() == 0
    assert _without_times(tmp_path / "one") == _without_times(tmp_path / "two")
    for part in (tmp_path / "cache").rglob("*.part"):
        raise AssertionError(f"{part} was left")


def test_a_dask_cluster_finds_the_same_also_when_a_worker_dies(sweep_file, tmp_path):
    from distributed import LocalCluster

    here = tmp_path / "here"
    run(load_sweep(sweep_file), here, jobs=0)
    shutil.rmtree(tmp_path / "cache")
    killed = []

    def kill(step, result, done, total):
        if done == 4:
            worker = next(iter(cluster.workers.values()))
            os.kill(worker.process.pid, signal.SIGKILL)
            killed.append(worker)

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as cluster:
        address = cluster.scheduler_address
        run(load_sweep(sweep_file), tmp_path / "there", scheduler=address, watch=kill)
    assert killed
    assert _without_times(here) == _without_times(tmp_path / "there")


def test_a_scheduler_that_is_not_there(sweep_file, tmp_path, monkeypatch):
    monkeypatch.setattr("minimac.explore.workers._PATIENCE_S", 0.5)
    with pytest.raises(SpecError, match=r"^scheduler tcp://127\.0\.0\.1:1: cannot be reached: "):
        run(load_sweep(sweep_file), tmp_path / "out", scheduler="tcp://127.0.0.1:1")


def _group(pid):
    """Return the command lines of the processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == pid and fields[0] != "Z":
                found.append((path.parent / "cmdline").read_text().replace("\0", " "))
    return found


def test_told_to_end_it_ends_at_once_and_leaves_no_worker(sweep_file, tmp_path):
    sweep_file.write_text(SWEEP.replace("[int3", "[int30, int3") + "technologies: [sky130]\n")
    out = tmp_path / "out"
    process = _start(sweep_file, out)
    _wait_for(3, out, process)
    process.terminate()
    assert process.wait(timeout=20) in (130, 143)
    began = time.monotonic()
    while left := _group(process.pid):
        assert time.monotonic() - began < 10, left
        time.sleep(0.1)
    assert load_results(out).sweep == "sweep"
