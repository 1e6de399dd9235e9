"""Operands that find faults: uniform codes alone almost never cancel, overflow or underflow."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from minimac.model import decode, encode
from minimac.spec import BlockFormat, FixedPoint, Format, Minifloat

__all__ = ["STYLES", "Elements", "all_codes", "corner_codes", "largest_code", "valid"]

Codes = NDArray[np.int64]
Pair = tuple[Codes, Codes]


class Formats(Protocol):
    """Formats of two operands."""

    @property
    def a(self) -> Format:
        """That of the first one."""

    @property
    def b(self) -> Format:
        """That of the second one."""


class Elements:
    """Formats of two operands, or of their elements if they are blocks.

    Parameters
    ----------
    formats
        What has ``a`` and ``b``, such as a design.
    """

    def __init__(self, formats: Formats) -> None:
        self.a, self.b = (
            fmt.element if isinstance(fmt, BlockFormat) else fmt for fmt in (formats.a, formats.b)
        )


Draw = Callable[[Formats, np.random.Generator, int, int, int], Pair]


def largest_code(fmt: Format, *, negative: bool = False) -> int:
    """Return the code of the largest finite value, or of the least one."""
    if isinstance(fmt, Minifloat):
        return fmt.max_code | ((negative and fmt.signed) << fmt.magnitude_bits)
    if isinstance(fmt, FixedPoint):
        return (fmt.min_lsbs if negative else fmt.max_lsbs) & (1 << fmt.width) - 1
    codes = all_codes(fmt)
    values = decode(fmt, codes)
    values = np.where(np.isfinite(values), values, 0.0)
    return int(codes[np.argmin(values) if negative else np.argmax(values)])


def all_codes(fmt: Format) -> Codes:
    """Return all codes of a format, of 16 bits at most, but those that stand for nothing."""
    return np.array([code for code in range(1 << fmt.width) if fmt.holds(code)], np.int64)


def valid(fmt: Format, codes: Codes) -> Codes:
    """Replace codes that stand for nothing by code 0."""
    if isinstance(fmt, (Minifloat, FixedPoint)):
        unused = 1 << fmt.width - 1 if isinstance(fmt, FixedPoint) and fmt.symmetric else -1
        return np.where(codes == unused, 0, codes)
    return np.where(np.isin(codes, all_codes(fmt)), codes, 0)


def corner_codes(fmt: Format) -> Codes:
    """Return the codes at the ends of a format: zeros, least and largest of each sort, specials.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> [hex(code) for code in corner_codes(parse_format("e2m1"))]
    ['0x0', '0x1', '0x2', '0x3', '0x7', '0x8', '0x9', '0xa', '0xb', '0xf']
    """
    largest = largest_code(fmt)
    found = {0, 1, largest}
    if isinstance(fmt, Minifloat):
        one = 1 << fmt.man_bits
        found |= {max(one - 1, 0), one, min(one + 1, largest)}
        found |= {code for code in (fmt.infinity_code, fmt.nan_code) if code is not None}
        if fmt.signed:
            sign = 1 << fmt.magnitude_bits
            found |= {code | sign for code in found}
    elif fmt.signed:
        found |= {largest_code(fmt, negative=True), (1 << fmt.width) - 1}
    return np.array(sorted(code for code in found if fmt.holds(code)), np.int64)


def _uniform(spec: Formats, rng: np.random.Generator, m: int, k: int, n: int) -> Pair:
    """Every code alike."""
    a = rng.integers(1 << spec.a.width, size=(m, k))
    b = rng.integers(1 << spec.b.width, size=(k, n))
    return valid(spec.a, a), valid(spec.b, b)


def _near_one(spec: Formats, rng: np.random.Generator, m: int, k: int, n: int) -> Pair:
    """Values of like size: sums that carry, cancel and normalise."""
    return _encoded(spec.a, rng.normal(size=(m, k))), _encoded(spec.b, rng.normal(size=(k, n)))


def _corners(spec: Formats, rng: np.random.Generator, m: int, k: int, n: int) -> Pair:
    """Corners of the formats, among values of like size so that not every sum is special."""
    a, b = _near_one(spec, rng, m, k, n)
    for codes, fmt, rate in ((a, spec.a, 0.1), (b, spec.b, 0.1)):
        chosen = rng.random(codes.shape) < rate
        codes[chosen] = rng.choice(corner_codes(fmt), size=int(chosen.sum()))
    return a, b


def _cancelling(spec: Formats, rng: np.random.Generator, m: int, k: int, n: int) -> Pair:
    """Products that come again with the other sign, exactly or nearly."""
    a, b = _near_one(spec, rng, m, k, n)
    half = k // 2
    if half and spec.a.signed:
        order = rng.permutation(k)
        first, second = order[:half], order[half : 2 * half]
        if isinstance(spec.a, Minifloat):
            a[:, second] = a[:, first] ^ 1 << spec.a.magnitude_bits
        else:
            a[:, second] = -a[:, first] & (1 << spec.a.width) - 1
        b[second] = b[first] ^ (rng.random((half, n)) < 0.3)
    return valid(spec.a, a), valid(spec.b, b)


def _tiny(spec: Formats, rng: np.random.Generator, m: int, k: int, n: int) -> Pair:
    """Small codes: subnormals and what is next to them."""
    a = _signed_codes(spec.a, rng, (m, k))
    b = _signed_codes(spec.b, rng, (k, n))
    return a, b


def _signed_codes(fmt: Format, rng: np.random.Generator, shape: tuple[int, int]) -> Codes:
    man_bits = fmt.man_bits if isinstance(fmt, Minifloat) else fmt.width // 2
    codes = rng.integers(min(4 << man_bits, largest_code(fmt) + 1), size=shape)
    if fmt.signed:
        sign = rng.integers(2, size=shape)
        if isinstance(fmt, Minifloat):
            return codes | sign << fmt.magnitude_bits
        codes = np.where(sign, -codes, codes) & (1 << fmt.width) - 1
    return valid(fmt, codes)


def _encoded(fmt: Format, values: NDArray[np.float64]) -> Codes:
    """Encode values, scaled so that a fixed-point format resolves them."""
    if not isinstance(fmt, Minifloat):
        values = values * fmt.max_lsbs * 2.0**fmt.lsb_exp / 3
    if not fmt.signed:
        values = np.abs(values)
    return np.asarray(encode(fmt, values), np.int64)


#: Ways to draw operands of shapes ``(m, k)`` and ``(k, n)``, by name.
STYLES: dict[str, Draw] = {
    "uniform": _uniform,
    "near_one": _near_one,
    "corners": _corners,
    "cancelling": _cancelling,
    "tiny": _tiny,
}
