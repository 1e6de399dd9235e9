"""Why there is no bitstream."""

from collections.abc import Mapping

__all__ = ["BuildError", "FitError", "SlowError"]


class BuildError(RuntimeError):
    """A bitstream cannot be built; the message is one line."""


class FitError(BuildError):
    """A design is too large for a board.

    Attributes
    ----------
    used : mapping of str to (int, int)
        What it takes of each resource, and what there is, as far as known.
    """

    def __init__(self, said: str, used: Mapping[str, tuple[int, int]]) -> None:
        super().__init__(said)
        self.used = dict(used)


class SlowError(BuildError):
    """A tool took longer than it may."""
