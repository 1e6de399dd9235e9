"""Tests of :mod:`minimac.cost.split`."""

import pytest

from minimac.cost import measure
from minimac.cost.split import end_of, parts_of_module
from minimac.spec import load_design

INV, DFF, BUF = (f"sky130_fd_sc_hd__{kind}" for kind in ("inv_1", "dfxtp_1", "buf_1"))


def test_smallest_cones(sketch, sky130):
    """A -> decode -> multiply, with a cell for both; a register; add; and one that nobody reads."""
    top = sketch().port("input", "a").port("input", "clk").port("output", "y")
    top.cell("d", INV, A="a", Y="end.0.decode.x")
    top.cell("both", INV, A="end.0.decode.x", Y="m")
    top.cell("p", INV, A="m", Y="end.1.multiply.low[0]")
    top.cell("q", INV, A="m", Y="end.1.multiply.high$3")
    top.cell("r", DFF, CLK="clk", D="end.1.multiply.low[0]", Q="held")
    top.cell("s", BUF, A="held", X="end.2.add.sum")
    top.cell("t", INV, A="end.2.add.sum", Y="y")
    inv, dff, buf = (sky130.cells[kind].area_um2 for kind in (INV, DFF, BUF))
    found = parts_of_module(top.tree, sky130)
    assert found == pytest.approx(
        {"decode": inv, "multiply": 3 * inv, "add": buf, "registers": dff, "rest": inv}
    )


@pytest.mark.parametrize("name", ["x", "bend.3.add.sum", "end.x.add.sum", "end.3.add"])
def test_other_names(name):
    assert end_of(name) is None


def mac(fmt, accumulate):
    design = {"name": "little", "unit": "mac", "a": fmt, "b": fmt, "out": fmt}
    return load_design({**design, "accumulate": accumulate, "clock_mhz": 50})


def test_parts_of_designs(cache, sky130):
    """What there must be, and what there cannot be."""
    ways = {
        "e4m3": {"kind": "float", "width": 8},
        "int4": {"kind": "exact", "max_terms": 16},
    }
    found = {}
    for fmt, accumulate in ways.items():
        cost = measure(mac(fmt, accumulate), with_energy=False, with_parts=True, cache=cache)
        found[fmt] = parts = cost.area_by_part_um2
        assert sum(parts.values()) == pytest.approx(cost.area_um2)
        assert parts["foot"] <= cost.parts["foot"].area_um2 + 1e-6
        first, *_, last = cost.critical_signals
        times = [step["arrival_ps"] for step in cost.critical_signals]
        assert times == sorted(times)
        assert "$" not in first["signal"] + last["signal"]
        assert times[-1] == cost.provenance["split"]["delay_with_marks_ps"]
        assert times[-1] == pytest.approx(cost.delay_ps, rel=0.5)
        with_marks = cost.provenance["split"]["area_with_marks_um2"]
        assert with_marks == pytest.approx(cost.area_um2, rel=0.15)
    floats = {"decode", "multiply", "align", "add", "normalise", "foot", "registers", "rest"}
    assert set(found["e4m3"]) == floats
    assert set(found["int4"]) == {"multiply", "add", "foot", "registers", "rest"}
    flip_flop = sky130.flip_flop.area_um2
    assert found["int4"]["registers"] >= (4 + 4 + 8) * flip_flop
    bare = measure(mac("int4", ways["int4"]), with_energy=False, cache=cache)
    assert (bare.area_by_part_um2, bare.critical_signals) == (None, None)
    assert bare.area_um2 == pytest.approx(sum(found["int4"].values()))


def test_parts_of_a_dot_product(cache):
    """Lanes are modules of their own; the tree is in none of them."""
    accumulate = {"kind": "exact", "max_terms": 64}
    tree = {"name": "dot", "unit": "dot", "a": "e3m2", "b": "e3m2", "out": "fp16", "lanes": 4}
    design = load_design({**tree, "accumulate": accumulate, "clock_mhz": 10})
    cost = measure(design, with_energy=False, with_parts=True, cache=cache)
    parts = cost.area_by_part_um2
    order = ["decode", "multiply", "align", "add", "foot", "registers", "rest"]
    assert list(parts) == order
    assert sum(parts.values()) == pytest.approx(cost.area_um2)
    assert parts["rest"] < 0.15 * cost.area_um2
    assert min(parts[part] for part in ("decode", "multiply", "align", "add")) > 0
