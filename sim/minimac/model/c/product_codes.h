/* The sum of the codes without sign stands for the product of their values. */
static inline NAME_number NAME_multiply(uint32_t a, uint32_t b)
{
    const NAME_floating *const format = &NAME_a_format;
    const NAME_number x = NAME_decode_a(a), y = NAME_decode_b(b);
    const int64_t hidden = INT64_C(1) << format->man_bits;
    const uint32_t mask = (UINT32_C(1) << (format->exp_bits + format->man_bits)) - 1;
    NAME_number product = NAME_classify(x, y);

    if (product.kind == NAME_FINITE && x.significand >= (uint64_t)hidden
        && y.significand >= (uint64_t)hidden) {
        const int64_t code =
            (int64_t)(a & mask) + (b & mask) - format->bias * hidden + NAME_OFFSET;
        if (code >= hidden) {
            const NAME_number found = NAME_decode_floating(
                format, code < format->largest ? (uint32_t)code : format->largest);
            product.significand = found.significand;
            product.exponent = found.exponent;
        }
    }
    return product;
}
