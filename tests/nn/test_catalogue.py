"""Tests of :mod:`minimac.nn.catalogue`."""

import re

import pytest

from minimac.nn import WORKLOADS, digits, workload_named
from minimac.spec import SpecError


def test_unknown_workload():
    message = "workload must be one of digits, minilm, not 'digit'; did you mean 'digits'?"
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        workload_named("digit")
    assert workload_named("digits") is digits()


def test_every_workload_has_its_name_and_tensors_of_different_names():
    for name, make in WORKLOADS.items():
        workload = make()
        assert workload.name == name
        assert len({pair.name for pair in workload.tensors}) == len(workload.tensors) > 0
        for pair in workload.tensors:
            assert pair.inputs.shape[1] == pair.weights.shape[0]
