"""Watching matrix products with accumulators of at most 30 bits that wrap: 32-bit lanes.

An accumulator of p bits is held as its value + 2^(p-1), which lies in [0, 2^p): a sum that leaves this range overflows,
and its low p bits are what stays.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.lanes import EVENTS, HIGH, LANES, LOW, START, STATE, STEPS, note


@kernel
def gemm_watch_wrap(
    panel: Array,
    rows: Int64,
    weights: Array,
    bias: Array,
    bits: Int64,
    column: Int64,
    accumulators: Array,
    record: Array,
) -> None:
    """accumulators[i, column + n] = bias[n], then + panel[i, k] * weights[n, k] for k = 0, 1, ...; each wraps.

    A bias that does not fit is one overflow for each accumulator that it is loaded into.

    Operands:
        panel: [at least rows, K] int16, K a multiple of STEPS. weights: int16, from `pack_lanes`; |products| < 2^30.
        bias: int64 [N], |bias| < 2^62.
        bits: of the accumulator, 8 to 30.
        accumulators: int32 [at least rows, at least column + N].
        record: int64[3], see the package.
    """
    half, mask = np.int64(1) << (bits - 1), (np.int64(1) << bits) - 1
    state = np.zeros(STATE, np.int32)
    for block in range(weights.shape[0]):
        first = block * LANES
        valid = min(LANES, bias.size - first)
        for lane in range(valid):
            loaded = bias[first + lane] + half
            state[START + lane] = loaded & mask
            state[LOW + lane] = state[START + lane]
            state[HIGH + lane] = state[START + lane]
            record[2] += rows * np.int64(loaded != np.int64(state[START + lane]))
        for i in range(rows):
            for lane in range(LANES):
                state[lane] = state[START + lane]
                state[EVENTS + lane] = 0
            for k in range(0, weights.shape[1], STEPS):
                x0, x1 = np.int64(panel[i, k]), np.int64(panel[i, k + 1])
                x2, x3 = np.int64(panel[i, k + 2]), np.int64(panel[i, k + 3])
                for lane in range(LANES):
                    s0 = np.int32(np.int64(state[lane]) + x0 * np.int64(weights[block, k, lane]))
                    v0 = np.int32(s0 & mask)
                    s1 = np.int32(np.int64(v0) + x1 * np.int64(weights[block, k + 1, lane]))
                    v1 = np.int32(s1 & mask)
                    s2 = np.int32(np.int64(v1) + x2 * np.int64(weights[block, k + 2, lane]))
                    v2 = np.int32(s2 & mask)
                    s3 = np.int32(np.int64(v2) + x3 * np.int64(weights[block, k + 3, lane]))
                    v3 = np.int32(s3 & mask)
                    wrapped = np.int64(s0 != v0) + np.int64(s1 != v1) + np.int64(s2 != v2) + np.int64(s3 != v3)
                    state[lane] = v3
                    state[LOW + lane] = min(min(min(state[LOW + lane], v0), min(v1, v2)), v3)
                    state[HIGH + lane] = max(max(max(state[HIGH + lane], v0), max(v1, v2)), v3)
                    state[EVENTS + lane] = np.int32(np.int64(state[EVENTS + lane]) + wrapped)
            for lane in range(valid):
                accumulators[i, column + first + lane] = np.int64(state[lane]) - half
                record[2] += np.int64(state[EVENTS + lane])
        note(record, state[LOW : LOW + valid], state[HIGH : HIGH + valid], half)


@kernel
def depthwise_watch_wrap(
    panel: Array, rows: Int64, weights: Array, bias: Array, bits: Int64, accumulators: Array, record: Array
) -> None:
    """accumulators[i, c] = bias[c], then + panel[i, t, c] * weights[t, c] for t = 0, 1, ...; each wraps.

    Panel and weights as `gemm_wrap.depthwise_wrap32`, the rest as `gemm_watch_wrap`.
    """
    half, mask = np.int64(1) << (bits - 1), (np.int64(1) << bits) - 1
    taps, channels = weights.shape
    low, high, held = np.empty(channels, np.int32), np.empty(channels, np.int32), np.empty(channels, np.int32)
    events = np.zeros(channels, np.int32)
    for c in range(channels):
        low[c] = (bias[c] + half) & mask
        high[c] = low[c]
        record[2] += rows * np.int64(np.int64(low[c]) != bias[c] + half)
    for i in range(rows):
        for c in range(channels):
            held[c] = (bias[c] + half) & mask
        for t in range(taps):
            for c in range(channels):
                s = np.int32(np.int64(held[c]) + np.int64(panel[i, t, c]) * np.int64(weights[t, c]))
                v = np.int32(s & mask)
                held[c] = v
                low[c] = min(low[c], v)
                high[c] = max(high[c], v)
                events[c] = np.int32(np.int64(events[c]) + np.int64(s != v))
        for c in range(channels):
            accumulators[i, c] = np.int64(held[c]) - half
    note(record, low, high, half)
    record[2] += events.astype(np.int64).sum()
