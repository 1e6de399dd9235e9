"""Correctly rounded fused multiply-add: each step of a chain is ``a*b + c``, rounded once.

One path, made for few gates. Of the product and the addend, the one with the larger exponent stays
at the top of a window, and the other is shifted right to its place, so that the window is little
wider than a product. Below it a single bit says whether anything was lost. Significands are not
normalised beforehand: subnormal operands have leading zeros, and the window has room for them.

A difference is ``staying + ~moved``, one less than the true one. If it is negative, the complement
of all its bits is the magnitude; else the missing one is put off until rounding, where it decides
only whether what follows the result is a half, or carries into it: ones enter from below meanwhile.

To normalise, each stage asks whether the top bits are zero and whether the exponent lets it shift
so far, the widest stage first: no zeros are counted, and subnormal results need nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data

from minimac.rtl.coded import CodedAccumulator
from minimac.rtl.compare import at_least
from minimac.rtl.delay import Delays, Section
from minimac.rtl.operand import Operand, exponent_range, unpack
from minimac.rtl.parts import mark
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import FloatProduct, float_product
from minimac.rtl.round import round_up
from minimac.spec import (
    Arithmetic,
    FixedPoint,
    Format,
    Minifloat,
    Product,
    RoundedAccumulation,
    Rounding,
)

__all__ = ["RoundedAccumulator", "fused_multiply_add"]

#: Bits of the shorter factor up to which rows that are added in pairs are smaller than ``*``.
_WIDEST_TREE = 12


def fused_multiply_add(m: Module, spec: Arithmetic, a: Value, b: Value, c: Value) -> Value:
    """Return the code of the correctly rounded ``a*b + c``, combinational.

    Parameters
    ----------
    spec : Arithmetic
        Formats of ``a`` and ``b``, and an ``accumulate`` of kind ``rounded``: the format of ``c``
        and of the result, and the rounding.
    a, b, c : Value
        Codes.

    Raises
    ------
    ValueError
        If the format of ``c`` lacks a code for a NaN or an infinity that operands may bring.
    """
    unit = RoundedAccumulator(spec, any_addend=True)
    if not unit.codes_special:
        raise ValueError(f"{unit.format.name} has no code for all NaN and infinities of a and b")
    pipe = Pipeline((), Const(1))
    addend = Signal(unit.state_layout, name="addend")
    m.d.comb += addend.code.eq(c)
    result: Value = unit.step(m, pipe, addend, unit.multiply(m, pipe, a, b)).code
    return result


@dataclass(frozen=True)
class _Window:
    """How wide things must be for the result to be correctly rounded.

    Exponents are counted in ``reach``: how far the leading one of a sum may be shifted left, from
    the place above the top of the window, until that is the place of the least normal. The reach of
    the addend is its exponent field, 1 for a subnormal.

    Attributes
    ----------
    low, high : int
        Least and greatest reach of a product.
    top : int
        Greatest reach of an addend.
    bits : int
        Width of the window.
    shift : int
        How far a sum must be shifted at most.
    """

    low: int
    high: int
    top: int
    bits: int
    shift: int

    @classmethod
    def of(cls, spec: Arithmetic, fmt: Minifloat) -> "_Window":
        """Find the window of a step."""
        product_bits, bits = spec.product_bits, fmt.sig_bits
        if spec.product is Product.EXACT:
            ends = [
                (x + y + 1, p + q + 1) for x, p in _ends(spec.a) for y, q in _ends(spec.b)
            ]  # exponent of the top bit of a product, and zeros above its leading one
        else:
            ends = [(spec.product_min_exp, 1), (spec.product_max_exp, 1)]
        # Where the addend stays, it and the product may cancel down to the last bit of the product,
        # one place below the addend's if that is as close as they are; if they do not cancel, one
        # place is lost, and one more rounds.
        window = max(product_bits + 1, bits + 2)
        shift = product_bits + 1
        staying = [zeros for top, zeros in ends if top > fmt.min_exp]
        if staying:
            # Where the product stays, an addend that is two places below its leading one, or more,
            # lets that fall by one place; other addends are in the window as a whole.
            window = max(window, max(staying) + bits + 2)
            shift = max(shift, max(staying) + bits + 1)
        low, high = (f(top for top, _ in ends) + 1 - fmt.min_exp for f in (min, max))
        top = fmt.max_exp - fmt.min_exp + 1
        return cls(low, high, top, window, min(shift, max(high, top)))


def _ends(fmt: Format) -> list[tuple[int, int]]:
    """Exponents of finite operands, and most zeros above the leading one with that or less."""
    least, greatest = exponent_range(fmt)
    value = fmt.value_format
    zeros = value.sig_bits - 1
    if isinstance(value, FixedPoint):
        return [(greatest, zeros)]
    has_subnormals = not (isinstance(value, Minifloat) and value.ftz)
    return [(greatest, 0), (least, zeros if has_subnormals else 0)]


class RoundedAccumulator(CodedAccumulator):
    """A number of ``accumulate.format``, rounded to it in every step.

    Sections, for significands of p bits and an exponent of E bits:

    =========== =================================================================================
    multiply    p by p multiplier; beside it, an adder of E + 1 bits
    align       an adder of E + 2 bits; a shifter of 2p + 2 bits, log2(2p) stages; exclusive or
    add         an adder of 2p bits; exclusive or
    normalize   log2(2p) times: a test of up to p bits, and a multiplexer
    (the end)   an adder of p bits, which carries into one of E + 1; a test of E + p bits; gates
    =========== =================================================================================

    Parameters
    ----------
    spec : Arithmetic
        What is computed.
    any_addend : bool
        Whether a state may be NaN though no operand is.
    """

    def __init__(self, spec: Arithmetic, *, any_addend: bool = False) -> None:
        super().__init__(spec)
        assert isinstance(spec.accumulate, RoundedAccumulation)
        self.rounding: Rounding = spec.accumulate.round
        self._any_addend = any_addend
        self._window = _Window.of(spec, self.format)

    @property
    def special_bits(self) -> int:
        """Width of what tells NaN and infinities of a chain, in bits."""
        return super().special_bits or int(self._any_addend and self.format.has_nan)

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Multiply, align, add, normalise, round."""
        spec, window = self.spec, self._window
        exponent = max(window.high, window.top).bit_length()
        stages = window.shift.bit_length()
        tests = sum(1 + n // 2 for n in range(stages))
        return (
            Section(
                "multiply",
                delays.gates(1) + delays.multiplier(spec.a.sig_bits, spec.b.sig_bits),
                True,
            ),
            Section(
                "align", delays.adder(exponent + 1) + delays.gates(4) + delays.shifter(window.bits)
            ),
            Section("add", delays.adder(spec.product_bits) + delays.gates(2)),
            Section("normalize", delays.gates(2 * stages + tests)),
            Section("", delays.adder(self.format.sig_bits + exponent) + delays.gates(6)),
        )

    # --- The product -----------------------------------------------------------------------------

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply significands, add exponents."""
        spec = self.spec
        raw = float_product(spec, a, b, m)
        if spec.product is not Product.EXACT:
            return self.enter(m, pipe, [raw])
        x, y = unpack(spec.a, a), unpack(spec.b, b)
        exponent, base = x.exponent + y.exponent, x.base + y.base + 1
        significand = _multiply(x.significand, y.significand)
        return self._enter(m, pipe, replace(raw, significand=significand), exponent, base)

    def enter(self, m: Module, pipe: Pipeline, products: Sequence[FloatProduct]) -> data.View:
        """Take a product as it comes: one."""
        (product,) = products
        return self._enter(
            m, pipe, product, product.steps, self.spec.product_min_exp + product.least
        )

    def _enter(
        self, m: Module, pipe: Pipeline, raw: FloatProduct, exponent: Value, base: int
    ) -> data.View:
        """Take a product whose exponent is counted from ``base``."""
        spec, window = self.spec, self._window
        product = Signal(
            data.StructLayout(
                {
                    "significand": spec.product_bits,
                    "reach": Shape.cast(range(min(window.low, 0), window.high + 1)),
                    "sign": 1,
                    "zero": 1,
                    "special": self.special_bits,
                }
            ),
            name="product",
        )
        m.d.comb += [
            product.significand.eq(raw.significand),
            product.reach.eq(exponent + (base + 1 - self.format.min_exp)),
            product.sign.eq(raw.sign),
            product.zero.eq(raw.zero),
            product.special.eq(raw.special),
        ]
        return pipe.cut(m, "multiply", product)

    # --- The sum ---------------------------------------------------------------------------------

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Align, add, normalise, round."""
        aligned = pipe.cut(m, "align", self._align(m, state, product))
        total = pipe.cut(m, "add", self._add(m, aligned))
        normalized = pipe.cut(m, "normalize", self._normalize(m, total))
        result = self._round(m, normalized)
        mark(m, "round", result)
        return result

    def _layout(self, **fields: int) -> data.StructLayout:
        """Layout of what is on its way: what is not finite travels beside it."""
        window = self._window
        common = {"reach": max(window.high, window.top).bit_length(), "sign": 1}
        flags = {flag: self.special_bits if flag == "special" else 1 for flag in self._flags}
        return data.StructLayout(fields | common | flags)

    @property
    def _flags(self) -> tuple[str, ...]:
        """Fields that tell what is not finite."""
        if self.codes_special:
            return ("nan", "infinite")[: self.special_bits]
        return ("special",)

    def _align(self, m: Module, state: data.View, product: data.View) -> data.View:
        window, bits = self._window, self._window.bits
        addend = unpack(self.format, state.code)
        layout = self._layout(staying=self._staying_bits, moved=bits, lost=1, subtract=1)
        aligned = Signal(layout, name="aligned")

        # The product stays if its reach is the larger one. What is left of the difference once its
        # sign is off and its bits are inverted, if it is negative, is how far the other one moves:
        # the addend one place more, for which it starts a place lower.
        low, high = window.low - window.top - 1, window.high - 2
        difference = Signal(Shape.cast(range(min(low, -1), max(high, 0) + 1)), name="difference")
        stays = Signal(name="product_stays")
        amount = Signal(len(difference) - 1, name="shift_distance")
        m.d.comb += [
            difference.eq(product.reach - addend.exponent - 1),
            # A zero has no exponent, and takes no part.
            stays.eq((difference >= 0) & ~product.zero),
            amount.eq(difference[:-1] ^ difference[-1].replicate(len(amount))),
        ]
        moved, lost = self._move(m, product, addend, stays, amount)

        top = self._staying_bits
        m.d.comb += [
            aligned.staying.eq(
                Mux(stays, _at_top(product.significand, top), _at_top(addend.significand, top))
            ),
            aligned.moved.eq(moved ^ aligned.subtract.replicate(bits)),
            aligned.lost.eq(lost),
            aligned.reach.eq(Mux(stays, product.reach, addend.exponent)),
        ]
        unlike = product.sign ^ addend.sign
        subtract, sign_of_product = unlike, stays
        if "special" in self._flags:
            m.d.comb += aligned.special.eq(product.special | state.special)
        if "nan" in self._flags:
            of_product, of_addend = product.special.any(), addend.nan | addend.infinity
            nan = (product.special.all() & of_product) | addend.nan
            if "infinite" in self._flags:
                infinite = of_product | of_addend
                nan = nan | (of_product & of_addend & unlike)
                m.d.comb += aligned.infinite.eq(infinite)
                # It has the sign of the operand that brought it.
                subtract = unlike & ~infinite
                sign_of_product = of_product | (stays & ~of_addend)
            m.d.comb += aligned.nan.eq(nan)
        m.d.comb += [
            aligned.subtract.eq(subtract),
            aligned.sign.eq(Mux(sign_of_product, product.sign, addend.sign)),
        ]
        return aligned

    @property
    def _staying_bits(self) -> int:
        """Width of what stays, at the top of the window."""
        return max(self.spec.product_bits, self.format.sig_bits)

    def _move(
        self, m: Module, product: data.View, addend: Operand, stays: Value, amount: Value
    ) -> tuple[Value, Value]:
        """Shift the one that does not stay; return its place in the window, and if bits are lost.

        The choice of what moves and the coarse part of the shift are one layer of gates.
        """
        bits = self._window.bits
        fine_stages = bits.bit_length() // 2 + 1
        fine, coarse = amount[:fine_stages], amount[fine_stages:]
        placed, lost = Const(0, bits), Const(0)
        for moves, value, start, zero in (
            (~stays, product.significand, 0, product.zero),
            (stays, addend.significand, 1, addend.zero),
        ):
            choices = min(-(-(bits - start) >> fine_stages), 1 << len(coarse))
            for n in range(choices):
                chosen = _wire(m, moves & (coarse == n), "chosen")
                below = bits - start - (n << fine_stages) - len(value)
                kept = Cat(Const(0, max(below, 0)), value[max(-below, 0) :])
                placed = placed | (kept & chosen.replicate(len(kept)))
                lost = lost | (chosen & value[: max(-below, 0)].any())
            lost = lost | (moves & at_least(coarse, choices) & ~zero)
        moved = _wire(m, placed, "moved_coarsely")
        for n in reversed(range(len(fine))):
            lost = lost | (fine[n] & moved[: 1 << n].any())
            moved = _wire(m, Mux(fine[n], moved[1 << n :], moved), f"moved_{n}")
        return moved, lost

    def _add(self, m: Module, aligned: data.View) -> data.View:
        """Add what overlaps; the sum is a bit wider than the window."""
        bits, top = self._window.bits, self._staying_bits
        total = Signal(
            self._layout(magnitude=bits + 1, lost=1, difference=1, subtract=1), name="total"
        )
        raw = Signal(top + 1, name="raw_sum")
        negative = Signal()
        m.d.comb += [
            raw.eq(aligned.staying + aligned.moved[bits - top :]),
            negative.eq(aligned.subtract & ~raw[-1]),
            total.magnitude.eq(
                Cat(aligned.moved[: bits - top], raw[:-1]) ^ negative.replicate(bits)
                | (raw[-1] & ~aligned.subtract) << bits
            ),
            total.difference.eq(aligned.subtract & raw[-1]),
            total.lost.eq(aligned.lost),
            total.subtract.eq(aligned.subtract),
            total.reach.eq(aligned.reach),
            total.sign.eq(aligned.sign ^ negative),
            *self._pass_flags(total, aligned),
        ]
        return total

    def _pass_flags(self, target: data.View, source: data.View) -> list[Any]:
        return [target[flag].eq(source[flag]) for flag in self._flags]

    def _normalize(self, m: Module, total: data.View) -> data.View:
        """Shift the leading one to the top, or the place of the least normal."""
        keep = self.format.sig_bits + 1
        stages = self._window.shift.bit_length()
        normalized = Signal(
            self._layout(significand=keep - 1, half=1, below=1, short=1, shift=stages, subtract=1),
            name="normalized",
        )
        value, reach = total.magnitude, total.reach
        free: Value = reach[stages:].any()  # whether the exponent sets no limit any more
        some, every = total.lost | total.difference, total.difference & ~total.lost
        for n in reversed(range(stages)):
            # Bits that no later stage brings up count as one.
            spare = max(len(value) - (keep + (2 << n) - 1), 0)
            some, every = some | value[:spare].any(), every & value[:spare].all()
            value = value[spare:]
            step = min(1 << n, len(value))
            clear = _wire(m, ~value[-step:].any(), f"clear_{n}")
            limit = reach[n] if n < len(reach) else Const(0)
            shifts = _wire(m, clear & (free | limit), f"shifts_{n}")
            free = _wire(m, free | (limit & ~clear), f"free_{n}")
            lower = Cat(total.difference.replicate(step), value[: len(value) - step])
            value = _wire(m, Mux(shifts, lower, value), f"shifted_{n}")
            m.d.comb += normalized.shift[n].eq(shifts)
        spare = max(len(value) - keep, 0)
        some, every = some | value[:spare].any(), every & value[:spare].all()
        value = value[spare:]
        m.d.comb += [
            Cat(normalized.half, normalized.significand).eq(value),
            normalized.below.eq(some),
            normalized.short.eq(every),
            normalized.subtract.eq(total.subtract),
            normalized.reach.eq(reach),
            normalized.sign.eq(total.sign),
            *self._pass_flags(normalized, total),
        ]
        return normalized

    # --- The code --------------------------------------------------------------------------------

    def _round(self, m: Module, x: data.View) -> data.View:
        """Round, and choose between the code of the sum and others."""
        fmt, window = self.format, self._window
        # What is one short, and ones below, is a half or, with the half, an ulp.
        up = _wire(
            m,
            (x.half & x.short)
            | round_up(
                self.rounding,
                sign=x.sign,
                odd=x.significand[0] if fmt.man_bits else self._odd_field(x),
                half=x.half ^ x.short,
                below=x.below & ~x.short,
            ),
            "up",
        )
        rounded = _wire(m, x.significand + up, "rounded", fmt.sig_bits + 1)
        # Of a subnormal and of zero the exponent field is 0.
        normal = rounded[-2:].any()
        field = Signal(range(max(window.high, window.top) + 3))
        m.d.comb += field.eq(x.reach + (1 - x.shift) + rounded[-1])
        magnitude = Signal(max(fmt.man_bits + len(field), fmt.magnitude_bits), name="magnitude")
        m.d.comb += magnitude.eq(Cat(rounded[: fmt.man_bits], field & normal.replicate(len(field))))
        finite = magnitude[: fmt.magnitude_bits]
        if fmt.ftz:
            finite = finite & normal.replicate(len(finite))
        # A sum of zero is +0 if the signs are unlike, but for `down`.
        zero = ~(x.significand.any() | x.half | x.below)
        sign = Mux(x.subtract & zero, int(self.rounding is Rounding.DOWN), x.sign)
        if not fmt.has_negative_zero:
            sign = sign & finite.any()
        return self._choose(m, x, finite, sign, at_least(magnitude, fmt.max_code + 1))

    def _odd_field(self, x: data.View) -> Value:
        """Return the lowest bit of the exponent field, which is that of a code without mantissa."""
        return (x.reach[0] ^ ~x.shift[0]) & x.significand[-1]

    def _choose(
        self, m: Module, x: data.View, finite: Value, sign: Value, over: Value
    ) -> data.View:
        """Choose between the code of a finite number and those for what is too large or special."""
        fmt = self.format
        result = Signal(self.state_layout, name="result")
        code = Cat(finite, sign)
        largest = [
            fmt.max_code
            if fmt.infinity_code is None or self.rounding.keeps_finite(negative=negative)
            else fmt.infinity_code
            for negative in (False, True)
        ]
        same = largest[0] == largest[1]
        magnitude = Const(largest[0]) if same else Mux(x.sign, largest[1], largest[0])
        code = Mux(over, Cat(magnitude[: fmt.magnitude_bits], x.sign), code)
        if "infinite" in self._flags:
            code = Mux(x.infinite, Cat(Const(fmt.infinity_code, fmt.magnitude_bits), x.sign), code)
        if "nan" in self._flags:
            code = Mux(x.nan, fmt.nan_code, code)
        m.d.comb += result.code.eq(code)
        if "special" in self._flags:
            m.d.comb += result.special.eq(x.special)
        return result


def _wire(m: Module, value: Value, name: str, shape: Any = None) -> Signal:
    """Put a value on a wire of its own, so that it appears once in the netlist, by name."""
    wire = Signal(len(value) if shape is None else shape, name=name)
    m.d.comb += wire.eq(value)
    return wire


def _at_top(value: Value, bits: int) -> Value:
    """Widen a value with zeros below."""
    return Cat(Const(0, bits - len(value)), value)


def _multiply(x: Value, y: Value) -> Value:
    """Multiply unsigned numbers."""
    bits = len(x) + len(y)
    if len(x) < len(y):
        x, y = y, x
    if len(y) > _WIDEST_TREE:
        return x * y
    rows = [(n, x & bit.replicate(len(x))) for n, bit in enumerate(y)]
    while len(rows) > 1:
        pairs = []
        for (low, lower), (high, upper) in zip(rows[::2], rows[1::2], strict=False):
            up = high - low
            pairs.append((low, Cat(lower[:up], lower[up:] + upper)))
        rows = pairs + rows[2 * len(pairs) :]
    return rows[0][1][:bits]
