"""How a matrix product goes through an array and its buffers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from minimac.spec import Systolic

__all__ = ["Run", "cheapest"]

#: What a run costs besides its operands, in bits of a line: requests, responses, and the wait.
_RUN_BITS = 2000


@dataclass(frozen=True)
class Run:
    """What one run of an array computes.

    Attributes
    ----------
    rows, columns, terms : slice
        Rows and columns of the product, and what of K is multiplied for them.
    first, last : bool
        Whether the chains begin, and whether they end, with it.
    """

    rows: slice
    columns: slice
    terms: slice
    first: bool
    last: bool


def _blocks(size: int, most: int) -> list[slice]:
    return [slice(start, min(start + most, size)) for start in range(0, size, most)]


def cheapest(design: Systolic, depth: int, m: int, k: int, n: int) -> list[Run]:
    """Cut a product of matrices (m, k) and (k, n) into runs with the fewest bytes to be sent.

    Buffers hold ``depth`` words. What the run before has left in them is not sent again.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "x", "unit": "systolic", "a": "int8", "b": "int8",
    ...     "out": "int32", "accumulate": {"kind": "exact"}, "array": {"rows": 4, "columns": 4}})
    >>> [(run.rows, run.terms) for run in cheapest(design, 8, 8, 16, 4)]
    ... # doctest: +NORMALIZE_WHITESPACE
    [(slice(0, 8, None), slice(0, 4, None)), (slice(0, 8, None), slice(4, 8, None)),
     (slice(0, 8, None), slice(8, 12, None)), (slice(0, 8, None), slice(12, 16, None))]
    """
    array = design.array
    if array.dataflow == "os":
        return list(_ordered(_blocks(m, array.rows), _blocks(n, array.columns), _blocks(k, depth)))
    passes = -(-k // array.rows)
    plans = []
    for most in range(1, min(passes, depth // array.rows) + 1):  # passes in a run
        rows = _blocks(m, min(m, depth // most))
        plan = list(_ordered(rows, _blocks(n, array.columns), _blocks(k, most * array.rows)))
        plans.append((_sent(design, plan), most, plan))
    return min(plans, key=lambda found: found[:2])[-1]


def _ordered(rows: list[slice], columns: list[slice], terms: list[slice]) -> Iterator[Run]:
    """Yield runs: terms innermost, since chains stay in the array or its buffer."""
    for row in rows:
        for column in columns:
            for term in terms:
                yield Run(row, column, term, term is terms[0], term is terms[-1])


def _sent(design: Systolic, plan: list[Run]) -> int:
    """Bits that have to be sent for a plan."""

    def total(part: Callable[[Run], tuple[slice, slice]], width: int) -> int:
        found, before = 0, None
        for run in plan:
            if part(run) != before:
                found += width * _area(*part(run))
            before = part(run)
        return found

    activations = total(lambda run: (run.rows, run.terms), design.a.width)
    weights = total(lambda run: (run.terms, run.columns), design.b.width)
    return activations + weights + _RUN_BITS * len(plan)


def _area(*sides: slice) -> int:
    (a, b) = (side.stop - side.start for side in sides)
    return int(a * b)
