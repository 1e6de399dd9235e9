"""Scales by a quotient, and elements by division: where a scale has a mantissa, or a tensor one."""

from typing import Any

from amaranth.hdl import Cat, Const, Mux, Signal, Value, signed
from amaranth.lib import data

from minimac.rtl.accumulator import Fraction
from minimac.rtl.divide import divide
from minimac.rtl.operand import unpack
from minimac.rtl.quantize.path import Path
from minimac.rtl.quantize.powers import wanted_power
from minimac.rtl.quantize.task import Task
from minimac.rtl.round import rest_bits
from minimac.rtl.shift import leading_zeros, shift_left, shift_right_sticky
from minimac.spec import Minifloat, Rounding, ScaleRule

__all__ = ["divide_elements"]

# How a quotient of largest magnitudes is rounded to a scale with a mantissa.
_SCALE_ROUNDING = {
    ScaleRule.FLOOR: Rounding.TRUNCATE,
    ScaleRule.CEIL: Rounding.UP,
    ScaleRule.EVEN: Rounding.RNE,
    ScaleRule.ROUNDUP: Rounding.UP,
}


def divide_elements(
    path: Path,
    task: Task,
    codes: list[Value],
    tensor: list[Value],
    random: list[Value],
    magnitude: Value,
    special: Value,
) -> tuple[list[Value], Value, Value, Value]:
    """Choose a scale by a quotient, and divide by it.

    Returns
    -------
    elements, scale, special, zero
        As of :func:`minimac.rtl.quantize.powers.shift_elements`.
    """
    lowest, ratio, (special, codes, random) = _ratio(
        path, task, magnitude, tensor, [special, codes, random]
    )
    zero = ~ratio.significand.any()
    scale, t_significand, t_exponent, zero, special, codes, random = _scale(
        path, task, lowest, ratio, [zero, special, codes, random]
    )
    s = unpack(task.scale, scale)
    divisor = Signal(len(s.significand) + len(t_significand), name="divisor")
    exponent = Signal(signed(12), name="divisor_exponent")
    path.m.d.comb += [
        divisor.eq(s.significand * t_significand),
        exponent.eq(s.exponent + t_exponent + s.base),
    ]
    delay = path.delays.multiplier(len(s.significand), len(t_significand)) + path.delays.gates(2)
    divisor, exponent, scale, zero, special, codes, random = path.end(
        "weight", delay, divisor, exponent, scale, zero, special, codes, random
    )
    return _quotients(path, task, codes, divisor, exponent, random, [scale, special, zero])


def _ratio(
    path: Path, task: Task, magnitude: Value, tensor: list[Value], others: list[Any]
) -> tuple[int, Any, list[Any]]:
    """Divide the largest magnitude by the tensor's scale and the largest element.

    Returns
    -------
    lowest : int
        What the exponent of the ratio counts from.
    ratio : data.View
        ``significand``, whose lowest bit stands for all below it, and whose leading one is one
        of the highest three bits; ``exponent`` of the highest; significand and exponent of the
        tensor's scale, not of a zero.
    others : list
        What passes the same places.
    """
    m, delays, element = path.m, path.delays, task.element
    significand, exponent = task.largest(m, magnitude)
    t_bits, t_low, t_high = 1, 0, 0
    t_significand: Value = Const(1, 1)
    t_exponent: Value = Const(0, signed(2))
    for code in tensor:
        fmt = task.block.tensor_scale
        assert isinstance(fmt, Minifloat)
        x = unpack(fmt, code)
        t_bits, t_low, t_high = fmt.sig_bits, fmt.lsb_exp, fmt.max_exp
        zeros = leading_zeros(m, x.significand)
        t_significand = shift_left(m, x.significand, zeros)
        t_exponent = x.exponent + x.base - zeros
    factor, up = 1, 0
    if not task.has_powers:
        factor, up = element.max_lsbs, element.lsb_exp
        while factor % 2 == 0:
            factor, up = factor // 2, up + 1
    factor_bits = factor.bit_length()
    width = max(len(significand), t_bits + factor_bits)
    bits = 3 + (_compared_bits(element) if task.has_powers else task.scale.sig_bits)
    low = task.lowest - t_high - up - factor_bits + 1
    high = task.highest - t_low - up - factor_bits + 1
    common = {
        "exponent": range(high - low + 1),
        "t_significand": t_bits,
        "t_exponent": signed(11) if tensor else signed(2),
    }
    operands = {"dividend": len(significand), "divisor": t_bits + factor_bits}
    state = Signal(data.StructLayout(operands | common), name="normal")
    m.d.comb += [
        state.dividend.eq(significand),
        state.divisor.eq(t_significand * factor),
        state.exponent.eq(exponent - t_exponent - (up + factor_bits - 1 + low)),
        state.t_significand.eq(t_significand),
        state.t_exponent.eq(t_exponent),
    ]
    delay = delays.leading_zeros(24) + delays.shifter(24) + delays.adder(10)
    state, *others = path.end("normal", delay, state, *others)
    # Both at the top of as many bits. The ratio is less than 4, and its first bit is worth 2.
    dividend = Cat(Const(0, width - len(significand)), state.dividend)
    divisor = Cat(Const(0, width - t_bits - factor_bits), state.divisor)
    quotient, remainder = divide(m, dividend[2:], Cat(Const(0, bits - 2), dividend[:2]), divisor)
    ratio = Signal(data.StructLayout({"significand": bits + 1} | common), name="ratio")
    m.d.comb += [
        ratio.significand.eq(Cat(remainder.any(), quotient)),
        *(ratio[name].eq(state[name]) for name in common),
    ]
    ratio, *others = path.end("ratio", bits * delays.adder(width), ratio, *others)
    return low, ratio, others


def _compared_bits(element: Any) -> int:
    """Bits of a mantissa that a rule for powers of two looks at."""
    factor = element.max_lsbs
    odd_bits = (factor // (factor & -factor)).bit_length()
    own_bits = element.man_bits if isinstance(element, Minifloat) else odd_bits
    return int(max(odd_bits, own_bits + 2))


def _scale(path: Path, task: Task, low: int, ratio: Any, others: list[Any]) -> list[Any]:
    """Round a ratio to a scale; return it, the tensor's, and what passes the same places."""
    m, fmt = path.m, task.scale
    others = [ratio.t_significand, ratio.t_exponent, *others]
    if task.has_powers:
        # With a divisor that begins with a zero, the leading one is the first or second.
        top = ratio.significand[-1]
        significand = Mux(top, ratio.significand, ratio.significand << 1)
        exponent = ratio.exponent + low - ~top
        significand = significand[: len(ratio.significand)]
        code = wanted_power(m, task, significand, exponent, signed(12))
        return path.end("scale", 3 * path.delays.adder(10), code, *others)
    highest = low + (1 << len(ratio.exponent)) - 1

    def present(state: Any) -> Fraction:
        return Fraction(Const(0), state.significand, state.exponent, low, highest)

    mode = _SCALE_ROUNDING[task.block.rule]
    codes, others = path.round(fmt, mode, [ratio], present, others, prefix="scale_")
    least = 1 << fmt.man_bits if fmt.ftz else 1
    code = Signal(fmt.width, name="positive_scale")
    m.d.comb += code.eq(Mux(codes[0] < least, least, codes[0]))
    return path.end("scale", path.delays.gates(2), code, *others)


def _quotients(
    path: Path,
    task: Task,
    codes: list[Value],
    divisor: Value,
    exponent: Value,
    random: list[Value],
    others: list[Value],
) -> tuple[list[Value], Value, Value, Value]:
    """Divide all numbers by one whose value is ``divisor * 2**(exponent - ...)``, and round.

    Numbers are brought to the unit of half the least element, or less for random bits.
    """
    m, delays, a, element = path.m, path.delays, task.a, task.element
    mode = task.design.out_round
    below = rest_bits(mode, task.design.random_bits)
    bits = element.max_lsbs.bit_length() + below
    fraction_bits = task.scale.sig_bits - 1
    if task.block.tensor_scale is not None:
        fraction_bits += task.block.tensor_scale.sig_bits - 1
    # Numbers come in at the top: room for those that are not normal to be too large all over.
    width = max(len(divisor) + bits + (0 if task.is_normal else a.sig_bits - 1), a.sig_bits)
    layout = data.StructLayout({"number": width + 1, "over": 1, "sign": 1})
    special = others[1]
    states = []
    for code in codes:
        x = unpack(a, code)
        state = Signal(layout, name="aligned")
        distance = Signal(signed(14), name="distance")
        unit = element.lsb_exp - below
        m.d.comb += distance.eq(exponent - x.exponent + (width - 1 - fraction_bits + unit - x.base))
        far = distance < 0
        number = Cat(Const(0, width + 1 - a.sig_bits), x.significand)
        moved = shift_right_sticky(m, number, Mux(far, 0, distance)[:13], sticky=True)
        m.d.comb += [
            state.number.eq(Mux(special, 0, moved)),
            state.over.eq(far & x.significand.any() & ~special),
            state.sign.eq(x.sign & ~special),
        ]
        states.append(state)
    delay = 2 * delays.adder(10) + delays.shifter(width)
    states, divisor, others, random = path.end("align", delay, states, divisor, others, random)
    done = []
    for state in states:
        lost, whole = state.number[0], state.number[1:]
        high = whole[bits:]
        over = state.over | (high >= divisor)
        quotient, remainder = divide(m, high[: len(divisor)], whole[:bits], divisor)
        divided = Signal(data.StructLayout({"magnitude": bits + 1, "sign": 1}), name="divided")
        m.d.comb += [
            divided.magnitude.eq(Cat(lost | remainder.any(), quotient) | over.replicate(bits + 1)),
            divided.sign.eq(state.sign),
        ]
        done.append(divided)
    delay = bits * (delays.adder(len(divisor)) + delays.gates(1))
    states, others, random = path.end("divide", delay, done, others, random)
    top = element.lsb_exp - below + bits - 1

    def present(state: Any) -> Fraction:
        return Fraction(state.sign, state.magnitude, Const(0, 1), top, top)

    elements, flags = path.round(element, mode, states, present, others, random=random)
    return elements, *flags
