"""Networks on an arithmetic: data, quantisation, accuracy, errors, the operands hardware sees."""

from minimac.nn.catalogue import CLASSIFIERS, WORKLOADS, workload_named
from minimac.nn.classifiers import Classifier, Layer, digits
from minimac.nn.quality import error
from minimac.nn.quantisation import (
    QuantisedLayer,
    accuracy,
    layer_operands,
    quantise,
    scale_for,
    tiles,
)
from minimac.nn.transformer import minilm
from minimac.nn.workload import TensorPair, Workload

__all__ = [
    "CLASSIFIERS",
    "WORKLOADS",
    "Classifier",
    "Layer",
    "QuantisedLayer",
    "TensorPair",
    "Workload",
    "accuracy",
    "digits",
    "error",
    "layer_operands",
    "minilm",
    "quantise",
    "scale_for",
    "tiles",
    "workload_named",
]
