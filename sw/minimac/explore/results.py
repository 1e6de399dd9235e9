"""What a sweep has found, and how it is kept.

A run appends every finished step to ``results.jsonl`` as it comes, and writes ``results.json`` now
and then, in one step. A crash loses what was under way, and nothing else.
"""

import functools
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from minimac.spec import SpecError
from minimac.spec.files import write_whole

__all__ = ["DesignResult", "Journal", "Results", "StepResult", "load_results", "valid_json"]

#: Texts, to be passed over, and what writers of JSON have besides it.
_NO_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')

#: What is valid, and infinite to whoever reads it as a float64, in Python as in a browser.
_VALID = {"Infinity": "1e999", "-Infinity": "-1e999", "NaN": "null"}


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What became of one step.

    Parameters
    ----------
    ok : bool
    seconds : float
        Time spent, in seconds.
    reason : str
        Why it failed, in one line.
    result : dict
        What it found: flat names with their units. Of a figure that is no number (NaN) there is
        None, as in files.
    """

    __pydantic_config__ = {"extra": "forbid"}

    ok: bool
    seconds: float
    reason: str = ""
    result: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "result", _without_nan(self.result))


@dataclass(frozen=True, kw_only=True)
class DesignResult:
    """What is known of one design.

    Parameters
    ----------
    name, arithmetic : str
        Its name, and its arithmetic in a few words.
    design : dict
        The design, as a design file would have it.
    steps : dict
        Finished steps by name: ``generate``, ``accuracy``, ``error``, ``predict:<technology>``,
        ``cost:<technology>``, ``simulate``.
    axes : dict
        Where in its space it is: the value on each axis; empty if it was named in the sweep file.
    """

    __pydantic_config__ = {"extra": "forbid"}

    name: str
    arithmetic: str
    design: dict[str, Any]
    steps: dict[str, StepResult] = field(default_factory=dict)
    axes: dict[str, str | int | float | bool | None] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, str]:
        """Reasons of the steps that failed, by step."""
        return {name: step.reason for name, step in self.steps.items() if not step.ok}

    def found(self, step: str) -> dict[str, Any]:
        """Return what a step found; nothing if it failed or has not run."""
        done = self.steps.get(step)
        return done.result if done and done.ok else {}


@dataclass(frozen=True, kw_only=True)
class Results:
    """All of a sweep.

    Parameters
    ----------
    version : {2}
        Of this structure.
    sweep : str
        Name of the sweep.
    conditions : dict
        What holds for all designs: seed, simulator, workload, versions.
    technologies : list of str
    designs : list of DesignResult
        In the order of the sweep file.
    objectives : list of str
        Keys of the columns that fronts are drawn over: qualities first, then costs.
    limits : list of str
        What a design must keep to be on a front, such as ``sky130.area_um2 <= 20000``.
    space : dict
        How many designs the sweep names (``designs``), how many were judged by prediction
        (``screened``; 0 if none) and how many were synthesised (``measured``).
    """

    __pydantic_config__ = {"extra": "forbid"}

    version: Literal[2] = 2
    sweep: str
    conditions: dict[str, Any]
    technologies: list[str]
    designs: list[DesignResult]
    objectives: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    space: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether any step of any design failed."""
        return any(design.failures for design in self.designs)


def valid_json(text: str) -> str:
    """Return JSON without the words that Python writes for infinities and NaN.

    Examples
    --------
    >>> valid_json('{"Infinity": [Infinity, -Infinity, 1.5, NaN]}')
    '{"Infinity": [1e999, -1e999, 1.5, null]}'
    """
    if "Infinity" not in text and "NaN" not in text:
        return text
    return _NO_JSON.sub(lambda found: _VALID.get(found[0], found[0]), text)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and value != value else value


@functools.cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Results)


def load_results(folder: Path | str) -> Results:
    """Read the results of a sweep from the folder that it wrote to.

    Raises
    ------
    SpecError
        If there are none, or the file is not what a sweep writes.
    """
    from pydantic import ValidationError

    path = Path(folder) / "results.json"
    try:
        results: Results = _adapter().validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; minimac explore writes it") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        said = str(first["msg"]).split("\n")[0]
        raise SpecError(
            f"{path}: {where[:120]}: not what this version of minimac explore writes ({said}); run "
            "the sweep again"
        ) from None
    return results


class Journal:
    """The finished steps of a folder, by key; one line of ``results.jsonl`` each.

    Parameters
    ----------
    folder : Path
        Where ``results.jsonl`` and ``results.json`` are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "results.jsonl"

    def read(self) -> dict[str, StepResult]:
        """Return the steps that succeeded; a line cut short by a crash counts as none."""
        return dict(self._lines())

    def sweep(self) -> str | None:
        """Return the name of the sweep that ``results.json`` is of, whatever version wrote it."""
        try:
            found = json.loads((self._folder / "results.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        name = found.get("sweep") if isinstance(found, dict) else None
        return name if isinstance(name, str) else None

    def _lines(self) -> Iterator[tuple[str, StepResult]]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                key, seconds, result = entry["key"], float(entry["seconds"]), entry["result"]
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                continue
            if entry.get("ok") is True and isinstance(result, dict):
                yield str(key), StepResult(ok=True, seconds=seconds, result=result)

    def append(self, finished: Iterable[tuple[str, str, str, StepResult]]) -> None:
        """Add finished steps: key, design, name and result of each.

        Raises
        ------
        SpecError
            If they cannot be written; what was there before still is.
        """
        lines = [
            json.dumps(
                {
                    "key": key,
                    "design": design,
                    "step": step,
                    "ok": done.ok,
                    "seconds": done.seconds,
                    "reason": done.reason,
                    "result": done.result,
                }
            )
            for key, design, step, done in finished
        ]
        try:
            with open(self._path, "ab+") as file:
                if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                    file.write(b"\n")  # a line cut short by a crash must not spoil this one
                file.write("".join(f"{valid_json(line)}\n" for line in lines).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SpecError(f"{self._path}: cannot be written: {error.strerror}") from None

    def write(self, results: Results) -> None:
        """Write ``results.json`` anew."""
        from pydantic_core import to_json

        text = to_json(results, indent=1, inf_nan_mode="constants").decode()
        write_whole(self._folder / "results.json", valid_json(text) + "\n")
