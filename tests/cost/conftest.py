"""Small circuits for the tests of the cost package."""

import pytest

from minimac.cost import compose
from minimac.cost.cache import Cache
from minimac.cost.technology import load_technology
from minimac.spec import load_design


@pytest.fixture(scope="session")
def sky130():
    return load_technology("sky130")


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture(scope="session")
def composition_cache(tmp_path_factory):
    """Where the small arrays of a composition are kept."""
    return Cache(tmp_path_factory.mktemp("composition"))


@pytest.fixture(scope="session")
def tiny():
    """An array of tiny elements."""
    return load_design(
        {
            "name": "tiny",
            "unit": "systolic",
            "a": "int2",
            "b": "int2",
            "out": "int8",
            "accumulate": {"kind": "exact", "max_terms": 64},
            "array": {"rows": 3, "columns": 6},
            "clock_mhz": 50,
        }
    )


@pytest.fixture(scope="session")
def composed(tiny, composition_cache):
    """That array, composed."""
    return compose(tiny, cache=composition_cache)


class Sketch:
    """A module in the form that Yosys writes, net by net and by name."""

    def __init__(self):
        self.numbers = {"0": "0", "1": "1"}
        self.tree = {"ports": {}, "cells": {}, "netnames": {}}

    def bit(self, name):
        """Return the number of a net."""
        if name not in self.numbers:
            self.numbers[name] = len(self.numbers)
            self.tree["netnames"][name] = {"hide_name": 0, "bits": [self.numbers[name]]}
        return self.numbers[name]

    def port(self, direction, name, *bits):
        """Add a port, by default of one net with the same name."""
        bits = [self.bit(bit) for bit in bits or (name,)]
        self.tree["ports"][name] = {"direction": direction, "bits": bits}
        return self

    def cell(self, name, kind, **pins):
        """Add a cell or another module with ports of one bit."""
        connections = {pin: [self.bit(net)] for pin, net in pins.items()}
        self.tree["cells"][name] = {"type": kind, "connections": connections}
        return self


@pytest.fixture
def sketch():
    return Sketch
