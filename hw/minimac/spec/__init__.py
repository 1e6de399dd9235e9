"""What the bits mean and what a unit is: formats, rounding, accumulation, designs.

This is all that generators and golden model share. It needs neither NumPy nor Amaranth.
"""

from minimac.spec.accumulation import (
    PRESETS,
    Accumulation,
    ExactAccumulation,
    FixedAccumulation,
    FloatAccumulation,
    FusedAccumulation,
    Normalization,
    Preset,
    RoundedAccumulation,
)
from minimac.spec.arithmetic import Arithmetic
from minimac.spec.blocks import BlockFormat, ScaleRule
from minimac.spec.codebooks import Codebook, KHot
from minimac.spec.conversion import Convert, Lfsr, Quantize
from minimac.spec.design import (
    Adder,
    ArrayShape,
    Design,
    Fma,
    Mac,
    Multiplier,
    Systolic,
)
from minimac.spec.dot import Dot
from minimac.spec.errors import SpecError
from minimac.spec.formats import (
    ExponentOnly,
    FixedPoint,
    Format,
    Minifloat,
    NanCode,
    Specials,
)
from minimac.spec.functions import (
    Activation,
    Exponential,
    Hadamard,
    Interpolation,
    Softmax,
)
from minimac.spec.grids import GridFormat
from minimac.spec.implementation import Implementation
from minimac.spec.loading import UNITS, load_design
from minimac.spec.names import parse_format
from minimac.spec.products import Product
from minimac.spec.rounding import Overflow, Rounding
from minimac.spec.split import recommended_split

__all__ = [
    "PRESETS",
    "UNITS",
    "Accumulation",
    "Activation",
    "Adder",
    "Arithmetic",
    "ArrayShape",
    "BlockFormat",
    "Codebook",
    "Convert",
    "Design",
    "Dot",
    "ExactAccumulation",
    "ExponentOnly",
    "Exponential",
    "FixedAccumulation",
    "FixedPoint",
    "FloatAccumulation",
    "Fma",
    "Format",
    "FusedAccumulation",
    "GridFormat",
    "Hadamard",
    "Implementation",
    "Interpolation",
    "KHot",
    "Lfsr",
    "Mac",
    "Minifloat",
    "Multiplier",
    "NanCode",
    "Normalization",
    "Overflow",
    "Preset",
    "Product",
    "Quantize",
    "RoundedAccumulation",
    "Rounding",
    "ScaleRule",
    "Softmax",
    "SpecError",
    "Specials",
    "Systolic",
    "load_design",
    "parse_format",
    "recommended_split",
]
