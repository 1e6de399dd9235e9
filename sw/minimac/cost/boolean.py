"""Boolean functions of a few variables: text to truth table to two-input operations."""

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Operation", "decompose", "support", "truth_table"]


class Operation(NamedTuple):
    """One two-input operation: ``(x ^ invert_x) op (y ^ invert_y)``, inverted if ``invert``.

    ``x`` and ``y`` are variables by number, or, from the number of variables on, earlier
    operations of the same list. ``xor`` chooses between exclusive or and and.
    """

    xor: bool
    x: int
    y: int
    invert_x: bool = False
    invert_y: bool = False
    invert: bool = False


def truth_table(text: str, names: Sequence[str]) -> int:
    """Evaluate a Liberty expression for every combination of its variables.

    Parameters
    ----------
    text : str
        Names with ``!`` or a trailing ``'``; ``^``; ``&``, ``*`` or nothing at all between two
        factors; ``|`` or ``+``; parentheses. What comes first here binds tightest, as Liberty says.
    names : sequence of str
        The variables, at most 16; the first one is the lowest bit of a row's number.

    Returns
    -------
    int
        Bit ``r`` is the value in row ``r``.

    Raises
    ------
    ValueError
        If the text is no expression, or has a name that is not in ``names``.

    Examples
    --------
    >>> bin(truth_table("(A&!B) | !(A + B')", ["A", "B"]))
    '0b110'
    """
    if len(names) > 16:
        raise ValueError(f"names must be 16 at most, not {len(names)}")
    rows = 1 << len(names)
    everything = (1 << rows) - 1
    tokens = re.findall(r"[A-Za-z_][A-Za-z0-9_\[\]]*|\S", text)

    def column(index: int) -> int:
        return sum(1 << row for row in range(rows) if row >> index & 1)

    def fail() -> ValueError:
        known = ", ".join(names) or "none"
        return ValueError(f"function must be an expression of pins ({known}), not {text!r}")

    def unary() -> int:
        token = tokens.pop(0) if tokens else ""
        if token == "!":
            return everything ^ unary()
        if token == "(":
            value = binary(0)
            if not tokens or tokens.pop(0) != ")":
                raise fail()
        elif token in ("0", "1"):
            value = everything * int(token)
        elif token in names:
            value = column(names.index(token))
        else:
            raise fail()
        while tokens and tokens[0] == "'":
            tokens.pop(0)
            value ^= everything
        return value

    def binary(level: int) -> int:
        if level == 3:
            return unary()
        value = binary(level + 1)
        while tokens and (tokens[0] in ("|+", "&*", "^")[level] or (level == 1 and begins())):
            if not (level == 1 and begins()):
                tokens.pop(0)
            other = binary(level + 1)
            value = (value | other, value & other, value ^ other)[level]
        return value

    def begins() -> bool:
        """Whether what comes next begins a factor."""
        return tokens[0] in ("!", "(", "0", "1") or tokens[0] in names

    value = binary(0)
    if tokens:
        raise fail()
    return value


def _cofactor(table: int, variables: int, index: int, value: int) -> int:
    """Fix one variable; the result no longer depends on it."""
    rows = 1 << variables
    bit = 1 << index
    return sum(1 << row for row in range(rows) if table >> (row | bit if value else row & ~bit) & 1)


def support(table: int, variables: int) -> tuple[int, ...]:
    """Return the variables that a function depends on.

    Examples
    --------
    >>> support(truth_table("A & (B | !B)", ["A", "B"]), 2)
    (0,)
    """
    return tuple(
        i
        for i in range(variables)
        if _cofactor(table, variables, i, 0) != _cofactor(table, variables, i, 1)
    )


@functools.cache
def decompose(table: int, variables: int) -> tuple[Operation, ...]:
    """Write a function as two-input operations, the last of which is the function.

    Disjoint parts are split off where there are any; else a variable selects between two
    cofactors. Inversions are free. For the cells of a library this is minimal or nearly so.

    Returns
    -------
    tuple of Operation
        At least one, even for a constant or a single variable.

    Examples
    --------
    >>> xor3 = truth_table("A&!B&!C | !A&B&!C | !A&!B&C | A&B&C", "ABC")
    >>> [(o.xor, o.x, o.y) for o in decompose(xor3, 3)]
    [(True, 1, 2), (True, 0, 3)]
    """
    everything = (1 << (1 << variables)) - 1
    done: list[Operation] = []
    where: dict[int, int] = {}

    def emit(xor: bool, x: tuple[int, bool], y: tuple[int, bool], invert: bool) -> tuple[int, bool]:
        if xor:
            invert = invert ^ x[1] ^ y[1]
            operation = Operation(True, min(x[0], y[0]), max(x[0], y[0]))
        else:
            (x, y) = sorted((x, y))
            operation = Operation(False, x[0], y[0], x[1], y[1])
        if operation not in done:
            done.append(operation)
        return variables + done.index(operation), invert

    def build(f: int) -> tuple[int, bool]:
        """Return the number of a variable or operation, and whether it is to be inverted."""
        if f in where:
            return where[f], False
        if everything ^ f in where:
            return where[everything ^ f], True
        result = _build(f)
        where[everything ^ f if result[1] else f] = result[0]
        return result

    def _build(f: int) -> tuple[int, bool]:
        used = support(f, variables)
        if not used:  # x & !x
            return emit(False, (0, False), (0, True), f != 0)
        if len(used) == 1:
            return used[0], not f >> (1 << used[0]) & 1
        for mask in range(1, 1 << len(used) - 1):
            left = [v for i, v in enumerate(used) if mask >> i & 1]
            right = [v for i, v in enumerate(used) if not mask >> i & 1]
            for invert in (False, True):  # f = g & h, or !f = g & h
                target = everything ^ f if invert else f
                g, h = _exists(target, right, variables), _exists(target, left, variables)
                if g & h == target:
                    return emit(False, build(g), build(h), invert)
            g, h = _zero(f, right, variables), _zero(f, left, variables)
            if g ^ h ^ (everything * (f & 1)) == f:
                return emit(True, build(g), build(h), bool(f & 1))
        # f = f0 ^ (v & (f0 ^ f1)), by the variable whose cofactors are simplest
        v = min(
            used,
            key=lambda v: sum(
                len(support(_cofactor(f, variables, v, value), variables)) for value in (0, 1)
            ),
        )
        f0, f1 = (_cofactor(f, variables, v, value) for value in (0, 1))
        changed = emit(False, (v, False), build(f0 ^ f1), False)
        return emit(True, build(f0), changed, False)

    last, invert = build(table)
    if last < variables:  # a wire or an inverter
        return (Operation(False, last, last, invert, invert),)
    if last != variables + len(done) - 1:
        done.append(Operation(False, last, last, invert, invert))
    elif invert:
        done[-1] = done[-1]._replace(invert=True)
    return tuple(_reinvert(done, variables))


def _exists(table: int, over: Sequence[int], variables: int) -> int:
    for v in over:
        table = _cofactor(table, variables, v, 0) | _cofactor(table, variables, v, 1)
    return table


def _zero(table: int, over: Sequence[int], variables: int) -> int:
    for v in over:
        table = _cofactor(table, variables, v, 0)
    return table


def _reinvert(done: list[Operation], variables: int) -> list[Operation]:
    """Drop operations that the last one does not need."""
    needed = {len(done) - 1}
    for i in range(len(done) - 1, -1, -1):
        if i in needed:
            needed |= {s - variables for s in (done[i].x, done[i].y) if s >= variables}
    order = {old: new for new, old in enumerate(sorted(needed))}

    def number(source: int) -> int:
        return source if source < variables else variables + order[source - variables]

    return [done[i]._replace(x=number(done[i].x), y=number(done[i].y)) for i in sorted(needed)]
