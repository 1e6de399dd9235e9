"""Tests of :mod:`minimac.spec.products`."""

import pytest

import oracle
from minimac.spec import Product


def test_words():
    assert [str(kind) for kind in Product] == ["exact", "lmul", "lmul_add", "mitchell"]
    assert [str(kind) for kind in Product if kind.adds_codes] == ["lmul_add", "mitchell"]


@pytest.mark.parametrize("man_bits", range(1, 24))
def test_offset(man_bits):
    """``2**-l(m)`` in units of the mantissa: 3.3."""
    offset = 2**man_bits // 2 ** oracle.offset_bits(man_bits)
    assert Product.LMUL.offset(man_bits) == Product.LMUL_ADD.offset(man_bits) == offset
    assert Product.MITCHELL.offset(man_bits) == Product.EXACT.offset(man_bits) == 0


def test_offset_by_hand():
    # arXiv 2410.00907, equation 2: l is m up to 3 bits, 3 at 4, and 4 above.
    assert [Product.LMUL.offset(m) for m in range(1, 9)] == [1, 1, 1, 2, 2, 4, 8, 16]
