"""Tests of :mod:`minimac.explore.unused`."""

import itertools
import re

import pytest

from minimac.explore import Condition, Space, load_sweep
from minimac.explore.space import ENUMERABLE, ConditionError
from minimac.explore.unused import check_values
from minimac.spec import SpecError

FLOAT = {
    "unit": "systolic",
    "out": "bf16",
    "accumulate": {"kind": "float", "width": "{w}", "normalize": "{how}"},
}
AXES = {"a, b": ("bf16", "e4m3"), "w": (16, 20), "how": ("exact", "none")}
CLOCKS = tuple(range(100, 1100))


def _check(axes, where=(), base=FLOAT):
    space = Space(base=base, axes=axes, where=tuple(map(Condition, where)))
    check_values(space, space.example()[0])
    return space


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        (
            {"how": ("exact", "aprox(1,1)")},
            "axes.how: 'aprox(1,1)' is in no design: accumulate.normalize: must be exact, none or",
        ),
        (
            {"array.dataflow": ("ws", "so")},
            "axes.array.dataflow: 'so' is in no design: array.dataflow: must be 'ws', 'os' or ",
        ),
        (
            {"product": ("exact", "lmull")},
            "axes.product: 'lmull' is in no design: product: must be 'exact', 'lmul', ",
        ),
        ({"pipeline": (0, -1)}, "axes.pipeline: -1 is in no design: pipeline: must be auto or 0"),
        ({"reset": (["sync"], "none")}, "axes.reset: ['sync'] is in no design: reset: must be "),
        (
            {"w": (16, "20")},
            "axes.w: '20' is in no design: accumulate.width: must be a whole number",
        ),
    ],
)
@pytest.mark.parametrize("clocks", [(100,), CLOCKS], ids=["few", "many"])
def test_a_value_that_no_design_has(slip, message, clocks):
    axes = {**AXES, "clock_mhz": clocks, **slip}
    with pytest.raises(SpecError, match=f"^{re.escape(message)}"):
        _check(axes)


@pytest.mark.parametrize("clocks", [(100,), CLOCKS], ids=["few", "many"])
def test_what_only_conditions_keep_away_is_not_refused(clocks):
    axes = {**AXES, "clock_mhz": clocks}
    space = _check({**axes, "w": (8, 16, 20, 99)}, ["w - 2 * significand(a) in [0, 4]"])
    assert (space.size > ENUMERABLE) == (len(clocks) > 1)
    # A slip is found behind conditions as well: one that says nothing of the value, ...
    with pytest.raises(SpecError, match=r"^axes\.how: 'non' is in no design: "):
        _check({**axes, "how": ("exact", "non")}, ["w == 2 * significand(a) or w == 20"])
    # ... and, where all are looked at, one that keeps it from the values of the first design.
    if len(clocks) == 1:
        with pytest.raises(SpecError, match=r"^axes\.how: 'non' is in no design: "):
            _check({**axes, "how": ("exact", "non")}, ["(how == 'exact') == (w == 16)"])


def test_what_is_refused_for_the_sake_of_others_is_refused_as_well():
    with pytest.raises(
        SpecError, match=r"^axes\.array\.encode: 'booth' is in no design: array\.enc"
    ):
        _check({**AXES, "array.encode": ("none", "booth")})
    with pytest.raises(
        SpecError, match=r"^axes\.w: 6 is in no design: accumulate\.width: must be "
    ):
        _check({**AXES, "w": (16, 6)})


def test_rare_designs_of_a_large_space_are_none_that_is_refused():
    # 'booth' needs integers on both sides: one pair of 676, and none near the first design.
    formats = (*(f"e{e}m{m}" for e in range(1, 6) for m in range(1, 6)), "int8")
    base = {"unit": "systolic", "out": "fp32", "accumulate": {"kind": "exact"}}
    axes = {"a": formats, "b": formats, "array.encode": ("none", "booth"), "clock_mhz": CLOCKS}
    assert _check(axes, base=base).size > ENUMERABLE
    with pytest.raises(SpecError, match=r"^axes\.array\.encode: 'enc' is in no design: "):
        _check({**axes, "array.encode": ("none", "booth", "enc")}, base=base)
    # It needs exact sums, which are one in 200; most of the others say the same of it.
    kinds = [{"kind": "float", "width": w, "guard": g} for w in range(16, 36) for g in range(10)]
    kinds[20:20] = [{"kind": "rounded", "format": "fp32"}, {"kind": "exact"}]
    base = {"unit": "systolic", "a": "int8", "b": "int8", "out": "fp32"}
    axes = {"accumulate": tuple(kinds), "array.encode": ("none", "booth"), "clock_mhz": CLOCKS}
    _check(axes, ["accumulate.kind != 'exact' or 'o' in array.encode and clock_mhz == 100"], base)
    # Conditions leave six designs, too few to tell; of the three near the first, none has it.
    base = {"unit": "systolic", "out": "fp32", "accumulate": {"kind": "exact"}}
    axes = {"a": formats[-2:], "b": formats[-2:], "array.encode": ("none", "booth")}
    few = ["clock_mhz < 103", "family(a) == family(b)", "a != 'int8' or array.encode != 'none'"]
    axes["clock_mhz"] = CLOCKS
    check_values(Space(base=base, axes=axes, where=tuple(map(Condition, few))), (0, 0, 0, 0))


def test_all_values_of_a_small_space_are_told_as_by_looking_at_all():
    axes = {
        "a, b": ("bf16", "fp16", "e4m3", "e5m2"),
        "w": (6, 8, 12, 16, 22, 30),
        "how": ("exact", "approx(1,2)", "approx(0,1)"),
    }
    where = ["w - 2 * significand(a) <= 8"]
    space = Space(base=FLOAT, axes=axes, where=tuple(map(Condition, where)))
    used, refused = set(), set()
    for indices in itertools.product(*map(range, map(len, axes.values()))):
        try:
            found = used if space.at(indices) else set()
        except SpecError:
            found = refused
        found.update(enumerate(indices))
    assert [axes["how"][n] for axis, n in refused - used if axis == 2] == ["approx(0,1)"]
    with pytest.raises(SpecError, match=r"^axes\.how: 'approx\(0,1\)' is in no design: "):
        check_values(space, space.example()[0])
    assert refused - used == {(2, 2)}


def test_conditions_that_cannot_be_worked_out_stop():
    with pytest.raises(ConditionError, match=r"^where: '1 / \(w - 20\) < 3': division by zero$"):
        _check(AXES, ["1 / (w - 20) < 3"])


def test_a_sweep_with_a_slip_is_refused():
    spaces = [{"axes": {"a, b": ["int8"], "product": ["exact", "lmull"]}}]
    base = {"unit": "mac", "out": "fp32", "accumulate": {"kind": "exact"}}
    with pytest.raises(SpecError, match=r"^spaces\[0\]: axes\.product: 'lmull' is in no design: "):
        load_sweep({"base": base, "spaces": spaces})
