"""What may go wrong with a board."""

__all__ = ["HostError"]


class HostError(RuntimeError):
    """A board is absent, another one, or does not answer; the message is one line."""
