"""Dot products of blocks: an exact sum of elements, times both scales, is one term of a chain."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import data

from minimac.rtl.accumulator import Accumulator, Fraction
from minimac.rtl.delay import Delays, Section
from minimac.rtl.dots.exact import ExactDot, vectors, vectors_meaning
from minimac.rtl.dots.fused import FusedDot
from minimac.rtl.operand import exponent_range, unpack
from minimac.rtl.pipeline import Pipeline, Prefixed
from minimac.rtl.product import FloatProduct, unit_of_products
from minimac.rtl.rounded import RoundedAccumulator
from minimac.rtl.shift import leading_zeros, shift_left
from minimac.rtl.submodules import add_submodule
from minimac.rtl.terms import Terms
from minimac.spec import (
    Accumulation,
    Arithmetic,
    BlockFormat,
    Dot,
    ExactAccumulation,
    ExponentOnly,
    FixedPoint,
    FusedAccumulation,
)

__all__ = ["BlockDot", "TensorDot"]

_BLOCK, _SCALE, _OUTER = "block", "scale", "outer_"


class _Magnitude(FixedPoint):
    """A sum of elements times the significands of scales: fixed point of any width."""

    def __post_init__(self) -> None:
        """Refuse nothing: no code of it is seen."""


@dataclass(frozen=True)
class _Binade(ExponentOnly):
    """A product of powers of two, with exponents one less than those of such a number.

    So the exponent of a term, which as a product is one above the sum of two exponents, is their
    sum.

    Parameters
    ----------
    low, high : int
        Least and greatest exponent.
    """

    low: int = 0
    high: int = 0

    @property
    def min_exp(self) -> int:
        """Least exponent."""
        return self.low - 1

    @property
    def max_exp(self) -> int:
        """Greatest exponent."""
        return self.high - 1

    @property
    def lsb_exp(self) -> int:
        """Exponent of the unit."""
        return self.low


@dataclass(frozen=True, kw_only=True)
class _BlockTerms(Terms):
    """What a chain of blocks adds up: scaled sums of any width, times powers of two."""

    def __post_init__(self) -> None:
        """Refuse nothing: the whole design was checked."""

    @property
    def sum_bits(self) -> int:
        """Width of an exact sum: also of what is below the unit of the whole."""
        below = max(self.whole.lsb_exp - self.lsb_exp, 0)
        # Rounding inside a block may make a sum of it larger.
        return self.whole.sum_bits + below + (self.whole.within is not None)

    @property
    def lsb_exp(self) -> int:
        """Exponent of the unit of all terms."""
        return self.a.lsb_exp + self.b.lsb_exp

    @property
    def product_range(self) -> tuple[int, int]:
        """Least and greatest term."""
        most = self.a.max_lsbs << self.b.max_exp - self.b.min_exp
        return -most, most


def _elements(design: Dot, accumulate: Accumulation) -> Arithmetic:
    """Return what is done to elements; what their sums are rounded to is of no consequence."""
    a, b = (x.element if isinstance(x, BlockFormat) else x for x in (design.a, design.b))
    return Arithmetic(a=a, b=b, out=design.out, accumulate=accumulate)


@dataclass(frozen=True)
class _Sum:
    """A sum of elements, before its scales.

    Attributes
    ----------
    sign, magnitude : Value
        Sign, and significand.
    steps : Value
        Exponent of its unit, less the least that there is.
    special : Value
        What tells NaN and infinities; may be empty.
    """

    sign: Value
    magnitude: Value
    steps: Value
    special: Value


class _ExactSum:
    """Exact sums of so many products of elements, some of them at once."""

    def __init__(self, design: Dot, lanes: int, terms: int) -> None:
        spec = _elements(design, ExactAccumulation(max_terms=terms))
        self.dot = ExactDot(spec, lanes)
        unit = unit_of_products(spec)
        self.units = unit, unit
        self.largest = max(map(abs, spec.product_range)) * terms >> unit - spec.lsb_exp

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Sections of the sum of a block."""
        return self.dot.sections(delays)[:-1]

    def of(self, m: Module, pipe: Pipeline, a: Any, b: Any) -> data.View:
        """Return the sum of the products of a block."""
        return self.dot.total(m, pipe, a, b)

    def parts(self, m: Module, total: data.View) -> _Sum:
        """Return what a sum consists of."""
        magnitude = Signal(len(total.sum), name="block_magnitude")
        m.d.comb += magnitude.eq(Mux(total.sum[-1], -total.sum, total.sum))
        special = total.special if self.dot.special_bits else Const(0, 0)
        return _Sum(total.sum[-1], magnitude, Const(0, 1), special)


class _FusedSum:
    """Sums of the products of a block with one alignment and one rounding."""

    def __init__(self, design: Dot, within: FusedAccumulation) -> None:
        self.dot = FusedDot(_elements(design, within), within.group, terms=within.group)
        state = self.dot.format
        self.largest = (1 << state.sig_bits) - 1
        low, high = self.dot.states
        self._low = max(low, state.min_exp)
        self.units = self._low - state.man_bits, high - state.man_bits

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Sections of the sum of a block: it leads to no state of its own."""
        *sections, last = (x._replace(ahead=True) for x in self.dot.sections(delays))
        return (*sections, last._replace(place=_BLOCK))

    def of(self, m: Module, pipe: Pipeline, a: Any, b: Any) -> data.View:
        """Return the sum of the products of a block."""
        start = Signal(self.dot.state_layout, name="start")
        total = self.dot.step(m, pipe, start, self.dot.multiply(m, pipe, a, b))
        return pipe.cut(m, _BLOCK, total)

    def parts(self, m: Module, total: data.View) -> _Sum:
        """Return what a sum consists of."""
        x = unpack(self.dot.format, total.code)
        steps = (x.exponent + (x.base - self._low))[: len(x.exponent)]  # of a zero: anything
        return _Sum(x.sign, x.significand, steps, self.dot.special(m, total))


class _Scaler:
    """What scales make of sums of elements.

    Parameters
    ----------
    design : Dot
        The design.
    largest : int
        Greatest magnitude of a significand.
    units : tuple of int
        Least and greatest exponent of its unit.
    normalizes : bool
        Whether the leading one of a term goes to the top.
    """

    def __init__(
        self, design: Dot, largest: int, units: tuple[int, int], *, normalizes: bool
    ) -> None:
        self.normalizes = normalizes
        self.formats = {
            f"{name}_scale": fmt.scale
            for name, fmt in (("a", design.a), ("b", design.b))
            if isinstance(fmt, BlockFormat)
        }
        for fmt in self.formats.values():
            largest *= (1 << fmt.sig_bits) - 1
        bits = largest.bit_length()
        ranges = [exponent_range(fmt) for fmt in self.formats.values()]
        # Significands count as integers.
        below = sum(fmt.sig_bits - 1 for fmt in self.formats.values())
        low, high = (sum(ends) - below for ends in zip(units, *ranges, strict=True))
        self._falls = bits - 1 if normalizes else 0
        self.terms = _BlockTerms(
            a=_Magnitude(True, bits, 0, symmetric=True),
            b=_Binade(low - self._falls, high),
            out=design.out,
            accumulate=design.accumulate,
            out_round=design.out_round,
            out_overflow=design.out_overflow,
            whole=design,
        )

    def operands(self, blocks: int) -> dict[str, ShapeLike]:
        """Return the shapes of the scales of so many blocks."""
        return {name: data.ArrayLayout(fmt.width, blocks) for name, fmt in self.formats.items()}

    @property
    def meaning(self) -> dict[str, str]:
        """What the scales are."""
        return {
            name: f"codes of {fmt.name}: scales of the blocks, the first one lowest"
            for name, fmt in self.formats.items()
        }

    def delay_ps(self, delays: Delays) -> float:
        """Estimate the delay of a term, from a sum."""
        bits = self.terms.product_bits
        factors = sum(fmt.sig_bits for fmt in self.formats.values() if fmt.sig_bits > 1)
        delay = delays.gates(2) + delays.incrementer(bits)
        if factors:
            delay += delays.multiplier(max(bits - factors, 2), factors)
        if self.normalizes:
            delay += delays.leading_zeros(bits) + delays.shifter(bits)
        return delay

    def term(self, m: Module, total: "_Sum", codes: Sequence[Value]) -> FloatProduct:
        """Multiply a sum by scales."""
        terms = self.terms
        scales = [unpack(fmt, code) for fmt, code in zip(self.formats.values(), codes, strict=True)]
        bits = terms.product_bits
        significand = Signal(bits, name="significand")
        factor: Value = Const(1, 1)
        steps, sign = total.steps, total.sign
        nan, none = Const(0, 1), Const(0, 1)
        for fmt, scale in zip(self.formats.values(), scales, strict=True):
            # A significand of one bit tells zero from powers of two, if there is a zero.
            one_bit = Mux(scale.zero, 0, factor)
            factor = factor * scale.significand if fmt.sig_bits > 1 else one_bit
            steps = steps + (scale.exponent + (scale.base - exponent_range(fmt)[0]))
            sign = sign ^ scale.sign
            nan, none = nan | scale.nan | scale.infinity, none | scale.zero
        m.d.comb += significand.eq(total.magnitude * factor)
        zero = ~significand.any()
        if self.normalizes:
            zeros = leading_zeros(m, significand)
            steps = steps + self._falls - zeros
            significand = shift_left(m, significand, zeros)
        reach = terms.product_max_exp - terms.product_min_exp
        special = self._special(total.special, sign ^ total.sign, nan, none)
        sign = sign & ~zero
        return FloatProduct(
            sign=Mux(special.any(), special[1], sign) if len(special) == 2 else sign,
            significand=significand,
            zero=zero,
            special=special,
            steps=steps[: max(reach.bit_length(), 1)],
            least=0,
            most=reach,
        )

    def _special(self, of_sum: Value, flips: Value, nan: Value, none: Value) -> Value:
        """Return what tells NaN and infinities of a term; none of them survives a scale of zero."""
        bits = 2 if self.terms.has_infinities else int(self.terms.has_nan)
        if not bits:
            return Const(0, 0)
        found = of_sum if len(of_sum) == bits else of_sum.any().replicate(bits)
        if bits == 2:
            found = Mux(flips, found[::-1], found)
        return found | (nan | (none & of_sum.any())).replicate(bits)


class _ScaledDot(Accumulator):
    """A chain of which every term is a sum of elements, times scales.

    Parameters
    ----------
    design : Dot
        What is computed.
    lanes : int
        Elements of a block in a transfer.
    terms : int
        Most elements of a block.
    """

    def __init__(self, design: Dot, lanes: int, terms: int) -> None:
        super().__init__(design)
        self.design = design
        within = design.within
        assert within is None or isinstance(within, FusedAccumulation)
        fused = isinstance(design.accumulate, FusedAccumulation)
        self.inner: _ExactSum | _FusedSum = (
            _FusedSum(design, within) if within else _ExactSum(design, lanes, terms)
        )
        self.scaler = _Scaler(design, self.inner.largest, self.inner.units, normalizes=fused)
        kinds = {"exact": ExactDot, "fused": _NormalizedDot}
        kind = kinds.get(design.accumulate.kind)
        self.outer: Any = (
            kind(self.scaler.terms, design.blocks)
            if kind
            else RoundedAccumulator(self.scaler.terms)
        )

    @property
    def operands(self) -> dict[str, ShapeLike]:
        """Vectors of codes, and the codes of their scales."""
        design = self.design
        return vectors(design, design.lanes) | self.scaler.operands(design.blocks)

    @property
    def operand_meaning(self) -> dict[str, str]:
        """Formats of codes and scales."""
        return vectors_meaning(self.design) | self.scaler.meaning

    @abstractmethod
    def multiply(self, m: Module, pipe: Pipeline, a: Any, b: Any, **scales: Any) -> Any:
        """Multiply vectors, whose blocks have these scales."""

    def _beside(self, m: Module, pipe: Pipeline, scales: Mapping[str, Value]) -> data.View:
        """Return the scales of a block when its sum is there."""
        held = Signal(
            data.StructLayout({name: fmt.width for name, fmt in self.scaler.formats.items()}),
            name="scales",
        )
        m.d.comb += [held[name].eq(scales[name]) for name in self.scaler.formats]
        for place in pipe.cuts:
            if place != _SCALE and not place.startswith(_OUTER):
                held = pipe.cut(m, place, held)
        return held


def _slice(codes: data.View, n: int, size: int) -> data.View:
    """Return a block of a vector of codes."""
    layout = data.ArrayLayout(codes.shape().elem_shape, size)
    return data.View(layout, codes.as_value().word_select(n, layout.size))


class _NormalizedDot(FusedDot):
    """A fused sum of terms whose leading one is at the top."""

    def __init__(self, spec: Arithmetic, lanes: int) -> None:
        super().__init__(spec, lanes, lead=0)


class BlockDot(_ScaledDot):
    """Sums of pairs of blocks, each in one transfer, added to the state of an outer accumulation.

    Parameters
    ----------
    design : Dot
        What is computed.
    """

    def __init__(self, design: Dot) -> None:
        size = design.block_size
        assert size
        super().__init__(design, size, size)

    @property
    def state_layout(self) -> data.StructLayout:
        """That of the outer accumulation."""
        layout: data.StructLayout = self.outer.state_layout
        return layout

    @property
    def meaning(self) -> dict[str, str]:
        """That of the outer accumulation."""
        words: dict[str, str] = self.outer.meaning
        return words

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Sum of elements, scales, and those of the outer accumulation."""
        ahead = self.inner.sections(delays)
        scale = Section(_SCALE, self.scaler.delay_ps(delays), True)
        first, *outer = self.outer.sections(delays)
        # A term needs no multiplying.
        first = first._replace(delay_ps=delays.gates(1))
        renamed = (x._replace(place=x.place and _OUTER + x.place) for x in (first, *outer))
        return (*ahead, scale, *renamed)

    def multiply(self, m: Module, pipe: Pipeline, a: Any, b: Any, **scales: Any) -> Any:
        """Add up products block by block, and scale the sums."""
        size = self.design.block_size
        assert size
        terms = []
        for n in range(self.design.blocks):
            part, (x, y) = add_submodule(
                m, f"block_{n}", block_a=_slice(a, n, size), block_b=_slice(b, n, size)
            )
            total = self.inner.parts(m, self.inner.of(part, pipe, x, y))
            held = self._beside(m, pipe, {name: codes[n] for name, codes in scales.items()})
            codes = [held[name] for name in self.scaler.formats]
            term = self.scaler.term(m, total, codes)
            terms.append(self._held(m, pipe, term))
        return self.outer.enter(m, Prefixed(pipe, _OUTER), terms)

    def _held(self, m: Module, pipe: Pipeline, term: FloatProduct) -> FloatProduct:
        """Put a register behind a term, if there is to be one."""
        names = ("sign", "significand", "zero", "special", "steps")
        values = {name: getattr(term, name) for name in names}
        layout = data.StructLayout({name: len(value) for name, value in values.items()})
        raw = Signal(layout, name="term")
        m.d.comb += [raw[name].eq(value) for name, value in values.items()]
        held = pipe.cut(m, _SCALE, raw)
        fields = {name: held[name] for name in names}
        return FloatProduct(**fields, least=term.least, most=term.most)

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: Any) -> data.View:
        """Add the terms."""
        result: data.View = self.outer.step(m, Prefixed(pipe, _OUTER), state, product)
        return result

    def finish(self, m: Module, state: data.View) -> tuple[Accumulator, data.View]:
        """Return the state as it is: that of the outer accumulation."""
        return self.outer, state

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return what the outer accumulation does."""
        found: Fraction = self.outer.fraction(m, state)
        return found


class TensorDot(_ScaledDot):
    """A chain of elements that all have the same scales, which are multiplied by at its end.

    Parameters
    ----------
    design : Dot
        What is computed.
    """

    def __init__(self, design: Dot) -> None:
        super().__init__(design, design.lanes, design.accumulate.max_terms)
        self._dot = self.inner.dot

    @property
    def state_layout(self) -> data.StructLayout:
        """The sum of elements, and the codes of the scales that came last."""
        inner = {name: field.shape for name, field in self._dot.state_layout}
        return data.StructLayout(
            inner | {name: fmt.width for name, fmt in self.scaler.formats.items()}
        )

    @property
    def meaning(self) -> dict[str, str]:
        """That of an exact sum, and formats of the scales."""
        return self._dot.meaning | {
            name: f"code of {fmt.name}" for name, fmt in self.scaler.formats.items()
        }

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Those of the sum of elements: scales are for the foot."""
        return self._dot.sections(delays)

    def multiply(self, m: Module, pipe: Pipeline, a: Any, b: Any, **scales: Any) -> Any:
        """Multiply; scales go along."""
        held = self._beside(m, pipe, {name: codes[0] for name, codes in scales.items()})
        return self._dot.multiply(m, pipe, a, b), held

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: Any) -> data.View:
        """Add."""
        products, scales = product
        total = self._dot.step(m, pipe, self._elements(m, state), products)
        result = Signal(self.state_layout, name="result")
        m.d.comb += [
            *(result[name].eq(total[name]) for name, _ in total.shape()),
            *(result[name].eq(scales[name]) for name in self.scaler.formats),
        ]
        return result

    def _elements(self, m: Module, state: data.View) -> data.View:
        """Return the state of the sum of elements."""
        inner = Signal(self._dot.state_layout, name="elements")
        m.d.comb += [inner[name].eq(state[name]) for name, _ in inner.shape()]
        return inner

    def finish(self, m: Module, state: data.View) -> tuple[Accumulator, data.View]:
        """Scale the sum, and round it as the only term of a chain."""
        inner = self._elements(m, state)
        codes = [state[name] for name in self.scaler.formats]
        term = self.scaler.term(m, self.inner.parts(m, inner), codes)
        pipe = Pipeline((), Const(0))
        start = Signal(self.outer.state_layout, name="start")
        return self.outer, self.outer.step(m, pipe, start, self.outer.enter(m, pipe, [term]))

    def finish_ps(self, delays: Delays) -> float:
        """Estimate the delay of scaling and rounding."""
        outer: float = sum(section.delay_ps for section in self.outer.sections(delays)[1:])
        return self.scaler.delay_ps(delays) + outer

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return what :meth:`finish` leads to."""
        outer, finished = self.finish(m, state)
        return outer.fraction(m, finished)
