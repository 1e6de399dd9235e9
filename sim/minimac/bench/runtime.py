"""Verilator's runtime library, compiled once and not for every design: three quarters of a build.

Its objects depend on the versions of the tools and on the flags, and on nothing of the design.
"""

import hashlib
import json
import os
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

__all__ = ["keep_runtime", "put_runtime", "runtime_folder"]


def runtime_folder(simulator: str, args: list[str], *, waves: bool) -> Path:
    """Return the folder of the objects that belong to a version of Verilator and its flags."""
    compiler = os.environ.get("CXX", "c++")
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    flags = {name: os.environ.get(name, "") for name in ("CXXFLAGS", "CPPFLAGS", "CFLAGS")}
    facts = [simulator, version("cocotb"), args, waves, compiler, said.stdout, flags]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "minimac" / "verilator" / digest


def put_runtime(folder: Path, build: Path) -> None:
    """Copy the objects to where ``make`` looks for them, and keep it from building them again."""
    # Its rules build all that is older than the makefile, which is about to be written.
    soon = time.time() + 600
    for found in folder.glob("verilated*.o"):
        shutil.copyfile(found, build / found.name)
        os.utime(build / found.name, (soon, soon))


def keep_runtime(folder: Path, build: Path) -> None:
    """Keep the objects of a build, each whole or not at all; a full disk is no reason to fail."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for built in build.glob("verilated*.o"):
            if not (folder / built.name).exists():
                part = folder / f"{built.name}.{os.getpid()}"
                shutil.copyfile(built, part)
                os.replace(part, folder / built.name)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
