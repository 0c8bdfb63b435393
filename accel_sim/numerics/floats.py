"""Floating point of the runtimes that requantize in it: float32 with one rounding per operation.

NumPy's float32 and float64 additions, products, quotients and conversions are IEEE 754 operations, correctly rounded on
every CPU; what NumPy lacks (fused multiply-add, C's `round`) is built from them here.
"""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32] | np.float32
Floats = TypeVar("Floats", NDArray[np.float32], NDArray[np.float64])


def round_half_away(x: Floats) -> Floats:
    """C's round(): to the nearest integer, ties away from zero, exactly (floor(|x| + 0.5) is wrong just below 0.5)."""
    whole: Floats = np.trunc(x)
    return whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0).astype(x.dtype)


def round_half_away_scalar(x: float) -> int:
    """`round_half_away` of one double."""
    whole = math.trunc(x)
    return whole + (math.copysign(1, x) > 0) * 2 - 1 if abs(x - whole) >= 0.5 else whole


def fused_multiply_add(a: Float32, b: Float32, c: Float32) -> NDArray[np.float32]:
    """a * b + c with one rounding, float32.

    The product of two float32 numbers is exact in double. Its double sum with c is rounded to odd by means of the
    sum's error (Knuth's two-sum), which makes the second rounding, to float32, the only one that counts.
    """
    product = np.float64(a) * np.float64(b)
    addend = np.float64(c)
    total = np.asarray(product + addend)
    part = total - product
    error = (product - (total - part)) + (addend - part)
    bits = total.view(np.int64)
    inexact_even = (error != 0) & (bits & 1 == 0)
    odd = bits + np.where(inexact_even, np.where((error > 0) == (total > 0), 1, -1), 0)
    with np.errstate(over="ignore", under="ignore"):
        return odd.view(np.float64).astype(np.float32)


def dequantize_float32(codes: NDArray[np.int64], scale: float, zero_point: int) -> NDArray[np.float32]:
    """f32(f32(q - z) * f32(s)) (ONNX DequantizeLinear)."""
    with np.errstate(over="ignore", under="ignore"):
        return (codes - zero_point).astype(np.float32) * np.float32(scale)


def quantize_float32(
    real: NDArray[np.float32], scale: float, zero_point: int, low: int, high: int
) -> NDArray[np.int64]:
    """rint(clamp(f32(x / s), low - z, high - z)) + z (ONNX QuantizeLinear, as MLAS computes it)."""
    with np.errstate(over="ignore", under="ignore"):
        multiple = np.asarray(real / np.float32(scale))
    offset = np.rint(np.clip(multiple, np.float32(low - zero_point), np.float32(high - zero_point)))
    codes: NDArray[np.int64] = offset.astype(np.int64) + zero_point
    return codes
