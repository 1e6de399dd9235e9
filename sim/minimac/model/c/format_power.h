/* --- Powers of two (e8m0) --------------------------------------------------------------------- */

static inline NAME_number NAME_decode_power(uint32_t code)
{
    const int field = (int)(code & 255);

    return NAME_make(field == 255 ? NAME_NAN : NAME_FINITE, false, 1, field - 127);
}
