"""Results to look at, and stand-ins for what takes long."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from minimac.explore import DesignResult, Results, StepResult, Sweep
from minimac.spec import Design, load_design

# Tests of this folder can `import synthetic`, `import browser`.
sys.path.insert(0, str(Path(__file__).parent))


def _design(name: str, fmt: str = "int8") -> Design:
    tree = {"name": name, "unit": "systolic", "a": fmt, "b": fmt, "out": "bf16"}
    return load_design(tree | {"accumulate": {"kind": "exact"}, "array": {"rows": 2, "columns": 2}})


@pytest.fixture
def make_design():
    return _design


@pytest.fixture
def sweep() -> Sweep:
    return Sweep(
        name="tiny",
        designs=(_design("one"), _design("two", "e4m3fn")),
        technologies=("sky130", "ecp5"),
    )


def _result(name: str, accuracy: float, area_um2: float, energy_pj: float) -> DesignResult:
    def ok(**result: object) -> StepResult:
        return StepResult(ok=True, seconds=1.5, result=dict(result))

    return DesignResult(
        name=name,
        arithmetic=f"{name} x {name} -> bf16, exact",
        design={"name": name},
        steps={
            "generate": ok(files=[f"{name}.v"]),
            "accuracy": ok(accuracy=accuracy, float_accuracy=0.97, samples=600),
            "simulate": ok(tests=3, vectors=1000, simulator="verilator", seed=0),
            "cost:sky130": ok(
                area_um2=area_um2,
                delay_ps=2000.0,
                energy_pj_per_mac=energy_pj,
                parts={"element": {"area_um2": area_um2}, "foot": {"area_um2": 5.0}},
                provenance={"tool": "Yosys", "clock_mhz": 100},
            ),
            "cost:ecp5": ok(luts=100, ffs=10, dsps=0),
        },
    )


@pytest.fixture
def results() -> Results:
    """Three designs: the second is beaten by the first, the third failed in two steps."""
    failed = _result("broken", 0.5, 1.0, 1.0)
    failed.steps["simulate"] = StepResult(ok=False, seconds=0.1, reason="o #3: got 1, expected 2")
    failed.steps["cost:sky130"] = StepResult(ok=False, seconds=0.1, reason="not mapped")
    return Results(
        sweep="tiny",
        conditions={"minimac": "0.1.0", "workload": "digits", "seed": 0, "tools": {"numpy": "2"}},
        technologies=["sky130", "ecp5"],
        designs=[
            _result("good", 0.97, 1000.0, 0.5),
            _result("worse", 0.96, 2000.0, 0.75),
            failed,
        ],
    )


@pytest.fixture
def quick(monkeypatch, tmp_path_factory) -> list[str]:
    """Replace what takes long in a sweep; returns the calls made, as they come."""
    calls: list[str] = []
    monkeypatch.setenv("MINIMAC_CACHE", str(tmp_path_factory.mktemp("cache")))

    def simulate(design, *, build_dir, simulator, seed, operands):
        calls.append(f"simulate {design.name}")
        assert operands[0][0].shape[1] == operands[0][1].shape[0]
        return SimpleNamespace(
            tests=2, vectors=10, seconds=0.1, simulator=simulator, seed=seed, junit=Path("x.xml")
        )

    def measure(design, technology, operands=None):
        calls.append(f"measure {design.name} {technology}")
        return SimpleNamespace(as_dict=lambda: {"area_um2": 12.5, "energy_pj_per_mac": 0.5})

    monkeypatch.setattr("minimac.bench.simulate", simulate)
    monkeypatch.setattr("minimac.bench.available_simulators", lambda: ["verilator"])
    monkeypatch.setattr("minimac.cost.measure", measure)
    return calls


@pytest.fixture(scope="session")
def synthetic_results() -> Results:
    """Sixty designs of a space, measured and predicted; some break a limit."""
    from synthetic import synthetic

    return synthetic(60)
