"""Numbers at the ends of what the loops of :mod:`minimac.model` hold, against the oracle."""

import numpy as np
import pytest

import oracle
import oracle_blocks
from minimac.model import Blocks, decode, encode, matmul, quantize_blocks
from minimac.spec import SpecError, load_design, parse_format


def design(a, b, out, accumulate, **more):
    tree = {"name": "x", "unit": "mac", "a": a, "b": b, "out": out}
    return load_design(tree | {"accumulate": accumulate} | more)


def assert_chain(spec, a, b):
    row, column = encode(spec.a, [a]), encode(spec.b, [b]).T
    assert matmul(spec, row, column)[0, 0] == oracle.chain(spec, row[0], column[:, 0])


@pytest.mark.parametrize("out", ["int8", "uint8", "s3.4", "int32", "fp32"])
@pytest.mark.parametrize("mode", ["rne", "rna", "up", "down", "truncate", "odd"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_of_64_ones(out, mode, sign):
    spec = design("bf16", "bf16", out, {"kind": "exact"}, out_round=mode)
    assert_chain(spec, [sign * 2.0**63, sign * -0.5], [1, 1])


def test_a_state_without_exponent_that_saturates():
    fused = {"kind": "fused", "group": 1, "frac_bits": 0, "format": "e0m7"}
    assert_chain(design("bf16", "bf16", "fp32", fused), [1000, -0.25], [1, 1])


@pytest.mark.parametrize("pair", [("int32", "int32"), ("uint32", "uint31")])
@pytest.mark.parametrize(
    "accumulate",
    [
        {"kind": "rounded", "format": "fp32"},
        {"kind": "fused", "group": 4, "frac_bits": 20},
        {"kind": "fixed", "format": "int32"},
    ],
)
def test_products_that_no_loop_holds_are_refused(pair, accumulate):
    with pytest.raises(
        SpecError, match=r"accumulate\.kind: must be exact for products of 6[34] bi"
    ):
        design(*pair, "fp32", accumulate)


@pytest.mark.parametrize("kind", ["rounded", "fused", "fixed"])
def test_products_of_62_bits(kind):
    more = {
        "rounded": {"format": "fp32"},
        "fused": {"group": 2, "frac_bits": 58},
        "fixed": {"format": "s31.0", "round": "rna"},
    }
    spec = design("uint31", "uint31", "fp32", {"kind": kind} | more[kind])
    for a in ([2**31 - 1, 1], [1, 2**31 - 1], [2**31 - 1, 2**31 - 1]):
        assert_chain(spec, a, [2**31 - 1, 2**31 - 1])


def blocks_agree(spec, a, b):
    got = matmul(spec, a, b)
    for i, j in np.ndindex(got.shape):
        of_a = (a[i], None, None) if not isinstance(a, Blocks) else (a[0][i], a[1][i], a[2])
        of_b = (
            (b[:, j], None, None) if not isinstance(b, Blocks) else (b[0][:, j], b[1][:, j], b[2])
        )
        assert got[i, j] == oracle_blocks.block_chain(spec, *of_a, *of_b), (i, j)


def test_sums_of_blocks_below_the_window(seed):
    rng = np.random.default_rng(seed)
    fused = {"kind": "fused", "group": 4, "frac_bits": 25}
    spec = design("block:int8:size=32:scale=ue5m3", "fp16", "fp32", fused)
    a = quantize_blocks(spec.a, rng.standard_normal((6, 64)) * 1e-3)
    blocks_agree(spec, a, encode(spec.b, rng.standard_normal((64, 6)) * 1e-5))


def test_all_the_bits_that_a_fused_sum_may_keep():
    fused = {"kind": "fused", "group": 1, "frac_bits": 59}
    spec = design("block:bf16:size=4", "block:bf16:size=4", "fp32", fused)
    ones, scales = encode(parse_format("bf16"), np.ones((8, 1))), np.full((2, 1), 127)
    a = encode(parse_format("bf16"), [[-1, 0, 0, 0, 1, 2.0**-60, 0, 0]])
    blocks_agree(spec, Blocks(a, scales.T), Blocks(ones, scales))


def test_scales_below_zero():
    spec = design(
        "fp16", "block:e2m1:size=4:scale=fp32", "fp32", {"kind": "rounded", "format": "fp32"}
    )
    a = encode(spec.a, [[1000.0] * 4])
    b = Blocks(np.full((4, 1), 7), encode(parse_format("fp32"), [[-1.1]]))
    blocks_agree(spec, a, b)
    assert decode(spec.out, matmul(spec, a, b)) == pytest.approx(-26400)


@pytest.mark.parametrize(("table", "value"), [("25", 1.9), ("1234", 0.9375)])
def test_the_least_error_of_a_table_without_zero(table, value):
    fmt = parse_format(f"block:lut:e2m1:{table}:size=1:rule=mse")
    elements, scales, _ = quantize_blocks(fmt, [value])
    assert ([*elements], *scales) == oracle_blocks.quantize_block(fmt, [value], None)


def test_many_terms_for_few_outputs():
    """Chains as long as this are not laid out side by side."""
    spec = design("e4m3fn", "e4m3fn", "fp32", {"kind": "rounded", "format": "fp32"})
    ones = encode(spec.a, np.ones((3, 1 << 20)))
    np.testing.assert_array_equal(decode(spec.out, matmul(spec, ones, ones.T)), 2.0**20)
