"""Codes and the values that they stand for, as people write and read them.

Exact, on integers and fractions. What codes mean comes from the spec; which one a value becomes is
asked of the model, and is not decided here.
"""

import bisect
import functools
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from minimac.spec import (
    BlockFormat,
    Codebook,
    ExponentOnly,
    FixedPoint,
    Format,
    KHot,
    Minifloat,
    SpecError,
)
from minimac.spec.errors import short

__all__ = [
    "Code",
    "describe",
    "error_of",
    "gap",
    "grid",
    "least_positive",
    "neighbours",
    "plain",
    "read_code",
    "read_value",
    "show",
    "stand_in",
    "summarize",
]

_LONGEST = 1000  # characters of a number
_WIDEST = 120  # characters of a line of a grid


@dataclass(frozen=True)
class Code:
    """What a code means.

    Parameters
    ----------
    fmt : Format
        Format of the code.
    code : int
        The code.
    value : float
        Its value, exactly.
    kind : str
        ``zero``, ``subnormal``, ``normal``, ``infinity`` or ``NaN``; ``number`` where values have
        no exponent of their own.
    ulp : float, optional
        Distance to the next value away from zero; None where it is not the same on both sides of
        most values, as in tables.
    """

    fmt: Format
    code: int
    value: float
    kind: str
    ulp: float | None = None

    @property
    def hex(self) -> str:
        """The code in hexadecimal, with all its digits."""
        return f"0x{self.code:0{-(-self.fmt.width // 4)}x}"

    @property
    def bits(self) -> str:
        """The code in binary, with the fields apart."""
        return _apart(self.fmt, f"{self.code:0{self.fmt.width}b}")

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON: NaN and infinities are words."""
        return {
            "code": self.code,
            "hex": self.hex,
            "bits": self.bits,
            "value": plain(self.value),
            "class": self.kind,
            "ulp": self.ulp,
        }


def describe(fmt: Format, code: int) -> Code:
    """Return what a code means, in a block format that of an element.

    Raises
    ------
    SpecError
        If the format has no such code.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> found = describe(parse_format("e4m3fn"), 1)
    >>> found.hex, found.bits, found.value, found.kind
    ('0x01', '0_0000_001', 0.001953125, 'subnormal')
    """
    fmt = fmt.element if isinstance(fmt, BlockFormat) else fmt
    if not 0 <= code < 1 << fmt.width:
        raise SpecError(
            f"code must be 0 to {(1 << fmt.width) - 1} to be of {fmt.name}, not {_shown(code)}"
        )
    if not fmt.holds(code):
        raise SpecError(f"code must be one that {fmt.name} uses, which {code:#x} is not")
    if isinstance(fmt, Minifloat):
        return _describe_minifloat(fmt, code)
    if isinstance(fmt, ExponentOnly) and code == fmt.nan_code:
        return Code(fmt, code, math.nan, "NaN")
    if isinstance(fmt, Codebook):
        value = describe(fmt.of, fmt.codes[code]).value
        return Code(fmt, code, value, "number" if value else "zero")
    value = _as_float(fmt, fmt.lsbs(code))
    if isinstance(fmt, ExponentOnly):
        return Code(fmt, code, value, "number", value)
    ulp = _as_float(fmt, 1) if isinstance(fmt, FixedPoint) else None
    return Code(fmt, code, value, "number" if value else "zero", ulp)


def _describe_minifloat(fmt: Minifloat, code: int) -> Code:
    negative, magnitude = divmod(code, 1 << fmt.magnitude_bits)
    sign = -1.0 if negative else 1.0
    if magnitude == fmt.infinity_code:
        return Code(fmt, code, sign * math.inf, "infinity")
    if magnitude > fmt.max_code or code == fmt.nan_code:
        return Code(fmt, code, math.nan, "NaN")
    value = math.copysign(_as_float(fmt, fmt.lsbs(code)), sign)
    field = magnitude >> fmt.man_bits
    kind = "normal" if field else "subnormal" if magnitude else "zero"
    if kind == "subnormal" and fmt.ftz:
        kind = "subnormal, counts as zero"
    return Code(fmt, code, value, kind, _as_float(fmt, 1 << max(field, 1) - 1))


def _as_float(fmt: Format, lsbs: int) -> float:
    return math.ldexp(lsbs, fmt.lsb_exp)


def _apart(fmt: Format, bits: str) -> str:
    """Separate the fields of a minifloat, or the digits around a binary point."""
    if isinstance(fmt, Minifloat):
        at = fmt.width - fmt.magnitude_bits, fmt.width - fmt.man_bits
        return "_".join(
            part for part in (bits[: at[0]], bits[at[0] : at[1]], bits[at[1] :]) if part
        )
    if isinstance(fmt, KHot):
        return _apart(fmt.of, bits)
    if isinstance(fmt, FixedPoint) and 0 < fmt.frac_bits < fmt.width:
        return bits[: -fmt.frac_bits] + "." + bits[-fmt.frac_bits :]
    return bits


def show(value: Any) -> str:
    """Return a value in the fewest digits from which float64 gets it back; None as a dash.

    Examples
    --------
    >>> [show(value) for value in (448.0, 2.0**-9, -0.0, 1e30, float("nan"), None)]
    ['448', '0.001953125', '-0', '1e+30', 'nan', '-']
    """
    if value is None:
        return "-"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def plain(value: float | None) -> float | str | None:
    """Return a value as JSON can express it: NaN and infinities are words."""
    return value if value is None or math.isfinite(value) else str(value)


def _shown(number: int) -> str:
    text = str(number) if number.bit_length() <= 200 else hex(number)
    return text if len(text) <= 64 else text[:61] + "..."


# Reading.


def read_code(fmt: Format, text: str) -> int:
    """Read a code: decimal, or binary or hexadecimal after ``0b`` or ``0x``.

    Raises
    ------
    SpecError
        If it is no number. Whether the format has the code is for :func:`describe` to say.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> [read_code(parse_format("e4m3fn"), text) for text in ("56", "0x38", "0b0_0111_000")]
    [56, 56, 56]
    """
    digits = text.strip().lower()
    for pattern, base in ((r"0x[0-9a-f_]+", 16), (r"0b[01_]+", 2), (r"-?[0-9]+", 10)):
        if len(digits) <= _LONGEST and re.fullmatch(pattern, digits):
            found = digits.replace("_", "")
            if found not in ("0x", "0b"):
                return int(found, base)
    is_value = _NUMBER.fullmatch(digits) and not digits.isdigit()
    hint = "; minimac encode takes values" if is_value else ""
    raise SpecError(
        f"code must be 0 to {(1 << fmt.width) - 1}, or the same as 0x.. or 0b.., not "
        f"{short(text)}{hint}"
    )


def read_value(text: str) -> Fraction | float:
    """Read a value, exactly: a decimal, a fraction, ``inf`` or ``nan``.

    Returns
    -------
    Fraction or float
        A float if it is NaN, infinite, or a zero with a minus.

    Raises
    ------
    SpecError
        If it is no number, or one of thousands of digits.

    Examples
    --------
    >>> [read_value(text) for text in ("0.1", "-1/3", "2e3", "-0.0", "-inf")]
    [Fraction(1, 10), Fraction(-1, 3), Fraction(2000, 1), -0.0, -inf]
    """
    word = text.strip().lower()
    if found := re.fullmatch(r"[+-]?(inf|infinity|nan)", word):
        return abs(float(word)) if found[1] == "nan" else float(word)
    found = _NUMBER.fullmatch(word)
    if found is None:
        hint = "; minimac decode takes codes" if re.match("-?0[xb]", word) else ""
        raise SpecError(
            f"value must be a number, as -1.5, 1e-3 or 1/3, or inf or nan, not {short(text)}{hint}"
        )
    if len(word) > _LONGEST or len(found["exponent"] or "") > 4:
        raise SpecError(
            f"value must have at most {_LONGEST} digits, and 4 in its exponent, not as many as "
            f"{short(text)}"
        )
    if found["denominator"] is not None and not int(found["denominator"]):
        raise SpecError(f"value must not be divided by zero, as in {short(text)}")
    number = Fraction(word)
    return -0.0 if number == 0 and word.startswith("-") else number


_NUMBER = re.compile(
    r"[+-]?([0-9]+/(?P<denominator>[0-9]+)"
    r"|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?(?P<exponent>[0-9]+))?)"
)


# Values.


def neighbours(fmt: Format, number: Fraction) -> tuple[Fraction | None, Fraction | None]:
    """Return the greatest value at or below a number, and the least at or above.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> below, above = neighbours(parse_format("e2m1"), Fraction(7, 3))
    >>> print(below, above)
    2 3
    """
    unit = Fraction(2) ** fmt.lsb_exp
    scaled = number / unit
    below, above = _around(fmt, scaled)
    return tuple(None if end is None else end * unit for end in (below, above))  # type: ignore[return-value]  # two of two


def _around(fmt: Format, scaled: Fraction) -> tuple[int | None, int | None]:
    """Return the neighbours of a number, all in units of the format's last place."""
    if scaled > fmt.max_lsbs:
        return fmt.max_lsbs, None
    if scaled < fmt.min_lsbs:
        return None, fmt.min_lsbs
    if isinstance(fmt, FixedPoint):
        return math.floor(scaled), math.ceil(scaled)
    if isinstance(fmt, Minifloat):
        if scaled < 0:
            below, above = _around(fmt, -scaled)
            return None if above is None else -above, None if below is None else -below
        least = 1 << fmt.man_bits
        if fmt.ftz and scaled < least:
            return 0, 0 if scaled == 0 else least
        unit = _unit(fmt, scaled)
        return math.floor(scaled / unit) * unit, math.ceil(scaled / unit) * unit
    there = _listed(fmt)
    at = bisect.bisect_left(there, scaled)
    return there[at] if there[at] == scaled else there[at - 1], there[at]


def _unit(fmt: Minifloat, scaled: Fraction) -> int:
    """Return the distance between values around a number, were there no end to exponents."""
    if fmt.exp_bits == 0 or scaled == 0:
        return 1
    return 1 << max(_floor_log2(abs(scaled)) - fmt.man_bits, 0)


@functools.lru_cache(maxsize=16)
def _listed(fmt: Format) -> list[int]:
    """Return all finite values, ascending, in units of the last place."""
    if isinstance(fmt, ExponentOnly):
        return [1 << exponent for exponent in range(fmt.nan_code)]
    return sorted({fmt.lsbs(code) for code in range(1 << fmt.width) if fmt.holds(code)})


def gap(fmt: Format, number: Fraction) -> Fraction:
    """Return the distance between the values around a number, or above it if it is one.

    Beyond an end it is an ulp of the last minifloat, and the distance of the last two values else.
    """
    unit = Fraction(2) ** fmt.lsb_exp
    ends = Fraction(fmt.min_lsbs), Fraction(fmt.max_lsbs)
    scaled = min(max(number / unit, ends[0]), ends[1])
    if isinstance(fmt, FixedPoint):
        return unit
    if isinstance(fmt, Minifloat):
        if fmt.ftz and abs(scaled) < 1 << fmt.man_bits:
            return unit * (1 << fmt.man_bits)
        return unit * _unit(fmt, scaled)
    there = _listed(fmt)
    at = min(max(bisect.bisect_right(there, scaled), 1), len(there) - 1)
    return unit * (there[at] - there[at - 1])


def error_of(code: Code, given: Fraction | float) -> dict[str, float | str | None]:
    """Return how far a code is from what it was given for, and the neighbours it could have had.

    The error is also stated in units of :func:`gap`. Neighbours are None if there is no error, and
    all is None if one of the numbers is not finite. What float64 does not hold is infinite.
    """
    nothing: dict[str, float | str | None] = dict.fromkeys(("error", "ulps", "below", "above"))
    finite = isinstance(given, Fraction) or math.isfinite(given)
    if not (finite and math.isfinite(code.value)):
        return nothing
    number = Fraction(given)
    error = abs(Fraction(code.value) - number)
    if not error:
        return nothing | {"error": 0.0, "ulps": 0.0}
    below, above = neighbours(code.fmt, number)
    distance = gap(code.fmt, number)  # 0 in a table of one value
    return {
        "error": _nearest(error),
        "ulps": _nearest(error / distance) if distance else None,
        "below": None if below is None else float(below),
        "above": None if above is None else float(above),
    }


def _nearest(number: Fraction) -> float | str:
    try:
        return float(number)
    except OverflowError:
        return "inf"


def stand_in(fmt: Format, number: Fraction, random_bits: int = 0, wraps: bool = False) -> float:
    """Return a float64 that becomes the same code as a number, whatever the mode.

    The model takes float64, and 0.1 is none. The float64 nearest to it may lie on a place where
    codes change while it does not, or beyond; then it would be rounded twice. So it is that one
    of the two float64 around it which lies between the same places, where rounding to odd would
    lead for formats of a few bits.

    Parameters
    ----------
    random_bits : int
        Random bits that a stochastic mode takes; so many more places there are.
    wraps : bool
        Whether numbers out of range wrap, so that all their digits count.

    Raises
    ------
    SpecError
        If there is no such float64.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> tie = Fraction("1.0625")  # between 1 and 1.125
    >>> above = tie + Fraction(1, 10**30)
    >>> float(above) == tie, stand_in(parse_format("e4m3fn"), above) > tie
    (True, True)
    """
    try:
        nearest = float(number)
    except OverflowError:
        nearest = math.copysign(sys.float_info.max, 1 if number > 0 else -1)
    if nearest == number:
        return nearest
    other = math.nextafter(nearest, math.inf if number > nearest else -math.inf)
    place = _place(fmt, number, random_bits, wraps)
    for candidate in (nearest, other):
        if math.isfinite(candidate):
            found = _place(fmt, Fraction(candidate), random_bits, wraps)
            if candidate and found == place:
                return candidate
    fewer = " or take fewer random bits" if random_bits else ""
    raise SpecError(
        f"value must be one that float64 can stand for when it is rounded to {fmt.name}; write it "
        f"with fewer digits{fewer}"
    )


def _place(fmt: Format, number: Fraction, random_bits: int, wraps: bool) -> tuple[Any, ...]:
    """Return between which places a number lies, of all where codes may change in some mode."""
    negative, size = number < 0, abs(number)
    unit = Fraction(2) ** fmt.lsb_exp
    if not wraps and size >= 2 * unit * max(fmt.max_lsbs, -fmt.min_lsbs):
        return (negative,)
    below: Fraction | None
    above: Fraction | None
    if isinstance(fmt, (Minifloat, FixedPoint)):
        step = unit * _unit(fmt, size / unit) if isinstance(fmt, Minifloat) else unit
        below = math.floor(size / step) * step
        above = below + step
    elif isinstance(fmt, ExponentOnly) and size >= unit:
        below = Fraction(2) ** _floor_log2(size)
        above = 2 * below
    else:
        negative, size = False, number
        below, above = neighbours(fmt, number)
    if below is None or above is None or below == above:
        return negative, below, above
    # A stochastic mode tells halves of its steps apart, and so do ties.
    part = (size - below) / (above - below) * 2 ** (random_bits + 1)
    return negative, below, above, math.floor(part), part.denominator == 1


def _floor_log2(number: Fraction) -> int:
    exponent = number.numerator.bit_length() - number.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= number else exponent - 1


# Whole formats.


def least_positive(fmt: Format) -> float:
    """Return the least positive value; NaN if there is none."""
    if isinstance(fmt, (FixedPoint, KHot)):
        return _as_float(fmt, 1)
    if isinstance(fmt, Minifloat):
        return _as_float(fmt, 1 << fmt.man_bits if fmt.ftz else 1)
    positive = (lsbs for lsbs in _listed(fmt) if lsbs > 0)
    least = next(positive, None)
    return math.nan if least is None else _as_float(fmt, least)


def summarize(fmt: Format) -> dict[str, Any]:
    """Return what there is to say about a format, as JSON: its codes apart.

    Of a block format that is its blocks, and all that there is to say about its elements.
    """
    if isinstance(fmt, BlockFormat):
        return {
            "format": fmt.name,
            "block": {
                "element": fmt.element.name,
                "size": fmt.size,
                "scale": fmt.scale.name,
                "rule": str(fmt.rule),
                "tensor_scale": fmt.tensor_scale.name if fmt.tensor_scale else None,
            },
            **{key: value for key, value in summarize(fmt.element).items() if key != "format"},
        }
    one = Fraction(2) ** -fmt.lsb_exp
    summary = {
        "format": fmt.name,
        "what": _what(fmt),
        "bits": fmt.width,
        "largest": _as_float(fmt, fmt.max_lsbs),
        "least": _as_float(fmt, fmt.min_lsbs),
        "least_normal": None,
        "least_positive": least_positive(fmt),
        "ulp_at_1": float(gap(fmt, Fraction(1))) if fmt.min_lsbs <= one <= fmt.max_lsbs else None,
        "values": _count(fmt),
        "negative_zero": False,
        "infinities": [],
        "nan": None,
        "nan_codes": 0,
    }
    if isinstance(fmt, ExponentOnly):
        return summary | {"nan": describe(fmt, fmt.nan_code).hex, "nan_codes": 1}
    if not isinstance(fmt, Minifloat):
        return summary
    sign = 1 << fmt.magnitude_bits
    infinite = [] if fmt.infinity_code is None else [fmt.infinity_code, fmt.infinity_code | sign]
    return summary | {
        "least_normal": _as_float(fmt, 1 << fmt.man_bits) if fmt.max_code >> fmt.man_bits else None,
        "negative_zero": fmt.has_negative_zero,
        "infinities": [describe(fmt, code).hex for code in infinite[: 1 + fmt.signed]],
        "nan": None if fmt.nan_code is None else describe(fmt, fmt.nan_code).hex,
        "nan_codes": _count_nans(fmt),
    }


def _what(fmt: Format) -> str:
    """Say in a few words what a scalar format is."""
    match fmt:
        case Minifloat():
            sign = "sign, " if fmt.signed else ""
            flushes = ", subnormals count as zero" if fmt.ftz else ""
            return (
                f"{sign}{fmt.exp_bits} exponent, {fmt.man_bits} mantissa, bias {fmt.bias}{flushes}"
            )
        case FixedPoint():
            how = "two's complement" if fmt.signed else "unsigned"
            return f"{how}, {fmt.frac_bits} fraction bits" if fmt.frac_bits else how
        case ExponentOnly():
            return "powers of two"
        case Codebook():
            return f"{len(fmt.codes)} values of {fmt.of.name}"
        case KHot():
            digits = "digit" if fmt.digits == 1 else "digits"
            return f"values of {fmt.of.name} with at most {fmt.digits} signed {digits}"
    raise AssertionError(fmt)


def _count(fmt: Format) -> int:
    """Count the different finite values."""
    if isinstance(fmt, FixedPoint):
        return fmt.max_lsbs - fmt.min_lsbs + 1
    if isinstance(fmt, Minifloat):
        sizes = fmt.max_code - ((1 << fmt.man_bits) - 1 if fmt.ftz else 0)
        return 2 * sizes + 1 if fmt.signed else sizes + 1
    return len(_listed(fmt))


def _count_nans(fmt: Minifloat) -> int:
    finite = (fmt.max_code + 1) * (1 + fmt.signed) - (fmt.signed and not fmt.has_negative_zero)
    return (1 << fmt.width) - finite - fmt.has_infinities * (1 + fmt.signed)


def grid(fmt: Format) -> list[dict[str, Any]]:
    """Return the values of all codes as rows of a table, as many in a row as fit.

    A row has the code and the bits of its first cell, with an x for those that differ along it;
    they head the other columns. Of a minifloat with a sign there is the positive half only.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> grid(parse_format("e2m1"))[-1]
    {'code': '0x6', 'bits': '0_11_x', '0': 4.0, '1': 6.0}
    """
    half = isinstance(fmt, Minifloat) and fmt.signed
    codes = range(1 << fmt.width - half)
    cells = [_cell(fmt, code) for code in codes]
    low = min(fmt.width - half, 4)
    if isinstance(fmt, Minifloat) and fmt.man_bits and len(codes) >> fmt.man_bits <= 32:
        low = min(fmt.man_bits, low)  # a row is an exponent
    while low and _width(fmt, cells, low) > _WIDEST:
        low -= 1
    rows = []
    for start in codes[:: 1 << low]:
        first = Code(fmt, start, 0.0, "")
        bits = list(first.bits)
        for place in [place for place, bit in enumerate(bits) if bit in "01"][fmt.width - low :]:
            bits[place] = "x"
        heads = [f"{column:0{low}b}" if low else "value" for column in range(1 << low)]
        row: dict[str, Any] = {"code": first.hex, "bits": "".join(bits)}
        rows.append(row | dict(zip(heads, cells[start:], strict=False)))
    return rows


def _cell(fmt: Format, code: int) -> float | str | None:
    if not fmt.holds(code):
        return None
    value = describe(fmt, code).value
    if isinstance(fmt, ExponentOnly) and math.isfinite(value):
        return f"2^{math.frexp(value)[1] - 1}"
    return value


def _width(fmt: Format, cells: Sequence[float | str | None], low: int) -> int:
    """Return how wide a table is whose columns are picked by the low bits of a code."""
    columns = (cells[start :: 1 << low] for start in range(1 << low))
    widths = (max(low, *(len(show(value)) for value in column)) for column in columns)
    return len(Code(fmt, 0, 0.0, "").bits) + 6 + sum(width + 2 for width in widths)
