"""From the state of a chain to fixed point: shift into place, round, clamp."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from minimac.rtl.accumulator import Fraction, Integer, State
from minimac.rtl.delay import Delays, Section
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.probing import probing
from minimac.rtl.round import Modes, rest_bits, round_rest, round_up_complement
from minimac.rtl.shift import shift_right_sticky
from minimac.spec import Arithmetic, FixedPoint, Overflow

__all__ = ["ToFixed"]


class ToFixed:
    """Conversion to fixed point.

    Parameters
    ----------
    spec : Arithmetic or Modes
        Modes of the conversion.
    out : FixedPoint
        The format.
    accumulator : State
        What the states are of.
    random_bits : int, optional
        Random bits of a number, for a stochastic mode.
    """

    def __init__(
        self,
        spec: Arithmetic | Modes,
        out: FixedPoint,
        accumulator: State,
        *,
        random_bits: int | None = None,
    ) -> None:
        self.spec = spec
        self.rest_bits = rest_bits(spec.out_round, random_bits)
        self.out = out
        self.accumulator = accumulator
        self.wraps = spec.out_overflow is Overflow.WRAP
        # Bits besides the sign; all else is beyond the range, or does not matter.
        self.bits = out.width - (out.signed and not self.wraps)

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Return the pieces between places for registers: shift, round, clamp."""
        clamp = Section("", delays.gates(3))
        rounds = delays.gates(2) if self.rest_bits == 1 else delays.adder(self.rest_bits)
        rounds += delays.incrementer(self.bits + 1)
        with probing() as m:
            state = Signal(self.accumulator.state_layout)
            whole = self._integer(m, state)
            if whole is not None:
                lost = delays.any(len(whole.lsbs))
                return Section("round", lost + rounds), clamp
            x = self.accumulator.fraction(m, state)
        distance = delays.adder(len(x.exponent)) + delays.gates(1)
        shift = distance + delays.shifter(self._window_bits(x))
        return Section("shift", shift), Section("round", rounds), clamp

    def _integer(self, m: Module, state: data.View) -> Integer | None:
        """Return a state as an integer, but where random bits round magnitudes."""
        return None if self.spec.out_round.stochastic else self.accumulator.integer(m, state)

    def build(
        self, m: Module, pipe: Pipeline, state: data.View, random: Value | None = None
    ) -> Value:
        """Add the hardware; return the code. Random bits come with the state."""
        whole = self._integer(m, state)
        special = self.accumulator.special(m, state)
        if whole is not None:
            rounded = self._round_integer(m, whole, special)
        else:
            x = self.accumulator.fraction(m, state)
            shifted = pipe.cut(m, "shift", self._shift(m, x, special))
            if random is not None:
                random = pipe.cut(m, "shift", random)
            rounded = self._round_fraction(m, shifted, random)
        return self._clamp(m, pipe.cut(m, "round", rounded))

    def _rounded(self) -> data.View:
        """Signal of a rounded number in two's complement, and whether it has lost high bits."""
        layout = self.accumulator.with_special({"sign": 1, "over": 1, "value": self.bits + 1})
        return Signal(layout, name="rounded")

    def _round_integer(self, m: Module, whole: Integer, special: Value) -> data.View:
        """Round an integer to units of ``2**out.lsb_exp``."""
        drop = self.out.lsb_exp - whole.lsb_exp
        wide = Cat(Const(0, max(-drop, 0)), whole.lsbs)
        sign = wide[-1]
        wide = Cat(wide, sign.replicate(max(self.bits + 1 + max(drop, 0) - len(wide), 0)))
        rest, kept = wide[: max(drop, 0)], wide[max(drop, 0) :]
        up: Value = Const(0)
        if drop > 0:
            half, below = rest[-1], rest[:-1].any()
            mode = self.spec.out_round
            up = round_up_complement(mode, sign=sign, odd=kept[0], half=half, below=below)
        rounded = self._rounded()
        high = kept[self.bits :]
        m.d.comb += [
            rounded.sign.eq(sign),
            rounded.over.eq(Mux(sign, ~high.all(), high.any())),
            rounded.value.eq(Cat(kept[: self.bits], sign) + up),
            *self.accumulator.take_special(rounded, special),
        ]
        return rounded

    def _window_bits(self, x: Fraction) -> int:
        """Bits of the integer that a magnitude is shifted into, the leading one at the top."""
        highest = x.max_exp - self.out.lsb_exp
        return max(min(self.bits + len(x.magnitude) - 1, highest + 1), 1)

    def _shift(self, m: Module, x: Fraction, special: Value) -> data.View:
        """Bring a magnitude to units of ``2**out.lsb_exp``."""
        window = self._window_bits(x)
        # How far the top bit is below that of the window; negative: above.
        least, most = (window - 1 + self.out.lsb_exp - end for end in (x.max_exp, x.base))
        deep = Signal(range(min(least, 0), max(most, 0) + 1))
        distance = Signal(range(max(most, 0) + 1), name="shift_distance")
        m.d.comb += [
            deep.eq((window - 1 + self.out.lsb_exp - x.base) - x.exponent),
            distance.eq(Mux(deep < 0, 0, deep)),
        ]
        # Below: the rest, and one bit that stands for all others.
        room = max(window + self.rest_bits + 1 - len(x.magnitude), 0)
        wide = Cat(Const(0, room), x.magnitude)
        moved = shift_right_sticky(m, wide, distance, sticky=True)
        lost, kept = moved[:-window], moved[-window:]
        rest = lost[-self.rest_bits :]
        far = (deep < 0) & x.magnitude.any()
        kept = Cat(kept, Const(0, max(self.bits - window, 0)))
        shifted = Signal(
            self.accumulator.with_special(
                {
                    "sign": 1,
                    "over": 1,
                    "magnitude": self.bits,
                    "rest": self.rest_bits,
                    "below": 1,
                }
            ),
            name="shifted",
        )
        m.d.comb += [
            shifted.sign.eq(x.sign),
            shifted.over.eq(far | kept[self.bits :].any()),
            # Far to the left, all bits that wrapping keeps are zero.
            shifted.magnitude.eq(Mux(deep < 0, 0, kept)),
            shifted.rest.eq(rest & (deep >= 0).replicate(self.rest_bits)),
            shifted.below.eq((deep >= 0) & lost[: -self.rest_bits].any()),
            *self.accumulator.take_special(shifted, special),
        ]
        return shifted

    def _round_fraction(self, m: Module, shifted: data.View, random: Value | None) -> data.View:
        sign = shifted.sign
        up = round_rest(
            self.spec.out_round,
            sign=sign,
            odd=shifted.magnitude[0],
            rest=shifted.rest,
            below=shifted.below,
            random=random,
        )
        rounded = self._rounded()
        magnitude = Cat(shifted.magnitude, Const(0, 1))
        m.d.comb += [
            rounded.sign.eq(sign),
            rounded.over.eq(shifted.over),
            # -(x + up) is ~x + 1 - up: one adder for both.
            rounded.value.eq((magnitude ^ sign.replicate(len(magnitude))) + (up ^ sign)),
            *self.accumulator.take_special(rounded, shifted),
        ]
        return rounded

    def _clamp(self, m: Module, rounded: data.View) -> Value:
        out = self.out
        if self.wraps:
            return rounded.value[: out.width]
        sign, value = rounded.sign, rounded.value
        code = Signal(out.width)
        low = rounded.over
        if not out.signed:
            low = Const(1)
        elif out.symmetric:
            low = low | (value == 1 << self.bits)
        m.d.comb += code.eq(value)
        with m.If(~sign & (rounded.over | value[-1])):
            m.d.comb += code.eq(out.max_lsbs)
        with m.If(sign & low):
            m.d.comb += code.eq(out.min_lsbs)
        special = rounded.special if self.accumulator.special_bits else Const(0, 1)
        if self.accumulator.special_bits == 2:
            with m.If(special[0]):
                m.d.comb += code.eq(out.max_lsbs)
            with m.If(special[1]):
                m.d.comb += code.eq(out.min_lsbs)
        with m.If(special.all()):
            m.d.comb += code.eq(0)
        return code
