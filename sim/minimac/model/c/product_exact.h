static inline NAME_number NAME_multiply(uint32_t a, uint32_t b)
{
    const NAME_number x = NAME_decode_a(a), y = NAME_decode_b(b);
    NAME_number product = NAME_classify(x, y);

    if (product.kind == NAME_FINITE) {
        product.significand = x.significand * y.significand;
        product.exponent = x.exponent + y.exponent;
    }
    return product;
}
