/* --- Accumulation of kind fixed: every term is rounded to its last place ---------------------- */

typedef struct {
    NAME_number special; /* if a term was */
    int64_t sum; /* in units of the last place */
} ACC_state;

static inline void ACC_init(ACC_state *state)
{
    state->special = NAME_make(NAME_FINITE, false, 0, 0);
    state->sum = 0;
}

static inline void ACC_add(ACC_state *state, NAME_number term)
{
    const NAME_fixed *const format = &ACC_format;
    const uint64_t codes = UINT64_C(1) << format->width;
    NAME_magnitude magnitude;

    if (NAME_note(&state->special, term)) {
        return;
    }
    NAME_hold(&magnitude, term.significand, term.exponent);
    const NAME_parts parts = NAME_cut(&magnitude, -format->frac_bits);
    const uint64_t rounded =
        parts.whole
        + NAME_goes_up(ACC_ROUND, term.negative, (parts.whole & 1) != 0, parts.rest NO_RANDOM);
    if (ACC_WRAPS) {
        const uint64_t sum =
            ((uint64_t)state->sum + (term.negative ? 0 - rounded : rounded)) & (codes - 1);
        const bool negative = format->is_signed && sum >= codes / 2;
        state->sum = (int64_t)sum - (negative ? (int64_t)codes : 0);
    } else {
        const bool far = parts.beyond || rounded > 2 * codes; /* beyond any sum's reach */
        const int64_t step = (int64_t)(far ? 2 * codes : rounded);
        const int64_t sum = state->sum + (term.negative ? -step : step);
        state->sum = sum < format->least ? format->least : sum > format->most ? format->most : sum;
    }
}

/* Return the sum, and set its magnitude. */
static inline NAME_number ACC_total(const ACC_state *state, NAME_magnitude *magnitude)
{
    const bool negative = state->sum < 0;
    const NAME_number total = NAME_make(
        NAME_FINITE, negative, (uint64_t)(negative ? -state->sum : state->sum),
        -ACC_format.frac_bits);

    NAME_hold(magnitude, total.significand, total.exponent);
    return NAME_join(state->special, total);
}
