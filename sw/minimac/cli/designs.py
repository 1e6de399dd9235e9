"""Designs as commands take them: of a file, with keys that are changed, checked."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minimac.spec import Design, SpecError, load_design
from minimac.spec.errors import nearest
from minimac.spec.loading import load_yaml, parse_yaml

__all__ = [
    "check_cells",
    "check_technology",
    "load",
    "load_buildable",
    "one_of",
    "spare",
    "technology_of",
]


def load(path: Path, changes: Sequence[str] | None = None) -> Design:
    """Read a design, with the keys that ``--set`` changes."""
    if not changes:
        return load_design(path)
    tree = load_yaml(path)
    for change in changes:
        _change(tree, change)
    try:
        return load_design(tree)
    except SpecError as error:
        raise SpecError(f"{path} with --set {' '.join(changes)}: {error}") from None


def load_buildable(path: Path, changes: Sequence[str] | None = None) -> Design:
    """Read a design that is to become a circuit; some have only a model."""
    design = load(path, changes)
    from minimac.rtl import describe

    try:
        describe(design)
        check_technology("technology:", design.technology)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    return design


def _change(tree: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    *outer, last = parts = key.strip().split(".")
    if not equals or not all(parts):
        raise SpecError(f"--set must be KEY=VALUE, not {change!r}")
    value = parse_yaml(text, f"--set {key}")
    for part in outer:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise SpecError(f"--set {key}: {part} is not a mapping; set it whole")
    if value is None:
        tree.pop(last, None)
    else:
        tree[last] = value


def technology_of(path: Path, design: Design, given: str | None) -> tuple[str, str]:
    """Return the technology that is given, or else the design's, after what names it."""
    key = f"{path}: technology:" if given is None else "--technology"
    chosen = design.technology if given is None else given
    check_technology(key, chosen)
    return key, chosen


def check_technology(key: str, name: str) -> None:
    """Refuse what is no technology, and no Liberty file; the key names where it was given."""
    from minimac.cost.technology import check_technology as check

    try:
        check(name)
    except SpecError as error:
        raise SpecError(f"{key}{str(error).removeprefix('technology:')}") from None


def check_cells(key: str, technology: str, why: str) -> None:
    """Refuse an FPGA where only standard cells will do."""
    from minimac.cost import Library, is_liberty, load_technology, technologies

    if not is_liberty(technology) and not isinstance(load_technology(technology), Library):
        cells = [name for name in technologies() if isinstance(load_technology(name), Library)]
        raise SpecError(
            f"{key} must be one of {', '.join(cells)}, or a Liberty file, not {technology}: {why}"
        )


def one_of(name: str, word: str, known: Iterable[str]) -> str:
    """Return a word if it is one of those that are known."""
    known = list(known)
    if word not in known:
        raise SpecError(
            f"{name} must be one of {', '.join(known)}, not {word!r}{nearest(word, known)}"
        )
    return word


def spare(design: Path, folder: Path, files: Mapping[str, str]) -> None:
    """Refuse to write another text over the very file that was read."""
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.samefile(design) and path.read_text(encoding="utf-8") != text:
            raise SpecError(f"{path}: is the design, and would be lost; write elsewhere with -o")
