"""What the bench of transfers asks of a unit; see :mod:`minimac.bench.transfers`."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimac.bench.operands import STYLES, all_codes, corner_codes
from minimac.rtl import plan
from minimac.rtl.ports import streams_of
from minimac.spec import Design, Format

__all__ = ["Fields", "TransferBench"]

#: A sequence of T transfers: of each field an array of integers, (T,), or (T, n) of n items.
Fields = Mapping[str, NDArray[Any]]


class _Pair(NamedTuple):
    """All that a style of operands looks at."""

    a: Format
    b: Format


class TransferBench(ABC):
    """How a unit is tried that takes transfers on ``i`` and gives some on ``o``.

    A subclass says at least which fields are codes of which format, and what the model makes of
    a sequence. One with more fields than these fills them in by :meth:`complete`.
    """

    #: Whether each transfer on ``i`` gives one on ``o``; then the latency is counted.
    ONE_TO_ONE: ClassVar[bool] = True

    @abstractmethod
    def formats(self, design: Design) -> dict[str, Format]:
        """Return the formats of the fields of ``i`` that are codes."""

    @abstractmethod
    def expected(self, design: Design, fields: Fields) -> Fields:
        """Return the transfers on ``o``, as many as there are, that the model makes of a sequence.

        Of a field that is not there nothing is expected.
        """

    def since_reset(self, design: Design) -> Callable[[Fields], Fields]:
        """Return what gives the results of one sequence after the other from a reset on.

        By default no sequence leaves anything behind for the next one.
        """
        return functools.partial(self.expected, design)

    def complete(self, design: Design, rng: np.random.Generator, fields: Fields) -> Fields:
        """Add to a sequence the fields that are no codes, such as random bits or ``last``."""
        return fields

    def draw(self, design: Design, rng: np.random.Generator, count: int) -> Iterator[Fields]:
        """Draw sequences of ``count`` transfers each that find faults.

        By default the codes of every style, whatever other fields hold.
        """
        counts = self.counts(design)
        for style in STYLES.values():
            fields = {}
            for name, fmt in self.formats(design).items():
                codes = style(_Pair(fmt, fmt), rng, count, counts[name], 1)[0]
                fields[name] = codes[:, 0] if counts[name] == 1 else codes
            yield self.complete(design, rng, fields)

    def given(self, design: Design, a: NDArray[Any], b: NDArray[Any]) -> Fields:
        """Turn a job's matrices of codes, (M, K) and (K, N), into a sequence.

        By default the codes of ``a`` row by row, each row padded to whole transfers with zeros.
        """
        count = self.counts(design)["a"]
        padded = np.pad(a, ((0, 0), (0, -a.shape[1] % count)))
        codes = padded.reshape(-1, count)
        fields = {"a": codes[:, 0] if count == 1 else codes}
        return self.complete(design, np.random.default_rng(0), fields)

    def gaps(self, design: Design, fields: Fields) -> NDArray[np.int64]:
        """Return how many cycles pass after each transfer before the unit takes the next one.

        Only where energy is measured, which drives a unit without looking at ``ready``.
        """
        return np.zeros(len(next(iter(fields.values()))), np.int64)

    def operations(self, design: Design, fields: Fields) -> int:
        """Count what energy is stated for each of; by default the transfers."""
        return len(next(iter(fields.values())))

    def counts(self, design: Design) -> dict[str, int]:
        """Return how many items each field of ``i`` has."""
        (stream,) = (each for each in streams_of(plan(design)) if each.into)
        return {field.name: field.count for field in stream.fields}

    def corners(self, design: Design, rng: np.random.Generator, most: int) -> Fields:
        """Return combinations of corner codes: all, or ``most`` of them."""
        counts = self.counts(design)
        codes = {name: corner_codes(fmt) for name, fmt in self.formats(design).items()}
        if all(counts[name] == 1 for name in codes):
            mesh = np.meshgrid(*codes.values(), indexing="ij")
            combined = np.stack(mesh, axis=-1).reshape(-1, len(codes))
            chosen = combined[rng.permutation(len(combined))[:most]]
            return self.complete(design, rng, dict(zip(codes, chosen.T, strict=True)))
        fields = {}
        times = max(most // (10 * max(counts.values())), 8)
        for name, some in codes.items():
            drawn = rng.choice(some, (times, counts[name]))
            fields[name] = drawn[:, 0] if counts[name] == 1 else drawn
        return self.complete(design, rng, fields)

    def every(self, design: Design, rng: np.random.Generator, bits: int) -> Fields | None:
        """Return all combinations of codes, of so many bits in all; None if there are more.

        Of three operands or more, those of the first ones, at least two, and any of the others.
        """
        formats = self.formats(design)
        names = list(formats)
        while sum(formats[name].width for name in names) > bits and len(names) > 2:
            names.pop()
        counts = self.counts(design)
        if sum(formats[name].width for name in names) > bits or any(counts[n] > 1 for n in names):
            return None
        mesh = np.meshgrid(*(all_codes(formats[name]) for name in names))
        fields = {name: part.ravel() for name, part in zip(names, mesh, strict=True)}
        size = len(fields[names[0]])
        for name in formats.keys() - set(names):
            some = rng.integers(1 << formats[name].width, size=(size, counts[name]))
            fields[name] = some[:, 0] if counts[name] == 1 else some
        return self.complete(design, rng, fields)
