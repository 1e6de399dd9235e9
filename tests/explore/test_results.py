"""Tests of :mod:`minimac.explore.results`."""

import json
import math
import re

import pytest

from minimac.explore import StepResult, load_results
from minimac.explore.results import Journal
from minimac.spec import SpecError


def test_results_come_back_equal(results, tmp_path):
    Journal(tmp_path).write(results)
    assert load_results(tmp_path) == results


def test_what_is_infinite_is_valid_json_and_comes_back(results, tmp_path):
    good = results.designs[0]
    found = {"error_percent": math.inf, "NaN": [-math.inf, 'Infinity "NaN", -Infinity\\'], "x": 1.0}
    good.steps["error"] = StepResult(ok=True, seconds=1.0, result={**found, "layer": math.nan})
    good.axes["scale"] = math.inf
    journal = Journal(tmp_path)
    journal.write(results)
    journal.append([("k", "good", "error", good.steps["error"])])
    loaded = load_results(tmp_path)
    assert loaded == results
    assert loaded.designs[0].found("error") == {**found, "layer": None}
    assert journal.read() == {"k": good.steps["error"]}
    # A browser refuses the words, and reads the numbers as Python does.
    for path in tmp_path.iterdir():
        text = path.read_text()
        tree = json.loads(text, parse_constant=pytest.fail)
        assert "1e999" in text
        assert math.inf in _numbers(tree)
        assert -math.inf in _numbers(tree)


def _numbers(tree):
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [tree] if isinstance(tree, float) else [x for part in parts for x in _numbers(part)]


def test_equal_results_give_equal_bytes(results, tmp_path):
    texts = set()
    for _ in range(2):
        Journal(tmp_path).write(results)
        texts.add((tmp_path / "results.json").read_bytes())
    assert len(texts) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_failures_and_findings(results):
    good, _, broken = results.designs
    assert results.failed
    assert good.failures == {}
    assert broken.failures == {"simulate": "o #3: got 1, expected 2", "cost:sky130": "not mapped"}
    assert good.found("simulate")["vectors"] == 1000
    assert broken.found("simulate") == broken.found("nonesuch") == {}


def test_no_results(tmp_path):
    message = f"{tmp_path / 'results.json'}: no such file; minimac explore writes it"
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        load_results(tmp_path)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "top level"),
        ("[1]", "top level"),
        ('{"version": 1}', "version"),
        ('{"version": 2, "sweep": "x", "conditions": {}, "technologies": []}', "designs"),
    ],
)
def test_a_file_that_is_something_else(tmp_path, text, where):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(
        SpecError, match=f"results.json: {where}: not what this version of minimac explore"
    ):
        load_results(tmp_path)


def test_journal_keeps_what_succeeded(tmp_path):
    journal = Journal(tmp_path)
    assert journal.read() == {}
    fine = StepResult(ok=True, seconds=1.0, result={"x": 1})
    no = StepResult(ok=False, seconds=1.0, reason="no")
    journal.append([("k1", "one", "accuracy", fine), ("k2", "one", "simulate", no)])
    assert journal.read() == {"k1": fine}
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["", "no"]


def test_a_line_cut_short_spoils_no_other(tmp_path):
    journal = Journal(tmp_path)
    fine = StepResult(ok=True, seconds=1.0, result={"x": 1})
    journal.append([("k1", "one", "accuracy", fine)])
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes() + b'{"key": "k2", "ok": tr')
    journal.append([("k3", "one", "accuracy", fine)])
    assert journal.read() == {"k1": fine, "k3": fine}
