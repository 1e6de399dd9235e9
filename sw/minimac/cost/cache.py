"""Results on disk by the content they follow from, since synthesis takes seconds."""

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

__all__ = ["Cache"]


class Cache:
    """A folder of results, each under the hash of everything that it follows from.

    Entries are written under another name first and then renamed, so that several processes may
    share the folder, and one that is killed leaves it sound. Each carries a checksum; one that does
    not match is as good as none.

    Parameters
    ----------
    folder : path or None
        Where; by default ``MINIMAC_CACHE``, or else ``build/cache`` in the current folder.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     cache = Cache(folder)
    ...     cache.store({"flow": 1}, {"cells": 12})
    ...     cache.load({"flow": 1}), cache.load({"flow": 2})
    ({'cells': 12}, None)
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        default = os.environ.get("MINIMAC_CACHE") or "build/cache"
        self.folder = Path(folder or default)

    def path(self, key: dict[str, Any]) -> Path:
        """Return the file that the result for ``key`` is kept in."""
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest[2:]}.json.z"

    def load(self, key: dict[str, Any]) -> Any:
        """Return the result for ``key``, or None if there is none that can be read."""
        path = self.path(key)
        try:
            checksum, _, packed = path.read_bytes().partition(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            _warn(f"{path}: cannot be read ({error.strerror}); the result is computed anew")
            return None
        if hashlib.sha256(packed).hexdigest().encode() != checksum:
            _warn(f"{path}: damaged; the result is computed anew")
            return None
        return json.loads(zlib.decompress(packed))

    def store(self, key: dict[str, Any], result: Any) -> None:
        """Keep a result. If the folder cannot be written, say so on stderr, once, and go on."""
        path = self.path(key)
        packed = zlib.compress(json.dumps(result, separators=(",", ":")).encode(), 1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path.parent)
            handle, name = tempfile.mkstemp(suffix=_PART, dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(packed).hexdigest().encode() + b"\n" + packed)
                os.replace(name, path)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            if self.folder not in _refused:
                _refused.add(self.folder)
                _warn(f"{self.folder}: results cannot be kept: {error.strerror}")


#: What an entry is called until it is complete, and for how long nobody else removes it, in s.
_PART, _PART_S = ".part", 24 * 3600.0

#: Folders that were found to take nothing.
_refused: set[Path] = set()


def _warn(said: str) -> None:
    print(f"warning: {said}", file=sys.stderr)


def _sweep(folder: Path) -> None:
    """Remove what processes left that were killed while they wrote."""
    for part in folder.glob(f"*{_PART}"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _PART_S:
                part.unlink()
