"""What a measurement was made on and with."""

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

__all__ = ["conditions"]

_LIBRARIES = "numpy", "numba", "llvmlite", "ml_dtypes", "apytypes"


def conditions(seed: int) -> dict[str, str]:
    """Return names and values, none of which is a date."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "CPU": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "BLAS": f"{blas['name']} {blas['version']}, as many threads as the column says",
        "seed": str(seed),
    }


def _processor() -> str:
    """Return the model of the CPU, and the sizes of its caches."""
    lines = dict(_pairs(Path("/proc/cpuinfo")))
    name = lines.get("model name") or platform.processor() or platform.machine()
    caches = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    sizes = [
        f"L{(cache / 'level').read_text().strip()} {(cache / 'size').read_text().strip()}"
        for cache in caches
        if (cache / "type").read_text().strip() != "Instruction"
    ]
    return ", ".join([name, *sizes])


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    if path.exists():
        for line in path.read_text().splitlines():
            key, colon, value = line.partition(":")
            if colon:
                yield key.strip(), value.strip()
