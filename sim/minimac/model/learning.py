"""Tables of values that are fitted to data: learned codebooks and power-function grids."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.scalars import decode, encode
from minimac.spec import Codebook, Format, parse_format

__all__ = ["fit_power", "learn_codebook"]

_BF16 = parse_format("bf16")
_POINTS = 1 << 14  # distinct values that are told apart; more are first put in so many groups
_EXPONENTS = tuple(percent / 100 for percent in range(20, 151))

Vector = NDArray[np.float64]
Indices = NDArray[np.intp]


def learn_codebook(
    values: ArrayLike, weights: ArrayLike | None = None, entries: int = 16, of: Format = _BF16
) -> Codebook:
    """Learn the table whose nearest entries have the least weighted squared error.

    As any4 (arXiv 2507.04610), which learns 16 entries for every row of a weight matrix by k-means.
    Here clusters are the optimal ones, by dynamic programming, so that nothing depends on a seed.

    Parameters
    ----------
    values : array_like of float, any shape
        What will be looked up, scaled as it will be then.
    weights : array_like of float, broadcasting to the shape of ``values``, optional
        How much an error matters, such as the mean square of the activations that meet a value.
    entries : int
        Entries of the table, 2 to 256.
    of : Format
        Minifloat or fixed-point format of the entries; centroids are rounded to it at the end.

    Returns
    -------
    Codebook
        Entries in ascending order. Where there are fewer different ones, the last is repeated.

    Raises
    ------
    ValueError
        If there are no values, if values or weights are not finite, if a weight is negative or all
        are zero, or if ``entries`` is out of range.

    Notes
    -----
    Optimal among the clusterings that keep equal values together, and, of more than 16384 different
    values, groups of neighbours with equal weight.

    Examples
    --------
    >>> book = learn_codebook([0.9, 1.1, 1.0, -2.0, -2.0, 7.0, 0.0], entries=4)
    >>> decode(book.of, book.codes)
    array([-2.,  0.,  1.,  7.])
    """
    if not 2 <= entries <= 256:
        raise ValueError(f"entries must be 2 to 256, not {entries}")
    array = _read_values(values)
    shares = _read_weights(weights, array.shape)
    points, heights = _gather(array[shares > 0], shares[shares > 0])
    centroids = _cluster(points, heights, entries)
    rounded = np.sort(decode(of, encode(of, centroids))) + 0.0  # no -0
    codes = np.pad(encode(of, rounded), (0, entries - len(rounded)), "edge")
    return Codebook(of, tuple(codes.tolist()))


def fit_power(
    values: ArrayLike,
    bits: int = 4,
    of: Format = _BF16,
    exponents: Iterable[float] = _EXPONENTS,
) -> Codebook:
    """Fit a power-function grid to values that are scaled by their largest magnitude.

    NUPES and PowerQuant (arXiv 2308.05600) let integers ``q`` of ``bits`` bits mean ``sign(q) *
    (abs(q) / (2**(bits-1) - 1))**(1/a)``: below 1, ``a`` makes the grid finer around zero.

    Parameters
    ----------
    values : array_like of float, any shape
        What will be looked up, after division by the largest magnitude in it.
    bits : int
        Width of a code, 2 to 8.
    of : Format
        Minifloat or fixed-point format that the grid is rounded to.
    exponents : iterable of float
        What ``a`` may be, 0.05 to 20; by default 0.2 to 1.5 in steps of 0.01.

    Returns
    -------
    Codebook
        The grid with the least mean squared error of nearest values; of equal ones the first. Its
        name tells ``a``.

    Raises
    ------
    ValueError
        If there are no values, one is not finite, all are zero, or there are no exponents.
    SpecError
        If ``bits`` or an exponent is out of range.

    Examples
    --------
    >>> fit_power(np.linspace(-3, 3, 101) ** 3).name
    'power4:a=0.8:bf16'
    """
    array = np.sort(_read_values(values), axis=None)
    largest = np.abs(array).max()
    if largest == 0:
        raise ValueError("values must not all be zero")
    array /= largest
    books = [_power_book(bits, exponent, of) for exponent in exponents]
    if not books:
        raise ValueError("exponents must not be empty")
    sums = _prefix_sums(array, np.ones_like(array))
    return min(books, key=lambda book: _squared_error(book, array, sums))


def _power_book(bits: int, exponent: float, of: Format) -> Codebook:
    book = parse_format(f"power{bits}:a={float(exponent)!r}:{of.name}")
    assert isinstance(book, Codebook)
    return book


def _squared_error(book: Codebook, ascending: Vector, sums: Vector) -> float:
    grid = decode(book.of, book.codes)
    cuts = np.searchsorted(ascending, (grid[1:] + grid[:-1]) / 2)
    ends = np.concatenate([[0], cuts, [len(ascending)]])
    number, total, square = np.diff(sums[:, ends], axis=-1)
    return float(np.sum(square - 2 * grid * total + grid**2 * number))


def _read_values(values: ArrayLike) -> Vector:
    array = np.asarray(values, np.float64)
    if array.size == 0:
        raise ValueError("values must not be empty")
    if not np.isfinite(array).all():
        raise ValueError("values must be finite")
    return array


def _read_weights(weights: ArrayLike | None, shape: tuple[int, ...]) -> Vector:
    if weights is None:
        return np.ones(shape)
    array = np.asarray(weights, np.float64)
    try:
        array = np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"weights must broadcast to the shape of values, {shape}, not be {array.shape}"
        ) from None
    if not (np.isfinite(array).all() and (array >= 0).all() and array.any()):
        raise ValueError("weights must be finite, at least 0, and not all zero")
    return np.asarray(array / array.max())


def _gather(values: Vector, weights: Vector) -> tuple[Vector, Vector]:
    """Return points in ascending order and their weights, equal values of a vector together."""
    points, which = np.unique(values, return_inverse=True)
    heights = np.bincount(which, weights).astype(np.float64)
    if len(points) > _POINTS:
        middles = np.cumsum(heights) - heights / 2
        groups = np.minimum(middles / heights.sum() * _POINTS, _POINTS - 1).astype(np.intp)
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        totals = np.add.reduceat(heights, starts)
        points = np.add.reduceat(points * heights, starts) / totals
        heights = totals
    return points, heights


def _prefix_sums(points: Vector, heights: Vector) -> Vector:
    """Return sums of weights, weighted values and weighted squares of the first j points."""
    terms = np.stack([heights, heights * points, heights * points**2])
    return np.concatenate([np.zeros((3, 1)), np.cumsum(terms, axis=-1)], axis=-1)


def _cluster(points: Vector, heights: Vector, count: int) -> Vector:
    """Return the centroids of the optimal weighted k-means of ascending points.

    Clusters are intervals. With ``best[j]`` the least cost of the first j points in k clusters,
    that in k + 1 is the least of ``best[i] + cost(i, j)`` over i, and the best i never falls as j
    grows: found for every other j, it bounds those between (Wang and Song, R Journal 3(2), 2011;
    Gronlund et al., arXiv 1701.07204).
    """
    # Around the mean, sums of squares cancel no more than they must.
    weight, total, square = _prefix_sums(points - np.average(points, weights=heights), heights)

    def cost(i: Indices, j: Indices) -> Vector:
        mass = weight[j] - weight[i]
        mean = (total[j] - total[i]) / np.where(mass > 0, mass, 1.0)
        return np.asarray(square[j] - square[i] - mean * (total[j] - total[i]))

    size = len(points)
    best = cost(np.zeros(size + 1, np.intp), np.arange(size + 1))
    choices = []
    for _ in range(min(count, size) - 1):
        best, chosen = _add_cluster(best, cost)
        choices.append(chosen)
    ends = [size]
    for chosen in reversed(choices):
        ends.append(int(chosen[ends[-1]]))
    starts = np.setdiff1d([0, *ends], size)  # none is empty
    centroids: Vector = np.add.reduceat(heights * points, starts)
    return centroids / np.add.reduceat(heights, starts)


def _add_cluster(
    best: Vector, cost: Callable[[Indices, Indices], Vector]
) -> tuple[Vector, Indices]:
    """Return the least costs with one cluster more, and where the last one begins."""
    size = len(best)
    costs, chosen = np.empty(size), np.zeros(size, np.intp)
    step = 1 << size.bit_length() - 1
    while step:
        j = np.arange(step - 1, size, 2 * step)
        low = np.where(j >= step, chosen[j - step], 0)
        high = np.where(j + step < size, chosen[np.minimum(j + step, size - 1)], j)
        # Candidates of all these j, one after the other.
        lengths = np.maximum(np.minimum(high, j), low) - low + 1
        starts = np.cumsum(lengths) - lengths
        i = np.arange(lengths.sum()) - np.repeat(starts - low, lengths)
        sums = best[i] + cost(i, np.repeat(j, lengths))
        costs[j] = np.minimum.reduceat(sums, starts)
        hits = np.flatnonzero(sums == np.repeat(costs[j], lengths))
        chosen[j] = i[hits[np.searchsorted(hits, starts)]]
        step //= 2
    return costs, chosen
