"""Fixed-point sums of chunks, each of them a term of another accumulation (design section 4.2)."""

from dataclasses import dataclass, fields, replace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from minimac.rtl.accumulator import Accumulator, Fraction
from minimac.rtl.delay import Delays, Section
from minimac.rtl.fixed import FixedAccumulator
from minimac.rtl.pipeline import Pipeline, Prefixed
from minimac.rtl.terms import Terms
from minimac.spec import Arithmetic, FixedAccumulation, FixedPoint, Implementation

__all__ = ["ChunkTerms", "ChunkedAccumulator"]


class _One(FixedPoint):
    """The second operand of a chunk's term: an integer whose exponent is one below that of a 1.

    So the exponent of a product is that of its other operand.
    """

    @property
    def min_exp(self) -> int:
        """Least and greatest exponent."""
        return -1

    @property
    def lsb_exp(self) -> int:
        """Exponent of the unit: that of an integer."""
        return 0


@dataclass(frozen=True, kw_only=True)
class ChunkTerms(Terms, Implementation):
    """What the outer accumulation adds up: sums of chunks, times one."""

    @classmethod
    def of(cls, whole: Arithmetic) -> "ChunkTerms":
        """Return what the outer accumulation of a chunked one computes."""
        acc = whole.accumulate
        assert isinstance(acc, FixedAccumulation)
        assert acc.outer is not None
        built = fields(Implementation) if isinstance(whole, Implementation) else ()
        return cls(
            a=acc.format,
            b=_One(signed=False, int_bits=1, frac_bits=0),
            out=whole.out,
            accumulate=acc.outer,
            out_round=whole.out_round,
            out_overflow=whole.out_overflow,
            whole=whole,
            **{field.name: getattr(whole, field.name) for field in built},
        )


class ChunkedAccumulator(Accumulator):
    """A fixed-point sum, the number of products it lacks, and the state of an outer accumulation.

    A full sum is added to the outer state while the first product of the next chunk replaces it,
    so that the two additions run side by side. A chain that has not begun looks the same: its sum
    of zero changes nothing in an outer state of zero. The last sum, short or full, is added by
    :meth:`finish`.

    Parameters
    ----------
    spec : Arithmetic
        What is computed.
    outer : Accumulator
        The outer accumulation, of ``ChunkTerms.of(spec)``.
    """

    def __init__(self, spec: Arithmetic, outer: Accumulator) -> None:
        super().__init__(spec)
        acc = spec.accumulate
        assert isinstance(acc, FixedAccumulation)
        assert acc.chunk is not None
        self.chunk = acc.chunk
        own = {field.name: getattr(spec, field.name) for field in fields(Arithmetic)}
        own["accumulate"] = replace(acc, chunk=None, outer=None)
        self.inner = FixedAccumulator(Arithmetic(**own))
        self.outer = outer

    @property
    def state_layout(self) -> data.StructLayout:
        """The sum of a chunk, the ``count`` of products that it lacks, the outer state."""
        members = dict(_shapes(self.inner.state_layout)) | {"count": range(self.chunk)}
        for name, shape in _shapes(self.outer.state_layout):
            members[_outer(name)] = shape
        return data.StructLayout(members)

    @property
    def meaning(self) -> dict[str, str]:
        """What is said of both states."""
        words = self.inner.meaning | {"count": "products that sum lacks until it is full"}
        for name, text in self.outer.meaning.items():
            words[_outer(name)] = text
        return words

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Those of the sum ahead of the state, those of the outer accumulation behind it."""
        *ahead, add = self.inner.sections(delays)
        enter, *outer = self._outer_sections(delays)
        first = Section(enter.place, max(add.delay_ps, enter.delay_ps))
        return (*ahead, *(_renamed(section) for section in (first, *outer)))

    def finish_ps(self, delays: Delays) -> float:
        """Estimate the delay of adding the last sum."""
        return sum(section.delay_ps for section in self._outer_sections(delays))

    def _outer_sections(self, delays: Delays) -> list[Section]:
        """Return the pieces of an outer step; in the first the sum becomes a term."""
        outer = self.outer.sections(delays)
        # What multiplies by one is wires, but a sum may need its magnitude, or rounding.
        ahead = sum(section.delay_ps for section in outer[1:] if section.ahead)
        first, *rest = (section for section in outer if not section.ahead)
        enter = delays.adder(self.inner.fmt.width) + ahead + first.delay_ps
        return [Section(first.place, enter), *rest]

    def multiply(self, m: Module, pipe: Pipeline, a: Value, b: Value) -> data.View:
        """Multiply, and round the product to a multiple of the sum's lsb."""
        return self.inner.multiply(m, pipe, a, b)

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Add a product to a sum; add a full sum to the outer state, and begin another."""
        inner, outer = self._split(m, state)
        full = Signal(name="chunk_is_full")
        m.d.comb += full.eq(state.count == 0)
        kept = Signal(inner.shape(), name="kept")
        # While a chunk grows the outer addition is at rest: its operand does not change.
        complete = Signal(inner.shape(), name="complete")
        m.d.comb += [kept.eq(Mux(full, 0, inner)), complete.eq(Mux(full, inner, 0))]
        own = self.inner.step(m, pipe, kept, product)
        held = Signal(
            data.StructLayout(
                {
                    "inner": own.shape(),
                    "count": range(self.chunk),
                    "outer": outer.shape(),
                    "full": 1,
                }
            ),
            name="held",
        )
        m.d.comb += [
            held.inner.eq(own),
            held.count.eq(Mux(full, self.chunk - 1, state.count - 1)),
            held.outer.eq(outer),
            held.full.eq(full),
        ]
        added = self._add(m, Prefixed(pipe, _outer("")), complete, outer)
        # What the outer step does not touch takes as long.
        for place in pipe.cuts:
            if place.startswith(_outer("")):
                held = pipe.cut(m, place, held)
        result = Signal(self.state_layout, name="chunked_result")
        m.d.comb += result.eq(
            Cat(held.inner, held.count, Mux(held.full, added.as_value(), held.outer.as_value()))
        )
        return result

    def finish(self, m: Module, state: data.View) -> tuple[Accumulator, data.View]:
        """Add the last sum to the outer state; the chain goes on as one of the outer kind."""
        added = self._add(m, Pipeline((), Const(0)), *self._split(m, state))
        return self.outer.finish(m, added)

    def fraction(self, m: Module, state: data.View) -> Fraction:
        """Return what :meth:`finish` leads to."""
        outer, finished = self.finish(m, state)
        return outer.fraction(m, finished)

    def _split(self, m: Module, state: data.View) -> tuple[data.View, data.View]:
        """Return the states of the chunk and of the outer accumulation."""
        inner = Signal(self.inner.state_layout, name="inner_state")
        outer = Signal(self.outer.state_layout, name="outer_state")
        for name, _ in inner.shape():
            m.d.comb += inner[name].eq(state[name])
        for name, _ in outer.shape():
            m.d.comb += outer[name].eq(state[_outer(name)])
        return inner, outer

    def _add(self, m: Module, pipe: Pipeline, inner: data.View, outer: data.View) -> data.View:
        """Add the sum of a chunk to the outer state."""
        # A term is ready in the cycle that it is needed in: nothing runs ahead of the state.
        uncut = Pipeline((), pipe.step)
        found = self.outer.multiply(m, uncut, inner.sum.as_unsigned(), Const(1, 1))
        term = Signal(found.shape(), name="term")
        m.d.comb += term.eq(found)
        if self.inner.special_bits:
            special = inner.special
            if self.inner.special_bits < self.outer.special_bits:
                special = special.replicate(self.outer.special_bits)  # NaN
            m.d.comb += term.special.eq(special)
            if self.inner.special_bits == 2 and "sign" in found.shape().members:
                m.d.comb += term.sign.eq(Mux(special.any(), special[1], found.sign))
        return self.outer.step(m, pipe, outer, term)


def _outer(name: str) -> str:
    return f"outer_{name}"


def _renamed(section: Section) -> Section:
    return section._replace(place=section.place and _outer(section.place))


def _shapes(layout: data.StructLayout) -> list[tuple[str, object]]:
    return [(name, field.shape) for name, field in layout]
