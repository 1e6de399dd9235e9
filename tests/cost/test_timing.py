"""Tests of :mod:`minimac.cost.timing`."""

import pytest

from minimac.cost.netlist import flatten
from minimac.cost.timing import analyse

INV, NAND, DFF = (f"sky130_fd_sc_hd__{name}" for name in ("inv_1", "nand2_1", "dfxtp_1"))
WIRE = 0.172 * 13.6


def test_register_to_register_by_hand(sky130, sketch):
    top = sketch().port("input", "clk").port("input", "d").port("output", "q")
    top.cell("r", DFF, CLK="clk", D="d", Q="m").cell("g", INV, A="m", Y="n")
    top.cell("s", DFF, CLK="clk", D="n", Q="q")
    timing = analyse(flatten({"top": top.tree}, "top", sky130))
    launched = 281.7 + 6.6069 * (2.302 + WIRE)
    inverted = launched + 34.478 + 5.7553 * (1.678 + WIRE)
    assert timing.delay_ps == pytest.approx(inverted + 199.75)
    assert (timing.start, timing.end) == ("r", "s")
    assert [(step.instance, step.cell) for step in timing.path] == [("r", DFF), ("g", INV)]
    assert [step.arrival_ps for step in timing.path] == pytest.approx([launched, inverted])
    assert timing.by_kind_ps == {
        "register_to_register": timing.delay_ps,
        "register_to_output": pytest.approx(281.7 + 6.6069 * (2.302 + WIRE)),
        "input_to_register": pytest.approx(199.75),
        "input_to_output": 0.0,
    }


def test_input_to_output_by_hand(sky130, sketch):
    top = sketch().port("input", "a", "a0", "a1").port("output", "y", "m", "n")
    top.cell("g", INV, A="a1", Y="m").cell("h", NAND, A="m", B="a0", Y="n")
    timing = analyse(flatten({"top": top.tree}, "top", sky130))
    first = 34.478 + 5.7553 * (2.315 + 2.302 + 2 * WIRE)
    second = first + 46.55 + 6.2252 * (2.302 + WIRE)
    assert timing.delay_ps == pytest.approx(second)
    assert (timing.start, timing.end) == ("a1", "y[1]")
    assert [step.instance for step in timing.path] == ["g", "h"]


def test_constants_have_no_paths(sky130, sketch):
    top = sketch().port("output", "y").cell("g", INV, A="1", Y="y")
    timing = analyse(flatten({"top": top.tree}, "top", sky130))
    assert (timing.delay_ps, timing.path) == (0.0, ())
