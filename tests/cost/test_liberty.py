"""Tests of :mod:`minimac.cost.liberty`."""

import gzip

import pytest

from minimac.cost.liberty import read_liberty
from minimac.cost.technology import load_technology
from minimac.spec import SpecError

# Units apart from those that are usual: 10 ps, 100 fF, 0.5 V, 1 uW; so energies in 25 fJ.
HEAD = """\
/* a library { made
   up */
library ("little-5") {
  delay_model : table_lookup; // slew, then load
  time_unit : "10ps"; voltage_unit : "500mV"; leakage_power_unit : "1uW";
  capacitive_load_unit (100,ff);
  nom_voltage : 2.4; nom_temperature : 25.0
  default_operating_conditions : "typical";
  lu_table_template (by_slew) { variable_1 : input_net_transition;
    variable_2 : total_output_net_capacitance; index_1 ("1, 2, 4"); index_2 ("0.1, 0.5, 2"); }
  lu_table_template (by_load) { variable_1 : total_output_net_capacitance;
    variable_2 : input_net_transition; index_1 ("0, 1"); index_2 ("1, 2, 4"); }
  power_lut_template (energy) { variable_1 : input_transition_time; index_1 ("1, 2, 4"); }
  lu_table_template (both) { variable_1 : related_pin_transition;
    variable_2 : constrained_pin_transition; index_1 ("1, 2"); index_2 ("1, 2, 4"); }
"""
# At the middle slew: A rises by 4 at 0.1, 6 at 0.5, and falls by 5 and 8: that is the worst, with a
# slope of 7.5 and 4.25 at no load. The arc of B is slower at the largest load alone.
NAND = """
  cell (NAND) { area : 3.5; cell_leakage_power : 0.002;
    pin (A, B) { direction : input; capacitance : 0.02; }
    pin (Y) { direction : output; function : "(A B)'";
      timing () { related_pin : "A"; timing_sense : negative_unate;
        cell_rise (by_slew) { values ("1, 2, 3", "4, 6, 9", "70, 80, 90"); }
        cell_fall (by_slew) { values ("1, 2, 3", \\
          "5, 8, 9", \\
          "70, 80, 90"); }
      }
      timing () { related_pin : "B"; when : "A"; timing_type : combinational;
        cell_rise (by_load) { values ("1, 2, 3", "3, 4, 5"); }
        cell_fall (scalar) { values ("1"); }
      }
      timing () { related_pin : "B"; timing_type : three_state_enable;
        cell_rise (scalar) { values ("1000"); } }
      internal_power () { related_pin : "A"; when : "B";
        rise_power (energy) { values ("1, 0.4, 9"); }
        fall_power (energy) { values ("1, -0.2, 9"); } }
      internal_power () { related_pin : "B"; power (scalar) { values ("0.7"); } }
    } }
"""
INVERTER = """
  cell (INV) { area : 1; leakage_power () { when : "A"; value : 0.001; }
    leakage_power () { when : "!A"; value : 0.003; }
    pin (A) { direction : input; rise_capacitance : 0.01; fall_capacitance : 0.03; }
    pin (Y) { direction : output; function : "!A";
      timing () { related_pin : "A"; cell_rise (scalar) { values ("1"); } } } }
"""
BUFFER = INVERTER.replace("INV", "BUF").replace("!A", "A")
FLIP_FLOP = """
  cell (DFF) { area : 9; ff (IQ, IQN) { next_state : "D"; clocked_on : "CK"; }
    pin (CK) { direction : input; capacitance : 0.02; clock : true;
      internal_power () { rise_power (energy) { values ("1, 2, 3"); }
        fall_power (energy) { values ("1, 4, 3"); } } }
    pin (D) { direction : input; capacitance : 0.01;
      timing () { related_pin : "CK"; timing_type : setup_rising;
        rise_constraint (both) { values ("1, 2, 3", "4, 5, 6"); }
        fall_constraint (both) { values ("1, 2, 3", "4, 7, 6"); } }
      timing () { related_pin : "CK"; timing_type : hold_rising;
        rise_constraint (scalar) { values ("99"); } } }
    pin (QN) { direction : output; function : "IQN";
      timing () { related_pin : "CK"; timing_type : rising_edge;
        cell_rise (scalar) { values ("12"); } } } }
"""
SETS = (
    FLIP_FLOP.replace("DFF", "DFFS")
    .replace('clocked_on : "CK";', 'clocked_on : "CK"; preset : "SN\'";')
    .replace("pin (QN)", "pin (SN) { direction : input; capacitance : 0.01; }\n    pin (QN)")
)
CELLS = NAND + INVERTER + BUFFER + FLIP_FLOP


def library(tmp_path, cells=CELLS, head=HEAD, end="}\n"):
    path = tmp_path / "little.lib"
    path.write_text(head + cells + end)
    return read_liberty(path)


def test_figures_worked_out_by_hand(tmp_path):
    found = library(tmp_path)
    assert (found.name, found.voltage_v) == ("little_5", 2.4)
    assert found.corner == "typical, 25 C, 2.4 V"
    assert list(found.cells) == ["NAND", "INV", "BUF", "DFF"]
    assert found.wire_ff_per_sink == pytest.approx(0.173 * 7 * 3.5**0.5)
    nand, inverter, flip_flop = (found.cells[name] for name in ("NAND", "INV", "DFF"))
    assert (nand.area_um2, nand.leakage_nw) == (3.5, pytest.approx(2))
    assert (nand.inputs, nand.truth_table("Y")) == (("A", "B"), 0b0111)
    assert nand.pins["A"].cap_ff == nand.pins["B"].cap_ff == pytest.approx(2)
    assert nand.pins["Y"].delay_ps == pytest.approx(42.5)
    assert nand.pins["Y"].delay_slope_ps_per_ff == pytest.approx(75 / 100)
    # Over A: the mean of 0.4 and -0.2; over both arcs: that of 0.1 and 0.7.
    assert nand.pins["Y"].energy_fj == pytest.approx(0.4 * 25)
    assert inverter.leakage_nw == pytest.approx(2)
    assert inverter.pins["A"].cap_ff == pytest.approx(2)
    assert (inverter.pins["Y"].delay_ps, inverter.pins["Y"].energy_fj) == (10, 0)
    assert flip_flop.ff.setup_ps == 70
    assert flip_flop.pins["CK"].clock
    assert flip_flop.pins["CK"].energy_fj == pytest.approx(3 * 25)
    assert (flip_flop.pins["QN"].function, flip_flop.pins["QN"].delay_ps) == ("!IQ", 120)
    assert not found.has_clear


def test_a_preset_is_the_clear_of_what_is_stored_inverted(tmp_path):
    found = library(tmp_path, CELLS + SETS)
    assert found.has_clear
    cell = found.cells["DFFS"]
    assert (cell.ff.next_state, cell.ff.clear, cell.pins["QN"].function) == ("!D", "!SN", "IQ")
    lines = [line.strip() for line in found.liberty().splitlines()]
    begin = lines.index("cell(DFFS) {")
    assert 'preset : "!SN";' in lines[begin : begin + 10]
    assert 'next_state : "D";' in lines[begin : begin + 10]
    assert 'function : "IQN";' in lines[begin:]


@pytest.mark.parametrize("name", ["sky130", "asap7", "sg13g2"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_written_is_read(name, packed, tmp_path):
    """All figures that a written file has; pins carry the wire to them."""
    facts = load_technology(name)
    path = tmp_path / "cells.lib.gz"
    text = facts.liberty().encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    found = read_liberty(path)
    assert (found.name, found.voltage_v) == (name, facts.voltage_v)
    assert list(found.cells) == list(facts.cells)
    assert found.wire_ff_per_sink == pytest.approx(facts.wire_ff_per_sink, rel=0.01)
    for cell in facts.cells.values():
        other = found.cells[cell.name]
        assert other.area_um2 == cell.area_um2
        assert other.leakage_nw == pytest.approx(cell.leakage_nw)
        assert (other.inputs, other.outputs) == (cell.inputs, cell.outputs)
        for pin in cell.inputs:
            cap = cell.pins[pin].cap_ff + facts.wire_ff_per_sink
            assert other.pins[pin].cap_ff == pytest.approx(cap, abs=1e-4)
            assert other.pins[pin].clock == cell.pins[pin].clock
        for pin in cell.outputs:
            mine, theirs = cell.pins[pin], other.pins[pin]
            assert theirs.delay_ps == pytest.approx(mine.delay_ps, abs=1e-3)
            slopes = theirs.delay_slope_ps_per_ff, mine.delay_slope_ps_per_ff
            assert slopes[0] == pytest.approx(slopes[1], abs=1e-4)
            if cell.ff is None:
                assert other.truth_table(pin) == cell.truth_table(pin)
        if cell.ff is not None:
            # From the state to the output and from the input to the state: inverted in all or not.
            ways = [
                c.ff.next_state.startswith("!") ^ c.pins[c.outputs[0]].function.startswith("!")
                for c in (cell, other)
            ]
            assert ways[0] == ways[1]
            assert other.ff.setup_ps == cell.ff.setup_ps
            assert bool(other.ff.clear) == bool(cell.ff.clear)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("area : 9;", "area : 9; dont_use : true;"),
        ("area : 9;", "area : 9; latch (L, LN) { }"),
        ("area : 9;", 'area : 9; clock_gating_integrated_cell : "latch_posedge";'),
        ('clocked_on : "CK"', 'clocked_on : "!CK"'),
        ('next_state : "D"', 'next_state : "D CK"'),
        ('clocked_on : "CK";', 'clocked_on : "CK"; clear : "D"; preset : "D";'),
        ('function : "IQN";', 'function : "IQN IQ";'),
        ('function : "IQN";', 'function : "D";'),
        ('function : "IQN";', 'function : "IQN"; three_state : "D";'),
        ("rising_edge", "falling_edge"),
    ],
)
def test_cells_that_are_left_out(old, new, tmp_path):
    other = FLIP_FLOP.replace(old, new).replace("DFF", "ODD")
    assert other != FLIP_FLOP.replace("DFF", "ODD")
    found = library(tmp_path, CELLS + other)
    assert "ODD" not in found.cells
    assert found.source == "little.lib: 4 cells, 1 left out"


@pytest.mark.parametrize(
    ("head", "cells", "end", "message"),
    [
        ("", "", "", "line 1: must be a Liberty file: library(name) { ... }"),
        ("", "module top(input a); endmodule", "", "line 1: must be a Liberty file: libr"),
        ("", "a: 3\n", "", "line 1: must be a Liberty file: library(name) { ... }"),
        ("", "cell (x) { }", "", "line 1: must be a Liberty file: library(name) { ... }"),
        (HEAD, CELLS, "", "line END: ends before the library does"),
        (HEAD, CELLS, "} }", "line END: has a } too many"),
        (HEAD, "%", "}", "line END: cannot be read"),
        (HEAD, "", "}", "must have cells that logic can be mapped to; 0 have none"),
        (HEAD.replace("10ps", "10 feet"), CELLS, "}", "time_unit: must be a number and a unit"),
        (HEAD.replace("nom_voltage", "voltage"), CELLS, "}", "nom_voltage: must be given"),
        (
            HEAD,
            NAND + INVERTER + BUFFER,
            "}",
            "must have a flip-flop of a rising clock edge; there is none among 3 cells",
        ),
        (
            HEAD,
            NAND + BUFFER + FLIP_FLOP,
            "}",
            "must have an inverter; there is none among 3 cells",
        ),
        (HEAD, NAND + INVERTER + FLIP_FLOP, "}", "must have a buffer; there is none among 3"),
        (HEAD, INVERTER + BUFFER + FLIP_FLOP, "}", "must have a NAND or NOR of two inputs; there"),
    ],
)
def test_wrong_files(head, cells, end, message, tmp_path):
    with pytest.raises(SpecError) as caught:
        library(tmp_path, cells, head, end)
    last = (head + cells + end).count("\n") + 1
    assert str(caught.value).startswith(
        f"{tmp_path}/little.lib: {message.replace('END', str(last))}"
    )
    assert "\n" not in str(caught.value)


def test_a_file_that_was_cut_off(tmp_path):
    path = tmp_path / "cells.lib.gz"
    packed = gzip.compress((HEAD + CELLS + "}\n").encode())
    for damaged in (packed[:-30], packed[:12], packed[:40] + b"\0\0\0\0" + packed[44:]):
        path.write_bytes(damaged)
        with pytest.raises(SpecError) as caught:
            read_liberty(path)
        assert str(caught.value) == (
            f"{path}: must be a whole gzip file; this one is cut off or damaged"
        )
    with pytest.raises(OSError, match="No such file"):
        read_liberty(tmp_path / "none.lib")
