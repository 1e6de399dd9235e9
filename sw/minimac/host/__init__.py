"""The driver of a board, or of its simulation."""

from minimac.host.accelerator import Accelerator
from minimac.host.errors import HostError
from minimac.host.link import Link

__all__ = ["Accelerator", "HostError", "Link"]
