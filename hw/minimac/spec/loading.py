"""Reading a design from YAML, strictly: what is wrong is one line with file, key and remedy."""

import dataclasses
import functools
import json
from collections import Counter
from pathlib import Path
from typing import Any

from minimac.spec.accumulation import PRESETS, Accumulation
from minimac.spec.design import ArrayShape, Design, Fma
from minimac.spec.errors import SpecError, as_number, nearest, short_value

__all__ = ["UNITS", "load_design", "load_yaml", "parse_yaml"]

#: Units, by the word that a design file names them by.
UNITS: dict[str, type[Design]] = {sub.unit: sub for sub in Design.__subclasses__()}

_LARGEST_FILE = 1 << 16  # bytes; a design takes a few hundred


def load_design(source: Path | str | dict[str, Any]) -> Design:
    """Read and check a design.

    Parameters
    ----------
    source : path or dict
        A YAML file, or what one would hold.

    Returns
    -------
    Design
        The subclass that ``unit`` names.

    Raises
    ------
    SpecError
        If the file cannot be read, is not a YAML mapping, or a key is missing, unknown, of the
        wrong type or has a wrong value: one line that names file, key and what must hold.

    Examples
    --------
    >>> design = load_design({"name": "mine", "unit": "mac", "a": "bf16", "b": "bf16",
    ...     "out": "bf16", "accumulate": {"kind": "float", "width": 16, "normalize": "none"}})
    >>> design.product_bits, design.acc_min_exp, design.acc_max_exp
    (16, -251, 271)
    """
    if isinstance(source, dict):
        return _build(source)
    tree = load_yaml(Path(source))
    try:
        return _build(tree)
    except SpecError as error:
        raise SpecError(f"{source}: {error}") from None


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML, safely and strictly; ``source`` starts the message of what is wrong."""
    import yaml

    try:
        _check_nodes(source, yaml.compose(text, Loader=yaml.SafeLoader))
        return yaml.safe_load(text)
    except SpecError:
        raise
    # PyYAML raises these five for a value that does not suit its explicit tag.
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, LookupError, TypeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        what = getattr(error, "problem", None) or str(error).split("\n")[0] or "unknown value"
        raise SpecError(f"{source}{line}: not valid YAML: {what}") from None
    except RecursionError:
        raise SpecError(f"{source}: not valid YAML: nested too deeply") from None


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that must be a mapping of at most 64 kilobytes."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SpecError(f"{path}: must be a file, not a device or a pipe")
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise SpecError(f"{path}: must have at most {_LARGEST_FILE} bytes, not {size}")
        tree = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: must be UTF-8 text") from None
    except ValueError as error:  # a path with a null in it
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"{str(path)!r}: cannot be read: {error}") from None
    if not isinstance(tree, dict):
        kinds = {list: "a list", str: "text", type(None): "nothing", bool: "true or false"}
        kind = kinds.get(type(tree), "a number")
        raise SpecError(f"{path}: must be a mapping of keys to values, not {kind}")
    return tree


def _check_nodes(source: str, root: Any) -> None:
    """Refuse what YAML would pass over in silence, or blow up: keys twice, and aliases."""
    seen: set[int] = set()
    waiting = [root] if root else []
    while waiting:
        node = waiting.pop()
        line = node.start_mark.line + 1
        if id(node) in seen:
            raise SpecError(f"{source}: aliases (*name) are not allowed; write the value again")
        seen.add(id(node))
        if node.id == "mapping":
            keys = Counter(key.value for key, _ in node.value if key.id == "scalar")
            if twice := [key for key, times in keys.items() if times > 1]:
                raise SpecError(
                    f"{source}, line {line}: {short_value(twice[0])} stands there twice"
                )
            waiting += [part for pair in node.value for part in pair]
        elif node.id == "sequence":
            waiting += node.value


@functools.cache
def _adapter(unit: str) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(UNITS[unit])


def _build(tree: dict[str, Any]) -> Design:
    from pydantic import ValidationError

    if "unit" not in tree:
        if "designs" in tree or "spaces" in tree:
            raise SpecError("is a sweep and not a design; minimac explore runs it")
        if "layers" in tree:
            raise SpecError("is a workload and not a design; minimac workload runs it on one")
        raise SpecError(f"unit: is missing; it must be one of {', '.join(UNITS)}")
    word = tree["unit"]
    if not isinstance(word, str) or word not in UNITS:
        hint = nearest(word, UNITS) if isinstance(word, str) else ""
        raise SpecError(f"unit: must be one of {', '.join(UNITS)}, not {short_value(word)}{hint}")
    fields = {str(key): value for key, value in tree.items() if key != "unit"}
    try:
        _check_plain(fields, "")
        preset = fields.get("accumulate")
        if isinstance(preset, str):
            fields["accumulate"] = _expand(preset)
        # As JSON, strict validation still takes a word for an enumeration and a mapping for a part.
        text = json.dumps(fields)
        design: Design = _adapter(word).validate_json(text, strict=True)
    except ValidationError as error:
        raise SpecError(_explain(error, UNITS[word])) from None
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"must be words, numbers and mappings: {error}") from None
    if isinstance(preset, str):
        known_for = PRESETS[preset].operands
        for key, fmt in (("a", design.a), ("b", design.b)):
            if fmt.name not in known_for:
                raise SpecError(
                    f"{key}: accumulate {preset} holds for {' and '.join(known_for)}, not "
                    f"{fmt.name}; write the accumulation out to use it for others"
                )
        if design.a != design.b and not PRESETS[preset].mixed:
            raise SpecError(
                f"b: accumulate {preset} takes operands of one format, not {design.a.name} and "
                f"{design.b.name}; write the accumulation out to mix them"
            )
    return design


def _expand(preset: str) -> dict[str, Any]:
    if preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise SpecError(
            f"accumulate: must be a mapping with a kind, or one of {known}, not "
            f"{short_value(preset)}{nearest(preset, PRESETS)}"
        )
    return PRESETS[preset].accumulate.as_dict()


def _check_plain(value: Any, where: str) -> None:
    """Refuse what YAML has and designs have not: dates, bytes, lone surrogates."""
    if isinstance(value, dict):
        for key, part in value.items():
            _check_plain(key, f"{where}{key}")
            _check_plain(part, f"{where}{key}.")
    elif isinstance(value, list):
        for part in value:
            _check_plain(part, where)
    elif not isinstance(value, (str, int, float, type(None))):
        kind = type(value).__name__
        raise SpecError(f"{where.rstrip('.')[:60]}: must be a word or a number, not a {kind}")
    elif isinstance(value, str) and not value.isprintable():
        raise SpecError(
            f"{short_value(where.rstrip('.'))}: must be printable text, not {short_value(value)}"
        )


def _explain(error: Any, unit: type[Design]) -> str:
    """Say in one line what the first of pydantic's findings means for the writer of the file."""
    found = error.errors(include_url=False)
    # An unknown key first: a misspelt key is also a missing one.
    first = next((e for e in found if e["type"] == "unexpected_keyword_argument"), found[0])
    path = [str(part) for part in first["loc"]]
    kinds = {sub.kind: sub for sub in Accumulation.__subclasses__()}
    owner: type = unit
    if path[:1] in (["accumulate"], ["within"]) and len(path) > 1:
        at = 1
        while at < len(path) and path[at] in kinds:  # tags, which are no keys
            owner = kinds[path.pop(at)]
            at += path[at : at + 1] == ["outer"]
    elif path[:1] == ["array"] and len(path) > 1:
        owner = ArrayShape
    alternatives = [str(e["msg"]) for e in found if e["loc"][:1] == first["loc"][:1]]
    if path[:1] == ["pipeline"]:
        return f"pipeline: must be auto or a whole number, not {short_value(first['input'])}"
    where = ".".join(path)
    match first["type"]:
        case "unexpected_keyword_argument" if where.endswith(")"):
            return 'accumulate.normalize: inside { } a comma needs quotes: "approx(k,l)"'
        case "unexpected_keyword_argument":
            known = [field.name for field in dataclasses.fields(owner)]
            if path == ["c"] and owner is Fma:
                return "c: has the format of out; leave this key out"
            others = [
                u for u, d in UNITS.items() if path[-1] in {f.name for f in dataclasses.fields(d)}
            ]
            if len(path) == 1 and others and owner is unit:
                return f"{path[0]}: is a key of unit {' or '.join(others)}; leave it out"
            hint = nearest(path[-1], known) or f"; known are {', '.join(known)}"
            return f"{where[:60]}: unknown key{hint}"
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return f"{where}: is missing; this key is required"
        case "union_tag_not_found":
            return f"{where}.kind: is missing; it must be one of {', '.join(kinds)}"
        case "union_tag_invalid":
            tag = first["ctx"]["tag"]
            hint = f"; write accumulate: {tag}" if tag in PRESETS else ""
            return f"{where}.kind: must be one of {', '.join(kinds)}, not {short_value(tag)}{hint}"
        case "value_error":
            said = str(first["ctx"]["error"])
            # A check of several fields names them itself.
            return f"{where}{': ' if where else ''}{said}"
    must = alternatives[0].removeprefix("Input should be ")
    must = must.replace("an object", "a mapping").replace("a valid string", "a word")
    must = must.replace("a valid number", "a number").replace("a valid integer", "a whole number")
    return f"{where}: must be {must}, not {short_value(first['input'])}{as_number(first['input'])}"
