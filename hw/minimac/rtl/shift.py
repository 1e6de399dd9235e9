"""Shifters and leading-zero counters, as plain expressions."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

__all__ = ["leading_zeros", "shift_left", "shift_right_sticky"]


def _named(m: Module, value: Value, name: str) -> Signal:
    """Put a value on a wire of its own, so that it appears once in the netlist, by name."""
    signal = Signal(len(value), name=name)
    m.d.comb += signal.eq(value)
    return signal


def shift_right_sticky(m: Module, value: Value, amount: Value, *, sticky: bool) -> Value:
    """Shift right; with ``sticky``, OR all that falls out into the lowest bit of the result.

    Parameters
    ----------
    value : Value
        Unsigned.
    amount : Value
        Unsigned, any width: a shift by the width or more gives zero, or what fell out.

    Returns
    -------
    Value
        As wide as ``value``.
    """
    width = len(value)
    stages = max((width - 1).bit_length(), 1)
    shifted, lost = value, Const(0)
    for n in range(min(stages, len(amount))):
        step = min(1 << n, width)
        fallen = shifted[:step].any() & amount[n]
        moved = Mux(amount[n], shifted >> step, shifted)[:width]
        shifted = _named(m, moved, f"shifted_right_{n}")
        if sticky:
            lost = lost | fallen
    if len(amount) > stages:
        far = amount[stages:].any()
        lost = lost | (far & shifted.any())
        shifted = Mux(far, 0, shifted)[:width]
    return Cat(shifted[0] | lost, shifted[1:]) if sticky else shifted


def shift_left(m: Module, value: Value, amount: Value) -> Value:
    """Shift left within the width of ``value``; what leaves at the top is lost."""
    width = len(value)
    shifted = value
    for n in range(len(amount)):
        step = 1 << n
        moved = Mux(amount[n], shifted << step, shifted)[:width] if step < width else 0
        moved = Mux(amount[n], 0, shifted)[:width] if step >= width else moved
        shifted = _named(m, moved, f"shifted_left_{n}")
    return shifted


def leading_zeros(m: Module, value: Value) -> Value:
    """Count the zeros above the leading one; meaningless for a value of zero.

    Returns
    -------
    Value
        ``ceil(log2(len(value)))`` bits.

    A tree of pairs: the count of the upper half, or of the lower one if the upper is all zero. It
    needs no adder, since the halves are powers of two.
    """
    stages = (len(value) - 1).bit_length()
    # Ones below make the width a power of two without changing the count of a non-zero value.
    missing = (1 << stages) - len(value)
    padded = Cat(Const((1 << missing) - 1, missing), value)
    # Each node is (any, count), the lowest first; a single bit has no count yet.
    nodes: list[tuple[Value, list[Value]]] = [(bit, []) for bit in padded]
    while len(nodes) > 1:
        level = len(nodes) // 2
        merged = []
        for n, (low, high) in enumerate(zip(nodes[::2], nodes[1::2], strict=True)):
            (low_any, low_count), (high_any, high_count) = low, high
            count = [
                _named(m, Mux(high_any, of_high, of_low), f"zeros_{level}_{n}_{bit}")
                for bit, (of_low, of_high) in enumerate(zip(low_count, high_count, strict=True))
            ]
            merged.append((_named(m, low_any | high_any, f"any_{level}_{n}"), [*count, ~high_any]))
        nodes = merged
    return Cat(*nodes[0][1]) if stages else Const(0, 1)
