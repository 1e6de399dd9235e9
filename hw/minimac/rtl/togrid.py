"""From a number to a format whose values do not lie evenly: a search among constant bounds.

A number becomes a key: an unsigned integer that grows with it. Codes change at some keys, which
exact fractions tell. A level of the search compares the key with one of them, which the levels
before have chosen, and finds a bit of the number of changes up to the key; a table has the code.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from minimac.rtl.accumulator import Fraction as Number
from minimac.rtl.accumulator import Integer, State
from minimac.rtl.delay import Delays, Section
from minimac.rtl.lookup import look_up_bits
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.probing import probing
from minimac.rtl.round import Modes
from minimac.rtl.shift import leading_zeros, shift_left
from minimac.spec import Arithmetic, ExponentOnly, GridFormat, Overflow, Rounding
from minimac.spec.grids import round_to_grid

__all__ = ["ToGrid", "find_changes"]


def find_changes(code: Callable[[int], int], first: int, last: int) -> list[tuple[int, int]]:
    """Return the keys from which on there is another code, in their order, and these codes.

    Parameters
    ----------
    code : callable
        The code of a key; those of each code are neighbours.
    first, last : int
        The keys that there are. The first one is among those returned.

    Examples
    --------
    >>> find_changes(lambda key: key // 10, 5, 31)
    [(5, 0), (10, 1), (20, 2), (30, 3)]
    """
    found = [(first, code(first))]

    def look(low: int, low_code: int, high: int, high_code: int) -> None:
        """Find the changes above one key, up to another."""
        if low_code == high_code:
            return
        if high - low == 1:
            found.append((high, high_code))
            return
        middle = (low + high) // 2
        middle_code = code(middle)
        look(low, low_code, middle, middle_code)
        look(middle, middle_code, high, high_code)

    look(*found[0], last, code(last))
    return found


class _Keys(ABC):
    """How numbers are made keys."""

    bits: int  #: Width of a key.
    least: int  #: Key of the least finite number.
    zero: int  #: The last key of numbers that are not positive.
    most: int  #: Key of the largest finite number.

    @abstractmethod
    def value(self, key: int) -> Fraction:
        """Return the number that a key belongs to."""

    @abstractmethod
    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Return what making keys takes."""

    @abstractmethod
    def build(self, m: Module, state: data.View) -> Value:
        """Return the key of a state."""


class _IntegerKeys(_Keys):
    """Two's complement, its sign inverted."""

    def __init__(self, state: State, x: Integer) -> None:
        self._state = state
        self._lsb = Fraction(2) ** x.lsb_exp
        low, high = (end >> x.lsb_exp - state.spec.lsb_exp for end in state.spec.product_range)
        bits = max((-low - 1).bit_length() if low < 0 else 0, high.bit_length())
        self._offset = 1 << bits if low < 0 else 0
        self.bits = bits + (low < 0)
        self.least, self.zero, self.most = low + self._offset, self._offset, high + self._offset

    def value(self, key: int) -> Fraction:
        return (key - self._offset) * self._lsb

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        return ()

    def build(self, m: Module, state: data.View) -> Value:
        found = self._state.integer(m, state)
        assert found is not None
        key = Signal(self.bits, name="key")
        m.d.comb += key.eq(found.lsbs ^ self._offset)
        return key


class _FloatKeys(_Keys):
    """Exponent and mantissa, inverted below zero, and a sign above them.

    Numbers that are normal but for those of the least exponent are kept so: a subnormal has the
    exponent zero. Others are made normal first; an exponent of zero then is that of zero alone.
    """

    def __init__(self, state: State, x: Number) -> None:
        self._state = state
        self._signed = state.spec.product_range[0] < 0
        self._base, self._man_bits = x.base, len(x.magnitude) - 1
        self._keeps = x.normal_from == 2
        self._searches = x.normal_from != 0 and not self._keeps
        # What the exponent is above that from `base`: at least 1 for whatever is not zero.
        self._more = 0 if self._keeps else self._man_bits + 1 if self._searches else 1
        greatest = x.max_exp - x.base + self._more
        self._exponents = greatest.bit_length()
        self._magnitude_bits = self._exponents + self._man_bits
        self.bits = self._magnitude_bits + self._signed
        self.zero = 1 << self._magnitude_bits if self._signed else 0
        largest = (greatest + 1 << self._man_bits) - 1
        self.most = self.zero + largest
        self.least = max(self.zero - 1 - largest, 0)

    def value(self, key: int) -> Fraction:
        negative = key < self.zero
        magnitude = self.zero - 1 - key if negative else key - self.zero
        exponent, mantissa = magnitude >> self._man_bits, magnitude & (1 << self._man_bits) - 1
        if exponent:
            mantissa |= 1 << self._man_bits
        elif not self._keeps:
            mantissa = 0
        place = self._base + max(exponent, 1) - self._more - self._man_bits
        return (-mantissa if negative else mantissa) * Fraction(2) ** place

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        if self._keeps:
            return ()
        bits = self._man_bits + 1
        normalise = delays.leading_zeros(bits) + delays.shifter(bits) if self._searches else 0.0
        return (Section("key", normalise + delays.incrementer(self._exponents) + delays.gates(1)),)

    def build(self, m: Module, state: data.View) -> Value:
        x = self._state.fraction(m, state)
        magnitude = x.magnitude
        exponent = Signal(self._exponents, name="key_exponent")
        if self._searches:
            zeros = leading_zeros(m, magnitude)
            magnitude = shift_left(m, magnitude, zeros)
            m.d.comb += exponent.eq(x.exponent + self._more - zeros)
        else:
            m.d.comb += exponent.eq(x.exponent + self._more)
        normal = magnitude[-1]
        whole = Cat(magnitude[:-1], Mux(normal, exponent, 0))
        if self._signed:
            whole = Cat(whole ^ x.sign.replicate(len(whole)), ~x.sign)
        key = Signal(self.bits, name="key")
        m.d.comb += key.eq(whole)
        return key


class _Search(NamedTuple):
    """Bounds that a key is compared with, and what is between them.

    Attributes
    ----------
    bounds : list of list of int
        Of each level, by the bits that the levels before have found; of a last one that chance
        decides, by those and, below them, the random bits.
    codes : list of int
        By all bits that were found.
    """

    bounds: list[list[int]]
    codes: list[int]


class ToGrid:
    """Conversion to a codebook, to few digits or to powers of two.

    In a stochastic mode the search is for the neighbour below, and one more bound, of a table that
    random bits are an index of, tells whether it is the one above.

    Parameters
    ----------
    spec : Arithmetic or Modes
        Modes of the conversion.
    out : Codebook, KHot or ExponentOnly
        The format.
    accumulator : State
        What the states are of.
    random_bits : int, optional
        Random bits of a number, for a stochastic mode.
    """

    def __init__(
        self,
        spec: Arithmetic | Modes,
        out: GridFormat,
        accumulator: State,
        *,
        random_bits: int | None = None,
    ) -> None:
        self.spec = spec
        self.out = out
        self.accumulator = accumulator
        self.random_bits = random_bits or 0
        with probing() as m:
            state = Signal(accumulator.state_layout)
            whole = accumulator.integer(m, state)
            self._keys: _Keys = (
                _IntegerKeys(accumulator, whole)
                if whole is not None
                else _FloatKeys(accumulator, accumulator.fraction(m, state))
            )

    @functools.cached_property
    def _search(self) -> _Search:
        keys = self._keys
        mode = Rounding.DOWN if self.random_bits else self.spec.out_round
        changes: list[tuple[int, int]] = []
        # Powers of two have NaN at both ends.
        for first, last in ((keys.least, keys.zero), (keys.zero + 1, keys.most)):
            if first <= last:
                changes += find_changes(functools.partial(self._code, mode, 0), first, last)
        steps = [
            change for n, change in enumerate(changes) if n == 0 or change[1] != changes[n - 1][1]
        ]
        levels = (len(steps) - 1).bit_length()
        # Bounds that every key has reached fill up.
        steps = [(keys.least, steps[0][1])] * ((1 << levels) - len(steps)) + steps
        starts, codes = ([*column] for column in zip(*steps, strict=True))
        spans = [1 << levels - 1 - n for n in range(levels)]
        bounds = [starts[span :: 2 * span] for span in spans]
        if not self.random_bits:
            return _Search(bounds, codes)
        ends = [*(start - 1 for start in starts[1:]), keys.most]
        chances = [self._chances(*step) for step in zip(starts, ends, codes, strict=True)]
        bounds.append([bound for bounds_there, _ in chances for bound in bounds_there])
        pairs = ((code, above) for code, (_, above) in zip(codes, chances, strict=True))
        return _Search(bounds, [code for pair in pairs for code in pair])

    def _chances(self, first: int, last: int, code: int) -> tuple[list[int], int]:
        """Return for all random bits from which of some keys on the code is another, and which."""
        bounds, above = [], code
        for random in range(1 << self.random_bits):
            bound = last + 1
            if first <= last:
                code_of = functools.partial(self._code, self.spec.out_round, random)
                for key, other in reversed(find_changes(code_of, first, last)):
                    if other != code:
                        bound, above = key, other
            bounds.append(bound)
        return bounds, above

    def _code(self, mode: Rounding, random: int, key: int) -> int:
        chosen = (random, self.random_bits) if mode.stochastic else None
        value = self._keys.value(key)
        return round_to_grid(self.out, value, mode, self.spec.out_overflow, chosen)

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Return the pieces between places for registers: key, levels of the search, table."""
        compare = delays.adder(self._keys.bits)
        tables = [(len(bounds) - 1).bit_length() for bounds in self._search.bounds]
        return (
            *self._keys.sections(delays),
            *(
                Section(f"search_{n}", compare + delays.gates(levels))
                for n, levels in enumerate(tables)
            ),
            Section("", delays.gates(2 + len(tables))),
        )

    def build(
        self, m: Module, pipe: Pipeline, state: data.View, random: Value | None = None
    ) -> Value:
        """Add the hardware; return the code. Random bits come with the state."""
        held = self._held(0)
        key, special = self._keys.build(m, state), self.accumulator.special(m, state)
        if random is not None:
            m.d.comb += held.random.eq(random)
            if self.accumulator.special_bits and not self.out.has_nan:
                # NaN is zero, which chance may round as well.
                nan = special.all()
                key, special = Mux(nan, self._keys.zero, key), Mux(nan, 0, special)
        m.d.comb += [held.key.eq(key), *self.accumulator.take_special(held, special)]
        held = pipe.cut(m, "key", held)
        levels = self._search.bounds
        for n, bounds in enumerate(levels):
            following = self._held(n + 1)
            last = n == len(levels) - 1
            index = held.found
            if last and random is not None:
                index = Cat(held.random, index)
            bound = look_up_bits(index, bounds, max(bounds).bit_length())
            m.d.comb += [
                following.found.eq(Cat(held.key >= bound, held.found)),
                *self.accumulator.take_special(following, held),
            ]
            if not last:
                m.d.comb += [following.key.eq(held.key), following.random.eq(held.random)]
            held = pipe.cut(m, f"search_{n}", following)
        return self._pack(m, held)

    def _held(self, found: int) -> data.View:
        """Signal of what is known after so many levels of the search."""
        ended = found and found == len(self._search.bounds)
        layout = self.accumulator.with_special(
            {
                "key": 0 if ended else self._keys.bits,
                "random": 0 if ended else self.random_bits,
                "found": found,
            }
        )
        return Signal(layout, name=f"search_{found}")

    def _pack(self, m: Module, held: data.View) -> Value:
        """Look up the code; replace that of NaN and infinities."""
        width = self.out.width
        code = Signal(width, name="code")
        m.d.comb += code.eq(look_up_bits(held.found, self._search.codes, width))
        bits = self.accumulator.special_bits
        if bits == 2:
            for negative in (False, True):
                with m.If(held.special[negative]):
                    m.d.comb += code.eq(self._infinity(negative=negative))
        if bits:
            with m.If(held.special.all()):
                m.d.comb += code.eq(self._nan)
        return code

    @property
    def _nan(self) -> int:
        """Code of NaN; without one, that of zero, unless that is a matter of chance."""
        return self._code_of(Fraction(0))

    def _infinity(self, *, negative: bool) -> int:
        if isinstance(self.out, ExponentOnly):
            saturates = not negative and self.spec.out_overflow is Overflow.SATURATE
            return self.out.nan_code - saturates
        lsbs = self.out.min_lsbs if negative else self.out.max_lsbs
        return self._code_of(lsbs * Fraction(2) ** self.out.lsb_exp)

    def _code_of(self, value: Fraction) -> int:
        spec = self.spec
        random = (0, self.random_bits) if self.random_bits else None
        return round_to_grid(self.out, value, spec.out_round, spec.out_overflow, random)
