"""The report in a real browser, from a file, without a network: ``web/*.js`` at work."""

import json

import pytest
import yaml
from browser import Browser, chromium
from synthetic import synthetic

from minimac.explore import (
    DesignResult,
    Results,
    StepResult,
    frame,
    load_results,
    pareto_front,
    report,
)
from minimac.explore.results import Journal
from minimac.spec import load_design

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium or Chrome on PATH, the report is not opened"
)

# First what does harm even if it is cut short.
HOSTILE = (
    "<img src=x onerror=harm=1></script><script>window.harm=2</script>\"'`&{{7*7}}${7*7}"
    "\u2028\u202e%{x} " + "long " * 2000
)


def write(results: Results, folder, monkeypatch):
    monkeypatch.setattr("minimac.explore.page.write_plots", lambda results, folder: [])
    Journal(folder).write(results)
    return report(folder)[0]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A browser with the report of 150 designs."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("report")
        path = write(synthetic(150), folder, monkeypatch)
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.open(path)
        browser.wait("ready")
        browser.folder = folder
        yield browser


@pytest.fixture
def fresh(page):
    """The same, as if just loaded, and without complaints after each test."""
    page.run("state.filters.clear(), state.picks.clear(), state.open.clear(), clearFilters()")
    yield page
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [
        (page.folder / "report.html").as_uri()
    ]


def cells(browser, key):
    return browser.run(
        f"[...table.tBodies[0].rows].map(r => r.cells[1 + listed.findIndex("
        f"c => c.key === {json.dumps(key)})].textContent)"
    )


def test_plots_in_sight_are_drawn_and_the_rest_waits(fresh):
    fresh.wait("document.querySelectorAll('[data-front] .main-svg').length > 0")
    assert fresh.run("drawings.some(d => d.stale)")
    fresh.run("document.querySelector('[data-split]').scrollIntoView()")
    fresh.wait("document.querySelectorAll('[data-split] .bars path').length > 0")
    fresh.run("document.querySelector('[data-parallel]').scrollIntoView()")
    fresh.wait("document.querySelectorAll('[data-parallel] .dimension').length === 9")


def test_sorting_from_the_keyboard(fresh):
    fresh.run("table.querySelector('[data-key=\"sky130.area_um2\"] button').focus()")
    fresh.press("Enter")
    assert fresh.run("table.querySelector('[aria-sort]').ariaSort") == "ascending"
    up = [float(text.replace(",", "")) for text in cells(fresh, "sky130.area_um2")]
    assert up == sorted(up)
    fresh.press("Enter")
    down = [float(text.replace(",", "")) for text in cells(fresh, "sky130.area_um2")]
    assert down == sorted(down, reverse=True)
    assert (len(up), up[0]) == (50, min(round(a) for a in areas(fresh)))
    fresh.run("document.getElementById('after').click()")
    assert fresh.run("document.getElementById('where').textContent") == "51\N{EN DASH}100 of 150"


def areas(browser):
    return frame(load_results(browser.folder))["sky130.area_um2"]


def test_filters_act_on_table_and_plots(fresh):
    table = frame(load_results(fresh.folder))
    fresh.run("document.getElementById('text').focus()")
    fresh.call("Input.insertText", text="E4M3FN int8")
    expected = table[table.design.str.contains("e4m3fn") & table.design.str.contains("int8")]
    assert 0 < len(expected) < 50
    assert fresh.run("document.getElementById('count').textContent") == (
        f"{len(expected)} of 150 designs"
    )
    assert sorted(fresh.run("state.shown.map(i => names[i])")) == sorted(expected.design)
    fresh.run("document.querySelector('[data-front]').scrollIntoView()")
    fresh.wait("drawings[0].seen && !drawings[0].stale")
    points = "document.querySelector('[data-front]').data.find(t => t.customdata).customdata.length"
    assert fresh.run(points) == len(expected)
    fresh.run("clearFilters()")
    # One value of an axis, by its box in the menu; then a range of a figure.
    fresh.run(
        "[...document.querySelectorAll('.menu')].find(m => m.textContent.startsWith('a')).open=true"
    )
    fresh.run("[...document.querySelectorAll('.menu[open] button')].at(1).click()")
    assert fresh.run("state.shown.length") == 0
    fresh.run(
        "[...document.querySelectorAll('.menu[open] label')]"
        ".find(l => l.textContent === 'int4').firstChild.click()"
    )
    assert fresh.run("state.shown.length") == (table.a == "int4").sum()
    fresh.run("setFilter('sky130.area_um2', {low: null, high: 3000})")
    assert (
        fresh.run("state.shown.length")
        == ((table.a == "int4") & (table["sky130.area_um2"] <= 3000)).sum()
    )


def test_fronts_are_those_of_python(fresh):
    results = load_results(fresh.folder)
    table = frame(results)
    for narrowed in ("", "int", "bf16"):
        fresh.run(f"state.text = {json.dumps(narrowed)}, update()")
        passed = table[table.arithmetic.str.contains(narrowed) & (table.limits == "")]
        for n, key in enumerate(results.objectives[1:]):
            points = passed[[key, "error_percent"]].to_numpy(float)
            expected = passed.design.iloc[pareto_front(points, ["less", "less"])]
            assert fresh.run(f"state.fronts[{n}].map(i => names[i])") == expected.tolist()
    # Ties, gaps and every pair of senses, which results of a sweep seldom have.
    points = [[(7 * i) % 11, (5 * i * i) % 13] for i in range(60)] + [[3, None], [None, 3]]
    known = [[x if x is not None else float("nan") for x in p] for p in points]
    for senses in (["less", "less"], ["less", "more"], ["more", "less"], ["more", "more"]):
        found = fresh.run(f"paretoFront({json.dumps(points)}, {json.dumps(senses)})")
        assert found == pareto_front(known, senses)


def test_sliders_name_the_winner(fresh):
    table = frame(load_results(fresh.folder))
    kept = table[table.limits == ""]
    fresh.run("document.querySelector('#best input').focus()")
    before = fresh.run("document.querySelector('#best output').textContent")
    for _ in range(3):
        fresh.press("ArrowRight")
    said = fresh.run("document.querySelector('#best output').textContent")
    assert said.startswith("at most ")
    assert said != before
    # Every step of both sliders against what a dataframe says.
    energy, error = "sky130.energy_pj_per_mac", "error_percent"
    for question, bound, other in (("best", energy, error), ("cheapest", error, energy)):
        limits = sorted(kept[bound].unique())
        found = fresh.run(
            f"[...Array({len(limits)}).keys()].map(n => {{"
            f" const root = document.getElementById('{question}');"
            " const at = root.querySelector('input');"
            " at.value = n; at.dispatchEvent(new Event('input'));"
            " return root.querySelector('.who strong').textContent; })"
        )
        assert found == [
            kept[kept[bound] <= limit].sort_values([other, bound], kind="stable").iloc[0].design
            for limit in limits
        ]


def test_a_design_is_downloaded(fresh, tmp_path):
    fresh.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    name = fresh.run("names[sorted()[0]]")
    fresh.run("table.tBodies[0].rows[0].querySelector('a[download]').click()")
    wanted = tmp_path / f"{name}.yaml"
    for _ in range(200):
        fresh.run("new Promise(done => setTimeout(done, 10))")
        if wanted.exists():
            break
    results = load_results(fresh.folder)
    design = next(d for d in results.designs if d.name == name)
    assert yaml.safe_load(wanted.read_text()) == design.design
    fresh.requests[:] = [url for url in fresh.requests if not url.startswith("data:")]


def test_a_brush_on_an_axis_filters_the_table(fresh):
    fresh.run("document.querySelector('[data-parallel]').scrollIntoView({block: 'center'})")
    fresh.wait("!drawings.find(d => d.at.dataset.parallel !== undefined).stale")
    box = fresh.run(
        "(r => [r.x + r.width / 2, r.y + 8, r.height - 16])"
        "([...document.querySelectorAll('.hit')][6].getBoundingClientRect())"
    )
    mouse = {"button": "left", "clickCount": 1}
    x, top, height = box
    fresh.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=top, **mouse)
    fresh.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=top + 0.5 * height, **mouse)
    fresh.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=top + 0.5 * height, **mouse)
    low, high = fresh.run(
        "(f => [f.low, f.high])(state.filters.get('sky130.area_um2') || {low: null, high: null})"
    )
    inside = areas(fresh).between(low, high)
    assert fresh.run("state.shown.length") == inside.sum()
    assert 0 < inside.sum() < 150


def test_details_and_selection(fresh):
    fresh.run("table.querySelector('button.name').focus()")
    fresh.press("Enter")
    assert fresh.run("table.querySelector('button.name').ariaExpanded") == "true"
    assert (
        "sky130 cells" in fresh.run("state.open.size && table.textContent")
        or fresh.run("columns.get('basis').values[sorted()[0]]") == "predicted"
    )
    fresh.run("table.querySelector('tbody input').click()")
    assert fresh.run("document.getElementById('picked').textContent") == "1 selected"
    fresh.run("document.querySelector('[data-front]').scrollIntoView()")
    fresh.wait("!drawings[0].stale")
    assert fresh.run("document.querySelector('[data-front]').layout.annotations.length") == 1


def test_light_and_dark(fresh):
    seen = {}
    for scheme in ("light", "dark"):
        fresh.prefer(scheme)
        fresh.run("document.querySelector('[data-front]').scrollIntoView()")
        fresh.wait("!waiting && !drawings[0].stale")
        seen[scheme] = fresh.run(
            "[getComputedStyle(document.body).backgroundColor,"
            " document.querySelector('[data-front]').layout.font.color]"
        )
    assert all(a != b for a, b in zip(*seen.values(), strict=True))
    lightness = [sum(map(int, seen[s][0][4:-1].split(","))) for s in ("light", "dark")]
    assert lightness[0] > 600 > 200 > lightness[1]


def test_print(fresh):
    import base64

    data = fresh.call("Page.printToPDF", preferCSSPageSize=True)["data"]
    assert base64.b64decode(data).startswith(b"%PDF")
    assert not fresh.run("state.printing")


def test_hostile_texts_are_harmless(tmp_path, monkeypatch, fresh):
    def ok(**found):
        return StepResult(ok=True, seconds=0.0, result=found)

    cost = {"area_um2": 5.0, "parts": {HOSTILE: {"area_um2": 3.0}, "__proto__": {"area_um2": 1.0}}}
    designs = [
        DesignResult(
            name=HOSTILE + str(n),
            arithmetic=HOSTILE,
            design={"name": HOSTILE, HOSTILE: HOSTILE, "__proto__": 1},
            axes={HOSTILE: HOSTILE + str(n % 2), "__proto__": n},
            steps={
                "error": ok(error_percent=float(n)),
                "cost:sky130": ok(**cost | {"area_um2": 5.0 - n}),
                "limits": ok(broken=[HOSTILE] if n == 2 else []),
                HOSTILE: StepResult(ok=False, seconds=0.0, reason=HOSTILE),
            },
        )
        for n in range(4)
    ]
    results = Results(
        **{"sweep": HOSTILE, "conditions": {HOSTILE: HOSTILE, "workload": HOSTILE}},
        **{"technologies": ["sky130"], "designs": designs, "limits": [HOSTILE]},
    )
    with Browser(tmp_path / "profile") as browser:
        browser.open(write(results, tmp_path, monkeypatch))
        browser.wait("ready")
        browser.run("(state.printing = true, drawSeen(), drawings.map(d => d.stale))")
        assert browser.run("drawings.length") == 3
        assert not browser.run("drawings.some(d => d.stale)")
        browser.run("document.querySelectorAll('button.name').forEach(b => b.click())")
        browser.run("document.querySelectorAll('button.name')[1].click()")
        browser.run(f"document.getElementById('colour').value = {json.dumps('axes.' + HOSTILE)}")
        browser.run("document.getElementById('colour').dispatchEvent(new Event('change'))")
        browser.run("new Promise(done => setTimeout(done, 100))")
        assert browser.run("window.harm") is None
        assert browser.run("document.images.length") == 0
        assert "49" not in browser.run("document.querySelector('h1').textContent")
        assert browser.run("names[0]") == HOSTILE + "0"
        stem = browser.run("document.querySelector('a[download]').download")
        assert stem.endswith(".yaml")
        assert set(stem) <= set("_.-") | set(map(chr, range(48, 123)))
        assert len(stem) < 100
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert browser.complaints == []
        assert [url[:8] for url in browser.requests] == ["file:///"]


def test_the_design_that_is_taken_away_is_one(results, tmp_path, monkeypatch, make_design):
    design = make_design("mine")
    results.designs[0].design.clear()
    results.designs[0].design.update(design.as_dict())
    path = write(results, tmp_path, monkeypatch)
    data = json.loads(path.read_text().split('id="data">')[1].split("</script>")[0])
    taken = "\n".join(data["lines"][n] for n in data["yaml"][0])
    assert load_design(yaml.safe_load(taken)) == design
