
/* Add a term of which `wide` has the value. */
static inline void ACC_add_wide(ACC_state *state, NAME_number term, const NAME_magnitude *wide)
{
    uint64_t carry = 0;

    if (NAME_note(&state->special, term)) {
        return;
    }
    for (int i = 0; i < NAME_LIMBS; i++) {
        carry += (uint64_t)state->sum.limb[i] + wide->limb[i];
        state->sum.limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}
