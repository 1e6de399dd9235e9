"""From the state of a chain to a minifloat: find the leading one, shift, round, pack."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from minimac.rtl.accumulator import State
from minimac.rtl.delay import Delays, Section
from minimac.rtl.funnel import shift_into
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.probing import probing
from minimac.rtl.round import Modes, rest_bits, round_rest
from minimac.rtl.shift import leading_zeros, shift_right_sticky
from minimac.spec import Arithmetic, Minifloat, Overflow

__all__ = ["ToMinifloat"]


@dataclass(frozen=True)
class _Number:
    """A finite value as it comes in.

    Attributes
    ----------
    sign, bits : Value
        The magnitude is ``bits``, or, with ``complement`` and a set sign, ``~bits + 1``.
    exponent : Value
        Unsigned.
    low, high : int
        Exponent of the top bit of ``bits`` above that of the least normal of the target, at an
        exponent of 0 and at most. A complement may be ``2**(high + 1)``, no value is more.
    complement : bool
        Whether sign and bits are in two's complement.
    placed : bool
        Whether the leading one of a number that is normal in the target is at the top.
    loose : int
        The greatest of these exponents at which the leading one may be below the top.
    """

    sign: Value
    bits: Value
    exponent: Value
    low: int
    high: int
    complement: bool
    placed: bool
    loose: int


class ToMinifloat:
    """Conversion to a minifloat.

    Parameters
    ----------
    spec : Arithmetic or Modes
        Modes of the conversion.
    out : Minifloat
        The format.
    accumulator : State
        What the states are of.
    keeps_zero_sign : bool
        Whether a zero has the sign that comes with it; else it is +0.
    random_bits : int, optional
        Random bits of a number, for a stochastic mode.
    """

    def __init__(
        self,
        spec: Arithmetic | Modes,
        out: Minifloat,
        accumulator: State,
        *,
        keeps_zero_sign: bool = False,
        random_bits: int | None = None,
    ) -> None:
        self.spec = spec
        self.out = out
        self.accumulator = accumulator
        self.keeps_zero_sign = keeps_zero_sign
        self.rest_bits = rest_bits(spec.out_round, random_bits)
        # A significand, and what the rounding looks at below it.
        self._keep = out.sig_bits + self.rest_bits

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Return the pieces between places for registers: count, shift, round, pack."""
        with probing() as m:
            x = self._number(m, Signal(self.accumulator.state_layout))
        searched = self._searched_bits(x)
        count = delays.gates(x.complement) + delays.leading_zeros(searched)
        shift = delays.shifter(searched)
        if not isinstance(x.exponent, Const):
            # A number with its leading one in place only has its exponent converted.
            position = delays.incrementer(len(x.exponent))
            count = position + (
                0.0 if x.placed else delays.gates(2) + delays.leading_zeros(searched)
            )
            deep = delays.shifter(self._keep + 1) if x.low < 0 else 0.0
            shift = max(0.0 if x.placed else shift, deep)
        rounds = delays.gates(2) if self.rest_bits == 1 else delays.adder(self.rest_bits)
        return (
            Section("count", count),
            # The bits that are shifted out, or the sign of a subnormal, come last.
            Section("shift", shift + delays.gates(2)),
            Section("round", rounds + delays.incrementer(self._code_bits(x))),
            Section("", delays.gates(3) if self._overflows(x) else delays.gates(1)),
        )

    def build(
        self, m: Module, pipe: Pipeline, state: data.View, random: Value | None = None
    ) -> Value:
        """Add the hardware; return the code. Random bits come with the state."""
        x = self._number(m, state)
        special = self.accumulator.special(m, state)
        counted = pipe.cut(m, "count", self._count(m, x, special))
        shifted = pipe.cut(m, "shift", self._shift(m, x, counted))
        for place in ("count", "shift") if random is not None else ():
            random = pipe.cut(m, place, random)
        rounded = pipe.cut(m, "round", self._round(m, x, shifted, random))
        return self._pack(m, x, rounded)

    def _number(self, m: Module, state: data.View) -> _Number:
        base = self.out.min_exp
        whole = self.accumulator.integer(m, state)
        if self.spec.out_round.stochastic:
            whole = None  # random bits round magnitudes
        if whole is not None and len(whole.lsbs) > 1:
            bits = whole.lsbs[:-1]
            top = whole.lsb_exp + len(bits) - 1 - base
            return _Number(whole.lsbs[-1], bits, Const(0, 1), top, top, True, False, top)
        scaled = self.accumulator.scaled(m, state)
        if scaled is not None and not self.spec.out_round.stochastic:
            bits = scaled.lsbs[:-1]
            low = scaled.lsb_exp + len(bits) - 1 - base
            high = low + scaled.reach
            if low > len(bits):  # no subnormals, which are shifted to the right
                return _Number(scaled.lsbs[-1], bits, scaled.exponent, low, high, True, False, high)
        x = self.accumulator.fraction(m, state)
        low, high = x.base - base, x.max_exp - base
        first = x.normal_from
        placed = first is not None and (first == 0 or low + first - 1 <= 0)
        loose = high if x.loose_to is None else x.loose_to - base
        return _Number(x.sign, x.magnitude, x.exponent, low, high, False, placed, loose)

    def _layout(self, **fields: Any) -> data.StructLayout:
        return self.accumulator.with_special({"sign": 1, "nonzero": 1, **fields})

    def _searched_bits(self, x: _Number) -> int:
        """How many of the bits, from the top, may be leading ones of a normal number."""
        if x.placed:
            return 1
        return min(len(x.bits), max(x.loose, 0) + 1)

    def _code_bits(self, x: _Number) -> int:
        """Width of a magnitude's code, with room for what is too large for one."""
        bits = self.out.magnitude_bits
        return max(bits + 1, self._largest_code(x).bit_length()) if self._overflows(x) else bits

    def _largest_code(self, x: _Number) -> int:
        """Code that ``2**(high + 1)`` would have: no value rounds beyond it."""
        man_bits, above = self.out.man_bits, x.high + 1
        return (above + 1) << man_bits if above >= 0 else 1 << max(man_bits + above, 0)

    def _overflows(self, x: _Number) -> bool:
        return self._largest_code(x) > self.out.max_code

    def _count(self, m: Module, x: _Number, special: Value) -> data.View:
        """Find how far to the left the leading one may go, not below the least normal."""
        bits = x.bits ^ x.sign.replicate(len(x.bits)) if x.complement else x.bits
        places = self._searched_bits(x)
        fixed = isinstance(x.exponent, Const)
        reach = max(abs(x.low), abs(x.high)) + 1
        counted = Signal(
            self._layout(
                bits=len(x.bits),
                left=max(places.bit_length(), 1),
                **({} if fixed else {"position": data.Field(range(-reach, reach + 1), 0).shape}),
            ),
            name="counted",
        )
        searched = bits[-places:]
        if not fixed:
            position = Signal(range(-reach, reach + 1))
            m.d.comb += [position.eq(x.exponent + x.low), counted.position.eq(position)]
            # A one where the least normal has its top bit, or at the top if that is above.
            stop = Signal(places)
            for n in range(places):
                if x.low <= n <= x.high:
                    m.d.comb += stop[places - 1 - n].eq(position == n)
            if x.low < 0:
                with m.If(position < 0):
                    m.d.comb += stop[-1].eq(1)
            searched = searched | stop
        elif x.high < places:
            searched = searched | 1 << places - 1 - max(x.high, 0)
        if x.complement and x.high >= places:
            # That of -1, the only one without, is just below the last bit.
            searched = Cat(Const(1, 1), searched)
        zeros = leading_zeros(m, searched)
        m.d.comb += [
            counted.sign.eq(x.sign),
            counted.nonzero.eq(x.sign if x.complement else x.bits.any()),
            counted.bits.eq(x.bits),
            counted.left.eq(zeros),
            *self.accumulator.take_special(counted, special),
        ]
        return counted

    def _shift(self, m: Module, x: _Number, counted: data.View) -> data.View:
        """Bring the leading one to the top; find the exponent field of the code."""
        out, keep, rest = self.out, self._keep, self.rest_bits
        top, below = shift_into(m, counted.bits, counted.left, keep)
        window = Cat(below, top)  # the significand, the rest, one bit for all below
        field_bits = max(self._code_bits(x) - out.man_bits, 1)
        field = Signal(field_bits)
        if isinstance(x.exponent, Const):
            above = max(x.high, 0)
            if x.high < 0:
                # Beyond `keep + 1` all that is seen of a number is its sign.
                deep = min(-x.high, keep + 1)
                fill = counted.sign if x.complement else Const(0, 1)
                wide = Cat(window, fill.replicate(deep))
                window = Cat(wide[: deep + 1].any(), wide[deep + 1 :])
            m.d.comb += field.eq(above + 1 - counted.left)
        else:
            position = counted.position
            m.d.comb += field.eq(position + 1 - counted.left)
            if x.low < 0:
                window = self._subnormal(m, x, counted, window)
                with m.If(position < 0):
                    m.d.comb += field.eq(1)
        placed = Signal(len(window))
        m.d.comb += placed.eq(window)

        sign = counted.sign
        kept = placed[1:]
        if x.complement:
            # The bits of a negative number are inverted, and one is added below the last of them:
            # it gets to those that are kept only if all others were zero.
            kept = kept ^ sign.replicate(keep)
        shifted = Signal(
            self._layout(field=field_bits, mantissa=max(out.man_bits, 1), rest=rest, below=1),
            name="shifted",
        )
        # Of a subnormal the bit is zero that is hidden in others.
        m.d.comb += [
            shifted.sign.eq(sign),
            shifted.nonzero.eq(counted.nonzero),
            shifted.field.eq(Mux(kept[-1], field, 0)),
            shifted.mantissa.eq(kept[rest:-1]),
            shifted.rest.eq(kept[:rest]),
            shifted.below.eq(placed[0]),
            *self.accumulator.take_special(shifted, counted),
        ]
        return shifted

    def _subnormal(self, m: Module, x: _Number, counted: data.View, window: Value) -> Value:
        """Choose between a normal number's window and, below the least normal, one more right."""
        position = counted.position
        subnormal = Signal()
        m.d.comb += subnormal.eq(position < 0)
        if x.placed:
            straight = window
        else:
            rest = len(counted.bits) - len(window) + 1
            straight = Cat(
                counted.bits[: max(rest, 0)].any(),
                Const(0, max(-rest, 0)),
                counted.bits[max(rest, 0) :],
            )
        # By one, and then by one less than the distance: that takes no adder.
        once = Cat(straight[0] | straight[1], straight[2:], Const(0, 1))
        more = Signal(range(-x.low))
        if x.placed:
            m.d.comb += more.eq(Mux(subnormal, ~position, 0))
            once = Mux(subnormal, once, straight)
            return shift_right_sticky(m, once, more, sticky=True)
        m.d.comb += more.eq(~position)
        right = shift_right_sticky(m, once, more, sticky=True)
        return Mux(subnormal, right, window)

    def _round(self, m: Module, x: _Number, shifted: data.View, random: Value | None) -> data.View:
        code = Cat(shifted.mantissa[: self.out.man_bits], shifted.field)
        rest, below = shifted.rest, shifted.below
        carry: Value = Const(0)
        if x.complement:
            # The one that is added below: it fills the half, or is carried out of it.
            reaches = Signal()
            m.d.comb += reaches.eq(shifted.sign & ~below)
            carry = reaches & rest
            rest = rest ^ reaches
        up = round_rest(
            self.spec.out_round,
            sign=shifted.sign,
            odd=code[0],
            rest=rest,
            below=below,
            random=random,
        )
        rounded = Signal(self._layout(code=self._code_bits(x)), name="rounded")
        m.d.comb += [
            rounded.sign.eq(shifted.sign),
            rounded.nonzero.eq(shifted.nonzero),
            rounded.code.eq(code + (up | carry)),
            *self.accumulator.take_special(rounded, shifted),
        ]
        return rounded

    def _pack(self, m: Module, x: _Number, rounded: data.View) -> Value:
        """Choose between the rounded code, what stands for too large ones, and special codes."""
        out = self.out
        sign, bits = rounded.sign, out.magnitude_bits
        over: Value = Const(0)
        if self._overflows(x):
            over = rounded.code > out.max_code
        finite = rounded.code[:bits]
        if out.ftz:
            finite = Mux(rounded.code < (1 << out.man_bits), 0, finite)[:bits]
        keeps = Const(1) if self.keeps_zero_sign else rounded.nonzero
        if not out.has_negative_zero:
            keeps = finite.any()
        code = Signal(out.width)
        below_zero = sign & over
        if out.signed:
            m.d.comb += code.eq(Cat(finite, sign & keeps))
        else:
            # The finite value nearest to a negative one is zero.
            m.d.comb += code.eq(Mux(sign, 0, finite))
            below_zero = sign & (finite.any() | over)

        def put(case: Value, constant: int) -> None:
            with m.If(case):
                m.d.comb += code.eq(constant)

        put(over & ~sign, self._too_large(negative=False))
        put(below_zero, self._too_large(negative=True))
        if self.accumulator.special_bits == 2:
            put(rounded.special[0], self._infinity(negative=False))
            put(rounded.special[1], self._infinity(negative=True))
        if self.accumulator.special_bits:
            put(rounded.special.all(), self._nan)
        return code

    @property
    def _nan(self) -> int:
        """Without NaN, ``saturate`` turns it into zero; the other rules were refused before."""
        return self.out.nan_code or 0

    def _end(self, magnitude: int, *, negative: bool) -> int:
        """Return a code at an end of the range; zero is that of the unsigned."""
        if not negative:
            return magnitude
        return magnitude | 1 << self.out.magnitude_bits if self.out.signed else 0

    def _too_large(self, *, negative: bool) -> int:
        """Return the code for what is beyond the largest finite value of a sign."""
        overflow = self.spec.out_overflow
        if overflow is Overflow.INFINITY and not self.spec.out_round.keeps_finite(
            negative=negative
        ):
            has_one = self.out.has_infinities and (self.out.signed or not negative)
            return self._infinity(negative=negative) if has_one else self._nan
        if overflow is Overflow.NAN:
            return self._nan
        return self._end(self.out.max_code, negative=negative)

    def _infinity(self, *, negative: bool) -> int:
        """Return the code for an infinite sum."""
        out = self.out
        if out.infinity_code is not None and (out.signed or not negative):
            return self._end(out.infinity_code, negative=negative)
        if self.spec.out_overflow is Overflow.SATURATE:
            return self._end(out.max_code, negative=negative)
        return self._nan
