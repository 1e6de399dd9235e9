"""Compiled inner loops of the model.

All compiled code is in this one module: the cache of Numba notices changes of the file in which a
function is, not of the files from which it calls others.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "NOWHERE",
    "TILE",
    "Source",
    "Target",
    "chain_kernel",
    "decode_array",
    "encode_array",
    "round_integers",
    "split_floats",
    "split_integers",
    "split_signs",
    "sum_integers",
    "sum_limbs",
]

# Arguments of compiled functions are Any where mypy cannot know the types that Numba gives them.
_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Outputs that a loop works on side by side, with their states in the fastest cache.
TILE = 128

#: Exponent of a zero: so low that zero never stays and shifts the other operand, and so far from
#: any that a sum of it and an operand's exponent is still below that of each number.
NOWHERE = -(1 << 20)

_RNE, _RNA, _UP, _DOWN, _ODD = 0, 1, 3, 4, 5  # places in the enumeration Rounding; 2: truncate


_instruction: Callable[[Callable[..., Any]], Callable[..., Any]] = intrinsic


def _compiled(function: _Function) -> _Function:
    return cast(_Function, njit(cache=True, nogil=True)(function))


class Target(NamedTuple):
    """What a rounded value is turned into: a format, a rounding mode and an overflow rule.

    All are integers; codes are -1 where there is none.
    """

    rounding: int  #: Place of the mode in the enumeration Rounding.
    lsb_exp: int  #: Exponent of the least subnormal.
    man_bits: int  #: Bits kept below the leading one; beyond any number in a fixed-point format.
    binade: int  #: Codes in a binade; 0 in a fixed-point format.
    least: int  #: Magnitude codes below this one are flushed to zero.
    max_positive: int  #: Largest finite magnitude code.
    max_negative: int  #: The same of negative values; 0 if there are none.
    sign: int  #: The sign bit, or 0 where negative codes are two's complement.
    negative_zero: bool  #: Whether -0 has a code.
    wrap: bool  #: Whether the low bits of a code beyond the largest one are kept.
    mask: int  #: All bits of a code.
    over_positive: int  #: Code of a positive value beyond the largest.
    over_negative: int
    inf_positive: int  #: Code of an infinite operand.
    inf_negative: int
    nan: int  #: Code of NaN.


class Source(NamedTuple):
    """What the codes of a format mean. A fixed-point number is a subnormal without hidden bit."""

    sign: int  #: Least negative code; beyond any code in an unsigned format.
    complement: bool  #: Whether negative codes are two's complement.
    man_bits: int  #: Width of the mantissa; all of it in a fixed-point format.
    mantissa: int  #: All bits of the mantissa.
    bias: int  #: The exponent field less the exponent.
    subnormals: int  #: 0 if they count as zero, else 1.
    infinity: int  #: Magnitude of an infinity, or -1.
    max_not_nan: int  #: Magnitudes above are NaN.
    nan: int  #: Code that is NaN besides, or -1.


@_instruction
def _shift_right(typing: Any, x: Any, by: Any) -> Any:
    """Shift logically, in the type of ``x``; Numba's own shift widens to 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.lshr(*args)

    return x(x, x), generate


@_instruction
def _shift_left(typing: Any, x: Any, by: Any) -> Any:
    """Shift, in the type of ``x``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.shl(*args)

    return x(x, x), generate


@_instruction
def _leading_zeros(typing: Any, x: Any) -> Any:
    """Count leading zeros in the type of ``x``; all bits if it is zero."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], context.get_constant(types.boolean, False))

    return x(x), generate


@_compiled
def _take_apart(code: Any, of: Source) -> Any:
    """Return whether a code is negative, its significand, exponent and what is special about it.

    That is 1 for an infinity, 2 for NaN, and else 0. The significand of what is special is 0.
    """
    negative = code >= of.sign
    magnitude = code
    if negative:
        magnitude = 2 * of.sign - code if of.complement else code - of.sign
    field = magnitude >> of.man_bits
    significand = magnitude & of.mantissa
    significand = significand + of.mantissa + 1 if field > 0 else significand * of.subnormals
    nan = magnitude > of.max_not_nan or code == of.nan
    special = 2 if nan else np.int64(magnitude == of.infinity)
    significand = significand if special == 0 else 0
    return negative, significand, max(field, 1) - of.bias, special


@_compiled
def decode_array(codes: Any, scales: Any, values: Any, of: Source) -> None:
    """Decode ``codes`` to float64; ``scales`` are the weights of 1 in each binade."""
    for i in range(len(codes)):
        negative, significand, exponent, special = _take_apart(np.int64(codes[i]), of)
        value = significand * scales[exponent - 1 + of.bias if special == 0 else 0]
        value = np.inf if special == 1 else np.nan if special == 2 else value
        values[i] = -value if negative and special != 2 else value


@_compiled
def split_floats(codes: Any, significands: Any, exponents: Any, zero: int, of: Source) -> None:
    """Write signed significands and exponents of ``codes``; the exponent of a zero is ``zero``."""
    for i in range(len(codes)):
        negative, significand, exponent, _ = _take_apart(np.int64(codes[i]), of)
        significands[i] = -significand if negative else significand
        exponents[i] = zero if significand == 0 else exponent


@_compiled
def split_integers(codes: Any, values: Any, of: Source) -> None:
    """Write the values of ``codes``, in units of the least subnormal."""
    for i in range(len(codes)):
        negative, significand, exponent, _ = _take_apart(np.int64(codes[i]), of)
        value = significand << (exponent - 1 + of.bias)
        values[i] = -value if negative else value


@_compiled
def split_signs(codes: Any, signs: Any, specials: Any, of: Source) -> None:
    """Write the signs of ``codes``, 0 of zero and NaN, and what is special about them."""
    for i in range(len(codes)):
        negative, significand, _, special = _take_apart(np.int64(codes[i]), of)
        sign = np.int64(significand != 0 or special == 1)
        signs[i] = -sign if negative else sign
        specials[i] = special


@_compiled
def _round_code(negative: Any, m: Any, x: Any, sticky: Any, to: Target) -> Any:
    """Round ``(-1)**negative * m * 2**x`` once; ``sticky`` adds less than one unit to ``m``.

    ``m`` is a uint64; with ``sticky`` it must reach below the last bit that is kept. This is the
    only place where the model rounds to a format. Selections in place of branches: signs and
    overflows come in no order that a processor could learn.
    """
    one = np.uint64(1)
    if m == 0:
        x = to.lsb_exp
    length = np.int64(64) - np.int64(_leading_zeros(m))
    q = max(x + length - 1 - to.man_bits, to.lsb_exp)
    shift = q - x
    half = np.int64(0)
    rest = np.int64(sticky)
    if shift > 64:
        rest |= np.int64(m != 0)
        m = np.uint64(0)
        shift = np.int64(64)
    if shift > 0:
        by = np.uint64(shift - 1)
        n = np.int64((m >> by) >> one)
        half = np.int64((m >> by) & one)
        rest |= np.int64((m & ((one << by) - one)) != 0)
    elif to.wrap:
        n = np.int64(m << np.uint64(-shift)) if shift > -64 else np.int64(0)
    else:  # in a format with exponents n is short; in another anything this long overflows
        n = np.int64(m << np.uint64(-shift)) if length - shift < 62 else np.int64(1 << 62)
    code = n + (q - to.lsb_exp) * to.binade
    inexact = half | rest
    if to.rounding == _RNE:
        code += half & (rest | code)
    elif to.rounding == _RNA:
        code += half
    elif to.rounding == _UP:
        code += inexact & np.int64(not negative)
    elif to.rounding == _DOWN:
        code += inexact & np.int64(negative)
    elif to.rounding == _ODD:
        code |= inexact
    if to.wrap:
        return (-code if negative else code) & to.mask
    code = 0 if code < to.least else code
    most = to.max_negative if negative else to.max_positive
    beyond = to.over_negative if negative else to.over_positive
    sign = to.sign if code != 0 or to.negative_zero else 0
    below_zero = code | sign if to.sign != 0 else (to.mask + 1 - code) & to.mask
    signed = below_zero if negative else code
    return beyond if code > most else signed


@_compiled
def encode_array(values: Any, codes: Any, to: Target) -> int:
    """Encode float64 ``values``, given by their bits; return where it is impossible, or -1."""
    fraction = np.int64((1 << 52) - 1)
    for i in range(len(values)):
        bits = values[i]
        negative = bits < 0
        field = (bits >> 52) & 0x7FF
        m = bits & fraction
        if field == 0x7FF:
            code = to.nan if m != 0 else to.inf_negative if negative else to.inf_positive
            if code < 0:
                return i
        else:
            if field != 0:
                m |= fraction + 1
            code = _round_code(negative, np.uint64(m), max(field, 1) - 1075, False, to)
        codes[i] = code
    return -1


@_compiled
def round_integers(sums: Any, lsb_exp: int, codes: Any, to: Target) -> None:
    """Round int64 ``sums``, in units of ``2**lsb_exp``."""
    for i in range(len(sums)):
        total = sums[i]
        # The negation wraps for the most negative number, whose bits are those of its magnitude.
        m = np.uint64(-total if total < 0 else total)
        codes[i] = _round_code(total < 0, m, lsb_exp, False, to)


@_compiled
def sum_integers(a: Any, b: Any, sums: Any, rows: Any, cols: Any) -> None:
    """Multiply int64 matrices; no sum may take more than 64 bits."""
    depth = a.shape[1]
    for first in range(cols[0], cols[1], TILE):
        last = min(first + TILE, cols[1])
        for i in range(rows[0], rows[1]):
            total = sums[i, first:last]
            total[:] = 0
            for k in range(depth):
                x = a[i, k]
                row = b[k, first:last]
                for j in range(len(total)):
                    total[j] += x * row[j]


@_compiled
def sum_limbs(
    a: Any,
    a_place: Any,
    b: Any,
    b_place: Any,
    codes: Any,
    rows: Any,
    cols: Any,
    digits: int,
    lsb_exp: int,
    to: Target,
) -> None:
    """Add products exactly in a fixed-point accumulator of any width, and round the sums.

    ``a`` (M, K) and ``b`` (N, K) are signed significands of at most 32 bits and ``*_place`` their
    weights: a product counts ``a * b * 2**(a_place + b_place)`` units of ``2**lsb_exp``.

    The accumulator has digits of 32 bits in words of 64: a digit takes up 2**30 terms before a
    carry could be lost, so carries are only propagated at the end.
    """
    low = np.int64(0xFFFFFFFF)
    acc = np.zeros(digits, np.int64)
    for i in range(rows[0], rows[1]):
        for j in range(cols[0], cols[1]):
            acc[:] = 0
            for k in range(a.shape[1]):
                negative = (a[i, k] ^ b[j, k]) >> 63
                m = np.uint64(abs(a[i, k])) * np.uint64(abs(b[j, k]))
                place = a_place[i, k] + b_place[j, k]
                at = place >> 5
                by = np.uint64(place & 31)
                first = (m & np.uint64(low)) << by
                second = (m >> np.uint64(32)) << by
                acc[at] += (np.int64(first & np.uint64(low)) ^ negative) - negative
                middle = np.int64((first >> np.uint64(32)) + (second & np.uint64(low)))
                acc[at + 1] += (middle ^ negative) - negative
                acc[at + 2] += (np.int64(second >> np.uint64(32)) ^ negative) - negative
            carry = np.int64(0)
            for d in range(digits):
                carry += acc[d]
                acc[d] = carry & low
                carry >>= 32
            negative_sum = carry < 0
            if negative_sum:
                carry = np.int64(1)
                for d in range(digits):
                    carry += acc[d] ^ low
                    acc[d] = carry & low
                    carry >>= 32
            codes[i, j] = _round_digits(acc, negative_sum, lsb_exp, to)


@_compiled
def _round_digits(acc: Any, negative: Any, lsb_exp: int, to: Target) -> Any:
    """Round a number in digits of 32 bits: a window of 64 bits and what is below it suffice."""
    if to.wrap:
        # The window holds all bits of a code and at least one below, whatever is above.
        base: Any = max(to.lsb_exp - lsb_exp - 31, 0)
    else:
        top = len(acc) - 1
        while top > 0 and acc[top] == 0:
            top -= 1
        base = max(32 * top - np.int64(_leading_zeros(acc[top])), 0)
    at = base >> 5
    by = np.uint64(base & 31)
    m = np.uint64(0)
    for d in range(3):
        if at + d < len(acc):
            digit = np.uint64(acc[at + d])
            if d == 0:
                m |= digit >> by
            elif d == 1:
                m |= digit << (np.uint64(32) - by)
            elif by != 0:
                m |= digit << (np.uint64(64) - by)
    sticky = at < len(acc) and (np.uint64(acc[at]) & ((np.uint64(1) << by) - np.uint64(1))) != 0
    for d in range(min(at, len(acc))):
        sticky = sticky or acc[d] != 0
    return _round_code(negative, m, lsb_exp + base, sticky, to)


@functools.cache
def chain_kernel(
    wide: bool, lanes: bool, normalize: str, sticky: bool, rounds: bool
) -> Callable[..., None]:
    """Return the chained multiply-add of kind ``float``, compiled for the choices that matter.

    Parameters
    ----------
    wide : bool
        Whether the window takes more than 30 bits, and so lanes of 64.
    lanes : bool
        Whether ``a`` is (K, N), an operand for each chain, and not (M, K), one for each row.
    normalize : {"exact", "approx", "none"}
        Kind of normalisation.
    sticky : bool
        Whether the lowest bit of the window is sticky.
    rounds : bool
        Whether the window is rounded to its upper bits in a mode other than ``truncate``.
    """
    word: Any = np.int64 if wide else np.int32
    bits = 64 if wide else 32
    exact, approx = normalize == "exact", normalize == "approx"

    def chain(
        a: Any,
        a_exp: Any,
        b: Any,
        b_exp: Any,
        codes: Any,
        rows: Any,
        cols: Any,
        window: int,
        below: int,
        coarse: Any,
        mode: int,
        to: Target,
    ) -> None:
        # A state is a signed magnitude at the top of the window. All is without branches and in
        # one integer type, so that the innermost loop becomes vector instructions.
        zero = word(0)
        most = word(bits - 1)
        nowhere = word(NOWHERE)
        carry_at = word(window)
        spare = word(bits - window)
        first = word(coarse[0])
        second = word(coarse[0] + coarse[1])
        first_from = word(1 << (window - coarse[0]))
        second_from = word(1 << (window - coarse[0] - coarse[1]))
        lost = word((1 << below) - 1)
        kept = word(~lost)
        to_lsb = word(below)
        add_if_odd = word(mode == _RNE)
        add_positive = zero
        add_negative = zero
        set_if_lost = zero
        if mode == _RNE:
            add_positive = add_negative = word(((1 << below) >> 1) - 1)
        elif mode == _RNA:
            add_positive = add_negative = word((1 << below) >> 1)
        elif mode == _UP:
            add_positive = lost
        elif mode == _DOWN:
            add_negative = lost
        elif mode == _ODD:
            set_if_lost = word(1 << below)
        states = np.empty(TILE, word)
        exps = np.empty(TILE, word)
        for col in range(cols[0], cols[1], TILE):
            size_of_tile = min(TILE, cols[1] - col)
            for i in range(rows[0], rows[1]):
                states[:] = zero
                exps[:] = nowhere
                for k in range(b.shape[0]):
                    b_row = b[k, col : col + size_of_tile]
                    b_exp_row = b_exp[k, col : col + size_of_tile]
                    if lanes:
                        a_row = a[k, col : col + size_of_tile]
                        a_exp_row = a_exp[k, col : col + size_of_tile]
                    else:
                        x = a[i, k]
                        x_exp = a_exp[i, k]
                    for j in range(size_of_tile):
                        if lanes:
                            product = word(a_row[j] * b_row[j])
                            product_exp = word(a_exp_row[j] + b_exp_row[j])
                        else:
                            product = word(x * b_row[j])
                            product_exp = word(x_exp + b_exp_row[j])
                        # 1. Align.
                        e = exps[j]
                        ahead = word(product_exp - e)
                        stays = product if ahead > zero else states[j]
                        moves = states[j] if ahead > zero else product
                        e = product_exp if ahead > zero else e
                        by = min(word(abs(ahead)), most)
                        size = word(abs(moves))
                        moved = _shift_right(size, by)
                        if sticky:
                            moved = word(moved | word(_shift_left(moved, by) != size))
                        # 2. Add.
                        total = word(stays + (word(-moved) if moves < zero else moved))
                        size = word(abs(total))
                        # 3. Carry.
                        carry = _shift_right(size, carry_at)
                        if sticky:
                            size = word(_shift_right(size, carry) | word(size & carry))
                        else:
                            size = _shift_right(size, carry)
                        e = word(e + carry)
                        # 4. Normalise.
                        if exact:
                            by = word(_leading_zeros(size) - spare)
                            size = _shift_left(size, by)
                            e = word(e - by)
                        elif approx:
                            by = first if size >= second_from else second
                            by = zero if size >= first_from else by
                            size = _shift_left(size, by)
                            e = word(e - by)
                        # 5. Round.
                        if rounds:
                            up = word(_shift_right(size, to_lsb) & add_if_odd)
                            up = word(up + (add_negative if total < zero else add_positive))
                            some = word(word(size & lost) + lost)
                            size = word(size | word(some & set_if_lost))
                            size = word(size + up)
                            carry = _shift_right(size, carry_at)
                            size = _shift_right(size, carry)
                            e = word(e + carry)
                        size = word(size & kept)
                        states[j] = word(-size) if total < zero else size
                        exps[j] = nowhere if size == zero else e
                for j in range(size_of_tile):
                    state = np.int64(states[j])
                    # The exponent of a product is one more than the sum that it has here.
                    place = np.int64(exps[j]) + 1 - (window - 1)
                    size_of_state = np.uint64(abs(state))
                    code = _round_code(state < 0, size_of_state, place, False, to)
                    codes[i, col + j] = code

    return _compiled(chain)
