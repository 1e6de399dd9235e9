"""minimac as a library: a unit inside an Amaranth design of one's own.

A dot product in bfloat16 whose negative results become zero. The unit has the streams of
``amaranth.lib.stream``, so that it is wired up like any other component. Run this file to get
Verilog of the whole.
"""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring

from minimac.rtl import create, plan
from minimac.spec import load_design

DESIGN = load_design(
    {
        "name": "dot",
        "unit": "mac",
        "a": "bf16",
        "b": "bf16",
        "out": "bf16",
        "accumulate": {"kind": "float", "width": 16, "normalize": "approx(1,2)"},
    }
)


class RectifiedDot(wiring.Component):
    """Dot product of two streams, and zero where it is negative.

    Members
    -------
    i, o
        As those of the unit inside: ``i`` takes ``a``, ``b`` and ``last``, ``o`` gives ``sum``.
    """

    def __init__(self):
        super().__init__(plan(DESIGN).signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dot = dot = create(DESIGN)
        wiring.connect(m, wiring.flipped(self.i), dot.i)
        negative = dot.o.p.sum[-1]
        m.d.comb += [
            self.o.p.sum.eq(Mux(negative, 0, dot.o.p.sum)),
            self.o.valid.eq(dot.o.valid),
            dot.o.ready.eq(self.o.ready),
        ]
        return m


if __name__ == "__main__":
    from amaranth.back import verilog

    print(verilog.convert(RectifiedDot(), name="rectified_dot"))
