"""Sweep files: which designs, on what, judged how, and which of them are worth measuring."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from minimac.cost.technology import check_technology
from minimac.explore.columns import FACTS, METRICS, QUALITIES
from minimac.explore.expressions import Condition
from minimac.explore.fronts import pairs
from minimac.explore.space import Point, Space, axis_values
from minimac.explore.unused import check_values
from minimac.spec import Design, SpecError, load_design
from minimac.spec.errors import nearest, short_value
from minimac.spec.loading import load_yaml

__all__ = ["Sweep", "check_simulator", "load_sweep"]

_KEYS = {
    "designs": "a list of design files",
    "base": "a design file or the fields that all designs of spaces share",
    "spaces": "a list of spaces, each with axes and, if need be, base and where",
    "technologies": "a list of names",
    "front_technologies": "a list of names",
    "workload": "a word",
    "scales": "tensor or vector",
    "quality": "a list of accuracy, error or both, or [] for none",
    "objectives": "a list of columns, such as error_percent or sky130.area_um2",
    "limits": "a list of conditions, such as 'sky130.area_um2 <= 20000'",
    "simulate": "all, front or none",
    "dsp": "true or false",
    "simulator": "a word",
    "measure": "a whole number from 1 to 2**32 - 1",
    "screen": "a whole number from 10 to 2**32 - 1",
    "seed": "a whole number from 0 to 2**32 - 1",
}

_SPACE_KEYS = ("axes", "base", "where")

#: What a front is drawn over if a sweep does not say.
_USUAL = ("area_um2", "energy_pj_per_mac", "luts")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What to run.

    Parameters
    ----------
    name : str
        Stem of the sweep file.
    designs : tuple of Design
        Those that are named one by one; no two with the same name.
    spaces : tuple of Space
        Those that are described by axes.
    technologies : tuple of str
        What each design is costed in; may be empty.
    front_technologies : tuple of str
        What designs on a front are costed in besides.
    workload : str
        Network that gives tensors, accuracy and operands.
    scales : {"tensor", "vector"}
        Whether numbers are divided by one scale for each tensor before they are quantised, or by
        one for each row of inputs and each column of weights; block formats have their own.
    quality : tuple of {"accuracy", "error"}
        What arithmetic is judged by: the share of a test set that a network gets right, or the
        error of its matrix products.
    objectives : tuple of str
        Keys of columns: qualities and costs that fronts are drawn over; empty for the usual ones.
    limits : tuple of Condition
        On columns: what a design must keep to be on a front.
    simulate : {"all", "front", "none"}
        Which designs are simulated against the model.
    dsp : bool, optional
        Whether multiplier blocks of FPGAs are used; None: as is usual there.
    simulator : {"verilator", "icarus"}
    measure : int
        How many designs are synthesised at most. Of more, those are that predictions put on a front
        or near it.
    screen : int
        How many designs are judged by prediction at most. Of more, a search picks which.
    seed : int
        Seed of all random choices.
    """

    name: str
    designs: tuple[Design, ...] = ()
    spaces: tuple[Space, ...] = ()
    technologies: tuple[str, ...] = ()
    front_technologies: tuple[str, ...] = ()
    workload: str = "digits"
    scales: Literal["tensor", "vector"] = "tensor"
    quality: tuple[str, ...] = ("accuracy",)
    objectives: tuple[str, ...] = ()
    limits: tuple[Condition, ...] = ()
    simulate: Literal["all", "front", "none"] = "all"
    dsp: bool | None = None
    simulator: str = "verilator"
    measure: int = 300
    screen: int = 4000
    seed: int = 0

    @property
    def size(self) -> int:
        """The number of designs, counting combinations that turn out to be none."""
        return len(self.designs) + sum(space.size for space in self.spaces)

    def points(self, looked: Callable[[], object] | None = None) -> Iterator[Point]:
        """Yield all designs: those named, then those of each space.

        Parameters
        ----------
        looked : callable, optional
            As of :meth:`Space.points`.
        """
        named = (Point(design=design, axes={}) for design in self.designs)
        return itertools.chain(named, *(space.points(looked) for space in self.spaces))

    @functools.cached_property
    def known_objectives(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Qualities and costs that fronts are drawn over."""
        qualities = tuple(f"{quality}_percent" for quality in self.quality)
        costs = [
            f"{technology}.{metric}"
            for technology in self.technologies
            for metric in metrics_of(technology)
            if metric in _USUAL
        ]
        chosen = self.objectives or (*qualities, *costs)
        return (
            tuple(key for key in chosen if key in QUALITIES),
            tuple(key for key in chosen if key not in QUALITIES),
        )

    @property
    def all_objectives(self) -> list[str]:
        """Qualities, then costs, that fronts are drawn over."""
        return [key for keys in self.known_objectives for key in keys]


def metrics_of(technology: str) -> list[str]:
    """Return the metrics that costs in a technology have."""
    from minimac.cost import Family, Library, load_technology

    loaded = load_technology(technology)
    cells = isinstance(loaded, Library)
    timed = not isinstance(loaded, Family) or loaded.router is not None
    only = {"area_um2", "area_um2_per_mac", "energy_pj_per_mac", "energy_glitches_pj_per_mac"}
    only |= {"leakage_uw", "cells", "registers"}
    resources = {"luts", "luts_per_mac", "ffs", "dsps", "carries", "brams"}
    missing = (resources if cells else only) | (set() if timed else {"delay_ps", "fmax_mhz"})
    return [name for name in METRICS if name not in missing]


def load_sweep(source: Path | str | dict[str, Any], name: str = "sweep") -> Sweep:
    """Read and check a sweep, and every design that it names.

    Everything is checked before anything runs.

    Parameters
    ----------
    source : path or dict
        A YAML file, or what one would hold. Paths of designs are relative to the file, or else to
        the current folder.
    name : str
        What a sweep that is no file is called.

    Raises
    ------
    SpecError
        If the file or a design cannot be read or is wrong: one line with file, key and remedy.

    Examples
    --------
    >>> sweep = load_sweep({
    ...     "base": {"unit": "mac", "out": "fp32", "accumulate": {"kind": "exact"}},
    ...     "spaces": [{"axes": {"a": ["int8", "int4"], "b": ["int4", "e2m1"]}}],
    ...     "technologies": ["sky130"],
    ... })
    >>> sweep.size, [point.design.name for point in sweep.points()]
    (4, ['int8_int4', 'int8_e2m1', 'int4_int4', 'int4_e2m1'])
    """
    if isinstance(source, dict):
        return _build(source, name, Path())
    path = Path(source)
    tree = load_yaml(path)
    try:
        return _build(tree, path.stem, path.parent)
    except SpecError as error:
        # Errors of a design file start with that file, which is what the user has to open.
        raise SpecError(f"{path}: {error}") from None


def _build(tree: dict[str, Any], name: str, folder: Path) -> Sweep:
    if "unit" in tree:
        raise SpecError(
            "unit: is a key of a design, and this is to be a sweep; name the design in one, as in "
            "designs: [mine.yaml]"
        )
    fields = _checked(tree)
    designs = tuple(_load_buildable(folder / design) for design in fields.pop("designs"))
    repeated = _first_repeated([design.name for design in designs])
    if repeated is not None:
        raise SpecError(f"designs: two designs have the name {repeated!r}; give one another")
    shared = _base(fields.pop("base"), folder, "base")
    spaces = tuple(_space(n, space, shared, folder) for n, space in enumerate(fields.pop("spaces")))
    if not designs and not spaces:
        raise SpecError("designs: is missing; name design files here, or axes below spaces")
    if shared and not spaces:
        raise SpecError("base: is for the designs of spaces, and there are none; write spaces")
    sweep = Sweep(name=name, designs=designs, spaces=spaces, **fields)
    _check_objectives(sweep)
    _check_size(sweep)
    return sweep


def _space(number: int, given: Any, shared: dict[str, Any], folder: Path) -> Space:
    """Return a space as the file describes it, if a design of it can be built, and all are used.

    Of its values, that is: each is in some design, unless a condition keeps it away.
    """
    from minimac.rtl import plan

    where = f"spaces[{number}]"
    if not isinstance(given, dict):
        raise SpecError(f"{where}: must be a mapping with axes, not {short_value(given)}")
    for key in given:
        if key not in _SPACE_KEYS:
            hint = nearest(str(key), _SPACE_KEYS) or f"; known are {', '.join(_SPACE_KEYS)}"
            raise SpecError(f"{where}.{str(key)[:60]}: unknown key{hint}")
    axes = given.get("axes")
    if not isinstance(axes, dict) or not axes:
        raise SpecError(
            f"{where}.axes: must be a mapping of axes to lists of values or ranges, not "
            + short_value(axes)
        )
    conditions = given.get("where", [])
    if not isinstance(conditions, list) or not all(isinstance(text, str) for text in conditions):
        raise SpecError(
            f"{where}.where: must be a list of conditions, such as ['bits(a) >= bits(b)'], not "
            + short_value(conditions)
        )
    try:
        space = Space(
            base=_merged(shared, _base(given.get("base"), folder, "base")),
            axes={str(axis): axis_values(str(axis), values) for axis, values in axes.items()},
            where=tuple(_condition("where", text) for text in conditions),
        )
        start, point = space.example()
        plan(point.design)
        check_values(space, start)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None
    return space


def _condition(key: str, text: str) -> Condition:
    try:
        return Condition(text)
    except SpecError as error:
        raise SpecError(f"{key}: {error}") from None


def _base(given: Any, folder: Path, key: str) -> dict[str, Any]:
    """Return the fields of a base: none, a mapping, or those of a design file."""
    if given is None:
        return {}
    if isinstance(given, str):
        tree = load_yaml(folder / given)
        return {key: value for key, value in tree.items() if key != "name"}
    if not isinstance(given, dict):
        raise SpecError(f"{key}: must be {_KEYS['base']}, not {short_value(given)}")
    return given


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the entries of another put over it, mapping by mapping."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        # Parts of another kind have nothing in common.
        nested = isinstance(value, dict) and isinstance(below, dict) and "kind" not in value
        merged[key] = _merged(below, value) if nested and isinstance(below, dict) else value
    return merged


def _check_objectives(sweep: Sweep) -> None:
    known = [*(f"{quality}_percent" for quality in sweep.quality), *FACTS]
    for technology in sweep.technologies:
        known += [f"{technology}.{metric}" for metric in metrics_of(technology)]
    for key in sweep.objectives:
        if key not in known:
            raise SpecError(
                f"objectives: must be among {', '.join(known)}, not {key[:60]!r}"
                + nearest(key, known)
            )
    asked = {
        "objectives": sweep.objectives,
        "front_technologies": sweep.front_technologies,
        "simulate": sweep.simulate == "front",
    }
    qualities, costs = sweep.known_objectives
    if not pairs([*qualities, *costs]) and (keys := [key for key, value in asked.items() if value]):
        raise SpecError(
            f"{keys[0]}: there is no front without a quality and a cost, or two costs; add one "
            "to objectives, or a technology"
        )
    names: dict[str, Any] = {key: 1.0 for key in known if "." not in key}
    for key in known:
        technology, dot, metric = key.rpartition(".")
        if dot:
            names.setdefault(technology, {})[metric] = 1.0
    for limit in sweep.limits:
        try:
            limit(names)
        except SpecError as error:
            raise SpecError(f"limits: {error}; columns are {', '.join(known)}") from None


def _check_size(sweep: Sweep) -> None:
    """Refuse a sweep too large to measure in technologies in which nothing can be predicted."""
    from minimac.cost.prediction import technologies

    if sweep.size <= sweep.measure:
        return
    qualities, costs = sweep.known_objectives
    predicted = technologies()
    if not qualities or not any(cost.rpartition(".")[0] in predicted for cost in costs):
        raise SpecError(
            f"measure: {sweep.size} designs are more than the {sweep.measure} that are measured, "
            f"and choosing needs a quality and a cost in {' or '.join(predicted)}; raise measure, "
            "or add them"
        )


def _load_buildable(path: Path) -> Design:
    """Read a design; some have only a model, and no circuit."""
    from minimac.rtl import plan

    design = load_design(path)
    try:
        plan(design)
        check_technology(design.technology)
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
        designs=(words, []),
        base=(Any, None),
        spaces=(list[Any], []),
        technologies=(words, []),
        front_technologies=(words, []),
        workload=(str, "digits"),
        scales=(str, "tensor"),
        quality=(words, ["accuracy"]),
        objectives=(words, []),
        limits=(words, []),
        simulate=(str, "all"),
        dsp=(bool | None, None),
        simulator=(str, "verilator"),
        measure=(int, Field(300, ge=1, lt=1 << 32)),
        screen=(int, Field(4000, ge=10, lt=1 << 32)),
        seed=(int, Field(0, ge=0, lt=1 << 32)),
    )
    try:
        fields = model.model_validate(tree).model_dump()
    except ValidationError as error:
        raise SpecError(_explain(error)) from None
    from minimac.bench import SIMULATORS
    from minimac.nn import CLASSIFIERS, WORKLOADS  # both import NumPy

    _check_word("scales", fields["scales"], ["tensor", "vector"])
    _check_word("simulate", fields["simulate"], ["all", "front", "none"])
    _check_word("simulator", fields["simulator"], SIMULATORS)
    _check_word("workload", fields["workload"], WORKLOADS)
    for word in fields["quality"]:
        _check_word("quality", word, [step for step, *_ in QUALITIES.values()])
    if "accuracy" in fields["quality"] and fields["workload"] not in CLASSIFIERS:
        raise SpecError(
            f"quality: {fields['workload']} has no labels and so no accuracy; write [error], or "
            f"use workload {' or '.join(sorted(CLASSIFIERS))}"
        )
    for key in ("quality", "objectives", "limits"):
        _check_repeated(key, fields[key])
    for key in ("technologies", "front_technologies"):
        _check_technologies(key, fields[key])
    both = _first_repeated([*fields["technologies"], *fields["front_technologies"]])
    if both is not None:
        raise SpecError(f"front_technologies: all designs are costed in {both!r} already")
    fields["limits"] = [_condition("limits", text) for text in fields["limits"]]
    tuples = ("technologies", "front_technologies", "quality", "objectives", "limits")
    return fields | {key: tuple(fields[key]) for key in tuples}


def _check_word(key: str, word: str, known: Iterable[str]) -> None:
    known = list(known)
    if word not in known:
        raise SpecError(f"{key}: must be {' or '.join(known)}, not {word!r}{nearest(word, known)}")


def _check_technologies(key: str, names: list[str]) -> None:
    from minimac.cost import technologies

    known = technologies()
    for name in names:
        if name not in known:
            raise SpecError(
                f"{key}: must be among {', '.join(known)}, not {name!r}" + nearest(name, known)
            )
    _check_repeated(key, names)


def _check_repeated(key: str, names: list[str]) -> None:
    repeated = _first_repeated(names)
    if repeated is not None:
        raise SpecError(f"{key}: {repeated[:80]!r} is there twice")


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
    if key not in _KEYS:
        hint = nearest(key, _KEYS) or f"; known are {', '.join(_KEYS)}"
        return f"{key[:60]}: unknown key{hint}"
    return f"{key}: must be {_KEYS[key]}, not {short_value(first['input'])}"
