"""What a unit computes, to the bit: the fields of a design that the model knows."""

from dataclasses import dataclass
from typing import Any, ClassVar

from minimac.spec.accumulation import (
    Accumulation,
    ExactAccumulation,
    FloatAccumulation,
    FusedAccumulation,
    RoundedAccumulation,
)
from minimac.spec.blocks import BlockFormat
from minimac.spec.errors import SpecError
from minimac.spec.formats import (
    FP32,
    ExponentOnly,
    FixedPoint,
    Format,
    Minifloat,
    check_narrow,
)
from minimac.spec.products import Product
from minimac.spec.rounding import Overflow, Rounding

__all__ = ["Arithmetic"]


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What a unit computes, to the bit: the semantic fields of a design.

    Parameters
    ----------
    a, b, out : Format
        Formats of activations, weights and results.
    accumulate : Accumulation
        How products are added up. Of blocks, how the scaled sums of pairs of blocks are; by
        default ``rounded`` in fp32.
    product : Product
        How two operands are multiplied.
    out_round, out_overflow
        The one conversion to ``out``, at the foot.
    within : FusedAccumulation, optional
        How the products of a pair of blocks are added up; exactly by default.

    Raises
    ------
    SpecError
        If the parts do not fit together; the message starts with the key.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}
    #: Families that ``out`` may be of.
    out_families: ClassVar[tuple[type[Format], ...]] = (Minifloat, FixedPoint)
    #: Keys of formats that may have more than 32 bits.
    wide_keys: ClassVar[tuple[str, ...]] = ()

    a: Format
    b: Format
    out: Format
    accumulate: Accumulation = None  # type: ignore[assignment]  # __post_init__ fills it in
    product: Product = Product.EXACT
    out_round: Rounding = Rounding.RNE
    out_overflow: Overflow = Overflow.SATURATE
    within: Accumulation | None = None

    def __post_init__(self) -> None:
        for key, kind in (
            ("product", Product),
            ("out_round", Rounding),
            ("out_overflow", Overflow),
        ):
            object.__setattr__(self, key, kind(getattr(self, key)))
        for key in ("a", "b", "out"):
            if key not in self.wide_keys and getattr(self, key) is not None:
                check_narrow(getattr(self, key), f"{key}: ")
        if self.accumulate is None:
            if not self.has_blocks:
                raise SpecError("accumulate: is missing; this key is required")
            object.__setattr__(self, "accumulate", RoundedAccumulation(format=FP32))
        self._check_product()
        self._check_blocks()
        acc = self.accumulate
        if isinstance(acc, FloatAccumulation) and acc.width < self.product_bits:
            raise SpecError(
                f"accumulate.width: must be at least {self.product_bits} to hold the product of "
                f"{self.a.name} and {self.b.name}, not {acc.width}"
            )
        if isinstance(acc, ExactAccumulation) and self.sum_bits > 4096:
            raise SpecError(
                f"accumulate: an exact sum of {self.a.name} and {self.b.name} takes "
                f"{self.sum_bits} bits; 4096 are the most; use kind float"
            )
        if self.accumulate.kind != "exact" and not self.has_blocks and self.product_bits > 62:
            raise SpecError(
                f"accumulate.kind: must be exact for products of {self.product_bits} bits, as "
                f"those of {self.a.name} and {self.b.name} are; 62 are the most of the others"
            )
        self._check_out()

    def _check_product(self) -> None:
        if self.product is Product.EXACT:
            return
        fmt = self.a
        if fmt != self.b or not isinstance(fmt, Minifloat) or not (fmt.exp_bits and fmt.man_bits):
            raise SpecError(
                f"product: {self.product} needs a and b of one minifloat format with exponent and "
                f"mantissa, not {self.a.name} and {self.b.name}"
            )

    def _check_blocks(self) -> None:
        sizes = {fmt.size for fmt in (self.a, self.b) if isinstance(fmt, BlockFormat)}
        if not sizes:
            if self.within is not None:
                raise SpecError("within: is for block formats; a and b are scalar")
            return
        if len(sizes) > 1:
            raise SpecError(
                f"b: blocks must be as long as those of a, {self.a.name}, unlike {self.b.name}"
            )
        if self.accumulate.kind not in ("exact", "rounded", "fused"):
            raise SpecError(
                "accumulate.kind: must be exact, rounded or fused for sums of blocks, not "
                f"{self.accumulate.kind}"
            )
        for key, fmt in (("a", self.a), ("b", self.b)):
            if isinstance(fmt, BlockFormat) and fmt.sig_bits + fmt.scale.sig_bits > 32:
                raise SpecError(
                    f"{key}: significands of an element and its scale must have 32 bits at most "
                    f"together to be multiplied, unlike those of {fmt.name}"
                )
        if self.within is not None:
            self._check_within(self.within, sizes.pop())

    def _check_within(self, acc: Accumulation, size: int | None) -> None:
        if not isinstance(acc, FusedAccumulation):
            raise SpecError(f"within.kind: must be fused, not {acc.kind}")
        if size is None:
            raise SpecError("within: needs blocks of a fixed size; theirs is that of a tensor")
        if acc.group != size:
            raise SpecError(f"within.group: must be the size of a block, {size}, not {acc.group}")
        largest = acc.group
        for fmt in (self.a, self.b):
            largest *= max(-fmt.min_lsbs, fmt.max_lsbs)
        # One more, for rounding may double a sum.
        exponent = largest.bit_length() + self.a.lsb_exp + self.b.lsb_exp
        if exponent > acc.state_format.max_exp:
            raise SpecError(
                f"within.format: must hold every sum of a block, which {acc.format.name} does not"
            )
        scales = sum(fmt.scale.sig_bits for fmt in (self.a, self.b) if isinstance(fmt, BlockFormat))
        if acc.state_format.sig_bits + scales > 60:
            raise SpecError("within.out_frac_bits: too many for a sum to be multiplied by scales")

    def _check_out(self) -> None:
        out, overflow = self.out, self.out_overflow
        if not isinstance(out, self.out_families):
            raise SpecError(f"out: must be a minifloat or fixed-point format, not {out.name}")
        if overflow is Overflow.WRAP and not (isinstance(out, FixedPoint) and not out.symmetric):
            raise SpecError(
                f"out_overflow: wrap needs a fixed-point out with all its codes, not {out.name}"
            )
        if overflow is Overflow.NAN and not out.has_nan:
            raise SpecError(f"out_overflow: nan needs an out with NaN, which {out.name} has not")
        if overflow is Overflow.INFINITY and not (out.has_infinities or out.has_nan):
            raise SpecError(
                f"out_overflow: infinity needs an out with infinities or NaN, not {out.name}"
            )
        specials = self.has_nan or self.has_infinities
        if overflow is Overflow.WRAP and specials:
            raise SpecError(
                f"out_overflow: wrap cannot express the NaN or infinity that {self.summary()} can "
                "lead to; use saturate"
            )

    @property
    def has_blocks(self) -> bool:
        """Whether operands come in blocks."""
        return isinstance(self.a, BlockFormat) or isinstance(self.b, BlockFormat)

    @property
    def has_nan(self) -> bool:
        """Whether a chain can become NaN."""
        return self.a.has_nan or self.b.has_nan or self.has_infinities

    @property
    def has_infinities(self) -> bool:
        """Whether a chain can become infinite, by its operands or by overflow."""
        state = self.accumulate.state_format
        overflows = state is not None and state.has_infinities
        return self.a.has_infinities or self.b.has_infinities or overflows

    @property
    def product_bits(self) -> int:
        """Width of the integer ``P`` of a product, in bits."""
        if self.product.adds_codes:
            return self.a.sig_bits
        if self.product is Product.LMUL:
            return self.a.sig_bits + 1
        return self.a.sig_bits + self.b.sig_bits

    @property
    def product_min_exp(self) -> int:
        """Least exponent ``ep`` of a product."""
        if self.product.adds_codes:
            return self.a.min_exp
        return self.a.min_exp + self.b.min_exp + 1

    @property
    def product_max_exp(self) -> int:
        """Greatest exponent ``ep`` of a product."""
        if self.product.adds_codes:
            return self.a.max_exp
        return self.a.max_exp + self.b.max_exp + 1

    @property
    def lsb_exp(self) -> int:
        """Exponent of the unit of which every product, and so every sum, is a whole multiple.

        A product of elements of blocks counts with its scales.
        """
        if self.product is not Product.EXACT:
            return self.product_min_exp - (self.product_bits - 1)
        return sum(
            fmt.lsb_exp + (fmt.scale.lsb_exp if isinstance(fmt, BlockFormat) else 0)
            for fmt in (self.a, self.b)
        )

    @property
    def product_range(self) -> tuple[int, int]:
        """Least and greatest product, in units of ``2**lsb_exp``."""
        if self.product is not Product.EXACT:
            most = self._largest_approximate_product()
            return (-most if self.a.signed else 0), most
        ends = [x * y for x in _ends(self.a) for y in _ends(self.b)]
        return min(ends), max(ends)

    def _largest_approximate_product(self) -> int:
        fmt = self.a
        assert isinstance(fmt, Minifloat)
        if self.product.adds_codes:
            code = 2 * fmt.max_code - (fmt.bias << fmt.man_bits)
            code = min(code + self.product.offset(fmt.man_bits), fmt.max_code)
            return fmt.lsbs(code) if code >= 1 << fmt.man_bits else 0
        significand = fmt.max_code & (1 << fmt.man_bits) - 1 | 1 << fmt.man_bits
        total = 2 * significand - (1 << fmt.man_bits) + self.product.offset(fmt.man_bits)
        return total << self.product_max_exp - self.product_min_exp

    @property
    def sum_bits(self) -> int:
        """Width of an exact sum of ``max_terms`` products in two's complement: as few as it takes.

        Examples
        --------
        >>> from minimac.spec import parse_format
        >>> int8 = parse_format("int8")
        >>> exact = ExactAccumulation(max_terms=64)
        >>> Arithmetic(a=int8, b=int8, out=int8, accumulate=exact).sum_bits
        22
        """
        return self.bits_for(self.accumulate.max_terms)

    def bits_for(self, terms: int) -> int:
        """Width of every sum of so many products in two's complement, in bits."""
        low, high = (end * terms for end in self.product_range)
        return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1

    @property
    def acc_min_exp(self) -> int:
        """Least exponent that the state of a ``float`` chain can have.

        Every state is a whole multiple of ``2**lsb_exp`` and its exponent is at least that of its
        leading one, or that of a product. Without normalisation it never falls.
        """
        acc = self.accumulate
        if isinstance(acc, FloatAccumulation) and acc.normalize.coarse == ():
            return self.product_min_exp
        return self.lsb_exp

    @property
    def acc_max_exp(self) -> int:
        """Greatest exponent that the state of a ``float`` chain of ``max_terms`` can have.

        The exponent only ever grows when the magnitude carries out of the window. Truncation keeps
        the magnitude below the sum of the products'; rounding to nearest or odd at most doubles a
        term's contribution; a mode that creeps adds an ulp in every step, and so a binade in every
        ``2**(width - 1)`` steps.
        """
        acc = self.accumulate
        assert isinstance(acc, FloatAccumulation)
        largest = max(map(abs, self.product_range))
        rounds = acc.round is not Rounding.TRUNCATE and acc.window_bits > acc.width
        total = acc.max_terms * largest * (2 if rounds else 1)
        top = max(self.product_max_exp, self.lsb_exp + total.bit_length() - 1)
        if acc.creeps:
            top += 1 + (acc.max_terms >> acc.width - 1)
        return top

    @property
    def padding(self) -> tuple[int, int] | None:
        """Codes of ``a`` and ``b`` whose product changes no chain; None if no product is zero.

        In chains that are rounded as in IEEE 754 that zero is negative, for -0 and +0 add up to +0,
        but not when rounding down.

        Examples
        --------
        >>> from minimac.spec import parse_format
        >>> e4m3fn, nf4, bits = map(parse_format, ("e4m3fn", "nf4", "bin"))
        >>> exact = ExactAccumulation()
        >>> Arithmetic(a=e4m3fn, b=nf4, out=e4m3fn, accumulate=exact).padding
        (0, 7)
        >>> Arithmetic(a=bits, b=bits, out=e4m3fn, accumulate=exact).padding
        """
        acc = self.accumulate
        negative = isinstance(acc, RoundedAccumulation) and acc.round is not Rounding.DOWN
        codes = [_codes_by_sign(fmt) for fmt in (self.a, self.b)]
        for sign in (-1, 0, 1) if negative else (0, 1, -1):
            for zero in (0, 1):
                if 0 in codes[zero] and sign in codes[1 - zero]:
                    pair = codes[zero][0], codes[1 - zero][sign]
                    return pair if zero == 0 else pair[::-1]
        return None

    def summary(self) -> str:
        """Describe the arithmetic in a few words.

        Examples
        --------
        >>> from minimac.spec import load_design
        >>> load_design({"name": "m", "unit": "mac", "a": "int8", "b": "int8", "out": "int32",
        ...              "accumulate": {"kind": "exact"}}).summary()
        'int8 x int8 -> int32, exact'
        """
        sign = "x" if self.product is Product.EXACT else str(self.product)
        inside = f", {self.within.describe()} in blocks" if self.within else ""
        how = self.accumulate.describe() + inside
        return f"{self.a.name} {sign} {self.b.name} -> {self.out.name}, {how}"


def _codes_by_sign(fmt: Format) -> dict[int, int]:
    """Return a code of a negative number, of zero and of a positive number, as there are."""
    if isinstance(fmt, BlockFormat):
        return _codes_by_sign(fmt.element)
    if isinstance(fmt, FixedPoint):
        few = [0, 1, *([(1 << fmt.width) - 1] if fmt.signed else [])]
    elif isinstance(fmt, Minifloat):
        one = 1 << fmt.man_bits if fmt.exp_bits else 1  # not subnormal, for those may count as zero
        few = [0, one, *([1 << fmt.magnitude_bits | one] if fmt.signed else [])]
    elif isinstance(fmt, ExponentOnly):
        few = [0]
    else:
        few = [code for code in range(1 << fmt.width) if fmt.holds(code)]
    found: dict[int, int] = {}
    for code in few:
        value = fmt.lsbs(code)
        found.setdefault((value > 0) - (value < 0), code)
    return found


def _ends(fmt: Format) -> tuple[int, int]:
    """Return least and largest value, an element's with its scale, in its least units."""
    if not isinstance(fmt, BlockFormat):
        return fmt.min_lsbs, fmt.max_lsbs
    scales = fmt.scale.min_lsbs, fmt.scale.max_lsbs
    ends = [x * scale for x in (fmt.min_lsbs, fmt.max_lsbs) for scale in scales]
    return min(ends), max(ends)
