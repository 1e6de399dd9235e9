"""Tests of :mod:`minimac.host.tiling`."""

import itertools

import numpy as np
import pytest

from minimac.host.tiling import cheapest
from minimac.spec import load_design

SHAPES = [(1, 1, 1), (7, 3, 2), (40, 33, 9), (3, 100, 5), (100, 5, 3)]


@pytest.mark.parametrize("dataflow", ["ws", "os"])
@pytest.mark.parametrize("shape", SHAPES)
def test_runs_cover_each_product_once_in_order(dataflow, shape):
    design = load_design(
        {
            "name": "x",
            "unit": "systolic",
            "a": "int8",
            "b": "int8",
            "out": "int32",
            "accumulate": {"kind": "exact"},
            "array": {"rows": 3, "columns": 2, "dataflow": dataflow},
        }
    )
    (m, k, n), depth = shape, 16
    next_term = np.zeros((m, n), int)
    runs = cheapest(design, depth, m, k, n)
    for run, after in itertools.zip_longest(runs, runs[1:]):
        place = run.rows, run.columns
        rows, terms = run.rows.stop - run.rows.start, run.terms.stop - run.terms.start
        assert (next_term[place] == run.terms.start).all()
        assert run.first == (run.terms.start == 0)
        next_term[place] = run.terms.stop
        assert run.last == (run.terms.stop == k)
        if dataflow == "os":
            assert rows <= 3
            assert terms <= depth
        else:
            passes = -(-terms // 3)
            assert rows * passes <= depth
            assert 3 * passes <= depth
            assert run.last or terms % 3 == 0
        # The chains of one place are in the array or its buffer until they end.
        assert run.last or (after.rows, after.columns) == place
    assert (next_term == k).all()
