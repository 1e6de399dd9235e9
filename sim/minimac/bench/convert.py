"""How a ``convert`` is tried: numbers of every style, and such as are hard to round."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.bench.operands import all_codes
from minimac.bench.transferbench import Fields, TransferBench
from minimac.model import convert_numbers, decode, draw_bits, encode
from minimac.spec import Convert, Design, Format, GridFormat

__all__ = ["ConvertBench"]


class ConvertBench(TransferBench):
    """How a ``convert`` is tried."""

    def formats(self, design: Design) -> dict[str, Format]:
        """Return the formats of the operands."""
        return design.operands

    def complete(self, design: Design, rng: np.random.Generator, fields: Fields) -> Fields:
        """Add random bits, if they come through a port: some at the ends of their range."""
        assert isinstance(design, Convert)
        if design.random != "port":
            return fields
        count = len(fields["a"])
        top = (1 << (design.random_bits or 0)) - 1
        some = rng.integers(0, top, count, endpoint=True)
        ends = rng.choice([0, 1, top - 1, top], count).clip(0)
        return {**fields, "random": np.where(rng.random(count) < 0.3, ends, some)}

    def draw(self, design: Design, rng: np.random.Generator, count: int) -> Iterator[Fields]:
        """Draw codes of every style, and such as become numbers near the places of rounding."""
        assert isinstance(design, Convert)
        yield from super().draw(design, rng, count)
        codes = _near_results(design, rng, count)
        fields = {"a": codes}
        if design.b is not None:
            fields["b"] = np.full(count, encode(design.b, 1.0).astype(np.int64))
        yield self.complete(design, rng, fields)

    def expected(self, design: Design, fields: Fields) -> Fields:
        """Return the results of a sequence after a reset."""
        return self.since_reset(design)(fields)

    def since_reset(self, design: Design) -> Callable[[Fields], Fields]:
        """Return what takes the random bits of an LFSR one after the other."""
        assert isinstance(design, Convert)
        source = draw_bits(design.lfsr) if design.lfsr else iter(())

        def results(fields: Fields) -> Fields:
            random = fields.get("random")
            if design.lfsr:
                random = np.array([*itertools.islice(source, len(fields["a"]))], np.int64)
            b = fields.get("b")
            return {"result": convert_numbers(design, fields["a"], b, random)}

        return results

    def given(self, design: Design, a: NDArray[Any], b: NDArray[Any]) -> Fields:
        """Return the elements of ``a``; with a scale, each as often as there are columns of ``b``.

        A scale is that of its term and column: numbers are those of a sum's operands.
        """
        assert isinstance(design, Convert)
        fields = {"a": a.ravel()}
        if design.b is not None:
            x, y = np.broadcast_arrays(a[:, None, :], b.T[None, :, :])
            fields = {"a": x.ravel(), "b": y.ravel()}
        return self.complete(design, np.random.default_rng(0), fields)


def _near_results(design: Convert, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Return codes of what is next to results, or in the middle between two of them."""
    out = design.out
    codes = all_codes(out) if out.width <= 16 else rng.integers(1 << out.width, size=count)
    values = decode(out, codes)
    values = values[np.isfinite(values)]
    if isinstance(out, GridFormat):
        values = np.unique(values)
        places = np.append(values, (values[1:] + values[:-1]) / 2)
    else:
        steps = np.exp2(out.lsb_exp) * np.array([0.5, 0.25, 0.0])
        places = np.add.outer(values, steps).ravel()
    with np.errstate(over="ignore"):
        near = np.asarray(encode(design.a, rng.choice(places, count)), np.int64)
    near = near + rng.integers(-1, 2, count)
    near &= (1 << design.a.width) - 1
    return np.where([design.a.holds(code) for code in near.tolist()], near, near * 0)
