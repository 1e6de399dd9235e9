"""The decision to round away from zero."""

from amaranth.hdl import Const, Value

from minimac.spec import Rounding

__all__ = ["round_up"]


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
