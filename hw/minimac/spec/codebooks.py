"""Formats whose codes stand for values of another format: tables, and restricted fixed point."""

import bisect
import functools
import math
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from minimac.spec.errors import SpecError
from minimac.spec.formats import NUMBER, FixedPoint, Format, Minifloat, check_narrow

__all__ = ["TABLES", "BorrowedFormat", "Codebook", "KHot"]


class BorrowedFormat(Format):
    """A format whose operands are those of another, its ``value_format``."""

    @property
    @abstractmethod
    def value_format(self) -> Format:
        """Format that an operand of this one counts as."""

    @property
    def signed(self) -> bool:  # type: ignore[override]  # in other families it is a field
        """Whether there are negative values."""
        return self.min_lsbs < 0

    @property
    def sig_bits(self) -> int:
        """Width of a significand, in bits."""
        return self.value_format.sig_bits

    @property
    def min_exp(self) -> int:
        """Least exponent of a finite operand."""
        return self.value_format.min_exp

    @property
    def max_exp(self) -> int:
        """Greatest exponent of a finite operand."""
        return self.value_format.max_exp


@dataclass(frozen=True)
class Codebook(BorrowedFormat):
    """A table of at most 256 values: code ``c`` means the value of ``codes[c]`` in ``of``.

    Parameters
    ----------
    of : Format
        Minifloat or fixed-point format of the values.
    codes : tuple of int
        Codes of finite values; two of them may be equal.
    label : str
        Name by which the table goes, if there is one; else the name spells the table out.

    Raises
    ------
    SpecError
        If there are none or too many values, one is not finite, or ``label`` names another table.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> steep = Codebook(parse_format("e2m1"), (0x9, 0x0, 0x1, 0x7))
    >>> steep.name, [steep.lsbs(code) * 2.0**steep.lsb_exp for code in range(4)]
    ('lut:e2m1:9017', [-0.5, 0.0, 0.5, 6.0])
    >>> parse_format(steep.name) == steep
    True
    """

    grammar: ClassVar[str] = "nf4, dynamic8, powerN:a=A, bin or lut:FORMAT:HEX"

    of: Format
    codes: tuple[int, ...]
    label: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.of, (Minifloat, FixedPoint)):
            raise SpecError("values of a codebook must be of a minifloat or fixed-point format")
        check_narrow(self.of)
        object.__setattr__(self, "codes", tuple(int(code) for code in self.codes))
        if not 2 <= len(self.codes) <= 256:
            raise SpecError(f"a codebook has 2 to 256 values, not {len(self.codes)}")
        for code in self.codes:
            self.of.lsbs(code)
        if self.label and _table(self.label) != (self.of, self.codes):
            raise SpecError(f"{self.label} names another table")

    @classmethod
    def from_words(cls, word: str, options: Sequence[str]) -> "Codebook | None":
        """Return the format of a name: ``nf4``, ``power4:a=0.5:bf16``, ``lut:e2m1:9017``."""
        from minimac.spec.names import parse_format

        if word == "lut":
            if len(options) < 2:
                raise SpecError("lut takes a format and the codes in hexadecimal")
            of, digits = parse_format(":".join(options[:-1])), options[-1]
            each = -(-of.width // 4)
            if not re.fullmatch(f"([0-9a-f]{{{each}}})+", digits):
                raise SpecError(f"codes of {of.name} must have {each} hexadecimal digits each")
            codes = (int(digits[i : i + each], 16) for i in range(0, len(digits), each))
            return cls(of, tuple(codes))
        if word not in TABLES and not _POWER.fullmatch(word):
            return None
        label = ":".join([word, *options])
        of, values = _table(label)
        return cls(of, values, _canonical(label))

    @property
    def name(self) -> str:
        """Canonical name: that of the table, or all its codes."""
        if self.label:
            return self.label
        each = -(-self.of.width // 4)
        return f"lut:{self.of.name}:" + "".join(f"{code:0{each}x}" for code in self.codes)

    @property
    def value_format(self) -> Format:
        """Format that an operand of this one counts as."""
        return self.of

    @property
    def width(self) -> int:
        """Width of a code, in bits."""
        return (len(self.codes) - 1).bit_length()

    @property
    def min_lsbs(self) -> int:
        """Least value, as a multiple of ``2**lsb_exp``."""
        return min(map(self.of.lsbs, self.codes))

    @property
    def max_lsbs(self) -> int:
        """Largest value, as a multiple of ``2**lsb_exp``."""
        return max(map(self.of.lsbs, self.codes))

    def holds(self, code: int) -> bool:
        """Whether a number is a code of the format: there are as many as values."""
        return 0 <= code < len(self.codes)

    def lsbs(self, code: int) -> int:
        """Return the value of a code, as a multiple of ``2**lsb_exp``."""
        if not self.holds(code):
            raise SpecError(f"{code:#x} is not a code of {self.name}")
        return self.of.lsbs(self.codes[code])


@dataclass(frozen=True)
class KHot(BorrowedFormat):
    """Fixed point restricted to values of few non-zero signed digits: a product is a few shifts.

    Codes are those of ``of``. A value takes as many digits as its non-adjacent form, the least that
    any form with digits -1, 0 and 1 takes (as QFX, arXiv 2401.17544, with signed digits).

    Parameters
    ----------
    digits : int
        Most digits that are not zero.
    of : FixedPoint
        Format of the codes, of at most 16 bits.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> two = KHot(2, parse_format("int8"))
    >>> two.name, two.holds(7), two.holds(11)  # 8 - 1 and 8 + 2 + 1
    ('khot2:int8', True, False)
    """

    grammar: ClassVar[str] = "khotN:FIXED"

    digits: int
    of: FixedPoint

    def __post_init__(self) -> None:
        if not isinstance(self.of, FixedPoint) or self.of.width > 16:
            raise SpecError("khot takes a fixed-point format of at most 16 bits")
        if not 1 <= self.digits <= 16:
            raise SpecError(f"khot takes 1 to 16 digits, not {self.digits}")

    @classmethod
    def from_words(cls, word: str, options: Sequence[str]) -> "KHot | None":
        """Return the format of a name: ``khot2:s0.7``."""
        from minimac.spec.names import parse_format

        found = re.fullmatch(f"khot({NUMBER})", word)
        if not found:
            return None
        if not options:
            raise SpecError("khot takes a fixed-point format: khot2:s0.7")
        of = parse_format(":".join(options))
        return cls(int(found[1]), of)  # type: ignore[arg-type]  # checked there

    @property
    def name(self) -> str:
        """Canonical name."""
        return f"khot{self.digits}:{self.of.name}"

    @property
    def value_format(self) -> Format:
        """Format that an operand of this one counts as."""
        return self.of

    @property
    def width(self) -> int:
        """Width of a code, in bits."""
        return self.of.width

    @property
    def min_lsbs(self) -> int:
        """Least value, as a multiple of ``2**lsb_exp``."""
        return next(n for n in range(self.of.min_lsbs, 1) if self._is_sparse(n))

    @property
    def max_lsbs(self) -> int:
        """Largest value, as a multiple of ``2**lsb_exp``."""
        return next(n for n in range(self.of.max_lsbs, 0, -1) if self._is_sparse(n))

    def holds(self, code: int) -> bool:
        """Whether a number is a code of the format."""
        return self.of.holds(code) and self._is_sparse(self.of.lsbs(code))

    def lsbs(self, code: int) -> int:
        """Return the value of a code, as a multiple of ``2**lsb_exp``."""
        if not self.holds(code):
            raise SpecError(f"{code:#x} is not a code of {self.name}")
        return self.of.lsbs(code)

    def _is_sparse(self, number: int) -> bool:
        # The non-adjacent form of n has its digits where n and 3n differ.
        return (abs(number) ^ 3 * abs(number)).bit_count() <= self.digits


_POWER = re.compile(r"power([2-8])")

# The 16 quantiles of a normal distribution that arXiv 2305.14314 (QLoRA) states, in float32.
_NF4_UP = (
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)
_NF4_DOWN = (
    *(0.0, 0.09105003625154495, 0.18477343022823334, 0.28444138169288635),
    *(0.39491748809814453, 0.5250730514526367, 0.6961928009986877, 1.0),
)


def _normal_float() -> list[Fraction]:
    return sorted(Fraction(v) for v in (*_NF4_UP, *(-v for v in _NF4_DOWN)))


def _dynamic_tree() -> list[Fraction]:
    """Signed dynamic 8-bit tree (arXiv 2110.02861): leading zeros count powers of ten.

    The bits after the first one pick the middle of as many equal parts of [0.1, 1].
    """
    values = {Fraction(0), Fraction(1)}
    for zeros in range(7):
        parts = 1 << 6 - zeros
        for part in range(parts):
            middle = Fraction(1, 10) + Fraction(9, 10) * Fraction(2 * part + 1, 2 * parts)
            values |= {sign * middle / 10**zeros for sign in (-1, 1)}
    return sorted(values)


def _binary() -> list[Fraction]:
    return [Fraction(-1), Fraction(1)]


#: Tables with a name of their own, of ascending values, and the format of those by default.
TABLES: dict[str, tuple[Callable[[], list[Fraction]], str]] = {
    "bin": (_binary, "tern"),
    "nf4": (_normal_float, "fp32"),
    "dynamic8": (_dynamic_tree, "fp32"),
}


def _power_grid(bits: int, exponent: float) -> list[Fraction]:
    """Return ``sign(q) * (|q| / qmax)**(1 / exponent)`` (arXiv 2308.05600), ascending."""
    most = (1 << bits - 1) - 1
    up = [Fraction(math.pow(q / most, 1 / exponent)) for q in range(1, most + 1)]
    return [*(-value for value in reversed(up)), Fraction(0), *up]


def _canonical(label: str) -> str:
    """Return the name of a table as it is written by default."""
    word, *options = label.split(":")
    if _POWER.fullmatch(word):
        exponent, options = _exponent(options), options[1:]
        word = f"{word}:a={exponent!r}"
    default = TABLES[word][1] if word in TABLES else "fp32"
    of = _value_format(options, default).name
    return word if of == default else f"{word}:{of}"


def _exponent(options: Sequence[str]) -> float:
    found = re.fullmatch(r"a=([0-9.e+-]{1,24})", options[0]) if options else None
    try:
        exponent = float(found[1]) if found else 0.0
    except ValueError:
        exponent = 0.0
    if not 0.05 <= exponent <= 20:
        raise SpecError("a power grid takes its exponent, 0.05 to 20, as in power4:a=0.5")
    return exponent


def _value_format(options: Sequence[str], default: str) -> Format:
    from minimac.spec.names import parse_format

    return parse_format(":".join(options) or default)


@functools.lru_cache(maxsize=256)
def _table(label: str) -> tuple[Format, tuple[int, ...]]:
    """Return the value format and the codes of a named table."""
    word, *options = label.split(":")
    if word in TABLES:
        make, default = TABLES[word]
        values, of = make(), _value_format(options, default)
    elif found := _POWER.fullmatch(word):
        values = _power_grid(int(found[1]), _exponent(options))
        of = _value_format(options[1:], "fp32")
    else:
        raise SpecError(f"there is no table {label!r}")
    if not isinstance(of, (Minifloat, FixedPoint)):
        raise SpecError("values of a codebook must be of a minifloat or fixed-point format")
    check_narrow(of)
    return of, tuple(_nearest_code(of, value) for value in values)


def _nearest_code(of: Minifloat | FixedPoint, value: Fraction) -> int:
    """Return the code of the finite value that is nearest; of two, the one with an even code."""
    size = abs(value) / Fraction(2) ** of.lsb_exp
    if isinstance(of, FixedPoint):
        nearest = round(-size if value < 0 else size)  # of two, the even one
        return min(max(nearest, of.min_lsbs), of.max_lsbs) & (1 << of.width) - 1
    magnitudes = range(of.max_code + 1)
    above = bisect.bisect_left(magnitudes, size, key=lambda code: Fraction(of.lsbs(code)))
    best = min(above, magnitudes[-1])
    if 0 < above <= magnitudes[-1]:
        below = above - 1
        twice = 2 * size - of.lsbs(above) - of.lsbs(below)
        best = below if twice < 0 or (twice == 0 and below % 2 == 0) else above
    if value >= 0 or not of.signed:
        return best if value >= 0 else 0
    return best | 1 << of.magnitude_bits if best or of.has_negative_zero else 0
