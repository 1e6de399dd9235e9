"""Sweep files: which designs, on what, judged by which network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimac.spec import Design, SpecError, load_design
from minimac.spec.errors import nearest
from minimac.spec.loading import load_yaml

__all__ = ["Sweep", "check_simulator", "load_sweep"]

_KEYS = {
    "designs": "a list of design files",
    "technologies": "a list of names",
    "workload": "a word",
    "simulator": "a word",
    "seed": "a whole number of at least 0",
}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What to run.

    Parameters
    ----------
    name : str
        Stem of the sweep file.
    designs : tuple of Design
        No two with the same name.
    technologies : tuple of str
        What each design is costed in; may be empty.
    workload : str
        Network that gives accuracy and operands.
    simulator : {"verilator", "icarus"}
    seed : int
        Seed of all random stimulus.
    """

    name: str
    designs: tuple[Design, ...]
    technologies: tuple[str, ...]
    workload: str = "digits"
    simulator: str = "verilator"
    seed: int = 0


def load_sweep(path: Path) -> Sweep:
    """Read and check a sweep file, and every design that it names.

    Paths of designs are relative to the sweep file. Everything is checked before anything runs.

    Raises
    ------
    SpecError
        If the file or a design cannot be read or is wrong: one line with file, key and remedy.
    """
    tree = load_yaml(path)
    try:
        fields = _checked(tree)
        designs = tuple(_load_buildable(path.parent / name) for name in fields.pop("designs"))
        repeated = _first_repeated([design.name for design in designs])
        if repeated is not None:
            raise SpecError(f"designs: two designs have the name {repeated!r}; give one another")
    except SpecError as error:
        # Errors of a design file start with that file, which is what the user has to open.
        raise SpecError(f"{path}: {error}") from None
    return Sweep(name=path.stem, designs=designs, **fields)


def _load_buildable(path: Path) -> Design:
    """Read a design; some have only a model, and no circuit."""
    from minimac.rtl import plan

    design = load_design(path)
    try:
        plan(design)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    return design


def check_simulator(name: str) -> None:
    """Refuse a simulator that is not installed.

    Raises
    ------
    SpecError
        The message names those that are.
    """
    from minimac.bench import available_simulators

    found = list(available_simulators())
    if name not in found:
        raise SpecError(
            f"simulator {name} was not found; install it, or use "
            + (" or ".join(found) or "a machine with Verilator or Icarus Verilog")
        )


def _checked(tree: dict[str, Any]) -> dict[str, Any]:
    from pydantic import ConfigDict, Field, ValidationError, create_model

    words: Any = list[str]
    model = create_model(
        "SweepFile",
        __config__=ConfigDict(strict=True, extra="forbid"),
        designs=(words, Field(min_length=1)),
        technologies=(words, []),
        workload=(str, "digits"),
        simulator=(str, "verilator"),
        seed=(int, Field(0, ge=0, lt=1 << 32)),
    )
    try:
        fields = model.model_validate(tree).model_dump()
    except ValidationError as error:
        raise SpecError(_explain(error)) from None
    from minimac.bench import SIMULATORS
    from minimac.nn import WORKLOADS  # both import NumPy

    if fields["simulator"] not in SIMULATORS:
        known = " or ".join(SIMULATORS)
        raise SpecError(f"simulator: must be {known}, not {fields['simulator']!r}")

    if fields["workload"] not in WORKLOADS:
        known = ", ".join(WORKLOADS)
        raise SpecError(
            f"workload: must be one of {known}, not {fields['workload']!r}"
            + nearest(fields["workload"], WORKLOADS)
        )
    fields["technologies"] = tuple(fields["technologies"])
    _check_technologies(fields["technologies"])
    return fields


def _check_technologies(names: tuple[str, ...]) -> None:
    from minimac.cost import technologies

    known = technologies()
    for name in names:
        if name not in known:
            raise SpecError(
                f"technologies: must be among {', '.join(known)}, not {name!r}"
                + nearest(name, known)
            )
    repeated = _first_repeated(names)
    if repeated is not None:
        raise SpecError(f"technologies: {repeated!r} is there twice")


def _first_repeated(names: Any) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return str(name)
        seen.add(name)
    return None


def _explain(error: Any) -> str:
    found = error.errors(include_url=False)
    # An unknown key first: a misspelt key is also a missing one.
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    key = str(first["loc"][0])
    match first["type"]:
        case "extra_forbidden":
            hint = nearest(key, _KEYS) or f"; known are {', '.join(_KEYS)}"
            return f"{key[:60]}: unknown key{hint}"
        case "missing":
            return f"{key}: is missing; this key is required"
        case "too_short":
            return f"{key}: must name at least one design file"
    shown = repr(first["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{key}: must be {_KEYS[key]}, not {shown}"
