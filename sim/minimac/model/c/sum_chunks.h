/* --- Chunks: the sum of each is one term of the outer accumulation ---------------------------- */

typedef struct {
    int count;
    NAME_chunk_state chunk;
    NAME_outer_state outer;
} ACC_state;

static inline void ACC_init(ACC_state *state)
{
    state->count = 0;
    NAME_chunk_init(&state->chunk);
    NAME_outer_init(&state->outer);
}

static inline void ACC_close(ACC_state *state)
{
    NAME_magnitude unused;

    NAME_outer_add(&state->outer, NAME_chunk_total(&state->chunk, &unused));
    NAME_chunk_init(&state->chunk);
    state->count = 0;
}

static inline void ACC_add(ACC_state *state, NAME_number term)
{
    NAME_chunk_add(&state->chunk, term);
    if (++state->count == ACC_CHUNK) {
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
    return NAME_outer_total(&last.outer, magnitude);
}
