"""The driver of a board, or of its simulation."""

from minimac.host.accelerator import BAUD, Accelerator
from minimac.host.errors import HostError
from minimac.host.link import Link

__all__ = ["BAUD", "Accelerator", "HostError", "Link"]
