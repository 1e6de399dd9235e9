"""Golden model: what bits a unit returns, and how far they are from exact results.

Written from the definitions, with compiled inner loops, and vectorised over any leading axes.
"""

from minimac.model.blocks import Blocks, dequantize_blocks, quantize_blocks
from minimac.model.bounds import ErrorBound, error_bound
from minimac.model.conversion import convert_numbers, quantize_numbers
from minimac.model.elementwise import add, fma, multiply
from minimac.model.errors import product_errors, unit_errors
from minimac.model.functions import (
    activate,
    activation_bound,
    hadamard_codes,
    softmax_bound,
    softmax_codes,
)
from minimac.model.learning import fit_power, learn_codebook
from minimac.model.lfsr import draw_bits
from minimac.model.products import matmul
from minimac.model.rotation import hadamard
from minimac.model.scalars import convert, decode, encode
from minimac.model.statistics import ErrorStatistics, crest_factor, error_statistics, qsnr
from minimac.model.two_pass import exp_pairs, softmax, sum_pairs

__all__ = [
    "Blocks",
    "ErrorBound",
    "ErrorStatistics",
    "activate",
    "activation_bound",
    "add",
    "convert",
    "convert_numbers",
    "crest_factor",
    "decode",
    "dequantize_blocks",
    "draw_bits",
    "encode",
    "error_bound",
    "error_statistics",
    "exp_pairs",
    "fit_power",
    "fma",
    "hadamard",
    "hadamard_codes",
    "learn_codebook",
    "matmul",
    "multiply",
    "product_errors",
    "qsnr",
    "quantize_blocks",
    "quantize_numbers",
    "softmax",
    "softmax_bound",
    "softmax_codes",
    "sum_pairs",
    "unit_errors",
]
