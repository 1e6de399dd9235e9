"""Tests of :mod:`minimac.explore.columns`."""

import math

from minimac.explore import Column, StepResult, columns, row
from minimac.explore.columns import late


def test_columns_are_those_that_are_filled(results):
    assert [column.key for column in columns(results)] == [
        "design",
        "arithmetic",
        "accuracy_percent",
        "sky130.area_um2",
        "sky130.delay_ps",
        "sky130.energy_pj_per_mac",
        "ecp5.luts",
        "ecp5.ffs",
        "ecp5.dsps",
        "vectors",
    ]


def test_rows(results):
    shown = columns(results)
    good = row(results.designs[0], shown)
    assert (good["accuracy_percent"], good["sky130.area_um2"], good["vectors"]) == (97, 1000, 1000)
    broken = row(results.designs[2], shown)
    assert (broken["sky130.area_um2"], broken["vectors"], broken["ecp5.luts"]) == (
        None,
        None,
        100,
    )


def test_what_is_no_number_is_not_shown(results):
    for value in (math.nan, math.inf, True, "12"):
        design = results.designs[0]
        design.steps["cost:ecp5"] = StepResult(ok=True, seconds=0.0, result={"luts": value})
        assert row(design, columns(results))["ecp5.luts"] is None


def test_texts():
    assert Column(key="x", title="x", digits=2).text(1234.567) == "1,234.57"
    assert Column(key="x", title="x").text(None) == ""
    assert Column(key="design", title="x").text("a_1") == "a_1"


def test_who_misses_the_clock_is_said(results):
    assert late(results) == []
    slow = results.designs[0].steps["cost:sky130"].result
    slow.update(clock_mhz=100.0, delay_ps=10_024.4)
    assert late(results) == ["good misses 100 MHz in sky130 by 24 ps"]
