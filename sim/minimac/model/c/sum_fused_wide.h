
/* Add a term of which `wide` has the value: 63 bits of it, and whether there are more. */
static inline void ACC_add_wide(ACC_state *state, NAME_number term, NAME_magnitude *wide)
{
    term.negative = NAME_take_sign(wide) || (term.kind == NAME_INFINITE && term.negative);
    term.significand = 0;
    if (NAME_leading_one(wide) != NAME_NOWHERE) {
        term.exponent = NAME_leading_one(wide) - 63;
        term.significand = NAME_bits_from(wide, term.exponent);
        term.significand |= NAME_any_below(wide, term.exponent);
    }
    ACC_add(state, term);
}
