"""How long the stages of an element take, estimated: enough to choose where registers go.

The estimate counts levels of logic and multiplies them by the delay of a level. Whether a design
meets its clock is for :mod:`minimac.cost` to say, from the mapped netlist.
"""

from math import ceil, log2

from minimac.spec import Arithmetic, ExactAccumulation, FloatAccumulation

__all__ = ["LEVEL_PS", "stage_levels"]

#: Delay of a level of logic with its share of wire and fan-out, in ps. Standard cells: fitted to
#: the critical paths of bf16, e5m2 and fp32 elements as measured by this project's flow (Yosys
#: 0.70), mapped for speed; FPGAs: a LUT and its wire, from the families' data sheets, rounded up.
LEVEL_PS = {
    "asap7": 28.0,
    "sky130": 150.0,
    "sg13g2": 160.0,
    "xc7": 800.0,
    "ecp5": 1000.0,
    "ice40": 1500.0,
}


def _log(count: int) -> int:
    return ceil(log2(max(count, 2)))


def stage_levels(spec: Arithmetic) -> dict[str, float]:
    """Estimate the levels of logic from each place for registers to the next.

    Returns
    -------
    dict
        ``multiply``: up to the product. ``align``: up to aligned operands. ``add``: up to the sum.
        ``finish``: up to the next state.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> bf16 = parse_format("bf16")
    >>> stage_levels(Arithmetic(a=bf16, b=bf16, out=bf16, accumulate=FloatAccumulation(width=16)))
    {'multiply': 21, 'align': 19, 'add': 13, 'finish': 12}
    """
    # Decoding, partial products, two levels and a half for each layer of a compressor tree, carry.
    multiply = 3 + 4 * _log(min(spec.a.sig_bits, spec.b.sig_bits)) + 2 * _log(spec.product_bits) - 2
    acc = spec.accumulate
    if isinstance(acc, FloatAccumulation):
        exponent = (spec.acc_max_exp - spec.acc_min_exp).bit_length()
        window = _log(acc.window_bits)
        align = 2 * _log(exponent) + 3 + 2 * window
        add = 2 * window + 5  # the sum, and its negation
        coarse = acc.normalize.coarse
        normalize = 3 * window if coarse is None else 4 if coarse else 1
        return {"multiply": multiply + 0, "align": align, "add": add, "finish": normalize}
    assert isinstance(acc, ExactAccumulation)
    shifts = spec.product_max_exp - spec.product_min_exp
    align = 2 * _log(shifts + 1) + 2 * _log(spec.product_bits + shifts) if shifts else 0
    return {"multiply": multiply, "align": align, "add": 2 * _log(spec.sum_bits), "finish": 0}
