"""The example notebook, executed."""

import os
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_every_cell_runs(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    roots = [str(EXAMPLES.parent / root) for root in ("hw", "sim", "sw", "constraints")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(roots))
    monkeypatch.setenv("MINIMAC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(EXAMPLES / "explore.ipynb", as_version=4)
    # What it returned when it was written would only grow old.
    assert not any(cell.get("outputs") for cell in notebook.cells)
    NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    shown = [
        output.get("data", {}).get("text/plain", "") or output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    ]
    assert any("sky130.area_um2" in text and "e2m3" in text for text in shown)
    assert any("on the front with" in text for text in shown)
    assert (tmp_path / "build" / "formats" / "results.json").is_file()
