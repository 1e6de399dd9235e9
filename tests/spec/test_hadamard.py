"""Tests of Hadamard transforms in :mod:`minimac.spec.functions`."""

import pytest

from minimac.spec import SpecError, load_design

BASE = {"name": "h", "unit": "hadamard", "a": "int8", "out": "int8"}


def test_widths_and_shifts():
    for lanes, bits, shift in ((2, 10, 0), (4, 11, 1), (16, 13, 2), (32, 14, 2), (128, 16, 3)):
        design = load_design(BASE | {"lanes": lanes})
        assert (design.sum_bits, design.shift) == (bits, shift)
        assert load_design(design.as_dict()) == design
    assert {"b", "accumulate", "product"}.isdisjoint(design.as_dict())
    assert load_design(BASE | {"a": "fp16", "lanes": 128}).sum_bits == 48


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lanes": 24}, "lanes: must be a power of two from 2 to 128, not 24"),
        ({"lanes": 1}, "lanes: must be a power of two from 2 to 128, not 1"),
        ({"a": "bf16"}, "a: sums of 16 numbers of bf16 take 266 bits, and 64 are the most; use "),
        ({"b": "int8"}, "b: hadamard has one operand; leave this key out"),
        ({"a": "mxint8"}, "a: hadamard takes scalar formats, not mxint8"),
    ],
)
def test_errors(fields, message):
    with pytest.raises(SpecError) as caught:
        load_design(BASE | fields)
    assert str(caught.value).startswith(message)
