"""Tests of :mod:`minimac.explore.fronts`."""

import numpy as np
import pytest

from minimac.explore import explain
from minimac.explore.fronts import excess, on_fronts, pairs
from minimac.explore.results import StepResult
from minimac.spec import SpecError

OBJECTIVES = ["accuracy_percent", "sky130.area_um2"]


def _rows(merits, costs):
    return [
        {"error_percent": merit, "sky130.area_um2": cost}
        for merit, cost in zip(merits, costs, strict=True)
    ]


def test_fronts_against_the_definition():
    rng = np.random.default_rng(0)
    for _ in range(50):
        # Few values, so that there are ties of all sorts.
        merits, costs = rng.integers(1, 6, size=(2, 12)).astype(float)
        found = on_fronts(_rows(merits, costs), ["error_percent", "sky130.area_um2"])
        for n in range(12):
            beaten = any(
                merits[m] <= merits[n]
                and costs[m] <= costs[n]
                and (merits[m], costs[m]) != (merits[n], costs[n])
                for m in range(12)
            )
            assert found[n] == (not beaten)


def test_excess_against_the_definition():
    rng = np.random.default_rng(1)
    merits, costs = rng.integers(1, 9, size=(2, 40)).astype(float)
    merits[7] = costs[9] = np.nan
    found = excess(merits, costs)
    assert np.isinf(found[[7, 9]]).all()
    for n in set(range(40)) - {7, 9}:
        as_good = [costs[m] for m in range(40) if merits[m] <= merits[n] and costs[m] == costs[m]]
        assert found[n] == costs[n] / min(as_good)


def test_more_accuracy_and_less_error_are_better():
    rows = [
        {"accuracy_percent": 90.0, "error_percent": 5.0, "sky130.area_um2": 1.0},
        {"accuracy_percent": 95.0, "error_percent": 7.0, "sky130.area_um2": 2.0},
        {"accuracy_percent": None, "error_percent": 1.0, "sky130.area_um2": 3.0},
    ]
    assert on_fronts(rows, OBJECTIVES) == [True, True, False]
    assert on_fronts(rows, ["error_percent", "sky130.area_um2"]) == [True, False, True]


def test_without_a_quality_the_first_cost_is_held_against_the_others():
    assert [(p.merit, p.cost) for p in pairs(["asap7.area_um2", "asap7.fmax_mhz"])] == [
        ("asap7.area_um2", "asap7.fmax_mhz")
    ]
    rows = [
        {"asap7.area_um2": 1.0, "asap7.fmax_mhz": 500.0},
        {"asap7.area_um2": 2.0, "asap7.fmax_mhz": 900.0},
        {"asap7.area_um2": 2.0, "asap7.fmax_mhz": 400.0},
    ]
    found = on_fronts(rows, ["asap7.area_um2", "asap7.fmax_mhz"])
    assert found == [True, True, False]


def test_why_a_design_is_on_a_front_or_not(results):
    results.objectives[:] = OBJECTIVES
    name, reason = explain(results, "good")
    assert name == "good: good x good -> bf16, exact"
    assert reason == (
        "accuracy_percent and sky130.area_um2: on the front with 97.00 % and 1,000 µm²: none is "
        "better in one and as good in the other"
    )
    assert explain(results, "worse")[1] == (
        "accuracy_percent and sky130.area_um2: not on the front with 96.00 % and 2,000 µm²: 1 "
        "better; the nearest is good with 97.00 % and 1,000 µm²"
    )
    assert explain(results, "broken")[1:] == [
        "simulate failed: o #3: got 1, expected 2",
        "cost:sky130 failed: not mapped",
        "accuracy_percent and sky130.area_um2: unknown, so it is on no front of theirs",
    ]
    results.designs[1].axes["b"] = "int8"
    results.designs[0].axes["b"] = "int4"
    results.designs[1].steps["cost:ecp5"].result["luts"] = 200
    results.objectives[1:] = ["ecp5.luts"]
    assert explain(results, "worse")[1] == (
        "accuracy_percent and ecp5.luts: not on the front with 96.00 % and 200 LUTs: 1 better; the "
        "nearest is good with 97.00 % and 100 LUTs (b: int4 instead of int8)"
    )
    results.objectives[:] = OBJECTIVES
    broken = {"broken": ["sky130.area_um2 <= 500"]}
    results.designs[0].steps["limits"] = StepResult(ok=True, seconds=0.0, result=broken)
    assert (
        explain(results, "good")[1] == "on no front, since it does not keep sky130.area_um2 <= 500"
    )
    assert "on the front with" in explain(results, "worse")[1]
    results.designs[0].steps["limits"] = StepResult(ok=False, seconds=0.0, reason="damaged")
    assert explain(results, "good")[1] == "limits failed: damaged"
    results.objectives[1:] = []
    assert explain(results, "worse")[1].startswith("on no front: the sweep has no two objectives")
    with pytest.raises(SpecError, match=r"^explain: there is no design 'god' in tiny; did you"):
        explain(results, "god")


def test_the_nearest_better_design_differs_on_the_fewest_axes(results):
    results.objectives[:] = OBJECTIVES
    good, worse, broken = results.designs
    worse.axes.update(a="int8", width=16)
    good.axes.update(a="int4", width=20)
    broken.axes.update(a="int8", width=20)
    broken.steps.update(good.steps)
    said = explain(results, "worse")[1]
    assert "2 better; the nearest is broken with 97.00 % and 1,000 µm² (width: 20 inst" in said
