"""A sample of the designs that costs are predicted for: which ones are synthesised to learn from.

Drawn once with a fixed seed, in an order in which every beginning of it is a sample, too.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from minimac.rtl.planning import plan
from minimac.spec import Design, FixedPoint, SpecError, load_design, parse_format

__all__ = ["SEED", "large_arrays", "sample", "single_operations"]

SEED = 2024

#: Specials by the least exponent width that they are for; `fn` and `ieee` need a mantissa.
_SPECIALS = {"": 2, "fn": 3, "ieee": 4, "fnuz": 3}
#: Formats that people use, a third of all that are drawn.
_NAMED = "bf16 fp16 e4m3fn e5m2 e4m3fnuz e3m4 e3m2 e2m3 e2m1 int8 int8:sym int6 int4 uint8".split()
_SHAPES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (4, 4), (2, 6), (6, 3), (8, 4), (8, 8)]
_NORMALIZE = ["exact", "exact", "approx(1,1)", "approx(1,2)", "approx(2,2)", "approx(3,4)", "none"]

#: Units, and the share of each.
_UNITS = {"mac": 36, "systolic": 32, "multiplier": 14, "adder": 9, "fma": 9}
#: Kinds of accumulation, and the share of each.
_KINDS = {"float": 42, "exact": 30, "fixed": 15, "rounded": 13}


def sample(count: int, seed: int = SEED) -> list[Design]:
    """Draw designs, no two of them alike, all of which there is a circuit for.

    Examples
    --------
    >>> [design.summary() for design in sample(2)] == [x.summary() for x in sample(9)[:2]]
    True
    """
    return _unlike(_draws(random.Random(seed), _UNITS), count)


def single_operations(count: int, seed: int = SEED + 1) -> list[Design]:
    """Draw more multipliers and adders, which differ more than elements of like widths do."""
    return _unlike(_draws(random.Random(seed), {"multiplier": 6, "adder": 4}), count)


def large_arrays() -> list[Design]:
    """Return a few arrays as large as people build, of formats that they use."""
    arrays = [
        ("int8", {"kind": "exact"}, 16, 16, "ws"),
        ("bf16", {"kind": "float", "width": 16, "normalize": "approx(1,2)"}, 16, 16, "ws"),
        ("e4m3fn", {"kind": "float", "width": 14}, 32, 16, "os"),
        ("int4", {"kind": "exact"}, 32, 32, "ws"),
        ("e2m1", {"kind": "fixed", "format": "s9.2"}, 32, 32, "os"),
        ("e5m2", {"kind": "rounded", "format": "fp16"}, 16, 32, "ws"),
    ]
    return [
        load_design(
            {
                "name": "unit",
                "unit": "systolic",
                **{"a": name, "b": name, "out": "int16" if name[0] == "i" else "bf16"},
                "accumulate": accumulate,
                "array": {"rows": rows, "columns": columns, "dataflow": dataflow},
            }
        )
        for name, accumulate, rows, columns, dataflow in arrays
    ]


def _unlike(draws: Iterator[Design], count: int) -> list[Design]:
    drawn: dict[str, Design] = {}
    while len(drawn) < count:
        design = next(draws)
        drawn.setdefault(repr(design), design)
    return list(drawn.values())


def _draws(rng: random.Random, units: Mapping[str, int]) -> Iterator[Design]:
    while True:
        unit = rng.choices(list(units), list(units.values()))[0]
        try:
            design = load_design({"name": "unit", "unit": unit, **_tree(rng, unit)})
            plan(design)
        except SpecError:
            continue
        if _size(design) <= 96:
            yield design


def _size(design: Design) -> int:
    """Bits of the widest thing in a design."""
    kind = design.accumulate.kind
    return design.sum_bits if kind == "exact" else 0


def _tree(rng: random.Random, unit: str) -> dict[str, Any]:
    a = _format(rng)
    kin = a if rng.random() < 0.6 else _format(rng)
    product = rng.choice(["lmul", "lmul_add", "mitchell"]) if rng.random() < 0.1 else "exact"
    b = kin if product == "exact" or unit == "adder" else a
    tree: dict[str, Any] = {"a": a, "b": b}
    if unit != "adder":
        tree["product"] = product
    if unit == "fma":
        floats = [name for name in (a, b) if "m" in name]
        tree["out"] = rng.choice([*floats, "bf16", "fp16", "fp32"])
        return tree
    tree["out"] = rng.choice([a, a, "bf16", "fp16", "fp32", "e4m3fn", "int8", "int16"])
    if rng.random() < 0.2:
        tree["out_round"] = rng.choice(["truncate", "rna", "up"])
    if unit in ("mac", "systolic"):
        tree["accumulate"] = _accumulation(rng, a, b)
        if tree["accumulate"].get("normalize") == "exact" and rng.random() < 0.25:
            tree["normalizer"] = "anticipator"
        if tree["accumulate"]["kind"] == "fixed" and rng.random() < 0.4:
            tree["out"] = tree["accumulate"]["format"]
    if unit == "systolic":
        rows, columns = rng.choice(_SHAPES)
        dataflow = "os" if rng.random() < 0.35 else "ws"
        tree["array"] = {"rows": rows, "columns": columns, "dataflow": dataflow}
    return tree


def _format(rng: random.Random) -> str:
    if rng.random() < 0.33:
        return rng.choice(_NAMED)
    if rng.random() < 0.3:
        return rng.choice(["int", "int", "int", "uint"]) + str(rng.randint(3, 16))
    exp_bits = rng.choice([2, 3, 4, 4, 5, 5, 6, 7, 8, 8])
    man_bits = rng.randint(0, 10)
    bits = {2: 8, 3: 9}.get(exp_bits, 16)
    man_bits = min(man_bits, bits - 1 - exp_bits)
    fitting = [x for x, least in _SPECIALS.items() if exp_bits >= least and (man_bits or not x)]
    ftz = ":ftz" if rng.random() < 0.06 else ""
    return f"e{exp_bits}m{man_bits}{rng.choice(['', *fitting])}{ftz}"


def _accumulation(rng: random.Random, a: str, b: str) -> Mapping[str, Any]:
    kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
    terms = rng.choice([64, 1024, 65536])
    if kind == "exact":
        return {"kind": kind, "max_terms": terms}
    if kind == "rounded":
        name = rng.choice(["fp32", "bf16", "fp16", "e8m13", "e6m9", "e8m10", "e5m7", "e8m17"])
        return {"kind": kind, "format": name}
    x, y = parse_format(a), parse_format(b)
    bits = x.sig_bits + y.sig_bits
    if kind == "fixed":
        width = rng.randint(10, 32)
        top = x.max_exp + y.max_exp + 1 + rng.randint(-1, 6)
        if not (isinstance(x, FixedPoint) and isinstance(y, FixedPoint)):
            top = min(top, rng.randint(4, 12))
        fraction = width - 1 - top
        overflow, rounding = rng.choice(["saturate", "wrap"]), rng.choice(["truncate", "rne"])
        name = f"s{top}.{fraction}"
        return {"kind": kind, "format": name, "overflow": overflow, "round": rounding}
    found: dict[str, Any] = {"kind": kind, "width": max(rng.randint(10, 32), bits)}
    found |= {"normalize": rng.choice(_NORMALIZE), "max_terms": terms}
    if rng.random() < 0.35:
        found |= {"guard": rng.choice([0, 1, 2, 3]), "sticky": rng.random() < 0.5}
        found["round"] = rng.choice(["truncate", "rne", "rna", "odd"])
    return found
