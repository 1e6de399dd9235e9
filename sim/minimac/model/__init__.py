"""Golden model: what bits a unit returns, and how far they are from exact results.

Written from the definitions, with compiled inner loops, and vectorised over any leading axes.
"""

from minimac.model.blocks import Blocks, dequantize_blocks, quantize_blocks
from minimac.model.bounds import ErrorBound, error_bound
from minimac.model.elementwise import add, fma, multiply
from minimac.model.errors import product_errors, unit_errors
from minimac.model.learning import fit_power, learn_codebook
from minimac.model.products import matmul
from minimac.model.rotation import hadamard
from minimac.model.scalars import convert, decode, encode
from minimac.model.statistics import ErrorStatistics, crest_factor, error_statistics, qsnr
from minimac.model.two_pass import exp_pairs, softmax, sum_pairs

__all__ = [
    "Blocks",
    "ErrorBound",
    "ErrorStatistics",
    "add",
    "convert",
    "crest_factor",
    "decode",
    "dequantize_blocks",
    "encode",
    "error_bound",
    "error_statistics",
    "exp_pairs",
    "fit_power",
    "fma",
    "hadamard",
    "learn_codebook",
    "matmul",
    "multiply",
    "product_errors",
    "qsnr",
    "quantize_blocks",
    "softmax",
    "sum_pairs",
    "unit_errors",
]
