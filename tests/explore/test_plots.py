"""Tests of :mod:`minimac.explore.plots`."""

from itertools import combinations

from matplotlib.figure import Figure

from minimac.explore.plots import _name, write_plots


def test_names_hide_no_other():
    figure = Figure(figsize=(4, 3))
    axes = figure.add_subplot()
    points = {f"a_design_{n}": (1 + n / 1000, 1.0) for n in range(9)} | {"far": (0.0, 0.0)}
    axes.scatter(*zip(*points.values(), strict=True))
    _name(axes, points)
    boxes = {note.get_text(): note.get_window_extent() for note in axes.texts}
    assert {"a_design_0", "far"} < set(boxes) < set(points)
    assert not any(one.overlaps(other) for one, other in combinations(boxes.values(), 2))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes.values())


def test_equal_results_give_equal_pictures(results, tmp_path):
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    first, second = (write_plots(results, folder) for folder in folders)
    assert {path.suffix for path in first} == {".png", ".svg"}
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
