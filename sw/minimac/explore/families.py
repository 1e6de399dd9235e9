"""Families of formats: what the points of a plot are coloured by."""

import functools
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
    parse_format,
)

__all__ = ["family"]

_WIDE = 8  # bits; a minifloat has no more


def family(design: dict[str, Any]) -> str:
    """Return what kind of numbers a design multiplies.

    Parameters
    ----------
    design : dict
        As :attr:`DesignResult.design` has it.

    Examples
    --------
    >>> family({"a": "e4m3fn", "b": "e4m3fn"})
    'minifloat'
    >>> family({"a": "bf16", "b": "int4"})
    'float x integer'
    >>> family({"a": "int4", "b": "bf16"})
    'float x integer'
    >>> family({"unit": "softmax"})
    'other'
    """
    names = [design[key] for key in ("a", "b") if isinstance(design.get(key), str)]
    return " x ".join(sorted({_kind(name) for name in names})) or "other"


@functools.cache
def _kind(name: str) -> str:
    try:
        fmt: Format = parse_format(name)
    except SpecError:
        return "other"
    match fmt:
        case Minifloat():
            return "minifloat" if fmt.width <= _WIDE else "float"
        case FixedPoint():
            return "fixed point" if fmt.frac_bits else "integer"
        case BlockFormat():
            return "block"
        case Codebook():
            return "codebook"
        case KHot() | ExponentOnly():
            return "powers of two"
    return "other"
