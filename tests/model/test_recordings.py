"""What an H100 returned, held to ``matmul`` of :mod:`minimac.model`: every recorded bit.

There are two sets of recordings: that beside the repository, and our own, ``data/h100.npz``, of
``torch.mm`` and ``torch._scaled_mm`` (PyTorch 2.11, CUDA 13.0): all finite codes alike (``codes``;
bf16 with exponents of 100 to 149), normal ones times 2**-6 to 2**5 (``wide``), and one operand in
fifty of any code at all (``special``), so that chains overflow, and meet infinities and NaN.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from minimac.model import matmul
from minimac.spec import Rounding, load_design

SHARED = Path(__file__).parents[3] / "shared/vectors/hopper_tensor_core.npz"
OWN = Path(__file__).parents[1] / "data/h100.npz"
CASES = [
    "bf16.bf16.normal.k16", "bf16.bf16.normal.k32", "bf16.bf16.normal.k64",
    "e4m3.e4m3.normal.k128", "e4m3.e4m3.normal.k32", "e4m3.e4m3.normal.k64",
    "e4m3.e4m3.wide.k64", "e4m3.e5m2.normal.k128", "e4m3.e5m2.normal.k32",
    "e4m3.e5m2.normal.k64", "fp16.fp16.normal.k16", "fp16.fp16.normal.k32",
    "fp16.fp16.normal.k64",
]  # fmt: skip
if not SHARED.exists():
    CASES = []
with np.load(OWN) as own:
    OWN_CASES = sorted({name.removesuffix(".y") for name in own if name.endswith(".y")})


@functools.cache
def recordings(path):
    with np.load(path) as stored:
        return dict(stored)


def recorded(case):
    """Return operands, as ``matmul`` takes them, and the results; all as unsigned codes."""
    path = OWN if case in OWN_CASES else SHARED
    parts = (recordings(path)[f"{case}.{part}"] for part in "aby")
    a, b, y = (part.view(f"u{part.itemsize}") for part in parts)
    return a, b.T, y


def design(case):
    a, b = ({"e4m3": "e4m3fn"}.get(name, name) for name in case.split(".")[:2])
    tree = {"name": "tensor_core", "unit": "mac", "a": a, "b": b, "out": "fp32"}
    return load_design(tree | {"accumulate": "hopper_fp16" if "16" in a else "hopper_fp8"})


@pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is not there")
def test_no_recording_is_left_out():
    names = sorted(f"{case}.{part}" for case in CASES for part in "aby")
    assert sorted(recordings(SHARED)) == names


@pytest.mark.parametrize("case", OWN_CASES)
def test_every_result_of_our_own_recordings(case, tally):
    a, b, y = recorded(case)
    # NaN is one code here and another there.
    wanted, got = y.view(np.float32), matmul(design(case), a, b).view(np.float32)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    np.testing.assert_array_equal(
        np.where(np.isnan(wanted), 0, got.view(np.uint32)), np.where(np.isnan(wanted), 0, y)
    )
    tally("recordings of a tensor core", y.size)


def test_our_own_recordings_have_all_sorts():
    results = [recorded(case)[2].view(np.float32) for case in OWN_CASES]
    everything = np.concatenate([part.ravel() for part in results])
    assert np.isnan(everything).sum() > 100
    assert np.isinf(everything).sum() > 100
    finite = everything[np.isfinite(everything) & (everything != 0)]
    assert np.abs(finite).min() < 0.1
    assert np.abs(finite).max() > 1e37


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
