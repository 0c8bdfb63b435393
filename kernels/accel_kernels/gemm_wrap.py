"""Matrix products with exact sums: accumulators that wrap to 32 bits, or hold 64.

A sum of products that wraps is the exact sum wrapped once, whatever the order: these kernels add in int64, in the
order that the compiler finds fastest.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.integers import wrap32


@kernel
def gemm_wrap32(panel: Array, rows: Int64, weights: Array, bias: Array, column: Int64, accumulators: Array) -> None:
    """accumulators[i, column + n] = wrap32(bias[n] + sum over k of panel[i, k] * weights[n, k]).

    Operands:
        panel: [at least rows, K] int16 or int32. weights: [N, K], same type. |sum| < 2^63.
        bias: int64 [N].
        accumulators: int32 [at least rows, at least column + N].
    """
    for i in range(rows):
        for n in range(weights.shape[0]):
            accumulators[i, column + n] = wrap32(bias[n] + _dot(panel[i], weights[n]))


@kernel
def gemm_wrap64(panel: Array, rows: Int64, weights: Array, bias: Array, column: Int64, accumulators: Array) -> None:
    """As `gemm_wrap32` with int64 accumulators."""
    for i in range(rows):
        for n in range(weights.shape[0]):
            accumulators[i, column + n] = bias[n] + _dot(panel[i], weights[n])


@kernel
def depthwise_wrap32(panel: Array, rows: Int64, weights: Array, bias: Array, accumulators: Array) -> None:
    """accumulators[i, c] = wrap32(bias[c] + sum over taps t of panel[i, t, c] * weights[t, c]).

    Operands:
        panel: [at least rows, taps, C] int16 or int32. weights: [taps, C], same type.
        bias: int64 [C].
        accumulators: int32 [at least rows, C].
    """
    for i in range(rows):
        for c in range(weights.shape[1]):
            accumulators[i, c] = wrap32(bias[c])
        for t in range(weights.shape[0]):
            for c in range(weights.shape[1]):
                product = np.int64(panel[i, t, c]) * np.int64(weights[t, c])
                accumulators[i, c] = wrap32(np.int64(accumulators[i, c]) + product)


@kernel
def depthwise_wrap64(panel: Array, rows: Int64, weights: Array, bias: Array, accumulators: Array) -> None:
    """As `depthwise_wrap32` with int64 accumulators."""
    for i in range(rows):
        for c in range(weights.shape[1]):
            accumulators[i, c] = bias[c]
        for t in range(weights.shape[0]):
            for c in range(weights.shape[1]):
                accumulators[i, c] += np.int64(panel[i, t, c]) * np.int64(weights[t, c])


@kernel
def _dot(a: Array, b: Array) -> Int64:
    total = np.int64(0)
    for k in range(a.size):
        total += np.int64(a[k]) * np.int64(b[k])
    return total
