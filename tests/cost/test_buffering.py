"""Tests of :mod:`minimac.cost.buffering`."""

import copy

import numpy as np
import pytest

from minimac.cost.activity import simulate
from minimac.cost.buffering import add_buffers, most_load_ff
from minimac.cost.netlist import flatten

INV, DFF = (f"sky130_fd_sc_hd__{name}" for name in ("inv_1", "dfxtp_1"))


def wide(sketch, sinks):
    """Sketch registers that all take the same input, inverted."""
    module = sketch().port("input", "clk").port("input", "en")
    for n in range(sinks):
        module.port("output", f"y{n}").cell(f"g{n}", INV, A="en", Y=f"d{n}")
        module.cell(f"r{n}", DFF, CLK="clk", D=f"d{n}", Q=f"y{n}")
    return module


def test_small_nets_and_clocks_are_left_alone(sky130, sketch):
    modules = {"top": wide(sketch, 12).tree}
    before = copy.deepcopy(modules)
    assert add_buffers(modules, "top", sky130) == 0
    assert modules == before


def test_loads_stay_below_the_limit(sky130, sketch):
    children, sinks = 30, 40
    top = sketch().port("input", "clk").port("input", "en")
    top.cell("r", DFF, CLK="clk", D="en", Q="q")
    for n in range(children):
        outputs = {f"y{k}": f"y{n}_{k}" for k in range(sinks)}
        top.cell(f"u{n}", "leaf", clk="clk", en="q", **outputs)
        top.port("output", f"y{n}", *outputs.values())
    modules = {"leaf": wide(sketch, sinks).tree, "top": top.tree}
    before = flatten(copy.deepcopy(modules), "top", sky130)
    assert before.load_ff.max() > 100 * most_load_ff(sky130)
    added = add_buffers(modules, "top", sky130)
    assert added > 0
    netlist = flatten(modules, "top", sky130)
    driven = netlist.driver >= 0
    assert netlist.load_ff[driven].max() <= most_load_ff(sky130)
    words = np.array([[1], [0], [1], [1], [0]], dtype=np.uint64)
    for port, values in simulate(before, {"en": words}).outputs.items():
        assert (simulate(netlist, {"en": words}).outputs[port] == values).all()


def test_most_load(sky130):
    assert most_load_ff(sky130) == pytest.approx(12 * (2.302 + 0.172 * 13.6))
