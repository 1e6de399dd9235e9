"""Tests of :mod:`minimac.cost.workload`."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from minimac.cost.schedule import schedule
from minimac.cost.workload import cost_of, load_workload
from minimac.spec import SpecError

WORKLOADS = Path(__file__).parents[2] / "examples" / "workloads"


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "net.yaml"
        path.write_text(text)
        return load_workload(path)

    return read


def test_a_convolution_is_a_product(read):
    (layer,) = read(
        "name: x\nlayers: [{name: c, count: 2, conv: {batch: 2, in_channels: 6, out_channels: 8,"
        " kernel: [3, 5], size: [10, 9], stride: 2, padding: [1, 0], groups: 2}}]"
    ).layers
    # Places where a kernel fits, counted one by one.
    down = sum(1 for y in range(-1, 11) if (y + 1) % 2 == 0 and y + 3 <= 11)
    across = sum(1 for x in range(9) if x % 2 == 0 and x + 5 <= 9)
    assert (layer.m, layer.k, layer.n) == (2 * down * across, 3 * 3 * 5, 4)
    assert (layer.count, layer.groups, layer.activations) == (2, 2, 2 * 6 * 10 * 9)


def test_resnet18_has_the_known_number_of_products():
    """11.7 M parameters, of which batch norms have 9,600 and the classifier's biases 1,000."""
    layers = load_workload(WORKLOADS / "resnet18.yaml").layers
    assert sum(x.m * x.k * x.n * x.count for x in layers) == 1_814_073_344
    assert sum(x.k * x.n * x.count for x in layers) == 11_689_512 - 9_600 - 1_000


def test_a_block_of_bert_has_the_known_weights():
    layers = load_workload(WORKLOADS / "bert_base_block.yaml").layers
    weights = sum(x.k * x.n * x.count for x in layers if x.name not in ("scores", "context"))
    assert weights == 4 * 768**2 + 2 * 768 * 3072


def test_a_workload_on_an_array(read, composed, tiny):
    found = cost_of(
        read(
            "name: x\nmemory: {sram_pj_per_bit: 2, dram_pj_per_bit: 30}\n"
            "layers: [{name: one, m: 10, k: 7, n: 8, count: 3}, {name: two, m: 1, k: 1, n: 1}]"
        ),
        composed,
    )
    one, two = found.layers
    laid_out = schedule(tiny, 10, 7, 8)
    assert (one.macs, one.cycles) == (3 * 560, 3 * laid_out.cycles)
    assert one.utilisation_percent == pytest.approx(float(Fraction(56000, 18 * laid_out.cycles)))
    assert one.time_us == pytest.approx(one.cycles / 50)
    # Weights, activations and results of 2, 2 and 8 bits cross the DRAM once.
    outside = 3 * (7 * 8 * 2 + 10 * 7 * 2 + 10 * 8 * 8)
    assert one.dram_uj == pytest.approx(outside * 30e-6)
    # Beside them the array reads weights once, activations twice: 8 columns take two groups of 6.
    # Of three passes two leave sums, each of 10 bits (256, signed), to be read again.
    array = 3 * (7 * 8 * 2 + 2 * 10 * 7 * 2 + 2 * 2 * 10 * 8 * 10 + 10 * 8 * 8)
    assert one.sram_uj == pytest.approx((array + outside) * 2e-6)
    steps, resumed, turns, still = 3 * 60, 3 * 40, 3 * 6, one.cycles * composed.cycle_pj
    assert one.idle_uj == pytest.approx(still / 1e6)
    assert one.turns_uj == pytest.approx(turns * sum(composed.event_pj["turn"].values()) / 1e6)
    operands = composed.energy_pj(
        steps=steps, resumed=resumed, used=560 / (60 * 18), passing=2 / 9 * 2 / 3
    )
    assert one.operands_uj == pytest.approx(operands / 1e6)
    assert found.total.cycles == one.cycles + two.cycles
    assert found.total.energy_uj == pytest.approx(one.energy_uj + two.energy_uj)
    assert found.total.utilisation_percent < one.utilisation_percent


def test_memory_is_cited(read):
    memory = read("name: x\nlayers: [{name: y, m: 1, k: 1, n: 1}]").memory
    assert memory.sram_pj_per_bit == 20 / 64
    assert memory.dram_pj_per_bit == 1950 / 64
    assert memory.source.count("Horowitz, ISSCC 2014, 45 nm, not scaled") == 2
    memory = read("name: x\nmemory: {sram_kb: 8}\nlayers: [{name: y, m: 1, k: 1, n: 1}]").memory
    assert memory.sram_pj_per_bit == 10 / 64


CONV = "{name: c, conv: {in_channels: 4, out_channels: 4, kernel: 3, size: 8}}"
WRONG = {
    "layers: []": "layers: must be a list of at least one layer, as in {name: first, m: 128, ",
    "layers: 3": "layers: must be a list of at least one layer, as in ",
    "layers: [a]": "layers.0: must be a mapping, as in {name: first, .*}, not 'a'",
    "layers: [{name: a, m: 0, k: 1, n: 1}]": "layers.0.m: must be a whole .* 2**32, not 0",
    "layers: [{name: a, m: 2.5, k: 1, n: 1}]": "layers.0.m: must be a whole .* 2**32, not 2.5",
    "layers: [{name: a, m: 1e3, k: 1, n: 1}]": "layers.0.m: .*, not '1e3'; write 1000 without quot",
    "layers: [{name: a, m: 1, k: -4, n: 1}]": "layers.0.k: must be a whole .* from 1 .*, not -4",
    "layers: [{name: a, m: 99999999999, k: 1, n: 1}]": "layers.0.m: .* 1 to 2**32, not 9999999999",
    "layers: [{name: a, m: 1, k: 1}]": "layers.0.n: is missing; this key is required",
    "layers: [{name: a, m: 1, k: 1, n: true}]": "layers.0.n: must be a whole number .* not True",
    "layers: [{m: 1, k: 1, n: 1}]": "layers.0.name: is missing; this key is required",
    "layers: [{name: 18, m: 1, k: 1, n: 1}]": 'layers.0.name: must be a word, not 18; write "18"',
    "layers: [{name: a, m: 1, k: 1, n: 1, cuont: 2}]": "layers.0.cuont: unknown key; did you mean "
    "'count'?",
    "layers: [{name: a, M: 1, k: 1, n: 1}]": "layers.0.M: unknown key; known are name, m, k, n, ",
    "layers: [{name: a, convolution: {}}]": "layers.0.convolution: unknown .*; did you mean 'conv'",
    "layers: [{name: a, conv: 3}]": "layers.0.conv: must be a mapping of batch, .*, not 3",
    f"layers: [{CONV.replace('name: c', 'name: c, m: 3')}]": "layers.0.m: follows from conv; leave",
    f"layers: [{CONV.replace(', size: 8', '')}]": "layers.0.conv.size: is missing; this key is req",
    f"layers: [{CONV.replace('kernel: 3', 'kernel: 9')}]": "layers.0.conv.kernel: must be at most "
    "the padded size (8), not 9",
    f"layers: [{CONV.replace('size: 8', 'size: 8, groups: 3')}]": "layers.0.conv.groups: must div",
    f"layers: [{CONV.replace('kernel: 3', 'kernel: [1, 2, 3]')}]": "layers.0.conv.kernel: must be a"
    " number or a list of two, not [1, 2, 3]",
    f"layers: [{CONV}]\nmemory: 32": "memory: must be a mapping of sram_kb, .*, not 32",
    f"layers: [{CONV}]\nmemory: {{sram_kb: 64}}": "memory.sram_kb: must be one of 8, 32, 1024, .*, "
    "not 64; sram_pj_per_bit sets that of another",
    f"layers: [{CONV}]\nmemory: {{sram_kb: [32]}}": "memory.sram_kb: must be one .*, not [32];",
    f"layers: [{CONV}]\nmemory: {{dram_pj_per_bit: -1}}": "memory.dram_pj_per_bit: must .* not -1",
    f"layers: [{CONV}]\nspeed: 1": "speed: unknown key; known are name, layers, memory",
    "unit: mac": "is a design and not a workload; name the workload before the design",
    "spaces: []": "is a sweep and not a workload; minimac explore runs it",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_one_line(read, text):
    message = re.escape(WRONG[text]).replace(r"\.\*", ".*")
    with pytest.raises(SpecError, match=rf"net\.yaml: {message}") as caught:
        read(f"name: x\n{text}")
    assert "\n" not in str(caught.value)


def test_chains_that_are_too_long(read, composed):
    long = read("name: x\nlayers: [{name: much, m: 1, k: 65, n: 1}]")
    with pytest.raises(SpecError, match=r"^layer much: k: must be at most accumulate\.max_terms"):
        cost_of(long, composed)
