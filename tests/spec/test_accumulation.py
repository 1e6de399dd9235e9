"""Tests of :mod:`minimac.spec.accumulation`."""

import itertools
import random
import re
from fractions import Fraction

import pytest

import oracle
from minimac.spec import (
    PRESETS,
    Accumulation,
    ExactAccumulation,
    FixedAccumulation,
    FloatAccumulation,
    FusedAccumulation,
    Normalization,
    Overflow,
    RoundedAccumulation,
    Rounding,
    SpecError,
    parse_format,
)

INT8, BF16, FP32 = map(parse_format, ("int8", "bf16", "fp32"))


def test_defaults():
    fixed = FixedAccumulation(format=INT8)
    assert (fixed.round, fixed.overflow) == ("truncate", "saturate")
    assert (fixed.chunk, fixed.outer) == (None, None)
    assert RoundedAccumulation(format=BF16).round == "rne"
    fused = FusedAccumulation(group=4, frac_bits=9)
    assert (fused.sticky, fused.round, fused.format) == (False, "truncate", FP32)
    assert fused.out_frac_bits == 23
    assert FusedAccumulation(group=4, frac_bits=9, format=BF16).out_frac_bits == 7
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
    assert kinds == ["exact", "fixed", "rounded", "float", "fused"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FixedAccumulation(format=BF16), "format must be fixed point, not bf16"),
        (
            lambda: FixedAccumulation(format=parse_format("khot2:int8")),
            "format must be fixed point, not khot2:int8",
        ),
        (
            lambda: FixedAccumulation(format=INT8, round=Rounding.SR_A),
            "round must not be stochastic, as sr_a is",
        ),
        *(
            (
                lambda word=word: FixedAccumulation(format=INT8, overflow=Overflow(word)),
                f"overflow must be saturate or wrap, not {word}",
            )
            for word in ("nan", "infinity")
        ),
        (
            lambda: FixedAccumulation(format=parse_format("int8:sym"), overflow=Overflow.WRAP),
            "overflow wrap needs a format with all its codes, not int8:sym",
        ),
        (
            lambda: FixedAccumulation(format=INT8, chunk=4),
            "chunk and outer go together: the sum of a chunk is a term of outer",
        ),
        (
            lambda: FixedAccumulation(format=INT8, outer=ExactAccumulation()),
            "chunk and outer go together: the sum of a chunk is a term of outer",
        ),
        *(
            (
                lambda chunk=chunk: FixedAccumulation(
                    format=INT8, chunk=chunk, outer=ExactAccumulation()
                ),
                f"chunk must be 1 to 2**30, not {chunk}",
            )
            for chunk in (0, -1, 2**30 + 1)
        ),
        (
            lambda: FixedAccumulation(
                format=INT8,
                chunk=2,
                outer=FixedAccumulation(format=INT8, chunk=2, outer=ExactAccumulation()),
            ),
            "outer must not have chunks of its own",
        ),
        (
            lambda: FixedAccumulation(format=INT8, chunk=2, outer=FloatAccumulation(width=7)),
            "outer.width must be at least 8 to hold a sum of int8, not 7",
        ),
        (lambda: RoundedAccumulation(format=INT8), "format must be a signed minifloat, not int8"),
        (
            lambda: RoundedAccumulation(format=parse_format("ue4m3fn")),
            "format must be a signed minifloat, not ue4m3fn",
        ),
        (
            lambda: RoundedAccumulation(format=parse_format("nf4")),
            "format must be a signed minifloat, not nf4",
        ),
        (
            lambda: RoundedAccumulation(format=BF16, round=Rounding.SR_B),
            "round must not be stochastic, as sr_b is",
        ),
        (
            lambda: FloatAccumulation(width=8, round=Rounding.SR_C),
            "round must not be stochastic, as sr_c is",
        ),
        (
            lambda: FusedAccumulation(group=4, frac_bits=9, format=INT8),
            "format must be a signed minifloat, not int8",
        ),
        (
            lambda: FusedAccumulation(group=4, frac_bits=9, round=Rounding.SR_A),
            "round must not be stochastic, as sr_a is",
        ),
        (lambda: FusedAccumulation(group=0, frac_bits=9), "group must be at least 1, not 0"),
        (lambda: FusedAccumulation(group=4, frac_bits=-1), "frac_bits must be at least 0, not -1"),
        (
            lambda: FusedAccumulation(group=4, frac_bits=57, sticky=True),
            "frac_bits 57 and group 4 make sums of 63 bits; 62 are the most",
        ),
        *(
            (
                lambda bits=bits: FusedAccumulation(
                    group=4, frac_bits=9, format=BF16, out_frac_bits=bits
                ),
                f"out_frac_bits must be 0 to 7, those of bf16, not {bits}",
            )
            for bits in (-1, 8)
        ),
        (
            lambda: FusedAccumulation(group=4, frac_bits=9, out_frac_bits=0),
            "out_frac_bits: an ieee format needs at least 2 exponent bits and 1 mantissa bit",
        ),
    ],
)
def test_wrong_kinds(build, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        build()


def test_limits_of_kinds_are_legal():
    assert FusedAccumulation(group=4, frac_bits=56, sticky=True).sum_bits == 62
    e4m3 = parse_format("e4m3")
    fused = FusedAccumulation(group=1, frac_bits=0, format=e4m3, out_frac_bits=0)
    assert fused.state_format == parse_format("e4m0")
    FixedAccumulation(format=INT8, chunk=1, outer=FixedAccumulation(format=INT8))
    FixedAccumulation(format=INT8, chunk=2**30, outer=FloatAccumulation(width=8))


def test_most_terms():
    """Where there is no ``max_terms``, what the model's integers can count."""
    fixed = FixedAccumulation(format=INT8)
    assert fixed.max_terms == RoundedAccumulation(format=BF16).max_terms == 2**30
    assert FusedAccumulation(group=4, frac_bits=9).max_terms == 2**30
    chunked = FixedAccumulation(format=INT8, chunk=4, outer=ExactAccumulation(max_terms=5))
    assert chunked.max_terms == 20
    many = FixedAccumulation(format=INT8, chunk=2**29, outer=ExactAccumulation())
    assert many.max_terms == 2**30


def test_state_formats():
    fused = FusedAccumulation(group=4, frac_bits=9, out_frac_bits=13)
    assert fused.state_format == parse_format("e8m13ieee")
    odd = FusedAccumulation(
        group=4, frac_bits=9, format=parse_format("e5m10fn:bias=9:ftz"), out_frac_bits=3
    )
    assert odd.state_format == parse_format("e5m3fn:bias=9:ftz")
    assert RoundedAccumulation(format=BF16).state_format == BF16
    assert FixedAccumulation(format=INT8).state_format is None
    assert FixedAccumulation(format=INT8, chunk=2, outer=fused).state_format == fused.state_format
    assert ExactAccumulation().state_format is FloatAccumulation(width=9).state_format is None


def test_as_dict_of_every_kind():
    fused = FusedAccumulation(group=4, frac_bits=9, format=BF16)
    chunked = FixedAccumulation(
        format=INT8, round=Rounding.RNE, overflow=Overflow.WRAP, chunk=3, outer=fused
    )
    assert chunked.as_dict() == {
        "kind": "fixed",
        "format": "int8",
        "round": "rne",
        "overflow": "wrap",
        "chunk": 3,
        "outer": {
            "kind": "fused",
            "group": 4,
            "frac_bits": 9,
            "sticky": False,
            "round": "truncate",
            "format": "bf16",
            "out_frac_bits": 7,
        },
    }
    assert RoundedAccumulation(format=BF16).as_dict() == {
        "kind": "rounded",
        "format": "bf16",
        "round": "rne",
    }


@pytest.mark.parametrize(
    ("accumulation", "words"),
    [
        (ExactAccumulation(), "exact"),
        (FixedAccumulation(format=INT8), "fixed int8 truncate saturate"),
        (
            FixedAccumulation(format=INT8, chunk=3, outer=RoundedAccumulation(format=FP32)),
            "fixed int8 truncate saturate, each 3 into rounded fp32 rne",
        ),
        (FusedAccumulation(group=4, frac_bits=9), "fused 4, 9 -> fp32/23 truncate"),
        (
            FusedAccumulation(group=4, frac_bits=9, sticky=True, round=Rounding.RNE),
            "fused 4, 9 sticky -> fp32/23 rne",
        ),
    ],
)
def test_describe(accumulation, words):
    assert accumulation.describe() == words


def test_presets_are_those_of_the_design():
    """Section 4.5, the table."""
    table = {
        "hopper_fp8": (("e4m3fn", "e5m2"), 32, 13, 13),
        "hopper_fp16": (("fp16", "bf16"), 16, 25, 23),
    }
    assert {*PRESETS} == {*table}
    for name, (operands, group, frac_bits, out_frac_bits) in table.items():
        preset = PRESETS[name]
        assert preset.operands == operands
        assert all(parse_format(word).name == word for word in operands)
        assert preset.accumulate == FusedAccumulation(
            group=group,
            frac_bits=frac_bits,
            sticky=False,
            round=Rounding.TRUNCATE,
            format=FP32,
            out_frac_bits=out_frac_bits,
        )


def as_wide_as_can_be(group, frac_bits, sticky):
    """Return the largest sum of a group and an accumulator, in units of its last bit, by 4.5."""
    unit = Fraction(1, 2 ** (frac_bits + sticky))
    # emax is 0: a product is below 4, the accumulator below 2; each is cut, and marked by sticky.
    product, state = Fraction(4) - Fraction(1, 2**99), Fraction(2) - Fraction(1, 2**99)
    cuts = [oracle.cut(n, Fraction(1, 2**frac_bits), sticky) for n in [product] * group + [state]]
    return sum(cuts) / unit


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("frac_bits", [0, 1, 5, 25])
@pytest.mark.parametrize("group", [*range(1, 20), 32, 63, 64, 65])
def test_sum_bits_of_a_group_suffice(group, frac_bits, sticky):
    bits = FusedAccumulation(group=group, frac_bits=frac_bits, sticky=sticky).sum_bits
    most = as_wide_as_can_be(group, frac_bits, sticky)
    assert most.denominator == 1
    assert most < 2**bits
    assert bits == (4 * group + 2).bit_length() + frac_bits + sticky
    if frac_bits > 8:  # the loss of cutting is small: no bit is too many
        assert most >= 2 ** (bits - 1)


@pytest.mark.parametrize(
    ("name", "kind"), [("e2m1", "exact"), ("e2m1", "lmul"), ("e1m2", "mitchell"), ("int3", "exact")]
)
def test_sums_of_real_groups_fit(name, kind, seed):
    """Every pair of products with every accumulator of a small format, and random larger groups."""
    fmt = parse_format(name)
    codes = range(2**fmt.width)
    terms = {oracle.product(fmt, x, fmt, y, kind) for x in codes for y in codes}
    parts = {(abs(oracle.exact(t)), t.exponent - 1) for t in terms if t.significand}
    states = {(Fraction(n) / 4, oracle.floor_log2(Fraction(n) / 4)) for n in range(1, 16)}
    rng = random.Random(seed)
    groups = [*itertools.combinations_with_replacement(sorted(parts), 2)]
    groups += [tuple(rng.choices(sorted(parts), k=5)) for _ in range(300)]
    for group in groups:
        acc = FusedAccumulation(group=len(group), frac_bits=2, sticky=True)
        for state in states:
            both = [*group, state]
            unit = Fraction(2) ** (max(exponent for _, exponent in both) - 2)
            total = sum(oracle.cut(number, unit, True) for number, _ in both) / (unit / 2)
            assert total < 2**acc.sum_bits
