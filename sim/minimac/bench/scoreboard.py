"""In-order comparison of what was expected with what was observed."""

from collections import deque

__all__ = ["Scoreboard"]


class Scoreboard:
    """Compares observations with expectations, in order, and counts them.

    Parameters
    ----------
    name : str
        What is compared; starts every message.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.checked = 0  #: Observations compared so far.
        self._expected: deque[tuple[int, str]] = deque()

    def expect(self, code: int, context: str) -> None:
        """Add an expectation; ``context`` says in a failure message where it came from."""
        self._expected.append((code, context))

    def observe(self, code: int) -> None:
        """Compare an observation with the oldest expectation."""
        assert self._expected, (
            f"{self.name} #{self.checked}: got {code:#x}, but nothing more was expected"
        )
        expected, context = self._expected.popleft()
        assert code == expected, (
            f"{self.name} #{self.checked}: got {code:#x}, expected {expected:#x}; {context}"
        )
        self.checked += 1

    @property
    def missing(self) -> int:
        """Expectations that were not met yet."""
        return len(self._expected)
