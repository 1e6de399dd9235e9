"""Tests of softmax in :mod:`minimac.spec.functions`."""

import pytest

from minimac.spec import SpecError, load_design

BASE = {"name": "s", "unit": "softmax", "a": "bf16", "out": "bf16"}


def test_what_follows():
    design = load_design(BASE)
    assert (design.length, design.mantissa, design.guard_bits) == (256, 12, 8)
    assert load_design(design.as_dict()) == design
    how = design.exponential
    assert (how.int_bits, how.frac_bits, how.segments) == (16, 12, 64)
    assert load_design(BASE | {"a": "s4.3"}).exponential.int_bits == 5
    assert load_design(BASE | {"length": 1}).guard_bits == 0
    for bits in range(6, 17):
        how = load_design(BASE | {"mantissa": bits}).exponential
        assert 0.97 / 8 / how.segments**2 <= 2.0 ** -(bits + 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"length": 0}, "length: must be 1 to 65536, not 0"),
        ({"mantissa": 20}, "mantissa: must be 6 to 16, not 20"),
        ({"a": "fp32"}, "a: softmax takes formats of at most 16 bits, not fp32"),
        ({"b": "bf16"}, "b: softmax has one operand; leave this key out"),
        ({"a": "int8", "out": "uint8", "out_overflow": "wrap"}, "out_overflow: must not be wrap"),
        ({"out_round": "sr_b"}, "out_round: must not be stochastic in softmax"),
        ({"segments": 8}, "segments: is a key of unit activation; leave it out"),
    ],
)
def test_errors(fields, message):
    with pytest.raises(SpecError) as caught:
        load_design(BASE | fields)
    assert str(caught.value).startswith(message)
