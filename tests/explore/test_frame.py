"""Tests of :mod:`minimac.explore.frame` and :mod:`minimac.explore.fronts`."""

import math

from minimac.explore import DesignResult, Results, StepResult, columns, frame
from minimac.explore.fronts import comparisons, front


def test_columns_in_their_order(results):
    shown = [column.key for column in columns(results)]
    assert list(frame(results).columns) == [*shown, "family", "limits", "failures"]


def test_axes_have_columns_of_their_own(synthetic_results):
    table = frame(synthetic_results)
    assert list(table.columns[2:6]) == ["a", "b", "accumulate.width", "accumulate.normalize.k"]
    assert table["accumulate.width"].dtype == "int64"
    missing = table["accumulate.normalize.k"].isna()
    assert missing.tolist() == [
        d.axes["accumulate.normalize.k"] is None for d in synthetic_results.designs
    ]
    for design, (_, found) in zip(synthetic_results.designs, table.iterrows(), strict=True):
        kind = "cost" if found["basis"] == "measured" else "predict"
        cost = design.steps[f"{kind}:sky130"].result
        assert found["sky130.area_um2"] == cost["area_um2"]
        assert bool(found["limits"]) == (cost["area_um2"] > 8_000)


def test_an_axis_with_the_name_of_a_column_and_of_mixed_kinds():
    designs = [
        DesignResult(name="x", arithmetic="", design={}, axes={"design": value, "p": value})
        for value in (1, "auto", None, True)
    ]
    results = Results(sweep="s", conditions={}, technologies=[], designs=designs)
    table = frame(results)
    assert table["design"].tolist() == ["x"] * 4
    for key in ("axes.design", "p"):
        assert table[key].dropna().tolist() == ["1", "auto", "True"]


def test_front_of_results_is_what_nothing_beats_within_the_limits(synthetic_results):
    table = frame(synthetic_results)
    for comparison in comparisons(synthetic_results):
        points = [
            (cost, error)
            for cost, error, limits in zip(
                table[comparison.cost.key], table["error_percent"], table["limits"], strict=True
            )
            if not limits and not math.isnan(cost)
        ]
        best = {
            p for p in points if not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)
        }
        found = front(synthetic_results, comparison, table)
        assert {(table[comparison.cost.key][i], table["error_percent"][i]) for i in found} == best


def test_without_designs_there_is_a_frame():
    results = Results(sweep="s", conditions={}, technologies=["sky130"], designs=[])
    assert len(frame(results)) == 0
    assert comparisons(results) == []


def test_each_quality_is_drawn_against_each_cost(results):
    for design in results.designs:
        design.steps["error"] = StepResult(ok=True, seconds=0.0, result={"error_percent": 1.0})
    objectives = ["error_percent", "accuracy_percent", "ecp5.luts", "sky130.area_um2"]
    changed = Results(
        **{name: getattr(results, name) for name in ("sweep", "conditions", "technologies")},
        **{"designs": results.designs, "objectives": objectives},
    )
    drawn = [(c.quality.key, c.cost.key) for c in comparisons(changed)]
    costs = ("ecp5.luts", "sky130.area_um2")
    qualities = ("error_percent", "accuracy_percent")
    assert drawn == [(quality, cost) for quality in qualities for cost in costs]
