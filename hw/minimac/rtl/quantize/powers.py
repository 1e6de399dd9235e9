"""Scales that are powers of two: their choice by a rule, and elements by subtracting exponents."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, ShapeLike, Signal, Value, signed
from amaranth.lib import data

from minimac.rtl.accumulator import Fraction
from minimac.rtl.operand import unpack
from minimac.rtl.quantize.leasterror import Aligned, LeastError
from minimac.rtl.quantize.path import Path
from minimac.rtl.quantize.task import Task
from minimac.spec import Minifloat, ScaleRule

__all__ = ["shift_elements", "wanted_power"]


def shift_elements(
    path: Path,
    task: Task,
    codes: list[Value],
    random: list[Value],
    magnitude: Value,
    special: Value,
) -> tuple[list[Value], Value, Value, Value]:
    """Choose a scale for the largest magnitude, and subtract its exponent from all.

    Returns
    -------
    elements : list of Value
        Codes.
    scale : Value
        Code.
    special, zero : Value
        Whether anything is NaN or infinite; whether all is zero.
    """
    m, delays, a, fmt = path.m, path.delays, task.a, task.scale
    significand, exponent = task.largest(m, magnitude)
    lead = task.element.max_lsbs.bit_length() - 1 + task.element.lsb_exp
    reach = range(task.lowest - lead - 1, task.highest - lead + 2)
    scale = wanted_power(m, task, significand, exponent, reach)
    delay = delays.leading_zeros(a.sig_bits) + delays.shifter(a.sig_bits)
    delay += 2 * delays.adder(10)
    zero = ~magnitude.any()
    scale, special, zero, codes, random = path.end(
        "scale", delay, scale, special, zero, codes, random
    )
    low = max(fmt.min_exp, task.lowest - lead)
    high = min(fmt.max_exp, task.highest + 1 - lead)
    high, low = max(high, fmt.min_exp), min(low, fmt.max_exp)
    if task.block.rule is ScaleRule.MSE:
        low, high = max(fmt.min_exp, low - task.smaller), fmt.max_exp
        scale, special, zero, codes, random = _least_error(
            path, task, codes, scale, [special, zero, codes, random]
        )

    least, loose = a.min_exp - high, a.min_exp - low
    most = max(lead + task.smaller, task.highest - fmt.max_exp, loose)
    layout = data.StructLayout(
        {"significand": a.sig_bits, "exponent": range(most - least + 1), "sign": 1}
    )
    states = []
    for code in codes:
        x = unpack(a, code)
        state = Signal(layout, name="quotient")
        down = Signal(signed(12), name="quotient_exponent")
        m.d.comb += [
            down.eq(x.exponent - scale + (x.base - fmt.min_exp - least)),
            state.significand.eq(Mux(special, 0, x.significand)),
            state.exponent.eq(down),
            state.sign.eq(x.sign & ~special),
        ]
        states.append(state)
    delay = delays.gates(2) + delays.adder(9)
    states, scale, special, zero, random = path.end(
        "quotient", delay, states, scale, special, zero, random
    )

    def present(state: Any) -> Fraction:
        top = None if task.is_normal else loose
        return Fraction(state.sign, state.significand, state.exponent, least, most, loose_to=top)

    mode = task.design.out_round
    elements, flags = path.round(
        task.element, mode, states, present, [scale, special, zero], random=random
    )
    return elements, *flags


def _least_error(
    path: Path, task: Task, codes: list[Value], scale: Value, others: list[Any]
) -> list[Any]:
    """Return the scale of the least error, and others, which pass the same places."""
    m, delays, fmt = path.m, path.delays, task.scale
    search = LeastError(task.element, task.smaller, task.a.sig_bits)
    unit = fmt.min_exp + task.element.lsb_exp - task.smaller
    numbers = []
    for code in codes:
        x = unpack(task.a, code)
        amount = Signal(signed(12), name="align_amount")
        m.d.comb += amount.eq(x.exponent - scale + (x.base - unit + 1))
        numbers.append([search.align(m, x.significand, amount), x.sign])
    delay = delays.adder(10) + delays.shifter(search.width)
    numbers, scale, *others = path.end("error_align", delay, numbers, scale, *others)
    found = [search.gains(m, Aligned(*number)) for number in numbers]
    gains, evens = [gain for gain, _ in found], [even for _, even in found]
    bits = search.element_bits + task.smaller
    delay = 2 * delays.adder(search.width) + delays.multiplier(bits, search.width)
    gains, evens, scale, *others = path.end("errors", delay, gains, evens, scale, *others)
    best = search.choose(m, scale, fmt.nan_code - 1, gains, evens)
    levels = (len(codes) - 1).bit_length() + task.smaller + 1
    return path.end("error", levels * delays.adder(search.width + bits), best, *others)


def wanted_power(
    m: Module, task: Task, significand: Value, exponent: Value, reach: ShapeLike
) -> Signal:
    """Return the code of the power of two that a rule wants, or of the nearest one there is.

    Parameters
    ----------
    significand, exponent : Value
        The largest magnitude, less the scale of a tensor; the leading one is at the top.
    reach : ShapeLike
        What the exponent that is wanted may be.
    """
    element, fmt = task.element, task.scale
    lead = element.max_lsbs.bit_length() - 1 + element.lsb_exp
    more = _goes_up(task.block.rule, element, significand, exponent)
    wanted = Signal(reach, name="wanted_exponent")
    code = Signal(fmt.width, name="scale_code")
    m.d.comb += [wanted.eq(exponent - lead + more), code.eq(wanted - fmt.min_exp)]
    with m.If(wanted < fmt.min_exp):
        m.d.comb += code.eq(0)
    with m.If(wanted > fmt.max_exp):
        m.d.comb += code.eq(fmt.nan_code - 1)
    return code


def _goes_up(rule: ScaleRule, element: Any, significand: Value, exponent: Value) -> Value:
    """Whether a rule for powers of two takes the next one up.

    The significand has its leading one at the top.
    """
    width = len(significand)

    def above(mantissa: int, bits: int) -> tuple[Value, Value]:
        """Compare with ``mantissa * 2**-bits``: whether it is more, and whether equal."""
        common = max(width - 1, bits)
        x = Cat(Const(0, common - (width - 1)), significand)
        return x > mantissa << common - bits, x == mantissa << common - bits

    match rule:
        case ScaleRule.CEIL:
            return above(1, 0)[0]
        case ScaleRule.ROUNDUP | ScaleRule.MSE:
            return above(element.max_lsbs, element.max_lsbs.bit_length() - 1)[0]
        case ScaleRule.EVEN:
            # What rounds up to a power of two, in as many bits as elements have.
            bits = element.max_lsbs.bit_length() - 1
            is_odd: Value = Const(1)
            if isinstance(element, Minifloat):
                bits = element.man_bits
                if bits == 0:  # the exponent says whether a code is odd
                    is_odd = (exponent + element.bias)[0]
            more, equal = above((1 << bits + 2) - 1, bits + 1)
            return more | (equal & is_odd)
    return Const(0)
