"""Tests of the benchmarks: that they run. What they measure is for quiet machines."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_all_of_them_find_what_they_use():
    """Most run for hours, which no test does; names that have moved break them all the same."""
    command = [sys.executable, "-m", "mypy", "benchmarks"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "source files" in ended.stdout, ended.stderr
    assert not re.findall(".*error: Module .*|.*import-not-found.*", ended.stdout)


def test_loops_are_found_in_assembly():
    subprocess.run(
        [sys.executable, "-m", "doctest", "benchmarks/assembly.py"], cwd=ROOT, check=True
    )


def test_a_quick_run_measures_each_entry_and_a_second_process_compiles_nothing(tmp_path, seed):
    page = tmp_path / "speed.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "-o", str(page), "--seed", str(seed)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{page}\n")
    found = json.loads(page.with_suffix(".json").read_text())
    assert {rate["threads"] for rate in found["rates"]} == {1, 2}
    assert all(min(rate["rates"]) > 0 for rate in found["rates"])
    cold, warm = ([call["compiled"] for call in start["calls"]] for start in found["starts"])
    assert sum(cold) > 0
    assert sum(warm) == 0
    text = page.read_text()
    for entry in {rate["entry"] for rate in found["rates"] if rate["contest"] != "machine"}:
        assert entry in text, entry
    assert "it compiles no functions" in text


@pytest.mark.skipif(not shutil.which("iverilog"), reason="there is no iverilog")
def test_changes_of_all_nets_are_those_of_a_simulator(tmp_path):
    page = tmp_path / "activity.md"
    command = [sys.executable, "-m", "benchmarks.activity", "--quick", "-o", str(page)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    (design,) = json.loads(page.with_suffix(".json").read_text())["designs"]
    assert design["nets that differ"] == 0
    assert design["changes"] > design["nets"] > 100
