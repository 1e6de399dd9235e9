"""What single operations give before they are rounded: products and sums, as chains of one term."""

from dataclasses import replace
from fractions import Fraction as Exact

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data

from minimac.rtl.accumulator import Accumulator, Fraction, Integer
from minimac.rtl.delay import Delays, Section
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.lookup import look_up
from minimac.rtl.operand import (
    Operand,
    counts_as_fixed,
    exponent_range,
    integer,
    magnitude,
    unit_exp,
    unpack,
)
from minimac.rtl.parts import mark
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import code_product, float_product, integer_product, mark_operands
from minimac.rtl.shift import leading_zeros, shift_left, shift_right_sticky
from minimac.spec import (
    Arithmetic,
    Codebook,
    Convert,
    Design,
    ExponentOnly,
    Fma,
    Format,
    GridFormat,
    Minifloat,
    Multiplier,
    Overflow,
    Rounding,
)
from minimac.spec.grids import round_to_grid

__all__ = [
    "FloatSum",
    "IntegerSum",
    "Listed",
    "Number",
    "Product",
    "SingleTerm",
    "Sum",
    "SumOfCodes",
    "operation_for",
]


class SingleTerm(Accumulator):
    """The result of an operation on two codes before it is rounded: a chain of one term."""

    @property
    def meaning(self) -> dict[str, str]:
        """Nobody sees the state."""
        return {}

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Return the only term."""
        return product


class Product(SingleTerm):
    """A product, as sign, significand and exponent, or as an integer."""

    def __init__(self, spec: Arithmetic) -> None:
        super().__init__(spec)
        fixed = counts_as_fixed(spec.a) and counts_as_fixed(spec.b)
        # A minifloat wants the sign of a zero, too, and random bits round magnitudes.
        steady = not spec.out_round.stochastic
        self._is_integer = fixed and not isinstance(spec.out, Minifloat) and steady
        probe = float_product(spec, Signal(spec.a.width), Signal(spec.b.width))
        self._low, self._high = (spec.product_min_exp + end for end in (probe.least, probe.most))

    @property
    def state_layout(self) -> data.StructLayout:
        """``product``; or ``significand``, ``exponent``, ``sign`` and ``special``."""
        spec = self.spec
        if self._is_integer:
            return data.StructLayout({"product": signed(spec.bits_for(1))})
        return self.with_special(
            {
                "significand": spec.product_bits,
                "exponent": range(self._high - self._low + 1),
                "sign": 1,
            }
        )

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Multiply."""
        a, b = self.spec.a, self.spec.b
        return (Section("multiply", delays.gates(1) + delays.multiplier(a.sig_bits, b.sig_bits)),)

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Return the product."""
        state = Signal(self.state_layout, name="product")
        if self._is_integer:
            m.d.comb += state.product.eq(integer_product(self.spec, a, b))
            return pipe.cut(m, "multiply", state)
        product = float_product(self.spec, a, b, m)
        m.d.comb += [
            state.significand.eq(product.significand),
            state.exponent.eq(product.steps),
            state.sign.eq(product.sign),
            *self.take_special(state, product.special),
        ]
        return pipe.cut(m, "multiply", state)

    def integer(self, m: Module, state: data.View) -> Integer | None:
        """Return the product, if it is an integer."""
        return Integer(state.product, self.spec.lsb_exp) if self._is_integer else None

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return the fields of the state."""
        return Fraction(state.sign, state.significand, state.exponent, self._low, self._high)


class Final(SingleTerm):
    """A code of the result: nothing is left to be rounded."""

    @property
    def state_layout(self) -> data.StructLayout:
        """``code``."""
        return data.StructLayout({"code": self.spec.out.width})

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Nobody asks: the code is final."""
        raise NotImplementedError


class SumOfCodes(Final):
    """A product that is found by adding codes, and is a code of the result itself."""

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Add, and choose."""
        return (Section("multiply", 2 * delays.adder(self.spec.out.width) + delays.gates(3)),)

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Return the code."""
        state = Signal(self.state_layout, name="product")
        m.d.comb += state.code.eq(code_product(self.spec, a, b))
        mark(m, "multiply", state)
        return state


class Sum(SingleTerm):
    """A sum."""

    def take_apart(self, a: Value, b: Value) -> tuple[Operand, Operand]:
        """Take both operands apart."""
        return unpack(self.spec.a, a), unpack(self.spec.b, b)

    def special_of(self, x: Operand, y: Operand) -> Value:
        """Return ``special`` of a sum."""
        nan = x.nan | y.nan
        if self.special_bits < 2:
            return nan[: self.special_bits]
        positive = (x.infinity & ~x.sign) | (y.infinity & ~y.sign)
        negative = (x.infinity & x.sign) | (y.infinity & y.sign)
        return Cat(nan | positive, nan | negative)


class IntegerSum(Sum):
    """A sum in two's complement, in units that both operands are multiples of."""

    @property
    def _lsb_exp(self) -> int:
        return min(self.spec.a.lsb_exp, self.spec.b.lsb_exp)

    @property
    def _ends(self) -> tuple[int, int]:
        """Least and greatest sum, in these units."""
        formats = [(fmt, fmt.lsb_exp - self._lsb_exp) for fmt in (self.spec.a, self.spec.b)]
        low = sum(fmt.min_lsbs << up for fmt, up in formats)
        return low, sum(fmt.max_lsbs << up for fmt, up in formats)

    @property
    def _zero_has_sign(self) -> bool:
        """Whether some sums are -0."""
        spec = self.spec
        floats = not (counts_as_fixed(spec.a) or counts_as_fixed(spec.b))
        return (
            isinstance(spec.out, Minifloat)
            and spec.out.has_negative_zero
            and (spec.out_round is Rounding.DOWN or floats)
        )

    @property
    def state_layout(self) -> data.StructLayout:
        """``sum``, ``zero_sign`` where it matters, and ``special``."""
        low, high = self._ends
        bits = max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1
        sign = {"zero_sign": 1} if self._zero_has_sign else {}
        return self.with_special({"sum": signed(bits), **sign})

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Shift into place, add."""
        bits = self.state_layout["sum"].width
        add = Section("add", delays.adder(bits))
        ranges = [exponent_range(fmt) for fmt in (self.spec.a, self.spec.b)]
        reach = max(high - low for low, high in ranges)
        shift = delays.gates(2) + delays.shifter(reach + 1) + delays.adder(bits)
        return (Section("align", shift), add) if reach else (add,)

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Shift both into place, and add."""
        x, y = self.take_apart(a, b)
        placed = Signal(
            self.with_special(
                {
                    "x": self._addend_shape(self.spec.a),
                    "y": self._addend_shape(self.spec.b),
                    "zero_sign": 1,
                }
            ),
            name="placed",
        )
        zero_sign = x.sign & y.sign
        if self.spec.out_round is Rounding.DOWN:
            zero_sign = x.sign | y.sign
        m.d.comb += [
            placed.x.eq(self._addend(m, self.spec.a, a, x)),
            placed.y.eq(self._addend(m, self.spec.b, b, y)),
            placed.zero_sign.eq(zero_sign),
            *self.take_special(placed, self.special_of(x, y)),
        ]
        placed = pipe.cut(m, "align", placed)
        state = Signal(self.state_layout, name="sum")
        m.d.comb += [
            state.sum.eq(placed.x + placed.y),
            *self.take_special(state, placed),
        ]
        if self._zero_has_sign:
            m.d.comb += state.zero_sign.eq(placed.zero_sign)
        return pipe.cut(m, "add", state)

    def _addend_shape(self, fmt: Format) -> object:
        return signed(
            (max(-fmt.min_lsbs - 1, fmt.max_lsbs) << fmt.lsb_exp - self._lsb_exp).bit_length() + 1
        )

    def _addend(self, m: Module, fmt: Format, code: Value, operand: Operand) -> Value:
        """Return a finite operand in two's complement, in units of the sum."""
        if counts_as_fixed(fmt):
            return integer(fmt, code) << unit_exp(fmt) - self._lsb_exp
        size, unit = magnitude(m, fmt, operand)
        size = size << unit - self._lsb_exp
        return Mux(operand.sign, -size, size)

    def integer(self, m: Module, state: data.View) -> Integer | None:
        """Return the sum, unless a zero may have a sign."""
        return None if self._zero_has_sign else Integer(state.sum, self._lsb_exp)

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return sign and magnitude, with a constant exponent."""
        bits = max(map(abs, self._ends)).bit_length()
        found = Integer(state.sum, self._lsb_exp).fraction(m, bits)
        return replace(found, sign=Mux(found.magnitude.any(), found.sign, state.zero_sign))


class FloatSum(Sum):
    """A sum as sign, magnitude and exponent: the smaller operand is shifted to meet the larger.

    What is shifted out is ORed into one bit at the end. That is exact enough for one rounding: if
    anything is lost, operands are at least two binades apart, and the leading one of the sum is at
    most a place below that of the larger one, which is normal.
    """

    def __init__(self, spec: Arithmetic) -> None:
        super().__init__(spec)
        formats = spec.a, spec.b
        ranges = [exponent_range(fmt) for fmt in formats]
        self._base = min(low for low, _ in ranges)
        self._width = max(fmt.sig_bits for fmt in formats)
        self._exponents = range(max(high for _, high in ranges) - self._base + 1)
        kept = spec.out.sig_bits if isinstance(spec.out, Minifloat) else spec.out.width + 1
        # The last bit of the result, or half an ulp where it matters, must be above the bit that
        # stands for others.
        nearest = spec.out_round in (Rounding.RNE, Rounding.RNA)
        self._guard = max(kept - self._width + 1 + nearest, 1)

    @property
    def _window(self) -> int:
        return self._width + self._guard + 1

    @property
    def state_layout(self) -> data.StructLayout:
        """``magnitude``, ``exponent``, ``sign`` and ``special``."""
        return self.with_special(
            {"magnitude": self._window + 1, "exponent": self._exponents, "sign": 1}
        )

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Normalise what has to be, compare, align, add."""
        exponent = (len(self._exponents) - 1).bit_length()
        compare = delays.adder(self._width + exponent) + delays.adder(exponent) + delays.gates(2)
        normal = [
            delays.leading_zeros(fmt.sig_bits) + delays.shifter(fmt.sig_bits)
            for fmt in (self.spec.a, self.spec.b)
            if self._places_up(fmt)
        ]
        return (
            Section("order", delays.gates(1) + compare + max(normal, default=0.0)),
            Section("align", delays.shifter(self._window) + delays.gates(1)),
            Section("add", delays.adder(self._window) + delays.gates(1)),
        )

    def _places_up(self, fmt: Format) -> int:
        """How far up numbers may have to go for all above the least exponent to be normal."""
        of = fmt.value_format
        normal = isinstance(of, ExponentOnly) or (isinstance(of, Minifloat) and of.ftz)
        if normal or exponent_range(fmt)[0] > of.min_exp:  # there are no subnormals
            return 0
        return min(of.min_exp - self._base, fmt.sig_bits - 1)

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Compare, align, add."""
        ordered = pipe.cut(m, "order", self._order(m, a, b))
        aligned = pipe.cut(m, "align", self._align(m, ordered))
        return pipe.cut(m, "add", self._add(m, aligned))

    def _order(self, m: Module, a: Value, b: Value) -> data.View:
        """Find the operand of the larger magnitude, and how far apart they are."""
        spec = self.spec
        x, y = self.take_apart(a, b)
        mark_operands(m, x, y)
        x_exponent, x_significand = self._normalise(m, spec.a, x)
        y_exponent, y_significand = self._normalise(m, spec.b, y)
        x_key, y_key = Cat(x_significand, x_exponent), Cat(y_significand, y_exponent)
        if spec.a == spec.b and isinstance(spec.a, Minifloat):
            # Codes are in the order of their magnitudes, and have a bit less.
            x_key, y_key = a[: spec.a.magnitude_bits], b[: spec.a.magnitude_bits]
        swap = Signal()
        ordered = Signal(
            self.with_special(
                {
                    "large": self._width,
                    "small": self._width,
                    "exponent": self._exponents,
                    "distance": self._exponents,
                    "sign": 1,
                    "subtract": 1,
                }
            ),
            name="ordered",
        )
        m.d.comb += [
            swap.eq(x_key < y_key),
            ordered.large.eq(Mux(swap, y_significand, x_significand)),
            ordered.small.eq(Mux(swap, x_significand, y_significand)),
            ordered.exponent.eq(Mux(swap, y_exponent, x_exponent)),
            ordered.distance.eq(ordered.exponent - Mux(swap, x_exponent, y_exponent)),
            ordered.sign.eq(Mux(swap, y.sign, x.sign)),
            ordered.subtract.eq(x.sign ^ y.sign),
            *self.take_special(ordered, self.special_of(x, y)),
        ]
        return ordered

    def _normalise(self, m: Module, fmt: Format, operand: Operand) -> tuple[Value, Value]:
        """Return exponent, above the least of both formats, and significand as wide as of both."""
        significand = Cat(Const(0, self._width - fmt.sig_bits), operand.significand)
        exponent = operand.exponent + (operand.base - self._base)
        if places := self._places_up(fmt):
            stop = Const(1 << fmt.sig_bits - 1 - places, fmt.sig_bits)
            zeros = leading_zeros(m, operand.significand | stop)
            significand = shift_left(m, significand, zeros)
            exponent = exponent - zeros
        exponent = exponent[: (len(self._exponents) - 1).bit_length()]
        if exponent_range(fmt)[0] > self._base or isinstance(fmt, Codebook):
            exponent = Mux(operand.zero, 0, exponent)  # a zero is below all else
        return exponent, significand

    def _align(self, m: Module, ordered: data.View) -> data.View:
        aligned = Signal(
            self.with_special(
                {
                    "staying": self._width,
                    "moved": self._window,
                    "exponent": self._exponents,
                    "sign": 1,
                    "subtract": 1,
                }
            ),
            name="aligned",
        )
        wide = Cat(Const(0, self._window - self._width), ordered.small)
        moved = shift_right_sticky(m, wide, ordered.distance, sticky=True)
        m.d.comb += [
            aligned.staying.eq(ordered.large),
            aligned.moved.eq(moved),
            aligned.exponent.eq(ordered.exponent),
            aligned.sign.eq(ordered.sign),
            aligned.subtract.eq(ordered.subtract),
            *self.take_special(aligned, ordered),
        ]
        return aligned

    def _add(self, m: Module, aligned: data.View) -> data.View:
        state = Signal(self.state_layout, name="sum")
        staying = Cat(Const(0, self._window - self._width), aligned.staying)
        moved = aligned.moved ^ aligned.subtract.replicate(self._window)
        raw = Signal(self._window + 1, name="raw_sum")
        m.d.comb += [
            raw.eq(staying + moved + aligned.subtract),
            # In a difference the carry says that it is not negative, which it never is.
            state.magnitude.eq(Cat(raw[:-1], raw[-1] & ~aligned.subtract)),
            state.exponent.eq(aligned.exponent),
            *self.take_special(state, aligned),
        ]
        # IEEE 754-2019, 6.3: a difference of zero is +0, or -0 when rounding down.
        zero = aligned.subtract & ~raw[:-1].any()
        down = self.spec.out_round is Rounding.DOWN
        m.d.comb += state.sign.eq(aligned.sign | zero if down else aligned.sign & ~zero)
        return state

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return the fields of the state; the top bit is the carry."""
        base = self._base + 1
        high = base + len(self._exponents) - 1
        return Fraction(state.sign, state.magnitude, state.exponent, base, high)


class Number(SingleTerm):
    """A single number, not changed at all: ``a``."""

    @property
    def state_layout(self) -> data.StructLayout:
        """``integer``; or ``significand``, ``exponent``, ``sign`` and ``special``."""
        fmt = self.spec.a
        if counts_as_fixed(fmt):
            return data.StructLayout({"integer": signed(fmt.width + 1)})
        low, high = exponent_range(fmt)
        return self.with_special(
            {"significand": fmt.sig_bits, "exponent": range(high - low + 2), "sign": 1}
        )

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Take apart."""
        return (Section("unpack", delays.gates(2)),)

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value | None) -> data.View:
        """Return the number."""
        state = Signal(self.state_layout, name="number")
        if counts_as_fixed(self.spec.a):
            m.d.comb += state.integer.eq(integer(self.spec.a, a))
            return pipe.cut(m, "unpack", state)
        x = unpack(self.spec.a, a)
        m.d.comb += [
            state.significand.eq(x.significand),
            state.exponent.eq(x.exponent),
            state.sign.eq(x.sign),
            *self.take_special(state, x.special(self.special_bits)),
        ]
        return pipe.cut(m, "unpack", state)

    def integer(self, m: Module, state: data.View) -> Integer | None:
        """Return the number, if it is an integer."""
        fixed = counts_as_fixed(self.spec.a)
        return Integer(state.integer, unit_exp(self.spec.a)) if fixed else None

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return the fields of the state, or sign and magnitude of an integer."""
        fmt = self.spec.a
        if counts_as_fixed(fmt):
            return Integer(state.integer, unit_exp(fmt)).fraction(m, fmt.width)
        base = unpack(fmt, Signal(fmt.width)).base
        normal_from = None
        if isinstance(fmt, ExponentOnly) or (isinstance(fmt, Minifloat) and fmt.ftz):
            normal_from = 0
        elif isinstance(fmt, Minifloat):
            normal_from = 2  # below are subnormals, and what has their exponent
        most = exponent_range(fmt)[1]
        return Fraction(state.sign, state.significand, state.exponent, base, most, normal_from)


class Listed(Final):
    """A number of a codebook in another such format: a table has the code of the result."""

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Look up."""
        return (Section("unpack", delays.gates(1 + self.spec.a.width)),)

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value | None) -> data.View:
        """Return the code."""
        state = Signal(self.state_layout, name="number")
        m.d.comb += state.code.eq(look_up(a, self._codes, unsigned(self.spec.out.width)))
        return state

    @property
    def _codes(self) -> list[int]:
        spec, fmt = self.spec, self.spec.a
        assert isinstance(fmt, Codebook)
        assert isinstance(spec.out, GridFormat)
        unit = Exact(2) ** fmt.lsb_exp
        return [
            round_to_grid(spec.out, fmt.lsbs(code) * unit, spec.out_round, spec.out_overflow)
            for code in range(len(fmt.codes))
        ]


def operation_for(design: Design) -> Accumulator:
    """Return what holds the result of a unit's operation."""
    if isinstance(design, Convert):
        listed = isinstance(design.a, Codebook) and isinstance(design.out, GridFormat)
        if listed and design.b is None and not design.out_round.stochastic:
            return Listed(design)
        return Number(design) if design.b is None else Product(design)
    if isinstance(design, Fma):
        return accumulator_for(design)
    if isinstance(design, Multiplier):
        codes = design.product.adds_codes and design.out == design.a
        return (SumOfCodes if codes else Product)(design)
    fixed = counts_as_fixed(design.a) and counts_as_fixed(design.b)
    # What wraps needs its low bits, however large the rest is.
    return (IntegerSum if fixed or design.out_overflow is Overflow.WRAP else FloatSum)(design)
