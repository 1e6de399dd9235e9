"""Tests of dot products between streams, with scales, on simulators."""

import pytest

from minimac.bench import simulate
from minimac.spec import load_design

DESIGNS = {
    "blocks": {"a": "nvfp4:size=4", "b": "mxint4:size=4:scale=ue4m3fn", "out": "bf16"},
    "fused": {
        "a": "e4m3fn",
        "b": "e5m2",
        "out": "fp32",
        "accumulate": {"kind": "fused", "group": 3, "frac_bits": 9, "sticky": True},
    },
}


@pytest.mark.parametrize("name", DESIGNS)
def test_vectors_come_one_after_the_other(name, simulators, seed, tmp_path):
    """Every vector is right, under all traffic, and as late as stated."""
    tree = {"name": name, "unit": "dot", "pipeline": 2, **DESIGNS[name]}
    simulator = simulators[list(DESIGNS).index(name) % len(simulators)]
    done = simulate(load_design(tree), build_dir=tmp_path, simulator=simulator, seed=seed)
    assert done.vectors > 1000
