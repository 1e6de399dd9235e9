"""Tests of :mod:`minimac.explore.console`."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from minimac.explore import Step, StepResult, progress, table


def test_table(results):
    file = io.StringIO()
    table(results, file)
    lines = [line.rstrip() for line in file.getvalue().splitlines() if line.strip()]
    good = next(line for line in lines if line.startswith("good"))
    assert good.split() == [
        *("good", "good", "x", "good", "->", "bf16,", "exact"),
        *("97.00", "1,000", "2,000", "0.500", "100", "10", "0", "1,000"),
    ]
    assert next(line for line in lines if line.startswith("broken")).endswith("failed")
    assert lines[-2:] == [
        "failed  broken simulate: o #3: got 1, expected 2",
        "failed  broken cost:sky130: not mapped",
    ]


def test_markup_in_a_reason_is_only_text(results):
    results.designs[0].steps["simulate"] = StepResult(ok=False, seconds=0.0, reason="[red]x[/blue]")
    file = io.StringIO()
    table(results, file)
    assert "[red]x[/blue]" in file.getvalue()


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: now.s)
    return now


def test_looking_for_designs_shows_signs_of_life(clock, make_design):
    file = io.StringIO()
    with progress(file) as shown:
        for n in range(1, 121):
            clock.s += 0.1
            shown["looking"](1000 * n, 189_000, 20 * n)
        step = Step(
            design=make_design("one"), name="error", workload="x", simulator="icarus", seed=0
        )
        clock.s += 10.0  # time spent on looking says nothing about the steps
        shown["watch"](step, StepResult(ok=True, seconds=1.0), 1, 101)
    assert file.getvalue().splitlines() == [
        "looking for designs: 1,000 of 189,000 combinations, 20 designs",
        "looking for designs: 51,000 of 189,000 combinations, 1,020 designs",
        "looking for designs: 101,000 of 189,000 combinations, 2,020 designs",
        "  1/101  one error  1.0 s, 16.7 min left",
    ]


def test_progress_on_a_terminal(make_design):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rich.console.Console", lambda **_: console)
        with progress() as shown:
            shown["looking"](40_000, 189_000, 812)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    assert "looking for designs: 812 found" in text
    assert "40000/189000" in text


def test_progress_elsewhere_than_on_a_terminal(make_design):
    step = Step(
        design=make_design("one"),
        name="accuracy",
        workload="digits",
        simulator="verilator",
        seed=0,
    )
    file = io.StringIO()
    with progress(file) as shown:
        shown["watch"](step, StepResult(ok=True, seconds=1.25), 1, 10)
        shown["watch"](step, StepResult(ok=False, seconds=1.25, reason="[no] it is not"), 2, 10)
    assert file.getvalue() == "  1/10  one accuracy  1.2 s\nfailed  one accuracy: [no] it is not\n"
