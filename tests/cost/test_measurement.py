"""Tests of :mod:`minimac.cost.measurement`."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml

from minimac.cost import Cache, load_technology, measure, measurement
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


def test_asynchronous_reset(design, cache):
    """Where a library has such flip-flops."""
    asynchronous = replace(design, reset="async")
    with pytest.raises(SpecError, match=r"^reset: sky130 has no flip-flop with an asynchronous"):
        measure(asynchronous, "sky130", cache=cache)
    plain = measure(design, "sg13g2", with_energy=False, cache=cache)
    cleared = measure(asynchronous, "sg13g2", cache=cache)
    assert cleared.registers == plain.registers
    assert cleared.area_um2 == pytest.approx(plain.area_um2, rel=0.05)
    assert 0.1 < cleared.energy_pj_per_mac < 20


def test_a_liberty_file(tmp_path, cache):
    """The facts of sg13g2 as a file of one's own, but for what a file does not say."""
    design = load_design({"name": "sum", "unit": "adder", "a": "int4", "b": "int4", "out": "int5"})
    (tmp_path / "cells.lib").write_text(load_technology("sg13g2").liberty())
    mine, shipped = (
        measure(replace(design, reset="async"), technology, with_energy=False, cache=cache)
        for technology in (str(tmp_path / "cells.lib"), "sg13g2")
    )
    assert mine.technology == "sg13g2"
    assert mine.provenance["source"] == "cells.lib: 35 cells, 0 left out"
    assert mine.area_um2 == pytest.approx(shipped.area_um2, rel=0.05)
    assert mine.leakage_uw == pytest.approx(shipped.leakage_uw, rel=0.05)
    assert mine.registers == shipped.registers


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


WARM = """
import sys
from minimac.cli import main
assert main(["cost", sys.argv[1], "--technology", "ice40", "--no-route"]) == 0
heavy = {"amaranth", "numba", "numpy", "pandas", "pyosys", "scipy"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_a_known_cost_needs_no_tools(design, cache, tmp_path, monkeypatch):
    path = tmp_path / "little.yaml"
    path.write_text(yaml.safe_dump(design.as_dict()))
    monkeypatch.setenv("MINIMAC_CACHE", str(cache.folder))
    cold, warm = (
        subprocess.run([sys.executable, "-c", WARM, str(path)], capture_output=True, text=True)
        for _ in range(2)
    )
    assert "imported" in cold.stderr
    assert (warm.returncode, warm.stdout) == (0, cold.stdout)
    assert warm.stdout.startswith("metric")


def test_all_that_a_cost_follows_from(design, tmp_path, monkeypatch):
    """Each of these has an entry of its own; the same again has the same one."""
    asked = []

    class Asked(Cache):
        def load(self, key):
            asked.append(self.path(key))
            raise LookupError

    def ask(cost_of=design, technology="ice40", operands=None, **options):
        with pytest.raises(LookupError):
            measure(cost_of, technology, operands, cache=Asked(tmp_path), **options)

    codes = np.arange(12) % 4
    ask()
    ask(replace(design, pipeline=1))
    ask(clock_mhz=101)
    ask(technology="ecp5")
    ask(operands=[(codes.reshape(6, 2), codes.reshape(2, 6))])
    ask(operands=[(codes.reshape(3, 4), codes.reshape(4, 3))])
    ask(operands=[(codes.reshape(6, 2) + 1, codes.reshape(2, 6))])
    ask(dsp=True)
    ask(technology="sg13g2")
    ask(technology="sg13g2", with_glitches=True)
    ask(with_energy=False)
    ask(seeds=[1])
    monkeypatch.setattr(measurement, "_sources_digest", lambda: "other code")
    ask()
    monkeypatch.setattr(measurement, "_version", lambda package: "2")
    ask()
    assert len(set(asked)) == len(asked) == 14
    ask()
    assert asked[-1] == asked[-2]


def test_what_has_no_meaning_makes_no_other_entry(design, cache, monkeypatch):
    """Seeds for cells, parts for FPGAs; and that a family cannot be routed is known for good."""
    first = measure(design, "sg13g2", with_energy=False, cache=cache)
    without = measure(design, "xc7", seeds=[1], cache=cache)
    assert without.provenance["not_routed"] == "xc7 has no open place and route"
    monkeypatch.setattr("minimac.cost.evaluation.evaluate", lambda *_: pytest.fail("measured"))
    asked = {"with_energy": False, "with_glitches": True, "seeds": [1]}
    assert measure(design, "sg13g2", **asked, cache=cache) == first
    asked = {"with_parts": True, "with_glitches": True, "seeds": [1]}
    assert measure(design, "xc7", **asked, cache=cache) == without
    with pytest.raises(SpecError, match=r"^dsp: sg13g2 has no multiplier blocks; leave it out$"):
        measure(design, "sg13g2", dsp=True, cache=cache)


def test_a_damaged_cost_is_measured_again(design, cache, capsys):
    first = measure(design, "ice40", cache=cache)
    for entry in cache.folder.rglob("*.z"):
        entry.write_bytes(entry.read_bytes()[:-1])
    assert measure(design, "ice40", cache=cache) == first
    assert capsys.readouterr().err.count("damaged; the result is computed anew") == 2
    assert measure(design, "ice40", cache=cache) == first
    assert capsys.readouterr().err == ""
