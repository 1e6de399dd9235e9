"""Of several powers of two, the scale of a block with the least sum of squared errors.

What is compared is exact, and few scales can be the best:

* *Larger* than the one of rule ``roundup``, at which nothing is clipped, no scale is better: twice
  an element is an element, so that the elements at twice the scale are some of those at the scale.
  One is as good if each number has a nearest element among them: an element of ``2**k`` times as
  many units is one at ``2**k`` times the scale, so that the zeros at the end of all of them say how
  far that goes.
* *Smaller* ones clip the largest number. What that costs is at least the square of what is cut off,
  less the error that it had; what each other number gains is at most the error that it had, less
  the square of what is cut off of it. :func:`smaller_scales` compares the least cost with the
  largest gain.
"""

import bisect
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from minimac.rtl.shift import shift_left
from minimac.spec import FixedPoint, Minifloat

__all__ = ["MOST_BITS", "MOST_CODE_BITS", "MOST_SCALES", "Aligned", "LeastError", "smaller_scales"]

#: The widest elements in their least units that are compared.
MOST_BITS = 18
#: The widest elements: all their values are looked at.
MOST_CODE_BITS = 12
#: The most scales below that of ``roundup`` that are tried.
MOST_SCALES = 3


@functools.cache
def smaller_scales(element: Minifloat | FixedPoint, size: int) -> int | None:
    """Return how many scales below that of ``roundup`` can be the best one of a block.

    None if more than :data:`MOST_SCALES` can, or if a block with a number beyond the largest scale
    may want another than that.

    All is in units of the least element at the scale of ``roundup``. Gain and cost are linear
    between the points looked at: where the nearest element is another one, or where clipping
    begins. With smaller scales the gain only falls, and the cost only rises.
    """
    sides = [range(element.max_lsbs + 1)]
    if element.min_lsbs != -element.max_lsbs:
        sides.append(range(-element.min_lsbs + 1))
    grids = [_elements(element, side) for side in sides]

    def error(grid: list[int], x: Fraction) -> Fraction:
        at = bisect.bisect_left(grid, x)
        return min((x - value) ** 2 for value in grid[max(at - 1, 0) : at + 1])

    def cut(grid: list[int], x: Fraction, n: int) -> Fraction:
        return max(x - Fraction(grid[-1], 1 << n), Fraction(0)) ** 2

    half = Fraction(element.max_lsbs, 2)
    points = [
        {Fraction(value) for value in grid}
        | {Fraction(x + y, 2) for x, y in itertools.pairwise(grid)}
        | {half}
        for grid in grids
    ]
    for n in range(1, MOST_SCALES + 2):
        gain, cost = Fraction(0), Fraction(element.max_lsbs**2)
        for grid, fixed in zip(grids, points, strict=True):
            for x in fixed | {Fraction(grid[-1], 1 << n)}:
                change = error(grid, x) - cut(grid, x, n)
                gain = max(gain, change)
                if x >= half:
                    cost = min(cost, -change)
        if n == 1 and half**2 < (size - 1) * gain:
            return None
        if cost >= (size - 1) * gain:
            return n - 1
    return None


def _elements(element: Minifloat | FixedPoint, magnitudes: range) -> list[int]:
    """Return those magnitudes that are elements, in units of the least one."""
    if isinstance(element, FixedPoint) or element.exp_bits == 0:
        return [*magnitudes]

    def holds(x: int) -> bool:
        below = max(x.bit_length() - element.man_bits - 1, 0)
        return x >> below << below == x

    return [*filter(holds, magnitudes)]


@dataclass(frozen=True)
class Aligned:
    """A number in units of the least element at the smallest scale, but for ``fraction`` bits."""

    magnitude: Value
    sign: Value


class LeastError:
    """The choice among the scale of ``roundup`` and those around it.

    Parameters
    ----------
    element : Minifloat or FixedPoint
        Format of the elements.
    smaller : int
        How many scales below are tried: see :func:`smaller_scales`.
    fraction : int
        Fraction bits of the aligned numbers; those below a half of the least element are never
        asked for.
    """

    def __init__(self, element: Minifloat | FixedPoint, smaller: int, fraction: int) -> None:
        self.element = element
        self.smaller = smaller
        self.fraction = fraction
        self.element_bits = max(element.max_lsbs, -element.min_lsbs).bit_length()
        self.width = self.element_bits + 1 + smaller + fraction

    def align(self, m: Module, significand: Value, amount: Value) -> Signal:
        """Shift a significand left, or far right: then it is zero at every scale.

        What is too large is as large as can be.
        """
        most = self.element_bits + self.smaller + len(significand)
        distance = Signal(range(most + 1), name="align_distance")
        m.d.comb += distance.eq(Mux(amount > most, most, amount))
        wide = Cat(significand, Const(0, most))
        moved = shift_left(m, wide, distance)
        aligned = Signal(self.width, name="aligned")
        m.d.comb += aligned.eq(
            moved[: self.width] | moved[self.width :].any().replicate(self.width)
        )
        return Mux(amount < 0, 0, aligned)[: self.width]

    def _limit(self, sign: Value) -> Value:
        """Return the largest magnitude on one side."""
        element = self.element
        return Mux(sign, -element.min_lsbs, element.max_lsbs)

    def nearest(self, m: Module, number: Aligned, n: int) -> tuple[Value, Value]:
        """Return the nearest element at the n-th scale below, and one with most zeros at its end.

        Both in units of the least element at that scale.
        """
        below = self.fraction + self.smaller - n
        whole, rest = number.magnitude[below:], number.magnitude[:below]
        bits = len(whole)
        drop: list[Value] = [Const(0, 1)] * (bits + 1)
        element = self.element
        if isinstance(element, Minifloat) and element.exp_bits:
            for i in range(bits - element.man_bits - 1):
                drop[i] = whole[i + element.man_bits + 1 :].any()
        unit = Cat(~drop[0], *(drop[i - 1] & ~drop[i] for i in range(1, bits)))
        dropped = Cat(*drop[:bits])
        half = Cat(unit[1:], Const(0, 1))
        rounded = Signal(bits + 1, name=f"rounded_{n}")
        m.d.comb += rounded.eq((whole + half + (rest[-1] & ~drop[0])) & Cat(~dropped, Const(1, 1)))
        limit = self._limit(number.sign)
        found = Signal(self.element_bits, name=f"nearest_{n}")
        m.d.comb += found.eq(Mux(rounded > limit, limit, rounded))
        tie = Mux(
            drop[0],
            ((whole & dropped) == half) & ~rest.any(),
            rest[-1] & ~rest[:-1].any(),
        )
        even = Signal(self.element_bits, name=f"even_{n}")
        m.d.comb += even.eq(found & ~(unit & tie.replicate(bits)))
        return found, even

    def gains(self, m: Module, number: Aligned) -> tuple[list[Value], Value]:
        """Return what the square of the error is less at each scale below, and an element.

        The element is the nearest one at the scale of ``roundup`` that has most zeros at its end.
        """
        first, even = self.nearest(m, number, 0)
        base = first << self.smaller
        gains = []
        for n in range(1, self.smaller + 1):
            other = self.nearest(m, number, n)[0] << self.smaller - n
            gain = Signal(
                signed(2 * (self.element_bits + self.smaller) + self.fraction + 4), name=f"gain_{n}"
            )
            twice = Cat(Const(0, 1), number.magnitude)
            middle = twice - (Cat(Const(0, self.fraction), base + other))
            m.d.comb += gain.eq((other - base) * middle)
            gains.append(gain)
        return gains, even

    def choose(
        self, m: Module, scale: Value, last: int, gains: Sequence[Sequence[Value]], evens: Any
    ) -> Signal:
        """Return the code of the best scale.

        Parameters
        ----------
        scale : Value
            That of ``roundup``.
        last : int
            Code of the largest scale.
        gains, evens
            What :meth:`gains` found for each number.
        """
        chosen = Signal(len(scale), name="least_scale")
        best: Value = Const(0)
        index: Value = Const(0)
        for n, column in enumerate(zip(*gains, strict=True), 1):
            total = Signal(signed(len(column[0]) + len(column).bit_length()), name=f"total_{n}")
            m.d.comb += total.eq(sum(column[1:], column[0]))
            better = (total > best) & (scale >= n)
            best, index = Mux(better, total, best), Mux(better, n, index)
        ends = Signal(self.element_bits, name="all_elements")
        m.d.comb += ends.eq(Cat(*(Cat(*(even[i] for even in evens)).any()
                                  for i in range(self.element_bits))))  # fmt: skip
        up: Value = Const(last, len(scale))
        for i in reversed(range(self.element_bits)):
            up = Mux(ends[i], i, up)
        larger = Signal(len(scale) + 1, name="larger_scale")
        m.d.comb += [
            larger.eq(scale + up),
            chosen.eq(Mux(larger > last, last, larger)),
        ]
        with m.If(index != 0):
            m.d.comb += chosen.eq(scale - index)
        return chosen
