"""Integers in digits of radix 4, each of which selects a multiple of another operand."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from minimac.rtl.heap import BitHeap
from minimac.rtl.parts import mark
from minimac.spec import FixedPoint, Format

__all__ = ["Booth", "Digit", "Encoding", "Ent", "partial_products"]


@dataclass(frozen=True)
class Digit:
    """A digit of radix 4, as what selects a multiple; what never happens is a constant.

    Attributes
    ----------
    one, two : Value
        1 bit each: whether its magnitude is 1, or 2.
    negative : Value
        1 bit; of a zero it means nothing.
    """

    one: Value
    two: Value
    negative: Value


class Encoding(ABC):
    """A way to write a code of fixed point in digits of radix 4, the lowest first.

    Parameters
    ----------
    fmt : FixedPoint
        Format of the code.
    """

    def __init__(self, fmt: FixedPoint) -> None:
        self.fmt = fmt

    @property
    @abstractmethod
    def width(self) -> int:
        """Width of all digits together, in bits."""

    @abstractmethod
    def encode(self, m: Module, code: Value) -> Value:
        """Return the digits of a code as they travel, ``width`` bits."""

    @abstractmethod
    def digits(self, word: Value) -> list[Digit]:
        """Return the digits of a word of ``width`` bits."""


class Booth(Encoding):
    """Radix-4 Booth: digits of -2 to 2, each from three neighbouring bits; 3 bits a digit."""

    @property
    def width(self) -> int:
        """Width of all digits together, in bits."""
        return sum(map(len, self._flags))

    @property
    def _flags(self) -> list[tuple[str, ...]]:
        """What there is of each digit: of the highest, only what can happen."""
        whole, odd = divmod(self.fmt.width, 2)
        flags: list[tuple[str, ...]] = [("one", "two", "negative")] * whole
        if not self.fmt.signed:
            return [*flags, ("one", "two") if odd else ("one",)]
        return [*flags, ("one", "negative")] if odd else flags

    def encode(self, m: Module, code: Value) -> Value:
        """Return for each digit what there is of it."""
        above = code[-1] if self.fmt.signed else Const(0, 1)
        extended = Cat(Const(0, 1), code, above, above)
        words = []
        for n, flags in enumerate(self._flags):
            low, middle, high = extended[2 * n : 2 * n + 3]
            found = {
                "one": low ^ middle,
                "two": Mux(high, ~(low | middle), low & middle),
                "negative": high,
            }
            words += [found[flag] for flag in flags]
        return Cat(words)

    def digits(self, word: Value) -> list[Digit]:
        """Return the digits of a word of ``width`` bits."""
        found = []
        for flags in self._flags:
            bits, word = dict(zip(flags, word)), word[len(flags) :]
            zero = Const(0, 1)
            found.append(Digit(bits["one"], bits.get("two", zero), bits.get("negative", zero)))
        return found


class Ent(Encoding):
    """EN-T (arXiv 2404.11887): a sign, and digits of -1 to 2 of the magnitude, 2 bits each.

    ``00`` is 0, ``01`` is 1, ``10`` is 2, and ``11`` is -1, with a carry into the next digit.
    """

    @property
    def width(self) -> int:
        """Width of sign and digits together, in bits."""
        return int(self.fmt.signed) + sum(self._widths)

    @property
    def _widths(self) -> list[int]:
        """Bits of each digit: 2, or 1 for the highest where it is 1 at most."""
        largest = max(-self.fmt.min_lsbs, self.fmt.max_lsbs)
        count = 0
        while 2 * (4**count - 1) // 3 < largest:
            count += 1
        below = 2 * (4 ** (count - 1) - 1) // 3
        return [2] * (count - 1) + [2 if largest - below > 4 ** (count - 1) else 1]

    def encode(self, m: Module, code: Value) -> Value:
        """Return the digits, the lowest first, and the sign."""
        bits = 2 * len(self._widths)
        magnitude = Signal(bits, name="magnitude")
        sign = code[-1] if self.fmt.signed else Const(0, 1)
        m.d.comb += magnitude.eq(Mux(sign, -code, code)[: self.fmt.sig_bits])
        carry: Value = Const(0, 1)
        words = []
        for n, width in enumerate(self._widths):
            low, high = magnitude[2 * n], magnitude[2 * n + 1]
            words.append(Cat(low ^ carry, high ^ (low & carry))[:width])
            carry = high & (low | carry)
        return Cat(words, sign) if self.fmt.signed else Cat(words)

    def digits(self, word: Value) -> list[Digit]:
        """Return the digits of a word of ``width`` bits."""
        sign = word[-1] if self.fmt.signed else Const(0, 1)
        found, zero = [], Const(0, 1)
        for width in self._widths:
            low, high = word[0], word[1] if width == 2 else zero
            found.append(Digit(low, high & ~low, sign ^ (high & low)))
            word = word[width:]
        return found


def partial_products(
    m: Module, heap: BitHeap, digits: Sequence[Digit], fmt: Format, code: Value
) -> None:
    """Add the product of a number's digits and a code of fixed point to a heap."""
    # One bit more, for twice the value; and a sign, if there is none.
    padding = [code[-1]] if fmt.signed else [Const(0, 1)] * 2
    single = [*code, *padding]
    double = [Const(0, 1), *single[:-1]]
    for n, digit in enumerate(digits):
        negative = digit.negative
        bits = [
            ((digit.one & x) | (digit.two & y)) ^ negative
            for x, y in zip(single, double, strict=True)
        ]
        mark(m, "multiply", Cat(bits))
        heap.add_bits(bits, 2 * n, signed=True)
        heap.add_bit(negative, 2 * n)
