"""Networks on an arithmetic: data, quantisation, accuracy, and the operands that hardware sees."""

from minimac.nn.quantisation import (
    QuantisedLayer,
    accuracy,
    layer_operands,
    quantise,
    scale_for,
    tiles,
)
from minimac.nn.workload import WORKLOADS, Layer, Workload, digits, workload_named

__all__ = [
    "WORKLOADS",
    "Layer",
    "QuantisedLayer",
    "Workload",
    "accuracy",
    "digits",
    "layer_operands",
    "quantise",
    "scale_for",
    "tiles",
    "workload_named",
]
