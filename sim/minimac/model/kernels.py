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
    "FloatTarget",
    "Source",
    "Target",
    "chain_kernel",
    "convert_states",
    "decode_array",
    "encode_array",
    "encode_sorted",
    "fixed_kernel",
    "float_encoder",
    "float_kernel",
    "fused_kernel",
    "last_magnitude",
    "look_up",
    "multiply_codes",
    "normalize_terms",
    "round_states",
    "rounded_kernel",
    "split_floats",
    "split_integers",
    "split_signs",
    "sum_digits",
    "sum_integers",
    "sum_rounded_digits",
    "sum_wide",
]

# Arguments of compiled functions are Any where mypy cannot know the types that Numba gives them.
_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Outputs that a loop works on side by side, with their states in the fastest cache.
TILE = 128

#: Exponent of a zero: so low that zero never stays and shifts the other operand, and so far from
#: any that a sum of it and an operand's exponent is still below that of each number.
NOWHERE = -(1 << 20)

# Places in the enumeration Rounding; 2: truncate.
_RNE, _RNA, _UP, _DOWN, _ODD, _SR_A, _SR_B, _SR_C = 0, 1, 3, 4, 5, 6, 7, 8

# Values that an encoder works on side by side: few enough to stay in the fastest cache.
_STRETCH = 1024


_instruction: Callable[[Callable[..., Any]], Callable[..., Any]] = intrinsic


def _compiled(function: _Function) -> _Function:
    try:
        return cast(_Function, njit(cache=True, nogil=True)(function))
    except RuntimeError:  # there is no folder that a cache could be in
        return cast(_Function, njit(nogil=True)(function))


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
    random_bits: int  #: Width of the random integers of a stochastic mode; 0 in another.


class FloatTarget(NamedTuple):
    """A target, worked out for values of float32 or float64: all that a loop over them needs.

    A magnitude's bits, less a multiple of the hidden bit (and shifted right where the target has
    subnormals), are a code with ``shift`` more bits below it.
    """

    field: int  #: Exponent field of values whose codes have the least normal exponent.
    shift: int  #: Bits below a code.
    place: int  #: Lowest of the bits that the random integer is added to; else ``shift``.
    add_positive: int  #: What is added before those below are cut off.
    add_negative: int
    add_if_odd: int  #: What is added besides if the bit at ``place`` is 1.
    max_positive: int  #: Largest finite magnitude code.
    max_negative: int
    least: int  #: Magnitude codes below this one become +0, or ``minus_zero``.
    minus_zero: int
    flip: int  #: Bits that turn over in a negative code.
    sign: int  #: What is added to a negative code.
    last_positive: int  #: Largest magnitude, in bits, that is not beyond the largest finite value.
    last_negative: int
    over_positive: int  #: As in a target.
    over_negative: int
    inf_positive: int
    inf_negative: int
    nan: int


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
def _spread_sign(typing: Any, x: Any) -> Any:
    """Fill ``x`` with its top bit."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ashr(args[0], args[0].type(x.bitwidth - 1))

    return x(x), generate


@_instruction
def _leading_zeros(typing: Any, x: Any) -> Any:
    """Count leading zeros in the type of ``x``; all bits if it is zero."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], context.get_constant(types.boolean, False))

    return x(x), generate


@_instruction
def _prefer_wide_vectors(typing: Any) -> Any:
    """Let the caller use all of a vector register: for many CPUs LLVM takes half of 512 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite knows no attributes that are strings, but prints them.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


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
def look_up(codes: Any, table: Any, results: Any) -> None:
    """Write the entry of a table for each code."""
    for i in range(len(codes)):
        results[i] = table[codes[i]]


@_compiled
def _carry_of_chance(m: Any, shift: Any, sticky: Any, random: Any, to: Target) -> Any:
    """Return 1 if a stochastic mode rounds ``m * 2**-shift`` up, else 0.

    With ``sticky`` the shift must be more than ``random_bits``.
    """
    one = np.uint64(1)
    lost = m & ((one << np.uint64(shift)) - one) if shift < 64 else m
    by = shift - 1 - to.random_bits
    rest = np.int64(sticky)
    if by >= 64:
        rest |= np.int64(lost != 0)
        chance = np.int64(0)
    elif by > 0:
        rest |= np.int64((lost & ((one << np.uint64(by)) - one)) != 0)
        chance = np.int64(lost >> np.uint64(by))
    else:
        chance = np.int64(lost << np.uint64(-by))
    half = chance & 1  # the bit below those that meet the random ones
    chance >>= 1
    if to.rounding == _SR_B:
        chance += half
    elif to.rounding == _SR_C:
        chance += half & (rest | chance)
    return (chance + random) >> to.random_bits


@_compiled
def _round_code(negative: Any, m: Any, x: Any, sticky: Any, to: Target, random: Any) -> Any:
    """Round ``(-1)**negative * m * 2**x`` once; ``sticky`` adds less than one unit to ``m``.

    ``m`` is a uint64; with ``sticky`` it must reach below the last bit that is kept, and in a
    stochastic mode further by ``to.random_bits``. ``random`` is the integer of such a mode.

    This says what rounding to a format is; :func:`float_encoder` does the same for many floats.
    Selections in place of branches: signs and overflows come in no order that a processor could
    learn.
    """
    one = np.uint64(1)
    if m == 0:
        x = to.lsb_exp
    length = np.int64(64) - np.int64(_leading_zeros(m))
    q = max(x + length - 1 - to.man_bits, to.lsb_exp)
    shift = q - x
    half = np.int64(0)
    rest = np.int64(sticky)
    carry = np.int64(0)
    if to.rounding >= _SR_A and shift > 0:
        carry = _carry_of_chance(m, shift, sticky, np.int64(random), to)
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
    else:
        n = np.int64(m << np.uint64(-shift)) if length - shift < 62 else np.int64(1 << 61)
    if (
        not to.wrap
    ):  # in a format with exponents n is short; in another anything this long overflows
        n = min(n, np.int64(1 << 61))
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
    else:
        code += carry
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
def encode_array(values: Any, random: Any, codes: Any, to: Target) -> None:
    """Encode float64 ``values``, given by their bits; ``random`` is empty if no mode needs it."""
    fraction = np.int64((1 << 52) - 1)
    for i in range(len(values)):
        bits = values[i]
        negative = bits < 0
        field = (bits >> 52) & 0x7FF
        m = bits & fraction
        if field == 0x7FF:
            code = to.nan if m != 0 else to.inf_negative if negative else to.inf_positive
        else:
            if field != 0:
                m |= fraction + 1
            chosen = np.int64(random[i]) if to.random_bits > 0 else np.int64(0)
            code = _round_code(negative, np.uint64(m), max(field, 1) - 1075, False, to, chosen)
        codes[i] = code


@_compiled
def last_magnitude(negative: Any, infinity: Any, fraction_bits: Any, bias: Any, to: Target) -> Any:
    """Return the bits of the largest float that does not give code -1, which ``over_*`` must be."""
    low, high = np.int64(0), infinity
    while high - low > 1:
        middle = low + ((high - low) >> 1)
        field = middle >> fraction_bits
        m = middle & ((1 << fraction_bits) - 1)
        if field > 0:
            m |= 1 << fraction_bits
        exponent = max(field, 1) - bias - fraction_bits
        if _round_code(negative, np.uint64(m), exponent, False, to, 0) < 0:
            high = middle
        else:
            low = middle
    return low


@functools.cache
def float_encoder(wide: bool, stochastic: bool) -> Callable[..., None]:
    """Return the encoder of float32 or (if ``wide``) float64, given by their bits.

    All is without branches and in one integer type, so that the loop becomes vector instructions.
    What comes after numbers in the order of bits (values beyond the largest, infinities, NaN) is
    seldom, and put right afterwards.
    """
    word: Any = np.int64 if wide else np.int32
    top = 63 if wide else 31
    fraction_bits = 52 if wide else 23

    def encode(floats: Any, random: Any, codes: Any, to: FloatTarget) -> None:
        zero, one, most = word(0), word(1), word(top)
        magnitude_bits = word((1 << top) - 1)
        infinity = word((1 << top) - (1 << fraction_bits))
        hidden, to_field = word(1 << fraction_bits), word(fraction_bits)
        field, shift = word(to.field), word(to.shift)
        place, place_to_top = word(to.place), word(top - to.place)
        # Of two numbers for two signs, one and what the other is more: no selection is needed.
        add, add_more = word(to.add_positive), word(to.add_negative - to.add_positive)
        largest, largest_more = word(to.max_positive), word(to.max_negative - to.max_positive)
        last, last_more = word(to.last_positive), word(to.last_negative - to.last_positive)
        over, over_more = word(to.over_positive), word(to.over_negative - to.over_positive)
        inf, inf_more = word(to.inf_positive), word(to.inf_negative - to.inf_positive)
        add_if_odd, least, minus_zero = word(to.add_if_odd), word(to.least), word(to.minus_zero)
        flip, sign, nan = word(to.flip), word(to.sign), word(to.nan)
        regular = min(last, word(to.last_negative))
        for start in range(0, len(floats), _STRETCH):
            bits = floats[start : start + _STRETCH]
            results = codes[start : start + _STRETCH]
            chosen = random[start : start + _STRETCH]
            peak = zero
            for i in range(len(bits)):
                minus = _spread_sign(bits[i])
                magnitude = word(bits[i] & magnitude_bits)
                peak = max(peak, magnitude)
                # Take off the exponent as far as the target has it too; the rest is a shift.
                common = min(max(_shift_right(magnitude, to_field), one), field)
                x = word(word(magnitude + hidden) - _shift_left(common, to_field))
                by = min(word(field - common), most)
                code = _shift_right(x, by)
                code = word(code | word(_shift_left(code, by) != x))
                # Round: add, and cut off.
                odd = _spread_sign(_shift_left(code, place_to_top))
                code = word(code + word(add + word(minus & add_more)))
                code = word(code + word(odd & add_if_odd))
                if stochastic:
                    code = word(code + _shift_left(word(chosen[i]), place))
                code = _shift_right(code, shift)
                limit = word(largest + word(minus & largest_more))
                kept = min(code, limit)
                result = word(word(kept ^ word(minus & flip)) + word(minus & sign))
                result = word(minus & minus_zero) if kept < least else result
                if stochastic:  # what overflows is not known from the magnitude
                    beyond = code > max(limit, word(least - one))
                    result = word(over + word(minus & over_more)) if beyond else result
                results[i] = result
            if peak > regular:
                for i in range(len(bits)):
                    minus = _spread_sign(bits[i])
                    magnitude = word(bits[i] & magnitude_bits)
                    result = word(results[i])
                    beyond = magnitude > word(last + word(minus & last_more))
                    result = word(over + word(minus & over_more)) if beyond else result
                    endless = word(inf + word(minus & inf_more))
                    result = endless if magnitude == infinity else result
                    results[i] = nan if magnitude > infinity else result

    return _compiled(encode)


@_compiled
def encode_sorted(values: Any, bounds: Any, table: Any, nan: Any, codes: Any) -> None:
    """Write ``table[n]`` for each value, where n of ``bounds`` are less; and ``nan`` for NaN.

    There are ``2**k - 1`` bounds, in order. Each step of the search is made for many values.
    """
    places = np.empty(_STRETCH, np.int64)
    for start in range(0, len(values), _STRETCH):
        part = values[start : start + _STRETCH]
        results = codes[start : start + _STRETCH]
        places[:] = 0
        step = (len(bounds) + 1) >> 1
        while step > 0:
            for i in range(len(part)):
                place = places[i] + step
                places[i] = place if bounds[place - 1] < part[i] else places[i]
            step >>= 1
        for i in range(len(part)):
            results[i] = table[places[i]] if part[i] == part[i] else nan


@_compiled
def round_states(
    significands: Any,
    exponents: Any,
    each_exponent: int,
    randoms: Any,
    each: int,
    codes: Any,
    to: Target,
) -> None:
    """Round sums ``significands * 2**exponents``.

    Output i takes ``exponents[i * each_exponent]`` and ``randoms[i * each]``.
    """
    for i in range(len(codes)):
        total = np.int64(significands[i])
        # The negation wraps for the most negative number, whose bits are those of its magnitude.
        m = np.uint64(-total if total < 0 else total)
        random = np.int64(randoms[i * each])
        place = np.int64(exponents[i * each_exponent])
        codes[i] = _round_code(total < 0, m, place, False, to, random)


@_compiled
def convert_states(
    states: Any, of: Source, factors: Any, randoms: Any, each: int, codes: Any, to: Target
) -> None:
    """Round codes of the state of a chain, times two factors, to codes of another format.

    ``factors`` are two integers of at most 24 bits and the exponent of the unit of their product.
    """
    digits = np.empty(4, np.int64)
    for i in range(len(codes)):
        negative, significand, exponent, special = _take_apart(np.int64(states[i]), of)
        random = np.int64(randoms[i * each])
        if special == 1:
            codes[i] = to.inf_negative if negative else to.inf_positive
        elif special == 2:
            codes[i] = to.nan
        else:
            digits[:] = 0
            digits[0] = significand
            _scale_digits(digits, factors[0])
            _scale_digits(digits, factors[1])
            place = exponent - of.man_bits + factors[2]
            codes[i] = _round_digits(digits, negative, place, to, random)


@_compiled
def _scale_digits(digits: Any, factor: int) -> None:
    """Multiply a number in digits of 32 bits by one of at most 24 bits."""
    carry = np.int64(0)
    for d in range(len(digits)):
        carry += digits[d] * factor
        digits[d] = carry & np.int64(0xFFFFFFFF)
        carry >>= 32


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


@functools.cache
def float_kernel(lanes: bool) -> Callable[..., None]:
    """Return the product of float64 matrices that is rounded to float32 after every step.

    A step rounds the exact product and sum once, where a product has at most 24 bits: if the exact
    sum needs more than the 53 bits of float64, its parts are at least 29 binades apart, and what
    float64 rounds off is too far from any midpoint of float32 to matter. ``lanes`` is as in
    :func:`fixed_kernel`.
    """

    def chain(a: Any, b: Any, sums: Any, rows: Any, cols: Any) -> None:
        for first in range(cols[0], cols[1], TILE):
            last = min(first + TILE, cols[1])
            for i in range(rows[0], rows[1]):
                total = sums[i, first:last]
                total[:] = 0
                for k in range(b.shape[0]):
                    row = b[k, first:last]
                    if lanes:
                        a_row = a[k, first:last]
                    else:
                        x = a[i, k]
                    for j in range(len(total)):
                        product = (a_row[j] if lanes else x) * row[j]
                        total[j] = np.float32(np.float64(total[j]) + product)

    return _compiled(chain)


@_compiled
def sum_digits(
    a: Any,
    a_place: Any,
    b: Any,
    b_place: Any,
    randoms: Any,
    codes: Any,
    rows: Any,
    cols: Any,
    count: int,
    lsb_exp: int,
    factors: Any,
    to: Target,
) -> None:
    """Add products exactly in a fixed-point accumulator of any width, and round the sums.

    ``a`` (M, K) and ``b`` (N, K) are signed significands of at most 32 bits and ``*_place`` their
    weights: a product counts ``a * b * 2**(a_place + b_place)`` units of ``2**lsb_exp``. Sums are
    scaled by ``factors`` (see :func:`convert_states`); ``randoms`` is (M, N), or (1, 1) for all.

    The accumulator has ``count`` digits of 32 bits in words of 64: a digit takes up 2**30 terms
    before a carry could be lost, so carries are only propagated at the end.
    """
    digits = np.zeros(count, np.int64)
    several = randoms.shape[0] > 1 or randoms.shape[1] > 1
    for i in range(rows[0], rows[1]):
        for j in range(cols[0], cols[1]):
            digits[:] = 0
            for k in range(a.shape[1]):
                _add_product(digits, a[i, k], b[j, k], a_place[i, k] + b_place[j, k])
            negative = _propagate_carries(digits)
            if factors[0] != 1 or factors[1] != 1:
                _scale_digits(digits, factors[0])
                _scale_digits(digits, factors[1])
            random = np.int64(randoms[i, j] if several else randoms[0, 0])
            place = lsb_exp + factors[2]
            codes[i, j] = _round_digits(digits, negative, place, to, random)


@_compiled
def sum_rounded_digits(
    a: Any,
    a_place: Any,
    b: Any,
    b_place: Any,
    states: Any,
    rows: Any,
    cols: Any,
    size: int,
    count: int,
    lsb_exp: int,
    to: Target,
    of: Source,
) -> None:
    """Add exact sums of ``size`` products each to a state that is rounded after every sum.

    Operands are those of :func:`sum_digits`; ``lsb_exp`` is at most that of a state.
    """
    digits = np.zeros(count, np.int64)
    for i in range(rows[0], rows[1]):
        for j in range(cols[0], cols[1]):
            state = np.int64(0)
            for first in range(0, a.shape[1], size):
                negative, significand, exponent, special = _take_apart(state, of)
                if special != 0:
                    break
                digits[:] = 0
                place = exponent - of.man_bits - lsb_exp
                _add_product(digits, -significand if negative else significand, 1, place)
                for k in range(first, min(first + size, a.shape[1])):
                    _add_product(digits, a[i, k], b[j, k], a_place[i, k] + b_place[j, k])
                below_zero = _propagate_carries(digits)
                zero = True
                for d in range(count):
                    zero = zero and digits[d] == 0
                if zero:
                    state = np.int64(_zero_sum(negative, significand == 0, False, to))
                else:
                    state = np.int64(_round_digits(digits, below_zero, lsb_exp, to, 0))
            states[i, j] = state


@_compiled
def _zero_sum(state_negative: Any, state_zero: Any, term_negative: Any, to: Target) -> Any:
    """Return the code of an exact sum of zero, by IEEE 754: +0, and -0 when rounding down.

    The sum of two zeros of one sign has that sign.
    """
    negative = to.rounding == _DOWN
    if state_zero and state_negative == term_negative:
        negative = state_negative
    return to.sign if negative and to.negative_zero else 0


@_compiled
def _add_product(digits: Any, x: Any, y: Any, place: Any) -> None:
    """Add ``x * y * 2**place`` to a number in digits of 32 bits, without carries."""
    low = np.uint64(0xFFFFFFFF)
    negative = np.int64((x ^ y) >> 63)
    m = np.uint64(abs(x)) * np.uint64(abs(y))
    at = place >> 5
    by = np.uint64(place & 31)
    first = (m & low) << by
    second = (m >> np.uint64(32)) << by
    digits[at] += (np.int64(first & low) ^ negative) - negative
    middle = np.int64((first >> np.uint64(32)) + (second & low))
    digits[at + 1] += (middle ^ negative) - negative
    digits[at + 2] += (np.int64(second >> np.uint64(32)) ^ negative) - negative


@_compiled
def _propagate_carries(digits: Any) -> Any:
    """Turn signed digits into those of the magnitude, and return whether the number is negative."""
    low = np.int64(0xFFFFFFFF)
    carry = np.int64(0)
    for d in range(len(digits)):
        carry += digits[d]
        digits[d] = carry & low
        carry >>= 32
    negative = carry < 0
    if negative:
        carry = np.int64(1)
        for d in range(len(digits)):
            carry += digits[d] ^ low
            digits[d] = carry & low
            carry >>= 32
    return negative


@_compiled
def sum_wide(
    a: Any,
    a_place: Any,
    b: Any,
    b_place: Any,
    significands: Any,
    exponents: Any,
    rows: Any,
    cols: Any,
    count: int,
    lsb_exp: int,
) -> None:
    """Add products exactly, and keep the upper 61 bits, the last of them sticky, of each sum.

    Operands are those of :func:`sum_digits`.
    """
    digits = np.zeros(count, np.int64)
    for i in range(rows[0], rows[1]):
        for j in range(cols[0], cols[1]):
            digits[:] = 0
            for k in range(a.shape[1]):
                _add_product(digits, a[i, k], b[j, k], a_place[i, k] + b_place[j, k])
            negative = _propagate_carries(digits)
            base = _leading_one(digits)
            m, sticky = _window(digits, base)
            up = _leading_zeros(m) if m != 0 else np.uint64(0)
            m <<= up
            kept = np.int64(m >> np.uint64(3))
            kept |= np.int64(sticky or (m & np.uint64(7)) != 0)
            significands[i, j] = -kept if negative else kept
            exponents[i, j] = lsb_exp + base + 3 - np.int64(up)


@_compiled
def normalize_terms(significands: Any, exponents: Any, bit: int) -> None:
    """Shift terms left until their leading one is in place ``bit``.

    Exponents, of the lsb, become those of the leading one.
    """
    for i in range(len(significands)):
        size = abs(significands[i])
        if size == 0:
            exponents[i] = NOWHERE
        else:
            up = np.int64(_leading_zeros(size)) - (63 - bit)
            significands[i] <<= up
            exponents[i] += bit - up


@_compiled
def multiply_codes(
    a: Any,
    b: Any,
    significands: Any,
    exponents: Any,
    negative: Any,
    of: Source,
    adds: bool,
    offset: int,
    most: int,
) -> None:
    """Multiply codes of a minifloat format, pair by pair, by adding their mantissas.

    With ``adds`` codes without sign are added as integers (``lmul_add``, ``mitchell``), else
    mantissas and exponents apart (``lmul``). Exponents are ``ep - 1``; special codes count as zero.
    """
    hidden = 1 << of.man_bits
    for k in range(a.shape[0]):
        for j in range(a.shape[1]):
            x, y = np.int64(a[k, j]), np.int64(b[k, j])
            x_negative, _, x_exp, x_special = _take_apart(x, of)
            y_negative, _, y_exp, y_special = _take_apart(y, of)
            x = x - of.sign if x_negative else x
            y = y - of.sign if y_negative else y
            negative[k, j] = x_negative != y_negative
            significand: Any = np.int64(0)
            exponent: Any = np.int64(0)
            if x >= hidden and y >= hidden and x_special == 0 and y_special == 0:
                if adds:
                    code: Any = min(x + y - (of.bias << of.man_bits) + offset, most)
                    if code >= hidden:
                        significand = code & of.mantissa | hidden
                        exponent = (code >> of.man_bits) - of.bias - 1
                else:
                    significand = hidden + (x & of.mantissa) + (y & of.mantissa) + offset
                    exponent = x_exp + y_exp
            significands[k, j] = -significand if negative[k, j] else significand
            exponents[k, j] = exponent


@_compiled
def _leading_one(digits: Any) -> Any:
    """Return the lowest place of a window of 64 bits that holds the leading one, or 0."""
    top = len(digits) - 1
    while top > 0 and digits[top] == 0:
        top -= 1
    return max(32 * top - np.int64(_leading_zeros(digits[top])), 0)


@_compiled
def _window(digits: Any, base: Any) -> Any:
    """Return 64 bits of a number in digits of 32, and whether there are any below."""
    at = base >> 5
    by = np.uint64(base & 31)
    m = np.uint64(0)
    for d in range(3):
        if at + d < len(digits):
            digit = np.uint64(digits[at + d])
            if d == 0:
                m |= digit >> by
            elif d == 1:
                m |= digit << (np.uint64(32) - by)
            elif by != 0:
                m |= digit << (np.uint64(64) - by)
    below = (np.uint64(1) << by) - np.uint64(1)
    sticky = at < len(digits) and (np.uint64(digits[at]) & below) != 0
    for d in range(min(at, len(digits))):
        sticky = sticky or digits[d] != 0
    return m, sticky


@_compiled
def _round_digits(digits: Any, negative: Any, lsb_exp: int, to: Target, random: Any) -> Any:
    """Round a number in digits of 32 bits: a window of 64 bits and what is below it suffice."""
    if to.wrap:
        # The window holds all bits of a code and those below that the mode looks at, whatever is
        # above.
        base: Any = max(to.lsb_exp - lsb_exp - max(to.random_bits + 1, 31), 0)
    else:
        base = _leading_one(digits)
    m, sticky = _window(digits, base)
    return _round_code(negative, m, lsb_exp + base, sticky, to, random)


@functools.cache
def fixed_kernel(lanes: bool, wrap: bool) -> Callable[..., None]:
    """Return the accumulation of kind ``fixed``, compiled for the choices that matter.

    Parameters
    ----------
    lanes : bool
        Whether ``a`` is (K, N), an operand for each chain, and not (M, K), one for each row.
    wrap : bool
        Whether sums that are out of range wrap, and do not saturate.
    """

    def chain(
        a: Any,
        a_exp: Any,
        b: Any,
        b_exp: Any,
        sums: Any,
        rows: Any,
        cols: Any,
        frac: int,
        lsb_exp: int,
        mode: int,
        low: int,
        high: int,
    ) -> None:
        # A product is a * b * 2**(a_exp + b_exp - frac); sums are in units of 2**lsb_exp.
        zero, one, most = np.int64(0), np.int64(1), np.int64(63)
        rne, rna, odd = np.int64(mode == _RNE), np.int64(mode == _RNA), np.int64(mode == _ODD)
        up_positive, up_negative = np.int64(mode == _UP), np.int64(mode == _DOWN)
        for col in range(cols[0], cols[1], TILE):
            size_of_tile = min(TILE, cols[1] - col)
            for i in range(rows[0], rows[1]):
                total = sums[i, col : col + size_of_tile]
                total[:] = 0
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
                            product = a_row[j] * b_row[j]
                            right = lsb_exp + frac - a_exp_row[j] - b_exp_row[j]
                        else:
                            product = x * b_row[j]
                            right = lsb_exp + frac - x_exp - b_exp_row[j]
                        size = abs(product)
                        by = min(max(right, zero), most)
                        kept = size >> by
                        lost = size - (kept << by)
                        half = (lost << one) >> by
                        some = np.int64(lost != zero)
                        beyond = np.int64((lost << one) - (half << by) != zero)
                        up = half & (((beyond | kept) & rne) | rna)
                        up |= some & (up_negative if product < zero else up_positive)
                        kept = (kept + up) | (some & odd)
                        by = min(max(-right, zero), most)
                        if wrap:
                            kept = kept << by if right > -most else zero
                        else:  # what is longer than any format may be saturates all the same
                            long = np.int64(64) - _leading_zeros(kept) + by > np.int64(40)
                            kept = np.int64(1 << 40) if long and kept != zero else kept << by
                        value = -kept if product < zero else kept
                        value += total[j]
                        if wrap:
                            value = ((value - low) & (high - low)) + low
                        else:
                            value = min(max(value, low), high)
                        total[j] = value

    return _compiled(chain)


@_compiled
def _round_magnitude(size: Any, place: Any, negative: Any, to: Target) -> Any:
    """Round ``size * 2**place``, of at most 62 bits, to the code of a magnitude in a minifloat.

    As :func:`_round_code` without its overflow and sign, and without a branch: many at once.
    """
    zero, one, most = np.int64(0), np.int64(1), np.int64(63)
    length = np.int64(64) - _leading_zeros(size)
    last = max(place + length - one - to.man_bits, to.lsb_exp)
    right = min(max(last - place, zero), most)
    left = min(max(place - last, zero), most)
    kept = size >> right
    lost = size - (kept << right)
    half = (lost << one) >> right
    some = np.int64(lost != zero)
    beyond = np.int64((lost << one) - (half << right) != zero)
    code = (kept << left) + (last - to.lsb_exp) * to.binade
    rne, rna = np.int64(to.rounding == _RNE), np.int64(to.rounding == _RNA)
    away = _DOWN if negative else _UP
    up = half & (((beyond | code) & rne) | rna)
    up |= some & np.int64(to.rounding == away)
    code = (code + up) | (some & np.int64(to.rounding == _ODD))
    return code if size != zero and code >= to.least else zero


@_compiled
def _overflow(magnitude: Any, negative: Any, to: Target) -> Any:
    """Return the code of a rounded value: its magnitude's, with the sign, or that of overflow."""
    if negative:
        zero = 0 if to.negative_zero else -to.sign
        signed = to.sign + magnitude + (zero if magnitude == 0 else 0)
        return to.over_negative if magnitude > to.max_negative else signed
    return to.over_positive if magnitude > to.max_positive else magnitude


@functools.cache
def rounded_kernel(lanes: bool) -> Callable[..., None]:
    """Return the accumulation of kind ``rounded``; ``lanes`` as in :func:`fixed_kernel`.

    Numbers have their leading one in bit 61. The lower one of two is shifted out, with a sticky
    bit at the end: if it loses any bit, the sum keeps its leading one within a place.
    """

    def chain(
        a: Any,
        a_exp: Any,
        a_negative: Any,
        b: Any,
        b_exp: Any,
        b_negative: Any,
        states: Any,
        rows: Any,
        cols: Any,
        frac: int,
        to: Target,
        of: Source,
    ) -> None:
        zero, most, top = np.int64(0), np.int64(63), np.int64(61)
        down = np.int64(to.rounding == _DOWN)
        largest = min(to.max_positive, to.max_negative)
        sizes = np.empty(TILE, np.int64)  # of the states, their exponents and signs
        exps = np.empty(TILE, np.int64)
        signs = np.empty(TILE, np.int64)
        magnitudes = np.empty(TILE, np.int64)
        for col in range(cols[0], cols[1], TILE):
            width = min(TILE, cols[1] - col)
            for i in range(rows[0], rows[1]):
                codes = states[i, col : col + width]
                codes[:] = 0
                sizes[:] = zero
                exps[:] = NOWHERE
                signs[:] = zero
                overflowed = False
                for k in range(b.shape[0]):
                    peak = zero
                    for j in range(width):
                        at = col + j
                        x, y = (k, at) if lanes else (i, k)
                        product = a[x, y] * b[k, at]
                        minus = np.int64(a_negative[x, y] != b_negative[k, at])
                        size = abs(product)
                        up = np.int64(_leading_zeros(size)) - 2
                        size <<= min(up, top)
                        place = a_exp[x, y] + b_exp[k, at] - frac - up
                        ahead = place - exps[j]
                        high = size if ahead > zero else sizes[j]
                        low = sizes[j] if ahead > zero else size
                        high_minus = minus if ahead > zero else signs[j]
                        place = max(place, exps[j])
                        by = min(abs(ahead), most)
                        moved = low >> by
                        moved |= np.int64((moved << by) != low)
                        unlike = minus ^ signs[j]
                        total = high + (-moved if unlike != zero else moved)
                        # The sign of a sum of zero, and of zeros (IEEE 754-2019, 6.3).
                        none = high == zero
                        of_zero = minus if none and unlike == zero else down
                        negative = high_minus ^ np.int64(total < zero)
                        negative = of_zero if total == zero else negative
                        code = _round_magnitude(abs(total), place, negative != zero, to)
                        peak = max(peak, code)
                        magnitudes[j] = code
                        signs[j] = negative
                        field = code >> of.man_bits
                        size = (code & of.mantissa) | (np.int64(field > zero) << of.man_bits)
                        up = np.int64(_leading_zeros(size)) - 2
                        sizes[j] = size << min(up, top)
                        place = max(field, np.int64(1)) - of.bias - of.man_bits - up
                        exps[j] = np.int64(NOWHERE) if size == zero else place
                    if peak > largest or overflowed:
                        for j in range(width):
                            code = np.int64(codes[j])
                            if code == 0:
                                code = np.int64(_overflow(magnitudes[j], signs[j] != 0, to))
                            negative_code, size, place, special = _take_apart(code, of)
                            if special != 0:  # here it stays
                                codes[j] = code
                                sizes[j], exps[j] = zero, np.int64(NOWHERE)
                                overflowed = True
                            elif magnitudes[j] > largest:
                                up = np.int64(_leading_zeros(size)) - 2
                                magnitudes[j] = code & ~to.sign if negative_code else code
                                sizes[j] = size << min(up, top)
                                exps[j] = place - of.man_bits - up
                for j in range(width):
                    if codes[j] == 0:
                        codes[j] = _overflow(magnitudes[j], signs[j] != 0, to)

    return _compiled(chain)


@functools.cache
def fused_kernel(wide: bool, lanes: bool, sticky: bool) -> Callable[..., None]:
    """Return the accumulation of kind ``fused``, compiled for the choices that matter.

    Parameters
    ----------
    wide : bool
        Whether a term takes more than 30 bits, and so lanes of 64.
    lanes : bool
        As in :func:`fixed_kernel`.
    sticky : bool
        Whether the lowest bit of a term is sticky.
    """
    word: Any = np.int64 if wide else np.int32
    bits = 64 if wide else 32

    def chain(
        a: Any,
        a_exp: Any,
        b: Any,
        b_exp: Any,
        states: Any,
        rows: Any,
        cols: Any,
        group: int,
        batch: int,
        frac: int,
        down: int,
        to: Target,
        of: Source,
    ) -> None:
        _prefer_wide_vectors()
        # A sum is in units of 2**(largest exponent - frac); a product of that exponent is to be
        # shifted right by ``down``, and a state by ``state_down``, to be in these units. As many as
        # ``batch`` terms fit a word; their sums are added up in 64 bits.
        zero = word(0)
        none = np.int64(0)
        most = word(bits - 1)
        nowhere = word(NOWHERE)
        product_down = word(down)
        state_up = np.int64(max(frac - of.man_bits, 0))
        state_down = word(max(of.man_bits - frac, 0))
        largest = min(to.max_positive, to.max_negative)
        tops = np.empty(TILE, word)
        partials = np.empty(TILE, word)
        totals = np.empty(TILE, np.int64)
        sizes = np.empty(TILE, word)  # of the states, signed, with their exponents
        exps = np.empty(TILE, word)
        magnitudes = np.empty(TILE, np.int64)
        depth = b.shape[0]
        for col in range(cols[0], cols[1], TILE):
            width = min(TILE, cols[1] - col)
            for i in range(rows[0], rows[1]):
                codes = states[i, col : col + width]
                codes[:] = 0
                sizes[:] = zero
                exps[:] = nowhere
                overflowed = False
                for first in range(0, depth, group):
                    last = min(first + group, depth)
                    for j in range(width):
                        tops[j] = exps[j]
                    for k in range(first, last):
                        b_exp_row = b_exp[k, col : col + width]
                        if lanes:
                            a_exp_row = a_exp[k, col : col + width]
                        else:
                            x_exp = a_exp[i, k]
                        for j in range(width):
                            if lanes:
                                product_exp = word(a_exp_row[j] + b_exp_row[j])
                            else:
                                product_exp = word(x_exp + b_exp_row[j])
                            tops[j] = max(tops[j], product_exp)
                    for j in range(width):
                        by = min(word(word(tops[j] - exps[j]) + state_down), most)
                        size = word(abs(sizes[j]))
                        moved = _shift_right(size, by)
                        if sticky:
                            moved = word(moved | word(_shift_left(moved, by) != size))
                        totals[j] = np.int64(word(-moved) if sizes[j] < zero else moved)
                    for start in range(first, last, batch):
                        partials[:] = zero
                        for k in range(start, min(start + batch, last)):
                            b_row = b[k, col : col + width]
                            b_exp_row = b_exp[k, col : col + width]
                            if lanes:
                                a_row = a[k, col : col + width]
                                a_exp_row = a_exp[k, col : col + width]
                            else:
                                x = a[i, k]
                                x_exp = a_exp[i, k]
                            for j in range(width):
                                if lanes:
                                    product = word(a_row[j] * b_row[j])
                                    product_exp = word(a_exp_row[j] + b_exp_row[j])
                                else:
                                    product = word(x * b_row[j])
                                    product_exp = word(x_exp + b_exp_row[j])
                                by = word(word(tops[j] - product_exp) + product_down)
                                by = min(by, most)
                                size = word(abs(product))
                                moved = _shift_right(size, by)
                                if sticky:
                                    moved = word(moved | word(_shift_left(moved, by) != size))
                                term = word(-moved) if product < zero else moved
                                partials[j] = word(partials[j] + term)
                        for j in range(width):
                            totals[j] += np.int64(partials[j])
                    peak = none
                    for j in range(width):
                        total = totals[j]
                        place = np.int64(tops[j]) - frac
                        code = _round_magnitude(abs(total), place, total < none, to)
                        peak = max(peak, code)
                        magnitudes[j] = code
                        field = code >> of.man_bits
                        m = (code & of.mantissa) | (np.int64(field > none) << of.man_bits)
                        up = np.int64(_leading_zeros(m)) - (63 - of.man_bits)
                        up = none if m == none else up
                        place = max(field, np.int64(1)) - of.bias - up
                        m <<= up + state_up
                        sizes[j] = word(-m) if total < none else word(m)
                        exps[j] = nowhere if m == none else word(place)
                    if peak > largest or overflowed:
                        for j in range(width):
                            code = np.int64(codes[j])
                            if code == 0:
                                code = np.int64(_overflow(magnitudes[j], totals[j] < 0, to))
                            negative, m, place, special = _take_apart(code, of)
                            if special != 0:  # here it stays
                                codes[j] = code
                                sizes[j], exps[j] = zero, nowhere
                                overflowed = True
                            elif magnitudes[j] > largest:
                                magnitudes[j] = code & ~to.sign if negative else code
                                up = np.int64(_leading_zeros(m)) - (63 - of.man_bits)
                                m <<= up + state_up
                                sizes[j] = word(-m) if negative else word(m)
                                exps[j] = word(place - up)
                for j in range(width):
                    if codes[j] == 0:
                        codes[j] = _overflow(magnitudes[j], totals[j] < 0, to)

    return _compiled(chain)


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
        significands: Any,
        exponents: Any,
        rows: Any,
        cols: Any,
        window: int,
        below: int,
        coarse: Any,
        mode: int,
    ) -> None:
        _prefer_wide_vectors()
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
                    significands[i, col + j] = np.int64(states[j])
                    # The exponent of a product is one more than the sum that it has here.
                    exponents[i, col + j] = np.int64(exps[j]) + 1 - (window - 1)

    return _compiled(chain)
