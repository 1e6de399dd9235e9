"""Tests of the link: a short form of the campaign of :mod:`benchmarks.link`."""

import time

import pytest
from benchmarks.link import DESIGN, Campaign, Reference, framed

from minimac.spec import load_design


def test_the_reference_judges_as_the_rfc_says():
    for raw, counter in {
        framed(b"0123456")[1:-1]: "frames",
        framed(b"0123456")[1:-1] + b"\x7d": "damaged",
        framed(b"0123457")[1:-2] + b"x": "damaged",
        framed(b"012345")[1:-1]: "short",
        b"\x7d": "damaged",
        bytes(1025): "long",
    }.items():
        assert Reference.judge(raw) == counter


def test_bad_frames_are_counted_and_do_no_harm(seed, pytestconfig, tally):
    campaign = Campaign(load_design(DESIGN), seed)
    try:
        frames = 10_000 if pytestconfig.option.exhaustive else 600
        campaign.run(frames)
        tally("frames that were bad", sum(campaign.sent.values()))
        assert campaign.products > campaign.batches > 0
    finally:
        campaign.close()


def test_the_campaign_sees_a_board_that_miscounts(seed):
    campaign = Campaign(load_design(DESIGN), seed)
    try:
        campaign.port._port.write(b"\x7eshort\x7e")  # past the reference
        time.sleep(0.05)
        with pytest.raises(AssertionError, match=r"short: \d+, not \d+"):
            campaign.run(50)
    finally:
        campaign.close()
