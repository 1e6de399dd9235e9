"""Matrix products on a board, or on its simulation."""

import contextlib
import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.host.errors import HostError
from minimac.host.link import Link
from minimac.host.tiling import Run, cheapest
from minimac.model import decode, encode
from minimac.model.operands import read_codes
from minimac.soc.registers import BAUD, MAGIC, REGISTERS, VERSION, Control, Space
from minimac.spec import Design, Format, SpecError, Systolic, load_design

__all__ = ["Accelerator"]

_SIMULATED = "sim:"

Codes = NDArray[Any]


class Accelerator:
    """A board with an array on it.

    Parameters
    ----------
    link : Link
        The way to it.
    design : Design, optional
        The design that it must have.

    Attributes
    ----------
    design : Systolic
        The design, as the board tells it.
    depth : int
        Words of its buffers.
    clock_hz : int
        Its clock; 0 in a simulation.
    macs : int
        Multiply-accumulates that were asked for since it was opened.

    Raises
    ------
    HostError
        If there is no board, it has another version, or another design.
    """

    def __init__(self, link: Link, design: Design | None = None) -> None:
        self.link = link
        self.macs = 0
        told = link.registers("identity", 7)
        if told["identity"] != MAGIC:
            raise HostError(f"{link.name}: something answers, but it is no board of minimac")
        if told["version"] != VERSION:
            raise HostError(
                f"{link.name}: the board speaks version {told['version']}, and this is for "
                f"{VERSION}; build its bitstream anew"
            )
        digest = f"{told['digest_high'] << 32 | told['digest_low']:016x}"
        if design is not None and design.digest != digest:
            raise HostError(
                f"{link.name}: the board has design {digest}, not {design.name} "
                f"({design.digest}); build and load its bitstream"
            )
        text = zlib.decompress(link.read(Space.DESCRIPTION, 0, told["description"], 1))
        found = load_design(json.loads(text))
        if not isinstance(found, Systolic) or found.digest != digest:
            raise HostError(f"{link.name}: the board has a design of another version of minimac")
        self.design = found
        self.depth, self.clock_hz = told["depth"], told["clock_hz"]
        self._held: dict[Space, Any] = {}
        self._begin()

    @classmethod
    def open(
        cls,
        where: str,
        design: Design | str | Path | None = None,
        *,
        baud: int = BAUD,
        timeout_s: float | None = None,
        tries: int = 4,
    ) -> "Accelerator":
        """Open a board at a serial port, or ``sim:DESIGN``, the simulation of a design's board.

        Parameters
        ----------
        where : str
            ``/dev/ttyUSB1``, ``COM3``, or ``sim:`` and a design file.
        design : Design or path, optional
            The design that it must have; any one by default.
        baud : int
            Bits a second.
        timeout_s, tries : float, int
            As of :class:`Link`; by default 1 s, and 10 s in a simulation.

        Raises
        ------
        HostError
            If it cannot be opened, or what answers is not that.
        """
        wanted = load_design(design) if isinstance(design, (str, Path)) else design
        if where.startswith(_SIMULATED):
            from minimac.host.simulation import open_simulated

            wanted = wanted or load_design(where.removeprefix(_SIMULATED))
            if not isinstance(wanted, Systolic):
                raise SpecError(f"unit: a board takes systolic, not {wanted.unit}")
            port: Any = open_simulated(wanted)
            timeout_s = timeout_s or 10.0
        else:
            port = _open_port(where, baud)
        try:
            return cls(Link(port, where, timeout_s=timeout_s or 1.0, tries=tries), wanted)
        except BaseException:
            port.close()
            raise

    def close(self) -> None:
        """Close the link."""
        self.link.close()

    def __enter__(self) -> "Accelerator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def counters(self) -> dict[str, int]:
        """Read what the board has counted: cycles, frames and errors."""
        names = [register.name for register in REGISTERS]
        first = names.index("moved")
        return self.link.registers("moved", len(names) - first)

    def matmul(
        self,
        a: ArrayLike,
        b: ArrayLike,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> NDArray[Any]:
        """Multiply matrices of any size on the board.

        Parameters
        ----------
        a, b : array_like, shapes (..., M, K) and (..., K, N)
            Codes of ``design.a`` and ``design.b``, integers; or numbers, which are rounded to
            these formats.
        progress : callable, optional
            Is told the share that is done, above 0 and up to 1, after each run.

        Returns
        -------
        ndarray
            Of codes: codes of ``design.out``, equal to those of :func:`minimac.model.matmul`, bit
            by bit. Of numbers: their values.

        Raises
        ------
        HostError
            If the board does not answer.
        ValueError
            If something is no code, shapes do not match, or K is above ``max_terms``.
        """
        numbers = any(np.asarray(x).dtype.kind == "f" for x in (a, b))
        left = _codes(self.design.a, a, "a")
        right = _codes(self.design.b, b, "b")
        if min(left.ndim, right.ndim) < 2 or left.shape[-1] != right.shape[-2]:
            raise ValueError(
                "a and b must be of shapes (..., M, K) and (..., K, N), not "
                f"{left.shape} and {right.shape}"
            )
        (m, k), n = left.shape[-2:], right.shape[-1]
        terms = self.design.accumulate.max_terms
        if k > terms:
            raise ValueError(f"K must be max_terms, {terms}, at most, not {k}")
        lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        stack = math.prod(lead)
        lefts = np.broadcast_to(left, (*lead, m, k)).reshape(stack, m, k)
        rights = np.broadcast_to(right, (*lead, k, n)).reshape(stack, k, n)
        out = np.zeros((stack, m, n), _type(self.design.out))
        plan = cheapest(self.design, self.depth, m, k, n) if m * k * n else []
        for number, (x, y, z) in enumerate(zip(lefts, rights, out, strict=True)):
            self._held.clear()  # what the buffers hold is of other matrices
            for done, run in enumerate(plan, 1):
                self._run(run, x, y, z)
                if progress:
                    progress((number + done / len(plan)) / len(out))
        self.macs += stack * m * k * n
        codes = out.reshape(*lead, m, n)
        return decode(self.design.out, codes) if numbers else codes

    def _begin(self) -> None:
        """End chains that another host may have left in the array."""
        self._start(1, 1, first=True, last=True)

    def _start(self, vectors: int, passes: int, *, first: bool, last: bool) -> None:
        control = 1 << Control.START | first << Control.FIRST | last << Control.LAST
        self.link.set_registers("vectors", vectors, passes, control)

    def _run(self, run: Run, a: Codes, b: Codes, out: Codes) -> None:
        if self.design.array.dataflow == "os":
            self._run_terms(run, a, b, out)
        else:
            self._run_passes(run, a, b, out)

    def _run_passes(self, run: Run, a: Codes, b: Codes, out: Codes) -> None:
        """Run where weights stay: the buffers hold pass after pass."""
        array = self.design.array
        activation, weight = self.design.padding or (0, 0)
        vectors = a[run.rows, run.terms]
        passes = -(-vectors.shape[1] // array.rows)
        tall, high = passes * array.rows, len(vectors)

        def activations() -> Codes:
            padded = _padded(vectors, high, tall, activation)
            return (
                padded.reshape(high, passes, array.rows).transpose(1, 0, 2).reshape(-1, array.rows)
            )

        def weights() -> Codes:
            padded = _padded(b[run.terms, run.columns], tall, array.columns, weight)
            return padded.reshape(passes, array.rows, -1)[:, ::-1].reshape(tall, -1)

        self._put(Space.ACTIVATIONS, (run.rows, run.terms), activations, self.design.a.width)
        self._put(Space.WEIGHTS, (run.terms, run.columns), weights, self.design.b.width)
        self._start(high, passes, first=run.first, last=run.last)
        if run.last:
            out[run.rows, run.columns] = self._results(high)[:, : _size(run.columns)]

    def _run_terms(self, run: Run, a: Codes, b: Codes, out: Codes) -> None:
        """Run where sums stay: the buffers hold term after term."""
        array = self.design.array
        x, y = a[run.rows, run.terms].T, b[run.terms, run.columns]
        self._put(
            Space.ACTIVATIONS,
            (run.rows, run.terms),
            lambda: _padded(x, len(x), array.rows, 0),
            self.design.a.width,
        )
        self._put(
            Space.WEIGHTS,
            (run.terms, run.columns),
            lambda: _padded(y, len(y), array.columns, 0),
            self.design.b.width,
        )
        self._start(len(x), 1, first=run.first, last=run.last)
        if run.last:
            got = self._results(array.rows)
            out[run.rows, run.columns] = got[: _size(run.rows), : _size(run.columns)]

    def _put(self, space: Space, what: Any, words: Callable[[], Codes], width: int) -> None:
        """Write a buffer from its beginning, unless it has that already."""
        if self._held.get(space) != what:
            self._held.pop(space, None)
            packed = _pack(words(), width)
            self.link.write(space, 0, packed.tobytes(), packed.shape[1])
            self._held[space] = what

    def _results(self, count: int) -> Codes:
        columns, width = self.design.array.columns, self.design.out.width
        size = -(-columns * width // 8)
        data = self.link.read(Space.RESULTS, 0, count, size)
        return _unpack(np.frombuffer(data, np.uint8).reshape(count, size), columns, width)


def _open_port(where: str, baud: int) -> Any:
    import serial

    try:
        port = serial.Serial(where, baud, timeout=0.05)
    except (serial.SerialException, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise HostError(f"{where}: cannot be opened: {why}") from None
    if hasattr(port, "set_low_latency_mode"):
        with contextlib.suppress(OSError, ValueError):
            # FTDI's chips wait for 16 ms else, to fill their packets.
            port.set_low_latency_mode(True)
    return port


def _size(part: slice) -> int:
    return int(part.stop - part.start)


def _codes(fmt: Format, given: ArrayLike, name: str) -> Codes:
    array = np.asarray(given)
    if array.dtype.kind == "f":
        return encode(fmt, array)
    return read_codes(fmt, given, name)


def _type(fmt: Format) -> Any:
    return np.uint8 if fmt.width <= 8 else np.uint16 if fmt.width <= 16 else np.uint32


def _padded(codes: Codes, rows: int, columns: int, code: int) -> Codes:
    padded = np.full((rows, columns), code, np.uint32)
    padded[: codes.shape[0], : codes.shape[1]] = codes
    return padded


def _pack(codes: Codes, width: int) -> NDArray[np.uint8]:
    """Put the codes of each row side by side, the first lowest; return bytes, lowest first."""
    raw = np.ascontiguousarray(codes, "<u4").view(np.uint8).reshape(*codes.shape, 4)
    bits = np.unpackbits(raw, axis=-1, bitorder="little")[..., :width]
    return np.packbits(bits.reshape(len(codes), -1), axis=-1, bitorder="little")


def _unpack(raw: NDArray[np.uint8], count: int, width: int) -> Codes:
    """Take the codes of each row apart again."""
    bits = np.unpackbits(raw, axis=-1, bitorder="little")[:, : count * width]
    wide = np.zeros((len(raw), count, 32), np.uint8)
    wide[..., :width] = bits.reshape(len(raw), count, width)
    found: Codes = np.packbits(wide, axis=-1, bitorder="little").view("<u4")[..., 0]
    return found
