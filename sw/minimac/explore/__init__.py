"""Sweeps over designs: run, kept, compared and reported."""

from minimac.explore.artefacts import write_design
from minimac.explore.columns import Column, columns, row
from minimac.explore.console import progress, table
from minimac.explore.explanation import explain
from minimac.explore.expressions import Condition
from minimac.explore.frame import frame
from minimac.explore.page import report
from minimac.explore.pareto import hypervolume, pareto_front
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
    "frame",
    "hypervolume",
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
