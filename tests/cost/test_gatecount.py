"""Tests of :mod:`minimac.cost.gatecount`."""

import math

import numpy as np
import pytest

from minimac.cost.gatecount import (
    CELLS,
    COMPARED,
    PUBLISHED,
    Lanes,
    cell_factors,
    fit_cells,
    lane_cost,
    read_lanes,
    unit_cost,
)
from minimac.spec import SpecError

# Worked out by hand from table 6 of arXiv 2510.25602.
E4M3 = {
    "multiplier": 32 * 16,
    "adder": 32 * 24,
    "exponent_adder": 128,
    "exponent_subtractor": 128,
    "comparator": 128,
    "aligner": 3521.2,
    "normaliser": 110.04,
}
E2M1_OF_16 = {
    "multiplier": 64,
    "adder": 160,
    "exponent_adder": 32,
    "exponent_subtractor": 32,
    "comparator": 32,
    "aligner": 531.5,
    "normaliser": 33.22,
}


@pytest.mark.parametrize(
    ("name", "lanes", "blocks"),
    [
        ("e4m3fn", 32, E4M3),
        ("e2m1", 16, E2M1_OF_16),
        ("int8", 32, {"multiplier": 2048, "adder": 512}),
        ("int4", 16, {"multiplier": 256, "adder": 128}),
    ],
)
def test_gates_by_hand(name, lanes, blocks):
    assert Lanes.of(name, lanes).blocks() == pytest.approx(blocks, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "bits"), [("e4m3fn", 24), ("e5m2", 24), ("e3m2", 20), ("e2m3", 14), ("e2m1", 10)]
)
def test_windows(name, bits):
    assert Lanes.of(name, 32).window_bits == bits


def test_cells_by_hand():
    # AND: multiplier and comparator; full adders: all that adds; MUX and OR: aligner, normaliser.
    shift, normal = 24 * math.log2(24) * 32, 24 * math.log2(24)
    assert Lanes.of("e4m3fn", 32).cells() == pytest.approx(
        {
            "and": 512 + 128,
            "full_adder": 512 + 768 + 128 + 128,
            "xor": 256,
            "or": 128 + normal,
            "mux": shift + normal,
            "once_integer": 0,
            "once_float": 1,
        }
    )


def test_ratios_with_gates_of_nand2():
    nand2 = {"and": 1.5, "full_adder": 6, "xor": 2.5, "or": 1.5, "mux": 2.5}
    cost = {title: lane_cost(Lanes.of(*of[:2]), nand2) for title, of in COMPARED.items()}
    # A lane of MXFP8: 120 + 144 + 24 + 34 + 22 + 275.1 + 13.8; of MXINT8: 480 + 96.
    assert cost["MXFP8"] == pytest.approx(632.8, abs=0.1)
    assert cost["MXINT8"] == pytest.approx(576)
    found = {
        "MXINT8": cost["MXINT8"] / cost["MXFP8"],
        "NVINT4": cost["NVINT4"] / cost["NVFP4"],
        "MXFP6": cost["MXFP6"] / cost["MXFP8"],
        "MXINT6": cost["MXINT6"] / cost["MXFP8"],
        "MXFP4": cost["MXFP4"] / cost["MXFP8"],
    }
    wanted = {"MXINT8": 0.91, "NVINT4": 0.76, "MXFP6": 0.61, "MXINT6": 0.54, "MXFP4": 0.34}
    assert found == pytest.approx(wanted, abs=0.005)


def test_units_by_hand():
    shift = 24 * math.log2(24)
    lanes = Lanes.of("int4", 16)
    # An fp32 adder; products of two significands of 4 bits, and of 8 by 24; exponents of 4 and 8.
    assert lanes.unit_cells("ue4m3fn") == pytest.approx(
        {
            "and": 256 + 8 + (16 + 192),
            "full_adder": 256 + 128 + 24 + 8 + (16 + 192) + (4 + 8),
            "xor": 8 + 8,
            "or": 8 + shift,
            "mux": 2 * shift,
            "once_integer": 0,
            "once_float": 0,
        }
    )
    # Scales that are powers of two: two adders of 8 bits, and no multiplier.
    cells = lanes.unit_cells("e8m0")
    assert cells["and"] == 256 + 8
    assert cells["full_adder"] == 256 + 128 + 24 + 8 + 16
    assert unit_cost(lanes, "e8m0", {"and": 16}) == 256 + 8


def test_published_ratios():
    # Table 5 of the paper: energies 1, 0.63, 0.55, 0.34; areas 1, 0.79, 0.54, 0.38.
    assert PUBLISHED == {
        "MXFP8": (1.0, 1.0),
        "MXINT8": (0.79, 0.63),
        "NVFP4": (0.54, 0.55),
        "NVINT4": (0.38, 0.34),
    }


def test_fits_find_the_factors_that_made_the_points(seed):
    rng = np.random.default_rng(seed)
    factors = dict(zip(CELLS, rng.uniform(1, 20, len(CELLS)), strict=True))
    # With few lanes what is there once tells itself from the rest.
    own = [(x["format"], lanes) for x in read_lanes("sky130") for lanes in (1, 3, 32)]
    points = [
        {
            "format": name,
            "lanes": lanes,
            "area_um2": lane_cost(Lanes.of(name, lanes), factors) * lanes,
            "energy_pj_per_mac": lane_cost(Lanes.of(name, lanes), factors),
        }
        for name, lanes in own
    ]
    for figure in ("area_um2", "energy_pj_per_mac"):
        assert fit_cells(points, figure) == pytest.approx(factors, rel=1e-3)


@pytest.mark.parametrize(("figure", "bound"), [("area_um2", 0.04), ("energy_pj_per_mac", 0.05)])
def test_fits_are_near_what_was_synthesised(figure, bound):
    factors = cell_factors("sky130", figure)
    assert min(factors.values()) >= 0
    errors = []
    for point in read_lanes("sky130"):
        share = 1 if figure == "energy_pj_per_mac" else point["lanes"]
        found = lane_cost(Lanes.of(point["format"], point["lanes"]), factors) * share
        errors.append(abs(found / point[figure] - 1))
    assert np.median(errors) < bound


@pytest.mark.parametrize("name", ["uint8", "ue4m3fn", "nf4", "mxfp4"])
def test_other_formats_are_refused(name):
    with pytest.raises(SpecError, match=r"^format: must be a signed minifloat or integer, not"):
        Lanes.of(name, 32)
