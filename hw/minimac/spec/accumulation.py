"""How the products of a dot product are added up: what most simulators leave vague."""

import dataclasses
import enum
import re
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from minimac.spec.errors import SpecError
from minimac.spec.formats import FP32, FixedPoint, Format, Minifloat, check_narrow
from minimac.spec.rounding import Overflow, Rounding

__all__ = [
    "PRESETS",
    "Accumulation",
    "ExactAccumulation",
    "FixedAccumulation",
    "FloatAccumulation",
    "FusedAccumulation",
    "Normalization",
    "Preset",
    "RoundedAccumulation",
    "plain",
]


@dataclass(frozen=True)
class Normalization:
    """How far a sum is shifted left to bring its leading one to the top.

    ``coarse`` is None for the exact normalisation, ``()`` for none at all, and ``(k, l)`` for the
    approximate one of arXiv 2408.11997: by 0 if any of the top ``k`` bits is set, else by ``k`` if
    any of the next ``l`` is, else by ``k + l``. It only ever shifts too little: no value is lost.

    Examples
    --------
    >>> Normalization.parse("approx(1, 2)")
    Normalization(coarse=(1, 2))
    >>> str(_), str(Normalization(None))
    ('approx(1,2)', 'exact')
    """

    coarse: tuple[int, int] | tuple[()] | None = None

    @classmethod
    def parse(cls, text: str) -> "Normalization":
        """Turn ``exact``, ``none`` or ``approx(k,l)`` into a normalisation."""
        if text == "exact":
            return cls(None)
        if text == "none":
            return cls(())
        found = re.fullmatch(r"approx\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*\)", text)
        if not found or not (int(found[1]) and int(found[2])):
            raise SpecError(
                f"must be exact, none or approx(k,l) with k and l at least 1, not {text!r}"
                " (inside { } it needs quotes)"
            )
        return cls((int(found[1]), int(found[2])))

    def __str__(self) -> str:
        if self.coarse is None:
            return "exact"
        return "approx({},{})".format(*self.coarse) if self.coarse else "none"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls.parse, core_schema.str_schema(strict=True)
        )


class Accumulation:
    """Base of the kinds of accumulation; ``kind`` is the word that a design names it by."""

    kind: ClassVar[str]
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    max_terms: int = 1 << 30  #: Most products in one chain; more would be refused.

    @property
    def state_format(self) -> Minifloat | None:
        """Format that a chain is rounded to after every step, if there is one."""
        return None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        if cls is not Accumulation:
            return handler(source)
        choices: dict[Any, Any] = {
            sub.kind: core_schema.no_info_before_validator_function(
                lambda tree: {key: value for key, value in tree.items() if key != "kind"},
                handler.generate_schema(sub),
            )
            for sub in Accumulation.__subclasses__()
        }
        return core_schema.tagged_union_schema(choices, discriminator="kind")

    def as_dict(self) -> dict[str, Any]:
        """Return the accumulation as a design file would have it."""
        fields = {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]  # all subclasses are dataclasses
        return dict(sorted((fields | {"kind": self.kind}).items()))

    def describe(self) -> str:
        """Describe the accumulation in a few words."""
        return self.kind


def plain(value: Any) -> Any:
    """Return the value of a field as a design file would have it."""
    if isinstance(value, Format):
        return value.name
    if hasattr(value, "as_dict"):
        return value.as_dict()
    return str(value) if isinstance(value, (enum.Enum, Normalization)) else value


def _check_max_terms(acc: Accumulation) -> None:
    if not 1 <= acc.max_terms <= Accumulation.max_terms:
        raise SpecError(f"max_terms must be 1 to 2**30, not {acc.max_terms}")


def _check_round(acc: Any) -> None:
    object.__setattr__(acc, "round", Rounding(acc.round))
    if acc.round.stochastic:
        raise SpecError(f"round must not be stochastic, as {acc.round} is")


def _check_state(fmt: Format) -> None:
    if not isinstance(fmt, Minifloat) or not fmt.signed:
        raise SpecError(f"format must be a signed minifloat, not {fmt.name}")


@dataclass(frozen=True, kw_only=True)
class ExactAccumulation(Accumulation):
    """Fixed-point accumulator wide enough for every sum of ``max_terms`` products (Kulisch)."""

    kind: ClassVar[str] = "exact"

    max_terms: int = 65536

    def __post_init__(self) -> None:
        _check_max_terms(self)


@dataclass(frozen=True, kw_only=True)
class FixedAccumulation(Accumulation):
    """Fixed-point accumulator of a given format; every product is rounded into it.

    Parameters
    ----------
    format : FixedPoint
        Format of the accumulator.
    round : Rounding
        How a product becomes a multiple of the accumulator's lsb.
    overflow : Overflow
        ``saturate`` or ``wrap``: what becomes of a sum, after each step, that is out of range.
    chunk, outer : int and Accumulation, optional
        The sum of every ``chunk`` products is one term of the ``outer`` accumulation
        (arXiv 1802.00930); the last chunk may be short.
    """

    kind: ClassVar[str] = "fixed"

    format: Format
    round: Rounding = Rounding.TRUNCATE
    overflow: Overflow = Overflow.SATURATE
    chunk: int | None = None
    outer: Accumulation | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.format, FixedPoint):
            raise SpecError(f"format must be fixed point, not {self.format.name}")
        check_narrow(self.format)
        _check_round(self)
        object.__setattr__(self, "overflow", Overflow(self.overflow))
        if self.overflow not in (Overflow.SATURATE, Overflow.WRAP):
            raise SpecError(f"overflow must be saturate or wrap, not {self.overflow}")
        if self.overflow is Overflow.WRAP and self.format.symmetric:
            raise SpecError(
                f"overflow wrap needs a format with all its codes, not {self.format.name}"
            )
        if (self.chunk is None) != (self.outer is None):
            raise SpecError("chunk and outer go together: the sum of a chunk is a term of outer")
        if self.chunk is not None and not 1 <= self.chunk <= Accumulation.max_terms:
            raise SpecError(f"chunk must be 1 to 2**30, not {self.chunk}")
        if isinstance(self.outer, FixedAccumulation) and self.outer.chunk:
            raise SpecError("outer must not have chunks of its own")
        if isinstance(self.outer, FloatAccumulation) and self.outer.width < self.format.sig_bits:
            raise SpecError(
                f"outer.width must be at least {self.format.sig_bits} to hold a sum of "
                f"{self.format.name}, not {self.outer.width}"
            )

    @property
    def max_terms(self) -> int:  # type: ignore[override]  # in other kinds it is a field
        """Most products in one chain: as many chunks as ``outer`` takes."""
        most = Accumulation.max_terms
        return min(most, self.chunk * self.outer.max_terms) if self.chunk and self.outer else most

    @property
    def state_format(self) -> Minifloat | None:
        """Format that a chain is rounded to after every step of ``outer``, if there is one."""
        return self.outer.state_format if self.outer else None

    def describe(self) -> str:
        """Describe the accumulation in a few words."""
        own = f"fixed {self.format.name} {self.round} {self.overflow}"
        return own + (f", each {self.chunk} into {self.outer.describe()}" if self.outer else "")


@dataclass(frozen=True, kw_only=True)
class RoundedAccumulation(Accumulation):
    """Fused multiply-adds: each step is the correctly rounded ``a*b + acc``, as in IEEE 754.

    Parameters
    ----------
    format : Minifloat
        Format of the accumulator.
    round : Rounding
        How each step is rounded. Overflow is that of IEEE 754 where the format has infinities, and
        saturates elsewhere.
    """

    kind: ClassVar[str] = "rounded"

    format: Format
    round: Rounding = Rounding.RNE

    def __post_init__(self) -> None:
        _check_state(self.format)
        _check_round(self)

    @property
    def state_format(self) -> Minifloat:
        """Format that a chain is rounded to after every step."""
        assert isinstance(self.format, Minifloat)
        return self.format

    def describe(self) -> str:
        """Describe the accumulation in a few words."""
        return f"rounded {self.format.name} {self.round}"


@dataclass(frozen=True, kw_only=True)
class FloatAccumulation(Accumulation):
    """Chained multiply-add on an unpacked float that is not rounded to a format until the end.

    Parameters
    ----------
    width : int
        Width ``W`` of the magnitude, in bits; at least that of a product.
    guard : int
        Extra bits kept below while two numbers are aligned and added.
    sticky : bool
        One more bit below those, the OR of all that alignment shifts out.
    normalize : Normalization
        How the sum is normalised.
    round : Rounding
        How the window of ``width``, ``guard`` and ``sticky`` bits is brought back to ``width``.
    """

    kind: ClassVar[str] = "float"

    width: int
    guard: int = 0
    sticky: bool = False
    normalize: Normalization = Normalization()
    round: Rounding = Rounding.TRUNCATE
    max_terms: int = 65536

    def __post_init__(self) -> None:
        _check_max_terms(self)
        _check_round(self)
        if self.width < 1:
            raise SpecError(f"width must be at least 1, not {self.width}")
        if self.guard < 0:
            raise SpecError(f"guard must be at least 0, not {self.guard}")
        if self.window_bits > 62:
            raise SpecError(
                f"width, guard and sticky must be 62 bits at most together, not {self.window_bits}"
            )
        if self.normalize.coarse and sum(self.normalize.coarse) > self.width:
            raise SpecError(
                f"normalize {self.normalize} looks at more than width ({self.width}) bits"
            )

    @property
    def creeps(self) -> bool:
        """Whether rounding may go up by almost an ulp in every step, however small the product.

        So do the directed modes, and ``rna`` where the sticky bit alone counts as a half.
        """
        if self.round.directed:
            return self.window_bits > self.width
        return self.round is Rounding.RNA and self.guard == 0 and self.sticky

    @property
    def window_bits(self) -> int:
        """Width of what is added, in bits: magnitude, guard and sticky bit."""
        return self.width + self.guard + self.sticky

    def describe(self) -> str:
        """Describe the accumulation in a few words."""
        words = [f"float {self.width}" + (f"+{self.guard}" if self.guard else "")]
        words += ["sticky"] if self.sticky else []
        words += [str(self.normalize)]
        words += [str(self.round)] if self.window_bits > self.width else []
        return " ".join(words)


@dataclass(frozen=True, kw_only=True)
class FusedAccumulation(Accumulation):
    """Groups of products and the accumulator summed at once, as matrix engines do.

    Parameters
    ----------
    group : int
        Products in a group; a short last one is padded with zeros.
    frac_bits : int
        Each term is truncated to a multiple of ``2**(emax - frac_bits)``, where ``emax`` is the
        largest exponent among the terms that are not zero.
    sticky : bool
        One more bit below those, the OR of all that a term loses.
    round : Rounding
        How the sum is rounded. Overflow gives an infinity in every mode, as it does in an H100, and
        saturates in a format without.
    format : Minifloat
        Format of the accumulator.
    out_frac_bits : int, optional
        Bits of its mantissa that are used; all by default.
    """

    kind: ClassVar[str] = "fused"

    group: int
    frac_bits: int
    sticky: bool = False
    round: Rounding = Rounding.TRUNCATE
    format: Format = FP32
    out_frac_bits: int = None  # type: ignore[assignment]  # __post_init__ fills it in

    def __post_init__(self) -> None:
        _check_state(self.format)
        _check_round(self)
        assert isinstance(self.format, Minifloat)
        if self.out_frac_bits is None:
            object.__setattr__(self, "out_frac_bits", self.format.man_bits)
        if self.group < 1:
            raise SpecError(f"group must be at least 1, not {self.group}")
        if self.frac_bits < 0:
            raise SpecError(f"frac_bits must be at least 0, not {self.frac_bits}")
        if self.sum_bits > 62:
            raise SpecError(
                f"frac_bits {self.frac_bits} and group {self.group} make sums of {self.sum_bits} "
                "bits; 62 are the most"
            )
        if not 0 <= self.out_frac_bits <= self.format.man_bits:
            raise SpecError(
                f"out_frac_bits must be 0 to {self.format.man_bits}, those of {self.format.name}, "
                f"not {self.out_frac_bits}"
            )
        try:
            self.state_format  # noqa: B018  # not every format can be narrowed
        except SpecError as error:
            raise SpecError(f"out_frac_bits: {error}") from None

    @property
    def sum_bits(self) -> int:
        """Width of a sum of a group and the accumulator without its sign, in bits."""
        # A product is below 4 * 2**emax, the accumulator below 2 * 2**emax.
        return self.frac_bits + self.sticky + (4 * self.group + 2).bit_length()

    @property
    def state_format(self) -> Minifloat:
        """Format of the accumulator, its mantissa narrowed to the bits that are used."""
        assert isinstance(self.format, Minifloat)
        return dataclasses.replace(self.format, man_bits=self.out_frac_bits)

    def describe(self) -> str:
        """Describe the accumulation in a few words."""
        own = f"fused {self.group}, {self.frac_bits}{' sticky' if self.sticky else ''}"
        return f"{own} -> {self.format.name}/{self.out_frac_bits} {self.round}"


class Preset(NamedTuple):
    """An accumulation with a name, and the formats that it is known to hold for."""

    accumulate: Accumulation
    operands: tuple[str, ...]
    mixed: bool  #: Whether the two operands may be of different formats.


#: What an accumulation may be called in a design. Both were checked against recordings of an H100.
PRESETS = {
    "hopper_fp8": Preset(
        FusedAccumulation(group=32, frac_bits=13, out_frac_bits=13), ("e4m3fn", "e5m2"), mixed=True
    ),
    "hopper_fp16": Preset(FusedAccumulation(group=16, frac_bits=25), ("fp16", "bf16"), mixed=False),
}
