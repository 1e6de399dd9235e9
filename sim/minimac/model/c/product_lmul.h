/* (1 + x + y + 2**-l) * 2**(e + f) in place of (1 + x) * 2**e times (1 + y) * 2**f. */
static inline NAME_number NAME_multiply(uint32_t a, uint32_t b)
{
    const NAME_number x = NAME_decode_a(a), y = NAME_decode_b(b);
    const int man_bits = NAME_a_format.man_bits;
    const uint64_t hidden = UINT64_C(1) << man_bits;
    NAME_number product = NAME_classify(x, y);

    if (product.kind == NAME_FINITE && x.significand >= hidden && y.significand >= hidden) {
        product.significand = x.significand + y.significand - hidden + NAME_OFFSET;
        product.exponent = x.exponent + y.exponent + man_bits;
    }
    return product;
}
