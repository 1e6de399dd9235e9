"""Folders to write into, and files that are there whole or not at all."""

import contextlib
import os
from pathlib import Path

from minimac.spec.errors import SpecError

__all__ = ["make_folder", "write_whole"]


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


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file in one step: readers see the old or the new one, also after a crash.

    Text is written as UTF-8. Folders on the way must exist.

    Raises
    ------
    SpecError
        If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise SpecError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path
