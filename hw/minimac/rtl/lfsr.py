"""Random bits: a linear-feedback shift register that moves by several places at once."""

import functools
import operator

from amaranth.hdl import Cat, Module, Signal, Value

from minimac.spec import Lfsr

__all__ = ["shift_register"]


def shift_register(m: Module, lfsr: Lfsr, step: Value) -> Value:
    """Add the register of an :class:`minimac.spec.Lfsr`; return the random bits.

    Parameters
    ----------
    lfsr : Lfsr
        Taps, seed, and how many bits are taken at a time.
    step : Value
        Whether the bits are taken in this cycle.
    """
    state = Signal(lfsr.WIDTH, init=lfsr.seed, name="random_state")
    # Each bit as the set of those of the state whose exclusive or it is, the newest one first:
    # with far taps a new one is that of four, unless it depends on new ones itself.
    bits = [frozenset({n}) for n in range(lfsr.WIDTH)]
    for _ in range(lfsr.bits):
        fed_back = functools.reduce(operator.xor, (bits[tap - 1] for tap in lfsr.TAPS))
        bits = [fed_back, *bits[:-1]]
    following = [functools.reduce(operator.xor, (state[n] for n in sorted(b))) for b in bits]
    with m.If(step):
        m.d.sync += state.eq(Cat(*following))
    return state[: lfsr.bits]
