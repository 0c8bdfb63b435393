"""Watching matrix products with accumulators of any width from 8 to 64 bits, wrapping or saturating: 64-bit lanes."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.integers import clamp, wrap
from accel_kernels.lanes import EVENTS, HIGH, LANES, LOW, START, STATE, note

WRAPS, SATURATES = 0, 1
INT64_MIN, INT64_MAX = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@kernel
def gemm_watch_int64(
    panel: Array,
    rows: Int64,
    weights: Array,
    bias: Array,
    bits: Int64,
    policy: Int64,
    column: Int64,
    accumulators: Array,
    record: Array,
) -> None:
    """accumulators[i, column + n] = bias[n], then + panel[i, k] * weights[n, k] for k = 0, 1, ...

    Each sum that does not fit wraps or saturates. A bias that does not fit is one overflow for each accumulator that it
    is loaded into.

    Operands:
        panel: [at least rows, at least K] int16 or int32. weights: same type, from `pack_lanes`; |products| <= 2^62.
        bias: int64 [N].
        bits: of the accumulator, 8 to 64.
        policy: WRAPS, or SATURATES at the ends of the range.
        accumulators: int32 (bits <= 32) or int64 [at least rows, at least column + N].
        record: int64[3], see the package.
    """
    state = np.zeros(STATE, np.int64)
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
                state[EVENTS + lane] = 0
            for k in range(weights.shape[1]):
                x = np.int64(panel[i, k])
                for lane in range(LANES):
                    product = x * np.int64(weights[block, k, lane])
                    v = add(state[lane], product, bits, policy)
                    state[EVENTS + lane] += np.int64(overflows(state[lane], product, bits))
                    state[lane] = v
                    state[LOW + lane] = min(state[LOW + lane], v)
                    state[HIGH + lane] = max(state[HIGH + lane], v)
            for lane in range(valid):
                accumulators[i, column + first + lane] = state[lane]
                record[2] += state[EVENTS + lane]
        note(record, state[LOW : LOW + valid], state[HIGH : HIGH + valid], 0)


@kernel
def depthwise_watch_int64(
    panel: Array,
    rows: Int64,
    weights: Array,
    bias: Array,
    bits: Int64,
    policy: Int64,
    accumulators: Array,
    record: Array,
) -> None:
    """accumulators[i, c] = bias[c], then + panel[i, t, c] * weights[t, c] for t = 0, 1, ...

    Panel and weights as `gemm_wrap.depthwise_wrap32`, the rest as `gemm_watch_int64`.
    """
    taps, channels = weights.shape
    start, held = np.empty(channels, np.int64), np.empty(channels, np.int64)
    for c in range(channels):
        start[c] = narrow(bias[c], bits, policy)
        record[2] += rows * np.int64(start[c] != bias[c])
    low, high, events = start.copy(), start.copy(), np.zeros(channels, np.int64)
    for i in range(rows):
        held[:] = start
        for t in range(taps):
            for c in range(channels):
                product = np.int64(panel[i, t, c]) * np.int64(weights[t, c])
                events[c] += np.int64(overflows(held[c], product, bits))
                held[c] = add(held[c], product, bits, policy)
                low[c] = min(low[c], held[c])
                high[c] = max(high[c], held[c])
        for c in range(channels):
            accumulators[i, c] = held[c]
    note(record, low, high, 0)
    record[2] += events.sum()


@kernel
def narrow(x: Int64, bits: Int64, policy: Int64) -> Int64:
    """An int64 in an accumulator of `bits` bits."""
    limit = (np.int64(1) << (bits - 2)) - 1 + (np.int64(1) << (bits - 2))
    return clamp(x, -limit - 1, limit) if policy == SATURATES else wrap(x, 64 - bits)


@kernel
def overflows(held: Int64, product: Int64, bits: Int64) -> bool:
    """Whether the exact sum leaves the accumulator: the int64 sum changes sign against both terms, or does not fit."""
    total = held + product
    return bool(((held ^ total) & (product ^ total)) < 0) | bool(wrap(total, 64 - bits) != total)


@kernel
def add(held: Int64, product: Int64, bits: Int64, policy: Int64) -> Int64:
    """The sum as the accumulator holds it."""
    total = held + product
    if policy == SATURATES and ((held ^ total) & (product ^ total)) < 0:
        total = INT64_MAX if held > 0 else INT64_MIN
    return narrow(total, bits, policy)
