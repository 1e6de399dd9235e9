"""Tests of :mod:`minimac.cost.exchange`: files that the tools load, with the measured figures."""

import importlib.util
import math
import sys
import types
from dataclasses import replace

import pytest
import yaml

from minimac.cost import measure
from minimac.cost.exchange import TOOLS, export
from minimac.spec import SpecError, load_design


@pytest.fixture(scope="module")
def files(composed):
    """Files of all tools, and the cost that they were written from, with leakage that shows."""
    design, cost = composed.design, composed.cost
    parts = {
        name: replace(part, leakage_uw=1000 * part.leakage_uw) for name, part in cost.parts.items()
    }
    cost = replace(cost, leakage_uw=1000 * cost.leakage_uw, parts=parts)
    return {tool: export(tool, design, cost) for tool in TOOLS}, cost


@pytest.fixture(scope="module")
def per_mac(files):
    """Energy of a multiply-accumulate without leakage, in pJ, worked out from the whole."""
    _, cost = files
    cycles_per_mac = 1 / cost.provenance["stimulus"]["macs_per_cycle"]
    return cost.energy_pj_per_mac - cost.leakage_uw * 1e-6 * cycles_per_mac / 50e6 * 1e12


def read_table(text):
    """Read a table as the README of the library plug-in says, and no further."""
    found, name, heads = {}, None, None
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        if line.startswith("COMPONENT:"):
            name, heads = line.split(":")[1].strip(), None
        elif heads is None:
            heads = [word.strip() for word in line.split(",")]
        else:
            row = dict(zip(heads, (word.strip() for word in line.split(",")), strict=True))
            for action in row.pop("action").split("|"):
                found[name, action] = row
    return found


def test_accelergy(files, per_mac):
    texts, cost = files
    ((name, text),) = texts["accelergy"].items()
    assert name == "tiny.csv"
    rows = read_table(text)
    names = {"tiny_mac", "tiny_element", "tiny_foot", "tiny_edge"}
    # The plug-in insists on these four actions of each component.
    assert {(n, a) for n in names for a in ("read", "write", "update", "leak")} <= rows.keys()
    assert {name for name, _ in rows} == names
    for row in rows.values():
        assert row["technology"] == "130nm"
        assert float(row["global_cycle_seconds"]) == 2e-8
    energy = float(rows["tiny_mac", "mac"]["energy"])
    assert energy == pytest.approx(per_mac, rel=1e-4)
    parts = [float(rows[name, "read"]["energy"]) for name in names - {"tiny_mac"}]
    assert sum(parts) == pytest.approx(energy, rel=1e-4)
    # 18 elements, 6 feet and an edge make up the area; leakage in a cycle of 20 ns likewise.
    for key, action, total in (
        ("area", "read", cost.area_um2),
        ("energy", "leak", cost.leakage_uw * 0.02),
    ):
        each = {name: float(rows[name, action][key]) for name in names}
        assert 18 * each["tiny_mac"] == pytest.approx(total, rel=1e-4)
        summed = 18 * each["tiny_element"] + 6 * each["tiny_foot"] + each["tiny_edge"]
        assert summed == pytest.approx(total, rel=1e-4)


def test_hwcomponents(files, per_mac, tmp_path, monkeypatch):
    """Loaded with a base class that takes what the published one takes."""

    class ComponentModel:
        def __init__(self, leak_power=None, area=None, subcomponents=None):
            assert subcomponents is not None or None not in (leak_power, area)
            self.leak_power, self.area = leak_power, area

    def action(method):
        method.is_action = True
        return method

    stub = types.ModuleType("hwcomponents")
    stub.ComponentModel, stub.action = ComponentModel, action
    monkeypatch.setitem(sys.modules, "hwcomponents", stub)
    texts, cost = files
    ((name, text),) = texts["hwcomponents"].items()
    path = tmp_path / name
    path.write_text(text)
    loader = importlib.util.spec_from_file_location("models", path)
    module = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(module)
    models = {
        model.component_name[0]: model
        for model in vars(module).values()
        if isinstance(model, type)
        and issubclass(model, ComponentModel)
        and model.__init__.__code__ is not ComponentModel.__init__.__code__
    }
    assert set(models) == {"tiny_mac", "tiny_element", "tiny_foot", "tiny_edge"}
    assert all(0 <= model.priority <= 1 for model in models.values())
    mac = models["tiny_mac"]()
    assert mac.compute.is_action
    energy_j, latency_s = mac.mac()
    assert energy_j == pytest.approx(per_mac * 1e-12, rel=1e-4)
    assert latency_s == pytest.approx(2e-8)
    assert 18 * mac.area == pytest.approx(cost.area_um2 * 1e-12, rel=1e-4)
    assert 18 * mac.leak_power == pytest.approx(cost.leakage_uw * 1e-6, rel=1e-4)


def test_zigzag_loads_it(files):
    from zigzag.parser.accelerator_factory import AcceleratorFactory
    from zigzag.parser.accelerator_validator import AcceleratorValidator

    texts, cost = files
    ((name, text),) = texts["zigzag"].items()
    assert name == "tiny.yaml"
    validator = AcceleratorValidator(yaml.safe_load(text))
    assert validator.validate()
    core = AcceleratorFactory(validator.normalized_data).create()
    array = core.operational_array
    assert array.unit.energy_cost == pytest.approx(cost.energy_pj_per_mac, rel=1e-4)
    assert array.total_area == pytest.approx(cost.area_um2, rel=1e-4)
    assert {str(dim): size for dim, size in array.dimension_sizes.items()} == {"D1": 3, "D2": 6}
    levels = {level.name: level for level in core.memory_hierarchy.nodes}
    assert set(levels) == {"weights", "sums", "sram", "dram"}
    assert levels["sram"].read_energy == 20  # 64 bits: 6 results of 8 bits fit
    assert levels["dram"].read_energy == 1950
    assert levels["sums"].memory_instance.size == 10  # (-2) * (-2) * 64, signed


def test_other_units(tiny, composition_cache):
    """An element alone has no feet to share, and ZigZag no name for a unit that is no array."""
    fields = {key: value for key, value in tiny.as_dict().items() if key != "array"}
    mac = load_design(fields | {"unit": "mac"})
    cost = measure(mac, cache=composition_cache)
    rows = read_table(export("accelergy", mac, cost)["tiny.csv"])
    assert float(rows["tiny_mac", "mac"]["area"]) == pytest.approx(cost.area_um2, rel=1e-4)
    tree = yaml.safe_load(export("zigzag", mac, cost)["tiny.yaml"])
    assert math.prod(tree["operational_array"]["sizes"]) == 1
    dot = load_design(fields | {"unit": "dot", "lanes": 2})
    with pytest.raises(SpecError, match=r"^export: zigzag knows arrays; use unit systolic or mac"):
        export("zigzag", dot, cost)


def test_what_cannot_be_written(composed):
    design, cost = composed.design, composed.cost
    with pytest.raises(SpecError, match=r"^export: must be one of .*, not 'zigzga'; did you mean"):
        export("zigzga", design, cost)
    with pytest.raises(SpecError, match=r"^export: accelergy needs area and energy, which tiny"):
        export("accelergy", design, replace(cost, energy_pj_per_mac=None))
    nameless = replace(cost, provenance={**cost.provenance, "process": "mine"})
    with pytest.raises(SpecError, match=r"^export: accelergy needs the node, and the process of"):
        export("accelergy", design, nameless)
