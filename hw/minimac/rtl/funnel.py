"""A shifter that keeps only what a rounding needs."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

__all__ = ["shift_into"]


def shift_into(m: Module, value: Value, amount: Value, keep: int) -> tuple[Value, Value]:
    """Shift left; return the top bits, and whether any bit below them is set.

    Large distances come first. So each stage needs only the bits that the smaller ones to come can
    still bring into sight, and the high bits of ``amount``, which a counter of zeros knows first,
    are used first.

    Parameters
    ----------
    value : Value
        What is shifted; what leaves at the top is lost.
    amount : Value
        Less than ``len(value)``.
    keep : int
        How many bits.

    Returns
    -------
    top : Value
        ``keep`` bits.
    below : Value
        1 bit.
    """
    shifted = Cat(Const(0, max(keep - len(value), 0)), value)
    below: Value = Const(0, 1)
    for n in reversed(range(len(amount))):
        distance = 1 << n
        # The stages to come bring up to `distance - 1` bits of below into sight.
        seen = min(keep + distance - 1, len(shifted))
        moved = Cat(Const(0, distance), shifted)[: len(shifted)]
        stage = Signal(seen, name=f"shifted_{n}")
        m.d.comb += stage.eq(Mux(amount[n], moved[-seen:], shifted[-seen:]))
        rest = len(shifted) - seen
        sure = max(rest - distance, 0)
        below = below | shifted[:sure].any() | (~amount[n] & shifted[sure:rest].any())
        shifted = stage
    rest = len(shifted) - keep
    return shifted[rest:], below | shifted[:rest].any()
