"""Results as a table of pandas: what CSV and Parquet files, plots and notebooks start from."""

from typing import TYPE_CHECKING, Any

from minimac.explore.columns import broken, columns, row
from minimac.explore.families import family
from minimac.explore.results import Results

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame"]


def frame(results: Results) -> "pd.DataFrame":
    """Return one row for each design.

    Parameters
    ----------
    results : Results

    Returns
    -------
    pandas.DataFrame
        In the order of the sweep. ``design``, ``arithmetic``; the axes of the sweep by their
        names (``axes.NAME`` where that is also a column); ``basis``, qualities and costs with the
        keys of :func:`columns`; ``family`` of the format; ``limits``, those not kept;
        ``failures``, the steps that failed and why. What is not known is missing (NaN, NA).
    """
    import pandas as pd

    shown = columns(results)
    rows = [row(design, shown) for design in results.designs]
    words = [column.key for column in shown if not column.numeric]
    data: dict[str, Any] = {key: _series([r[key] for r in rows]) for key in words[:2]}
    taken = {*(column.key for column in shown), "family", "limits", "failures"}
    for axis in dict.fromkeys(name for design in results.designs for name in design.axes):
        values = [design.axes.get(axis) for design in results.designs]
        data[f"axes.{axis}" if axis in taken else axis] = _series(values)
    for column in shown[2:]:
        data[column.key] = _series([r[column.key] for r in rows])
    data["family"] = _series([family(design.design) for design in results.designs])
    data["limits"] = _series(["; ".join(broken(design)) for design in results.designs])
    data["failures"] = _series(
        [
            "; ".join(f"{step}: {reason}" for step, reason in design.failures.items())
            for design in results.designs
        ]
    )
    return pd.DataFrame(data)


def _series(values: list[Any]) -> "pd.Series[Any]":
    """Return a column of one type: truths, whole numbers, numbers, or else words."""
    import pandas as pd

    known = [value for value in values if value is not None]
    kinds = {type(value) for value in known}
    if known and kinds == {bool}:
        return pd.Series(values, dtype="boolean" if len(known) < len(values) else "bool")
    if known and kinds == {int} and max(map(abs, known)) < 1 << 63:
        return pd.Series(values, dtype="Int64" if len(known) < len(values) else "int64")
    if known and kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    return pd.Series([None if v is None else str(v) for v in values], dtype="str")
