"""Tests of :mod:`minimac.explore.console`."""

import io

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


def test_progress_elsewhere_than_on_a_terminal(make_design):
    step = Step(
        design=make_design("one"),
        name="accuracy",
        workload="digits",
        simulator="verilator",
        seed=0,
    )
    file = io.StringIO()
    with progress(file) as watch:
        watch(step, StepResult(ok=True, seconds=1.25), 1, 10)
        watch(step, StepResult(ok=False, seconds=1.25, reason="[no] it is not"), 2, 10)
    assert file.getvalue() == "  1/10  one accuracy  1.2 s\nfailed  one accuracy: [no] it is not\n"
