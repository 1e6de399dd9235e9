"""Matrix products, summed as a spec says."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimac.model.chained import multiply_in_chains
from minimac.model.exact import multiply_exactly
from minimac.model.operands import as_signs, read_codes
from minimac.model.scalars import code_type, target
from minimac.spec import Arithmetic, ExactAccumulation, FloatAccumulation

if TYPE_CHECKING:
    from minimac.model.kernels import Target

__all__ = ["matmul"]

_MULTIPLY = {ExactAccumulation: multiply_exactly, FloatAccumulation: multiply_in_chains}


def matmul(spec: Arithmetic, a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    """Return the matrix product that a unit computes, bit by bit.

    Each output is one chain over k = 0 .. K-1, in that order; with K = 0 it is +0.

    Parameters
    ----------
    spec : Arithmetic
        Formats, accumulation and rounding; any design will do.
    a : array_like of int, shape (..., M, K)
        Codes of ``spec.a``.
    b : array_like of int, shape (..., K, N)
        Codes of ``spec.b``. Leading axes broadcast against those of ``a``.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (..., M, N)
        Codes of ``spec.out``.

    Raises
    ------
    TypeError
        If ``a`` or ``b`` are not integers.
    ValueError
        If a code is out of range, the shapes do not match, or K is above ``max_terms``.

    Examples
    --------
    >>> from minimac.model import decode, encode
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "mine", "unit": "mac", "a": "bf16", "b": "e4m3fn",
    ...     "out": "bf16", "accumulate": {"kind": "float", "width": 16, "normalize": "none"}})
    >>> a = encode(design.a, [[1.0, 2.5], [-3.0, 0.0]])
    >>> b = encode(design.b, [[4.0], [0.5]])
    >>> decode(design.out, matmul(design, a, b))
    array([[  5.25],
           [-12.  ]])
    """
    if not isinstance(spec, Arithmetic):
        raise TypeError(f"spec must be an Arithmetic, such as a design, not {spec!r}")
    multiply = _MULTIPLY.get(type(spec.accumulate))
    if multiply is None:
        raise TypeError(f"spec.accumulate must be of kind exact or float, not {spec.accumulate!r}")
    codes_a, codes_b = read_codes(spec.a, a, "a"), read_codes(spec.b, b, "b")
    shape = _result_shape(spec, codes_a, codes_b)
    if math.prod(shape) == 0 or codes_a.shape[-1] == 0:
        return np.zeros(shape, code_type(spec.out))
    to = target(spec.out, spec.out_round, spec.out_overflow)
    codes = multiply(spec, codes_a, codes_b, to)
    out = np.ascontiguousarray(codes, code_type(spec.out)).reshape(shape)
    if spec.has_nan:
        _apply_specials(spec, codes_a, codes_b, out, to)
    return out


def _result_shape(spec: Arithmetic, a: NDArray[Any], b: NDArray[Any]) -> tuple[int, ...]:
    shapes = f"shapes {a.shape} and {b.shape}"
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"a and b must have at least 2 axes, not {shapes}")
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"a and b must be (..., M, K) and (..., K, N), not of {shapes}")
    most = spec.accumulate.max_terms
    if a.shape[-1] > most:
        raise ValueError(f"K must be at most max_terms, {most}, not {a.shape[-1]}")
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"leading axes of a and b must broadcast, not those of {shapes}") from None
    return (*lead, a.shape[-2], b.shape[-1])


def _apply_specials(
    spec: Arithmetic, a: NDArray[Any], b: NDArray[Any], out: NDArray[Any], to: "Target"
) -> None:
    """Overwrite the outputs that NaN or infinities make so.

    Both are sticky, so the order of the terms is irrelevant: terms of each sort are counted.
    """
    sign_a, special_a = as_signs(spec.a, a)
    sign_b, special_b = as_signs(spec.b, b)
    if not (special_a.any() or special_b.any()):
        return

    def count(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(x.astype(np.float64) @ y.astype(np.float64))

    infinite_a, infinite_b = special_a == 1, special_b == 1
    zero_a, zero_b = (sign_a | special_a) == 0, (sign_b | special_b) == 0
    nan = (special_a == 2).any(axis=-1)[..., :, None] | (special_b == 2).any(axis=-2)[..., None, :]
    nan = nan | (count(infinite_a, zero_b) + count(zero_a, infinite_b) > 0)
    # Infinite products, and the sum of their signs: less than their number if both signs occur.
    finite_a = sign_a * ~infinite_a
    infinite = count(infinite_a, np.abs(sign_b)) + count(np.abs(finite_a), infinite_b)
    signs = count(sign_a * infinite_a, sign_b) + count(finite_a, sign_b * infinite_b)
    nan |= np.abs(signs) < infinite
    out[signs > 0] = to.inf_positive
    out[signs < 0] = to.inf_negative
    out[nan] = to.nan
