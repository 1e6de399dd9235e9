"""Tests of the tree itself."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_namespace_has_four_roots_and_no_init():
    for root in ("hw", "sim", "sw", "constraints"):
        assert not (ROOT / root / "minimac" / "__init__.py").exists()


def test_each_dependency_has_a_reason():
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in needed:
        assert re.search(rf'"{re.escape(requirement)}", +# \w', text), requirement
