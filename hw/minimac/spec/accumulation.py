"""How the products of a dot product are added up: what most simulators leave vague."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from minimac.spec.errors import SpecError
from minimac.spec.rounding import Rounding

__all__ = ["Accumulation", "ExactAccumulation", "FloatAccumulation", "Normalization"]


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


@dataclass(frozen=True, kw_only=True)
class Accumulation:
    """Base of the kinds of accumulation; ``kind`` is the word that a design names it by.

    Parameters
    ----------
    max_terms : int
        Most products in one chain. More would be refused, so hardware is as wide as these need.
    """

    kind: ClassVar[str]
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    max_terms: int = 65536

    def __post_init__(self) -> None:
        if not 1 <= self.max_terms <= 1 << 30:
            raise SpecError(f"max_terms must be 1 to 2**30, not {self.max_terms}")

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
        fields = dataclasses.asdict(self) | {"kind": self.kind}
        if "normalize" in fields:
            fields["normalize"] = str(self.normalize)  # type: ignore[attr-defined]
        return {key: str(v) if isinstance(v, Rounding) else v for key, v in sorted(fields.items())}


@dataclass(frozen=True, kw_only=True)
class ExactAccumulation(Accumulation):
    """Fixed-point accumulator wide enough for every sum of ``max_terms`` products (Kulisch)."""

    kind: ClassVar[str] = "exact"


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

    def __post_init__(self) -> None:
        super().__post_init__()
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
