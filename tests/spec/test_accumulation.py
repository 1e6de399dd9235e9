"""Tests of :mod:`minimac.spec.accumulation`."""

import re

import pytest

from minimac.spec import (
    Accumulation,
    ExactAccumulation,
    FloatAccumulation,
    Normalization,
    Rounding,
    SpecError,
)


def test_defaults():
    assert ExactAccumulation().max_terms == 65536
    acc = FloatAccumulation(width=16)
    assert (acc.guard, acc.sticky, acc.round, acc.max_terms) == (0, False, "truncate", 65536)
    assert str(acc.normalize) == "exact"


@pytest.mark.parametrize("text", ["exact", "none", "approx(1,1)", "approx(2,3)", "approx(12,1)"])
def test_normalization_round_trips(text):
    assert str(Normalization.parse(text)) == text
    assert Normalization.parse(str(Normalization.parse(text))) == Normalization.parse(text)


def test_normalization_may_have_blanks():
    assert Normalization.parse("approx( 1, 2 )") == Normalization((1, 2))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Exact",
        "approx",
        "approx(0,1)",
        "approx(1,0)",
        "approx(1)",
        "approx(1,2,3)",
        "approx(-1,2)",
        "approx(1;2)",
        "2",
        "approx(1.5,2)",
    ],
)
def test_wrong_normalization(text):
    message = (
        f"must be exact, none or approx(k,l) with k and l at least 1, not {text!r} "
        "(inside { } it needs quotes)"
    )
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        Normalization.parse(text)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"width": -3}, "width must be at least 1, not -3"),
        ({"width": 8, "guard": -1}, "guard must be at least 0, not -1"),
        (
            {"width": 60, "guard": 2, "sticky": True},
            "width, guard and sticky must be 62 bits at most together, not 63",
        ),
        (
            {"width": 3, "normalize": Normalization((2, 2))},
            "normalize approx(2,2) looks at more than width (3) bits",
        ),
        ({"width": 8, "max_terms": 0}, "max_terms must be 1 to 2**30, not 0"),
        ({"width": 8, "max_terms": 2**30 + 1}, "max_terms must be 1 to 2**30, not 1073741825"),
    ],
)
def test_wrong_float(fields, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        FloatAccumulation(**fields)


def test_limits_are_legal():
    assert FloatAccumulation(width=59, guard=2, sticky=True).window_bits == 62
    FloatAccumulation(width=4, normalize=Normalization((2, 2)), max_terms=2**30)
    FloatAccumulation(width=1, max_terms=1)


def test_as_dict_names_every_field():
    acc = FloatAccumulation(
        width=20, guard=3, sticky=True, normalize=Normalization((1, 2)), round=Rounding.ODD
    )
    assert acc.as_dict() == {
        "kind": "float",
        "width": 20,
        "guard": 3,
        "sticky": True,
        "normalize": "approx(1,2)",
        "round": "odd",
        "max_terms": 65536,
    }
    assert ExactAccumulation(max_terms=9).as_dict() == {"kind": "exact", "max_terms": 9}


def test_every_kind_has_a_word_of_its_own():
    kinds = [sub.kind for sub in Accumulation.__subclasses__()]
    assert {"exact", "float"} <= set(kinds)
    assert len(set(kinds)) == len(kinds)
