"""Sums of many numbers: one tree of full adders for all their bits, and one adder at its end."""

import heapq
from itertools import count

from amaranth.hdl import Cat, Const, Module, Signal, Value

__all__ = ["BitHeap"]

# Delays of a full adder, in levels: to its sum, to its carry.
_SUM, _CARRY = 2, 1


class BitHeap:
    """Bits to be added up, by their weights.

    Parameters
    ----------
    width : int
        Width of the total, which is taken modulo ``2**width``.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._columns: list[list[tuple[int, int, Value]]] = [[] for _ in range(width)]
        self._constant = 0
        self._top = 0  # above all bits that have been added, those of full width apart
        self._order = count()

    def add(self, value: Value, place: int = 0) -> None:
        """Add a number times ``2**place``; one in two's complement if it is signed."""
        bits = list(value)
        sign = place + len(bits) - 1
        if value.shape().signed and sign < self.width - 1:
            # -s is (1 - s) - 1: no sign has to be extended, and all ones come to one constant.
            bits[-1] = ~bits[-1]
            self._constant -= 1 << sign
        for n, bit in enumerate(bits[: self.width - place]):
            self.add_bit(bit, place + n)
        if sign < self.width - 1:
            self._top = max(self._top, sign + 1)

    def add_bit(self, bit: Value, place: int, time: int = 0) -> None:
        """Add a bit times ``2**place``, which is there after some levels of logic."""
        if place < self.width and not (isinstance(bit, Const) and bit.value == 0):
            heapq.heappush(self._columns[place], (time, next(self._order), bit))

    def total(self, m: Module) -> Value:
        """Add the hardware to a module; return the total."""
        run = self._spread_constant()
        rows: tuple[list[Value], list[Value]] = ([], [])
        for place, column in enumerate(self._columns):
            if place == run:
                self._extend(m, place)
            while len(column) > 2:
                self._full_adder(m, place)
            bits = [bit for _, _, bit in column]
            for row in rows:
                row.append(bits.pop() if bits else Const(0, 1))
        return (Cat(rows[0]) + Cat(rows[1]))[: self.width]

    def _spread_constant(self) -> int:
        """Turn the constant into bits; return from where on it would be all ones, or ``width``."""
        negative = self._constant < 0
        run = max(self._top, (-self._constant - 1).bit_length()) if negative else self.width
        run = min(run, self.width)
        ones = self._constant % (1 << run)
        for place in range(run):
            if ones >> place & 1:
                self.add_bit(Const(1, 1), place)
        return run

    def _extend(self, m: Module, place: int) -> None:
        """Subtract ``2**place``: one of the bits there takes that up, as the sign of -(1 - bit)."""
        column = self._columns[place]
        _, _, bit = column.pop(0) if column else (0, 0, Const(0, 1))
        heapq.heapify(column)
        sign = Signal(name=f"sign_{place}")
        m.d.comb += sign.eq(~bit)
        for n in range(place, self.width):
            self.add_bit(sign, n)

    def _full_adder(self, m: Module, place: int) -> None:
        """Replace the three earliest bits by their sum and carry."""
        column = self._columns[place]
        taken = [heapq.heappop(column) for _ in range(3)]
        time = taken[-1][0]
        x, y, z = (bit for _, _, bit in taken)
        n = next(self._order)
        total, carry = Signal(name=f"sum_{place}_{n}"), Signal(name=f"carry_{place}_{n}")
        m.d.comb += [total.eq(x ^ y ^ z), carry.eq((x & y) | (z & (x | y)))]
        self.add_bit(total, place, time + _SUM)
        self.add_bit(carry, place + 1, time + _CARRY)
