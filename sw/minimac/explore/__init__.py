"""Sweeps over designs: run, kept, compared and reported."""

from minimac.explore.artefacts import write_design
from minimac.explore.columns import Column, columns, row
from minimac.explore.console import progress, table
from minimac.explore.expressions import Condition
from minimac.explore.fronts import explain
from minimac.explore.page import report
from minimac.explore.pareto import pareto_front
from minimac.explore.results import DesignResult, Results, StepResult, load_results
from minimac.explore.runner import run
from minimac.explore.space import Point, Space
from minimac.explore.steps import Step
from minimac.explore.sweep import Sweep, check_simulator, load_sweep

__all__ = [
    "Column",
    "Condition",
    "DesignResult",
    "Point",
    "Results",
    "Space",
    "Step",
    "StepResult",
    "Sweep",
    "check_simulator",
    "columns",
    "explain",
    "load_results",
    "load_sweep",
    "pareto_front",
    "progress",
    "report",
    "row",
    "run",
    "table",
    "write_design",
]
