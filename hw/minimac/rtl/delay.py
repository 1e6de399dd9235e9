"""How long the stages of an element take, estimated: enough to choose where registers go.

The estimate counts levels of logic and multiplies them by the delay of a level. Whether a design
meets its clock is for :mod:`minimac.cost` to say, from the mapped netlist.
"""

from collections.abc import Sequence
from math import ceil, log2

from minimac.spec import Arithmetic, FloatAccumulation

__all__ = ["stages_ps"]

# Delay of a level of logic with its share of wire, fan-out and rounding up, in ps. Standard cells:
# above 90 % of the critical paths that this project's flow (Yosys 0.70) reached for bf16, e5m2 and
# fp32 elements, cut in 0 to 3 places and mapped for speed. FPGAs: a LUT and its wire, a guess.
_LEVEL_PS = {
    "asap7": 36.0,
    "sky130": 200.0,
    "sg13g2": 220.0,
    "xc7": 800.0,
    "ecp5": 1000.0,
    "ice40": 1500.0,
}
_REGISTER_LEVELS = 2  # clock to output, and set-up


def _log(count: int) -> int:
    return ceil(log2(max(count, 2)))


def _levels(spec: Arithmetic) -> dict[str, int]:
    """Levels of logic up to each place for registers, and from the last one up to the next state.

    In the order that data takes through them.
    """
    # Decoding, partial products, two levels for each layer of a compressor tree, carry.
    multiply = 1 + 4 * _log(min(spec.a.sig_bits, spec.b.sig_bits)) + 2 * _log(spec.product_bits)
    acc = spec.accumulate
    if isinstance(acc, FloatAccumulation):
        exponent = (spec.acc_max_exp - spec.acc_min_exp).bit_length()
        window = _log(acc.window_bits)
        coarse = acc.normalize.coarse
        return {
            "multiply": multiply,
            "align": 2 * _log(exponent) + 3 + 2 * window,
            "add": 2 * window + 5,  # the sum, and its negation
            "finish": 3 * window if coarse is None else 4 if coarse else 1,
        }
    shifts = spec.product_max_exp - spec.product_min_exp
    align = 2 * _log(shifts + 1) + 2 * _log(spec.product_bits + shifts) if shifts else 0
    return {"multiply": multiply, "align": align, "finish": 2 * _log(spec.sum_bits)}


def stages_ps(spec: Arithmetic, cuts: Sequence[str], technology: str) -> list[float]:
    """Estimate the delay of each stage of an element.

    Parameters
    ----------
    spec : Arithmetic
        What is computed.
    cuts : sequence of str
        Places that hold a register.
    technology : str
        What it is built for; one that is not known counts as the slowest.

    Returns
    -------
    list of float
        Delays in ps, in the order that data takes.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> bf16 = parse_format("bf16")
    >>> spec = Arithmetic(a=bf16, b=bf16, out=bf16, accumulate=FloatAccumulation(width=16))
    >>> stages_ps(spec, ["multiply", "add"], "sky130")
    [4600.0, 6800.0, 2800.0]
    """
    level_ps = _LEVEL_PS.get(technology, max(_LEVEL_PS.values()))
    stages = [_REGISTER_LEVELS]
    for place, levels in _levels(spec).items():
        stages[-1] += levels
        if place in cuts:
            stages.append(_REGISTER_LEVELS)
    return [levels * level_ps for levels in stages]
