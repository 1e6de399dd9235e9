/* --- Dot products of blocks ------------------------------------------------------------------- */

typedef struct {
    NAME_sum_state sum;
    NAME_pair_state pair; /* the sum within a pair of blocks */
} NAME_state;

/* Begin a dot product. */
static inline void NAME_init(NAME_state *state)
{
    NAME_sum_init(&state->sum);
    NAME_pair_init(&state->pair);
}

/* Add the product of two elements. What is no code of its format means nothing, and does no harm. */
static inline void NAME_step(NAME_state *state, uint32_t a, uint32_t b)
{
    NAME_pair_add(&state->pair, NAME_multiply(a, b));
}

/* End a pair of blocks: its sum times both scales is one term; a zero is +0. */
static inline void NAME_close(NAME_state *state SCALE_PARAMETERS)
{
    NAME_magnitude wide;
    NAME_number term = NAME_pair_total(&state->pair, &wide);

    term = NAME_multiply_by(term, &wide, NAME_scale(A_SCALE, B_SCALE));
    if (term.kind == NAME_FINITE && NAME_leading_one(&wide) == NAME_NOWHERE) {
        term.negative = false;
    }
    NAME_sum_add_wide(&state->sum, term, &wide);
    NAME_pair_init(&state->pair);
}

/* Return the code of the dot product so far. */
static inline uint32_t NAME_result(const NAME_state *state TENSOR_PARAMETERS RANDOM_PARAMETERS)
{
    NAME_magnitude magnitude;
    NAME_number total = NAME_sum_total(&state->sum, &magnitude);

TIMES_TENSORS
    if (total.kind != NAME_FINITE) {
        return END_OF_OUT;
    }
    return ENCODE_OUT;
}

/* Return the code of the dot product of k elements, at most MAX_TERMS; the last blocks may be
 * short. */
static inline uint32_t NAME_dot(DOT_PARAMETERS, size_t k RANDOM_PARAMETERS)
{
    const size_t size = BLOCK_SIZE;
    NAME_state state;

    NAME_init(&state);
    for (size_t i = 0; i < k; i++) {
        NAME_step(&state, a[i], b[i]);
        if (i % size == size - 1 || i == k - 1) {
            NAME_close(&state SCALES_OF_BLOCK);
        }
    }
    return NAME_result(&state TENSORS RANDOM);
}
