"""Tests of :mod:`minimac.nn.workload`."""

import numpy as np

from minimac.nn import TensorPair, Workload


def test_shapes():
    pairs = [TensorPair("one", np.ones((2, 3)), np.ones((3, 5)))]
    assert Workload("tiny", "ones", pairs).shapes == [(2, 3, 5)]
