"""Sums of a group of terms and an accumulator at once, as matrix engines do (design section 4.5).

All terms are shifted to where the largest exponent says, cut off below the window, and added up in
one tree of full adders; the sum is normalised and rounded once.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, ShapeLike, Signal, Value, signed
from amaranth.lib import data

from minimac.rtl.accumulator import Fraction, Scaled, State
from minimac.rtl.coded import CodedAccumulator
from minimac.rtl.delay import Delays, Section
from minimac.rtl.dots.exact import tree_levels, vectors, vectors_meaning
from minimac.rtl.heap import BitHeap
from minimac.rtl.operand import Operand, unpack
from minimac.rtl.parts import mark
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.product import FloatProduct, float_product
from minimac.rtl.round import Modes
from minimac.rtl.shift import leading_zeros, shift_down, shift_left
from minimac.rtl.submodules import add_submodule
from minimac.rtl.tominifloat import ToMinifloat
from minimac.spec import Arithmetic, FusedAccumulation

__all__ = ["FusedDot"]


class FusedDot(CodedAccumulator):
    """A code to which a group of terms is added with one alignment and one rounding.

    Parameters
    ----------
    spec : Arithmetic
        What is computed; its products are the terms.
    lanes : int
        Terms in a group.
    lead : int
        Exponent of a term's top bit, less the one that the term counts with: 1 for products, whose
        leading one is in either of two places.
    terms : int, optional
        Most terms of a chain; by default those of the accumulation.
    """

    acc: FusedAccumulation

    def __init__(
        self, spec: Arithmetic, lanes: int, *, lead: int = 1, terms: int | None = None
    ) -> None:
        super().__init__(spec)
        assert isinstance(spec.accumulate, FusedAccumulation)
        self.acc = spec.accumulate
        self.lanes = lanes
        self.lead = lead
        self._max_terms = terms or self.acc.max_terms

    @property
    def operands(self) -> dict[str, ShapeLike]:
        """Vectors of codes."""
        return vectors(self.spec, self.lanes)

    @property
    def operand_meaning(self) -> dict[str, str]:
        """Formats of the vectors."""
        return vectors_meaning(self.spec)

    # --- Ranges ----------------------------------------------------------------------------------

    @property
    def _terms(self) -> tuple[int, int]:
        """Least and greatest exponent that a term counts with."""
        return self.spec.product_min_exp - self.lead, self.spec.product_max_exp - self.lead

    @property
    def _normalizes_state(self) -> bool:
        """Whether it matters where the leading one of a subnormal state is.

        It does if a term may be less than the least normal, or if the window is too short for all
        bits of a state. Otherwise a subnormal may count with the exponent of the least normal.
        """
        least = self.format.min_exp
        if self.spec.lsb_exp >= least:
            return False  # states are multiples of what all terms are, and no subnormals
        return self._terms[0] < least or self.format.man_bits > self.acc.frac_bits

    @property
    def states(self) -> tuple[int, int]:
        """Least and greatest exponent that a state other than zero counts with."""
        fmt, spec = self.format, self.spec
        least = fmt.min_exp - (fmt.man_bits if self._normalizes_state else 0)
        # A sum is at most doubled by what it is rounded to.
        largest = 2 * self._max_terms * max(map(abs, spec.product_range))
        return (
            max(least, spec.lsb_exp),
            min(fmt.max_exp, spec.lsb_exp + largest.bit_length()),
        )

    @property
    def _least(self) -> int:
        """What exponents count from."""
        return min(self._terms[0], self.states[0])

    @property
    def _most(self) -> int:
        return max(self._terms[1], self.states[1])

    @property
    def _window_bits(self) -> int:
        """Bits of an aligned term, the sticky one apart."""
        return self.acc.frac_bits + 1 + self.lead

    @property
    def _sum_bits(self) -> int:
        """Width of a sum in two's complement: terms and state are less than the window."""
        return self._window_bits + self.acc.sticky + (self.lanes + 1).bit_length() + 1

    def sections(self, delays: Delays) -> tuple[Section, ...]:
        """Multiply, find the largest exponent, align, add up, normalise, round."""
        spec = self.spec
        exponent = (self._most - self._least).bit_length()
        levels = (self.lanes - 1).bit_length()
        multiply = delays.gates(2) + delays.multiplier(spec.a.sig_bits, spec.b.sig_bits)
        largest = levels * (delays.adder((self._terms[1] - self._terms[0]).bit_length()) / 2)
        align = 2 * delays.adder(exponent) + delays.gates(4) + delays.shifter(self._window_bits)
        tree = delays.gates(2 + tree_levels(self.lanes + 1)) + delays.adder(self._sum_bits)
        count, *conversion = self._conversion.sections(delays)
        magnitude = delays.gates(1) + delays.incrementer(self._sum_bits)
        conversion.insert(0, count._replace(delay_ps=count.delay_ps + magnitude))
        return (
            Section("multiply", multiply, True),
            Section("largest", delays.gates(levels) + largest, True),
            Section("align", align),
            Section("tree", tree),
            *conversion,
        )

    # --- The terms -------------------------------------------------------------------------------

    def multiply(self, m: Module, pipe: Pipeline, a: Any, b: Any) -> data.View:
        """Multiply, lane by lane, and find the largest exponent."""
        terms = []
        for n, codes in enumerate(zip(a, b, strict=True)):
            part, (x, y) = add_submodule(m, f"product_{n}", a=codes[0], b=codes[1])
            term = self._term(part, float_product(self.spec, x, y, part))
            mark(part, "multiply", term)
            terms.append(term)
        return self._take(m, pipe, terms)

    def enter(self, m: Module, pipe: Pipeline, terms: Sequence[FloatProduct]) -> data.View:
        """Take terms, and find the largest exponent."""
        return self._take(m, pipe, [self._term(m, term) for term in terms])

    @property
    def _term_fields(self) -> dict[str, int]:
        reach = self._terms[1] - self._terms[0]
        steps = max(reach.bit_length(), 1)
        return {"significand": self.spec.product_bits, "steps": steps, "sign": 1, "used": 1}

    def _term(self, m: Module, term: FloatProduct) -> data.View:
        """Return a term as signals."""
        result = Signal(self.with_special(self._term_fields), name="term")
        m.d.comb += [
            result.significand.eq(term.significand),
            result.steps.eq(term.exponent),
            result.sign.eq(term.sign),
            result.used.eq(~term.zero),
            *self.take_special(result, term.special),
        ]
        return result

    def _take(self, m: Module, pipe: Pipeline, terms: Sequence[data.View]) -> data.View:
        """Find the largest exponent."""
        one = data.StructLayout(self._term_fields)
        fields = {"terms": data.ArrayLayout(one, self.lanes)}
        raw = Signal(self.with_special(fields), name="raw_terms")
        for each, term in zip(raw.terms, terms, strict=True):
            m.d.comb += [each[name].eq(term[name]) for name in self._term_fields]
        m.d.comb += self.take_special(raw, *terms)
        held = pipe.cut(m, "multiply", raw)

        found = Signal(
            self.with_special({**fields, "largest": len(held.terms[0].steps), "any": 1}),
            name="found",
        )
        m.d.comb += [
            found.terms.eq(held.terms),
            found.largest.eq(self._largest(m, held)),
            found.any.eq(Cat(each.used for each in held.terms).any()),
            *self.take_special(found, held),
        ]
        return pipe.cut(m, "largest", found)

    def _largest(self, m: Module, held: data.View) -> Value:
        """Return the largest exponent of the terms that are not zero; of none, 0."""
        level = [each.steps & each.used.replicate(len(each.steps)) for each in held.terms]
        while len(level) > 1:
            pairs = []
            for n, (x, y) in enumerate(zip(level[::2], level[1::2], strict=False)):
                larger = Signal(len(x), name=f"larger_{len(level)}_{n}")
                m.d.comb += larger.eq(Mux(x > y, x, y))
                pairs.append(larger)
            level = pairs + level[2 * len(pairs) :]
        return level[0]

    # --- The sum ---------------------------------------------------------------------------------

    def step(self, m: Module, pipe: Pipeline, state: data.View, product: data.View) -> data.View:
        """Align, add up, normalise, round."""
        acc, window = self.acc, self._window_bits
        term_least, reach = self._terms[0], self._terms[1] - self._terms[0]
        number, exponent = self._unpack(m, state)
        largest = Signal(range(self._most - self._least + 1), name="largest_exponent")
        of_terms = product.largest + (term_least - self._least)
        leads = Signal(name="state_leads")
        m.d.comb += [
            leads.eq(~number.zero & (~product.any | (exponent > of_terms))),
            largest.eq(Mux(leads, exponent, of_terms)),
        ]

        # How far a term of the least exponent moves; at the limit, every term is out of the window.
        limit = reach + window
        above = Signal(range(limit + 1), name="above_least")
        distance = largest - (term_least - self._least)
        m.d.comb += above.eq(Mux(distance > limit, limit, distance))
        bits = window + acc.sticky
        aligned = Signal(
            self.with_special(
                {
                    "terms": data.ArrayLayout(bits, self.lanes + 1),
                    "signs": self.lanes + 1,
                    "exponent": largest.shape(),
                }
            ),
            name="aligned",
        )
        for n, each in enumerate(product.terms):
            aligner, (term, most) = add_submodule(
                m, f"aligner_{n}", term=_fields(each, "significand", "steps", "sign"), above=above
            )
            amount = (most - term.steps)[: len(most)]
            moved = shift_down(aligner, term.significand, amount, window, sticky=acc.sticky)
            # Of what is negative the complement, without the one that this lacks.
            flipped = Signal(bits, name="aligned")
            aligner.d.comb += flipped.eq(moved ^ term.sign.replicate(bits))
            mark(aligner, "align", flipped)
            m.d.comb += [aligned.terms[n].eq(flipped), aligned.signs[n].eq(each.sign)]
        behind = (largest - exponent)[: len(largest)]
        top = Cat(number.significand, Const(0, self.lead))
        moved = shift_down(m, top, behind, window, sticky=acc.sticky)
        m.d.comb += [
            aligned.terms[self.lanes].eq(moved ^ number.sign.replicate(bits)),
            aligned.signs[self.lanes].eq(number.sign),
            aligned.exponent.eq(largest),
            *self.take_special(aligned, self.special(m, state), product),
        ]
        held = pipe.cut(m, "align", aligned)
        part, (held,) = add_submodule(m, "adder_tree", aligned=held)
        total = pipe.cut(m, "tree", self._add(part, held))
        part, (total,) = add_submodule(m, "rounder", total=total)
        result = Signal(self.state_layout, name="result")
        part.d.comb += result.code.eq(self._conversion.build(part, pipe, total))
        if not self.codes_special:
            part.d.comb += self.take_special(result, total)
        return result

    def _add(self, m: Module, aligned: data.View) -> data.View:
        """Add up complements, and the ones that they lack."""
        total = Signal(self._total.state_layout, name="total")
        heap = BitHeap(self._sum_bits)
        bits = self._window_bits + self.acc.sticky
        for term in aligned.terms:
            heap.add_bits(list(term), signed=False)
        heap.add_negations(m, list(aligned.signs), bits)
        m.d.comb += [
            total.sum.eq(heap.total(m)),
            total.exponent.eq(aligned.exponent),
            *self.take_special(total, aligned),
        ]
        mark(m, "tree", total)
        return total

    def _unpack(self, m: Module, state: data.View) -> tuple[Operand, Value]:
        """Return what a state is made of, and the exponent that it counts with."""
        number = unpack(self.format, state.code)
        if not self._normalizes_state:
            return number, number.exponent + (number.base - self._least)
        zeros = leading_zeros(m, number.significand)
        significand = shift_left(m, number.significand, zeros)
        exponent = number.exponent + (number.base - self._least) - zeros
        bits = (self._most - self._least).bit_length()
        return replace(number, significand=significand), exponent[:bits]

    @property
    def _total(self) -> "_Total":
        lowest = self._least - self.acc.frac_bits - self.acc.sticky
        top = lowest + self._sum_bits - 2
        return _Total(self.spec, self._sum_bits, self._most - self._least, top)

    @property
    def _conversion(self) -> ToMinifloat:
        return _ToState(Modes(self.acc.round), self.format, self._total)


def _fields(view: data.View, *names: str) -> data.View:
    """Return the first fields of a structure."""
    layout = data.StructLayout({name: view.shape()[name].shape for name in names})
    return data.View(layout, view.as_value()[: layout.size])


class _Total(State):
    """A sum in two's complement, and the exponent of its top bit of magnitude, less ``base``."""

    def __init__(self, spec: Arithmetic, bits: int, reach: int, base: int) -> None:
        super().__init__(spec)
        self.bits, self.reach, self.base = bits, reach, base

    @property
    def state_layout(self) -> data.StructLayout:
        return self.with_special({"sum": signed(self.bits), "exponent": range(self.reach + 1)})

    def scaled(self, m: Module, state: data.View) -> Scaled:
        return Scaled(state.sum, state.exponent, self.base - (self.bits - 2), self.reach)

    def fraction(self, m: Module, state: data.View) -> Fraction:
        sign = state.sum[-1]
        magnitude = Signal(self.bits - 1, name="magnitude")
        m.d.comb += magnitude.eq(Mux(sign, -state.sum, state.sum))
        return Fraction(sign, magnitude, state.exponent, self.base, self.base + self.reach)


class _ToState(ToMinifloat):
    """Conversion of a sum to a state; overflow is infinite in every mode, if a state can be."""

    def _too_large(self, *, negative: bool) -> int:
        return self._infinity(negative=negative)
