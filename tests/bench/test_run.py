"""Tests of :mod:`minimac.bench.run`, and of the generated Verilog through it."""

import multiprocessing
import xml.etree.ElementTree as ET
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minimac.bench import SimulationError, simulate
from minimac.bench.operands import STYLES
from minimac.bench.run import _pack, _unpack
from minimac.model import quantize_blocks
from minimac.spec import load_design, parse_format

EXAMPLES = Path(__file__).parents[2] / "examples"

# Between them: every kind of accumulation, normalisation, special value and operand pair, and
# every number of register stages.
DESIGNS = {
    "bf16_exact": {"a": "bf16", "accumulate": {"kind": "float", "width": 16}, "pipeline": 3},
    "bf16_approx": {
        "a": "bf16",
        "accumulate": {"kind": "float", "width": 18, "normalize": "approx(1,2)"},
    },
    "e5m2_sticky": {
        "a": "e5m2",
        "out": "e5m2",
        "out_overflow": "infinity",
        "accumulate": {"kind": "float", "width": 8, "guard": 2, "sticky": True, "round": "rne"},
        "pipeline": 2,
    },
    "int8_exact": {"a": "int8", "out": "int32", "accumulate": {"kind": "exact", "max_terms": 300}},
    "e4m3fn_exact": {
        "a": "e4m3fn",
        "accumulate": {"kind": "exact", "max_terms": 40},
        "pipeline": 1,
    },
    "mixed": {
        "a": "bf16",
        "b": "int4",
        "accumulate": {"kind": "float", "width": 14, "normalize": "none"},
        "pipeline": 1,
    },
    "e2m1_int8_out": {"a": "e2m1", "out": "int8", "accumulate": {"kind": "exact", "max_terms": 64}},
}


def build(name, unit, **array):
    fields = {"name": f"{name}_{unit}", "unit": unit, "out": "bf16", **DESIGNS[name]}
    fields.setdefault("b", fields["a"])
    if unit == "systolic":
        fields["array"] = array or {"rows": 3, "columns": 2}
    else:
        fields["pipeline"] = min(fields.get("pipeline", 0), 1)
    return load_design(fields)


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("unit", ["mac", "systolic"])
def test_every_design_on_one_simulator(name, unit, simulators, seed, tmp_path):
    # Icarus builds at once; Verilator has its share, too, and all of it where there is no Icarus.
    on_verilator = unit == "mac" and name in ("bf16_exact", "e5m2_sticky", "mixed")
    simulator = simulators[0 if on_verilator else -1]
    result = simulate(build(name, unit), build_dir=tmp_path, simulator=simulator, seed=seed)
    assert result.vectors > 1000
    assert result.tests >= 9


def test_array_on_every_simulator(simulator, seed, tmp_path):
    design = build("bf16_approx", "systolic", rows=1, columns=3)
    rng = np.random.default_rng(seed)
    operands = [STYLES["near_one"](design, rng, 4, 7, 5)]
    result = simulate(design, build_dir=tmp_path, simulator=simulator, seed=seed, operands=operands)
    cases = ET.parse(result.junit).getroot().iter("testcase")
    assert len(list(cases)) == result.tests >= 9
    assert result.vectors > 1000


def test_a_failure_names_operands_seed_and_log(simulators, tmp_path):
    from minimac.rtl import to_verilog

    design = build("int8_exact", "mac")
    text = to_verilog(design).replace("assign i_ready = ", "assign i_ready = 0; wire was = ")
    with pytest.raises(SimulationError, match=r"int8_exact_mac on .*\(seed 5, see .*test\.log\)$"):
        simulate(design, build_dir=tmp_path, simulator=simulators[-1], seed=5, verilog=text)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_example_exhaustively(path, simulator, seed, tmp_path, pytestconfig):
    if not pytestconfig.option.exhaustive:
        pytest.skip("a campaign: make regress")
    if "unit:" not in path.read_text():
        pytest.skip("a sweep, not a design")
    result = simulate(
        load_design(path), build_dir=tmp_path, simulator=simulator, seed=seed, exhaustive=True
    )
    print(f"{path.stem} on {result.simulator}: {result.vectors} vectors, {result.seconds:.0f} s")
    assert result.vectors > 2000


def test_equal_seeds_give_equal_runs_also_side_by_side_in_one_folder(simulators, tmp_path):
    # Of other lengths by seed; few terms make it short.
    accumulate = {"kind": "exact", "max_terms": 3}
    design = load_design(
        {"name": "two", "unit": "mac", "a": "e2m1", "b": "e2m1", "out": "int8"}
        | {"accumulate": accumulate}
    )
    asked = {"build_dir": tmp_path, "simulator": simulators[-1]}
    alone = [simulate(design, seed=seed, **asked).vectors for seed in (1, 2)]
    assert alone[0] != alone[1]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        together = [pool.submit(simulate, design, seed=seed, **asked) for seed in (1, 2)]
        assert [run.result().vectors for run in together] == alone


def test_wrong_simulator(tmp_path):
    with pytest.raises(
        SimulationError, match=r"^simulator must be one of verilator, icarus, not 'vcs'$"
    ):
        simulate(build("int8_exact", "mac"), build_dir=tmp_path, simulator="vcs")


def test_broken_verilog_is_one_line(simulators, tmp_path):
    with pytest.raises(SimulationError, match=r"not built: .* \(see .*build\.log\)$") as caught:
        simulate(
            build("int8_exact", "mac"),
            build_dir=tmp_path,
            simulator=simulators[-1],
            verilog="module int8_exact_mac(; endmodule",
        )
    assert "\n" not in str(caught.value)


def test_operands_in_blocks_reach_the_bench_whole(tmp_path):
    blocks = quantize_blocks(parse_format("mxfp4:size=4"), np.arange(-12.0, 12).reshape(2, 12))
    np.savez(tmp_path / "x.npz", **_pack("a0", blocks), **_pack("b0", np.arange(6)))
    with np.load(tmp_path / "x.npz") as file:
        a, b = _unpack(file, "a0"), _unpack(file, "b0")
    assert (a.elements == blocks.elements).all()
    assert (a.scales == blocks.scales).all()
    assert a.scales.shape == (2, 3)
    assert b.tolist() == [0, 1, 2, 3, 4, 5]
