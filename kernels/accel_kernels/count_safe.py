"""Rows of a panel that are too small to make an accumulator of one stage overflow: sums without counting.

What is added to a bias, of any products in any order, is at most the Euclidean norm of the operands times that of the
weights (Cauchy and Schwarz). So a panel's rows have a largest norm that is safe for all its columns.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Float64, Int64
from accel_kernels.integers import wrap32

_ROUNDING = 1 - 2.0**-40
"""Much more than a quotient of float64 can be too large."""


@kernel
def add_safe_rows(
    panel: Array, rows: Int64, weights: Array, bias: Array, bits: Int64, column: Int64, accumulators: Array, safe: Array
) -> None:
    """accumulators[i, column + n] = bias[n] + the sum of panel[i, k] * weights[k, n], of rows that are safe.

    Operands:
        panel: [at least rows, at least K] int16 or int32. weights: int32 [K, N]. Both relative to their zero points.
        bias: int64 [N]. bits: of the accumulator, at most 64.
        accumulators: int32 (values wrap) or int64 [at least rows, at least column + N].
        safe: bool [at least rows], which rows are.
    """
    depth, size = weights.shape[0], bias.size
    most, sums = _largest_safe_square(weights, bias, bits), np.empty(bias.size, np.int64)
    for i in range(rows):
        square = np.int64(0)
        for k in range(depth):
            square += np.int64(panel[i, k]) * np.int64(panel[i, k])
        safe[i] = np.float64(square) <= most
        if safe[i]:
            sums[:] = bias
            for k in range(depth):
                x = np.int64(panel[i, k])
                if x != 0:
                    for n in range(size):
                        sums[n] += x * np.int64(weights[k, n])
            for n in range(size):
                accumulators[i, column + n] = wrap32(sums[n]) if accumulators.itemsize == 4 else sums[n]


@kernel
def _largest_safe_square(weights: Array, bias: Array, bits: Int64) -> Float64:
    """Of a row's norm; negative where none is safe."""
    squares = np.zeros(bias.size, np.int64)
    for k in range(weights.shape[0]):
        for n in range(bias.size):
            squares[n] += np.int64(weights[k, n]) * np.int64(weights[k, n])
    most = np.inf
    for n in range(bias.size):
        half = 2.0 ** (bits - 1)
        room = min(half * _ROUNDING - 1 - bias[n], bias[n] + half * _ROUNDING)
        if room < 0:
            return -1.0
        if squares[n] > 0:
            most = min(most, room * room * _ROUNDING / squares[n])
    return most
