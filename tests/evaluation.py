"""Logic evaluated for many operands at once: a bit of each of them in one large integer.

Amaranth's netlist is read directly, bit by bit, so that a circuit of a few hundred cells takes
milliseconds for all 2**16 codes of an operand. Only what combinational units consist of is known.
"""

import contextlib
import functools
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from amaranth.hdl import Fragment, Value
from amaranth.hdl._ir import PortDirection, build_netlist
from amaranth.hdl._nir import AssignmentList, Matches, Operator, Part, PriorityMatch, Top
from amaranth.lib import wiring

__all__ = ["evaluate"]


@contextlib.contextmanager
def _deep() -> Iterator[None]:
    """Let chains of cells be as long as they are; for others, what nests too deeply is an error."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@_deep()
def evaluate(component: wiring.Component, operands: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of a combinational component for each value of its inputs.

    Parameters
    ----------
    component : wiring.Component
        With plain ports; no registers.
    operands : dict of str to sequence of int
        For each input as many values as for the others.

    Returns
    -------
    dict of str to list of int
    """
    count = len(next(iter(operands.values())))
    ports = {}
    for name, member in component.signature.members.items():
        into = member.flow is wiring.In
        direction = PortDirection.Input if into else PortDirection.Output
        ports[name] = Value.cast(getattr(component, name)), direction
    netlist = build_netlist(Fragment.get(component, None), ports=ports)
    logic = _Logic(netlist, count)
    top = netlist.cells[0]
    assert isinstance(top, Top)
    for name, (start, width) in top.ports_i.items():
        for n, bits in enumerate(_columns(operands[name], width)):
            logic.known[0, start + n] = bits
    return {
        name: _values([logic.bit(net) for net in value], count)
        for name, value in top.ports_o.items()
    }


def _columns(values: Any, width: int) -> list[int]:
    """Return the bits of all values: for each place one integer."""
    raw = b"".join(int(v).to_bytes(-(-width // 8), "little") for v in values)
    bits = np.unpackbits(
        np.frombuffer(raw, np.uint8).reshape(len(values), -1), axis=1, bitorder="little"
    )
    return [
        int.from_bytes(np.packbits(bits[:, n], bitorder="little").tobytes(), "little")
        for n in range(width)
    ]


def _values(columns: list[int], count: int) -> list[int]:
    """Undo that."""
    size = -(-count // 8)
    totals = np.zeros(count, object if len(columns) > 62 else np.int64)
    for n, column in enumerate(columns):
        raw = np.frombuffer(column.to_bytes(size, "little"), np.uint8)
        totals += np.unpackbits(raw, bitorder="little")[:count].astype(totals.dtype) << n
    return [int(total) for total in totals]


class _Logic:
    """Bits of a netlist, worked out when they are asked for."""

    def __init__(self, netlist: Any, count: int) -> None:
        self.cells = netlist.cells
        self.ones = (1 << count) - 1
        self.known: dict[tuple[int, int], int] = {}
        self.carries: dict[tuple[int, int], int] = {}

    def bit(self, net: Any) -> int:
        if net.is_const:
            return self.ones * net.const
        key = (net.cell, net.bit)
        if key not in self.known:
            self.known[key] = self.work_out(*key)
        return self.known[key]

    def work_out(self, index: int, n: int) -> int:
        cell = self.cells[index]
        match cell:
            case Operator():
                return self.operate(index, cell, n)
            case AssignmentList():
                value = self.bit(cell.default[n])
                for each in cell.assignments:
                    if each.start <= n < each.start + len(each.value):
                        value = self.choose(self.bit(each.cond), each.value[n - each.start], value)
                return value
            case PriorityMatch():
                free = self.bit(cell.en)
                for net in cell.inputs[:n]:
                    free &= ~self.bit(net)
                return free & self.bit(cell.inputs[n])
            case Matches():
                found = 0
                for pattern in cell.patterns:
                    hit = self.ones
                    for net, wanted in zip(cell.value, reversed(pattern), strict=True):
                        if wanted != "-":
                            hit &= self.bit(net) if wanted == "1" else ~self.bit(net)
                    found |= hit
                return found & self.ones
            case Part():
                value = 0
                sign = cell.value[-1] if cell.value_signed else None
                for offset in range(1 << len(cell.offset)):
                    hit = self.equals(cell.offset, offset)
                    at = offset * cell.stride + n
                    net = cell.value[at] if at < len(cell.value) else sign
                    value |= hit & self.bit(net) if net is not None else 0
                return value
        raise NotImplementedError(repr(cell))

    def choose(self, condition: int, one: Any, other: int) -> int:
        if condition == 0:
            return other
        chosen = self.bit(one)
        return chosen if condition == self.ones else (other ^ ((other ^ chosen) & condition))

    def equals(self, value: Any, number: int) -> int:
        hit = self.ones
        for n, net in enumerate(value):
            hit &= self.bit(net) if number >> n & 1 else ~self.bit(net)
        return hit & self.ones

    def operate(self, index: int, cell: Any, n: int) -> int:
        bit, of = self.bit, cell.inputs
        match cell.operator:
            case "~":
                return bit(of[0][n]) ^ self.ones
            case "&":
                return bit(of[0][n]) & bit(of[1][n])
            case "|":
                return bit(of[0][n]) | bit(of[1][n])
            case "^":
                return bit(of[0][n]) ^ bit(of[1][n])
            case "m":
                return self.choose(bit(of[0][0]), of[1][n], bit(of[2][n]))
            case "b" | "r|":
                return functools.reduce(lambda x, net: x | bit(net), of[0], 0)
            case "r&":
                return functools.reduce(lambda x, net: x & bit(net), of[0], self.ones)
            case "r^":
                return functools.reduce(lambda x, net: x ^ bit(net), of[0], 0)
            case "==" | "!=":
                unlike = 0
                for x, y in zip(*of, strict=True):
                    unlike |= bit(x) ^ bit(y)
                return unlike if cell.operator == "!=" else unlike ^ self.ones
            case "+":
                return bit(of[0][n]) ^ bit(of[1][n]) ^ self.carry(index, n, of, 0)
            case "-" if len(of) == 1:
                lower = functools.reduce(lambda x, net: x | bit(net), of[0][:n], 0)
                return bit(of[0][n]) ^ lower
            case "-":
                return bit(of[0][n]) ^ bit(of[1][n]) ^ self.ones ^ self.carry(index, n, of, 1)
            case "u<" | "u>" | "u<=" | "u>=" | "s<" | "s>" | "s<=" | "s>=":
                signed, relation = cell.operator[0] == "s", cell.operator[1:]
                x, y = (of[1], of[0]) if relation in (">", "<=") else of
                less = self.less(x, y, signed)
                return less ^ self.ones if relation in ("<=", ">=") else less
            case "<<" | "u>>" | "s>>":
                return self.shift(cell.operator, of[0], of[1], n)
            case "*":
                return self.product(index, of)[n]
        raise NotImplementedError(repr(cell))

    def carry(self, index: int, n: int, of: Any, subtract: int) -> int:
        """Return the carry into a bit of a sum, or of ``x + ~y + 1``."""
        if n == 0:
            return self.ones * subtract
        key = (index, n)
        if key not in self.carries:
            x, y = self.bit(of[0][n - 1]), self.bit(of[1][n - 1]) ^ (self.ones * subtract)
            below = self.carry(index, n - 1, of, subtract)
            self.carries[key] = (x & y) | (below & (x | y))
        return self.carries[key]

    def less(self, x: Any, y: Any, signed: bool) -> int:
        less = 0
        for n, (p, q) in enumerate(zip(x, y, strict=True)):
            a, b = self.bit(p), self.bit(q)
            if signed and n == len(x) - 1:
                a, b = b, a
            less = (~a & b) | (less & ~(a ^ b))
        return less & self.ones

    def shift(self, operator: str, value: Any, amount: Any, n: int) -> int:
        """Return a bit of a shifted value: that of each distance, where that is the amount."""
        found = 0
        for distance in range(1 << len(amount)):
            at = n - distance if operator == "<<" else n + distance
            inside = 0 <= at < len(value)
            if (inside or operator == "s>>") and (hit := self.equals(amount, distance)):
                found |= hit & self.bit(value[at if inside else -1])
        return found

    def product(self, index: int, of: Any) -> list[int]:
        """Return all bits of a product."""
        width = len(of[0])
        total = [0] * width
        for shift, net in enumerate(of[1]):
            on, carry = self.bit(net), 0
            if not on:
                continue
            for n in range(shift, width):
                x, y = total[n], self.bit(of[0][n - shift]) & on
                total[n] = x ^ y ^ carry
                carry = (x & y) | (carry & (x | y))
        for n, bits in enumerate(total):
            self.known[index, n] = bits
        return total
