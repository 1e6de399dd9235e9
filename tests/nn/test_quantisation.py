"""Tests of :mod:`minimac.nn.quantisation`."""

import dataclasses

import numpy as np
import pytest

from minimac.model import decode
from minimac.nn import Layer, Workload, accuracy, digits, quantise, scale_for, tiles
from minimac.spec import Design, load_design, parse_format


def design(fmt: str = "int8", out: str = "bf16", **more: object) -> Design:
    tree = {"name": "d", "unit": "systolic", "a": fmt, "b": fmt, "out": out}
    return load_design(tree | {"accumulate": {"kind": "exact"}} | more)


def one_layer(weights: np.ndarray, inputs: np.ndarray) -> Workload:
    return Workload(
        name="one",
        description="one layer",
        layers=(Layer(weights, np.zeros(weights.shape[1])),),
        calibration=inputs,
        calibration_labels=np.zeros(len(inputs), np.int64),
        inputs=inputs,
        labels=np.zeros(len(inputs), np.int64),
    )


@pytest.mark.parametrize(
    ("fmt", "values", "scale"),
    [
        ("int8", [-254.0, 127.0], 2.0),  # the largest magnitude becomes 127, also where negative
        ("uint8", [0.0, 51.0], 0.2),
        ("s1.2", [-1.75, 3.5], 2.0),  # largest value 1.75
        ("e2m1", [-6.0, 24.0], 4.0),  # -1.5 and 6: both exact
        ("e4m3fn", [3.0, 1.0, -0.25], 1.0),  # exact at 1 and at others: 1 is the simplest
        ("bf16", [3.0e-5, 0.1], 1.0),  # as good at 1 as anywhere
        ("e4m3fn", [1000.0, 3.0], 4.0),  # 448 is the largest value
        ("int8", [0.0, 0.0], 1.0),
        ("e2m1", [], 1.0),
    ],
)
def test_scales_by_hand(fmt, values, scale):
    assert scale_for(parse_format(fmt), np.array(values)) == pytest.approx(scale, rel=1e-15)


def test_scale_of_a_minifloat_is_a_power_of_two():
    values = np.random.default_rng(0).normal(size=500) * 37.0
    for name in ("e2m1", "e3m2", "e4m3fn", "e5m2", "e4m3fnuz"):
        mantissa, _ = np.frexp(scale_for(parse_format(name), values))
        assert mantissa == 0.5


def test_a_layer_by_hand():
    # Scales 2/127 and 4/127; codes 127, -64 (63.5 to even) and 127, 32 (31.75).
    workload = one_layer(np.array([[4.0], [1.0]]), np.array([[2.0, -1.0]]))
    (layer,) = quantise(design(out="int32"), workload)
    assert (layer.input_scale, layer.weight_scale) == (2 / 127, 4 / 127)
    assert layer.weights.tolist() == [[127], [32]]
    assert decode(design().a, layer.codes(workload.inputs)).tolist() == [[127.0, -64.0]]
    expected = (127 * 127 - 64 * 32) * (2 / 127) * (4 / 127)
    assert layer(workload.inputs)[0, 0] == pytest.approx(expected, rel=1e-14)


def test_inputs_beyond_the_calibrated_range_saturate():
    workload = one_layer(np.array([[1.0]]), np.array([[1.0]]))
    (layer,) = quantise(design(), workload)
    assert decode(design().a, layer.codes(np.array([[5.0], [-5.0]]))).tolist() == [
        [127.0],
        [-128.0],
    ]


def test_results_that_would_not_fit_out_raise_both_scales():
    workload = one_layer(np.full((64, 1), 1.0), np.full((1, 64), 1.0))
    (wide,) = quantise(design(out="int32"), workload)
    (narrow,) = quantise(design(out="int8"), workload)
    ratio = narrow.input_scale * narrow.weight_scale / (wide.input_scale * wide.weight_scale)
    assert ratio == 2.0**13  # 64 * 127 * 127 must come down to 127
    assert narrow(workload.inputs)[0, 0] == pytest.approx(64.0, rel=0.3)


def test_accuracy_is_that_of_float_on_wide_formats():
    assert accuracy(design("fp16", "fp32")) == digits().float_accuracy


def test_accuracy_falls_with_the_bits():
    found = [accuracy(design(fmt)) for fmt in ("int8", "int4", "int2:sym")]
    assert found[0] > 0.96
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.9


def test_accuracy_takes_any_workload():
    workload = one_layer(np.array([[1.0, -1.0]]), np.array([[1.0], [-1.0]]))
    assert accuracy(design(), workload) == 0.5
    all_right = dataclasses.replace(workload, labels=np.array([0, 1]))
    assert accuracy(design(), all_right) == 1.0


def test_too_long_a_chain_is_refused():
    short = design(accumulate={"kind": "exact", "max_terms": 16})
    with pytest.raises(ValueError, match="max_terms"):
        accuracy(short)


def test_tiles_are_what_the_array_would_get():
    found = tiles(design(array={"rows": 8, "columns": 8}), 5)
    assert [(a.shape, b.shape) for a, b in found] == [
        ((16, 64), (64, 8)),
        ((16, 64), (64, 8)),
        ((16, 48), (48, 8)),
        ((16, 48), (48, 8)),
        ((16, 24), (24, 8)),
    ]
    assert all(a.min() >= 0 and a.max() < 256 for a, _ in found)
    first = quantise(design(), digits())[0]
    np.testing.assert_array_equal(found[0][0], first.codes(digits().inputs[:16]))
    np.testing.assert_array_equal(found[0][1], first.weights[:, :8])


def test_tiles_are_the_same_every_time():
    one, other = tiles(design(), 7), tiles(design(), 7)
    assert all(np.array_equal(x, y) for p, q in zip(one, other, strict=True) for x, y in zip(p, q))


def test_a_unit_without_columns_gets_one_output_a_tile():
    tree = design().as_dict() | {"unit": "mac"}
    del tree["array"]
    mac = load_design(tree)
    assert [(a.shape, b.shape) for a, b in tiles(mac, 1, samples=4)] == [((4, 64), (64, 1))]


def test_there_are_no_more_tiles_than_the_network_has():
    workload = one_layer(np.ones((4, 10)), np.ones((20, 4)))
    assert [(a.shape, b.shape) for a, b in tiles(design(), 99, workload)] == [
        ((16, 4), (4, 8)),
        ((16, 4), (4, 2)),
        ((4, 4), (4, 8)),
        ((4, 4), (4, 2)),
    ]


def test_wrong_counts():
    with pytest.raises(ValueError, match=r"^count must be at least 1, not 0$"):
        tiles(design(), 0)
    with pytest.raises(ValueError, match=r"^samples must be at least 1, not 0$"):
        tiles(design(), 1, samples=0)
