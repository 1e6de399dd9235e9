"""From matrices of codes to the transfers of an array's ports, and back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.rtl import describe, plan
from minimac.spec import Design, Mac, Systolic

__all__ = ["Pass", "PortPacker", "Waveform", "passes", "waveform"]

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Pass:
    """One filling of an array: weights, and the activations that meet them.

    Attributes
    ----------
    weights : ndarray, shape (rows, columns)
        Codes; zero where the matrix has ended.
    activations : ndarray, shape (M, rows)
        Codes; zero where the matrix has ended.
    first, last : bool
        Whether the chains begin, and whether they end, in this pass.
    columns : slice
        Columns of the product that the pass belongs to.
    """

    weights: Codes
    activations: Codes
    first: bool
    last: bool
    columns: slice


def passes(design: Systolic, a: Codes, b: Codes) -> Iterator[Pass]:
    """Cut a matrix product into passes: for each group of columns, over all of K in order.

    Parameters
    ----------
    a, b : ndarray of int, shapes (M, K) and (K, N)
        Codes of the operands. The missing rows of a last pass are zeros at the end of the chain.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "x", "unit": "systolic", "a": "int8", "b": "int8",
    ...     "out": "int32", "accumulate": {"kind": "exact"}, "array": {"rows": 4, "columns": 2}})
    >>> [(p.first, p.last, p.columns.start) for p in
    ...  passes(design, np.ones((3, 6), int), np.ones((6, 4), int))]
    [(True, False, 0), (False, True, 0), (True, False, 2), (False, True, 2)]
    """
    rows, columns = design.array.rows, design.array.columns
    m, k = a.shape
    n = b.shape[1]
    starts = range(0, k, rows)
    for column in range(0, n, columns):
        for row in starts:
            weights = np.zeros((rows, columns), np.int64)
            activations = np.zeros((m, rows), np.int64)
            tile = b[row : row + rows, column : column + columns]
            weights[: tile.shape[0], : tile.shape[1]] = tile
            activations[:, : tile.shape[0]] = a[:, row : row + rows]
            yield Pass(
                weights,
                activations,
                row == starts[0],
                row == starts[-1],
                slice(column, min(column + columns, n)),
            )


class PortPacker:
    """Packs and unpacks the payloads of a design's ports, by its interface description."""

    def __init__(self, design: Design) -> None:
        self.ports: dict[str, Any] = describe(design)["ports"]

    def width(self, port: str) -> int:
        """Width of a port's payload, in bits."""
        return max(
            int(f["lowest_bit"] + f["width"] * f["count"])
            for f in self.ports[port]["payload"].values()
        )

    def pack(self, port: str, **fields: Any) -> int:
        """Pack fields, integers or sequences of them, into a payload."""
        payload = 0
        for name, value in fields.items():
            field = self.ports[port]["payload"][name]
            values = [value] if field["count"] == 1 and np.ndim(value) == 0 else list(value)
            for n, item in enumerate(values):
                payload |= int(item) << field["lowest_bit"] + n * field["width"]
        return payload

    def unpack(self, port: str, payload: int, name: str) -> list[int]:
        """Take the items of a field out of a payload."""
        field = self.ports[port]["payload"][name]
        mask = (1 << field["width"]) - 1
        low, width = field["lowest_bit"], field["width"]
        return [payload >> low + n * width & mask for n in range(field["count"])]


@dataclass(frozen=True)
class Waveform:
    """What to drive at the input ports of a design, cycle by cycle, in 64 lanes at once.

    Attributes
    ----------
    inputs : dict of str to ndarray of uint64, shape (cycles, width)
        For each input port but the clock, and each of its bits from the lowest, a word that holds
        the bit in lane 0 to 63.
    macs : int
        Multiply-accumulates of all lanes together, padding not counted.
    lanes : int
        Lanes in use; the others repeat the first ones.
    """

    inputs: dict[str, NDArray[np.uint64]]
    macs: int
    lanes: int


def waveform(design: Design, a: Codes, b: Codes) -> Waveform:
    """Lay out a matrix product as a waveform without stalls, rows of ``a`` spread over the lanes.

    All lanes run the same control and hold the same weights; each takes its own share of the rows
    of ``a``. For an array, chains longer than its rows need the partial sums of the pass before,
    which the hardware would return; so that inputs are known beforehand, every pass starts from
    zero. For a ``mac``, each lane takes its own dot products, one after the other.

    Parameters
    ----------
    a, b : ndarray of int, shapes (M, K) and (K, N)
        Codes of the operands; at least one row.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or 0 in (*a.shape, *b.shape):
        raise ValueError(
            f"operands must be of shapes (M, K) and (K, N) and not empty, not {a.shape}, {b.shape}"
        )
    if isinstance(design, Systolic):
        return _array_waveform(design, a, b)
    assert isinstance(design, Mac)
    return _mac_waveform(design, a, b)


class _Tape:
    """Cycles of port values, lane by lane, turned into words of bits at the end."""

    def __init__(self, design: Design, lanes: int) -> None:
        self.packer = PortPacker(design)
        self.lanes = lanes
        self._cycles: dict[str, list[NDArray[np.uint64]]] = {"rst": []}
        for port in self.packer.ports:
            direction = self.packer.ports[port]["direction"]
            if direction == "in":
                self._cycles[f"{port}__valid"] = []
                self._cycles[f"{port}__payload"] = []
            else:
                self._cycles[f"{port}__ready"] = []

    def cycle(self, *, reset: bool = False, **payloads: list[int]) -> None:
        """Add a cycle: for each port with a valid payload, its value in each lane."""
        ones = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
        for name, column in self._cycles.items():
            port, _, signal = name.partition("__")
            if name == "rst":
                column.append(np.array([ones if reset else 0], np.uint64))
            elif signal == "ready":
                column.append(np.array([ones], np.uint64))
            elif signal == "valid":
                column.append(np.array([ones if port in payloads else 0], np.uint64))
            elif port in payloads:
                column.append(_transpose(payloads[port], self.packer.width(port)))
            else:  # the bus keeps its value
                width = self.packer.width(port)
                column.append(column[-1] if column else np.zeros(width, np.uint64))

    def waveform(self, macs: int) -> Waveform:
        """Return all cycles."""
        inputs = {name: np.stack(column) for name, column in self._cycles.items()}
        return Waveform(inputs=inputs, macs=macs, lanes=self.lanes)


def _transpose(values: list[int], width: int) -> NDArray[np.uint64]:
    """Turn a value for each lane into a word of lanes for each bit; lanes repeat up to 64."""
    values = [values[n % len(values)] for n in range(64)]
    size = (width + 7) // 8
    raw = np.frombuffer(b"".join(v.to_bytes(size, "little") for v in values), np.uint8)
    bits = np.unpackbits(raw.reshape(64, size), axis=1, bitorder="little")[:, :width]
    words: NDArray[np.uint64] = np.packbits(bits.T, axis=1, bitorder="little").view(np.uint64)
    return words[:, 0]


def _shares(rows: int) -> tuple[int, NDArray[np.int64]]:
    """Spread rows over at most 64 lanes: their number, and the rows of each, wrapped around."""
    lanes = min(rows, 64)
    each = -(-rows // lanes)
    return lanes, np.arange(lanes * each).reshape(lanes, each) % rows


def _array_waveform(design: Systolic, a: Codes, b: Codes) -> Waveform:
    lanes, shares = _shares(len(a))
    tape = _Tape(design, lanes)
    latency = plan(design).latency
    for _ in range(2):
        tape.cycle(reset=True)
    for tile in passes(design, a, b):
        for row in tile.weights[::-1]:
            tape.cycle(w=[tape.packer.pack("w", weights=row)])
        for n in range(shares.shape[1]):
            tape.cycle(
                i=[
                    tape.packer.pack(
                        "i",
                        activations=tile.activations[share[n]],
                        first=1,
                        reload=int(n == shares.shape[1] - 1),
                    )
                    for share in shares
                ]
            )
        for _ in range(latency + 1):
            tape.cycle()
    return tape.waveform(shares.size * a.shape[1] * b.shape[1])


def _mac_waveform(design: Mac, a: Codes, b: Codes) -> Waveform:
    lanes, shares = _shares(len(a))
    tape = _Tape(design, lanes)
    for _ in range(2):
        tape.cycle(reset=True)
    k, n = b.shape
    for share in shares.T:
        for column in range(n):
            for term in range(k):
                tape.cycle(
                    i=[
                        tape.packer.pack(
                            "i", a=a[row, term], b=b[term, column], last=int(term == k - 1)
                        )
                        for row in share
                    ]
                )
    for _ in range(plan(design).latency):
        tape.cycle()
    return tape.waveform(shares.size * k * n)
