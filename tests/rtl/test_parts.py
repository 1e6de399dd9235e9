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


LANES = {
    "int4": ({"kind": "exact"}, {"element": ["decode", "multiply", "add"]}),
    "bin": ({"kind": "exact", "max_terms": 64}, {"element": ["multiply", "add"]}),
    "e4m3": (
        {"kind": "exact", "max_terms": 64},
        {"element_product": ["decode", "multiply", "align"], "element": ["add"]},
    ),
    "e4m3fn": (
        "hopper_fp8",
        {
            "element_product": ["decode", "multiply"],
            "element_aligner": ["align"],
            "element_adder_tree": ["add"],
            "element_rounder": ["normalise", "round"],
        },
    ),
    "mxfp8_e4m3": (
        {"kind": "rounded", "format": "fp32"},
        {
            "element_product": ["decode", "multiply", "align"],
            "element_block": ["add"],
            "element": ["scale", "multiply", "align", "add", "normalise", "round"],
        },
    ),
}


@pytest.mark.parametrize("fmt", LANES)
def test_parts_of_dot_products(fmt):
    """Lanes that are alike remain so: numbers of marks count in each module."""
    accumulate, parts = LANES[fmt]
    lanes = 32 if fmt in ("e4m3fn", "mxfp8_e4m3") else 8  # a group, and a block
    tree = {"name": "dot", "unit": "dot", "a": fmt, "b": fmt, "out": "fp32", "lanes": lanes}
    design = load_design({**tree, "accumulate": accumulate})
    plain, marked = (modules(to_verilog(design, marks=marks)) for marks in (False, True))
    assert list(plain) == list(marked)
    found = {}
    for name, body in marked.items():
        ends = set(re.findall(r"\\end\.(\d+)\.(\w+)\.", body))
        in_order = [part for _, part in sorted((int(n), part) for n, part in ends)]
        found[name.removeprefix("dot_")] = list(dict.fromkeys(in_order))
    assert {name: found[name] for name in parts} == parts


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
