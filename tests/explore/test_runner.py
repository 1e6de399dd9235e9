"""Tests of :mod:`minimac.explore.runner`."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from minimac.explore import Condition, Sweep, explain, load_results, run
from minimac.explore.columns import broken
from minimac.explore.steps import Step
from minimac.spec import SpecError

STEPS = ["generate", "accuracy", "cost:sky130", "cost:ecp5", "simulate"]


def test_every_step_of_every_design(sweep, quick, tmp_path):
    seen = []
    results = run(sweep, tmp_path, jobs=0, watch=lambda step, result, n, of: seen.append((n, of)))
    assert seen == [(n, 10) for n in range(1, 11)]
    assert [design.name for design in results.designs] == ["one", "two"]
    assert all(list(design.steps) == STEPS for design in results.designs)
    assert not results.failed
    assert load_results(tmp_path) == results
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 10
    assert (tmp_path / "one" / "one.v").is_file()
    found = results.designs[0].found("accuracy")
    assert found["accuracy"] > 0.96
    assert found["samples"] == 600


def test_a_second_run_does_what_is_left(sweep, quick, tmp_path):
    first = run(sweep, tmp_path, jobs=0)
    done = list(quick)
    assert run(sweep, tmp_path, jobs=0) == first
    assert quick == done
    (tmp_path / "one" / "one.v").unlink()
    run(sweep, tmp_path, jobs=0)
    assert (tmp_path / "one" / "one.v").is_file()
    assert quick == done


def test_a_crash_loses_what_was_under_way(sweep, quick, tmp_path):
    def crash(step, result, done, total):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(sweep, tmp_path, jobs=0, watch=crash)
    kept = load_results(tmp_path)
    assert [len(design.steps) for design in kept.designs] == [5, 2]
    before = list(quick)
    run(sweep, tmp_path, jobs=0)
    assert quick[len(before) :] == ["measure two sky130", "measure two ecp5", "simulate two"]


def test_a_step_that_fails_is_recorded_and_stops_nothing(sweep, quick, tmp_path, monkeypatch):
    from minimac.bench import SimulationError

    def simulate(design, **_):
        if design.name == "one":
            raise SimulationError("o #3: got 1,\n  expected 2 (seed 0)")
        raise ZeroDivisionError("never")

    with monkeypatch.context() as patch:
        patch.setattr("minimac.bench.simulate", simulate)
        results = run(sweep, tmp_path, jobs=0)
    one, two = results.designs
    assert one.failures == {"simulate": "o #3: got 1, expected 2 (seed 0)"}
    assert two.failures == {"simulate": "ZeroDivisionError: never"}
    assert list(one.steps) == STEPS
    assert "Traceback" in (tmp_path / "two" / "simulate.error").read_text()
    # What failed is tried again; what did not is kept.
    before = list(quick)
    assert not run(sweep, tmp_path, jobs=0).failed
    assert quick[len(before) :] == ["simulate one", "simulate two"]
    assert not (tmp_path / "two" / "simulate.error").exists()


def test_a_limit_on_what_is_unknown_is_not_kept(sweep, quick, tmp_path, monkeypatch):
    def measure(design, technology, operands=None):
        if (design.name, technology) == ("one", "sky130"):
            raise ValueError("not mapped")
        return SimpleNamespace(as_dict=lambda: {"area_um2": 12.5, "luts": 3})

    monkeypatch.setattr("minimac.cost.measure", measure)
    limits = (Condition("sky130.area_um2 <= 20"), Condition("ecp5.luts < 3"))
    objectives = ("accuracy_percent", "ecp5.luts")
    limited = replace(sweep, limits=limits[:1], objectives=objectives, simulate="front")
    results = run(limited, tmp_path, jobs=0)
    one, two = results.designs
    assert broken(one) == ["sky130.area_um2 <= 20 (unknown)"]
    assert broken(two) == []
    # So the other is on the front by itself, though both have figures of all objectives.
    assert "simulate" in two.steps
    assert "simulate" not in one.steps
    assert explain(results, "one")[1:] == [
        "cost:sky130 failed: ValueError: not mapped",
        "on no front, since it does not keep sky130.area_um2 <= 20 (unknown)",
    ]
    one, two = run(replace(limited, limits=limits), tmp_path, jobs=0).designs
    assert broken(one) == ["sky130.area_um2 <= 20 (unknown)", "ecp5.luts < 3"]
    assert broken(two) == ["ecp5.luts < 3"]


def test_results_of_other_code_are_not_used(sweep, quick, tmp_path, monkeypatch):
    run(sweep, tmp_path, jobs=0)
    before = len(quick)
    monkeypatch.setattr("minimac.explore.steps.code_digest", lambda: "other")
    run(sweep, tmp_path, jobs=0)
    assert len(quick) == 2 * before


def test_the_folder_of_another_sweep_is_left_alone(sweep, quick, tmp_path):
    run(sweep, tmp_path, jobs=0)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = list(quick)
    message = (
        f"{tmp_path}: has the results of sweep tiny; write those of other elsewhere, with -o, or "
        "remove this folder"
    )
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        run(replace(sweep, name="other"), tmp_path, jobs=0)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    # The same sweep with fewer designs goes on, and loses nothing that was found.
    results = run(replace(sweep, designs=sweep.designs[:1]), tmp_path, jobs=0)
    assert [design.name for design in load_results(tmp_path).designs] == ["one"]
    assert len(results.designs) == 1
    assert (tmp_path / "two" / "two.v").is_file()
    run(sweep, tmp_path, jobs=0)
    assert quick == done


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sweep": 3}', "[" * 100_000])
def test_damaged_results_are_written_anew(sweep, quick, tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    assert run(sweep, tmp_path, jobs=0) == load_results(tmp_path)


def test_conditions_name_seed_and_versions(sweep, quick, tmp_path):
    conditions = json.loads(
        (run(sweep, tmp_path, jobs=0), tmp_path / "results.json")[1].read_text()
    )
    assert {"seed", "simulator", "workload", "minimac", "python", "tools"} <= {
        *conditions["conditions"]
    }


def test_output_that_is_a_file(sweep, quick, tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    message = f"{path}: must be a folder to write into, not a file"
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        run(sweep, path, jobs=0)


def test_a_folder_may_be_text(sweep, quick, tmp_path):
    assert run(sweep, str(tmp_path), jobs=0) == load_results(str(tmp_path))


def test_scales_are_those_of_the_sweep_in_all_that_is_judged(sweep, quick, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("minimac.nn.accuracy", lambda *_, scales: seen.append(scales) or 0.5)
    run(replace(sweep, scales="vector"), tmp_path, jobs=0)
    assert seen == ["vector", "vector"]


def test_wrong_jobs(sweep, tmp_path):
    with pytest.raises(ValueError, match=r"^jobs must be at least 0, not -1$"):
        run(sweep, tmp_path, jobs=-1)


def test_fpgas_without_multiplier_blocks(quick, monkeypatch, tmp_path, make_design):
    asked = []

    def measure(design, technology, operands=None, dsp=None):
        asked.append((technology, dsp))
        return SimpleNamespace(as_dict=lambda: {"luts": 3})

    monkeypatch.setattr("minimac.cost.measure", measure)
    sweep = Sweep(
        name="tiny", designs=(make_design("one"),), technologies=("sky130", "ecp5"), dsp=False
    )
    results = run(sweep, tmp_path, jobs=0)
    assert asked == [("sky130", None), ("ecp5", False)]
    assert results.conditions["dsp"] is False
    run(replace(sweep, dsp=True), tmp_path, jobs=0)
    assert asked[2:] == [("ecp5", True)]


def test_simulations_follow_from_the_version_of_the_simulator(make_design, monkeypatch):
    def keys(names):
        shared = {"workload": "digits", "simulator": "icarus", "seed": 0}
        return [Step(design=make_design("one"), name=name, **shared).key for name in names]

    monkeypatch.setattr("minimac.bench.run.simulator_version", lambda name: "Icarus Verilog 12")
    before = keys(["simulate", "generate"])
    monkeypatch.setattr("minimac.bench.run.simulator_version", lambda name: "Icarus Verilog 13")
    after = keys(["simulate", "generate"])
    assert before[0] != after[0]
    assert before[1] == after[1]
