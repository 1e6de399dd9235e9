"""All pairs of 8-bit codes, multiplied and added by ``matmul`` of :mod:`minimac.model`.

A product is a chain of one term, and a sum one of two: ``a * 1 + c * 1``. Of kind ``rounded`` with
a state of the operands' own format they are the product and the sum of IEEE 754, but that a chain
starts from +0. So they are held to ``gfloat``, which rounds exact numbers in all modes but ``odd``
(that is the odd one of what it rounds down and up), and to the arithmetic of ``ml_dtypes``; sums of
kind ``exact``, which other formats have as well, to the oracle.
"""

import collections
import contextlib
import itertools
from fractions import Fraction

import gfloat
import ml_dtypes
import numpy as np
import pytest
from gfloat import RoundMode
from gfloat.formats import Domain

import oracle
from minimac.model import matmul
from minimac.spec import FixedPoint, Minifloat, SpecError, Specials, load_design, parse_format
from oracle import Operand

FLAT = {"name": "m", "unit": "mac"}
MODES = {
    "rne": RoundMode.TiesToEven,
    "rna": RoundMode.TiesToAway,
    "truncate": RoundMode.TowardZero,
    "up": RoundMode.TowardPositive,
    "down": RoundMode.TowardNegative,
    "odd": None,
}
ALL = np.arange(256)

# Signs of NaN are nobody's concern, and NaN is quiet.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")


def every_8_bit_minifloat(signed):
    """Return the names of all, but with the default bias."""
    for exp_bits, specials, ftz in itertools.product(range(9), Specials, (False, True)):
        with contextlib.suppress(SpecError):
            fmt = Minifloat(exp_bits, 8 - signed - exp_bits, specials, signed=signed, ftz=ftz)
            yield fmt.name


SIGNED = sorted(set(every_8_bit_minifloat(True)))
UNSIGNED = sorted(set(every_8_bit_minifloat(False)))
FIXED = ["int8", "int8:sym", "uint8", "s4.3", "u0.8", "s-3.10", "u12.-4"]
STATES = ["e4m3fn", "e5m2", "e4m3fnuz", "e6m1", "e3m4p3109", "e0m7", "e4m3ieee:ftz"]  # a sample
OUTS = [("ue4m4fn", "rne"), ("ue5m3:ftz", "up"), ("int8:sym", "down"), ("u0.8", "odd"),
        ("s4.3", "rna"), ("ue4m4p3109", "truncate")]  # fmt: skip


def pytest_generate_tests(metafunc):
    """Take all formats with --exhaustive, and else a sample."""
    everything = metafunc.config.option.exhaustive
    if "state" in metafunc.fixturenames:
        # gfloat 0.5.2 takes 0x7f of this one for a number.
        known = [name for name in SIGNED if name != "e0m7fn"]
        metafunc.parametrize("state", known if everything else STATES)
    if "out" in metafunc.fixturenames:
        pairs = itertools.product([*UNSIGNED, *FIXED], MODES)
        metafunc.parametrize(("out", "mode"), [*pairs] if everything else OUTS)


def unit_code(fmt):
    """Return the code of 1, or of the power of two that is nearest to it."""
    powers = {
        abs(oracle.floor_log2(value)): code
        for code, value in reversed([*enumerate(oracle.values(fmt))])
        if isinstance(value, Fraction)
        and value > 0
        and (value.numerator & value.numerator - 1) == 0
    }
    return powers[min(powers)]


def all_products(spec):
    return matmul(spec, ALL[:, None], ALL[None, :])


def all_sums(spec):
    """Return ``a * u + u * c`` of all pairs."""
    unit = np.full(256, unit_code(spec.a))
    return matmul(spec, np.stack([ALL, unit], axis=1), np.stack([unit, ALL]))


def rounded_design(name, mode):
    acc = {"kind": "rounded", "format": name, "round": mode}
    fmt = parse_format(name)
    rule = "infinity" if fmt.has_infinities else "saturate"
    tree = {"a": name, "b": name, "out": name, "accumulate": acc, "out_overflow": rule}
    return load_design(FLAT | tree)


# --- gfloat ------------------------------------------------------------------------------------


def as_gfloat(fmt):
    """Return a signed minifloat format, in their terms."""
    high_nans = {"ieee": 2**fmt.man_bits - 1, "fn": 1}.get(fmt.specials.suffix, 0)
    extended = fmt.specials.suffix in ("ieee", "p3109")
    return gfloat.FormatInfo(
        fmt.name,
        1 + fmt.exp_bits + fmt.man_bits,
        fmt.man_bits + 1,
        bias=fmt.bias,
        is_signed=True,
        domain=Domain.Extended if extended else Domain.Finite,
        has_nz=fmt.specials.suffix in ("f", "fn", "ieee"),
        num_high_nans=high_nans,
        has_subnormals=True,
        is_twos_complement=False,
    )


def rounded(info, values, mode):
    """Round to values of a format as an accumulator does: to infinity if there is one."""
    saturates = info.domain is Domain.Finite
    if mode == "odd":
        return rounded_to_odd(info, values, saturates)
    return gfloat.round_ndarray(info, values, MODES[mode], sat=saturates)


def rounded_to_odd(info, values, saturates):
    ends = []
    for direction in (RoundMode.TowardNegative, RoundMode.TowardPositive):
        numbers = gfloat.round_ndarray(info, values, direction, sat=True)
        ends.append((numbers, gfloat.encode_ndarray(info, np.nan_to_num(numbers))))
    (low, low_code), (high, _) = ends
    result = np.where(low_code & 1, low, high)
    return np.where(np.isinf(values) & (not saturates), values, result)


def flushed(fmt, values):
    """Return zeros of their sign for subnormal values of a format that flushes to zero."""
    small = fmt.ftz & (np.abs(values) < 2.0 ** (1 - fmt.bias))
    zeros = np.copysign(0.0, values) if fmt.specials.suffix in ("f", "fn", "ieee") else 0.0
    return np.where(small, zeros, values)


def sum_to_odd(x, y):
    """Add in float64; what is not exact becomes the odd one of the neighbours of the sum.

    Of formats with 6 and 7 exponent bits sums take more than 53 bits. A sum that was rounded to odd
    with so many is rounded again, to 8 bits at most, as the exact one is.
    """
    total = x + y
    at_x = total - y  # the exact error, by Knuth
    error = (x - at_x) + (y - (total - at_x))
    even = total.view(np.int64) % 2 == 0
    away = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where(np.isfinite(total) & (error != 0) & even, away, total)


def with_sign_of_zero(total, x, y, mode):
    """Give an exact sum of zero the sign that it has in ``down``: minus but of +0 and +0."""
    minus = (mode == "down") & (total == 0) & (np.signbit(x) | np.signbit(y))
    return np.where(minus, -0.0, total)


def assert_same(fmt, got, wanted, what):
    """Compare codes with values, signs of zeros with them; NaN is the canonical one."""
    values = flushed(fmt, gfloat.decode_ndarray(as_gfloat(fmt), got))
    nan = np.isnan(wanted)
    same = np.where(nan, got == (oracle.canonical_nan(fmt) or -1), values == wanted)
    same &= nan | (np.signbit(values) == np.signbit(wanted))
    wrong = np.argwhere(~same)
    assert not wrong.size, (
        f"{len(wrong)} of {got.size}, such as {what} {wrong[0].tolist()} of {fmt.name}: "
        f"{values[tuple(wrong[0])]!r}, theirs {wanted[tuple(wrong[0])]!r}"
    )


@pytest.mark.parametrize("mode", MODES)
def test_rounded_agrees_with_gfloat(state, mode, tally):
    fmt, spec = parse_format(state), rounded_design(state, mode)
    info = as_gfloat(fmt)
    values = flushed(fmt, gfloat.decode_ndarray(info, ALL))
    unit = values[unit_code(fmt)]

    def after(total, terms):  # which are exact: of few bits
        exact = with_sign_of_zero(sum_to_odd(total, terms), total, terms, mode)
        return flushed(fmt, rounded(info, exact, mode))

    zero = np.zeros((256, 256))
    assert_same(fmt, all_products(spec), after(zero, values[:, None] * values), "the product of")
    first, last = np.broadcast_arrays((values * unit)[:, None], values * unit)
    assert_same(fmt, all_sums(spec), after(after(zero, first), last), "the sum of")
    tally("gfloat, products and sums of all pairs of 8-bit codes", 2 * 256**2)


def test_there_are_as_many_formats_as_there_should_be():
    """Six policies with 0 to 7 exponent bits, of which 4 do not exist; 5 have only subnormals."""
    plain = [name for name in SIGNED if not name.endswith(":ftz")]
    assert len(plain) == 6 * 8 - 4
    assert len(SIGNED) == 2 * len(plain) - 5


# --- ml_dtypes ---------------------------------------------------------------------------------

ML_DTYPES = {
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "e4m3fnuz:bias=11": ml_dtypes.float8_e4m3b11fnuz,
    "e3m4ieee": ml_dtypes.float8_e3m4,
    "e4m3ieee": ml_dtypes.float8_e4m3,
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("name", ML_DTYPES)
def test_rounded_agrees_with_ml_dtypes(name, tally):
    """They compute in float32 and round again, which is of no consequence.

    A product of 8-bit numbers has 10 bits at most, and is exact in float32. So is a sum that is
    subnormal; and any other is rounded to 24 bits and then to p = 5 at most, which is as good as
    once, for 24 >= 2 * p + 2 (S. A. Figueroa, "When is double rounding innocuous?", 1995). Without
    infinities they make NaN of what is too large, where an accumulator saturates; and they do not
    start from +0, so that an exact zero may have another sign.
    """
    fmt, spec = parse_format(name), rounded_design(name, "rne")
    theirs = ALL.astype(np.uint8).view(ML_DTYPES[name])
    exact = theirs.astype(np.float64)
    ends = [oracle.largest(fmt, negative) for negative in (False, True)]
    for got, wanted, ideal in (
        (all_products(spec), theirs[:, None] * theirs, exact[:, None] * exact),
        (all_sums(spec), theirs[:, None] + theirs, exact[:, None] + exact),
    ):
        codes = wanted.view(np.uint8)
        saturated = np.isnan(wanted) & np.isfinite(ideal) & (got == np.where(ideal > 0, *ends))
        nan = np.isnan(wanted) & ~np.isfinite(ideal) & (got == oracle.canonical_nan(fmt))
        zero = (ideal == 0) & (got % 128 == 0) & (codes % 128 == 0)
        wrong = np.argwhere(~((got == codes) | saturated | nan | zero))
        assert not wrong.size, (wrong[:5].tolist(), got[tuple(wrong[0])], codes[tuple(wrong[0])])
        assert not saturated.any() or not fmt.has_infinities
    tally("ml_dtypes, products and sums of all pairs of 8-bit codes", 2 * 256**2)


# --- The oracle --------------------------------------------------------------------------------


def rules_of(fmt):
    """Return what may become of a result that is too large."""
    if isinstance(fmt, FixedPoint):
        return ["saturate"] if fmt.symmetric else ["saturate", "wrap"]
    return ["saturate", *(["infinity", "nan"] if oracle.canonical_nan(fmt) is not None else [])]


def finite_numbers(fmt):
    """Return the codes of finite numbers, and these in units of the last place of the least."""
    codes = [int(code) for code in ALL if oracle.is_valid(fmt, int(code))]
    parts = [oracle.operand(fmt, code) for code in codes]
    finite = [(c, part) for c, part in zip(codes, parts, strict=True) if isinstance(part, Operand)]
    integers = [int(oracle.exact(part) / last_place(fmt)) for _, part in finite]
    return np.array([code for code, _ in finite]), np.array(integers, object)


def last_place(fmt):
    if isinstance(fmt, FixedPoint):
        return Fraction(2) ** -fmt.frac_bits
    return Fraction(2) ** (1 - fmt.bias - fmt.man_bits)


def test_exact_agrees_with_the_oracle(out, mode, tally):
    """Each value that a product or a sum can have is rounded by the oracle once."""
    fmt = parse_format(out)
    codes, numbers = finite_numbers(fmt)
    unit = unit_code(fmt)
    ones = np.full(len(codes), unit)
    one = int(oracle.exact(oracle.operand(fmt, unit)) / last_place(fmt))
    for rule in rules_of(fmt):
        tree = {"a": out, "b": out, "out": out, "accumulate": {"kind": "exact"}}
        spec = load_design(FLAT | tree | {"out_round": mode, "out_overflow": rule})
        products = matmul(spec, codes[:, None], codes[None, :])
        assert_rounds(fmt, products, np.multiply.outer(numbers, numbers), mode, rule)
        sums = matmul(spec, np.stack([codes, ones], axis=1), np.stack([ones, codes]))
        assert_rounds(fmt, sums, np.add.outer(numbers, numbers) * one, mode, rule)
        tally("oracle, exact products and sums of all pairs of 8-bit codes", 2 * products.size)


def assert_rounds(fmt, got, numbers, mode, rule):
    """Compare codes with those of numbers, in units of the square of the last place."""
    found = collections.defaultdict(set)
    for code, number in zip(got.ravel().tolist(), numbers.ravel().tolist(), strict=True):
        found[number].add(code)
    for number, codes in found.items():
        exact = number * last_place(fmt) ** 2
        wanted = oracle.round_to(fmt, exact, mode, rule)
        assert codes == {wanted}, f"{exact} by {mode}, {rule} is {codes}, not {wanted}"
