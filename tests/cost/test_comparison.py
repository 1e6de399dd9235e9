"""Tests of :mod:`minimac.cost.comparison`."""

from minimac.cost.comparison import compare, differences


def test_ratios_and_what_is_better():
    costs = [
        {"area_um2": 10.0, "cells": 5, "fmax_mhz": 100.0, "brams": 0, "dsps": 0, "luts": 7},
        {"area_um2": 12.5, "cells": 4, "fmax_mhz": 150.0, "brams": 0, "dsps": 2, "luts": 7},
        {"area_um2": 10.0, "cells": 6, "brams": 0, "dsps": 0, "luts": 7},
    ]
    rows = {row.metric: row for row in compare(costs)}
    assert list(rows) == ["area_um2", "cells", "luts", "dsps", "fmax_mhz"]
    assert rows["area_um2"].ratios == (1.0, 1.25, 1.0)
    assert rows["area_um2"].best == {0, 2}
    assert rows["cells"].best == frozenset()  # neither few nor many are better
    assert rows["luts"].best == frozenset()  # all equal
    assert (rows["dsps"].ratios, rows["dsps"].best) == ((None, None, None), {0, 2})
    assert (rows["fmax_mhz"].values, rows["fmax_mhz"].best) == ((100.0, 150.0, None), {1})
    assert rows["fmax_mhz"].ratios == (1.0, 1.5, None)


def test_differences():
    one = {
        "technology": "sky130",
        "clock_mhz": 100.0,
        "provenance": {"versions": {"pyosys": "0.70", "numpy": "2"}},
    }
    other = {**one, "provenance": {"versions": {"pyosys": "0.71", "numpy": "2"}}}
    assert differences([one, one]) == []
    assert differences([one, other]) == ["pyosys: 0.70, 0.71"]
    assert differences([one, {**one, "provenance": {}}]) == [
        "numpy: 2, unknown",
        "pyosys: 0.70, unknown",
    ]
