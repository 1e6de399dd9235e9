"""What the ports of a unit's Verilog speak: plain streams, AXI4-Stream, Wishbone."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from amaranth.hdl import Cat, ClockDomain, Const, Elaboratable, Module, Signal, Value
from amaranth.hdl._ir import PortDirection

from minimac.rtl.outline import Outline
from minimac.rtl.planning import plan
from minimac.rtl.ports import Port, Stream, align, streams_of
from minimac.spec import Design, SpecError

__all__ = ["INTERFACES", "Interface", "Shell", "interface_of"]

_BYTE, _WORD = 8, 32


class Interface(ABC):
    """The ports of a unit, and the logic between them and its streams.

    Parameters
    ----------
    design : Design
        The unit.

    Attributes
    ----------
    streams : list of Stream
        The unit's streams.
    ports : list of Port
        All ports, in order.
    """

    #: Names of clock, reset and clock enable; whether reset is active low.
    CLOCK: ClassVar[str] = "clk"
    RESET: ClassVar[str] = "rst"
    ENABLE: ClassVar[str] = "ce"
    ACTIVE_LOW: ClassVar[bool] = False

    def __init__(self, design: Design) -> None:
        self.design = design
        self.streams = streams_of(plan(design))
        self.ports = [Port(self.CLOCK, True, 1, "clock, rising edge")]
        if design.reset != "none":
            when = {"sync": "synchronous", "async": "asynchronous"}[design.reset]
            level = "low" if self.ACTIVE_LOW else "high"
            self.ports.append(Port(self.RESET, True, 1, f"reset, {when}, active {level}"))
        if design.clock_enable:
            self.ports.append(
                Port(self.ENABLE, True, 1, "clock enable: while low, all stands still")
            )
        self.ports += self.own_ports()
        names = [port.name for port in self.ports]
        assert len(set(names)) == len(names)
        if design.name in names:
            raise SpecError(f"name: {design.name} is one of its ports; choose another")

    @abstractmethod
    def own_ports(self) -> list[Port]:
        """Return the ports besides clock, reset and enable."""

    @abstractmethod
    def connect(self, m: Module, unit: Any, at: dict[str, Signal], enable: Value) -> None:
        """Add the logic between the ports, ``at`` their names, and the streams of the unit."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Describe where the fields of the streams are."""

    @property
    @abstractmethod
    def protocol(self) -> list[str]:
        """What is to be known besides the protocol of the unit."""


class Streams(Interface):
    """A port for each field, and ``valid`` and ``ready`` for each stream."""

    def own_ports(self) -> list[Port]:
        ports = []
        for each in self.streams:
            name, into = each.name, each.into
            ports += [
                Port(f"{name}_valid", into, 1, "1: offers a transfer"),
                Port(f"{name}_ready", not into, 1, "1: takes a transfer"),
                *(Port(f"{name}_{x.name}", into, x.bits, x.meaning) for x in each.fields),
            ]
        return ports

    def connect(self, m: Module, unit: Any, at: dict[str, Signal], enable: Value) -> None:
        for each in self.streams:
            member, name = getattr(unit, each.name), each.name
            _handshake(m, member, each, at[f"{name}_valid"], at[f"{name}_ready"], enable)
            for x in each.fields:
                _join(m, each, Value.cast(member.p[x.name]), at[f"{name}_{x.name}"])

    def describe(self) -> dict[str, Any]:
        return {
            "streams": {
                each.name: {
                    "direction": "in" if each.into else "out",
                    "valid": f"{each.name}_valid",
                    "ready": f"{each.name}_ready",
                    "fields": {
                        x.name: {"port": f"{each.name}_{x.name}", "lowest_bit": 0} | x.described()
                        for x in each.fields
                    },
                }
                for each in self.streams
            }
        }

    @property
    def protocol(self) -> list[str]:
        return [
            "A transfer happens at each rising edge at which valid and ready of a stream are 1.",
            "Once valid is 1, it and the fields stay as they are until the transfer.",
        ]


def _handshake(
    m: Module, member: Any, of: Stream, valid: Signal, ready: Signal, enable: Value
) -> None:
    """Connect valid and ready; what the unit drives of them is low while it stands still."""
    if of.into:
        m.d.comb += [member.valid.eq(valid), ready.eq(member.ready & enable)]
    else:
        m.d.comb += [valid.eq(member.valid & enable), member.ready.eq(ready)]


def _join(m: Module, of: Stream, inside: Value, outside: Value) -> None:
    """Connect a field, in the direction of its stream."""
    m.d.comb += inside.eq(outside) if of.into else outside.eq(inside)


class AxiStreams(Interface):
    """AXI4-Stream: the fields of a stream side by side in ``tdata``, each from a byte's lowest bit.

    A flag called ``last`` is ``tlast``.
    """

    CLOCK, RESET, ENABLE, ACTIVE_LOW = "aclk", "aresetn", "aclken", True

    def _prefix(self, each: Stream) -> str:
        alone = sum(other.into == each.into for other in self.streams) == 1
        return ("s_axis" if each.into else "m_axis") + ("" if alone else f"_{each.name}")

    def _places(self, each: Stream) -> dict[str, tuple[str, int]]:
        """Port and lowest bit of each field."""
        prefix = self._prefix(each)
        flags = [x for x in each.fields if x.name == "last" and x.bits == 1]
        wide = [x for x in each.fields if x not in flags]
        return {x.name: (f"{prefix}_tdata", low) for x, low in align(wide, _BYTE)} | {
            x.name: (f"{prefix}_tlast", 0) for x in flags
        }

    def own_ports(self) -> list[Port]:
        ports = []
        for each in self.streams:
            prefix, into, places = self._prefix(each), each.into, self._places(each)
            ends = [
                low + x.bits
                for x in each.fields
                for port, low in [places[x.name]]
                if port.endswith("tdata")
            ]
            width = -(-max(ends) // _BYTE) * _BYTE
            ports += [
                Port(f"{prefix}_tvalid", into, 1, "1: offers a transfer"),
                Port(f"{prefix}_tready", not into, 1, "1: takes a transfer"),
                Port(f"{prefix}_tdata", into, width, "fields, each from a byte's lowest bit"),
            ]
            for x in each.fields:
                if places[x.name][0].endswith("tlast"):
                    ports.append(Port(f"{prefix}_tlast", into, 1, x.meaning))
        return ports

    def connect(self, m: Module, unit: Any, at: dict[str, Signal], enable: Value) -> None:
        for each in self.streams:
            member, prefix = getattr(unit, each.name), self._prefix(each)
            _handshake(m, member, each, at[f"{prefix}_tvalid"], at[f"{prefix}_tready"], enable)
            for x in each.fields:
                port, low = self._places(each)[x.name]
                _join(m, each, Value.cast(member.p[x.name]), at[port][low : low + x.bits])

    def describe(self) -> dict[str, Any]:
        told = {}
        for each in self.streams:
            prefix, places = self._prefix(each), self._places(each)
            told[each.name] = {
                "direction": "in" if each.into else "out",
                "valid": f"{prefix}_tvalid",
                "ready": f"{prefix}_tready",
                "fields": {
                    x.name: {"port": places[x.name][0], "lowest_bit": places[x.name][1]}
                    | x.described()
                    for x in each.fields
                },
            }
        return {"streams": told}

    @property
    def protocol(self) -> list[str]:
        return [
            "AXI4-Stream (ARM IHI 0051), without tkeep and tstrb: every transfer is whole.",
            "Bits of tdata between fields are ignored, and 0 at an output.",
            "tready follows the tready of the output within a cycle; put a register slice between",
            "where that path is too long.",
        ]


class Wishbone(Interface):
    """Wishbone B4, classic cycles, 32 bits: registers for the fields, a bit to send or to take.

    The registers of an input are free again once the unit has taken what was sent; what is
    written before that is ignored.
    """

    CLOCK, RESET = "wb_clk_i", "wb_rst_i"

    #: Registers that every design has, by their words.
    ID, DESIGN, STATUS, CONTROL, FIRST = range(5)
    MAGIC = int.from_bytes(b"mmac", "big")

    def own_ports(self) -> list[Port]:
        words = max(word + count for *_, word, count in self._registers())
        return [
            Port("wb_cyc_i", True, 1, "cycle"),
            Port("wb_stb_i", True, 1, "strobe"),
            Port("wb_we_i", True, 1, "1: write"),
            Port("wb_adr_i", True, (words - 1).bit_length(), "word: offset in bytes / 4"),
            Port("wb_sel_i", True, 4, "bytes to be written"),
            Port("wb_dat_i", True, _WORD, "data to the unit"),
            Port("wb_dat_o", False, _WORD, "data from the unit"),
            Port("wb_ack_o", False, 1, "1: done; in every other cycle at most"),
        ]

    def _registers(self) -> list[tuple[Stream, Any, int, int]]:
        """Stream, field, first word and number of words, field after field."""
        found, word = [], self.FIRST
        for each in self.streams:
            for x in each.fields:
                count = -(-x.bits // _WORD)
                found.append((each, x, word, count))
                word += count
        return found

    def connect(self, m: Module, unit: Any, at: dict[str, Signal], enable: Value) -> None:
        ack = Signal(name="wb_ack")
        access, write = Signal(name="wb_access"), Signal(name="wb_write")
        address, written = at["wb_adr_i"], at["wb_dat_i"]
        m.d.comb += [
            access.eq(at["wb_cyc_i"] & at["wb_stb_i"] & ~ack),
            write.eq(access & at["wb_we_i"]),
            at["wb_ack_o"].eq(ack & enable),
        ]
        m.d.sync += ack.eq(access)

        start = Signal(len(self.streams), name="wb_start")
        with m.If(write & (address == self.CONTROL) & at["wb_sel_i"][0]):
            m.d.comb += start.eq(written)
        status = []
        free: dict[str, Value] = {}
        for n, each in enumerate(self.streams):
            member = getattr(unit, each.name)
            if each.into:
                pending = Signal(name=f"{each.name}_pending")
                with m.If(start[n]):
                    m.d.sync += pending.eq(1)
                with m.If(member.valid & member.ready):
                    m.d.sync += pending.eq(0)
                m.d.comb += member.valid.eq(pending)
                free[each.name] = ~pending
                status.append(~pending)
            else:
                m.d.comb += member.ready.eq(start[n])
                status.append(member.valid)

        words: dict[int, Value] = {
            self.ID: Const(self.MAGIC, _WORD),
            self.DESIGN: Const(int(self.design.digest[:8], 16), _WORD),
            self.STATUS: Cat(status),
        }
        for each, x, first, count in self._registers():
            field = Value.cast(getattr(unit, each.name).p[x.name])
            if each.into:
                held = Signal(x.bits, name=f"{each.name}_{x.name}", reset_less=True)
                m.d.comb += field.eq(held)
            for n in range(count):
                low = n * _WORD
                if not each.into:
                    words[first + n] = field[low : low + _WORD]
                    continue
                with m.If(write & (address == first + n) & free[each.name]):
                    for lane in range(low, min(low + _WORD, x.bits), _BYTE):
                        byte = held[lane : lane + _BYTE]
                        with m.If(at["wb_sel_i"][(lane - low) // _BYTE]):
                            m.d.sync += byte.eq(written[lane - low :])

        data = Signal(_WORD, name="wb_data", reset_less=True)
        m.d.comb += at["wb_dat_o"].eq(data)
        with m.If(access), m.Switch(address):
            for word, value in words.items():
                with m.Case(word):
                    m.d.sync += data.eq(value)
            with m.Default():
                m.d.sync += data.eq(0)

    def describe(self) -> dict[str, Any]:
        bits = list(enumerate(self.streams))
        states = (
            f"bit {n}: {'free to write:' if x.into else 'a result at'} {x.name}" for n, x in bits
        )
        orders = (
            f"bit {n}: {'send what was written to' if x.into else 'drop the result at'} {x.name}"
            for n, x in bits
        )
        fixed = [
            ("ID", self.ID, "r", f"{self.MAGIC:#x}, which reads mmac"),
            ("DESIGN", self.DESIGN, "r", f"0x{self.design.digest[:8]}, of the design's digest"),
            ("STATUS", self.STATUS, "r", "; ".join(states)),
            ("CONTROL", self.CONTROL, "w", "1 in " + "; ".join(orders)),
        ]
        registers = [
            {"name": name, "offset": _WORD // 8 * word, "words": 1, "access": way, "meaning": what}
            for name, word, way, what in fixed
        ]
        streams: dict[str, Any] = {
            x.name: {"direction": "in" if x.into else "out", "bit": n, "fields": {}}
            for n, x in bits
        }
        for each, x, first, count in self._registers():
            place = {"name": f"{each.name}_{x.name}".upper(), "offset": _WORD // 8 * first}
            way = {"words": count, "access": "w" if each.into else "r"}
            registers.append(place | way | {"meaning": x.meaning})
            streams[each.name]["fields"][x.name] = {
                "register": place["name"],
                "offset": place["offset"],
            } | x.described()
        return {"registers": registers, "streams": streams}

    @property
    def protocol(self) -> list[str]:
        return [
            "Wishbone B4, classic cycles. To send: wait for the bit of the stream in STATUS, write",
            "its registers, write the bit to CONTROL. To receive: wait for the bit, read the",
            "registers, write the bit to CONTROL. The unit stands still while a result waits.",
        ]


#: Interfaces by the word in a design.
INTERFACES: dict[str, type[Interface]] = {
    "stream": Streams,
    "axi4stream": AxiStreams,
    "wishbone": Wishbone,
}


def interface_of(design: Design) -> Interface:
    """Return the interface of a design."""
    return INTERFACES[design.interface](design)


class Shell(Elaboratable):
    """A unit with the ports that its Verilog has, in one module.

    Parameters
    ----------
    interface : Interface
        The ports, and the unit that they are those of.
    outline : Outline
        Where its parts come from.

    Attributes
    ----------
    ports : dict
        Signal and direction of each port, in order.
    domain : ClockDomain
        Clock and reset.
    """

    def __init__(self, interface: Interface, outline: Outline) -> None:
        self.interface = interface
        self.outline = outline
        self.domain: ClockDomain = outline.domain()
        self._signals = {
            port.name: Signal(port.width, name=port.name) for port in self.interface.ports
        }
        self.domain.clk = self._signals[self.interface.CLOCK]
        self.ports = {
            port.name: (
                self._signals[port.name],
                PortDirection.Input if port.into else PortDirection.Output,
            )
            for port in self.interface.ports
        }

    def elaborate(self, platform):
        interface, at = self.interface, self._signals
        unit = plan(interface.design).create(self.outline)
        m = unit.elaborate(platform)
        unit._MustUse__used = True  # or Amaranth takes it for forgotten: it is no submodule
        enable: Value = Const(1)
        if self.outline.enable is not None:
            enable = self.outline.enable
            m.d.comb += enable.eq(at[interface.ENABLE])
        if self.domain.rst is not None:
            reset = at[interface.RESET]
            m.d.comb += self.domain.rst.eq(~reset if interface.ACTIVE_LOW else reset)
        interface.connect(m, unit, at, enable)
        return m
