/* --- Numbers ---------------------------------------------------------------------------------- */

typedef enum { NAME_FINITE, NAME_INFINITE, NAME_NAN } NAME_kind;

/* (-1)**negative * significand * 2**exponent, if it is finite. */
typedef struct {
    NAME_kind kind;
    bool negative;
    uint64_t significand;
    int exponent;
} NAME_number;

static inline NAME_number NAME_make(NAME_kind kind, bool negative, uint64_t significand,
                                    int exponent)
{
    NAME_number number;
    number.kind = kind;
    number.negative = negative;
    number.significand = significand;
    number.exponent = exponent;
    return number;
}

/* The sum of two numbers that are not both finite; the second one if both are. */
static inline NAME_number NAME_join(NAME_number first, NAME_number second)
{
    if (first.kind == NAME_FINITE) {
        return second;
    }
    if (first.kind == NAME_INFINITE && second.kind == NAME_INFINITE
        && first.negative != second.negative) {
        first.kind = NAME_NAN;
    }
    return second.kind == NAME_NAN ? second : first;
}

/* Note NaN and infinities among terms; whether there is any, now or before. */
static inline bool NAME_note(NAME_number *special, NAME_number term)
{
    *special = NAME_join(*special, term);
    return special->kind != NAME_FINITE;
}
