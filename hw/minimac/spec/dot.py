"""Dot products of many lanes."""

from dataclasses import dataclass
from typing import ClassVar

from minimac.spec.accumulation import ExactAccumulation, FusedAccumulation, RoundedAccumulation
from minimac.spec.blocks import BlockFormat
from minimac.spec.design import Design
from minimac.spec.errors import SpecError

__all__ = ["Dot"]

_LANES = 32


@dataclass(frozen=True, kw_only=True)
class Dot(Design):
    """A dot product that takes ``lanes`` pairs of operands in a transfer, and their scales.

    A chain goes on over transfers until its end. Scales of whole tensors count as 1: whoever takes
    the result multiplies by them.

    Parameters
    ----------
    lanes : int, optional
        Pairs of operands in a transfer. By default as many as ``accumulate`` takes at once: those
        of a group, or of a block; 32 where any number will do.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> load_design({"name": "dot", "unit": "dot", "a": "nvfp4", "b": "nvfp4", "out": "bf16"}).lanes
    16
    """

    unit: ClassVar[str] = "dot"

    lanes: int = None  # type: ignore[assignment]  # __post_init__ fills it in

    def __post_init__(self) -> None:
        super().__post_init__()
        acc, size = self.accumulate, self.block_size
        takes, why = size or _LANES, f"blocks of {size}"
        several = isinstance(acc, ExactAccumulation) or size is None
        if isinstance(acc, FusedAccumulation):
            takes, several = acc.group * (size or 1), False
            why = f"groups of {acc.group}" + (f" {why}" if size else "")
        elif not self.has_blocks and not isinstance(acc, ExactAccumulation):
            raise SpecError(
                "accumulate.kind: a dot adds many products at once, so it must be exact or fused, "
                f"not {acc.kind}; use unit mac or systolic to keep it"
            )
        if self.has_blocks and size is None and not isinstance(acc, RoundedAccumulation):
            raise SpecError(
                f"accumulate.kind: a tensor with one scale is one term, so it must be rounded, not "
                f"{acc.kind}"
            )
        if self.lanes is None:
            object.__setattr__(self, "lanes", takes)
        if not 1 <= self.lanes <= 1024:
            raise SpecError(f"lanes: must be 1 to 1024, not {self.lanes}")
        if several and size and self.lanes % size:
            raise SpecError(f"lanes: must be a multiple of {size} for {why}, not {self.lanes}")
        if not several and self.lanes != takes:
            raise SpecError(f"lanes: must be {takes} for {why}, not {self.lanes}")

    @property
    def block_size(self) -> int | None:
        """Pairs of operands that share their scales; None if there are no blocks, or one only."""
        formats = (fmt for fmt in (self.a, self.b) if isinstance(fmt, BlockFormat))
        return next((fmt.size for fmt in formats), None)

    @property
    def blocks(self) -> int:
        """Pairs of blocks in a transfer; 0 if operands are scalar."""
        if not self.has_blocks:
            return 0
        return self.lanes // self.block_size if self.block_size else 1
