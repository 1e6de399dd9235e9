"""Tests of the facts of boards, and of :mod:`minimac.soc.board`."""

import importlib
import re

import pytest

from minimac.bitstream import FLOWS
from minimac.soc.board import boards, load_board
from minimac.soc.registers import BAUD
from minimac.spec import SpecError

#: Where amaranth-boards has them: module and class.
FOREIGN = {
    "arty_a7_35": ("arty_a7", "ArtyA7_35Platform"),
    "arty_a7_100": ("arty_a7", "ArtyA7_100Platform"),
    "icebreaker": ("icebreaker", "ICEBreakerPlatform"),
    "orangecrab_25f": ("orangecrab_r0_2", "OrangeCrabR0_2_25FPlatform"),
    "tang_nano_9k": ("tang_nano_9k", "TangNano9kPlatform"),
    "ulx3s_25f": ("ulx3s", "ULX3S_25F_Platform"),
    "ulx3s_85f": ("ulx3s", "ULX3S_85F_Platform"),
}

#: How a constraint file says that a port is at a pin.
PLACED = {
    ".pcf": r"^set_io (?:-\w+ )*{port} {pin}$",
    ".lpf": r'^LOCATE COMP "{port}" SITE "{pin}";$',
    ".cst": r'^IO_LOC "{port}" {pin};$',
    ".xdc": r"^set_property .*PACKAGE_PIN {pin} .*\[get_ports {port}\]$",
}


@pytest.fixture(params=boards())
def board(request):
    return load_board(request.param)


def test_there_are_boards_of_each_family():
    assert {load_board(name).family for name in boards()} == {*FLOWS, "xc7", "xcup"}


def test_the_constraints_say_what_the_facts_say(board):
    text = board.constraint_text()
    pattern = PLACED["." + board.constraints.rpartition(".")[2]]
    assert set(board.pins) == set(board.ports)
    for port, pin in board.pins.items():
        assert re.search(pattern.format(port=port, pin=pin), text, re.MULTILINE), port
    names = re.findall(r"\b(clk|uart_rx|uart_tx)\b", text)
    assert set(names) == set(board.pins)
    clocks = re.findall(r'FREQUENCY PORT "clk" ([\d.]+) MHZ;', text)
    clocks += [1e3 / float(ns) for ns in re.findall(r"-period ([\d.]+)", text)]
    if board.family.startswith("xc"):
        place = "get_ports clk" if board.clock_source == "pin" else "get_pins {ps8/PLCLK[0]}"
        assert f"[{place}]" in re.search(r"^create_clock .*", text, re.MULTILINE)[0]
    assert [float(mhz) for mhz in clocks] == [board.clock_mhz] * len(clocks)
    assert board.source.startswith("https://")
    assert re.search(r"\{(file|name)\}", board.load)
    assert round(1e6 * board.clock_mhz) % BAUD == 0  # the rate is exact


@pytest.mark.parametrize("name", FOREIGN)
def test_facts_agree_with_amaranth_boards(name):
    module, platform = FOREIGN[name]
    foreign = getattr(importlib.import_module(f"amaranth_boards.{module}"), platform)
    board = load_board(name)
    resources = {(x.name, x.number): x for x in foreign.resources}
    clock = resources[foreign.default_clk, 0]
    assert clock.ios[0].names == [board.pins["clk"]]
    assert round(1e-6 / clock.clock.period, 6) == board.clock_mhz
    if ("uart", 0) in resources:
        lines = {sub.name: sub.ios[0].names for sub in resources["uart", 0].ios}
        assert lines["rx"] == [board.pins["uart_rx"]]
        assert lines["tx"] == [board.pins["uart_tx"]]
    else:  # a cable, at pins that are free
        free = {pin for connector in foreign.connectors for pin in connector.mapping.values()}
        assert {board.pins["uart_rx"], board.pins["uart_tx"]} <= free
        assert "cable" in board.link
    if hasattr(foreign, "part"):
        assert foreign.part == board.part
    else:
        whole = f"{foreign.device}{foreign.package}".lower()
        ours = board.part.lower()
        assert ours.startswith(foreign.device.lower())
        package = foreign.package.lower()
        assert package in ours, whole
        speed = getattr(foreign, "speed", "").lower()
        assert f"-{speed}" in ours or not speed


def test_unknown_boards_are_refused():
    with pytest.raises(SpecError, match=r"must be one of .*, not 'icebraker'; did you mean"):
        load_board("icebraker")


def test_wrong_facts_are_refused(tmp_path, monkeypatch):
    good = load_board("icebreaker").folder.joinpath("board.yaml").read_text()
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr("minimac.soc.board._folders", lambda: tmp_path)
    for text, said in {
        good + "colour: red\n": r"mine/board.yaml: colour: Unexpected keyword argument",
        good.replace("clock_mhz: 12", "clock_mhz: 0.5"): "mine/board.yaml: clock_mhz: .*greater",
        good.replace("title:", "titel:"): r"mine/board.yaml: \w+: ",
        good + "clock_source: ps9\n": "mine/board.yaml: clock_source: .*'pin' or 'ps8'",
        good + "clock_source: ps8\n": "pins: must be those of uart_rx, uart_tx with "
        "clock_source: ps8, not of clk, uart_rx, uart_tx$",
        good.replace('clk: "35", ', ""): "pins: must be those of clk, uart_rx, uart_tx with ",
        "pins: [": r"mine/board.yaml, line 1: not valid YAML",
    }.items():
        (tmp_path / "mine" / "board.yaml").write_text(text)
        with pytest.raises(SpecError, match=said):
            load_board("mine")
    (tmp_path / "mine" / "board.yaml").write_text(good)
    assert load_board("mine").part == "iCE40UP5K-SG48"  # a folder and no code
