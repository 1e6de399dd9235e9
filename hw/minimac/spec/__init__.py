"""What the bits mean and what a unit is: formats, rounding, accumulation, designs.

This is all that generators and golden model share. It needs neither NumPy nor Amaranth.
"""

from minimac.spec.accumulation import (
    Accumulation,
    ExactAccumulation,
    FloatAccumulation,
    Normalization,
)
from minimac.spec.design import Arithmetic, ArrayShape, Design, Implementation, Mac, Systolic
from minimac.spec.errors import SpecError
from minimac.spec.formats import FixedPoint, Format, Minifloat, NanCode, Specials, parse_format
from minimac.spec.loading import UNITS, load_design
from minimac.spec.rounding import Overflow, Rounding

__all__ = [
    "UNITS",
    "Accumulation",
    "Arithmetic",
    "ArrayShape",
    "Design",
    "ExactAccumulation",
    "FixedPoint",
    "FloatAccumulation",
    "Format",
    "Implementation",
    "Mac",
    "Minifloat",
    "NanCode",
    "Normalization",
    "Overflow",
    "Rounding",
    "SpecError",
    "Specials",
    "Systolic",
    "load_design",
    "parse_format",
]
