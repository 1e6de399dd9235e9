"""Tests of :mod:`minimac.nn.classifiers`."""

import numpy as np
import pytest

from minimac.nn import Classifier, Layer, digits


def tiny() -> Classifier:
    return Classifier(
        name="tiny",
        description="two layers by hand",
        layers=(
            Layer(np.array([[1.0, -2.0], [0.5, 1.0]]), np.array([0.0, 1.0])),
            Layer(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.25, 0.0])),
        ),
        calibration=np.array([[2.0, 1.0]]),
        calibration_labels=np.array([0]),
        inputs=np.array([[2.0, 1.0], [0.0, 2.0], [0.0, -2.0]]),
        labels=np.array([0, 1, 0]),
    )


def test_layers_by_hand():
    first, hidden, scores = tiny().layer_inputs(np.array([[2.0, 1.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(first, [[2.0, 1.0], [0.0, 2.0]])
    np.testing.assert_array_equal(hidden, [[2.5, 0.0], [1.0, 3.0]])
    np.testing.assert_array_equal(scores, [[2.75, 0.0], [1.25, 3.0]])


def test_accuracy_and_shapes_by_hand():
    assert tiny().float_accuracy == 1.0
    assert tiny().shapes == [(3, 2, 2), (3, 2, 2)]


def test_tensors_are_weights_and_what_meets_them():
    workload = tiny()
    assert [pair.name for pair in workload.tensors] == ["layer1", "layer2"]
    first, second = workload.tensors
    np.testing.assert_array_equal(first.inputs, workload.inputs)
    np.testing.assert_array_equal(second.inputs, [[2.5, 0.0], [1.0, 3.0], [0.0, 0.0]])
    np.testing.assert_array_equal(second.weights, [[1.0, 0.0], [0.0, 1.0]])


def test_digits_are_split_without_overlap_and_evenly():
    workload = digits()
    assert workload.inputs.shape == (600, 64)
    assert workload.calibration.shape == (197, 64)
    assert workload.inputs.min() == 0.0
    assert workload.inputs.max() == 1.0
    assert np.bincount(workload.labels).min() >= 58
    seen = {sample.tobytes() for sample in workload.inputs}
    assert not any(sample.tobytes() in seen for sample in workload.calibration)


def test_training_is_reproducible():
    again = digits.__wrapped__()
    for one, other in zip(digits().layers, again.layers, strict=True):
        assert one.weights.tobytes() == other.weights.tobytes()
        assert one.bias.tobytes() == other.bias.tobytes()


def test_what_is_shared_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        digits().layers[0].weights[0, 0] = 1.0
