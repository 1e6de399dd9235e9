"""The analytic gate counts of "INT v.s. FP" (arXiv 2510.25602, appendix C), in our technologies.

Lanes of multipliers add up in one tree: integers as they are, floats aligned to the largest
exponent in a window of at most 24 bits, with one normaliser for all lanes. The paper counts gates
and weighs them with the cells of a library that it does not disclose; here the weights are fitted
to dot products that we synthesised, so that its published ratios can be held against measured ones.
"""

import functools
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from minimac.spec import FixedPoint, Minifloat, SpecError, parse_format

__all__ = [
    "CELLS",
    "COMPARED",
    "PUBLISHED",
    "Lanes",
    "cell_factors",
    "fit_cells",
    "lane_cost",
    "read_lanes",
    "unit_cost",
]

#: Cells that gates are counted in: an AND of two, a full adder, an exclusive or, an OR of two, a
#: choice of two, and what there is once besides: an accumulator.
CELLS = ("and", "full_adder", "xor", "or", "mux", "once_integer", "once_float")

#: What the formats of the paper's table 5 are, and two more: element, lanes and scale.
COMPARED = {
    "MXFP8": ("e4m3fn", 32, "e8m0"),
    "MXINT8": ("int8", 32, "e8m0"),
    "MXFP6": ("e2m3", 32, "e8m0"),
    "MXINT6": ("int6", 32, "e8m0"),
    "MXFP4": ("e2m1", 32, "e8m0"),
    "MXINT4": ("int4", 32, "e8m0"),
    "NVFP4": ("e2m1", 16, "ue4m3fn"),
    "NVINT4": ("int4", 16, "ue4m3fn"),
}

#: Table 5 of the paper: area and energy of a lane beside those of MXFP8.
PUBLISHED = {
    "MXFP8": (1.0, 1.0),
    "MXINT8": (0.79, 0.63),
    "NVFP4": (0.54, 0.55),
    "NVINT4": (0.38, 0.34),
}

#: Widest window that products are aligned in.
_WINDOW = 24


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """Lanes of a dot product as the paper counts them.

    Parameters
    ----------
    exp_bits, man_bits : int
        Of an element; an integer of b bits has 0 and b - 1.
    lanes : int
        How many of them share a normaliser.
    """

    exp_bits: int
    man_bits: int
    lanes: int

    @classmethod
    def of(cls, name: str, lanes: int) -> "Lanes":
        """Return the lanes of a format by name.

        Examples
        --------
        >>> Lanes.of("e4m3fn", 32)
        Lanes(exp_bits=4, man_bits=3, lanes=32)
        >>> Lanes.of("int8", 32)
        Lanes(exp_bits=0, man_bits=7, lanes=32)
        """
        fmt = parse_format(name)
        if isinstance(fmt, FixedPoint) and fmt.signed:
            return cls(exp_bits=0, man_bits=fmt.width - 1, lanes=lanes)
        if isinstance(fmt, Minifloat) and fmt.signed:
            return cls(exp_bits=fmt.exp_bits, man_bits=fmt.man_bits, lanes=lanes)
        raise SpecError(f"format: must be a signed minifloat or integer, not {name}")

    @property
    def window_bits(self) -> int:
        """Width of the window that products are aligned in, in bits.

        Examples
        --------
        >>> [Lanes.of(name, 32).window_bits for name in ("e4m3fn", "e2m3", "e2m1")]
        [24, 14, 10]
        """
        return min((2 << self.exp_bits) + 2 * self.man_bits, _WINDOW)

    def blocks(self) -> dict[str, float]:
        """Count gates by block, for all lanes: table 6 of the paper.

        Examples
        --------
        >>> Lanes.of("int8", 32).blocks()
        {'multiplier': 2048, 'adder': 512}
        """
        k, x, y, n = self.lanes, self.exp_bits, self.man_bits, self.window_bits
        if not x:
            return {"multiplier": k * (y + 1) ** 2, "adder": 2 * k * (y + 1)}
        return {
            "multiplier": k * (y + 1) ** 2,
            "adder": k * n,
            "exponent_adder": k * x,
            "exponent_subtractor": k * x,
            "comparator": k * x,
            "aligner": k * n * math.log2(n),
            "normaliser": n * math.log2(n),
        }

    def cells(self) -> dict[str, float]:
        """Count cells, for all lanes."""
        found: defaultdict[str, float] = defaultdict(float)
        for block, amount in self.blocks().items():
            for cell in _CELLS_OF[block]:
                found[cell] += amount
        found["once_float" if self.exp_bits else "once_integer"] += 1
        return {cell: found[cell] for cell in CELLS}

    def unit_cells(self, scale: str) -> dict[str, float]:
        """Count the cells of a unit with scales: of the lanes, an fp32 adder, and the scales' own.

        Scales of powers of two are added to an exponent, by two adders of 8 bits. Of others the
        paper says two multiplications: here one of two ``scale``, and one of their product by a
        sum of 24 bits.
        """
        fmt = parse_format(scale)
        shift = _WINDOW * math.log2(_WINDOW)
        shared = {"adder": _WINDOW, "exponent_subtractor": 8, "comparator": 8, "aligner": shift}
        shared["normaliser"] = shift
        if isinstance(fmt, Minifloat):
            bits = fmt.sig_bits
            shared["multiplier"] = bits * bits + 2 * bits * _WINDOW
            shared["exponent_adder"] = fmt.exp_bits + 8
        else:
            shared["exponent_adder"] = 2 * 8
        found = self.cells() | {"once_float": 0.0, "once_integer": 0.0}
        for block, amount in shared.items():
            for cell in _CELLS_OF[block]:
                found[cell] += amount
        return found


#: Cells of a gate of each block; the paper's half adders count as full ones.
_CELLS_OF = {
    "multiplier": ("and", "full_adder"),
    "adder": ("full_adder",),
    "exponent_adder": ("full_adder",),
    "exponent_subtractor": ("xor", "full_adder"),
    "comparator": ("xor", "and", "or"),
    "aligner": ("mux",),
    "normaliser": ("mux", "or"),
}


def lane_cost(lanes: Lanes, factors: Mapping[str, float]) -> float:
    """Return what a lane costs: that of all, shared evenly.

    Examples
    --------
    >>> nand2 = {"and": 1.5, "full_adder": 6, "xor": 2.5, "or": 1.5, "mux": 2.5}
    >>> int8, fp8 = (lane_cost(Lanes.of(x, 32), nand2) for x in ("int8", "e4m3fn"))
    >>> round(int8 / fp8, 2)
    0.91
    """
    cells = lanes.cells()
    return sum(factor * cells[cell] for cell, factor in factors.items()) / lanes.lanes


def unit_cost(lanes: Lanes, scale: str, factors: Mapping[str, float]) -> float:
    """Return what a lane costs with its share of the accumulator and of the scales."""
    cells = lanes.unit_cells(scale)
    return sum(factor * cells[cell] for cell, factor in factors.items()) / lanes.lanes


def read_lanes(technology: str) -> list[dict[str, Any]]:
    """Read the dot products that were synthesised: ``format``, ``lanes`` and figures."""
    path = files("minimac.cost") / "points" / f"lanes_{technology}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def fit_cells(points: Sequence[Mapping[str, Any]], figure: str) -> dict[str, float]:
    """Fit what a cell costs to synthesised dot products, by relative least squares.

    Parameters
    ----------
    points : sequence of dict
        ``format``, ``lanes`` and the figure.
    figure : {"area_um2", "energy_pj_per_mac"}
        Of all lanes, or of one.
    """
    import numpy as np
    from sklearn.linear_model import LinearRegression

    own = [Lanes.of(x["format"], x["lanes"]) for x in points]
    per_lane = [1 if figure == "energy_pj_per_mac" else lanes.lanes for lanes in own]
    values = np.array([x[figure] / n for x, n in zip(points, per_lane, strict=True)])
    table = np.array([[x.cells()[cell] / x.lanes for cell in CELLS] for x in own])
    scale = np.median(values)
    model = LinearRegression(fit_intercept=False, positive=True)
    model.fit(table / values[:, None] * scale, np.full(len(own), scale))
    return {cell: float(f"{x:.6g}") for cell, x in zip(CELLS, model.coef_, strict=True)}


@functools.cache
def cell_factors(technology: str, figure: str = "area_um2") -> Mapping[str, float]:
    """Return what a cell costs in a technology, fitted to the points of the package."""
    return fit_cells(read_lanes(technology), figure)
