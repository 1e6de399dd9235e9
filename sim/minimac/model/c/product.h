/* --- Products --------------------------------------------------------------------------------- */

/* Kind and sign of a product; its value is 0. */
static inline NAME_number NAME_classify(NAME_number x, NAME_number y)
{
    const bool zero = (x.kind == NAME_FINITE && x.significand == 0)
                      || (y.kind == NAME_FINITE && y.significand == 0);
    const bool finite = x.kind == NAME_FINITE && y.kind == NAME_FINITE;
    const bool nan = x.kind == NAME_NAN || y.kind == NAME_NAN || (zero && !finite);

    return NAME_make(nan ? NAME_NAN : finite ? NAME_FINITE : NAME_INFINITE,
                     x.negative != y.negative, 0, 0);
}
