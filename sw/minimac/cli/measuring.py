"""Costs of the designs of files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimac.cli.output import under_way, watch
from minimac.spec import Design, SpecError

if TYPE_CHECKING:
    from minimac.cost import Composition, Cost

__all__ = ["composed_of", "measured"]


def measured(path: Path, design: Design, technology: str, quickest: bool, **options: Any) -> "Cost":
    """Measure a design of a file, at its clock or at the tightest that it meets."""
    from minimac.cost import SynthesisError, measure

    try:
        if quickest:
            from minimac.cost import fastest

            options.pop("seeds", None)
            return fastest(design, technology, watch=watch, **options)
        return measure(design, technology, watch=watch, **options)
    except SynthesisError as error:
        raise SpecError(f"{path}: {error}") from None
    except SpecError as error:
        raise SpecError(_in_file(path, technology, error)) from None


def composed_of(
    path: Path, design: Design, technology: str, operands: Path | None, codes: Any
) -> "Composition":
    """Compose an array of a file from small ones, for codes that may be of another file."""
    from minimac.cost import SynthesisError, compose

    try:
        with under_way() as watch:
            return compose(design, technology, codes, watch=watch)
    except SynthesisError as error:
        raise SpecError(f"{path}: {error}") from None
    except SpecError as error:
        said = str(error)
        if operands is not None and said.startswith("operands: "):
            raise SpecError(f"{operands}: {said.removeprefix('operands: ')}") from None
        raise SpecError(_in_file(path, technology, error)) from None


def _in_file(path: Path, technology: str, error: SpecError) -> str:
    """Return what is wrong after the file that it is wrong in: the design, or a Liberty file."""
    said = str(error)
    return said if said.startswith(f"{technology}: ") else f"{path}: {said}"
