"""Tests of units of one operation a transfer: their Verilog against the model."""

import numpy as np
import pytest

from minimac.bench import SimulationError, simulate
from minimac.bench.elementwise import operations
from minimac.bench.traffic import waveforms
from minimac.rtl import elementwise as rtl
from minimac.rtl import operations as parts
from minimac.rtl import to_verilog
from minimac.spec import load_design

# Between them: every unit, kinds of datapath, special values, modes, numbers of register stages.
DESIGNS = {
    "product": {
        "unit": "multiplier", "a": "e4m3fn", "b": "e5m2", "out": "e5m2",
        "out_overflow": "infinity", "pipeline": 4,
    },
    "scaled": {"unit": "multiplier", "a": "nf4:bf16", "b": "int4", "out": "bf16"},
    "sum": {"unit": "adder", "a": "e5m2", "out_round": "down", "pipeline": 3},
    "mixed_sum": {"unit": "adder", "a": "e4m3fnuz", "b": "int4", "out": "e3m2", "pipeline": 1},
    "fused": {"unit": "fma", "a": "e5m2", "b": "e4m3fn", "out": "fp16", "pipeline": 2},
}  # fmt: skip


def load(name, **changes):
    fields = {"name": name, **DESIGNS[name], **changes}
    fields.setdefault("b", fields["a"])
    fields.setdefault("out", fields["a"])
    return load_design(fields)


@pytest.mark.parametrize("name", DESIGNS)
def test_every_unit_on_one_simulator(name, simulators, seed, tmp_path, pytestconfig):
    result = simulate(
        load(name),
        build_dir=tmp_path,
        simulator=simulators[0 if name == "product" else -1],  # Verilator has its share
        seed=seed,
        operands=[(np.array([[1, 2, 3]]), np.array([[1], [2], [3]]))],
        exhaustive=pytestconfig.option.exhaustive,
    )
    assert result.vectors > 1500
    assert result.tests == 8


def test_waveforms_carry_all_operands():
    """What the energy is measured with: every operation once, in some lane and cycle."""
    design = load("fused")
    rng = np.random.default_rng(0)
    a, b = rng.integers(1 << 8, size=(5, 3)), rng.integers(1 << 8, size=(3, 2))
    (wave,) = waveforms(design, a, b)
    assert (wave.macs, wave.lanes) == (5 * 3 * 2, 5)
    offered = wave.inputs["i_valid"][:, 0] != 0
    lanes = np.arange(wave.lanes, dtype=np.uint64)
    columns = []
    for name in ("i_a", "i_b", "i_c"):
        bits = wave.inputs[name][offered][:, :, None] >> lanes & np.uint64(1)
        weights = np.uint64(1) << np.arange(bits.shape[1], dtype=np.uint64)
        columns.append((bits * weights[None, :, None]).sum(axis=1).ravel())
    operands, _ = operations(design, a, b)
    wanted = zip(*(part.ravel().tolist() for part in operands), strict=True)
    assert sorted(zip(*(column.tolist() for column in columns), strict=True)) == sorted(wanted)


# --- Broken on purpose --------------------------------------------------------------------------


def sticky_bit_dropped(monkeypatch):
    """The adder forgets what it shifts out."""
    shift = parts.shift_right_sticky
    monkeypatch.setattr(
        parts,
        "shift_right_sticky",
        lambda m, value, amount, sticky: shift(m, value, amount, sticky=False),
    )
    return "sum"


def zero_always_positive(monkeypatch):
    """Sums and products of zero are +0."""
    convert = rtl.conversion_to
    monkeypatch.setattr(
        rtl,
        "conversion_to",
        lambda *args, **options: convert(*args, **(options | {"keeps_zero_sign": False})),
    )
    return "product"


def one_guard_bit_less(monkeypatch):
    """The window of the adder is a bit too narrow."""
    build = parts.FloatSum.__init__

    def narrower(self, spec):
        build(self, spec)
        self._guard -= 1

    monkeypatch.setattr(parts.FloatSum, "__init__", narrower)
    return "mixed_sum"


def difference_of_infinities(monkeypatch):
    """What is special comes from the first operand only."""
    special = parts.Sum.special_of
    monkeypatch.setattr(parts.Sum, "special_of", lambda self, x, y: special(self, x, x))
    return "sum"


MUTANTS = [sticky_bit_dropped, zero_always_positive, one_guard_bit_less, difference_of_infinities]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda f: f.__name__)
def test_mutant_is_caught(mutant, monkeypatch, simulators, seed, tmp_path):
    with monkeypatch.context() as broken:
        design = load(mutant(broken), pipeline=0)
        text = to_verilog(design)
    assert text != to_verilog(design), "the mutant is no mutant"
    with pytest.raises(SimulationError, match=r"got 0x.* expected"):
        simulate(design, build_dir=tmp_path, simulator=simulators[-1], seed=seed, verilog=text)
