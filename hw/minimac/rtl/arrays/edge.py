"""What surrounds the elements of an array: delays, encoders, feet."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from minimac.rtl.arrays.encoding import Encoder
from minimac.rtl.arrays.plan import ArrayPlan
from minimac.rtl.foot import Foot
from minimac.rtl.outline import Outline

__all__ = ["collect", "delayed", "enter"]


def delayed(
    m: Module, step: Value, value: Value, cycles: int, name: str, *, reset_less: bool = True
) -> Value:
    """Return a value some cycles later, of which only those with ``step`` count."""
    for n in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{n}", reset_less=reset_less)
        with m.If(step):
            m.d.sync += register.eq(value)
        value = register
    return value


def enter(
    m: Module, outline: Outline, plan: ArrayPlan, step: Value, row: int, code: Value
) -> Value:
    """Turn an activation into what travels through the elements, ``plan.edge`` cycles later."""
    encoding = plan.encoding
    if encoding is None:
        return code
    encoder = outline.part(m, "encoder", f"encoder_{row}", lambda: Encoder(encoding))
    m.d.comb += encoder.code.eq(code)
    return delayed(m, step, encoder.digits, plan.edge, f"digits_{row}")


def collect(
    m: Module,
    outline: Outline,
    plan: ArrayPlan,
    o: wiring.Component,
    *,
    chains: Sequence[data.View],
    arrived: Value,
    last: Value,
    fields: Mapping[str, Value],
) -> Value:
    """Offer chains on ``o``, one a column; return whether they are taken in this cycle.

    Parameters
    ----------
    chains, arrived : sequence of View, Value
        The chains, and whether they are valid: until they are taken, they must not change.
    last : Value
        Whether a shared foot has to round them, one after the other, while they wait.
    fields : mapping of str to Value
        What leaves together with them.
    """
    free, taken = Signal(name="output_free"), Signal(name="taken")
    stages = plan.foot.latency
    m.d.comb += free.eq(~o.valid | o.ready)

    def foot(instance: str, step: Value, chain: Value) -> Value:
        part = outline.part(m, "foot", instance, lambda: Foot(plan.design, pace_ps=plan.slowest_ps))
        m.d.comb += part.state.as_value().eq(chain)
        if stages:
            m.d.comb += part.step.eq(step)
        return part.code

    if plan.shares_foot:
        count = Signal(range(plan.foot_cycles), name="column")
        rounded = ~last | (count == plan.foot_cycles - 1)
        rounds = arrived & free & last
        code = foot("foot", rounds, Array(chain.as_value() for chain in chains)[count])
        m.d.comb += taken.eq(arrived & free & rounded)
        with m.If(rounds):
            sums = o.p.sums.as_value()
            m.d.sync += [
                sums.eq(Cat(sums[len(code) :], code)),
                count.eq(Mux(rounded, 0, count + 1)),
            ]
        with m.If(free):
            m.d.sync += o.valid.eq(taken)
        with m.If(taken):
            m.d.sync += [o.p[name].eq(value) for name, value in fields.items()]
        return taken

    moves, valid = Signal(name="foot_moves"), taken
    m.d.comb += [moves.eq(free), taken.eq(arrived & moves)]
    if stages:
        inside = Signal(stages, name="in_foot")
        valid = inside[-1]
        m.d.comb += moves.eq(free | ~valid)
        with m.If(moves):
            m.d.sync += inside.eq(Cat(arrived, inside))
    with m.If(free):
        m.d.sync += o.valid.eq(valid)
    codes = [foot(f"foot_{n}", moves, chain.as_value()) for n, chain in enumerate(chains)]
    beside = {name: delayed(m, moves, value, stages, name) for name, value in fields.items()}
    with m.If(free & valid):
        m.d.sync += [o.p.sums[n].eq(code) for n, code in enumerate(codes)]
        m.d.sync += [o.p[name].eq(value) for name, value in beside.items()]
    return taken
