"""Watching matrix products of adder trees: several products are summed exactly, then added to the accumulator at once.

Accumulators of any width from 8 to 64 bits, wrapping or saturating; 64-bit lanes.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.gemm_watch_int64 import add, narrow, overflows
from accel_kernels.lanes import HIGH, LANES, LOW, START, note


@kernel
def gemm_watch_tree(
    panel: Array,
    rows: Int64,
    weights: Array,
    bias: Array,
    size: Int64,
    bits: Int64,
    policy: Int64,
    column: Int64,
    accumulators: Array,
    record: Array,
) -> None:
    """accumulators[i, column + n] = bias[n], then + the sum of panel[i, k] * weights[n, k] for each `size` elements k.

    Operands as `gemm_watch_int64`; no sum of `size` products leaves int64.
    """
    state, trees, events = np.zeros(4 * LANES, np.int64), np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    depth = weights.shape[1]
    for block in range(weights.shape[0]):
        first = block * LANES
        valid = min(LANES, bias.size - first)
        for lane in range(valid):
            state[START + lane] = narrow(bias[first + lane], bits, policy)
            state[LOW + lane] = state[START + lane]
            state[HIGH + lane] = state[START + lane]
            record[2] += rows * np.int64(state[START + lane] != bias[first + lane])
        for i in range(rows):
            for lane in range(LANES):
                state[lane] = state[START + lane]
                events[lane] = 0
            for begin in range(0, depth, size):
                for lane in range(LANES):
                    trees[lane] = 0
                for k in range(begin, min(begin + size, depth)):
                    x = np.int64(panel[i, k])
                    for lane in range(LANES):
                        trees[lane] += x * np.int64(weights[block, k, lane])
                for lane in range(LANES):
                    events[lane] += np.int64(overflows(state[lane], trees[lane], bits))
                    state[lane] = add(state[lane], trees[lane], bits, policy)
                    state[LOW + lane] = min(state[LOW + lane], state[lane])
                    state[HIGH + lane] = max(state[HIGH + lane], state[lane])
            for lane in range(valid):
                accumulators[i, column + first + lane] = state[lane]
                record[2] += events[lane]
        note(record, state[LOW : LOW + valid], state[HIGH : HIGH + valid], 0)


@kernel
def depthwise_watch_tree(
    panel: Array,
    rows: Int64,
    weights: Array,
    bias: Array,
    size: Int64,
    bits: Int64,
    policy: Int64,
    accumulators: Array,
    record: Array,
) -> None:
    """accumulators[i, c] = bias[c], then + the sum of panel[i, t, c] * weights[t, c] for each `size` taps t.

    Panel and weights as `gemm_wrap.depthwise_wrap32`, the rest as `gemm_watch_tree`.
    """
    taps, channels = weights.shape
    start, held = np.empty(channels, np.int64), np.empty(channels, np.int64)
    for c in range(channels):
        start[c] = narrow(bias[c], bits, policy)
        record[2] += rows * np.int64(start[c] != bias[c])
    low, high, events = start.copy(), start.copy(), np.zeros(channels, np.int64)
    trees = np.zeros(channels, np.int64)
    for i in range(rows):
        held[:] = start
        for begin in range(0, taps, size):
            trees[:] = 0
            for t in range(begin, min(begin + size, taps)):
                for c in range(channels):
                    trees[c] += np.int64(panel[i, t, c]) * np.int64(weights[t, c])
            for c in range(channels):
                events[c] += np.int64(overflows(held[c], trees[c], bits))
                held[c] = add(held[c], trees[c], bits, policy)
                low[c] = min(low[c], held[c])
                high[c] = max(high[c], held[c])
        for c in range(channels):
            accumulators[i, c] = held[c]
    note(record, low, high, 0)
    record[2] += events.sum()
