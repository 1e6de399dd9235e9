"""Number formats: what the bits of a code mean.

All families present the same view of a finite value to whoever multiplies it:
``(-1)**sign * significand * 2**(exponent - (sig_bits - 1))`` with an unsigned significand of
``sig_bits`` bits and an exponent in ``min_exp .. max_exp``. A subnormal has the exponent of the
least normal; a fixed-point number counts as a subnormal at a constant exponent. Formats whose codes
stand for values of another format are in :mod:`minimac.spec.codebooks`, formats of whole blocks in
:mod:`minimac.spec.blocks`.
"""

import enum
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from minimac.spec.errors import SpecError, short

__all__ = [
    "E8M0",
    "FP32",
    "NUMBER",
    "WELL_KNOWN",
    "ExponentOnly",
    "FixedPoint",
    "Format",
    "Minifloat",
    "NanCode",
    "Specials",
    "check_narrow",
]

_MOST_BITS = 32
_MOST_FIXED_BITS = 53  # of values that float64 holds


class NanCode(enum.Enum):
    """Which codes are NaN."""

    NONE = "none"  #: None.
    ALL_ONES = "all-ones magnitude"  #: The largest magnitude, of either sign.
    TOP_EXPONENT = "all-ones exponent"  #: With a mantissa that is not zero.
    NEGATIVE_ZERO = "negative zero"  #: The code that would be -0; unsigned: the largest code.


class Specials(enum.Enum):
    """Policy for the codes that are not finite numbers: the suffix of a name, and what it means."""

    #: Every code is finite: OCP FP6 and FP4, minifloats of arXiv 2311.12359.
    FINITE = ("f", NanCode.NONE, False, True, 1)

    #: NaN but no infinity: OCP E4M3.
    FN = ("fn", NanCode.ALL_ONES, False, True, 1)

    #: The exponent of all ones is infinity or NaN: IEEE 754, OCP E5M2, bfloat16.
    IEEE = ("ieee", NanCode.TOP_EXPONENT, True, True, 1)

    #: NaN in place of -0, no infinity: E4M3FNUZ, E5M2FNUZ.
    FNUZ = ("fnuz", NanCode.NEGATIVE_ZERO, False, False, 0)

    #: NaN in place of -0, the largest magnitudes infinite: IEEE P3109, extended.
    P3109 = ("p3109", NanCode.NEGATIVE_ZERO, True, False, 0)

    #: NaN in place of -0: IEEE P3109, finite.
    P3109F = ("p3109f", NanCode.NEGATIVE_ZERO, False, False, 0)

    def __init__(
        self, suffix: str, nan: NanCode, infinities: bool, negative_zero: bool, bias_deficit: int
    ) -> None:
        self.suffix = suffix  #: End of a name in the grammar ``eXmY<suffix>``.
        self.nan = nan  #: Which codes are NaN.
        self.infinities = infinities  #: Whether there are infinities.
        self.negative_zero = negative_zero  #: Whether a signed format has -0.
        self.bias_deficit = bias_deficit  #: The default bias is ``2**(E-1)`` less this.


class Format(ABC):
    """A set of values and their codes. A subclass is a family, with a grammar of names."""

    grammar: ClassVar[str]  #: How names of the family are written.

    signed: bool  #: Whether there are negative values.

    @classmethod
    @abstractmethod
    def from_words(cls, word: str, options: Sequence[str]) -> "Format | None":
        """Return the format of a name, split at its colons; None if it is of another family."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Canonical name; :func:`parse_format` turns it into an equal format."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Width of a code, in bits."""

    @property
    @abstractmethod
    def sig_bits(self) -> int:
        """Width of a significand, in bits."""

    @property
    @abstractmethod
    def min_exp(self) -> int:
        """Least exponent of a finite operand."""

    @property
    @abstractmethod
    def max_exp(self) -> int:
        """Greatest exponent of a finite operand."""

    @property
    @abstractmethod
    def min_lsbs(self) -> int:
        """Least finite value, as a multiple of ``2**lsb_exp``."""

    @property
    @abstractmethod
    def max_lsbs(self) -> int:
        """Largest finite value, as a multiple of ``2**lsb_exp``."""

    @abstractmethod
    def lsbs(self, code: int) -> int:
        """Return the value of a finite code, as a multiple of ``2**lsb_exp``."""

    def holds(self, code: int) -> bool:
        """Whether a number is a code of the format."""
        return 0 <= code < 1 << self.width

    @property
    def value_format(self) -> "Format":
        """Format that an operand of this one counts as."""
        return self

    @property
    def lsb_exp(self) -> int:
        """Exponent of the unit of which every finite value is a whole multiple."""
        return self.min_exp - (self.sig_bits - 1)

    @property
    def has_infinities(self) -> bool:
        """Whether some codes are infinite."""
        return False

    @property
    def has_nan(self) -> bool:
        """Whether some codes are NaN."""
        return False

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        from minimac.spec.names import parse_format

        return core_schema.no_info_after_validator_function(
            parse_format, core_schema.str_schema(strict=True)
        )


@dataclass(frozen=True)
class Minifloat(Format):
    """A binary floating-point format of at most 32 bits, with subnormals.

    From the top a code is the sign (if ``signed``), ``exp_bits`` of exponent ``E`` and ``man_bits``
    of mantissa ``M``. Unless it is special, its value is::

        (-1)**sign * 2**(E - bias) * (1 + M / 2**man_bits)    where E > 0
        (-1)**sign * 2**(1 - bias) * (0 + M / 2**man_bits)    where E == 0

    Parameters
    ----------
    exp_bits : int
        Width of the exponent field, 0 to 8. Without one the format is an even grid around zero.
    man_bits : int
        Width of the mantissa field, 0 to 23.
    specials : Specials
        Policy for infinities, NaN and negative zero.
    bias : int, optional
        Exponent bias. By default that of the policy; 1 if ``exp_bits`` is 0.
    signed : bool
        Whether there is a sign.
    ftz : bool
        Flush to zero: a subnormal operand counts as zero of its sign, and a result whose rounded
        value is below the least normal becomes zero.

    Raises
    ------
    SpecError
        If there is no such format.

    Examples
    --------
    >>> e2m1 = Minifloat(2, 1)
    >>> e2m1.name, e2m1.width, e2m1.max_lsbs * 2.0**e2m1.lsb_exp
    ('e2m1', 4, 6.0)
    """

    grammar: ClassVar[str] = "eXmY or ueXmY with fn, ieee, fnuz, p3109 or p3109f"

    exp_bits: int
    man_bits: int
    specials: Specials = Specials.FINITE
    bias: int = None  # type: ignore[assignment]  # __post_init__ fills it in
    signed: bool = True
    ftz: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.exp_bits <= 8:
            raise SpecError(f"exponent must have 0 to 8 bits, not {self.exp_bits}")
        if self.bias is None:
            bias = (1 << self.exp_bits >> 1) - self.specials.bias_deficit if self.exp_bits else 1
            object.__setattr__(self, "bias", bias)
        if not 0 <= self.man_bits <= 23:
            raise SpecError(f"mantissa must have 0 to 23 bits, not {self.man_bits}")
        if self.exp_bits == 0 and self.man_bits == 0:
            raise SpecError("a format without exponent needs a mantissa of at least 1 bit")
        if self.exp_bits == 0 and self.ftz:
            raise SpecError("a format without exponent has subnormals only: ftz leaves nothing")
        if self.specials is Specials.IEEE and (self.exp_bits < 2 or self.man_bits < 1):
            raise SpecError("an ieee format needs at least 2 exponent bits and 1 mantissa bit")
        if self.specials is Specials.FN and self.man_bits < 1:
            raise SpecError("an fn format needs at least 1 mantissa bit")
        if self.specials is Specials.FNUZ and not self.signed:
            raise SpecError("fnuz puts NaN where -0 would be: it needs a sign; use fn")
        if self.width > _MOST_BITS:
            raise SpecError(f"a format has at most {_MOST_BITS} bits, not {self.width}")
        if self.max_code < 1 or (self.ftz and self.max_code < 1 << self.man_bits):
            raise SpecError("no code is left for a finite value other than zero")
        if self.lsb_exp < -1074 or self.max_exp > 1023:
            raise SpecError(f"bias {self.bias} takes values out of the range of float64")

    @classmethod
    def from_words(cls, word: str, options: Sequence[str]) -> "Minifloat | None":
        """Return the format of a name: ``e4m3fn:bias=9``, ``binary8p4se``."""
        if found := _P3109.fullmatch(word):
            width, precision = int(found[1]), int(found[2])
            signed = found[3] == "s"
            exp_bits = width - precision + (not signed)
            if precision < 1 or exp_bits < 1:
                raise SpecError("the precision of a P3109 format is 1 to its width, less a sign")
            finite = "" if found[4] == "e" else "f"
            word = f"{'' if signed else 'u'}e{exp_bits}m{precision - 1}p3109{finite}"
        found = _MINIFLOAT.fullmatch(word)
        if not found:
            return None
        plain = f"{found[1]}e{int(found[2])}m{int(found[3])}"
        if found[4] == "f" and plain not in _TAKEN:
            nan = f", or {plain}fn for the one with NaN" if int(found[3]) else ""
            raise SpecError(f"all codes of {plain} are finite as it is; write {plain}{nan}")
        chosen: dict[str, Any] = {}
        for option in options:
            if options.count(option) > 1 or (option.startswith("bias") and "bias" in chosen):
                raise SpecError(f"option {short(option)} stands there twice")
            if option == "ftz":
                chosen["ftz"] = True
            elif bias := re.fullmatch(f"bias=(-?{NUMBER})", option):
                chosen["bias"] = int(bias[1])
            else:
                raise SpecError(f"option {short(option)} is unknown; known are bias=N and ftz")
        specials = next(s for s in Specials if s.suffix == (found[4] or "f"))
        return cls(int(found[2]), int(found[3]), specials, signed=not found[1], **chosen)

    @property
    def name(self) -> str:
        """Canonical name: a well-known one, or that of the grammar."""
        plain = f"{'' if self.signed else 'u'}e{self.exp_bits}m{self.man_bits}"
        suffix = self.specials.suffix
        if self.specials is Specials.FINITE and plain not in _TAKEN:
            suffix = ""
        base = plain + suffix
        base = WELL_KNOWN.get(base, base)
        default = Minifloat(self.exp_bits, self.man_bits, self.specials, signed=self.signed).bias
        bias = f":bias={self.bias}" if self.bias != default else ""
        return base + bias + (":ftz" if self.ftz else "")

    @property
    def width(self) -> int:
        """Width of a code, in bits."""
        return self.signed + self.exp_bits + self.man_bits

    @property
    def magnitude_bits(self) -> int:
        """Width of a code less its sign, in bits."""
        return self.exp_bits + self.man_bits

    @property
    def sig_bits(self) -> int:
        """Width of a significand, in bits, counting the hidden bit."""
        return self.man_bits + 1

    @property
    def min_exp(self) -> int:
        """Exponent of the least normal, and so of every subnormal."""
        return 1 - self.bias

    @property
    def max_exp(self) -> int:
        """Exponent of the largest finite value."""
        return max(self.max_code >> self.man_bits, 1) - self.bias

    @property
    def min_lsbs(self) -> int:
        """Least finite value, as a multiple of ``2**lsb_exp``."""
        return -self.max_lsbs if self.signed else 0

    @property
    def max_lsbs(self) -> int:
        """Largest finite value, as a multiple of ``2**lsb_exp``."""
        field, mantissa = divmod(self.max_code, 1 << self.man_bits)
        significand = mantissa + ((field > 0) << self.man_bits)
        return significand << max(field, 1) - 1

    def lsbs(self, code: int) -> int:
        """Return the value of a finite code, as a multiple of ``2**lsb_exp``."""
        negative, magnitude = divmod(code, 1 << self.magnitude_bits)
        special = magnitude > self.max_code or code == self.nan_code
        if special or not self.holds(code):
            raise SpecError(f"code {code:#x} of {self.name} is not a finite number")
        field, mantissa = divmod(magnitude, 1 << self.man_bits)
        if field == 0 and self.ftz:
            return 0
        value = mantissa + ((field > 0) << self.man_bits) << max(field, 1) - 1
        return -value if negative else value

    @property
    def has_infinities(self) -> bool:
        """Whether some codes are infinite."""
        return self.specials.infinities

    @property
    def has_nan(self) -> bool:
        """Whether some codes are NaN."""
        return self.specials.nan is not NanCode.NONE

    @property
    def has_negative_zero(self) -> bool:
        """Whether -0 has a code of its own."""
        return self.signed and self.specials.negative_zero

    @property
    def max_code(self) -> int:
        """Code of the largest finite value."""
        top = (1 << self.magnitude_bits) - 1
        if self.specials is Specials.IEEE:
            return top - (1 << self.man_bits)
        nan_on_top = self.specials.nan is NanCode.ALL_ONES or (
            self.specials.nan is NanCode.NEGATIVE_ZERO and not self.signed
        )
        return top - nan_on_top - self.has_infinities

    @property
    def nan_code(self) -> int | None:
        """Canonical NaN; None if there is none."""
        top = (1 << self.magnitude_bits) - 1
        match self.specials.nan:
            case NanCode.NONE:
                return None
            case NanCode.ALL_ONES:
                return top
            case NanCode.TOP_EXPONENT:
                return top - (1 << self.man_bits - 1) + 1
            case NanCode.NEGATIVE_ZERO:
                return 1 << self.magnitude_bits if self.signed else top

    @property
    def infinity_code(self) -> int | None:
        """Code of positive infinity; None if there is none."""
        return self.max_code + 1 if self.has_infinities else None


@dataclass(frozen=True)
class FixedPoint(Format):
    """A fixed-point format of at most 53 bits: two's complement if ``signed``.

    Above 32 bits it is one of accumulators, which can be converted and nothing else.

    Parameters
    ----------
    signed : bool
        Whether there is a sign bit.
    int_bits, frac_bits : int
        Bits before and after the binary point, the sign apart. Either may be negative.
    symmetric : bool
        The most negative code is unused, so that the negative values mirror the positive ones.

    Raises
    ------
    SpecError
        If there is no such format.

    Examples
    --------
    >>> int8 = FixedPoint(True, 7, 0)
    >>> int8.name, int8.min_lsbs, int8.max_lsbs, int8.sig_bits
    ('int8', -128, 127, 8)
    >>> FixedPoint(True, 4, 3, symmetric=True).name
    's4.3:sym'
    """

    grammar: ClassVar[str] = "sI.F, uI.F, intN or uintN"

    signed: bool
    int_bits: int
    frac_bits: int
    symmetric: bool = False

    def __post_init__(self) -> None:
        if self.int_bits + self.frac_bits < 1:
            raise SpecError(
                "a fixed-point format needs at least 1 bit besides the sign, "
                f"not {self.int_bits + self.frac_bits}"
            )
        if self.width > _MOST_FIXED_BITS:
            raise SpecError(
                f"a fixed-point format has at most {_MOST_BITS} bits, or {_MOST_FIXED_BITS} as a "
                f"of unit convert, not {self.width}"
            )
        if self.symmetric and not self.signed:
            raise SpecError("sym is for signed formats; an unsigned one has no negative code")
        if not max(abs(self.int_bits), abs(self.frac_bits)) <= 999:
            raise SpecError(
                f"integer and fraction bits must be -999 to 999, not {self.int_bits} and "
                f"{self.frac_bits}"
            )

    @classmethod
    def from_words(cls, word: str, options: Sequence[str]) -> "FixedPoint | None":
        """Return the format of a name: ``int8:sym``, ``s4.3``, ``tern``."""
        if found := _FIXED.fullmatch(word):
            signed, int_bits, frac_bits = found[1] == "s", int(found[2]), int(found[3])
        elif found := _INTEGER.fullmatch(word):
            signed, int_bits, frac_bits = not found[1], int(found[2]) - (not found[1]), 0
        elif word == _TERNARY and not options:
            return cls(True, 1, 0, symmetric=True)
        else:
            return None
        if list(options) not in ([], ["sym"]):
            raise SpecError(f"option {short(':'.join(options))} is unknown; known is sym")
        return cls(signed, int_bits, frac_bits, symmetric=bool(options))

    @property
    def name(self) -> str:
        """Canonical name: ``int8`` and its like, ``tern``, or that of the grammar."""
        if self == FixedPoint(True, 1, 0, symmetric=True):
            return _TERNARY
        if self.frac_bits == 0:
            base = f"{'' if self.signed else 'u'}int{self.width}"
        else:
            base = f"{'s' if self.signed else 'u'}{self.int_bits}.{self.frac_bits}"
        return base + (":sym" if self.symmetric else "")

    @property
    def width(self) -> int:
        """Width of a code, in bits."""
        return self.signed + self.int_bits + self.frac_bits

    @property
    def sig_bits(self) -> int:
        """Width of a magnitude, in bits; the most negative code needs as many as its code has."""
        return self.width - self.symmetric

    @property
    def min_exp(self) -> int:
        """Exponent of the weight of the magnitude's top bit."""
        return self.sig_bits - 1 - self.frac_bits

    @property
    def max_exp(self) -> int:
        """Exponent of the weight of the magnitude's top bit."""
        return self.min_exp

    @property
    def min_lsbs(self) -> int:
        """Least value, as a multiple of ``2**lsb_exp``."""
        return -(1 << self.width - 1) + self.symmetric if self.signed else 0

    @property
    def max_lsbs(self) -> int:
        """Largest value, as a multiple of ``2**lsb_exp``."""
        return (1 << self.width - self.signed) - 1

    def holds(self, code: int) -> bool:
        """Whether a number is a code of the format: ``sym`` leaves the most negative one unused."""
        unused = 1 << self.width - 1 if self.symmetric else -1
        return super().holds(code) and code != unused

    def lsbs(self, code: int) -> int:
        """Return the value of a code, as a multiple of ``2**lsb_exp``."""
        if not self.holds(code):
            raise SpecError(f"{code:#x} is not a code of {self.name}")
        return code - (code >> self.width - 1 << self.width) if self.signed else code


@dataclass(frozen=True)
class ExponentOnly(Format):
    """Powers of two, ``2**(code - 127)``; code 255 is NaN: the scales of OCP MX.

    There is neither zero nor infinity, and nothing is negative.

    Examples
    --------
    >>> e8m0 = ExponentOnly()
    >>> e8m0.name, e8m0.width, e8m0.min_exp, e8m0.max_exp
    ('e8m0', 8, -127, 127)
    """

    grammar: ClassVar[str] = "e8m0"

    signed: ClassVar[bool] = False  # type: ignore[misc]  # in other families it is a field

    @classmethod
    def from_words(cls, word: str, options: Sequence[str]) -> "ExponentOnly | None":
        """Return the format of a name: ``e8m0``."""
        if word != cls.grammar:
            return None
        if options:
            raise SpecError(f"option {short(options[0])} is unknown; e8m0 has none")
        return cls()

    @property
    def name(self) -> str:
        """Canonical name."""
        return self.grammar

    @property
    def width(self) -> int:
        """Width of a code, in bits."""
        return 8

    @property
    def sig_bits(self) -> int:
        """Width of a significand, which is always 1."""
        return 1

    @property
    def min_exp(self) -> int:
        """Exponent of the least value."""
        return -127

    @property
    def max_exp(self) -> int:
        """Exponent of the largest value."""
        return 127

    @property
    def min_lsbs(self) -> int:
        """Least value, as a multiple of ``2**lsb_exp``."""
        return 1

    @property
    def max_lsbs(self) -> int:
        """Largest value, as a multiple of ``2**lsb_exp``."""
        return 1 << self.max_exp - self.min_exp

    @property
    def has_nan(self) -> bool:
        """Whether some codes are NaN."""
        return True

    @property
    def nan_code(self) -> int:
        """Code of NaN."""
        return 255

    def lsbs(self, code: int) -> int:
        """Return the value of a finite code, as a multiple of ``2**lsb_exp``."""
        if not self.holds(code) or code == self.nan_code:
            raise SpecError(f"code {code:#x} of {self.name} is not a finite number")
        return 1 << code


def check_narrow(fmt: Format, where: str = "") -> None:
    """Refuse a format that can be converted and nothing else.

    Parameters
    ----------
    fmt : Format
        The format.
    where : str
        How the message begins.

    Raises
    ------
    SpecError
        If it has more than 32 bits.
    """
    if fmt.width > _MOST_BITS:
        raise SpecError(
            f"{where}{fmt.name} has more than {_MOST_BITS} bits: it is for a of unit convert alone"
        )


#: Canonical names that people know better than those of the grammar.
WELL_KNOWN = {
    "e8m7ieee": "bf16",
    "e5m10ieee": "fp16",
    "e8m23ieee": "fp32",
    "e8m10ieee": "tf32",
    "e5m2ieee": "e5m2",
}
_TERNARY = "tern"

# Plain names that do not stand for the finite minifloat of those bits.
_TAKEN = frozenset({*WELL_KNOWN.values(), "e8m0", "ue8m0"})

#: A number in a name: of more digits than any limit has, so that the limit is what is said.
NUMBER = "[0-9]{1,9}"

_MINIFLOAT = re.compile(rf"(u?)e({NUMBER})m({NUMBER})(fn|ieee|fnuz|p3109f?|f|)")
_P3109 = re.compile(rf"binary({NUMBER})p({NUMBER})([su])([ef])")
_FIXED = re.compile(rf"([su])(-?{NUMBER})\.(-?{NUMBER})")
_INTEGER = re.compile(rf"(u?)int({NUMBER})")

FP32 = Minifloat(8, 23, Specials.IEEE)
E8M0 = ExponentOnly()
