"""What a technology consists of: cells of an ASIC library, or primitives of an FPGA family.

Each technology is one file of facts in ``technologies/``; adding a file adds the technology.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from minimac.cost.boolean import support, truth_table
from minimac.spec.errors import SpecError, nearest

__all__ = [
    "Cell",
    "Device",
    "Family",
    "FlipFlop",
    "Library",
    "Pin",
    "Router",
    "Technology",
    "check_technology",
    "is_liberty",
    "load_technology",
    "parse_technology",
    "technologies",
    "technology_text",
]


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A pin of a cell: an input, or, if it has a function, an output.

    Parameters
    ----------
    cap_ff : float
        Capacitance of an input, in fF.
    function : str or None
        Liberty expression of the input pins, or the name of a flip-flop's state.
    delay_ps, delay_slope_ps_per_ff : float
        Delay from any input: ``delay_ps + delay_slope_ps_per_ff * load``.
    energy_fj : float
        Internal energy per transition, without that of the load, in fJ.
    clock : bool
        Whether the pin is a clock.
    """

    cap_ff: float = 0.0
    function: str | None = None
    delay_ps: float = 0.0
    delay_slope_ps_per_ff: float = 0.0
    energy_fj: float = 0.0
    clock: bool = False


@dataclass(frozen=True, kw_only=True)
class FlipFlop:
    """The storage of a cell, as functions of its pins; ``clear`` is asynchronous."""

    state: str
    next_state: str
    clocked_on: str
    setup_ps: float
    clear: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a library, as its file has it."""

    name: str
    area_um2: float
    leakage_nw: float
    pins: Mapping[str, Pin]
    ff: FlipFlop | None = None

    @functools.cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the input pins, the clock among them."""
        return tuple(name for name, pin in self.pins.items() if pin.function is None)

    @functools.cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output pins."""
        return tuple(name for name, pin in self.pins.items() if pin.function is not None)

    def truth_table(self, output: str) -> int:
        """Tabulate an output over :attr:`inputs`; the state, if any, counts as one more."""
        function = self.pins[output].function
        assert function is not None
        state = (self.ff.state,) if self.ff else ()
        return truth_table(function, (*self.inputs, *state))


@dataclass(frozen=True, kw_only=True)
class Technology:
    """What is common to both sorts of technology.

    Parameters
    ----------
    name : str
        The word that ``technology`` in a design names it by.
    process : str
        What it is.
    source : str
        Where the facts are from.
    text : str
        The file of facts, for the keys of a cache.
    """

    name: str
    process: str
    source: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Library(Technology):
    """An ASIC technology: cells, supply and an assumption on wires.

    Parameters
    ----------
    corner, licence : str
        Process corner, and the licence of the source.
    voltage_v : float
        Supply, in V.
    wire_ff_per_sink : float
        Capacitance assumed for the wire to each pin that a net drives, in fF.
    cells : mapping of str to Cell
        The cells by name.

    Examples
    --------
    >>> sky130 = load_technology("sky130")
    >>> sky130.voltage_v, sky130.cells["sky130_fd_sc_hd__nand2_1"].area_um2
    (1.8, 3.7536)
    """

    corner: str
    licence: str
    voltage_v: float
    wire_ff_per_sink: float
    cells: Mapping[str, Cell]

    @functools.cached_property
    def inverter(self) -> Cell:
        """The smallest inverter: the measure of loads."""
        return min(self.inverters, key=lambda cell: cell.area_um2)

    @functools.cached_property
    def inverters(self) -> tuple[Cell, ...]:
        """All inverters."""
        return tuple(self._of_one_input(0b01))

    @functools.cached_property
    def buffers(self) -> tuple[Cell, ...]:
        """All buffers."""
        return tuple(self._of_one_input(0b10))

    @property
    def has_clear(self) -> bool:
        """Whether there is a flip-flop with an asynchronous clear or preset."""
        return any(cell.ff and cell.ff.clear for cell in self.cells.values())

    @functools.cached_property
    def flip_flop(self) -> Cell:
        """The smallest flip-flop: what is assumed to drive logic."""
        return min((c for c in self.cells.values() if c.ff), key=lambda cell: cell.area_um2)

    def _of_one_input(self, truth: int) -> list[Cell]:
        return [
            cell
            for cell in self.cells.values()
            if len(cell.inputs) == len(cell.outputs) == 1
            and cell.truth_table(cell.outputs[0]) == truth
        ]

    def liberty(self) -> str:
        """Write the cells as a Liberty file that Yosys and ABC read.

        Delays are tables with one row a load, made from the linear model; transitions are
        constant, since the facts have no slew. The capacitance of a pin includes that of the wire
        to it, so that ABC sees the loads of :mod:`minimac.cost.timing`. Units: ps, fF, nW.

        Examples
        --------
        >>> print(load_technology("sky130").liberty().splitlines()[0])
        library(sky130) {
        """
        lines = [
            f"library({self.name}) {{",
            "  delay_model : table_lookup;",
            '  time_unit : "1ps";',
            "  capacitive_load_unit(1, ff);",
            '  voltage_unit : "1V";',
            '  current_unit : "1uA";',
            '  leakage_power_unit : "1nW";',
            '  pulling_resistance_unit : "1kohm";',
            f"  nom_voltage : {self.voltage_v};",
            "  lu_table_template(load) {",
            "    variable_1 : input_net_transition;",
            "    variable_2 : total_output_net_capacitance;",
            f'    index_1("{_SLEWS}");',
            f'    index_2("{", ".join(map(str, _LOADS_FF))}");',
            "  }",
        ]
        for cell in self.cells.values():
            lines += _liberty_cell(cell, self.wire_ff_per_sink)
        return "\n".join([*lines, "}"]) + "\n"


@dataclass(frozen=True, kw_only=True)
class Device:
    """A part of an FPGA family, and how nextpnr is asked for it.

    Parameters
    ----------
    part : str
        Its name, with package and speed grade.
    options : sequence of str
        Options of nextpnr.
    files : mapping of str to str
        Files that Yosys and nextpnr are given: where pins are, say.
    """

    part: str
    options: Sequence[str]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Router:
    """Place and route of a family by nextpnr.

    Parameters
    ----------
    wheel : str
        Package that brings nextpnr.
    module, function : str
        What of it to call.
    device : Device
        The part.
    dsp_device : Device or None
        The part for designs with multiplier blocks, if it is another.
    finish : sequence of str
        What Yosys is to do with the mapped netlist before nextpnr takes it.
    untimed : sequence of str
        Primitives through which nextpnr has no delays: with them, it has no figure.
    same_sites : dict of str to sequence of str
        Resources that nextpnr counts apart, and that yet take a site of the first one each.
    """

    wheel: str
    module: str
    function: str
    device: Device
    dsp_device: Device | None = None
    finish: Sequence[str] = ()
    untimed: Sequence[str] = ()
    same_sites: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def program(self) -> str:
        """The Python that runs nextpnr with the arguments of its own process."""
        return f"import sys, {self.module} as p\nsys.exit(p.{self.function}(sys.argv[1:]))\n"


@dataclass(frozen=True, kw_only=True)
class Family(Technology):
    """An FPGA family: how Yosys maps to it, and what each primitive counts as.

    Parameters
    ----------
    synthesis : str
        The Yosys command.
    with_dsp, without_dsp : str
        Options that let multipliers become DSP blocks, or forbid it.
    dsp_by_default : bool
        Which of them applies when nobody asks.
    product_row : str
        What a row of a product becomes without DSP blocks: a file of ``maps``.
    lut_inputs : int
        Inputs of the LUT that ``luts`` counts.
    primitives : mapping of str to mapping of str to int
        For each primitive the resources it takes: ``luts``, ``ffs``, ``carries``, ``dsps``,
        ``brams``.
    logic_share : float or None
        The share of a period that logic may take before it is placed, where Yosys maps by delays
        (``abc9``): what is faster costs more LUTs. None where it minimises levels of LUTs.
    router : Router or None
        Place and route, where there is an open tool.

    Examples
    --------
    >>> load_technology("ecp5").primitives["CCU2C"]
    {'luts': 2, 'carries': 1}
    """

    synthesis: str
    with_dsp: str
    without_dsp: str
    dsp_by_default: bool
    lut_inputs: int
    primitives: Mapping[str, Mapping[str, int]]
    product_row: str = "row.v"
    logic_share: float | None = None
    router: Router | None = None


_SLEWS = "1, 1000"
# ABC takes a slope from the first load to the last but one.
_LOADS_FF = (0, 100, 1000)


def _liberty_cell(cell: Cell, wire_ff: float) -> list[str]:
    lines = [f"  cell({cell.name}) {{", f"    area : {cell.area_um2};"]
    lines.append(f"    cell_leakage_power : {cell.leakage_nw};")
    state, stored_inverted = "", False
    if ff := cell.ff:
        # Yosys wants next_state to be a pin; the inversion moves to the outputs.
        stored_inverted = ff.next_state.startswith("!")
        state = ff.state
        lines.append(f"    ff({state}, {state}N) {{")
        lines.append(f'      next_state : "{ff.next_state.removeprefix("!")}";')
        lines.append(f'      clocked_on : "{ff.clocked_on}";')
        if ff.clear:
            kind = "preset" if stored_inverted else "clear"
            lines.append(f'      {kind} : "{ff.clear}";')
        lines.append("    }")
    for name, pin in cell.pins.items():
        lines.append(f"    pin({name}) {{")
        if pin.function is None:
            lines += [
                "      direction : input;",
                f"      capacitance : {pin.cap_ff + wire_ff:.4f};",
            ]
            if pin.clock:
                lines.append("      clock : true;")
            if ff and name in ff.next_state:
                lines += _setup(ff)
        else:
            function = pin.function
            if ff:
                inverted = truth_table(function, [state]) == 0b01
                function = state + "N" * (inverted ^ stored_inverted)
            lines += ["      direction : output;", f'      function : "{function}";']
            lines += _arcs(cell, name)
        lines.append("    }")
    return [*lines, "  }"]


def _setup(ff: FlipFlop) -> list[str]:
    table = f'{{ values("{ff.setup_ps}"); }}'
    return [
        "      timing() {",
        f'        related_pin : "{ff.clocked_on}";',
        "        timing_type : setup_rising;",
        f"        rise_constraint(scalar) {table}",
        f"        fall_constraint(scalar) {table}",
        "      }",
    ]


def _arcs(cell: Cell, output: str) -> list[str]:
    pin = cell.pins[output]
    delays = (pin.delay_ps + pin.delay_slope_ps_per_ff * load for load in _LOADS_FF)
    row = ", ".join(f"{delay:.4f}" for delay in delays)
    delay = f'(load) {{ values("{row}", "{row}"); }}'
    slew = '(load) { values("10, 10, 10", "10, 10, 10"); }'
    tables = [
        f"        cell_rise{delay}",
        f"        cell_fall{delay}",
        f"        rise_transition{slew}",
        f"        fall_transition{slew}",
        "      }",
    ]
    if cell.ff:
        head = [
            f'        related_pin : "{cell.ff.clocked_on}";',
            "        timing_type : rising_edge;",
        ]
        return ["      timing() {", *head, *tables]
    lines = []
    table, inputs = cell.truth_table(output), cell.inputs
    for index in support(table, len(inputs)):
        lines += [
            "      timing() {",
            f'        related_pin : "{inputs[index]}";',
            f"        timing_sense : {_sense(table, len(inputs), index)};",
            *tables,
        ]
    return lines


def _sense(table: int, variables: int, index: int) -> str:
    """Say whether an output can only follow an input, only oppose it, or both."""
    bit = 1 << index
    pairs = {
        (table >> row & 1, table >> (row | bit) & 1)
        for row in range(1 << variables)
        if not row & bit
    }
    rises, falls = (0, 1) in pairs, (1, 0) in pairs
    return "non_unate" if rises and falls else "positive_unate" if rises else "negative_unate"


def technologies() -> tuple[str, ...]:
    """Return the names of the known technologies.

    Examples
    --------
    >>> technologies()
    ('asap7', 'ecp5', 'gowin', 'ice40', 'sg13g2', 'sky130', 'xc7')
    """
    folder = files("minimac.cost") / "technologies"
    found = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name[: -len(".yaml")] for name in found if name.endswith(".yaml")))


@functools.cache
def load_technology(name: str) -> Library | Family:
    """Return the technology of that name, or the cells of a Liberty file.

    Parameters
    ----------
    name : str
        A name, or a path: something with a ``/``, or that ends in ``.lib`` or ``.lib.gz``.

    Raises
    ------
    SpecError
        If there is none, and then the message has the nearest name; or if the file is no Liberty
        file, or lacks what is needed.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> load_technology("sky13")
    Traceback (most recent call last):
        ...
    minimac.spec.errors.SpecError: technology: must be one of asap7, ecp5, gowin, ice40, sg13g2,\
 sky130, xc7, or the path of a Liberty file, not 'sky13'; did you mean 'sky130'?
    """
    if is_liberty(name):
        from minimac.cost.liberty import read_liberty

        return read_liberty(Path(name))
    return parse_technology(technology_text(name))


def is_liberty(name: str) -> bool:
    """Whether a technology is named by the path of a Liberty file.

    Examples
    --------
    >>> [is_liberty(name) for name in ("cells.lib.gz", "./sky130", "sky130")]
    [True, True, False]
    """
    return "/" in name or name.endswith((".lib", ".lib.gz"))


@functools.cache
def check_technology(name: str) -> None:
    """Refuse what is neither the name of a technology nor the path of a Liberty file.

    Raises
    ------
    SpecError
        The message has all names, and the nearest.
    """
    known = technologies()
    if not is_liberty(name) and name not in known:
        raise SpecError(
            f"technology: must be one of {', '.join(known)}, or the path of a Liberty file, not "
            f"{name!r}{nearest(str(name), known)}"
        )


def technology_text(name: str) -> str:
    """Return the file of facts of a technology; raise as :func:`load_technology` does.

    For a Liberty file it is a hash that stands for it.

    Examples
    --------
    >>> technology_text("ice40").splitlines()[3]
    'technology: ice40'
    """
    if is_liberty(name):
        from minimac.cost.liberty import digest

        return digest(Path(name).read_bytes())
    check_technology(name)
    path = files("minimac.cost") / "technologies" / f"{name}.yaml"
    return path.read_text(encoding="utf-8")


def parse_technology(text: str) -> Library | Family:
    """Turn a file of facts into a technology.

    Raises
    ------
    SpecError
        If a key is missing or unknown, or a function of a cell cannot be read.
    """
    import yaml

    # The loader in C, where there is one, takes a tenth of the time.
    tree = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    name = tree.pop("technology")
    try:
        common = {key: tree.pop(key) for key in ("process", "source")}
        if "cells" not in tree:
            router = _router(tree.pop("router")) if "router" in tree else None
            return Family(name=name, text=text, router=router, **common, **tree)
        wire = tree.pop("wire")
        cells = {word: _cell(word, facts) for word, facts in tree.pop("cells").items()}
        library = Library(
            name=name,
            text=text,
            voltage_v=tree.pop("voltage"),
            wire_ff_per_sink=wire["ff_per_um"] * wire["um_per_sink"],
            cells=cells,
            **common,
            **tree,
        )
    except (KeyError, TypeError) as error:
        raise SpecError(f"technology {name}: missing or unknown key: {error}") from None
    for cell in cells.values():
        for output in cell.outputs:
            try:
                cell.truth_table(output)
            except ValueError as error:
                raise SpecError(f"technology {name}: cell {cell.name}: {error}") from None
    return library


def _router(facts: dict[str, Any]) -> Router:
    devices: dict[str, Any] = {
        key: Device(**facts.pop(key)) for key in ("device", "dsp_device") if key in facts
    }
    return Router(**devices, **facts)


def _cell(name: str, facts: dict[str, Any]) -> Cell:
    pins = {word: Pin(**pin) for word, pin in facts["pins"].items()}
    ff = FlipFlop(**facts["ff"]) if "ff" in facts else None
    return Cell(
        name=name,
        area_um2=facts["area_um2"],
        leakage_nw=facts["leakage_nw"],
        pins=pins,
        ff=ff,
    )
