"""Accumulators: one step of a chain, from two operands and the state before to the next state.

Each kind of accumulation of :mod:`minimac.spec` has a class here, with the layout of its state and
the two parts of a step: ``multiply`` looks at the operands alone, and so may run ahead of the
state; ``step`` adds the product to the state.
"""

import functools
import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import data

from minimac.rtl.delay import Delays, Section
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import special_bits
from minimac.spec import Arithmetic

__all__ = ["Accumulator", "Fraction", "Integer", "Scaled", "State"]


@dataclass(frozen=True)
class Fraction:
    """A finite value ``(-1)**sign * magnitude * 2**(base + exponent - (len(magnitude) - 1))``.

    Attributes
    ----------
    sign, magnitude, exponent : Value
        The exponent is unsigned.
    base : int
        What ``exponent`` counts from.
    max_exp : int
        Greatest exponent of a leading one.
    normal_from : int, optional
        ``exponent`` from which on a magnitude other than zero has its top bit set; None if it may
        be clear at any.
    loose_to : int, optional
        Greatest exponent of a top bit that may be clear in a magnitude other than zero; None if it
        may be at any.
    """

    sign: Value
    magnitude: Value
    exponent: Value
    base: int
    max_exp: int
    normal_from: int | None = None
    loose_to: int | None = None


@dataclass(frozen=True)
class Integer:
    """A finite value in two's complement: ``lsbs * 2**lsb_exp``."""

    lsbs: Value
    lsb_exp: int

    def fraction(self, m: Module, bits: int) -> Fraction:
        """Return sign and magnitude, of so many bits, with a constant exponent."""
        magnitude = Signal(bits, name="magnitude")
        m.d.comb += magnitude.eq(Mux(self.lsbs < 0, -self.lsbs, self.lsbs))
        top = self.lsb_exp + bits - 1
        return Fraction(self.lsbs < 0, magnitude, Const(0, 1), top, top)


@dataclass(frozen=True)
class Scaled:
    """A finite value in two's complement, with an exponent: ``lsbs * 2**(lsb_exp + exponent)``.

    Attributes
    ----------
    lsbs, exponent : Value
        The exponent is unsigned.
    lsb_exp : int
        What ``exponent`` counts from.
    reach : int
        Greatest ``exponent``.
    """

    lsbs: Value
    exponent: Value
    lsb_exp: int
    reach: int


class State(ABC):
    """A sum in hardware, as it is before it is rounded.

    Parameters
    ----------
    spec : Arithmetic
        What is computed.
    """

    def __init__(self, spec: Arithmetic) -> None:
        self.spec = spec

    @property
    def special_bits(self) -> int:
        """Width of the state's ``special``, in bits.

        With infinities, bit 0 is +inf, bit 1 is -inf, and both are NaN: an OR of two states makes
        NaN of infinities of either sign. Without infinities, the one bit is NaN.
        """
        return special_bits(self.spec)

    @property
    @abstractmethod
    def state_layout(self) -> data.StructLayout:
        """Layout of the sum; all zero is the state before the first product of a chain."""

    @abstractmethod
    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Present a state as sign, magnitude and exponent."""

    def special(self, m: Module, state: data.View) -> Value:
        """Return what tells NaN and infinities of a state, ``special_bits`` wide."""
        return state.special if self.special_bits else Const(0, 0)

    def code(self, m: Module, state: data.View) -> Value | None:
        """Present a state as a code of ``spec.out``, if it holds one and no foot is needed."""
        return None

    def integer(self, m: Module, state: data.View) -> Integer | None:
        """Present a state in two's complement, if it is an integer of moderate width."""
        return None

    def scaled(self, m: Module, state: data.View) -> Scaled | None:
        """Present a state in two's complement with an exponent, if it is kept like that."""
        return None

    def with_special(self, fields: dict[str, Any]) -> data.StructLayout:
        """Return a layout of these fields, and of ``special`` if there is any."""
        return data.StructLayout(
            fields | ({"special": self.special_bits} if self.special_bits else {})
        )

    def take_special(self, target: data.View, *sources: Any) -> list[Any]:
        """Return the assignment of the OR of the sources' ``special``, if there is any."""
        if not self.special_bits:
            return []
        values = [x.special if isinstance(x, data.View) else x for x in sources]
        return [target.special.eq(functools.reduce(operator.or_, values))]


class Accumulator(State):
    """One kind of accumulation in hardware, with the state of its chain."""

    @property
    def operands(self) -> dict[str, ShapeLike]:
        """Shapes of the operands of a step: a code of each format."""
        return {"a": self.spec.a.width, "b": self.spec.b.width}

    @property
    def operand_meaning(self) -> dict[str, str]:
        """What each operand stands for, for the description of an interface."""
        return {"a": f"code of {self.spec.a.name}", "b": f"code of {self.spec.b.name}"}

    @property
    @abstractmethod
    def meaning(self) -> dict[str, str]:
        """What each field of the state stands for, for the description of an interface."""

    @property
    def special_meaning(self) -> dict[str, str]:
        """What ``special`` stands for, if there is any."""
        words = ["", "NaN", "bit 0: +inf, bit 1: -inf, both: NaN"]
        return {"special": words[self.special_bits]} if self.special_bits else {}

    @abstractmethod
    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Return the pieces of a step between the places for registers, the last ends a step."""

    @abstractmethod
    def multiply(self, m: Module, pipe: Pipeline, a: Any, b: Any) -> data.View:
        """Multiply the operands; the result is of the kind's own layout."""

    @abstractmethod
    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Add a product to a state."""

    def finish(self, m: Module, state: data.View) -> tuple["Accumulator", data.View]:
        """Add to a state at the end of its chain what was put off, ahead of all that is below.

        Returns
        -------
        accumulator : Accumulator
            The kind of accumulation that the state is now of.
        state : data.View
            A state from which nothing is missing.
        """
        return self, state

    def finish_ps(self, delays: Delays) -> float:
        """Estimate the delay of :meth:`finish`, in ps."""
        return 0.0
