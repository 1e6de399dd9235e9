void NAME_dpi_close(void *state SCALE_PARAMETERS)
{
    NAME_close((NAME_state *)state SCALES);
}

