"""What tools may do wrong; apart from them, so that catching it loads none."""

__all__ = ["RoutingError", "SynthesisError"]


class SynthesisError(RuntimeError):
    """Yosys failed or took too long; the message is one line."""


class RoutingError(RuntimeError):
    """There is no figure of place and route; the message is one line."""
