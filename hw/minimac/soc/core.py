"""An array with buffers around it and registers, driven by requests on a link of bytes."""

import json
import zlib
from functools import cached_property

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from minimac.rtl import Outline, plan
from minimac.soc.engine import Engine, Place
from minimac.soc.registers import COUNTERS, MAGIC, REGISTERS, VERSION, Control, Space
from minimac.soc.sequencer import sequencer_for
from minimac.spec import SpecError, Systolic

__all__ = ["Core", "CoreParameters"]

_WORD, _COUNTER = 32, 16


class CoreParameters:
    """An array to be driven from outside.

    Parameters
    ----------
    design : Systolic
        The array.
    depth : int
        Words of each buffer: vectors of activations, rows of weights, vectors of results.
    clock_hz : int
        Clock, which a host may ask for; 0 if it means nothing.

    Attributes
    ----------
    description : bytes
        What a host is told of the design: JSON, compressed by zlib.
    places : dict of Space to Place
        The spaces.

    Raises
    ------
    SpecError
        If the design is not an array, or the buffers do not hold a pass.
    """

    def __init__(self, design: Systolic, *, depth: int = 512, clock_hz: int = 0) -> None:
        if not isinstance(design, Systolic):
            raise SpecError(f"unit: a board takes systolic, not {design.unit}")
        if not design.array.rows <= depth <= 1 << 15:
            raise SpecError(
                f"array.rows: {design.array.rows} rows need buffers of {design.array.rows} to "
                f"{1 << 15} words, not {depth}; use fewer rows"
            )
        self.design, self.depth, self.clock_hz = design, depth, clock_hz

    @cached_property
    def description(self) -> bytes:
        text = json.dumps(self.design.as_dict(), sort_keys=True, separators=(",", ":"))
        return zlib.compress(text.encode(), 9)

    @cached_property
    def places(self) -> dict[Space, Place]:
        design, depth = self.design, self.depth
        array = design.array

        def bytes_of(bits: int) -> int:
            return -(-bits // 8)

        return {
            Space.REGISTERS: Place(_WORD // 8, len(REGISTERS), read=True, write=True),
            Space.ACTIVATIONS: Place(
                bytes_of(array.rows * design.a.width), depth, write=True, waits=True
            ),
            Space.WEIGHTS: Place(
                bytes_of(array.columns * design.b.width), depth, write=True, waits=True
            ),
            Space.RESULTS: Place(
                bytes_of(array.columns * design.out.width), depth, read=True, waits=True
            ),
            Space.DESCRIPTION: Place(1, len(self.description), read=True),
        }

    def constants(self) -> dict[str, int]:
        """Return what registers hold that never change."""
        digest = int(self.design.digest, 16)
        return {
            "identity": MAGIC,
            "version": VERSION,
            "digest_low": digest & 0xFFFF_FFFF,
            "digest_high": digest >> 32,
            "description": len(self.description),
            "depth": self.depth,
            "clock_hz": self.clock_hz,
        }


class Core(wiring.Component):
    """An array with its buffers and registers, behind a link of bytes in each direction.

    Parameters
    ----------
    parameters : CoreParameters
        What it is.
    outline : Outline, optional
        Where the array's parts come from.

    Members
    -------
    i, valid, error : ``In(8)``, ``In(1)``, ``In(1)``
        A byte from the host, or that the line had an error in place of one. It is taken at once.
    o : ``Out(stream.Signature(8))``
        Bytes to the host.
    """

    def __init__(self, parameters: CoreParameters, outline: Outline | None = None) -> None:
        self.parameters = parameters
        self._outline = outline
        super().__init__(
            {
                "i": In(8),
                "valid": In(1),
                "error": In(1),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        parameters = self.parameters
        m.submodules.engine = engine = Engine(parameters.places)
        m.submodules.array = array = plan(parameters.design).create(self._outline)
        m.submodules.sequencer = run = sequencer_for(parameters.design, parameters.depth)
        for name in plan(parameters.design).signature.members:
            wiring.connect(m, getattr(run, name), getattr(array, name))
        deframer = engine.deframer
        m.d.comb += [
            deframer.i.eq(self.i),
            deframer.valid.eq(self.valid),
            deframer.error.eq(self.error),
            engine.running.eq(run.busy),
        ]
        wiring.connect(m, engine.framer.o, wiring.flipped(self.o))

        self._registers(m, engine, run)
        self._operands(m, engine, run, "activations")
        self._operands(m, engine, run, "weights")
        self._results(m, engine, run)
        if run.partial_bits:
            m.submodules.partial = chains = memory.Memory(
                shape=run.partial_bits, depth=parameters.depth, init=[]
            )
            wiring.connect(m, run.keep, chains.write_port())
            wiring.connect(m, run.partial, chains.read_port())
        told = parameters.description
        m.submodules.description = rom = memory.Memory(shape=8, depth=len(told), init=told)
        read = rom.read_port()
        m.d.comb += [read.addr.eq(engine.address), engine.read_description.eq(read.data)]
        return m

    def _operands(self, m: Module, engine: Engine, run, name: str) -> None:
        port = getattr(run, name)
        buffer = memory.Memory(shape=len(port.data), depth=self.parameters.depth, init=[])
        m.submodules[name] = buffer
        write = buffer.write_port()
        m.d.comb += [
            write.addr.eq(engine.address),
            write.data.eq(engine.word),
            write.en.eq(getattr(engine, f"write_{name}")),
        ]
        wiring.connect(m, port, buffer.read_port())

    def _results(self, m: Module, engine: Engine, run) -> None:
        buffer = memory.Memory(shape=len(run.results.data), depth=self.parameters.depth, init=[])
        m.submodules.results = buffer
        wiring.connect(m, run.results, buffer.write_port())
        read = buffer.read_port()
        m.d.comb += [read.addr.eq(engine.address), engine.read_results.eq(read.data)]

    def _registers(self, m: Module, engine: Engine, run) -> None:
        """Add the registers of :data:`REGISTERS`, and what counts for them."""
        held = {name: Const(value, _WORD) for name, value in self.parameters.constants().items()}
        held["status"] = run.busy
        written = {}
        for register in REGISTERS:
            if register.writable:
                written[register.name] = wrote = Signal(name=f"wrote_{register.name}")
                here = engine.address == REGISTERS.index(register)
                m.d.comb += wrote.eq(engine.write_registers & here)
        for name in ("vectors", "passes"):
            number = Signal.like(getattr(run, name), name=name)
            m.d.comb += getattr(run, name).eq(number)
            with m.If(written[name]):
                m.d.sync += number.eq(engine.word)
        for name, bit in (("first", Control.FIRST), ("last", Control.LAST)):
            flag = Signal(name=name)
            m.d.comb += getattr(run, name).eq(flag)
            with m.If(written["control"]):
                m.d.sync += flag.eq(engine.word[bit])
        m.d.sync += run.start.eq(written["control"] & engine.word[Control.START])

        def count(name: str, event, bits: int) -> None:
            held[name] = counter = Signal(bits, name=name)
            with m.If(event):
                m.d.sync += counter.eq(counter + 1)

        for name in COUNTERS:
            source = engine if name in ("repeated", "refused") else engine.deframer
            count(name, getattr(source, name), _COUNTER)
        count("moved", run.moved, _WORD)
        count("stalled", run.busy & ~run.moved, _WORD)
        values = [held.get(register.name, Const(0)) for register in REGISTERS]
        m.d.sync += engine.read_registers.eq(Array(values)[engine.address])
