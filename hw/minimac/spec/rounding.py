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

    # Stochastic modes take N random bits r. With d in [0, 1) the distance above the neighbour that
    # is nearer to zero, in ulps, the magnitude goes up ...

    #: ... if ``floor(d * 2**N) + r >= 2**N`` (StochasticA of IEEE P3109).
    SR_A = "sr_a"

    #: ... if ``floor(d * 2**(N+1)) + 2*r + 1 >= 2**(N+1)`` (StochasticB).
    SR_B = "sr_b"

    #: ... if ``rne(d * 2**N) + r >= 2**N`` (StochasticC).
    SR_C = "sr_c"

    @property
    def directed(self) -> bool:
        """Whether the mode may go away from zero by almost one ulp: ``up`` and ``down``."""
        return self in (Rounding.UP, Rounding.DOWN)

    @property
    def stochastic(self) -> bool:
        """Whether the mode takes random bits."""
        return self in (Rounding.SR_A, Rounding.SR_B, Rounding.SR_C)

    def keeps_finite(self, *, negative: bool) -> bool:
        """Whether an overflow of that sign gives the largest finite value, not infinity.

        So do the modes that cannot round that sign to infinity (IEEE 754-2019, 7.4), and ``odd``.

        Examples
        --------
        >>> Rounding.UP.keeps_finite(negative=True), Rounding.UP.keeps_finite(negative=False)
        (True, False)
        """
        if self.directed:
            return negative is (self is Rounding.UP)
        return self in (Rounding.TRUNCATE, Rounding.ODD)


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
