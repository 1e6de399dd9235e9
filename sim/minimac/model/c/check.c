/* Runs the test vectors of NAME through its model in C:
 *
 *     cc -std=c99 -O2 NAME_check.c -o NAME_check && ./NAME_check NAME.csv
 */
#include <stdio.h>

#include "NAME_model.h"
#include "minimac_vectors.h"

int main(int argc, char **argv)
{
    minimac_vectors vectors;
    size_t wrong = 0;

    if (!minimac_read_vectors(&vectors, argc > 1 ? argv[1] : "NAME.csv")) {
        fprintf(stderr, "%s\n", vectors.error);
        return 2;
    }
    for (size_t i = 0; i < vectors.cases; i++) {
        const uint32_t want = *minimac_codes(&vectors, i, "out");
        const uint32_t got = NAME_dot(
            ARGUMENTS);
        if (got != want) {
            wrong++;
            printf("case %zu: the model has %x, the vectors have %x\n", i, (unsigned)got,
                   (unsigned)want);
        }
    }
    printf("%zu of %zu cases are right\n", vectors.cases - wrong, vectors.cases);
    minimac_free_vectors(&vectors);
    return wrong != 0;
}
