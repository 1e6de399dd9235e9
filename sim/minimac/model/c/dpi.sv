// NAME: the model in C for SystemVerilog. Compile NAME_dpi.c along with it.
//
//   chandle model = NAME_dpi::model_open();   // once
//   NAME_dpi::model_init(model);              // ahead of each dot product
//   NAME_dpi::model_step(model, a, b);        // for each pair of codes
//   expected = NAME_dpi::model_result(model);
//   NAME_dpi::model_free(model);
package NAME_dpi;
  import "DPI-C" NAME_dpi_open = function chandle model_open();
  import "DPI-C" NAME_dpi_init = function void model_init(input chandle state);
  import "DPI-C" NAME_dpi_step = function void model_step(
    input chandle state, input int unsigned a, input int unsigned b);
SV_CLOSE
  import "DPI-C" NAME_dpi_result = function int unsigned model_result(
    input chandle state SV_TENSORS SV_RANDOM);
  import "DPI-C" NAME_dpi_free = function void model_free(input chandle state);
endpackage
