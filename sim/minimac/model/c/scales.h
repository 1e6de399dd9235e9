/* --- Scales ----------------------------------------------------------------------------------- */

/* The product of two scales; an infinite one is no scale, and counts as NaN. */
static inline NAME_number NAME_scale(NAME_number x, NAME_number y)
{
    NAME_number scale = NAME_classify(x, y);

    if (scale.kind == NAME_INFINITE) {
        scale.kind = NAME_NAN;
    } else {
        scale.significand = x.significand * y.significand;
        scale.exponent = x.exponent + y.exponent;
    }
    return scale;
}

/* Multiply kind and sign of a number, and its magnitude, which becomes a sum of that sign. */
static inline NAME_number NAME_multiply_by(NAME_number number, NAME_magnitude *magnitude,
                                           NAME_number scale)
{
    const NAME_magnitude before = *magnitude;
    const uint64_t half = UINT64_C(1) << 24; /* a scale has at most twice 24 bits */

    number.significand = NAME_leading_one(magnitude) != NAME_NOWHERE;
    number = NAME_classify(number, scale);
    NAME_hold(magnitude, 0, 0);
    for (int i = 0; number.kind == NAME_FINITE && i < NAME_LIMBS; i++) {
        const uint64_t limb = before.limb[i];
        const int exponent = NAME_LSB + 32 * i + scale.exponent;
        NAME_accumulate(magnitude, number.negative, limb * (scale.significand % half), exponent);
        NAME_accumulate(magnitude, number.negative, limb * (scale.significand / half),
                        exponent + 24);
    }
    return number;
}
