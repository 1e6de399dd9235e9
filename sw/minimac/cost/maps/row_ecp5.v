// The LUTs of a CCU2C choose and add. Its LUT says whether a bit hands the carry on; bits 0 to 3 of the table, where C and D
// are 0, say what the carry is if not.

// Y = A + B or A - B if BIT is set, else A.
module \$__product_row (A, B, BIT, Y);
  parameter WIDTH = 1;
  parameter SUBTRACT = 0;
  input [WIDTH-1:0] A, B;
  input BIT;
  output [WIDTH-1:0] Y;

  // D is set. A differs from B & C, or is equal to it; the carry is A.
  \$__product_sum #(.WIDTH(WIDTH), .TABLE(SUBTRACT ? 16'h950a : 16'h6a0a), .CARRY(SUBTRACT ? 1'b1 : 1'b0)) sum (
    .A(A), .B(B), .C({WIDTH{BIT}}), .D(1'b1), .Y(Y)
  );
endmodule

// Y = A + B, each only if its bit is set: A & B differs from C & D; the carry is A & B.
module \$__product_pair (A, MASK, B, BIT, Y);
  parameter WIDTH = 1;
  input [WIDTH-1:0] A, B;
  input MASK, BIT;
  output [WIDTH-1:0] Y;

  \$__product_sum #(.WIDTH(WIDTH), .TABLE(16'h7888), .CARRY(1'b0)) sum (
    .A(A), .B({WIDTH{MASK}}), .C(B), .D(BIT), .Y(Y)
  );
endmodule

module \$__product_sum (A, B, C, D, Y);
  parameter WIDTH = 1;
  parameter [15:0] TABLE = 0;
  parameter CARRY = 0;
  input [WIDTH-1:0] A, B, C;
  input D;
  output [WIDTH-1:0] Y;

  localparam PAIRS = (WIDTH + 1) / 2;
  wire [2*PAIRS-1:0] a, b, c, y;
  wire [PAIRS:0] carry;
  assign a = A;
  assign b = B;
  assign c = C;
  assign carry[0] = CARRY;
  assign Y = y;
  genvar i;
  generate
    for (i = 0; i < PAIRS; i = i + 1) begin : pair
      CCU2C #(.INIT0(TABLE), .INIT1(TABLE), .INJECT1_0("NO"), .INJECT1_1("NO")) bits (
        .CIN(carry[i]), .COUT(carry[i+1]),
        .A0(a[2*i]), .B0(b[2*i]), .C0(c[2*i]), .D0(D), .S0(y[2*i]),
        .A1(a[2*i+1]), .B1(b[2*i+1]), .C1(c[2*i+1]), .D1(D), .S1(y[2*i+1])
      );
    end
  endgenerate
endmodule
