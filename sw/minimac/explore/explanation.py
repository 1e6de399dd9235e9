"""Why a design of a sweep is on a front or is not, and which better one is nearest."""

from collections.abc import Mapping, Sequence
from typing import Any

from minimac.explore.columns import Column, broken, columns
from minimac.explore.fronts import Pair, competing, pairs, sense
from minimac.explore.results import DesignResult, Results
from minimac.spec import SpecError
from minimac.spec.errors import nearest

__all__ = ["explain"]


def explain(results: Results, name: str) -> list[str]:
    """Say why a design is or is not on the fronts of a sweep, and which better one is nearest.

    Parameters
    ----------
    results : Results
    name : str
        Of a design of the sweep.

    Returns
    -------
    list of str
        A line for each pair of objectives, after one for the design.

    Raises
    ------
    SpecError
        If there is no such design.
    """
    by_name = {design.name: design for design in results.designs}
    if name not in by_name:
        raise SpecError(
            f"explain: there is no design {name[:80]!r} in {results.sweep}{nearest(name, by_name)}"
        )
    design = by_name[name]
    said = [f"{name}: {design.arithmetic}"]
    if design.failures:
        said += [f"{step} failed: {reason}" for step, reason in design.failures.items()]
    if limits := broken(design):
        return [*said, f"on no front, since it does not keep {'; '.join(limits)}"]
    among = competing(results)
    titles = {column.key: column for column in columns(results)}
    own = dict(next(values for other, values in among if other is design))
    compared = pairs(results.objectives)
    if not compared:
        said.append("on no front: the sweep has no two objectives that one could be drawn over")
    for pair in compared:
        if own.get(pair.merit) is None or own.get(pair.cost) is None:
            said.append(f"{pair.merit} and {pair.cost}: unknown, so it is on no front of theirs")
            continue
        said.append(f"{pair.merit} and {pair.cost}: {_reason(design, own, among, pair, titles)}")
    return said


def _reason(
    design: DesignResult,
    own: Mapping[str, Any],
    among: Sequence[tuple[DesignResult, Mapping[str, Any]]],
    pair: Pair,
    titles: Mapping[str, Column],
) -> str:
    keys = (pair.merit, pair.cost)

    def figures(values: Mapping[str, Any]) -> str:
        return " and ".join(
            f"{titles[key].text(values[key])} {titles[key].unit or titles[key].title}"
            for key in keys
        )

    signed = {key: sense(key) for key in keys}

    def beats(values: Mapping[str, Any]) -> bool:
        if any(values.get(key) is None for key in keys):
            return False
        gains = [signed[key] * (own[key] - values[key]) for key in keys]
        return bool(min(gains) >= 0 and max(gains) > 0)

    better = [(other, values) for other, values in among if beats(values)]
    if not better:
        return f"on the front with {figures(own)}: none is better in one and as good in the other"

    def distance(entry: tuple[DesignResult, Mapping[str, Any]]) -> tuple[float, float]:
        other, values = entry
        changed = sum(other.axes.get(axis) != value for axis, value in design.axes.items()) + len(
            other.axes.keys() ^ design.axes.keys()
        )
        return changed, values[pair.cost] * signed[pair.cost]

    other, values = min(better, key=distance)
    cheapest = min(better, key=lambda entry: entry[1][pair.cost] * signed[pair.cost])
    changes = ", ".join(
        f"{axis}: {value} instead of {design.axes.get(axis)}"
        for axis, value in other.axes.items()
        if design.axes.get(axis) != value
    )
    text = (
        f"not on the front with {figures(own)}: {len(better)} better; the nearest is {other.name} "
        f"with {figures(values)}{f' ({changes})' if changes else ''}"
    )
    if cheapest[0] is not other:
        text += f"; the best in {titles[pair.cost].title} is {cheapest[0].name} with "
        text += figures(cheapest[1])
    return text
