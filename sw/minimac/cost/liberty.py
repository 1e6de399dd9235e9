"""A Liberty file of the user's own, read into the facts that this package works with.

The syntax is groups ``name(arguments) { ... }``, attributes ``name : value ;`` and attributes with
arguments ``name(arguments) ;``. A file may have hundreds of megabytes, nearly all of it tables: one
cell at a time is kept, and of each table the few numbers that count are read.

What becomes of the tables (non-linear delay model) is the same linear model that the shipped
technologies have, so that figures compare:

* *Delay* of an output: of all arcs and both edges, the one with the largest delay at the middle
  load; there the line through the least and the middle load, at the middle slew of the table.
* *Energy* of an output: the mean of rise and fall over all arcs, at the middle slew and load; of a
  clock pin likewise. What is below 0 counts as 0.
* *Set-up*: the larger of both edges, at the middle slews.
* *Leakage*: that of the cell, or else the mean over its conditions.
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from minimac.cost.boolean import support, truth_table
from minimac.cost.technology import Cell, FlipFlop, Library, Pin
from minimac.spec.errors import SpecError

__all__ = ["digest", "read_liberty"]

#: Inputs of a cell at most: larger ones are not for mapping.
_MOST_INPUTS = 8

#: Wires, for which Liberty files have no figure that holds: as in the shipped technologies.
_WIRE_FF_PER_UM, _SIDES_PER_SINK = 0.173, 7.0

_STATEMENT = re.compile(
    r"""(?:\s|\\|;|/\*.*?\*/|//[^\n]*)*
    (?: (?P<close>\})
      | (?P<name>[A-Za-z_][\w.]*)\s*
        (?: \((?P<arguments>[^()"]*(?:"[^"]*"[^()"]*)*)\)\s*(?P<open>\{)?
          | :(?P<value>[^;\n}"]*(?:"[^"]*"[^;\n}"]*)*)
        )
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass
class _Group:
    """A group: its arguments, attributes, and the groups in it."""

    name: str
    arguments: str
    simple: dict[str, str] = field(default_factory=dict)
    complex: dict[str, str] = field(default_factory=dict)
    groups: list["_Group"] = field(default_factory=list)

    def all(self, *names: str) -> Iterator["_Group"]:
        """Return the groups of these names."""
        return (group for group in self.groups if group.name in names)

    def words(self) -> list[str]:
        """Return the arguments, without quotes."""
        return [word.strip(' "\t\r\n\\') for word in self.arguments.split(",")]

    def text(self, name: str, default: str = "") -> str:
        """Return an attribute without quotes."""
        return self.simple.get(name, default).strip().strip('"').strip()

    def number(self, name: str) -> float | None:
        """Return an attribute that is a number, if it is there."""
        found = _NUMBER.search(self.simple.get(name, ""))
        return float(found[0]) if found else None

    def says(self, name: str) -> bool:
        """Whether an attribute is true."""
        return self.text(name).lower() == "true"


class _Units(NamedTuple):
    """What the numbers of a file are multiplied by."""

    ps: float
    ff: float
    nw: float
    fj: float


class _Unusable(Exception):
    """A cell that synthesis has no use for."""


def read_liberty(path: Path) -> Library:
    """Read a Liberty file, plain or compressed by gzip.

    Cells that nothing is mapped to are left out: latches, three-state and scan cells, clock gates,
    those without a function, those marked ``dont_use``, flip-flops with an enable, a falling clock
    edge or both clear and preset.

    Raises
    ------
    SpecError
        If it is no Liberty file, or damaged, or lacks what every design needs: a flip-flop, an
        inverter, a buffer, and a NAND or NOR of two inputs.
    OSError
        If it cannot be read.
    """
    try:
        data = path.read_bytes()
        return _Reader(_text(data)).library(path.name, digest(data))
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def digest(data: bytes) -> str:
    """Return what stands for a file in the keys of a cache."""
    return f"liberty {hashlib.sha256(data).hexdigest()}"


def _text(data: bytes) -> str:
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise SpecError("must be a whole gzip file; this one is cut off or damaged") from None
    return data.decode("utf-8", errors="replace")


class _Reader:
    """One file: its templates and units, and the cells as they come."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._library = _Group("library", "")
        self._templates: dict[str, _Group] = {}
        self._units = _Units(1.0, 1.0, 1.0, 1.0)

    def library(self, file: str, text: str) -> Library:
        """Read the file; ``text`` stands for it."""
        cells: dict[str, Cell] = {}
        skipped = 0
        for group in self._groups():
            if group.name in ("lu_table_template", "power_lut_template"):
                self._templates[group.words()[0]] = group
            elif group.name == "cell":
                self._units = self._read_units()
                try:
                    cell = self._cell(group)
                except (_Unusable, ValueError):
                    skipped += 1
                    continue
                cells[cell.name] = cell
        if not cells:
            raise SpecError(f"must have cells that logic can be mapped to; {skipped} have none")
        name = re.sub(r"\W", "_", self._library.words()[0]) or "liberty"
        library = self._library
        voltage = library.number("nom_voltage")
        if voltage is None:
            raise SpecError("nom_voltage: must be given")
        conditions = [library.text("default_operating_conditions")]
        conditions += [f"{t:g} C" for t in [library.number("nom_temperature")] if t is not None]
        found = Library(
            name=name,
            process=f"{name}, a Liberty file of the user's",
            source=f"{file}: {len(cells)} cells, {skipped} left out",
            text=text,
            corner=", ".join([*filter(None, conditions), f"{voltage:g} V"]),
            licence="the user's",
            voltage_v=voltage,
            wire_ff_per_sink=0.0,
            cells=cells,
        )
        _check(found)
        side_um = sqrt(min(cell.area_um2 for cell in _of_two_inputs(found)))
        return replace(found, wire_ff_per_sink=_WIRE_FF_PER_UM * _SIDES_PER_SINK * side_um)

    # --- Syntax ----------------------------------------------------------------------------------

    def _groups(self) -> Iterator[_Group]:
        """Return the groups of the library, each when it ends; its attributes are kept."""
        text, place = self._text, 0
        open_: list[_Group] = []
        while True:
            found = _STATEMENT.match(text, place)
            if found is None:
                blank = len(text[place : place + 1000]) - len(text[place : place + 1000].lstrip())
                raise self._error("cannot be read", place + blank)
            place = found.end()
            name = found["name"]
            if name is None:
                if found["close"] is None:
                    if open_ or not self._library.arguments:
                        raise self._error("ends before the library does", place)
                    return
                if not open_:
                    raise self._error("has a } too many", place)
                done = open_.pop()
                if len(open_) == 1:
                    yield done
                elif open_:
                    open_[-1].groups.append(done)
            elif found["open"]:
                group = _Group(name, found["arguments"])
                if not open_:
                    if name != "library" or self._library.arguments:
                        raise self._error("must be the end, after that of the library", place)
                    self._library = group
                open_.append(group)
            elif not open_:
                raise self._error("must be the end, after that of the library", place)
            elif found["value"] is not None:
                open_[-1].simple[name] = found["value"]
            else:
                open_[-1].complex[name] = found["arguments"]

    def _error(self, said: str, place: int) -> SpecError:
        if not self._library.arguments:
            said = "must be a Liberty file: library(name) { ... }"
        return SpecError(f"line {self._text.count(chr(10), 0, place) + 1}: {said}")

    def _read_units(self) -> _Units:
        library = self._library
        scales = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "": 1.0}

        def scale(key: str, text: str, unit: str, default: str) -> float:
            found = re.fullmatch(
                r"\s*([\d.eE+-]*)\s*([a-z]?)" + unit + r"\s*", text or default, re.I
            )
            if found is None or found[2].lower() not in scales:
                raise SpecError(
                    f"{key}: must be a number and a unit, as in 1{default}, not {text!r}"
                )
            return float(found[1] or 1) * scales[found[2].lower()]

        load = library.complex.get("capacitive_load_unit", "1,pf").replace('"', "")
        number, _, unit = load.partition(",")
        farads = scale("capacitive_load_unit", number.strip() + unit.strip(), "F", "1pF")
        volts = scale("voltage_unit", library.text("voltage_unit"), "V", "1V")
        seconds = scale("time_unit", library.text("time_unit"), "s", "1ns")
        watts = scale("leakage_power_unit", library.text("leakage_power_unit"), "W", "1nW")
        return _Units(1e12 * seconds, 1e15 * farads, 1e9 * watts, 1e15 * farads * volts**2)

    # --- Cells -----------------------------------------------------------------------------------

    def _cell(self, group: _Group) -> Cell:
        odd = ("latch", "latch_bank", "ff_bank", "statetable", "bus", "bundle", "test_cell")
        marks = ("dont_use", "is_macro_cell", "pad_cell", "is_level_shifter", "is_isolation_cell")
        if any(group.all(*odd)) or any(map(group.says, marks)):
            raise _Unusable
        if "clock_gating_integrated_cell" in group.simple:
            raise _Unusable
        area = group.number("area")
        if not area:
            raise _Unusable
        pins = {name: pin for pin in group.all("pin") for name in pin.words()}
        ways = {name: pin.text("direction") for name, pin in pins.items()}
        if set(ways.values()) != {"input", "output"}:
            raise _Unusable
        inputs = [name for name in pins if ways[name] == "input"]
        if len(inputs) > _MOST_INPUTS or any("three_state" in pin.simple for pin in pins.values()):
            raise _Unusable
        ff = self._flip_flop(group, pins, inputs)
        made = {
            name: self._input(pin, clock=ff is not None and name == ff.clocked_on)
            if ways[name] == "input"
            else self._output(pin, inputs, group, ff)
            for name, pin in pins.items()
        }
        return Cell(
            name=group.words()[0],
            area_um2=area,
            leakage_nw=self._leakage(group),
            pins=made,
            ff=ff,
        )

    def _leakage(self, group: _Group) -> float:
        stated = group.number("cell_leakage_power")
        values = [part.number("value") for part in group.all("leakage_power")]
        known = [value for value in values if value is not None]
        if stated is None:
            stated = fmean(known) if known else self._library.number("default_cell_leakage_power")
        return (stated or 0.0) * self._units.nw

    def _flip_flop(
        self, group: _Group, pins: dict[str, _Group], inputs: list[str]
    ) -> FlipFlop | None:
        found = list(group.all("ff"))
        if not found:
            return None
        if len(found) > 1:
            raise _Unusable
        (ff,) = found
        clock, _ = _literal(ff.text("clocked_on"), inputs, positive=True)
        data, inverted = _literal(ff.text("next_state"), inputs)
        clear, preset = ff.text("clear"), ff.text("preset")
        if (clear and preset) or "clocked_on_also" in ff.simple:
            raise _Unusable
        # A preset is the clear of a state that is stored inverted.
        state_inverted = bool(preset)
        cleared = None
        if clear or preset:
            pin, low = _literal(clear or preset, inputs)
            cleared = f"!{pin}" if low else pin
        setups = [
            self._middle(table)
            for timing in pins[data].all("timing")
            if timing.text("timing_type") == "setup_rising"
            for table in timing.all("rise_constraint", "fall_constraint")
        ]
        return FlipFlop(
            state="IQ",
            next_state=f"!{data}" if inverted ^ state_inverted else data,
            clocked_on=clock,
            setup_ps=max([0.0, *(self._units.ps * setup for setup in setups)]),
            clear=cleared,
        )

    def _input(self, pin: _Group, *, clock: bool) -> Pin:
        cap = pin.number("capacitance")
        if cap is None:
            edges = [pin.number(f"{edge}_capacitance") for edge in ("rise", "fall")]
            known = [value for value in edges if value is not None]
            cap = fmean(known) if known else self._library.number("default_input_pin_cap") or 0.0
        energy = self._energy(pin) if clock else 0.0
        return Pin(cap_ff=cap * self._units.ff, energy_fj=energy, clock=clock)

    def _output(self, pin: _Group, inputs: list[str], group: _Group, ff: FlipFlop | None) -> Pin:
        function = pin.text("function")
        if not function:
            raise _Unusable
        if ff is None:
            table = truth_table(function, inputs)
            if not support(table, len(inputs)):
                raise _Unusable
        else:
            (storage,) = group.all("ff")
            inverted = _inverts(function, storage.words())
            function = "!IQ" if inverted ^ bool(storage.text("preset")) else "IQ"
        delay, slope = self._delay(pin, "rising_edge" if ff else "")
        return Pin(
            function=function,
            delay_ps=delay,
            delay_slope_ps_per_ff=slope,
            energy_fj=self._energy(pin),
        )

    def _delay(self, pin: _Group, kind: str) -> tuple[float, float]:
        """Return delay without load, and its slope, of the worst arc."""
        worst = (-1.0, 0.0, 0.0)
        for timing in pin.all("timing"):
            type_ = timing.text("timing_type")
            if type_ != kind and not (not kind and type_.startswith("combinational")):
                continue
            for table in timing.all("cell_rise", "cell_fall"):
                loads, delays = self._over_loads(table)
                half = len(loads) // 2
                slope = 0.0
                if len(loads) > 1:
                    slope = (delays[half] - delays[0]) / (loads[half] - loads[0])
                worst = max(worst, (delays[half], delays[0] - slope * loads[0], slope))
        if worst[0] < 0:
            raise _Unusable
        ps, ff = self._units.ps, self._units.ff
        return max(worst[1], 0.0) * ps, max(worst[2], 0.0) * ps / ff

    def _energy(self, pin: _Group) -> float:
        """Return the mean energy of a transition, in fJ."""
        arcs = []
        for power in pin.all("internal_power"):
            tables = power.all("rise_power", "fall_power", "power")
            if values := [self._middle(table) for table in tables]:
                arcs.append(fmean(values))
        return max(fmean(arcs), 0.0) * self._units.fj if arcs else 0.0

    # --- Tables ----------------------------------------------------------------------------------

    def _axes(self, table: _Group) -> list[tuple[str, list[float]]]:
        """Return what a table is over, slowest first, and the points."""
        template = self._templates.get(table.words()[0], _Group("", ""))
        axes = []
        for n in (1, 2, 3):
            points = table.complex.get(f"index_{n}", template.complex.get(f"index_{n}"))
            if points is None:
                break
            axes.append((template.text(f"variable_{n}"), _numbers(points)))
        return axes

    def _over_loads(self, table: _Group) -> tuple[list[float], list[float]]:
        """Return loads and delays at the middle slew."""
        axes = self._axes(table)
        values = _numbers(table.complex.get("values", ""))
        _check_size(axes, values)
        if not axes:
            return [0.0], values
        is_load = ["capacitance" in name for name, _ in axes]
        if not any(is_load):
            # Names that say nothing: slews first, as is usual; of a slew alone, the middle.
            is_load[-1] = len(axes) > 1
        places = [len(points) // 2 for _, points in axes]
        if not any(is_load):
            return [0.0], [values[_flat(axes, places)]]
        along = is_load.index(True)
        loads = axes[along][1]
        delays = []
        for n in range(len(loads)):
            places[along] = n
            delays.append(values[_flat(axes, places)])
        return loads, delays

    def _middle(self, table: _Group) -> float:
        """Return the value in the middle."""
        axes = self._axes(table)
        values = _numbers(table.complex.get("values", ""))
        _check_size(axes, values)
        return values[_flat(axes, [len(points) // 2 for _, points in axes])]


def _numbers(text: str) -> list[float]:
    return [float(word) for word in _NUMBER.findall(text)]


def _flat(axes: list[tuple[str, list[float]]], places: list[int]) -> int:
    """Return where a table, written row by row, has a value."""
    index = 0
    for (_, points), place in zip(axes, places, strict=True):
        index = index * len(points) + place
    return index


def _check_size(axes: list[tuple[str, list[float]]], values: list[float]) -> None:
    size = 1
    for _, points in axes:
        size *= len(points)
    if len(values) != size:
        raise _Unusable


def _literal(text: str, names: list[str], *, positive: bool = False) -> tuple[str, bool]:
    """Return the one name that an expression is, and whether it is inverted."""
    table = truth_table(text, names)
    used = support(table, len(names))
    if len(used) != 1:
        raise _Unusable
    inverted = not table >> (1 << used[0]) & 1
    if inverted and positive:
        raise _Unusable
    return names[used[0]], inverted


def _inverts(function: str, states: list[str]) -> bool:
    """Say whether an output of a flip-flop is its state, or the opposite."""
    table = truth_table(function, [*states, "-"][:2])
    # The second name is always the opposite of the first.
    at_zero, at_one = table >> 0b10 & 1, table >> 0b01 & 1
    if at_zero == at_one:
        raise _Unusable
    return bool(at_zero)


def _of_two_inputs(library: Library) -> list[Cell]:
    """Return NANDs and NORs of two inputs."""
    return [
        cell
        for cell in library.cells.values()
        if cell.ff is None
        and len(cell.inputs) == 2
        and len(cell.outputs) == 1
        and cell.truth_table(cell.outputs[0]) in (0b0111, 0b0001)
    ]


def _check(library: Library) -> None:
    """Insist on what every design needs."""
    lacking = {
        "a flip-flop of a rising clock edge": [c for c in library.cells.values() if c.ff],
        "an inverter": library.inverters,
        "a buffer": library.buffers,
        "a NAND or NOR of two inputs": _of_two_inputs(library),
    }
    for what, found in lacking.items():
        if not found:
            raise SpecError(f"must have {what}; there is none among {len(library.cells)} cells")
