"""ONNX Runtime's softmax in float32, from codes to codes: a polynomial for exp, sums by lanes."""

import math

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Float32, Int64
from accel_kernels.fma_float32 import fused_multiply_add

_LANES = 16
_LEAST_ARGUMENT = np.float32(-88.3762626647949)
_LOG2_E = np.float32(1.44269504088896341)
_ROUNDING_BIAS = np.float32(12582912.0)
_LOG_2_HIGH = np.float32(6.93145752e-1)
_LOG_2_LOW = np.float32(1.42860677e-6)
_POLYNOMIAL = tuple(
    np.float32(float.fromhex(c))
    for c in ("0x1.694p-10", "0x1.125edcp-7", "0x1.555b5ap-5", "0x1.55545p-3", "0x1.fffff6p-2", "0x1p+0", "0x1p+0")
)


@kernel
def softmax_lanes(
    x: Array,
    input_scale: Float32,
    input_zero_point: Int64,
    scale: Float32,
    zero_point: Int64,
    low: Int64,
    high: Int64,
    codes: Array,
) -> None:
    """codes = rint(clamp(f32(f32(e * f32(1 / sum)) / scale), low - zp, high - zp)) + zp, e = exp(f32(real - largest)).

    Operands:
        x: [rows, n] codes of input_scale and input_zero_point.
        codes: [rows, n].
    """
    exponentials, lanes = np.zeros(x.shape[1], np.float32), np.zeros(_LANES, np.float32)
    least, most = np.float32(low - zero_point), np.float32(high - zero_point)
    for i in range(x.shape[0]):
        top = np.int64(x[i, 0])
        for k in range(1, x.shape[1]):
            top = max(top, np.int64(x[i, k]))
        largest = np.float32(top - input_zero_point) * input_scale
        lanes[:] = np.float32(0)
        for k in range(x.shape[1]):
            real = np.float32(np.int64(x[i, k]) - input_zero_point) * input_scale
            exponentials[k] = _exponential(real - largest)
            lanes[k % _LANES] += exponentials[k]
        share = np.float32(1) / _sum(lanes)
        for k in range(x.shape[1]):
            multiple = exponentials[k] * share / scale
            codes[i, k] = np.int64(np.rint(min(max(multiple, least), most))) + zero_point


@kernel
def _exponential(x: Float32) -> Float32:
    """exp(x), x <= 0: 2^m * p(x - m log 2)."""
    limited = max(x, _LEAST_ARGUMENT)
    exponent = fused_multiply_add(limited, _LOG2_E, _ROUNDING_BIAS) - _ROUNDING_BIAS
    reduced = fused_multiply_add(exponent, -_LOG_2_HIGH, limited)
    reduced = fused_multiply_add(exponent, -_LOG_2_LOW, reduced)
    total = _POLYNOMIAL[0]
    for coefficient in _POLYNOMIAL[1:]:
        total = fused_multiply_add(total, reduced, coefficient)
    return np.float32(math.ldexp(np.float64(total), int(exponent)))


@kernel
def _sum(lanes: Array) -> Float32:
    """Lanes i and i + 8, then neighbours twice, then both halves; the lanes are overwritten."""
    for i in range(8):
        lanes[i] += lanes[i + 8]
    for i in (0, 4):
        lanes[i] = (lanes[i] + lanes[i + 1]) + (lanes[i + 2] + lanes[i + 3])
    return lanes[0] + lanes[4]
