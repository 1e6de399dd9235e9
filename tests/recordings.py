"""What an H100 returned: operands and results.

There are two sets of recordings: that beside the repository, and our own, ``data/h100.npz``, of
``torch.mm`` and ``torch._scaled_mm`` (PyTorch 2.11, CUDA 13.0): all finite codes alike (``codes``;
bf16 with exponents of 100 to 149), normal ones times 2**-6 to 2**5 (``wide``), and one operand in
fifty of any code at all (``special``), so that chains overflow, and meet infinities and NaN.
"""

import functools
from pathlib import Path

import numpy as np

from minimac.spec import load_design

__all__ = ["CASES", "OWN_CASES", "SHARED", "design", "recorded", "recordings"]

SHARED = Path(__file__).parents[2] / "shared/vectors/hopper_tensor_core.npz"
OWN = Path(__file__).parent / "data/h100.npz"
CASES = [
    "bf16.bf16.normal.k16", "bf16.bf16.normal.k32", "bf16.bf16.normal.k64",
    "e4m3.e4m3.normal.k128", "e4m3.e4m3.normal.k32", "e4m3.e4m3.normal.k64",
    "e4m3.e4m3.wide.k64", "e4m3.e5m2.normal.k128", "e4m3.e5m2.normal.k32",
    "e4m3.e5m2.normal.k64", "fp16.fp16.normal.k16", "fp16.fp16.normal.k32",
    "fp16.fp16.normal.k64",
]  # fmt: skip
if not SHARED.exists():
    CASES = []
with np.load(OWN) as own:
    OWN_CASES = sorted({name.removesuffix(".y") for name in own if name.endswith(".y")})


@functools.cache
def recordings(path):
    with np.load(path) as stored:
        return dict(stored)


def recorded(case):
    """Return operands, as ``matmul`` takes them, and the results; all as unsigned codes."""
    path = OWN if case in OWN_CASES else SHARED
    parts = (recordings(path)[f"{case}.{part}"] for part in "aby")
    a, b, y = (part.view(f"u{part.itemsize}") for part in parts)
    return a, b.T, y


def design(case):
    a, b = ({"e4m3": "e4m3fn"}.get(name, name) for name in case.split(".")[:2])
    tree = {"name": "tensor_core", "unit": "mac", "a": a, "b": b, "out": "fp32"}
    return load_design(tree | {"accumulate": "hopper_fp16" if "16" in a else "hopper_fp8"})
