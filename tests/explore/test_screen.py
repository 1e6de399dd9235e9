"""Tests of :mod:`minimac.explore.screen` and of sweeps that judge before they measure."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from minimac.explore import Space, Sweep, load_results, run
from minimac.explore.columns import broken
from minimac.explore.expressions import Condition
from minimac.explore.fronts import competing
from minimac.explore.screen import Judged, choose, enumerable, search
from minimac.spec import SpecError

SPACE = Space(
    base={
        "unit": "mac",
        "out": "fp32",
        "accumulate": {"kind": "float", "width": "{w}", "guard": "{g}"},
    },
    axes={
        "a, b": ("bf16", "fp16", "e4m3fn", "e5m2"),
        "w": tuple(range(8, 40)),
        "g": tuple(range(8)),
    },
)
OBJECTIVES = ("accuracy_percent", "sky130.area_um2")


def _sweep(**more):
    fields = {"name": "large", "spaces": (SPACE,), "technologies": ("sky130",), "simulate": "none"}
    return Sweep(**fields | {"objectives": OBJECTIVES} | more)


def _judge(points):
    """Have two aims in conflict, of which the front is known: each width without guard bits."""
    entries = []
    for point in points:
        acc = point.design.accumulate
        values = {
            "accuracy_percent": float(acc.width),
            "sky130.area_um2": 10.0 * acc.width + 100 * acc.guard + point.design.a.width,
        }
        entries.append(Judged(point, values, ()))
    return entries


def _front(judged):
    values = [entry.values for entry in judged]
    best = {}
    for v in values:
        key = v["accuracy_percent"]
        best[key] = min(best.get(key, np.inf), v["sky130.area_um2"])
    return best


def test_a_small_space_is_judged_whole():
    sweep = _sweep(screen=2000)
    points = enumerable(sweep)
    judged = search(sweep, points, _judge)
    assert [entry.point for entry in judged] == points
    # Not all of the 1024 combinations are designs: bf16 needs a window of 16 bits.
    assert 700 < len(judged) < 1024


def test_looking_for_designs_is_told_of(tmp_path):
    told = []
    sweep = _sweep()
    points = enumerable(sweep, lambda *counts: told.append(counts))
    # 1024 combinations, most of them designs.
    assert told == [(1000, 1024, told[0][2])]
    assert 700 < told[0][2] <= len(points)

    def stop(*counts):
        assert counts == told[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(sweep, tmp_path, jobs=0, looking=stop)


def test_a_search_finds_most_of_the_front_and_the_same_each_time():
    sweep = _sweep(screen=250)
    points = enumerable(sweep)
    judged = search(sweep, points, _judge)
    assert len(judged) == 250
    assert len({entry.point.design.digest for entry in judged}) == 250
    again = search(sweep, points, _judge)
    assert [e.point.design.name for e in judged] == [e.point.design.name for e in again]
    true, found = _front(_judge(points)), _front(judged)
    reached = [found.get(key, np.inf) <= 1.1 * cost for key, cost in true.items()]
    assert np.mean(reached) > 0.6
    drawn = np.random.default_rng(0).permutation(len(points))[:250]
    at_random = _front(_judge([points[n] for n in drawn]))
    by_chance = [at_random.get(key, np.inf) <= 1.1 * cost for key, cost in true.items()]
    assert np.mean(reached) > np.mean(by_chance)


def test_a_search_keeps_designs_of_equal_names_apart():
    axes = {**SPACE.axes, "w": (24, 25, 26, 27), "g": (0, 1)}
    one, other = (Space(base={**SPACE.base, "out": out}, axes=axes) for out in ("fp32", "bf16"))
    judged = search(_sweep(screen=40, spaces=(one, other)), None, _judge)
    points = [entry.point for entry in judged]
    assert {point.design.out.name for point in points} == {"fp32", "bf16"}
    assert len({point.design.name for point in points}) == len(points) == 40
    # And those that are equal are judged once.
    again = search(_sweep(screen=40, spaces=(one, one)), None, _judge)
    assert len({json.dumps(e.point.axes) for e in again}) == len(again)


def test_those_on_the_front_are_chosen_first_and_those_that_break_limits_never():
    sweep = _sweep()
    judged = _judge(enumerable(sweep))
    front = {n for n, entry in enumerate(judged) if entry.point.design.accumulate.guard == 0}
    chosen = choose(judged, OBJECTIVES, 20)
    assert len(chosen) == 20
    assert set(chosen) <= front
    judged[chosen[0]] = judged[chosen[0]]._replace(broken=("x",))
    assert chosen[0] not in choose(judged, OBJECTIVES, len(judged))


@pytest.fixture
def predicted(quick, monkeypatch):
    """Replace predictions by what :func:`measure` finds, and the network by a formula."""

    def area(design):
        return 10.0 * design.accumulate.width + 100 * design.accumulate.guard

    def predict(design, technology):
        quick.append(f"predict {design.name}")
        figure = SimpleNamespace(value=area(design), error=0.1, error_90=0.2)
        delay = SimpleNamespace(value=1e4, error=0.1, error_90=0.2)
        figures = {"area_um2": figure, "delay_ps": delay}
        return SimpleNamespace(figures=figures, clock_mhz=40.0, outside=())

    def measure(design, technology, operands=None):
        quick.append(f"measure {design.name} {technology}")
        return SimpleNamespace(as_dict=lambda: {"area_um2": area(design), "luts": 3})

    def accuracy(design, workload, scales):
        return design.accumulate.width / 100

    monkeypatch.setattr("minimac.cost.predict", predict)
    monkeypatch.setattr("minimac.cost.measure", measure)
    monkeypatch.setattr("minimac.nn.accuracy", accuracy)
    return quick


def test_only_what_is_near_the_front_is_measured(predicted, tmp_path):
    sweep = _sweep(measure=5, screen=60, front_technologies=("xc7",), simulate="front")
    results = run(sweep, tmp_path, jobs=0)
    assert results.space["screened"] == 60
    assert results.space["measured"] == 5
    measured = [design for design in results.designs if "cost:sky130" in design.steps]
    assert len(measured) == 5
    # Of what was judged, the cheapest of a width or nearly so.
    judged = [design for design in results.designs if "predict:sky130" in design.steps]
    for design in measured:
        width, guard = (design.design["accumulate"][key] for key in ("width", "guard"))
        others = [d.design["accumulate"] for d in judged]
        assert guard <= 1 + min(acc["guard"] for acc in others if acc["width"] >= width)
    on_front = [design for design in results.designs if "cost:xc7" in design.steps]
    assert on_front
    assert all("simulate" in design.steps for design in on_front)
    assert load_results(tmp_path) == results
    with open(tmp_path / "screened.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert float(rows[0]["sky130.area_um2"]) > 0
    # What was done is not done again.
    before = list(predicted)
    assert run(sweep, tmp_path, jobs=0) == results
    assert predicted == before


def test_limits_are_kept(predicted, tmp_path):
    limits = (Condition("sky130.area_um2 <= 200"),)
    results = run(_sweep(measure=8, screen=60, limits=limits), tmp_path, jobs=0)
    for design in results.designs:
        found = design.found("cost:sky130") or design.found("predict:sky130")
        assert ("limits" in design.steps) == (found["area_um2"] > 200)
    measured = [design for design in results.designs if "cost:sky130" in design.steps]
    # A prediction may be off: what would keep a limit if it were by as much is measured.
    assert all(design.found("cost:sky130")["area_um2"] <= 200 / 0.9 for design in measured)
    # So it is where more is better: of a clock, the error of the delay counts.
    fast = (Condition("sky130.fmax_mhz >= 104"),)
    results = run(_sweep(measure=8, screen=60, limits=fast), tmp_path / "fast", jobs=0)
    assert any("cost:sky130" in design.steps for design in results.designs)
    none = _sweep(measure=8, screen=60, limits=(Condition("sky130.area_um2 <= 1"),))
    with pytest.raises(SpecError, match=r"^limits: no design of large is predicted to keep them$"):
        run(none, tmp_path / "none", jobs=0)


def test_limits_that_nothing_is_predicted_for_keep_none_from_being_measured(predicted, tmp_path):
    limits = (Condition("sky130.luts <= 5"),)
    results = run(_sweep(measure=2, screen=60, limits=limits), tmp_path, jobs=0)
    measured = [design for design in results.designs if "cost:sky130" in design.steps]
    assert len(measured) == 2
    # But what was not measured may break them: it is on no front.
    competing_ = [design for design, _ in competing(results)]
    assert competing_ == measured
    others = [design for design in results.designs if design not in measured]
    assert others
    assert {text for design in others for text in broken(design)} == {"sky130.luts <= 5 (unknown)"}
    with open(tmp_path / "screened.csv") as file:
        assert {row["broken"] for row in csv.DictReader(file)} == {""}


def test_what_a_design_says_of_itself_is_known_when_it_is_judged(predicted, tmp_path):
    limits = (Condition("bits_per_value <= 8"),)
    objectives = ("accuracy_percent", "bits_per_value")
    sweep = _sweep(measure=2, screen=60, limits=limits, objectives=objectives)
    results = run(sweep, tmp_path, jobs=0)
    measured = [design for design in results.designs if "cost:sky130" in design.steps]
    assert {design.design["a"] for design in measured} <= {"e4m3fn", "e5m2"}
    with open(tmp_path / "screened.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["bits_per_value"] for row in rows} == {"8.0", "16.0"}
    assert all(bool(row["broken"]) == (row["bits_per_value"] == "16.0") for row in rows)
