static inline uint64_t NAME_top_bits(uint64_t rest, int bits)
{
    return bits == 0 ? 0 : rest >> (64 - bits);
}

/* The stochastic modes, with `random_bits` random bits. */
static inline bool NAME_goes_up_by_chance(NAME_rounding rounding, uint64_t rest, uint32_t random,
                                          int random_bits)
{
    const uint64_t half = UINT64_C(1) << 63, one = UINT64_C(1) << random_bits;
    const uint64_t kept = NAME_top_bits(rest, random_bits), below = rest << random_bits;

    switch (rounding) {
    case NAME_SR_A:
        return kept + random >= one;
    case NAME_SR_B:
        return NAME_top_bits(rest, random_bits + 1) + 2 * (uint64_t)random + 1 >= 2 * one;
    default:
        return kept + (below > half || (below == half && (kept & 1) != 0)) + random >= one;
    }
}

