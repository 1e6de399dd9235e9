"""Tests of :mod:`minimac.spec.design`."""

import dataclasses
import functools
import itertools
import re
from fractions import Fraction

import pytest

import oracle
from minimac.spec import (
    Arithmetic,
    ArrayShape,
    ExactAccumulation,
    FloatAccumulation,
    Mac,
    Normalization,
    Rounding,
    SpecError,
    Systolic,
    load_design,
    parse_format,
)
from oracle import Special

PAIRS = [
    ("e2m1", "e2m1"),
    ("e1m1", "e1m1"),
    ("e2m0", "e2m0"),
    ("e2m1", "int3:sym"),
    ("e2m0", "e2m1:ftz"),
    ("ue2m1", "e1m1"),
    ("u0.2", "s1.1"),
    ("e2m1fn", "e0m2"),
]


def arithmetic(a="bf16", b="bf16", out="bf16", accumulate=None, **options):
    return Arithmetic(
        a=parse_format(a),
        b=parse_format(b),
        out=parse_format(out),
        accumulate=accumulate or ExactAccumulation(),
        **options,
    )


@functools.cache
def products(a, b):
    """Finite products of all pairs of codes."""
    fmt_a, fmt_b = parse_format(a), parse_format(b)
    codes = [
        [
            code
            for code in range(2 ** oracle.code_bits(fmt))
            if oracle.values(fmt)[code] is not Special.NAN
        ]
        for fmt in (fmt_a, fmt_b)
    ]
    found = {oracle.product(fmt_a, x, fmt_b, y) for x, y in itertools.product(*codes)}
    return [term for term in found if isinstance(term, oracle.Term)]


@pytest.mark.parametrize(("a", "b"), [*PAIRS, ("int4", "uint3"), ("e2m3", "int8")])
def test_derived_quantities_of_products(a, b):
    unit = arithmetic(a, b)
    terms = products(a, b)
    numbers = [oracle.exact(term) for term in terms]
    lsb = Fraction(2) ** unit.lsb_exp
    assert {term.width for term in terms} == {unit.product_bits}
    exponents = [term.exponent for term in terms]
    assert (unit.product_min_exp, unit.product_max_exp) == (min(exponents), max(exponents))
    assert tuple(end * lsb for end in unit.product_range) == (min(numbers), max(numbers))
    assert all((number / lsb).denominator == 1 for number in numbers)


@pytest.mark.parametrize(
    ("a", "b", "nan", "infinities"),
    [
        ("e2m1", "int8", False, False),
        ("e4m3fn", "e2m1", True, False),
        ("int8", "e4m3fnuz", True, False),
        ("e5m2", "e2m1", True, True),
        ("e2m1", "e3m2p3109", True, True),
        ("e2m1", "ue3m2p3109f", True, False),
    ],
)
def test_specials(a, b, nan, infinities):
    unit = arithmetic(a, b)
    assert (unit.has_nan, unit.has_infinities) == (nan, infinities)


@pytest.mark.parametrize("max_terms", [1, 2, 3, 7, 8, 9, 64, 1000])
@pytest.mark.parametrize(
    ("a", "b"), [*PAIRS, ("int4", "int4"), ("uint4", "int4"), ("uint3", "uint3")]
)
def test_sum_bits_are_enough_and_as_few_as_it_takes(a, b, max_terms):
    unit = arithmetic(a, b, accumulate=ExactAccumulation(max_terms=max_terms))
    numbers = [oracle.exact(term) / Fraction(2) ** unit.lsb_exp for term in products(a, b)]
    low, high = min(numbers) * max_terms, max(numbers) * max_terms

    def fits(bits):
        return -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1)

    assert fits(unit.sum_bits)
    assert not fits(unit.sum_bits - 1)


def reached_exponents(unit):
    """Least and greatest exponent of any state of any chain: all chains at once."""
    acc = unit.accumulate
    seen = front = {None}
    for _ in range(acc.max_terms):
        after = {
            oracle.step(acc, state, term)
            for state in front
            for term in products(unit.a.name, unit.b.name)
        }
        front = after - seen
        if not front:
            break
        seen = seen | front
    exponents = [state.exponent for state in seen if state]
    return min(exponents), max(exponents)


def float_units(a, b, more_bits, guard_sticky, normalize, rounds, max_terms):
    width = arithmetic(a, b).product_bits
    for more, (guard, sticky), words, mode, terms in itertools.product(
        more_bits, guard_sticky, normalize, rounds, max_terms
    ):
        acc = FloatAccumulation(
            width=width + more,
            guard=guard,
            sticky=sticky,
            normalize=Normalization.parse(words),
            round=Rounding(mode),
            max_terms=terms,
        )
        yield arithmetic(a, b, accumulate=acc)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_exponents_of_every_state_are_in_range(a, b):
    units = float_units(
        a,
        b,
        more_bits=(1,),
        guard_sticky=((0, False), (1, False), (0, True), (2, True)),
        normalize=("exact", "approx(1,1)", "none"),
        rounds=("truncate", "rna", "up"),
        max_terms=(7,),
    )
    for unit in units:
        low, high = reached_exponents(unit)
        assert unit.acc_min_exp <= low, unit
        assert high <= unit.acc_max_exp, unit


@pytest.mark.parametrize(
    ("a", "b", "mode", "guard", "sticky"),
    [
        ("e2m0", "e2m0", "up", 1, False),
        ("e2m0", "e2m0", "down", 0, True),
        ("e2m0", "e2m0", "odd", 0, True),
        ("e1m1", "e1m1", "rne", 0, True),
        ("e1m1", "e1m1", "rna", 1, True),
        # A lone sticky bit is a tie, so that rna goes away from zero in every step.
        ("e2m0", "e2m0", "rna", 0, True),
    ],
)
def test_exponents_of_long_chains_are_in_range(a, b, mode, guard, sticky):
    units = float_units(
        a,
        b,
        more_bits=(0,),
        guard_sticky=((guard, sticky),),
        normalize=("exact", "approx(1,1)"),
        rounds=(mode,),
        max_terms=(40,),
    )
    for unit in units:
        low, high = reached_exponents(unit)
        assert unit.acc_min_exp <= low, unit
        assert high <= unit.acc_max_exp, unit


@pytest.mark.parametrize(("a", "b"), PAIRS)
@pytest.mark.parametrize("max_terms", [2, 5])
def test_exponents_are_no_wider_than_needed(a, b, max_terms):
    for unit in float_units(
        a, b, (1,), ((0, False), (1, True)), ("exact",), ("truncate", "rne"), (max_terms,)
    ):
        low, high = reached_exponents(unit)
        assert unit.acc_min_exp == low, unit
        # One more where rounding might have doubled a term, or a product's top bit is never set.
        assert unit.acc_max_exp - high in (0, 1), unit


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: arithmetic(accumulate=FloatAccumulation(width=15)),
            "accumulate.width: must be at least 16 to hold the product of bf16 and bf16, not 15",
        ),
        (
            lambda: arithmetic("e4m3fn", "int8", accumulate=FloatAccumulation(width=11)),
            "accumulate.width: must be at least 12 to hold the product of e4m3fn and int8, not 11",
        ),
    ],
)
def test_wrong_accumulation(call, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    ("a", "out", "overflow", "message"),
    [
        ("int8", "bf16", "wrap", "wrap needs a fixed-point out with all its codes, not bf16"),
        (
            "int8",
            "int8:sym",
            "wrap",
            "wrap needs a fixed-point out with all its codes, not int8:sym",
        ),
        (
            "e4m3fn",
            "int8",
            "wrap",
            "wrap cannot express the NaN or infinity that e4m3fn and e4m3fn lead to; use saturate",
        ),
        ("int8", "e2m1", "nan", "nan needs an out with NaN, which e2m1 has not"),
        ("int8", "int8", "nan", "nan needs an out with NaN, which int8 has not"),
        ("int8", "e2m1", "infinity", "infinity needs an out with infinities or NaN, not e2m1"),
    ],
)
def test_wrong_overflow(a, out, overflow, message):
    tree = {
        "name": "x",
        "unit": "mac",
        "a": a,
        "b": a,
        "out": out,
        "accumulate": {"kind": "exact"},
        "out_overflow": overflow,
    }
    with pytest.raises(SpecError, match=f"^out_overflow: {re.escape(message)}$"):
        load_design(tree)


@pytest.mark.parametrize(
    ("out", "overflow"),
    [("int8", "wrap"), ("e4m3fn", "infinity"), ("e5m2", "infinity"), ("e4m3fnuz", "nan")],
)
def test_right_overflow(out, overflow):
    tree = {"name": "x", "unit": "mac", "a": "int8", "b": "int8", "out": out}
    tree |= {"accumulate": {"kind": "exact"}, "out_overflow": overflow}
    assert load_design(tree).out_overflow == overflow


MINE = {
    "name": "mine",
    "unit": "systolic",
    "a": "e4m3fn",
    "b": "e5m2",
    "out": "bf16",
    "accumulate": {"kind": "float", "width": 12, "normalize": "approx(1,2)"},
}


def test_as_dict_is_read_back():
    design = load_design(MINE)
    assert load_design(design.as_dict()) == design
    assert design.as_dict()["array"] == {"rows": 8, "columns": 8, "dataflow": "ws"}
    assert isinstance(design, Systolic)
    assert isinstance(load_design(MINE | {"unit": "mac"}), Mac)


def test_digest_tells_designs_apart():
    changes = [
        {},
        {"name": "other"},
        {"unit": "mac"},
        {"a": "e4m3fnuz"},
        {"b": "e4m3fn"},
        {"out": "fp16"},
        {"accumulate": {"kind": "exact"}},
        {"accumulate": MINE["accumulate"] | {"guard": 1}},
        {"out_round": "up"},
        {"out_overflow": "nan"},
        {"array": {"rows": 4}},
        {"pipeline": 1},
        {"technology": "asap7"},
        {"clock_mhz": 101},
    ]
    digests = [load_design(MINE | change).digest for change in changes]
    assert len(set(digests)) == len(changes)
    assert digests[0] == load_design(dict(reversed(MINE.items()))).digest
    assert all(re.fullmatch("[0-9a-f]{16}", digest) for digest in digests)


def test_implementation_changes_no_arithmetic():
    names = {field.name for field in dataclasses.fields(Arithmetic)}
    base, built = load_design(MINE), load_design(MINE | {"pipeline": 2, "clock_mhz": 500})
    assert base != built
    assert all(getattr(base, name) == getattr(built, name) for name in names)


def test_terms_per_pass():
    assert load_design(MINE | {"array": {"rows": 5, "columns": 3}}).terms_per_pass == 5
    assert load_design(MINE | {"unit": "mac"}).terms_per_pass == 1


def test_summary():
    assert load_design(MINE).summary() == "e4m3fn x e5m2 -> bf16, float 12 approx(1,2)"
    rounded = {"kind": "float", "width": 14, "guard": 2, "sticky": True, "round": "rne"}
    design = load_design(MINE | {"accumulate": rounded})
    assert design.summary() == "e4m3fn x e5m2 -> bf16, float 14+2 sticky exact rne"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rows": 0}, "rows must be 1 to 1024, not 0"),
        ({"columns": 1025}, "columns must be 1 to 1024, not 1025"),
    ],
)
def test_wrong_shape(fields, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        ArrayShape(**fields)
