"""The files of a design."""

import json
from pathlib import Path

from minimac.spec import Design
from minimac.spec.files import make_folder, write_whole

__all__ = ["write_design"]


def write_design(design: Design, folder: Path) -> list[Path]:
    """Generate a design into a folder: Verilog, description, the design itself, scripts.

    Returns
    -------
    list of Path
        ``<name>.v``, ``<name>.json`` and ``<name>.md``, ``<name>.yaml``, and what
        :func:`minimac.rtl.scripts` returns. They are written after all of them have been
        generated, so that a failure leaves none behind.
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
    make_folder(folder)
    written: list[Path] = []
    try:
        for end, text in ends.items():
            written.append(write_whole(folder / f"{design.name}{end}", text))
    except BaseException:
        for path in written:  # a new file beside an old one would be worse than none
            path.unlink(missing_ok=True)
        raise
    return written
