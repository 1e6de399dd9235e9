"""Units around a matrix engine: Hadamard rotations, activation functions, softmax.

Each has one operand, ``a``. What their tables hold is worked out here, once for circuit and model,
by exact arithmetic (:mod:`minimac.spec.reals`).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, Literal

from minimac.spec import reals
from minimac.spec.accumulation import ExactAccumulation
from minimac.spec.blocks import BlockFormat
from minimac.spec.design import Design
from minimac.spec.errors import SpecError
from minimac.spec.formats import FixedPoint, Format, Minifloat
from minimac.spec.products import Product
from minimac.spec.rounding import Overflow

__all__ = ["Activation", "Exponential", "Hadamard", "Interpolation", "Softmax"]

# Products with -1, 0 and 1: what the one operand counts as being multiplied by.
_SIGNS = FixedPoint(True, 1, 0, symmetric=True)

_TABLE_BITS = 8  # Codes of so many bits are looked up whole.
_INPUT_BITS = 16  # The widest codes that are worked out.


def _take_one_operand(design: Design, terms: int = 1) -> None:
    """Check the keys of a unit of one operand, and fill in those that do not show."""
    unit = design.unit
    if isinstance(design.a, BlockFormat):
        raise SpecError(f"a: {unit} takes scalar formats, not {design.a.name}")
    if design.b != _SIGNS:
        raise SpecError(f"b: {unit} has one operand; leave this key out")
    if design.accumulate is not None and design.accumulate.kind != "exact":
        raise SpecError(f"accumulate: {unit} rounds once; leave this key out")
    if design.product != Product.EXACT:
        raise SpecError(f"product: {unit} multiplies no operands; leave this key out")
    if design.normalizer != "counter":
        raise SpecError(f"normalizer: {unit} has one of its own; leave this key out")
    object.__setattr__(design, "accumulate", ExactAccumulation(max_terms=terms))


def _without_hidden(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a unit of one operand has no choice of, or no use for."""
    hidden = {"b", "accumulate", "product", "normalizer"}
    return {key: x for key, x in fields.items() if key not in hidden and x is not None}


def _check_power_of_two(key: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high or value & (value - 1):
        raise SpecError(f"{key}: must be a power of two from {low} to {high}, not {value}")


def _check_not_random(design: Design) -> None:
    if design.out_round.stochastic:
        raise SpecError(f"out_round: must not be stochastic in {design.unit}; use another mode")


def _check_input(design: Design) -> None:
    if design.a.width > _INPUT_BITS:
        raise SpecError(
            f"a: {design.unit} takes formats of at most {_INPUT_BITS} bits, not {design.a.name}"
        )


@dataclass(frozen=True)
class Interpolation:
    """A function on an interval from 0, in straight lines between nodes.

    An argument is a whole number of ``arg_bits`` bits. Its top bits choose a segment of those of
    equal length, and with ``t`` the ``arg_bits - log2(segments)`` others the result is::

        (nodes[k] * 2**len(t) + (nodes[k + 1] - nodes[k]) * t + 2**(len(t) - 1)) >> len(t)

    which is the point on the line, rounded to the nearest whole number, halves up.

    Parameters
    ----------
    nodes : tuple of int
        Values of the function where segments meet, each rounded to nearest.
    arg_bits : int
        Bits of an argument.
    """

    nodes: tuple[int, ...]
    arg_bits: int

    @property
    def segments(self) -> int:
        """Number of segments."""
        return len(self.nodes) - 1

    @property
    def offset_bits(self) -> int:
        """Bits of an argument's place in its segment."""
        return self.arg_bits - (self.segments.bit_length() - 1)


@functools.lru_cache(maxsize=64)
def _nodes(function: reals.Function, span: int, segments: int, frac_bits: int) -> tuple[int, ...]:
    """Return values of a function from 0 to ``span``, in units of ``2**-frac_bits``."""

    def node(k: int) -> int:
        x = Fraction(span * k, segments)
        return reals.settle(
            lambda bits: function(x, bits), lambda y: (2 * y * (1 << frac_bits) + 1) // 2
        )

    return tuple(node(k) for k in range(segments + 1))


@dataclass(frozen=True)
class Exponential:
    """How ``e**x`` becomes a pair: ``m * 2**(n - frac_bits)``, ``m`` from 1 up to 2.

    1. ``x`` is cut off to a multiple ``X`` of ``2**-frac_bits``, toward zero; from
       ``2**int_bits`` on, its size is the largest below.
    2. ``z = (X * scale + half) >> scale_bits`` is ``x * log2(e)`` in the same unit, rounded.
    3. ``n = z >> frac_bits``; ``m`` is ``2**f`` of the bits ``f`` below, from an
       :class:`Interpolation`.

    Parameters
    ----------
    int_bits, frac_bits : int
        Of ``x``; ``frac_bits`` also of ``z`` and of ``m``.
    segments : int
        Of the interpolation.
    """

    int_bits: int
    frac_bits: int
    segments: int

    @property
    def scale_bits(self) -> int:
        """Fraction bits of the constant."""
        return self.int_bits + self.frac_bits + 2

    @property
    def scale(self) -> int:
        """``log2(e)``, rounded to ``scale_bits``."""
        one = 1 << self.scale_bits
        return reals.settle(reals.log2_e, lambda y: (2 * y * one + 1) // 2)

    @property
    def table(self) -> Interpolation:
        """``2**f`` for ``f`` from 0 to 1."""
        return Interpolation(_nodes(reals.exp2, 1, self.segments, self.frac_bits), self.frac_bits)

    @property
    def exponents(self) -> range:
        """All that ``n`` may be."""
        largest = (1 << self.int_bits + self.frac_bits) - 1
        half = 1 << self.scale_bits - 1
        low, high = (n * self.scale + half >> self.scale_bits for n in (-largest, largest))
        return range(low >> self.frac_bits, (high >> self.frac_bits) + 1)

    def relative_error(self, cuts: bool) -> Fraction:
        """Return a bound of the error of a pair in relation to ``e**x``, where ``x`` is in range.

        Parameters
        ----------
        cuts : bool
            Whether an ``x`` may have bits below ``2**-frac_bits``.

        In units ``u`` of ``2**-frac_bits``: cutting ``x`` off changes it by less than ``u``. The
        constant is off by half of ``2**-scale_bits``, which times ``2**int_bits`` is ``u/8``, and
        ``z`` is rounded by ``u/2``; both count times ``ln(2)`` < 0.7. A line is above ``2**f`` by
        at most ``h**2 / 8`` of the largest second derivative, ``2 * ln(2)**2`` < 0.97, with ``h =
        1/segments``. The nodes, and so all points between them, are off by ``u/2``, and rounding
        the result adds ``u/2``. ``m`` is at least 1, so that these are bounds of relative errors;
        together they are below 0.05, and 1.03 times them cover their products and those of
        second order in the exponent.
        """
        unit = Fraction(1, 1 << self.frac_bits)
        line = Fraction(97, 800) / self.segments**2
        return Fraction(103, 100) * (
            unit * cuts + unit * Fraction(7, 10) * Fraction(5, 8) + line + unit
        )


@dataclass(frozen=True, kw_only=True)
class Hadamard(Design):
    """Walsh-Hadamard transform of vectors, exact up to one rounding.

    ``out = round(H @ a * 2**-(log2(lanes) // 2))`` with ``H`` the matrix of Sylvester, of 1 and -1.
    It is orthonormal where ``lanes`` is a power of four, and else ``sqrt(2)`` times that.

    Parameters
    ----------
    lanes : int
        Numbers in a vector, a power of two from 2 to 128.
    """

    unit: ClassVar[str] = "hadamard"

    b: Format = field(default=_SIGNS, repr=False)
    lanes: int = 16

    def __post_init__(self) -> None:
        _check_power_of_two("lanes", self.lanes, 2, 128)
        _take_one_operand(self, self.lanes)
        super().__post_init__()
        if self.sum_bits > 64:
            raise SpecError(
                f"a: sums of {self.lanes} numbers of {self.a.name} take {self.sum_bits} bits, and "
                "64 are the most; use fp16, e5m2, fixed point, or another format of a narrow range"
            )

    @property
    def operands(self) -> dict[str, Format]:
        """Formats of the operands, by name."""
        return {"a": self.a}

    @property
    def shift(self) -> int:
        """How many binary places a sum is moved down."""
        return (self.lanes.bit_length() - 1) // 2

    def as_dict(self) -> dict[str, Any]:
        """Return the design as a design file would have it."""
        return _without_hidden(super().as_dict())

    def summary(self) -> str:
        """Describe the arithmetic in a few words.

        Examples
        --------
        >>> from minimac.spec import load_design
        >>> load_design({"name": "m", "unit": "hadamard", "a": "int8", "out": "e4m3fn",
        ...     "lanes": 32}).summary()
        '32 x int8 -> e4m3fn, rne'
        """
        return f"{self.lanes} x {self.a.name} -> {self.out.name}, {self.out_round}"


# For each function that has a table of segments: what it holds, and where that ends.
_SEGMENTED: dict[str, tuple[reals.Function, int]] = {
    "sigmoid": (reals.sigmoid, 4),
    "silu": (reals.sigmoid, 4),
    "gelu": (reals.normal_cdf, 3),
    "tanh": (reals.tanh_quotient, 3),
}

_EXACT: dict[str, reals.Function] = {
    "gelu": reals.gelu,
    "silu": reals.silu,
    "sigmoid": reals.sigmoid,
    "tanh": reals.tanh,
    "exp": reals.exp,
}

# Limits toward both infinities; None is an infinity itself.
_LIMITS: dict[str, tuple[int, int | None]] = {
    "relu": (0, None),
    "gelu": (0, None),
    "silu": (0, None),
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "exp": (0, None),
}


@dataclass(frozen=True, kw_only=True)
class Activation(Design):
    """A function of one number.

    ``relu`` is exact, and then rounded once. Of codes of at most 8 bits all results are in a table,
    correctly rounded. For wider codes the function is interpolated between the nodes of a table:
    see :func:`minimac.model.activate`. NaN remains NaN, and infinities become the limits of the
    function. A zero has the sign that the function has near it; of ``relu`` it is +0.

    Parameters
    ----------
    function : str
        ``relu``, ``gelu`` (with the normal distribution itself, not an approximation of it),
        ``silu``, ``sigmoid``, ``tanh`` or ``exp``.
    segments : int, optional
        Lines that the function is made of, a power of two from 8 to 1024; by default 64. Only where
        it is interpolated.
    fraction : int, optional
        Fraction bits of arguments and of nodes, 8 to 20; by default 16. Only there, too.
    """

    unit: ClassVar[str] = "activation"

    b: Format = field(default=_SIGNS, repr=False)
    function: Literal["relu", "gelu", "silu", "sigmoid", "tanh", "exp"]
    segments: int | None = None
    fraction: int | None = None

    def __post_init__(self) -> None:
        _take_one_operand(self)
        super().__post_init__()
        _check_not_random(self)
        if self.function not in _LIMITS:
            raise SpecError(f"function: must be one of {', '.join(_LIMITS)}, not {self.function!r}")
        if self.function != "relu":
            _check_input(self)
        if self.interpolates:
            segments = 64 if self.segments is None else self.segments
            fraction = 16 if self.fraction is None else self.fraction
            if not 8 <= fraction <= 20:
                raise SpecError(f"fraction: must be 8 to 20, not {fraction}")
            _check_power_of_two("segments", segments, 8, min(1 << fraction - 1, 1024))
            object.__setattr__(self, "segments", segments)
            object.__setattr__(self, "fraction", fraction)
        for key in ("segments", "fraction"):
            if not self.interpolates and getattr(self, key) is not None:
                why = "relu needs no table" if self.function == "relu" else "all codes are listed"
                raise SpecError(f"{key}: {why}; leave this key out")

    @property
    def operands(self) -> dict[str, Format]:
        """Formats of the operands, by name."""
        return {"a": self.a}

    @property
    def interpolates(self) -> bool:
        """Whether there is a table of segments."""
        return self.function != "relu" and self.a.width > _TABLE_BITS

    @property
    def codes(self) -> tuple[int | None, ...]:
        """The result for each code of at most 8 bits; None for codes that stand for nothing."""
        assert not self.interpolates
        key = self.a, self.out, self.function, self.out_round, self.out_overflow
        return _listed(*key)

    @property
    def span_bits(self) -> int:
        """The table reaches to ``2**span_bits``, in the size of the argument."""
        return _SEGMENTED[self.function][1]

    @property
    def table(self) -> Interpolation:
        """What is interpolated, of the size of the argument in units of ``2**-fraction``."""
        assert self.segments is not None
        assert self.fraction is not None
        function, span_bits = _SEGMENTED[self.function]
        nodes = _nodes(function, 1 << span_bits, self.segments, self.fraction)
        if self.function != "tanh":  # beyond, it is 1
            nodes = *nodes[:-1], 1 << self.fraction
        return Interpolation(nodes, span_bits + self.fraction)

    @property
    def exponential(self) -> Exponential:
        """How ``exp`` is worked out: arguments reach as far as results or codes do."""
        assert self.segments is not None
        assert self.fraction is not None
        out = self.out
        # In binades: from the least result to half of its lowest unit, and to beyond the largest.
        reach = max(out.max_exp + 2, 3 - out.lsb_exp, 2)
        most = max(abs(self.a.min_lsbs), self.a.max_lsbs) * Fraction(2) ** self.a.lsb_exp
        int_bits = min((reach * 7 // 10).bit_length(), int(most).bit_length())
        return Exponential(int_bits, self.fraction, self.segments)

    def as_dict(self) -> dict[str, Any]:
        """Return the design as a design file would have it."""
        return _without_hidden(super().as_dict())

    def summary(self) -> str:
        """Describe the arithmetic in a few words.

        Examples
        --------
        >>> from minimac.spec import load_design
        >>> load_design({"name": "m", "unit": "activation", "a": "bf16", "out": "e4m3fn",
        ...     "function": "gelu"}).summary()
        'gelu of bf16 -> e4m3fn, rne, 64 segments of 16 bits'
        """
        how = f", {self.segments} segments of {self.fraction} bits" if self.interpolates else ""
        return f"{self.function} of {self.a.name} -> {self.out.name}, {self.out_round}{how}"


@functools.lru_cache(maxsize=64)
def _listed(
    fmt: Format, out: Minifloat | FixedPoint, function: str, rounding: Any, overflow: Overflow
) -> tuple[int | None, ...]:
    def rounded(value: Fraction) -> int:
        return reals.round_to(out, value, rounding, overflow)

    return tuple(
        _result(fmt, out, function, rounded, overflow, code) if fmt.holds(code) else None
        for code in range(1 << fmt.width)
    )


def _result(
    fmt: Format,
    out: Minifloat | FixedPoint,
    function: str,
    rounded: Callable[[Fraction], int],
    overflow: Overflow,
    code: int,
) -> int:
    """Return the result of a code."""
    has_minus_zero = isinstance(out, Minifloat) and out.has_negative_zero
    minus_zero = 1 << out.width - 1 if has_minus_zero else 0
    odd = function in ("gelu", "silu", "tanh")
    negative = fmt.signed and bool(code >> fmt.width - 1)
    try:
        x = fmt.lsbs(code) * Fraction(2) ** fmt.lsb_exp
    except SpecError:  # not finite
        base = code & (1 << fmt.width - fmt.signed) - 1
        if not fmt.has_infinities or base != getattr(fmt, "infinity_code", None):
            return getattr(out, "nan_code", None) or 0
        limit = _LIMITS[function][not negative]
        if limit is not None:
            return minus_zero if odd and limit == 0 else rounded(Fraction(limit))
        if isinstance(out, Minifloat) and out.infinity_code is not None:
            return out.infinity_code
        if overflow is Overflow.SATURATE:
            return rounded(Fraction(1 << 1100))
        return getattr(out, "nan_code", None) or 0
    if x == 0 and odd:
        return minus_zero if negative and isinstance(fmt, Minifloat) else 0
    return reals.settle(lambda bits: _EXACT[function](x, bits), rounded)


@dataclass(frozen=True, kw_only=True)
class Softmax(Design):
    """``e**a`` over the sum of them all, in two passes (arXiv 2001.04438), of a stream of numbers.

    Exponentials are pairs of a mantissa and an exponent of its own, which nothing overflows, so
    that the largest number need not be known first. See :func:`minimac.model.softmax_codes`.

    Parameters
    ----------
    length : int
        Numbers that a vector has at most, 1 to 65536.
    mantissa : int
        Fraction bits of a mantissa, 6 to 16.
    """

    unit: ClassVar[str] = "softmax"

    b: Format = field(default=_SIGNS, repr=False)
    length: int = 256
    mantissa: int = 12

    def __post_init__(self) -> None:
        _take_one_operand(self)
        super().__post_init__()
        _check_not_random(self)
        _check_input(self)
        if not 1 <= self.length <= 1 << 16:
            raise SpecError(f"length: must be 1 to 65536, not {self.length}")
        if not 6 <= self.mantissa <= 16:
            raise SpecError(f"mantissa: must be 6 to 16, not {self.mantissa}")
        if self.out_overflow is Overflow.WRAP:
            raise SpecError("out_overflow: must not be wrap in a softmax; leave this key out")

    @property
    def operands(self) -> dict[str, Format]:
        """Formats of the operands, by name."""
        return {"a": self.a}

    @property
    def exponential(self) -> Exponential:
        """How the pairs come about: inputs reach to 65536 at most."""
        most = max(abs(self.a.min_lsbs), self.a.max_lsbs) * Fraction(2) ** self.a.lsb_exp
        # A line is off by less than a quarter of a unit: 0.97 / 8 / segments**2.
        segments = 4
        while segments**2 < Fraction(97, 200) * (1 << self.mantissa):
            segments *= 2
        return Exponential(min(int(most).bit_length(), 16), self.mantissa, segments)

    @property
    def guard_bits(self) -> int:
        """Bits below a mantissa in the sum, and above one."""
        return (self.length - 1).bit_length()

    @property
    def divisor_bits(self) -> int:
        """Fraction bits of the sum, between 1 and 2, as it is divided by."""
        return self.mantissa + 3

    @property
    def quotient_bits(self) -> int:
        """Fraction bits of one over the sum."""
        return self.mantissa + 2

    def as_dict(self) -> dict[str, Any]:
        """Return the design as a design file would have it."""
        return _without_hidden(super().as_dict())

    def summary(self) -> str:
        """Describe the arithmetic in a few words.

        Examples
        --------
        >>> from minimac.spec import load_design
        >>> load_design({"name": "m", "unit": "softmax", "a": "bf16", "out": "u0.8"}).summary()
        'up to 256 x bf16 -> u0.8, rne, mantissas of 12 bits'
        """
        return (
            f"up to {self.length} x {self.a.name} -> {self.out.name}, {self.out_round}, "
            f"mantissas of {self.mantissa} bits"
        )
