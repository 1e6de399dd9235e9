"""The files of a design."""

import json
from collections.abc import Mapping
from pathlib import Path

from minimac.spec import Design
from minimac.spec.files import make_folder, write_whole

__all__ = ["design_files", "write_design", "write_files"]


def design_files(design: Design) -> dict[str, str]:
    """Generate a design: Verilog, description, the design itself, scripts.

    Returns
    -------
    dict
        Text by name: ``<name>.v``, ``<name>.json`` and ``<name>.md``, ``<name>.yaml``, and what
        :func:`minimac.rtl.scripts` returns.
    """
    import yaml

    from minimac.rtl import as_markdown, describe, scripts, to_verilog

    told = describe(design)
    ends = {
        ".v": to_verilog(design),
        ".json": json.dumps(told, indent=2) + "\n",
        ".md": as_markdown(told),
        ".yaml": yaml.safe_dump(design.as_dict(), sort_keys=False),
        **scripts(design),
    }
    return {f"{design.name}{end}": text for end, text in ends.items()}


def write_files(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Write files into a folder; where one cannot be written, none is left."""
    make_folder(folder)
    written: list[Path] = []
    try:
        for name, text in files.items():
            written.append(write_whole(folder / name, text))
    except BaseException:
        for path in written:  # a new file beside an old one would be worse than none
            path.unlink(missing_ok=True)
        raise
    return written


def write_design(design: Design, folder: Path) -> list[Path]:
    """Generate a design into a folder.

    Returns
    -------
    list of Path
        The files of :func:`design_files`, written after all of them have been generated, so that a
        failure leaves none behind.
    """
    return write_files(design_files(design), folder)
