"""How a value that a format cannot hold becomes one that it can."""

import enum

__all__ = ["Overflow", "Rounding"]


class Rounding(enum.StrEnum):
    """Which neighbour an inexact value goes to."""

    #: The nearer one; of two equally near, the one with an even code.
    RNE = "rne"

    #: The nearer one; of two equally near, the one away from zero.
    RNA = "rna"

    #: Toward zero.
    TRUNCATE = "truncate"

    #: Toward positive infinity.
    UP = "up"

    #: Toward negative infinity.
    DOWN = "down"

    #: The one with an odd code.
    ODD = "odd"

    @property
    def directed(self) -> bool:
        """Whether the mode may go away from zero by almost one ulp: ``up`` and ``down``."""
        return self in (Rounding.UP, Rounding.DOWN)

    def keeps_finite(self, *, negative: bool) -> bool:
        """Whether an overflow of that sign gives the largest finite value, not infinity.

        So do the modes that cannot round that sign to infinity (IEEE 754-2019, 7.4), and ``odd``.

        Examples
        --------
        >>> Rounding.UP.keeps_finite(negative=True), Rounding.UP.keeps_finite(negative=False)
        (True, False)
        """
        away = {Rounding.UP: not negative, Rounding.DOWN: negative}
        return not away.get(self, self in (Rounding.RNE, Rounding.RNA))


class Overflow(enum.StrEnum):
    """What becomes of a value beyond the largest finite one, judged after rounding."""

    #: The largest finite value. An infinite operand stays infinite if the target has infinities.
    SATURATE = "saturate"

    #: As IEEE 754-2019, 7.4. Without infinities, the NaN of the format.
    INFINITY = "infinity"

    #: NaN.
    NAN = "nan"

    #: The low bits of the code. Fixed point only.
    WRAP = "wrap"
