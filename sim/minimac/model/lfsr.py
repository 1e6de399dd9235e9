"""The random bits that a circuit takes from a linear-feedback shift register."""

from collections.abc import Iterator

from minimac.spec import Lfsr

__all__ = ["draw_bits"]


def draw_bits(lfsr: Lfsr) -> Iterator[int]:
    """Yield the random integer of one transfer after the other, from a reset on.

    Parameters
    ----------
    lfsr : Lfsr
        The register.

    Examples
    --------
    >>> import itertools
    >>> [*itertools.islice(draw_bits(Lfsr(bits=8, seed=0x12345678)), 4)]
    [120, 205, 219, 173]
    """
    state = lfsr.seed
    while True:
        yield state & (1 << lfsr.bits) - 1
        for _ in range(lfsr.bits):
            # Bit n of the register is n + 1 places before the next one.
            following = sum(state >> tap - 1 for tap in lfsr.TAPS) & 1
            state = (state << 1 | following) & (1 << lfsr.WIDTH) - 1
