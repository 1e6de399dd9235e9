"""The foot of a column: one exact normalisation and one rounding, from a state to a code."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.accumulator import Integer
from minimac.rtl.kinds import accumulator_for
from minimac.rtl.round import round_up
from minimac.rtl.shift import leading_zeros, shift_left, shift_right_sticky
from minimac.spec import Arithmetic, FixedPoint, Minifloat, Overflow, Rounding

__all__ = ["Foot"]


class Foot(wiring.Component):
    """Conversion of the state of a chain to a code of ``spec.out``, combinational.

    Parameters
    ----------
    spec : Arithmetic
        What is computed.

    Members
    -------
    state : ``In(accumulator_for(spec).state_layout)``
        The unrounded sum.
    code : ``Out(spec.out.width)``
        The sum, rounded once by ``spec.out_round``; beyond the range of ``spec.out``, what
        ``spec.out_overflow`` says.
    """

    COMBINATIONAL = True

    def __init__(self, spec: Arithmetic) -> None:
        self.spec = spec
        self.accumulator = accumulator_for(spec)
        super().__init__({"state": In(self.accumulator.state_layout), "code": Out(spec.out.width)})

    def elaborate(self, platform):
        m = Module()
        out = self.spec.out
        if isinstance(out, Minifloat):
            m.d.comb += self.code.eq(self._to_minifloat(m, out))
        elif isinstance(out, FixedPoint):
            m.d.comb += self.code.eq(self._to_fixed(m, out))
        return m

    def _to_minifloat(self, m: Module, out: Minifloat) -> Value:
        x = self.accumulator.fraction(m, self.state)
        nonzero = x.magnitude.any()

        # Position of the top bit above that of the least normal; negative: below.
        reach = max(abs(x.base - out.min_exp), abs(x.max_exp - out.min_exp)) + 1
        position = Signal(range(-reach, reach + 1))
        m.d.comb += position.eq(x.exponent + (x.base - out.min_exp))
        above = Signal(range(reach + 1))
        m.d.comb += above.eq(Mux(position < 0, 0, position))

        # To the left up to the leading one, but not below the exponent of the least normal.
        zeros = leading_zeros(m, x.magnitude)
        left = Signal(range(len(x.magnitude) + 1), name="shift_distance")
        m.d.comb += left.eq(Mux(zeros < above, zeros, above))
        normalized = Signal(len(x.magnitude))
        m.d.comb += normalized.eq(shift_left(m, x.magnitude, left))
        # Room for the significand, the bit below it, and one that stands for all others.
        wide = Cat(Const(0, max(out.sig_bits + 2 - len(x.magnitude), 0)), normalized)
        if x.base < out.min_exp:
            denormalized = Signal(len(wide))
            deep = Signal(range(reach + 1))
            m.d.comb += deep.eq(Mux(position < 0, -position, 0))
            m.d.comb += denormalized.eq(shift_right_sticky(m, wide, deep, sticky=True))
            wide = denormalized

        kept = wide[-out.sig_bits :]
        rest = wide[: len(wide) - out.sig_bits]
        # Without mantissa the lowest bit of the code is that of the exponent field.
        odd = kept[0] if out.man_bits else ((above - left) + kept[0])[0]
        up = round_up(
            self.spec.out_round, sign=x.sign, odd=odd, half=rest[-1], below=rest[:-1].any()
        )
        top = ((reach + 2) << out.man_bits) + 1
        # One bit more than a code has, so that what is too large for one shows.
        rounded = Signal(max(top.bit_length(), out.magnitude_bits + 1))
        # The hidden bit adds one to the exponent field; a carry out of the mantissa, another.
        with m.If(nonzero):
            m.d.comb += rounded.eq(((above - left) << out.man_bits) + kept + up)
        return self._pack_minifloat(m, out, x.sign, nonzero, rounded)

    def _pack_minifloat(
        self, m: Module, out: Minifloat, sign: Value, nonzero: Value, rounded: Value
    ) -> Value:
        rounding, overflow = self.spec.out_round, self.spec.out_overflow
        bits = out.magnitude_bits
        largest = Const(out.max_code, bits)
        nan = out.nan_code
        # Beyond the largest finite value, for each sign.
        beyond: dict[bool, Value | None] = {}
        for negative in (False, True):
            saturates = overflow is Overflow.SATURATE or (
                overflow is Overflow.INFINITY and rounding.keeps_finite(negative=negative)
            )
            if saturates:
                beyond[negative] = largest
            elif overflow is Overflow.INFINITY and out.has_infinities:
                beyond[negative] = Const(out.infinity_code, bits)
            else:
                beyond[negative] = None  # NaN

        code = Signal(out.width)
        is_nan = Signal()

        def put(magnitude: Value | None, negative: Value) -> list:
            """Assign a finite or infinite code, or NaN for None."""
            if magnitude is None:
                return [is_nan.eq(1)]
            assert len(magnitude) == bits
            return [code.eq(Cat(magnitude, negative) if out.signed else magnitude)]

        finite = rounded[:bits]
        if out.ftz:
            finite = Mux(rounded < (1 << out.man_bits), 0, finite)[:bits]
        keeps_sign = sign & nonzero
        if not out.has_negative_zero:
            keeps_sign = keeps_sign & finite.any()
        special = self.accumulator.special(m, self.state)

        with m.If(rounded > out.max_code):
            with m.If(sign):
                m.d.comb += put(beyond[True], Const(1))
            with m.Else():
                m.d.comb += put(beyond[False], Const(0))
        with m.Else():
            m.d.comb += put(finite, keeps_sign)
        if not out.signed:
            # The finite value nearest to a negative one is zero.
            with m.If(sign & (finite.any() | (rounded > out.max_code))):
                m.d.comb += [code.eq(0), is_nan.eq(beyond[True] is not largest)]
        if self.accumulator.special_bits == 2:
            with m.If(special.any()):
                m.d.comb += is_nan.eq(0)
                if out.has_infinities:
                    m.d.comb += put(Const(out.infinity_code, bits), special[1])
                elif overflow is Overflow.SATURATE:
                    m.d.comb += put(largest, special[1])
                else:
                    m.d.comb += put(None, special[1])
                if not out.signed:
                    with m.If(special[1]):
                        m.d.comb += code.eq(0)
                        m.d.comb += is_nan.eq(overflow is not Overflow.SATURATE)
        if self.accumulator.special_bits:
            with m.If(special.all()):
                m.d.comb += is_nan.eq(1)
        # Without NaN, `saturate` turns it into zero; the other rules were refused with the design.
        return Mux(is_nan, 0 if nan is None else nan, code)

    def _to_fixed(self, m: Module, out: FixedPoint) -> Value:
        wrap = self.spec.out_overflow is Overflow.WRAP
        whole = self.accumulator.integer(m, self.state)
        if whole is not None:
            value = self._shifted_integer(m, out, whole)
        else:
            value = (self._wrapped_fraction if wrap else self._shifted_fraction)(m, out)
        if wrap:
            wrapped = Signal(out.width)
            m.d.comb += wrapped.eq(value)
            return wrapped
        code = Signal(signed(out.width + 1))
        with m.If(value > out.max_lsbs):
            m.d.comb += code.eq(out.max_lsbs)
        with m.Elif(value < out.min_lsbs):
            m.d.comb += code.eq(out.min_lsbs)
        with m.Else():
            m.d.comb += code.eq(value)
        special = self.accumulator.special(m, self.state)
        if self.accumulator.special_bits == 2:
            with m.If(special.any()):
                m.d.comb += code.eq(Mux(special[1], out.min_lsbs, out.max_lsbs))
        if self.accumulator.special_bits:
            with m.If(special.all()):
                m.d.comb += code.eq(0)
        return code[: out.width]

    def _shifted_integer(self, m: Module, out: FixedPoint, whole: Integer) -> Value:
        """Round an integer to units of ``2**out.lsb_exp``, in two's complement."""
        drop = out.lsb_exp - whole.lsb_exp
        bits = len(whole.lsbs)
        if drop <= 0:
            value = Signal(signed(bits - drop))
            m.d.comb += value.eq(whole.lsbs << -drop)
            return value
        extended = Signal(signed(max(bits, drop + 1)))
        m.d.comb += extended.eq(whole.lsbs)
        sign, rest = extended[-1], extended[:drop]
        half, below = rest[-1], rest[:-1].any()
        rounding = self.spec.out_round
        # Two's complement truncates toward negative infinity, so that all modes mirror.
        match rounding:
            case Rounding.RNA:
                up = half & (below | ~sign)
            case Rounding.TRUNCATE:
                up = sign & (half | below)
            case Rounding.UP:
                up = half | below
            case Rounding.DOWN:
                up = Const(0)
            case _:
                up = round_up(rounding, sign=sign, odd=extended[drop], half=half, below=below)
        value = Signal(signed(len(extended) - drop + 1))
        m.d.comb += value.eq(extended[drop:].as_signed() + up)
        return value

    def _wrapped_fraction(self, m: Module, out: FixedPoint) -> Value:
        """Round a float state to units of ``2**out.lsb_exp``, and keep the low bits."""
        x = self.accumulator.fraction(m, self.state)
        # How far the magnitude goes to the left for its lowest bit to weigh one unit.
        offset = x.base - (len(x.magnitude) - 1) - out.lsb_exp
        reach = abs(offset) + (1 << len(x.exponent))
        left = Signal(range(-reach, reach + 1))
        distance = Signal(range(reach + 1), name="shift_distance")
        m.d.comb += [
            left.eq(x.exponent + offset),
            distance.eq(Mux(left < 0, -left, left)),
        ]
        low = Signal(out.width)
        m.d.comb += low.eq(x.magnitude)
        # Two bits below: the half, and one that stands for all others.
        placed = Signal(len(x.magnitude) + 2)
        wide = Cat(Const(0, 2), x.magnitude)
        m.d.comb += placed.eq(shift_right_sticky(m, wide, distance, sticky=True))
        up = round_up(
            self.spec.out_round, sign=x.sign, odd=placed[2], half=placed[1], below=placed[0]
        )
        magnitude = Signal(out.width)
        m.d.comb += magnitude.eq(Mux(left < 0, placed[2:] + up, shift_left(m, low, distance)))
        return Mux(x.sign, -magnitude, magnitude)

    def _shifted_fraction(self, m: Module, out: FixedPoint) -> Value:
        """Round a float state to units of ``2**out.lsb_exp``, in two's complement."""
        x = self.accumulator.fraction(m, self.state)
        # One bit more than out has tells that the value is too large.
        bits = min(max(x.max_exp - out.lsb_exp + 1, 1), out.width + 1)
        zeros = leading_zeros(m, x.magnitude)
        normalized = Signal(len(x.magnitude))
        m.d.comb += normalized.eq(shift_left(m, x.magnitude, zeros))
        reach = max(abs(x.base - out.lsb_exp), abs(x.max_exp - out.lsb_exp)) + len(zeros)
        reach += bits + (1 << len(zeros))
        # How far the leading one is below the top bit of the integer.
        deep = Signal(range(-reach, reach + 1))
        m.d.comb += deep.eq((bits - 1 + out.lsb_exp - x.base) - x.exponent + zeros)
        wide = Cat(Const(0, max(bits + 2 - len(normalized), 0)), normalized)
        distance = Signal(range(reach + 1), name="shift_distance")
        m.d.comb += distance.eq(Mux(deep < 0, 0, deep))
        placed = Signal(len(wide))
        m.d.comb += placed.eq(shift_right_sticky(m, wide, distance, sticky=True))
        kept = placed[-bits:]
        rest = placed[: len(wide) - bits]
        up = round_up(
            self.spec.out_round, sign=x.sign, odd=kept[0], half=rest[-1], below=rest[:-1].any()
        )
        magnitude = Signal(bits + 1)
        m.d.comb += magnitude.eq(kept + up)
        with m.If((deep < 0) & x.magnitude.any()):
            m.d.comb += magnitude.eq(1 << bits)
        value = Signal(signed(bits + 2))
        m.d.comb += value.eq(Mux(x.sign, -magnitude, magnitude))
        return value
