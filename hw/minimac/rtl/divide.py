"""Division: a quotient bit by bit, the remainder restored."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value

__all__ = ["divide"]


def divide(m: Module, remainder: Value, dividend: Value, divisor: Value) -> tuple[Value, Value]:
    """Divide, for as many bits of the quotient as there are of the dividend.

    Parameters
    ----------
    remainder : Value
        What is left of the higher bits of the dividend: less than ``divisor``, else the result
        means nothing.
    dividend : Value
        The bits below.
    divisor : Value
        At least as wide as ``remainder``.

    Returns
    -------
    quotient : Value
        As wide as ``dividend``.
    remainder : Value
        What is left: less than ``divisor``.
    """
    bits: list[Value] = []
    for n in reversed(range(len(dividend))):
        partial = Cat(dividend[n], remainder)
        difference = Signal(len(divisor) + 2, name=f"difference_{n}")
        left = Signal(len(divisor), name=f"remainder_{n}")
        m.d.comb += [
            difference.eq(partial - divisor),
            left.eq(Mux(difference[-1], partial, difference)),
        ]
        bits.insert(0, ~difference[-1])
        remainder = left
    return Cat(*bits), remainder
