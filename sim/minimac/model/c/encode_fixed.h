/* The code of a special number: NaN is 0, and an infinity the value next to it. */
static inline uint32_t NAME_end_of_fixed(const NAME_fixed *format, NAME_number number)
{
    if (number.kind == NAME_NAN) {
        return 0;
    }
    return (uint32_t)((uint64_t)(number.negative ? format->least : format->most)
                      & ((UINT64_C(1) << format->width) - 1));
}

/* The code of a finite number: rounded once, then overflow is judged. */
static inline uint32_t NAME_encode_fixed(const NAME_fixed *format, NAME_rounding rounding,
                                         NAME_overflow overflow, bool negative,
                                         const NAME_magnitude *magnitude RANDOM_PARAMETERS)
{
    const NAME_parts parts = NAME_cut(magnitude, -format->frac_bits);
    const uint64_t rounded =
        parts.whole
        + NAME_goes_up(rounding, negative, (parts.whole & 1) != 0, parts.rest RANDOM);
    const uint64_t limit = (uint64_t)(negative ? -format->least : format->most);

    if (overflow == NAME_SATURATE && (parts.beyond || rounded > limit)) {
        return NAME_end_of_fixed(format, NAME_make(NAME_FINITE, negative, 0, 0));
    }
    return (uint32_t)((negative ? 0 - rounded : rounded) & ((UINT64_C(1) << format->width) - 1));
}
