"""What an H100 returned, held to ``matmul`` of :mod:`minimac.model`: every recorded bit."""

import dataclasses

import numpy as np
import pytest

from minimac.model import matmul
from minimac.spec import Rounding
from recordings import CASES, OWN_CASES, SHARED, design, recorded, recordings


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
