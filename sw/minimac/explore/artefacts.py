"""The files of a design."""

import json
from pathlib import Path

from minimac.spec import Design
from minimac.spec.files import make_folder, write_whole

__all__ = ["write_design"]


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
