"""Element-wise functions of two arrays of codes, in float32, rounded half to even once per operation."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Float32, Int64
from accel_kernels.fma_float32 import fused_multiply_add

ADD, SUBTRACT, MULTIPLY, MINIMUM, MAXIMUM = range(5)
"""Functions of `binary_float32`."""


@kernel
def sum_fused_float32(
    a: Array,
    a_ratio: Float32,
    b: Array,
    b_ratio: Float32,
    constant: Float32,
    low: Float32,
    high: Float32,
    codes: Array,
) -> None:
    """codes[i] = clamp(rint(fma(a[i], a_ratio, fma(b[i], b_ratio, constant))), low, high)."""
    for i in range(codes.size):
        inner = fused_multiply_add(np.float32(b[i]), b_ratio, constant)
        total = fused_multiply_add(np.float32(a[i]), a_ratio, inner)
        codes[i] = np.int64(min(max(np.rint(total), low), high))


@kernel
def product_float32(
    a: Array,
    a_zero: Int64,
    b: Array,
    b_zero: Int64,
    ratio: Float32,
    zero_point: Float32,
    low: Float32,
    high: Float32,
    codes: Array,
) -> None:
    """codes[i] = clamp(rint(f32(f32(f32(a[i] - a_zero) * f32(b[i] - b_zero)) * ratio) + zero_point), low, high)."""
    for i in range(codes.size):
        multiple = np.float32(np.int64(a[i]) - a_zero) * np.float32(np.int64(b[i]) - b_zero) * ratio
        codes[i] = np.int64(min(max(np.rint(multiple + zero_point), low), high))


@kernel
def binary_float32(
    a: Array,
    a_scale: Float32,
    a_zero: Int64,
    b: Array,
    b_scale: Float32,
    b_zero: Int64,
    function: Int64,
    clip_low: Float32,
    clip_high: Float32,
    scale: Float32,
    zero_point: Int64,
    low: Float32,
    high: Float32,
    codes: Array,
) -> None:
    """Both operands dequantized, the function limited to [clip_low, clip_high], quantized.

    codes[i] = rint(clamp(f32(y / scale), low, high)) + zero_point; the limits are codes minus the zero point.
    """
    for i in range(codes.size):
        left = np.float32(np.int64(a[i]) - a_zero) * a_scale
        right = np.float32(np.int64(b[i]) - b_zero) * b_scale
        real = min(max(_apply(function, left, right), clip_low), clip_high)
        codes[i] = np.int64(np.rint(min(max(real / scale, low), high))) + zero_point


@kernel
def _apply(function: Int64, left: Float32, right: Float32) -> Float32:
    if function == ADD:
        return left + right
    if function == SUBTRACT:
        return left - right
    if function == MULTIPLY:
        return left * right
    return min(left, right) if function == MINIMUM else max(left, right)
