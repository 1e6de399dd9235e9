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
    FixedAccumulation,
    FloatAccumulation,
    FusedAccumulation,
    Mac,
    Normalization,
    RoundedAccumulation,
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
def products(a, b, kind="exact"):
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
    found = {oracle.product(fmt_a, x, fmt_b, y, kind) for x, y in itertools.product(*codes)}
    return [term for term in found if isinstance(term, oracle.Term)]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        *(*PAIRS, ("int4", "uint3"), ("e2m3", "int8"), ("nf4:e3m2", "khot2:s0.3")),
        *(("bin", "tern"), ("lut:e2m1:078f", "e2m1"), ("e8m0", "e2m1"), ("e8m0", "e8m0")),
    ],
)
def test_derived_quantities_of_products(a, b):
    unit = arithmetic(a, b)
    terms = products(a, b)
    numbers = [oracle.exact(term) for term in terms]
    lsb = Fraction(2) ** unit.lsb_exp
    assert {term.width for term in terms} == {unit.product_bits}
    exponents = [term.exponent for term in terms]
    limits = unit.product_min_exp, unit.product_max_exp
    if a.startswith(("lut", "nf4")):  # whose values do not reach the ends of their format
        assert limits[0] <= min(exponents) <= max(exponents) <= limits[1]
    else:
        assert limits == (min(exponents), max(exponents))
    assert tuple(end * lsb for end in unit.product_range) == (min(numbers), max(numbers))
    assert all((number / lsb).denominator == 1 for number in numbers)


APPROXIMATE = [
    *("e2m1", "e1m1", "e3m2", "e4m3fn", "e4m1ieee", "e3m2fnuz", "e2m4ieee", "e1m5", "e4m1"),
    *("ue4m3fn", "ue3m2p3109", "e3m2p3109", "e3m2fn:ftz", "e2m1:ftz", "e3m3fn:bias=6"),
    *("e2m1:bias=-3", "e3m2:bias=5", "e3m2:bias=7", "e3m2:bias=30", "ue3m3:bias=0"),
]
KINDS = ["lmul", "lmul_add", "mitchell"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", APPROXIMATE)
def test_derived_quantities_of_approximate_products(name, kind):
    unit = arithmetic(name, name, product=kind)
    terms = products(name, name, kind)
    numbers = [oracle.exact(term) for term in terms]
    lsb = Fraction(2) ** unit.lsb_exp
    assert {term.width for term in terms} == {unit.product_bits}
    assert all(term.significand < 2**unit.product_bits for term in terms)
    exponents = [term.exponent for term in terms]
    assert unit.product_min_exp == min(exponents)
    assert max(exponents) <= unit.product_max_exp
    if "bias" not in name:  # where sums of codes reach all that there are
        assert unit.product_max_exp == max(exponents)
    assert tuple(end * lsb for end in unit.product_range) == (min(numbers), max(numbers))
    assert all((number / lsb).denominator == 1 for number in numbers)
    assert unit.has_nan == unit.a.has_nan
    assert unit.has_infinities == unit.a.has_infinities


@pytest.mark.parametrize("kind", KINDS)
def test_products_that_are_all_zero(kind):
    """Without a normal number, or with codes that add up to less than one."""
    for name in ("ue1m1p3109", "e2m1:bias=200"):
        unit = arithmetic(name, name, product=kind)
        low, high = unit.product_range
        numbers = [oracle.exact(term) for term in products(name, name, kind)]
        lsb = Fraction(2) ** unit.lsb_exp
        assert low * lsb <= min(numbers)
        assert max(numbers) <= high * lsb


BLOCKS = [
    ("block:e2m1:scale=ue3m2fn", "block:int3:scale=ue2m2"),
    ("block:e2m1:scale=ue3m2fn", "int4"),
    ("int3:sym", "block:e2m0:scale=ue3m0"),
    ("block:int3:scale=e2m2", "block:int3:scale=e2m2"),  # scales with a sign
    ("block:int3:scale=e2m2fnuz", "uint3"),
    ("block:lut:e2m1:124:scale=ue2m1", "e2m1"),  # nothing is zero but scales
    ("block:bin:scale=ue2m1p3109", "block:tern:scale=ue2m1:ftz"),
]


def finite(name):
    return [v for v in oracle.values(parse_format(name)) if isinstance(v, Fraction)]


def scaled(name):
    """Values of a format, those of elements of a block with every finite scale."""
    fmt = parse_format(name)
    if not hasattr(fmt, "scale"):
        return {*finite(name), *([Fraction(0)] if Special.MINUS_ZERO in oracle.values(fmt) else [])}
    zero = {Fraction(0)} if Special.MINUS_ZERO in oracle.values(fmt.element) else set()
    elements = {*finite(fmt.element.name), *zero}
    return {x * y for x in elements for y in finite(fmt.scale.name)}


@pytest.mark.parametrize(("a", "b"), BLOCKS)
@pytest.mark.parametrize("max_terms", [1, 5, 64])
def test_derived_quantities_of_scaled_products(a, b, max_terms):
    unit = arithmetic(a, b, accumulate=ExactAccumulation(max_terms=max_terms))
    lsb = Fraction(2) ** unit.lsb_exp
    numbers = {x * y / lsb for x in scaled(a) for y in scaled(b)}
    assert all(number.denominator == 1 for number in numbers)
    assert unit.product_range == (min(numbers), max(numbers))
    low, high = min(numbers) * max_terms, max(numbers) * max_terms
    assert -(2 ** (unit.sum_bits - 1)) <= low
    assert high < 2 ** (unit.sum_bits - 1)
    assert low < -(2 ** (unit.sum_bits - 2)) or high >= 2 ** (unit.sum_bits - 2)


@pytest.mark.parametrize("scale", ["e8m0", "ue3m2", "e5m2"])
def test_lsb_of_scaled_products(scale):
    unit = arithmetic(f"block:e2m1:scale={scale}", f"mxint8:scale={scale}")
    least = min(v for v in finite(scale) if v > 0)
    assert Fraction(2) ** unit.lsb_exp == Fraction(1, 2) / 64 * least**2


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


@pytest.mark.parametrize(
    ("accumulate", "nan", "infinities"),
    [
        (RoundedAccumulation(format=parse_format("fp32")), True, True),
        (RoundedAccumulation(format=parse_format("e8m23")), False, False),
        (RoundedAccumulation(format=parse_format("e8m23fn")), False, False),  # it saturates
        (FusedAccumulation(group=4, frac_bits=9), True, True),
        (FixedAccumulation(format=parse_format("int8")), False, False),
        (
            FixedAccumulation(
                format=parse_format("int8"),
                chunk=4,
                outer=RoundedAccumulation(format=parse_format("bf16")),
            ),
            True,
            True,
        ),
    ],
)
def test_specials_of_accumulators(accumulate, nan, infinities):
    """A state that overflows becomes infinite, and infinities of both signs NaN."""
    unit = arithmetic("int8", "e2m1", accumulate=accumulate)
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
            for term in products(unit.a.name, unit.b.name, str(unit.product))
        }
        front = after - seen
        if not front:
            break
        seen = seen | front
    exponents = [state.exponent for state in seen if state]
    return min(exponents), max(exponents)


def float_units(a, b, more_bits, guard_sticky, normalize, rounds, max_terms, product="exact"):
    width = arithmetic(a, b, product=product).product_bits
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
        yield arithmetic(a, b, accumulate=acc, product=product)


@pytest.mark.parametrize("product", KINDS)
@pytest.mark.parametrize("name", ["e2m1", "e1m1", "e1m2", "e2m1:ftz", "ue2m1", "e2m1:bias=3"])
def test_exponents_of_states_of_approximate_products_are_in_range(name, product):
    units = float_units(
        name,
        name,
        more_bits=(0, 1),
        guard_sticky=((0, False), (1, True)),
        normalize=("exact", "approx(1,1)", "none"),
        rounds=("truncate", "up"),
        max_terms=(6,),
        product=product,
    )
    for unit in units:
        low, high = reached_exponents(unit)
        assert unit.acc_min_exp <= low, unit
        assert high <= unit.acc_max_exp, unit


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
            (
                "wrap cannot express the NaN or infinity that e4m3fn x e4m3fn -> int8, exact can "
                "lead to; use saturate"
            ),
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
    assert design.as_dict()["array"].items() >= {"rows": 8, "columns": 8, "dataflow": "ws"}.items()
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
        {"normalizer": "anticipator"},
        {"reset": "async"},
        {"clock_enable": True},
        {"interface": "wishbone"},
        {"array": {"foot": "shared"}},
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
