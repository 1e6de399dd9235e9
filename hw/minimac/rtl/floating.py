"""Accumulation on an unpacked float that is normalised as the design says (design section 4.3)."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from minimac.rtl.accumulator import Accumulator, Fraction
from minimac.rtl.delay import Delays, Section
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import float_product
from minimac.rtl.round import round_up
from minimac.rtl.shift import leading_zeros, leading_zeros_of_sum, shift_left, shift_right_sticky
from minimac.spec import Arithmetic, FloatAccumulation, Implementation, Minifloat, Rounding

__all__ = ["FloatAccumulator"]


class FloatAccumulator(Accumulator):
    """An unpacked float: sign, magnitude of ``width`` bits, exponent of its top bit.

    A sum and its carry are one number, whose leading one goes to the place of the carry: what a
    carry asks for, a shift to the right, is then a shift by 0, and no step of its own.

    Exponents count from where that of a product is the sum of two fields of minifloats, with no
    constant to be added. A few exponents of states are below; they wrap around.

    Parameters
    ----------
    spec : Arithmetic
        What is computed. If it is a design, its ``normalizer`` says how an exact normalisation
        finds the leading one; otherwise a counter does, as by default: beside the adder it is
        found sooner, but a multiply-add of bfloat16 is larger by 8 to 10 %, and not faster by more.

    Attributes
    ----------
    anticipates : bool
        Whether the leading one is found beside the adder.
    """

    acc: FloatAccumulation

    def __init__(self, spec: Arithmetic) -> None:
        super().__init__(spec)
        assert isinstance(spec.accumulate, FloatAccumulation)
        self.acc = spec.accumulate
        normalizer = spec.normalizer if isinstance(spec, Implementation) else "counter"
        self.anticipates = self._exact and normalizer == "anticipator"
        # The field of a minifloat is 1 for its least exponent.
        minifloats = sum(isinstance(fmt, Minifloat) for fmt in (spec.a, spec.b))
        self._least_product = 0 if spec.product.adds_codes else minifloats
        self._base = spec.product_min_exp - self._least_product
        self._least = min(spec.acc_min_exp - self._base, 0)
        self._most = spec.acc_max_exp - self._base

    @property
    def state_layout(self) -> data.StructLayout:
        """``magnitude``, ``exponent``, ``sign``, ``special``."""
        return self.with_special(
            {
                "magnitude": self.acc.width,
                "exponent": range(self._most - self._least + 1),
                "sign": 1,
            }
        )

    @property
    def meaning(self) -> dict[str, str]:
        """Value of the number."""
        point = self._base - (self.acc.width - 1)
        bits = len(Signal(self.state_layout).exponent)
        wraps = f"above {self._most}: that less {1 << bits}; " if self._least < 0 else ""
        return {
            "magnitude": f"value: (-1)**sign * magnitude * 2**(exponent + {point})",
            "exponent": f"{wraps}anything if magnitude is 0",
            "sign": "1 if negative",
        } | self.special_meaning

    @property
    def _exact(self) -> bool:
        """Whether states are normalised, so that one is zero if its top bit is."""
        return self.acc.normalize.coarse is None

    @property
    def _below(self) -> int:
        """Bits of the window below the magnitude."""
        return self.acc.window_bits - self.acc.width

    @property
    def _rounds(self) -> bool:
        return self._below > 0 and self.acc.round is not Rounding.TRUNCATE

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Multiply, order, align, add, take the magnitude, count, normalise, round."""
        spec, window = self.spec, self.acc.window_bits
        multiply = delays.gates(1) + delays.multiplier(spec.a.sig_bits, spec.b.sig_bits)
        exponent_bits = len(Signal(self.state_layout).exponent)
        add = delays.gates(2) + delays.adder(window)
        count, shift = delays.leading_zeros(window + 1), delays.shifter(window + 1)
        if self.anticipates:
            add = max(add, delays.gates(4) + count)
            normalize = shift + delays.incrementer(exponent_bits)
        elif self._exact:
            normalize = max(shift, delays.gates(2) + delays.adder(exponent_bits))
        else:
            normalize = delays.gates(2) + delays.incrementer(exponent_bits)
        tail = [("count", count)] if self._exact and not self.anticipates else []
        tail.append(("normalize", normalize))
        if self._rounds:
            tail.append(("round", delays.gates(2) + delays.incrementer(self.acc.width)))
        parts = [
            ("order", delays.adder(exponent_bits + 1) + delays.gates(4)),
            ("align", delays.shifter(window)),
            ("add", add),
            ("magnitude", delays.gates(1) + delays.incrementer(window)),
            *tail,
        ]
        *inner, (_, last) = parts
        return (
            Section("multiply", multiply, ahead=True),
            *(Section(place, delay) for place, delay in inner),
            Section("", last),
        )

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply significands, add exponents."""
        spec = self.spec
        raw = float_product(spec, a, b, m)
        most = spec.product_max_exp - self._base
        product = Signal(
            self.with_special(
                {
                    "significand": spec.product_bits,
                    "exponent": range(most + 1),
                    "sign": 1,
                    "zero": 1,
                }
            )
        )
        m.d.comb += [
            product.significand.eq(raw.significand),
            product.exponent.eq(raw.exponent + self._least_product),
            product.sign.eq(raw.sign),
            product.zero.eq(raw.zero),
            *self.take_special(product, raw.special),
        ]
        return pipe.cut(m, "multiply", product)

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Align, add, carry, normalise, round: design section 4.3, steps 1 to 5."""
        ordered = pipe.cut(m, "order", self._order(m, state, product))
        aligned = pipe.cut(m, "align", self._align(m, ordered))
        raw = pipe.cut(m, "add", self._add(m, aligned))
        total = pipe.cut(m, "magnitude", self._magnitude(m, raw))
        counted = pipe.cut(m, "count", self._count(m, total))
        normalized = pipe.cut(m, "normalize", self._normalize(m, counted))
        return self._round(m, normalized)

    def _order(self, m: Module, state: data.View, product: data.View) -> data.View:
        """Find out which operand stays, and how far the other one moves."""
        window = self.acc.window_bits
        exponent_bits = len(state.exponent)
        # Any farther is out of the window.
        near = min((window - 1).bit_length(), exponent_bits)
        ordered = Signal(
            self.with_special(
                {
                    "staying": window,
                    "moving": window,
                    "distance": near + 1,
                    "exponent": exponent_bits,
                    "sign": 1,
                    "subtract": 1,
                }
            ),
            name="ordered",
        )
        difference = Signal(signed(exponent_bits + 2), name="exponent_difference")
        state_above = Signal()
        state_zero = Signal()
        product_stays = Signal()
        m.d.comb += [
            difference.eq(product.exponent - self._signed(state.exponent)),
            state_above.eq(difference < 0),
            state_zero.eq(~(state.magnitude[-1] if self._exact else state.magnitude.any())),
            # A zero takes no part, and then its distance does not matter.
            product_stays.eq((~state_above | state_zero) & ~product.zero),
        ]
        # If the difference is negative, its complement is the distance less one: the product moves
        # by that one where it enters, so that nothing has to be negated.
        distance = difference[:-1] ^ state_above.replicate(exponent_bits + 1)
        entered = Cat(Const(0, window - self.spec.product_bits), product.significand)
        held = Cat(Const(0, self._below), state.magnitude)
        m.d.comb += [
            ordered.staying.eq(Mux(product_stays, entered, held)),
            ordered.moving.eq(Mux(product_stays, held, entered[1:])),
            ordered.distance.eq(Cat(distance[:near], distance[near:].any())),
            ordered.exponent.eq(Mux(product_stays, product.exponent, state.exponent)),
            ordered.sign.eq(Mux(product_stays, product.sign, state.sign)),
            ordered.subtract.eq(state.sign ^ product.sign),
            *self.take_special(ordered, state, product),
        ]
        return ordered

    def _signed(self, exponent: Value) -> Value:
        """Give the exponent of a state the sign that it lost where it wrapped around."""
        if self._least == 0:
            return exponent
        # Any bound between the greatest and the least exponent tells; this one needs few bits.
        least = (1 << len(exponent)) + self._least
        bounds = (least >> n << n for n in reversed(range(len(exponent))))
        bound = next(bound for bound in bounds if bound > self._most)
        return Cat(exponent, exponent >= bound).as_signed()

    def _align(self, m: Module, ordered: data.View) -> data.View:
        aligned = _changed(
            m, ordered, "aligned", less=["moving", "distance"], moved=self.acc.window_bits
        )
        moved = shift_right_sticky(m, ordered.moving, ordered.distance, sticky=self.acc.sticky)
        m.d.comb += aligned.moved.eq(moved)
        return aligned

    def _add(self, m: Module, aligned: data.View) -> data.View:
        window = self.acc.window_bits
        zeros = {"zeros": range(window + 1)} if self.anticipates else {}
        raw = _changed(
            m, aligned, "raw", less=["staying", "moved"], **zeros, magnitude=window, carry=1
        )
        x, y, subtract = aligned.staying, aligned.moved, aligned.subtract
        # One adder: x - y is x + ~y + 1, and its carry says that it is not negative.
        total = Signal(window + 1, name="raw_sum")
        m.d.comb += [
            total.eq(x + (y ^ subtract.replicate(window)) + subtract),
            Cat(raw.magnitude, raw.carry).eq(total),
        ]
        if self.anticipates:
            m.d.comb += raw.zeros.eq(leading_zeros_of_sum(m, x, y, subtract))
        return raw

    def _magnitude(self, m: Module, raw: data.View) -> data.View:
        window = self.acc.window_bits
        total = _changed(
            m, raw, "total", less=["subtract", "magnitude", "carry", "sign"],
            magnitude=window, carry=1, sign=1,
        )  # fmt: skip
        negative = Signal()
        m.d.comb += [
            negative.eq(raw.subtract & ~raw.carry),
            total.magnitude.eq(Mux(negative, -raw.magnitude, raw.magnitude)),
            total.carry.eq(raw.carry & ~raw.subtract),
            total.sign.eq(raw.sign ^ negative),
        ]
        return total

    def _count(self, m: Module, total: data.View) -> data.View:
        if self.anticipates or not self._exact:
            return total
        counted = _changed(m, total, "counted", less=[], zeros=range(self.acc.window_bits + 1))
        m.d.comb += counted.zeros.eq(leading_zeros(m, Cat(total.magnitude, total.carry)))
        return counted

    def _normalize(self, m: Module, total: data.View) -> data.View:
        normalized = _changed(
            m, total, "normalized", less=["magnitude", "carry", "zeros", "exponent"],
            window=self.acc.window_bits, exponent=len(total.exponent),
        )  # fmt: skip
        shift = self._shift_exactly if self._exact else self._shift_coarsely
        shifted, exponent = shift(m, total)
        m.d.comb += [normalized.window.eq(shifted[1:]), normalized.exponent.eq(exponent)]
        if self.acc.sticky:
            m.d.comb += normalized.window[0].eq(shifted[1] | shifted[0])
        return normalized

    def _shift_exactly(self, m: Module, total: data.View) -> tuple[Value, Value]:
        """Return magnitude and carry with the leading one on top, and the exponent."""
        whole = Cat(total.magnitude, total.carry)
        shifted = shift_left(m, whole, total.zeros)
        if not self.anticipates:
            # Less the zeros, and one more: `zeros` is late, and this way it meets one adder.
            above = max(len(total.exponent) - len(total.zeros), 0)
            less = Cat(~total.zeros, Const((1 << above) - 1, above))
            return shifted, total.exponent + less + 2
        found = Signal(name="leading_one_found")
        m.d.comb += found.eq(shifted[-1])
        once_more = Mux(found, shifted, shifted << 1)[: len(whole)]
        return once_more, (total.exponent - total.zeros) + found

    def _shift_coarsely(self, m: Module, total: data.View) -> tuple[Value, Value]:
        """Do as :meth:`_shift_exactly`, but by one of a few distances."""
        whole = Cat(total.magnitude, total.carry)
        bits = len(whole)
        if not self.acc.normalize.coarse:
            return Mux(total.carry, whole, whole << 1)[:bits], total.exponent + total.carry
        k, n = self.acc.normalize.coarse
        first, second = Signal(name="first_bits"), Signal(name="second_bits")
        m.d.comb += [
            first.eq(total.carry | total.magnitude[-k:].any()),
            second.eq(total.magnitude[-k - n : len(total.magnitude) - k].any()),
        ]
        # The bits are late: all exponents are there before. That is smaller, too.
        exponent = Mux(
            first,
            total.exponent + total.carry,
            Mux(second, total.exponent - k, total.exponent - (k + n)),
        )
        if n == 1:
            # By 0, 1, 1 + k or 2 + k: two steps, one multiplexer a bit less than a choice of four.
            far, near = ~first, Mux(first, ~total.carry, ~second)
            stepped = Signal(bits, name="stepped_left")
            m.d.comb += stepped.eq(Mux(far, whole << 1 + k, whole))
            return Mux(near, stepped << 1, stepped)[:bits], exponent
        short = Mux(total.carry, whole, whole << 1)
        long = Mux(second, whole << 1 + k, whole << 1 + k + n)
        return Mux(first, short, long)[:bits], exponent

    def _round(self, m: Module, normalized: data.View) -> data.View:
        result = Signal(self.state_layout, name="result")
        rest, kept = normalized.window[: self._below], normalized.window[self._below :]
        exponent = normalized.exponent
        if self._rounds:
            up = round_up(
                self.acc.round,
                sign=normalized.sign,
                odd=kept[0],
                half=rest[-1],
                below=rest[:-1].any(),
            )
            rounded = Signal(self.acc.width + 1)
            m.d.comb += rounded.eq(kept + up)
            kept = Cat(rounded[:-2], rounded[-2] | rounded[-1])
            exponent = exponent + rounded[-1]
        m.d.comb += [
            result.magnitude.eq(kept),
            result.exponent.eq(exponent),
            result.sign.eq(normalized.sign),
            *self.take_special(result, normalized),
        ]
        return result

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return the fields of the state; the exponent counts from the least one."""
        base, high = self._base + self._least, self.spec.acc_max_exp
        exponent = (state.exponent - self._least)[: len(state.exponent)]
        normal_from = 0 if self._exact else None
        return Fraction(state.sign, state.magnitude, exponent, base, high, normal_from)


def _changed(
    m: Module, source: data.View, name: str, *, less: Sequence[str], **more: Any
) -> data.View:
    """Return a signal with the fields of another, less some, and more that are still to be set."""
    kept = {key: field.shape for key, field in source.shape() if key not in less}
    target = Signal(data.StructLayout(kept | more), name=name)
    m.d.comb += [target[key].eq(source[key]) for key in kept]
    return target
