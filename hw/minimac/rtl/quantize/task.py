"""What a quantiser has to do: formats, rules, ranges, and what has no circuit."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed

from minimac.rtl.operand import unpack
from minimac.rtl.quantize.leasterror import MOST_BITS, MOST_CODE_BITS, smaller_scales
from minimac.rtl.shift import leading_zeros, shift_left
from minimac.spec import (
    BlockFormat,
    ExponentOnly,
    FixedPoint,
    Minifloat,
    Quantize,
    ScaleRule,
    SpecError,
)

__all__ = ["Task"]


class Task:
    """A design as its circuits see it.

    Attributes
    ----------
    a, element, scale : Format
        Of the numbers, of the elements, of the scale of a block.
    size : int
        Numbers in a block.
    smaller : int
        Scales below that of ``roundup`` that rule ``mse`` tries.
    divides : bool
        Whether numbers are divided by scales; else exponents are subtracted.
    lowest, highest : int
        Least and greatest exponent of the leading one of a number other than zero.

    Raises
    ------
    SpecError
        If there is no circuit for the rule.
    """

    def __init__(self, design: Quantize) -> None:
        self.design = design
        self.block = block = design.block
        self.a: Any = design.a
        self.element: Any = block.element
        self.scale: Any = block.scale
        self.size = block.size or 1
        self.smaller = _smaller_scales(block) if block.rule is ScaleRule.MSE else 0
        self.has_powers = isinstance(block.scale, ExponentOnly)
        self.divides = not self.has_powers or block.tensor_scale is not None
        self.lowest = self.a.min_exp if self.is_normal else self.a.lsb_exp
        self.highest = self.a.max_exp

    @property
    def is_normal(self) -> bool:
        """Whether all numbers but zero have their leading one at the top."""
        return isinstance(self.a, Minifloat) and self.a.ftz

    @property
    def magnitude_bits(self) -> int:
        """Width of what magnitudes are compared by."""
        return self.a.magnitude_bits if isinstance(self.a, Minifloat) else self.a.sig_bits

    def magnitude(self, code: Value) -> Value:
        """Return what the magnitude of a code is compared by: that of NaN is of no use."""
        if isinstance(self.a, FixedPoint):
            return unpack(self.a, code).significand
        magnitude = code[: self.a.magnitude_bits]
        return Mux(unpack(self.a, code).zero, 0, magnitude) if self.a.ftz else magnitude

    def largest(self, m: Module, magnitude: Value) -> tuple[Value, Value]:
        """Return the largest magnitude's significand, its leading one at the top, and its exponent.

        The exponent is signed, and means nothing for zero.
        """
        if isinstance(self.a, FixedPoint):
            significand, exponent = magnitude, Const(self.a.min_exp, signed(12))
        else:
            code = Cat(magnitude, Const(0, int(self.a.signed)))
            x = unpack(self.a, code)
            significand, exponent = x.significand, x.exponent + x.base
        if self.is_normal:
            return significand, exponent
        zeros = leading_zeros(m, significand)
        return shift_left(m, significand, zeros), exponent - zeros


def _smaller_scales(out: BlockFormat) -> int:
    """Return how many scales below that of ``roundup`` rule ``mse`` has to try."""
    element: Any = out.element
    instead = out.name.replace("mse", "roundup")
    if not isinstance(out.scale, ExponentOnly) or out.tensor_scale is not None:
        raise SpecError(
            "out: rule mse has circuits for scales of powers of two and none of the tensor; use "
            f"{instead}"
        )
    bits = max(element.max_lsbs, -element.min_lsbs).bit_length()
    wide = bits > MOST_BITS or element.width > MOST_CODE_BITS
    if wide or not element.signed or (isinstance(element, Minifloat) and element.ftz):
        raise SpecError(
            f"out: rule mse has circuits for signed elements of at most {MOST_CODE_BITS} bits, "
            f"{MOST_BITS} as fixed point, with subnormals, which {element.name} is not; use "
            f"{instead}"
        )
    smaller = smaller_scales(element, out.size or 1)
    if smaller is None:
        raise SpecError(
            f"out: rule mse has to try too many scales in blocks of {out.size} of {element.name}; "
            f"use a smaller size, or {instead}"
        )
    return smaller
