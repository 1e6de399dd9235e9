"""Still pictures of the fronts of a sweep, for papers and pages."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimac.explore.columns import broken
from minimac.explore.frame import frame
from minimac.explore.fronts import Comparison, comparisons, front
from minimac.explore.results import Results
from minimac.spec.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["is_wide", "write_plots"]

_LABELLED = 12  # points; more names than that hide each other
_NAMED = 40  # of many points those on a front, if they are no more
_INK, _FAINT, _ACCENT = "#1c1f24", "#8b929c", "#0b6e75"


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Draw each front as ``front_<quality>_<cost>.png`` and ``.svg``.

    Measured designs are filled and predicted ones hollow, as in the page; those beyond the limits
    of the sweep are crosses. Equal results give equal bytes with the same Matplotlib.
    """
    import matplotlib as mpl

    table = frame(results)
    written = []
    # Texts of files are no formulas, and names in the SVG must not be random.
    style: Any = {"svg.hashsalt": "minimac", "text.parse_math": False, "svg.fonttype": "path"}
    with mpl.rc_context(style):
        for comparison in comparisons(results):
            figure = _draw(results, table, comparison)
            stem = re.sub(r"[^\w.-]+", "_", f"front_{comparison.quality.key}_{comparison.cost.key}")
            for ending, metadata in ("png", {"Software": None}), ("svg", {"Date": None}):
                picture = io.BytesIO()
                figure.savefig(picture, format=ending, dpi=150, metadata=metadata)
                written.append(write_whole(folder / f"{stem}.{ending}", picture.getvalue()))
    return written


def is_wide(values: Any) -> bool:
    """Whether figures span so much that an axis should be logarithmic.

    Examples
    --------
    >>> is_wide([97.0, 99.0]), is_wide([0.01, 20.0]), is_wide([-1.0, 50.0])
    (False, True, False)
    """
    import numpy as np

    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    above = known[known > 0]
    return bool(len(above) and known.min() >= 0 and above.max() >= 10 * above.min())


def _draw(results: Results, table: "pd.DataFrame", comparison: Comparison) -> Any:
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    x, y = (
        table[column.key].to_numpy(dtype=float, na_value=np.nan)
        for column in (comparison.cost, comparison.quality)
    )
    predicted = (table["basis"] == "predicted").to_numpy() if "basis" in table else x != x
    beyond = np.array([bool(broken(design)) for design in results.designs], dtype=bool)
    best = front(results, comparison, table)
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    size = 42 if len(table) <= 40 else 14
    for rows, look in (
        (beyond, {"marker": "x", "color": _FAINT, "alpha": 0.5}),
        (~beyond & ~predicted, {"marker": "o", "color": _FAINT}),
        (~beyond & predicted, {"marker": "o", "facecolors": "none", "edgecolors": _FAINT}),
    ):
        axes.scatter(x[rows], y[rows], s=size, linewidths=1, **look)
    for i in best:
        face = "none" if predicted[i] else _ACCENT
        axes.scatter(x[i], y[i], s=1.4 * size, facecolors=face, edgecolors=_ACCENT, zorder=3)
    # Between two designs of the front, the cheaper one is what there is.
    axes.step(x[best], y[best], where="post", color=_ACCENT, linewidth=1.2, zorder=2)
    for axis, column, values in (
        (axes.xaxis, comparison.cost, x),
        (axes.yaxis, comparison.quality, y),
    ):
        if is_wide(values):
            # Exact zeros have a place as well: below the least of the others.
            least = float(np.nanmin(values[values > 0]))
            scale = "symlog" if np.nanmin(values) == 0 else "log"
            more = {"linthresh": least, "linscale": 0.5} if scale == "symlog" else {}
            (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)(scale, **more)
            if scale == "log":
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        where = f"{column.group} " if column.group else ""
        axis.set_label_text(f"{where}{column.title}{f' ({column.unit})' if column.unit else ''}")
    few = len(table) <= _LABELLED
    named = range(len(table)) if few else best if len(best) <= _NAMED else ()
    axes.margins(0.1)
    axes.grid(color="#e4e2dc", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    known = [n for n in named if not np.isnan([x[n], y[n]]).any()]
    _name(axes, {str(table["design"].iloc[n]): (float(x[n]), float(y[n])) for n in known})
    return figure


def _name(axes: Any, points: dict[str, tuple[float, float]]) -> None:
    """Write names beside points where they hide no other; those that find no place are left out."""
    if points:
        axes.figure.draw_without_rendering()  # or nothing has a place yet
    taken: list[Any] = []
    for name, point in points.items():
        shown = name if len(name) <= 32 else f"{name[:31]}…"
        for right, up in ((6, 4), (6, -10), (-6, -10), (-6, 4)):
            side = "left" if right > 0 else "right"
            note = axes.annotate(
                shown,
                point,
                (right, up),
                textcoords="offset points",
                size=8,
                color=_INK,
                horizontalalignment=side,
                in_layout=False,
            )
            box = note.get_window_extent()
            inside = axes.figure.bbox.x0 <= box.x0 and box.x1 <= axes.figure.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            note.remove()
