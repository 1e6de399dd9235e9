"""What a design is made of, counted in bits from its fields alone: no circuit is built.

Multipliers count with the product of the widths, shifters with width times stages, all else with
its width. What a block takes of a technology is fitted by :mod:`minimac.cost.fitting`.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from minimac.cost.circuits import STEPS, Builder, convert, count_step, state_bits
from minimac.spec import (
    Adder,
    Design,
    FixedAccumulation,
    FixedPoint,
    Fma,
    Format,
    Mac,
    Minifloat,
    Multiplier,
    SpecError,
    Systolic,
)

__all__ = ["BLOCKS", "TERMS", "Part", "kind_of", "parts_of"]

#: Terms of the sums that energy is measured on: those of the matrices that ``measure`` makes up.
TERMS = 16

#: Blocks, and what one of each is.
BLOCKS = {
    "one": "the part itself",
    "product": "a bit of one significand times one of another",
    "row": "a bit of a row that is added to others in a product",
    "sign_row": "a bit of a row that signs add to a product of signed rows, without Booth's digits",
    "product_edge": "a bit of either significand of a product",
    "add": "a bit of an adder",
    "negate": "a bit of an incrementer",
    "invert": "a bit that is inverted or not",
    "shift": "a bit of a stage of a shifter",
    "choose": "a bit of a choice of two",
    "clamp": "a bit that a constant may replace",
    "any": "a bit of an OR of many",
    "compare": "a bit of a comparison of two numbers, or of one with a constant",
    "count": "a bit of a counter of leading zeros",
    "anticipate": "a bit of a predictor of leading zeros",
    "exponent": "a bit of an adder of exponents",
    "register": "a bit of a register that can be held",
    "free_register": "a bit of a register that always moves",
}


class Part(NamedTuple):
    """A part of a design.

    Attributes
    ----------
    instances : int
        How often it occurs.
    blocks : dict of str to float
        What one of it is made of.
    path : dict of str to float
        What a signal passes: widths of adders, stages of shifters, and so on.
    uses, clocks : float
        How often all of them together work for a multiply-accumulate, and see a clock edge.
    apart, beyond : float
        Binades between the operands that energy is measured on, where two are added: the smaller
        one matters little. And those that results are above the range of ``out``.
    """

    instances: int
    blocks: Mapping[str, float]
    path: Mapping[str, float]
    uses: float = 1.0
    clocks: float = 1.0
    apart: float = 0.0
    beyond: float = 0.0


def parts_of(design: Design) -> dict[str, Part]:
    """Return the parts of a design: ``element``, perhaps ``foot``, and ``edge``.

    Raises
    ------
    SpecError
        If it is of a sort that nothing is known of.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> parts = parts_of(load_design({"name": "m", "unit": "mac", "a": "int8", "b": "int8",
    ...     "out": "int32", "accumulate": {"kind": "exact"}}))
    >>> parts["element"].blocks["product"], parts["element"].blocks["add"]
    (64.0, 32.0)
    """
    _check(design)
    element, foot, edge = Builder(), Builder(), Builder()
    number = count_step(design, element)
    rounds_at_once = isinstance(design, Multiplier | Adder)
    if number is not None:
        convert(design, number, element if rounds_at_once else foot)
    edge("register", design.out.width + 1)
    if isinstance(design, Systolic):
        parts = _array(design, element, foot, edge)
    elif isinstance(design, Mac):
        state = state_bits(design)
        edge("register", state + 2)
        # The chain begins anew; a foot that shifts rests until the chain is complete.
        rests = number and (isinstance(design.out, Minifloat) or number.exponent_bits)
        edge.add("choose", 2 * state if rests else state)
        parts = {"element": _part(element), "foot": _part(foot, 1, 1 / TERMS), "edge": _part(edge)}
    else:
        parts = {"element": _part(element), "edge": _part(edge)}
    apart, beyond = _magnitudes(design)
    return {
        name: part._replace(apart=apart, beyond=beyond)
        for name, part in parts.items()
        if name != "foot" or not foot.empty
    }


def _part(built: Builder, instances: int = 1, uses: float = 1.0, clocks: float = 1.0) -> Part:
    blocks, path = {"one": 1.0, **built.blocks}, {"one": 1.0, **built.path}
    return Part(instances, blocks, path, uses, clocks)


def kind_of(design: Design) -> str:
    """Return the kind of accumulation, or the unit if it is a single operation."""
    if isinstance(design, Multiplier | Adder | Fma):
        return design.unit
    return design.accumulate.kind


def _check(design: Design) -> None:
    """Refuse what there is no model of."""
    known = Mac, Systolic, Multiplier, Adder, Fma
    if not isinstance(design, known):
        names = ", ".join(unit.unit for unit in known)
        raise SpecError(f"unit: costs are predicted of {names}, not of {design.unit}; measure it")
    for key, fmt in design.operands.items():
        if type(fmt) not in (Minifloat, FixedPoint):
            raise SpecError(
                f"{key}: costs are predicted for minifloats, integers and fixed point, not for "
                f"{fmt.name}; measure it"
            )
    acc = design.accumulate
    if type(acc) not in STEPS:
        raise SpecError(
            f"accumulate.kind: costs are predicted for exact, fixed, float and rounded, not for "
            f"{acc.kind}; measure it"
        )
    if design.out_round.stochastic:
        raise SpecError(
            "out_round: costs are predicted of modes without random bits, not of "
            f"{design.out_round}; measure it"
        )
    plain: list[tuple[str, Any, Any]] = [
        ("pipeline", design.pipeline, 0),
        ("interface", design.interface, "stream"),
        ("reset", design.reset, "sync"),
        ("clock_enable", design.clock_enable, False),
    ]
    if isinstance(acc, FixedAccumulation):
        plain.append(("accumulate.chunk", acc.chunk, None))
    if isinstance(design, Systolic):
        array = design.array
        if array.dataflow == "broadcast":
            raise SpecError(
                "array.dataflow: costs are predicted of ws and os, not of broadcast; measure it"
            )
        plain += [
            ("array.encode", array.encode, "none"),
            ("array.double_buffer", array.double_buffer, False),
            ("array.foot", array.foot, "column"),
        ]
    for key, value, usual in plain:
        if value != usual:
            wanted = "left out" if usual is None else str(usual).lower()
            raise SpecError(
                f"{key}: costs are predicted with {wanted}, not with {str(value).lower()}; "
                "measure it"
            )


# --- Arrays --------------------------------------------------------------------------------------


def _array(design: Systolic, element: Builder, foot: Builder, edge: Builder) -> dict[str, Part]:
    shape, state = design.array, state_bits(design)
    rows, columns, a, b = shape.rows, shape.columns, design.a.width, design.b.width
    elements = rows * columns
    skew = a * (rows * (rows - 1) // 2)
    triangle = columns * (columns - 1) // 2
    edge("register", (columns - 1) * design.out.width)
    if shape.dataflow == "os":
        element.add("free_register", a + b + 3)
        element.add("register", 2 * state)
        element.add("choose", 2 * state)
        control = 3 * rows + columns + (rows - 1).bit_length()
        edge("free_register", skew + b * triangle + control)
        # A product waits until the sums of the one before are out.
        clocks = max(TERMS, 2 * rows + columns - 1) / TERMS
        uses, rounded = 1.0, 1 / TERMS
    else:
        element.add("register", a + b + state)
        edge("register", skew + 2 * state * triangle + columns * state)
        edge("register", 2 * rows + columns - 1)
        edge.add("choose", columns * state)
        # The last pass may have rows without terms.
        clocks = uses = -(-TERMS // rows) * rows / TERMS
        rounded = uses / rows
    return {
        "element": _part(element, elements, uses, clocks),
        "foot": _part(foot, columns, rounded, 0.0),
        "edge": _part(edge, 1, clocks / elements, clocks / elements),
    }


# --- Operands that energy is measured on -------------------------------------------------------


def _magnitudes(design: Design) -> tuple[float, float]:
    """Return by how many binades addends differ, and by how many results are out of range.

    Operands are normally distributed: a third of the largest value in fixed point, 1 in others.
    """
    a, b = (_deviation(fmt) for fmt in (design.a, design.b))
    if isinstance(design, Adder):
        apart, result = abs(a - b), max(a, b)
    else:
        result = a + b
        apart = abs(result - _deviation(design.out)) if isinstance(design, Fma) else 0.0
        if isinstance(design, Mac | Systolic):
            result += math.log2(TERMS) / 2
    out = design.out
    beyond = result - math.log2(out.max_lsbs) - out.lsb_exp
    return float(min(apart, _FAR)), float(min(max(beyond + 2, 0), _FAR))


#: Binades from which on more make no difference.
_FAR = 16.0


def _deviation(fmt: Format) -> float:
    """Return the logarithm of the standard deviation of operands."""
    if isinstance(fmt, FixedPoint):
        return math.log2(fmt.max_lsbs / 3) + fmt.lsb_exp
    return 0.0
