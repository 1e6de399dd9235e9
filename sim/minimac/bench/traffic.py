"""From matrices of codes to the transfers of an array's ports, and back."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.rtl import describe, plan
from minimac.spec import Design, Systolic

__all__ = ["LANES", "Pass", "PortPacker", "Waveform", "passes", "waveforms"]

Codes = NDArray[np.int64]
Words = NDArray[np.uint64]

#: Streams that run at once: the bits of a word.
LANES = 64


@dataclass(frozen=True)
class Pass:
    """One filling of an array: weights, and the activations that meet them.

    Attributes
    ----------
    weights : ndarray, shape (rows, columns)
        Codes; zero where the matrix has ended.
    activations : ndarray, shape (M, rows)
        Codes; zero where the matrix has ended.
    terms : int
        Rows that are in use.
    first, last : bool
        Whether the chains begin, and whether they end, in this pass.
    columns : slice
        Columns of the product that the pass belongs to.
    """

    weights: Codes
    activations: Codes
    terms: int
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
                tile.shape[0],
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

    def bits(self, port: str, name: str) -> slice:
        """Bits of a payload that a field takes."""
        field = self.ports[port]["payload"][name]
        low = field["lowest_bit"]
        return slice(low, low + field["width"] * field["count"])

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

    inputs: dict[str, Words]
    macs: int
    lanes: int


def waveforms(design: Design, a: Codes, b: Codes) -> Generator[Waveform, Mapping[str, Words], None]:
    """Lay out a matrix product as waveforms without stalls, in up to 64 lanes at once.

    In an array each lane takes the weights of its own group of columns and all rows of ``a``, or a
    share of at least 256 of them: loading weights must not weigh more than it would on the real
    thing. All lanes run the same control. There is a waveform for each pass over K; a pass that
    goes on with the chains of the one before needs its partial sums: send the generator what the
    output ports did in each cycle, ``{port: words of shape (cycles, width)}``.

    A ``mac`` has one waveform, and rows of ``a`` spread over the lanes.

    Parameters
    ----------
    a, b : ndarray of int, shapes (M, K) and (K, N)
        Codes of the operands; not empty.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or 0 in (*a.shape, *b.shape):
        raise ValueError(
            f"operands must be of shapes (M, K) and (K, N) and not empty, not {a.shape}, {b.shape}"
        )
    if isinstance(design, Systolic):
        groups = -(-b.shape[1] // design.array.columns)
        for first in range(0, groups, LANES):
            start = first * design.array.columns
            group = b[:, start : start + LANES * design.array.columns]
            yield from _array_waveforms(design, a, group)
    else:
        yield _mac_waveform(design, a, b)


_FEWEST_ROWS = 256  # that a lane takes, if there are as many


def _shares(rows: int, most: int, fewest: int) -> Codes:
    """Spread rows over lanes: the rows of each, wrapped around so that all have as many."""
    lanes = max(min(most, rows // fewest), 1)
    each = -(-rows // lanes)
    return np.arange(lanes * each).reshape(lanes, each) % rows


class _Tape:
    """Cycles of port values, lane by lane, turned into words of bits."""

    def __init__(self, design: Design, lanes: int) -> None:
        self.packer = PortPacker(design)
        self.lanes = lanes
        self._cycles: dict[str, list[Words]] = {"rst": []}
        for port, told in self.packer.ports.items():
            signals = ("valid", "payload") if told["direction"] == "in" else ("ready",)
            self._cycles |= {f"{port}__{signal}": [] for signal in signals}
        for _ in range(2):
            self.cycle(reset=True)

    def cycle(
        self, *, reset: bool = False, partial: Words | None = None, **payloads: list[int]
    ) -> None:
        """Add a cycle: for each port with a valid payload, its value in each lane.

        ``partial`` holds the bits of that field of ``i``.
        """
        for name, column in self._cycles.items():
            port, _, signal = name.partition("__")
            if signal != "payload":
                on = reset if name == "rst" else signal == "ready" or port in payloads
                column.append(np.full(1, np.uint64(0xFFFF_FFFF_FFFF_FFFF * on)))
                continue
            width = self.packer.width(port)
            if port in payloads:
                words = _transpose(payloads[port], width)
                if partial is not None and port == "i":
                    words[self.packer.bits("i", "partial")] = partial
                column.append(words)
            else:  # the bus keeps its value
                column.append(column[-1] if column else np.zeros(width, np.uint64))

    def waveform(self, macs: int) -> Waveform:
        """Return all cycles."""
        inputs = {name: np.stack(column) for name, column in self._cycles.items()}
        return Waveform(inputs=inputs, macs=macs, lanes=self.lanes)


def _transpose(values: list[int], width: int) -> Words:
    """Turn a value for each lane into a word of lanes for each bit; lanes repeat up to 64."""
    values = [values[n % len(values)] for n in range(64)]
    size = (width + 7) // 8
    raw = np.frombuffer(b"".join(v.to_bytes(size, "little") for v in values), np.uint8)
    bits = np.unpackbits(raw.reshape(64, size), axis=1, bitorder="little")[:, :width]
    lanes = np.ascontiguousarray(np.packbits(bits.T.copy(), axis=1, bitorder="little"))
    return lanes.view(np.uint64)[:, 0]


def _array_waveforms(
    design: Systolic, a: Codes, b: Codes
) -> Generator[Waveform, Mapping[str, Words], None]:
    by_group: dict[int, list[Pass]] = {}
    for tile in passes(design, a, b):
        by_group.setdefault(tile.columns.start, []).append(tile)
    shares = _shares(len(a), LANES // len(by_group), _FEWEST_ROWS)
    partial: Words | None = None
    for tiles in zip(*by_group.values(), strict=True):
        # A lane for each group of columns and each share of the rows.
        lanes = [(tile, share) for tile in tiles for share in shares]
        tape = _Tape(design, len(lanes))
        pack = tape.packer.pack
        for row in range(design.array.rows)[::-1]:
            tape.cycle(w=[pack("w", weights=tile.weights[row]) for tile, _ in lanes])
        for n in range(shares.shape[1]):
            vectors = [
                pack(
                    "i",
                    activations=tile.activations[share[n]],
                    first=tile.first,
                    reload=n == shares.shape[1] - 1,
                )
                for tile, share in lanes
            ]
            going_on = None if tiles[0].first or partial is None else partial[n]
            tape.cycle(partial=going_on, i=vectors)
        for _ in range(plan(design).latency + 1):
            tape.cycle()
        did = yield tape.waveform(shares.size * tiles[0].terms * b.shape[1])
        arrived = did["o__valid"][:, 0] != 0
        partial = did["o__payload"][arrived][:, tape.packer.bits("o", "partial")]


def _mac_waveform(design: Design, a: Codes, b: Codes) -> Waveform:
    shares = _shares(len(a), LANES, 1)
    tape = _Tape(design, len(shares))
    k, n = b.shape
    for share in shares.T:
        for column, term in np.ndindex(n, k):
            y, last = b[term, column], term == k - 1
            tape.cycle(i=[tape.packer.pack("i", a=a[row, term], b=y, last=last) for row in share])
    for _ in range(plan(design).latency):
        tape.cycle()
    return tape.waveform(shares.size * k * n)
