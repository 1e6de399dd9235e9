"""Tests of :mod:`minimac.cost.technology`."""

import subprocess
import sys

import pytest

from minimac.cost.technology import Family, Library, load_technology, parse_technology, technologies
from minimac.spec import SpecError

LIBRARIES = ("sky130", "asap7", "sg13g2")
FAMILIES = ("xc7", "ecp5", "ice40", "gowin")


def test_technologies():
    assert set(technologies()) >= {*LIBRARIES, *FAMILIES}
    assert all(isinstance(load_technology(name), Library) for name in LIBRARIES)
    assert all(isinstance(load_technology(name), Family) for name in FAMILIES)


def test_unknown_technology_has_the_nearest_name():
    message = (
        "technology: must be one of asap7, ecp5, gowin, ice40, sg13g2, sky130, xc7, or the path of "
        "a Liberty file, not 'asap'; did you mean 'asap7'?"
    )
    with pytest.raises(SpecError) as caught:
        load_technology("asap")
    assert str(caught.value) == message


@pytest.mark.parametrize("name", LIBRARIES)
def test_facts_are_sane(name):
    library = load_technology(name)
    assert library.name == name
    assert all([library.licence, library.source, library.corner])
    assert 0.4 < library.voltage_v < 2
    for cell in library.cells.values():
        assert min(cell.area_um2, cell.leakage_nw) > 0, cell.name
        for pin in cell.inputs:
            assert cell.pins[pin].cap_ff > 0, cell.name
        for output in cell.outputs:
            pin = cell.pins[output]
            assert min(pin.delay_ps, pin.delay_slope_ps_per_ff, pin.energy_fj) > 0, cell.name
            rows = 1 << len(cell.inputs) + (cell.ff is not None)
            assert 0 < cell.truth_table(output) < (1 << rows) - 1, cell.name
    assert library.flip_flop.ff.setup_ps > 0
    assert len(library.buffers) > 1
    nand2 = [c for c in library.cells.values() if c.inputs == ("A", "B") and not c.ff]
    nand2 = [c for c in nand2 if c.truth_table(c.outputs[0]) == 0b0111]
    assert library.inverter.area_um2 <= min(c.area_um2 for c in nand2)


@pytest.mark.parametrize("name", LIBRARIES)
def test_yosys_reads_the_liberty_file(name, tmp_path):
    library = load_technology(name)
    path = tmp_path / "cells.lib"
    path.write_text(library.liberty())
    script = (
        f"from pyosys import libyosys as y; d = y.Design(); y.run_pass('read_liberty {path}', d)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert f"Imported {len(library.cells)} cell types" in done.stdout


def test_wrong_facts():
    text = load_technology("ice40").text
    with pytest.raises(SpecError, match=r"technology ice40: missing or unknown key: .*lutz"):
        parse_technology(text.replace("lut_inputs", "lutz"))
    text = load_technology("sky130").text
    with pytest.raises(SpecError, match="missing or unknown key: 'wire'"):
        parse_technology(text.replace("wire:", "# wire:"))
    with pytest.raises(SpecError, match=r"and2_1: function must be .* not '\(A&Q\)'"):
        parse_technology(text.replace("(A&B), delay_ps: 136", "(A&Q), delay_ps: 136"))


def test_import_needs_neither_yosys_nor_numba():
    script = (
        "import sys, minimac.cost; from minimac.cost import technologies; technologies();"
        "sys.exit(any(name in sys.modules for name in ('pyosys', 'numba', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
