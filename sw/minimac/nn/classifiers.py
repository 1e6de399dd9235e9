"""Classifiers: trained networks with the data to judge them by."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.nn.workload import TensorPair, Workload

__all__ = ["Classifier", "Layer", "digits"]


@dataclass(frozen=True, eq=False)
class Layer:
    """A fully connected layer: ``y = x @ weights + bias``.

    Parameters
    ----------
    weights : float64 array, (K, N)
    bias : float64 array, (N,)
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier(Workload):
    """A classifier, ReLU between its layers, and data that it was not trained on.

    Its ``tensors`` are the weights, and what the test set makes go into each layer in float64.

    Parameters
    ----------
    layers : sequence of Layer
        In order of use.
    calibration, calibration_labels : array, (C, K) and (C,)
        Samples from which ranges are taken and by which rules are chosen.
    inputs, labels : array, (M, K) and (M,)
        The test set. It decides nothing; accuracy is stated on it.
    """

    tensors: Sequence[TensorPair] = field(init=False)
    layers: Sequence[Layer]
    calibration: NDArray[np.float64]
    calibration_labels: NDArray[np.int64]
    inputs: NDArray[np.float64]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        values = self.layer_inputs(self.inputs)[:-1]
        pairs = zip(values, self.layers, strict=True)
        tensors = tuple(
            TensorPair(f"layer{n}", x, layer.weights) for n, (x, layer) in enumerate(pairs, 1)
        )
        object.__setattr__(self, "tensors", tensors)

    def layer_inputs(self, samples: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return what goes into each layer, then what comes out of the last, all in float64."""
        values = [samples]
        for i, layer in enumerate(self.layers):
            x = values[-1] @ layer.weights + layer.bias
            values.append(x if i == len(self.layers) - 1 else np.maximum(x, 0.0))
        return values

    @property
    def float_accuracy(self) -> float:
        """Share of the test set that the network gets right in float64, 0 to 1."""
        scores = self.layer_inputs(self.inputs)[-1]
        return float(np.mean(scores.argmax(axis=-1) == self.labels))


@functools.cache
def digits() -> Classifier:
    """Train a 64-48-24-10 network on the 1797 handwritten digits of scikit-learn.

    The scans are real, 8 by 8 pixels of 17 grey levels (0 to 1 here). Of them 1000 train the
    network, 197 calibrate and 600 test it, each split with the same share of every digit. Seeds
    are fixed: the result is the same on every call. Training takes half a second. The width and
    the weight decay were chosen on the 197, from three each.

    Examples
    --------
    >>> digits().shapes
    [(600, 64, 48), (600, 48, 24), (600, 24, 10)]
    >>> digits().float_accuracy > 0.96
    True
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    def split(x: Any, y: Any, size: int) -> Any:
        return train_test_split(x, y, test_size=size, random_state=0, stratify=y)

    pixels, labels = load_digits(return_X_y=True)
    rest, inputs, rest_labels, test_labels = split(pixels / 16.0, labels, 600)
    train, calibration, train_labels, calibration_labels = split(rest, rest_labels, 197)
    network = MLPClassifier(
        (48, 24),
        alpha=0.3,
        batch_size=100,
        learning_rate_init=3e-3,
        max_iter=400,
        random_state=0,
    ).fit(train, train_labels)

    def frozen(array: Any) -> Any:
        array = np.ascontiguousarray(array)
        array.flags.writeable = False  # shared by every caller
        return array

    return Classifier(
        name="digits",
        description="64-48-24-10 ReLU network on the handwritten digits of scikit-learn",
        layers=tuple(
            Layer(frozen(w), frozen(b))
            for w, b in zip(network.coefs_, network.intercepts_, strict=True)
        ),
        calibration=frozen(calibration),
        calibration_labels=frozen(calibration_labels),
        inputs=frozen(inputs),
        labels=frozen(test_labels),
    )
