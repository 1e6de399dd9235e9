"""What an H100 returned, held to ``matmul`` of :mod:`minimac.model`: every recorded bit."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from minimac.model import matmul
from minimac.spec import Rounding, load_design

RECORDINGS = Path(__file__).parents[3] / "shared/vectors/hopper_tensor_core.npz"
CASES = [
    "bf16.bf16.normal.k16", "bf16.bf16.normal.k32", "bf16.bf16.normal.k64",
    "e4m3.e4m3.normal.k128", "e4m3.e4m3.normal.k32", "e4m3.e4m3.normal.k64",
    "e4m3.e4m3.wide.k64", "e4m3.e5m2.normal.k128", "e4m3.e5m2.normal.k32",
    "e4m3.e5m2.normal.k64", "fp16.fp16.normal.k16", "fp16.fp16.normal.k32",
    "fp16.fp16.normal.k64",
]  # fmt: skip
PRESETS = {"e4m3": "hopper_fp8", "bf16": "hopper_fp16", "fp16": "hopper_fp16"}

pytestmark = pytest.mark.skipif(
    not RECORDINGS.exists(), reason=f"{RECORDINGS} is not there: no recordings to compare with"
)


@functools.cache
def recordings():
    with np.load(RECORDINGS) as stored:
        return dict(stored)


def recorded(case):
    """Return operands, as ``matmul`` takes them, and the results; all as unsigned codes."""
    parts = (recordings()[f"{case}.{part}"] for part in "aby")
    a, b, y = (part.view(f"u{part.itemsize}") for part in parts)
    return a, b.T, y


def design(case):
    a, b = ({"e4m3": "e4m3fn"}.get(name, name) for name in case.split(".")[:2])
    tree = {"name": "tensor_core", "unit": "mac", "a": a, "b": b, "out": "fp32"}
    return load_design(tree | {"accumulate": PRESETS[case.split(".")[0]]})


def test_no_recording_is_left_out():
    assert sorted(recordings()) == sorted(f"{case}.{part}" for case in CASES for part in "aby")


@pytest.mark.parametrize("case", CASES)
def test_every_recorded_result(case, tally):
    a, b, y = recorded(case)
    np.testing.assert_array_equal(matmul(design(case), a, b), y)
    assert len(np.unique(y)) > 1000
    tally("recordings of a tensor core", y.size)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "change",
    [
        lambda acc: {"frac_bits": acc.frac_bits - 1},
        lambda acc: {"frac_bits": acc.frac_bits + 1},
        lambda acc: {"sticky": True},
        lambda acc: {"out_frac_bits": acc.out_frac_bits - 1},
        lambda acc: {"round": Rounding.RNE},
        lambda acc: {"group": acc.group // 2},
    ],
    ids=["less", "more", "sticky", "narrow", "rne", "group"],
)
def test_recordings_tell_other_engines_apart(case, change):
    """The comparison is not vacuous: any other choice of a parameter is found out."""
    a, b, y = recorded(case)
    spec = design(case)
    spec = dataclasses.replace(
        spec, accumulate=dataclasses.replace(spec.accumulate, **change(spec.accumulate))
    )
    assert np.count_nonzero(matmul(spec, a, b) != y) >= 20
