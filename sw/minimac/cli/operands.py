"""Operands of a file, for energy."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimac.spec import BlockFormat, Design, Dot, Format, Mac, SpecError, Systolic

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_operands"]


def read_operands(path: Path, design: Design) -> "tuple[Any, Any]":
    """Read matrices of codes, and of scales, and check that the design can take them."""
    import numpy as np

    from minimac.model import Blocks
    from minimac.model import encode as encode_
    from minimac.model.operands import read_codes

    formats = {name: fmt for name, fmt in design.operands.items() if name in ("a", "b")}
    scales_of = {f"{name}_scale" for name, fmt in formats.items() if isinstance(fmt, BlockFormat)}
    try:
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            names = archive.files if isinstance(archive, np.lib.npyio.NpzFile) else ["one array"]
            arrays = "two arrays, a and b" if "b" in formats else "an array, a"
            if scales_of:
                arrays += f", and perhaps {' and '.join(sorted(scales_of))}"
            if not formats.keys() <= {*names} <= formats.keys() | scales_of:
                raise SpecError(
                    f"{path}: must hold {arrays}, not {', '.join(names)[:60] or 'nothing'}"
                )
            found = {name: archive[name] for name in names}
    except (SpecError, OSError):
        raise
    except Exception:  # zip, zlib, tokenizer, memory: a damaged archive has many faces
        raise SpecError(f"{path}: must be an .npz file of plain arrays") from None

    def codes(name: str, fmt: Format) -> "NDArray[Any]":
        array = found[name]
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
            raise SpecError(
                f"{path}: {error}; minimac.model.encode makes codes of values"
            ) from None
        return array

    a, *others = (codes(name, fmt) for name, fmt in formats.items())
    if not others:
        return a, np.zeros((a.shape[1], 1), np.int64)
    (b,) = others
    if a.shape[1] != b.shape[0]:
        raise SpecError(
            f"{path}: a must be of shape (M, K) and b of (K, N), not {a.shape} and {b.shape}"
        )
    chains = isinstance(design, (Dot, Mac, Systolic))
    if chains and len(b) > design.accumulate.max_terms:
        raise SpecError(
            f"{path}: K must be at most accumulate.max_terms ({design.accumulate.max_terms}), "
            f"not {len(b)}"
        )
    if design.padding is None and isinstance(design, Dot) and len(b) % design.lanes:
        raise SpecError(
            f"{path}: K must fill transfers of {design.lanes} lanes, which {len(b)} does not"
        )
    placed: list[Any] = []
    for (name, fmt), matrix in zip(formats.items(), (a, b), strict=True):
        if not isinstance(fmt, BlockFormat):
            placed.append(matrix)
            continue
        shape = [1, 1]
        if fmt.size:
            shape = list(matrix.shape)
            shape[name == "a"] = -(-len(b) // fmt.size)
        scale = f"{name}_scale"
        scales = (
            codes(scale, fmt.scale)
            if scale in found
            else np.full(shape, int(encode_(fmt.scale, 1.0)), np.int64)
        )
        if list(scales.shape) != shape:
            raise SpecError(
                f"{path}: {scale}: must be of shape {tuple(shape)}, a code of {fmt.scale.name} for "
                f"each block, not {scales.shape}"
            )
        placed.append(Blocks(matrix, scales))
    return placed[0], placed[1]
