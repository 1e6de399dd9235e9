"""Number formats: what the bits of a code mean.

Two families, :class:`Minifloat` and :class:`FixedPoint`, present the same view of a finite value
to whoever multiplies it: ``(-1)**sign * significand * 2**(exponent - (sig_bits - 1))`` with an
unsigned significand of ``sig_bits`` bits and an exponent in ``min_exp .. max_exp``. A subnormal has
the exponent of the least normal; a fixed-point number counts as a subnormal at a constant exponent.
"""

import enum
import functools
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from minimac.spec.errors import SpecError, nearest

__all__ = ["ALIASES", "FixedPoint", "Format", "Minifloat", "NanCode", "Specials", "parse_format"]


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
    """A set of values and their codes."""

    signed: bool  #: Whether there are negative values.

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
        if self.width > 32:
            raise SpecError(f"a format has at most 32 bits, not {self.width}")
        if self.max_code < 1 or (self.ftz and self.max_code < 1 << self.man_bits):
            raise SpecError("no code is left for a finite value other than zero")
        if self.lsb_exp < -1074 or self.max_exp > 1023:
            raise SpecError(f"bias {self.bias} takes values out of the range of float64")

    @property
    def name(self) -> str:
        """Canonical name: a well-known one, or that of the grammar."""
        plain = f"{'' if self.signed else 'u'}e{self.exp_bits}m{self.man_bits}"
        suffix = self.specials.suffix
        if self.specials is Specials.FINITE and plain not in ALIASES:
            suffix = ""
        base = plain + suffix
        base = _WELL_KNOWN.get(base, base)
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
    """A fixed-point format of at most 32 bits: two's complement if ``signed``.

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
        if self.width > 32:
            raise SpecError(f"a format has at most 32 bits, not {self.width}")
        if self.symmetric and not self.signed:
            raise SpecError("sym is for signed formats; an unsigned one has no negative code")
        if not max(abs(self.int_bits), abs(self.frac_bits)) <= 999:
            raise SpecError(f"integer and fraction bits must be -999 to 999, not {self.frac_bits}")

    @property
    def name(self) -> str:
        """Canonical name: ``int8`` and its like, or that of the grammar."""
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


# Canonical names that people know better than those of the grammar.
_WELL_KNOWN = {
    "e8m7ieee": "bf16",
    "e5m10ieee": "fp16",
    "e8m23ieee": "fp32",
    "e8m10ieee": "tf32",
    "e5m2ieee": "e5m2",
}

#: Other names of formats: a word to a word of the grammar.
ALIASES = {
    **{short: long for long, short in _WELL_KNOWN.items()},
    "bfloat16": "e8m7ieee",
    "float16": "e5m10ieee",
    "half": "e5m10ieee",
    "binary16": "e5m10ieee",
    "float32": "e8m23ieee",
    "single": "e8m23ieee",
    "binary32": "e8m23ieee",
    "float8_e4m3fn": "e4m3fn",
    "float8_e5m2": "e5m2ieee",
    "float6_e3m2fn": "e3m2",
    "float6_e2m3fn": "e2m3",
    "float4_e2m1fn": "e2m1",
}

_MINIFLOAT = re.compile(r"(u?)e([0-9]{1,2})m([0-9]{1,2})(fn|ieee|fnuz|p3109f?|f|)")
_P3109 = re.compile(r"binary([0-9]{1,2})p([0-9]{1,2})([su])([ef])")
_FIXED = re.compile(r"([su])(-?[0-9]{1,3})\.(-?[0-9]{1,3})")
_INTEGER = re.compile(r"(u?)int([0-9]{1,2})")
_GRAMMAR = "eXmY with fn, ieee, fnuz, p3109 or p3109f; sI.F or uI.F; intN or uintN"


def parse_format(text: str) -> Format:
    """Turn a name into a format.

    Parameters
    ----------
    text : str
        A name: ``e4m3fn``, ``bf16``, ``e5m2fnuz``, ``ue4m3fn``, ``binary8p4se``, ``int8``,
        ``s4.3``, and so on; options follow a colon: ``e4m3fn:bias=9``, ``bf16:ftz``, ``int8:sym``.

    Raises
    ------
    SpecError
        If it names no format; the message has the nearest name.

    Examples
    --------
    >>> parse_format("bfloat16").name, parse_format("e4m3fn").max_lsbs * 2.0**-9
    ('bf16', 448.0)
    >>> parse_format("bf61")
    Traceback (most recent call last):
        ...
    minimac.spec.errors.SpecError: unknown format 'bf61'; did you mean 'bf16'?
    """
    if not isinstance(text, str):
        raise SpecError(f"a format must be a name, not {text!r}")
    if len(text) > 64:
        raise SpecError(f"a format's name has at most 64 characters, not {len(text)}")
    try:
        return _parse(text)
    except SpecError as error:
        if str(error).startswith("unknown"):
            raise
        raise SpecError(f"format {text!r}: {error}") from None


@functools.cache
def _parse(text: str) -> Format:
    base, *options = text.strip().lower().split(":")
    word = ALIASES.get(base, base)
    if found := _P3109.fullmatch(word):
        width, precision = int(found[1]), int(found[2])
        signed = found[3] == "s"
        exp_bits = width - precision + (not signed)
        if precision < 1 or exp_bits < 1:
            raise SpecError("the precision of a P3109 format is 1 to its width, less a sign")
        word = f"{'' if signed else 'u'}e{exp_bits}m{precision - 1}p3109"
        word += "" if found[3 + 1] == "e" else "f"
    if found := _MINIFLOAT.fullmatch(word):
        chosen: dict[str, Any] = {}
        for option in options:
            if options.count(option) > 1 or (option.startswith("bias") and "bias" in chosen):
                raise SpecError(f"option {option!r} stands there twice")
            if option == "ftz":
                chosen["ftz"] = True
            elif bias := re.fullmatch(r"bias=(-?[0-9]{1,4})", option):
                chosen["bias"] = int(bias[1])
            else:
                raise SpecError(f"option {option!r} is unknown; known are bias=N and ftz")
        specials = next(s for s in Specials if s.suffix == (found[4] or "f"))
        exp_bits, man_bits = int(found[2]), int(found[3])
        return Minifloat(exp_bits, man_bits, specials, signed=not found[1], **chosen)
    signed_bits: tuple[bool, int, int] | None = None
    if found := _FIXED.fullmatch(word):
        signed_bits = found[1] == "s", int(found[2]), int(found[3])
    elif found := _INTEGER.fullmatch(word):
        signed_bits = not found[1], int(found[2]) - (not found[1]), 0
    if signed_bits is None:
        known = [*ALIASES, "e4m3fn", "e4m3fnuz", "e5m2fnuz", "e3m2", "e2m3", "e2m1", "ue5m3"]
        hint = nearest(base, [*known, "ue4m3fn", "int8", "int4", "uint8"])
        raise SpecError(f"unknown format {text!r}{hint or '; names are ' + _GRAMMAR}")
    if options not in ([], ["sym"]):
        raise SpecError(f"option {':'.join(options)!r} is unknown; known is sym")
    return FixedPoint(*signed_bits, symmetric=bool(options))
