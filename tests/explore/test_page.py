"""Tests of :mod:`minimac.explore.page`; what a browser makes of it is in ``test_chromium.py``."""

import base64
import csv
import gzip
import json
import math
import re
from html.parser import HTMLParser

import pytest
import yaml
from plotly.offline import get_plotlyjs

from minimac.explore import DesignResult, Results, StepResult, frame, report
from minimac.explore.results import Journal

HOSTILE = """</script><script>alert(1)</script><img src=x onerror=alert(2)>"'&{{ 7*7 }}"""


class Page(HTMLParser):
    """Collects tags with their attributes, text outside of scripts, and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(text)
        self.data = json.loads(self.scripts[0], parse_constant=pytest.fail)  # as a browser does

    def handle_starttag(self, tag, attrs):
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        """Leave a tag."""
        self.inside = ""

    def handle_data(self, data):
        """Keep what is between tags."""
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """All words, each after one space."""
        return " ".join(" ".join(self.words).split())

    def column(self, key: str) -> list[object]:
        """Values of a column that the scripts work on."""
        return next(c["values"] for c in self.data["columns"] if c["key"] == key)


@pytest.fixture
def write(tmp_path, monkeypatch):
    # Pictures take most of the time, and have tests of their own.
    monkeypatch.setattr("minimac.explore.page.write_plots", lambda results, folder: [])

    def write_(results: Results) -> tuple[str, str]:
        Journal(tmp_path).write(results)
        html, table, parquet, *_ = report(tmp_path)
        assert (html.name, table.name) == ("report.html", "results.csv")
        assert parquet.name == "results.parquet"
        return html.read_text(), table.read_text()

    return write_


def test_figures_and_conditions_are_there(results, write):
    page = Page(write(results)[0])
    for expected in (
        *("97.00", "1,000", "0.500", "o #3: got 1, expected 2", "2 of 3 simulated circuits agreed"),
        *("seed", "Yosys", "numpy"),
    ):
        assert expected in page.text
    assert page.column("accuracy_percent") == [97, 96, 50]
    assert page.column("sky130.area_um2") == [1000, 2000, None]
    assert page.column("arithmetic")[0] == "good x good -> bf16, exact"
    assert page.data["failures"]["2"]["cost:sky130"] == "not mapped"


def test_what_is_drawn_against_what(results, write):
    sky130 = [f"sky130.{cost}" for cost in ("energy_pj_per_mac", "area_um2", "delay_ps")]
    drawn = Page(write(results)[0]).data["fronts"]
    assert drawn == [{"x": key, "y": "accuracy_percent"} for key in [*sky130, "ecp5.luts"]]


def test_objectives_say_what_is_drawn(synthetic_results, write):
    page = Page(write(synthetic_results)[0])
    assert [front["y"] for front in page.data["fronts"]] == ["error_percent"] * 4
    assert [front["x"] for front in page.data["fronts"]] == synthetic_results.objectives[1:]
    assert "out of 300 judged by prediction in a space of 1,200" in page.text
    wide = [i for i, area in enumerate(page.column("sky130.area_um2")) if area > 8000]
    assert page.data["limits"] == {str(i): ["sky130.area_um2 <= 8000"] for i in wide}
    assert 0 < len(wide) < 60


@pytest.mark.parametrize("kept", [(), ("accuracy",), ("error",), ("accuracy", "error")])
def test_either_quality_both_or_none(results, write, kept):
    for design in results.designs:
        accuracy = design.steps.pop("accuracy")
        if "accuracy" in kept:
            design.steps["accuracy"] = accuracy
        if "error" in kept:
            design.steps["error"] = StepResult(ok=True, seconds=1, result={"error_percent": 0.5})
    data = Page(write(results)[0]).data
    found = {front["y"] for front in data["fronts"]}
    assert found == ({f"{quality}_percent" for quality in kept} or {"sky130.energy_pj_per_mac"})


def test_what_is_infinite(results, write):
    results.designs[1].steps["accuracy"].result["accuracy"] = math.inf
    results.designs[1].axes["scale"] = math.inf
    page = Page(write(results)[0])
    assert page.column("accuracy_percent") == [97, None, 50]
    assert page.column("axes.scale") == [None, math.inf, None]


def test_nothing_is_loaded(results, write):
    text = write(results)[0]
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert not {"src", "href", "srcset", "action", "data"} & attributes.keys()
    policy = next(a for t, a in page.tags if t == "meta" and "http-equiv" in a)["content"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert not re.search(r"url\(|@import", style)


def test_plotting_library_is_there_once(results, write):
    scripts = Page(write(results)[0]).scripts
    assert len(scripts) == 3
    assert gzip.decompress(base64.b64decode(scripts[1])).decode() == get_plotlyjs()


def test_designs_are_there_to_take_away(results, write):
    results.designs[0].design.update(a="int8", note="yes", accumulate={"kind": "exact"})
    data = Page(write(results)[0]).data
    for numbers, design in zip(data["yaml"], results.designs, strict=True):
        text = "\n".join(data["lines"][n] for n in numbers)
        assert yaml.safe_load(text) == design.design


def test_hostile_text_is_only_text(results, write):
    design = results.designs[0]
    failed = {"simulate": StepResult(ok=False, seconds=0.0, reason=HOSTILE)}
    hostile = Results(
        sweep=HOSTILE,
        conditions={"workload": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}},
        technologies=[*results.technologies],
        designs=[
            DesignResult(
                **{"name": HOSTILE, "arithmetic": HOSTILE, "design": {HOSTILE: HOSTILE}},
                **{"steps": design.steps | failed, "axes": {HOSTILE: HOSTILE}},
            )
        ],
    )
    page = Page(write(hostile)[0])
    assert len(page.scripts) == 3
    assert "img" not in [tag for tag, _ in page.tags]
    assert HOSTILE in page.words
    assert "<" not in page.scripts[0]
    assert page.column("design") == page.column(f"axes.{HOSTILE}") == [HOSTILE]


def test_equal_results_give_equal_bytes(results, tmp_path):
    Journal(tmp_path).write(results)
    first, second = ({p.name: p.read_bytes() for p in report(tmp_path)} for _ in range(2))
    assert first == second
    assert sum(name.endswith(".svg") for name in first) == 4
    assert sum(name.endswith(".png") for name in first) == 4


def test_csv(results, write):
    rows = list(csv.DictReader(write(results)[1].splitlines()))
    assert [row["design"] for row in rows] == ["good", "worse", "broken"]
    assert float(rows[1]["sky130.energy_pj_per_mac"]) == 0.75
    assert rows[2]["vectors"] == ""
    assert rows[2]["failures"] == ("simulate: o #3: got 1, expected 2; cost:sky130: not mapped")


def test_parquet_is_the_frame(synthetic_results, write, tmp_path):
    import pandas as pd

    write(synthetic_results)
    found = pd.read_parquet(tmp_path / "results.parquet")
    pd.testing.assert_frame_equal(found, frame(synthetic_results))


def test_a_sweep_that_found_nothing(results, write):
    for design in results.designs:
        for step in design.steps:
            design.steps[step] = StepResult(ok=False, seconds=0.0, reason="no")
    page = Page(write(results)[0])
    assert "0 of 3 simulated circuits agreed" in page.text
    assert page.data["fronts"] == page.data["splits"] == []
