"""Means of dequantized codes in float32, in ONNX Runtime's orders of addition."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Float32, Int64

ROWS, GROUPS, SEQUENTIAL, LANES = range(4)
"""Orders of addition. ROWS: contiguous rows in packets of 4 (Eigen), their sums one after the other. GROUPS: groups of
4, then 2, then 1 elements, each sequentially, then the groups (MLAS). SEQUENTIAL: one after the other. LANES: packets
of 4 in one accumulator, then the elements left over (MLAS)."""


@kernel
def mean_float32(
    elements: Array,
    order: Int64,
    row: Int64,
    input_scale: Float32,
    input_zero: Int64,
    scale: Float32,
    zero_point: Int64,
    low: Float32,
    high: Float32,
    real: Array,
    codes: Array,
) -> None:
    """codes[j] = rint(clamp(f32(f32(sum / n) / scale), low, high)) + zero_point; sum of f32(f32(x - zero) * scale).

    Operands:
        elements: [kept, n] codes.
        order: one of the above. row: length of a row of ROWS, a divisor of n.
        low, high: codes minus the zero point.
        real: float32 [n], scratch.
        codes: [kept], any integer type that holds the limits.
    """
    kept, n = elements.shape
    for j in range(kept):
        for i in range(n):
            real[i] = np.float32(np.int64(elements[j, i]) - input_zero) * input_scale
        total = np.float32(0)
        if order == ROWS:
            for r in range(n // row):
                start = -((r * kept + j) * row) % 4
                total = total + _sum_packets(real[r * row : (r + 1) * row], start)
        elif order == GROUPS:
            total = _sum_groups(real)
        elif order == LANES:
            total = _sum_lanes(real)
        else:
            total = _sum_sequential(real, 0, n)
        multiple = total / np.float32(n) / scale
        codes[j] = np.int64(np.rint(min(max(multiple, low), high))) + zero_point


@kernel
def _sum_sequential(x: Array, first: Int64, end: Int64) -> Float32:
    total = x[first]
    for i in range(first + 1, end):
        total = total + x[i]
    return total


@kernel
def _sum_groups(x: Array) -> Float32:
    total = np.float32(0)
    first = 0
    while first < x.size:
        left = x.size - first
        size = 4 if left >= 4 else 2 if left >= 2 else 1
        group = _sum_sequential(x, first, first + size)
        total = group if first == 0 else total + group
        first += size
    return total


@kernel
def _sum_lanes(x: Array) -> Float32:
    end = x.size // 4 * 4
    lane0 = lane1 = lane2 = lane3 = np.float32(0)
    for i in range(0, end, 4):
        lane0 += x[i]
        lane1 += x[i + 1]
        lane2 += x[i + 2]
        lane3 += x[i + 3]
    total = (lane0 + lane2) + (lane1 + lane3)
    for i in range(end, x.size):
        total = total + x[i]
    return total


@kernel
def _sum_packets(x: Array, start: Int64) -> Float32:
    """Packets of 4 from element `start` (the first aligned one) in two accumulators, then the ends."""
    start = min(start, x.size)
    packets = (x.size - start) // 4
    if packets == 0:
        return _sum_sequential(x, 0, x.size)
    end = start + 4 * packets
    paired = packets // 2 * 2
    lane0, lane1 = _lane(x, start, packets, paired), _lane(x, start + 1, packets, paired)
    lane2, lane3 = _lane(x, start + 2, packets, paired), _lane(x, start + 3, packets, paired)
    total = (lane0 + lane2) + (lane1 + lane3)
    for i in range(start):
        total = total + x[i]
    for i in range(end, x.size):
        total = total + x[i]
    return total


@kernel
def _lane(x: Array, first: Int64, packets: Int64, paired: Int64) -> Float32:
    """One element of every packet: even packets, plus odd packets, plus the last one if it has no partner."""
    if packets == 1:
        return x[first]
    even, odd = x[first], x[first + 4]
    for p in range(2, paired, 2):
        even = even + x[first + 4 * p]
        odd = odd + x[first + 4 * p + 4]
    total = even + odd
    return total + x[first + 4 * paired] if packets > paired else total
