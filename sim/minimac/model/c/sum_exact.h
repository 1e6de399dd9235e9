/* --- Accumulation of kind exact: nothing is rounded ------------------------------------------- */

typedef struct {
    NAME_number special; /* if a term was */
    NAME_magnitude sum;
} ACC_state;

static inline void ACC_init(ACC_state *state)
{
    state->special = NAME_make(NAME_FINITE, false, 0, 0);
    NAME_hold(&state->sum, 0, 0);
}

static inline void ACC_add(ACC_state *state, NAME_number term)
{
    if (!NAME_note(&state->special, term)) {
        NAME_accumulate(&state->sum, term.negative, term.significand, term.exponent);
    }
}

/* Return kind and sign of the sum, and set its magnitude. */
static inline NAME_number ACC_total(const ACC_state *state, NAME_magnitude *magnitude)
{
    *magnitude = state->sum;
    return NAME_join(state->special, NAME_make(NAME_FINITE, NAME_take_sign(magnitude), 0, 0));
}
