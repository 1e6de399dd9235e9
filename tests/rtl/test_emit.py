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
    assert with_nan["streams"]["i"]["fields"]["a"]["width"] == 8
    assert without["latency_cycles"] == with_nan["latency_cycles"]
    fields = [
        describe(design(a=name, b=name, accumulate={"kind": "exact"}))["streams"]["o"]["fields"][
            "partial"
        ]["parts"]
        for name in ("e5m2", "e4m3fn", "e4m3")
    ]
    assert [f.get("special", {"width": 0})["width"] for f in fields] == [2, 1, 0]


@pytest.mark.parametrize("reset", ["sync", "none"])
def test_a_memory_starts_with_nothing(reset):
    """What is read has been written; a block of values would be for FPGAs alone."""
    tree = {"name": "x", "unit": "softmax", "a": "s4.3", "out": "u0.8", "length": 8}
    text = to_verilog(load_design(tree | {"reset": reset}))
    assert re.search(r"reg \[\d+:0\] memory \[15:0\];", text)
    assert "initial" not in text


def test_description():
    told = describe(design())
    assert told["module"] == "unit"
    assert told["latency_cycles"] == plan(design()).latency == 3 + 2
    assert told["streams"]["i"]["fields"]["activations"] == {
        "port": "i_activations",
        "lowest_bit": 0,
        "width": 16,
        "count": 3,
        "meaning": "codes of bf16, row 0 (term 0 of the pass) lowest",
    }
    assert told["streams"]["o"]["direction"] == "out"
    assert {"name": "i_activations", "direction": "in", "width": 48}.items() <= told["ports"][
        [port["name"] for port in told["ports"]].index("i_activations")
    ].items()


@pytest.mark.parametrize("stages", range(4))
def test_latency_counts_register_stages(stages):
    planned = plan(design(pipeline=stages))
    assert len(planned.cuts) == stages
    inside = planned.lead + 3 * planned.row_latency
    assert planned.lead + planned.row_latency == 1 + stages
    assert planned.latency == inside + 2 + planned.foot.latency


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


@pytest.mark.parametrize("technology", ["sky130", "asap7", "ecp5", "unheard_of"])
def test_auto_takes_no_registers_but_for_the_clock(technology):
    stages = [
        len(plan(design(pipeline="auto", technology=technology, clock_mhz=clock)).cuts)
        for clock in (1, 150, 600, 100_000)
    ]
    assert stages[0] == 0 < stages[-1]
    assert stages == sorted(stages)


EXACT = {"kind": "exact"}
KINDS = "exact, fixed, float, rounded"
FUSED = {"kind": "fused", "group": 4, "frac_bits": 9}
NO_CIRCUIT = [
    (
        {"accumulate": FUSED},
        f"accumulate.kind: {{unit}} has no circuit for fused; use unit dot, or one of {KINDS}",
    ),
    (
        {"accumulate": "hopper_fp16"},
        f"accumulate.kind: {{unit}} has no circuit for fused; use unit dot, or one of {KINDS}",
    ),
    (
        {"accumulate": {"kind": "fixed", "format": "int32", "chunk": 4, "outer": FUSED}},
        (
            "accumulate.outer.kind: {unit} has no circuit for fused; use unit dot, or one of "
            f"{KINDS}"
        ),
    ),
    *(
        (
            {"out_round": mode},
            (
                f"out_round: {mode} is for unit convert; use another mode, or give out more bits "
                "and convert behind"
            ),
        )
        for mode in ("sr_a", "sr_b", "sr_c")
    ),
    *(
        (
            {key: name, "accumulate": EXACT},
            (
                f"{key}: {{unit}} takes no blocks; use unit dot, or {element}, the format of their "
                "elements"
            ),
        )
        for key in ("a", "b")
        for name, element in (("mxfp4", "e2m1"), ("dfp16", "int16"))
    ),
]


@pytest.mark.parametrize("unit", ["mac", "systolic"])
@pytest.mark.parametrize(("changes", "message"), NO_CIRCUIT)
def test_what_has_no_circuit_is_refused(unit, changes, message):
    refused = design(unit, **changes)  # a design, and no circuit
    for use in (plan, create, describe, to_verilog):
        with pytest.raises(SpecError, match=f"^{re.escape(message.format(unit=unit))}$"):
            use(refused)
