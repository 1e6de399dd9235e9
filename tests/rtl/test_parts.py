"""Tests of :mod:`minimac.rtl.parts`."""

import re

import pytest

from minimac.rtl import to_verilog
from minimac.rtl.parts import part_after, part_of
from minimac.spec import load_design

PARTS = {
    "bf16": ["decode", "multiply", "align", "add", "normalise", "round"],
    "int8": ["multiply", "add"],
}


def mac(fmt):
    kinds = {"bf16": {"kind": "float", "width": 16}, "int8": {"kind": "exact"}}
    design = {"name": "little", "unit": "mac", "a": fmt, "b": fmt, "out": fmt}
    return load_design({**design, "accumulate": kinds[fmt]})


def modules(text):
    return dict(re.findall(r"^module (\w+)\(.*?\n(.*?)^endmodule", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("fmt", PARTS)
def test_marks_are_there_when_asked_for(fmt):
    plain = to_verilog(mac(fmt))
    marked = modules(to_verilog(mac(fmt), marks=True))
    assert "end." not in plain
    assert "keep" not in plain
    element = marked["little_element"]
    kept = re.findall(r"\(\* keep = \S+ \*\)\s+wire (?:\[\S+ )?(\S+)", element)
    assert all(name.startswith("\\end.") for name in kept)
    found = sorted((int(name.split(".")[1]), name.split(".")[2]) for name in kept)
    assert list(dict.fromkeys(part for _, part in found)) == PARTS[fmt]
    assert to_verilog(mac(fmt)) == plain


def test_names_of_parts():
    assert [part_of(place) for place in ("order", "outer_align", "rectify")] == [
        "align",
        "align",
        "rectify",
    ]
    assert [part_after(place) for place in ("multiply", "align", "normalize", "add")] == [
        "add",
        "add",
        "round",
        "add",
    ]
