// The test vectors of NAME for a Verilog bench, which has
//
//     NAME_vectors vectors ();
//
// and calls vectors.load first. There are `NAME_CASES cases, counted from 0:
//
//     {FIELDS} = vectors.cases[i];
//
// Code k of a field is a[k * `NAME_A_WIDTH +: `NAME_A_WIDTH], and so on.
`include "NAME_vectors.vh"

module NAME_vectors;
    reg [`NAME_CASE_BITS - 1:0] cases [0:`NAME_CASES - 1];
    reg [`NAME_CASE_BITS - 1:0] last;

    task load;
        begin
            // The last case differs if it is left as it was: then the file is missing or short.
            cases[`NAME_CASES - 1] = {`NAME_CASE_BITS{1'b0}};
            $readmemh(`NAME_FILE, cases, 0, `NAME_CASES - 1);
            last = cases[`NAME_CASES - 1];
            cases[`NAME_CASES - 1] = {`NAME_CASE_BITS{1'b1}};
            $readmemh(`NAME_FILE, cases, 0, `NAME_CASES - 1);
            if (cases[`NAME_CASES - 1] !== last) begin
                $display("%s: cannot be read, or has too few cases", `NAME_FILE);
                $stop;
            end
        end
    endtask
endmodule
