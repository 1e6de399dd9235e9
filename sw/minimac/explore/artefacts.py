"""Files that are there whole or not at all."""

import contextlib
import json
import os
from pathlib import Path

from minimac.spec import Design, SpecError

__all__ = ["make_folder", "write_design", "write_whole"]


def make_folder(path: Path) -> Path:
    """Make a folder to write into, with its parents, and return it.

    Raises
    ------
    SpecError
        If it is a file, lies below one, or cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise SpecError(f"{path}: must be a folder to write into, not a file") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be written to: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise SpecError(f"{path}: cannot be written to: permission denied")
    return path


def write_whole(path: Path, text: str) -> Path:
    """Write a text file in one step: readers see the old or the new one, also after a crash."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SpecError(f"{path}: cannot be written: {error.strerror}") from None
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return path


def write_design(design: Design, folder: Path) -> list[Path]:
    """Generate a design into a folder: Verilog, interface description and the design itself.

    Returns
    -------
    list of Path
        ``<name>.v``, ``<name>.json`` and ``<name>.yaml``. They are written after all of them have
        been generated, so that a failure leaves none behind.
    """
    import yaml

    from minimac.rtl import describe, to_verilog

    texts = {
        f"{design.name}.v": to_verilog(design),
        f"{design.name}.json": json.dumps(describe(design), indent=2) + "\n",
        f"{design.name}.yaml": yaml.safe_dump(design.as_dict(), sort_keys=False),
    }
    make_folder(folder)
    written: list[Path] = []
    try:
        for name, text in texts.items():
            written.append(write_whole(folder / name, text))
    except BaseException:
        for path in written:  # a new file beside an old one would be worse than none
            path.unlink(missing_ok=True)
        raise
    return written
