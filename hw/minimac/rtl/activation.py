"""Activation functions: a table of all codes, or straight lines between the nodes of one."""

from abc import ABC, abstractmethod
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data

from minimac.rtl.delay import Delays, Section
from minimac.rtl.lookup import look_up
from minimac.rtl.operand import Operand, exponent_range, unpack
from minimac.rtl.outline import Outline
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.results import Line, Result, to_grid
from minimac.rtl.streamed import StreamedPlan, StreamedUnit
from minimac.spec import Activation, Exponential

__all__ = ["ActivationPlan", "ActivationUnit", "ExponentialPath"]


class ExponentialPath:
    """``e**x`` as a pair of mantissa and exponent: see :class:`minimac.spec.Exponential`.

    Parameters
    ----------
    spec : Exponential
        How it is worked out.
    signed : bool
        Whether ``x`` may be negative.
    """

    def __init__(self, spec: Exponential, *, signed: bool) -> None:
        self.spec = spec
        self.signed = signed
        self.line = Line(spec.table)
        exponents = spec.exponents
        self.least = exponents[0] if signed else 0
        self.reach = exponents[-1] - self.least

    @property
    def pair_layout(self) -> data.StructLayout:
        """``mantissa``, and ``exponent`` less ``least``."""
        return data.StructLayout(
            {"mantissa": self.spec.frac_bits + 1, "exponent": range(self.reach + 1)}
        )

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Return the pieces between places for registers."""
        spec = self.spec
        bits = spec.int_bits + spec.frac_bits
        return (
            Section("argument", delays.shifter(bits) + delays.adder(8) + delays.gates(3)),
            # By a constant: half of its bits are zero.
            Section("scale", delays.multiplier(bits, spec.scale_bits // 2) + delays.adder(bits)),
            Section("look_up", self.line.look_up_ps(delays)),
            Section("slope", self.line.multiply_ps(delays)),
            Section("interpolate", self.line.add_ps(delays)),
        )

    def build(self, m: Module, pipe: Pipeline, x: Operand, beside: data.View) -> Any:
        """Add the hardware; return the pair, and what was ``beside`` the operand, as late."""
        spec = self.spec
        fields = beside.shape().members
        bits = spec.int_bits + spec.frac_bits
        magnitude, beyond = to_grid(m, x, spec.int_bits, spec.frac_bits)

        def held(place: str, name: str, before: data.View, **parts: Any) -> data.View:
            """Register what there is now, and what was beside it before."""
            shapes = {key: shape for key, (shape, _) in parts.items()}
            view = Signal(data.StructLayout({**shapes, **fields}), name=name)
            m.d.comb += [view[key].eq(value) for key, (_, value) in parts.items()]
            m.d.comb += [view[key].eq(before[key]) for key in fields]
            return pipe.cut(m, place, view)

        at = held(
            "argument", "argument", beside,
            magnitude=(max(bits, 1), magnitude | beyond.replicate(max(bits, 1))),
            negative=(1, x.sign),
        )  # fmt: skip
        # The product of magnitudes, complemented, and the one that it lacks in with the half.
        product = Signal(bits + spec.scale_bits + 1, name="scaled")
        m.d.comb += product.eq(at.magnitude * spec.scale)
        wide = Signal(Shape(len(product) + 1, signed=True), name="scaled_and_signed")
        half = 1 << spec.scale_bits - 1
        if self.signed:
            m.d.comb += wide.eq(
                (product ^ at.negative.replicate(len(product) + 1)).as_signed()
                + (half + at.negative)
            )
        else:
            m.d.comb += wide.eq(product + half)
        z = wide[spec.scale_bits :]
        exponent = (z[spec.frac_bits :].as_signed() - self.least)[: self.exponent_bits]
        at = held(
            "scale", "split", at,
            fraction=(spec.frac_bits, z[: spec.frac_bits]),
            exponent=(range(self.reach + 1), exponent),
        )  # fmt: skip
        line = self.line.look_up(m, at.fraction)
        at = held(
            "look_up", "looked_up", at,
            line=(self.line.layout, line),
            exponent=(range(self.reach + 1), at.exponent),
        )  # fmt: skip
        at = held(
            "slope", "sloped", at,
            rise=(self.line.rise_layout, self.line.multiply(m, at.line)),
            exponent=(range(self.reach + 1), at.exponent),
        )  # fmt: skip
        pair = Signal(self.pair_layout, name="pair")
        m.d.comb += [
            pair.mantissa.eq(self.line.add(m, at.rise)),
            pair.exponent.eq(at.exponent),
        ]
        return held("interpolate", "interpolated", at, pair=(self.pair_layout, pair))

    @property
    def exponent_bits(self) -> int:
        """Width of a pair's exponent."""
        return max(self.reach.bit_length(), 1)


class _Table:
    """All codes, looked up."""

    def __init__(self, design: Activation) -> None:
        self.design = design

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Look up."""
        return (Section("", delays.gates(self.design.a.width)),)

    def build(self, m: Module, pipe: Pipeline, code: Value) -> Value:
        """Return the code of the result."""
        design = self.design
        return look_up(code, design.codes, Shape(design.out.width))


class _Computed(ABC):
    """What is worked out and then rounded: the result before that, a state of ``result``."""

    def __init__(self, design: Activation) -> None:
        self.design = design
        self.result = self._result()

    @abstractmethod
    def _result(self) -> Result:
        """Return what that result is."""

    def special_of(self, x: Operand) -> Value:
        """Return ``special`` of a result, where an infinity leads to one of the same sign."""
        return Cat(x.nan | (x.infinity & ~x.sign), x.nan)[: self.result.special_bits]

    def _not_a_number(self, x: Operand) -> Value:
        """Return ``special`` of a result that is never infinite."""
        return x.nan.replicate(self.result.special_bits)


class _Rectifier(_Computed):
    """``relu``."""

    def _result(self) -> Result:
        fmt = self.design.a
        low, high = exponent_range(fmt)
        probe = unpack(fmt, Signal(fmt.width))
        reach = 0 if isinstance(probe.exponent, Const) else high - probe.base
        base = low if reach == 0 else probe.base
        return Result(self.design, bits=fmt.sig_bits, base=base, top=high, reach=reach)

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Take apart."""
        if self.design.a == self.design.out:
            return (Section("", delays.gates(4)),)
        return Section("rectify", delays.gates(3)), *self.result.conversion.sections(delays)

    def build(self, m: Module, pipe: Pipeline, code: Value) -> Value:
        """Return the code of the result, or a state."""
        fmt = self.design.a
        x = unpack(fmt, code)
        if fmt == self.design.out:
            # NaN is the only thing negative that does not become zero, or none of it.
            kept = code & (~(x.sign | x.zero)).replicate(fmt.width)
            nan = getattr(fmt, "nan_code", None)
            return kept if nan is None else Mux(x.nan, nan, kept)[: fmt.width]
        state = Signal(self.result.state_layout, name="rectified")
        m.d.comb += state.magnitude.eq(x.significand & (~x.sign).replicate(len(x.significand)))
        if self.result.reach:
            m.d.comb += state.exponent.eq(x.exponent)
        m.d.comb += self.result.take_special(state, self.special_of(x))
        return pipe.cut(m, "rectify", state)


class _Exponential(_Computed):
    """``exp``."""

    def _result(self) -> Result:
        path = self._path
        bits = path.spec.frac_bits + 1
        top = path.least + path.reach
        return Result(self.design, bits=bits, base=path.least, top=top, reach=path.reach)

    @property
    def _path(self) -> ExponentialPath:
        return ExponentialPath(self.design.exponential, signed=self.design.a.signed)

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Return the pieces between places for registers."""
        return *self._path.sections(delays), *self.result.conversion.sections(delays)

    def build(self, m: Module, pipe: Pipeline, code: Value) -> data.View:
        """Return a state."""
        x = unpack(self.design.a, code)
        beside = Signal(self.result.with_special({"zero": 1}), name="flags")
        m.d.comb += [
            beside.zero.eq(x.infinity & x.sign),
            *self.result.take_special(beside, self.special_of(x)),
        ]
        found = self._path.build(m, pipe, x, beside)
        state = Signal(self.result.state_layout, name="exponential")
        kept = (~found.zero).replicate(self.result.bits)
        m.d.comb += [
            state.magnitude.eq(found.pair.mantissa & kept),
            *self.result.take_special(state, found),
        ]
        if self.result.reach:
            m.d.comb += state.exponent.eq(found.pair.exponent)
        return state


class _Segments(_Computed):
    """``sigmoid``; and ``gelu``, ``silu`` and ``tanh``, which are products with the argument."""

    @property
    def _multiplies(self) -> bool:
        return self.design.function != "sigmoid"

    @property
    def _exponents(self) -> tuple[int, int]:
        """Base and reach of the exponents of products; ``tanh`` needs that of 1 among them."""
        probe = unpack(self.design.a, Signal(self.design.a.width))
        low, high = exponent_range(self.design.a)
        base = low if isinstance(probe.exponent, Const) else probe.base
        if self.design.function == "tanh":
            base, high = min(base, 0), max(high, 0)
        return base, high - base

    def _result(self) -> Result:
        fraction = self.design.fraction
        assert fraction is not None
        if not self._multiplies:
            return Result(self.design, bits=fraction + 1, base=0, top=0, reach=0)
        base, reach = self._exponents
        bits = self.design.a.sig_bits + fraction
        return Result(self.design, bits=bits, base=base, top=base + reach, reach=reach)

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Return the pieces between places for registers."""
        fraction = self.design.fraction
        assert fraction is not None
        line, bits = Line(self.design.table), self.design.span_bits + fraction
        multiply: tuple[Section, ...] = ()
        if self._multiplies:
            by = delays.multiplier(self.design.a.sig_bits, fraction + 1)
            multiply = (Section("multiply", by),)
        return (
            Section("argument", delays.shifter(bits) + delays.adder(8) + delays.gates(3)),
            Section("look_up", line.look_up_ps(delays)),
            Section("slope", line.multiply_ps(delays)),
            Section("interpolate", line.add_ps(delays) + delays.adder(fraction)),
            *multiply,
            *self.result.conversion.sections(delays),
        )

    def build(self, m: Module, pipe: Pipeline, code: Value) -> data.View:
        """Return a state."""
        design, fraction = self.design, self.design.fraction
        assert fraction is not None
        x = unpack(design.a, code)
        line, one = Line(design.table), 1 << fraction
        magnitude, beyond = to_grid(m, x, design.span_bits, fraction)
        carried: dict[str, Any] = {"beyond": 1, "sign": 1}
        if self._multiplies:
            carried |= {"significand": design.a.sig_bits}
            if self.result.reach:
                carried |= {"exponent": range(self.result.reach + 1)}
        beside = self.result.with_special(carried)
        finite = design.function in ("sigmoid", "tanh")
        at = Signal(data.StructLayout({"grid": len(magnitude), "beside": beside}), name="argument")
        m.d.comb += [
            at.grid.eq(magnitude),
            at.beside.beyond.eq(beyond),
            at.beside.sign.eq(x.sign),
            *self.result.take_special(
                at.beside, self._not_a_number(x) if finite else self.special_of(x)
            ),
        ]
        if self._multiplies:
            m.d.comb += at.beside.significand.eq(x.significand)
            if self.result.reach:
                # A constant exponent is that of fixed point, and the base of others may be lower.
                up = x.base - self.result.base
                m.d.comb += at.beside.exponent.eq(x.exponent + up)
        at = pipe.cut(m, "argument", at)
        found = Signal(data.StructLayout({"line": line.layout, "beside": beside}), name="found")
        m.d.comb += [found.line.eq(line.look_up(m, at.grid)), found.beside.eq(at.beside)]
        found = pipe.cut(m, "look_up", found)

        rises = Signal(
            data.StructLayout({"rise": line.rise_layout, "beside": beside}), name="sloped"
        )
        m.d.comb += [rises.rise.eq(line.multiply(m, found.line)), rises.beside.eq(found.beside)]
        found = pipe.cut(m, "slope", rises)
        point = line.add(m, found.rise)
        value = Signal(
            data.StructLayout({"factor": fraction + 1, "beside": beside}), name="interpolated"
        )
        size = Signal(fraction + 1, name="point")
        if design.function == "tanh":
            m.d.comb += [size.eq(point), value.factor.eq(size)]
        else:
            m.d.comb += size.eq(Mux(found.beside.beyond, one, point))
            m.d.comb += value.factor.eq(Mux(found.beside.sign, one - size, size))
        m.d.comb += value.beside.eq(found.beside)
        value = pipe.cut(m, "interpolate", value)

        state = Signal(self.result.state_layout, name="value")
        m.d.comb += self.result.take_special(state, value.beside)
        if not self._multiplies:
            m.d.comb += state.magnitude.eq(value.factor)
            return state
        product = Signal(self.result.bits, name="product")
        m.d.comb += [
            product.eq(value.beside.significand * value.factor),
            state.magnitude.eq(product),
            state.sign.eq(value.beside.sign),
        ]
        if self.result.reach:
            m.d.comb += state.exponent.eq(value.beside.exponent)
        if design.function == "tanh":
            with m.If(value.beside.beyond):
                m.d.comb += state.magnitude.eq(1 << self.result.bits - 1)
                if self.result.reach:
                    m.d.comb += state.exponent.eq(-self.result.base)
        return pipe.cut(m, "multiply", state)


def _way(design: Activation) -> Any:
    """Return how the function of a design is worked out."""
    if design.function == "relu":
        return _Rectifier(design)
    if not design.interpolates:
        return _Table(design)
    return (_Exponential if design.function == "exp" else _Segments)(design)


class ActivationPlan(StreamedPlan):
    """Interface and timing of an :class:`ActivationUnit`, found without building it."""

    transfer = "one number"

    def __init__(self, design: Activation) -> None:
        self.way = _way(design)
        super().__init__(
            design,
            self.way.sections(Delays(design.technology)),
            f"for unit {design.unit} ({design.summary()})",
            inputs={"a": design.a.width},
            outputs={"result": design.out.width},
        )

    def build(self, m: Module, *, step: Value, operands: dict[str, Any]) -> dict[str, Value]:
        """Add the hardware to a module; return the code of the result."""
        pipe = Pipeline(self.cuts, step)
        found = self.way.build(m, pipe, operands["a"])
        if isinstance(found, data.View):
            found = self.way.result.conversion.build(m, pipe, found)
        return {"result": found}

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        design = self.design
        return {
            "i": {"a": f"code of {design.a.name}"},
            "o": {"result": f"code of {design.out.name}: {design.function}(a)"},
        }


class ActivationUnit(StreamedUnit):
    """A function of each transfer of a stream.

    One transfer is accepted per cycle. While ``o`` is stalled everything stands still.

    Parameters
    ----------
    design : Activation
        The unit.
    outline : Outline, optional
        Where the function comes from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``a``: code of the argument.
    o : ``Out(stream.Signature(...))``
        ``result``: code of the result.
    """

    def __init__(self, design: Activation, outline: Outline | None = None) -> None:
        super().__init__(ActivationPlan(design), outline)
