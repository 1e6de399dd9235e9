"""How the units around a matrix engine are tried."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.bench.transferbench import Fields, TransferBench
from minimac.model import activate, encode, hadamard_codes
from minimac.model.functions import softmax_stream
from minimac.rtl import plan
from minimac.spec import Activation, Design, Format, Hadamard, Softmax

__all__ = ["ActivationBench", "HadamardBench", "SoftmaxBench"]


class ActivationBench(TransferBench):
    """A function of each number."""

    def formats(self, design: Design) -> dict[str, Format]:
        """Return that of ``a``."""
        return design.operands

    def expected(self, design: Design, fields: Fields) -> Fields:
        """Ask the model."""
        assert isinstance(design, Activation)
        return {"result": activate(design, fields["a"]).astype(np.int64)}

    def draw(self, design: Design, rng: np.random.Generator, count: int) -> Iterator[Fields]:
        """Draw codes of every style, and numbers where the function bends."""
        yield from super().draw(design, rng, count)
        for scale in (1.0, 8.0):
            yield {"a": _near(design.a, rng.normal(scale=scale, size=count))}


class HadamardBench(TransferBench):
    """A transform of each vector."""

    def formats(self, design: Design) -> dict[str, Format]:
        """Return that of ``a``."""
        return design.operands

    def expected(self, design: Design, fields: Fields) -> Fields:
        """Ask the model."""
        assert isinstance(design, Hadamard)
        return {"result": hadamard_codes(design, fields["a"]).astype(np.int64)}

    def draw(self, design: Design, rng: np.random.Generator, count: int) -> Iterator[Fields]:
        """Draw vectors of every style, and those of one number only, whose sums are the ends."""
        yield from super().draw(design, rng, count)
        assert isinstance(design, Hadamard)
        lane = np.arange(design.lanes)
        rows = rng.integers(design.lanes, size=count)
        signs = [[1 - 2 * (int(i & j).bit_count() & 1) for j in lane] for i in rows]
        largest = design.a.max_lsbs * 2.0**design.a.lsb_exp
        sizes = rng.choice([1.0, 0.5, 0.01], size=(count, 1)) * largest
        yield {"a": np.asarray(encode(design.a, np.array(signs) * sizes), np.int64)}


class SoftmaxBench(TransferBench):
    """A vector, number by number."""

    def formats(self, design: Design) -> dict[str, Format]:
        """Return that of ``a``."""
        return design.operands

    def complete(self, design: Design, rng: np.random.Generator, fields: Fields) -> Fields:
        """End vectors here and there, and at the end; short ones follow each other."""
        assert isinstance(design, Softmax)
        count = len(fields["a"])
        often = rng.choice([0.5, 0.1, 0.0], size=-(-count // 8)).repeat(8)[:count]
        last = (rng.random(count) < often).astype(np.int64)
        last[-1:] = 1
        return {**fields, "last": last}

    def expected(self, design: Design, fields: Fields) -> Fields:
        """Ask the model."""
        assert isinstance(design, Softmax)
        codes, ends = softmax_stream(design, fields["a"], fields["last"])
        return {"result": codes, "last": ends}

    def draw(self, design: Design, rng: np.random.Generator, count: int) -> Iterator[Fields]:
        """Draw codes of every style, and numbers of like size."""
        yield from super().draw(design, rng, count)
        for scale in (1.0, 5.0):
            codes = _near(design.a, rng.normal(scale=scale, size=count))
            yield self.complete(design, rng, {"a": codes})

    def given(self, design: Design, a: NDArray[Any], b: NDArray[Any]) -> Fields:
        """Take each row of ``a`` for a vector; what is longer than one becomes several."""
        assert isinstance(design, Softmax)
        last = np.zeros(a.shape, np.int64)
        last[:, -1] = 1
        return {"a": a.ravel(), "last": last.ravel()}

    def gaps(self, design: Design, fields: Fields) -> NDArray[np.int64]:
        """Let every vector be done before the next one."""
        assert isinstance(design, Softmax)
        ends = softmax_stream(design, fields["a"], fields["last"])[1]
        flags = np.zeros(len(fields["a"]), np.int64)
        flags[: len(ends)] = ends
        cycles: int = plan(design).latency + design.length + 2
        return flags * cycles


def _near(fmt: Format, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the nearest codes."""
    return np.asarray(encode(fmt, np.abs(values) if not fmt.signed else values), np.int64)
