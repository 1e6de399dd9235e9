"""Tests of :mod:`minimac.model.bounds`: by the oracle no error is larger, many are nearly so."""

import dataclasses
import json
import math
import random
import re
from fractions import Fraction

import numpy as np
import pytest

import oracle
from minimac.model import decode, encode, matmul
from minimac.model.bounds import error_bound
from minimac.model.errors import exact_matmul
from minimac.spec import (
    Arithmetic,
    ExactAccumulation,
    FixedAccumulation,
    FloatAccumulation,
    FusedAccumulation,
    Minifloat,
    Normalization,
    Overflow,
    RoundedAccumulation,
    Rounding,
    SpecError,
    parse_format,
)
from oracle import Special

OPERANDS = ["bf16", "e4m3fn", "e5m2", "e2m1", "int8", "fp16", "e3m2", "s4.3", "e4m3fn:ftz"]
OUTS = ["fp32", "bf16", "e4m3fn", "int8", "bf16:ftz", "ue4m3fn", "s3.12"]
MODES = [mode for mode in Rounding if not mode.stochastic]
MANNERS = ["normal", "growing", "shrinking", "cancelling", "almost", "wide", "integers", "positive"]
KINDS = ["float", "rounded", "fused", "fixed", "chunks", "exact"]

BF16, FP32, INT8 = map(parse_format, ("bf16", "fp32", "int8"))


# --- Drawing units and operands ----------------------------------------------------------------


def draw_accumulation(rng, kind, product_bits):
    mode = rng.choice(MODES)
    match kind:
        case "float":
            return FloatAccumulation(
                width=max(product_bits, 5) + rng.choice([0, 0, 1, 4]),
                guard=rng.choice([0, 0, 1, 3]),
                sticky=rng.random() < 0.4,
                normalize=Normalization.parse(
                    rng.choice(["exact", "approx(1,1)", "approx(1,2)", "approx(2,3)", "none"])
                ),
                round=mode,
            )
        case "rounded":
            formats = ["fp32", "fp16", "bf16", "e5m2", "bf16:ftz", "e4m3fn"]
            return RoundedAccumulation(format=draw_format(rng, formats), round=mode)
        case "fused":
            fmt = draw_format(rng, ["fp32", "fp32", "bf16", "fp16"])
            return FusedAccumulation(
                group=rng.choice([1, 4, 16]),
                frac_bits=rng.choice([3, 7, 13, 25]),
                sticky=rng.random() < 0.4,
                round=mode,
                format=fmt,
                out_frac_bits=rng.choice([fmt.man_bits, fmt.man_bits // 2]),
            )
        case "fixed" | "chunks":
            acc = FixedAccumulation(
                format=draw_format(rng, ["int32", "s15.16", "s7.8", "s20.-2"]),
                round=mode,
                overflow=rng.choice([Overflow.SATURATE, Overflow.WRAP]),
            )
            if kind == "fixed":
                return acc
            outer = draw_accumulation(rng, rng.choice(["rounded", "fused", "exact", "fixed"]), 0)
            if rng.random() < 0.25:
                outer = draw_accumulation(rng, "float", acc.format.sig_bits)
            return dataclasses.replace(acc, chunk=rng.choice([1, 3, 8]), outer=outer)
    return ExactAccumulation()


def draw_format(rng, names):
    return parse_format(rng.choice(names))


def draw_unit(rng, kind):
    a = draw_format(rng, OPERANDS)
    b = rng.choice([a, draw_format(rng, OPERANDS)])
    floats = a == b and isinstance(a, Minifloat)
    out = draw_format(rng, OUTS)
    return Arithmetic(
        a=a,
        b=b,
        out=out,
        accumulate=draw_accumulation(rng, kind, a.sig_bits + b.sig_bits),
        product=rng.choice(["exact", "exact", "lmul", "lmul_add", "mitchell"])
        if floats
        else "exact",
        out_round=rng.choice(MODES),
        out_overflow=rng.choice([Overflow.SATURATE, Overflow.INFINITY])
        if out.has_nan
        else Overflow.SATURATE,
    )


def draw_values(rng, count):
    drawn = [rng.gauss(0, 1) for _ in range(count)]
    match rng.choice(MANNERS):
        case "growing":
            return [x * 2.0 ** (k - count // 2) for k, x in enumerate(drawn)]
        case "shrinking":
            return [x * 2.0 ** (count // 2 - k) for k, x in enumerate(drawn)]
        case "cancelling":
            return [abs(drawn[k // 2]) * (-1) ** k for k in range(count)]
        case "almost":
            return [(1 + x * 2**-6) * (-1) ** k for k, x in enumerate(drawn)]
        case "wide":
            return [x * 2.0 ** rng.randint(-12, 12) for x in drawn]
        case "integers":
            return [rng.randint(-3, 3) for _ in drawn]
        case "positive":
            return [abs(x) for x in drawn]
    return drawn


def draw_codes(rng, fmt, count):
    return [oracle.round_to(fmt, Fraction(x), "rne", "saturate") for x in draw_values(rng, count)]


def as_fraction(number):
    return Fraction(0) if number is Special.MINUS_ZERO else number


def draw_cases(kind, seed, count):
    """Yield units, operands, errors by the oracle before and after the foot, and their bounds."""
    for case in range(count):
        rng = random.Random(f"{seed} {kind} {case}")
        try:
            spec = draw_unit(rng, kind)
        except SpecError:  # what does not go together
            continue
        terms = rng.choice([1, 2, 5, 13, 30])
        a, columns = draw_codes(rng, spec.a, terms), [draw_codes(rng, spec.b, terms) for _ in "abc"]
        before, after = error_bound(spec, np.array([a]), np.array(columns).T)
        for column, *bounds in zip(columns, before[0], after[0], strict=True):
            parts = [
                oracle.product(spec.a, x, spec.b, y, str(spec.product))
                for x, y in zip(a, column, strict=True)
            ]
            exact = sum(map(oracle.exact, parts), Fraction(0))
            state = as_fraction(oracle.total_of(spec.accumulate, parts))
            if not isinstance(state, Fraction):
                assert bounds == [math.inf, math.inf]
                continue
            code = oracle.round_to(spec.out, state, spec.out_round, spec.out_overflow)
            result = as_fraction(oracle.value(spec.out, code))
            errors = [abs(state - exact)]
            errors += [abs(result - exact)] if isinstance(result, Fraction) else [math.inf]
            yield spec, (case, a, column), errors, bounds


# --- Proofs, tried -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_bound_holds_and_is_not_vacuous(kind, seed):
    ratios, bounded = ([], []), 0
    for spec, operands, errors, bounds in draw_cases(kind, seed, 100):
        for error, bound, found in zip(errors, bounds, ratios, strict=True):
            assert error <= bound, (
                f"{float(error)} > {bound}, seed {seed}, {operands}, {spec.summary()}, "
                f"{json.dumps(spec.accumulate.as_dict())}"
            )
            if 0 < bound < math.inf:
                found.append(float(error) / bound)
        bounded += bounds[0] < math.inf
    assert bounded > 150
    before, after = map(np.array, ratios)
    if kind == "exact":
        assert before.size == 0
    else:
        assert np.median(before) > 0.05
        assert before.max() > 0.6
    assert np.median(after) > 0.05
    assert after.max() > 0.9


def test_long_chains(seed):
    """Chains of 128 normal products: the worst case grows as K, the error as its root."""
    rng = np.random.default_rng(seed)
    for normalize in ("exact", "approx(1,2)", "none"):
        acc = FloatAccumulation(width=16, normalize=Normalization.parse(normalize))
        spec = Arithmetic(a=BF16, b=BF16, out=FP32, accumulate=acc)
        a, b = encode(BF16, rng.normal(size=(16, 128))), encode(BF16, rng.normal(size=(128, 16)))
        error = np.abs(decode(FP32, matmul(spec, a, b)) - exact_matmul(spec, a, b))
        ratio = error / error_bound(spec, a, b).after
        assert ratio.max() <= 1
        assert 0.01 < np.median(ratio) < 0.1


@pytest.mark.parametrize("kind", ["float", "rounded", "fused"])
def test_sums_that_fit_are_known_to_be_exact(kind):
    acc = {
        "float": FloatAccumulation(width=24, normalize=Normalization(())),
        "rounded": RoundedAccumulation(format=FP32),
        "fused": FusedAccumulation(group=4, frac_bits=25),
    }[kind]
    spec = Arithmetic(a=INT8, b=INT8, out=FP32, accumulate=acc)
    a, b = encode(INT8, [[100, -128, 127, 3, 1]]), encode(INT8, [[-128], [-128], [5], [1], [0]])
    assert error_bound(spec, a, b) == ([[0]], [[0]])


def test_broadcasts_like_matmul(seed):
    rng = np.random.default_rng(seed)
    spec = Arithmetic(a=BF16, b=BF16, out=BF16, accumulate=FloatAccumulation(width=16))
    a, b = encode(BF16, rng.normal(size=(2, 1, 3, 4))), encode(BF16, rng.normal(size=(5, 4, 6)))
    got = error_bound(spec, a, b)
    for i, j in np.ndindex(2, 5):
        alone = error_bound(spec, a[i, 0], b[j])
        np.testing.assert_array_equal(got.before[i, j], alone.before)
        np.testing.assert_array_equal(got.after[i, j], alone.after)


def test_no_terms():
    spec = Arithmetic(a=BF16, b=BF16, out=BF16, accumulate=FloatAccumulation(width=16))
    before, after = error_bound(spec, np.zeros((2, 0), int), np.zeros((0, 3), int))
    assert before.tolist() == after.tolist() == [[0, 0, 0]] * 2


# --- Where there is no bound -------------------------------------------------------------------


def bound_of(acc, a, b, operands="bf16", out="fp32", overflow="saturate"):
    fmt = parse_format(operands)
    spec = Arithmetic(
        a=fmt,
        b=fmt,
        out=parse_format(out),
        accumulate=acc,
        out_overflow=Overflow(overflow),
    )
    before, after = error_bound(spec, encode(fmt, [a]), encode(fmt, [[x] for x in b]))
    return before.item(), after.item()


def test_operands_that_are_not_finite():
    acc = FloatAccumulation(width=16)
    for special in (math.inf, math.nan):
        assert bound_of(acc, [1.0, special], [1.0, 0.0]) == (math.inf, math.inf)


def test_fixed_accumulator_that_leaves_its_range():
    s7 = parse_format("int8")
    saturating = FixedAccumulation(format=s7, overflow=Overflow.SATURATE)
    wrapping = FixedAccumulation(format=s7, overflow=Overflow.WRAP)
    there_and_back = [100, 100, -100], [1, 1, 1]
    assert bound_of(saturating, *there_and_back, "int8") == (math.inf, math.inf)
    assert bound_of(wrapping, *there_and_back, "int8") == (0, 0)
    assert bound_of(wrapping, [100, 100, 0], [1, 1, 1], "int8") == (math.inf, math.inf)
    assert bound_of(saturating, [100, 27, -100], [1, 1, 1], "int8") == (0, 0)


def test_rounded_and_fused_accumulators_that_overflow():
    fp16 = parse_format("fp16")
    large, once = [60000.0, 10000.0], [1.0, 1.0]
    rounded, fused = (
        RoundedAccumulation(format=fp16),
        FusedAccumulation(group=2, frac_bits=20, format=fp16),
    )
    assert bound_of(rounded, large, once, "fp16") == (math.inf, math.inf)
    assert bound_of(fused, large, once, "fp16") == (math.inf, math.inf)


def test_out_that_overflows():
    acc = ExactAccumulation()
    before, after = bound_of(acc, [400.0, 100.0], [1.0, 1.0], "e5m2", "e4m3fn")
    assert (before, after) == pytest.approx((0, 32), rel=1e-5)  # 384 + 96 - 448
    assert bound_of(acc, [400.0], [2.0], "e5m2", "e4m3fn", "infinity") == (0, math.inf)
    assert bound_of(acc, [2.0], [-1.5], "e5m2", "ue4m3fn") == pytest.approx((0, 3), rel=1e-5)


def test_products_out_of_the_range_of_float64():
    assert bound_of(FloatAccumulation(width=8), [0.0], [0.0], "e4m3:bias=900") == (
        math.inf,
        math.inf,
    )


# --- Wrong arguments ---------------------------------------------------------------------------


def test_wrong_arguments():
    acc = FloatAccumulation(width=16, max_terms=2)
    spec = Arithmetic(a=BF16, b=BF16, out=BF16, accumulate=acc)
    for a, b, message in [
        ((2, 3), (2, 2), "a and b must be (..., M, K) and (..., K, N), not (2, 3) and (2, 2)"),
        ((3,), (3, 2), "a and b must be (..., M, K) and (..., K, N), not (3,) and (3, 2)"),
        ((2, 3), (3, 2), "K must be at most max_terms, 2, not 3"),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            error_bound(spec, np.zeros(a, int), np.zeros(b, int))
    with pytest.raises(TypeError, match="must be integers"):
        error_bound(spec, [[1.0]], [[1.0]])


def test_blocks():
    mxfp4 = parse_format("mxfp4")
    spec = Arithmetic(a=mxfp4, b=mxfp4, out=FP32)
    message = "operands must be scalars, not blocks of mxfp4 or mxfp4"
    with pytest.raises(TypeError, match=f"^{message}$"):
        error_bound(spec, [[0]], [[0]])
