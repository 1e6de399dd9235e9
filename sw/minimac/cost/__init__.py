"""What a design costs: synthesis, technologies, timing and energy.

Names are imported when they are first used, so that importing the package needs neither Yosys nor
a compiler.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minimac.cost.activity import Activity, Energy, energy, simulate
    from minimac.cost.cache import Cache
    from minimac.cost.comparison import compare, differences
    from minimac.cost.composition import Composition, compose
    from minimac.cost.errors import RoutingError, SynthesisError
    from minimac.cost.exchange import export
    from minimac.cost.measurement import measure
    from minimac.cost.netlist import Netlist, NetlistError, flatten
    from minimac.cost.prediction import Estimate, Prediction, predict
    from minimac.cost.result import Cost, Part
    from minimac.cost.routing import Routed, place_and_route
    from minimac.cost.schedule import Schedule, schedule
    from minimac.cost.search import fastest
    from minimac.cost.synthesis import Synthesis, synthesise
    from minimac.cost.technology import (
        Family,
        Library,
        is_liberty,
        load_technology,
        technologies,
    )
    from minimac.cost.timing import Timing, analyse
    from minimac.cost.workload import Workload, WorkloadCost, cost_of, load_workload

__all__ = [
    "Activity",
    "Cache",
    "Composition",
    "Cost",
    "Energy",
    "Estimate",
    "Family",
    "Library",
    "Netlist",
    "NetlistError",
    "Part",
    "Prediction",
    "Routed",
    "RoutingError",
    "Schedule",
    "Synthesis",
    "SynthesisError",
    "Timing",
    "Workload",
    "WorkloadCost",
    "analyse",
    "compare",
    "compose",
    "cost_of",
    "differences",
    "energy",
    "export",
    "fastest",
    "flatten",
    "is_liberty",
    "load_technology",
    "load_workload",
    "measure",
    "place_and_route",
    "predict",
    "schedule",
    "simulate",
    "synthesise",
    "technologies",
]

_MODULES = {
    "activity": ("Activity", "Energy", "energy", "simulate"),
    "cache": ("Cache",),
    "comparison": ("compare", "differences"),
    "composition": ("Composition", "compose"),
    "errors": ("RoutingError", "SynthesisError"),
    "exchange": ("export",),
    "measurement": ("measure",),
    "netlist": ("Netlist", "NetlistError", "flatten"),
    "prediction": ("Estimate", "Prediction", "predict"),
    "result": ("Cost", "Part"),
    "routing": ("Routed", "place_and_route"),
    "schedule": ("Schedule", "schedule"),
    "search": ("fastest",),
    "synthesis": ("Synthesis", "synthesise"),
    "technology": ("Family", "Library", "is_liberty", "load_technology", "technologies"),
    "timing": ("Timing", "analyse"),
    "workload": ("Workload", "WorkloadCost", "cost_of", "load_workload"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            value = getattr(importlib.import_module(f"minimac.cost.{module}"), name)
            globals()[name] = value  # after the import, which binds modules of the same name
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
