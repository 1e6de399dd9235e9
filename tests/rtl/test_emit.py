"""Tests of :mod:`minimac.rtl.emit`."""

import re

import pytest

from minimac.rtl import create, describe, plan, to_verilog
from minimac.spec import SpecError, load_design

FLOAT = {"kind": "float", "width": 16, "normalize": "approx(1,2)"}


def design(unit="systolic", **changes):
    fields = {
        "name": "unit",
        "unit": unit,
        "a": "bf16",
        "b": "bf16",
        "out": "bf16",
        "accumulate": FLOAT,
    }
    if unit == "systolic":
        fields["array"] = {"rows": 3, "columns": 2}
    return load_design(fields | changes)


def test_equal_designs_give_equal_text():
    assert to_verilog(design()) == to_verilog(design())


def test_each_part_is_one_module():
    text = to_verilog(design())
    assert re.findall(r"^module (\S+?)\s*\(", text, re.MULTILINE) == [
        "unit",
        "unit_element",
        "unit_foot",
    ]
    assert len(re.findall(r"^ +unit_element element_\d_\d \($", text, re.MULTILINE)) == 6
    assert len(re.findall(r"^ +unit_foot foot_\d \($", text, re.MULTILINE)) == 2


@pytest.mark.parametrize("unit", ["mac", "systolic"])
@pytest.mark.parametrize(
    ("operand", "accumulate"),
    [
        ("bf16", FLOAT),
        ("e3m0", {"kind": "float", "width": 2}),
        ("int8", {"kind": "exact"}),
        ("e4m3fn", {"kind": "exact"}),
        ("e0m1", {"kind": "exact", "max_terms": 1}),
        ("u1.0", {"kind": "float", "width": 2, "sticky": True, "round": "rne"}),
    ],
)
def test_no_wire_is_without_bits(unit, operand, accumulate):
    # Verilog reads [-1:0] as two bits.
    text = to_verilog(design(unit, a=operand, b=operand, accumulate=accumulate))
    assert "[-1:0]" not in text


def test_a_format_without_specials_has_no_logic_for_them():
    with_nan, without = (
        describe(design("mac", a=name, b=name, accumulate={"kind": "exact"}))
        for name in ("e4m3fn", "e4m3")
    )
    assert with_nan["ports"]["i"]["payload"]["a"]["width"] == 8
    assert without["latency_cycles"] == with_nan["latency_cycles"]
    fields = [
        describe(design(a=name, b=name, accumulate={"kind": "exact"}))["ports"]["o"]["payload"][
            "partial"
        ]["fields"]
        for name in ("e5m2", "e4m3fn", "e4m3")
    ]
    assert [f.get("special", {"width": 0})["width"] for f in fields] == [2, 1, 0]


def test_description():
    told = describe(design())
    assert told["module"] == "unit"
    assert told["latency_cycles"] == plan(design()).latency == 3 + 2
    assert told["ports"]["i"]["payload"]["activations"] == {
        "lowest_bit": 0,
        "width": 16,
        "count": 3,
        "meaning": "codes of bf16, row 0 (term 0 of the pass) lowest",
    }
    assert told["ports"]["o"]["direction"] == "out"


@pytest.mark.parametrize(("stages", "latency"), [(0, 5), (1, 6), (2, 9), (3, 12)])
def test_latency_counts_register_stages(stages, latency):
    assert plan(design(pipeline=stages)).latency == latency


@pytest.mark.parametrize(("unit", "operand", "room"), [("systolic", "int8", 1), ("mac", "bf16", 1)])
def test_too_many_stages_are_refused(unit, operand, room):
    accumulate = FLOAT if operand == "bf16" else {"kind": "exact"}
    message = rf"^pipeline: must be auto or 0 to {room} in a {unit} of .*, not 2$"
    asked = design(unit, a=operand, b=operand, accumulate=accumulate, pipeline=2)
    with pytest.raises(SpecError, match=message):
        plan(asked)


@pytest.mark.parametrize("name", ["module", "wire", "logic"])
def test_keywords_are_no_names(name):
    with pytest.raises(SpecError, match=f"^name: {name} is a keyword of Verilog"):
        design(name=name)


@pytest.mark.parametrize(
    ("technology", "clock_mhz", "latency"),
    [
        ("sky130", 20, 5),
        ("sky130", 100, 6),
        ("sky130", 140, 9),
        ("sky130", 400, 9),
        ("asap7", 100, 5),
        ("asap7", 900, 9),
        ("unheard_of", 100, 9),
    ],
)
def test_auto_takes_as_many_stages_as_the_clock_asks_for(technology, clock_mhz, latency):
    assert (
        plan(design(pipeline="auto", technology=technology, clock_mhz=clock_mhz)).latency == latency
    )


EXACT = {"kind": "exact"}
NO_CIRCUIT = [
    (
        {"accumulate": {"kind": "fixed", "format": "int32"}},
        "accumulate.kind: no circuit for fixed yet; use exact or float",
    ),
    (
        {"accumulate": {"kind": "fixed", "format": "int32", "chunk": 4, "outer": EXACT}},
        "accumulate.kind: no circuit for fixed yet; use exact or float",
    ),
    (
        {"accumulate": {"kind": "rounded", "format": "fp32"}},
        "accumulate.kind: no circuit for rounded yet; use exact or float",
    ),
    (
        {"accumulate": {"kind": "fused", "group": 4, "frac_bits": 9}},
        "accumulate.kind: no circuit for fused yet; use exact or float",
    ),
    (
        {"accumulate": "hopper_fp16"},
        "accumulate.kind: no circuit for fused yet; use exact or float",
    ),
    *(
        ({"product": product}, f"product: no circuit for {product} yet; use exact")
        for product in ("lmul", "lmul_add", "mitchell")
    ),
    *(
        ({"out_round": mode}, f"out_round: no circuit for {mode} yet; use another mode")
        for mode in ("sr_a", "sr_b", "sr_c")
    ),
    *(
        (
            {key: name, "accumulate": EXACT},
            f"{key}: no circuit for {name} yet; use a minifloat or fixed-point format",
        )
        for key in ("a", "b")
        for name in ("e8m0", "nf4", "bin", "lut:e2m1:9017", "khot2:s0.7", "mxfp4", "dfp16")
    ),
    (
        {"a": "mxfp8_e4m3", "b": "mxfp8_e4m3", "accumulate": {"kind": "rounded", "format": "fp32"}},
        "accumulate.kind: no circuit for rounded yet; use exact or float",
    ),
]


@pytest.mark.parametrize("unit", ["mac", "systolic"])
@pytest.mark.parametrize(("changes", "message"), NO_CIRCUIT)
def test_what_has_no_circuit_is_refused(unit, changes, message):
    refused = design(unit, **changes)  # a design, and no circuit
    for use in (plan, create, describe, to_verilog):
        with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
            use(refused)
