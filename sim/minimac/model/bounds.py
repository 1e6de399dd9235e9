"""Proved bounds on the error of a sum of products.

Every proof is the same induction. Let ``s`` be the exact sum of the first products, ``v`` what the
accumulator holds and ``B`` a bound on ``abs(v - s)``. The next product ``t`` is known, and so is
``s + t``; the accumulator comes to hold ``v + t`` but for what the step loses. If that is at most
``d``, worked out from ``abs(v + t) <= abs(s + t) + B``, then ``B + d`` bounds the error after the
step. How ``d`` follows stands with each kind of accumulation. Nothing is lost where the last place
that is kept is no coarser than the *grain*, the largest power of two that divides all products so
far: it divides v too, since what is rounded off leaves a multiple of a coarser place.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.errors import product_values
from minimac.model.operands import read_codes
from minimac.model.scalars import decode
from minimac.model.statistics import exponents_of
from minimac.spec import (
    Accumulation,
    Arithmetic,
    ExactAccumulation,
    FixedAccumulation,
    FloatAccumulation,
    Format,
    FusedAccumulation,
    Minifloat,
    Overflow,
    RoundedAccumulation,
    Rounding,
)

__all__ = ["ErrorBound", "error_bound"]

Values = NDArray[np.float64]
Exponents = NDArray[np.intp]
Mask = NDArray[np.bool_]

_NOWHERE = -(1 << 20)  # exponent of zero
_EVERYWHERE = 1 << 20  # exponent of the largest power of two that divides zero
_ROUND_UP = 1 + 2.0**-20  # for what float64 loses when bounds are added up


class ErrorBound(NamedTuple):
    """Bounds on the absolute error of every output, +inf where there is none.

    Parameters
    ----------
    before : ndarray of float64
        Of the accumulated value.
    after : ndarray of float64
        Of the result, rounded to ``out``.
    """

    before: Values
    after: Values


def error_bound(spec: Arithmetic, a: ArrayLike, b: ArrayLike) -> ErrorBound:
    """Return how far the outputs of a unit can be from the exact sums of its products.

    Parameters
    ----------
    spec : Arithmetic
        Unit; any design for scalar operands will do. The sums are of its own products, exact or
        not (``spec.product``).
    a, b : array_like of int, shapes (..., M, K) and (..., K, N)
        Codes of the operands, in their order in the chain.

    Returns
    -------
    ErrorBound
        Two arrays of shape (..., M, N). There is no bound, and so +inf, where an operand is not
        finite; where an accumulator of kind ``fixed`` may leave its range (a sum that wraps in
        between and comes back is right), or a ``rounded`` or ``fused`` one may overflow; where
        ``out`` may overflow, unless that saturates; and where products may leave the range of
        float64.

    Raises
    ------
    TypeError
        If operands are blocks or not integers.
    ValueError
        If a code is out of range, the shapes do not match, or K is above ``max_terms``.

    Examples
    --------
    >>> from minimac.model import encode
    >>> from minimac.spec import parse_format
    >>> bf16, fp32 = parse_format("bf16"), parse_format("fp32")
    >>> spec = Arithmetic(a=bf16, b=bf16, out=fp32, accumulate=FloatAccumulation(width=16))
    >>> x, y = encode(bf16, [[1.0, 3.0, 2**-9]]), encode(bf16, [[1.0], [1.0], [1.0]])
    >>> before, after = error_bound(spec, x, y)
    >>> print(f"{before.item() * 2**13:.3f} {after.item() * 2**13:.3f}")
    2.000 2.002
    """
    if spec.has_blocks:
        raise TypeError(f"operands must be scalars, not blocks of {spec.a.name} or {spec.b.name}")
    x, y = read_codes(spec.a, a, "a"), read_codes(spec.b, b, "b")
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(
            f"a and b must be (..., M, K) and (..., K, N), not {x.shape} and {y.shape}"
        )
    most = spec.accumulate.max_terms
    if x.shape[-1] > most:
        raise ValueError(f"K must be at most max_terms, {most}, not {x.shape[-1]}")
    lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    chain = _chain(spec.accumulate, (*lead, x.shape[-2], y.shape[-1]))
    chain.lost |= spec.lsb_exp < -900 or spec.product_max_exp > 900
    for k in range(x.shape[-1]):
        chain.add(_product(spec, x[..., :, k, None], y[..., None, k, :]))
    chain.finish()
    before = chain.error * _ROUND_UP
    after = (before + _foot(spec, chain, before)) * _ROUND_UP
    return ErrorBound(*(np.where(chain.lost, np.inf, bound) for bound in (before, after)))


class _Term(NamedTuple):
    """Something to add: it should be ``value``, and is, give or take ``doubt``."""

    value: Values
    doubt: Values
    exponent: Exponents  #: That of the top of a window; the leading one is there or below.
    grain: Exponents  #: That of a power of two that divides it.
    lost: Mask  #: Whether nothing is known.

    @property
    def counts(self) -> Mask:
        """Whether it may not be zero."""
        return np.asarray((self.value != 0) | (self.doubt > 0))


def _product(spec: Arithmetic, x: NDArray[Any], y: NDArray[Any]) -> _Term:
    value = product_values(spec, x, y)
    finite = np.isfinite(value)
    value = np.where(finite, value, 0.0)
    if spec.product.adds_codes:
        exponent = exponents_of(spec.a, value)
    else:
        of_x, of_y = (
            exponents_of(fmt, np.nan_to_num(decode(fmt, codes), posinf=0, neginf=0))
            for fmt, codes in ((spec.a, x), (spec.b, y))
        )
        exponent = of_x + of_y + 1
    # Where float64 rounds a product, what it rounds off is part of the slack.
    rounded = np.abs(value) > 2.0**53 * 2.0**spec.lsb_exp
    grain = np.where(rounded, spec.lsb_exp, _grain(value))
    return _Term(value, np.zeros(value.shape), exponent, grain, ~finite)


class _Chain:
    """An accumulator: a bound on the error of what it holds, and what that rests on.

    As it is here, an exact one: nothing is lost.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.total = np.zeros(shape)  #: Exact sum, but for roundings of float64.
        self.size = np.zeros(shape)  #: Sum of magnitudes.
        self.error = np.zeros(shape)  #: The bound.
        self.lost = np.zeros(shape, bool)  #: Where there is none.
        self.grain = np.full(shape, _EVERYWHERE)  #: Of all terms.
        self.steps = 0

    def add(self, term: _Term) -> None:
        """Add a term."""
        self.total += term.value
        self.size += np.abs(term.value)
        self.error += term.doubt
        self.lost |= term.lost
        self.grain = np.minimum(self.grain, term.grain)
        self.steps += 1
        self._step(term)

    def finish(self) -> None:
        """Add what is still held back."""

    def _step(self, term: _Term) -> None:
        """Add what the accumulator loses by a term to the error."""

    @property
    def slack(self) -> Values:
        """How far ``total`` can be from the exact sum: not at all while 53 bits hold all sums."""
        held = self.size <= _power(np.minimum(self.grain, 900) + 53)
        return np.where(held, 0.0, (self.steps + 2) * 2.0**-52 * self.size)

    @property
    def reach(self) -> Values:
        """Bound on the magnitude of the exact sum of what is held and the next term."""
        doubt = self.slack + self.error
        return np.where(doubt > 0, (np.abs(self.total) + doubt) * _ROUND_UP, np.abs(self.total))

    def loss(self, share: float, place: Exponents) -> Values:
        """Return that share of the last place that is kept, or 0 if the grain is no finer."""
        return np.where(self.grain >= place, 0.0, share * _power(place))


def _chain(acc: Accumulation, shape: tuple[int, ...]) -> _Chain:
    match acc:
        case ExactAccumulation():
            return _Chain(shape)
        case FixedAccumulation():
            return _Chunks(acc, shape) if acc.outer else _Fixed(acc, shape)
        case FloatAccumulation():
            return _Float(acc, shape)
        case RoundedAccumulation():
            return _Rounded(acc, shape)
        case FusedAccumulation():
            return _Fused(acc, shape)
    raise TypeError(f"spec.accumulate must be of a known kind, not {acc!r}")


class _Fixed(_Chain):
    """A product that is not a multiple of the lsb loses up to a half of it, or less than all.

    That holds as long as no sum saturates. Sums that wrap are right modulo the range, so the last
    one is right if it is within the range.
    """

    def __init__(self, acc: FixedAccumulation, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.acc = acc

    def _step(self, term: _Term) -> None:
        fmt = self.acc.format
        lsb = 2.0**fmt.lsb_exp
        self.error += np.where(term.grain >= fmt.lsb_exp, 0.0, _share(self.acc.round) * lsb)
        if self.acc.overflow is Overflow.SATURATE:
            self._check()

    def finish(self) -> None:
        self._check()

    def _check(self) -> None:
        least, largest = _range(self.acc.format)
        beyond = self.slack + self.error
        self.lost |= (self.total + beyond > largest) | (self.total - beyond < least)


class _Chunks(_Chain):
    """The sum of a chunk is a term of the outer chain, in doubt by the bound on its own error."""

    def __init__(self, acc: FixedAccumulation, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        assert acc.outer is not None
        self.acc, self.inner, self.outer = acc, _Fixed(acc, shape), _chain(acc.outer, shape)

    def _step(self, term: _Term) -> None:
        self.inner.add(term)
        if self.inner.steps == self.acc.chunk:
            self._pass_on()

    def _pass_on(self) -> None:
        inner = self.inner
        inner.finish()
        if isinstance(self.outer, _Fused):  # where the exponent is that of the leading one
            exponent = _leading(inner.reach) + 1
        else:
            exponent = np.full(inner.total.shape, self.acc.format.min_exp)
        doubt = inner.error + inner.slack
        grain = np.where(doubt > 0, _NOWHERE, _grain(inner.total))
        self.outer.add(_Term(inner.total, doubt, exponent, grain, inner.lost))
        self.inner = _Fixed(self.acc, inner.total.shape)

    def finish(self) -> None:
        if self.inner.steps:
            self._pass_on()
        self.outer.finish()
        self.error = self.outer.error
        self.lost |= self.outer.lost


class _Rounded(_Chain):
    """A step loses what its one rounding does: half an ulp of ``v + t`` or less than one."""

    def __init__(self, acc: RoundedAccumulation, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.acc = acc

    def _step(self, term: _Term) -> None:
        loss = _rounding_loss(self.acc.format, self.acc.round, self.reach, self.grain)
        self.error += np.where(term.counts, loss, 0.0)
        self.lost |= self.reach > _range(self.acc.format)[1]


class _Float(_Chain):
    """Steps on a window of ``V`` bits, those of ``width``, ``guard`` and ``sticky``.

    Let ``E`` be the exponent after alignment, that of the state or of the product, and ``E'`` that
    after a carry.

    1. What alignment drops is less than the last place, ``2**(E-(V-1))``. A sticky bit *is* the
       last place; it makes up to one place of something, or of what is dropped: the same.
    2. A carry drops (or a sticky bit adds) at most one such place, and then E' is E + 1: together
       not more than ``2**(E'-(V-1))``.
    3. Rounding loses a half of ``2**(e-(width-1))`` or less than all of it, at the exponent e after
       normalisation; without guard and sticky bit nothing.

    Nothing is lost where a zero meets a state or a product meets zero: neither has bits below
    ``width``. It remains to bound exponents. A carry means that the leading one of the sum is at
    E', so E' is at most the larger of E and the exponent of the bound on the sum. With the leading
    one at L, normalisation leaves ``e = L`` if ``exact``, E' if ``none``, and with ``approx(k,l)``
    either E' - k - l or at most L + max(k, l) - 1, since where it shifts by less there are fewer
    than k, or l, zeros left. Rounding raises it by one only to where the leading one then is.
    """

    def __init__(self, acc: FloatAccumulation, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.acc = acc
        self.exponent = np.full(shape, _NOWHERE)  #: The state's is not above.

    def _step(self, term: _Term) -> None:
        acc = self.acc
        below = acc.window_bits - 1
        counts = term.counts
        both = counts & (self.exponent > _NOWHERE)
        aligned = np.maximum(self.exponent, np.where(counts, term.exponent, _NOWHERE))
        reach = self.reach
        lead = _leading(reach + np.where(both, self.loss(1.0, aligned - below), 0.0))
        carried = np.clip(lead, aligned, aligned + 1)
        shifted = np.where(both, self.loss(1.0, carried - below), 0.0)
        lead = np.minimum(_leading(reach + shifted), carried)
        coarse = acc.normalize.coarse
        if coarse is None:
            normal = lead
        elif coarse:
            under = np.maximum(lead + max(coarse) - 1, carried - sum(coarse))
            normal = np.minimum(under, carried)
        else:
            normal = carried
        rounds = acc.window_bits > acc.width
        share = _share(acc.round) if rounds else 0.0
        self.error += shifted + np.where(both, self.loss(share, normal - (acc.width - 1)), 0.0)
        reach = self.reach
        exponent = np.clip(_leading(reach), normal, normal + rounds)
        self.exponent = np.where(reach > 0, exponent, _NOWHERE)


class _Fused(_Chain):
    """A step adds a group: terms are truncated, summed exactly, and the sum is rounded.

    Truncation to multiples of ``q = 2**(emax - frac_bits)`` loses less than q for each term that is
    no multiple, the accumulator included; with a sticky bit, which stands for the half of it, less
    than q / 2. emax is the largest exponent of the products, which are known, or that of the
    accumulator, which is not above that of the bound on it.
    """

    def __init__(self, acc: FusedAccumulation, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.acc = acc
        self.group: list[_Term] = []
        self.exponent = np.full(shape, _NOWHERE)  #: The accumulator's is not above.

    def _step(self, term: _Term) -> None:
        self.group.append(term)
        if len(self.group) == self.acc.group:
            self.finish()

    def finish(self) -> None:
        if not self.group:
            return
        acc = self.acc
        emax = self.exponent
        for term in self.group:
            emax = np.maximum(emax, np.where(term.counts, term.exponent - 1, _NOWHERE))
        place = emax - acc.frac_bits
        short = (self.exponent > _NOWHERE).astype(np.intp)
        for term in self.group:
            short += term.grain < place
        self.error += short * self.loss(0.5 if acc.sticky else 1.0, place)
        self.error += _rounding_loss(acc.state_format, acc.round, self.reach, self.grain)
        self.lost |= self.reach > _range(acc.state_format)[1]
        self.exponent = _leading(self.reach)
        self.group = []


def _foot(spec: Arithmetic, chain: _Chain, before: Values) -> Values:
    """Return how much the conversion of ``total``, give or take ``before``, can lose."""
    doubt = before + chain.slack
    size = np.where(doubt > 0, (np.abs(chain.total) + doubt) * _ROUND_UP, np.abs(chain.total))
    loss = _rounding_loss(spec.out, spec.out_round, size, chain.grain)
    least, largest = _range(spec.out)
    excess = np.maximum(chain.total + doubt - largest, least - (chain.total - doubt))
    if spec.out_overflow is Overflow.SATURATE:
        return np.maximum(loss, excess)
    return np.where(excess > 0, np.inf, loss)


def _rounding_loss(fmt: Format, mode: Rounding, size: Values, grain: Exponents) -> Values:
    """Return how much rounding something of at most that size, and of that grain, can lose."""
    place = exponents_of(fmt, size) - (fmt.sig_bits - 1)
    loss = np.where(grain >= place, 0.0, _share(mode) * _power(place))
    if isinstance(fmt, Minifloat) and fmt.ftz:
        loss = np.maximum(loss, 2.0**fmt.min_exp)
    if mode in (Rounding.RNE, Rounding.RNA, Rounding.TRUNCATE):
        return np.minimum(loss, size)  # zero is as near as that
    return np.where(size > 0, loss, 0.0)


def _share(mode: Rounding) -> float:
    """Return how much of an ulp a mode can lose."""
    return 0.5 if mode in (Rounding.RNE, Rounding.RNA) else 1.0


def _range(fmt: Format) -> tuple[float, float]:
    unit = 2.0**fmt.lsb_exp
    return fmt.min_lsbs * unit, fmt.max_lsbs * unit


def _leading(size: Values) -> Exponents:
    """Return the exponents of leading ones."""
    _, exponents = np.frexp(size)
    return np.asarray(np.where(size > 0, exponents - 1, _NOWHERE), np.intp)


def _grain(values: Values) -> Exponents:
    """Return the exponents of the largest powers of two that divide values."""
    fraction, exponents = np.frexp(np.abs(values))
    whole = np.ldexp(fraction, 53).astype(np.int64)
    _, last = np.frexp((whole & -whole).astype(np.float64))
    return np.asarray(np.where(values == 0, _EVERYWHERE, exponents - 54 + last), np.intp)


def _power(exponents: Exponents) -> Values:
    return np.asarray(np.ldexp(1.0, exponents))
