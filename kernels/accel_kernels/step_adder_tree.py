"""A grid whose columns are adder trees (figure 1), stepped cycle by cycle.

In each cycle one vector of R inputs meets R x C weights: the tree below each column adds its products, exactly, and the
column's accumulator takes the sum in one addition. A fold's weights are in place when its first vector comes.
"""

from typing import NamedTuple

import numpy as np

from accel_kernels._jit import lean_kernel, part
from accel_kernels._types import Array, Int64
from accel_kernels.gemm_watch_int64 import add, overflows
from accel_kernels.step_grid import (
    ACROSS_FROM,
    BATCH,
    CURRENT,
    FINISHED,
    FIRST,
    K_FROM,
    POSITION,
    REAL_ACROSS,
    REAL_STREAM,
    STREAM,
    STREAM_FROM,
    TIME,
    K,
    Watch,
    Work,
)


class Registers(NamedTuple):
    """The registers of the grid.

    Attributes:
        inputs: int64 [R]. weights: int64 [R, lanes]. trees: int64 [lanes]; the sums that the trees give in a cycle.
    """

    inputs: Array
    weights: Array
    trees: Array


@lean_kernel
def step_adder_tree(work: Work, grid: Registers, watch: Watch, progress: Array, cycles: Int64) -> None:
    """Step the grid by `cycles` cycles, or until all folds are done.

    Operands:
        work: as `step_resting_sums`; `results` is the accumulator memory.
        watch: low and high are int64.
    """
    folds, results = work.folds, work.results
    inputs, weights, trees = grid
    low, high, events, bits, policy = watch
    rows, lanes = weights.shape
    limit = progress[TIME] + cycles
    while progress[TIME] < limit and progress[FINISHED] == 0:
        current = progress[CURRENT]
        if current < 0 or progress[POSITION] == folds[current, STREAM]:
            if current + 1 == folds.shape[0]:
                progress[FINISHED] = 1
                break
            current += 1
            work.begins[current] = progress[TIME]
            progress[CURRENT], progress[POSITION] = current, 0
            _place_weights(folds[current], work.rests, weights)
            if folds[current, FIRST]:
                _start(folds[current], work.starts, results)
        fold, position = folds[current], progress[POSITION]
        depth = fold[K] if position < fold[REAL_STREAM] else np.int64(0)
        for i in range(rows):
            inputs[i] = 0
        for i in range(depth):
            inputs[i] = work.streams[fold[BATCH], fold[STREAM_FROM] + position, fold[K_FROM] + i]

        for j in range(lanes):
            trees[j] = 0
        for i in range(depth):
            for j in range(lanes):
                trees[j] += inputs[i] * weights[i, j]
        if depth > 0:
            held = results[fold[BATCH], fold[STREAM_FROM] + position]
            for j in range(fold[REAL_ACROSS]):
                before = np.int64(held[fold[ACROSS_FROM] + j])
                v = add(before, trees[j], bits, policy)
                events[j] += np.int64(overflows(before, trees[j], bits))
                held[fold[ACROSS_FROM] + j] = v
                low[j] = min(low[j], v)
                high[j] = max(high[j], v)
        progress[POSITION] += 1
        progress[TIME] += 1


@part()
def _place_weights(fold: Array, rests: Array, weights: Array) -> None:
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            real = i < fold[K] and j < fold[REAL_ACROSS]
            weights[i, j] = (
                np.int64(rests[fold[BATCH], fold[ACROSS_FROM] + j, fold[K_FROM] + i]) if real else np.int64(0)
            )


@part()
def _start(fold: Array, starts: Array, results: Array) -> None:
    for m in range(fold[REAL_STREAM]):
        for j in range(fold[REAL_ACROSS]):
            start = starts[fold[BATCH], 0, min(fold[ACROSS_FROM] + j, starts.shape[2] - 1)]
            results[fold[BATCH], fold[STREAM_FROM] + m, fold[ACROSS_FROM] + j] = start
