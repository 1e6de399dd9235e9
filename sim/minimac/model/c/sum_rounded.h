/* --- Accumulation of kind rounded: fused multiply-adds as in IEEE 754 ------------------------- */

typedef struct {
    NAME_number sum; /* of the accumulator's format, infinite or NaN */
} ACC_state;

static inline void ACC_init(ACC_state *state)
{
    state->sum = NAME_make(NAME_FINITE, false, 0, 0);
}

/* Add a term of which `wide` has the value, which is lost, and round. */
static inline void ACC_add_wide(ACC_state *state, NAME_number term, NAME_magnitude *wide)
{
    const NAME_number sum = state->sum;

    if (sum.kind != NAME_FINITE || term.kind != NAME_FINITE) {
        state->sum = NAME_join(sum, term);
        return;
    }
    NAME_accumulate(wide, sum.negative, sum.significand, sum.exponent);
    bool negative = NAME_take_sign(wide);
    if (NAME_leading_one(wide) == NAME_NOWHERE) {
        negative = sum.negative == term.negative ? sum.negative : ACC_ROUND == NAME_DOWN;
    }
    state->sum = NAME_decode_floating(
        &ACC_format,
        NAME_encode_floating(&ACC_format, ACC_ROUND, ACC_OVERFLOW, negative, wide NO_RANDOM));
}

static inline void ACC_add(ACC_state *state, NAME_number term)
{
    NAME_magnitude wide;

    NAME_hold(&wide, 0, 0);
    NAME_accumulate(&wide, term.negative, term.significand, term.exponent);
    ACC_add_wide(state, term, &wide);
}

/* Return the sum, and set its magnitude. */
static inline NAME_number ACC_total(const ACC_state *state, NAME_magnitude *magnitude)
{
    NAME_hold(magnitude, state->sum.significand, state->sum.exponent);
    return state->sum;
}
