/* --- Dot products ----------------------------------------------------------------------------- */

typedef struct {
    NAME_sum_state sum;
} NAME_state;

/* Begin a dot product. */
static inline void NAME_init(NAME_state *state)
{
    NAME_sum_init(&state->sum);
}

/* Add the product of two codes. What is no code of its format means nothing, and does no harm. */
static inline void NAME_step(NAME_state *state, uint32_t a, uint32_t b)
{
    NAME_sum_add(&state->sum, NAME_multiply(a, b));
}

/* Return the code of the dot product so far. */
static inline uint32_t NAME_result(const NAME_state *state RANDOM_PARAMETERS)
{
    NAME_magnitude magnitude;
    const NAME_number total = NAME_sum_total(&state->sum, &magnitude);

    if (total.kind != NAME_FINITE) {
        return END_OF_OUT;
    }
    return ENCODE_OUT;
}

/* Return the code of a[0] * b[0] + ... + a[k - 1] * b[k - 1], of at most MAX_TERMS terms. */
static inline uint32_t NAME_dot(const uint32_t *a, const uint32_t *b, size_t k RANDOM_PARAMETERS)
{
    NAME_state state;

    NAME_init(&state);
    for (size_t i = 0; i < k; i++) {
        NAME_step(&state, a[i], b[i]);
    }
    return NAME_result(&state RANDOM);
}
