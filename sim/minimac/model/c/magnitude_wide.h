/* --- Magnitudes and sums: fixed point, wide enough for all of them ---------------------------- */

/* Multiples of 2**NAME_LSB, the lowest limb first; a sum is in two's complement. */
typedef struct {
    uint32_t limb[NAME_LIMBS];
} NAME_magnitude;

/* Add significand * 2**exponent to a sum, or subtract it. */
static inline void NAME_accumulate(NAME_magnitude *sum, bool negative, uint64_t significand,
                                   int exponent)
{
    if (significand == 0) {
        return;
    }
    const int first = (exponent - NAME_LSB) / 32, shift = (exponent - NAME_LSB) % 32;
    const uint64_t low = significand << shift;
    const uint64_t high = shift == 0 ? 0 : significand >> (64 - shift);
    const uint32_t part[3] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high};
    uint64_t carry = negative; /* x - y is x + ~y + 1 */

    for (int i = first; i < NAME_LIMBS; i++) {
        const uint32_t bits = i - first < 3 ? part[i - first] : 0;
        carry += (uint64_t)sum->limb[i] + (negative ? ~bits : bits);
        sum->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static inline void NAME_hold(NAME_magnitude *magnitude, uint64_t significand, int exponent)
{
    for (int i = 0; i < NAME_LIMBS; i++) {
        magnitude->limb[i] = 0;
    }
    NAME_accumulate(magnitude, false, significand, exponent);
}

/* Turn a sum into its magnitude, and say whether it was negative. */
static inline bool NAME_take_sign(NAME_magnitude *sum)
{
    const bool negative = sum->limb[NAME_LIMBS - 1] >> 31 != 0;
    uint64_t carry = 1;
    for (int i = 0; negative && i < NAME_LIMBS; i++) {
        carry += (uint32_t)~sum->limb[i];
        sum->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return negative;
}

/* Exponent of the leading one; of zero, one below all others. */
static inline int NAME_leading_one(const NAME_magnitude *magnitude)
{
    for (int i = NAME_LIMBS - 1; i >= 0; i--) {
        for (int bit = 31; bit >= 0; bit--) {
            if ((magnitude->limb[i] >> bit & 1) != 0) {
                return NAME_LSB + 32 * i + bit;
            }
        }
    }
    return NAME_NOWHERE;
}

/* The 64 bits from 2**place on. */
static inline uint64_t NAME_bits_from(const NAME_magnitude *magnitude, int place)
{
    uint64_t bits = 0;
    for (int i = 0; i < NAME_LIMBS; i++) {
        const int left = NAME_LSB + 32 * i - place;
        if (left >= 0 && left < 64) {
            bits |= (uint64_t)magnitude->limb[i] << left;
        } else if (left < 0 && left > -32) {
            bits |= magnitude->limb[i] >> -left;
        }
    }
    return bits;
}

/* Whether any bit is set below 2**place. */
static inline bool NAME_any_below(const NAME_magnitude *magnitude, int place)
{
    for (int i = 0; i < NAME_LIMBS; i++) {
        const int bits = place - (NAME_LSB + 32 * i);
        const uint32_t mask = bits >= 32 ? UINT32_MAX : (UINT32_C(1) << (bits > 0 ? bits : 0)) - 1;
        if ((magnitude->limb[i] & mask) != 0) {
            return true;
        }
    }
    return false;
}

/* A magnitude in units of 2**place. */
static inline NAME_parts NAME_cut(const NAME_magnitude *magnitude, int place)
{
    NAME_parts parts;

    parts.whole = NAME_bits_from(magnitude, place);
    parts.beyond = NAME_leading_one(magnitude) >= place + 63;
    parts.rest = NAME_bits_from(magnitude, place - 64) | NAME_any_below(magnitude, place - 64);
    return parts;
}
