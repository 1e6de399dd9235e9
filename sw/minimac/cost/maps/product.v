// Products as multiples of the longer factor, added by carry chains: up to four of them one after the other, then by a tree.
// Yosys would merge a product with what is added to it and build a tree of full adders, of up to three times as many LUTs.

(* techmap_celltype = "$mul" *)
module product (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;

  localparam WIDTH = A_WIDTH + B_WIDTH;
  wire [WIDTH-1:0] whole;
  generate
    if (A_WIDTH < B_WIDTH)
      \$__product #(.LONG(B_WIDTH), .SHORT(A_WIDTH), .LONG_SIGNED(A_SIGNED), .SHORT_SIGNED(A_SIGNED)) of (
        .L(B), .S(A), .Y(whole)
      );
    else
      \$__product #(.LONG(A_WIDTH), .SHORT(B_WIDTH), .LONG_SIGNED(A_SIGNED), .SHORT_SIGNED(A_SIGNED)) of (
        .L(A), .S(B), .Y(whole)
      );
    if (Y_WIDTH <= WIDTH)
      assign Y = whole[Y_WIDTH-1:0];
    else
      assign Y = {{(Y_WIDTH-WIDTH){A_SIGNED ? whole[WIDTH-1] : 1'b0}}, whole};
  endgenerate
endmodule

// The bits of both factors; a sign counts for each by itself.
module \$__product (L, S, Y);
  parameter LONG = 1;
  parameter SHORT = 1;
  parameter LONG_SIGNED = 0;
  parameter SHORT_SIGNED = 0;
  input [LONG-1:0] L;
  input [SHORT-1:0] S;
  output [LONG+SHORT-1:0] Y;

  localparam LOW = (SHORT + 1) / 2;
  localparam HIGH = SHORT - LOW;
  localparam WIDTH = LONG + 1;  // of a sum in a chain, the bits that are done left out
  wire sign;
  assign sign = LONG_SIGNED ? L[LONG-1] : 1'b0;
  wire [WIDTH-1:0] multiple;
  assign multiple = {sign, L};

  genvar i;
  generate
    if (SHORT > 4) begin
      wire [LONG+LOW-1:0] low;
      wire [LONG+HIGH-1:0] high, rest, exclusive, carries;
      \$__product #(.LONG(LONG), .SHORT(LOW), .LONG_SIGNED(LONG_SIGNED), .SHORT_SIGNED(0)) lower (
        .L(L), .S(S[LOW-1:0]), .Y(low)
      );
      \$__product #(.LONG(LONG), .SHORT(HIGH), .LONG_SIGNED(LONG_SIGNED), .SHORT_SIGNED(SHORT_SIGNED)) upper (
        .L(L), .S(S[SHORT-1:LOW]), .Y(high)
      );
      assign rest = {{HIGH{LONG_SIGNED ? low[LONG+LOW-1] : 1'b0}}, low[LONG+LOW-1:LOW]};
      \$alu #(
        .A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(LONG+HIGH), .B_WIDTH(LONG+HIGH), .Y_WIDTH(LONG+HIGH)
      ) sum (
        .A(high), .B(rest), .CI(1'b0), .BI(1'b0), .X(exclusive), .Y(Y[LONG+SHORT-1:LOW]), .CO(carries)
      );
      assign Y[LOW-1:0] = low[LOW-1:0];
    end else begin
      wire [WIDTH*SHORT-1:0] sums;
      for (i = 0; i < SHORT; i = i + 1) begin : row
        localparam SUBTRACT = SHORT_SIGNED && i == SHORT - 1;
        if (i == 0 && !SUBTRACT)
          assign sums[WIDTH-1:0] = multiple & {WIDTH{S[0]}};
        else if (i == 0)
          \$__product_row #(.WIDTH(WIDTH), .SUBTRACT(1)) only (
            .A({WIDTH{1'b0}}), .B(multiple), .BIT(S[0]), .Y(sums[WIDTH-1:0])
          );
        else if (i == 1 && !SUBTRACT)
          \$__product_pair #(.WIDTH(WIDTH)) first (
            .A({sign, multiple[WIDTH-1:1]}), .MASK(S[0]), .B(multiple), .BIT(S[1]),
            .Y(sums[2*WIDTH-1:WIDTH])
          );
        else
          \$__product_row #(.WIDTH(WIDTH), .SUBTRACT(SUBTRACT)) next (
            .A({LONG_SIGNED ? sums[WIDTH*i-1] : 1'b0, sums[WIDTH*i-1:WIDTH*(i-1)+1]}), .B(multiple), .BIT(S[i]),
            .Y(sums[WIDTH*i +: WIDTH])
          );
        assign Y[i] = sums[WIDTH*i];
      end
      assign Y[LONG+SHORT-1:SHORT] = sums[WIDTH*SHORT-1 -: LONG];
    end
  endgenerate
endmodule
