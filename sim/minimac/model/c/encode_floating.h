/* The code of a special number, and of what is too large. */
static inline uint32_t NAME_end_of_floating(const NAME_floating *format, NAME_rounding rounding,
                                            NAME_overflow overflow, NAME_number number)
{
    const uint32_t sign =
        (uint32_t)(number.negative && format->is_signed) << (format->exp_bits + format->man_bits);
    const bool has_sign = format->is_signed || !number.negative;
    const uint32_t largest = has_sign ? format->largest | sign : 0;
    const uint32_t infinity =
        format->has_infinity && has_sign ? (format->largest + 1) | sign : format->nan;
    const bool stays = rounding == NAME_TRUNCATE || rounding == NAME_ODD
                       || rounding == (number.negative ? NAME_UP : NAME_DOWN);

    if (number.kind == NAME_NAN) {
        return format->has_nan ? format->nan : 0;
    }
    if (number.kind == NAME_INFINITE && format->has_infinity && has_sign) {
        return infinity;
    }
    if (overflow == NAME_SATURATE) {
        return largest;
    }
    if (overflow == NAME_TO_INFINITY && number.kind == NAME_FINITE) {
        return stays ? largest : infinity;
    }
    if (overflow == NAME_ALL_TO_INFINITY) {
        return infinity;
    }
    return format->nan;
}

/* The code of a finite number: rounded once, its exponent without bound, then overflow is judged. */
static inline uint32_t NAME_encode_floating(const NAME_floating *format, NAME_rounding rounding,
                                            NAME_overflow overflow, bool negative,
                                            const NAME_magnitude *magnitude RANDOM_PARAMETERS)
{
    const int bits = format->exp_bits + format->man_bits;
    const int least = 1 - format->bias - format->man_bits; /* place of the subnormals */
    const int own = NAME_leading_one(magnitude) - format->man_bits;
    const int place = format->exp_bits > 0 && own > least ? own : least;
    const NAME_parts parts = NAME_cut(magnitude, place);
    uint64_t code = UINT64_MAX / 2; /* further than any format reaches */

    if (!parts.beyond) {
        code = ((uint64_t)(place - least) << format->man_bits) + parts.whole;
        code += NAME_goes_up(rounding, negative, (code & 1) != 0, parts.rest RANDOM);
    }
    if (format->flushes && code >> format->man_bits == 0) {
        code = 0;
    }
    if (code == 0) {
        return (uint32_t)(negative && format->has_negative_zero) << bits;
    }
    if (code > format->largest || (negative && !format->is_signed)) {
        return NAME_end_of_floating(format, rounding, overflow,
                                    NAME_make(NAME_FINITE, negative, 0, 0));
    }
    return (uint32_t)code | (uint32_t)negative << bits;
}
