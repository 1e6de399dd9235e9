/* --- Accumulation of kind float: the normalisation a parameter -------------------------------- */

/* (-1)**negative * magnitude * 2**(exponent - (ACC_WIDTH - 1)); zero has no exponent. */
typedef struct {
    NAME_number special; /* if a term was */
    bool negative;
    int exponent;
    uint64_t magnitude;
} ACC_state;

static inline void ACC_clear(ACC_state *state)
{
    state->negative = false;
    state->exponent = 0;
    state->magnitude = 0;
}

static inline void ACC_init(ACC_state *state)
{
    state->special = NAME_make(NAME_FINITE, false, 0, 0);
    ACC_clear(state);
}

/* Shift right; what is lost is dropped, or ORed into the lowest bit. */
static inline uint64_t ACC_align(uint64_t window, int distance)
{
    const uint64_t kept = distance < 64 ? window >> distance : 0;
    const bool lost = distance < 64 ? kept << distance != window : window != 0;

    return kept | (ACC_STICKY && lost);
}

static inline void ACC_add(ACC_state *state, NAME_number term)
{
    if (NAME_note(&state->special, term)) {
        return;
    }

    /* The term enters at the top of the window. */
    uint64_t x = state->magnitude << ACC_BELOW;
    uint64_t y = term.significand << (ACC_WINDOW - ACC_TERM_BITS);
    const int entering = term.exponent + ACC_TERM_BITS - 1;
    int exponent = state->exponent;

    /* 1. Align: the larger exponent stays; a zero takes no part. */
    if (x == 0) {
        exponent = entering;
    } else if (y != 0 && entering > exponent) {
        x = ACC_align(x, entering - exponent);
        exponent = entering;
    } else if (y != 0) {
        y = ACC_align(y, exponent - entering);
    }

    /* 2. Add signed magnitudes. */
    const bool same = state->negative == term.negative;
    const bool negative = same || x >= y ? state->negative : term.negative;
    uint64_t total = same ? x + y : x >= y ? x - y : y - x;

    /* 3. Carry. */
    if (total >> ACC_WINDOW != 0) {
        total = total >> 1 | (ACC_STICKY & total);
        exponent++;
    }
    if (total == 0) {
        ACC_clear(state);
        return;
    }
NORMALIZE_STEP
ROUND_STEP
    if (total == 0) {
        ACC_clear(state);
        return;
    }
    state->negative = negative;
    state->exponent = exponent;
    state->magnitude = total;
}

/* Return the sum, and set its magnitude. */
static inline NAME_number ACC_total(const ACC_state *state, NAME_magnitude *magnitude)
{
    NAME_hold(magnitude, state->magnitude, state->exponent - (ACC_WIDTH - 1));
    return NAME_join(state->special, NAME_make(NAME_FINITE, state->negative, state->magnitude,
                                               state->exponent - (ACC_WIDTH - 1)));
}
