"""Tests of :mod:`minimac.cost.search`."""

from types import SimpleNamespace

import pytest

from minimac.cost import measure, search, synthesis
from minimac.cost.search import fastest
from minimac.spec import SpecError, load_design

DESIGN = load_design({"name": "sum", "unit": "adder", "a": "int4", "b": "int4", "out": "int5"})


@pytest.mark.parametrize("limit_ps", [137.0, 2000.0, 9000.0, 31_000.0])
@pytest.mark.parametrize("haste", [0.95, 1.0, 1.05])
def test_a_flow_of_known_limits(limit_ps, haste, monkeypatch):
    """It meets what is asked for down to a limit, and gets lost when it is asked for too much."""
    said = []

    def flow(design, technology, *, clock_mhz, with_energy=True, **options):
        asked_ps = 1e6 / clock_mhz
        delay_ps = 0.99 * asked_ps if asked_ps >= limit_ps else haste * limit_ps + 1
        met = delay_ps <= asked_ps
        return SimpleNamespace(
            clock_mhz=clock_mhz,
            delay_ps=delay_ps,
            meets_clock=met,
            area_um2=1.0,
            with_energy=with_energy,
        )

    monkeypatch.setattr(search, "measure", flow)
    found = fastest(DESIGN, "sky130", watch=said.append)
    assert found.meets_clock
    assert found.with_energy
    # What nobody asked for, it cannot know to be possible.
    assert 0.999 * min(limit_ps, haste * limit_ps) < 1e6 / found.clock_mhz < 1.015 * limit_ps
    assert 4 < len(said) < 20
    assert all(line.endswith("um2") for line in said)


def test_an_adder(cache, monkeypatch):
    """Nothing that was tried is faster and met. With two recipes, to be quick."""
    few = {name: synthesis.RECIPES[name] for name in ("area", "balanced")}
    monkeypatch.setattr(synthesis, "RECIPES", few)
    said = []
    found = fastest(DESIGN, "sky130", with_energy=False, cache=cache, watch=said.append)
    assert found.meets_clock
    tried = [(float(line.split()[0]), ": met" in line) for line in said]
    assert found.clock_mhz == max(clock for clock, met in tried if met)
    relaxed = measure(DESIGN, "sky130", with_energy=False, cache=cache)
    assert found.fmax_mhz > relaxed.fmax_mhz
    assert found.area_um2 > relaxed.area_um2


def test_fpgas_have_their_own_way():
    with pytest.raises(SpecError, match="fastest is for standard cells; on ecp5, fmax_mhz is what"):
        fastest(DESIGN, "ecp5")
