"""Tests of :mod:`minimac.rtl.wrappers` and of the description; simulation is in tests/bench."""

import re

import pytest
from amaranth.back import rtlil

from minimac.rtl import as_markdown, create, describe, to_verilog
from minimac.spec import SpecError, load_design

INTERFACES = ["stream", "axi4stream", "wishbone"]


def design(unit="mac", **changes):
    fields = {"name": "unit", "unit": unit, "a": "int4", "b": "e2m1", "out": "bf16"}
    fields["accumulate"] = {"kind": "float", "width": 8, "max_terms": 100}
    if unit == "systolic":
        fields["array"] = {"rows": 3, "columns": 5}
    return load_design(fields | changes)


def names(made):
    return [port["name"] for port in describe(made)["ports"]]


def test_ports_of_streams():
    stream = ["i_valid", "i_ready", "i_a", "i_b", "i_last", "o_valid", "o_ready", "o_sum"]
    assert names(design()) == ["clk", "rst", *stream]
    assert names(design(reset="none", clock_enable=True)) == ["clk", "ce", *stream]


def test_ports_of_axi4stream():
    assert names(design(interface="axi4stream")) == [
        *("aclk", "aresetn", "s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast"),
        *("m_axis_tvalid", "m_axis_tready", "m_axis_tdata"),
    ]
    assert names(design("systolic", interface="axi4stream", clock_enable=True)) == [
        *("aclk", "aresetn", "aclken"),
        *("s_axis_w_tvalid", "s_axis_w_tready", "s_axis_w_tdata"),
        *("s_axis_i_tvalid", "s_axis_i_tready", "s_axis_i_tdata"),
        *("m_axis_tvalid", "m_axis_tready", "m_axis_tdata"),
    ]


@pytest.mark.parametrize("unit", ["mac", "systolic"])
def test_fields_start_at_bytes_and_do_not_overlap(unit):
    told = describe(design(unit, interface="axi4stream"))
    widths = {port["name"]: port["width"] for port in told["ports"]}
    taken = dict.fromkeys(widths, 0)
    for stream in told["streams"].values():
        for field in stream["fields"].values():
            assert field["lowest_bit"] % 8 == 0
            assert field["lowest_bit"] >= taken[field["port"]]
            taken[field["port"]] = field["lowest_bit"] + field["width"] * field["count"]
    for port, end in taken.items():
        if port.endswith("tdata"):
            assert widths[port] % 8 == 0
            assert widths[port] - 8 < end <= widths[port]


@pytest.mark.parametrize("unit", ["mac", "systolic"])
def test_registers_do_not_overlap_and_fit_the_address(unit):
    told = describe(design(unit, interface="wishbone"))
    end = 0
    for register in told["registers"]:
        assert register["offset"] == end
        end += 4 * register["words"]
    (address,) = (port["width"] for port in told["ports"] if port["name"] == "wb_adr_i")
    assert 1 << address >= end // 4 > 1 << address - 1


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("unit", ["mac", "systolic"])
@pytest.mark.parametrize("reset", ["sync", "none"])
def test_the_verilog_has_the_ports_of_the_description(unit, interface, reset):
    made = design(unit, interface=interface, reset=reset, clock_enable=True)
    text = to_verilog(made)
    assert re.search(r"^module unit\((.*)\);$", text, re.M)[1].split(", ") == names(made)
    module = text[text.index("module unit(") :].partition("endmodule")[0]
    for port in describe(made)["ports"]:
        size = rf"\[{port['width'] - 1}:0\] " if port["width"] > 1 else ""
        assert re.search(rf"^  {port['direction']}put {size}{port['name']};$", module, re.M)


@pytest.mark.parametrize("interface", INTERFACES)
def test_reset_is_in_the_verilog_as_asked(interface):
    rst = describe(design(interface=interface))["reset"]["port"]
    edge = "negedge" if interface == "axi4stream" else "posedge"
    sync, asynchronous, none = (
        to_verilog(design(interface=interface, reset=reset)) for reset in ("sync", "async", "none")
    )
    assert f"{edge} {rst}" in asynchronous
    assert f"{edge} {rst}" not in sync
    assert rst not in none
    assert re.search(r"reg .* = 1'h", none)
    assert not re.search(r"reg .* =", sync + asynchronous)


def test_clock_enable_reaches_the_parts():
    text = to_verilog(design("systolic", clock_enable=True))
    element = text[text.index("module unit_element(") :].partition("endmodule")[0]
    assert "input ce;" in element
    assert text.count(".ce(ce)") == 15


@pytest.mark.parametrize(
    ("interface", "name"), [("stream", "i_valid"), ("axi4stream", "aclk"), ("wishbone", "wb_ack_o")]
)
def test_a_design_is_not_called_as_its_ports(interface, name):
    message = f"^name: {name} is one of its ports; choose another$"
    with pytest.raises(SpecError, match=message):
        to_verilog(design(interface=interface, name=name))


def test_inside_amaranth_a_unit_has_streams_and_the_clock_of_its_domain():
    unit = create(design(interface="wishbone", clock_enable=True, reset="async"))
    assert set(unit.signature.members) == {"i", "o"}
    text = rtlil.convert(unit)
    assert r"\i__valid" in text
    assert r"\ce" not in text
    assert "$adff" not in text


@pytest.mark.parametrize("interface", INTERFACES)
def test_the_page_names_every_port_and_part(interface):
    told = describe(design("systolic", interface=interface, reset="async"))
    page = as_markdown(told)
    for port in told["ports"]:
        assert f"| {port['name']} | {port['direction']} | {port['width']} |" in page
    for register in told.get("registers", []):
        assert f"| {register['offset']:#04x} | {register['name']} |" in page
    for word in ("magnitude: [7:0] of an item", "active ", "Throughput: "):
        assert word in page
    assert max(map(len, page.split("```")[1].splitlines())) < 100
