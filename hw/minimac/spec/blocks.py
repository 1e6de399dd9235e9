"""Block formats: elements that share a scale."""

import dataclasses
import enum
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from minimac.spec.codebooks import BorrowedFormat
from minimac.spec.errors import SpecError, nearest, short
from minimac.spec.formats import (
    E8M0,
    FP32,
    NUMBER,
    ExponentOnly,
    FixedPoint,
    Format,
    Minifloat,
    Specials,
    check_narrow,
)

__all__ = ["BLOCKS", "BlockFormat", "ScaleRule"]


class ScaleRule(enum.StrEnum):
    """How the scale of a block follows from its largest magnitude ``amax``.

    Let ``largest`` be the largest element and ``emax`` the exponent of its leading one. The first
    four are for powers of two; in a scale format with a mantissa ``amax / largest`` is rounded, by
    ``truncate``, ``up``, ``rne`` and ``up``.
    """

    #: ``2**(floor(log2(amax)) - emax)`` (OCP MX 1.0).
    FLOOR = "floor"

    #: ``2**(ceil(log2(amax)) - emax)``.
    CEIL = "ceil"

    #: As ``floor``, of ``amax`` rounded to as many bits as an element has.
    EVEN = "even"

    #: The least one that clips nothing: ``2**ceil(log2(amax / largest))`` (arXiv 2510.25602).
    ROUNDUP = "roundup"

    #: The one with the least sum of squared errors; of several, the largest.
    MSE = "mse"


@dataclass(frozen=True)
class BlockFormat(BorrowedFormat):
    """Elements in blocks along an axis, each block with a scale, and perhaps a scale for all.

    As a :class:`Format` it is that of its elements: their codes, their operands.

    Parameters
    ----------
    element : Format
        Format of the elements.
    size : int, optional
        Elements in a block; the last one may be short. None: one block for a whole tensor.
    scale : Format
        Format of the scales: a minifloat, or :class:`ExponentOnly`.
    rule : ScaleRule
        How a scale is chosen.
    tensor_scale : Format, optional
        Minifloat format of one more scale for the whole tensor.

    Raises
    ------
    SpecError
        If there is no such format.

    Examples
    --------
    >>> from minimac.spec import parse_format
    >>> nvfp4 = parse_format("nvfp4")
    >>> nvfp4.element.name, nvfp4.size, nvfp4.scale.name, nvfp4.tensor_scale.name
    ('e2m1', 16, 'ue4m3fn', 'fp32')
    >>> parse_format("block:e2m1:size=16:scale=ue5m3:rule=even:tensor=fp32").name
    'nvfp4:scale=ue5m3'
    """

    grammar: ClassVar[str] = (
        "mxfp8_e4m3, mxint8, nvfp4, bfp16, dfpN or block:ELEMENT:size=N:scale=S"
    )

    element: Format
    size: int | None = 32
    scale: Format = E8M0
    rule: ScaleRule = ScaleRule.FLOOR
    tensor_scale: Format | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", ScaleRule(self.rule))
        if isinstance(self.element, (BlockFormat, ExponentOnly)):
            raise SpecError(
                f"elements of a block must be of a scalar format, not {self.element.name}"
            )
        check_narrow(self.element)
        if self.size is not None and not 1 <= self.size <= 65536:
            raise SpecError(f"a block has 1 to 65536 elements, not {self.size}")
        if not isinstance(self.scale, (ExponentOnly, Minifloat)):
            raise SpecError(f"scales must be a minifloat or e8m0, not {self.scale.name}")
        if self.tensor_scale is not None and not isinstance(self.tensor_scale, Minifloat):
            raise SpecError(f"a tensor's scale must be a minifloat, not {self.tensor_scale.name}")
        if self.element.max_lsbs < 1:
            raise SpecError("elements must have a positive value")

    @classmethod
    def from_words(cls, word: str, options: Sequence[str]) -> "BlockFormat | None":
        """Return the format of a name: ``mxfp4``, ``mxint8:ocp``, ``nvfp4:scale=ue5m3``."""
        dynamic = re.fullmatch(f"dfp({NUMBER})", word)
        if not (word == "block" or dynamic or word in BLOCKS):
            return None
        sections = _sections(options)
        plain = sections.pop("", [])
        if word == "block":
            if not plain:
                raise SpecError("block takes the format of its elements: block:e2m1:size=16")
            base = cls(_parse(plain))
        else:
            base = _dynamic(int(dynamic[1])) if dynamic else BLOCKS[word]
        if word != "block" and plain:
            known = ", ".join([*_KEYS, "ocp"] if word.startswith("mxint") else _KEYS)
            if plain != ["ocp"] or not word.startswith("mxint"):
                raise SpecError(f"option {short(':'.join(plain))} is unknown; known are {known}")
            base = dataclasses.replace(base, element=_asymmetric(base.element))
        for key, words in sections.items():
            base = dataclasses.replace(base, **_KEYS[key](words))
        return base

    @property
    def name(self) -> str:
        """Canonical name: the nearest well-known one, and what differs from it."""
        element = self.element.name
        named = [(name, fmt) for name, fmt in BLOCKS.items() if fmt.element == self.element]
        if re.fullmatch("int[0-9]+", element):
            named.append((f"dfp{self.element.width}", _dynamic(self.element.width)))
        for name in ("mxint8", "mxint6", "mxint4"):
            ocp = dataclasses.replace(BLOCKS[name], element=_asymmetric(BLOCKS[name].element))
            if ocp.element == self.element:
                named.append((f"{name}:ocp", ocp))
        named.append((f"block:{element}", BlockFormat(self.element)))
        differing = [(_differences(self, fmt), name) for name, fmt in named]
        options, name = min(differing, key=lambda pair: len(pair[0]))
        return ":".join([name, *options])

    @property
    def value_format(self) -> Format:
        """Format that an operand of this one counts as, its scale apart."""
        return self.element.value_format

    @property
    def width(self) -> int:
        """Width of an element's code, in bits."""
        return self.element.width

    @property
    def min_lsbs(self) -> int:
        """Least element, as a multiple of ``2**lsb_exp``."""
        return self.element.min_lsbs

    @property
    def max_lsbs(self) -> int:
        """Largest element, as a multiple of ``2**lsb_exp``."""
        return self.element.max_lsbs

    @property
    def has_infinities(self) -> bool:
        """Whether some elements are infinite."""
        return self.element.has_infinities

    @property
    def has_nan(self) -> bool:
        """Whether some elements or scales are NaN; an infinite scale counts as such."""
        return self.element.has_nan or self.scale.has_nan or self.scale.has_infinities

    def holds(self, code: int) -> bool:
        """Whether a number is a code of an element."""
        return self.element.holds(code)

    def lsbs(self, code: int) -> int:
        """Return the value of an element's code, as a multiple of ``2**lsb_exp``."""
        return self.element.lsbs(code)


def _parse(words: Sequence[str]) -> Format:
    from minimac.spec.names import parse_format

    return parse_format(":".join(words))


def _asymmetric(element: Format) -> Format:
    assert isinstance(element, FixedPoint)
    return dataclasses.replace(element, symmetric=False)


def _dynamic(bits: int) -> BlockFormat:
    """Dynamic fixed point: integers with one exponent for a tensor (arXiv 1802.00930)."""
    return BlockFormat(_parse([f"int{bits}"]), None)


def _size(words: Sequence[str]) -> dict[str, int | None]:
    text = ":".join(words)
    if text != "tensor" and not re.fullmatch(NUMBER, text):
        raise SpecError(f"size must be a number or tensor, not {short(text)}")
    return {"size": None if text == "tensor" else int(text)}


def _rule(words: Sequence[str]) -> dict[str, ScaleRule]:
    text = ":".join(words)
    if text not in list(ScaleRule):
        known = ", ".join(ScaleRule)
        raise SpecError(f"rule must be one of {known}, not {short(text)}{nearest(text, ScaleRule)}")
    return {"rule": ScaleRule(text)}


def _tensor(words: Sequence[str]) -> dict[str, Format | None]:
    return {"tensor_scale": None if words == ["none"] else _parse(words)}


# Options: what each means as fields.
_KEYS: dict[str, Callable[[Sequence[str]], Any]] = {
    "size": _size,
    "scale": lambda words: {"scale": _parse(words)},
    "rule": _rule,
    "tensor": _tensor,
}


def _sections(options: Sequence[str]) -> dict[str, list[str]]:
    """Sort the words of a name under the keys; those ahead of the first key under ``""``."""
    sections: dict[str, list[str]] = {}
    key = ""
    for option in options:
        start, _, rest = option.partition("=")
        if start in _KEYS:
            if start in sections:
                raise SpecError(f"option {start!r} stands there twice")
            key, option = start, rest
        sections.setdefault(key, []).append(option)
    return sections


def _differences(fmt: BlockFormat, base: BlockFormat) -> list[str]:
    """Return the options that make ``fmt`` of ``base``, which has the same elements."""
    options = []
    if fmt.size != base.size:
        options.append(f"size={fmt.size or 'tensor'}")
    if fmt.scale != base.scale:
        options.append(f"scale={fmt.scale.name}")
    if fmt.rule != base.rule:
        options.append(f"rule={fmt.rule}")
    if fmt.tensor_scale != base.tensor_scale:
        options.append(f"tensor={fmt.tensor_scale.name if fmt.tensor_scale else 'none'}")
    return options


def _well_known() -> dict[str, BlockFormat]:
    fixed, mini = FixedPoint, Minifloat
    e2m1, nv_scale = mini(2, 1), mini(4, 3, Specials.FN, signed=False)
    return {
        "mxfp8_e4m3": BlockFormat(mini(4, 3, Specials.FN)),
        "mxfp8_e5m2": BlockFormat(mini(5, 2, Specials.IEEE)),
        "mxfp6_e3m2": BlockFormat(mini(3, 2)),
        "mxfp6_e2m3": BlockFormat(mini(2, 3)),
        "mxfp4": BlockFormat(e2m1),
        "mxint8": BlockFormat(fixed(True, 1, 6, symmetric=True)),
        "mxint6": BlockFormat(fixed(True, 1, 4, symmetric=True)),
        "mxint4": BlockFormat(fixed(True, 1, 2, symmetric=True)),
        "nvfp4": BlockFormat(e2m1, 16, nv_scale, ScaleRule.EVEN, FP32),
        "nvint4": BlockFormat(
            fixed(True, 3, 0, symmetric=True), 16, nv_scale, ScaleRule.EVEN, FP32
        ),
        "bfp16": BlockFormat(fixed(True, 0, 7, symmetric=True), 64),
        "bfp12": BlockFormat(fixed(True, 0, 3, symmetric=True), 64),
    }


#: Block formats with a name of their own: OCP MX 1.0, arXiv 2510.25602, arXiv 2403.20137. Integers
#: of MX have the implicit scale of OCP: ``mxint8`` has elements up to 127/64.
BLOCKS = _well_known()
