"""Tests of :mod:`minimac.spec.blocks`."""

import re
from fractions import Fraction

import pytest

import oracle
from minimac.spec import BlockFormat, FixedPoint, Minifloat, ScaleRule, SpecError, parse_format
from minimac.spec.blocks import BLOCKS

#: Name: element, size, scale, rule, scale of the tensor, least and largest element.
FACTS = {
    "mxfp8_e4m3": ("e4m3fn", 32, "e8m0", "floor", None, -448, 448),  # OCP MX 1.0, table 1
    "mxfp8_e5m2": ("e5m2", 32, "e8m0", "floor", None, -57344, 57344),
    "mxfp6_e3m2": ("e3m2", 32, "e8m0", "floor", None, -28, 28),
    "mxfp6_e2m3": ("e2m3", 32, "e8m0", "floor", None, -7.5, 7.5),
    "mxfp4": ("e2m1", 32, "e8m0", "floor", None, -6, 6),
    "mxint8": ("s1.6:sym", 32, "e8m0", "floor", None, -127 / 64, 127 / 64),  # arXiv 2510.25602
    "mxint6": ("s1.4:sym", 32, "e8m0", "floor", None, -31 / 16, 31 / 16),
    "mxint4": ("s1.2:sym", 32, "e8m0", "floor", None, -7 / 4, 7 / 4),
    "mxint8:ocp": ("s1.6", 32, "e8m0", "floor", None, -2, 127 / 64),  # OCP MX 1.0, 5.3.4
    "nvfp4": ("e2m1", 16, "ue4m3fn", "even", "fp32", -6, 6),
    "nvint4": ("int4:sym", 16, "ue4m3fn", "even", "fp32", -7, 7),
    "bfp16": ("s0.7:sym", 64, "e8m0", "floor", None, -127 / 128, 127 / 128),  # arXiv 2403.20137
    "bfp12": ("s0.3:sym", 64, "e8m0", "floor", None, -7 / 8, 7 / 8),
    "dfp16": ("int16", None, "e8m0", "floor", None, -32768, 32767),  # arXiv 1802.00930
}
NAMES = [
    *FACTS,
    *("block:nf4:size=64", "block:khot2:s0.7:size=8", "block:bin", "block:e4m3fnuz:scale=bf16"),
    *("mxfp4:scale=ue5m3", "block:ue4m3:size=3"),
]


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
    fmt = parse_format(name)
    element, size, scale, rule, tensor, least, most = FACTS[name]
    assert (fmt.element, fmt.size) == (parse_format(element), size)
    assert (fmt.scale, fmt.rule) == (parse_format(scale), rule)
    assert fmt.tensor_scale == (parse_format(tensor) if tensor else None)
    lsb = Fraction(2) ** fmt.lsb_exp
    assert (fmt.min_lsbs * lsb, fmt.max_lsbs * lsb) == (least, most)


def test_facts_are_complete():
    assert {*BLOCKS} <= {*FACTS}


@pytest.mark.parametrize("bits", [2, 8, 16, 32])
def test_dynamic_fixed_point(bits):
    fmt = parse_format(f"dfp{bits}")
    assert fmt == BlockFormat(FixedPoint(True, bits - 1, 0), None)
    assert fmt.name == f"dfp{bits}"


@pytest.mark.parametrize("name", NAMES)
def test_operands_are_those_of_the_elements(name):
    fmt = parse_format(name)
    element = fmt.element
    for key in ("width", "sig_bits", "min_exp", "max_exp", "min_lsbs", "max_lsbs", "lsb_exp"):
        assert getattr(fmt, key) == getattr(element, key), key
    assert fmt.signed == (element.min_lsbs < 0)
    assert fmt.value_format == element.value_format
    codes = range(min(1 << fmt.width, 4096))
    assert [fmt.holds(code) for code in codes] == [element.holds(code) for code in codes]
    finite = [
        code
        for code in codes
        if oracle.is_valid(element, code)
        and isinstance(oracle.operand(element, code), oracle.Operand)
    ]
    assert [fmt.lsbs(code) for code in finite] == [element.lsbs(code) for code in finite]


@pytest.mark.parametrize(
    ("name", "nan", "infinities"),
    [
        ("mxfp4", True, False),  # by the scale
        ("mxfp4:scale=ue4m3", False, False),
        ("block:e4m3fn:scale=ue4m3", True, False),
        ("block:e5m2:scale=ue4m3", True, True),
        ("mxfp4:scale=e5m2", True, False),  # an infinite scale counts as NaN
    ],
)
def test_specials(name, nan, infinities):
    fmt = parse_format(name)
    assert (fmt.has_nan, fmt.has_infinities) == (nan, infinities)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"element": parse_format("mxfp4")},
            "elements of a block must be of a scalar format, not mxfp4",
        ),
        (
            {"element": parse_format("e8m0")},
            "elements of a block must be of a scalar format, not e8m0",
        ),
        ({"element": parse_format("lut:e2m1:089")}, "elements must have a positive value"),
        ({"size": 0}, "a block has 1 to 65536 elements, not 0"),
        ({"size": 65537}, "a block has 1 to 65536 elements, not 65537"),
        ({"scale": parse_format("int8")}, "scales must be a minifloat or e8m0, not int8"),
        ({"scale": parse_format("nf4")}, "scales must be a minifloat or e8m0, not nf4"),
        (
            {"tensor_scale": parse_format("e8m0")},
            "a tensor's scale must be a minifloat, not e8m0",
        ),
    ],
)
def test_wrong_formats(fields, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        BlockFormat(**{"element": Minifloat(2, 1)} | fields)


def test_a_name_is_that_of_the_nearest_format():
    """Of several well-known ones with the same elements, that which differs in the least."""
    e2m1 = Minifloat(2, 1)
    nvfp4 = parse_format("nvfp4")
    near = BlockFormat(e2m1, 16, nvfp4.scale, ScaleRule.MSE, nvfp4.tensor_scale)
    assert near.name == "nvfp4:rule=mse"
    assert BlockFormat(e2m1, 16).name == "mxfp4:size=16"
    assert BlockFormat(Minifloat(3, 1), 16).name == "block:e3m1:size=16"
    assert BlockFormat(parse_format("s1.6"), None).name == "mxint8:ocp:size=tensor"


def test_defaults_are_those_of_ocp():
    fmt = BlockFormat(Minifloat(2, 1))
    assert (fmt.size, fmt.scale.name, fmt.rule, fmt.tensor_scale) == (32, "e8m0", "floor", None)


def test_rules():
    assert [str(rule) for rule in ScaleRule] == ["floor", "ceil", "even", "roundup", "mse"]
