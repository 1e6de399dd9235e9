"""Tests of :mod:`minimac.explore.workers`."""

import os
import re

import pytest

from minimac.explore.results import StepResult
from minimac.explore.steps import Done
from minimac.explore.workers import Processes, workers
from minimac.spec import SpecError


def _work(batch):
    if 3 in batch:
        os._exit(9)
    return [Done(result=StepResult(ok=True, seconds=0.0, result={"step": step})) for step in batch]


def _found(batches):
    with Processes(2, work=_work) as hands:
        return {
            step: one.result
            for batch, done in hands.do(batches)
            for step, one in zip(batch, done, strict=True)
        }


def test_a_worker_that_dies_costs_its_step_only():
    found = _found([(1,), (2,), (3,), (4,), (5,)])
    assert [found[n].ok for n in range(1, 6)] == [True, True, False, True, True]
    assert found[3].reason == "the process that ran it died; it may have run out of memory"


@pytest.mark.parametrize("address", ["nonsense", "", "host:8786", "tcp://host"])
def test_a_scheduler_without_an_address(address):
    message = f"scheduler {address!r}: must be an address, as tcp://host:8786"
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        workers(1, address)


def test_of_a_batch_only_the_step_that_kills_is_lost():
    found = _found([(1, 2), (3, 4), (5,)])
    assert [found[n].ok for n in range(1, 6)] == [True, True, False, True, True]
