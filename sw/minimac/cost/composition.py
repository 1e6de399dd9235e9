"""Figures of an array of any size, composed from those of a few small ones of the same design.

An array consists of elements, feet and an edge. Elements and feet are mapped once, so their number
is all that matters. What the edge takes is a sum of terms with a meaning: what there is once, for
each row, for each column, for each element (buffers of what all share), and delays that skew
operands and sums, a triangle of registers whose side is the number of rows or of columns. Six
arrays of at most 32 elements tell these terms apart; a seventh, which is not among them, says how
far off the sum is.

Energy is composed by event. While operands move in, each cycle takes so much: a vector where
weights stay, more if its chains go on from a pass before, or a term of all sums where sums stay.
What an array does between two products, loading weights or moving sums out, takes so much for each
of them. Two runs of each array, of which one does so much more often, tell the two apart. Elements
without operands, where a matrix does not fill the array, take next to nothing, unless sums pass
them; a third run tells what that takes. The clock and leakage take so much in every cycle.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimac.cost import Cost, Part, load_technology, measure
from minimac.cost.cache import Cache
from minimac.cost.evaluation import DEFAULT_SHAPE
from minimac.cost.technology import Library
from minimac.spec import Design, FixedPoint, Format, SpecError, Systolic

if TYPE_CHECKING:
    from minimac.rtl.arrays import ArrayPlan

__all__ = ["CHECKED", "EVENTS", "SIZES", "Composition", "Shape", "compose"]

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Rows and columns of the arrays that figures are composed from.
SIZES = ((2, 2), (4, 2), (2, 4), (8, 2), (2, 8), (8, 4))

#: Rows and columns of the array that the composition is checked against.
CHECKED = (4, 4)

_TERMS: dict[str, Callable[[int, int], float]] = {
    "once": lambda r, c: 1,
    "rows": lambda r, c: r,
    "columns": lambda r, c: c,
    "elements": lambda r, c: r * c,
    "skew of rows": lambda r, c: r * (r - 1) / 2,
    "skew of columns": lambda r, c: c * (c - 1) / 2,
    # Weights move in, and sums out, through the rows on their way.
    "moves": lambda r, c: r * (r + 1) / 2 * c,
}
_OF_EDGE = ("once", "rows", "columns", "elements", "skew of rows", "skew of columns")

#: What happens in an array, and takes energy beside that of the clock and leakage.
EVENTS = ("step", "used", "passing", "resumed", "turn")

# What the energy of each part consists of: terms, and the events that they belong to.
_STEP, _USED, _PASSING, _RESUMED, _TURN = ((event,) for event in EVENTS)
_EVENTS: dict[str, dict[str, list[tuple[tuple[str, ...], str]]]] = {
    "ws": {
        "element": [(_USED, "elements"), (_PASSING, "elements"), (_TURN, "moves")],
        "foot": [(_STEP, "columns")],
        "edge": [
            *((_STEP, term) for term in _OF_EDGE if term != "skew of columns"),
            # Sums are delayed on their way out, and on their way in if chains go on.
            (("step", "resumed"), "skew of columns"),
            (_RESUMED, "columns"),
            (_TURN, "rows"),
            (_TURN, "elements"),
        ],
    },
    "os": {
        "element": [(_USED, "elements"), (_TURN, "moves"), (_TURN, "elements")],
        "foot": [(_TURN, "elements")],
        "edge": [
            *((_STEP, term) for term in _OF_EDGE),
            (_TURN, "once"),
            (_TURN, "rows"),
            (_TURN, "elements"),
        ],
    },
}

#: Shapes M, K, N that arrays are compared on; K and N fit all of them.
_SHAPES = {"ws": (1024, 16, 32), "os": (512, 64, 32)}
_MADE_UP = "normally distributed, seed 0"

#: K of a run that leaves rows of these arrays without operands, which sums pass.
_RAGGED, _RAGGED_SIZES = 9, ((8, 2), (8, 4))

#: What is left of M or K in the run that loads weights, or moves sums out, more often.
_FEW_VECTORS, _FEW_TERMS = 16, 4


class Shape(NamedTuple):
    """A product of matrices: (M, K) times (K, N)."""

    m: int
    k: int
    n: int


class _Run(NamedTuple):
    """What a lane does while a product is measured.

    Attributes
    ----------
    step, resumed, turn : int
        Cycles in which operands move in, those among them whose chains go on, and products that
        weights are loaded for or whose sums move out.
    used, passing : float
        Steps times the share of the elements that has operands, and of those that have none but
        are passed by sums.
    periods : int
        Clock periods that are counted.
    cycles : int
        All cycles.
    macs : float
        Multiply-accumulates, padding not counted.
    """

    step: int
    resumed: int
    turn: int
    used: float
    passing: float
    periods: int
    cycles: int
    macs: float


@dataclass(frozen=True, kw_only=True)
class Composition:
    """Figures of an array that was not built.

    Parameters
    ----------
    design : Systolic
        The array.
    cost : Cost
        Its cost: energy for operands of the shape that is used by :func:`minimac.cost.measure`.
    event_pj : dict of str to dict of str to float
        Energy by event and by part, without the clock. ``step``: operands move in, a vector through
        all rows where weights stay, a term of all sums where sums stay. ``used``: in addition to
        it, if all elements have operands; ``passing``: if none has, but sums pass all. ``resumed``:
        added to a step if chains go on from a pass before. ``turn``: weights are loaded, or sums
        moved out, once.
    cycle_pj : float
        Energy of the clock and of leakage in each cycle.
    errors_percent : dict of str to float
        How far the composition is from direct synthesis of 4x4 elements, which it does not use:
        ``area_um2``, ``energy_pj_per_mac``, ``delay_ps``.
    """

    design: Systolic
    cost: Cost
    event_pj: Mapping[str, Mapping[str, float]]
    cycle_pj: float
    errors_percent: Mapping[str, float]
    _model: "_Model" = field(repr=False, compare=False)

    def resized(self, rows: int, columns: int) -> "Composition":
        """Return the figures of another array of the same elements."""
        return self._model.composed(_resized(self.design, rows, columns))

    def energy_pj(
        self,
        *,
        steps: float = 0,
        resumed: float = 0,
        turns: float = 0,
        cycles: float = 0,
        used: float = 1.0,
        passing: float = 0.0,
    ) -> float:
        """Return the energy of a run.

        Parameters
        ----------
        steps, resumed, turns, cycles : float
            Cycles in which operands move in; those among them whose chains go on from a pass
            before; products that weights are loaded for or whose sums move out; all cycles.
        used, passing : float
            Share of the elements that has operands, and that has none but is passed by sums, both
            averaged over the steps.
        """
        counts = (steps, used * steps, passing * steps, resumed, turns)
        spent = sum(
            count * sum(self.event_pj[event].values())
            for event, count in zip(EVENTS, counts, strict=True)
        )
        return spent + cycles * self.cycle_pj

    def pj_per_mac(self, m: int, k: int, n: int) -> float:
        """Return what :func:`minimac.cost.measure` would for operands of another shape."""
        run = _run(self.design, Shape(m, k, n))
        spent: float = sum(
            getattr(run, event) * sum(parts.values()) for event, parts in self.event_pj.items()
        )
        spent += run.periods * self.cycle_pj
        return spent / run.macs


def compose(
    design: Design,
    technology: str | None = None,
    operands: tuple[Codes, Codes] | None = None,
    *,
    clock_mhz: float | None = None,
    timeout_s: float = 600.0,
    cache: Cache | None = None,
    watch: Callable[[str], None] | None = None,
) -> Composition:
    """Compose the figures of an array from those of small arrays of the same design.

    Parameters
    ----------
    design : Systolic
        What to build, with dataflow ``ws`` or ``os``.
    technology : str or None
        Name of a technology of standard cells; by default that of the design.
    operands : pair of int arrays, shapes (M, K) and (K, N), or None
        Codes that run through the arrays while activity is counted, K and N at least 8; what is
        beyond the last multiple of 8 is left out. By default normally distributed values.
    clock_mhz : float or None
        Clock to map for, in MHz; by default that of the design.
    timeout_s : float
        Time that each synthesis may take, in s.
    cache : Cache or None
        Where results are kept; by default the usual folder.
    watch : callable or None
        What is told, in a line, of each small array before it is measured.

    Raises
    ------
    SpecError
        If the design is not such an array or behind a Wishbone interface, the technology is an
        FPGA, or operands are too few.
    """
    if not isinstance(design, Systolic) or design.array.dataflow not in _EVENTS:
        raise SpecError(
            "unit: figures are composed of systolic arrays with dataflow ws or os; use minimac "
            "cost without --compose"
        )
    if design.interface == "wishbone":
        raise SpecError("interface: energy behind wishbone is not measured; use stream")
    name = technology or design.technology
    if not isinstance(load_technology(name), Library):
        raise SpecError(f"technology: figures are composed of standard cells, not of {name}")
    dataflow = design.array.dataflow
    clock = design.clock_mhz if clock_mhz is None else clock_mhz
    design = replace(design, technology=name, clock_mhz=clock)
    many = _made_up(design, Shape(*_SHAPES[dataflow])) if operands is None else _cut(*operands)
    few = _fewer(dataflow, *many)

    runs: list[tuple[tuple[Codes, Codes], tuple[tuple[int, int], ...]]]
    runs = [(many, SIZES), (few, SIZES)]
    if dataflow == "ws" and design.padding is not None:
        runs.append((_ragged(*many), _RAGGED_SIZES))
    total = sum(len(sizes) for _, sizes in runs) + 1
    numbers = itertools.count(1)

    def measured(rows: int, columns: int, products: Any) -> Cost:
        if watch:
            shape = _shape_of(*products[0]) if products else DEFAULT_SHAPE
            product = "x".join(map(str, shape))
            watch(f"{next(numbers)} of {total}: array of {rows}x{columns}, product of {product}")
        small = _resized(design, rows, columns)
        return measure(small, operands=products, timeout_s=timeout_s, cache=cache)

    observed = [
        _Observation.of(
            _resized(design, rows, columns), products, measured(rows, columns, [products])
        )
        for products, sizes in runs
        for rows, columns in sizes
    ]
    shape = Shape(*DEFAULT_SHAPE) if operands is None else _shape_of(*many)
    model = _Model(dataflow, observed, shape, "given" if operands is not None else _MADE_UP)
    model.check(_resized(design, *CHECKED), measured(*CHECKED, operands and [many]))
    return model.composed(design)


def _resized(design: Systolic, rows: int, columns: int) -> Systolic:
    return replace(design, array=replace(design.array, rows=rows, columns=columns))


def _made_up(design: Systolic, shape: Shape) -> tuple[Codes, Codes]:
    """Draw operands: three standard deviations fill a fixed-point format, one is 1 in others."""
    from minimac.model import encode

    rng = np.random.default_rng(0)

    def codes(fmt: Format, size: tuple[int, int]) -> Codes:
        values = rng.normal(size=size)
        if isinstance(fmt, FixedPoint):
            values *= fmt.max_lsbs * 2.0**fmt.lsb_exp / 3
        return np.asarray(encode(fmt, values if fmt.signed else np.abs(values)), dtype=np.int64)

    return codes(design.a, (shape.m, shape.k)), codes(design.b, (shape.k, shape.n))


def _cut(a: Codes, b: Codes) -> tuple[Codes, Codes]:
    """Cut operands to what fills all arrays."""
    k, n = (size // 8 * 8 for size in b.shape)
    if not k or not n:
        raise SpecError(f"operands: K and N must be at least 8 to compose an array, not {b.shape}")
    return a[:, :k], b[:k, :n]


def _fewer(dataflow: str, a: Codes, b: Codes) -> tuple[Codes, Codes]:
    if dataflow == "ws":
        return a[:_FEW_VECTORS], b
    k = max(len(b) // _FEW_TERMS, 1)
    return a[:, :k], b[:k]


def _ragged(a: Codes, b: Codes) -> tuple[Codes, Codes]:
    """Repeat or cut terms so that they fill a row of the last pass."""
    terms = np.arange(_RAGGED) % len(b)
    return a[:, terms], b[terms]


def _shape_of(a: Codes, b: Codes) -> Shape:
    return Shape(a.shape[0], a.shape[1], b.shape[1])


def _run(design: Systolic, shape: Shape) -> _Run:
    """Return what a lane does while :func:`minimac.cost.measure` runs a product."""
    from minimac.rtl import plan

    planned: Any = plan(design)
    find = _os_run if design.array.dataflow == "os" else _ws_run
    return find(design, planned, shape)


def _ws_run(design: Systolic, planned: "ArrayPlan", shape: Shape) -> _Run:
    from minimac.bench.traffic import LANES

    rows, columns = design.array.rows, design.array.columns
    groups, passes = ceil(shape.n / columns), ceil(shape.k / rows)
    on_the_way = planned.latency - planned.foot_cycles
    wait = planned.foot_cycles if planned.shares_foot else 1
    steps, resumed, cycles, turns, macs = 0, 0, 0, 0, 0.0
    for first in range(0, groups, LANES):
        lanes = min(groups - first, LANES)
        width = min(shape.n - first * columns, lanes * columns)
        each = ceil(shape.m / max(min(LANES // lanes, shape.m // 256), 1))
        steps += passes * each
        resumed += (passes - 1) * each
        turns += passes
        macs += each * shape.k * width / lanes
        around = 2 + rows + design.array.double_buffer + on_the_way + planned.foot.latency + 2
        cycles += passes * (around + each) + each * (wait - 1)
    rows_used = shape.k / (passes * rows)
    columns_used = shape.n / (groups * columns)
    used, passing = steps * rows_used * columns_used, steps * (1 - rows_used) * columns_used
    return _Run(steps, resumed, turns, used, passing, cycles - turns, cycles, macs)


def _os_run(design: Systolic, planned: Any, shape: Shape) -> _Run:
    from minimac.bench.traffic import LANES

    rows, columns = design.array.rows, design.array.columns
    tiles = ceil(shape.m / rows) * ceil(shape.n / columns)
    turns = ceil(tiles / max(min(LANES, tiles // 4), 1))
    idle = max(planned.interval - shape.k, 0)
    cycles = 2 + turns * (shape.k + idle) + planned.interval + planned.foot.latency + 1
    macs = turns * shape.k * shape.m * shape.n / tiles
    used = macs / (rows * columns)
    return _Run(turns * shape.k, 0, turns, used, 0.0, cycles - 1, cycles, macs)


class _Observation(NamedTuple):
    """A small array, a run, and what was measured.

    Attributes
    ----------
    rows, columns : int
        Of the array.
    run : _Run
        What a lane did.
    cost : Cost
        What was measured.
    clock_pj : float
        Energy of the clock in each cycle.
    data_pj : dict of str to float
        Energy of a lane's run by part, less that of the clock and of leakage.
    """

    rows: int
    columns: int
    run: _Run
    cost: Cost
    clock_pj: float
    data_pj: dict[str, float]

    @classmethod
    def of(cls, design: Systolic, operands: tuple[Codes, Codes], cost: Cost) -> "_Observation":
        """Take the energy of a run apart."""
        run = _run(design, _shape_of(*operands))
        assert cost.energy_split_pj_per_mac is not None
        assert cost.registers
        clock_pj = cost.energy_split_pj_per_mac["clock"] * run.macs / run.periods
        data_pj = {}
        for name, part in cost.parts.items():
            assert part.energy_pj_per_mac is not None
            data_pj[name] = part.energy_pj_per_mac * run.macs - run.periods * _still_pj(
                part, clock_pj / cost.registers, cost.clock_mhz
            )
        return cls(design.array.rows, design.array.columns, run, cost, clock_pj, data_pj)


def _still_pj(part: Part, register_pj: float, clock_mhz: float) -> float:
    """Return the energy of a part in a cycle without data: clock and leakage."""
    assert part.registers is not None
    assert part.leakage_uw is not None
    return part.registers * register_pj + part.leakage_uw / clock_mhz  # uW / MHz = pJ


class _Model:
    """Terms of all figures, from observations."""

    def __init__(
        self, dataflow: str, observed: Sequence[_Observation], shape: Shape, operands: str
    ) -> None:
        self._dataflow = dataflow
        self._observed = observed
        self._shape = shape
        self._operands = operands
        self._errors: dict[str, float] = {}
        self._energies: dict[str, Floats] = {}
        self._largest = max(observed, key=lambda o: o.rows * o.columns).cost
        registers = sum(o.cost.registers or 0 for o in observed)
        self._register_pj = sum(o.clock_pj for o in observed) / registers

    def check(self, design: Systolic, direct: Cost) -> None:
        """Find out how far off the composition is."""
        found = self.composed(design).cost
        for key in ("area_um2", "energy_pj_per_mac", "delay_ps"):
            self._errors[key] = 100 * (getattr(found, key) / getattr(direct, key) - 1)

    def composed(self, design: Systolic) -> Composition:
        """Return the figures of an array of any size."""
        shape = self._shape
        rows, columns = design.array.rows, design.array.columns
        parts = {name: self._part(name, rows, columns) for name in self._largest.parts}
        clock = self._largest.clock_mhz
        still_pj = {name: _still_pj(p, self._register_pj, clock) for name, p in parts.items()}
        event_pj = {
            event: {name: self._event_pj(name, event, rows, columns) for name in parts}
            for event in EVENTS
        }
        run = _run(design, shape)
        for name, part in parts.items():
            spent = sum(getattr(run, event) * event_pj[event][name] for event in EVENTS)
            spent += run.periods * still_pj[name]
            parts[name] = replace(part, energy_pj_per_mac=spent / run.macs)

        def total(key: str) -> Any:
            return sum(getattr(part, key) for part in parts.values())

        by_kind = self._delays(rows * columns)
        delay_ps = max(by_kind.values())
        provenance = {
            **self._largest.provenance,
            "design": design.as_dict(),
            "design_digest": design.digest,
            "composed": {
                "from": [f"{rows}x{columns}" for rows, columns in SIZES],
                "checked_at": f"{CHECKED[0]}x{CHECKED[1]}",
                "errors_percent": dict(self._errors),
            },
            "recipes": sorted({str(o.cost.provenance["recipe"]) for o in self._observed}),
            "stimulus": {
                **self._largest.provenance["stimulus"],
                "operands": self._operands,
                "shapes_mkn": ["x".join(map(str, shape))],
                "macs": round(64 * run.macs),
                "cycles": run.cycles,
                "macs_per_cycle": run.macs / run.cycles,
            },
        }
        cost = replace(
            self._largest,
            name=design.name,
            area_um2=total("area_um2"),
            cells=total("cells"),
            registers=total("registers"),
            leakage_uw=total("leakage_uw"),
            energy_pj_per_mac=total("energy_pj_per_mac"),
            energy_split_pj_per_mac=None,
            energy_glitches_pj_per_mac=None,
            delay_ps=delay_ps,
            fmax_mhz=1e6 / delay_ps,
            meets_clock=delay_ps <= 1e6 / clock,
            delay_by_kind_ps=by_kind,
            critical_path=None,
            cell_types=self._cell_types(rows, columns),
            parts=parts,
            provenance=provenance,
        )
        return Composition(
            design=design,
            cost=cost,
            event_pj=event_pj,
            cycle_pj=sum(still_pj.values()),
            errors_percent=dict(self._errors),
            _model=self,
        )

    def _part(self, name: str, rows: int, columns: int) -> Part:
        """Compose the static figures of a part."""
        feet = "columns" if self._largest.parts["foot"].count > 1 else "once"
        terms = {"element": ("elements",), "foot": (feet,), "edge": _OF_EDGE}[name]

        def figure(key: str) -> float:
            pairs = [(o, float(getattr(o.cost.parts[name], key))) for o in self._observed]
            return _fit(terms, pairs)(rows, columns)

        return Part(
            count=round(figure("count")),
            area_um2=figure("area_um2"),
            cells=round(figure("cells")),
            registers=round(figure("registers")),
            leakage_uw=figure("leakage_uw"),
        )

    def _cell_types(self, rows: int, columns: int) -> dict[str, int]:
        kinds = sorted({kind for o in self._observed for kind in o.cost.cell_types})
        counts = {
            kind: round(
                _fit(
                    _OF_EDGE, [(o, float(o.cost.cell_types.get(kind, 0))) for o in self._observed]
                )(rows, columns)
            )
            for kind in kinds
        }
        return {kind: count for kind, count in counts.items() if count > 0}

    def _event_pj(self, part: str, event: str, rows: int, columns: int) -> float:
        """Return the energy of a part for an event."""
        terms = _EVENTS[self._dataflow][part]
        if part not in self._energies:
            matrix = [
                [
                    sum(getattr(o.run, event) for event in events) * _TERMS[term](o.rows, o.columns)
                    for events, term in terms
                ]
                for o in self._observed
            ]
            self._energies[part] = _solve(matrix, [o.data_pj[part] for o in self._observed])
        return sum(
            float(energy) * _TERMS[term](rows, columns)
            for energy, (events, term) in zip(self._energies[part], terms, strict=True)
            if event in events
        )

    def _delays(self, elements: int) -> dict[str, float]:
        """Return the longest paths by kind: trees of buffers grow with the logarithm."""
        found = {}
        depth = np.log2([o.rows * o.columns for o in self._observed])
        for kind in self._largest.delay_by_kind_ps or {}:
            delays = [(o.cost.delay_by_kind_ps or {})[kind] for o in self._observed]
            slope = max(float(np.polyfit(depth, delays, 1)[0]), 0.0)
            found[kind] = float(np.mean(delays - slope * depth)) + slope * float(np.log2(elements))
        return found


def _fit(
    terms: Sequence[str], pairs: Sequence[tuple[_Observation, float]]
) -> Callable[[int, int], float]:
    """Return a sum of terms, as a function of rows and columns, that fits what was observed."""
    matrix = [[_TERMS[term](o.rows, o.columns) for term in terms] for o, _ in pairs]
    found, *_ = np.linalg.lstsq(np.array(matrix, float), [value for _, value in pairs])
    return lambda rows, columns: float(
        sum(x * _TERMS[term](rows, columns) for x, term in zip(found, terms, strict=True))
    )


def _solve(matrix: Sequence[Sequence[float]], values: Sequence[float]) -> Floats:
    """Solve for least relative errors; no event gives energy back."""
    from scipy.optimize import nnls

    scale = 1 / np.maximum(np.abs(values), 1e-9 + 1e-3 * np.max(np.abs(values)))
    found: Floats = nnls(np.array(matrix, float) * scale[:, None], np.array(values) * scale)[0]
    return found
