"""Tests of :mod:`minimac.cost.synthesis`."""

import numpy as np
import pytest

from minimac.cost import synthesis as module
from minimac.cost.activity import simulate
from minimac.cost.errors import SynthesisError
from minimac.cost.netlist import flatten
from minimac.cost.synthesis import synthesise
from minimac.cost.technology import load_technology
from minimac.cost.timing import analyse
from minimac.rtl import to_verilog
from minimac.spec import load_design

MAC = """
module mac(input clk, input rst, input signed [3:0] a, input signed [3:0] b,
           output reg signed [11:0] sum);
  reg signed [3:0] ra, rb;
  always @(posedge clk) begin
    ra <= a; rb <= b;
    sum <= rst ? 0 : sum + ra * rb;
  end
endmodule
"""
ADDER = """
module adder(input clk, input [15:0] a, input [15:0] b, output reg [15:0] y);
  always @(posedge clk) y <= a + b;
endmodule
"""
MULTIPLIER = """
module multiplier(input clk, input [15:0] a, input [15:0] b, output reg [31:0] y);
  reg [15:0] ra, rb;
  always @(posedge clk) begin ra <= a; rb <= b; y <= ra * rb; end
endmodule
"""
SMALL = MULTIPLIER.replace("15:0", "5:0").replace("31:0", "11:0")
E3M2 = {"name": "sum", "unit": "mac", "out": "fp32", "accumulate": {"kind": "exact"}}
E3M2 |= {"a": "e3m2", "b": "e3m2"}
BLACK = """
module top(input a, output y); black b(a, y); endmodule
(* blackbox *) module black(input a, output y); endmodule
"""
ARRAY = """
module row_element(input clk, input [3:0] a, output reg [3:0] y);
  always @(posedge clk) y <= a * 3 + 1;
endmodule
module row(input clk, input [3:0] a, output [3:0] y);
  wire [3:0] m;
  row_element u0(clk, a, m);
  row_element u1(clk, m, y);
endmodule
"""


def lanes(values):
    """Pack integers of shape (cycles, 64) into words, one for each bit."""
    bits = values[:, None, :] >> np.arange(4)[None, :, None] & 1
    packed = np.packbits(bits.astype(np.uint8), axis=2, bitorder="little")
    return np.ascontiguousarray(packed).view(np.uint64)[:, :, 0]


@pytest.mark.parametrize("technology", ["sky130", "asap7", "sg13g2"])
def test_mapped_mac_adds_up(technology, cache):
    library = load_technology(technology)
    result = synthesise(MAC, "mac", library, cache=cache)
    netlist = flatten(result.modules, "mac", library)
    rng = np.random.default_rng(0)
    a, b = rng.integers(-8, 8, size=(2, 12, 64))
    reset = np.zeros((12, 1), dtype=np.uint64)
    reset[:2] = ~np.uint64(0)
    outputs = simulate(netlist, {"a": lanes(a), "b": lanes(b), "rst": reset}).outputs["sum"]
    unpacked = np.unpackbits(outputs[:, :, None].view(np.uint8), axis=2, bitorder="little")
    found = np.tensordot(unpacked.astype(np.int64), 1 << np.arange(12), axes=(1, 0))
    found = (found + 2048) % 4096 - 2048
    products = (a * b)[1:]
    assert (found[11] == products[:9].sum(axis=0)).all()  # the edge after cycle t adds term t - 1
    assert result.flow[-2].startswith("abc -liberty")
    assert set(result.versions) == {"pyosys"}


def test_faster_clock_takes_more_area(sky130, cache):
    found = {}
    for mhz in (50, 800):
        result = synthesise(SMALL, "multiplier", sky130, clock_mhz=mhz, cache=cache)
        netlist = flatten(result.modules, "multiplier", sky130)
        found[mhz] = netlist.area_um2, analyse(netlist).delay_ps
    assert found[50][1] <= 20_000
    assert found[800][0] > 1.05 * found[50][0]
    assert found[800][1] < 0.7 * found[50][1]


def test_prefix_trees_of_adders_stay(sky130, cache):
    """As chains, which merging turns them into, 64 bits take 8 ns at best."""
    wide = ADDER.replace("15:0", "63:0")
    result = synthesise(wide, "adder", sky130, clock_mhz=300, cache=cache)
    assert analyse(flatten(result.modules, "adder", sky130)).delay_ps <= 1e6 / 300


class Stub:
    """Recipes without Yosys: of each the area and the delay, at a clock of 1 GHz."""

    figures = {}

    def __init__(self, *_): ...

    def map(self, shares, clock_mhz):
        """Map nothing, in shares of the time."""
        found = {name: self.figures.get(name, (9.0, 3000.0)) for name in shares}
        return [
            module.Mapped(name, {}, area, delay * shares[name])
            for name, (area, delay) in found.items()
        ]


@pytest.mark.parametrize(
    ("figures", "chosen"),
    [
        ({"area": (5.0, 1000.0), "fast": (4.0, 900.0)}, "area"),
        ({"area": (1.0, 1001.0), "fast": (6.0, 800.0), "fastest": (7.0, 500.0)}, "fast"),
        ({"fast": (6.0, 800.0), "balanced": (5.0, 1050.0)}, "balanced"),  # when asked again
        ({"fast": (6.0, 800.0), "balanced": (5.0, 1160.0)}, "fast"),
        ({"fast": (6.0, 1200.0), "fastest": (8.0, 1190.0)}, "fastest"),
    ],
)
def test_smallest_netlist_that_meets_the_clock_counts(figures, chosen, monkeypatch):
    monkeypatch.setattr(module, "_Mapper", Stub)
    monkeypatch.setattr(Stub, "figures", figures)
    assert module._map_cells(None, "top", (), None, 1000.0)["recipe"] == chosen


def test_kept_modules_are_mapped_once(sky130, cache):
    result = synthesise(ARRAY, "row", sky130, keep=["row_element"], cache=cache)
    assert result.instances() == {"row": 1, "row_element": 2}
    assert not result.cells("row")
    assert result.total() == result.cells("row_element") + result.cells("row_element")
    assert synthesise(ARRAY, "row", sky130, cache=cache).instances() == {"row": 1}


def fpga(verilog, top, name, cache, dsp=None):
    family = load_technology(name)
    total = synthesise(verilog, top, family, dsp=dsp, cache=cache).total()
    found = {}
    for kind, count in total.items():
        for resource, each in family.primitives[kind].items():
            found[resource] = found.get(resource, 0) + count * each
    return found


@pytest.mark.parametrize(
    ("name", "luts", "carries"),
    [("xc7", 16, 4), ("ecp5", 16, 8), ("ice40", 16, 15), ("gowin", 16, 16)],
)
def test_adder_on_fpgas(name, luts, carries, cache):
    found = fpga(ADDER, "adder", name, cache)
    assert found.pop("ffs") == 16
    assert found.pop("carries") == pytest.approx(carries, abs=1)
    assert found == {"luts": pytest.approx(luts, abs=2)}


def test_multiplier_on_fpgas(cache):
    assert fpga(SMALL, "multiplier", "xc7", cache)["dsps"] == 1
    assert fpga(SMALL, "multiplier", "ice40", cache, dsp=True)["dsps"] == 1
    assert fpga(MULTIPLIER, "multiplier", "gowin", cache, dsp=True)["dsps"] == 1
    without = fpga(SMALL, "multiplier", "ecp5", cache, dsp=False)
    assert "dsps" not in without
    assert without["luts"] > 20


@pytest.mark.parametrize(
    ("name", "habit"), [("xc7", True), ("ecp5", True), ("ice40", False), ("gowin", False)]
)
def test_multiplier_blocks_by_habit(name, habit):
    family = load_technology(name)
    flows = {use: module.fpga_flow(family, "top", (), use, 100.0) for use in (None, True, False)}
    assert flows[None] == flows[habit] != flows[not habit]


def test_a_relaxed_clock_takes_fewer_luts(cache):
    text = to_verilog(load_design(E3M2))
    counts = []
    for clock_mhz in (1000.0, 50.0, 10.0):
        found = synthesise(text, "sum", load_technology("ecp5"), clock_mhz=clock_mhz, cache=cache)
        primitives = found.technology.primitives
        counts.append(sum(primitives[k].get("luts", 0) * n for k, n in found.total().items()))
    assert counts[1] < 0.9 * counts[0]
    assert counts[2] == pytest.approx(counts[1], rel=0.02)


def test_cache_is_used_and_repaired(sky130, cache, monkeypatch, capsys):
    first = synthesise(ARRAY, "row", sky130, cache=cache)
    real = module._map_cells
    monkeypatch.setattr(module, "_map_cells", lambda *_: pytest.fail("not from the cache"))
    assert synthesise(ARRAY, "row", sky130, cache=cache).modules == first.modules
    monkeypatch.setattr(module, "_map_cells", real)
    (entry,) = cache.folder.rglob("*.z")
    entry.write_bytes(entry.read_bytes()[:-1])
    assert synthesise(ARRAY, "row", sky130, cache=cache).modules == first.modules
    assert "damaged" in capsys.readouterr().err
    synthesise(ARRAY, "row", sky130, clock_mhz=50, cache=cache)
    assert len(list(cache.folder.rglob("*.z"))) == 2


@pytest.mark.parametrize(
    ("verilog", "message"),
    [
        ("module top(input a; endmodule", "Yosys: syntax error"),
        ("module other(input a); endmodule", "Yosys: Module `top' not found!"),
        (
            "module top(input e, input d, output reg q);\nalways @* if (e) q = d;\nendmodule",
            "D latches are not supported",
        ),
        (
            BLACK,
            "top: b cannot be mapped to sky130: it is a black",
        ),
    ],
)
def test_errors_are_one_line(sky130, cache, verilog, message):
    with pytest.raises(SynthesisError, match=message) as caught:
        synthesise(verilog, "top", sky130, cache=cache)
    assert "\n" not in str(caught.value)


def test_time_limit(sky130, cache):
    with pytest.raises(SynthesisError, match=r"^synthesis took longer than its time limit$"):
        synthesise(MULTIPLIER, "multiplier", sky130, timeout_s=0.05, cache=cache)


def test_wrong_arguments(sky130, cache):
    with pytest.raises(ValueError, match="clock_mhz must be above 0, not -1"):
        synthesise(MAC, "mac", sky130, clock_mhz=-1, cache=cache)
    with pytest.raises(ValueError, match="dsp must be None for sky130, which has no DSP blocks"):
        synthesise(MAC, "mac", sky130, dsp=True, cache=cache)
    with pytest.raises(ValueError, match="top and keep must be names of modules, not 'a; b'"):
        synthesise(MAC, "a; b", sky130, cache=cache)
