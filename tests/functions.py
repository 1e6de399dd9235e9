"""Definitions of the units around a matrix engine, in decimals and exact fractions.

They share no code with specs or model: functions are those of :mod:`decimal`, or series of their
own, at so many digits that nothing is left to be decided by the last ones.
"""

import decimal
import functools
from decimal import Decimal
from fractions import Fraction

import oracle
from oracle import Special

__all__ = ["FUNCTIONS", "activated", "exact", "real", "softmaxed", "transformed"]

FUNCTIONS = ["relu", "gelu", "silu", "sigmoid", "tanh", "exp"]

_DIGITS = 60


def real(function, x):
    """Return a function of a fraction as a fraction, off by less than 1e-50 of itself."""
    if function in ("gelu", "silu"):
        return x * real({"gelu": "normal", "silu": "sigmoid"}[function], x)
    if x > 1 and function in ("tanh", "sigmoid", "normal"):
        # However near it is to 1, it is below.
        return 1 - (2 * real("sigmoid", -2 * x) if function == "tanh" else real(function, -x))
    if x < -1 and function == "tanh":
        return -real(function, -x)
    with decimal.localcontext(prec=_DIGITS + 60, Emax=10**9, Emin=-(10**9)):
        value = _real(function, Decimal(x.numerator) / Decimal(x.denominator))
        return Fraction(value) if abs(value.adjusted()) < 5000 else _tiny_or_huge(value)


def _tiny_or_huge(value):
    size = Fraction(10) ** (5000 if value.adjusted() > 0 else -5000)
    return -size if value < 0 else size


def _real(function, x):
    match function:
        case "relu":
            return max(x, Decimal(0))
        case "exp":
            return x.exp()
        case "exp2":
            return Decimal(2) ** x
        case "sigmoid":
            return 1 / (1 + (-x).exp())
        case "tanh":
            return 1 - 2 / ((2 * x).exp() + 1) if abs(x) > 1 else _small_tanh(x)
        case "tanh_quotient":
            return _real("tanh", x) / x if x else Decimal(1)
        case "normal":
            return 1 - _tail(x) if x > 0 else _tail(-x)
    raise AssertionError(function)


def _small_tanh(x):
    odd, even, term, n = x, Decimal(1), x, 1
    while abs(term) > Decimal(10) ** -130 * abs(x):
        n += 1
        term = term * x / n
        odd, even = (odd, even + term) if n % 2 == 0 else (odd + term, even)
    return odd / even if x else Decimal(0)


@functools.cache
def _root_of_two_pi():
    total, k = Decimal(0), 0  # pi of Bailey, Borwein and Plouffe
    for k in range(100):
        parts = [(4, 1), (-2, 4), (-1, 5), (-1, 6)]
        total += sum(Decimal(n) / (8 * k + d) for n, d in parts) / Decimal(16) ** k
    return (2 * total).sqrt()


def _tail(t):
    """Return the normal distribution at ``-t``: by series near 0, by continued fraction beyond."""
    density = (-t * t / 2).exp() / _root_of_two_pi()
    if t < 6:
        total, term, n = t, t, 1
        while term > Decimal(10) ** -115:
            n += 2
            term = term * t * t / n
            total += term
        return Decimal("0.5") - density * total
    value = t
    for n in range(400, 0, -1):
        value = t + n / value
    return density / value


def exact(x):
    """Return a number of the oracle as a fraction."""
    return Fraction(0) if x is Special.MINUS_ZERO else x


# --- Hadamard -----------------------------------------------------------------------------------


def transformed(design, codes):
    """Return the codes of a transformed vector."""
    numbers = [oracle.value(design.a, code) for code in codes]
    scale = Fraction(1, 2 ** ((design.lanes.bit_length() - 1) // 2))
    results = []
    for i in range(design.lanes):
        signs = [(-1) ** bin(i & j).count("1") for j in range(design.lanes)]
        special = set()
        for sign, x in zip(signs, numbers, strict=True):
            if isinstance(x, Special) and x is not Special.MINUS_ZERO:
                flip = {
                    Special.PLUS_INFINITY: Special.MINUS_INFINITY,
                    Special.MINUS_INFINITY: Special.PLUS_INFINITY,
                }
                special.add(flip.get(x, x) if sign < 0 else x)
        if special:
            total = special.pop() if len(special) == 1 else Special.NAN
        else:
            total = scale * sum(s * exact(x) for s, x in zip(signs, numbers, strict=True))
        results.append(oracle.round_to(design.out, total, design.out_round, design.out_overflow))
    return results


# --- Activation ---------------------------------------------------------------------------------

_LIMITS = {
    "relu": (0, Special.PLUS_INFINITY),
    "gelu": (Special.MINUS_ZERO, Special.PLUS_INFINITY),
    "silu": (Special.MINUS_ZERO, Special.PLUS_INFINITY),
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "exp": (0, Special.PLUS_INFINITY),
}


def activated(design, code):
    """Return the code of a function of one."""
    x, function = oracle.value(design.a, code), design.function
    if x is Special.MINUS_INFINITY or x is Special.PLUS_INFINITY:
        value = _LIMITS[function][x is Special.PLUS_INFINITY]
    elif x is Special.NAN or (x is Special.MINUS_ZERO and function in ("gelu", "silu", "tanh")):
        value = x
    elif design.segments:
        value = _interpolated(design, exact(x))
    else:
        value = real(function, exact(x)) if exact(x) or function != "tanh" else Fraction(0)
    value = value if isinstance(value, Special) else Fraction(value)
    return oracle.round_to(design.out, value, design.out_round, design.out_overflow)


@functools.cache
def _node(function, x, unit):
    return int((real(function, x) / unit + Fraction(1, 2)) // 1)


def _on_line(function, span, segments, frac_bits, place):
    """Return the point at ``place``, in units, of a function in lines from 0 to ``span``."""
    unit = Fraction(1, 2**frac_bits)
    k, t = divmod(place * unit / Fraction(span, segments), 1)
    ends = [_node(function, Fraction(span * (k + n), segments), unit) for n in (0, 1)]
    if function in ("sigmoid", "normal") and k == segments - 1:
        ends[1] = 2**frac_bits
    return int((ends[0] + (ends[1] - ends[0]) * t + Fraction(1, 2)) // 1)


def _interpolated(design, x):
    function, bits = design.function, design.fraction
    if function == "exp":
        m, n = _pair(design.exponential.int_bits, bits, design.segments, x)
        return m * Fraction(2) ** n
    table, span = {
        "sigmoid": ("sigmoid", 16),
        "silu": ("sigmoid", 16),
        "gelu": ("normal", 8),
        "tanh": ("tanh_quotient", 8),
    }[function]
    size = abs(x)
    if size >= span:
        if function == "tanh":
            return 1 if x > 0 else -1
        factor = Fraction(1)
    else:
        place = int(size * 2**bits // 1)
        factor = Fraction(_on_line(table, span, design.segments, bits, place), 2**bits)
    if x < 0 and function != "tanh":
        factor = 1 - factor
    if function == "sigmoid":
        return factor
    product = x * factor
    return Special.MINUS_ZERO if x < 0 and product == 0 else product


def _pair(int_bits, bits, segments, x):
    """Return ``e**x`` as a mantissa, from 1 up to 2, and an exponent."""
    size = min(int(abs(x) * 2**bits // 1), 2 ** (int_bits + bits) - 1)
    scale_bits = int_bits + bits + 2
    constant = real("exp", Fraction(1))
    with decimal.localcontext(prec=_DIGITS):
        log2_e = 1 / Decimal(2).ln()
    assert abs(float(constant) - 2.718281828) < 1e-8
    scale = int((Fraction(log2_e) * 2**scale_bits + Fraction(1, 2)) // 1)
    z = int((Fraction((size if x > 0 else -size) * scale, 2**scale_bits) + Fraction(1, 2)) // 1)
    n, f = divmod(z, 2**bits)
    return Fraction(_on_line("exp2", 1, segments, bits, f), 2**bits), n


# --- Softmax ------------------------------------------------------------------------------------


def softmaxed(design, codes):
    """Return the codes of the softmax of a vector."""
    numbers = [oracle.value(design.a, code) for code in codes]
    how, bits = design.exponential, design.mantissa
    guard = (design.length - 1).bit_length()
    bad = any(x in (Special.NAN, Special.PLUS_INFINITY) for x in numbers)
    pairs = [
        (Fraction(0), 0)
        if isinstance(x, Special) and x is not Special.MINUS_ZERO
        else _pair(how.int_bits, bits, how.segments, exact(x))
        for x in numbers
    ]
    unit = Fraction(1, 2 ** (bits + guard))
    total, top = Fraction(0), None
    for m, n in pairs:
        if m == 0:
            continue
        higher = n if top is None else max(n, top)
        kept = 0 if top is None else total / 2 ** (higher - top) // unit * unit
        total, top = kept + m / 2 ** (higher - n) // unit * unit, higher
    if bad or top is None:
        nan = oracle.round_to(design.out, Special.NAN, design.out_round, design.out_overflow)
        return [nan] * len(codes)
    k = oracle.floor_log2(total)
    fine = 2 ** (bits + 3)
    s = Fraction(int(total / 2**k * fine // 1), fine)
    q = Fraction(int(2 ** (bits + 2) / s // 1), 2 ** (bits + 2))
    return [
        oracle.round_to(
            design.out, m * q * Fraction(2) ** (n - top - k), design.out_round, design.out_overflow
        )
        for m, n in pairs
    ]


# --- Circuits -----------------------------------------------------------------------------------
