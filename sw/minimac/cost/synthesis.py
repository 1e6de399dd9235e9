"""Synthesis with Yosys and ABC, in a child process, with one stated flow a sort of technology.

The flow for standard cells was chosen by measurement (pyosys 0.70; sky130 and asap7; adders,
multipliers, int8 and float elements, a foot, multipliers and fma of bfloat16, a dot product; each
at four clocks, from a relaxed one to one that is a fifth beyond what the flow before it met):

* ``synth -flatten -booth``: Booth recoding makes the MAC 15 % smaller, changes the multiplier and
  the element by a few percent, and keeps products apart from adders: without it, ABC did not finish
  in 100 s on what ``alumacc`` merged out of the dot product. ``-noalumacc`` avoids that, too, but
  was larger by 3 to 20 % there, and slower by 40 to 90 %.
* Two forms of the logic: *built*, as Yosys builds it, adders with their prefix trees, and *merged*,
  after a pass of ABC and its merging of equal nodes, which makes logic smaller by 1 to 3 %, but
  turns the trees into chains: a 64-bit adder on sky130 takes 8.0 ns at best when merged, 2.8 ns as
  built. Recipes begin with either.
* If the recipe for area meets the clock, its netlist is the result. Else ABC tries all the others,
  and once more those that nearly meet the clock; the smallest netlist that meets it counts, or the
  fastest if none does. So a relaxed clock gives small circuits and a fast one quick ones, and
  designs are compared at the same clock. The area was 0.6 % above the least of 15 recipes on
  average, 10 % in the worst of 66 cases, before the second asking, which takes 6 % off an array of
  bfloat16 at 400 MHz on asap7. Four recipes on merged logic, of which the first that met the clock
  counted, were 1.7 % and 13 % above it, and slower: these meet 9 of 19 clocks that are a fifth
  beyond the reach of those.
* The mappers are ``amap`` and ``map``, which see the delays of the library; ``&nf``, Yosys'
  default, sees unit delays, and its float element was slower by a quarter at like area.
* Nets and cells get names after what they are next to, and are sorted by them: a module is mapped
  alike wherever it is. Without that, an element differed by up to 4 % from one array to the next.
* Gates are sized for the clock, and ABC limits the fan-out inside a module to 8;
  :mod:`minimac.cost.buffering` buffers what is left, between modules and behind registers.
"""

import functools
import hashlib
import importlib.metadata
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from minimac.cost.buffering import add_buffers
from minimac.cost.cache import Cache
from minimac.cost.children import Child, ChildError, TimeUp
from minimac.cost.errors import SynthesisError
from minimac.cost.technology import Family, Library

__all__ = ["Synthesis", "Yosys", "flow_digest", "fpga_flow", "source_digest", "synthesise"]


class Recipe(NamedTuple):
    """A way to map logic.

    Attributes
    ----------
    form : str
        The form of the logic that it begins with, of :data:`_FORMS`.
    script : str
        Commands of ABC; ``{D}`` is its option for the time that logic may take.
    share : float
        Of that time, what is asked for: results are often some percent slower.
    """

    form: str
    script: str
    share: float = 1.0

    def commands(self, logic_ps: float) -> str:
        """Return the commands of ABC, one a line, for logic that may take so long."""
        text = f"{self.script}; {_FINISH}".format(D=f"-D {self.share * logic_ps:.1f}")
        return "".join(f"{step}\n" for step in text.split("; "))


# Proofs that nodes of products are equal have a limit, here and below: without one they took
# minutes for blocks of 8 mxint8, and found nothing.
_MERGE = "strash; &get -n; &fraig -x -C 1000; &put; scorr; dc2; strash"
_SHALLOW = "dch; if -g; strash"
_FINISH = "topo; buffer -c -N 8; topo; upsize {D}; dnsize {D}"

# What `abc` does by itself, with a limit to proofs; a comma stands for a blank.
_ABC = "strash;&get,-n;&fraig,-x,-C,1000;&put;scorr;dc2;dretime;strash;&get,-n;&dch,-f;&nf;&put"

#: Forms of the logic, and how each comes out of what ``synth`` leaves.
_FORMS = {"merged": [f"abc -script +{_ABC}", "opt -fast"], "built": []}

#: Recipes. The first one is for area; `map -B` counts gates of many inputs as slower.
RECIPES = {
    "area": Recipe("merged", f"{_MERGE}; dch -f; amap -m"),
    "area_built": Recipe("built", "strash; dch -f; amap -m"),
    "balanced": Recipe("merged", f"{_MERGE}; dch -f; map {{D}}"),
    "balanced_built": Recipe("built", "strash; dch -f; map {D}"),
    "shallow": Recipe("merged", f"{_MERGE}; {_SHALLOW}; dch -f; map {{D}}"),
    "shallow_built": Recipe("built", f"strash; {_SHALLOW}; dch -f; map {{D}}", 0.85),
    "fast": Recipe("built", "strash; dch -f; map -B 0.9 {D}"),
    "fastest": Recipe("built", f"strash; {_SHALLOW}; dch -f; map -B 0.9 {{D}}", 0.85),
}

# What misses the clock by less than this is asked again, for this share of the time it should take.
_NEAR, _MORE = 1.15, 0.9

# ABC's results depend on the order of what it reads, which else follows from the other modules.
_IN_ORDER = ["autoname", "sort"]

# Without multiplier blocks, products are rows of adders, as wide as factors are and not results.
_PRODUCTS = ["proc", "opt_expr", "opt_clean", "wreduce t:$mul", "techmap -map product.v -map {row}"]

_FRONT = "synth -flatten -booth -noshare -noabc -top {top}"

_PROGRAM = """\
from pyosys import libyosys
design = libyosys.Design()
for line in sys.stdin.read().splitlines():
    libyosys.run_pass(line, design)
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Synthesis:
    """A mapped design.

    Parameters
    ----------
    top : str
        Name of the top module.
    technology : Library or Family
        What it is mapped to.
    modules : dict
        The netlist as Yosys writes it (``write_json``, ``modules``); kept modules are modules.
    flow : tuple of str
        What was done, one step each.
    recipe : str
        The recipe that was chosen; empty for FPGAs.
    versions : dict of str to str
        Versions of the tools.
    """

    top: str
    technology: Library | Family
    modules: Mapping[str, Any]
    flow: tuple[str, ...]
    recipe: str
    versions: Mapping[str, str]

    def instances(self) -> Counter[str]:
        """Count how often each module occurs, the top once."""
        found: Counter[str] = Counter()

        def visit(module: str, times: int) -> None:
            found[module] += times
            for kind, count in self._types(module).items():
                if kind in self.modules:
                    visit(kind, times * count)

        visit(self.top, 1)
        return found

    def cells(self, module: str) -> Counter[str]:
        """Count the cells directly in a module, by type, without other modules."""
        types = self._types(module)
        return Counter({kind: n for kind, n in types.items() if kind not in self.modules})

    def total(self) -> Counter[str]:
        """Count the cells of the whole design, by type."""
        total: Counter[str] = Counter()
        for module, times in self.instances().items():
            for kind, count in self.cells(module).items():
                total[kind] += times * count
        return total

    def _types(self, module: str) -> Counter[str]:
        return Counter(cell["type"] for cell in self.modules[module]["cells"].values())


def synthesise(
    verilog: str,
    top: str,
    technology: Library | Family,
    *,
    keep: Sequence[str] = (),
    clock_mhz: float = 100.0,
    dsp: bool | None = None,
    recipe: str | None = None,
    timeout_s: float = 600.0,
    cache: Cache | None = None,
) -> Synthesis:
    """Map Verilog to a technology.

    Parameters
    ----------
    verilog : str
        The text.
    top : str
        Name of the top module.
    technology : Library or Family
        What to map to.
    keep : sequence of str
        Modules that stay modules: each is mapped once, however often it occurs.
    clock_mhz : float
        Clock to be met, in MHz.
    dsp : bool or None
        Whether an FPGA's multiplier blocks are used; None for the habit of the family.
    recipe : str or None
        The one recipe to map standard cells by; None to choose among all.
    timeout_s : float
        Time that Yosys may take, in s.
    cache : Cache or None
        Where results are kept; by default the usual folder.

    Raises
    ------
    SynthesisError
        If Yosys reports an error, crashes or takes too long, or something cannot be mapped.
    ValueError
        If ``clock_mhz`` is not above 0, or ``dsp`` is given for standard cells.

    Examples
    --------
    >>> from minimac.cost.technology import load_technology
    >>> text = "module inverter(input a, output y); assign y = ~a; endmodule"
    >>> result = synthesise(text, "inverter", load_technology("sky130"))
    >>> result.total()
    Counter({'sky130_fd_sc_hd__inv_1': 1})
    """
    if not clock_mhz > 0:
        raise ValueError(f"clock_mhz must be above 0, not {clock_mhz}")
    for name in (top, *keep):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", name):
            raise ValueError(f"top and keep must be names of modules, not {name!r}")
    if isinstance(technology, Library):
        if dsp is not None:
            raise ValueError(f"dsp must be None for {technology.name}, which has no DSP blocks")
        flow = [*_front(top, keep), *_mapping(technology)]
        target: dict[str, Any] = {"logic_ps": _logic_ps(technology, clock_mhz)}
        target |= {"clock_mhz": clock_mhz, "recipe": recipe}
    else:
        flow = fpga_flow(technology, top, keep, dsp, clock_mhz)
        target = {}
    versions = {"pyosys": importlib.metadata.version("pyosys")}
    key = {
        "verilog": verilog,
        "technology": technology.text,
        "flow": flow,
        "code": flow_digest(),
        **target,
        **versions,
    }
    cache = cache or Cache()
    result = cache.load(key)
    if result is None:
        with tempfile.TemporaryDirectory(prefix="minimac-") as folder:
            yosys = Yosys(Path(folder), time.monotonic() + timeout_s)
            (Path(folder) / "design.v").write_text(verilog, encoding="utf-8")
            if isinstance(technology, Library):
                result = _map_cells(yosys, top, keep, technology, clock_mhz, recipe)
            else:
                modules = yosys.netlist(flow)
                _check_mapped(modules, technology)
                result = {"recipe": "", "modules": modules}
        cache.store(key, result)
    return Synthesis(
        top=top,
        technology=technology,
        modules=result["modules"],
        flow=tuple(flow),
        recipe=result["recipe"],
        versions=versions,
    )


@functools.cache
def source_digest(*modules: str) -> str:
    """Hash the code that results depend on: modules of this package, recipes included."""
    text = b"".join((Path(__file__).parent / name).read_bytes() for name in modules)
    return hashlib.sha256(text).hexdigest()


def flow_digest() -> str:
    """Hash the code that netlists follow from."""
    maps = (f"maps/{name}" for name in sorted(_maps()))
    return source_digest("buffering.py", "synthesis.py", "technology.py", *maps)


@functools.cache
def _maps() -> dict[str, str]:
    """Return the texts of the files that steps name, of this package."""
    folder = Path(__file__).parent / "maps"
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def _logic_ps(library: Library, clock_mhz: float) -> float:
    """Time that a period leaves to logic: less set-up and clock to output, at a fan-out of 4."""
    cell = library.flip_flop
    assert cell.ff is not None
    output = cell.pins[cell.outputs[0]]
    sink = library.inverter.pins[library.inverter.inputs[0]].cap_ff + library.wire_ff_per_sink
    spent = cell.ff.setup_ps + output.delay_ps + output.delay_slope_ps_per_ff * 4 * sink
    return round(max(1e6 / clock_mhz - spent, 1.0), 1)


def _begin(top: str, keep: Sequence[str]) -> Iterator[str]:
    yield "read_verilog design.v"
    yield f"hierarchy -check -top {top}"
    for module in keep:
        yield f"setattr -mod -set keep_hierarchy 1 {module}"


def _front(top: str, keep: Sequence[str]) -> list[str]:
    """Return what comes before the mapping: the forms of the logic, in files."""
    steps = [*_begin(top, keep), _FRONT.format(top=top), "design -save synthesised"]
    for form, changes in _FORMS.items():
        steps += ["design -load synthesised", *changes, "dfflibmap -liberty cells.lib"]
        steps += ["opt_clean -purge", *_IN_ORDER, f"write_rtlil {form}.il"]
    return steps


def _mapping(library: Library) -> list[str]:
    """Return how a recipe maps the form that it begins with."""
    # ABC would take one output of a full adder and leave the other.
    several = (name for name, cell in library.cells.items() if len(cell.outputs) > 1)
    unused = "".join(f" -dont_use {name}" for name in several)
    mapped = f"abc -liberty cells.lib -constr drive.sdc -script {{recipe}}.abc{unused}"
    return ["read_rtlil {form}.il", mapped, "opt_clean -purge"]


def fpga_flow(
    family: Family, top: str, keep: Sequence[str], dsp: bool | None, clock_mhz: float
) -> list[str]:
    """Return the steps that map a design in ``design.v`` to a family.

    Parameters
    ----------
    family : Family
        The family.
    top : str
        Name of the top module.
    keep : sequence of str
        Modules that stay modules.
    dsp : bool or None
        Whether multiplier blocks are used; None for the habit of the family.
    clock_mhz : float
        Clock to be met, in MHz.
    """
    use = family.dsp_by_default if dsp is None else dsp
    options = family.with_dsp if use else family.without_dsp
    share = family.logic_share
    return [
        *_begin(top, keep),
        *([] if use else [step.format(row=family.product_row) for step in _PRODUCTS]),
        *([f"scratchpad -set abc9.D {share * 1e6 / clock_mhz:.0f}"] if share else []),
        f"{family.synthesis} {options} -top {top}".replace("  ", " "),
    ]


class Mapped(NamedTuple):
    """A netlist that a recipe made, with buffers.

    Attributes
    ----------
    recipe : str
        Its name.
    modules : dict
        The netlist as Yosys writes it.
    area_um2, delay_ps : float
        What it takes.
    """

    recipe: str
    modules: dict[str, Any]
    area_um2: float
    delay_ps: float


class _Mapper:
    """Maps one design by any recipe: the forms of its logic, in a folder with ``design.v``."""

    def __init__(self, yosys: "Yosys", top: str, keep: Sequence[str], library: Library) -> None:
        self._yosys, self._top, self._library = yosys, top, library
        inverter = library.inverter
        load_ff = inverter.pins[inverter.inputs[0]].cap_ff + library.wire_ff_per_sink
        drive = f"set_driving_cell {library.flip_flop.name}\nset_load {load_ff:.3f}\n"
        (yosys.folder / "drive.sdc").write_text(drive, encoding="utf-8")
        (yosys.folder / "cells.lib").write_text(library.liberty(), encoding="utf-8")
        yosys.run(_front(top, keep))

    def map(self, shares: Mapping[str, float], clock_mhz: float) -> list[Mapped]:
        """Map by recipes, each asked for a share of the time that logic may take."""
        scripts = []
        for name, share in shares.items():
            recipe = RECIPES[name]
            script = self._yosys.folder / f"{name}.abc"
            asked_ps = share * _logic_ps(self._library, clock_mhz)
            script.write_text(recipe.commands(asked_ps), encoding="utf-8")
            steps = _mapping(self._library)
            scripts.append([step.format(recipe=name, form=recipe.form) for step in steps])
        netlists = self._yosys.netlists(scripts)
        return [self._finish(name, modules) for name, modules in zip(shares, netlists)]

    def _finish(self, name: str, modules: dict[str, Any]) -> Mapped:
        from minimac.cost.netlist import flatten
        from minimac.cost.timing import analyse

        _check_mapped(modules, self._library)
        add_buffers(modules, self._top, self._library)
        netlist = flatten(modules, self._top, self._library)
        return Mapped(name, modules, netlist.area_um2, analyse(netlist).delay_ps)


def _map_cells(
    yosys: "Yosys",
    top: str,
    keep: Sequence[str],
    library: Library,
    clock_mhz: float,
    recipe: str | None = None,
) -> dict[str, Any]:
    """Map for area; if that misses the clock, in all other ways, and choose."""
    mapper = _Mapper(yosys, top, keep, library)
    if recipe:
        (only,) = mapper.map({recipe: 1.0}, clock_mhz)
        return {"recipe": recipe, "modules": only.modules}
    period_ps = 1e6 / clock_mhz
    for_area, *others = RECIPES
    best = smallest(mapper.map({for_area: 1.0}, clock_mhz), period_ps)
    if best is None:
        tried = mapper.map(dict.fromkeys(others, 1.0), clock_mhz)
        found = smallest(tried, period_ps)
        near = {
            x.recipe: _MORE * period_ps / x.delay_ps
            for x in tried
            if period_ps < x.delay_ps <= _NEAR * period_ps
            and (found is None or x.area_um2 < found.area_um2)
        }
        tried += mapper.map(near, clock_mhz)
        best = smallest(tried, period_ps) or min(tried, key=lambda mapped: mapped.delay_ps)
    return {"recipe": best.recipe, "modules": best.modules}


def smallest(netlists: Iterable[Mapped], period_ps: float) -> Mapped | None:
    """Return the smallest netlist that meets a clock, if one does."""
    met = (netlist for netlist in netlists if netlist.delay_ps <= period_ps)
    return min(met, key=lambda netlist: netlist.area_um2, default=None)


class Yosys:
    """Runs of Yosys in one folder, each in a process of its own, until a common deadline."""

    def __init__(self, folder: Path, deadline_s: float) -> None:
        self.folder = folder
        for name, text in _maps().items():
            (folder / name).write_text(text, encoding="utf-8")
        self._child = Child(_PROGRAM, folder, deadline_s)

    def netlist(self, script: Sequence[str]) -> dict[str, Any]:
        """Run commands that make a netlist; return its modules."""
        (modules,) = self.netlists([script])
        return modules

    def netlists(self, scripts: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Run scripts that make a netlist each, at once; return their modules."""
        paths = [self.folder / f"netlist{n}.json" for n in range(len(scripts))]
        self.run(*([*script, f"write_json {path.name}"] for script, path in zip(scripts, paths)))
        return [_read(path) for path in paths]

    def run(self, *scripts: Sequence[str]) -> None:
        """Run scripts, sequences of commands, at once."""
        try:
            self._child.run_all(["\n".join(script) for script in scripts])
        except TimeUp:
            raise SynthesisError("synthesis took longer than its time limit") from None
        except ChildError as error:
            raise SynthesisError(_reason(error.log, error.status)) from None


def _reason(log: str, status: int) -> str:
    """Find out from the log what went wrong."""
    errors = re.findall(r"^.*\bERROR: (.*)$", log, re.MULTILINE)
    if errors:
        return f"Yosys: {errors[-1].strip()}"
    last = log.strip().splitlines()[-1:] or ["no output"]
    return f"Yosys ended with status {status}: {last[0].strip()}"


def _read(path: Path) -> dict[str, Any]:
    """Read a netlist, less what nobody needs: attributes, and modules that are cells."""
    modules = json.loads(path.read_text(encoding="utf-8"))["modules"]
    kept = {}
    for name, module in modules.items():
        if module["attributes"].get("blackbox") or module["attributes"].get("whitebox"):
            continue
        cells = {
            instance: {"type": cell["type"], "connections": cell["connections"]}
            for instance, cell in module["cells"].items()
            if cell["type"] != "$scopeinfo"
        }
        nets = {
            net: {"hide_name": facts["hide_name"], "bits": facts["bits"]}
            for net, facts in module["netnames"].items()
        }
        kept[name] = {"ports": module["ports"], "cells": cells, "netnames": nets}
    return kept


def _check_mapped(modules: Mapping[str, Any], technology: Library | Family) -> None:
    known = technology.cells if isinstance(technology, Library) else technology.primitives
    for name, module in modules.items():
        for instance, cell in module["cells"].items():
            kind = cell["type"]
            if kind not in known and kind not in modules:
                raise SynthesisError(
                    f"{name}: {instance} cannot be mapped to {technology.name}: it is a {kind}"
                )
