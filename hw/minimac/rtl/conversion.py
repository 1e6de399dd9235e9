"""What rounds a state to the format of a result."""

from minimac.rtl.accumulator import State
from minimac.rtl.round import Modes
from minimac.rtl.tofixed import ToFixed
from minimac.rtl.togrid import ToGrid
from minimac.rtl.tominifloat import ToMinifloat
from minimac.spec import Arithmetic, FixedPoint, Format, GridFormat, Minifloat

__all__ = ["Conversion", "conversion_to"]

Conversion = ToMinifloat | ToFixed | ToGrid


def conversion_to(
    out: Format,
    modes: Arithmetic | Modes,
    state: State,
    *,
    keeps_zero_sign: bool = True,
    random_bits: int | None = None,
) -> Conversion:
    """Return the conversion of a state to a scalar format.

    Parameters
    ----------
    out : Format
        The format.
    modes : Arithmetic or Modes
        Modes of the conversion.
    state : State
        What the states are of.
    keeps_zero_sign : bool
        Whether a zero has the sign that comes with it, if ``out`` has a negative zero; else it is
        +0.
    random_bits : int, optional
        Random bits of a number, for a stochastic mode.
    """
    if isinstance(out, Minifloat):
        return ToMinifloat(
            modes, out, state, keeps_zero_sign=keeps_zero_sign, random_bits=random_bits
        )
    if isinstance(out, GridFormat):
        return ToGrid(modes, out, state, random_bits=random_bits)
    assert isinstance(out, FixedPoint)
    return ToFixed(modes, out, state, random_bits=random_bits)
