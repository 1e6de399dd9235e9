"""Tests of :mod:`minimac.cost.activity`."""

import numpy as np
import pytest

from minimac.bench.traffic import LANES
from minimac.cost.activity import energy, simulate
from minimac.cost.boolean import truth_table
from minimac.cost.netlist import flatten
from minimac.cost.synthesis import synthesise
from minimac.cost.technology import load_technology

INV, NAND, XOR, DFF = (
    f"sky130_fd_sc_hd__{name}" for name in ("inv_1", "nand2_1", "xor2_1", "dfxtp_1")
)
FEEDBACK = """
module top(input clk, input rst, input [3:0] a, output reg [7:0] sum, output odd);
  reg [3:0] held;
  assign odd = ^sum;
  always @(posedge clk) begin
    held <= a ^ {4{sum[7]}};
    sum <= rst ? 0 : sum + held * 5 + (a > held);
  end
endmodule
"""


def reference(netlist, inputs, glitches):
    """Simulate one net, lane and cycle after the other."""
    cycles = len(next(iter(inputs.values())))
    tables = [
        {o: cell.truth_table(o) for o in cell.outputs}
        | ({"next": truth_table(cell.ff.next_state, cell.inputs)} if cell.ff else {})
        for cell in netlist.cells
    ]
    toggles = np.zeros(netlist.nets, dtype=np.int64)
    instances = [(netlist.kinds[i], netlist.pins(i)) for i in range(len(netlist.kinds))]

    def row(cell, pins, values, state=0):
        bits = [values[pins[name]] for name in cell.inputs] + ([state] if cell.ff else [])
        return sum(bit << k for k, bit in enumerate(bits))

    for lane in range(LANES):
        values = [0] * netlist.nets
        values[1] = 1
        state = [0] * len(instances)
        for t in range(cycles):
            count = np.zeros(netlist.nets, dtype=np.int64)

            def change(changes, values=values, count=count):
                for net, value in changes:
                    count[net] += values[net] != value
                    values[net] = value

            edge = []
            for i, (kind, pins) in enumerate(instances):
                cell = netlist.cells[kind]
                if cell.ff:
                    r = row(cell, pins, values, state[i])
                    edge += [(pins[o], tables[kind][o] >> r & 1) for o in cell.outputs]
            for port, words in inputs.items():
                nets = netlist.inputs[port]
                edge += [(n, int(w) >> lane & 1) for n, w in zip(nets, words[t], strict=True)]
            change(edge)
            rounds = [[i] for i in netlist.order]
            if glitches and t:
                rounds = [list(netlist.order)] * int(netlist.level.max(initial=0))
            for together in rounds:
                changes = []
                for i in together:
                    kind, pins = instances[i]
                    cell = netlist.cells[kind]
                    r = row(cell, pins, values)
                    changes += [(pins[o], tables[kind][o] >> r & 1) for o in cell.outputs]
                change(changes)
            if t:
                toggles += count
            for i, (kind, pins) in enumerate(instances):
                if netlist.cells[kind].ff:
                    state[i] = tables[kind]["next"] >> row(netlist.cells[kind], pins, values) & 1
    return toggles


@pytest.mark.parametrize("technology", ["sky130", "asap7", "sg13g2"])
@pytest.mark.parametrize("glitches", [False, True])
def test_net_by_net_against_plain_python(technology, glitches, cache):
    library = load_technology(technology)
    result = synthesise(FEEDBACK, "top", library, clock_mhz=10, cache=cache)
    netlist = flatten(result.modules, "top", library)
    rng = np.random.default_rng(1)
    inputs = {
        "a": rng.integers(1 << 64, size=(8, 4), dtype=np.uint64),
        "rst": np.repeat(np.array([[~np.uint64(0)], [np.uint64(0)]]), [1, 7], axis=0),
    }
    activity = simulate(netlist, inputs, glitches=glitches)
    assert activity.toggles.tolist() == reference(netlist, inputs, glitches).tolist()
    settled = simulate(netlist, inputs)
    assert (settled.toggles <= activity.toggles).all()
    assert (settled.outputs["sum"] == activity.outputs["sum"]).all()


def test_energy_by_hand(sky130, sketch):
    top = sketch().port("input", "clk").port("input", "d").port("output", "y")
    top.cell("r", DFF, CLK="clk", D="d", Q="m").cell("g", INV, A="m", Y="y")
    netlist = flatten({"top": top.tree}, "top", sky130)
    lane0 = np.array([[0], [1], [0], [0]], dtype=np.uint64)  # the register: 0 0 1 0
    activity = simulate(netlist, {"d": lane0})
    pins = netlist.pins(0) | netlist.pins(1)
    assert activity.toggles[[pins["D"], pins["Q"], pins["Y"]]].tolist() == [2, 2, 2]
    spent = energy(netlist, activity, clock_mhz=100)
    wire, half_v2 = 0.172 * 13.6, 1.8**2 / 2
    periods = 3 * LANES
    assert spent.internal_fj == pytest.approx(2 * 18.87128 + 2 * 2.5723)
    assert spent.load_fj == pytest.approx(2 * half_v2 * (2.302 + wire) * 2)
    assert spent.clock_fj == pytest.approx(periods * 2 * (19.87545 + (1.794 + wire) * half_v2))
    assert spent.leakage_fj == pytest.approx(periods * (0.008439 + 0.005327) / 100)
    assert sum(spent.by_scope_fj.values()) == pytest.approx(spent.total_fj)


def test_glitch_by_hand(sky130, sketch):
    """``a ^ !a`` is 1 at rest, and 0 for a unit when ``a`` changes."""
    top = sketch().port("input", "a").port("output", "y")
    top.cell("g", INV, A="a", Y="m").cell("h", XOR, A="a", B="m", X="y")
    netlist = flatten({"top": top.tree}, "top", sky130)
    lane0 = np.array([[0], [1], [1], [0]], dtype=np.uint64)
    y = netlist.pins(1)["X"]
    assert simulate(netlist, {"a": lane0}).toggles[y] == 0
    assert simulate(netlist, {"a": lane0}, glitches=True).toggles[y] == 4


def test_wrong_stimulus(sky130, sketch):
    top = sketch().port("input", "a", "a0", "a1").port("output", "y")
    top.cell("g", NAND, A="a0", B="a1", Y="y")
    netlist = flatten({"top": top.tree}, "top", sky130)
    word = np.zeros((3, 2), dtype=np.uint64)
    with pytest.raises(ValueError, match="inputs must have a value for a"):
        simulate(netlist, {})
    with pytest.raises(ValueError, match="inputs must be of a, not 'b'"):
        simulate(netlist, {"a": word, "b": word})
    with pytest.raises(ValueError, match=r"input a must have shape \(cycles, 2\), not \(3, 1\)"):
        simulate(netlist, {"a": word[:, :1]})
    with pytest.raises(ValueError, match="at least one"):
        simulate(netlist, {"a": word[:0]})
    with pytest.raises(ValueError, match="clock_mhz must be above 0, not 0"):
        energy(netlist, simulate(netlist, {"a": word}), clock_mhz=0)


def test_asynchronous_clear(sketch):
    """It clears the state, whatever comes in, and does nothing when it is over."""
    library = load_technology("sg13g2")
    top = sketch().port("input", "clk").port("input", "r").port("output", "q")
    top.cell("f", "sg13g2_dfrbpq_1", CLK="clk", D="1", RESET_B="r", Q="q")
    netlist = flatten({"top": top.tree}, "top", library)
    ones = ~np.uint64(0)
    release = np.array([[ones], [ones], [0], [0], [ones], [ones]], dtype=np.uint64)
    out = simulate(netlist, {"r": release}).outputs["q"][:, 0]
    assert out.tolist() == [0, ones, ones, 0, 0, ones]
