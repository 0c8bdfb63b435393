"""Bilinear resizing of codes.

An axis is int64 arrays: source indices below and above, and the weight of the one above.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Float32, Int64
from accel_kernels.integers import wrap


@kernel
def bilinear_sums(
    image: Array,
    top: Array,
    bottom: Array,
    y_weight: Array,
    y_unit: Int64,
    left: Array,
    right: Array,
    x_weight: Array,
    x_unit: Int64,
    offset: Int64,
    sums: Array,
) -> None:
    """sums[n, oy, ox, c] = sum of the four corners times their integer weights - offset.

    Operands:
        image: [N, H, W, C] codes.
        y_weight, x_weight: int64, of units y_unit and x_unit.
        sums: int32 or int64 [N, Ho, Wo, C], wide enough.
    """
    for n in range(sums.shape[0]):
        for oy in range(sums.shape[1]):
            fy = y_weight[oy]
            gy = y_unit - fy
            for ox in range(sums.shape[2]):
                fx = x_weight[ox]
                gx = x_unit - fx
                for c in range(sums.shape[3]):
                    upper = (
                        np.int64(image[n, top[oy], left[ox], c]) * gx + np.int64(image[n, top[oy], right[ox], c]) * fx
                    )
                    lower = (
                        np.int64(image[n, bottom[oy], left[ox], c]) * gx
                        + np.int64(image[n, bottom[oy], right[ox], c]) * fx
                    )
                    sums[n, oy, ox, c] = upper * gy + lower * fy - offset


@kernel
def divide_2_20_half_away(sums: Array, spare: Int64, mask: Int64, codes: Array) -> None:
    """codes[i] = sums[i] / 2^20, halves away from zero, wrapped to 64 - spare bits, masked."""
    for i in range(codes.size):
        total = np.int64(sums[i])
        magnitude = (abs(total) + (1 << 19)) >> 20
        codes[i] = wrap(magnitude if total > 0 else -magnitude, spare) & mask


@kernel
def bilinear_float32_codes(
    image: Array, top: Array, bottom: Array, y_weight: Array, left: Array, right: Array, x_weight: Array, codes: Array
) -> None:
    """TFLite's uint8: codes = trunc((x00*gy)*gx + (x10*fy)*gx + (x01*gy)*fx + (x11*fy)*fx + 0.5f) in float32.

    image, codes: [N, H, W, C] and [N, Ho, Wo, C]; y_weight, x_weight: float32; g = 1 - f.
    """
    for n in range(codes.shape[0]):
        for oy in range(codes.shape[1]):
            fy = y_weight[oy]
            gy = np.float32(1) - fy
            for ox in range(codes.shape[2]):
                fx = x_weight[ox]
                gx = np.float32(1) - fx
                for c in range(codes.shape[3]):
                    total = np.float32(image[n, top[oy], left[ox], c]) * gy * gx
                    total = total + np.float32(image[n, bottom[oy], left[ox], c]) * fy * gx
                    total = total + np.float32(image[n, top[oy], right[ox], c]) * gy * fx
                    total = total + np.float32(image[n, bottom[oy], right[ox], c]) * fy * fx
                    codes[n, oy, ox, c] = np.int64(np.trunc(total + np.float32(0.5)))


@kernel
def bilinear_float32(
    image: Array,
    top: Array,
    bottom: Array,
    y_weight: Array,
    left: Array,
    right: Array,
    x_weight: Array,
    input_scale: Float32,
    input_zero: Int64,
    scale: Float32,
    zero_point: Int64,
    low: Float32,
    high: Float32,
    codes: Array,
) -> None:
    """ONNX Runtime's: r = (gx*gy)*x00 + (fx*gy)*x01 + (gx*fy)*x10 + (fx*fy)*x11 of dequantized codes, in float32.

    codes = rint(clamp(f32(r / scale), low, high)) + zero_point; the limits are codes minus the zero point.
    """
    for n in range(codes.shape[0]):
        for oy in range(codes.shape[1]):
            fy = y_weight[oy]
            gy = np.float32(1) - fy
            for ox in range(codes.shape[2]):
                fx = x_weight[ox]
                gx = np.float32(1) - fx
                for c in range(codes.shape[3]):
                    a = np.float32(np.int64(image[n, top[oy], left[ox], c]) - input_zero) * input_scale
                    b = np.float32(np.int64(image[n, top[oy], right[ox], c]) - input_zero) * input_scale
                    total = (gx * gy) * a + (fx * gy) * b
                    a = np.float32(np.int64(image[n, bottom[oy], left[ox], c]) - input_zero) * input_scale
                    b = np.float32(np.int64(image[n, bottom[oy], right[ox], c]) - input_zero) * input_scale
                    total = total + (gx * fy) * a
                    total = total + (fx * fy) * b
                    codes[n, oy, ox, c] = np.int64(np.rint(min(max(total / scale, low), high))) + zero_point
