"""From designs to components and Verilog."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from amaranth.lib import wiring

from minimac.rtl.outline import Outline
from minimac.rtl.parts import marking
from minimac.rtl.planning import plan
from minimac.rtl.wrappers import Shell, interface_of
from minimac.spec import Design

__all__ = ["create", "to_verilog", "top_to_verilog", "yosys_share"]

# Yosys in a process of its own: it prints, and ends its process when something is wrong.
_CHILD = """\
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.stdin.read().splitlines():
    libyosys.run_pass(f"tee -q {line}", design)
"""

#: What `verilator -Wall` may find, and why.
_WAIVERS = {
    "DECLFILENAME": "one file holds all modules",
    "WIDTHEXPAND": "Yosys writes constants as narrow as they are",
    "UNUSEDSIGNAL": "what leaves the last row and column; bits that a shift or a wrap drops",
    "UNSIGNED": "comparisons with 0 that a format decides",
    "UNOPTFLAT": "bits of one vector that depend on others of it",
    "CASEOVERLAP": "selectors of such cases are one-hot, as the attribute says",
}


#: What Yosys writes, and the same as linters like it.
_BETTER = {
    " = ! ": " = ~| ",  # of vectors, too
    "casez (s) // synopsys parallel_case": "(* parallel_case *)\n    casez (s)",
}


def create(design: Design) -> wiring.Component:
    """Create the component of a design, for use in an Amaranth module.

    Its ports are streams of ``amaranth.lib.stream``, whatever ``interface`` says; reset and clock
    enable are those of the domain it is used in.
    """
    component: wiring.Component = plan(design).create()
    return component


def to_verilog(design: Design, *, marks: bool = False) -> str:
    """Return Verilog for a design, in a module called ``design.name``.

    Elements and feet have a module each, ``<name>_element`` and ``<name>_foot``. The text depends
    on the design and on the versions of Amaranth and Yosys, and on nothing else, so that outputs
    can be compared.

    Parameters
    ----------
    design : Design
        The design.
    marks : bool
        Whether the ends of parts are marked (:mod:`minimac.rtl.parts`); circuits become larger.
    """
    outline = Outline(design)
    with marking() if marks else nullcontext():
        shell = Shell(interface_of(design), outline)
        outline.add(design.name, shell, shell.ports, shell.domain)
    texts = [
        text if name == design.name else _fields_alone(text) for name, text in outline.texts.items()
    ]
    # Values from the start and a reset would be two ways to the same; standard cells have one. A
    # memory has neither: no unit gives out a word that it has not written.
    finish = [] if design.reset == "none" else ["attrmap -remove init"]
    finish.append("delete t:$meminit_v2")
    lines = [
        f"{design.name}: {design.unit}, {design.summary()}",
        (
            f"latency {plan(design).latency} cycles, minimac {version('minimac')}, "
            f"design {design.digest}"
        ),
        "Ports, packing and protocol are in the description beside this file.",
    ]
    text = _verilog("\n".join(texts), finish, attributes=marks)
    return _header(lines, starts=design.reset == "none") + text


def top_to_verilog(outline: Outline, lines: Sequence[str]) -> str:
    """Return Verilog for the modules of an outline that is complete in itself.

    Parameters
    ----------
    outline : Outline
        Where the modules are, all of them added.
    lines : sequence of str
        What the file holds, for its first lines.

    Notes
    -----
    Registers and memories start with their values: nothing resets a board. Memories of zeros
    do without them.
    """
    texts = [_ZEROS.sub("", text) for text in outline.texts.values()]
    return _header(lines, starts=True) + _verilog("\n".join(texts), [], attributes=False)


#: A cell of RTLIL that fills a memory with zeros.
_ZEROS = re.compile(
    r"^  cell \$meminit_v2 .*\n(?:    .*\n)*?    connect \\DATA \d+'0+\n(?:    .*\n)*?  end\n", re.M
)


def yosys_share() -> Path:
    """Return the folder of the files that come with Yosys, lists and models of primitives."""
    spec = find_spec("pyosys")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "share"


def _header(lines: Sequence[str], *, starts: bool) -> str:
    """Say what a file holds, and what a linter need not."""
    waivers = dict(_WAIVERS)
    if starts:
        waivers["PROCASSINIT"] = "there is no reset: registers start with these values"
    texts = [f"// {line}" for line in lines]
    texts += [f"/* verilator lint_off {rule} */  // {why}" for rule, why in waivers.items()]
    return "\n".join(texts) + "\n"


_WIRE = re.compile(
    r"^(  attribute \\init .*\n)?"
    r"  wire (?:width \d+ )?(?:(input|output) \d+ )?(?:signed )? *\\(\S+)$",
    re.MULTILINE,
)


def _fields_alone(module: str) -> str:
    """Make the names of structures private in RTLIL, but those of ports and registers.

    Their fields keep their names, and those that nothing needs can go.
    """
    names = {name for register, port, name in _WIRE.findall(module) if not (register or port)}
    for name in names & {name.rpartition(".")[0] for name in names}:
        # Ports of a part that are called the same keep their name.
        word = rf"(?<!^    connect )\\{re.escape(name)}(?=\s)"
        module = re.sub(word, f"${name}".replace("\\", r"\\"), module, flags=re.MULTILINE)
    return module


def _verilog(rtlil_text: str, finish: Sequence[str], *, attributes: bool) -> str:
    """Convert RTLIL to Verilog: assignments and registers, no ``always @*``.

    By the same Yosys that designs are mapped with, native: the one that comes with Amaranth is
    compiled for WebAssembly, and took 20 times as long with dot products of many lanes. Amaranth's
    own conversion keeps conditions as ``always @*``. Those that depend on nothing but
    what is constant at first never run in an event-driven simulator, and their outputs stay X.
    """
    script = [
        "read_rtlil design.il",
        "proc -norom",
        "opt_clean",
        "opt_dff",  # enables and resets as people write them
        "opt_expr",
        "opt_merge",
        "wreduce",  # no bits that nobody reads: once for what is at hand, once for what led to it
        "opt_clean",
        "wreduce",
        "opt_expr",
        *finish,
        "opt_clean -purge",
        f"write_verilog {'' if attributes else '-noattr '}design.v",
    ]
    with tempfile.TemporaryDirectory(prefix="minimac-") as name:
        folder = Path(name)
        (folder / "design.il").write_text(rtlil_text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", _CHILD],
            input="\n".join(script),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"Yosys failed: {(done.stdout + done.stderr)[-2000:]}")
        text = (folder / "design.v").read_text(encoding="utf-8")
    for written, better in _BETTER.items():
        text = text.replace(written, better)
    return text
