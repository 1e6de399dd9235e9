/* --- Rounding --------------------------------------------------------------------------------- */

typedef enum {
    NAME_RNE,
    NAME_RNA,
    NAME_TRUNCATE,
    NAME_UP,
    NAME_DOWN,
    NAME_ODD,
    NAME_SR_A,
    NAME_SR_B,
    NAME_SR_C
} NAME_rounding;

typedef enum {
    NAME_SATURATE,
    NAME_TO_INFINITY,     /* where the mode rounds away from zero */
    NAME_ALL_TO_INFINITY, /* in every mode */
    NAME_TO_NAN,
    NAME_WRAP
} NAME_overflow;

/* A magnitude in units of some place. */
typedef struct {
    uint64_t whole; /* modulo 2**64 */
    bool beyond;    /* whether that has more than 63 bits */
    uint64_t rest;  /* below the unit, times 2**64; the lowest bit is set for all that is below it */
} NAME_parts;

STOCHASTIC
/* Whether a magnitude goes to its upper neighbour; `odd` says which code the lower one has. */
static inline bool NAME_goes_up(NAME_rounding rounding, bool negative, bool odd,
                                uint64_t rest RANDOM_PARAMETERS)
{
    const uint64_t half = UINT64_C(1) << 63;

    if (rest == 0) {
        return false;
    }
    switch (rounding) {
    case NAME_RNE:
        return rest > half || (rest == half && odd);
    case NAME_RNA:
        return rest >= half;
    case NAME_TRUNCATE:
        return false;
    case NAME_UP:
        return !negative;
    case NAME_DOWN:
        return negative;
    case NAME_ODD:
        return !odd;
    default:
        return BY_CHANCE;
    }
}
