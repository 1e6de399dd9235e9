"""Tests of :mod:`minimac.cost.netlist`."""

import numpy as np
import pytest

from minimac.cost.activity import simulate
from minimac.cost.netlist import NetlistError, flatten

INV, NAND, DFF = (f"sky130_fd_sc_hd__{name}" for name in ("inv_1", "nand2_1", "dfxtp_1"))


def test_hierarchy_keeps_paths(sky130, sketch):
    leaf = sketch().port("input", "a").port("output", "y").cell("g", INV, A="a", Y="y")
    top = sketch().port("input", "a").port("output", "y")
    top.cell("u0", "leaf", a="a", y="m").cell("u1", "leaf", a="m", y="y")
    netlist = flatten({"top": top.tree, "leaf": leaf.tree}, "top", sky130)
    assert [netlist.name(i) for i in range(2)] == ["u0.g", "u1.g"]
    assert [scope.module for scope in netlist.scopes] == ["top", "leaf", "leaf"]
    assert netlist.pins(0)["Y"] == netlist.pins(1)["A"]
    assert netlist.net_name(netlist.pins(0)["Y"]) == "m"
    assert netlist.level[netlist.order].tolist() == [1, 2]
    assert netlist.area_um2 == pytest.approx(2 * 3.7536)


def test_wires_and_constants_through_a_module(sky130, sketch):
    leaf = sketch().port("input", "a").port("output", "y", "a").port("output", "k", "1")
    top = sketch().port("input", "a").port("output", "z")
    top.cell("u", "leaf", a="a", y="m", k="n").cell("g", NAND, A="m", B="n", Y="z")
    netlist = flatten({"top": top.tree, "leaf": leaf.tree}, "top", sky130)
    lanes = np.array([[0b01]], dtype=np.uint64)
    out = simulate(netlist, {"a": lanes}).outputs["z"]
    assert out[0, 0] & np.uint64(3) == 0b10


def test_combinational_loop_is_named(sky130, sketch):
    top = sketch().port("input", "a").port("output", "y")
    top.cell("g1", NAND, A="a", B="y", Y="m").cell("g2", INV, A="m", Y="y")
    top.cell("behind", INV, A="y", Y="z")
    with pytest.raises(
        NetlistError, match=r"^combinational loop: (g1 -> g2 -> g1|g2 -> g1 -> g2)$"
    ):
        flatten({"top": top.tree}, "top", sky130)


def test_wrong_netlists(sky130, sketch):
    top = sketch().port("input", "a").port("output", "y").cell("g", "$_NOT_", A="a", Y="y")
    with pytest.raises(NetlistError, match=r"top\.g must be mapped to a cell of sky130, not \$_NO"):
        flatten({"top": top.tree}, "top", sky130)
    top = sketch().port("input", "a").port("output", "y").cell("g", INV, A="b", Y="y")
    with pytest.raises(NetlistError, match="net b must have a driver, not none"):
        flatten({"top": top.tree}, "top", sky130)
    top.cell("h", INV, A="a", Y="y").cell("i", INV, A="a", Y="b")
    with pytest.raises(NetlistError, match="net y must have one driver, not several"):
        flatten({"top": top.tree}, "top", sky130)
    with pytest.raises(NetlistError, match="top must be one of top, not 'tpo'"):
        flatten({"top": top.tree}, "tpo", sky130)


def test_derived_clock(sky130, sketch):
    top = sketch().port("input", "clk").port("output", "q")
    top.cell("g", INV, A="clk", Y="c").cell("r", DFF, CLK="c", D="q", Q="q")
    netlist = flatten({"top": top.tree}, "top", sky130)
    with pytest.raises(NetlistError, match="clock c must be an input, not derived"):
        _ = netlist.clocks


def test_load(sky130, sketch):
    top = sketch().port("input", "a").port("output", "y")
    top.cell("g", INV, A="a", Y="m").cell("h", NAND, A="m", B="m", Y="y")
    netlist = flatten({"top": top.tree}, "top", sky130)
    wire = 0.172 * 13.6
    assert netlist.load_ff[netlist.pins(0)["Y"]] == pytest.approx(2.315 + 2.324 + 2 * wire)
    assert netlist.load_ff[netlist.pins(1)["Y"]] == pytest.approx(2.302 + wire)
