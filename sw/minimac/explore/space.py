"""Spaces of designs: axes over the fields of a design, and which combinations count."""

import dataclasses
import functools
import graphlib
import itertools
import json
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minimac.cost.technology import check_technology
from minimac.explore.expressions import Condition
from minimac.spec import UNITS, Design, Format, SpecError, load_design, parse_format
from minimac.spec.errors import nearest

__all__ = [
    "ENUMERABLE",
    "ConditionError",
    "Distinct",
    "Point",
    "Space",
    "axis_values",
    "distinct",
]

_PLACE = re.compile(r"\{(\w+)\}")
_LONGEST_NAME = 64
_MOST_VALUES = 10_000

#: Combinations up to which a space is looked at as a whole before a sweep runs.
ENUMERABLE = 4000


class ConditionError(SpecError):
    """A condition that cannot be worked out for some combination."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A design, and where in its space it is.

    Parameters
    ----------
    design : Design
    axes : dict
        Its value on each axis; empty for a design that was named by itself.
    """

    design: Design
    axes: dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """All combinations of the values of some axes.

    Parameters
    ----------
    base : dict
        The fields that all designs share, as a design file has them. ``{word}`` in a text stands
        for the value of the axis ``word``. Without a ``name``, designs are named by their values.
    axes : dict
        Values by axis. An axis is a field (``a``, ``accumulate.width``), several at once (``a, b``:
        one value for all, or a list with one for each), or a word that ``base`` or another axis has
        in braces.
    where : tuple of Condition
        Which combinations count, by the fields of a design and the words of axes.

    Raises
    ------
    SpecError
        If an axis is neither a field nor in use, sets a field that another sets, or has a value
        that cannot be one.

    Examples
    --------
    >>> space = Space(
    ...     base={"unit": "mac", "out": "fp32", "accumulate": {"kind": "exact"}},
    ...     axes={"a, b": ("e{E}m{M}",), "E": (2, 3), "M": (0, 1, 2)},
    ...     where=(Condition("E + M <= 4"),),
    ... )
    >>> [point.design.name for point in space.points()]
    ['e2m0', 'e2m1', 'e2m2', 'e3m0', 'e3m1']
    """

    base: dict[str, Any]
    axes: dict[str, tuple[Any, ...]]
    where: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        used = _words([self.base, *self.axes.values()])
        set_before: set[str] = set()
        for axis in self.axes:
            for field in _fields(axis):
                if field in set_before:
                    raise SpecError(f"axes.{axis[:60]}: {field} is set twice; leave one out")
                set_before.add(field)
                if field.split(".")[0] not in _keys() and field not in used:
                    hint = self._hint(field, used)
                    raise SpecError(
                        f"axes: {axis[:60]} is no field of a design, and nothing has "
                        f"{{{field[:60]}}} in it{hint}"
                    )
        if unknown := used - set(self.axes):
            raise SpecError(f"{{{min(unknown)}}}: there is no such axis; write it below axes")
        try:
            graphlib.TopologicalSorter({axis: _words(v) for axis, v in self.axes.items()}).prepare()
        except graphlib.CycleError as error:
            raise SpecError(f"axes.{error.args[1][0]}: has itself in braces") from None
        for axis, values in self.axes.items():
            for value in values:
                for field, own in _spread(axis, value):
                    _check_format(axis, field, own)

    def _hint(self, field: str, words: set[str]) -> str:
        """Say what is meant by what is no field: a field of a part, or what is written alike."""
        for key, part in self.base.items():
            if isinstance(part, dict) and field in part:
                return f"; did you mean '{key}.{field}'?"
        return nearest(field, sorted(_keys() | words))

    @functools.cached_property
    def _mere_words(self) -> set[str]:
        """Axes that set no field: those in braces, unless the unit has a field of that name."""
        unit = self.base.get("unit")
        own = _keys(unit) if isinstance(unit, str) and unit in UNITS else _keys()
        return _words([self.base, *self.axes.values()]) - own

    @functools.cached_property
    def _worded(self) -> list[str]:
        """Keys of the base that have words in braces."""
        return [key for key, part in self.base.items() if _words(part)]

    @functools.cached_property
    def _naming_axes(self) -> list[str]:
        """Axes along which designs differ; but words in braces, where a text that has them does."""
        told = {word for axis in self.axes for v in self.axes[axis] for word in _words(str(v))}
        untold = [axis for axis in self.axes if axis not in told]
        return [a for a in untold if len(self.axes[a]) > 1 or _words(self.axes[a])] or untold

    @property
    def size(self) -> int:
        """The number of combinations, those that do not count included."""
        return math.prod(len(values) for values in self.axes.values())

    def at(self, indices: Sequence[int]) -> Point | None:
        """Return the point with these values, by number on each axis; None if it does not count.

        Raises
        ------
        SpecError
            If it counts and is no design, or a condition cannot be worked out.
        """
        chosen = {
            axis: values[n] for (axis, values), n in zip(self.axes.items(), indices, strict=True)
        }
        words = {axis: value for axis, value in chosen.items() if axis.isidentifier()}
        tree = {**self.base, **{key: _filled(self.base[key], words) for key in self._worded}}
        for axis, value in chosen.items():
            if axis not in self._mere_words:
                for field, own in _spread(axis, value):
                    _put(tree, field, _filled(own, words))
        known = {**tree, **words}
        try:
            if not all(condition(known) for condition in self.where):
                return None
        except SpecError as error:
            raise ConditionError(f"where: {error}") from None
        axes = {axis: _said(_filled(value, words)) for axis, value in chosen.items()}
        given = tree.pop("name", None)
        name = _name({a: axes[a] for a in self._naming_axes}) if given is None else given
        name = _plain(name) if isinstance(name, str) else name
        design = load_design({"name": name, **tree})
        check_technology(design.technology)
        return Point(design=design, axes=axes)

    def points(self, looked: Callable[[], object] | None = None) -> Iterator[Point]:
        """Yield all that count and are designs, the last axis fastest.

        Parameters
        ----------
        looked : callable, optional
            Called after each combination, whether it is a design or not.

        Raises
        ------
        SpecError
            If none is, with the reason of the first; or if a condition cannot be worked out.
        """
        for _, point in self._at_each(self._all_indices(), looked):
            yield point

    def example(self) -> tuple[tuple[int, ...], Point]:
        """Return a point that counts and is a design, after where it is: what :meth:`at` takes.

        Raises
        ------
        SpecError
            As :meth:`points`; of a space that is too large to be looked at as a whole, if none is
            among many that are drawn at random.
        """
        if self.size <= ENUMERABLE:
            return next(self._at_each(self._all_indices()))
        drawn = random.Random(0)
        sizes = [len(values) for values in self.axes.values()]
        return next(self._at_each(tuple(map(drawn.randrange, sizes)) for _ in range(ENUMERABLE)))

    def _all_indices(self) -> Iterator[tuple[int, ...]]:
        return itertools.product(*(range(len(values)) for values in self.axes.values()))

    def _at_each(
        self,
        all_indices: Iterable[tuple[int, ...]],
        looked: Callable[[], object] | None = None,
    ) -> Iterator[tuple[tuple[int, ...], Point]]:
        refused: SpecError | None = None
        none = True
        for indices in all_indices:
            point = None
            try:
                point = self.at(indices)
            except ConditionError:
                raise
            except SpecError as error:
                refused = refused or error
            if looked:
                looked()
            if point:
                none = False
                yield indices, point
        if none:
            raise refused or SpecError("where: leaves no design; widen it")


def axis_values(axis: str, given: Any) -> tuple[Any, ...]:
    """Return the values of an axis: those of a list, or of a range.

    Raises
    ------
    SpecError
        If it is neither.

    Examples
    --------
    >>> axis_values("width", {"from": 12, "to": 20, "step": 4})
    (12, 16, 20)
    >>> axis_values("clock_mhz", {"from": 100, "to": 800, "factor": 2})
    (100, 200, 400, 800)
    """
    if isinstance(given, list) and given:
        return tuple(given)
    numbers = given.values() if isinstance(given, dict) else ()
    if (
        not isinstance(given, dict)
        or not given.keys() <= {"from", "to", "step", "factor"}
        or not given.keys() >= {"from", "to"}
        or len(given) > 3
        or not all(isinstance(x, int | float) and not isinstance(x, bool) for x in numbers)
        or not all(-1e300 < x < 1e300 for x in numbers)
    ):
        raise SpecError(
            f"axes.{axis[:60]}: must be a list of values, or a range {{from, to, step}} or "
            f"{{from, to, factor}}, not {repr(given)[:60]}"
        )
    low, high = given["from"], given["to"]
    step, factor = given.get("step", 1), given.get("factor")
    if not low <= high or step <= 0 or (factor is not None and (factor <= 1 or low <= 0)):
        raise SpecError(
            f"axes.{axis[:60]}: must rise from `from` to `to` by a step above 0 or a factor above 1"
        )
    values = [low]
    while len(values) <= _MOST_VALUES:
        following = low + len(values) * step if factor is None else values[-1] * factor
        if isinstance(following, float):
            following = float(f"{following:.12g}")  # 0.1 + 2 * 0.1 is 0.3
        if following > high:
            return tuple(values)
        values.append(following)
    raise SpecError(f"axes.{axis[:60]}: has more than {_MOST_VALUES} values; widen the step")


class Distinct:
    """Points that were met so far: no two of equal designs, and each with a name of its own."""

    def __init__(self) -> None:
        self._found: dict[str, Point] = {}
        self._names: set[str] = set()

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Point]:
        return iter(self._found.values())

    def add(self, point: Point) -> Point:
        """Return a point, under another name if its own is taken, or the earlier equal one."""
        tree = point.design.as_dict()
        name = tree.pop("name")
        key = json.dumps(tree, sort_keys=True)
        if key not in self._found:
            if name in self._names:
                name = f"{name[: _LONGEST_NAME - 9]}_{point.design.digest[:8]}"
                point = Point(design=load_design({"name": name, **tree}), axes=point.axes)
            self._names.add(name)
            self._found[key] = point
        return self._found[key]


def distinct(points: Iterable[Point]) -> list[Point]:
    """Return points without those equal to earlier ones, and each with a name of its own."""
    known = Distinct()
    for point in points:
        known.add(point)
    return list(known)


@functools.cache
def _keys(unit: str | None = None) -> frozenset[str]:
    """Return the keys of a design file: of one unit, or of any."""
    kinds = UNITS.values() if unit is None else [UNITS[unit]]
    return frozenset(["unit", *(f.name for kind in kinds for f in dataclasses.fields(kind))])


@functools.cache
def _formats() -> frozenset[str]:
    """Return the keys of a design file that are names of formats."""
    return frozenset(
        f.name
        for kind in UNITS.values()
        for f in dataclasses.fields(kind)
        if f.type in (Format, Format | None)
    )


@functools.cache
def _fields(axis: str) -> list[str]:
    return [field.strip() for field in axis.split(",")]


def _spread(axis: str, value: Any) -> list[tuple[str, Any]]:
    """Return the fields that an axis sets, each with its part of a value."""
    fields = _fields(axis)
    own = value if isinstance(value, list) and len(fields) > 1 else [value] * len(fields)
    if len(own) != len(fields):
        raise SpecError(
            f"axes.{axis[:60]}: must have one value for all of {', '.join(fields)[:60]} or a list "
            f"of {len(fields)}, not of {len(own)}"
        )
    return list(zip(fields, own, strict=True))


def _check_format(axis: str, field: str, value: Any) -> None:
    """Refuse what is no format: the search for designs would leave it out without a word."""
    if field not in _formats() or value is None or _words(value):
        return
    try:
        parse_format(value)
    except SpecError as error:
        raise SpecError(f"axes.{axis[:60]}: {error}") from None


def _words(value: Any) -> set[str]:
    """Return the words in braces that a value has in it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return set().union(*map(_words, value))
    return set(_PLACE.findall(value)) if isinstance(value, str) else set()


def _filled(value: Any, words: Mapping[str, Any]) -> Any:
    """Return a value with the words in braces replaced; a text that is one has its type."""
    if isinstance(value, dict):
        return {key: _filled(part, words) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, words) for part in value]
    if not isinstance(value, str) or "{" not in value:
        return value
    if (whole := _PLACE.fullmatch(value)) and whole[1] in words:
        return _filled(words[whole[1]], words)
    return _PLACE.sub(lambda place: str(words.get(place[1], place[0])), value)


def _put(tree: dict[str, Any], field: str, value: Any) -> None:
    *path, key = field.split(".")
    for part in path:
        inner = tree.get(part)
        tree[part] = dict(inner) if isinstance(inner, dict) else {}
        tree = tree[part]
    tree[key] = value


def _said(value: Any) -> Any:
    """Return a value as tables show it."""
    if isinstance(value, dict):
        return ", ".join(
            str(part) if key == "kind" else f"{key} {part}" for key, part in value.items()
        )
    if isinstance(value, list):
        return ", ".join(dict.fromkeys(map(str, value)))
    return value


@functools.lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    """Return a text as part of a name."""
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")


def _name(axes: Mapping[str, Any]) -> str:
    """Name a design by values on axes."""
    parts = []
    for axis, value in axes.items():
        text = _plain(str(value))
        minus = str(value).startswith("-") * "m"
        parts.append(text if text[:1].isalpha() else f"{re.split(r'[ .,]', axis)[-1]}{minus}{text}")
    name = "_".join(parts) or "base"
    if len(name) <= _LONGEST_NAME:
        return name
    import hashlib

    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - 9]}_{digest}"
