/* --- Floating-point formats ------------------------------------------------------------------- */

/* The codes of magnitudes, without sign, follow each other in the order of their values. */
typedef struct {
    int exp_bits;
    int man_bits;
    int bias;
    bool is_signed;
    bool flushes;           /* subnormals count as zero */
    bool has_negative_zero;
    bool has_infinity;      /* of the code above `largest` */
    bool has_nan;
    uint32_t largest;       /* code of the largest finite value */
    uint32_t nan;           /* canonical code */
} NAME_floating;

static inline NAME_number NAME_decode_floating(const NAME_floating *format, uint32_t code)
{
    const int bits = format->exp_bits + format->man_bits;
    const uint32_t hidden = UINT32_C(1) << format->man_bits;
    const uint32_t magnitude = code & ((UINT32_C(1) << bits) - 1);
    const bool negative = format->is_signed && (code >> bits & 1) != 0;
    const int field = (int)(magnitude >> format->man_bits);
    const uint32_t mantissa = magnitude & (hidden - 1);

    if ((format->has_nan && code == format->nan)
        || magnitude > format->largest + format->has_infinity) {
        return NAME_make(NAME_NAN, false, 0, 0);
    }
    if (magnitude > format->largest) {
        return NAME_make(NAME_INFINITE, negative, 0, 0);
    }
    if (field > 0) {
        return NAME_make(NAME_FINITE, negative, hidden | mantissa,
                         field - format->bias - format->man_bits);
    }
    return NAME_make(NAME_FINITE, negative, format->flushes ? 0 : mantissa,
                     1 - format->bias - format->man_bits);
}
