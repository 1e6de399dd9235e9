"""Tests of :mod:`minimac.nn.quality`."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest

from minimac.nn import TensorPair, Workload, digits, error, minilm
from minimac.spec import Design, SpecError, load_design, parse_format


def dot(fmt: str, b: str = "", out: str = "fp32", **more: object) -> Design:
    tree = {"name": "d", "unit": "dot", "a": fmt, "b": b or fmt, "out": out}
    return load_design(tree | {"accumulate": {"kind": "exact"}} | more)


def plain(*pairs: tuple[list[list[float]], list[list[float]]]) -> Workload:
    tensors = [TensorPair(f"t{n}", np.array(x), np.array(w)) for n, (x, w) in enumerate(pairs)]
    return Workload("plain", "by hand", tensors)


def test_two_tensors_by_hand():
    # int4: scales 7/7 and 14/7; 2.6 becomes 3, 5 becomes 4 (2.5 to even). Then exact: no error.
    workload = plain(([[7.0, 2.6]], [[14.0], [5.0]]), ([[7.0]], [[1.0]]))
    exact = Fraction(7 * 14) + Fraction(26, 10) * 5
    first = abs(Fraction(7 * 14 + 3 * 4) - exact) / exact
    found = error(dot("int4"), workload)
    assert found["by_tensor_percent"] == {"t0": pytest.approx(float(100 * first)), "t1": 0.0}
    assert found["error_percent"] == pytest.approx(float(100 * first) / math.sqrt(2))
    assert found["sqnr_db"] == pytest.approx(-10 * math.log10(float(first) ** 2 / 2))
    assert (found["tensors"], found["products"]) == (2, 3)


def test_no_error():
    found = error(dot("int8"), plain(([[127.0, -3.0]], [[127.0], [5.0]])))
    assert (found["error_percent"], found["sqnr_db"]) == (0.0, math.inf)
    assert error(dot("int8"), plain(([[0.0]], [[1.0]])))["error_percent"] == 0.0


def test_the_error_of_rounding_operands_alone():
    """Sums are exact and results have 24 bits: plain NumPy on rounded operands has this error."""
    found = error(dot("int8", "e4m3fn"), digits(), rows=20, columns=5)
    for pair in digits().tensors:
        places = np.arange(20) * 600 // 20
        columns = np.arange(5) * pair.weights.shape[1] // 5
        x, w = pair.inputs[places], pair.weights[:, columns]
        step = np.abs(x).max() / 127
        shift = _scale_exponent(w)
        fine = np.ldexp(w, -shift)
        lsb = np.maximum(np.frexp(fine)[1] - 4, -9)
        rounded = np.ldexp(np.rint(np.ldexp(fine, -lsb)), lsb + shift)
        y, exact = (np.rint(x / step) * step) @ rounded, x @ w
        wanted = 100 * np.linalg.norm(y - exact) / np.linalg.norm(exact)
        assert found["by_tensor_percent"][pair.name] == pytest.approx(wanted, rel=1e-5)


def _scale_exponent(w: np.ndarray) -> int:
    """Say by what power of two e4m3fn takes a tensor: the least that saturates nothing, or 0."""
    fits = math.ceil(math.log2(np.abs(w).max() / 448))

    def loss(shift: int) -> float:
        fine = np.ldexp(w, -shift)
        lsb = np.maximum(np.frexp(fine)[1] - 4, -9)
        return float(np.sum((np.ldexp(np.rint(np.ldexp(fine, -lsb)), lsb + shift) - w) ** 2))

    return 0 if fits < 0 and loss(0) <= loss(fits) else fits


def test_wide_formats_leave_the_error_of_the_result_alone():
    found = error(dot("fp32", out="bf16"), digits())
    first = digits().tensors[0]
    exact = first.inputs[np.arange(64) * 600 // 64] @ first.weights
    mantissas, exponents = np.frexp(exact)
    rounded = np.ldexp(np.rint(mantissas * 256), exponents - 8)
    wanted = 100 * np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
    assert found["by_tensor_percent"]["layer1"] == pytest.approx(wanted, rel=1e-3)


def test_accumulation_and_result_count():
    fine = error(dot("e5m2"), digits())["error_percent"]
    coarse = {"kind": "float", "width": 6, "normalize": "none"}
    mac = {"name": "m", "unit": "mac", "a": "e5m2", "b": "e5m2", "out": "fp32"}
    assert error(load_design(mac | {"accumulate": coarse}), digits())["error_percent"] > 1.2 * fine
    assert error(dot("e5m2", out="e3m2"), digits())["error_percent"] > 1.2 * fine


def test_more_bits_less_error_on_a_transformer():
    found = [error(dot(fmt), minilm(), rows=8)["error_percent"] for fmt in ("int4", "int6", "int8")]
    assert found == sorted(found, reverse=True)
    # Outliers: blocks of 4 bits are better than integers of 6 with one scale a tensor.
    assert error(dot("mxfp4"), minilm(), rows=8)["error_percent"] < found[1]


def test_the_same_every_time():
    first = error(dot("nvfp4"), minilm(), rows=2, columns=4)
    assert first == error(dot("nvfp4"), minilm(), rows=2, columns=4)
    assert first["products"] == 2 * 4 * 3 * (3 * 384 + 1536)


@pytest.mark.parametrize("name", ["rows", "columns"])
def test_empty_samples(name):
    with pytest.raises(ValueError, match=f"^{name} must be at least 1, not 0$"):
        error(dot("int8"), digits(), **{name: 0})


def test_deep_sums_are_refused():
    short = dot("int8", accumulate={"kind": "exact", "max_terms": 384})
    message = (
        "^accumulate.max_terms: must be at least 1536, the terms of a sum of minilm layer0.ffn2, "
        "not 384$"
    )
    with pytest.raises(SpecError, match=message):
        error(short, minilm())


def test_results_beyond_all_bounds_are_refused():
    tree = {"name": "m", "unit": "mac", "a": "bf16", "b": "bf16", "out": "fp32"}
    tree["accumulate"] = {"kind": "rounded", "format": "fp16"}
    message = (
        "^accumulate: results of plain t0 are NaN or infinite; use a wider format there or in out$"
    )
    with pytest.raises(SpecError, match=message):
        error(load_design(tree), plain(([[1e6]], [[1e6]])))


def test_rows_and_columns_with_scales_of_their_own():
    """Rows and columns of integers times anything lose nothing; with one scale for all they do."""
    rng = np.random.default_rng(3)
    rows, columns = (rng.integers(-7, 8, size=(6, 9)).astype(float) for _ in range(2))
    rows[:, 0] = columns[:, 4] = 7
    inputs = rows * 10.0 ** rng.integers(-3, 4, size=(6, 1))
    weights = (columns * 10.0 ** rng.integers(-3, 4, size=(6, 1))).T
    workload = Workload("plain", "by hand", [TensorPair("one", inputs, weights)])
    design = load_design(
        {
            **{"name": "x", "unit": "mac", "a": "int4", "b": "int4", "out": "fp32"},
            "accumulate": {"kind": "exact", "max_terms": 16},
        }
    )
    assert error(design, workload, scales="vector")["error_percent"] < 1e-9
    assert error(design, workload)["error_percent"] > 0.1
    # Where sums of codes do not fit, rows and columns are scaled down together.
    narrow = dataclasses.replace(design, out=parse_format("int8"))
    found = error(narrow, workload, scales="vector")["error_percent"]
    assert 0.01 < found < 20
