"""Shifters and what finds the leading one, as plain expressions."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

__all__ = [
    "leading_zeros",
    "leading_zeros_of_sum",
    "shift_down",
    "shift_left",
    "shift_right_sticky",
    "widen",
]


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
    stages = min(max((width - 1).bit_length(), 1), len(amount))
    shifted, lost = value, Const(0)
    # The longest step comes first: half of what it moves is gone, and where `amount` is too large
    # for the steps, all of it, which costs two gates here and one a bit behind the last step.
    far = amount[stages:].any() if len(amount) > stages else None
    for n in reversed(range(stages)):
        step = 1 << n
        fallen = shifted[:step].any() & amount[n]
        if far is None:
            moved = Mux(amount[n], shifted >> step, shifted)
        else:
            stays = _named(m, ~(far | amount[n]), "stays")
            moves = _named(m, ~far & amount[n], "moves")
            fallen = (fallen | far) & shifted.any()
            moved = (shifted & stays.replicate(width)) | (
                (shifted >> step) & moves.replicate(width)
            )
            far = None
        shifted = _named(m, moved[:width], f"shifted_right_{n}")
        if sticky:
            lost = lost | fallen
    return Cat(shifted[0] | lost, shifted[1:]) if sticky else shifted


def shift_down(m: Module, value: Value, amount: Value, bits: int, *, sticky: bool) -> Value:
    """Put a value at the top of a window, and shift it right; what leaves at the bottom is lost.

    Short steps come first, when there is little to move.

    Parameters
    ----------
    value : Value
        Unsigned; of one wider than the window the lowest bits are lost at once.
    amount : Value
        Unsigned, any width.
    bits : int
        Width of the window.
    sticky : bool
        Whether the OR of all that was lost is one more bit, below the window.

    Returns
    -------
    Value
        ``bits`` wide, or one more.
    """
    stages = [n for n in range(len(amount)) if 1 << n < bits]
    far = amount[len(stages) :].any() if len(amount) > len(stages) else Const(0, 1)
    lost = far & value.any()
    near = _named(m, value & (~far).replicate(len(value)), "near")
    surplus = max(len(near) - bits, 0)
    lost, near = lost | near[:surplus].any(), near[surplus:]
    for n in stages:
        step = 1 << n
        room = min(step, bits - len(near))
        wide = Cat(Const(0, room), near)
        lost = lost | (amount[n] & wide[:step].any())
        moved = Cat(wide[step:], Const(0, min(step, len(wide))))[: len(wide)]
        near = _named(m, Mux(amount[n], moved, wide), f"down_{n}")
    window = Cat(Const(0, bits - len(near)), near)
    return Cat(lost, window) if sticky else window


def shift_left(m: Module, value: Value, amount: Value) -> Value:
    """Shift left within the width of ``value``; what leaves at the top is lost."""
    width = len(value)
    shifted = value
    for n in reversed(range(len(amount))):
        step = 1 << n
        moved = Mux(amount[n], shifted << step, shifted)[:width] if step < width else 0
        moved = Mux(amount[n], 0, shifted)[:width] if step >= width else moved
        shifted = _named(m, moved, f"shifted_left_{n}")
    return shifted


def widen(m: Module, value: Value, amount: Value) -> Value:
    """Shift left, and lose nothing: the result is as wide as the longest shift makes it.

    Short steps come first, when there is little to move: elements with exact sums of e4m3fn are
    17 % smaller than with the longest first.
    """
    for n, moves in enumerate(amount):
        zeros = Const(0, 1 << n)
        value = _named(m, Mux(moves, Cat(zeros, value), value), f"widened_{n}")
    return value


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
    padded = Cat(Const((1 << missing) - 1, missing), _named(m, value, "searched"))
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


def leading_zeros_of_sum(m: Module, x: Value, y: Value, subtract: Value) -> Value:
    """Count the leading zeros of ``x + y`` or of ``abs(x - y)``, without adding, or one too few.

    The general anticipator of Schmookler and Nowka (ARITH 2001): whether a place holds the leading
    one of a sum in two's complement shows in the generated, propagated and absorbed carries there
    and beside it, but for the carry from below, which may move it down by one. No carry is known.

    Parameters
    ----------
    x, y : Value
        Unsigned, of one width ``n``.
    subtract : Value
        1 bit: the difference, not the sum.

    Returns
    -------
    Value
        The count in ``n + 1`` bits, the carry of the sum being the top one, or that less one;
        meaningless if the result is zero.
    """
    # Above the carry there is the sign.
    first = Cat(x, Const(0, 2))
    second = Cat(y ^ subtract.replicate(len(y)), subtract.replicate(2))
    propagate, generate, absorb = (
        _named(m, value, f"carry_{name}")
        for value, name in (
            (first ^ second, "propagates"),
            (first & second, "generates"),
            (~(first | second), "absorbed"),
        )
    )
    # A result of one or minus one has its leading one at the lowest place if nowhere else.
    places: list[Value] = [Const(1, 1)]
    for n in range(1, len(x) + 1):
        starts = (generate[n] & ~absorb[n - 1]) | (absorb[n] & ~generate[n - 1])
        ends = (generate[n] & ~generate[n - 1]) | (absorb[n] & ~absorb[n - 1])
        places.append(Mux(propagate[n + 1], starts, ends))
    return leading_zeros(m, _named(m, Cat(*places), "leading_one"))
