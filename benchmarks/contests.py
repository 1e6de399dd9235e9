"""What is measured: the model's work, beside that of other libraries on the same data."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import apytypes
import ml_dtypes
import numpy as np
from apytypes import APyFixedArray, APyFloatArray
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.entries import FULL, Contest, Entry, Job, Kernel, Size
from benchmarks.machine import MACHINE
from minimac.model import convert, decode, encode, matmul, quantize_blocks
from minimac.spec import BlockFormat, Format, load_design, parse_format

__all__ = ["CONTESTS"]


def _normal(size: int | tuple[int, ...], rng: Generator) -> NDArray[np.float32]:
    return rng.standard_normal(size, np.float32)


def _conversion(
    name: str,
    given: Callable[[NDArray[np.float32]], NDArray[Any]],
    ours: Callable[[NDArray[Any]], Any],
    theirs: Callable[[NDArray[Any]], Any],
    kernel: Kernel,
    *,
    library: str = "ml_dtypes",
    target: float | None = None,
) -> Contest:
    """Convert what is ``given``, made of normally distributed numbers."""

    def prepare(work: Callable[[NDArray[Any]], Any], size: Size, rng: Generator) -> Job:
        values = given(_normal(size.values, rng))
        return Job(partial(work, values), size.values)

    entries = (
        Entry(name, "minimac", partial(prepare, ours), kernel, target),
        Entry(name, library, partial(prepare, theirs), is_peer=True),
    )
    return Contest(name, "values", entries, same_bits=True)


def _conversions() -> tuple[Contest, ...]:
    bf16, e4m3fn, e2m1, int8 = map(parse_format, ("bf16", "e4m3fn", "e2m1", "int8"))
    float8, bfloat16 = ml_dtypes.float8_e4m3fn, ml_dtypes.bfloat16
    as_is = np.asarray
    scaled = partial(np.multiply, np.float32(40))
    return (
        _conversion(
            "float32 to e4m3fn",
            as_is,
            partial(encode, e4m3fn),
            operator.methodcaller("astype", float8),
            Kernel("float_encoder", 4, 1),
            target=10,
        ),
        _conversion(
            "float32 to bf16",
            as_is,
            partial(encode, bf16),
            operator.methodcaller("astype", bfloat16),
            Kernel("float_encoder", 4, 2),
        ),
        _conversion(
            "float32 to e2m1",
            as_is,
            partial(encode, e2m1),
            operator.methodcaller("astype", ml_dtypes.float4_e2m1fn),
            Kernel("float_encoder", 4, 1),
        ),
        _conversion(
            "float32 to int8",
            scaled,
            partial(encode, int8),
            lambda values: np.clip(np.rint(values), -128, 127).astype(np.int8),
            Kernel("float_encoder", 4, 1),
            library="NumPy",
        ),
        _conversion(
            "float64 to e4m3fn",
            operator.methodcaller("astype", np.float64),
            partial(encode, e4m3fn),
            operator.methodcaller("astype", float8),
            Kernel("float_encoder", 8, 1),
        ),
        _conversion(
            "e4m3fn to float64",
            lambda values: values.astype(float8).view(np.uint8),
            partial(decode, e4m3fn),
            lambda codes: codes.view(float8).astype(np.float64),
            Kernel("look_up", 1, 8),
        ),
        _conversion(
            "bf16 to e4m3fn",
            lambda values: values.astype(bfloat16).view(np.uint16),
            partial(convert, bf16, e4m3fn),
            lambda codes: codes.view(bfloat16).astype(float8),
            Kernel("look_up", 2, 1),
        ),
        _quantization("mxfp8_e4m3"),
        _quantization("nvfp4"),
    )


def _operand(fmt: Format, shape: tuple[int, int], axis: int, rng: Generator) -> Any:
    """Return codes, or blocks along an axis, of normally distributed numbers; of integers, all."""
    values = _normal(shape, rng)
    if isinstance(fmt, BlockFormat):
        return quantize_blocks(fmt, values, axis=axis)
    return encode(fmt, values if fmt.name != "int8" else np.rint(64 * values))


def _product(
    name: str,
    formats: str,
    accumulate: Any,
    kernel: Kernel | None = None,
    *,
    rows: int = FULL.side,
    target: float | None = None,
    **more: Any,
) -> Entry:
    """Multiply codes of one format to codes of another, ``"bf16 fp32"``."""
    of, out = formats.split()

    def prepare(size: Size, rng: Generator) -> Job:
        keys = {"name": "bench", "unit": "mac", "a": of, "b": of, "out": out}
        design = load_design({**keys, "accumulate": accumulate, **more})
        shape = min(rows, size.side), size.side
        a = _operand(design.a, shape, -1, rng)
        b = _operand(design.b, (size.side, size.side), 0, rng)
        return Job(partial(matmul, design, a, b), shape[0] * size.side**2)

    return Entry(name, "minimac", prepare, kernel, target)


def _apytypes_floats(
    exp_bits: int, man_bits: int, sum_bits: tuple[int, int] | None, rows: int = 32
) -> Entry:
    """Multiply floats of apytypes, and round products and sums to an accumulator's format.

    Few rows: a product takes as long for each of them.
    """
    name = f"sums in e{sum_bits[0]}m{sum_bits[1]}" if sum_bits else "sums in the operands' format"

    def prepare(size: Size, rng: Generator) -> Job:
        shape = min(rows, size.side), size.side
        a = APyFloatArray.from_array(_normal(shape, rng), exp_bits, man_bits)
        b = APyFloatArray.from_array(_normal((size.side, size.side), rng), exp_bits, man_bits)

        def multiply() -> object:
            if sum_bits is None:
                return a @ b
            with apytypes.APyFloatAccumulatorContext(*sum_bits):
                return a @ b

        return Job(multiply, shape[0] * size.side**2)

    return Entry(name, "apytypes", prepare, is_peer=True)


def _apytypes_integers(sum_bits: int | None, rows: int) -> Entry:
    """Multiply fixed point of apytypes, in full or to an accumulator of some bits."""
    name = f"sums of {sum_bits} bits" if sum_bits else "full sums"

    def prepare(size: Size, rng: Generator) -> Job:
        shapes = (min(rows, size.side), size.side), (size.side, size.side)
        a, b = (
            APyFixedArray.from_array(rng.integers(-128, 128, shape).astype(float), 8, 0)
            for shape in shapes
        )

        def multiply() -> object:
            if sum_bits is None:
                return a @ b
            with apytypes.APyFixedAccumulatorContext(int_bits=sum_bits, frac_bits=0):
                return a @ b

        return Job(multiply, shapes[0][0] * size.side**2)

    return Entry(name, "apytypes", prepare, is_peer=True)


def _numpy_floats(size: Size, rng: Generator) -> Job:
    a, b = _normal((size.side, size.side), rng), _normal((size.side, size.side), rng)
    return Job(partial(np.matmul, a, b), size.side**3)


def _quantization(name: str) -> Contest:
    """Quantise to blocks."""
    fmt = parse_format(name)

    def prepare(size: Size, rng: Generator) -> Job:
        values = _normal((size.values // 1024, 1024), rng)
        return Job(partial(quantize_blocks, fmt, values), values.size)

    contest = f"float32 to {name}"
    return Contest(contest, "values", (Entry(contest, "minimac", prepare),))


def _products() -> tuple[Contest, ...]:
    def chain(**normalize: str) -> dict[str, Any]:
        return {"kind": "float", "width": 20, **normalize}

    def rounded(fmt: str) -> dict[str, Any]:
        return {"kind": "rounded", "format": fmt}

    exact = {"kind": "exact"}
    ceiling = Entry("float32 `matmul`, the ceiling", "NumPy", _numpy_floats)
    return (
        Contest(
            "bf16 x bf16",
            "MAC",
            (
                _product(
                    "chained, W 20, approx(1,2), to bf16",
                    "bf16 bf16",
                    chain(normalize="approx(1,2)"),
                    Kernel("chain_kernel", 8),
                    target=20,
                ),
                _product(
                    "hopper_fp16 (fused), to fp32",
                    "bf16 fp32",
                    "hopper_fp16",
                    Kernel("fused_kernel", 12, turns=(1 / 16, 1, 1 / 16)),
                    target=10,
                ),
                _product("exact, to fp32", "bf16 fp32", exact, Kernel("sum_digits", 32)),
                _product(
                    "rounded in fp32, to fp32",
                    "bf16 fp32",
                    rounded("fp32"),
                    Kernel("float_kernel", 8),
                ),
                _product(
                    "rounded in bf16, to bf16",
                    "bf16 bf16",
                    rounded("bf16"),
                    Kernel("rounded_kernel", 17),
                ),
                _product(
                    "lmul_add, chained, W 20, to bf16",
                    "bf16 bf16",
                    chain(),
                    Kernel("multiply_codes", 25),
                    rows=32,
                    product="lmul_add",
                ),
                _apytypes_floats(8, 7, None),
                _apytypes_floats(8, 7, (8, 23)),
                ceiling,
            ),
        ),
        Contest(
            "e4m3fn x e4m3fn",
            "MAC",
            (
                _product("exact, to fp32", "e4m3fn fp32", exact, target=100),
                _product(
                    "hopper_fp8 (fused), to fp32",
                    "e4m3fn fp32",
                    "hopper_fp8",
                    Kernel("fused_kernel", 12, turns=(1 / 32, 1, 1 / 32)),
                    target=10,
                ),
                _product(
                    "fixed s15.8, to fp32",
                    "e4m3fn fp32",
                    {"kind": "fixed", "format": "s15.8"},
                    Kernel("fixed_kernel", 16),
                ),
                _apytypes_floats(4, 3, None),
                _apytypes_floats(4, 3, (8, 23)),
                ceiling,
            ),
        ),
        Contest(
            "int8 x int8",
            "MAC",
            (
                _product("exact, to int32", "int8 int32", exact, target=3),
                _product(
                    "fixed int32, to int32",
                    "int8 int32",
                    {"kind": "fixed", "format": "int32"},
                    Kernel("fixed_kernel", 16),
                ),
                _apytypes_integers(None, FULL.side),
                _apytypes_integers(32, 32),
                ceiling,
            ),
        ),
        Contest(
            "blocks",
            "MAC",
            tuple(
                _product(f"{fmt}, rounded in fp32, to fp32", f"{fmt} fp32", rounded("fp32"))
                for fmt in ("mxfp8_e4m3", "nvfp4")
            ),
        ),
    )


CONTESTS = (MACHINE, *_conversions(), *_products())
