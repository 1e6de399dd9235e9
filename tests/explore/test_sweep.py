"""Tests of :mod:`minimac.explore.sweep`."""

import dataclasses
import json
import re
from pathlib import Path
from typing import get_type_hints

import pytest

from minimac.explore import check_simulator, load_sweep
from minimac.explore.space import distinct
from minimac.explore.sweep import _KEYS
from minimac.nn import CLASSIFIERS, WORKLOADS, Classifier
from minimac.spec import SpecError

EXAMPLES = Path(__file__).parents[2] / "examples"

DESIGN = """\
name: {name}
unit: mac
a: int8
b: int8
out: bf16
accumulate: {{kind: exact}}
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "x.yaml").write_text(DESIGN.format(name="x"))
    (tmp_path / "same.yaml").write_text(DESIGN.format(name="x"))
    (tmp_path / "bad.yaml").write_text(DESIGN.format(name="bad").replace("int8", "int99"))

    def write_(text: str) -> Path:
        path = tmp_path / "sweep.yaml"
        path.write_text(text)
        return path

    return write_


def test_demo_is_valid():
    sweep = load_sweep(EXAMPLES / "demo.yaml")
    assert sweep.name == "demo"
    assert len(sweep.designs) == 6
    assert (sweep.technologies, sweep.workload, sweep.seed) == (("sky130", "ecp5"), "digits", 0)


def test_defaults(write):
    sweep = load_sweep(write("designs: [x.yaml]"))
    assert [design.name for design in sweep.designs] == ["x"]
    assert (sweep.technologies, sweep.workload, sweep.simulator) == ((), "digits", "verilator")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("technologies: []", "designs: is missing; name design files here, or axes below spaces"),
        ("designs: []", "designs: is missing; name design files here, or axes below spaces"),
        ("designs: x.yaml", "designs: must be a list of design files, not 'x.yaml'"),
        (
            DESIGN.format(name="x"),
            (
                "unit: is a key of a design, and this is to be a sweep; name the design in one, as "
                "in designs: [mine.yaml]"
            ),
        ),
        ("designs: [1]", "designs: must be a list of design files, not 1"),
        (
            "designs: [x.yaml]\nseed: yes",
            "seed: must be a whole number from 0 to 2**32 - 1, not True",
        ),
        ("designs: [x.yaml]\nseed: -1", "seed: must be a whole number from 0 to 2**32 - 1, not -1"),
        ("desings: [x.yaml]", "desings: unknown key; did you mean 'designs'?"),
        (
            "designs: [x.yaml]\nzzz: 1",
            f"zzz: unknown key; known are {', '.join(_KEYS)}",
        ),
        (
            "designs: [x.yaml]\nsimulator: vcs",
            "simulator: must be verilator or icarus, not 'vcs'",
        ),
        (
            "designs: [x.yaml]\nworkload: digit",
            "workload: must be digits or minilm, not 'digit'; did you mean 'digits'?",
        ),
        (
            "designs: [x.yaml]\ntechnologies: [sky130, sky130]",
            "technologies: 'sky130' is there twice",
        ),
        ("designs: [x.yaml]\n1: 2", f"1: unknown key; known are {', '.join(_KEYS)}"),
        ('designs: ["x\\0"]', "'{folder}/x\\x00': cannot be read: embedded null byte"),
        ("designs: [x.yaml]\nquality: [error, error]", "quality: 'error' is there twice"),
        (
            "designs: [x.yaml]\nworkload: minilm",
            (
                "quality: minilm has no labels and so no accuracy; write [error], or use "
                "workload digits"
            ),
        ),
        (
            "designs: [x.yaml]\nsimulate: front",
            (
                "simulate: there is no front without a quality and a cost, or two costs; add one "
                "to objectives, or a technology"
            ),
        ),
        (
            "designs: [x.yaml]\nbase: {a: int8}",
            "base: is for the designs of spaces, and there are none; write spaces",
        ),
        (
            "designs: [x.yaml, same.yaml]",
            "designs: two designs have the name 'x'; give one another",
        ),
    ],
)
def test_what_is_wrong_is_said(write, text, message):
    path = write(text)
    message = message.replace("{folder}", str(path.parent))
    with pytest.raises(SpecError, match=f"^{re.escape(f'{path}: {message}')}$"):
        load_sweep(path)


def test_workloads_with_labels():
    kinds = {name: get_type_hints(make)["return"] for name, make in WORKLOADS.items()}
    assert {name for name, kind in kinds.items() if issubclass(kind, Classifier)} == CLASSIFIERS


def test_unknown_technology(write):
    with pytest.raises(
        SpecError, match=r"technologies: must be among .*, not 'sky31'; did you mean"
    ):
        load_sweep(write("designs: [x.yaml]\ntechnologies: [sky31]"))


NO_TECH = (
    "technology: must be one of asap7, ecp5, gowin, ice40, sg13g2, sky130, xc7, or the path of a "
    "Liberty file, not 'asap8'; did you mean 'asap7'?"
)


@pytest.mark.parametrize(
    ("axes", "base", "message"),
    [
        ("technology: [asap8]", "", NO_TECH),
        ("technology: [sky130, asap8]", "", f"axes.technology: 'asap8' is in no design: {NO_TECH}"),
        ("t: [sky130, asap8]", "technology: '{t}'", f"axes.t: 'asap8' is in no design: {NO_TECH}"),
        ("out: [fp32]", "technology: asap8", NO_TECH),
        ("technologies: [asap8]", "", "axes: technologies is no field of a design, and nothing "),
    ],
)
def test_designs_for_technologies_that_there_are_not(write, axes, base, message):
    path = write(f"base: x.yaml\nspaces: [{{base: {{{base}}}, axes: {{{axes}}}}}]\n")
    with pytest.raises(SpecError, match=f"^{re.escape(f'{path}: spaces[0]: {message}')}"):
        load_sweep(path)


def test_a_design_file_for_a_technology_that_there_is_not(write, tmp_path):
    (tmp_path / "y.yaml").write_text(DESIGN.format(name="y") + "technology: asap8\n")
    path = write("designs: [y.yaml]")
    message = f"{path}: {tmp_path / 'y.yaml'}: {NO_TECH}"
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        load_sweep(path)


def test_a_liberty_file_may_be_the_technology_of_a_design(write):
    sweep = load_sweep(write("base: x.yaml\nspaces: [{axes: {technology: [my/cells.lib, xc7]}}]"))
    assert [p.design.technology for p in sweep.points()] == ["my/cells.lib", "xc7"]


def test_a_wrong_design_is_named_with_its_key(write, tmp_path):
    with pytest.raises(SpecError, match=f"{re.escape(str(tmp_path / 'bad.yaml'))}: a: "):
        load_sweep(write("designs: [x.yaml, bad.yaml]"))


def test_a_design_without_a_circuit(tmp_path):
    tree = {"name": "x", "unit": "mac", "a": "bf16", "b": "bf16", "out": "fp32"}
    (tmp_path / "x.yaml").write_text(json.dumps(tree | {"accumulate": "hopper_fp16"}))
    (tmp_path / "s.yaml").write_text("designs: [x.yaml]")
    with pytest.raises(SpecError, match=r"x\.yaml: accumulate\.kind: .* no circuit for fused"):
        load_sweep(tmp_path / "s.yaml")


def test_a_missing_design(write, tmp_path):
    with pytest.raises(SpecError, match=f"{tmp_path / 'none.yaml'}: cannot be read: No such file"):
        load_sweep(write("designs: [none.yaml]"))


def test_a_simulator_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("minimac.bench.available_simulators", lambda: ["icarus"])
    check_simulator("icarus")
    message = "simulator verilator was not found; install it, or use icarus"
    with pytest.raises(SpecError, match=f"^{message}$"):
        check_simulator("verilator")


SPACE = "base: {unit: mac, out: fp32, accumulate: {kind: exact}}\nspaces:\n- "


def test_spaces_of_a_file(write):
    sweep = load_sweep(
        write(
            SPACE + "axes: {'a, b': ['e{E}m{M}'], E: {from: 2, to: 3}, M: [1, 2]}\n"
            "- base: x.yaml\n  axes: {out: [bf16, fp16]}\n  where: ['bits(a) == 8']\n"
            "technologies: [sky130]\nquality: [accuracy]\nmeasure: 20\n"
            "limits: ['sky130.area_um2 <= 9000', 'sky130.fmax_mhz >= 50']\n"
        )
    )
    assert [point.design.name for point in sweep.points()] == [
        *("e2m1", "e2m2", "e3m1", "e3m2"),
        *("bf16", "fp16"),
    ]
    assert [point.axes for point in sweep.points()][-1] == {"out": "fp16"}
    assert sweep.known_objectives == (
        ("accuracy_percent",),
        ("sky130.area_um2", "sky130.energy_pj_per_mac"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spaces: [3]", "spaces[0]: must be a mapping with axes, not 3"),
        ("spaces: [{axis: {}}]", "spaces[0].axis: unknown key; did you mean 'axes'?"),
        ("spaces: [{}]", "spaces[0].axes: must be a mapping of axes to lists of values or ranges"),
        ("spaces: 3", "spaces: must be a list of spaces, each with axes and, if need be, "),
        (SPACE + "axes: {a: int8}", "spaces[0]: axes.a: must be a list of values, or a range"),
        (SPACE + "axes: {a: [int8]}", "spaces[0]: b: is missing; this key is required"),
        (
            SPACE + "axes: {'a, b': [int8]}\n  where: ['bits(c) > 3']",
            "spaces[0]: where: 'bits(c) > 3': c is not known; known are",
        ),
        (
            SPACE + "axes: {'a, b': [int8]}\n  where: ['bits(a) >']",
            "spaces[0]: where: 'bits(a) >': must be a condition, such as",
        ),
        ("base: 3\nspaces: [{axes: {a: [int8]}}]", "base: must be a design file or the fields"),
        ("designs: [x.yaml]\nquality: [errors]", "quality: must be accuracy or error, not 'err"),
        (
            "designs: [x.yaml]\ntechnologies: [ecp5]\nobjectives: [ecp5.area_um2]",
            "objectives: must be among accuracy_percent, bits_per_value, ecp5.delay_ps, ",
        ),
        (
            "designs: [x.yaml]\ntechnologies: [ecp5]\nlimits: ['ecp5.area_um2 < 3']",
            "limits: 'ecp5.area_um2 < 3': there is no area_um2; columns are accuracy_percent, bits",
        ),
        (
            "designs: [x.yaml]\ntechnologies: [xc7]\nobjectives: [xc7.fmax_mhz]",
            "objectives: must be among accuracy_percent, bits_per_value, xc7.luts, ",
        ),
        (
            "designs: [x.yaml]\nquality: none",
            "quality: must be a list of accuracy, error or both, or",
        ),
        (
            SPACE + "axes: {accumulate.max_terms: 12..20}",
            (
                "spaces[0]: axes.accumulate.max_terms: must be a list of values, or a range {from, "
                "to, step} or {from, to, factor}, not '12..20'"
            ),
        ),
        (
            SPACE + "axes: {'a, b': [int8]}\n  where: a == b",
            "spaces[0].where: must be a list of conditions, such as ['bits(a) >= bits(b)'], not ",
        ),
        ("designs: [x.yaml]\nsimulate: some", "simulate: must be all or front or none, not 'some'"),
        (
            "designs: [x.yaml]\ntechnologies: [xc7]\nfront_technologies: [xc7]",
            "front_technologies: all designs are costed in 'xc7' already",
        ),
        (
            SPACE + "axes: {'a, b': [int4, int8]}\nmeasure: 1\ntechnologies: [gowin]",
            "measure: 2 designs are more than the 1 that are measured, and choosing needs a ",
        ),
    ],
)
def test_what_is_wrong_with_spaces_is_said(write, text, message):
    path = write(text)
    with pytest.raises(SpecError, match=f"^{re.escape(f'{path}: {message}')}"):
        load_sweep(path)


@pytest.mark.parametrize(
    ("name", "designs"),
    [
        ("minifloat_vs_int", 92),
        ("approximate_normalization", 109),
        ("block_formats", 51),
        ("multipliers", 36),
        ("arrays", 150),
    ],
)
def test_sweeps_that_are_shipped(name, designs):
    sweep = load_sweep(EXAMPLES / f"{name}.yaml")
    points = distinct(sweep.points())
    assert len(points) == designs <= sweep.measure
    assert len({point.design.name for point in points}) == designs


def test_guard_bits_are_truncated_and_rounded():
    """Those that are truncated make long sums worse, so that alone they would say nothing."""
    points = load_sweep(EXAMPLES / "approximate_normalization.yaml").points()
    sums = [point.design.accumulate for point in points]
    guarded = [[s for s in sums if s.guard and s.round == mode] for mode in ("truncate", "rne")]
    assert guarded[0] == [dataclasses.replace(s, round=guarded[0][0].round) for s in guarded[1]]
    assert len(guarded[0]) > 20
    assert {str(s.round) for s in sums if not s.guard} == {"truncate"}


def test_sweeps_of_the_manual(tmp_path):
    text = (EXAMPLES.parent / "docs" / "explore.md").read_text()
    found = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(found) == 2
    (tmp_path / "mine.yaml").write_text(DESIGN.format(name="mine"))
    for n, sweep in enumerate(found):
        path = tmp_path / f"{n}.yaml"
        path.write_text(sweep)
        assert load_sweep(path).size == (6, 109)[n]
