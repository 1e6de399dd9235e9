"""Simulated boards, each built once a session."""

from collections.abc import Callable, Iterator

import pytest

from boarddesigns import DESIGNS, MORE
from minimac.host import Accelerator


@pytest.fixture(scope="session")
def opened() -> Iterator[Callable[[str], Accelerator]]:
    """Open the simulated board of a design of this page, or return the one that is open."""
    found: dict[str, Accelerator] = {}

    def get(name: str) -> Accelerator:
        if name not in found:
            found[name] = Accelerator.open("sim:", (DESIGNS | MORE)[name])
        return found[name]

    yield get
    for accelerator in found.values():
        accelerator.close()
