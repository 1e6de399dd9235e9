"""Tests of :mod:`minimac.cost.composition`."""

import numpy as np
import pytest

from minimac.cost import compose, measure
from minimac.cost.cache import Cache
from minimac.spec import SpecError, load_design


def drawn(rng, shape):
    """Normally distributed codes of int2, three deviations of which are 1."""
    return np.clip(np.round(rng.normal(size=shape) / 3), -2, 1).astype(int) % 4


def test_a_composed_array_is_what_synthesis_returns(composed, tiny, composition_cache):
    """An oblong array that it is not composed from, and that the product does not fill."""
    direct = measure(tiny, cache=composition_cache)
    found = composed.cost
    assert found.area_um2 == pytest.approx(direct.area_um2, rel=0.03)
    assert found.energy_pj_per_mac == pytest.approx(direct.energy_pj_per_mac, rel=0.05)
    assert found.leakage_uw == pytest.approx(direct.leakage_uw, rel=0.03)
    assert found.delay_ps == pytest.approx(direct.delay_ps, rel=0.1)
    # Registers are exact: skews are triangles.
    assert found.registers == direct.registers
    assert {name: part.registers for name, part in found.parts.items()} == {
        name: part.registers for name, part in direct.parts.items()
    }
    assert {name: part.count for name, part in found.parts.items()} == {
        name: part.count for name, part in direct.parts.items()
    }
    stimulus, expected = found.provenance["stimulus"], direct.provenance["stimulus"]
    assert {**stimulus, "macs_per_cycle": 0} == {**expected, "macs_per_cycle": 0}
    assert stimulus["macs_per_cycle"] == pytest.approx(expected["macs_per_cycle"])


def test_it_says_what_it_is_made_of_and_how_far_off(composed):
    told = composed.cost.provenance["composed"]
    assert told["from"] == ["2x2", "4x2", "2x4", "8x2", "2x8", "8x4"]
    assert told["checked_at"] == "4x4"
    assert told["errors_percent"] == composed.errors_percent
    assert abs(composed.errors_percent["area_um2"]) < 3
    assert 0 < abs(composed.errors_percent["energy_pj_per_mac"]) < 5


def test_it_says_how_far_it_is(composed, tiny, composition_cache):
    """Six arrays on two products, the two of eight rows on one that does not fill them, a check."""
    said = []
    assert compose(tiny, cache=composition_cache, watch=said.append) == composed
    assert [line.split(":")[0] for line in said] == [f"{n} of 15" for n in range(1, 16)]
    assert said[5:8] == [
        "6 of 15: array of 8x4, product of 1024x16x32",
        "7 of 15: array of 2x2, product of 16x16x32",
        "8 of 15: array of 4x2, product of 16x16x32",
    ]
    assert said[-1] == "15 of 15: array of 4x4, product of 1024x16x32"


def test_energy_of_events(composed):
    """Zeros take less than operands, and waiting less than that."""
    full = composed.energy_pj(steps=10, cycles=10)
    half = composed.energy_pj(steps=10, cycles=10, used=0.5)
    waiting = composed.energy_pj(cycles=10)
    assert 0 < waiting < half < full
    assert composed.energy_pj(steps=10, turns=1, cycles=10) > full
    assert composed.energy_pj(steps=10, resumed=9, cycles=10) > full
    assert full - half == pytest.approx(5 * composed.event_pj["used"]["element"])
    passed = composed.energy_pj(steps=10, cycles=10, used=0.5, passing=0.5)
    assert half < passed < full


@pytest.mark.parametrize("shape", [(16, 30, 48), (300, 7, 8)], ids=str)
def test_products_of_other_shapes(composed, tiny, composition_cache, shape):
    """Of which one has few vectors for each weight, and one leaves most elements unused."""
    m, k, n = shape
    rng = np.random.default_rng(7)
    operands = drawn(rng, (m, k)), drawn(rng, (k, n))
    direct = measure(tiny, operands=[operands], cache=composition_cache)
    assert composed.pj_per_mac(m, k, n) == pytest.approx(direct.energy_pj_per_mac, rel=0.05)


WRONG = {
    "dataflow": (
        {"array": {"dataflow": "broadcast"}},
        "sky130",
        r"^unit: figures are composed of systolic",
    ),
    "interface": (
        {"interface": "wishbone"},
        "sky130",
        r"^interface: energy behind wishbone is not",
    ),
    "technology": ({}, "ice40", r"^technology: figures are composed of standard cells, not of ice"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_composed(tiny, name, tmp_path):
    changes, technology, message = WRONG[name]
    with pytest.raises(SpecError, match=message):
        compose(load_design(tiny.as_dict() | changes), technology, cache=Cache(tmp_path))


def test_units_and_operands_that_cannot_be_composed(tiny, tmp_path):
    fields = {key: value for key, value in tiny.as_dict().items() if key != "array"}
    with pytest.raises(SpecError, match=r"^unit: figures are composed of systolic arrays"):
        compose(load_design(fields | {"unit": "mac"}), cache=Cache(tmp_path))
    few = np.ones((4, 7), int), np.ones((7, 8), int)
    with pytest.raises(SpecError, match=r"^operands: K and N must be at least 8 .*, not \(7, 8\)"):
        compose(tiny, operands=few, cache=Cache(tmp_path))
