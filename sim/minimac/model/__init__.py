"""Golden model: what bits a unit returns.

Written from the definitions, with compiled inner loops, and vectorised over any leading axes.
"""

from minimac.model.products import matmul
from minimac.model.scalars import convert, decode, encode

__all__ = ["convert", "decode", "encode", "matmul"]
