"""Accumulation without rounding: a fixed-point sum that holds every chain."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import data

from minimac.rtl.accumulator import Accumulator, Fraction, Integer
from minimac.rtl.delay import Delays, Section
from minimac.rtl.operand import counts_as_fixed
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import FloatProduct, float_product, integer_addend, unit_of_products
from minimac.rtl.shift import widen
from minimac.spec import Product

__all__ = ["ExactAccumulator"]


class ExactAccumulator(Accumulator):
    """Fixed point, as wide as every sum needs: a Kulisch accumulator."""

    @property
    def state_layout(self) -> data.StructLayout:
        """``sum``: two's complement, in units of ``2**unit_of_products(spec)``."""
        return self.with_special({"sum": signed(self.bits(self.spec.sum_bits))})

    @property
    def meaning(self) -> dict[str, str]:
        """Weight of the sum's lowest bit."""
        unit = f"two's complement, in units of 2**{unit_of_products(self.spec)}"
        return {"sum": unit} | self.special_meaning

    def bits(self, in_lsbs: int) -> int:
        """Width of an integer in units of products, of its width in those of ``spec.lsb_exp``."""
        return max(in_lsbs - (unit_of_products(self.spec) - self.spec.lsb_exp), 1)

    @property
    def is_integer(self) -> bool:
        """Whether all products are of fixed-point values."""
        return counts_as_fixed(self.spec.a) and counts_as_fixed(self.spec.b)

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Multiply, shift into place, add."""
        spec = self.spec
        if spec.product is Product.EXACT:
            multiply = delays.multiplier(spec.a.sig_bits, spec.b.sig_bits)
        else:
            multiply = 2 * delays.adder(spec.a.width)
        product = Section("multiply", delays.gates(1) + multiply, True)
        add = Section("", delays.adder(self.bits(spec.sum_bits)))
        if self.is_integer:
            return product, add
        shift = delays.shifter(self.bits(spec.bits_for(1))) + delays.gates(1)
        return product, Section("align", shift, True), add

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply, and shift the product to its place in the fixed-point sum.

        A negative product is complemented, and the one that it lacks is left to the sum.
        """
        spec = self.spec
        addend = integer_addend(spec, a, b)
        if addend is not None:
            bits, carries = self.bits(spec.bits_for(1)), not isinstance(addend.carry, Const)
            product = Signal(self.with_special({"addend": signed(bits), "carry": int(carries)}))
            m.d.comb += product.addend.eq(addend.value)
            if carries:
                m.d.comb += product.carry.eq(addend.carry)
            return pipe.cut(m, "multiply", product)
        return self.enter(m, pipe, float_product(spec, a, b, m))

    def enter(self, m: Module, pipe: Pipeline, product: FloatProduct) -> data.View:
        """Shift a product that is not an integer to its place in the fixed-point sum."""
        spec = self.spec
        bits = self.bits(spec.bits_for(1))
        aligned = Signal(self.with_special({"addend": signed(bits), "carry": 1}))
        reach = product.most - product.least
        raw = Signal(
            self.with_special(
                {"significand": spec.product_bits, "shift": reach.bit_length(), "sign": 1}
            ),
            name="raw_product",
        )
        m.d.comb += [
            raw.significand.eq(product.significand),
            raw.shift.eq(product.steps),
            raw.sign.eq(product.sign),
            *self.take_special(raw, product.special),
        ]
        held = pipe.cut(m, "multiply", raw)
        magnitude = Signal(spec.product_bits + reach)
        m.d.comb += magnitude.eq(widen(m, held.significand, held.shift))
        # Its lowest bit weighs as much as that of the least product; units may be above or below.
        lowest = spec.product_min_exp + product.least - (spec.product_bits - 1)
        up = lowest - unit_of_products(spec)
        placed = Cat(Const(0, max(up, 0)), magnitude[max(-up, 0) :], Const(0, bits))[:bits]
        m.d.comb += [
            aligned.addend.eq(placed ^ held.sign.replicate(bits)),
            aligned.carry.eq(held.sign),
            *self.take_special(aligned, held),
        ]
        return pipe.cut(m, "align", aligned)

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Add."""
        total = Signal(self.state_layout)
        m.d.comb += [
            total.sum.eq(state.sum + product.addend + product.carry),
            *self.take_special(total, state, product),
        ]
        return total

    def integer(self, m: Module, state: data.View) -> Integer:
        """Return the sum."""
        return Integer(state.sum, unit_of_products(self.spec))

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return sign and magnitude, with a constant exponent."""
        spec, unit = self.spec, unit_of_products(self.spec)
        # The most negative sum may need a bit more of magnitude than the largest one.
        low = -spec.product_range[0] * spec.accumulate.max_terms >> unit - spec.lsb_exp
        bits = max(self.bits(spec.sum_bits) - 1, 1, low.bit_length())
        return self.integer(m, state).fraction(m, bits)
