"""Tests of :mod:`minimac.nn.quantisation`."""

import dataclasses

import numpy as np
import pytest

from minimac.bench.dots import chains
from minimac.model import Blocks, decode, dequantize_blocks, encode, matmul, quantize_blocks
from minimac.nn import (
    Classifier,
    Layer,
    TensorPair,
    Workload,
    accuracy,
    digits,
    layer_operands,
    quantise,
    scale_for,
    tiles,
)
from minimac.spec import Design, SpecError, load_design, parse_format


def design(fmt: str = "int8", out: str = "bf16", **more: object) -> Design:
    tree = {"name": "d", "unit": "systolic", "a": fmt, "b": fmt, "out": out}
    return load_design(tree | {"accumulate": {"kind": "exact"}} | more)


def one_layer(weights: np.ndarray, inputs: np.ndarray) -> Classifier:
    return Classifier(
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
        ("nf4", [0.5, -4.0], 4.0),  # -1 and 1 are its ends
        ("khot2:s0.7", [0.5, -1.5], 1.5 * 128 / 127),  # 127 = 128 - 1 has two digits
        ("bin", [1.0, -2.0, 6.0], 3.0),  # the mean of the magnitudes
        ("tern", [1.0, -5.0, 7.0], 6.0),  # 1 is nearer to 0: (5 + 7) / 2 is the least error
        ("e8m0", [3.0, 0.25], 1.0),
        ("mxfp4", [1000.0, 3.0], 1.0),
        ("nvfp4", [2688.0, -5376.0], 2.0),  # 448 * 6 is 2688
        ("nvfp4:tensor=none", [5376.0], 1.0),
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
    short = design(accumulate={"kind": "exact", "max_terms": 50})
    message = (
        r"^accumulate.max_terms: must be at least 64, the terms of a sum of digits layer1, not 50$"
    )
    with pytest.raises(SpecError, match=message):
        accuracy(short)


def test_what_multiplies_no_matrices_is_refused():
    tree = {"name": "m", "unit": "multiplier", "a": "int8", "b": "int8", "out": "bf16"}
    message = "^unit: must be mac, dot or systolic to run a network, not multiplier$"
    with pytest.raises(SpecError, match=message):
        accuracy(load_design(tree))


def test_a_format_without_zero_is_refused():
    message = "^a: e8m0 has no code for zeros and negative numbers of a network$"
    with pytest.raises(SpecError, match=message):
        accuracy(design(b="int8", fmt="e8m0", out="fp32"))
    doubles = one_layer(np.array([[1.0], [0.5]]), np.array([[4.0, 2.0]]))
    (layer,) = quantise(design("e8m0", "fp32"), doubles)
    assert layer(doubles.inputs).tolist() == [[5.0]]


def test_no_labels_no_accuracy():
    pairs = [TensorPair("one", np.ones((1, 2)), np.ones((2, 1)))]
    message = (
        "^workload: plain has no labels and so no accuracy; use a classifier such as digits, or "
        "minimac.nn.error$"
    )
    with pytest.raises(SpecError, match=message):
        accuracy(design(), Workload("plain", "ones", pairs))


def dot(fmt: str, out: str = "fp32") -> Design:
    return load_design({"name": "d", "unit": "dot", "a": fmt, "b": fmt, "out": out})


BLOCKS = ["mxfp4", "nvfp4", "bfp12", "mxint8", "mxfp8_e4m3", "dfp8", "block:tern:size=8"]


@pytest.mark.parametrize("fmt", BLOCKS)
def test_blocks_by_their_values(fmt):
    """A layer is the product of what its blocks stand for; a sum of few terms is exact in fp32."""
    rng = np.random.default_rng(3)
    workload = one_layer(rng.normal(size=(40, 3)), rng.normal(size=(5, 40)) * 100)
    (layer,) = quantise(dot(fmt), workload)
    of = parse_format(fmt)
    x = dequantize_blocks(of, quantize_blocks(of, workload.inputs, -1))
    w = dequantize_blocks(of, quantize_blocks(of, workload.layers[0].weights, 0))
    np.testing.assert_allclose(layer(workload.inputs), x @ w, rtol=1e-5, atol=1e-4)
    assert isinstance(layer.weights, Blocks)
    assert layer.weights.tensor_scale == 1.0  # it is outside of the circuit


@pytest.mark.parametrize(
    ("fmt", "least"),
    [("mxfp4", 0.93), ("nvfp4", 0.95), ("bfp12", 0.95), ("dfp8", 0.965), ("mxint8", 0.965)],
)
def test_accuracy_on_blocks(fmt, least):
    assert least < accuracy(dot(fmt)) <= 0.975


@pytest.mark.parametrize(("fmt", "least"), [("nf4", 0.94), ("khot2:s0.7", 0.96), ("tern", 0.6)])
def test_accuracy_on_tables_and_restricted_formats(fmt, least):
    assert accuracy(design(fmt, "fp32")) > least


@pytest.mark.parametrize("fmt", ["mxfp4", "nvfp4"])
def test_blocks_whose_results_would_not_fit_out_are_scaled(fmt):
    workload = one_layer(np.full((64, 1), 768.0), np.full((1, 64), 768.0))
    (layer,) = quantise(dot(fmt, "fp16"), workload)
    assert layer(workload.inputs)[0, 0] == pytest.approx(64 * 768**2)  # 65504 is the most


@pytest.mark.parametrize("fmt", ["mxfp4", "nvfp4", "dfp8"])
def test_tiles_of_blocks(fmt):
    """A tile gives the results that its rows and columns have in the whole product."""
    found = tiles(dot(fmt), 4, samples=5)
    a, b = layer_operands(dot(fmt))[0]
    (x, y), (x2, y2) = found[:2]
    whole = matmul(dot(fmt), a, b)
    np.testing.assert_array_equal(matmul(dot(fmt), x, y), whole[:5, :1])
    at = 600 // 5 * 48 // 2  # the second of two that are evenly spread
    row, column = at // 48 * 5, at % 48
    np.testing.assert_array_equal(
        matmul(dot(fmt), x2, y2), whole[row : row + 5, column : column + 1]
    )
    # As the bench and the cost of a dot take them apart.
    sent = dict(chains(dot(fmt), x, y))[0, 0]
    assert sum(len(transfer["a"]) for transfer in sent) >= 64


def test_operands_of_a_workload_without_labels():
    pairs = [TensorPair("one", np.array([[1.0, -2.0], [3.0, 4.0]]), np.array([[1.0], [0.5]]))]
    ((a, b),) = layer_operands(design(out="int32"), Workload("plain", "by hand", pairs), samples=1)
    int8 = parse_format("int8")
    np.testing.assert_array_equal(a, encode(int8, [[63.5, -127.0]]))
    np.testing.assert_array_equal(b, encode(int8, [[127.0], [63.5]]))


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
