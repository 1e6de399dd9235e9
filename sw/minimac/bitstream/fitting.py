"""The largest array that goes into a board."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from minimac.bitstream.errors import FitError
from minimac.bitstream.flow import Bitstream, build, utilisation
from minimac.soc.board import Board
from minimac.spec import Systolic

__all__ = ["estimate", "estimate_best", "largest", "reshaped", "shape_of"]

#: Sizes of the arrays that the use of a board's resources is learnt from.
_PROBES = (2, 5)

#: Elements that no board is asked for more of.
_MOST = 1024


def reshaped(design: Systolic, size: int) -> Systolic:
    """Return a design with an array of a size, of which each has a little more than the one before.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "x", "unit": "systolic", "a": "int8", "b": "int8",
    ...     "out": "int32", "accumulate": {"kind": "exact"}})
    >>> [(x.array.rows, x.array.columns) for x in (reshaped(design, n) for n in (1, 2, 3, 4))]
    [(1, 1), (1, 2), (2, 2), (2, 3)]
    """
    shape = dataclasses.replace(design.array, rows=(size + 1) // 2, columns=size // 2 + 1)
    return dataclasses.replace(design, array=shape)


def estimate(
    design: Systolic,
    board: Board,
    folder: Path,
    *,
    dsp: bool = False,
    watch: Callable[[str], None] | None = None,
) -> int:
    """Estimate the largest size of an array that fits, from what small ones take; 0 if none does.

    Each resource is taken to grow with the number of elements.

    Parameters
    ----------
    dsp : bool
        Whether elements may take multiplier blocks.
    """
    small = [reshaped(design, size) for size in _PROBES]
    samples = []
    for each in small:
        if watch:
            watch(f"{shape_of(each)}: what it takes")
        samples.append(utilisation(each, board, folder / shape_of(each), dsp=dsp))
    first, second = (_elements(each) for each in small)
    most = float(board.multipliers if dsp else _MOST)
    for name, (used, there) in samples[1].items():
        before = samples[0].get(name, (0, there))[0]
        slope = (used - before) / (second - first)
        if slope > 0:
            most = min(most, first + (there - before) / slope)
        elif used > there:
            return 0
    size = 0
    while _elements(reshaped(design, size + 1)) <= most:
        size += 1
    return size


def largest(
    design: Systolic,
    board: Board,
    folder: Path,
    *,
    seed: int = 0,
    clock_mhz: float | None = None,
    watch: Callable[[str], None] | None = None,
) -> Bitstream:
    """Build the largest array of a design that fits a board, in a folder of its own.

    Raises
    ------
    FitError
        If not even a single element does.
    """

    def fits(size: int) -> Bitstream | None:
        tried = reshaped(design, size)
        if watch:
            watch(f"{shape_of(tried)}: place and route")
        try:
            return build(tried, board, folder / shape_of(tried), seed=seed, clock_mhz=clock_mhz)
        except FitError:
            return None

    size = estimate_best(design, board, folder, watch)
    found = fits(size) if size else None
    if found:
        while larger := fits(size + 1):
            found, size = larger, size + 1
        return found
    while size > 1:
        size -= 1
        if found := fits(size):
            return found
    raise FitError(f"{design.name}: not even one element fits {board.name}", {})


def estimate_best(
    design: Systolic, board: Board, folder: Path, watch: Callable[[str], None] | None = None
) -> int:
    """Estimate as :func:`estimate`, with multiplier blocks where those are for more elements."""
    size = estimate(design, board, folder, watch=watch)
    if _elements(reshaped(design, size)) < board.multipliers:
        size = max(size, estimate(design, board, folder, dsp=True, watch=watch))
    return size


def shape_of(design: Systolic) -> str:
    """Return the shape of an array, as people write it."""
    return f"{design.array.rows}x{design.array.columns}"


def _elements(design: Systolic) -> int:
    return design.array.rows * design.array.columns
