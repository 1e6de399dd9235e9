"""Operands of a file, for energy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.model import Blocks, encode
from minimac.model.operands import read_codes
from minimac.spec import BlockFormat, Design, Dot, Format, Mac, SpecError, Systolic

__all__ = ["read_operands"]


def read_operands(path: Path, design: Design) -> tuple[Any, Any]:
    """Read matrices of codes, and of scales, and check that the design can take them."""
    formats = {name: fmt for name, fmt in design.operands.items() if name in ("a", "b")}
    arrays = _read_arrays(path, formats)
    a, *others = (_codes(path, name, arrays[name], fmt) for name, fmt in formats.items())
    if not others:
        return a, np.zeros((a.shape[1], 1), np.int64)
    (b,) = others
    if a.shape[1] != b.shape[0]:
        raise SpecError(
            f"{path}: a must be of shape (M, K) and b of (K, N), not {a.shape} and {b.shape}"
        )
    _check_terms(path, design, len(b))
    return (
        _in_blocks(path, "a", a, formats["a"], arrays),
        _in_blocks(path, "b", b, formats["b"], arrays),
    )


def _read_arrays(path: Path, formats: Mapping[str, Format]) -> dict[str, Any]:
    """Read an archive: a matrix for each operand, and perhaps one of its scales."""
    scales = {f"{name}_scale" for name, fmt in formats.items() if isinstance(fmt, BlockFormat)}
    try:
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            names = archive.files if isinstance(archive, np.lib.npyio.NpzFile) else ["one array"]
            if formats.keys() <= {*names} <= formats.keys() | scales:
                return {name: archive[name] for name in names}
    except OSError:
        raise
    except Exception:  # zip, zlib, tokenizer, memory: a damaged archive has many faces
        raise SpecError(f"{path}: must be an .npz file of plain arrays") from None
    wanted = "two arrays, a and b" if "b" in formats else "an array, a"
    if scales:
        wanted += f", and perhaps {' and '.join(sorted(scales))}"
    raise SpecError(f"{path}: must hold {wanted}, not {', '.join(names)[:60] or 'nothing'}")


def _codes(path: Path, name: str, array: Any, fmt: Format) -> NDArray[Any]:
    """Check that an array is a matrix of codes of a format."""
    if not isinstance(array, np.ndarray):
        raise SpecError(f"{path}: must be an .npz file of plain arrays")
    if array.ndim != 2 or array.dtype.kind not in "iu":
        encoded = "; minimac.model.encode makes them of values" * (array.dtype.kind == "f")
        raise SpecError(
            f"{path}: {name}: must be a matrix of integer codes, not "
            f"{array.dtype} of shape {array.shape}{encoded}"
        )
    if not array.size:
        raise SpecError(f"{path}: {name}: must not be empty, as it is of shape {array.shape}")
    try:
        read_codes(fmt, array, name)
    except ValueError as error:
        raise SpecError(f"{path}: {error}; minimac.model.encode makes codes of values") from None
    return array


def _check_terms(path: Path, design: Design, terms: int) -> None:
    """Check that a design adds up so many products."""
    chains = isinstance(design, (Dot, Mac, Systolic))
    if chains and terms > design.accumulate.max_terms:
        raise SpecError(
            f"{path}: K must be at most accumulate.max_terms ({design.accumulate.max_terms}), "
            f"not {terms}"
        )
    if design.padding is None and isinstance(design, Dot) and terms % design.lanes:
        raise SpecError(
            f"{path}: K must fill transfers of {design.lanes} lanes, which {terms} does not"
        )


def _in_blocks(
    path: Path, name: str, matrix: NDArray[Any], fmt: Format, arrays: Mapping[str, Any]
) -> Any:
    """Put a matrix and its scales together, if its format is one of blocks; without any, of 1."""
    if not isinstance(fmt, BlockFormat):
        return matrix
    shape = [1, 1]
    if fmt.size:
        shape = list(matrix.shape)
        along = 1 if name == "a" else 0
        shape[along] = -(-matrix.shape[along] // fmt.size)
    scale = f"{name}_scale"
    if scale not in arrays:
        return Blocks(matrix, np.full(shape, int(encode(fmt.scale, 1.0)), np.int64))
    scales = _codes(path, scale, arrays[scale], fmt.scale)
    if list(scales.shape) != shape:
        raise SpecError(
            f"{path}: {scale}: must be of shape {tuple(shape)}, a code of {fmt.scale.name} for "
            f"each block, not {scales.shape}"
        )
    return Blocks(matrix, scales)
