"""Units that convert: numbers from any format to any other, and blocks of them."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from minimac.spec.accumulation import ExactAccumulation
from minimac.spec.blocks import BlockFormat
from minimac.spec.codebooks import Codebook, KHot
from minimac.spec.design import Design
from minimac.spec.errors import SpecError
from minimac.spec.formats import ExponentOnly, FixedPoint, Format, Minifloat
from minimac.spec.grids import GridFormat
from minimac.spec.products import Product
from minimac.spec.rounding import Overflow, Rounding

__all__ = ["Convert", "Lfsr", "Quantize"]

_LARGEST_BLOCK = 256  # elements that a transfer takes
_TABLE_BITS = 12  # index of a table of codes by chance
_EXACT_BITS = 53  # of a product that float64 holds


@dataclass(frozen=True)
class Lfsr:
    """A linear-feedback shift register whose low bits are the random bits of one transfer.

    Its bits are a sequence in which each is the exclusive or of those ``TAPS`` places before it: of
    the primitive polynomial ``x**32 + x**7 + x**6 + x**2 + 1``, so that it repeats after
    ``2**32 - 1`` bits (taps: B. Schneier, Applied Cryptography, 2nd edition, table 16.2). The
    register holds the last 32 of them, the newest one in bit 0. A transfer takes its low ``bits``
    and moves it by as many, so that no two transfers share a bit.

    Parameters
    ----------
    bits : int
        Random bits that a transfer takes, 1 to 32.
    seed : int
        What the register holds after a reset.
    """

    WIDTH: ClassVar[int] = 32
    TAPS: ClassVar[tuple[int, ...]] = (32, 30, 26, 25)

    bits: int
    seed: int

    def lane(self, n: int) -> "Lfsr":
        """Return the register of the n-th of several lanes: another seed, far from that of others.

        It is ``seed + n * 0x9E3779B9`` modulo ``2**32``, or 1 in place of 0.
        """
        return Lfsr(self.bits, (self.seed + n * 0x9E3779B9) % (1 << self.WIDTH) or 1)


@dataclass(frozen=True, kw_only=True)
class _RandomBits:
    """Where the random bits of a stochastic rounding come from."""

    random: Literal["port", "lfsr"] | None = None
    random_bits: int | None = None
    seed: int | None = None

    @property
    def lfsr(self) -> Lfsr | None:
        """The register that random bits come from, if there is one."""
        if self.random != "lfsr":
            return None
        assert self.random_bits is not None
        assert self.seed is not None
        return Lfsr(self.random_bits, self.seed)

    def _fill_in_random(self, mode: Rounding, reset: str) -> None:
        if not mode.stochastic:
            for key in ("random", "random_bits", "seed"):
                if getattr(self, key) is not None:
                    raise SpecError(
                        f"{key}: is for a stochastic out_round, and {mode} is none; leave this key "
                        "out"
                    )
            return
        for key, value in (("random", "port"), ("random_bits", 8)):
            if getattr(self, key) is None:
                object.__setattr__(self, key, value)
        if self.random == "port":
            if self.seed is not None:
                raise SpecError("seed: is for random: lfsr; leave this key out")
        elif self.seed is None:
            object.__setattr__(self, "seed", 1)
        if not 1 <= (self.random_bits or 0) <= Lfsr.WIDTH:
            raise SpecError(f"random_bits: must be 1 to {Lfsr.WIDTH}, not {self.random_bits}")
        if not 1 <= (1 if self.seed is None else self.seed) < 1 << Lfsr.WIDTH:
            raise SpecError(f"seed: must be 1 to {(1 << Lfsr.WIDTH) - 1}, not {self.seed}")
        if self.random == "lfsr" and reset == "none":
            raise SpecError(
                "random: lfsr starts from its seed at a reset; use reset: sync or async"
            )

    def _how(self, mode: Rounding) -> str:
        if not mode.stochastic:
            return str(mode)
        return f"{mode} of {self.random_bits} bits from {self.random}"


def _add_nothing_up(design: Design) -> None:
    """Fill in how a converter accumulates: not at all."""
    unit, nothing = design.unit, ExactAccumulation(max_terms=1)
    if design.accumulate is not None and design.accumulate != nothing:
        raise SpecError(f"accumulate: {unit} adds nothing up; leave this key out")
    object.__setattr__(design, "accumulate", nothing)
    if design.product != Product.EXACT:
        raise SpecError(f"product: {unit} multiplies exactly; leave this key out")
    if design.normalizer != "counter":
        raise SpecError(f"normalizer: {unit} normalises no sums; leave this key out")


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a converter has no choice of, or no use for."""
    hidden = {"accumulate", "product", "normalizer"}
    return {key: x for key, x in fields.items() if key not in hidden and x is not None}


@dataclass(frozen=True, kw_only=True)
class Convert(_RandomBits, Design):
    """A number of one format in another, rounded once; with ``b``, its product with a scale.

    A zero keeps its sign where ``out`` has a negative zero. NaN where ``out`` has none is 0 if
    overflow saturates.

    Parameters
    ----------
    b : Format, optional
        Format of a scale that comes with each number; none by default.
    random : {"port", "lfsr"}, optional
        Where the random bits of a stochastic ``out_round`` come from: the field ``random`` of the
        stream, or an :class:`Lfsr` inside, that moves with each transfer.
    random_bits : int, optional
        How many there are for a number, 8 by default.
    seed : int, optional
        What the register holds after a reset, 1 by default.
    """

    unit: ClassVar[str] = "convert"
    out_families = (Minifloat, FixedPoint, Codebook, KHot, ExponentOnly)
    wide_keys = ("a",)

    b: Format | None = None  # type: ignore[assignment]  # the only unit that may do without

    def __post_init__(self) -> None:
        for key, fmt in (("a", self.a), ("b", self.b)):
            if isinstance(fmt, BlockFormat):
                raise SpecError(f"{key}: convert takes scalar formats, not {fmt.name}")
        if isinstance(self.out, BlockFormat):
            raise SpecError(f"out: convert gives single numbers; for {self.out.name} use quantize")
        _add_nothing_up(self)
        self._fill_in_random(Rounding(self.out_round), self.reset)
        super().__post_init__()
        if isinstance(self.out, FixedPoint) and self.out.width + (self.random_bits or 0) > 63:
            raise SpecError(f"random_bits: must be at most 31 for an out of {self.out.name}")
        if isinstance(self.out, GridFormat):
            self._check_grid()

    def _check_grid(self) -> None:
        most = _TABLE_BITS - self.out.width
        if self.random_bits and self.random_bits > most:
            raise SpecError(
                f"random_bits: must be at most {most} for an out of {self.out.name}"
                if most > 0
                else f"out_round: must not be stochastic for an out of {self.out.name}"
            )
        if self.product_bits > _EXACT_BITS:
            raise SpecError(
                f"b: significands must have {_EXACT_BITS} bits at most together with those of "
                f"{self.a.name} for an out of {self.out.name}, not {self.product_bits}"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the design as a design file would have it, without what it has no use for."""
        return _shown(super().as_dict())

    @property
    def operands(self) -> dict[str, Format]:
        """Formats of the operands, by name."""
        return {"a": self.a} | ({} if self.b is None else {"b": self.b})

    @property
    def has_blocks(self) -> bool:
        """Whether operands come in blocks."""
        return False

    @property
    def has_nan(self) -> bool:
        """Whether what is rounded can be NaN."""
        if self.b is None:
            return self.a.has_nan
        return super().has_nan

    @property
    def has_infinities(self) -> bool:
        """Whether what is rounded can be infinite."""
        return any(fmt.has_infinities for fmt in self.operands.values())

    @property
    def product_bits(self) -> int:
        """Width of the significand that is rounded, in bits."""
        return sum(fmt.sig_bits for fmt in self.operands.values())

    @property
    def product_min_exp(self) -> int:
        """Least exponent of what is rounded."""
        return sum(fmt.min_exp for fmt in self.operands.values()) + (self.b is not None)

    @property
    def product_max_exp(self) -> int:
        """Greatest exponent of what is rounded."""
        return sum(fmt.max_exp for fmt in self.operands.values()) + (self.b is not None)

    @property
    def lsb_exp(self) -> int:
        """Exponent of the unit of which all that is rounded is a multiple."""
        return sum(fmt.lsb_exp for fmt in self.operands.values())

    @property
    def product_range(self) -> tuple[int, int]:
        """Least and greatest number that is rounded, in units of ``2**lsb_exp``."""
        if self.b is None:
            return self.a.min_lsbs, self.a.max_lsbs
        return super().product_range

    @property
    def padding(self) -> None:
        """There is nothing to fill up."""
        return None

    def summary(self) -> str:
        """Describe the arithmetic in a few words.

        Examples
        --------
        >>> from minimac.spec import load_design
        >>> load_design({"name": "m", "unit": "convert", "a": "int32", "b": "fp32",
        ...     "out": "int8", "out_round": "sr_a", "random": "lfsr"}).summary()
        'int32 x fp32 -> int8, sr_a of 8 bits from lfsr'
        """
        names = " x ".join(fmt.name for fmt in self.operands.values())
        return f"{names} -> {self.out.name}, {self._how(self.out_round)}"


@dataclass(frozen=True, kw_only=True)
class Quantize(_RandomBits, Design):
    """A block of numbers as elements with a shared scale, which follows from the largest of them.

    A transfer is a block: ``out.size`` codes of ``a``. Each element is the exact quotient of a
    number, its scale and that of the tensor, rounded once by ``out_round``. A block with NaN or an
    infinity has the scale NaN and elements of zero; one of zeros the scale 1, or the nearest.

    Parameters
    ----------
    random, random_bits, seed
        As of :class:`Convert`, for each element; with an LFSR each has a register of its own, of
        which :meth:`Lfsr.lane` says the seed.
    """

    unit: ClassVar[str] = "quantize"

    b: Format | None = None  # type: ignore[assignment]  # there is none

    def __post_init__(self) -> None:
        if self.b is not None:
            raise SpecError("b: quantize has one operand; leave this key out")
        if not isinstance(self.a, (Minifloat, FixedPoint)):
            raise SpecError(f"a: must be a minifloat or fixed-point format, not {self.a.name}")
        _add_nothing_up(self)
        self._fill_in_random(Rounding(self.out_round), self.reset)
        super().__post_init__()

    def _check_out(self) -> None:
        out = self.out
        if not isinstance(out, BlockFormat):
            raise SpecError(
                f"out: must be a block format, such as mxfp4, not {out.name}; for "
                "single numbers use unit convert"
            )
        if out.size is None or out.size > _LARGEST_BLOCK:
            size = out.size or "all of a tensor"
            raise SpecError(
                f"out: a block must have 1 to {_LARGEST_BLOCK} elements, not {size}; end "
                f"{out.name.partition(':size')[0]} with :size=N"
            )
        if not isinstance(out.element, (Minifloat, FixedPoint)):
            raise SpecError(
                "out: elements must be of a minifloat or fixed-point format, not "
                f"{out.element.name}"
            )
        if self.out_overflow is not Overflow.SATURATE:
            raise SpecError("out_overflow: elements of blocks saturate; leave this key out")
        if (self.a.has_nan or self.a.has_infinities) and not out.scale.has_nan:
            raise SpecError(
                f"out: {out.scale.name}, the format of its scales, has no NaN for those of "
                f"{self.a.name}; use another scale"
            )
        if isinstance(out.element, FixedPoint) and out.element.width + (self.random_bits or 0) > 63:
            raise SpecError(f"random_bits: must be at most 31 for elements of {out.element.name}")

    @property
    def operands(self) -> dict[str, Format]:
        """Formats of the operands, by name."""
        return {"a": self.a}

    @property
    def block(self) -> BlockFormat:
        """Format of the result."""
        assert isinstance(self.out, BlockFormat)
        return self.out

    @property
    def has_nan(self) -> bool:
        """Whether a number can be NaN."""
        return self.a.has_nan

    @property
    def has_infinities(self) -> bool:
        """Whether a number can be infinite."""
        return self.a.has_infinities

    @property
    def product_bits(self) -> int:
        """Width of the significand of a number, in bits."""
        return self.a.sig_bits

    @property
    def product_range(self) -> tuple[int, int]:
        """Least and greatest number, in units of ``2**lsb_exp``."""
        return self.a.min_lsbs, self.a.max_lsbs

    @property
    def lsb_exp(self) -> int:
        """Exponent of the unit of which all numbers are multiples."""
        return self.a.lsb_exp

    @property
    def padding(self) -> None:
        """There is nothing to fill up."""
        return None

    def as_dict(self) -> dict[str, Any]:
        """Return the design as a design file would have it, without what it has no use for."""
        fields = _shown(super().as_dict()).items()
        return {key: x for key, x in fields if key != "out_overflow"}

    def summary(self) -> str:
        """Describe the arithmetic in a few words.

        Examples
        --------
        >>> from minimac.spec import load_design
        >>> load_design({"name": "m", "unit": "quantize", "a": "bf16", "out": "mxfp4"}).summary()
        'bf16 -> mxfp4, blocks of 32, rule floor, rne'
        """
        out = self.block
        how = f"blocks of {out.size}, rule {out.rule}, {self._how(self.out_round)}"
        return f"{self.a.name} -> {out.name}, {how}"
