"""How long an array takes for a product of matrices, and what moves in and out of it meanwhile.

The cycles are those of the circuit if operands always wait at its ports and results are always
taken: products are cut as in :mod:`minimac.bench.traffic`, and the plan of the array says how long
reloading weights, or moving sums out, keeps the next operands waiting.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

from minimac.spec import SpecError, Systolic

__all__ = ["Schedule", "schedule"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A product of matrices on an array.

    Parameters
    ----------
    macs : int
        Multiply-accumulates of the product.
    cycles : int
        From the first operand that is taken to the last result, both counted.
    steps : int
        Cycles in which operands are taken: vectors where weights stay, terms where sums stay.
    resumed : int
        Steps whose chains go on from a pass before.
    turns : int
        Parts that the product is cut into: weights are loaded, or sums moved out, for each.
    used : float
        Share of the elements that has operands, averaged over the steps.
    passing : float
        The same of those without operands that sums pass.
    activation_reads, weight_reads : int
        Codes of the operands that enter the array, each time that they do.
    partial_bits : int
        Bits of unrounded sums that leave the array and enter it again, both counted.
    results : int
        Codes that leave it.
    """

    macs: int
    cycles: int
    steps: int
    resumed: int
    turns: int
    used: float
    passing: float
    activation_reads: int
    weight_reads: int
    partial_bits: int
    results: int


def schedule(design: Systolic, m: int, k: int, n: int) -> Schedule:
    """Lay out the product of an (M, K) by a (K, N) matrix on an array.

    With a foot that the columns share, loading weights overlaps with rounding, so that the circuit
    may be faster: by ``rows`` cycles for each group of columns at most.

    Raises
    ------
    SpecError
        If K exceeds the longest chain.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "x", "unit": "systolic", "a": "int8", "b": "int8",
    ...     "out": "int32", "accumulate": {"kind": "exact"}, "array": {"rows": 4, "columns": 4}})
    >>> found = schedule(design, 100, 8, 4)
    >>> found.macs, found.steps, found.turns, found.cycles
    (3200, 200, 2, 222)
    """
    from minimac.rtl import plan

    terms = design.accumulate.max_terms
    if k > terms:
        raise SpecError(
            f"k: must be at most accumulate.max_terms ({terms}) of the design, not {k}; set that "
            "to more"
        )
    planned: Any = plan(design)
    rows, columns = design.array.rows, design.array.columns
    groups = ceil(n / columns)
    macs = m * k * n
    if design.array.dataflow == "os":
        bands = ceil(m / rows)
        turns = bands * groups
        steps = turns * k
        return Schedule(
            macs=macs,
            cycles=k
            + (turns - 1) * max(k, planned.interval)
            + planned.latency
            + (rows - 1) * planned.row_cycles,
            steps=steps,
            resumed=0,
            turns=turns,
            used=macs / (steps * rows * columns),
            passing=0.0,
            activation_reads=m * k * groups,
            weight_reads=k * n * bands,
            partial_bits=0,
            results=m * n,
        )
    passes = ceil(k / rows)
    turns = passes * groups
    # While a shared foot is busy, all else waits.
    stalls = planned.foot_cycles - 1 if planned.shares_foot else 0
    latency = planned.latency - stalls
    begins = _last_begins(planned, m, passes, groups, latency)
    return Schedule(
        macs=macs,
        cycles=begins + m + latency + groups * m * stalls,
        steps=turns * m,
        resumed=(turns - groups) * m,
        turns=turns,
        used=macs / (turns * m * rows * columns),
        passing=(1 - k / (passes * rows)) * n / (groups * columns),
        activation_reads=m * k * groups,
        weight_reads=k * n,
        partial_bits=2 * (passes - 1) * m * n * planned.accumulator.state_layout.size,
        results=m * n,
    )


def _last_begins(planned: Any, m: int, passes: int, groups: int, latency: int) -> int:
    """Return the cycle in which the last weights meet their first vector."""
    double = planned.design.array.double_buffer
    begins: int = planned.rows + double
    swapped = begins - 1  # of a double buffer: when the weights came into use
    took = waited = -1
    for group in range(groups):
        before, lag = begins, begins - swapped if double else 0
        for turn in range(group == 0, passes):
            previous = begins
            if double:
                swapped = max(previous + m - 1, swapped + planned.hidden_by)
                begins = swapped + 1
            else:
                begins = previous + m + planned.reload_cycles
            if turn:  # it goes on with the sums of the pass before, which have to be there
                begins = max(begins, previous + latency + 1)
        if group and (begins - before, lag) == (took, waited):
            return begins + (groups - 1 - group) * took  # all groups are alike from here on
        took, waited = begins - before, lag
    return begins
