"""Tests of :mod:`minimac.explore.space` and :mod:`minimac.explore.expressions`."""

import datetime as dt
import re
from pathlib import Path

import pytest
import yaml

from minimac.explore import Condition, Space
from minimac.explore.space import Point, axis_values, distinct
from minimac.spec import SpecError, load_design

EXAMPLES = Path(__file__).parents[2] / "examples"
BASE = {"unit": "mac", "a": "int8", "b": "int8", "out": "fp32", "accumulate": {"kind": "exact"}}
FLOAT = {"kind": "float", "width": "{w}", "normalize": "approx({k},{l})"}


def _space(axes, where=(), **base):
    return Space(base={**BASE, **base}, axes=axes, where=tuple(map(Condition, where)))


def test_all_combinations_in_order():
    space = _space({"a": ("int4", "int8"), "out": ("bf16", "fp16", "fp32")})
    assert space.size == 6
    found = [(p.design.a.name, p.design.out.name) for p in space.points()]
    assert found == [(a, out) for a in ("int4", "int8") for out in ("bf16", "fp16", "fp32")]


def test_several_fields_at_once_alike_or_each_its_own():
    alike = _space({"a, b": ("int4", "e2m1")})
    assert [(p.design.a.name, p.design.b.name) for p in alike.points()] == [
        ("int4", "int4"),
        ("e2m1", "e2m1"),
    ]
    each = _space({"a, b": (["int8", "int4"], ["e4m3fn", "e2m1"])})
    assert [(p.design.a.name, p.design.b.name) for p in each.points()] == [
        ("int8", "int4"),
        ("e4m3fn", "e2m1"),
    ]
    assert next(each.points()).axes == {"a, b": "int8, int4"}


def test_words_in_braces_keep_the_type_of_their_values():
    space = _space({"w": (16, 20), "k": (1,), "l": (2, 3)}, a="bf16", b="bf16", accumulate=FLOAT)
    designs = [point.design for point in space.points()]
    assert [d.accumulate.width for d in designs] == [16, 16, 20, 20]
    assert [str(d.accumulate.normalize) for d in designs[:2]] == ["approx(1,2)", "approx(1,3)"]
    assert designs[0].name == "w16_l2"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_every_key_of_a_design_can_be_an_axis(path):
    tree = yaml.safe_load(path.read_text())
    if "unit" not in tree:
        return  # shapes of a network
    design = load_design(tree)
    for key in design.as_dict().keys() - {"name"}:
        base = {other: value for other, value in tree.items() if other != key}
        value = design.as_dict()[key]
        (point,) = Space(base=base, axes={key: (value,)}).points()
        assert point.design == design, key
        if isinstance(value, dict):
            for part in value.keys() - {"kind"}:
                Space(base=tree, axes={f"{key}.{part}": (value[part],)})


def test_a_word_may_be_called_as_a_field_of_another_unit():
    space = _space({"a, b": ("e4m{mantissa}",), "mantissa": (2, 3)})
    assert [p.design.a.name for p in space.points()] == ["e4m2", "e4m3"]
    # Where the unit has the field, the word sets it, too.
    space = _space({"product": ("exact", "lmul")}, a="e4m3", b="e4m3", name="by_{product}")
    assert [str(p.design.product) for p in space.points()] == ["exact", "lmul"]


def test_a_field_of_a_part_leaves_the_rest_of_it():
    space = _space(
        {"accumulate.guard": (0, 3)}, a="bf16", b="bf16", accumulate={"kind": "float", "width": 16}
    )
    found = [(p.design.accumulate.width, p.design.accumulate.guard) for p in space.points()]
    assert found == [(16, 0), (16, 3)]


def test_conditions_and_what_is_no_design_leave_out():
    formats = ("int4", "int8", "e4m3fn")
    space = _space(
        {"a": formats, "b": formats}, ["bits(a) >= bits(b)", "family(b) == 'fixedpoint'"]
    )
    assert [(p.design.a.name, p.design.b.name) for p in space.points()] == [
        ("int4", "int4"),
        ("int8", "int4"),
        ("int8", "int8"),
        ("e4m3fn", "int4"),
        ("e4m3fn", "int8"),
    ]
    # A window narrower than a product is no design.
    space = _space({"w": (8, 16)}, a="bf16", b="bf16", accumulate={"kind": "float", "width": "{w}"})
    assert [p.design.name for p in space.points()] == ["w16"]


def test_a_space_without_a_design_says_why():
    space = _space({"w": (8, 9)}, a="bf16", b="bf16", accumulate={"kind": "float", "width": "{w}"})
    with pytest.raises(SpecError, match=r"^accumulate\.width: "):
        list(space.points())
    with pytest.raises(SpecError, match=r"^where: leaves no design; widen it$"):
        list(_space({"a": ("int4", "int8")}, ["bits(a) > 8"]).points())


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"acumulate.width": (1,)}, "axes: acumulate.width is no field of a design, and nothing"),
        (
            {"kind": ("exact",)},
            "axes: kind is no field of a design, and nothing has {kind} in it; did you mean 'acc",
        ),
        ({"w": (1,)}, "axes: w is no field of a design, and nothing has {w} in it"),
        ({"a": ("e{E}m3",)}, "{E}: there is no such axis; write it below axes"),
        ({"a": ("e{E}m3",), "E": ("{F}",), "F": ("{E}",)}, "axes.E: has itself in braces"),
        ({"a, b": ("int8",), "a": ("int4",)}, "axes.a: a is set twice; leave one out"),
        ({"a, b": (["int8"],)}, "axes.a, b: must have one value for all of a, b or a list of 2, "),
        ({"a": ("int8", "e4m3fm")}, "axes.a: unknown format 'e4m3fm'; did you mean "),
        ({"a": ("int8", dt.date(2020, 1, 1))}, "axes.a: a format must be a name, not datetime"),
    ],
)
def test_axes_that_are_none(axes, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}"):
        _space(axes)


@pytest.mark.parametrize(
    "given",
    [
        *(
            [],
            "int8",
            3,
            None,
            {"from": 1},
            {"from": 1, "to": 2, "by": 3},
            {"from": "a", "to": "b"},
        ),
        *({"from": 2, "to": 1}, {"from": 1, "to": 2, "step": 0}, {"from": 1, "to": 9, "factor": 1}),
        *({"from": 0, "to": 9, "factor": 2}, {"from": 0, "to": 1e9}, {"from": True, "to": 3}),
        {"from": 1, "to": 9, "step": 1, "factor": 2},
        *({"from": 1, "to": 9, "step": float("nan")}, {"from": float("-inf"), "to": 9}),
        {"from": 10**400, "to": 10**401, "factor": 1.5},
    ],
)
def test_values_that_are_none(given):
    with pytest.raises(SpecError, match=r"^axes\.w: "):
        axis_values("w", given)


def test_decimal_steps_are_decimal():
    assert axis_values("x", {"from": 0.1, "to": 0.7, "step": 0.1}) == tuple(
        float(f"0.{n}") for n in range(1, 8)
    )


def test_words_may_be_of_any_language():
    space = _space({"a, b": ("e{ä}m1",), "ä": (2, 3)})
    assert [p.design.name for p in space.points()] == ["e2m1", "e3m1"]


def test_a_space_of_one_design_has_a_name():
    assert [p.design.name for p in _space({"a, b": ("int4",)}).points()] == ["int4"]
    with pytest.raises(SpecError, match=r"^name: must be a word, not 3$"):
        list(_space({"a": ("int4",)}, name=3).points())


def test_a_condition_that_cannot_be_worked_out_for_one_combination_stops():
    space = _space({"a": ("int4", "int8")}, ["1 / (bits(a) - 8) < 3"])
    with pytest.raises(SpecError, match=r"^where: '1 / .*': division by zero$"):
        list(space.points())


def test_an_example_of_a_space_too_large_to_look_at():
    axes = {"clock_mhz": tuple(range(1, 1001)), "w": tuple(range(1000)), "v": tuple(range(1000))}
    base = {"a": "bf16", "b": "bf16", "accumulate": {"kind": "float", "width": "{w}"}}
    base["accumulate"]["guard"] = "{v}"
    # The first million and more combinations are no designs.
    space = _space(axes, ["w + v < 200 and clock_mhz > 500"], **base)
    start, point = space.example()
    assert space.at(start) == point
    assert point.axes["w"] + point.axes["v"] < 200
    with pytest.raises(SpecError, match=r"^where: leaves no design; widen it$"):
        _space(axes, ["w > 1000"], **base).example()


def test_equal_designs_count_once_and_names_stay_apart():
    def point(name, fmt, **more):
        return Point(design=load_design({**BASE, **more, "name": name, "a": fmt}), axes={})

    points = [
        *(point("x", "int8"), point("y", "int8")),
        *(point("x", "int4"), point("x", "int8", clock_mhz=50)),
    ]
    found = distinct(iter(points))
    assert [p.design.a.name for p in found] == ["int8", "int4", "int8"]
    assert len({p.design.name for p in found}) == 3
    assert found[0].design.name == "x"


def test_long_values_make_names_that_are_names():
    space = _space({"a": ("e4m3fn:bias=9", "int8"), "out": ("bf16", "fp32")}, name="n" * 61 + "{a}")
    with pytest.raises(SpecError, match=r"^name: "):
        list(space.points())
    table = "lut:bf16:" + "".join(f"{n:04x}" for n in range(16, 32))
    names = [p.design.name for p in _space({"b": (table, "int8")}).points()]
    assert all(len(name) <= 64 for name in names)
    assert len(set(names)) == len(names) == 2


@pytest.mark.parametrize(
    "text",
    [
        *("__import__('os').system('true')", "().__class__", "a.__class__", "open('x')"),
        *("a = 'int8'", "a; a", "a\nb", "'%0999999999d' % 3 == a", "2 ** 4000000 > 1"),
        *("[x for x in range(9)]", "lambda: 1", "a := 3", "9 ** 9 ** 9 ** 9", "'a' * 10**9", ""),
    ],
)
def test_conditions_are_no_programs(text):
    with pytest.raises(SpecError):
        Condition(text)({"a": "int8"})


def test_conditions_that_cannot_be_worked_out():
    with pytest.raises(SpecError, match=r"^'bits\(a\) > 3': .*int99"):
        Condition("bits(a) > 3")({"a": "int99"})
    with pytest.raises(SpecError, match=r"^'a.b > 3': there is no b"):
        Condition("a.b > 3")({"a": {"c": 1}})
    with pytest.raises(SpecError, match=r"^'a > 3': "):
        Condition("a > 3")({"a": None})
