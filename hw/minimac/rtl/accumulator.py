"""Accumulators: one step of a chain, from two operands and the state before to the next state.

Each kind of accumulation of :mod:`minimac.spec` has a class here, with the layout of its state and
the two parts of a step: ``multiply`` looks at the operands alone, and so may run ahead of the
state; ``step`` adds the product to the state.
"""

import functools
import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from minimac.rtl.operand import Operand, unpack
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.round import round_up
from minimac.rtl.shift import leading_zeros, shift_left, shift_right_sticky
from minimac.spec import (
    Arithmetic,
    ExactAccumulation,
    FixedPoint,
    FloatAccumulation,
)

__all__ = ["Accumulator", "ExactAccumulator", "FloatAccumulator", "accumulator_for"]


@dataclass(frozen=True)
class Fraction:
    """A finite value ``(-1)**sign * magnitude * 2**(base + exponent - (len(magnitude) - 1))``.

    Attributes
    ----------
    sign, magnitude, exponent : Value
        The exponent is unsigned.
    base : int
        What ``exponent`` counts from.
    max_exp : int
        Greatest exponent of a leading one.
    """

    sign: Value
    magnitude: Value
    exponent: Value
    base: int
    max_exp: int


class Accumulator(ABC):
    """One kind of accumulation in hardware.

    Parameters
    ----------
    spec : Arithmetic
        What is computed.
    """

    def __init__(self, spec: Arithmetic) -> None:
        self.spec = spec

    @property
    def special_bits(self) -> int:
        """Width of the state's ``special``, in bits.

        With infinities, bit 0 is +inf, bit 1 is -inf, and both are NaN: an OR of two states makes
        NaN of infinities of either sign. Without infinities, the one bit is NaN.
        """
        return 2 if self.spec.has_infinities else int(self.spec.has_nan)

    @property
    @abstractmethod
    def state_layout(self) -> data.StructLayout:
        """Layout of the state of a chain; all zero is the state before the first product."""

    @property
    @abstractmethod
    def meaning(self) -> dict[str, str]:
        """What each field of the state stands for, for the description of an interface."""

    @property
    def special_meaning(self) -> dict[str, str]:
        """What ``special`` stands for, if there is any."""
        words = ["", "NaN", "bit 0: +inf, bit 1: -inf, both: NaN"]
        return {"special": words[self.special_bits]} if self.special_bits else {}

    @abstractmethod
    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply two codes; the result is of the kind's own layout."""

    @abstractmethod
    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Add a product to a state."""

    @abstractmethod
    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Present a state as sign, magnitude and exponent."""

    def with_special(self, fields: dict[str, Any]) -> data.StructLayout:
        """Return a layout of these fields, and of ``special`` if there is any."""
        return data.StructLayout(
            fields | ({"special": self.special_bits} if self.special_bits else {})
        )

    def take_special(self, target: data.View, *sources: Any) -> list[Any]:
        """Return the assignment of the OR of the sources' ``special``, if there is any."""
        if not self.special_bits:
            return []
        values = [x.special if isinstance(x, data.View) else x for x in sources]
        return [target.special.eq(functools.reduce(operator.or_, values))]

    def special_of_product(self, a: Operand, b: Operand) -> Value:
        """Return ``special`` of a product; meaningless if there is none."""
        nan = a.nan | b.nan
        if self.special_bits < 2:
            return nan
        nan = nan | (a.infinity & b.zero) | (a.zero & b.infinity)
        infinity = a.infinity | b.infinity
        negative = a.sign ^ b.sign
        return Cat(nan | (infinity & ~negative), nan | (infinity & negative))


class ExactAccumulator(Accumulator):
    """Fixed point, as wide as every sum needs: a Kulisch accumulator."""

    @property
    def _fixed(self) -> bool:
        return isinstance(self.spec.a, FixedPoint) and isinstance(self.spec.b, FixedPoint)

    @property
    def state_layout(self) -> data.StructLayout:
        """``sum``: two's complement, in units of ``2**spec.lsb_exp``."""
        return self.with_special({"sum": signed(self.spec.sum_bits)})

    @property
    def meaning(self) -> dict[str, str]:
        """Weight of the sum's lowest bit."""
        unit = f"two's complement, in units of 2**{self.spec.lsb_exp}"
        return {"sum": unit} | self.special_meaning

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply, and shift the product to its place in the fixed-point sum."""
        spec = self.spec
        aligned = Signal(self.with_special({"addend": signed(self.spec.bits_for(1))}))
        if self._fixed:
            # Two's complement all the way: magnitudes would cost a negation on either side.
            left, right = (
                code.as_signed() if fmt.signed else code for code, fmt in ((a, spec.a), (b, spec.b))
            )
            m.d.comb += aligned.addend.eq(left * right)
            return pipe.cut(m, "multiply", aligned)

        x, y = unpack(spec.a, a), unpack(spec.b, b)
        shift_bits = _shift_range(spec)
        raw = Signal(
            self.with_special(
                {
                    "significand": spec.product_bits,
                    "shift": max(shift_bits.bit_length(), 1),
                    "sign": 1,
                }
            ),
            name="product",
        )
        m.d.comb += [
            raw.significand.eq(x.significand * y.significand),
            raw.shift.eq(x.exponent + y.exponent - 2),
            raw.sign.eq(x.sign ^ y.sign),
            *self.take_special(raw, self.special_of_product(x, y)),
        ]
        held = pipe.cut(m, "multiply", raw)
        magnitude = Signal(spec.product_bits + shift_bits)
        m.d.comb += [
            magnitude.eq(shift_left(m, Cat(held.significand, Const(0, shift_bits)), held.shift)),
            aligned.addend.eq(Mux(held.sign, -magnitude, magnitude)),
            *self.take_special(aligned, held),
        ]
        return pipe.cut(m, "align", aligned)

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Add."""
        total = Signal(self.state_layout)
        m.d.comb += [
            total.sum.eq(state.sum + product.addend),
            *self.take_special(total, state, product),
        ]
        return total

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return sign and magnitude, with a constant exponent."""
        spec = self.spec
        # The most negative sum may need a bit more of magnitude than the largest one.
        low = -spec.product_range[0] * spec.accumulate.max_terms
        bits = max(spec.sum_bits - 1, 1, low.bit_length())
        magnitude = Signal(bits)
        m.d.comb += magnitude.eq(Mux(state.sum < 0, -state.sum, state.sum))
        top = spec.lsb_exp + bits - 1
        return Fraction(state.sum < 0, magnitude, Const(0, 1), top, top)


def _shift_range(spec: Arithmetic) -> int:
    """Greatest shift of a product of finite operands, in bits."""
    return spec.product_max_exp - spec.product_min_exp


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

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply significands, add exponents."""
        spec = self.spec
        x, y = unpack(spec.a, a), unpack(spec.b, b)
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
        # Operand exponents count from min_exp - 1.
        offset = spec.product_min_exp - spec.acc_min_exp - 2
        m.d.comb += [
            product.significand.eq(x.significand * y.significand),
            product.exponent.eq(x.exponent + y.exponent + offset),
            product.sign.eq(x.sign ^ y.sign),
            product.zero.eq(x.zero | y.zero),
            *self.take_special(product, self.special_of_product(x, y)),
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


def accumulator_for(spec: Arithmetic) -> Accumulator:
    """Return the hardware of a spec's accumulation."""
    kinds: dict[type, type[Accumulator]] = {
        ExactAccumulation: ExactAccumulator,
        FloatAccumulation: FloatAccumulator,
    }
    return kinds[type(spec.accumulate)](spec)
