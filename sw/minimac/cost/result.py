"""What a design costs, as figures: no tool is needed to read them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["Cost", "Part"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the elements cost, or the feet, or the edge: all that is neither.

    Parameters
    ----------
    count : int
        How often the module occurs; the other figures are for all of them together.
    area_um2, leakage_uw, energy_pj_per_mac : float or None
        Standard cells only; energy only if it was measured.
    cells, registers : int or None
        Standard cells only.
    luts, ffs, dsps, carries, brams : int or None
        FPGAs only.
    """

    count: int
    area_um2: float | None = None
    cells: int | None = None
    registers: int | None = None
    leakage_uw: float | None = None
    energy_pj_per_mac: float | None = None
    luts: int | None = None
    ffs: int | None = None
    dsps: int | None = None
    carries: int | None = None
    brams: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cost(Part):
    """What a design costs. The figures of :class:`Part` are those of the whole design.

    Parameters
    ----------
    name, technology : str
        What was mapped, and to what.
    clock_mhz : float
        The clock that was asked for.
    latency_cycles : int
        Cycles from operands to the result, as the description of the interface counts them.
    delay_ps : float or None
        Critical path, from the mapped netlist with estimated wires; of FPGAs, after place and
        route of the unit between registers, the median of several seeds.
    fmax_mhz : float or None
        The clock that this path allows.
    fmax_range_mhz : tuple of two floats, or None
        Least and greatest of the seeds; FPGAs only.
    meets_clock : bool or None
        Whether ``fmax_mhz`` is at least ``clock_mhz``.
    delay_by_kind_ps : dict or None
        Longest paths from and to registers and ports; standard cells only.
    critical_path : tuple of dict or None
        Its cells: ``instance``, ``cell`` (standard cells only), ``arrival_ps``, and the ``signal``
        that leaves it, where the design has a name for that.
    critical_signals : tuple of dict or None
        Where the longest path goes in the generator's own terms, if it was asked for: ``signal``,
        ``part`` that it ends, ``arrival_ps``; the first is where the path starts, the last where it
        ends. Standard cells only.
    area_by_part_um2 : dict of str to float, or None
        Area by what the datapath does, if it was asked for: ``decode``, ``multiply``, ``align``,
        ``add``, ``normalise``, ``round``, or what a unit calls its parts; ``foot``; ``registers``;
        ``rest``. Standard cells only.
    energy_glitches_pj_per_mac : float or None
        Energy that glitches add, estimated with unit delays; not part of ``energy_pj_per_mac``.
    energy_split_pj_per_mac : dict or None
        ``internal``, ``load``, ``clock``, ``leakage``.
    cell_types : dict
        Cells of the whole design, by type.
    parts : dict of str to Part
        ``element``, ``foot``, ``edge``.
    provenance : dict
        Versions, design, commit, flow and assumptions.
    """

    name: str
    technology: str
    clock_mhz: float
    latency_cycles: int
    delay_ps: float | None = None
    fmax_mhz: float | None = None
    fmax_range_mhz: tuple[float, float] | None = None
    meets_clock: bool | None = None
    delay_by_kind_ps: Mapping[str, float] | None = None
    critical_path: tuple[Mapping[str, Any], ...] | None = None
    critical_signals: tuple[Mapping[str, Any], ...] | None = None
    area_by_part_um2: Mapping[str, float] | None = None
    energy_glitches_pj_per_mac: float | None = None
    energy_split_pj_per_mac: Mapping[str, float] | None = None
    cell_types: Mapping[str, int]
    parts: Mapping[str, Part]
    provenance: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers, without what does not apply."""
        return {key: _plain(value, round) for key, value in _present(self)}

    def state(self) -> dict[str, Any]:
        """Return the same with all digits, for :meth:`of_state`."""
        return {key: _plain(value, lambda number, _: number) for key, value in _present(self)}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> "Cost":
        """Return the cost that :meth:`state` is of.

        Examples
        --------
        >>> whole = Part(count=1, luts=3)
        >>> cost = Cost(name="d", technology="ecp5", clock_mhz=1 / 3, latency_cycles=2,
        ...     cell_types={}, count=1, luts=3, parts={"edge": whole}, provenance={})
        >>> Cost.of_state(cost.state()) == cost
        True
        """
        tuples = {key: tuple(state[key]) for key in _TUPLES if key in state}
        parts = {name: Part(**part) for name, part in state["parts"].items()}
        return cls(**{**state, **tuples, "parts": parts})


#: Fields that JSON would make lists of.
_TUPLES = ("critical_path", "critical_signals", "fmax_range_mhz")


def _present(part: Part) -> Iterable[tuple[str, Any]]:
    values = ((f.name, getattr(part, f.name)) for f in fields(part))
    return ((name, value) for name, value in values if value is not None)


def _plain(value: Any, number: Callable[[float, int], float]) -> Any:
    if isinstance(value, Part):
        return {key: _plain(item, number) for key, item in _present(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item, number) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item, number) for item in value]
    return number(value, 6) if isinstance(value, float) else value
