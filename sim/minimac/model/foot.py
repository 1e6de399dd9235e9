"""The foot of a chain: the one conversion to the format of the result."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minimac.model.operands import source
from minimac.spec import Minifloat

if TYPE_CHECKING:
    from minimac.model.kernels import Target

__all__ = ["UNITY", "Foot", "factors_of"]

Factors = tuple[int, int, int]

#: Factors that change nothing.
UNITY: Factors = (1, 1, 0)


@dataclass(frozen=True)
class Foot:
    """How the state of a chain becomes a code of the result.

    Parameters
    ----------
    to : Target
        Format, rounding and overflow.
    randoms : ndarray of uint32
        A random integer for each output, in the shape of the outputs; empty if none is wanted.
    factors : tuple of int
        Two integers of at most 24 bits and the exponent of the unit of their product, by which
        every state is multiplied: the scales of tensors.
    """

    to: "Target"
    randoms: NDArray[np.uint32]
    factors: Factors = UNITY

    @property
    def _random(self) -> tuple[NDArray[np.uint32], int]:
        """Random integers along one axis, and the step from one output's to the next."""
        if not self.randoms.size:
            return np.zeros(1, np.uint32), 0
        return np.ascontiguousarray(self.randoms).ravel(), 1

    def at(self, index: Any) -> "Foot":
        """Return the foot of the outputs that an index takes."""
        return replace(self, randoms=self.randoms[index]) if self.randoms.size else self

    def shaped(self, shape: tuple[int, ...]) -> "Foot":
        """Return the foot of the same outputs in another shape."""
        return replace(self, randoms=self.randoms.reshape(shape)) if self.randoms.size else self

    def round(self, significands: NDArray[Any], exponents: NDArray[Any]) -> NDArray[np.uint32]:
        """Round ``significands * 2**exponents``; a single exponent is that of all."""
        from minimac.model.kernels import round_states

        codes = np.empty(significands.size, np.uint32)
        round_states(
            np.ascontiguousarray(significands, np.int64).ravel(),
            np.ascontiguousarray(exponents, np.int64).ravel(),
            int(exponents.size > 1),
            *self._random,
            codes,
            self.to,
        )
        return codes.reshape(significands.shape)

    def convert(self, fmt: Minifloat, states: NDArray[Any]) -> NDArray[np.uint32]:
        """Round codes of states, times the factors."""
        from minimac.model.kernels import convert_states

        codes = np.empty(states.size, np.uint32)
        convert_states(
            np.ascontiguousarray(states, np.uint32).ravel(),
            source(fmt),
            self.factors,
            *self._random,
            codes,
            self.to,
        )
        return codes.reshape(states.shape)


def factors_of(*scales: float) -> Factors:
    """Take the scales of two tensors apart, each of which has at most 24 bits."""
    numbers, place = [], 0
    for scale in scales:
        exact = Fraction(scale)
        down = exact.denominator.bit_length() - 1
        up = (exact.numerator & -exact.numerator).bit_length() - 1 if exact else 0
        numbers.append(exact.numerator >> up)
        place += up - down
    return numbers[0], numbers[1], place
