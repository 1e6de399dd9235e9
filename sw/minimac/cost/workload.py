"""What a network costs on an array: cycles, utilisation, time and energy, layer by layer.

A workload is a list of shapes. Each layer is a product of matrices, or a convolution that is
turned into one. The array takes them one after the other; its cycles are those of
:func:`minimac.cost.schedule`, its energy that of :class:`minimac.cost.Composition`: of the steps
in which operands move in, of loading weights or moving sums out, and of the clock and leakage in
all cycles. Memory is priced for each bit that is read or written: an SRAM beside the array holds
operands, partial sums and results; operands and results cross the DRAM once a layer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from minimac.cost.composition import Composition
from minimac.cost.schedule import Schedule, schedule
from minimac.spec import SpecError, Systolic
from minimac.spec.errors import as_number, nearest, short_value
from minimac.spec.loading import load_yaml

__all__ = [
    "Layer",
    "LayerCost",
    "Memory",
    "Workload",
    "WorkloadCost",
    "cost_of",
    "lay_out",
    "load_workload",
    "memory_of",
]

#: Energy of a 64-bit access of SRAMs by size in kB, and the range of that of a DRAM, in pJ:
#: M. Horowitz, "Computing's energy problem", ISSCC 2014, 45 nm, 0.9 V, as quoted in PMC8934428,
#: table 3. No source was found that scales them to other nodes.
_SRAM_PJ = {8: 10.0, 32: 20.0, 1024: 100.0}
_DRAM_PJ = (1300.0, 2600.0)
_ACCESS_BITS = 64

#: Largest number of rows, columns or layers; more is a slip of the pen.
_MOST = 1 << 32


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A product of matrices, (M, K) times (K, N), that a network computes.

    Parameters
    ----------
    name : str
        What it is called.
    m, k, n : int
        Its shape: rows of activations, terms, columns of weights.
    count : int
        How often it occurs.
    groups : int
        Products of this shape that it consists of, as in a grouped convolution.
    activations : int
        Codes of all activations together, fewer than ``groups * m * k`` if a convolution reads
        them several times.
    """

    name: str
    m: int
    k: int
    n: int
    count: int = 1
    groups: int = 1
    activations: int


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Energy of memory for each bit that is read or written, in pJ, and where it is from."""

    sram_pj_per_bit: float
    dram_pj_per_bit: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Layers of a network, and the memory that they use."""

    name: str
    layers: tuple[Layer, ...]
    memory: Memory


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """What a layer costs, all of its occurrences together.

    Parameters
    ----------
    name : str
        Of the layer.
    macs, cycles : int
        Multiply-accumulates, and clock cycles.
    utilisation_percent : float
        Of the multiply-accumulates that the array could do in these cycles.
    time_us : float
        At the clock of the design.
    operands_uj, turns_uj, idle_uj : float
        Energy of the array: while operands move in, for loading weights or moving sums out, and of
        the clock and leakage.
    sram_uj, dram_uj : float
        Energy of memory.
    """

    name: str
    macs: int
    cycles: int
    utilisation_percent: float
    time_us: float
    operands_uj: float
    turns_uj: float
    idle_uj: float
    sram_uj: float
    dram_uj: float

    @property
    def energy_uj(self) -> float:
        """Energy of all, in uJ."""
        return self.operands_uj + self.turns_uj + self.idle_uj + self.sram_uj + self.dram_uj

    def as_dict(self) -> dict[str, Any]:
        """Return names and numbers."""
        return asdict(self) | {"energy_uj": self.energy_uj}


@dataclass(frozen=True, kw_only=True)
class WorkloadCost:
    """What a workload costs.

    Parameters
    ----------
    name : str
        Of the workload.
    layers : tuple of LayerCost
        Each layer.
    total : LayerCost
        All of them.
    clock_mhz, fmax_mhz : float
        The clock that time and leakage hold for, and the fastest that the array allows.
    provenance : dict
        Of the array, and of the memory.
    """

    name: str
    layers: tuple[LayerCost, ...]
    total: LayerCost
    clock_mhz: float
    fmax_mhz: float
    provenance: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers."""
        return {
            "name": self.name,
            "clock_mhz": self.clock_mhz,
            "fmax_mhz": self.fmax_mhz,
            "layers": [layer.as_dict() for layer in self.layers],
            "total": self.total.as_dict(),
            "provenance": dict(self.provenance),
        }


def load_workload(path: Path | str) -> Workload:
    """Read a workload.

    Raises
    ------
    SpecError
        If the file cannot be read, or a key is missing, unknown or has a wrong value: one line.
    """
    tree = load_yaml(Path(path))
    try:
        return _workload(tree)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def cost_of(workload: Workload, composition: Composition) -> WorkloadCost:
    """Run a workload on an array.

    Raises
    ------
    SpecError
        If a layer has chains that are longer than the array allows.
    """
    design, cost = composition.design, composition.cost
    layers = tuple(
        _layer_cost(layer, found, composition, workload.memory)
        for layer, found in zip(workload.layers, lay_out(workload, design), strict=True)
    )
    summed = {
        f.name: sum(getattr(layer, f.name) for layer in layers)
        for f in fields(LayerCost)
        if f.name not in ("name", "utilisation_percent")
    }
    elements = design.array.rows * design.array.columns
    percent = 100 * summed["macs"] / (summed["cycles"] * elements)
    total = LayerCost(name="total", utilisation_percent=percent, **summed)
    assert cost.fmax_mhz is not None
    return WorkloadCost(
        name=workload.name,
        layers=layers,
        total=total,
        clock_mhz=cost.clock_mhz,
        fmax_mhz=cost.fmax_mhz,
        provenance={**cost.provenance, "memory": asdict(workload.memory)},
    )


def lay_out(workload: Workload, design: Systolic) -> tuple[Schedule, ...]:
    """Lay each layer out on an array, once for all groups and occurrences.

    Raises
    ------
    SpecError
        If a layer has chains that are longer than the array allows.
    """
    found = []
    for layer in workload.layers:
        try:
            found.append(schedule(design, layer.m, layer.k, layer.n))
        except SpecError as error:
            raise SpecError(f"layer {layer.name}: {error}") from None
    return tuple(found)


def _layer_cost(
    layer: Layer, found: Schedule, composition: Composition, memory: Memory
) -> LayerCost:
    design = composition.design
    times = layer.count * layer.groups
    sram_bits, dram_bits = _moved_bits(layer, found, design)
    cycles = found.cycles * times
    operands_pj = composition.energy_pj(
        steps=found.steps, resumed=found.resumed, used=found.used, passing=found.passing
    )
    turns_pj = composition.energy_pj(turns=found.turns)
    elements = design.array.rows * design.array.columns
    return LayerCost(
        name=layer.name,
        macs=found.macs * times,
        cycles=cycles,
        utilisation_percent=100 * found.macs / (found.cycles * elements),
        time_us=cycles / composition.cost.clock_mhz,
        operands_uj=times * operands_pj / 1e6,
        turns_uj=times * turns_pj / 1e6,
        idle_uj=cycles * composition.cycle_pj / 1e6,
        sram_uj=sram_bits * memory.sram_pj_per_bit / 1e6,
        dram_uj=dram_bits * memory.dram_pj_per_bit / 1e6,
    )


def _moved_bits(layer: Layer, found: Schedule, design: Systolic) -> tuple[int, int]:
    """Return the bits that SRAM and DRAM read or write for all occurrences of a layer."""
    times = layer.count * layer.groups
    weights = times * layer.k * layer.n * design.b.width
    activations = layer.count * layer.activations * design.a.width
    results = times * found.results * design.out.width
    array = times * (
        found.activation_reads * design.a.width
        + found.weight_reads * design.b.width
        + found.partial_bits
    )
    outside = weights + activations + results
    # What the DRAM sends is written to the SRAM first, and results are read from it again.
    return array + results + outside, outside


def _workload(tree: Mapping[str, Any]) -> Workload:
    if "layers" not in tree:
        if "unit" in tree:
            raise SpecError("is a design and not a workload; name the workload before the design")
        if "designs" in tree or "spaces" in tree:
            raise SpecError("is a sweep and not a workload; minimac explore runs it")
    _known(tree, "", ("name", "layers", "memory"))
    layers = tree.get("layers")
    if not isinstance(layers, list) or not layers:
        raise SpecError(f"layers: must be a list of at least one layer, {_LAYER}")
    found = tuple(_layer(layer, f"layers.{n}") for n, layer in enumerate(layers))
    return Workload(
        name=_word(tree, "name", ""), layers=found, memory=memory_of(tree.get("memory", {}))
    )


#: What a layer is, as messages have it.
_LAYER = "as in {name: first, m: 128, k: 768, n: 768} or {name: first, conv: {...}}"


def _layer(tree: Any, where: str) -> Layer:
    if not isinstance(tree, dict):
        raise SpecError(f"{where}: must be a mapping, {_LAYER}, not {short_value(tree)}")
    prefix = f"{where}."
    name = _word(tree, "name", prefix)
    if "conv" in tree:
        for key in "mkn":
            if key in tree:
                raise SpecError(f"{prefix}{key}: follows from conv; leave one of them out")
        _known(tree, prefix, ("name", "conv", "count"))
        return _convolution(
            tree["conv"], f"{prefix}conv", name, _positive(tree, "count", prefix, 1)
        )
    _known(tree, prefix, ("name", "m", "k", "n", "count", "conv"))
    m, k, n = (_positive(tree, key, prefix) for key in "mkn")
    count = _positive(tree, "count", prefix, 1)
    return Layer(name=name, m=m, k=k, n=n, count=count, activations=m * k)


_MEMORY = ("sram_kb", "sram_pj_per_bit", "dram_pj_per_bit")
_CONV = ("batch", "in_channels", "out_channels", "kernel", "size", "stride", "padding", "groups")


def _convolution(tree: Any, where: str, name: str, count: int) -> Layer:
    """Turn a convolution into a product: a row for each place, a column for each channel."""
    if not isinstance(tree, dict):
        raise SpecError(
            f"{where}: must be a mapping of {', '.join(_CONV)}, not {short_value(tree)}"
        )
    prefix = f"{where}."
    _known(tree, prefix, _CONV)
    batch, groups = (_positive(tree, key, prefix, 1) for key in ("batch", "groups"))
    inputs, outputs = (_positive(tree, key, prefix) for key in ("in_channels", "out_channels"))
    kernel, size = (_pair(tree, key, prefix, None) for key in ("kernel", "size"))
    stride = _pair(tree, "stride", prefix, 1)
    padding = _pair(tree, "padding", prefix, 0, least=0)
    for key, channels in (("in_channels", inputs), ("out_channels", outputs)):
        if channels % groups:
            raise SpecError(f"{prefix}groups: must divide {key} ({channels}), not {groups}")
    places = batch
    for side, edge, reach, step in zip(size, padding, kernel, stride, strict=True):
        if reach > side + 2 * edge:
            raise SpecError(
                f"{prefix}kernel: must be at most the padded size ({side + 2 * edge}), not {reach}"
            )
        places *= (side + 2 * edge - reach) // step + 1
    return Layer(
        name=name,
        m=places,
        k=inputs // groups * kernel[0] * kernel[1],
        n=outputs // groups,
        count=count,
        groups=groups,
        activations=batch * inputs * size[0] * size[1],
    )


def memory_of(tree: Any) -> Memory:
    """Return the energy of memory: what is cited, unless a mapping as in a workload file has it."""
    if not isinstance(tree, dict):
        raise SpecError(
            f"memory: must be a mapping of {', '.join(_MEMORY)}, not {short_value(tree)}"
        )
    _known(tree, "memory.", _MEMORY)
    size = tree.get("sram_kb", 32)
    if isinstance(size, bool) or not isinstance(size, int) or size not in _SRAM_PJ:
        hint = as_number(size) or "; sram_pj_per_bit sets that of another"
        raise SpecError(
            f"memory.sram_kb: must be one of {', '.join(map(str, _SRAM_PJ))}, whose energy is "
            f"known, not {short_value(size)}{hint}"
        )
    sources = {
        "sram_pj_per_bit": f"{size} kB, {_SRAM_PJ[size]:g} pJ for {_ACCESS_BITS} bits",
        "dram_pj_per_bit": f"the middle of {_DRAM_PJ[0]:g} to {_DRAM_PJ[1]:g} pJ for "
        f"{_ACCESS_BITS} bits",
    }
    cited = {
        "sram_pj_per_bit": _SRAM_PJ[size] / _ACCESS_BITS,
        "dram_pj_per_bit": sum(_DRAM_PJ) / 2 / _ACCESS_BITS,
    }
    values, told = {}, []
    for key, energy in cited.items():
        values[key] = _energy(tree, key, energy)
        what = key.split("_")[0].upper()
        if key in tree:
            told.append(f"{what}: of the workload file")
        else:
            told.append(f"{what}: {sources[key]} (Horowitz, ISSCC 2014, 45 nm, not scaled)")
    return Memory(**values, source="; ".join(told))


def _known(tree: Mapping[str, Any], prefix: str, keys: Sequence[str]) -> None:
    for key in tree:
        if key not in keys:
            hint = nearest(str(key), keys) or f"; known are {', '.join(keys)}"
            raise SpecError(f"{prefix}{str(key)[:60]}: unknown key{hint}")


def _given(tree: Mapping[str, Any], key: str, prefix: str, default: int | None = None) -> Any:
    """Return the value of a key; without a default it is required."""
    value = tree.get(key, default)
    if value is None:
        raise SpecError(f"{prefix}{key}: is missing; this key is required")
    return value


def _word(tree: Mapping[str, Any], key: str, prefix: str) -> str:
    word = _given(tree, key, prefix)
    if not isinstance(word, str) or not word.strip() or not word.isprintable():
        number = isinstance(word, int | float) and not isinstance(word, bool)
        quotes = f'; write "{word}", in quotes' if number else ""
        raise SpecError(f"{prefix}{key}: must be a word, not {short_value(word)}{quotes}")
    return word


def _positive(tree: Mapping[str, Any], key: str, prefix: str, default: int | None = None) -> int:
    return _whole(_given(tree, key, prefix, default), f"{prefix}{key}", 1)


def _whole(value: Any, where: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise SpecError(
            f"{where}: must be a whole number from {least} to 2**32, not "
            f"{short_value(value)}{as_number(value)}"
        )
    return value


def _pair(
    tree: Mapping[str, Any], key: str, prefix: str, default: int | None, least: int = 1
) -> tuple[int, int]:
    value = _given(tree, key, prefix, default)
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2:
        raise SpecError(
            f"{prefix}{key}: must be a number or a list of two, not {short_value(value)}"
        )
    first, second = (_whole(item, f"{prefix}{key}", least) for item in pair)
    return first, second


def _energy(tree: Mapping[str, Any], key: str, default: float) -> float:
    value = tree.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise SpecError(
            f"memory.{key}: must be an energy in pJ, from 0 to less than 1000000, not "
            f"{short_value(value)}{as_number(value)}"
        )
    return float(value)
