"""Softmax of a stream in two passes, each number once in and once out of a memory."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from minimac.rtl.activation import ExponentialPath
from minimac.rtl.delay import Delays, Section, choose_cuts, place_registers, stages_ps
from minimac.rtl.operand import unpack
from minimac.rtl.outline import Outline
from minimac.rtl.pipeline import Pipeline
from minimac.rtl.results import Result, Rounder
from minimac.rtl.shift import leading_zeros, shift_left, shift_right_sticky
from minimac.spec import Softmax

__all__ = ["SoftmaxPlan", "SoftmaxUnit"]


class SoftmaxPlan:
    """Interface and timing of a :class:`SoftmaxUnit`, found without building it.

    Attributes
    ----------
    cuts : tuple of str
        Places that hold a register, of the first pass and of the second one, which takes as many as
        it needs not to be slower.
    latency : int
        Cycles from the transfer with ``last`` on ``i`` to ``o.valid`` of the first result, if the
        unit had nothing else to do.
    signature : wiring.Signature
        Members of the unit.
    """

    def __init__(self, design: Softmax) -> None:
        self.design = design
        self.path = ExponentialPath(design.exponential, signed=design.a.signed)
        bits, guard = design.mantissa, design.guard_bits
        #: Bits of the sum: below those of a mantissa, and above.
        self.sum_bits = bits + 1 + 2 * guard
        # Beyond, a result is less than a quarter of the least one that there is.
        self.depth = max(1, min(self.path.reach + guard, 3 - design.out.lsb_exp))
        self.result = Result(
            design,
            bits=bits + 1 + design.quotient_bits,
            base=-self.depth,
            top=0,
            reach=self.depth,
        )
        delays = Delays(design.technology)
        first, second = self._first_sections(delays), self._second_sections(delays)
        where = f"for unit {design.unit} ({design.summary()})"
        own = choose_cuts(design, first, where)
        pace_ps = 1e6 / design.clock_mhz
        if design.pipeline != "auto":
            pace_ps = max(stages_ps(first, own, delays.register))
        self.later_cuts = place_registers(
            second,
            stages=0 if design.pipeline == 0 else None,
            period_ps=pace_ps,
            register_ps=delays.register,
        )
        self.cuts = own + self.later_cuts
        # Sum, division, its start and end, the memory, and the result.
        self.latency = len(self.cuts) + design.quotient_bits + 6
        item, result = design.a.width, design.out.width
        self.signature = wiring.Signature(
            {
                "i": In(stream.Signature(data.StructLayout({"a": item, "last": 1}))),
                "o": Out(stream.Signature(data.StructLayout({"result": result, "last": 1}))),
            }
        )

    def _first_sections(self, delays: Delays) -> tuple[Section, ...]:
        align = 2 * delays.adder(self.path.exponent_bits) + delays.gates(2)
        add = delays.shifter(self.sum_bits) + delays.adder(self.sum_bits) + delays.gates(1)
        return *self.path.sections(delays), Section("align", align), Section("", add)

    def _second_sections(self, delays: Delays) -> tuple[Section, ...]:
        bits = self.design.mantissa + 1
        multiply = delays.multiplier(bits, self.design.quotient_bits + 1) + delays.gates(1)
        return Section("multiply", multiply), *self.result.conversion.sections(delays)

    @property
    def has_zeros(self) -> bool:
        """Whether an exponential can be zero: that of minus infinity."""
        return self.design.a.has_infinities and self.design.a.signed

    @property
    def word_layout(self) -> data.StructLayout:
        """What is kept of a number between the passes."""
        zero = {"zero": 1} if self.has_zeros else {}
        return data.StructLayout(
            {
                "fraction": self.design.mantissa,
                "exponent": range(self.path.reach + 1),
                **zero,
            }
        )

    @property
    def meaning(self) -> dict[str, dict[str, str]]:
        """What each field of each port stands for."""
        design = self.design
        return {
            "i": {"a": f"code of {design.a.name}", "last": "1: the last number of a vector"},
            "o": {
                "result": f"code of {design.out.name}: e**a over the sum of them",
                "last": "1: the last one of a vector",
            },
        }

    @property
    def protocol(self) -> list[str]:
        """How the ports are used."""
        design = self.design
        return [
            f"A vector is up to {design.length} transfers on i, the last of them with last, which",
            f"number {design.length} is in any case. As many results follow on o, in order.",
            "latency_cycles: from the edge that takes the last number to the one after which o is",
            "valid, if the unit was idle. The next vectors come in while those before go out: each",
            "takes one cycle more than numbers if these are more than latency_cycles, and at least",
            f"{design.quotient_bits + 2} cycles.",
        ]

    def create(self, outline: Outline | None = None) -> "SoftmaxUnit":
        """Create the hardware."""
        return SoftmaxUnit(self.design, outline)


class SoftmaxUnit(wiring.Component):
    """Softmax of vectors that come number by number.

    The first pass turns numbers into pairs of mantissa and exponent, keeps these in one half of a
    memory, and adds them up. A divider takes a bit a cycle for one over the sum. The second pass
    reads the pairs and multiplies, while the next vector fills the other half.

    Parameters
    ----------
    design : Softmax
        The unit.
    outline : Outline, optional
        Where its rounding comes from.

    Members
    -------
    i : ``In(stream.Signature(...))``
        ``a``: code of a number; ``last``: whether it is the last one of its vector.
    o : ``Out(stream.Signature(...))``
        ``result``: code of the result; ``last``.
    """

    def __init__(self, design: Softmax, outline: Outline | None = None) -> None:
        self.design = design
        self.outline = outline or Outline()
        self.plan = SoftmaxPlan(design)
        super().__init__(self.plan.signature)

    def elaborate(self, platform):
        m = Module()
        design, plan = self.design, self.plan
        m.submodules.memory = memory = Memory(
            shape=plan.word_layout, depth=2 << design.guard_bits, init=[]
        )
        # Where the second pass is: the first one may fill again what is before that.
        at = {
            "reading": Signal(name="reading"),
            "address": Signal(self._address_bits, name="address"),
            "bank": Signal(name="bank_out", reset_less=True),
        }
        freed = Signal(2)
        total = self._first_pass(m, memory.write_port(), at, freed)
        quotient = self._divide(m, total)
        self._second_pass(m, memory.read_port(), quotient, at, freed)
        return m

    @property
    def _address_bits(self) -> int:
        return max(self.design.guard_bits, 1)

    def _first_pass(
        self, m: Module, port: Any, at: dict[str, Value], freed: Value
    ) -> dict[str, Value]:
        """Fill the memory and add up; return the sum, and all that goes with it."""
        design, plan = self.design, self.plan
        length = design.length
        bank, count = Signal(name="bank_in"), Signal(self._address_bits, name="count_in")
        taken, last = Signal(name="taken"), Signal(name="last_in")
        # Halves of the memory that hold a complete vector, and those that hold the next one behind
        # the rest of it.
        used = Array(Signal(name=f"used_{n}") for n in range(2))
        again = Array(Signal(name=f"used_again_{n}") for n in range(2))
        behind = at["reading"] & (at["bank"] == bank) & (count < at["address"])
        m.d.comb += [
            self.i.ready.eq(~used[bank] | behind),
            taken.eq(self.i.valid & self.i.ready),
            last.eq(self.i.p.last | (count == length - 1)),
        ]
        for n in range(2):
            with m.If(freed[n]):
                m.d.sync += [used[n].eq(again[n]), again[n].eq(0)]
        with m.If(taken):
            m.d.sync += count.eq(Mux(last, 0, count + 1))
            with m.If(last):
                m.d.sync += bank.eq(~bank)
                with m.If(used[bank] & ~Mux(bank, freed[1], freed[0])):
                    m.d.sync += again[bank].eq(1)
                with m.Else():
                    m.d.sync += used[bank].eq(1)

        x = unpack(design.a, self.i.p.a)
        flags = {"first": 1, "last": 1, "bank": 1, "count": self._address_bits, "bad": 1, "zero": 1}
        beside = Signal(data.StructLayout(flags), name="flags")
        m.d.comb += [
            beside.first.eq(count == 0),
            beside.last.eq(last),
            beside.bank.eq(bank),
            beside.count.eq(count),
            beside.bad.eq(x.nan | (x.infinity & ~x.sign)),
            beside.zero.eq(x.infinity & x.sign),
        ]
        pipe = Pipeline(plan.cuts, Const(1))

        def flow(valid: Value, *places: str) -> Value:
            for place in places:
                if place in plan.cuts:
                    held = Signal(name=f"{place}_valid")
                    m.d.sync += held.eq(valid)
                    valid = held
            return valid

        found = plan.path.build(m, pipe, x, beside)
        valid = flow(taken, *(x.place for x in plan.path.sections(Delays(""))))
        pair = found.pair
        m.d.comb += [
            port.en.eq(valid),
            port.addr.eq(Cat(found.count[: design.guard_bits], found.bank)),
            port.data.fraction.eq(pair.mantissa),
            port.data.exponent.eq(pair.exponent),
        ]
        if plan.has_zeros:
            m.d.comb += port.data.zero.eq(found.zero)

        # The exponent of the sum runs ahead of it: the larger one of what it was and the pair's.
        top, empty = Signal(plan.path.exponent_bits, name="top"), Signal(name="empty")
        aligned = Signal(
            data.StructLayout(
                {
                    "mantissa": design.mantissa + 1,
                    "top": plan.path.exponent_bits,
                    "distance": plan.path.exponent_bits,
                    "sum_moves": 1,
                    "sum_stays": 1,
                    "first": 1,
                    "last": 1,
                    "bank": 1,
                    "count": self._address_bits,
                    "bad": 1,
                }
            ),
            name="aligned",
        )
        starts = Signal(name="starts")
        above = Signal(plan.path.exponent_bits + 1, name="above")
        below = Signal(plan.path.exponent_bits, name="below")
        higher = Signal(name="higher")
        m.d.comb += [
            starts.eq(found.first | empty),
            above.eq(pair.exponent - top),
            below.eq(top - pair.exponent),
            higher.eq(~above[-1] & ~found.zero),
            aligned.mantissa.eq(Mux(found.zero, 0, pair.mantissa)),
            aligned.top.eq(Mux(starts | higher, pair.exponent, top)),
            aligned.distance.eq(Mux(starts, 0, Mux(higher, above, below))),
            aligned.sum_moves.eq(higher),
            aligned.sum_stays.eq(~starts),
            aligned.first.eq(found.first),
            aligned.last.eq(found.last),
            aligned.bank.eq(found.bank),
            aligned.count.eq(found.count),
            aligned.bad.eq(found.bad),
        ]
        with m.If(valid):
            m.d.sync += [top.eq(aligned.top), empty.eq(starts & found.zero)]
        aligned = pipe.cut(m, "align", aligned)
        valid = flow(valid, "align")

        total = Signal(plan.sum_bits, name="total")
        ready = Signal(name="total_ready")
        known = {
            "top": Signal(plan.path.exponent_bits, name="total_top", reset_less=True),
            "bank": Signal(name="total_bank", reset_less=True),
            "count": Signal(self._address_bits, name="total_count", reset_less=True),
            "bad": Signal(name="total_bad", reset_less=True),
        }
        addend = Cat(Const(0, design.guard_bits), aligned.mantissa)
        before = total & aligned.sum_stays.replicate(plan.sum_bits)
        moved = Signal(plan.sum_bits, name="moved")
        # Either the sum moves, or the addend: never both.
        m.d.comb += moved.eq(
            shift_right_sticky(
                m, Mux(aligned.sum_moves, before, addend), aligned.distance, sticky=False
            )
        )
        with m.If(valid):
            m.d.sync += [
                total.eq(Mux(aligned.sum_moves, addend, before) + moved),
                known["top"].eq(aligned.top),
                known["bank"].eq(aligned.bank),
                known["count"].eq(aligned.count),
                known["bad"].eq(aligned.bad | (known["bad"] & ~aligned.first)),
            ]
        return {"total": total, "ready": ready, "arrives": valid & aligned.last, **known}

    def _divide(self, m: Module, total: dict[str, Value]) -> dict[str, Value]:
        """Divide one by the sum, a bit a cycle; return quotient, and what goes with it."""
        design, plan = self.design, self.plan
        # A sum has its leading one among its top bits, unless it is zero.
        guard, wide = design.guard_bits, design.divisor_bits
        zeros = leading_zeros(m, total["total"][-(guard + 1) :]) if guard else Const(0, 1)
        # Zeros below, if the sum is narrower than the divisor.
        padded = Cat(Const(0, max(wide + 1 + guard - plan.sum_bits, 0)), total["total"])
        normal = Signal(len(padded), name="normal")
        m.d.comb += normal.eq(shift_left(m, padded, zeros))
        divisor = Signal(wide + 1, reset_less=True)
        remainder = Signal(wide + 2, reset_less=True)
        quotient = Signal(design.quotient_bits + 1, reset_less=True)
        steps = Signal(range(design.quotient_bits + 2), reset_less=True)
        busy, done, given = Signal(name="dividing"), Signal(name="divided"), Signal(name="given")
        top = Signal(range(plan.path.reach + guard + 1), name="quotient_top", reset_less=True)
        bank = Signal(name="quotient_bank", reset_less=True)
        count = Signal(self._address_bits, name="quotient_count", reset_less=True)
        bad = Signal(name="quotient_bad", reset_less=True)

        ready, load = total["ready"], Signal(name="load_divisor")
        m.d.comb += load.eq(ready & ~busy & (~done | given))
        m.d.sync += ready.eq(total["arrives"] | (ready & ~load))
        with m.If(given):
            m.d.sync += done.eq(0)
        with m.If(load):
            m.d.sync += [
                divisor.eq(normal[-(wide + 1) :]),
                remainder.eq(1 << wide),
                steps.eq(design.quotient_bits),
                busy.eq(1),
                top.eq(total["top"] + (guard - zeros)),
                bank.eq(total["bank"]),
                count.eq(total["count"]),
                bad.eq(total["bad"] | ~total["total"].any()),
            ]
        rest = Signal(wide + 3, name="rest")
        m.d.comb += rest.eq(remainder - divisor)
        with m.If(busy):
            m.d.sync += [
                quotient.eq(Cat(~rest[-1], quotient)),
                remainder.eq(Cat(Const(0, 1), Mux(rest[-1], remainder, rest))),
                steps.eq(steps - 1),
            ]
            with m.If(steps == 0):
                m.d.sync += [busy.eq(0), done.eq(1)]
        return {
            "quotient": quotient,
            "done": done,
            "given": given,
            "top": top,
            "bank": bank,
            "count": count,
            "bad": bad,
        }

    def _second_pass(
        self,
        m: Module,
        port: Any,
        found: dict[str, Value],
        at: dict[str, Value],
        freed: Value,
    ) -> None:
        """Read the memory, multiply, round."""
        design, plan = self.design, self.plan
        step = Signal(name="step_out")
        m.d.comb += step.eq(~self.o.valid | self.o.ready)
        held = {
            name: Signal.like(found[name], name=f"{name}_out", reset_less=True)
            for name in ("quotient", "top", "count", "bad")
        }
        reading, address = at["reading"], at["address"]
        held["bank"] = at["bank"]
        final = Signal(name="final")
        m.d.comb += [
            found["given"].eq(found["done"] & ~reading & step),
            final.eq(address == held["count"]),
            port.en.eq(step),
            port.addr.eq(Cat(address[: design.guard_bits], held["bank"])),
        ]
        with m.If(found["given"]):
            m.d.sync += [reading.eq(1), address.eq(0)]
            m.d.sync += [signal.eq(found[name]) for name, signal in held.items()]
        with m.If(reading & step):
            m.d.sync += address.eq(address + 1)
            with m.If(final):
                m.d.sync += reading.eq(0)
                m.d.comb += freed.eq(Mux(held["bank"], 2, 1))

        read, last = Signal(name="read"), Signal(name="last_read", reset_less=True)
        with m.If(step):
            m.d.sync += [read.eq(reading), last.eq(final)]

        result = plan.result
        word = port.data
        mantissa = Cat(word.fraction, Const(1, 1))
        if plan.has_zeros:
            mantissa = mantissa & (~word.zero).replicate(len(mantissa))
        # How far below the sum a number is, and where it can no longer matter, how far at most.
        deep = Signal(range(plan.path.reach + design.guard_bits + 1), name="deep")
        state = Signal(data.StructLayout({"state": result.state_layout, "last": 1}), name="product")
        m.d.comb += [
            deep.eq(held["top"] - word.exponent),
            state.state.magnitude.eq(mantissa * held["quotient"]),
            state.state.exponent.eq(Mux(deep > plan.depth, 0, plan.depth - deep)),
            state.last.eq(last),
        ]
        if result.special_bits:
            m.d.comb += state.state.special.eq(held["bad"].replicate(result.special_bits))
        state = Pipeline(plan.later_cuts, step).cut(m, "multiply", state)
        foot = self.outline.part(m, "foot", "foot", lambda: Rounder(result, plan.later_cuts))
        m.d.comb += foot.state.eq(state.state)
        valid, ends = read, state.last
        if "multiply" in plan.later_cuts:
            valid = self._later(m, step, valid, "multiply_valid")
        inside = [place for place in plan.later_cuts if place != "multiply"]
        if inside:
            m.d.comb += foot.step.eq(step)
        for place in inside:
            valid = self._later(m, step, valid, f"{place}_valid")
            ends = self._later(m, step, ends, f"{place}_last")
        with m.If(step):
            m.d.sync += [
                self.o.valid.eq(valid),
                self.o.p.result.eq(foot.code),
                self.o.p.last.eq(ends),
            ]

    @staticmethod
    def _later(m: Module, step: Value, bit: Value, name: str) -> Signal:
        """Hold a bit for a step."""
        held = Signal(name=name)
        with m.If(step):
            m.d.sync += held.eq(bit)
        return held
