"""Results on disk by the content they follow from, since synthesis takes seconds."""

import hashlib
import json
import os
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

__all__ = ["Cache"]


class Cache:
    """A folder of results, each under the hash of everything that it follows from.

    Entries are written under another name first and then renamed, so that several processes may
    share the folder. Each carries a checksum; one that does not match is as good as none.

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
            checksum, packed = path.read_bytes().split(b"\n", 1)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            checksum, packed = b"", b""
        if hashlib.sha256(packed).hexdigest().encode() != checksum:
            print(f"warning: {path}: damaged; the result is computed anew", file=sys.stderr)
            return None
        return json.loads(zlib.decompress(packed))

    def store(self, key: dict[str, Any], result: Any) -> None:
        """Keep a result. If the folder cannot be written, say so on stderr and go on."""
        path = self.path(key)
        packed = zlib.compress(json.dumps(result, separators=(",", ":")).encode(), 1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(packed).hexdigest().encode() + b"\n" + packed)
                os.replace(name, path)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            print(f"warning: {path}: cannot be written: {error.strerror}", file=sys.stderr)
