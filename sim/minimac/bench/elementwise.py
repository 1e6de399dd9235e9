"""Operands of units that do one operation on each transfer, and what the model makes of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.bench.operands import STYLES
from minimac.bench.transferbench import Fields, TransferBench
from minimac.model import decode, encode
from minimac.model.elementwise import operate
from minimac.spec import Adder, Design, Fma, Format, Minifloat

__all__ = ["ElementwiseBench", "operations"]

Codes = NDArray[np.int64]
Operands = tuple[Codes, ...]


class ElementwiseBench(TransferBench):
    """How a ``multiplier``, an ``adder`` or an ``fma`` is tried."""

    def formats(self, design: Design) -> dict[str, Format]:
        """Return the formats of all operands."""
        return design.operands

    def expected(self, design: Design, fields: Fields) -> Fields:
        """Return the results."""
        return {"result": operate(design, *(fields[name] for name in self.formats(design)))}

    def draw(self, design: Design, rng: np.random.Generator, count: int) -> Iterator[Fields]:
        """Draw operands of every style, and aimed at what is hard.

        Hard are sums that cancel or almost do, or whose parts are any distance apart, and results
        at the ends of the range.
        """
        for operands in _draw(design, rng, count):
            yield dict(zip("abc", operands, strict=False))

    def given(self, design: Design, a: NDArray[Any], b: NDArray[Any]) -> Fields:
        """Return the operands of each product of two matrices."""
        operands, _ = operations(design, a, b)
        return {name: part.ravel() for name, part in zip("abc", operands, strict=False)}


def operations(design: Design, a: Codes, b: Codes) -> tuple[Operands, Codes]:
    """Turn matrices (M, K) and (K, N) into operations, one for each of the M N K products.

    A product's operands are those of the operation. The third one of a fused multiply-add is the
    result for the product before it in the chain, or +0.

    Returns
    -------
    operands : tuple of ndarray of int, shape (M, N, K)
        Codes of each operand.
    results : ndarray of int, shape (M, N, K)
        Codes of the results.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "x", "unit": "adder", "a": "int8", "b": "int8",
    ...     "out": "int8"})
    >>> (x, y), results = operations(design, np.array([[1, 2]]), np.array([[3, 4], [5, 6]]))
    >>> x.tolist(), y.tolist(), results.tolist()
    ([[[1, 2], [1, 2]]], [[[3, 5], [4, 6]]], [[[4, 7], [5, 8]]])
    """
    x, y = np.broadcast_arrays(a[:, None, :], b.T[None, :, :])
    if not isinstance(design, Fma):
        return (x, y), operate(design, x, y)
    results = np.zeros((*x.shape[:2], x.shape[2] + 1), np.int64)
    for k in range(x.shape[2]):
        results[..., k + 1] = operate(design, x[..., k], y[..., k], results[..., k])
    return (x, y, results[..., :-1]), results[..., 1:]


def _draw(design: Design, rng: np.random.Generator, count: int) -> Iterator[Operands]:
    for style in STYLES.values():
        a = style(design, rng, count, 1, 1)[0][:, 0]
        b = style(design, rng, 1, 1, count)[1][0]
        if isinstance(design, Fma):
            for aim in (_near_negative, _apart):
                yield a, b, aim(design.out, rng, _values(design.a, a) * _values(design.b, b))
            yield a, b, rng.integers(1 << design.out.width, size=count)
        elif isinstance(design, Adder):
            yield a, b
            for aim in (_near_negative, _apart):
                yield a, aim(design.b, rng, _values(design.a, a))
        else:
            yield a, b
            yield a, _toward_ends(design, rng, _values(design.a, a))


def _values(fmt: Format, codes: Codes) -> NDArray[np.float64]:
    """Return values, what is special as 1."""
    values = decode(fmt, codes)
    return np.where(np.isfinite(values), values, 1.0)


def _code(fmt: Format, values: NDArray[np.float64], rng: np.random.Generator) -> Codes:
    """Return the codes nearest to values, or next to those."""
    codes = np.asarray(encode(fmt, np.nan_to_num(values)), np.int64)
    near = codes + rng.integers(-1, 2, codes.size) * rng.integers(2, size=codes.size)
    near &= (1 << fmt.width) - 1
    return np.where([fmt.holds(code) for code in near.tolist()], near, codes)


def _near_negative(fmt: Format, rng: np.random.Generator, values: NDArray[np.float64]) -> Codes:
    return _code(fmt, -values, rng)


def _apart(fmt: Format, rng: np.random.Generator, values: NDArray[np.float64]) -> Codes:
    """Return codes of numbers of either sign that are up to so many binades apart as matter."""
    bits = fmt.sig_bits + 4
    scale = np.exp2(rng.integers(-bits, bits, values.size)) * rng.choice([-1, 1], values.size)
    with np.errstate(over="ignore", invalid="ignore"):
        return _code(fmt, values * scale * rng.uniform(1, 2, values.size), rng)


def _toward_ends(design: Design, rng: np.random.Generator, values: NDArray[np.float64]) -> Codes:
    """Return codes whose products with values are at the ends of the range of the result."""
    out = design.out
    ends = [float(out.max_lsbs), 1.0, 0.5]
    if isinstance(out, Minifloat):
        ends.append(2.0**out.man_bits)  # the least normal
    with np.errstate(all="ignore"):
        goals = rng.choice(ends, values.size) * 2.0**out.lsb_exp / values
    return _code(design.b, goals, rng)
