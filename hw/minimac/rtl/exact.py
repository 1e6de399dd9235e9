"""Accumulation without rounding: a fixed-point sum that holds every chain."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from minimac.rtl.accumulator import Accumulator, Fraction, Integer
from minimac.rtl.delay import Delays, Section
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import float_product, integer_product
from minimac.rtl.shift import shift_left
from minimac.spec import Arithmetic

__all__ = ["ExactAccumulator"]


class ExactAccumulator(Accumulator):
    """Fixed point, as wide as every sum needs: a Kulisch accumulator."""

    @property
    def state_layout(self) -> data.StructLayout:
        """``sum``: two's complement, in units of ``2**spec.lsb_exp``."""
        return self.with_special({"sum": signed(self.spec.sum_bits)})

    @property
    def meaning(self) -> dict[str, str]:
        """Weight of the sum's lowest bit."""
        unit = f"two's complement, in units of 2**{self.spec.lsb_exp}"
        return {"sum": unit} | self.special_meaning

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Multiply, shift into place, add."""
        spec = self.spec
        shifts = _shift_range(spec)
        product = Section(
            "multiply", delays.gates(1) + delays.multiplier(spec.a.sig_bits, spec.b.sig_bits), True
        )
        shift = delays.shifter(spec.product_bits + shifts) + delays.adder(spec.bits_for(1))
        add = Section("", delays.adder(spec.sum_bits))
        return (product, Section("align", shift, True), add) if shifts else (product, add)

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply, and shift the product to its place in the fixed-point sum."""
        spec = self.spec
        aligned = Signal(self.with_special({"addend": signed(self.spec.bits_for(1))}))
        whole = integer_product(spec, a, b)
        if whole is not None:
            m.d.comb += aligned.addend.eq(whole)
            return pipe.cut(m, "multiply", aligned)

        product = float_product(spec, a, b)
        shift_bits = _shift_range(spec)
        raw = Signal(
            self.with_special(
                {
                    "significand": spec.product_bits,
                    "shift": max(shift_bits.bit_length(), 1),
                    "sign": 1,
                }
            ),
            name="raw_product",
        )
        m.d.comb += [
            raw.significand.eq(product.significand),
            raw.shift.eq(product.exponent),
            raw.sign.eq(product.sign),
            *self.take_special(raw, product.special),
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

    def integer(self, m: Module, state: data.View) -> Integer:
        """Return the sum."""
        return Integer(state.sum, self.spec.lsb_exp)

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
