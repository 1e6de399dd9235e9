"""Comparisons with constants."""

from amaranth.hdl import Const, Value

__all__ = ["at_least"]


def at_least(value: Value, bound: int) -> Value:
    """Whether an unsigned value is not below a constant of any size: by a gate a bit."""
    if bound >> len(value):
        return Const(bound < 0, 1)
    result: Value = Const(1, 1)
    for place, bit in enumerate(value):
        result = bit & result if bound >> place & 1 else bit | result
    return result
