"""Blocks of numbers to elements with a shared scale."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Fragment, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.accumulator import Fraction, Integer
from minimac.rtl.delay import Delays, Section, place_registers
from minimac.rtl.divide import divide
from minimac.rtl.elementwise import StreamedUnit
from minimac.rtl.leasterror import MOST_BITS, Aligned, LeastError, smaller_scales
from minimac.rtl.operand import unpack
from minimac.rtl.operations import SingleTerm
from minimac.rtl.outline import Outline
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.round import rest_bits
from minimac.rtl.shift import leading_zeros, shift_left, shift_right_sticky
from minimac.rtl.tofixed import ToFixed
from minimac.rtl.tominifloat import ToMinifloat
from minimac.spec import (
    BlockFormat,
    ExponentOnly,
    FixedPoint,
    Format,
    Lfsr,
    Minifloat,
    Overflow,
    Quantize,
    Rounding,
    ScaleRule,
    SpecError,
)

__all__ = ["QuantizePlan", "QuantizeUnit", "Quantizer"]

# How a quotient of largest magnitudes is rounded to a scale with a mantissa.
_SCALE_ROUNDING = {
    ScaleRule.FLOOR: Rounding.TRUNCATE,
    ScaleRule.CEIL: Rounding.UP,
    ScaleRule.EVEN: Rounding.RNE,
    ScaleRule.ROUNDUP: Rounding.UP,
}


@dataclass(frozen=True)
class _Modes:
    """What a conversion asks of a design."""

    out_round: Rounding
    out_overflow: Overflow = Overflow.SATURATE


class _Term(SingleTerm):
    """A finite number that is rounded, as one who knows its fields presents it."""

    def __init__(self, spec: Any, presented: Any) -> None:
        super().__init__(spec)
        self._presented = presented

    @property
    def special_bits(self) -> int:
        """What is special is dealt with beside."""
        return 0

    @property
    def state_layout(self) -> data.StructLayout:
        """That of whoever presents the state."""
        raise NotImplementedError

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Nothing is done."""
        return ()

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value | None) -> data.View:
        """Nobody asks."""
        raise NotImplementedError

    def integer(self, m: Module, state: data.View) -> Integer | None:
        """Return nothing: it is a fraction."""
        return None

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Present the state."""
        presented: Fraction = self._presented(state)
        return presented


class _Renamed(Pipeline):
    """A pipeline with a prefix to its places, for a part that is in it once more."""

    def __init__(self, pipe: Pipeline, prefix: str) -> None:
        cuts = [place.removeprefix(prefix) for place in pipe.cuts if place.startswith(prefix)]
        super().__init__(cuts, pipe.step)


def _exponents(low: int, high: int) -> range:
    return range(high - low + 1)


class _Scaling:
    """What all quantisers have in common: the largest magnitude, normalised.

    Attributes
    ----------
    lowest, highest : int
        Least and greatest exponent of the leading one of a number other than zero.
    """

    def __init__(self, design: Quantize) -> None:
        self.design = design
        self.a: Any = design.a
        self.lowest = self.a.min_exp if self.is_normal else self.a.lsb_exp
        self.highest = self.a.max_exp

    @property
    def is_normal(self) -> bool:
        """Whether all numbers but zero have their leading one at the top."""
        return isinstance(self.a, Minifloat) and self.a.ftz

    @property
    def magnitude_bits(self) -> int:
        """Width of what magnitudes are compared by."""
        return self.a.magnitude_bits if isinstance(self.a, Minifloat) else self.a.sig_bits

    def magnitude(self, code: Value) -> Value:
        """Return what the magnitude of a code is compared by: that of NaN is of no use."""
        if isinstance(self.a, FixedPoint):
            return unpack(self.a, code).significand
        magnitude = code[: self.a.magnitude_bits]
        return Mux(unpack(self.a, code).zero, 0, magnitude) if self.a.ftz else magnitude

    def largest(self, m: Module, magnitude: Value) -> tuple[Value, Value]:
        """Return the largest magnitude's significand, its leading one at the top, and its exponent.

        The exponent is signed, and means nothing for zero.
        """
        if isinstance(self.a, FixedPoint):
            significand, exponent = magnitude, Const(self.a.min_exp, signed(12))
        else:
            code = Cat(magnitude, Const(0, int(self.a.signed)))
            x = unpack(self.a, code)
            significand, exponent = x.significand, x.exponent + x.base
        if self.is_normal:
            return significand, exponent
        zeros = leading_zeros(m, significand)
        return shift_left(m, significand, zeros), exponent - zeros


class QuantizePlan:
    """Interface and timing of a :class:`QuantizeUnit`, found without building it.

    Attributes
    ----------
    cuts : tuple of str
        Places in the datapath that hold a register.
    latency : int
        Cycles from a transfer on ``i`` to ``o.valid``, if ``o`` does not stall.
    signature : wiring.Signature
        Members of the unit.
    """

    def __init__(self, design: Quantize) -> None:
        self.design = design
        out = design.block
        self.smaller = 0
        if out.rule is ScaleRule.MSE:
            self.smaller = _smaller_scales(out)
        self.size = out.size or 1
        self.scale: Any = out.scale
        self.element: Any = out.element
        self.random_bits = design.random_bits
        self.accumulator = _Term(design, None)
        self.scaling = _Scaling(design)
        self.is_power = isinstance(out.scale, ExponentOnly)
        self.divides = not self.is_power or out.tensor_scale is not None
        delays = Delays(design.technology)
        sections = self._sections(delays)
        offered = [section.place for section in sections[:-1]]
        stages = None if design.pipeline == "auto" else design.pipeline
        if stages is not None and stages > len(offered):
            raise SpecError(
                f"pipeline: must be auto or 0 to {len(offered)} for unit {design.unit} of "
                f"{design.summary()}, not {stages}"
            )
        self.cuts = place_registers(
            sections,
            offered,
            stages=stages,
            period_ps=1e6 / design.clock_mhz,
            register_ps=delays.register,
        )
        self.latency = len(self.cuts) + 1
        self.inputs: dict[str, Any] = {"a": data.ArrayLayout(design.a.width, self.size)}
        if out.tensor_scale is not None:
            self.inputs["tensor"] = out.tensor_scale.width
        payload = dict(self.inputs)
        if self.random_bits:
            self.inputs["random"] = data.ArrayLayout(self.random_bits, self.size)
            if not self.lfsrs:
                payload["random"] = self.inputs["random"]
        self.outputs: dict[str, Any] = {
            "elements": data.ArrayLayout(self.element.width, self.size),
            "scale": self.scale.width,
        }
        self.signature = wiring.Signature(
            {
                "i": In(stream.Signature(data.StructLayout(payload))),
                "o": Out(stream.Signature(data.StructLayout(self.outputs))),
            }
        )

    @property
    def lfsrs(self) -> list[Lfsr]:
        """Where random bits come from, if not from a port: a register for each element."""
        lfsr = self.design.lfsr
        return [lfsr.lane(n) for n in range(self.size)] if lfsr else []

    def _sections(self, delays: Delays) -> tuple[Section, ...]:
        # Widths are asked of the circuit itself, in a module that leads nowhere.
        m = Module()
        found = _Builder(self, m, Pipeline((), Const(1)), delays)
        found.build(
            [Signal(self.design.a.width) for _ in range(self.size)],
            Signal(self.design.block.tensor_scale.width)
            if self.design.block.tensor_scale
            else None,
            [Signal(self.random_bits) for _ in range(self.size)] if self.random_bits else None,
        )
        Fragment.get(m, None)  # else Amaranth warns that nobody does
        return tuple(found.sections)

    def build(self, m: Module, *, step: Value, operands: dict[str, Any]) -> dict[str, Value]:
        """Add the hardware to a module; return the codes of the elements and of their scale."""
        builder = _Builder(self, m, Pipeline(self.cuts, step), Delays(self.design.technology))
        random = [*operands["random"]] if "random" in operands else None
        return builder.build([*operands["a"]], operands.get("tensor"), random)

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        out, a = self.design.block, self.design.a.name
        tensor = out.tensor_scale.name if out.tensor_scale else ""
        return {
            "i": {
                "a": f"codes of {a}: a block of numbers",
                "tensor": f"code of {tensor}: the scale of the tensor, positive and finite",
                "random": "random bits for each number, all values alike",
            },
            "o": {
                "elements": f"codes of {self.element.name}",
                "scale": f"code of {self.scale.name}: the scale of the block",
            },
        }

    @property
    def protocol(self) -> list[str]:
        """How the ports are used."""
        return [
            "Each transfer on i is one block; results come in order on o.",
            "latency_cycles: from the edge that takes a transfer on i to the one after which",
            "o is valid. Throughput: a transfer a cycle; while o is stalled everything stands",
            "still.",
        ]

    def create(self, outline: Outline | None = None) -> "QuantizeUnit":
        """Create the hardware."""
        return QuantizeUnit(self.design, outline)

    def create_element(self) -> "Quantizer":
        """Create what is between the streams."""
        return Quantizer(self.design)


class _Builder:
    """The datapath: it adds the hardware and, on the way, says what the pieces are.

    Attributes
    ----------
    sections : list of Section
        Pieces between places for registers.
    """

    def __init__(self, plan: QuantizePlan, m: Module, pipe: Pipeline, delays: Delays) -> None:
        self.plan = plan
        self.m = m
        self.pipe = pipe
        self.delays = delays
        self.sections: list[Section] = []

    def _end(self, place: str, delay_ps: float, values: Sequence[Value]) -> list[Value]:
        """End a piece of the datapath: all that goes on passes the place."""
        self.sections.append(Section(place, delay_ps))
        return [self._pass(place, value) for value in values]

    def _pass(self, place: str, value: Value) -> Value:
        return value if isinstance(value, Const) else self.pipe.cut(self.m, place, value)

    def _rounded(
        self,
        prefix: str,
        fmt: Format,
        mode: Rounding,
        states: Sequence[data.View],
        present: Any,
        others: Sequence[Value],
        random: Sequence[Value] | None = None,
    ) -> tuple[list[Value], list[Value]]:
        """Round numbers to codes of a format, and let others pass the same places."""
        modes: Any = _Modes(mode)
        term = _Term(modes, present)
        bits = len(random[0]) if random else None
        conversion: ToMinifloat | ToFixed
        if isinstance(fmt, Minifloat):
            conversion = ToMinifloat(modes, fmt, term, keeps_zero_sign=True, random_bits=bits)
        else:
            assert isinstance(fmt, FixedPoint)
            conversion = ToFixed(modes, fmt, term, random_bits=bits)
        pieces = conversion.sections(self.m, states[0], self.delays)
        pipe = _Renamed(self.pipe, prefix)
        codes = [
            conversion.build(self.m, pipe, state, random[n] if random else None)
            for n, state in enumerate(states)
        ]
        for section in pieces:
            place = prefix + section.place if section.place else ""
            self.sections.append(Section(place, section.delay_ps))
            if place:
                others = [self._pass(place, value) for value in others]
        return codes, list(others)

    def build(
        self, codes: list[Value], tensor: Value | None, random: list[Value] | None
    ) -> dict[str, Value]:
        """Add all of it; return the codes of the elements and of their scale."""
        n = len(codes)
        rest = [*codes, *([] if tensor is None else [tensor]), *(random or [])]
        magnitude, special, rest = self._find_largest(codes, rest)
        codes = rest[:n]
        tensor = None if tensor is None else rest[n]
        random = rest[-n:] if random else None
        choose = self._divide if self.plan.divides else self._shift
        elements, scale, flags = choose(codes, magnitude, tensor, random, special)
        return self._finish(elements, scale, *flags)

    def _find_largest(
        self, codes: list[Value], rest: list[Value]
    ) -> tuple[Value, Value, list[Value]]:
        """Return the largest magnitude, and whether anything is NaN or infinite."""
        scaling, a, m = self.plan.scaling, self.plan.design.a, self.m
        unpacked = [unpack(a, code) for code in codes]
        special = Cat(*(x.nan | x.infinity for x in unpacked)).any()
        if not (a.has_nan or a.has_infinities):
            special = Const(0)
        found: list[Value] = [scaling.magnitude(code) for code in codes]
        levels = (len(found) - 1).bit_length()
        each = self.delays.adder(scaling.magnitude_bits) + self.delays.gates(1)
        delay = self.delays.gates(1 if isinstance(a, Minifloat) else 0)
        if isinstance(a, FixedPoint):
            delay += self.delays.incrementer(a.width)
        for level in range(levels):
            larger = []
            for x, y in zip(found[::2], found[1::2], strict=False):
                best = Signal(scaling.magnitude_bits, name=f"largest_{level}")
                m.d.comb += best.eq(Mux(x < y, y, x))
                larger.append(best)
            found = larger + found[len(larger) * 2 :]
            delay += each
            if level + 1 == levels // 2:
                passed = self._end("half", delay, [*found, special, *rest])
                found, special, rest = (
                    passed[: len(found)],
                    passed[len(found)],
                    passed[-len(rest) :],
                )
                delay = 0.0
        magnitude, special, *rest = self._end("largest", delay, [found[0], special, *rest])
        return magnitude, special, rest

    def _shift(
        self,
        codes: list[Value],
        magnitude: Value,
        tensor: Value | None,
        random: list[Value] | None,
        special: Value,
    ) -> tuple[list[Value], Value, list[Value]]:
        """Choose a power of two, and subtract its exponent."""
        plan, m, delays = self.plan, self.m, self.delays
        scaling, element = plan.scaling, plan.element
        significand, exponent = scaling.largest(m, magnitude)
        lead = element.max_lsbs.bit_length() - 1 + element.lsb_exp
        more = _goes_up(plan.design.block.rule, element, significand, exponent)
        wanted = Signal(
            range(scaling.lowest - lead - 1, scaling.highest - lead + 2), name="wanted_exponent"
        )
        m.d.comb += wanted.eq(exponent - lead + more)
        low = max(plan.scale.min_exp, scaling.lowest - lead)
        high = min(plan.scale.max_exp, scaling.highest + 1 - lead)
        high, low = max(high, plan.scale.min_exp), min(low, plan.scale.max_exp)
        least_error = plan.design.block.rule is ScaleRule.MSE
        if least_error:
            low, high = max(plan.scale.min_exp, low - plan.smaller), plan.scale.max_exp
        # The scale as a code, which is its exponent.
        scale = Signal(8, name="scale_code")
        m.d.comb += scale.eq(wanted - plan.scale.min_exp)
        with m.If(wanted < plan.scale.min_exp):
            m.d.comb += scale.eq(0)
        with m.If(wanted > plan.scale.max_exp):
            m.d.comb += scale.eq(plan.scale.nan_code - 1)
        delay = delays.leading_zeros(plan.design.a.sig_bits) + delays.shifter(
            plan.design.a.sig_bits
        )
        delay += 2 * delays.adder(10)
        zero = ~magnitude.any()
        n = len(codes)
        scale, special, zero, *rest = self._end(
            "scale", delay, [scale, special, zero, *codes, *(random or [])]
        )
        codes, random = rest[:n], rest[n:] or None
        if least_error:
            scale, special, zero, *rest = self._least_error(
                codes, scale, [special, zero, *codes, *(random or [])]
            )
            codes, random = rest[:n], rest[n:] or None

        a: Any = plan.design.a
        least = a.min_exp - high
        loose = a.min_exp - low
        most = max(lead + plan.smaller, scaling.highest - plan.scale.max_exp, loose)
        layout = data.StructLayout(
            {"significand": a.sig_bits, "exponent": _exponents(least, most), "sign": 1}
        )
        states = []
        for code in codes:
            x = unpack(a, code)
            state = Signal(layout, name="quotient")
            down = Signal(signed(12), name="quotient_exponent")
            m.d.comb += [
                down.eq(x.exponent - scale + (x.base - plan.scale.min_exp - least)),
                state.significand.eq(Mux(special, 0, x.significand)),
                state.exponent.eq(down),
                state.sign.eq(x.sign & ~special),
            ]
            states.append(state)
        delay = delays.gates(2) + delays.adder(9)
        flat = self._end("quotient", delay, [*states, scale, special, zero, *(random or [])])
        states, (scale, special, zero) = flat[:n], flat[n : n + 3]
        random = flat[n + 3 :] or None

        def present(state: Any) -> Fraction:
            top = None if scaling.is_normal else loose
            base = least
            return Fraction(state.sign, state.significand, state.exponent, base, most, loose_to=top)

        elements, flags = self._rounded(
            "", element, plan.design.out_round, states, present, [scale, special, zero], random
        )
        return elements, flags[0], flags[1:]

    def _least_error(self, codes: list[Value], scale: Value, others: list[Value]) -> list[Value]:
        """Return the scale of the least error, and what passes the same places."""
        plan, m, delays = self.plan, self.m, self.delays
        a: Any = plan.design.a
        search = LeastError(plan.element, plan.smaller, a.sig_bits)
        unit = plan.scale.min_exp + plan.element.lsb_exp - plan.smaller
        numbers = []
        for code in codes:
            x = unpack(a, code)
            amount = Signal(signed(12), name="align_amount")
            m.d.comb += amount.eq(x.exponent - scale + (x.base - unit + 1))
            numbers += [search.align(m, x.significand, amount), x.sign]
        delay = delays.adder(10) + delays.shifter(search.width)
        flat = self._end("error_align", delay, [*numbers, scale, *others])
        numbers, scale, others = (
            flat[: 2 * len(codes)],
            flat[2 * len(codes)],
            flat[len(codes) * 2 + 1 :],
        )
        gains, evens = [], []
        for magnitude, sign in zip(numbers[::2], numbers[1::2], strict=True):
            found, even = search.gains(m, Aligned(magnitude, sign))
            gains.append(found)
            evens.append(even)
        bits = search.element_bits + plan.smaller
        delay = 2 * delays.adder(search.width) + delays.multiplier(bits, search.width)
        count = plan.smaller * len(codes)
        flat = self._end(
            "errors", delay, [*(gain for row in gains for gain in row), *evens, scale, *others]
        )
        each = [flat[i : i + plan.smaller] for i in range(0, count, plan.smaller or 1)]
        each = each or [[] for _ in codes]
        evens, scale, others = (
            flat[count : count + len(codes)],
            flat[count + len(codes)],
            flat[count + len(codes) + 1 :],
        )
        best = search.choose(m, scale, plan.scale.nan_code - 1, each, evens)
        levels = (len(codes) - 1).bit_length() + plan.smaller + 1
        return self._end("error", levels * delays.adder(search.width + bits), [best, *others])

    def _divide(
        self,
        codes: list[Value],
        magnitude: Value,
        tensor: Value | None,
        random: list[Value] | None,
        special: Value,
    ) -> tuple[list[Value], Value, list[Value]]:
        """Choose a scale by a quotient, and divide by it."""
        n, block = len(codes), self.plan.design.block
        flat = [special, *codes, *(random or [])]
        lowest, ratio, flat = self._ratio(magnitude, tensor, flat)
        zero = ~ratio.significand.any()
        weight, (zero, special, *flat) = self._choose_weight(lowest, ratio, [zero, *flat])
        codes, random = flat[:n], flat[n:] or None
        scale, tensor_parts = weight

        s = unpack(block.scale, scale)
        t_significand, t_exponent = tensor_parts
        divisor = Signal(len(s.significand) + len(t_significand), name="divisor")
        exponent = Signal(signed(12), name="divisor_exponent")
        self.m.d.comb += [
            divisor.eq(s.significand * t_significand),
            exponent.eq(s.exponent + t_exponent + s.base),
        ]
        delay = self.delays.multiplier(len(s.significand), len(t_significand))
        flat = self._end(
            "weight",
            delay + self.delays.gates(2),
            [divisor, exponent, scale, zero, special, *codes, *(random or [])],
        )
        divisor, exponent, scale, zero, special, *flat = flat
        codes, random = flat[:n], flat[n:] or None
        return self._quotients(codes, divisor, exponent, random, [scale, special, zero])

    def _ratio(
        self, magnitude: Value, tensor: Value | None, others: list[Value]
    ) -> tuple[int, Any, list[Value]]:
        """Divide the largest magnitude by the tensor's scale and the largest element.

        Returns
        -------
        lowest : int
            What the exponent of the ratio counts from.
        ratio : data.View
            ``significand``, whose lowest bit stands for all below it, and whose leading one is one
            of the highest three bits; ``exponent`` of the highest; significand and exponent of the
            tensor's scale, not of a zero.
        others : list of Value
            What passes the same places.
        """
        plan, m, delays = self.plan, self.m, self.delays
        scaling, block, element = plan.scaling, plan.design.block, plan.element
        significand, exponent = scaling.largest(m, magnitude)
        t_bits, t_low, t_high = 1, 0, 0
        t_significand: Value = Const(1, 1)
        t_exponent: Value = Const(0, signed(2))
        fmt = block.tensor_scale
        if tensor is not None:
            assert isinstance(fmt, Minifloat)
            x = unpack(fmt, tensor)
            t_bits, t_low, t_high = fmt.sig_bits, fmt.lsb_exp, fmt.max_exp
            zeros = leading_zeros(m, x.significand)
            t_significand = shift_left(m, x.significand, zeros)
            t_exponent = x.exponent + x.base - zeros
        factor, up = 1, 0
        if not plan.is_power:
            factor, up = element.max_lsbs, element.lsb_exp
            while factor % 2 == 0:
                factor, up = factor // 2, up + 1
        factor_bits = factor.bit_length()
        width = max(len(significand), t_bits + factor_bits)
        bits = 3 + (self._compared_bits if plan.is_power else block.scale.sig_bits)
        low = scaling.lowest - t_high - up - factor_bits + 1
        high = scaling.highest - t_low - up - factor_bits + 1
        layout = data.StructLayout(
            {
                "dividend": len(significand),
                "divisor": t_bits + factor_bits,
                "exponent": _exponents(low, high),
                "t_significand": t_bits,
                "t_exponent": signed(11) if tensor is not None else signed(2),
            }
        )
        state = Signal(layout, name="normal")
        m.d.comb += [
            state.dividend.eq(significand),
            state.divisor.eq(t_significand * factor),
            state.exponent.eq(exponent - t_exponent - (up + factor_bits - 1 + low)),
            state.t_significand.eq(t_significand),
            state.t_exponent.eq(t_exponent),
        ]
        delay = delays.leading_zeros(24) + delays.shifter(24) + delays.adder(10)
        state, *others = self._end("normal", delay, [state, *others])
        # Both at the top of as many bits. The ratio is less than 4, and its first bit is worth 2.
        dividend = Cat(Const(0, width - len(significand)), state.dividend)
        divisor = Cat(Const(0, width - t_bits - factor_bits), state.divisor)
        quotient, remainder = divide(
            m, dividend[2:], Cat(Const(0, bits - 2), dividend[:2]), divisor
        )
        ratio_layout = data.StructLayout(
            {
                "significand": bits + 1,
                "exponent": _exponents(low, high),
                "t_significand": t_bits,
                "t_exponent": layout["t_exponent"].shape,
            }
        )
        ratio = Signal(ratio_layout, name="ratio")
        m.d.comb += [
            ratio.significand.eq(Cat(remainder.any(), quotient)),
            ratio.exponent.eq(state.exponent),
            ratio.t_significand.eq(state.t_significand),
            ratio.t_exponent.eq(state.t_exponent),
        ]
        ratio, *others = self._end("ratio", bits * delays.adder(width), [ratio, *others])
        return low, ratio, others

    @property
    def _compared_bits(self) -> int:
        """Bits of a mantissa that a rule for powers of two looks at."""
        element = self.plan.element
        factor = element.max_lsbs
        odd_bits = (factor // (factor & -factor)).bit_length()
        own_bits = element.man_bits if isinstance(element, Minifloat) else odd_bits
        return int(max(odd_bits, own_bits + 2))

    def _choose_weight(
        self, low: int, ratio: Any, others: list[Value]
    ) -> tuple[tuple[Value, tuple[Value, Value]], list[Value]]:
        """Round a ratio to a scale; return it, the tensor's, and what passes the same places."""
        plan, m = self.plan, self.m
        block, fmt = plan.design.block, plan.scale
        t_parts = [ratio.t_significand, ratio.t_exponent]
        passed: list[Value]
        if plan.is_power:
            code, passed = self._power(low, ratio), [*t_parts, *others]
            passed = self._end("scale", 3 * self.delays.adder(10), [code, *passed])
            code, *passed = passed
        else:
            highest = low + (1 << len(ratio.exponent)) - 1
            mode = _SCALE_ROUNDING[block.rule]

            def present(state: Any) -> Fraction:
                return Fraction(Const(0), state.significand, state.exponent, low, highest)

            codes, passed = self._rounded(
                "scale_", fmt, mode, [ratio], present, [*t_parts, *others]
            )
            least = 1 << fmt.man_bits if fmt.ftz else 1
            code = Signal(fmt.width, name="positive_scale")
            m.d.comb += code.eq(Mux(codes[0] < least, least, codes[0]))
            code, *passed = self._end("scale", self.delays.gates(2), [code, *passed])
        return (code, (passed[0], passed[1])), passed[2:]

    def _power(self, low: int, ratio: Any) -> Value:
        """Return the scale, a power of two, by its rule."""
        plan, m = self.plan, self.m
        element, fmt = plan.element, plan.scale
        # With a divisor that begins with a zero, the leading one is the first or second.
        top = ratio.significand[-1]
        significand = Mux(top, ratio.significand, ratio.significand << 1)
        significand = significand[: len(ratio.significand)]
        exponent = ratio.exponent + low - ~top
        lead = element.max_lsbs.bit_length() - 1 + element.lsb_exp
        wanted = Signal(signed(12), name="wanted_exponent")
        more = _goes_up(plan.design.block.rule, element, significand, exponent)
        m.d.comb += wanted.eq(exponent + more - lead)
        code = Signal(fmt.width, name="scale_code")
        m.d.comb += code.eq(wanted - fmt.min_exp)
        with m.If(wanted < fmt.min_exp):
            m.d.comb += code.eq(0)
        with m.If(wanted > fmt.max_exp):
            m.d.comb += code.eq(fmt.nan_code - 1)
        return code

    def _quotients(
        self,
        codes: list[Value],
        divisor: Value,
        exponent: Value,
        random: list[Value] | None,
        others: list[Value],
    ) -> tuple[list[Value], Value, list[Value]]:
        """Divide all numbers by one whose value is ``divisor * 2**(exponent - ...)``, and round.

        Numbers are brought to the unit of half the least element, or less for random bits.
        """
        plan, m, delays = self.plan, self.m, self.delays
        element, block, n = plan.element, plan.design.block, len(codes)
        mode = plan.design.out_round
        below = rest_bits(mode, plan.random_bits)
        bits = element.max_lsbs.bit_length() + below
        a: Any = plan.design.a
        fraction_bits = block.scale.sig_bits - 1
        if block.tensor_scale is not None:
            fraction_bits += block.tensor_scale.sig_bits - 1
        # Numbers come in at the top: room for those that are not normal to be too large all over.
        width = max(
            len(divisor) + bits + (0 if plan.scaling.is_normal else a.sig_bits - 1), a.sig_bits
        )
        layout = data.StructLayout({"number": width + 1, "over": 1, "sign": 1})
        special = others[1]
        states = []
        for code in codes:
            x = unpack(a, code)
            state = Signal(layout, name="aligned")
            distance = Signal(signed(14), name="distance")
            unit = element.lsb_exp - below
            m.d.comb += distance.eq(
                exponent - x.exponent + (width - 1 - fraction_bits + unit - x.base)
            )
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
        flat = self._end("align", delay, [*states, divisor, *others, *(random or [])])
        states, divisor, others = flat[:n], flat[n], flat[n + 1 : n + 4]
        random = flat[n + 4 :] or None
        done = []
        for state in states:
            lost, whole = state.number[0], state.number[1:]
            high = whole[bits:]
            over = state.over | (high >= divisor)
            quotient, remainder = divide(m, high[: len(divisor)], whole[:bits], divisor)
            divided = Signal(data.StructLayout({"magnitude": bits + 1, "sign": 1}), name="divided")
            m.d.comb += [
                divided.magnitude.eq(
                    Cat(lost | remainder.any(), quotient) | over.replicate(bits + 1)
                ),
                divided.sign.eq(state.sign),
            ]
            done.append(divided)
        delay = bits * (delays.adder(len(divisor)) + delays.gates(1))
        flat = self._end("divide", delay, [*done, *others, *(random or [])])
        states, others, random = flat[:n], flat[n : n + 3], flat[n + 3 :] or None
        top = element.lsb_exp - below + bits - 1

        def present(state: Any) -> Fraction:
            return Fraction(state.sign, state.magnitude, Const(0, 1), top, top)

        elements, flags = self._rounded("", element, mode, states, present, others, random)
        return elements, flags[0], flags[1:]

    def _finish(
        self, elements: list[Value], scale: Value, special: Value, zero: Value
    ) -> dict[str, Value]:
        """Put in the scales of blocks of zeros, and of those with anything special."""
        fmt = self.plan.scale
        code = Signal(fmt.width, name="scale")
        self.m.d.comb += code.eq(scale)
        with self.m.If(zero):
            self.m.d.comb += code.eq(_code_of_one(fmt))
        if not isinstance(special, Const):
            with self.m.If(special):
                self.m.d.comb += code.eq(fmt.nan_code)
        return {"elements": Cat(*elements), "scale": code}


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


def _smaller_scales(out: BlockFormat) -> int:
    """Return how many scales below that of ``roundup`` rule ``mse`` has to try.

    Raises
    ------
    SpecError
        If there is no circuit for the rule.
    """
    element: Any = out.element
    instead = out.name.replace("mse", "roundup")
    if not isinstance(out.scale, ExponentOnly) or out.tensor_scale is not None:
        raise SpecError(
            "out: rule mse has circuits for scales of powers of two and none of the tensor; use "
            f"{instead}"
        )
    wide = max(element.max_lsbs, -element.min_lsbs).bit_length() > MOST_BITS
    if wide or not element.signed or (isinstance(element, Minifloat) and element.ftz):
        raise SpecError(
            f"out: rule mse has circuits for signed elements of at most {MOST_BITS} bits as "
            f"fixed point, with subnormals, which {element.name} is not; use {instead}"
        )
    smaller = smaller_scales(element, out.size or 1)
    if smaller is None:
        raise SpecError(
            f"out: rule mse has to try too many scales in blocks of {out.size} of {element.name}; "
            f"use a smaller size, or {instead}"
        )
    return smaller


def _code_of_one(scale: Any) -> int:
    """Return the code of the positive value nearest to 1, of two the even one."""
    if isinstance(scale, ExponentOnly):
        return int(-scale.min_exp)
    codes = range(1 << scale.man_bits if scale.ftz else 1, scale.max_code + 1)
    if scale.lsb_exp > 0:
        return codes[0]
    one = 1 << -scale.lsb_exp
    at = bisect.bisect_left(codes, one, key=scale.lsbs)
    near = codes[max(at - 1, 0) : at + 1]
    nearest: int = min(near, key=lambda code: (abs(scale.lsbs(code) - one), code % 2))
    return nearest


class Quantizer(wiring.Component):
    """A quantiser of one block: combinational, or a pipeline; for use in somebody's datapath.

    Parameters
    ----------
    design : Quantize
        What is computed, and ``pipeline``: the number of register stages inside.

    Members
    -------
    step : ``In(1)``
        Whether the registers move in this cycle; only if there are any.
    a : ``In(ArrayLayout(design.a.width, size))``
        Codes of the numbers.
    tensor : ``In(width)``
        Code of the tensor's scale, if there is one.
    random : ``In(ArrayLayout(design.random_bits, size))``
        Random bits; only with a stochastic ``design.out_round``.
    elements : ``Out(ArrayLayout(width, size))``
        Codes of the elements.
    scale : ``Out(width)``
        Code of their scale.
    """

    def __init__(self, design: Quantize) -> None:
        self.plan = QuantizePlan(design)
        members = {name: In(shape) for name, shape in self.plan.inputs.items()}
        members |= {name: Out(shape) for name, shape in self.plan.outputs.items()}
        super().__init__(members | ({"step": In(1)} if self.plan.cuts else {}))

    def elaborate(self, platform):
        m = Module()
        step = self.step if self.plan.cuts else Const(1)
        operands = {name: getattr(self, name) for name in self.plan.inputs}
        for name, value in self.plan.build(m, step=step, operands=operands).items():
            m.d.comb += Value.cast(getattr(self, name)).eq(value)
        return m


class QuantizeUnit(StreamedUnit):
    """A quantiser of a stream of blocks.

    One transfer is accepted per cycle. While ``o`` is stalled everything stands still.

    Parameters
    ----------
    design : Quantize
        The unit.
    outline : Outline, optional
        Where the quantiser comes from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``a``: codes of a block; perhaps ``tensor`` and ``random``.
    o : ``Out(stream.Signature(...))``
        ``elements`` and ``scale``.
    """

    def __init__(self, design: Quantize, outline: Outline | None = None) -> None:
        super().__init__(QuantizePlan(design), outline)
