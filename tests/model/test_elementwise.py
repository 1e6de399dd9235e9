"""Tests of :mod:`minimac.model.elementwise` against the definition and foreign libraries."""

import itertools
import json
import random

import ml_dtypes
import numpy as np
import pytest
import softfloatpy as softfloat

import chains
import oracle
from minimac.model import add, decode, encode, fma, matmul, multiply
from minimac.model.kit import write_vectors
from minimac.model.vectors import draw_vectors
from minimac.spec import SpecError, load_design, parse_format

UNITS = {
    "multiplier": (multiply, oracle.multiplied),
    "adder": (add, oracle.added),
    "fma": (fma, oracle.multiplied_and_added),
}


def load(unit, a, b=None, **fields):
    return load_design({"name": "m", "unit": unit, "a": a, "b": b or a, "out": a, **fields})


def draw_design(rng, unit):
    """Draw a legal design as a file would have it."""

    def draw():
        product = "exact"
        if unit != "adder" and rng.random() < 0.3:
            product = rng.choice(chains.PRODUCTS)
        exact = product == "exact"
        a = chains.draw_format(rng, chains.OPERANDS if exact else chains.APPROXIMATE)
        b = a
        if exact and rng.random() < 0.5:
            b = chains.draw_format(rng, [*chains.OPERANDS, "uint32", "int32"])
        tree = {"name": "m", "unit": unit, "a": a, "b": b} | chains.draw_out(rng)
        if unit == "fma":
            mode = rng.choice(chains.STEADY)
            tree |= {"out": chains.draw_format(rng, chains.STATES), "out_round": mode}
            tree["out_overflow"] = "saturate"
        return tree | ({} if unit == "adder" else {"product": product})

    return chains.legal(draw)


def draw_codes(rng, spec, unit, count):
    """Draw the codes of all operands: of any size, near the ends, next to cancelling, special."""
    formats = [spec.a, spec.b] + [spec.out] * (unit == "fma")
    manner = rng.choice(["any", "small", "large", "near", "aimed", "aimed", "cancel", "cancel"])
    if manner in ("aimed", "cancel"):
        ends = chains.critical_exponents(spec) if spec.accumulate.kind != "exact" else []
        ends += chains.exponents(spec.out.name)
        goals = [rng.choice(ends) + rng.randint(-4, 3) for _ in range(count)]
        drawn = [[], [], []][: len(formats)]
        for goal in goals:
            part = rng.randint(*chains.exponents(spec.a.name))
            places = [part, goal - part, goal] if unit != "adder" else [goal, goal]
            for row, fmt, place in zip(drawn, formats, places, strict=False):
                apart = rng.choice([0, 0, 0, rng.randint(-12, 2)])
                row.append(chains.number_near(rng, fmt, place + apart, rng.choice([-1, 1])))
    else:
        drawn = [chains.draw_row(rng, fmt, count, manner) for fmt in formats]
    for fmt, row in zip(formats, drawn, strict=True):
        chains.replace(rng, [row], chains.zeros(fmt), rng.choice([0, 0, 0.2]))
    if manner == "cancel" and unit != "multiplier":
        drawn[-1] = [opposite(rng, formats, codes[:-1]) for codes in zip(*drawn, strict=True)]
    for fmt, row in zip(formats, drawn, strict=True):
        chains.replace(rng, [row], chains.specials(fmt), rng.choice([0, 0, 0.2]))
    return drawn


def opposite(rng, formats, codes):
    """Return a code of about the negative of a number, or of a product of two."""
    parts = [oracle.value(fmt, code) for fmt, code in zip(formats, codes, strict=False)]
    if any(isinstance(part, oracle.Special) for part in parts):
        return 0
    number = -parts[0] * (parts[1] if len(parts) > 1 else 1)
    code = oracle.round_to(formats[-1], number, "rne", "saturate")
    near = code + rng.choice([0, 0, 1, -1]) & 2 ** oracle.code_bits(formats[-1]) - 1
    return near if chains.is_finite(formats[-1], near) else code


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("case", range(120))
def test_random_designs_against_the_definition(unit, case, seed, tally):
    context = f"{unit} {seed} {case}"
    rng = random.Random(context)
    tree = draw_design(rng, unit)
    spec = load_design(tree)
    function, definition = UNITS[unit]
    groups = [draw_codes(rng, spec, unit, 15) for _ in range(4)]
    codes = [[*itertools.chain(*rows)] for rows in zip(*groups, strict=True)]
    bits = chains.draw_random_bits(rng, spec, (len(codes[0]),))
    got = function(spec, *codes, *([] if bits is None else [bits]))
    for i, operands in enumerate(zip(*codes, strict=True)):
        drawn = [] if bits is None else [(int(bits[0][i]), bits[1])]
        wanted = definition(spec, *operands, *drawn)
        assert got[i] == wanted, (
            f"{context}: got {int(got[i]):#x}, not {wanted:#x}; design = {json.dumps(tree)}, "
            f"operands = {[*map(hex, operands)]}, random = {drawn}"
        )
    tally(f"the definition, {unit}", len(got))


@pytest.mark.parametrize("mode", chains.STEADY)
@pytest.mark.parametrize("name", ["e2m1", "e2m2ieee", "e3m1fnuz", "e2m2p3109", "e2m2fn:ftz"])
def test_all_pairs_of_small_formats(name, mode, tally):
    """And of the smallest ones all triples."""
    fmt = parse_format(name)
    codes = range(2**fmt.width)
    for unit, (function, definition) in UNITS.items():
        spec = load(unit, name, out_round=mode)
        count = 3 if unit == "fma" else 2
        if count == 3 and fmt.width > 4:
            continue
        cases = [*itertools.product(codes, repeat=count)]
        wanted = [definition(spec, *case) for case in cases]
        np.testing.assert_array_equal(function(spec, *np.array(cases).T), wanted)
        tally(f"the definition, {unit}", len(cases))


@pytest.mark.parametrize("overflow", ["saturate", "infinity", "nan"])
def test_all_pairs_with_another_result(overflow, tally):
    """Every code of two formats of 6 bits, rounded into a third."""
    fields = {"b": "e2m3", "out": "e2m1fn", "out_overflow": overflow, "out_round": "up"}
    for unit in ("multiplier", "adder"):
        function, definition = UNITS[unit]
        spec = load(unit, "e3m2", **fields)
        cases = [*itertools.product(range(64), repeat=2)]
        wanted = [definition(spec, *case) for case in cases]
        np.testing.assert_array_equal(function(spec, *np.array(cases).T), wanted)
        tally(f"the definition, {unit}", len(cases))


# --- Foreign libraries -------------------------------------------------------------------------

MODES = {
    "rne": softfloat.RoundingMode.NEAR_EVEN,
    "rna": softfloat.RoundingMode.NEAR_MAX_MAG,
    "truncate": softfloat.RoundingMode.MIN_MAG,
    "up": softfloat.RoundingMode.MAX,
    "down": softfloat.RoundingMode.MIN,
}


def draw_halves(rng, size):
    """Draw codes of binary16: any, and a third operand often next to cancelling the product."""
    a, b, c = rng.integers(1 << 16, size=(3, size), dtype=np.uint16)
    with np.errstate(all="ignore"):
        near = -(a.view(np.float16) * b.view(np.float16)).astype(np.float16)
    near = near.view(np.uint16) + rng.integers(-2, 3, size).astype(np.uint16)
    c = np.where(rng.random(size) < 0.5, near, c)
    # Sums of neighbours, too; and zeros, infinities and subnormals.
    b = np.where(rng.random(size) < 0.2, a ^ 0x8000 ^ rng.integers(8, size=size), b)
    for part in (a, b, c):
        chosen = rng.random(size) < 0.03
        part[chosen] = rng.choice([0, 0x8000, 1, 0x3FF, 0x7BFF, 0x7C00, 0xFC00], chosen.sum())
    return a, b, c


@pytest.mark.parametrize("mode", MODES)
def test_binary16_against_softfloat(mode, seed, tally, pytestconfig):
    """Of NaN only that it is one."""
    size = 1_000_000 if pytestconfig.option.exhaustive else 8000
    operands = draw_halves(np.random.default_rng(seed), size)
    theirs = [
        [softfloat.Float16.from_bytes(int(code).to_bytes(2, "big")) for code in part]
        for part in operands
    ]
    operations = {
        "multiplier": (softfloat.f16_mul, 2),
        "adder": (softfloat.f16_add, 2),
        "fma": (softfloat.f16_mul_add, 3),
    }
    softfloat.set_rounding_mode(MODES[mode])
    for unit, (operation, count) in operations.items():
        results = map(operation, *theirs[:count])
        wanted = np.array([int.from_bytes(result.to_bytes(), "big") for result in results])
        wanted[wanted & 0x7FFF > 0x7C00] = 0x7E00
        rule = {} if unit == "fma" else {"out_overflow": "infinity"}
        spec = load(unit, "fp16", out_round=mode, **rule)
        got = UNITS[unit][0](spec, *operands[:count])
        wrong = np.flatnonzero(got != wanted)
        assert not wrong.size, (
            f"{unit} {mode}, seed {seed}: {wrong.size} differ, such as "
            f"{[hex(part[wrong[0]]) for part in operands]}: {got[wrong[0]]:#x}, "
            f"not {wanted[wrong[0]]:#x}"
        )
        tally(f"SoftFloat, {unit} of fp16 {mode}", got.size)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("e4m3fn", ml_dtypes.float8_e4m3fn),
        ("e5m2", ml_dtypes.float8_e5m2),
        ("e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
        ("e2m3", ml_dtypes.float6_e2m3fn),
    ],
)
@pytest.mark.parametrize("unit", ["multiplier", "adder"])
def test_all_pairs_against_ml_dtypes(name, theirs, unit, tally):
    """They compute in float32, which holds products and sums of these formats, and round once."""
    fmt = parse_format(name)
    codes = np.arange(1 << fmt.width, dtype=np.uint8)
    a, b = np.meshgrid(codes, codes)
    rule = "saturate" if not fmt.has_nan else "infinity"
    spec = load(unit, name, out_overflow=rule)
    got = UNITS[unit][0](spec, a, b)
    x, y = a.view(theirs), b.view(theirs)
    with np.errstate(all="ignore"):
        wanted = (x + y if unit == "adder" else x * y).view(np.uint8)
    if fmt.has_nan:
        wanted = np.where(np.isnan(wanted.view(theirs).astype(float)), fmt.nan_code, wanted)
    np.testing.assert_array_equal(got, wanted)
    tally(f"ml_dtypes, {unit} of {name}", got.size)


def test_numpy_computes_the_same_in_binary32(seed, tally):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(1 << 32, size=(2, 100_000), dtype=np.uint32)
    b[::2] = (a ^ 0x80000000)[::2] + rng.integers(-9, 10, 50_000).astype(np.uint32)
    with np.errstate(all="ignore"):
        results = {"multiplier": a.view(np.float32) * b.view(np.float32)}
        results["adder"] = a.view(np.float32) + b.view(np.float32)
    for unit, result in results.items():
        wanted = np.where(np.isnan(result), 0x7FC00000, result.view(np.uint32))
        got = UNITS[unit][0](load(unit, "fp32", out_overflow="infinity"), a, b)
        np.testing.assert_array_equal(got, wanted)
        tally(f"NumPy, {unit} of fp32", got.size)


# --- The rest ----------------------------------------------------------------------------------


def test_fma_is_a_step_of_a_rounded_chain(seed):
    rng = np.random.default_rng(seed)
    spec = load("fma", "e5m2", out="bf16")
    a, b = rng.integers(256, size=(2, 500, 9))
    state = np.zeros(500, np.uint16)
    for x, y in zip(a.T, b.T, strict=True):
        state = fma(spec, x, y, state)
    np.testing.assert_array_equal(state, matmul(spec, a[:, None, :], b[:, :, None])[:, 0, 0])


def test_operands_broadcast():
    spec = load("fma", "e4m3fn", out="bf16")
    a, b = encode(spec.a, [1.0, 2.0]), encode(spec.b, [[3.0], [4.0], [5.0]])
    got = decode(spec.out, fma(spec, a, b, encode(spec.out, 0.5)))
    np.testing.assert_array_equal(got, [[3.5, 6.5], [4.5, 8.5], [5.5, 10.5]])
    assert fma(spec, 0x38, 0x38, 0).shape == ()
    assert add(load("adder", "int8"), [], []).shape == (0,)
    assert multiply(load("multiplier", "uint32", out="int8"), [[]], [[]]).shape == (1, 0)
    assert add(load("adder", "int8"), 100, 100).dtype == np.uint8


def test_wrong_arguments():
    spec = load("multiplier", "e4m3fn", "int4")
    with pytest.raises(ValueError, match=r"^b must be 0 to 15 to be of int4, not 16"):
        multiply(spec, [1], [16])
    with pytest.raises(TypeError, match=r"^a must be integers, not float64$"):
        add(spec, [1.0], [1])
    with pytest.raises(ValueError, match=r"^a, b must broadcast, unlike shapes \(2,\), \(3,\)$"):
        add(spec, [1, 2], [1, 2, 3])
    with pytest.raises(TypeError, match=r"^spec must accumulate by kind rounded in e4m3fn, its "):
        fma(spec, [1], [1], [1])
    with pytest.raises(TypeError, match=r"^spec must be an Arithmetic"):
        add("bf16", [1], [1])
    with pytest.raises(ValueError, match=r"^random_bits must be given with rounding sr_a"):
        add(load("adder", "bf16", out_round="sr_a"), [1], [1])


@pytest.mark.parametrize(
    ("unit", "fields", "said"),
    [
        ("multiplier", {"b": "mxfp4"}, "b: multiplier takes scalar formats, not mxfp4"),
        ("adder", {"a": "mxint8"}, "a: adder takes scalar formats, not mxint8"),
        ("fma", {"b": "mxfp4"}, "b: fma takes scalar formats, not mxfp4"),
        ("fma", {"out_overflow": "nan"}, "out_overflow: must be infinity or left out, for an fma"),
        ("fma", {"out": "e4m3fn", "out_overflow": "infinity"}, "out_overflow: must be left out"),
        ("fma", {"out": "int8"}, "out: must be a signed minifloat, not int8"),
    ],
)
def test_designs_that_are_refused(unit, fields, said):
    with pytest.raises(SpecError, match=f"^{said}"):
        load(unit, **{"a": "bf16", "out": "bf16"} | fields)


# --- Vectors for others -------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS)
def test_vectors_hold_what_the_definition_says(unit, seed, tally):
    spec = load(unit, "e5m2", out_round="down")
    vectors = draw_vectors(spec, count=300, seed=seed)
    *operands, out = (field.codes[:, 0].tolist() for field in vectors.fields)
    assert [field.name for field in vectors.fields] == [*"abc"[: len(operands)], "out"]
    assert vectors.terms == 1
    wanted = [UNITS[unit][1](spec, *codes) for codes in zip(*operands, strict=True)]
    assert out == wanted
    table = vectors.as_csv().splitlines()
    assert {"multiplier": "(out = a * b, ", "adder": "(out = a + b, ", "fma": "(out = a * b + c, "}[
        unit
    ] in table[4]
    assert table[7] == ",".join([*"abc"[: len(operands)], "out"])
    assert len(np.unique(out)) > 30
    tally(f"the definition, vectors, {unit}", len(out))


def test_all_vectors_of_a_stochastic_sum():
    spec = load("adder", "e2m1", out_round="sr_a")
    vectors = draw_vectors(spec, exhaustive=True)
    a, b, random_bits, out = (field.codes[:, 0].tolist() for field in vectors.fields)
    assert len(vectors) == 256
    for x, y, r, code in zip(a, b, random_bits, out, strict=True):
        assert code == oracle.added(spec, x, y, (r, 16))


def test_files_of_vectors(tmp_path):
    spec = load("fma", "e2m1")
    written = write_vectors(spec, tmp_path / "all", exhaustive=True)
    assert sorted(path.name for path in written) == sorted(
        ["m.csv", "m.hex", "m.npz", "minimac_vectors.h", "m_vectors.v", "m_vectors.vh"]
    )
    with np.load(tmp_path / "all" / "m.npz") as file:
        got = fma(spec, file["a"], file["b"], file["c"])
        assert got.shape == (4096,)
        np.testing.assert_array_equal(got, file["out"])
    with pytest.raises(SpecError, match=r"there is no model in C of unit fma; write .csv, .hex"):
        write_vectors(spec, tmp_path / "m.h")
    with pytest.raises(SpecError, match=r"^terms must be left out: unit fma has one operation"):
        write_vectors(spec, tmp_path / "m.csv", terms=2)
    with pytest.raises(SpecError, match=r"^exhaustive takes operands of at most 20 bits"):
        write_vectors(load("fma", "e4m3fn"), tmp_path / "m.csv", exhaustive=True)
