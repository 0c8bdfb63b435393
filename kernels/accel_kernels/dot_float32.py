"""Sums of products in float32, in the orders of MLAS's matrix products (ONNX Runtime).

Operands of all:
    rows: float32 [at least count, taps * channels], a pixel's window in the order tap, channel.
    count, taps: the rows that are computed; kernel positions.
    weights: float32 [K, outputs], in the order in which products are added: channel, then tap.
    start: float32 [C], what sums begin with. -0.0 changes no sum.
    column: of `start` and `sums`, where the outputs begin.
    sums: float32 [at least count, C].
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Float32, Int64
from accel_kernels.fma_float32 import fused_multiply_add

_LANES = 8


@kernel
def chains_float32(
    rows: Array,
    count: Int64,
    taps: Int64,
    weights: Array,
    block: Int64,
    start: Array,
    column: Int64,
    chain: Array,
    sums: Array,
) -> None:
    """Blocks of `block` terms, each a chain of fused multiply-adds from 0, added in order. chain: float32 [outputs]."""
    depth, outputs = weights.shape
    channels = depth // taps
    for i in range(count):
        sums[i, column : column + outputs] = start[column : column + outputs]
        for first in range(0, depth, block):
            chain[:] = np.float32(0)
            for k in range(first, min(first + block, depth)):
                x = rows[i, k % taps * channels + k // taps]
                for co in range(outputs):
                    chain[co] = fused_multiply_add(x, weights[k, co], chain[co])
            for co in range(outputs):
                sums[i, column + co] += chain[co]


@kernel
def groups_float32(
    rows: Array, count: Int64, taps: Int64, weights: Array, start: Array, column: Int64, sums: Array
) -> None:
    """Groups of 4, then 2, then 1 plain products, each group added up, the groups added in order."""
    depth, outputs = weights.shape
    channels = depth // taps
    for i in range(count):
        for co in range(outputs):
            total = start[column + co]
            first = 0
            while first < depth:
                left = depth - first
                size = 4 if left >= 4 else 2 if left >= 2 else 1
                group = rows[i, first % taps * channels + first // taps] * weights[first, co]
                for k in range(first + 1, first + size):
                    group = group + rows[i, k % taps * channels + k // taps] * weights[k, co]
                total = total + group
                first += size
            sums[i, column + co] = total


@kernel
def lanes_float32(
    rows: Array,
    count: Int64,
    taps: Int64,
    weights: Array,
    start: Array,
    column: Int64,
    number: Int64,
    numbers: Int64,
    sums: Array,
) -> None:
    """Term k is added to lane k % 8; how lanes are added depends on a sum's number among those of its vector.

    number: of the first sum. numbers: how many sums the vector has.
    """
    depth, outputs = weights.shape
    channels = depth // taps
    lane = np.zeros(_LANES, np.float32)
    for i in range(count):
        for co in range(outputs):
            lane[:] = np.float32(0)
            for k in range(depth):
                lane[k % _LANES] += rows[i, k % taps * channels + k // taps] * weights[k, co]
            total = _added(lane, (number + i * outputs + co) % numbers, numbers)
            sums[i, column + co] = total + start[column + co]


@kernel
def _added(lane: Array, number: Int64, numbers: Int64) -> Float32:
    fours = numbers // 4 * 4
    if number < fours:
        return (((lane[0] + lane[1]) + lane[2]) + lane[3]) + (((lane[4] + lane[5]) + lane[6]) + lane[7])
    if number < fours + (numbers & 2):
        even, odd = (lane[2] + lane[0]) + (lane[6] + lane[4]), (lane[3] + lane[1]) + (lane[7] + lane[5])
        return even + odd
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]))
