"""Tests of :mod:`minimac.rtl.delay`."""

import itertools
import random

import pytest

from minimac.rtl.delay import Delays, Section, place_registers, stages_ps

TECHNOLOGIES = ["sky130", "asap7", "sg13g2", "xc7", "ecp5", "ice40", "gowin"]


@pytest.mark.parametrize("technology", TECHNOLOGIES)
def test_more_bits_take_longer(technology):
    delays = Delays(technology)
    assert delays.register > 0
    assert delays.gates(0) == 0
    sized = [delays.adder, delays.incrementer, delays.shifter, delays.leading_zeros, delays.any]
    for delay in [*sized, lambda bits: delays.multiplier(bits, bits)]:
        grown = [delay(bits) for bits in (1, 2, 3, 4, 8, 16, 24, 32, 64, 128, 600)]
        assert grown[0] > 0
        assert grown == sorted(grown)


def test_technologies_differ_and_unknown_ones_are_the_slowest():
    adders = {name: Delays(name).adder(16) for name in TECHNOLOGIES}
    assert adders["asap7"] == min(adders.values())
    assert len(set(adders.values())) == len(adders)
    assert Delays("path/to/own.lib").gates(1) == max(Delays(x).gates(1) for x in TECHNOLOGIES)


def draw_sections(rng, count):
    places = [f"p{n}" for n in range(count - 1)]
    return [Section(place, float(rng.randrange(1, 100))) for place in [*places, ""]]


def slowest(sections, cuts):
    """Return the delay of the slowest stage, by cutting a list of numbers."""
    delays, stage, found = [s.delay_ps for s in sections], 10.0, []
    for section, delay in zip(sections, delays, strict=True):
        stage += delay
        if section.place in cuts:
            found.append(stage)
            stage = 10.0
    return max([*found, stage])


@pytest.mark.parametrize("case", range(40))
def test_registers_balance_as_well_as_any(case, seed):
    rng = random.Random(f"{seed} {case}")
    sections = draw_sections(rng, rng.randrange(1, 8))
    offered = [s.place for s in sections[:-1] if rng.random() < 0.8]
    for stages in range(len(offered) + 1):
        cuts = place_registers(sections, offered, stages=stages, period_ps=0.0, register_ps=10.0)
        assert len(cuts) == stages
        assert set(cuts) <= set(offered)
        best = min(slowest(sections, c) for c in itertools.combinations(offered, stages))
        assert slowest(sections, cuts) == best == max(stages_ps(sections, cuts, 10.0))


@pytest.mark.parametrize("case", range(20))
def test_a_faster_clock_never_takes_fewer_registers(case, seed):
    rng = random.Random(f"{seed} {case}")
    sections = draw_sections(rng, rng.randrange(2, 9))
    offered = [s.place for s in sections[:-1]]

    def auto(period_ps):
        return place_registers(
            sections, offered, stages=None, period_ps=period_ps, register_ps=10.0
        )

    periods = sorted((rng.uniform(5, 500) for _ in range(30)), reverse=True)
    counts = [len(auto(period)) for period in periods]
    feasible = [period for period in periods if slowest(sections, auto(period)) <= period]
    assert counts[: len(feasible)] == sorted(counts[: len(feasible)])
    for period, count in zip(feasible, counts, strict=False):
        fewer = itertools.combinations(offered, count - 1) if count else ()
        assert all(slowest(sections, cuts) > period for cuts in fewer)
    # Beyond what registers can do, none is added that does not help.
    limit = min(slowest(sections, offered), slowest(sections, auto(0.0)))
    assert slowest(sections, auto(0.0)) == limit
