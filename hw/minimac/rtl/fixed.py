"""Accumulation in a fixed-point format: products are rounded into it (design section 4.2)."""

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data

from minimac.rtl.accumulator import Accumulator, Fraction, Integer
from minimac.rtl.addend import Addend
from minimac.rtl.delay import Delays, Section
from minimac.rtl.operand import counts_as_fixed
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import FloatProduct, float_product, integer_addend, unit_of_products
from minimac.rtl.round import round_up, round_up_complement
from minimac.rtl.shift import widen
from minimac.spec import Arithmetic, FixedAccumulation, FixedPoint, Overflow

__all__ = ["FixedAccumulator"]


class FixedAccumulator(Accumulator):
    """A sum in a fixed-point format, which saturates or wraps.

    A rounded product is unbounded. Where sums saturate, one bit above the format stands for all
    higher ones: with it, any sum ends at the end of the range. Where they wrap, there is none.
    """

    acc: FixedAccumulation
    fmt: FixedPoint

    def __init__(self, spec: Arithmetic) -> None:
        super().__init__(spec)
        assert isinstance(spec.accumulate, FixedAccumulation)
        self.acc = spec.accumulate
        assert isinstance(self.acc.format, FixedPoint)
        self.fmt = self.acc.format

    @property
    def state_layout(self) -> data.StructLayout:
        """``sum``: a code of the format."""
        return self.with_special({"sum": Shape(self.fmt.width, self.fmt.signed)})

    @property
    def meaning(self) -> dict[str, str]:
        """Format of the sum."""
        return {"sum": f"code of {self.fmt.name}"} | self.special_meaning

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Multiply, shift into place and decide on rounding, add and judge overflow."""
        spec = self.spec
        multiply = delays.gates(1) + delays.multiplier(spec.a.sig_bits, spec.b.sig_bits)
        product = Section("multiply", multiply, True)
        judge = delays.gates(4 if self.acc.overflow is Overflow.SATURATE else 0)
        add = Section("", delays.adder(self._addend_bits + 1) + judge)
        fixed = counts_as_fixed(spec.a) and counts_as_fixed(spec.b)
        if fixed and self._drop <= 0 and not self._limits:
            return product, add
        span = self._left(spec.product_max_exp) - self._left(spec.product_min_exp)
        align = delays.shifter(spec.product_bits + span) if span else 0
        # Whether any bit was lost, or is too high.
        return product, Section("align", align + delays.gates(4), True), add

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply, and round the product to a multiple of the accumulator's lsb."""
        integer = integer_addend(self.spec, a, b)
        if integer is not None:
            return pipe.cut(m, "align", self._from_integer(m, pipe, integer))
        return pipe.cut(m, "align", self._from_float(m, pipe, float_product(self.spec, a, b, m)))

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Add, and judge overflow."""
        result = Signal(self.state_layout, name="result")
        bits = max(self.fmt.width + (not self.fmt.signed), self._addend_bits) + 1
        total = Signal(signed(bits), name="total")
        m.d.comb += [
            total.eq(state.sum + product.addend + product.carry),
            result.sum.eq(total if self.acc.overflow is Overflow.WRAP else self._saturated(total)),
            *self.take_special(result, state, product),
        ]
        return result

    def code(self, m: Module, state: data.View) -> Value | None:
        """Return the sum, if ``out`` is its format."""
        ready = self.spec.out == self.fmt and not self.special_bits
        return state.sum.as_unsigned() if ready else None

    def integer(self, m: Module, state: data.View) -> Integer:
        """Return the sum."""
        whole = state.sum if self.fmt.signed else Cat(state.sum, Const(0, 1)).as_signed()
        return Integer(whole, self.fmt.lsb_exp)

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return sign and magnitude, with a constant exponent."""
        return Integer(state.sum, self.fmt.lsb_exp).fraction(m, self.fmt.sig_bits)

    def _saturated(self, total: Value) -> Value:
        fmt = self.fmt
        limit = fmt.width - fmt.signed
        above, negative = total[limit:], total[-1]
        beyond = (above ^ (negative & fmt.signed).replicate(len(above))).any()
        if fmt.symmetric:
            beyond = beyond | (negative & ~total[:limit].any())
        low, high = (Const(end, Shape(fmt.width, True)) for end in (fmt.min_lsbs, fmt.max_lsbs))
        return Mux(beyond, Mux(negative, low, high), total)[: fmt.width]

    @property
    def _drop(self) -> int:
        """Bits of an integer product below the accumulator's lsb."""
        return self.fmt.lsb_exp - unit_of_products(self.spec)

    @property
    def _magnitude_bits(self) -> int:
        """Bits of the largest product, truncated to a multiple of the accumulator's lsb."""
        largest = max(map(abs, self.spec.product_range))
        return max(largest.bit_length() + self.spec.lsb_exp - self.fmt.lsb_exp, 0)

    @property
    def _limits(self) -> bool:
        """Whether one bit stands for several."""
        return self.acc.overflow is Overflow.SATURATE and self._magnitude_bits > self.fmt.width + 1

    @property
    def _addend_bits(self) -> int:
        """Bits of what is added to the sum, that of the sign among them."""
        above = self.acc.overflow is Overflow.SATURATE
        return min(self._magnitude_bits, self.fmt.width + above) + 1

    def _left(self, exponent: int) -> int:
        """Return how far a significand goes to the left, as far as distances differ.

        Further to the right, everything is below a half; further to the left, above the format.
        """
        bits = self.spec.product_bits
        return min(max(exponent - (bits - 1) - self.fmt.lsb_exp, -(bits + 1)), self.fmt.width)

    def _aligned(self, addend: Addend) -> data.View:
        """Return a signal for an addend; its carry is left out if it is constant."""
        carry = 0 if isinstance(addend.carry, Const) else 1
        layout = self.with_special({"addend": signed(self._addend_bits), "carry": carry})
        return Signal(layout, name="aligned")

    def _from_integer(self, m: Module, pipe: Pipeline, product: Addend) -> data.View:
        carry = 0 if isinstance(product.carry, Const) else 1
        raw = Signal(
            self.with_special({"value": product.value.shape(), "carry": carry}), name="raw_product"
        )
        m.d.comb += [raw.value.eq(product.value), raw.carry.eq(product.carry)]
        held = pipe.cut(m, "multiply", raw)
        if self._drop == 0 and not self._limits:
            addend = Addend(held.value, held.carry if carry else Const(0))
        else:
            addend = self._round_integer(m, held.value + held.carry)
        aligned = self._aligned(addend)
        m.d.comb += [aligned.addend.eq(addend.value), aligned.carry.eq(addend.carry)]
        return aligned

    def _round_integer(self, m: Module, product: Value) -> Addend:
        if self._drop <= 0:
            return Addend(self._limited(m, product << -self._drop), Const(0))
        extended = Signal(signed(max(len(product), self._drop) + 1), name="extended")
        m.d.comb += extended.eq(product)
        sign, rest = extended[-1], extended[: self._drop]
        half, below = rest[-1], rest[:-1].any()
        odd = extended[self._drop]
        up = round_up_complement(self.acc.round, sign=sign, odd=odd, half=half, below=below)
        return Addend(self._limited(m, extended[self._drop :].as_signed()), up)

    def _limited(self, m: Module, value: Value) -> Value:
        """Let one bit above the format stand for all higher ones."""
        if not self._limits:
            return value
        wide = Signal(signed(len(value) + 1), name="unlimited")
        m.d.comb += wide.eq(value)
        above, sign = wide[self.fmt.width :], wide[-1]
        return Cat(wide[: self.fmt.width], Mux(sign, above.all(), above.any()), sign).as_signed()

    def _from_float(self, m: Module, pipe: Pipeline, product: FloatProduct) -> data.View:
        raw = Signal(
            self.with_special(
                {"significand": self.spec.product_bits, "steps": len(product.steps), "sign": 1}
            ),
            name="raw_product",
        )
        m.d.comb += [
            raw.significand.eq(product.significand),
            raw.steps.eq(product.steps),
            raw.sign.eq(product.sign),
            *self.take_special(raw, product.special),
        ]
        held = pipe.cut(m, "multiply", raw)
        least, most = (self.spec.product_min_exp + end for end in (product.least, product.most))
        addend = self._round_float(m, held, least, most)
        aligned = self._aligned(addend)
        m.d.comb += [
            aligned.addend.eq(addend.value),
            aligned.carry.eq(addend.carry),
            *self.take_special(aligned, held),
        ]
        return aligned

    def _round_float(self, m: Module, product: data.View, least: int, most: int) -> Addend:
        """Shift a significand into place, and round it; its exponent is ``least`` or more."""
        lowest, highest = self._left(least), self._left(most)
        span = highest - lowest
        distance = Signal(range(span + 1), name="shift_distance")
        if span:
            # Steps up to here do not differ from it.
            start = lowest - (least - (self.spec.product_bits - 1) - self.fmt.lsb_exp)
            near = Mux(product.steps < start, 0, product.steps - start) if start else product.steps
            m.d.comb += distance.eq(Mux(product.steps > start + span, span, near))
        shifted = widen(m, product.significand, distance)[: self.spec.product_bits + span]
        below = max(-lowest, 0)
        placed = Cat(Const(0, max(lowest, 0)), shifted, Const(0, below + self._addend_bits))
        whole, rest = placed[below:], placed[:below]
        kept = whole[: self._addend_bits - 1]
        if self._limits:
            kept = Cat(kept[:-1], whole[self.fmt.width :].any())
        up: Value = Const(0, 1)
        if below:
            half, lost = rest[-1], rest[:-1].any()
            up = round_up(self.acc.round, sign=product.sign, odd=whole[0], half=half, below=lost)
        # -(x + up) is ~x + (1 - up).
        flip = product.sign.replicate(self._addend_bits)
        return Addend((Cat(kept, Const(0, 1)) ^ flip).as_signed(), up ^ product.sign)
