"""States that are codes of a minifloat, as those are of accumulations that round in every step."""

from amaranth.hdl import Module, Value
from amaranth.lib import data

from minimac.rtl.accumulator import Accumulator, Fraction
from minimac.rtl.operand import unpack
from minimac.spec import Arithmetic, Minifloat

__all__ = ["CodedAccumulator"]


class CodedAccumulator(Accumulator):
    """A number of ``accumulate.state_format``.

    The state is its code. NaN and infinities are codes, too, if the format has all that may occur;
    else they have a field of their own.

    Parameters
    ----------
    spec : Arithmetic
        What is computed.
    """

    format: Minifloat

    def __init__(self, spec: Arithmetic) -> None:
        super().__init__(spec)
        state = spec.accumulate.state_format
        assert state is not None
        self.format = state

    @property
    def codes_special(self) -> bool:
        """Whether the format has codes for all NaN and infinities that may occur."""
        bits = self.special_bits
        return not bits or (self.format.has_infinities if bits == 2 else self.format.has_nan)

    @property
    def state_layout(self) -> data.StructLayout:
        """``code``, and ``special`` where a code cannot tell."""
        fields = {"code": self.format.width}
        return data.StructLayout(fields) if self.codes_special else self.with_special(fields)

    @property
    def meaning(self) -> dict[str, str]:
        """Format of the code."""
        code = {"code": f"code of {self.format.name}"}
        return code if self.codes_special else code | self.special_meaning

    def special(self, m: Module, state: data.View) -> Value:
        """Return what tells NaN and infinities of a state."""
        if not self.codes_special:
            return state.special
        return unpack(self.format, state.code).special(self.special_bits)

    def code(self, m: Module, state: data.View) -> Value | None:
        """Return the code, if ``out`` is of its format: nothing is left to be rounded."""
        same = self.format == self.spec.out and self.codes_special
        return state.code if same else None

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return the fields of the code; a zero has a sign of its own, which counts."""
        fmt = self.format
        x = unpack(fmt, state.code)
        normal_from = None if not fmt.exp_bits else 1 if fmt.ftz else 2
        return Fraction(x.sign, x.significand, x.exponent, x.base, fmt.max_exp, normal_from)
