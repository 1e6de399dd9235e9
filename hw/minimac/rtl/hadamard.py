"""Walsh-Hadamard transforms: butterflies on integers, and one rounding for each number."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl.delay import Delays, Section
from minimac.rtl.operand import counts_as_fixed, integer, magnitude, unit_exp, unpack
from minimac.rtl.outline import Outline
from minimac.rtl.pipeline import Pipeline, Staged
from minimac.rtl.results import IntegerResult, Rounder
from minimac.rtl.streamed import StreamedPlan, StreamedUnit
from minimac.spec import Hadamard

__all__ = ["HadamardPlan", "HadamardUnit"]


class HadamardPlan(StreamedPlan):
    """Interface and timing of a :class:`HadamardUnit`, found without building it."""

    design: Hadamard

    def __init__(self, design: Hadamard) -> None:
        self.design = design
        self.transfer = f"a vector of {design.lanes} numbers"
        self.steps = design.lanes.bit_length() - 1
        # Codebooks may have coarser units than what their values are of.
        self._unit = unit_exp(design.a)
        self.result = IntegerResult(
            design, bits=self.bits(self.steps), lsb_exp=self._unit - design.shift
        )
        super().__init__(
            design,
            self._sections(Delays(design.technology)),
            f"for unit {design.unit} ({design.summary()})",
            inputs={"a": data.ArrayLayout(design.a.width, design.lanes)},
            outputs={"result": data.ArrayLayout(design.out.width, design.lanes)},
        )

    @property
    def own_cuts(self) -> list[str]:
        """Cuts ahead of the rounding."""
        return [cut for cut in self.cuts if cut == "place" or "butterfly" in cut]

    def bits(self, steps: int) -> int:
        """Width of a number after so many butterflies."""
        return max(self.design.bits_for(1 << steps) - (self._unit - self.design.a.lsb_exp), 2)

    def layout(self, steps: int) -> data.StructLayout:
        """Layout of all numbers after so many butterflies."""
        lane = self.result.with_special({"sum": signed(self.bits(steps))})
        return data.StructLayout({"lanes": data.ArrayLayout(lane, self.design.lanes)})

    def _sections(self, delays: Delays) -> tuple[Section, ...]:
        place = delays.adder(self.bits(0))
        if not counts_as_fixed(self.design.a):
            place += delays.shifter(self.bits(0)) + delays.gates(2)
        butterflies = [
            Section(f"butterfly_{n}", delays.adder(self.bits(n))) for n in range(1, self.steps + 1)
        ]
        return (
            Section("place", place),
            *butterflies,
            *self.result.conversion.sections(delays),
        )

    def build(self, m: Module, *, step: Value, operands: dict[str, Any]) -> dict[str, Value]:
        """Add the butterflies to a module; return the exact ``sums``, which wait to be rounded."""
        pipe = Pipeline(self.cuts, step)
        lanes = Signal(self.layout(0), name="placed")
        for lane, code in zip(lanes.lanes, operands["a"], strict=True):
            self._place(m, lane, code)
        lanes = pipe.cut(m, "place", lanes)
        for n in range(1, self.steps + 1):
            sums = Signal(self.layout(n), name=f"sums_{n}")
            # An even one and the odd one after it make a sum in the upper half and a difference in
            # the lower one; after all steps each is back in its place (Pease, 1968).
            half = self.design.lanes // 2
            for k in range(half):
                x, y = lanes.lanes[2 * k], lanes.lanes[2 * k + 1]
                total, difference = sums.lanes[k], sums.lanes[half + k]
                m.d.comb += [total.sum.eq(x.sum + y.sum), difference.sum.eq(x.sum - y.sum)]
                if bits := self.result.special_bits:
                    # Infinities change their signs, and NaN, which is both, remains.
                    m.d.comb += [
                        total.special.eq(x.special | y.special),
                        difference.special.eq(
                            x.special | Cat(*reversed([y.special[b] for b in range(bits)]))
                        ),
                    ]
            lanes = pipe.cut(m, f"butterfly_{n}", sums)
        return {"sums": lanes}

    def _place(self, m: Module, lane: data.View, code: Value) -> None:
        """Bring a number into the unit that all are whole multiples of."""
        fmt = self.design.a
        if counts_as_fixed(fmt):
            m.d.comb += lane.sum.eq(integer(fmt, code))
            return
        x = unpack(fmt, code)
        size, unit = magnitude(m, fmt, x)
        up = unit - self._unit
        size = size << up if up >= 0 else size[-up:]
        m.d.comb += [
            lane.sum.eq(Mux(x.sign, -size, size)),
            *self.result.take_special(lane, x.special(self.result.special_bits)),
        ]

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        design = self.design
        return {
            "i": {"a": f"code of {design.a.name}, for each lane"},
            "o": {
                "result": f"code of {design.out.name}, for each lane of the transform times "
                f"2**-{design.shift}, rounded once"
            },
        }

    def create(self, outline: Outline | None = None) -> wiring.Component:
        """Create the hardware."""
        return HadamardUnit(self.design, outline)


class _Butterflies(Staged):
    """The exact transform: combinational, or a pipeline."""

    def __init__(self, plan: HadamardPlan) -> None:
        self.plan = plan
        members = {
            "a": In(plan.inputs["a"]),
            "sums": Out(plan.layout(plan.steps)),
        }
        super().__init__(members, plan.own_cuts)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.sums.eq(
            self.plan.build(m, step=self.moves, operands={"a": self.a})["sums"]
        )
        return m


class HadamardUnit(StreamedUnit):
    """A Walsh-Hadamard transform of each vector of a stream.

    One vector is accepted per cycle. While ``o`` is stalled everything stands still.

    Parameters
    ----------
    design : Hadamard
        The unit.
    outline : Outline, optional
        Where its parts come from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``a``: codes of a vector.
    o : ``Out(stream.Signature(...))``
        ``result``: codes of the transformed one.
    """

    plan: HadamardPlan

    def __init__(self, design: Hadamard, outline: Outline | None = None) -> None:
        super().__init__(HadamardPlan(design), outline)

    def _datapath(self, m: Module, step: Value) -> dict[str, Value]:
        plan = self.plan
        element = self.outline.part(m, "element", "element", lambda: _Butterflies(plan))
        if plan.own_cuts:
            m.d.comb += element.step.eq(step)
        m.d.comb += element.a.eq(self.i.p.a)
        codes = []
        for n, lane in enumerate(element.sums.lanes):
            foot = self.outline.part(
                m, "foot", f"foot_{n}", lambda: Rounder(plan.result, plan.cuts)
            )
            if {"count", "shift", "round"} & set(plan.cuts):
                m.d.comb += foot.step.eq(step)
            m.d.comb += foot.state.eq(lane)
            codes.append(foot.code)
        return {"result": Cat(*codes)}
