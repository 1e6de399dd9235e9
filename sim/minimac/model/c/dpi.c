/* NAME: the model in C for SystemVerilog, through DPI-C; see NAME_dpi.sv. Valid C++, too. */
#include <stdlib.h>

#include "NAME_model.h"

#ifdef __cplusplus
extern "C" {
#endif

void *NAME_dpi_open(void)
{
    NAME_state *state = (NAME_state *)malloc(sizeof *state);

    if (state == NULL) {
        abort();
    }
    NAME_init(state);
    return state;
}

void NAME_dpi_init(void *state)
{
    NAME_init((NAME_state *)state);
}

void NAME_dpi_step(void *state, uint32_t a, uint32_t b)
{
    NAME_step((NAME_state *)state, a, b);
}

DPI_CLOSE
uint32_t NAME_dpi_result(void *state TENSOR_PARAMETERS RANDOM_PARAMETERS)
{
    return NAME_result((const NAME_state *)state TENSORS RANDOM);
}

void NAME_dpi_free(void *state)
{
    free(state);
}

#ifdef __cplusplus
}
#endif
