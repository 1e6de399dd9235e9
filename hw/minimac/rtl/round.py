"""The decision to round away from zero, by what is cut off or by chance."""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Value

from minimac.spec import Overflow, Rounding

__all__ = ["Modes", "rest_bits", "round_rest", "round_up", "round_up_complement"]


class Modes(NamedTuple):
    """What rules a conversion, of a design's fields."""

    out_round: Rounding
    out_overflow: Overflow = Overflow.SATURATE


def round_up(rounding: Rounding, *, sign: Value, odd: Value, half: Value, below: Value) -> Value:
    """Whether a truncated magnitude goes up by one ulp.

    Parameters
    ----------
    rounding : Rounding
        The mode.
    sign : Value
        Sign of the number.
    odd : Value
        Lowest bit that is kept.
    half : Value
        Highest bit that is not.
    below : Value
        Whether any lower bit is set.
    """
    match rounding:
        case Rounding.RNE:
            return half & (below | odd)
        case Rounding.RNA:
            return half
        case Rounding.UP:
            return ~sign & (half | below)
        case Rounding.DOWN:
            return sign & (half | below)
        case Rounding.ODD:
            return ~odd & (half | below)
    return Const(0)


def rest_bits(rounding: Rounding, random_bits: int | None = None) -> int:
    """Return how many of the bits that are cut off :func:`round_rest` takes one by one."""
    if not rounding.stochastic:
        return 1
    assert random_bits is not None
    return random_bits + (rounding is not Rounding.SR_A)


def round_rest(
    rounding: Rounding,
    *,
    sign: Value,
    odd: Value,
    rest: Value,
    below: Value,
    random: Value | None = None,
) -> Value:
    """Whether a truncated magnitude goes up by one ulp, in any mode.

    Parameters
    ----------
    rounding, sign, odd
        As for :func:`round_up`.
    rest : Value
        The highest bits that are not kept, as many as :func:`rest_bits` says.
    below : Value
        Whether any lower bit is set.
    random : Value, optional
        Random bits, for a stochastic mode.
    """
    if random is None:
        return round_up(rounding, sign=sign, odd=odd, half=rest[-1], below=below)
    bits = len(random)
    match rounding:
        case Rounding.SR_A:
            return (rest + random)[bits]
        case Rounding.SR_B:
            return (rest + Cat(Const(1, 1), random))[bits + 1]
    # To the nearest number of steps, an even one of two: that carry joins the sum.
    steps, half = rest[1:], rest[0]
    return (steps + random + (half & (below | steps[0])))[bits]


def round_up_complement(
    rounding: Rounding, *, sign: Value, odd: Value, half: Value, below: Value
) -> Value:
    """Whether a truncated number in two's complement goes up by one ulp.

    Parameters are those of :func:`round_up`. What is cut off makes such a number smaller, not
    nearer to zero, so that all modes but those to nearest even and to odd mirror.
    """
    match rounding:
        case Rounding.RNA:
            return half & (below | ~sign)
        case Rounding.TRUNCATE:
            return sign & (half | below)
        case Rounding.UP:
            return half | below
        case Rounding.DOWN:
            return Const(0)
    return round_up(rounding, sign=sign, odd=odd, half=half, below=below)
