/* --- Magnitudes: significand * 2**exponent ---------------------------------------------------- */

typedef struct {
    uint64_t significand;
    int exponent;
} NAME_magnitude;

static inline void NAME_hold(NAME_magnitude *magnitude, uint64_t significand, int exponent)
{
    magnitude->significand = significand;
    magnitude->exponent = exponent;
}

/* Exponent of the leading one; of zero, one below all others. */
static inline int NAME_leading_one(const NAME_magnitude *magnitude)
{
    int bits = 0;

    while (bits < 64 && magnitude->significand >> bits != 0) {
        bits++;
    }
    return bits == 0 ? NAME_NOWHERE : magnitude->exponent + bits - 1;
}

/* A magnitude in units of 2**place. */
static inline NAME_parts NAME_cut(const NAME_magnitude *magnitude, int place)
{
    const uint64_t significand = magnitude->significand;
    const int left = magnitude->exponent - place, right = -left;
    NAME_parts parts;

    parts.whole = 0;
    parts.beyond = false;
    parts.rest = 0;
    if (significand == 0) {
        return parts;
    }
    if (left >= 0) {
        parts.whole = left < 64 ? significand << left : 0;
        parts.beyond = NAME_leading_one(magnitude) >= place + 63;
    } else if (right < 64) {
        parts.whole = significand >> right;
        parts.rest = significand << (64 - right);
    } else {
        parts.rest = right < 128 ? significand >> (right - 64) : 0;
        parts.rest |= right >= 128 || parts.rest << (right - 64) != significand;
    }
    return parts;
}
