"""Requantization in floating point: float32 half to even, double half away from zero."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Float32, Int64
from accel_kernels.integers import clamp, wrap32

_BEYOND = 2147483648.0


@kernel
def requantize_float32_half_even(
    accumulators: Array, scale: Array, low: Array, high: Array, zero_point: Int64, rows: Int64, codes: Array
) -> None:
    """codes[i, c] = rint(clamp(f32(f32(acc) * scale[c]), low[c], high[c])) + zero_point.

    Operands:
        accumulators: int32 or int64 [at least rows, C].
        scale, low, high: float32 [C]; the limits are codes minus the zero point.
        codes: [at least rows, C], any integer type that holds the limits.
    """
    for i in range(rows):
        for c in range(accumulators.shape[1]):
            multiple = np.float32(accumulators[i, c]) * scale[c]
            codes[i, c] = np.int64(np.rint(min(max(multiple, low[c]), high[c]))) + zero_point


@kernel
def requantize_float32_grid(
    accumulators: Array,
    input_scale: Float32,
    scale: Float32,
    low: Array,
    high: Array,
    zero_point: Int64,
    rows: Int64,
    codes: Array,
) -> None:
    """codes[i, c] = rint(clamp(f32(f32(f32(acc) * input_scale) / scale), low[c], high[c])) + zero_point."""
    for i in range(rows):
        for c in range(accumulators.shape[1]):
            multiple = np.float32(accumulators[i, c]) * input_scale / scale
            codes[i, c] = np.int64(np.rint(min(max(multiple, low[c]), high[c]))) + zero_point


@kernel
def requantize_float64_half_away(
    accumulators: Array, scale: Array, low: Array, high: Array, zero_point: Int64, rows: Int64, codes: Array
) -> None:
    """codes[i, c] = clamp(wrap32(int32(round_half_away(f64(acc) * scale[c])) + zero_point), low[c], high[c]).

    A rounded product beyond int32 becomes its smallest number, as x86 converts it. scale: float64 [C]; low, high: int64
    [C], of the codes.
    """
    for i in range(rows):
        for c in range(accumulators.shape[1]):
            product = np.float64(accumulators[i, c]) * scale[c]
            whole = np.trunc(product)
            if abs(product - whole) >= 0.5:
                whole += np.copysign(1.0, product)
            converted = np.int64(whole if -_BEYOND <= whole < _BEYOND else -_BEYOND)
            codes[i, c] = clamp(wrap32(converted + zero_point), low[c], high[c])
