"""The largest array that goes into a board."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minimac.bitstream.errors import FitError, SlowError
from minimac.bitstream.flow import TIMEOUT_S, Bitstream, build, multipliers_for, utilisation
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
    most = float(multipliers_for(board) if dsp else _MOST)
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
    timeout_s: float = TIMEOUT_S,
    watch: Callable[[str], None] | None = None,
) -> Bitstream:
    """Build the largest array of a design that fits a board, in a folder of its own.

    Begins with the size that is estimated. Where that fits, larger ones are tried one by one; where
    it does not, smaller ones in growing steps, and then those between by halves.

    Parameters
    ----------
    timeout_s : float
        How long place and route of an array may take, in s; one that takes longer is too large.

    Raises
    ------
    FitError
        If not even a single element does.
    """

    def attempt(size: int) -> Bitstream | None:
        tried = reshaped(design, size)
        if watch:
            watch(f"{shape_of(tried)}: place and route")
        given: dict[str, Any] = {"seed": seed, "clock_mhz": clock_mhz, "timeout_s": timeout_s}
        try:
            return build(tried, board, folder / shape_of(tried), **given)
        except (FitError, SlowError) as error:
            if watch:
                watch(f"{shape_of(tried)}: {error}")
            return None

    fitting, found, too_large = 0, None, _MOST
    size, step = estimate_best(design, board, folder, watch), 1
    while fitting < size < too_large:
        built = attempt(size)
        if built:
            fitting, found = size, built
        else:
            too_large = size
        if too_large == _MOST:
            size += 1
        elif found:
            size = (fitting + too_large) // 2
        else:
            size, step = max(size - step, min(1, size - 1)), 2 * step
    if found is None:
        raise FitError(f"{design.name}: not even one element fits {board.name}", {})
    return found


def estimate_best(
    design: Systolic, board: Board, folder: Path, watch: Callable[[str], None] | None = None
) -> int:
    """Estimate as :func:`estimate`, with multiplier blocks where those are for more elements."""
    size = estimate(design, board, folder, watch=watch)
    if _elements(reshaped(design, size)) < multipliers_for(board):
        size = max(size, estimate(design, board, folder, dsp=True, watch=watch))
    return size


def shape_of(design: Systolic) -> str:
    """Return the shape of an array, as people write it."""
    return f"{design.array.rows}x{design.array.columns}"


def _elements(design: Systolic) -> int:
    return design.array.rows * design.array.columns
