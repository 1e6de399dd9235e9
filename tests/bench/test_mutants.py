"""Hardware that is broken on purpose: the benches must see each fault."""

import re

import pytest
from amaranth.hdl import Signal

from minimac.bench import SimulationError, simulate
from minimac.rtl import exact as exact_rtl
from minimac.rtl import floating as float_rtl
from minimac.rtl import to_verilog
from minimac.spec import load_design

BASE = {"name": "unit", "unit": "systolic", "a": "e4m3fn", "b": "e4m3fn", "out": "bf16"}
ARRAY = {"rows": 3, "columns": 2}


def floating(**changes):
    acc = {"kind": "float", "width": 10, "max_terms": 64} | changes
    return load_design(BASE | {"array": ARRAY, "accumulate": acc})


def normalizer_off_by_one(monkeypatch):
    """Shift and exponent agree, but stop one place short: no value is lost at once."""
    design = floating(normalize="approx(1,2)")
    changed = floating(normalize="approx(1,2)")
    object.__setattr__(changed.accumulate.normalize, "coarse", (1, 1))
    return design, to_verilog(changed)


def leading_zeros_off_by_one(monkeypatch):
    """The exact normaliser counts the leading zeros wrong by one."""
    counted = float_rtl.leading_zeros
    monkeypatch.setattr(float_rtl, "leading_zeros", lambda m, value: (counted(m, value) ^ 1)[:])
    return floating(), to_verilog(floating())


def sticky_bit_dropped(monkeypatch):
    """The aligner forgets what it shifts out."""
    design = floating(guard=1, sticky=True, round="rne")
    shift = float_rtl.shift_right_sticky
    monkeypatch.setattr(
        float_rtl,
        "shift_right_sticky",
        lambda m, value, amount, sticky: shift(m, value, amount, sticky=False),
    )
    return design, to_verilog(design)


def carry_lost(monkeypatch):
    """The adder's carry out of the window goes nowhere."""
    take_magnitude = float_rtl.FloatAccumulator._magnitude

    def without_carry(self, m, raw):
        total = take_magnitude(self, m, raw)
        changed = Signal(total.shape(), name="changed")
        m.d.comb += [changed.eq(total), changed.carry.eq(0)]
        return changed

    monkeypatch.setattr(float_rtl.FloatAccumulator, "_magnitude", without_carry)
    return floating(), to_verilog(floating())


def accumulator_one_bit_short(monkeypatch):
    """The exact sum lacks its top bit, which only the longest chains need."""
    fields = {"a": "int8", "b": "int8", "out": "int32", "array": ARRAY}
    design = load_design(BASE | fields | {"accumulate": {"kind": "exact", "max_terms": 100}})
    add = exact_rtl.ExactAccumulator.step

    def shorter(self, m, pipe, state, product):
        total = add(self, m, pipe, state, product)
        changed = Signal(total.shape(), name="changed")
        m.d.comb += changed.sum.eq(total.sum[:-1].as_signed())
        return changed

    monkeypatch.setattr(exact_rtl.ExactAccumulator, "step", shorter)
    return design, to_verilog(design)


def exponent_one_bit_short(monkeypatch):
    """The exponent of a float chain lacks its top bit."""
    design = floating()
    finish = float_rtl.FloatAccumulator._round

    def shorter(self, m, normalized):
        result = finish(self, m, normalized)
        changed = Signal(result.shape(), name="changed")
        m.d.comb += [changed.eq(result), changed.exponent.eq(result.exponent[:-1])]
        return changed

    monkeypatch.setattr(float_rtl.FloatAccumulator, "_round", shorter)
    return design, to_verilog(design)


def weights_in_wrong_order(monkeypatch):
    """Weights enter the array from the south: its rows hold them upside down."""
    design = floating()
    text = to_verilog(design)
    last = ARRAY["rows"] - 1

    def flip(found):
        block, row, column = found[0], int(found["row"]), found["column"]
        mirrored = re.search(
            rf"unit_element element_{last - row}_{column} \(.*?\);", text, re.DOTALL
        )[0]
        for port in ("weight", "weight_south"):
            wire = re.search(rf"\.{port}\(.*?\)(?=,|\n)", mirrored)[0]
            block = re.sub(rf"\.{port}\(.*?\)(?=,|\n)", lambda _, wire=wire: wire, block)
        return block

    pattern = r"unit_element element_(?P<row>\d)_(?P<column>\d) \(.*?\);"
    return design, re.sub(pattern, flip, text, flags=re.DOTALL)


def handshake_drops_under_stall(monkeypatch):
    """Data moves on though the output was not taken."""
    design = floating()
    moves = r"assign (\S+) +=[^;]*\| o_ready;"
    return design, re.sub(moves, r"assign \1 = 1'h1;", to_verilog(design))


def weights_enter_too_early(monkeypatch):
    """New weights do not wait for the activations that are still under way."""
    design = floating()
    text = to_verilog(design)
    line = re.search(r"assign w_ready = (\S+) +& .*;|assign w_ready = .*;", text)[0]
    loaded = re.search(r"(\\?\S+) +& ", line)[1]
    return design, text.replace(line, f"assign w_ready = {loaded} ;")


MUTANTS = [
    normalizer_off_by_one,
    leading_zeros_off_by_one,
    sticky_bit_dropped,
    carry_lost,
    accumulator_one_bit_short,
    exponent_one_bit_short,
    weights_in_wrong_order,
    weights_enter_too_early,
    handshake_drops_under_stall,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda f: f.__name__)
def test_mutant_is_caught(mutant, monkeypatch, simulators, seed, tmp_path):
    with monkeypatch.context() as broken:
        design, text = mutant(broken)
    assert text != to_verilog(design), "the mutant is no mutant"
    with pytest.raises(SimulationError) as caught:
        simulate(design, build_dir=tmp_path, simulator=simulators[-1], seed=seed, verilog=text)
    # Caught by a comparison or a protocol rule, not by a failure to build.
    assert "not built" not in str(caught.value)
    rules = (
        "got 0x.* (expected|but nothing)|never came|payload (changed|is undefined)|"
        "valid was withdrawn"
    )
    assert re.search(rules, str(caught.value)), caught.value


@pytest.mark.parametrize(
    "mutant",
    # Between them all designs that are broken above.
    [normalizer_off_by_one, sticky_bit_dropped, carry_lost, accumulator_one_bit_short],
    ids=lambda f: f.__name__,
)
def test_the_same_design_unbroken_passes(mutant, monkeypatch, simulators, seed, tmp_path):
    with monkeypatch.context() as broken:
        design, _ = mutant(broken)
    assert simulate(design, build_dir=tmp_path, simulator=simulators[-1], seed=seed).vectors > 0
