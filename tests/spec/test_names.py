"""Tests of :mod:`minimac.spec.names`: every name, and everything that is none."""

import itertools
import random
import re
import time

import pytest

from minimac.spec import (
    BlockFormat,
    Codebook,
    ExponentOnly,
    FixedPoint,
    KHot,
    Minifloat,
    ScaleRule,
    SpecError,
    Specials,
    parse_format,
)
from minimac.spec.blocks import BLOCKS
from minimac.spec.codebooks import TABLES
from minimac.spec.names import ALIASES, FAMILIES

#: A name of every sort, and what it is called.
NAMES = {
    "e8m0": "e8m0",
    "ue8m0": "e8m0",
    "float8_e8m0fnu": "e8m0",
    "nf4": "nf4",
    "nf4:fp32": "nf4",
    "nf4:float32": "nf4",
    "nf4:bf16": "nf4:bf16",
    "nf4:bfloat16": "nf4:bf16",
    "nf4:e4m3fn:bias=9:ftz": "nf4:e4m3fn:bias=9:ftz",
    "nf4:e4m3fn:ftz:bias=9": "nf4:e4m3fn:bias=9:ftz",
    "nf4:s7.0:sym": "nf4:int8:sym",
    "dynamic8": "dynamic8",
    "dynamic8:fp16": "dynamic8:fp16",
    "bin": "bin",
    "bin:tern": "bin",
    "bin:s1.0:sym": "bin",
    "bin:int8": "bin:int8",
    "power4:a=0.5": "power4:a=0.5",
    "power4:a=.5": "power4:a=0.5",
    "power4:a=5e-1:fp32": "power4:a=0.5",
    "power4:a=0.5:bf16": "power4:a=0.5:bf16",
    "power8:a=2": "power8:a=2.0",
    "power2:a=1:int8": "power2:a=1.0:int8",
    "lut:e2m1:9017": "lut:e2m1:9017",
    "lut:E2M1:F0": "lut:e2m1:f0",
    "lut:bfloat16:3f80bf80": "lut:bf16:3f80bf80",
    "lut:e2m1:bias=3:ftz:9017": "lut:e2m1:bias=3:ftz:9017",
    "lut:int8:sym:7f81": "lut:int8:sym:7f81",
    "lut:u0.9:1ff000": "lut:u0.9:1ff000",
    "khot2:s0.7": "khot2:s0.7",
    "khot2:s0.7:sym": "khot2:s0.7:sym",
    "khot01:s7.0": "khot1:int8",
    "khot3:uint8": "khot3:uint8",
    "khot1:tern": "khot1:tern",
    "mxfp8": "mxfp8_e4m3",
    "mxfp8_e4m3": "mxfp8_e4m3",
    "mxfp8_e5m2": "mxfp8_e5m2",
    "mxfp6_e3m2": "mxfp6_e3m2",
    "mxfp6_e2m3": "mxfp6_e2m3",
    "mxfp4_e2m1": "mxfp4",
    "mxint8": "mxint8",
    "mxint8:ocp": "mxint8:ocp",
    "mxint8:ocp:rule=even:size=16": "mxint8:ocp:size=16:rule=even",
    "mxint6:ocp": "mxint6:ocp",
    "mxint4": "mxint4",
    "nvfp4": "nvfp4",
    "nvfp4:scale=ue5m3": "nvfp4:scale=ue5m3",
    "nvfp4:tensor=none": "nvfp4:tensor=none",
    "nvfp4:size=32:rule=floor:scale=e8m0:tensor=none": "mxfp4",
    "mxfp4:size=16:rule=even:scale=ue4m3fn:tensor=fp32": "nvfp4",
    "nvint4": "nvint4",
    "bfp16": "bfp16",
    "bfp12:size=8": "bfp12:size=8",
    "dfp16": "dfp16",
    "dfp8:size=32": "block:int8",
    "dfp8:size=16": "dfp8:size=16",
    "mxfp4:size=tensor": "mxfp4:size=tensor",
    "block:e2m1": "mxfp4",
    "block:int8:size=tensor": "dfp8",
    "block:s1.6": "mxint8:ocp",
    "block:s1.6:sym": "mxint8",
    "block:e4m3fn:bias=9:size=16:scale=ue4m3fn:bias=5": (
        "block:e4m3fn:bias=9:size=16:scale=ue4m3fn:bias=5"
    ),
    "block:nf4:bf16:size=64:scale=bf16:rule=roundup:tensor=fp16:ftz": (
        "block:nf4:bf16:size=64:scale=bf16:rule=roundup:tensor=fp16:ftz"
    ),
    "block:khot2:s0.7:sym:size=8": "block:khot2:s0.7:sym:size=8",
    "block:lut:e2m1:9017:size=8": "block:lut:e2m1:9017:size=8",
    "block:power4:a=0.5:bf16:size=8": "block:power4:a=0.5:bf16:size=8",
    "block:bin": "block:bin",
}


@pytest.mark.parametrize(("alias", "name"), NAMES.items())
def test_canonical_names(alias, name):
    fmt = parse_format(alias)
    assert fmt.name == name
    assert parse_format(name) == fmt
    assert hash(parse_format(name)) == hash(fmt)
    assert parse_format(f" {alias.upper()} ") == fmt


def test_there_is_a_name_of_every_family():
    assert {type(parse_format(name)) for name in NAMES} | {Minifloat, FixedPoint} == {*FAMILIES}


def test_words_mean_one_thing():
    """No alias hides a table or a block format, and no family a word of another."""
    own = {word: {family for family in FAMILIES if family.from_words(word, [])} for word in BLOCKS}
    own |= {word: {family for family in FAMILIES if family.from_words(word, [])} for word in TABLES}
    assert all(len(families) == 1 for families in own.values()), own
    assert not {*ALIASES} & {*own}
    for word in own:
        assert parse_format(word).name == word
    for alias in ALIASES:
        parse_format(alias)


def minifloat(rng):
    while True:
        try:
            return Minifloat(
                rng.randrange(9),
                rng.randrange(12),
                rng.choice([*Specials]),
                rng.choice([None, None, rng.randrange(-40, 60)]),
                rng.random() < 0.8,
                rng.random() < 0.2,
            )
        except SpecError:
            continue


def fixed_point(rng, most=32):
    while True:
        bits = [rng.randrange(-8, 20), rng.randrange(-8, 20)]
        try:
            fmt = FixedPoint(rng.random() < 0.8, *bits, symmetric=rng.random() < 0.4)
        except SpecError:
            continue
        if fmt.width <= most:
            return fmt


def codebook(rng):
    if rng.random() < 0.4:
        word = rng.choice(["nf4", "bin", f"power{rng.randrange(2, 6)}:a={rng.uniform(0.05, 20)!r}"])
        return parse_format(f"{word}:{scalar(rng).name}")
    while True:
        of = scalar(rng)
        codes = [rng.randrange(1 << of.width) for _ in range(rng.randrange(2, 40))]
        try:
            return Codebook(of, tuple(codes))
        except SpecError:  # not all are finite
            continue


def scalar(rng):
    return rng.choice([minifloat, fixed_point])(rng)


def k_hot(rng):
    return KHot(rng.randrange(1, 17), fixed_point(rng, most=16))


def block(rng):
    while True:
        element = rng.choice([minifloat, fixed_point, codebook, k_hot])(rng)
        if rng.random() < 0.3:
            element = rng.choice([*BLOCKS.values()]).element
        try:
            return BlockFormat(
                element,
                rng.choice([None, 16, 32, 64, rng.randrange(1, 65537)]),
                rng.choice([ExponentOnly(), minifloat(rng)]),
                rng.choice([*ScaleRule]),
                rng.choice([None, minifloat(rng)]),
            )
        except SpecError:  # no positive element
            continue


@pytest.mark.parametrize("family", [minifloat, fixed_point, codebook, k_hot, block])
def test_names_of_random_formats_parse_back(family, seed):
    rng = random.Random(f"{family.__name__} {seed}")
    for _ in range(150):
        fmt = family(rng)
        assert parse_format(fmt.name) == fmt, fmt
        assert parse_format(fmt.name).name == fmt.name


def test_options_of_blocks_stand_in_any_order():
    options = ["size=8", "scale=ue4m3fn:bias=5:ftz", "rule=ceil", "tensor=bf16:ftz"]
    for head in ("block:e4m3fn:bias=9:ftz", "mxint8:ocp", "dfp12"):
        formats = {
            parse_format(":".join([head, *order])) for order in itertools.permutations(options)
        }
        assert len(formats) == 1
        (fmt,) = formats
        assert (fmt.size, fmt.rule, fmt.scale.name) == (8, "ceil", "ue4m3fn:bias=5:ftz")
        assert fmt.tensor_scale.name == "bf16:ftz"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("e8m0:ftz", "option 'ftz' is unknown; e8m0 has none"),
        ("khot2", "khot takes a fixed-point format: khot2:s0.7"),
        ("khot0:int8", "khot takes 1 to 16 digits, not 0"),
        ("khot200:int8", "khot takes 1 to 16 digits, not 200"),
        ("khot17:int8", "khot takes 1 to 16 digits, not 17"),
        ("khot2:int17", "khot takes a fixed-point format of at most 16 bits"),
        ("khot2:e2m1", "khot takes a fixed-point format of at most 16 bits"),
        ("khot2:nf4", "khot takes a fixed-point format of at most 16 bits"),
        ("lut", "lut takes a format and the codes in hexadecimal"),
        ("lut:e2m1", "lut takes a format and the codes in hexadecimal"),
        ("lut:e2m1:", "codes of e2m1 must have 1 hexadecimal digits each"),
        ("lut:e2m1:0x12", "codes of e2m1 must have 1 hexadecimal digits each"),
        ("lut:bf16:3f8", "codes of bf16 must have 4 hexadecimal digits each"),
        ("lut:e2m1:1", "a codebook has 2 to 256 values, not 1"),
        ("lut:e2m1:" + "12" * 129, "a codebook has 2 to 256 values, not 258"),
        ("lut:e4m3fn:7e7f", "code 0x7f of e4m3fn is not a finite number"),
        ("lut:e1m1:99", "code 0x9 of e1m1 is not a finite number"),
        ("lut:int8:sym:8000", "0x80 is not a code of int8:sym"),
        ("lut:nf4:12", "values of a codebook must be of a minifloat or fixed-point format"),
        ("nf4:mxfp4", "values of a codebook must be of a minifloat or fixed-point format"),
        ("bin:e8m0", "values of a codebook must be of a minifloat or fixed-point format"),
        ("power4", "a power grid takes its exponent, 0.05 to 20, as in power4:a=0.5"),
        ("power4:bf16", "a power grid takes its exponent, 0.05 to 20, as in power4:a=0.5"),
        ("power4:a=0", "a power grid takes its exponent, 0.05 to 20, as in power4:a=0.5"),
        ("power4:a=-1", "a power grid takes its exponent, 0.05 to 20, as in power4:a=0.5"),
        ("power4:a=1e", "a power grid takes its exponent, 0.05 to 20, as in power4:a=0.5"),
        ("power4:a=1e999", "a power grid takes its exponent, 0.05 to 20, as in power4:a=0.5"),
        ("block", "block takes the format of its elements: block:e2m1:size=16"),
        ("block:size=16", "block takes the format of its elements: block:e2m1:size=16"),
        ("block:mxfp4", "elements of a block must be of a scalar format, not mxfp4"),
        ("block:e8m0", "elements of a block must be of a scalar format, not e8m0"),
        ("block:lut:e2m1:98", "elements must have a positive value"),
        ("mxfp4:size=0", "a block has 1 to 65536 elements, not 0"),
        ("mxfp4:size=65537", "a block has 1 to 65536 elements, not 65537"),
        ("mxfp4:size=1000000", "a block has 1 to 65536 elements, not 1000000"),
        ("mxfp4:size=many", "size must be a number or tensor, not 'many'"),
        ("mxfp4:size=-1", "size must be a number or tensor, not '-1'"),
        ("mxfp4:size", "size must be a number or tensor, not ''"),
        ("mxfp4:scale=int8", "scales must be a minifloat or e8m0, not int8"),
        ("mxfp4:scale=mxfp4", "scales must be a minifloat or e8m0, not mxfp4"),
        ("mxfp4:tensor=e8m0", "a tensor's scale must be a minifloat, not e8m0"),
        (
            "mxfp4:rule=fllor",
            (
                "rule must be one of floor, ceil, even, roundup, mse, not 'fllor'; "
                "did you mean 'floor'?"
            ),
        ),
        ("mxfp4:size=8:size=8", "option 'size' stands there twice"),
        ("mxfp4:ocp", "option 'ocp' is unknown; known are size, scale, rule, tensor"),
        ("mxint8:foo", "option 'foo' is unknown; known are size, scale, rule, tensor, ocp"),
        ("bfp16:ftz:sym", "option 'ftz:sym' is unknown; known are size, scale, rule, tensor"),
        ("e2m1" + ":ftz" * 32, "a name has at most 32 words"),
        ("dfp33", "int33 has more than 32 bits: it is for a of unit convert alone"),
        ("nf4:s2.32", "s2.32 has more than 32 bits: it is for a of unit convert alone"),
    ],
)
def test_wrong_names(name, message):
    shown = name if len(name) <= 64 else name[:61] + "..."
    with pytest.raises(SpecError, match=f"^{re.escape(f'format {shown!r}: {message}')}$"):
        parse_format(name)


@pytest.mark.parametrize(
    ("name", "inner", "message"),
    [
        ("dfp54", "int54", "a fixed-point format has at most 32 bits, or 53 as a of .*, not 54"),
        ("dfp100", "int100", "a fixed-point format has at most 32 bits, or 53 as a of .*, not 100"),
        ("nf4:e9m1", "e9m1", "exponent must have 0 to 8 bits, not 9"),
        ("mxfp4:scale=ue4m3fnuz", "ue4m3fnuz", "fnuz puts NaN where -0 would be"),
        ("block:e4m3fn:sze=16", "e4m3fn:sze=16", "option 'sze=16' is unknown"),
    ],
)
def test_a_wrong_part_is_named(name, inner, message):
    with pytest.raises(SpecError, match=f"^format '{inner}': {message}"):
        parse_format(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nf5", "nf4"),
        ("mxpf8_e4m3", "mxfp8_e4m3"),
        ("nvpf4", "nvfp4"),
        ("e8n0", "e8m0"),
        ("dynamic9", "dynamic8"),
        ("bfp14", "bfp16"),
        ("nf4:b16", "bf16"),
        ("mxfp4:scale=ue4m3nf", "ue4m3fn"),
        ("lut:e2m1fm:00", "e2m1"),
        ("bf61:size=3:size=3", "bf16"),
    ],
)
def test_hints(name, hint):
    with pytest.raises(SpecError, match=f"^unknown format '.*'; did you mean '{hint}'\\?$"):
        parse_format(name)


ALPHABET = [
    *(*FAMILIES[0].grammar, *"eemmusfnkhotlblock0123456789.:=-_a "),
    *("e4m3", "fn", "ieee", "fnuz", "p3109", "bf16", "int", "int8", "s0.7", "uint4", "tern", "bin"),
    *("binary8p4se", ":bias=", ":ftz", ":sym", ":ocp", "khot", "lut:", "nf4", "power4:a="),
    *("block:", "mxfp4", "mxint8", "nvfp4", "dfp", ":size=", ":scale=", ":rule=", ":tensor="),
    *("floor", "mse", "none", "tensor", "1" * 30, "9" * 400, "-", "\n", "\0", "é", "٤", "\u212a"),
]


def wrong_or_canonical(name):
    """Parse a name; it is good and has a canonical name, or wrong and said to be in one line."""
    try:
        fmt = parse_format(name)
    except SpecError as error:
        said = str(error)
        assert re.match("unknown format '|format '|a format's name", said.replace('"', "'")), name
        assert "\n" not in said
        assert len(said) < 600, name
        return False
    assert parse_format(fmt.name) == fmt, name
    return True


def test_random_names(seed):
    rng = random.Random(seed)
    names = ["".join(rng.choices(ALPHABET, k=rng.randrange(1, 9))) for _ in range(3000)]
    assert any(map(wrong_or_canonical, names))


def test_mutated_names(seed):
    rng = random.Random(seed)
    good = 0
    for _ in range(3000):
        words = list(rng.choice([*NAMES]))
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(words) + 1)
            match rng.randrange(4):
                case 0:
                    words[at : at + 1] = []
                case 1:
                    words.insert(at, rng.choice(ALPHABET))
                case 2:
                    words[at : at + 1] = rng.choice(ALPHABET)
                case _:
                    words += ":" + rng.choice([*NAMES])
        good += wrong_or_canonical("".join(words))
    assert 0 < good < 2900


@pytest.mark.parametrize(
    "name",
    [
        "lut:" * 1000 + "0",
        "khot2:" * 680 + "int8",
        "block:" * 680 + "e2m1",
        "nf4:" * 1000 + "e2m1",
        "block:e2m1:scale=" * 200 + "e8m0",
        "lut:" * 30 + "e2m1:12",
        "block:" * 30 + "e2m1",
        "khot2:" * 30 + "int8",
        ":" * 4096,
        ":" * 4097,
        "=" * 4096,
        "mxfp4:" + "size=1" * 600,
        "mxfp4:rule=" + "floor" * 800,
        "e4m3fn:" + "x" * 4000,
        "int8:" + "x" * 4000,
        "e8m0:" + "x" * 4000,
        "mxint8:" + "x" * 4000,
        "s" + "9" * 4000 + ".0",
        "lut:e2m1:" + "0" * 4000,
        "power8:a=" + "1" * 4000,
        "power8:a=0.05:s-300.330",
    ],
    ids=lambda name: f"{name[:12]}...{len(name)}",
)
def test_hostile_names_neither_hang_nor_fall(name):
    start = time.perf_counter()
    wrong_or_canonical(name)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("name", [None, 7, b"bf16", ["bf16"], 1.5, True, parse_format("bf16")])
def test_names_are_text(name):
    with pytest.raises(SpecError, match=r"^a format must be a name, not "):
        parse_format(name)
