"""How to split the bits of a minifloat between exponent and mantissa.

After the scaling law of floating-point training, arXiv 2501.02423: of the loss that a run of N
parameters and D tokens ends at, the formats account for

    (D**beta / N**alpha) * log2(B) / (gamma * (E + 0.5)**delta * (M + 0.5)**nu)

with E exponent and M mantissa bits and one scale for B elements. Only the denominator depends on
the split, so the best one is the same for every run. The coefficients below were recalled and not
read in the paper; they lead to the splits that it names: E2M1, E4M3, E8M7.
"""

from minimac.spec.errors import SpecError

__all__ = ["ideal_split", "precision_loss", "recommended_split"]

_DELTA = 3.1926  # exponent of E + 0.5 (recalled)
_NU = 2.9543  # exponent of M + 0.5 (recalled)

_MAX_EXP_BITS, _MAX_MAN_BITS = 8, 23  # those of a Minifloat


def precision_loss(exp_bits: int, man_bits: int) -> float:
    """Return what a format adds to the loss, up to a factor that is the same for all formats.

    Parameters
    ----------
    exp_bits, man_bits : int
        Widths of exponent and mantissa, in bits.

    Returns
    -------
    float
        ``1 / ((E + 0.5)**delta * (M + 0.5)**nu)``. Only ratios mean anything.

    Raises
    ------
    SpecError
        If a width is negative.

    Examples
    --------
    >>> round(precision_loss(5, 2) / precision_loss(4, 3), 2)  # how much worse E5M2 is than E4M3
    1.42
    """
    if exp_bits < 0 or man_bits < 0:
        raise SpecError(f"exp_bits and man_bits must be at least 0, not {exp_bits} and {man_bits}")
    return float((exp_bits + 0.5) ** -_DELTA * (man_bits + 0.5) ** -_NU)


def ideal_split(width: int, signed: bool = True) -> tuple[float, float]:
    """Return exponent and mantissa bits of the least loss, as if bits could be divided.

    With ``P = E + M + 1`` fixed the law is least at ``E = delta * P / (delta + nu) - 0.5``.

    Parameters
    ----------
    width : int
        Width of a code, in bits.
    signed : bool
        Whether one of them is a sign.

    Returns
    -------
    tuple of float
        Exponent and mantissa bits; the first may exceed what a minifloat has.

    Raises
    ------
    SpecError
        If there is no minifloat of that width.

    Examples
    --------
    >>> exp_bits, man_bits = ideal_split(8)
    >>> round(exp_bits, 3), round(man_bits, 3)
    (3.655, 3.345)
    """
    parts = _magnitude_bits(width, signed) + 1
    exp_bits = _DELTA * parts / (_DELTA + _NU) - 0.5
    return exp_bits, parts - 1 - exp_bits


def recommended_split(width: int, signed: bool = True) -> tuple[int, int]:
    """Return exponent and mantissa bits of the minifloat of that width with the least loss.

    The law was fitted to formats of at most 16 bits; beyond, this is extrapolation, and held within
    the 8 exponent bits that a minifloat has.

    Parameters
    ----------
    width : int
        Width of a code, in bits: 2 to 32, or 1 to 31 if unsigned.
    signed : bool
        Whether one of them is a sign.

    Returns
    -------
    tuple of int
        ``(exp_bits, man_bits)``.

    Raises
    ------
    SpecError
        If there is no minifloat of that width.

    Examples
    --------
    >>> [recommended_split(width) for width in (4, 8, 16)]  # E2M1, E4M3, E8M7
    [(2, 1), (4, 3), (8, 7)]
    >>> recommended_split(8, signed=False)  # a scale
    (4, 4)
    """
    bits = _magnitude_bits(width, signed)
    choices = range(max(0, bits - _MAX_MAN_BITS), min(bits, _MAX_EXP_BITS) + 1)
    exp_bits = min(choices, key=lambda choice: precision_loss(choice, bits - choice))
    return exp_bits, bits - exp_bits


def _magnitude_bits(width: int, signed: bool) -> int:
    bits = width - signed
    if not 1 <= bits <= _MAX_EXP_BITS + _MAX_MAN_BITS:
        raise SpecError(
            f"width must be {1 + signed} to {_MAX_EXP_BITS + _MAX_MAN_BITS + signed}, not {width}"
        )
    return bits
