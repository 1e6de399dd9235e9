"""Random designs and operands that find faults, and their results held to the oracle.

Uniform codes alone almost never cancel, overflow or round to zero. All that is drawn here is a
function of a ``random.Random``, so a seed replays it; a design is drawn as a file would have it.
"""

import functools
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

import oracle
import oracle_blocks
from minimac.model import Blocks, matmul
from minimac.spec import (
    Arithmetic,
    BlockFormat,
    FixedPoint,
    Minifloat,
    Rounding,
    SpecError,
    Specials,
    load_design,
    parse_format,
)
from oracle import Special

__all__ = [
    "KINDS",
    "MODES",
    "OPERANDS",
    "PRODUCTS",
    "Codes",
    "assert_agrees",
    "draw_block_design",
    "draw_design",
    "draw_operands",
    "draw_random_bits",
    "is_finite",
    "valid_codes",
]

#: Kinds of accumulation; of those of kind ``fixed`` the chunked ones apart.
KINDS = ["exact", "fixed", "chunked", "float", "rounded", "fused"]
PRODUCTS = ["lmul", "lmul_add", "mitchell"]  # those that are not exact
MODES = [str(mode) for mode in Rounding]
STEADY = [str(mode) for mode in Rounding if not mode.stochastic]

OPERANDS = [
    "bf16", "fp16", "e4m3fn", "e5m2", "e4m3fnuz", "e3m2", "e2m1", "bf16:ftz", "e4m3fn:ftz", "e0m3",
    "ue4m3fn", "e4m3p3109", "ue3m2p3109", "binary8p3sf", "e5m0", "e4m3fn:bias=20", "tf32", "fp32",
    "int8", "int4:sym", "uint8", "s4.3", "int8:sym", "u-2.6", "int16", "tern", "bin", "nf4",
    "lut:e5m2:3c00bc01", "khot2:s0.7", "e8m0",
]  # fmt: skip
APPROXIMATE = ["bf16", "fp16", "e4m3fn", "e5m2", "e4m3fnuz", "e3m2", "e2m1", "e2m3", "bf16:ftz",
               "ue4m3fn", "binary8p4se", "e4m3fn:bias=20", "e3m4ieee", "e4m4",
               "e4m5", "e5m6fn"]  # fmt: skip
STATES = ["fp32", "fp16", "bf16", "e5m2", "e4m3fn", "e4m3", "e3m2", "e5m2fnuz", "binary8p3se",
          "bf16:ftz", "e4m3fn:ftz", "e6m9", "e2m1"]  # fmt: skip
FIXED = ["int32", "s7.8", "s20.11", "int8", "u8.8", "s3.4:sym", "s-2.9", "s4.27", "s12.-4"]
OUTS = ["fp32", "bf16", "e4m3fn", "e5m2", "int8", "int32", "s4.3", "ue4m3fn", "bf16:ftz",
        "e4m3fnuz", "e2m1", "uint8", "int4:sym", "e4m3p3109", "fp16"]  # fmt: skip
BLOCKS = [
    "mxfp8_e4m3:size=4", "mxfp8_e5m2:size=4", "mxfp6_e3m2:size=3", "mxfp4:size=2", "mxint8:size=4",
    "mxint8:ocp:size=4", "nvfp4:size=4", "nvint4:size=3", "bfp16:size=4", "dfp16", "dfp8",
    "block:e2m1:size=4:scale=ue5m3", "block:nf4:bf16:size=4:scale=bf16",
    "block:e5m2:size=3:scale=ue4m3p3109", "block:e2m3:size=4:scale=e4m3", "block:bf16:size=4",
    "block:khot2:s0.7:size=4",
]  # fmt: skip
NORMALIZATIONS = ["exact", "exact", "approx(1,1)", "approx(1,2)", "approx(2,2)", "approx(3,1)",
                  "none"]  # fmt: skip

Tree = dict[str, Any]
Matrix = list[list[int]]


# --- Designs -----------------------------------------------------------------------------------


def draw_format(rng: random.Random, names: list[str]) -> str:
    """Draw one of the names, or now and then any format of few bits of its family."""
    name = rng.choice(names)
    fmt = parse_format(name)
    if rng.random() < 0.7 or not isinstance(fmt, (Minifloat, FixedPoint)):
        return name
    if isinstance(fmt, FixedPoint):
        bits, frac_bits = rng.randint(1, 12), rng.randint(-6, 14)
        return FixedPoint(fmt.signed, bits - frac_bits, frac_bits, fmt.symmetric).name
    while True:
        with suppress(SpecError):
            fields = rng.randint(0, 6), rng.randint(0, 6), rng.choice([*Specials])
            ftz = rng.random() < 0.2
            plain = Minifloat(*fields, signed=fmt.signed, ftz=ftz)
            bias = plain.bias + rng.choice([0, 0, rng.randint(-12, 12), rng.randint(-90, 90)])
            return Minifloat(*fields, bias, fmt.signed, ftz).name


def draw_block_format(rng: random.Random) -> str:
    """Draw one of the block formats, or now and then any such of few bits."""
    if rng.random() < 0.7:
        return rng.choice(BLOCKS)
    element = draw_format(rng, ["e2m1", "e4m3fn", "s1.6:sym", "int8"])
    scale = rng.choice(["e8m0", draw_format(rng, ["ue4m3fn", "ue5m3", "e5m2"])])
    return f"block:{element}:size={rng.randint(1, 5)}:scale={scale}"


def draw_design(rng: random.Random, kind: str, product: str = "exact") -> Tree:
    """Draw a legal design of scalar formats; half of the time with operands of one format."""

    def draw() -> Tree:
        a = draw_format(rng, OPERANDS if product == "exact" else APPROXIMATE)
        b = a if product != "exact" or rng.random() < 0.5 else draw_format(rng, OPERANDS)
        one_step_more = {"exact": 0, "lmul": 1}.get(product, 0)
        widths = [oracle.operand(parse_format(name), first_code(name)).width for name in (a, b)]
        bits = sum(widths) if product == "exact" else widths[0] + one_step_more
        tree = {"name": "m", "unit": "mac", "a": a, "b": b, "product": product}
        return tree | draw_out(rng) | {"accumulate": draw_accumulation(rng, kind, bits)}

    return legal(draw)


def draw_block_design(rng: random.Random) -> Tree:
    """Draw a legal design with blocks on one side or on both."""

    def draw() -> Tree:
        a = draw_block_format(rng)
        scalar = draw_format(rng, ["bf16", "e4m3fn", "int8", "e5m2", "fp16"])
        b = rng.choice([a, a, draw_block_format(rng), scalar, scalar])
        if rng.random() < 0.3:
            a, b = b, a
        kind = rng.choice(["exact", "rounded", "fused"])
        tree = {"name": "m", "unit": "mac", "a": a, "b": b}
        tree |= draw_out(rng) | {"accumulate": draw_accumulation(rng, kind, 0)}
        if rng.random() < 0.25:
            tree["within"] = draw_accumulation(rng, "fused", 0) | {"group": rng.choice([2, 3, 4])}
        return tree

    return legal(draw)


def legal(draw: Any) -> Tree:
    """Draw until a design is legal."""
    for _ in range(200):
        tree: Tree = draw()
        with suppress(SpecError):
            load_design(tree)
            return tree
    raise AssertionError("hardly a design is legal")


def draw_out(rng: random.Random) -> Tree:
    """Draw the format of the results, and how they are converted to it."""
    rules = ["saturate", "saturate", "infinity", "nan", "wrap"]
    out = "fp32" if rng.random() < 0.2 else draw_format(rng, OUTS)
    return {"out": out, "out_round": rng.choice(MODES), "out_overflow": rng.choice(rules)}


def draw_accumulation(rng: random.Random, kind: str, product_bits: int) -> Tree:
    """Draw an accumulation of products of so many bits."""
    mode = rng.choice(STEADY)
    match kind:
        case "exact":
            return {"kind": "exact", "max_terms": 64}
        case "fixed":
            rule = rng.choice(["saturate", "wrap"])
            return {
                "kind": "fixed",
                "format": draw_format(rng, FIXED),
                "round": mode,
                "overflow": rule,
            }
        case "chunked":
            inner = draw_accumulation(rng, "fixed", 0)
            bits = oracle.code_bits(parse_format(inner["format"]))
            outer = rng.choice(["exact", "fixed", "float", "rounded", "fused"])
            return inner | {
                "chunk": rng.randint(1, 5),
                "outer": draw_accumulation(rng, outer, bits),
            }
        case "rounded":
            return {"kind": "rounded", "format": draw_format(rng, STATES), "round": mode}
        case "fused":
            state = parse_format(draw_format(rng, STATES))
            return {
                "kind": "fused",
                "group": rng.choice([1, 2, 3, 4, 5, 16]),
                "frac_bits": rng.randint(0, 40),
                "sticky": rng.random() < 0.5,
                "round": mode,
                "format": state.name,
                "out_frac_bits": rng.choice([state.man_bits, rng.randint(0, state.man_bits)]),
            }
    guard, sticky = rng.choice([0, 1, 1, 3]), rng.random() < 0.5
    normalize = rng.choice(NORMALIZATIONS)
    width = max(product_bits, 6) + rng.choice([0, 0, 1, 2, 5, 16, 40])
    width = min(width, 62 - guard - sticky)
    acc = {"kind": "float", "width": width, "guard": guard, "sticky": sticky, "max_terms": 64}
    return acc | {"normalize": normalize, "round": mode}


# --- Operands ----------------------------------------------------------------------------------


class Codes(NamedTuple):
    """Codes of an operand (rows, terms); of blocks, with those of the scales (rows, blocks)."""

    elements: Matrix
    scales: Matrix | None = None
    tensor: float = 1.0


def first_code(name: str) -> int:
    """Return the lowest code of a format."""
    return 1 if name == "e8m0" else 0


@functools.cache
def valid_codes(name: str) -> tuple[int, ...]:
    """Return all the codes that mean something, of a format of at most 16 bits."""
    fmt = parse_format(name)
    codes = range(2 ** oracle.code_bits(fmt))
    return tuple(code for code in codes if oracle.is_valid(fmt, code))


def is_finite(fmt: Any, code: int) -> bool:
    """Say whether a code means a finite number."""
    if not 0 <= code < 2 ** oracle.code_bits(fmt) or not oracle.is_valid(fmt, code):
        return False
    return isinstance(oracle.operand(fmt, code), oracle.Operand)


def any_code(rng: random.Random, fmt: Any) -> int:
    """Draw any code at all."""
    bits = oracle.code_bits(fmt)
    return rng.randrange(2**bits) if bits > 16 else rng.choice(valid_codes(fmt.name))


def finite_code(rng: random.Random, fmt: Any) -> int:
    """Draw the code of a finite number."""
    while not is_finite(fmt, code := any_code(rng, fmt)):
        pass
    return code


@functools.cache
def exponents(name: str) -> tuple[int, int]:
    """Return the exponents of the least and the largest positive value of a format."""
    fmt = parse_format(name)
    if oracle.code_bits(fmt) <= 8:
        numbers = [n for n in oracle.values(fmt) if isinstance(n, Fraction) and n > 0]
        return oracle.floor_log2(min(numbers)), oracle.floor_log2(max(numbers))
    least = 2**fmt.man_bits if getattr(fmt, "ftz", False) else 1
    codes = least, oracle.largest(fmt, False)
    low, high = (oracle.floor_log2(oracle.value(fmt, code)) for code in codes)
    return low, high


def draw_operands(rng: random.Random, spec: Arithmetic, rows: int, terms: int, columns: int) -> Any:
    """Draw operands of chains: ``rows`` of the first and ``columns`` of the second, as Codes."""
    formats = [spec.a, spec.b]
    elements = [fmt.element if isinstance(fmt, BlockFormat) else fmt for fmt in formats]
    if rng.random() < 0.5:
        drawn = aimed_operands(rng, spec, elements, (rows, columns), terms)
    else:
        manners = ["near"] if rng.random() < 0.4 else ["any", "finite", "small", "few", "large"]
        drawn = [
            [draw_row(rng, fmt, terms, rng.choice(manners)) for _ in range(count)]
            for fmt, count in zip(elements, (rows, columns), strict=True)
        ]
    if rng.random() < 0.3:  # products that cancel side by side
        for k in range(1, terms, 2):
            for row in drawn[0]:
                row[k] = negated(elements[0], row[k - 1])
            for row in drawn[1]:
                row[k] = row[k - 1]
    for fmt, matrix in zip(elements, drawn, strict=True):
        if rng.random() < 0.3:
            replace(rng, matrix, zeros(fmt), 0.3)
        if rng.random() < 0.4:  # before an accumulator has overflowed, and after
            replace(rng, matrix, specials(fmt), 1 / (2 * terms))
    return [draw_scales(rng, *operand) for operand in zip(formats, drawn, strict=True)]


def aimed_operands(
    rng: random.Random, spec: Arithmetic, formats: list[Any], counts: tuple[int, int], terms: int
) -> list[Matrix]:
    """Draw operands whose products are about as large as what decides a result."""
    critical = rng.choice(critical_exponents(spec)) + rng.randint(-4, 2)
    signs = rng.choice([([-1, 1], [-1, 1]), ([1], [1]), ([-1], [1])])  # of both; or sums that grow
    (low_a, high_a), (low_b, high_b) = (exponents(fmt.name) for fmt in formats)
    drawn: list[Matrix] = [[[] for _ in range(count)] for count in counts]
    for _ in range(terms):
        goal = critical - rng.choice([0, 0, 0, 0, rng.randint(0, 80)])  # some far below
        low, high = max(low_a, goal - high_b), min(high_a, goal - low_b)
        place = rng.randint(low, high) if low <= high else rng.randint(low_a, high_a)
        for fmt, matrix, exponent, sign in zip(
            formats, drawn, (place, goal - place), signs, strict=True
        ):
            for row in matrix:
                row.append(number_near(rng, fmt, exponent, rng.choice(sign)))
    return drawn


def critical_exponents(spec: Arithmetic) -> list[int]:
    """Return the exponents of the ends of all formats that a result goes through."""
    acc = spec.accumulate
    parts = [acc, getattr(acc, "outer", None)]
    passed = [spec.out, *(getattr(part, "format", None) for part in parts)]
    ends = [exponents(fmt.name) for fmt in passed if fmt is not None]
    return [end for low, high in ends for end in (low, high, high)]


def number_near(rng: random.Random, fmt: Any, exponent: int, sign: int) -> int:
    """Draw a code of a number of an exponent, or of the nearest there is."""
    mantissa = Fraction(rng.choice([8, 8, 9, 12, 15, rng.randint(8, 16)]), 8)
    number = mantissa * Fraction(2) ** (exponent - rng.choice([0, 0, 0, 1]))
    return oracle.round_to(fmt, number * sign, "rne", "saturate")


def draw_row(rng: random.Random, fmt: Any, count: int, manner: str) -> list[int]:
    """Draw the codes of one operand of a chain."""
    bits = oracle.code_bits(fmt)
    sign, binade = 2 ** (bits - 1), 2 ** getattr(fmt, "man_bits", max(bits - 3, 0))
    match manner:
        case "any":
            chosen = [any_code(rng, fmt) for _ in range(count)]
        case "finite":
            chosen = [finite_code(rng, fmt) for _ in range(count)]
        case "small":  # zeros, subnormals, the least normals
            chosen = [rng.randrange(2 * binade) ^ sign * rng.randrange(2) for _ in range(count)]
        case "few":  # a few codes, zero among them, over and over
            pool = [*zeros(fmt)[:1], *(finite_code(rng, fmt) for _ in range(2))]
            chosen = [rng.choice(pool) for _ in range(count)]
        case "large":  # all but one
            chosen = [oracle.largest(fmt, False)] * count
            chosen[-1] = finite_code(rng, fmt)
        case "near":  # a few binades, or but a few ulps, and either sign
            spread, centre = rng.choice([2, binade, 6 * binade]), finite_code(rng, fmt)
            chosen = [centre + rng.randint(-spread, spread) for _ in range(count)]
            chosen = [code ^ sign * rng.randrange(2) for code in chosen]
            chosen = [code if is_finite(fmt, code) else centre for code in chosen]
    known = [code % 2**bits for code in chosen]
    return [code if oracle.is_valid(fmt, code) else finite_code(rng, fmt) for code in known]


def negated(fmt: Any, code: int) -> int:
    """Return the code of the negative of a value where there is one, else the same code."""
    bits = oracle.code_bits(fmt)
    if not hasattr(fmt, "man_bits"):
        other = -code % 2**bits if hasattr(fmt, "frac_bits") else code
    else:
        other = code ^ 2 ** (bits - 1) if fmt.signed else code
    return other if is_finite(fmt, other) else code


def zeros(fmt: Any) -> list[int]:
    """Return the codes of zeros."""
    codes = [0, 2 ** (oracle.code_bits(fmt) - 1)]
    return [
        code
        for code in codes
        if is_finite(fmt, code) and oracle.operand(fmt, code).significand == 0
    ]


def specials(fmt: Any) -> list[int]:
    """Return codes of infinities and NaN."""
    found = [*(oracle.infinity(fmt, negative) for negative in (False, True))]
    return [code for code in (*found, *found, oracle.canonical_nan(fmt)) if code is not None]


def replace(rng: random.Random, matrix: Matrix, codes: list[int], share: float) -> None:
    """Put some of ``codes``, if there are any, in a share of the places."""
    for row in matrix if codes else []:
        row[:] = [rng.choice(codes) if rng.random() < share else code for code in row]


def draw_scales(rng: random.Random, fmt: Any, elements: Matrix) -> Codes:
    """Draw the scales of blocks; of a scalar format there are none."""
    if not isinstance(fmt, BlockFormat):
        return Codes(elements)
    scale, terms = fmt.scale, len(elements[0])
    count = 1 if fmt.size is None else -(-terms // fmt.size)
    low, high = exponents(scale.name)
    middle = min(max(rng.randint(-3, 3), low), high)

    def draw() -> int:
        if rng.random() < 0.05:
            return any_code(rng, scale)
        number = Fraction(2) ** (middle + rng.randint(-4, 4)) * Fraction(rng.randint(8, 16), 8)
        return oracle.round_to(scale, number, "rne", "saturate")

    scales = [[draw() for _ in range(count)] for _ in elements]
    if fmt.size is None:
        scales = [scales[0]] * len(elements)
    tensor = 1.0
    if fmt.tensor_scale is not None:
        tensor = float(np.float32(2.0 ** rng.uniform(-8, 8)))
    return Codes(elements, scales, tensor)


def draw_random_bits(rng: random.Random, spec: Arithmetic, shape: tuple[int, ...]) -> Any:
    """Draw random bits for ``out_round``: integers and how many bits they have; or None."""
    if not spec.out_round.stochastic:
        return None
    bits = rng.choice([1, 2, 5, 8, 16, 23, 31])
    flat = [rng.choice([0, 2**bits - 1, rng.randrange(2**bits)]) for _ in range(np.prod(shape))]
    return np.array(flat, np.int64).reshape(shape), bits


# --- Agreement ---------------------------------------------------------------------------------


def as_argument(fmt: Any, codes: Codes, axis: int) -> Any:
    """Return an operand as ``matmul`` takes it: its terms lie along ``axis``, -1 or -2."""

    def turn(matrix: Matrix) -> Any:
        array = np.array(matrix, np.int64)
        return array if axis == -1 else array.T

    if not isinstance(fmt, BlockFormat):
        return turn(codes.elements)
    assert codes.scales is not None
    scales = codes.scales[:1] if fmt.size is None else codes.scales
    return Blocks(turn(codes.elements), turn(scales), codes.tensor)


def wanted_results(
    spec: Arithmetic, a: Codes, b: Codes, random_bits: Any, most: int, rng: random.Random
) -> Iterator[tuple[tuple[int, int], int]]:
    """Compute some of the results, at most ``most``: where they are, and their codes."""
    places = list(np.ndindex(len(a.elements), len(b.elements)))
    for i, j in places if len(places) <= most else rng.sample(places, most):
        drawn = None if random_bits is None else (int(random_bits[0][i, j]), random_bits[1])
        x, y = a.elements[i], b.elements[j]
        if not spec.has_blocks:
            yield (i, j), oracle.chain(spec, x, y, drawn)
            continue
        of_a, of_b = (
            (codes.scales and codes.scales[at], codes.tensor if codes.scales else None)
            for codes, at in ((a, i), (b, j))
        )
        yield (i, j), oracle_blocks.block_chain(spec, x, *of_a, y, *of_b, drawn)


def assert_agrees(
    tree: Tree, a: Codes, b: Codes, context: str, random_bits: Any = None, most: int = 12
) -> int:
    """Hold a product of matrices to the oracle; the message has all that replays it.

    Returns
    -------
    int
        Number of results that were compared.
    """
    spec = load_design(tree)
    arguments = as_argument(spec.a, a, -1), as_argument(spec.b, b, -2)
    got = matmul(spec, *arguments, random_bits)
    assert got.shape == (len(a.elements), len(b.elements))
    count = 0
    for (i, j), wanted in wanted_results(spec, a, b, random_bits, most, random.Random(context)):
        count += 1
        assert got[i, j] == wanted, (
            f"{context}, at {i}, {j}: got {int(got[i, j]):#x}, not {wanted:#x}\n"
            f"design = {json.dumps(tree)}\n"
            f"a = {[part and part[i] for part in a[:2]]}, {a.tensor}\n"
            f"b = {[part and part[j] for part in b[:2]]}, {b.tensor}\nrandom_bits = {random_bits}"
        )
    return count


def is_special(number: Any) -> bool:
    """Say whether a value is NaN or infinite."""
    return number is Special.NAN or number in oracle.INFINITIES
