/* --- Accumulation of kind fused: a group and the accumulator at once -------------------------- */

typedef struct {
    NAME_number sum; /* of the accumulator's format, infinite or NaN */
    int count;
    NAME_number term[ACC_GROUP];
} ACC_state;

static inline void ACC_init(ACC_state *state)
{
    state->sum = NAME_make(NAME_FINITE, false, 0, 0);
    state->count = 0;
}

static inline int ACC_leading_one(NAME_number number)
{
    NAME_magnitude magnitude;

    NAME_hold(&magnitude, number.significand, number.exponent);
    return NAME_leading_one(&magnitude);
}

/* In units of 2**(largest - ACC_FRAC_BITS - ACC_STICKY), truncated toward zero. */
static inline int64_t ACC_truncate(NAME_number number, int largest)
{
    NAME_magnitude magnitude;

    NAME_hold(&magnitude, number.significand, number.exponent);
    const NAME_parts parts = NAME_cut(&magnitude, largest - ACC_FRAC_BITS);
    const int64_t kept = (int64_t)(parts.whole << ACC_STICKY) | (ACC_STICKY && parts.rest != 0);
    return number.negative ? -kept : kept;
}

/* Add the group to the sum. */
static inline void ACC_close(ACC_state *state)
{
    const int count = state->count;
    int largest = NAME_NOWHERE;
    int64_t total;
    NAME_number special = state->sum;
    NAME_magnitude magnitude;

    state->count = 0;
    for (int i = 0; i < count; i++) {
        special = NAME_join(special, state->term[i]);
    }
    if (special.kind != NAME_FINITE) {
        state->sum = special;
        return;
    }
    for (int i = 0; i < count; i++) {
        const NAME_number term = state->term[i];
        const int exponent = TERM_EXPONENT;
        if (term.significand != 0 && exponent > largest) {
            largest = exponent;
        }
    }
    if (state->sum.significand != 0 && ACC_leading_one(state->sum) > largest) {
        largest = ACC_leading_one(state->sum);
    }
    total = ACC_truncate(state->sum, largest);
    for (int i = 0; i < count; i++) {
        total += ACC_truncate(state->term[i], largest);
    }
    NAME_hold(&magnitude, (uint64_t)(total < 0 ? -total : total),
              largest - ACC_FRAC_BITS - ACC_STICKY);
    state->sum = NAME_decode_floating(
        &ACC_format,
        NAME_encode_floating(&ACC_format, ACC_ROUND, ACC_OVERFLOW, total < 0, &magnitude NO_RANDOM));
}

static inline void ACC_add(ACC_state *state, NAME_number term)
{
    state->term[state->count++] = term;
    if (state->count == ACC_GROUP) {
        ACC_close(state);
    }
}

/* Return the sum, and set its magnitude. */
static inline NAME_number ACC_total(const ACC_state *state, NAME_magnitude *magnitude)
{
    ACC_state last = *state;

    if (last.count > 0) {
        ACC_close(&last);
    }
    NAME_hold(magnitude, last.sum.significand, last.sum.exponent);
    return last.sum;
}
