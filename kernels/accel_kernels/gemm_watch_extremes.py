"""Watching matrix products whose accumulators provably never overflow: 32-bit lanes, extremes only.

The caller proves that no partial sum, bias included, leaves the accumulator; overflow events are then 0, and wrapping
and saturating accumulators hold the same values.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.lanes import HIGH, LANES, LOW, START, STATE, STEPS, note


@kernel
def gemm_watch_extremes(
    panel: Array, rows: Int64, weights: Array, bias: Array, column: Int64, accumulators: Array, record: Array
) -> None:
    """accumulators[i, column + n] = bias[n], then + panel[i, k] * weights[n, k] for k = 0, 1, ...

    Operands:
        panel: [at least rows, K] int16, K a multiple of STEPS. weights: int16, from `pack_lanes`.
        bias: int64 [N].
        accumulators: int32 [at least rows, at least column + N].
        record: int64[3], see the package.
    """
    state = np.zeros(STATE, np.int32)
    for block in range(weights.shape[0]):
        first = block * LANES
        valid = min(LANES, bias.size - first)
        for lane in range(valid):
            state[START + lane] = bias[first + lane]
            state[LOW + lane] = bias[first + lane]
            state[HIGH + lane] = bias[first + lane]
        for i in range(rows):
            for lane in range(LANES):
                state[lane] = state[START + lane]
            for k in range(0, weights.shape[1], STEPS):
                x0, x1 = np.int64(panel[i, k]), np.int64(panel[i, k + 1])
                x2, x3 = np.int64(panel[i, k + 2]), np.int64(panel[i, k + 3])
                for lane in range(LANES):
                    v0 = np.int32(np.int64(state[lane]) + x0 * np.int64(weights[block, k, lane]))
                    v1 = np.int32(np.int64(v0) + x1 * np.int64(weights[block, k + 1, lane]))
                    v2 = np.int32(np.int64(v1) + x2 * np.int64(weights[block, k + 2, lane]))
                    v3 = np.int32(np.int64(v2) + x3 * np.int64(weights[block, k + 3, lane]))
                    state[lane] = v3
                    state[LOW + lane] = min(min(min(state[LOW + lane], v0), min(v1, v2)), v3)
                    state[HIGH + lane] = max(max(max(state[HIGH + lane], v0), max(v1, v2)), v3)
            for lane in range(valid):
                accumulators[i, column + first + lane] = state[lane]
        note(record, state[LOW : LOW + valid], state[HIGH : HIGH + valid], 0)


@kernel
def depthwise_watch_extremes(
    panel: Array, rows: Int64, weights: Array, bias: Array, accumulators: Array, record: Array
) -> None:
    """accumulators[i, c] = bias[c], then + panel[i, t, c] * weights[t, c] for t = 0, 1, ...

    Arguments as `gemm_wrap.depthwise_wrap32`, and the record.
    """
    taps, channels = weights.shape
    low, high = np.empty(channels, np.int32), np.empty(channels, np.int32)
    for c in range(channels):
        low[c] = bias[c]
        high[c] = bias[c]
    for i in range(rows):
        for c in range(channels):
            accumulators[i, c] = bias[c]
        for t in range(taps):
            for c in range(channels):
                v = np.int32(np.int64(accumulators[i, c]) + np.int64(panel[i, t, c]) * np.int64(weights[t, c]))
                accumulators[i, c] = v
                low[c] = min(low[c], v)
                high[c] = max(high[c], v)
    note(record, low, high, 0)
