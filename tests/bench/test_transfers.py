"""Tests of :mod:`minimac.bench.transfers`: converters and quantisers, Verilog against the model."""

import numpy as np
import pytest

from minimac.bench import simulate
from minimac.bench.traffic import waveforms
from minimac.bench.transfers import TRANSFERS
from minimac.spec import load_design

DESIGNS = {
    "plain": {"unit": "convert", "a": "bf16", "out": "e4m3fn", "pipeline": 2},
    "by_chance": {
        "unit": "convert", "a": "int16", "b": "bf16", "out": "int8",
        "out_round": "sr_b", "random": "lfsr", "random_bits": 6, "seed": 77, "pipeline": 3,
    },
    "blocks": {
        "unit": "quantize", "a": "e4m3fn", "out": "mxfp4:size=2", "out_round": "sr_a",
        "random": "lfsr", "pipeline": 3,
    },
    "divided": {
        "unit": "quantize", "a": "e3m2", "out": "nvfp4:size=2:tensor=ue3m0", "pipeline": 5,
    },
}  # fmt: skip


def load(name):
    return load_design({"name": name, **DESIGNS[name]})


@pytest.mark.parametrize("name", DESIGNS)
def test_on_one_simulator(name, simulators, seed, tmp_path, pytestconfig):
    if not pytestconfig.option.exhaustive and name == "divided":
        pytest.skip("only with --exhaustive: dividers take Icarus long")
    design = load(name)
    on_verilator = pytestconfig.option.exhaustive and name == "plain"
    result = simulate(
        design,
        build_dir=tmp_path,
        simulator=simulators[0 if on_verilator else -1],
        seed=seed,
        operands=[(np.array([[1, 2, 3]]), np.array([[1], [2], [3]]))],
    )
    assert result.tests == 8
    assert result.vectors > 500


def test_waveforms_of_blocks():
    """Every block once, in some lane and cycle; energy is that of an element."""
    design = load("divided")
    a = np.random.default_rng(0).integers(1 << 6, size=(5, 6))
    (wave,) = waveforms(design, a, np.zeros((6, 1), int))
    assert (wave.macs, wave.lanes) == (5 * 6, 5)
    assert int((wave.inputs["i_valid"][:, 0] != 0).sum()) == 3


def test_a_register_goes_on_where_it_was():
    """Two sequences, one after the other, take the random bits of one."""
    design = load("by_chance")
    bench = TRANSFERS[type(design)]
    fields = {"a": np.arange(100), "b": np.full(100, 0x3EAB)}
    results = bench.since_reset(design)
    parts = [results({key: x[half] for key, x in fields.items()})["result"]
             for half in (slice(30), slice(30, None))]  # fmt: skip
    assert np.concatenate(parts).tolist() == bench.expected(design, fields)["result"].tolist()
