"""Tests of the units around a matrix engine: their Verilog against the model, and mutants."""

import numpy as np
import pytest

from minimac.bench import SimulationError, simulate
from minimac.bench.traffic import waveforms
from minimac.rtl import activation, hadamard, results, softmax, to_verilog
from minimac.spec import load_design

DESIGNS = {
    "transform": {"unit": "hadamard", "a": "e5m2", "out": "bf16", "lanes": 4, "pipeline": 2},
    "listed": {"unit": "activation", "a": "e4m3fn", "out": "e5m2", "function": "silu"},
    "lines": {
        "unit": "activation", "a": "bf16", "out": "e4m3fn", "function": "gelu", "segments": 16,
        "fraction": 10, "pipeline": 3,
    },
    "shares": {
        "unit": "softmax", "a": "e5m2", "out": "u0.8", "length": 8, "mantissa": 6, "pipeline": 2,
    },
}  # fmt: skip


def load(name, **changes):
    return load_design({"name": name, **DESIGNS[name], **changes})


@pytest.mark.parametrize("name", DESIGNS)
def test_every_unit_on_one_simulator(name, simulators, seed, tmp_path, pytestconfig):
    if not pytestconfig.option.exhaustive and name == "listed":
        pytest.skip("only with --exhaustive: a table alone")
    result = simulate(
        load(name),
        build_dir=tmp_path,
        simulator=simulators[-1],
        seed=seed,
        operands=[(np.array([[1, 2, 3, 4]]), np.array([[1]] * 4))],
        exhaustive=pytestconfig.option.exhaustive,
    )
    assert result.vectors > 800
    assert result.tests == 8


WRAPPED = [
    ("shares", "axi4stream"),
    ("shares", "wishbone"),
    ("transform", "axi4stream"),
    ("transform", "wishbone"),
]


@pytest.mark.parametrize(("name", "interface"), WRAPPED)
def test_wrappers(name, interface, simulators, seed, tmp_path, pytestconfig):
    if not pytestconfig.option.exhaustive and (name, interface) != WRAPPED[0]:
        pytest.skip("only with --exhaustive")
    design = load(name, interface=interface, clock_enable=interface == "axi4stream")
    result = simulate(design, build_dir=tmp_path, simulator=simulators[-1], seed=seed)
    assert result.vectors > 50


def test_waveforms_leave_time_for_every_vector():
    """What energy is measured with looks at no ``ready``: a vector is done before the next one."""
    design = load("shares")
    rng = np.random.default_rng(0)
    a, b = rng.integers(1 << 8, size=(6, 5)), np.zeros((5, 1), int)
    (wave,) = waveforms(design, a, b)
    assert wave.macs == 6 * 5


# --- Broken on purpose --------------------------------------------------------------------------


def differences_without_infinities(monkeypatch):
    """An infinity keeps its sign where it is subtracted."""
    monkeypatch.setattr(hadamard, "reversed", lambda x: x, raising=False)
    return "transform"


def lines_that_are_steps(monkeypatch):
    """A function has the value at the start of its segment."""
    rounds = results.Line.add

    def flat(self, m, rise):
        flat_rise = type("Flat", (), {"start": rise.start, "rise": 0})
        return rounds(self, m, flat_rise)

    monkeypatch.setattr(results.Line, "add", flat)
    return "lines"


def one_code_off(monkeypatch):
    """A result in the table is another one's."""
    look_up = activation.look_up
    monkeypatch.setattr(
        activation,
        "look_up",
        lambda code, table, shape: look_up(code, [*table[:77], table[78], *table[78:]], shape),
    )
    return "listed"


def sums_do_not_move(monkeypatch):
    """The sum stays as it is where a larger number comes."""
    shift = softmax.shift_right_sticky
    monkeypatch.setattr(
        softmax,
        "shift_right_sticky",
        lambda m, value, amount, sticky: shift(m, value, amount[:1], sticky=sticky),
    )
    return "shares"


MUTANTS = [differences_without_infinities, lines_that_are_steps, one_code_off, sums_do_not_move]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda f: f.__name__)
def test_mutant_is_caught(mutant, monkeypatch, simulators, seed, tmp_path, pytestconfig):
    if not pytestconfig.option.exhaustive and mutant is not MUTANTS[-1]:
        pytest.skip("only with --exhaustive")
    with monkeypatch.context() as broken:
        design = load(mutant(broken), pipeline=0)
        text = to_verilog(design)
    assert text != to_verilog(design), "the mutant is no mutant"
    with pytest.raises(SimulationError, match=r"got 0x.* expected"):
        simulate(design, build_dir=tmp_path, simulator=simulators[-1], seed=seed, verilog=text)
