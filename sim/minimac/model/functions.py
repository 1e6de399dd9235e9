"""Bit-exact models of the units around a matrix engine, and how far off they may be."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.foot import Foot
from minimac.model.operands import as_floats, as_integers, as_negatives, as_signs, read_codes
from minimac.model.scalars import RandomBits, code_type, read_random, target
from minimac.spec import Activation, Exponential, Hadamard, Interpolation, Minifloat, Softmax

if TYPE_CHECKING:
    from minimac.model.kernels import Target

__all__ = [
    "activate",
    "activation_bound",
    "hadamard_codes",
    "softmax_bound",
    "softmax_codes",
    "softmax_stream",
]

Integers = NDArray[np.int64]


def hadamard_codes(
    spec: Hadamard, a: ArrayLike, random_bits: RandomBits | None = None
) -> NDArray[Any]:
    """Return the Walsh-Hadamard transform of vectors of codes along the last axis.

    Number ``i`` of a result is ``sum((-1)**popcount(i & j) * a[j]) * 2**-spec.shift`` over ``j``,
    exactly, rounded once to ``spec.out``. A sum of zero is +0. A NaN makes all results NaN; an
    infinity makes those infinite that it reaches with one sign only, and NaN where two meet.

    Parameters
    ----------
    spec : Hadamard
        The unit.
    a : array_like of int, shape (..., spec.lanes)
        Codes of ``spec.a``.
    random_bits : optional
        Random bits for a stochastic ``spec.out_round``, as in :func:`encode`.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape of ``a``
        Codes of ``spec.out``. Each is off by its own rounding, and by nothing else.

    Raises
    ------
    TypeError, ValueError
        If ``a`` is of other shapes or numbers.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> spec = load_design({"name": "mine", "unit": "hadamard", "a": "int8", "out": "int8",
    ...     "lanes": 4})
    >>> hadamard_codes(spec, [[4, 0, 0, 0], [1, 2, 3, 4]]).view("i1")
    array([[ 2,  2,  2,  2],
           [ 5, -1, -2,  0]], dtype=int8)
    """
    codes = read_codes(spec.a, a, "a")
    if codes.ndim == 0 or codes.shape[-1] != spec.lanes:
        raise ValueError(f"a must have {spec.lanes} codes along its last axis, not {codes.shape}")
    randoms, width = read_random(random_bits, spec.out_round, codes.shape)
    foot = Foot(target(spec.out, spec.out_round, spec.out_overflow, width), randoms)
    lane = np.arange(spec.lanes)
    parity = np.array([[int(i & j).bit_count() & 1 for j in lane] for i in lane], np.int64)
    signs = 1 - 2 * parity
    sums = as_integers(spec.a, codes, np.int64) @ signs  # symmetric, and at most 64 bits
    found = foot.round(sums, np.array([spec.a.lsb_exp - spec.shift]))
    special = as_signs(spec.a, codes)[1]
    negative = as_negatives(spec.a, codes)
    infinite = [((special == 1) & (negative == bool(sign))).astype(np.int64) for sign in (0, 1)]
    positive, minus = (
        infinite[one] @ (1 - parity) + infinite[1 - one] @ parity > 0 for one in (0, 1)
    )
    nan = (special == 2).any(axis=-1, keepdims=True) | (positive & minus)
    return _finish(spec, foot.to, found, positive, minus, nan)


def activate(spec: Activation, a: ArrayLike) -> NDArray[Any]:
    """Return a function of each code, to the bit.

    ``relu`` is exact before its rounding; of codes of at most 8 bits every result is the correctly
    rounded one, since the bounds that it was worked out from round alike
    (:mod:`minimac.spec.reals`). Otherwise, with ``F = spec.fraction`` and ``R = spec.span_bits``:

    1. ``t``, the size of ``a``, is cut off to a multiple of ``2**-F``; from ``2**R`` on it is
       `beyond`.
    2. ``g(t)`` is interpolated (:class:`minimac.spec.Interpolation`) in units of ``2**-F``:
       ``sigmoid(t)`` for ``sigmoid`` and ``silu``, the normal distribution for ``gelu``,
       ``tanh(t) / t`` for ``tanh``. Beyond, the first three are 1.
    3. For a negative ``a`` the first three become ``1 - g``.
    4. The result is ``g`` for ``sigmoid``, and ``a * g`` for the others, exactly, rounded once;
       of ``tanh`` it is 1 or -1 beyond.

    ``exp`` is a pair (:class:`minimac.spec.Exponential`), rounded once. :func:`activation_bound`
    says how far off that may be.

    Parameters
    ----------
    spec : Activation
        The unit.
    a : array_like of int
        Codes of ``spec.a``.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape of ``a``
        Codes of ``spec.out``.

    Examples
    --------
    >>> from minimac.model import decode, encode
    >>> from minimac.spec import load_design
    >>> spec = load_design({"name": "mine", "unit": "activation", "a": "bf16", "out": "bf16",
    ...     "function": "gelu"})
    >>> decode(spec.out, activate(spec, encode(spec.a, [-1.0, 0.5, 100.0])))
    array([ -0.15820312,   0.34570312, 100.        ])
    """
    codes = read_codes(spec.a, a, "a")
    if spec.function != "relu" and not spec.interpolates:
        table = np.array([code or 0 for code in spec.codes], code_type(spec.out))
        return np.asarray(table[codes])
    significands, exponents = as_floats(spec.a, codes, np.int64, spec.a.min_exp)
    exponents = exponents - (spec.a.sig_bits - 1)
    negative = as_negatives(spec.a, codes)
    special = as_signs(spec.a, codes)[1]
    infinite = special == 1
    minus_zero = np.zeros(codes.shape, np.bool_)
    sizes = np.abs(significands)
    if spec.function == "relu":
        values = np.where(negative, 0, sizes)
    elif spec.function == "exp":
        values, exponents = _pairs(spec.exponential, significands, exponents)
        values = np.where(infinite & negative, 0, values)
    else:
        assert spec.fraction is not None
        one = 1 << spec.fraction
        grid, beyond = _on_grid(sizes, exponents, spec.span_bits, spec.fraction)
        beyond |= infinite
        factor = _interpolate(spec.table, np.where(beyond, 0, grid))
        if spec.function == "tanh":
            values, exponents = (
                np.where(beyond, one, sizes * factor),
                np.where(beyond, 0, exponents),
            )
        else:
            factor = np.where(beyond, one, factor)
            factor = np.where(negative, one - factor, factor)
            values = sizes * factor if spec.function != "sigmoid" else factor
        if spec.function == "sigmoid":
            exponents = np.zeros_like(exponents)
        else:
            minus_zero = negative & (values == 0)
            values = np.where(negative, -values, values)
        exponents = exponents - spec.fraction
    foot = _foot(spec)
    found = foot.round(values, exponents)
    if isinstance(spec.out, Minifloat) and spec.out.has_negative_zero:
        found[minus_zero] = foot.to.sign
    rises = spec.function not in ("sigmoid", "tanh")
    return _finish(spec, foot.to, found, infinite & ~negative & rises, np.False_, special == 2)


def activation_bound(spec: Activation, x: ArrayLike) -> NDArray[np.float64]:
    """Return a bound of the error that an interpolated function of ``x`` has before its rounding.

    With ``u = 2**-fraction`` and segments of length ``h``, ``g`` is off by at most::

        u * slope + h**2 / 8 * bend + u / 2 + u / 2 + u * 2**-10

    for ``t`` is cut off by less than ``u``, a line leaves a function by ``h**2 / 8`` of its largest
    second derivative, nodes (and so points between them) are off by ``u/2``, and the point on the
    line is rounded by as much. The last term is for what follows. Slopes and bends are at most:

    * ``sigmoid``: 1/4 and ``sqrt(3)/18`` < 0.0963.
    * The normal distribution: ``1 / sqrt(2 pi)`` < 0.399 and ``1 / sqrt(2 pi e)`` < 0.242.
    * ``tanh(t) / t``, the mean of ``tanh'`` from 0 to ``t``: that of ``u * tanh''(t u)``, at most
      half of ``4 / (3 sqrt(3))``, so below 0.385; and a third of ``tanh'''``, at most 2, so 2/3.

    That counts once for ``sigmoid``, and times ``abs(x)`` for the others. Beyond ``2**span_bits``
    all but ``gelu`` are off by their limit less what they are: ``exp(-16)`` < 1.2e-7 for
    ``sigmoid``, below 16 times that for ``silu``, as ``x * exp(-x)`` falls; ``2 * exp(-16)`` for
    ``tanh``; and for ``gelu`` by 8 times the tail at -8, below 1e-14. The last node, of 1 in
    place of a little less, is off by as much, which the terms above contain.

    The error of ``exp`` is ``exp(x)`` times :meth:`minimac.spec.Exponential.relative_error`; where
    ``x`` is out of range both it and what is returned round alike, so that it is 0 there.

    Parameters
    ----------
    spec : Activation
        A unit with ``interpolates``.
    x : array_like of float
        Arguments.
    """
    assert spec.segments is not None
    assert spec.fraction is not None
    values = np.asarray(x, np.float64)
    size = np.abs(values)
    if spec.function == "exp":
        exponential = spec.exponential
        relative = float(exponential.relative_error(spec.a.lsb_exp < -spec.fraction))
        inside = size < 2.0**exponential.int_bits
        return np.where(inside, np.exp(np.where(inside, values, 0.0)) * relative, 0.0)
    unit = 2.0**-spec.fraction
    step = 2.0**spec.span_bits / spec.segments
    slope, bend, tail = {
        "sigmoid": (0.25, 0.0963, 1.2e-7),
        "silu": (0.25, 0.0963, 1.9e-6),
        "gelu": (0.399, 0.242, 1e-14),
        "tanh": (0.385, 2 / 3, 2.3e-7),
    }[spec.function]
    cut = slope if spec.a.lsb_exp < -spec.fraction else 0.0
    factor = unit * (cut + 1 + 2.0**-10) + step**2 / 8 * bend
    factor += tail * (spec.function in ("sigmoid", "silu"))
    inside = size < 2.0**spec.span_bits
    scale = 1.0 if spec.function == "sigmoid" else np.where(inside, size, 0.0)
    return np.where(inside, factor * scale, tail)


def softmax_codes(spec: Softmax, a: ArrayLike) -> NDArray[Any]:
    """Return the softmax of vectors of codes along the last axis, to the bit.

    With ``M = spec.mantissa`` and ``G = spec.guard_bits``:

    1. Each number becomes a pair of ``m``, from 1 up to 2 in units of ``2**-M``, and ``n``
       (:class:`minimac.spec.Exponential`); of minus infinity ``m`` is 0.
    2. The sum is a pair, too, in units of ``2**-(M + G)``. It takes the larger ``n`` of its own
       and the next number's, and what belongs to the smaller one is shifted right by the
       difference, bits falling off. A sum of zeros takes whatever ``n`` comes.
    3. With ``2**k`` the leading one of the sum, ``s`` is the sum over ``2**k``, cut off to
       ``M + 3`` fraction bits, and ``q = floor(2**(M + 2) / s)``.
    4. A result is ``m * q * 2**(n - n_sum - k)``, exactly, rounded once.

    If a number is NaN or +inf, or none is above -inf, all are NaN. :func:`softmax_bound` says how
    far off results may be.

    Parameters
    ----------
    spec : Softmax
        The unit.
    a : array_like of int, shape (..., n)
        Codes of ``spec.a``; ``n`` is 1 to ``spec.length``.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape of ``a``
        Codes of ``spec.out``.

    Examples
    --------
    >>> from minimac.model import decode, encode
    >>> from minimac.spec import load_design
    >>> spec = load_design({"name": "mine", "unit": "softmax", "a": "bf16", "out": "fp16"})
    >>> decode(spec.out, softmax_codes(spec, encode(spec.a, [9984.0, 9984.0, -9984.0])))
    array([0.5, 0.5, 0. ])
    """
    codes = read_codes(spec.a, a, "a")
    if codes.ndim == 0 or not 1 <= codes.shape[-1] <= spec.length:
        raise ValueError(f"a must have 1 to {spec.length} codes along its last axis")
    significands, exponents = as_floats(spec.a, codes, np.int64, spec.a.min_exp)
    special = as_signs(spec.a, codes)[1]
    negative = as_negatives(spec.a, codes)
    m, n = _pairs(spec.exponential, significands, exponents - (spec.a.sig_bits - 1))
    n = n + spec.mantissa
    m = np.where((special == 1) & negative, 0, m)
    bad = ((special == 2) | ((special == 1) & ~negative)).any(axis=-1, keepdims=True)

    total = np.zeros(codes.shape[:-1], np.int64)
    top = np.zeros(codes.shape[:-1], np.int64)
    for k in range(codes.shape[-1]):
        some = m[..., k] > 0
        empty = total == 0
        higher = np.where(empty, n[..., k], np.maximum(top, n[..., k]))
        added = (m[..., k] << spec.guard_bits) >> np.clip(higher - n[..., k], 0, 62)
        moved = (total >> np.clip(higher - top, 0, 62)) + added
        total, top = np.where(some, moved, total), np.where(some, higher, top)
    bad |= (total == 0)[..., None]
    lead = np.frexp(np.maximum(total, 1).astype(np.float64))[1] - 1  # at most 2**49: exact
    fraction = spec.divisor_bits
    divisor = (np.maximum(total, 1) << fraction) >> lead
    quotient = (1 << fraction + spec.quotient_bits) // divisor
    above = lead - (spec.mantissa + spec.guard_bits)
    places = n - (top + above)[..., None] - (spec.mantissa + spec.quotient_bits)
    foot = _foot(spec)
    found = foot.round(m * quotient[..., None], places)
    return _finish(spec, foot.to, found, np.False_, np.False_, np.broadcast_to(bad, found.shape))


def softmax_bound(spec: Softmax) -> float:
    """Return a bound of the relative error of a result before its rounding.

    It holds while the sizes of all numbers are below ``2**spec.exponential.int_bits``. With ``u =
    2**-mantissa`` and ``e`` the bound of a pair (:meth:`minimac.spec.Exponential.relative_error`):
    what falls off when terms are added is below a unit of ``2**-(M + G)`` in each of at most
    ``2**G`` steps, and a sum is at least 1, which makes ``u``; cutting ``s`` off makes ``u/8``, and
    ``q``, which is at least ``2**(M + 1)`` units, is short by less than ``u/2``. Terms and sum are
    each off by ``e``. So a result is at most ``(1 + e) / ((1 - e) * (1 - u) * (1 - u/8))`` of the
    exact one, and at least ``(1 - e) * (1 - u/2) / (1 + e)`` of it.
    """
    exponential = spec.exponential
    e = exponential.relative_error(spec.a.lsb_exp < -exponential.frac_bits)
    u = Fraction(1, 1 << spec.mantissa)
    high = (1 + e) / ((1 - e) * (1 - u) * (1 - u / 8)) - 1
    low = 1 - (1 - e) * (1 - u / 2) / (1 + e)
    return float(max(high, low))


def softmax_stream(
    spec: Softmax, a: Sequence[int] | Integers, last: Sequence[int] | Integers
) -> tuple[Integers, Integers]:
    """Return results and ``last`` of a stream of codes and ``last``, as the unit has them.

    Number ``spec.length`` of a vector is its last one in any case; what is not complete at the end
    gives nothing.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> spec = load_design({"name": "mine", "unit": "softmax", "a": "int8", "out": "u0.8",
    ...     "length": 2})
    >>> codes, ends = softmax_stream(spec, [0, 7, 7, 7, 0, 1], [1, 0, 0, 0, 0, 0])
    >>> codes.tolist(), ends.tolist()
    ([255, 128, 128, 255, 0], [1, 0, 1, 0, 1])
    """
    found: list[NDArray[Any]] = []
    ends: list[int] = []
    start, given = 0, np.asarray(a)
    for n, flag in enumerate(last):
        if flag or n - start == spec.length - 1:
            found.append(softmax_codes(spec, given[start : n + 1]))
            ends += [0] * (n - start) + [1]
            start = n + 1
    codes = np.concatenate(found) if found else np.zeros(0)
    return codes.astype(np.int64), np.array(ends, np.int64)


def _foot(spec: Activation | Softmax) -> Foot:
    return Foot(target(spec.out, spec.out_round, spec.out_overflow), np.empty(0, np.uint32))


def _finish(
    spec: Activation | Hadamard | Softmax,
    to: "Target",
    codes: NDArray[np.uint32],
    positive: Any,
    negative: Any,
    nan: Any,
) -> NDArray[Any]:
    """Put in codes of infinities and of NaN."""
    for chosen, name in ((positive, "inf_positive"), (negative, "inf_negative"), (nan, "nan")):
        where = np.broadcast_to(chosen, codes.shape)
        if where.any():  # else there may be no such code
            codes[where] = getattr(to, name)
    return codes.astype(code_type(spec.out))


def _on_grid(
    sizes: Integers, exponents: Integers, int_bits: int, frac_bits: int
) -> tuple[Integers, NDArray[np.bool_]]:
    """Cut ``sizes * 2**exponents`` off to units of ``2**-frac_bits``; say what is beyond."""
    up = exponents + frac_bits
    bits = int_bits + frac_bits
    lengths = np.frexp(sizes.astype(np.float64))[1]
    beyond = (sizes > 0) & (lengths + up > bits)
    left = np.where(beyond, 0, np.clip(up, 0, 62))
    return (sizes << left) >> np.clip(-up, 0, 62), beyond


def _pairs(
    how: Exponential, significands: Integers, exponents: Integers
) -> tuple[Integers, Integers]:
    """Return mantissas, and exponents of their units."""
    grid, beyond = _on_grid(np.abs(significands), exponents, how.int_bits, how.frac_bits)
    grid = np.where(beyond, (1 << how.int_bits + how.frac_bits) - 1, grid)
    x = np.where(significands < 0, -grid, grid)
    # Of a product of more than 64 bits, and half a unit of the result, in two parts.
    low_bits = min(16, how.scale_bits - 1)
    high, low = how.scale >> low_bits, how.scale & (1 << low_bits) - 1
    half = 1 << how.scale_bits - 1 - low_bits
    z = (x * high + (x * low >> low_bits) + half) >> how.scale_bits - low_bits
    fraction = z & (1 << how.frac_bits) - 1
    return _interpolate(how.table, fraction), (z >> how.frac_bits) - how.frac_bits


def _interpolate(table: Interpolation, arguments: Integers) -> Integers:
    nodes = np.array(table.nodes, np.int64)
    bits = table.offset_bits
    k, t = arguments >> bits, arguments & (1 << bits) - 1
    points: Integers = (nodes[k] << bits) + (nodes[k + 1] - nodes[k]) * t + (1 << bits - 1)
    return points >> bits
