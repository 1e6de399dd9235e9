"""Tests of :mod:`minimac.bench.traffic`."""

import numpy as np
import pytest

from minimac.bench.traffic import waveforms
from minimac.spec import load_design


@pytest.mark.parametrize("interface", ["stream", "axi4stream"])
@pytest.mark.parametrize("rows", [1, 3, 70])
def test_a_mac_takes_its_rows_term_by_term(rows, interface):
    """Row by row of each lane, column by column, term by term, packed by hand."""
    design = load_design(
        {
            "name": "little",
            "unit": "mac",
            "a": "int5",
            "b": "int3",
            "out": "int8",
            "accumulate": {"kind": "exact"},
            "interface": interface,
        }
    )
    rng = np.random.default_rng(0)
    a, b = rng.integers(32, size=(rows, 3)), rng.integers(8, size=(3, 2))
    (wave,) = waveforms(design, a, b)
    lanes = min(rows, 64)
    each = -(-rows // lanes)
    assert (wave.lanes, wave.macs) == (lanes, lanes * each * 3 * 2)
    valid, fields = "i_valid", {"a": ("i_a", 0), "b": ("i_b", 0), "last": ("i_last", 0)}
    if interface == "axi4stream":
        valid, fields = "s_axis_tvalid", {"a": ("s_axis_tdata", 0), "b": ("s_axis_tdata", 8)}
        fields["last"] = ("s_axis_tlast", 0)
    driven = np.flatnonzero(wave.inputs[valid][:, 0])
    assert len(driven) == each * 2 * 3

    def value(name, width, cycle, lane):
        port, low = fields[name]
        words = wave.inputs[port][cycle][low : low + width]
        return sum((int(word) >> lane & 1) << bit for bit, word in enumerate(words))

    for lane in rng.integers(64, size=5).tolist():
        cycles = iter(driven)
        for n in range(each):
            row = ((lane % lanes) * each + n) % rows
            for column in range(2):
                for term in range(3):
                    cycle = next(cycles)
                    assert value("a", 5, cycle, lane) == a[row, term]
                    assert value("b", 3, cycle, lane) == b[term, column]
                    assert value("last", 1, cycle, lane) == (term == 2)
