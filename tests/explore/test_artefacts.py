"""Tests of :mod:`minimac.explore.artefacts`."""

import json
import re

import pytest

from minimac.explore import write_design
from minimac.spec import SpecError, load_design
from minimac.spec.files import make_folder, write_whole


def test_a_file_in_the_way(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    for path in (file, file / "below"):
        message = f"{path}: must be a folder to write into, not a file"
        with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
            make_folder(path)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    # Root may write anywhere, so the answer of the system is made up.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(SpecError, match=r"cannot be written to: permission denied$"):
        make_folder(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = write_whole(tmp_path / "x.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\udc80")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_design_is_written_with_its_description(make_design, tmp_path):
    design = make_design("mine")
    paths = write_design(design, tmp_path / "new" / "folder")
    by_end = {path.name.removeprefix("mine"): path.read_text() for path in paths}
    assert list(by_end)[:4] == [".v", ".json", ".md", ".yaml"]
    assert "module mine" in by_end[".v"]
    assert isinstance(json.loads(by_end[".json"]), dict)
    assert load_design(tmp_path / "new/folder/mine.yaml") == design


def test_equal_designs_give_equal_bytes(make_design, tmp_path):
    one = [p.read_bytes() for p in write_design(make_design("mine"), tmp_path / "1")]
    other = [p.read_bytes() for p in write_design(make_design("mine"), tmp_path / "2")]
    assert one == other


def test_nothing_is_written_if_generation_fails(make_design, tmp_path, monkeypatch):
    def fail(design):
        raise SpecError("cannot")

    monkeypatch.setattr("minimac.rtl.describe", fail)
    with pytest.raises(SpecError, match="cannot"):
        write_design(make_design("mine"), tmp_path / "new")
    assert not (tmp_path / "new").exists()
