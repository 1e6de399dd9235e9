"""From matrices of codes to the transfers of an array's ports, and back."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.bench.dots import chains
from minimac.bench.transfers import TRANSFERS, length
from minimac.model import Blocks
from minimac.rtl import describe, plan
from minimac.spec import Design, Dot, Systolic

__all__ = [
    "LANES",
    "Pass",
    "PortPacker",
    "Tile",
    "Waveform",
    "passes",
    "tiles",
    "waveforms",
]

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
        Codes of the operands. The missing rows of a last pass are products at the end of the chain
        that change nothing: ``design.padding``.

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
    activation, weight = design.padding or (0, 0)
    for column in range(0, n, columns):
        for row in starts:
            weights = np.full((rows, columns), weight, np.int64)
            activations = np.full((m, rows), activation, np.int64)
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


@dataclass(frozen=True)
class Tile:
    """A product of matrices that an output-stationary array takes at once.

    Attributes
    ----------
    activations : ndarray, shape (K, rows)
        Codes, term by term; zero where the matrix has ended.
    weights : ndarray, shape (K, columns)
        Codes, term by term; zero where the matrix has ended.
    rows, columns : slice
        Rows and columns of the whole product that it is.
    """

    activations: Codes
    weights: Codes
    rows: slice
    columns: slice


def tiles(design: Systolic, a: Codes, b: Codes) -> Iterator[Tile]:
    """Cut a matrix product into tiles, for an array whose sums stay.

    Parameters
    ----------
    a, b : ndarray of int, shapes (M, K) and (K, N)
        Codes of the operands.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "x", "unit": "systolic", "a": "int8", "b": "int8",
    ...     "out": "int32", "accumulate": {"kind": "exact"},
    ...     "array": {"rows": 2, "columns": 2, "dataflow": "os"}})
    >>> [(t.rows.start, t.columns.start) for t in
    ...  tiles(design, np.ones((3, 6), int), np.ones((6, 4), int))]
    [(0, 0), (0, 2), (2, 0), (2, 2)]
    """
    rows, columns = design.array.rows, design.array.columns
    (m, k), n = a.shape, b.shape[1]
    for row in range(0, m, rows):
        for column in range(0, n, columns):
            block = slice(row, min(row + rows, m)), slice(column, min(column + columns, n))
            activations = np.zeros((k, rows), np.int64)
            weights = np.zeros((k, columns), np.int64)
            activations[:, : block[0].stop - row] = a[block[0]].T
            weights[:, : block[1].stop - column] = b[:, block[1]]
            yield Tile(activations, weights, *block)


class PortPacker:
    """Packs and unpacks the payloads of a design's streams: their fields, one after the other.

    Parameters
    ----------
    design : Design
        The design.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> packer = PortPacker(load_design({"name": "x", "unit": "mac", "a": "int4", "b": "int8",
    ...     "out": "int32", "accumulate": {"kind": "exact"}}))
    >>> hex(packer.pack("i", a=3, b=0xff, last=1))
    '0x1ff3'
    >>> packer.unpack("i", 0x1ff3, "b")
    [255]
    """

    def __init__(self, design: Design) -> None:
        self.streams: dict[str, Any] = describe(design)["streams"]
        self._bits: dict[str, dict[str, slice]] = {}
        for name, stream in self.streams.items():
            low = 0
            places = self._bits[name] = {}
            for key, field in stream["fields"].items():
                places[key] = slice(low, low + field["width"] * field["count"])
                low = places[key].stop

    def width(self, stream: str) -> int:
        """Width of a stream's payload, in bits."""
        return max(int(bits.stop) for bits in self._bits[stream].values())

    def bits(self, stream: str, name: str) -> slice:
        """Bits of a payload that a field takes."""
        return self._bits[stream][name]

    def pack(self, stream: str, **fields: Any) -> int:
        """Pack fields, integers or sequences of them, into a payload."""
        payload = 0
        for name, value in fields.items():
            field = self.streams[stream]["fields"][name]
            low = self._bits[stream][name].start
            values = [value] if field["count"] == 1 and np.ndim(value) == 0 else list(value)
            for n, item in enumerate(values):
                payload |= int(item) << low + n * field["width"]
        return payload

    def unpack(self, stream: str, payload: int, name: str) -> list[int]:
        """Take the items of a field out of a payload."""
        field = self.streams[stream]["fields"][name]
        low, width = self._bits[stream][name].start, field["width"]
        return [payload >> low + n * width & (1 << width) - 1 for n in range(field["count"])]


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

    In an array whose weights stay, each lane takes the weights of its own group of columns and all
    rows of ``a``, or a share of at least 256 of them: loading weights must not weigh more than it
    would on the real thing. All lanes run the same control. There is a waveform for each pass over
    K; a pass that goes on with the chains of the one before needs its partial sums: send the
    generator what the output ports did in each cycle, ``{port: words of shape (cycles, width)}``.

    An output-stationary array has one waveform, and tiles of the product spread over the lanes; a
    ``mac`` likewise, and rows of ``a``.

    Parameters
    ----------
    a, b : ndarray of int, shapes (M, K) and (K, N)
        Codes of the operands; not empty.
    """
    if isinstance(design, Dot):
        yield _dot_waveform(design, a, b)
        return
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or 0 in (*a.shape, *b.shape):
        raise ValueError(
            f"operands must be of shapes (M, K) and (K, N) and not empty, not {a.shape}, {b.shape}"
        )
    if isinstance(design, Systolic) and design.array.dataflow == "os":
        yield _tile_waveform(design, a, b)
    elif isinstance(design, Systolic):
        groups = -(-b.shape[1] // design.array.columns)
        for first in range(0, groups, LANES):
            start = first * design.array.columns
            group = b[:, start : start + LANES * design.array.columns]
            yield from _array_waveforms(design, a, group)
    elif type(design) in TRANSFERS:
        yield _transfer_waveform(design, a, b)
    else:
        yield _mac_waveform(design, a, b)


# That a lane takes, if there are as many.
_FEWEST_ROWS = 256
_FEWEST_TILES = 4


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
        self._told = told = describe(design)
        self._widths = {
            port["name"]: port["width"]
            for port in told["ports"]
            if port["direction"] == "in" and port["name"] != told["clock"]["port"]
        }
        self._cycles: dict[str, list[Words]] = {port: [] for port in self._widths}
        for _ in range(2):
            self.cycle(reset=True)

    def cycle(
        self, *, reset: bool = False, partial: Words | None = None, **payloads: list[int]
    ) -> None:
        """Add a cycle: for each stream with a valid payload, its value in each lane.

        ``partial`` holds the bits of that field of ``i``.
        """
        now = {  # a bus keeps its value
            port: column[-1] if column else np.zeros(self._widths[port], np.uint64)
            for port, column in self._cycles.items()
        }
        for port, on in self._controls(reset, payloads).items():
            now[port] = np.full(1, np.uint64(0xFFFF_FFFF_FFFF_FFFF * on))
        for name, values in payloads.items():
            words = _transpose(values, self.packer.width(name))
            if partial is not None and name == "i":
                words[self.packer.bits("i", "partial")] = partial
            for key, field in self._told["streams"][name]["fields"].items():
                bits, low = self.packer.bits(name, key), field["lowest_bit"]
                now[field["port"]] = driven = now[field["port"]].copy()
                driven[low : low + bits.stop - bits.start] = words[bits]
        for port, words in now.items():
            self._cycles[port].append(words)

    def transfers(self, **fields: Codes) -> None:
        """Add cycles with a transfer on ``i`` each: for each field, its code by cycle and lane."""
        count = len(next(iter(fields.values())))
        for port, on in self._controls(False, {"i": None}).items():
            word = np.full(1, np.uint64(0xFFFF_FFFF_FFFF_FFFF * on))
            self._cycles[port] += [word] * count
        told = self._told["streams"]["i"]["fields"]
        driven = {
            field["port"]: np.repeat(self._cycles[field["port"]][-1][None], count, axis=0)
            for field in told.values()
        }
        for name, codes in fields.items():
            field = told[name]
            low = field["lowest_bit"]
            driven[field["port"]][:, low : low + field["width"]] = _words(codes, field["width"])
        for port, words in driven.items():
            self._cycles[port] += list(words)
        for column in self._cycles.values():  # other buses keep their values
            column += [column[-1]] * (len(self._cycles[next(iter(driven))]) - len(column))

    def _controls(self, reset: bool, payloads: Mapping[str, Any]) -> dict[str, bool]:
        """Whether reset, clock enable, valid and ready are high, by their ports."""
        on = {}
        if told := self._told["reset"]:
            on[told["port"]] = reset == (told["active"] == "high")
        if told := self._told["clock_enable"]:
            on[told["port"]] = True
        for name, stream in self._told["streams"].items():
            into = stream["direction"] == "in"
            on[stream["valid" if into else "ready"]] = name in payloads or not into
        return on

    def sampled(self, did: Mapping[str, Words], name: str) -> Words:
        """Return a field of ``o`` in the cycles in which it is valid: words, (transfers, bits)."""
        stream = self._told["streams"]["o"]
        field = stream["fields"][name]
        bits = self.packer.bits("o", name)
        low = field["lowest_bit"]
        arrived = did[stream["valid"]][:, 0] != 0
        words: Words = did[field["port"]][arrived][:, low : low + bits.stop - bits.start]
        return words

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


def _words(codes: Codes, width: int) -> Words:
    """Turn codes by cycle and lane into words of lanes, by cycle and bit; lanes repeat up to 64."""
    lanes, places = np.arange(64) % codes.shape[1], np.arange(width)[:, None]
    found = np.empty((len(codes), width), np.uint64)
    for first in range(0, len(codes), 1024):
        some = codes[first : first + 1024, None, lanes] >> places & 1
        packed = np.packbits(some.astype(np.uint8), axis=2, bitorder="little")
        found[first : first + 1024] = np.ascontiguousarray(packed).view(np.uint64)[:, :, 0]
    return found


def _array_waveforms(
    design: Systolic, a: Codes, b: Codes
) -> Generator[Waveform, Mapping[str, Words], None]:
    by_group: dict[int, list[Pass]] = {}
    for tile in passes(design, a, b):
        by_group.setdefault(tile.columns.start, []).append(tile)
    shares = _shares(len(a), LANES // len(by_group), _FEWEST_ROWS)
    partial: Words | None = None
    for group in zip(*by_group.values(), strict=True):
        # A lane for each group of columns and each share of the rows.
        lanes = [(tile, share) for tile in group for share in shares]
        tape = _Tape(design, len(lanes))
        pack = tape.packer.pack
        for row in range(design.array.rows)[::-1]:
            tape.cycle(w=[pack("w", weights=tile.weights[row]) for tile, _ in lanes])
        if design.array.double_buffer:
            tape.cycle()  # the weights come into use
        last = group[0].last
        told = {"last": last} if "last" in tape.packer.streams["i"]["fields"] else {}
        for n in _taken(design, shares.shape[1], last=last):
            if n is None:
                tape.cycle()
                continue
            vectors = [
                pack(
                    "i",
                    activations=tile.activations[share[n]],
                    first=tile.first,
                    reload=n == shares.shape[1] - 1,
                    **told,
                )
                for tile, share in lanes
            ]
            going_on = None if group[0].first or partial is None else partial[n]
            tape.cycle(partial=going_on, i=vectors)
        did = yield tape.waveform(shares.size * group[0].terms * b.shape[1])
        # Before the reset, `valid` may be anything.
        partial = tape.sampled(did, "partial")[-shares.shape[1] :]


def _taken(design: Systolic, vectors: int, *, last: bool) -> Iterator[int | None]:
    """Say which vector an array takes in each cycle, until all results are out.

    All moves at once, but for the chains that wait at the end for a foot that they share.
    """
    planned = plan(design)
    wait = planned.foot_cycles if planned.shares_foot and last else 1
    on_the_way = [False] * (planned.latency - planned.foot_cycles)
    coming = iter(range(vectors))
    waited = results = 0
    while results < vectors:
        if on_the_way[-1]:
            waited = (waited + 1) % wait
            results += not waited
        if waited:
            yield None
            continue
        vector = next(coming, None)
        on_the_way = [vector is not None, *on_the_way[:-1]]
        yield vector
    yield from [None] * (planned.foot.latency + 2)


def _tile_waveform(design: Systolic, a: Codes, b: Codes) -> Waveform:
    cut = list(tiles(design, a, b))
    shares = _shares(len(cut), LANES, _FEWEST_TILES)
    tape = _Tape(design, len(shares))
    terms, interval = a.shape[1], plan(design).interval
    for share in shares.T:
        for term in range(terms):
            if term == terms - 1:
                for _ in range(interval - terms):
                    tape.cycle()
            lanes = [
                tape.packer.pack(
                    "i",
                    activations=cut[n].activations[term],
                    weights=cut[n].weights[term],
                    last=term == terms - 1,
                )
                for n in share
            ]
            tape.cycle(i=lanes)
    for _ in range(interval + plan(design).foot.latency + 1):
        tape.cycle()
    sums = [(t.rows.stop - t.rows.start) * (t.columns.stop - t.columns.start) for t in cut]
    return tape.waveform(terms * sum(sums[n] for n in shares.flat))


def _mac_waveform(design: Design, a: Codes, b: Codes) -> Waveform:
    shares = _shares(len(a), LANES, 1)
    tape = _Tape(design, len(shares))
    k, n = b.shape
    for share in shares.T:
        # Column by column, and in each of them term by term.
        weights = np.repeat(b.T.reshape(-1, 1), len(share), axis=1)
        last = np.repeat((np.arange(n * k) % k == k - 1)[:, None], len(share), axis=1)
        tape.transfers(a=np.tile(a[share].T, (n, 1)), b=weights, last=last.astype(np.int64))
    for _ in range(plan(design).latency):
        tape.cycle()
    return tape.waveform(shares.size * k * n)


def _dot_waveform(design: Dot, a: Any, b: Any) -> Waveform:
    found = list(chains(design, a, b))
    shares = _shares(len(found), LANES, 1)
    tape = _Tape(design, len(shares))
    for share in shares.T:
        for together in zip(*(found[n][1] for n in share), strict=True):
            tape.cycle(i=[tape.packer.pack("i", **fields) for fields in together])
    for _ in range(plan(design).latency):
        tape.cycle()
    return tape.waveform(shares.size * (a.elements if isinstance(a, Blocks) else a).shape[1])


def _transfer_waveform(design: Design, a: Codes, b: Codes) -> Waveform:
    bench = TRANSFERS[type(design)]
    shares = _shares(len(a), LANES, 1)
    tape = _Tape(design, len(shares))
    lanes = [bench.given(design, a[share], b) for share in shares]
    macs = sum(bench.operations(design, fields) for fields in lanes)
    gaps = np.max([bench.gaps(design, fields) for fields in lanes], axis=0)
    codes = {name: np.stack([fields[name] for fields in lanes], axis=1) for name in lanes[0]}
    if not gaps.any() and all(c.ndim == 2 and c.dtype == np.int64 for c in codes.values()):
        tape.transfers(**codes)
        for _ in range(plan(design).latency):
            tape.cycle()
        return tape.waveform(macs)
    columns = [{name: column.tolist() for name, column in fields.items()} for fields in lanes]
    for n in range(length(lanes[0])):
        tape.cycle(
            i=[
                tape.packer.pack("i", **{name: column[n] for name, column in fields.items()})
                for fields in columns
            ]
        )
        for _ in range(int(gaps[n])):
            tape.cycle()
    for _ in range(plan(design).latency):
        tape.cycle()
    return tape.waveform(macs)
