"""Bitstreams: from a design and a board to a file that a board loads."""

from minimac.bitstream.errors import BuildError, FitError, SlowError
from minimac.bitstream.fitting import estimate_best, largest, reshaped, shape_of
from minimac.bitstream.flow import FLOWS, Bitstream, build
from minimac.bitstream.vivado import write_vivado

__all__ = [
    "FLOWS",
    "Bitstream",
    "BuildError",
    "FitError",
    "SlowError",
    "build",
    "estimate_best",
    "largest",
    "reshaped",
    "shape_of",
    "write_vivado",
]
