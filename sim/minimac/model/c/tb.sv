// Runs the test vectors of NAME through its model in C; put your own design beside it.
//
//   $ verilator --cc --exe --main --build --no-timing -o NAME_tb \
//       NAME_tb.sv NAME_vectors.v NAME_dpi.sv NAME_dpi.c
//   $ obj_dir/NAME_tb
`include "NAME_vectors.vh"

module NAME_tb;
  chandle model;
  int unsigned got, wrong;
  VARIABLES

  NAME_vectors vectors ();

  initial begin
    vectors.load();
    model = NAME_dpi::model_open();
    for (int i = 0; i < `NAME_CASES; i++) begin
      {FIELDS} = vectors.cases[i];
      NAME_dpi::model_init(model);
      for (int k = 0; k < `NAME_TERMS; k++) begin
        NAME_dpi::model_step(model,
          A_CODE,
          B_CODE);
CLOSE
      end
      got = NAME_dpi::model_result(model LAST);
      if (got != 32'(out)) begin
        wrong++;
        $display("case %0d: the model has %h, the vectors have %h", i, got, out);
      end
    end
    NAME_dpi::model_free(model);
    if (wrong != 0) $fatal(1, "%0d of %0d cases are wrong", wrong, `NAME_CASES);
    $display("%0d cases are right", `NAME_CASES);
    $finish;
  end
endmodule
