/* --- Fixed-point formats ---------------------------------------------------------------------- */

typedef struct {
    int width;
    int frac_bits;
    bool is_signed;
    int64_t least, most; /* in units of the last place */
} NAME_fixed;

static inline NAME_number NAME_decode_fixed(const NAME_fixed *format, uint32_t code)
{
    const uint64_t codes = UINT64_C(1) << format->width;
    const uint64_t magnitude = code & (codes - 1);
    const bool negative = format->is_signed && magnitude >= codes / 2;

    return NAME_make(NAME_FINITE, negative, negative ? codes - magnitude : magnitude,
                     -format->frac_bits);
}
