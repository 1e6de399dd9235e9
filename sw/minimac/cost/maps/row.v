// Y = A + B or A - B if BIT is set, else A: the LUTs of sums take in the choice, where they come before the carry chain.
module \$__product_row (A, B, BIT, Y);
  parameter WIDTH = 1;
  parameter SUBTRACT = 0;
  input [WIDTH-1:0] A, B;
  input BIT;
  output [WIDTH-1:0] Y;

  wire [WIDTH-1:0] exclusive, carries;
  \$alu #(.A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(WIDTH), .B_WIDTH(WIDTH), .Y_WIDTH(WIDTH)) sum (
    .A(A), .B(B & {WIDTH{BIT}}), .CI(SUBTRACT ? 1'b1 : 1'b0), .BI(SUBTRACT ? 1'b1 : 1'b0),
    .X(exclusive), .Y(Y), .CO(carries)
  );
endmodule

// Y = A + B, each only if its bit is set.
module \$__product_pair (A, MASK, B, BIT, Y);
  parameter WIDTH = 1;
  input [WIDTH-1:0] A, B;
  input MASK, BIT;
  output [WIDTH-1:0] Y;

  \$__product_row #(.WIDTH(WIDTH)) row (.A(A & {WIDTH{MASK}}), .B(B), .BIT(BIT), .Y(Y));
endmodule
