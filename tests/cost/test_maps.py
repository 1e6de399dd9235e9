"""Products without multiplier blocks: rows of adders, proved by Yosys' solver."""

import time

import pytest

from minimac.cost import SynthesisError, load_technology
from minimac.cost.synthesis import Yosys

#: Widths of factors and product: wider on either side, of a bit, cut short, extended.
WIDTHS = [
    (1, 1, 2),
    (1, 4, 5),
    (4, 1, 5),
    (3, 3, 6),
    (5, 3, 8),
    (3, 5, 8),
    (4, 4, 3),
    (3, 4, 10),
    (6, 5, 11),
    (3, 9, 12),
]

GOLD = """\
module gold(input {sign} [{a}:0] a, input {sign} [{b}:0] b, output {sign} [{y}:0] y);
  assign y = a * b;
endmodule
"""


def prove(folder, row: str, widths, sign: str, change=("", "")) -> None:
    """Prove that a product and what the map makes of it are equal for all factors."""
    a, b, y = (width - 1 for width in widths)
    yosys = Yosys(folder, time.monotonic() + 60)
    (folder / "gold.v").write_text(GOLD.format(sign=sign, a=a, b=b, y=y))
    text = (folder / row).read_text()
    assert change[0] in text
    (folder / row).write_text(text.replace(*change))
    yosys.run(
        [
            "read_verilog gold.v",
            "proc; wreduce t:$mul",
            "copy gold gate",
            f"techmap -map product.v -map {row} gate",
            "select -assert-none gate/t:$mul gate/t:$__*",
            "read_verilog -overwrite +/lattice/common_sim.vh +/lattice/ccu2c_sim.vh",
            "hierarchy",
            "proc",
            "flatten gate",
            "miter -equiv -flatten -make_assert gold gate miter",
            "hierarchy -top miter",
            "sat -verify -prove-asserts miter",
        ]
    )


@pytest.mark.parametrize("sign", ["signed", ""], ids=["signed", "unsigned"])
@pytest.mark.parametrize("widths", WIDTHS, ids=lambda w: "_".join(map(str, w)))
@pytest.mark.parametrize("row", ["row.v", "row_ecp5.v"])
def test_a_product_is_a_product(row, widths, sign, tmp_path):
    prove(tmp_path, row, widths, sign)


def test_a_wrong_row_is_found(tmp_path):
    with pytest.raises(SynthesisError, match="proof did fail"):
        prove(tmp_path, "row_ecp5.v", (4, 4, 8), "signed", change=("16'h950a", "16'h9505"))


def test_families_name_rows_that_there_are(tmp_path):
    Yosys(tmp_path, time.monotonic() + 1)
    for name in ("xc7", "ecp5", "ice40", "gowin"):
        assert (tmp_path / load_technology(name).product_row).is_file()
