"""A systolic grid whose accumulators rest, stepped cycle by cycle: output_stationary.

PE (i, j) holds the accumulator of output pixel i and output channel j. In each cycle it takes an input from its left
neighbour and a weight from above, adds their product, and hands both on. Both operands enter skewed: row i i cycles
late, column j j cycles late, so PE (i, j) sees reduction element k in cycle begin + k + i + j.

With its first element a PE loads the start value (bias) before it adds; after its last one the sum leaves over a bus of
its column, one row per cycle. The next fold streams right behind, but not sooner than R cycles after this one, so that
no two sums want the bus at once; a shadow register then holds what leaves. Without shadow registers it waits until all
sums have left. Parts of one reduction (cut for memory) follow each other at once: sums stay.
"""

from typing import NamedTuple

import numpy as np

from accel_kernels._jit import lean_kernel, part
from accel_kernels._types import Array, Int64
from accel_kernels.step_grid import (
    ACROSS_FROM,
    BATCH,
    CURRENT,
    FINISHED,
    FIRST,
    K_FROM,
    LAST,
    OFFSET,
    OLDEST,
    POSITION,
    REAL_ACROSS,
    REAL_STREAM,
    STREAM_FROM,
    TIME,
    K,
    Watch,
    Work,
    rebase,
    rebase_down,
)
from accel_kernels.step_sweeps import sweep_resting


class Registers(NamedTuple):
    """The registers of the grid (see `step_grid` for windows).

    Attributes:
        inputs: int16, where no sum can overflow, or int32 [R, window].
        weights: the same [window, lanes]; row i is at offset + i.
        shadow: as `sums`, or [0, lanes] without shadow registers.
        sums: int32, where no sum can overflow, or int64 [R, lanes].
    """

    inputs: Array
    weights: Array
    shadow: Array
    sums: Array


@lean_kernel
def step_resting_sums(
    work: Work, grid: Registers, watch: Watch, columns: Int64, progress: Array, span: Int64, cycles: Int64
) -> None:
    """Step the grid by `cycles` cycles, or until all folds are done.

    Operands:
        work: streams are inputs [products, pixels, K]; rests weights [products, channels, K]; starts
            [products, 1, channels or 1].
        columns: C. R is the number of rows of `grid.sums`.
    """
    folds, begins, results = work.folds, work.begins, work.results
    inputs, weights, shadow, sums = grid
    rows = sums.shape[0]
    shadowed = shadow.shape[0] > 0
    count, depth = folds.shape[0], rows + columns
    limit = progress[TIME] + cycles
    while progress[TIME] < limit and progress[FINISHED] == 0:
        time, offset, current = progress[TIME], progress[OFFSET], progress[CURRENT]
        ready = current < 0
        if not ready:
            passed, length, ends = time - begins[current], folds[current, K], folds[current, LAST] == 1
            left = passed >= length + depth - 2
            if current == count - 1 and left:
                progress[FINISHED] = 1
                break
            ready = progress[POSITION] == length and (not ends or (passed >= rows if shadowed else left))
        if ready and current + 1 < count:
            current += 1
            begins[current] = time
            progress[CURRENT], progress[POSITION] = current, 0

        entering = np.int64(progress[POSITION] < folds[current, K])
        _enter_column(folds[current], progress[POSITION], entering, work.streams, inputs, offset)
        _enter_row(folds[current], progress[POSITION], entering, work.rests, weights, offset, columns)
        progress[POSITION] += entering

        oldest = progress[OLDEST]
        for fold in range(oldest, current + 1):
            if folds[fold, FIRST]:
                _start(folds[fold], work.starts, time - begins[fold], sums, columns)

        sweep_resting(inputs, offset, weights, sums, watch)

        for fold in range(oldest, current + 1):
            wave = time - begins[fold] - (folds[fold, K] - 1)
            if folds[fold, LAST]:
                _leave(folds[fold], wave, sums, shadow, results, columns)
            if wave >= depth - 2:
                progress[OLDEST] = fold + 1

        progress[TIME] += 1
        progress[OFFSET] -= 1
        if progress[OFFSET] < max(rows, columns) - 1:
            rebase(inputs, span)
            rebase_down(weights, span)
            progress[OFFSET] += span


@part()
def _enter_column(fold: Array, k: Int64, entering: Int64, streams: Array, inputs: Array, offset: Int64) -> None:
    """Element k of every pixel enters the skew registers at the left."""
    for i in range(inputs.shape[0]):
        inside = entering == 1 and i < fold[REAL_STREAM]
        inputs[i, offset - i] = (
            np.int64(streams[fold[BATCH], fold[STREAM_FROM] + i, fold[K_FROM] + k]) if inside else np.int64(0)
        )


@part()
def _enter_row(
    fold: Array, k: Int64, entering: Int64, rests: Array, weights: Array, offset: Int64, columns: Int64
) -> None:
    """Element k of every channel enters the skew registers at the top."""
    for j in range(columns):
        inside = entering == 1 and j < fold[REAL_ACROSS]
        weights[offset - j, j] = (
            np.int64(rests[fold[BATCH], fold[ACROSS_FROM] + j, fold[K_FROM] + k]) if inside else np.int64(0)
        )


@part()
def _start(fold: Array, starts: Array, wave: Int64, sums: Array, columns: Int64) -> None:
    """The accumulators that a fold's first element reaches now take their start values."""
    last = starts.shape[2] - 1
    for i in range(max(0, wave - columns + 1), min(sums.shape[0], wave + 1)):
        if wave - i < fold[REAL_ACROSS]:
            sums[i, wave - i] = starts[fold[BATCH], 0, min(fold[ACROSS_FROM] + wave - i, last)]


@part()
def _leave(fold: Array, wave: Int64, sums: Array, shadow: Array, results: Array, columns: Int64) -> None:
    """The accumulators that have seen a fold's last element leave: one of each column."""
    for i in range(max(0, wave - columns + 1), min(sums.shape[0], wave + 1)):
        j = wave - i
        if shadow.shape[0] > 0:
            shadow[i, j] = sums[i, j]
        if i < fold[REAL_STREAM] and j < fold[REAL_ACROSS]:
            results[fold[BATCH], fold[STREAM_FROM] + i, fold[ACROSS_FROM] + j] = sums[i, j]
