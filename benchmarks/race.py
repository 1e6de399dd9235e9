"""Contests, run in processes of one and of two threads: every entry, round after round, in turn."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks.contests import CONTESTS
from benchmarks.entries import Contest, Job, Size

__all__ = ["THREADS", "Rates", "race", "thread_variables"]

THREADS = 1, 2


class Rates(NamedTuple):
    """What an entry did in a second, in each round."""

    contest: str
    entry: str
    library: str
    threads: int
    rates: list[float]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.rates)

    @property
    def most(self) -> float:
        """That of the fastest round: the one that was disturbed least."""
        return max(self.rates)

    def times_as_fast(self, peer: "Rates") -> float:
        """Return how many times as fast as a peer this is: the median over the rounds."""
        return median(ours / theirs for ours, theirs in zip(self.rates, peer.rates, strict=True))


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment that gives each library so many threads."""
    names = "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "APYTYPES_THREAD_COUNT"
    return dict.fromkeys(names, str(threads))


def race(
    contests: Sequence[Contest], size: Size, seed: int, told: Callable[[str], None]
) -> list[Rates]:
    """Measure contests, and call ``told`` with the name of each entry that is about to run.

    There is a process for each number of threads; one of them works at a time.
    """
    processes = {threads: _start(threads) for threads in THREADS}
    found = []
    for contest in contests:
        for process in processes.values():
            process.submit(_prepare, contest.name, size, seed).result()
        runs: dict[tuple[int, int], list[float]] = {}
        for _ in range(size.rounds):
            for threads, process in processes.items():
                for at, entry in enumerate(contest.entries):
                    told(f"{contest.name}: {entry.library}")
                    rate = process.submit(_run, at).result()
                    runs.setdefault((threads, at), []).append(rate)
        for (threads, at), rates in runs.items():
            entry = contest.entries[at]
            found.append(Rates(contest.name, entry.name, entry.library, threads, rates))
    for process in processes.values():
        process.shutdown()
    return found


def _start(threads: int) -> ProcessPoolExecutor:
    """Start a process. Libraries look at their variables when it imports them."""
    os.environ.update(thread_variables(threads))
    process = ProcessPoolExecutor(1, get_context("spawn"))
    process.submit(int).result()
    return process


_jobs: list[Job] = []  # of the contest that a process is in


def _prepare(name: str, size: Size, seed: int) -> None:
    """Make the jobs of a contest, and call each once: what is compiled or loaded, is so now."""
    contest = next(contest for contest in CONTESTS if contest.name == name)
    _jobs.clear()
    _jobs.extend(entry.prepare(size, np.random.default_rng(seed)) for entry in contest.entries)
    results = [job.call() for job in _jobs]
    if contest.same_bits:
        first, *others = (np.asarray(result).view(np.uint8) for result in results)
        if not all(np.array_equal(first, other) for other in others):
            raise ValueError(f"all entries must return the same bits, which those of {name} do not")


def _run(at: int) -> float:
    """Call a job, and return how much it does in a second."""
    call, work = _jobs[at]
    start = time.perf_counter()
    result: Any = call()
    seconds = time.perf_counter() - start
    del result  # which takes time, too
    return work / seconds
