"""Tests of arrays: their Verilog against the model, and arrays that are broken on purpose."""

import re

import numpy as np
import pytest
from amaranth.hdl import Const

from minimac.bench import SimulationError, simulate
from minimac.bench.traffic import waveforms
from minimac.cost.activity import simulate as simulate_netlist
from minimac.cost.cache import Cache
from minimac.cost.netlist import flatten
from minimac.cost.synthesis import synthesise
from minimac.cost.technology import load_technology
from minimac.model import matmul
from minimac.rtl import describe, encoding, to_verilog
from minimac.rtl.arrays import output_stationary, stationary, weight_stationary
from minimac.spec import load_design

EXACT = {"kind": "exact", "max_terms": 24}
FLOAT = {"kind": "float", "width": 10, "normalize": "approx(1,2)", "max_terms": 24}
MIXED = {"a": "e2m1", "b": "int4", "out": "bf16"}


def array(rows, columns, dataflow="ws", encode="none", foot="column", double_buffer=False, **more):
    shape = {
        "rows": rows,
        "columns": columns,
        "dataflow": dataflow,
        "encode": encode,
        "foot": foot,
        "double_buffer": double_buffer,
    }
    fields = {"a": "int4", "b": "int4", "out": "int12", "accumulate": EXACT} | more
    return load_design({"name": "unit", "unit": "systolic", "array": shape} | fields)


ARRAYS = {
    "os_float": array(2, 3, "os", accumulate=FLOAT, pipeline=1, **MIXED),
    "ws_twice_ent": array(3, 2, encode="ent", double_buffer=True, pipeline=1),
    "ws_shared_float": array(2, 2, foot="shared", accumulate=FLOAT, **MIXED),
    "broadcast_twice_shared_booth": array(
        3, 2, "broadcast", "booth", foot="shared", double_buffer=True, a="uint3"
    ),
}
ON_VERILATOR = {
    "os_shared_booth": array(2, 2, "os", "booth", foot="shared", b="uint3"),
    "broadcast_mixed": array(2, 2, "broadcast", pipeline=2, **MIXED),
}


@pytest.mark.parametrize("name", [*ARRAYS, *ON_VERILATOR])
def test_array(name, simulators, seed, tmp_path):
    """On Icarus, which builds at once, where there is one; two of them on Verilator."""
    simulator = simulators[-1] if name in ARRAYS else "verilator"
    design = (ARRAYS | ON_VERILATOR)[name]
    assert simulate(design, build_dir=tmp_path, simulator=simulator, seed=seed).vectors > 0


# One lane of each, so that results come in order.
IN_ONE_LANE = [
    array(2, 2, "os", foot="shared"),
    array(2, 3, "os", "booth", pipeline=1),
    array(2, 2, "ws", double_buffer=True, foot="shared"),
    array(3, 2, "broadcast", "ent", foot="shared"),
]


@pytest.mark.parametrize("design", IN_ONE_LANE, ids=lambda d: d.array.dataflow)
def test_waveforms_give_the_product(design, seed, tmp_path):
    """What runs while energy is measured is the product, without a stall: on the netlist."""
    technology = load_technology("sky130")
    found = synthesise(to_verilog(design), "unit", technology, cache=Cache(tmp_path))
    netlist = flatten(found.modules, "unit", technology)
    rng = np.random.default_rng(seed)
    shape = design.array
    a, b = rng.integers(16, size=(3, 7)), rng.integers(16, size=(7, shape.columns))
    runs = waveforms(design, a, b)
    wave = next(runs)
    while True:
        did = simulate_netlist(netlist, wave.inputs).outputs
        try:
            wave = runs.send(did)
        except StopIteration:
            break
    told = describe(design)["streams"]["o"]
    field, valid = told["fields"]["sums"], did[told["valid"]][:, 0] & 1
    bits = did[field["port"]][valid == 1].astype(np.int64) & 1
    rows = bits.reshape(len(bits), shape.columns, field["width"])
    codes = rows @ (1 << np.arange(field["width"]))
    assert np.array_equal(codes[: len(a)], matmul(design, a, b))
    spare = -len(a) % shape.rows if shape.dataflow == "os" else 0
    assert len(codes) == len(a) + spare


def weights_swapped_a_cycle_early(monkeypatch):
    """The swap runs ahead of the vector that it follows, from the second row on."""
    delayed = weight_stationary.delayed

    def early(m, step, value, cycles, name, **more):
        return delayed(m, step, value, cycles - name.startswith("swap_1"), name, **more)

    monkeypatch.setattr(weight_stationary, "delayed", early)
    return array(3, 2, double_buffer=True)


def next_weights_overtake_the_swap(monkeypatch):
    """The next weights move on before the present ones are in use everywhere."""
    monkeypatch.setattr(stationary, "_in_past", lambda *_: Const(0))
    return array(2, 3, double_buffer=True)


def drain_a_cycle_early(monkeypatch):
    """Sums leave the elements before the last of them has ended."""
    delayed = output_stationary.delayed

    def early(m, step, value, cycles, name, **more):
        return delayed(m, step, value, cycles - (name == "ended"), name, **more)

    monkeypatch.setattr(output_stationary, "delayed", early)
    return array(2, 2, "os")


def booth_digit_of_the_wrong_sign(monkeypatch):
    """The highest digit of an activation loses its sign on the way."""
    digits = encoding.Booth.digits

    def wrong(self, word):
        *low, high = digits(self, word)
        return [*low, encoding.Digit(high.one, high.two, Const(0, 1))]

    monkeypatch.setattr(encoding.Booth, "digits", wrong)
    return array(2, 2, encode="booth")


@pytest.mark.parametrize(
    "mutant",
    [
        weights_swapped_a_cycle_early,
        next_weights_overtake_the_swap,
        drain_a_cycle_early,
        booth_digit_of_the_wrong_sign,
    ],
    ids=lambda f: f.__name__,
)
def test_mutant_is_caught(mutant, monkeypatch, simulators, seed, tmp_path):
    with monkeypatch.context() as broken:
        design = mutant(broken)
        text = to_verilog(design)
    assert text != to_verilog(design), "the mutant is no mutant"
    with pytest.raises(SimulationError) as caught:
        simulate(design, build_dir=tmp_path, simulator=simulators[-1], seed=seed, verilog=text)
    # Caught by a comparison or a protocol rule, not by a failure to build.
    rules = "got 0x.* (expected|but nothing)|never came|payload is undefined"
    assert re.search(rules, str(caught.value)), caught.value
