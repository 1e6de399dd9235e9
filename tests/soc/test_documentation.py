"""Tests of :mod:`minimac.soc.documentation`."""

from pathlib import Path

from minimac.soc.board import boards
from minimac.soc.documentation import brought_up_to_date, tables
from minimac.soc.registers import REGISTERS

PAGE = Path(__file__).parents[2] / "docs/boards.md"


def test_the_page_is_up_to_date():
    text = PAGE.read_text()
    assert brought_up_to_date(text) == text, "python -m minimac.soc.documentation docs/boards.md"
    for name in tables():
        assert f"<!-- {name} -->" in text
    for name in [*boards(), *(register.name for register in REGISTERS)]:
        assert f"`{name}`" in text
