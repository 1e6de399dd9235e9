"""A sweep for real: nothing is replaced."""

import json

import pytest

from minimac.cli import main


def test_a_sweep_from_file_to_report(tmp_path, monkeypatch, simulators):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(
        "name: tiny\nunit: systolic\na: int4\nb: int4\nout: bf16\n"
        "accumulate: {kind: exact, max_terms: 64}\narray: {rows: 2, columns: 2}\n"
    )
    (tmp_path / "sweep.yaml").write_text(
        "designs: [tiny.yaml]\ntechnologies: [sky130, ice40]\nworkload: digits\n"
        f"simulator: {simulators[-1]}\n"
    )
    assert main(["explore", "sweep.yaml", "-o", "out", "--jobs", "1"]) == 0
    steps = json.loads((tmp_path / "out/results.json").read_text())["designs"][0]["steps"]
    found = {name: step["result"] for name, step in steps.items()}
    assert found["simulate"]["vectors"] > 1000
    assert found["accuracy"]["accuracy"] > 0.8
    cost = found["cost:sky130"]
    assert cost["area_um2"] == pytest.approx(
        sum(part["area_um2"] for part in cost["parts"].values()), rel=1e-6
    )
    # Every MAC of the three layers, and no padding: 64-48-24-10 on 256 inputs.
    macs = 256 * (64 * 48 + 48 * 24 + 24 * 10)
    assert 0 < cost["provenance"]["stimulus"]["macs_per_cycle"] <= 4
    assert cost["provenance"]["stimulus"]["macs"] >= macs
    assert found["cost:ice40"]["luts"] > 100
    assert main(["report", "out"]) == 0
    assert "tiny" in (tmp_path / "out/report.html").read_text()
    assert main(["simulate", "tiny.yaml", "--simulator", simulators[-1]]) == 0
