  // Ends a pair of blocks.
  import "DPI-C" NAME_dpi_close = function void model_close(
    input chandle state SV_SCALES);
