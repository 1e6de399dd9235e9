"""Tests of :mod:`minimac.cost.measurement`."""

import json

import numpy as np
import pytest

from minimac.cost import measure
from minimac.spec import SpecError, load_design


@pytest.fixture(scope="module")
def design():
    return load_design(
        {
            "name": "little",
            "unit": "systolic",
            "a": "int4",
            "b": "int4",
            "out": "int16",
            "accumulate": {"kind": "exact", "max_terms": 64},
            "array": {"rows": 2, "columns": 2},
        }
    )


def test_standard_cells(design, cache):
    rng = np.random.default_rng(0)
    operands = rng.integers(16, size=(128, 4)), rng.integers(16, size=(4, 2))
    cost = measure(design, "sky130", [operands], with_glitches=True, cache=cache)
    found = json.loads(json.dumps(cost.as_dict()))
    assert found["technology"] == "sky130"
    assert found["clock_mhz"] == 100
    assert found["meets_clock"]
    assert found["delay_ps"] < 10_000
    assert {name: part["count"] for name, part in found["parts"].items()} == {
        "element": 4,
        "foot": 2,
        "edge": 1,
    }
    for key in ("area_um2", "cells", "registers", "leakage_uw", "energy_pj_per_mac"):
        total = sum(part[key] for part in found["parts"].values())
        assert found[key] == pytest.approx(total, abs=1e-5), key
    assert 0.1 < found["energy_pj_per_mac"] < 20
    assert found["energy_glitches_pj_per_mac"] > 0
    assert found["energy_pj_per_mac"] == pytest.approx(
        sum(found["energy_split_pj_per_mac"].values()), abs=1e-5
    )
    provenance = found["provenance"]
    assert provenance["design"] == design.as_dict()
    assert provenance["stimulus"]["macs"] == 128 * 4 * 2 * 64
    assert provenance["versions"]["pyosys"]
    assert "luts" not in found


def test_fpga(design, cache):
    found = measure(design, "ice40", cache=cache).as_dict()
    assert found["luts"] == sum(part["luts"] for part in found["parts"].values())
    assert found["parts"]["element"]["ffs"] % 4 == 0
    assert found["parts"]["element"]["luts"] > 40
    assert not {"area_um2", "energy_pj_per_mac"} & set(found)


def test_operands_matter(design, cache):
    """Zeros take less than numbers."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(16, size=(128, 4)), rng.integers(16, size=(4, 2))
    busy = measure(design, "sky130", [(a, b)], cache=cache).energy_pj_per_mac
    idle = measure(design, "sky130", [(a * 0, b)], cache=cache).energy_pj_per_mac
    assert idle < 0.9 * busy


def test_unknown_technology(design):
    with pytest.raises(SpecError, match="not 'sky310'; did you mean 'sky130'"):
        measure(design, "sky310")
