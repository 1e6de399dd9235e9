"""Test vectors: dot products and the codes that they must give, for other people's benches."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.model.blocks import Blocks
from minimac.model.elementwise import OPERATIONS, operate
from minimac.model.products import matmul
from minimac.model.scalars import decode, encode
from minimac.spec import (
    Adder,
    BlockFormat,
    Codebook,
    Design,
    Dot,
    ExponentOnly,
    FixedAccumulation,
    FixedPoint,
    Format,
    FusedAccumulation,
    KHot,
    Mac,
    Minifloat,
    Multiplier,
    SpecError,
    Systolic,
)

__all__ = ["Field", "Vectors", "check_unit", "draw_vectors"]

Codes = NDArray[np.int64]

_MOST_CASES = 1 << 20
_MOST_TERMS = 1 << 16
_MOST_CODES = 1 << 22  # of one operand, in all cases
_CLOSED_BITS = 20  # operands of so many bits altogether are tried in all ways
_RANDOM_BITS = 16  # of a stochastic rounding
_GROUPS = 16  # of cases; those of one group share what is one for a whole tensor
_AT_ONCE = 1 << 24  # bits that are turned into text at a time


@dataclass(frozen=True, eq=False)
class Field:
    """A part of every case.

    Attributes
    ----------
    name : str
        ``a``, ``a_scale``, ``a_tensor`` (scales of blocks and of the tensor, if there are any), the
        same for ``b``, ``c`` (of a fused multiply-add), ``random`` (bits for a stochastic
        rounding), ``out``.
    width : int
        Width of a code, in bits.
    codes : ndarray of uint8, uint16 or uint32, shape (cases, count)
        Codes.
    """

    name: str
    width: int
    codes: NDArray[Any]

    @property
    def count(self) -> int:
        """Codes in a case."""
        return int(self.codes.shape[1])


@dataclass(frozen=True, eq=False)
class Vectors:
    """Dot products ``a[0] * b[0] + ... + a[K-1] * b[K-1]`` and the codes that a design returns.

    Of a unit of one operation a transfer, operands and results of that operation.

    Attributes
    ----------
    design : Design
        The design.
    fields : tuple of Field
        What there is in a case, in order: first ``a``, last ``out``.
    seed : int or None
        Seed that the operands were drawn with; None if these are all there are.
    """

    design: Design
    fields: tuple[Field, ...]
    seed: int | None

    def __len__(self) -> int:
        return len(self.fields[0].codes)

    @property
    def terms(self) -> int:
        """Products in a case, K."""
        return self.fields[0].count

    @property
    def case_bits(self) -> int:
        """Width of a case with all its codes side by side, in bits."""
        return sum(field.width * field.count for field in self.fields)

    def describe(self) -> list[str]:
        """Return what a reader of a file must know, in lines of text."""
        design = self.design
        if type(design) in OPERATIONS:
            what, accumulate = f"out = {OPERATIONS[type(design)]}", "none"
        else:
            what = f"dot products of {self.terms} terms"
            accumulate = json.dumps(design.accumulate.as_dict())
        within = f", within: {json.dumps(design.within.as_dict())}" if design.within else ""
        rules = f"out_round: {design.out_round}, out_overflow: {design.out_overflow}"
        drawn = "all operands" if self.seed is None else f"drawn with seed {self.seed}"
        fields = " ".join(
            f"{field.name}:{field.width}" + (f"*{field.count}" if field.count > 1 else "")
            for field in self.fields
        )
        return [
            f"minimac {version('minimac')}: test vectors of {design.name} ({design.digest})",
            f"a: {design.a.name}, b: {design.b.name}, out: {design.out.name}",
            f"product: {design.product}, {rules}",
            f"accumulate: {accumulate}{within}",
            f"cases: {len(self)} ({what}, {drawn})",
            f"fields: {fields}",
        ]

    def as_csv(self) -> str:
        """Return a table: a line of names, and one of hexadecimal codes for each case."""
        head = [f"# {line}" for line in self.describe()]
        head += ["# name:width*count, in bits and codes; all codes are hexadecimal"]
        names, columns = [], []
        for field in self.fields:
            arrays = () if type(self.design) in OPERATIONS else ("a", "b")
            single = field.count == 1 and field.name not in arrays
            names += [field.name] if single else [f"{field.name}{k}" for k in range(field.count)]
            digits = -(-field.width // 4)
            columns += [[f"{code:0{digits}x}" for code in row] for row in field.codes.T.tolist()]
        rows = map(",".join, zip(*columns, strict=True))
        return "\n".join([*head, ",".join(names), *rows, ""])

    def as_hex(self) -> str:
        """Return a file for ``$readmemh``: in each line all codes of a case, the first one lowest.

        So a line is ``{out, b[K-1], ..., b[0], a[K-1], ..., a[0]}`` as one number.
        """
        last_first = ", ".join(field.name for field in reversed(self.fields))
        head = [f"// {line}" for line in self.describe()]
        head += [f"// name:width*count, in bits and codes; a line is {{{last_first}}}, a[0] lowest"]
        return "\n".join([*head, *self._packed(), ""])

    def _packed(self) -> Iterator[str]:
        digits = -(-self.case_bits // 4)
        step = max(1, _AT_ONCE // self.case_bits)
        for start in range(0, len(self), step):
            parts = []
            for field in self.fields:
                codes = field.codes[start : start + step].astype(np.uint32)
                bits = codes[:, :, None] >> np.arange(field.width, dtype=np.uint32) & 1
                parts.append(bits.astype(np.uint8).reshape(len(codes), -1))
            packed = np.packbits(np.concatenate(parts, axis=1), axis=1, bitorder="little")
            for row in packed[:, ::-1]:
                yield row.tobytes().hex()[-digits:]

    def as_npz(self) -> bytes:
        """Return an archive of arrays by name of field, and ``meta``, JSON: equal if these are.

        Terms of dot products and their scales have shape (cases, count), other fields (cases,).
        """
        design = self.design
        meta = {
            "minimac": version("minimac"),
            "design": design.as_dict(),
            "digest": design.digest,
            "seed": self.seed,
            "widths": {field.name: field.width for field in self.fields},
        }
        arrays = {"meta": np.array(json.dumps(meta))}
        for field in self.fields:
            several = field.name in ("a", "b", "a_scale", "b_scale")
            several = several and type(design) not in OPERATIONS
            arrays[field.name] = field.codes if several else field.codes[:, 0]
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            for name, array in arrays.items():
                content = io.BytesIO()
                np.lib.format.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
                # Of the time of writing, which is what NumPy notes, nobody wants to know.
                entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                file.writestr(entry, content.getvalue())
        return archive.getvalue()


def check_unit(design: Design) -> None:
    """Refuse units of which no vectors are written: all but dot products and single operations.

    Raises
    ------
    SpecError
        If the unit is another.
    """
    if not (isinstance(design, (Mac, Dot, Systolic)) or type(design) in OPERATIONS):
        raise SpecError(
            f"unit: there are no test vectors of {design.unit} yet; minimac simulate holds its "
            "circuit against the model"
        )


def draw_vectors(
    design: Design,
    *,
    count: int | None = None,
    terms: int | None = None,
    seed: int = 0,
    exhaustive: bool = False,
) -> Vectors:
    """Draw operands that find faults, and compute what a design makes of them.

    Parameters
    ----------
    design : Design
        The design.
    count : int, optional
        Cases, 1000 by default.
    terms : int, optional
        Products in each. By default 16, or enough for two groups, chunks or blocks; 1 if
        ``exhaustive``, or if the unit does one operation a transfer.
    seed : int
        Seed of the operands; equal ones give equal vectors.
    exhaustive : bool
        Whether to take all operands that there are, which must have 20 bits altogether at most.

    Raises
    ------
    SpecError
        As :func:`check_unit`; if there are too many or too few cases or terms, or terms that do not
        fill blocks.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "mine", "unit": "mac", "a": "int4", "b": "int4",
    ...     "out": "int8", "accumulate": {"kind": "exact"}})
    >>> vectors = draw_vectors(design, exhaustive=True)
    >>> len(vectors), vectors.terms
    (256, 1)
    >>> vectors.as_hex().splitlines()[-1]  # -1 * -1: {out, b, a}
    '01ff'
    """
    check_unit(design)
    if exhaustive and count is not None:
        raise SpecError("count and exhaustive exclude each other: the latter takes all cases")
    one = type(design) in OPERATIONS
    if one and terms not in (None, 1):
        raise SpecError(f"terms must be left out: unit {design.unit} has one operation a case")
    if terms is None:
        terms = 1 if exhaustive or one else _usual_terms(design)
    _check_terms(design, terms)
    rng = np.random.default_rng(seed)
    if exhaustive:
        drawn = [_every_case(design, terms)]
    else:
        most = min(_MOST_CASES, _MOST_CODES // terms)
        cases = 1000 if count is None else count
        if not 1 <= cases <= most:
            raise SpecError(f"count must be 1 to {most} with {terms} terms, not {cases}")
        drawn = [
            _draw_operands(design, rng, at, (size, terms))
            for at, size in enumerate(_shares(cases, min(cases, _GROUPS)))
        ]
    compute = _operate if one else _compute
    groups = [compute(design, rng, *operands) for operands in drawn]
    fields = (
        Field(parts[0].name, parts[0].width, np.concatenate([part.codes for part in parts]))
        for parts in zip(*groups, strict=True)
    )
    return Vectors(design, tuple(fields), None if exhaustive else seed)


def _shares(count: int, parts: int) -> list[int]:
    return [count // parts + (at < count % parts) for at in range(parts)]


def _block_size(design: Design) -> int | None:
    """Elements in a block; 0 if there are no blocks, None if each is a whole tensor."""
    sizes = [fmt.size for fmt in (design.a, design.b) if isinstance(fmt, BlockFormat)]
    return sizes[0] if sizes else 0


def _usual_terms(design: Design) -> int:
    acc = design.accumulate
    needed = 2 * (_block_size(design) or 8)
    if isinstance(acc, FusedAccumulation) and not design.has_blocks:
        needed = max(needed, 2 * acc.group)
    if isinstance(acc, FixedAccumulation) and acc.chunk:
        needed = max(needed, 2 * acc.chunk)
    most = min(acc.max_terms, _MOST_TERMS)
    return needed if needed <= most else min(_block_size(design) or most, most)


def _check_terms(design: Design, terms: int) -> None:
    most = min(design.accumulate.max_terms, _MOST_TERMS)
    if not 1 <= terms <= most:
        raise SpecError(f"terms must be 1 to {most}, not {terms}")
    if (size := _block_size(design)) and terms % size:
        raise SpecError(f"terms must fill blocks of {size}, which {terms} do not")


# --- Drawing -----------------------------------------------------------------------------------


def _elements(fmt: Format) -> Format:
    return fmt.element if isinstance(fmt, BlockFormat) else fmt


def _every_code(fmt: Format) -> Codes:
    return np.array([code for code in range(1 << fmt.width) if fmt.holds(code)], np.int64)


def _formats(design: Design) -> list[Format]:
    """Return the formats of all operands."""
    return [*design.operands.values()]


def _every_case(design: Design, terms: int) -> tuple[Codes, ...]:
    if design.has_blocks:
        raise SpecError("exhaustive is for scalar formats: blocks and their scales are too many")
    formats = _formats(design)
    bits = terms * sum(fmt.width for fmt in formats)
    if bits > _CLOSED_BITS:
        names = " and ".join(fmt.name for fmt in formats)
        raise SpecError(
            f"exhaustive takes operands of at most {_CLOSED_BITS} bits altogether; {terms} of "
            f"{names} have {bits}"
        )
    axes = [_every_code(fmt) for fmt in formats for _ in range(terms)]
    cases = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    return tuple(np.split(cases, len(formats), axis=1))


def _uniform(fmt: Format, rng: np.random.Generator, shape: tuple[int, int]) -> Codes:
    """Draw from all finite codes alike."""
    if isinstance(fmt, (Codebook, KHot)):
        return rng.choice(_every_code(fmt), shape)
    codes = rng.integers(1 << fmt.width, size=shape)
    if isinstance(fmt, FixedPoint):
        return np.where(codes == 1 << fmt.width - 1, 0, codes) if fmt.symmetric else codes
    return np.where(np.isfinite(decode(fmt, codes)), codes, 0)


def _near_one(fmt: Format, rng: np.random.Generator, shape: tuple[int, int]) -> Codes:
    """Draw values of like size, which carry, cancel and normalise."""
    values = rng.normal(size=shape)
    if not isinstance(fmt, (Minifloat, ExponentOnly)):
        values *= max(-fmt.min_lsbs, fmt.max_lsbs) * 2.0**fmt.lsb_exp / 3
    return np.asarray(encode(fmt, values if fmt.signed else np.abs(values)), np.int64)


def _corner_codes(fmt: Format) -> Codes:
    """Return zeros, the least and largest of each sort, and special codes."""
    if isinstance(fmt, ExponentOnly):
        return np.array([0, 1, 126, 127, 128, 254, 255])
    if isinstance(fmt, (Codebook, KHot)):
        codes = _every_code(fmt)
        values = decode(fmt, codes)
        return codes[[values.argmin(), np.abs(values).argmin(), values.argmax()]]
    if isinstance(fmt, FixedPoint):
        return np.array([0, 1, fmt.max_lsbs, -fmt.signed, fmt.min_lsbs]) & (1 << fmt.width) - 1
    assert isinstance(fmt, Minifloat)
    least, sign = 1 << fmt.man_bits, fmt.signed << fmt.magnitude_bits
    found = {0, 1, least - 1, least, fmt.max_code}
    found |= {code for code in (fmt.infinity_code, fmt.nan_code) if code is not None}
    return np.array(
        sorted({code | flip for code in found if fmt.holds(code) for flip in (0, sign)})
    )


def _corners(fmt: Format, rng: np.random.Generator, shape: tuple[int, int]) -> Codes:
    """Draw corners of the format among values of like size, so that not every sum is special."""
    codes = _near_one(fmt, rng, shape)
    rate = 0.5 / max(4, shape[-1] // 4)
    return np.where(rng.random(shape) < rate, rng.choice(_corner_codes(fmt), shape), codes)


def _tiny(fmt: Format, rng: np.random.Generator, shape: tuple[int, int]) -> Codes:
    """Draw subnormals and what is next to them."""
    if not isinstance(fmt, Minifloat):
        return _uniform(fmt, rng, shape)
    codes = rng.integers(min(4 << fmt.man_bits, fmt.max_code + 1), size=shape)
    return codes | (rng.integers(2, size=shape) & fmt.signed) << fmt.magnitude_bits


def _negated(fmt: Format, codes: Codes) -> Codes:
    """Return codes of the negative values, where there are any and they are at hand."""
    if isinstance(fmt, Minifloat) and fmt.signed:
        return codes ^ 1 << fmt.magnitude_bits
    if isinstance(fmt, FixedPoint) and fmt.signed:
        return -codes & (1 << fmt.width) - 1
    return codes


def _cancelling(fmt: Format, rng: np.random.Generator, shape: tuple[int, int]) -> Codes:
    """Draw values that come again, in the second half of each row, with the other sign."""
    codes, half = _near_one(fmt, rng, shape), shape[1] // 2
    codes[:, shape[1] - half :] = _negated(fmt, codes[:, :half])
    return codes


def _repeated(fmt: Format, rng: np.random.Generator, shape: tuple[int, int]) -> Codes:
    """Draw values that come again, but for a few, in the second half of each row."""
    codes, half = _near_one(fmt, rng, shape), shape[1] // 2
    second = codes[:, shape[1] - half :]
    second[:] = np.where(rng.random(second.shape) < 0.1, second, codes[:, :half])
    return codes


_Draw = Callable[[Format, np.random.Generator, tuple[int, int]], Codes]

# Ways to draw the one and the other operand.
_STYLES: tuple[tuple[_Draw, _Draw], ...] = (
    (_uniform, _uniform),
    (_near_one, _near_one),
    (_corners, _corners),
    (_cancelling, _repeated),
    (_tiny, _near_one),
    (_tiny, _tiny),
)


def _draw_operands(
    design: Design, rng: np.random.Generator, group: int, shape: tuple[int, int]
) -> tuple[Codes, ...]:
    """Draw a group of cases, in one way after the other."""
    draw_a, draw_b = _STYLES[group % len(_STYLES)]
    a, b = draw_a(_elements(design.a), rng, shape), draw_b(_elements(design.b), rng, shape)
    if type(design) not in OPERATIONS or isinstance(design, Multiplier):
        return a, b
    # Of every other group, what is added almost cancels the rest.
    cancels = group % 2 == 1
    if isinstance(design, Adder):
        return a, _opposite(design.b, rng, decode(design.a, a)) if cancels else b
    with np.errstate(all="ignore"):
        product = decode(design.a, a) * decode(design.b, b)
    return a, b, _opposite(design.out, rng, product) if cancels else draw_a(design.out, rng, shape)


def _opposite(fmt: Format, rng: np.random.Generator, values: NDArray[np.float64]) -> Codes:
    """Return codes of about the negative of values."""
    codes = np.asarray(encode(fmt, -np.where(np.isfinite(values), values, 1.0)), np.int64)
    near = codes + rng.integers(-1, 2, codes.shape) & (1 << fmt.width) - 1
    return near if fmt.width > 16 else np.where(np.isin(near, _every_code(fmt)), near, codes)


# --- Computing ---------------------------------------------------------------------------------


def _compute(design: Design, rng: np.random.Generator, a: Codes, b: Codes) -> list[Field]:
    """Return cases of these operands, with scales if they are of blocks, and their results."""
    # A dot leaves the scales of tensors to whoever takes its results.
    binades = 0 if isinstance(design, Dot) else 3
    fields_a, left = _operand("a", design.a, rng, a, axis=-1, binades=binades)
    fields_b, right = _operand("b", design.b, rng, b, axis=-2, binades=binades)
    random, bits = [], None
    if design.out_round.stochastic:
        drawn = rng.integers(1 << _RANDOM_BITS, size=(len(a), 1, 1), dtype=np.uint32)
        random, bits = [_field("random", _RANDOM_BITS, drawn[:, 0])], (drawn, _RANDOM_BITS)
    out = matmul(design, left, right, bits)[:, 0]
    return [*fields_a, *fields_b, *random, _field("out", design.out.width, out)]


def _operate(design: Design, rng: np.random.Generator, *operands: Codes) -> list[Field]:
    """Return cases of one operation, and their results."""
    named = zip("abc", _formats(design), operands, strict=False)
    fields = [_field(name, fmt.width, codes) for name, fmt, codes in named]
    bits = None
    if design.out_round.stochastic:
        drawn = rng.integers(1 << _RANDOM_BITS, size=operands[0].shape, dtype=np.uint32)
        fields.append(_field("random", _RANDOM_BITS, drawn))
        bits = drawn, _RANDOM_BITS
    out = operate(design, *operands, random_bits=bits)
    return [*fields, _field("out", design.out.width, out)]


def _field(name: str, width: int, codes: NDArray[Any]) -> Field:
    word = np.uint8 if width <= 8 else np.uint16 if width <= 16 else np.uint32
    return Field(name, width, codes.astype(word))


def _operand(
    name: str, fmt: Format, rng: np.random.Generator, codes: Codes, axis: int, binades: int
) -> tuple[list[Field], NDArray[Any] | Blocks]:
    """Return what a case says of an operand, and all cases as a stack of vectors along an axis.

    A scale of the tensor is drawn from so many binades on either side of 1.
    """
    fields = [_field(name, fmt.width, codes)]
    vectors = np.expand_dims(codes, -3 - axis)
    if not isinstance(fmt, BlockFormat):
        return fields, vectors
    cases, terms = codes.shape
    shape = (cases, terms // fmt.size) if fmt.size else (1, 1)
    scales = _draw_scales(fmt.scale, rng, shape)
    fields.append(_field(f"{name}_scale", fmt.scale.width, np.repeat(scales, cases // shape[0], 0)))
    tensor = 1.0
    if fmt.tensor_scale:
        code = np.asarray(
            encode(fmt.tensor_scale, [2.0 ** rng.uniform(-binades, binades)]), np.int64
        )
        tensor = float(decode(fmt.tensor_scale, code)[0])
        whole = np.repeat(code[:, None], cases, 0)
        fields.append(_field(f"{name}_tensor", fmt.tensor_scale.width, whole))
    return fields, Blocks(vectors, np.expand_dims(scales, -3 - axis), tensor)


def _draw_scales(fmt: Format, rng: np.random.Generator, shape: tuple[int, int]) -> Codes:
    """Draw scales of about 1, and a few at the ends of the format."""
    scales = np.asarray(encode(fmt, 2.0 ** rng.uniform(-4, 4, shape)), np.int64)
    rate = 0.1 / shape[1]
    return np.where(rng.random(shape) < rate, rng.choice(_corner_codes(fmt), shape), scales)
