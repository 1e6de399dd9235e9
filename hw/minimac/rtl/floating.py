"""Accumulation on an unpacked float that is normalised as the design says (design section 4.3)."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from minimac.rtl.accumulator import Accumulator, Fraction
from minimac.rtl.delay import Delays, Section
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import float_product
from minimac.rtl.round import round_up
from minimac.rtl.shift import leading_zeros, shift_left, shift_right_sticky
from minimac.spec import Arithmetic, FloatAccumulation

__all__ = ["FloatAccumulator"]


class FloatAccumulator(Accumulator):
    """An unpacked float: sign, magnitude of ``width`` bits, exponent of its top bit.

    The exponent is stored less ``spec.acc_min_exp``; that of a zero is stored as 0, which no
    product's is below, so that a product is never shifted to meet a zero.
    """

    acc: FloatAccumulation

    def __init__(self, spec: Arithmetic) -> None:
        super().__init__(spec)
        assert isinstance(spec.accumulate, FloatAccumulation)
        self.acc = spec.accumulate

    @property
    def state_layout(self) -> data.StructLayout:
        """``magnitude``, ``exponent``, ``sign``, ``special``."""
        exponents = range(self.spec.acc_max_exp - self.spec.acc_min_exp + 1)
        return self.with_special(
            {
                "magnitude": self.acc.width,
                "exponent": exponents,
                "sign": 1,
            }
        )

    @property
    def meaning(self) -> dict[str, str]:
        """Value of the number."""
        point = self.spec.acc_min_exp - (self.acc.width - 1)
        return {
            "magnitude": f"value: (-1)**sign * magnitude * 2**(exponent + {point})",
            "exponent": "0 if magnitude is 0",
            "sign": "1 if negative",
        } | self.special_meaning

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Multiply, align, add, normalise and round."""
        spec, acc = self.spec, self.acc
        window = acc.window_bits
        exponent = (spec.acc_max_exp - spec.acc_min_exp).bit_length()
        coarse = acc.normalize.coarse
        if coarse is None:
            normalize = delays.leading_zeros(window) + delays.shifter(window)
        else:
            normalize = delays.gates(4 if coarse else 1)
        rounds = self._below and acc.round != "truncate"
        multiply = delays.multiplier(spec.a.sig_bits, spec.b.sig_bits)
        return (
            Section("multiply", delays.gates(1) + multiply, True),
            Section("align", delays.adder(exponent) + delays.gates(3) + delays.shifter(window)),
            # The sum, and its negation.
            Section("add", delays.adder(window) + delays.gates(5)),
            Section("", normalize + (delays.adder(acc.width) if rounds else 0)),
        )

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply significands, add exponents."""
        spec = self.spec
        raw = float_product(spec, a, b)
        product = Signal(
            self.with_special(
                {
                    "significand": spec.product_bits,
                    "exponent": range(spec.product_max_exp - spec.acc_min_exp + 1),
                    "sign": 1,
                    "zero": 1,
                }
            )
        )
        m.d.comb += [
            product.significand.eq(raw.significand),
            product.exponent.eq(raw.exponent + (spec.product_min_exp - spec.acc_min_exp)),
            product.sign.eq(raw.sign),
            product.zero.eq(raw.zero),
            *self.take_special(product, raw.special),
        ]
        return pipe.cut(m, "multiply", product)

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Align, add, carry, normalise, round: design section 4.3, steps 1 to 5."""
        aligned = pipe.cut(m, "align", self._align(m, state, product))
        total = pipe.cut(m, "add", self._add(m, aligned))
        return self._normalize_and_round(m, total)

    @property
    def _below(self) -> int:
        """Bits of the window below the magnitude."""
        return self.acc.window_bits - self.acc.width

    def _align(self, m: Module, state: data.View, product: data.View) -> data.View:
        acc, window = self.acc, self.acc.window_bits
        exponent_bits = len(state.exponent)
        entered = Cat(
            Const(0, acc.width - self.spec.product_bits), product.significand
        )  # at the top of the window
        difference = Signal(signed(exponent_bits + 1), name="exponent_difference")
        product_stays = Signal()
        m.d.comb += [
            difference.eq(product.exponent - state.exponent),
            # A zero product takes no part; a zero state has the least exponent.
            product_stays.eq((difference > 0) & ~product.zero),
        ]
        distance = Signal(exponent_bits, name="shift_distance")
        m.d.comb += distance.eq(Mux(difference < 0, -difference, difference))
        staying = Signal(acc.width)
        moving = Signal(acc.width)
        m.d.comb += [
            staying.eq(Mux(product_stays, entered, state.magnitude)),
            moving.eq(Mux(product_stays, state.magnitude, entered)),
        ]
        aligned = Signal(
            self.with_special(
                {
                    "staying": window,
                    "moved": window,
                    "exponent": exponent_bits,
                    "sign": 1,
                    "subtract": 1,
                }
            )
        )
        below = Const(0, self._below)
        moved = shift_right_sticky(m, Cat(below, moving), distance, sticky=acc.sticky)
        m.d.comb += [
            aligned.staying.eq(Cat(below, staying)),
            aligned.moved.eq(moved),
            aligned.exponent.eq(Mux(product_stays, product.exponent, state.exponent)),
            aligned.sign.eq(Mux(product_stays, product.sign, state.sign)),
            aligned.subtract.eq(state.sign ^ product.sign),
            *self.take_special(aligned, state, product),
        ]
        return aligned

    def _add(self, m: Module, aligned: data.View) -> data.View:
        window = self.acc.window_bits
        total = Signal(
            self.with_special(
                {
                    "magnitude": window,
                    "carry": 1,
                    "exponent": len(aligned.exponent),
                    "sign": 1,
                }
            ),
            name="total",
        )
        # One adder: x - y is x + ~y + 1, and its carry says that it is not negative.
        raw = Signal(window + 1, name="raw_sum")
        negative = Signal()
        m.d.comb += [
            raw.eq(
                aligned.staying
                + (aligned.moved ^ aligned.subtract.replicate(window))
                + aligned.subtract
            ),
            negative.eq(aligned.subtract & ~raw[-1]),
            total.magnitude.eq(Mux(negative, -raw[:-1], raw[:-1])),
            total.carry.eq(raw[-1] & ~aligned.subtract),
            total.exponent.eq(aligned.exponent),
            total.sign.eq(aligned.sign ^ negative),
            *self.take_special(total, aligned),
        ]
        return total

    def _normalize_and_round(self, m: Module, total: data.View) -> data.View:
        acc, window = self.acc, self.acc.window_bits
        exponent_bits = len(total.exponent)
        carried = Signal(window)
        right = Cat(total.magnitude[1:], Const(1, 1))
        if acc.sticky:
            right = Cat(right[0] | total.magnitude[0], right[1:])
        m.d.comb += carried.eq(Mux(total.carry, right, total.magnitude))

        normalized = Signal(window)
        left = Signal(range(window + 1), name="shift_left")
        coarse = acc.normalize.coarse
        if coarse is None:
            count = leading_zeros(m, carried)
            m.d.comb += [left.eq(count), normalized.eq(shift_left(m, carried, count))]
        elif coarse:
            near, far = coarse
            with m.If(carried[-near:].any()):
                m.d.comb += [left.eq(0), normalized.eq(carried)]
            with m.Elif(carried[window - near - far : window - near].any()):
                m.d.comb += [left.eq(near), normalized.eq(carried << near)]
            with m.Else():
                m.d.comb += [left.eq(near + far), normalized.eq(carried << (near + far))]
        else:
            m.d.comb += normalized.eq(carried)

        result = Signal(self.state_layout, name="result")
        exponent = Signal(exponent_bits, name="exponent_normalized")
        m.d.comb += exponent.eq(total.exponent + total.carry - left)
        if self._below and acc.round != "truncate":
            rest = normalized[: self._below]
            up = round_up(
                acc.round,
                sign=total.sign,
                odd=normalized[self._below],
                half=rest[-1],
                below=rest[:-1].any(),
            )
            rounded = Signal(acc.width + 1)
            m.d.comb += [
                rounded.eq(normalized[self._below :] + up),
                result.magnitude.eq(Cat(rounded[:-2], rounded[-2] | rounded[-1])),
            ]
            exponent = exponent + rounded[-1]
        else:
            m.d.comb += result.magnitude.eq(normalized[self._below :])
        m.d.comb += [
            result.exponent.eq(Mux(result.magnitude.any(), exponent, 0)),
            result.sign.eq(total.sign),
            *self.take_special(result, total),
        ]
        return result

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return the fields of the state."""
        low, high = self.spec.acc_min_exp, self.spec.acc_max_exp
        return Fraction(state.sign, state.magnitude, state.exponent, low, high)
