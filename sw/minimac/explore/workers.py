"""Where the steps of a sweep are done: in this process, in others, or on a cluster."""

import contextlib
import ctypes
import multiprocessing
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Protocol, Self

from minimac.explore.results import StepResult
from minimac.explore.steps import Done, Step, perform
from minimac.spec import SpecError

__all__ = ["Batch", "Cluster", "Here", "Processes", "Workers", "workers"]

#: Steps that are done together, in one place.
Batch = tuple[Step, ...]

#: How long a scheduler may take to answer, in s.
_PATIENCE_S = 10.0

_DIED = "the process that ran it died; it may have run out of memory"


class Workers(Protocol):
    """Does batches of steps, in any order; a context that ends what it began."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def do(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, list[Done]]]:
        """Do batches of steps and yield each as it is finished."""


def workers(jobs: int, scheduler: str | None = None) -> Workers:
    """Return workers: ``jobs`` processes (0: this one), or those of a Dask scheduler.

    Raises
    ------
    ValueError
        If ``jobs`` is negative.
    SpecError
        If there is no scheduler at that address.
    """
    if jobs < 0:
        raise ValueError(f"jobs must be at least 0, not {jobs}")
    if scheduler is not None:
        return Cluster(scheduler)
    return Processes(jobs) if jobs else Here()


class Here:
    """Does everything in this process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def do(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, list[Done]]]:
        """Do batches of steps and yield each as it is finished."""
        for batch in batches:
            yield batch, perform(batch)


class Processes:
    """Processes on this machine, begun when there is something to do.

    A process that dies takes the whole pool along. What was not finished is then done one at a time
    until the step that kills its process is found.

    Parameters
    ----------
    jobs : int
        How many, at least 1.
    work : callable
        What is done with a batch.
    """

    def __init__(self, jobs: int, work: Callable[[Batch], list[Done]] = perform) -> None:
        self._jobs = jobs
        self._work = work
        self._pool: ProcessPoolExecutor | None = None
        self._others: set[int | None] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(wait=kind is None)

    def _begin(self, jobs: int) -> ProcessPoolExecutor:
        if self._pool is None:
            self._others = {process.pid for process in multiprocessing.active_children()}
            # A forked copy of a process with threads (progress display, Numba) may hang.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent)
        return self._pool

    def _end(self, wait: bool = True) -> None:
        if self._pool is None:
            return
        self._pool.shutdown(wait=wait, cancel_futures=True)
        self._pool = None
        for process in [] if wait else multiprocessing.active_children():
            if process.pid not in self._others:
                process.terminate()  # what it is at may take minutes

    def do(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, list[Done]]]:
        """Do batches of steps and yield each as it is finished."""
        left = dict(enumerate(batches))
        jobs = self._jobs
        while left:
            pool = self._begin(jobs)
            try:
                futures = {pool.submit(self._work, batch): n for n, batch in left.items()}
                for future in as_completed(futures):
                    done = future.result()
                    yield left.pop(futures[future]), done
            except BrokenProcessPool:
                self._end()
                if jobs == 1:
                    batch = left.pop(next(iter(left)))
                    if len(batch) == 1:
                        yield batch, [_dead()]
                    else:
                        yield from self.do([(step,) for step in batch])
                    jobs = self._jobs
                else:
                    jobs = 1
        if jobs != self._jobs:
            self._end()


class Cluster:
    """The workers of a Dask scheduler; one that is lost has its steps done by others.

    Parameters
    ----------
    address : str
        Of the scheduler, as ``tcp://host:8786``.
    """

    def __init__(self, address: str) -> None:
        if not re.fullmatch(r"\w+://\S+:\d+", address):  # Dask waits for what is no address
            raise SpecError(f"scheduler {address[:80]!r}: must be an address, as tcp://host:8786")
        from distributed import Client

        self._address = address
        try:
            self._client: Any = Client(  # type: ignore[no-untyped-call]
                address, timeout=_PATIENCE_S, set_as_default=False
            )
        except (OSError, ValueError, ImportError) as error:
            said = " ".join(str(error).split())[:200]
            raise SpecError(f"scheduler {address}: cannot be reached: {said}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def do(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, list[Done]]]:
        """Do batches of steps and yield each as it is finished."""
        from distributed import CancelledError, KilledWorker
        from distributed import as_completed as completed

        futures = {self._client.submit(perform, batch, pure=False): batch for batch in batches}
        waiting = completed(list(futures), loop=self._client.loop)  # type: ignore[no-untyped-call]
        try:
            for future in waiting:
                batch = futures.pop(future)
                try:
                    done = future.result()
                except KilledWorker:
                    done = [_dead() for _ in batch]
                except (CancelledError, OSError):
                    raise SpecError(
                        f"scheduler {self._address}: was lost; run again to go on"
                    ) from None
                future.release()
                yield batch, done
        finally:
            self._client.cancel(list(futures))


def _dead() -> Done:
    return Done(result=StepResult(ok=False, seconds=0.0, reason=_DIED))


def _end_with_parent() -> None:
    """Let a worker end when the process that started it does, however that ends (Linux)."""
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
