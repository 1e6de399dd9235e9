"""The page of a measurement: how fast the model is, beside whom, and what limits it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks.entries import Contest, Entry, Size
from benchmarks.race import THREADS, Rates
from benchmarks.startup import Start
from benchmarks.tables import table

__all__ = ["Results", "write_page"]

_PAGE = """\
# How fast the model is

Written by `make bench`; the figures are in [{figures}]({figures}). A rate is work in a second: the
median of {size.rounds} runs (least .. most). The entries of a contest run in turn, round after
round, on the same data, in a process of one thread and in one of two. A ratio is to the fastest
entry of another library: the median of those of all rounds. Times are from codes to codes, with
what decodes operands and encodes results, and without what compiles.

{conditions}

## Conversions

{size.values:,} normally distributed values, in G values/s. Both libraries return the same bits.

{conversions}

## Products of matrices

{size.side} x {size.side} by {size.side} x {size.side}, in G MAC/s. Floats and accumulators of
apytypes, and `lmul_add`, have few rows on the left: each takes as long. apytypes rounds products as
well as sums to the format of its accumulator, and its e4m3 has infinities.

{products}

## First calls

Two fresh processes, one after the other, make the first call of each entry, with small operands.
The first has no cache, the second has what the first left; it compiles {again} functions. In
seconds:

{starts}

## What limits it

Of the fastest run on one thread, while the core runs at {machine.clock:.2f} GHz. A kernel was
compiled to the innermost loops in the second column: instructions / elements of a turn, and vector
registers (zmm, ymm and xmm have 512, 256 and 128 bits). Instructions and cycles are those of an
element. Memory is the share of the time that it would take to read operands from where they are and
to write results to new pages.

| GB/s of | one thread | two threads | |
| --- | ---: | ---: | --- |
| memory | {machine.memory:.3g} | {machine.memory_of_two:.3g} | operands of conversions |
| the second cache | {machine.cache:.3g} | | operands of products |
| new pages | {machine.pages:.3g} | | results of conversions |

Where memory takes more than half of the time, it is the limit; where a cycle sees less than one
instruction of these loops, it is what surrounds them; else it is their instructions.

{limits}
"""


class Results:
    """Rates, to be looked up."""

    def __init__(self, rates: Iterable[Rates]) -> None:
        self._rates = {(x.contest, x.entry, x.library, x.threads): x for x in rates}

    def of(self, contest: Contest, entry: Entry, threads: int) -> Rates:
        """Return the rates of an entry."""
        return self._rates[contest.name, entry.name, entry.library, threads]

    def ratio(self, contest: Contest, entry: Entry, threads: int) -> float | None:
        """Return how many times as fast as the fastest peer an entry is."""
        peers = [self.of(contest, peer, threads) for peer in contest.entries if peer.is_peer]
        if not entry.is_ours or not peers:
            return None
        fastest = max(peers, key=lambda rates: rates.median)
        return self.of(contest, entry, threads).times_as_fast(fastest)


class _Machine(NamedTuple):
    """What the machine did at best: GB/s and GHz."""

    memory: float
    memory_of_two: float
    cache: float
    pages: float
    clock: float


_LIMITS = "", "loops", "instructions:", "cycles:", "instructions/cycle:", "memory, %:", "limit"


def write_page(
    contests: Sequence[Contest],
    results: Results,
    starts: tuple[Start, Start],
    conditions: Mapping[str, str],
    size: Size,
    figures: str,
) -> str:
    """Return the page, in Markdown, which refers to the name of a file with the ``figures``."""
    first, *others = contests
    memory, cache, pages, clock = (results.of(first, entry, 1).most for entry in first.entries)
    memory_of_two = results.of(first, first.entries[0], 2).most
    machine = _Machine(*(x / 1e9 for x in (memory, memory_of_two, cache, pages, clock)))
    conversions = [contest for contest in others if contest.unit == "values"]
    products = [contest for contest in others if contest.unit == "MAC"]
    cold, warm = starts
    columns = "library", "1 thread:", "2 threads:", "ratio, 1:", "ratio, 2:", "target:"
    return _PAGE.format(
        figures=figures,
        size=size,
        conditions=table([("condition", ""), *conditions.items()]),
        conversions=table([("conversion", *columns), *_rates(results, conversions)]),
        products=table([("product", *columns), *_rates(results, products)]),
        again=warm.compiled or "no",
        starts=table([("", "compiled:", "without cache:", "with cache:"), *_starts(cold, warm)]),
        machine=machine,
        limits=table([_LIMITS, *_limits(results, others, cold, machine)]),
    )


def _rates(results: Results, contests: Iterable[Contest]) -> Iterator[Sequence[str]]:
    for contest in contests:
        for entry in contest.entries:
            ratios = [results.ratio(contest, entry, threads) for threads in THREADS]
            yield (
                _title(contest.name, entry.name),
                entry.library,
                *(_spread(results.of(contest, entry, threads)) for threads in THREADS),
                *("" if ratio is None else f"{ratio:.3g}" for ratio in ratios),
                "" if entry.target is None else f"{entry.target:g}",
            )


def _title(contest: str, entry: str) -> str:
    return entry if entry == contest else f"{contest}: {entry}"


def _spread(rates: Rates) -> str:
    median, least, most = (x / 1e9 for x in (rates.median, min(rates.rates), rates.most))
    return f"{median:.3g} ({least:.3g} .. {most:.3g})"


def _starts(cold: Start, warm: Start) -> Iterator[Sequence[str]]:
    yield "import", "", f"{cold.import_seconds:.2f}", f"{warm.import_seconds:.2f}"
    for first, second in zip(cold.calls, warm.calls, strict=True):
        seconds = f"{first.seconds:.2f}", f"{second.seconds:.2f}"
        yield _title(first.contest, first.entry), str(first.compiled), *seconds
    yield "all calls", str(cold.compiled), f"{cold.seconds:.2f}", f"{warm.seconds:.2f}"


def _limits(
    results: Results, contests: Iterable[Contest], cold: Start, machine: _Machine
) -> Iterator[Sequence[str]]:
    loops_of = {(call.contest, call.entry): call.loops for call in cold.calls}
    for contest in contests:
        for entry in contest.entries:
            loops = loops_of.get((contest.name, entry.name))
            if entry.kernel is None or not loops:
                continue
            kernel = entry.kernel
            rate = results.of(contest, entry, 1).most / 1e9
            hot = list(zip(loops, kernel.turns))
            instructions = sum(turns * loop.instructions / loop.lanes for loop, turns in hot)
            per_cycle = instructions * rate / machine.clock
            near = machine.cache if contest.unit == "MAC" else machine.memory
            memory = (kernel.reads / near + kernel.writes / machine.pages) * rate
            yield (
                _title(contest.name, entry.name),
                ", ".join(f"{x.instructions}/{x.lanes} {x.register}" for x, _ in hot),
                f"{instructions:.3g}",
                f"{machine.clock / rate:.3g}",
                f"{per_cycle:.2g}",
                f"{100 * memory:.0f}",
                "memory" if memory > 0.5 else "instructions" if per_cycle > 1 else "surroundings",
            )
