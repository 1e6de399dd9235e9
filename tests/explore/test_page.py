"""Tests of :mod:`minimac.explore.page`."""

import csv
import json
import re
from html.parser import HTMLParser

import pytest

from minimac.explore import Results, StepResult, report
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


@pytest.fixture
def write(tmp_path):
    def write_(results: Results) -> tuple[str, str]:
        Journal(tmp_path).write(results)
        html, table = report(tmp_path)
        assert (html.name, table.name) == ("report.html", "results.csv")
        return html.read_text(), table.read_text()

    return write_


def test_figures_and_conditions_are_there(results, write):
    words = " ".join(" ".join(Page(write(results)[0]).words).split())
    for expected in (
        *("97.00", "1,000", "0.500", "good x good -&gt; bf16, exact".replace("&gt;", ">")),
        *("o #3: got 1, expected 2", "2 of 3 circuits agreed", "seed", "Yosys", "numpy"),
    ):
        assert expected in words


def test_front_is_marked(results, write):
    text = write(results)[0]
    fronts = json.loads(re.search(r"const fronts = (.*);", text)[1])
    energy = fronts[0]
    assert [(p["name"], p["front"]) for p in energy["points"]] == [("good", True), ("worse", False)]
    assert energy["line"] == [[0.5, 97.0]]


def test_nothing_is_loaded(results, write):
    page = Page(write(results)[0])
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert not {"src", "href", "srcset", "action", "data"} & attributes.keys()
    policy = next(a for t, a in page.tags if t == "meta" and "http-equiv" in a)["content"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    style = re.search(r"<style>(.*?)</style>", write(results)[0], re.DOTALL)[1]
    assert not re.search(r"url\(|@import", style)


def test_plotting_library_is_there_once(results, write):
    scripts = Page(write(results)[0]).scripts
    assert len(scripts) == 2
    assert "plotly.js v" in scripts[0][:200]


def test_hostile_text_is_only_text(results, write):
    design = results.designs[0]
    hostile = Results(
        sweep=HOSTILE,
        conditions={"workload": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}},
        technologies=[*results.technologies],
        designs=[
            type(design)(
                name=HOSTILE,
                arithmetic=HOSTILE,
                design={},
                steps=design.steps
                | {"simulate": StepResult(ok=False, seconds=0.0, reason=HOSTILE)},
            )
        ],
    )
    text = write(hostile)[0]
    page = Page(text)
    assert len(page.scripts) == 2
    assert "img" not in [tag for tag, _ in page.tags]
    assert HOSTILE in page.words
    assert "<img" not in page.scripts[1]
    assert (
        json.loads(re.search(r"const fronts = (.*);", text)[1])[0]["points"][0]["name"] == HOSTILE
    )


def test_equal_results_give_equal_bytes(results, write):
    assert write(results) == write(results)


def test_csv(results, write):
    rows = list(csv.DictReader(write(results)[1].splitlines()))
    assert [row["design"] for row in rows] == ["good", "worse", "broken"]
    assert float(rows[1]["sky130.energy_pj_per_mac"]) == 0.75
    assert rows[2]["vectors"] == ""
    assert rows[2]["failures"] == ("simulate: o #3: got 1, expected 2; cost:sky130: not mapped")


def test_a_sweep_that_found_nothing(results, write):
    for design in results.designs:
        for step in design.steps:
            design.steps[step] = StepResult(ok=False, seconds=0.0, reason="no")
    text, _ = write(results)
    assert "0 of 3 circuits agreed" in text
    assert "data-front" not in text.split("<script>")[0]
