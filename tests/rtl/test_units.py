"""Tests of the generators: random designs in Amaranth's simulator against the definition."""

import random

import pytest

import chains
import oracle
from circuits import run_chains
from minimac.rtl import plan
from minimac.rtl.kinds import KINDS as BUILT_KINDS
from minimac.spec import Mac, Rounding, SpecError, load_design
from rtl.test_arrays import Bench

ROUNDINGS = [str(mode) for mode in Rounding if not mode.stochastic]
#: Operands that :mod:`chains` draws seldom or never: sums that are small against most results.
SMALL = ["s-5.12", "s-1.8", "e4m3fn:bias=20", "s10.-3", "u2.2", "e3m0"]
#: Results with few codes, or none for small sums.
FEW = ["e3m0", "e0m4", "s3.-1", "int8:sym", "ue4m3fn:ftz", "s-3.9", "int4", "e3m2"]


def is_built(tree):
    """Whether there is a circuit for a design."""
    try:
        planned = plan(design := load_design(tree))
    except SpecError:
        return False
    # Wider ones take the simulator too long.
    return planned is not None and (design.accumulate.kind != "exact" or design.sum_bits < 200)


BASE = {"name": "unit", "unit": "mac", "a": "bf16", "b": "bf16", "out": "bf16"}
PRODUCTS = [
    product
    for product in ["exact", *chains.PRODUCTS]
    if is_built(BASE | {"product": product, "accumulate": {"kind": "float", "width": 20}})
]
KINDS = [
    kind
    for kind in chains.KINDS
    if kind in {"chunked", *(accumulation.kind for accumulation in BUILT_KINDS)}
]


def draw_design(rng, kind, product="exact", **changes):
    """Draw a design that has a circuit."""
    for _ in range(1000):
        tree = chains.draw_design(rng, kind, product) | changes
        if rng.random() < 0.2 and product == "exact":
            tree["a"] = rng.choice(SMALL)
        if rng.random() < 0.2:
            tree["out"] = rng.choice(FEW)
        tree |= {
            "out_round": rng.choice(ROUNDINGS),
            "pipeline": rng.choice([0, 0, 1, 2, "auto"]),
            "clock_mhz": rng.choice([10, 300, 1000]),
            "normalizer": rng.choice(["counter", "anticipator"]),
        }
        if is_built(tree):
            return load_design(tree)
    raise AssertionError(f"hardly a design of kind {kind} and product {product} has a circuit")


def draw_chains(rng, design):
    """Draw the operands of some chains."""
    found = []
    for _ in range(4):
        a, b = chains.draw_operands(rng, design, 6, rng.randint(1, 9), 6)
        found += zip(a.elements, b.elements, strict=True)
    return found


def assert_agrees(design, operands, context):
    """Hold a ``mac`` to the definition; return how many results were compared."""
    assert isinstance(design, Mac)
    for (a, b), code in zip(operands, run_chains(design, operands), strict=True):
        want = oracle.chain(design, a, b)
        assert code == want, (
            f"{design.as_dict()}, a = {a}, b = {b}: got {code:#x}, expected {want:#x} ({context})"
        )
    return len(operands)


@pytest.mark.parametrize("case", range(30))
@pytest.mark.parametrize("kind", KINDS)
def test_random_designs_against_the_definition(kind, case, seed, tally):
    context = f"seed {seed}, kind {kind}, case {case}"
    rng = random.Random(context)
    design = draw_design(rng, kind)
    tally("mac in Amaranth", assert_agrees(design, draw_chains(rng, design), context))


@pytest.mark.parametrize("case", range(10))
@pytest.mark.parametrize("product", PRODUCTS[1:])
def test_random_products_against_the_definition(product, case, seed, tally):
    context = f"seed {seed}, product {product}, case {case}"
    rng = random.Random(context)
    design = draw_design(rng, rng.choice(KINDS), product)
    tally("mac in Amaranth", assert_agrees(design, draw_chains(rng, design), context))


@pytest.mark.parametrize("case", range(6))
@pytest.mark.parametrize("kind", KINDS)
def test_random_arrays_against_the_definition(kind, case, seed, tally):
    context = f"seed {seed}, arrays of kind {kind}, case {case}"
    rng = random.Random(context)
    rows, columns = rng.randint(1, 3), rng.randint(1, 2)
    array = {"rows": rows, "columns": columns, "dataflow": rng.choice(["ws", "os"])}
    design = draw_design(rng, kind, rng.choice(PRODUCTS), unit="systolic", array=array)
    terms = rng.randint(1, 3 * rows)
    drawn = [chains.draw_operands(rng, design, 3, terms, 3) for _ in range(3)]
    products = [(a.elements, list(zip(*b.elements, strict=True))) for a, b in drawn]
    for (a, b), product in zip(drawn, Bench(design).run(products), strict=True):
        for i, x in enumerate(a.elements):
            for j, y in enumerate(b.elements):
                want = oracle.chain(design, x, y)
                assert product[i][j] == want, (
                    f"{design.as_dict()}, a = {x}, b = {y}: got {product[i][j]:#x}, "
                    f"expected {want:#x} ({context})"
                )
                tally("systolic in Amaranth", 1)
