"""What units around a matrix engine are made of: results to round, numbers on a grid, lines."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from minimac.rtl.accumulator import Fraction, Integer, State
from minimac.rtl.conversion import Conversion, conversion_to
from minimac.rtl.delay import Delays
from minimac.rtl.lookup import look_up
from minimac.rtl.operand import Operand
from minimac.rtl.pipeline import Pipeline, Staged
from minimac.rtl.shift import shift_right_sticky
from minimac.spec import Design, Interpolation

__all__ = ["IntegerResult", "Line", "Result", "Rounder", "to_grid"]


class Result(State):
    """A value that is worked out by other means, and waits to be rounded.

    Parameters
    ----------
    design : Design
        The unit.
    bits : int
        Width of the magnitude.
    base, top : int
        Exponents that an ``exponent`` of 0 stands for, and that no leading one is above.
    reach : int
        Greatest ``exponent``; if it is 0 there is none.
    """

    def __init__(self, design: Design, *, bits: int, base: int, top: int, reach: int) -> None:
        super().__init__(design)
        self.bits, self.base, self.top, self.reach = bits, base, top, reach

    @property
    def state_layout(self) -> data.StructLayout:
        """``sign``, ``magnitude``, ``exponent`` and ``special``."""
        exponent = {"exponent": range(self.reach + 1)} if self.reach else {}
        return self.with_special({"sign": 1, "magnitude": self.bits, **exponent})

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return the fields of the state."""
        exponent = state.exponent if self.reach else Const(0, 1)
        return Fraction(state.sign, state.magnitude, exponent, self.base, self.top)

    @property
    def conversion(self) -> Conversion:
        """What rounds it to the format of the design; a zero keeps its sign."""
        return conversion_to(self.spec.out, self.spec, self)


class IntegerResult(State):
    """The same in two's complement, as ``sum``, in units of ``2**lsb_exp``."""

    def __init__(self, design: Design, *, bits: int, lsb_exp: int) -> None:
        super().__init__(design)
        self.bits, self.lsb_exp = bits, lsb_exp

    @property
    def state_layout(self) -> data.StructLayout:
        """``sum`` and ``special``."""
        return self.with_special({"sum": signed(self.bits)})

    def integer(self, m: Module, state: data.View) -> Integer:
        """Return the sum."""
        return Integer(state.sum, self.lsb_exp)

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return sign and magnitude, with a constant exponent."""
        return self.integer(m, state).fraction(m, self.bits)

    @property
    def conversion(self) -> Conversion:
        """What rounds it to the format of the design; a zero has no sign."""
        return conversion_to(self.spec.out, self.spec, self, keeps_zero_sign=False)


class Rounder(Staged):
    """One rounding, with registers at given places.

    Parameters
    ----------
    result : Result or IntegerResult
        What is rounded.
    cuts : sequence of str
        Places that hold a register, and others, which do not matter here.

    Members
    -------
    step : ``In(1)``
        Whether the registers move in this cycle; only if there are any.
    state : ``In(result.state_layout)``
        The value.
    code : ``Out(result.spec.out.width)``
        Its code.
    """

    def __init__(self, result: Result | IntegerResult, cuts: Sequence[str]) -> None:
        self.result = result
        places = [section.place for section in result.conversion.sections(Delays(""))]
        self.cuts = tuple(place for place in places if place in cuts)
        members = {"state": In(result.state_layout), "code": Out(result.spec.out.width)}
        super().__init__(members, self.cuts)

    def elaborate(self, platform):
        m = Module()
        pipe = Pipeline(self.cuts, self.moves)
        m.d.comb += self.code.eq(self.result.conversion.build(m, pipe, self.state))
        return m


def to_grid(m: Module, x: Operand, int_bits: int, frac_bits: int) -> tuple[Value, Value]:
    """Cut the size of a number off to a multiple of ``2**-frac_bits``.

    Returns
    -------
    magnitude : Value
        ``int_bits + frac_bits`` wide; meaningless if the number is beyond.
    beyond : Value
        Whether it is not below ``2**int_bits``. Meaningless of NaN; 1 of infinities.
    """
    bits = int_bits + frac_bits
    sig_bits = len(x.significand)
    # The significand with its top bit where 2**(int_bits - 1) is, and bits below that fall away.
    wide = Cat(Const(0, max(bits - sig_bits, 0)), x.significand)
    if isinstance(x.exponent, Const):
        down = int_bits - 1 - x.base - x.exponent.value
        if down >= 0:
            moved, lost = (wide >> down)[: len(wide)], Const(0, 1)
        else:
            moved, lost = (wide << -down)[: len(wide)], (wide >> len(wide) + down).any()
    else:
        top = (1 << len(x.exponent)) - 1
        least, most = int_bits - 1 - x.base - top, int_bits - 1 - x.base
        deep = Signal(range(min(least, 0), max(most, 0) + 1), name="depth")
        distance = Signal(range(max(most, 0) + 1), name="grid_distance")
        m.d.comb += [deep.eq(most - x.exponent), distance.eq(Mux(deep < 0, 0, deep))]
        moved = shift_right_sticky(m, wide, distance, sticky=False)
        lost = (deep < 0) & x.significand.any()
    magnitude = Signal(max(bits, 1), name="grid")
    m.d.comb += magnitude.eq(moved[len(wide) - bits :])
    return magnitude, lost | x.infinity


class Line:
    """The segment of an :class:`minimac.spec.Interpolation` that an argument is in.

    Parameters
    ----------
    table : Interpolation
        The nodes.
    """

    def __init__(self, table: Interpolation) -> None:
        self.table = table
        steps = [b - a for a, b in zip(table.nodes, table.nodes[1:], strict=False)]
        bits = max(max(steps).bit_length(), (-min(steps) - 1).bit_length()) + (min(steps) < 0)
        self._steps = steps
        self._step_shape = Shape(max(bits, 1), signed=min(steps) < 0)
        self.value_bits = max(table.nodes).bit_length()

    @property
    def layout(self) -> data.StructLayout:
        """``start`` and ``step`` of a segment, and the ``offset`` in it."""
        return data.StructLayout(
            {
                "start": self.value_bits,
                "step": self._step_shape,
                "offset": self.table.offset_bits,
            }
        )

    def look_up_ps(self, delays: Delays) -> float:
        """Estimate the delay of :meth:`look_up`, in ps."""
        return delays.gates(self.table.segments.bit_length() - 1)

    def multiply_ps(self, delays: Delays) -> float:
        """Estimate the delay of :meth:`multiply`, in ps."""
        return delays.multiplier(self._step_shape.width, self.table.offset_bits)

    def add_ps(self, delays: Delays) -> float:
        """Estimate the delay of :meth:`add`, in ps."""
        return delays.adder(self.value_bits + self.table.offset_bits)

    def look_up(self, m: Module, argument: Value) -> data.View:
        """Find the segment of an argument."""
        offset_bits, nodes = self.table.offset_bits, self.table.nodes
        line = Signal(self.layout, name="line")
        index = argument[offset_bits : self.table.arg_bits]
        values = Shape(self.value_bits)
        m.d.comb += [
            line.start.eq(look_up(index, nodes[:-1], values)),
            line.step.eq(look_up(index, self._steps, self._step_shape)),
            line.offset.eq(argument[:offset_bits]),
        ]
        return line

    @property
    def rise_layout(self) -> data.StructLayout:
        """``start`` of a segment, and the ``rise`` from there."""
        bits = self._step_shape.width + self.table.offset_bits
        rise = Shape(bits, signed=self._step_shape.signed)
        return data.StructLayout({"start": self.value_bits, "rise": rise})

    def multiply(self, m: Module, line: data.View) -> data.View:
        """Find out how far a point on a line is above the start."""
        rise = Signal(self.rise_layout, name="rise")
        m.d.comb += [rise.start.eq(line.start), rise.rise.eq(line.step * line.offset)]
        return rise

    def add(self, m: Module, rise: data.View) -> Value:
        """Return the point, rounded, as wide as values are."""
        offset_bits = self.table.offset_bits
        # The half that rounding takes is below the start, where there is nothing else.
        start = Cat(Const(1 << offset_bits - 1, offset_bits), rise.start)
        wide = Signal(self.value_bits + offset_bits, name="wide_point")
        m.d.comb += wide.eq(start + rise.rise)
        return wide[offset_bits:]
