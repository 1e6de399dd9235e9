"""Wrappers, reset and clock enable in simulators, with bus models of ours and of others."""

import pytest

from minimac.bench import run, simulate
from minimac.spec import load_design

FLOAT = {"kind": "float", "width": 10, "max_terms": 100}
DESIGNS = {
    "mac": {"unit": "mac", "a": "e4m3fn", "b": "int4", "out": "bf16", "accumulate": FLOAT},
    "systolic": {
        "unit": "systolic",
        "a": "int4",
        "b": "int8",
        "out": "int16",
        "accumulate": {"kind": "exact", "max_terms": 40},
        "array": {"rows": 3, "columns": 5},
    },
}

# Between them: each value of each key with each unit, and each interface with a clock enable.
VARIANTS = [
    ("mac", {"reset": "none"}),
    ("mac", {"reset": "async"}),
    ("mac", {"clock_enable": True}),
    ("systolic", {"reset": "async", "clock_enable": True}),
    ("systolic", {"reset": "none", "clock_enable": True}),
    ("mac", {"interface": "axi4stream", "reset": "async"}),
    ("systolic", {"interface": "axi4stream", "clock_enable": True}),
    ("mac", {"interface": "wishbone", "clock_enable": True}),
    ("systolic", {"interface": "wishbone", "reset": "none"}),
]


def build(unit, **changes):
    return load_design({"name": f"wrapped_{unit}", **DESIGNS[unit], **changes})


@pytest.mark.parametrize(("unit", "changes"), VARIANTS, ids=str)
def test_controls_and_wrappers(unit, changes, simulators, seed, tmp_path):
    # Icarus builds at once; Verilator has its share, too, and all of it where there is no Icarus.
    simulator = simulators[0 if changes.get("reset") == "async" else -1]
    design = build(unit, **changes)
    result = simulate(design, build_dir=tmp_path, simulator=simulator, seed=seed)
    assert result.tests >= 7
    assert result.vectors > (50 if design.interface == "wishbone" else 200)


# Between them: each unit and each simulator with each interface.
@pytest.mark.parametrize(
    ("unit", "interface", "which"),
    [
        ("mac", "axi4stream", 0),
        ("systolic", "axi4stream", -1),
        ("systolic", "wishbone", 0),
        ("mac", "wishbone", -1),
    ],
)
def test_bus_models_of_others(unit, interface, which, simulators, seed, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_benches", lambda design: ["buses"])
    design = build(unit, interface=interface)
    result = simulate(design, build_dir=tmp_path, simulator=simulators[which], seed=seed)
    assert result.vectors >= 4
