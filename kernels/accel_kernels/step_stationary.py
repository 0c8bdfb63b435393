"""A systolic grid with a resting operand, stepped cycle by cycle: weight_stationary and input_stationary.

PE (i, j) holds a resting operand (row = reduction element, column = output channel, or output pixel where inputs rest).
In each cycle it takes the streaming operand of its left neighbour and the partial sum from above, and hands the operand
to the right and sum + operand * resting operand down. Streaming vectors enter skewed: element i in row i, i cycles
late.

The sums *are* the accumulators: what enters at the top of a column is the accumulator's value, read from the
accumulator memory (the start value, bias, for the first fold of a reduction), and what leaves at the bottom is written
back. So an accumulator sees its products one by one, k ascending, as everywhere else. Between two accumulators the read
port keeps the last value and streaming operands are 0: such a slot carries a value through and changes nothing.

The resting operand of a fold shifts in from the top, one row per cycle, column j j cycles late, the last row first; a
load counter moves along to the right (LOADS: rows seen by a column; row i shifts while it is at least i). With shadow
registers it shifts into those while the fold before streams, and PE (i, j) takes it over with its first vector. The
next fold starts when its operand is loaded and the stream has ended; without shadow registers the load begins when all
sums have left. Nothing here knows the closed forms of the cycle model.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.step_grid import (
    ACROSS_FROM,
    BATCH,
    CURRENT,
    FINISHED,
    FIRST,
    K_FROM,
    LAST,
    LOAD_END,
    LOADED,
    NEXT,
    OFFSET,
    OLDEST,
    POSITION,
    REAL_ACROSS,
    REAL_STREAM,
    SAFE,
    STREAM,
    STREAM_FROM,
    SUMS,
    TIME,
    K,
    rebase,
    sweep_down_checked,
    sweep_down_safe,
)

IDLE = -1
"""Load counter of a column that is not being loaded."""


@kernel
def step_stationary(
    folds: Array,
    begins: Array,
    streams: Array,
    rests: Array,
    starts: Array,
    columns: Int64,
    inputs: Array,
    resting: Array,
    shadow: Array,
    sums: Array,
    loads: Array,
    arriving: Array,
    memory: Array,
    results: Array,
    low: Array,
    high: Array,
    events: Array,
    mode: Int64,
    bits: Int64,
    policy: Int64,
    progress: Array,
    span: Int64,
    cycles: Int64,
) -> None:
    """Step the grid by `cycles` cycles, or until all folds are done.

    Operands:
        folds: int64 [F, FIELDS]. begins: int64 [F]; gets the cycle in which each fold's stream begins; without shadow
            registers, its load.
        streams: int16 or int32 [products, length, K]. rests: same type [products, across, K].
        starts: int64 [products, length or 1, across or 1]; what accumulators begin with; fits them.
        columns: C. R is the number of rows of `resting`.
        results: [products, length, across]; gets finished accumulators, in the type of `sums`.

    Registers (see `step_grid` for windows):
        inputs: same type as the streams, [R, window]. resting: same type [R, lanes].
        shadow: the same, or [0, lanes] without shadow registers. loads: int16 [1, window].
        sums: int32 (SAFE) or int64 (CHECKED) [R + 1, lanes]; row 0 is the read port above the grid.
        arriving: [R + C, lanes]; row t mod (R + C) holds what the load path hands to the top row in cycle t.
        memory: accumulator memory, as `sums`: [slots, length + C - 1, lanes]; the value of vector m for column j is in
            row m + j. Slots are enough for all folds whose sums are in the grid.

    Watching:
        low, high: as `sums`, [lanes]. events: int64 [lanes].
        mode: SAFE or CHECKED. bits, policy: of the accumulators; unused where SAFE.
    """
    rows = resting.shape[0]
    shadowed = shadow.shape[0] > 0
    count, depth = folds.shape[0], rows + columns
    limit = progress[TIME] + cycles
    while progress[TIME] < limit and progress[FINISHED] == 0:
        time, offset = progress[TIME], progress[OFFSET]
        current = progress[CURRENT]
        length = folds[current, STREAM] if current >= 0 else np.int64(0)
        left = current < 0 or time >= _starts_at(begins, current, rows, shadowed) + length + depth - 2  # all sums have
        upcoming = progress[NEXT]
        if upcoming == count and left:
            progress[FINISHED] = 1
            break

        loaded = upcoming < count and progress[LOADED] == rows
        if loaded and progress[POSITION] == length:
            current, length = upcoming, folds[upcoming, STREAM]
            left = False
            if shadowed:
                begins[current] = time
            if folds[current, FIRST]:
                _preload(folds[current], starts, columns, memory[_slot(folds, current, memory)])
            upcoming += 1
            progress[CURRENT], progress[POSITION], progress[NEXT], progress[LOADED] = current, 0, upcoming, 0

        loads[0, offset] = IDLE
        if upcoming < count and progress[LOADED] < rows and (shadowed or left):
            if progress[LOADED] == 0:
                _send(folds[upcoming], rests, rows, columns, time, arriving)
                progress[LOAD_END] = time + depth - 1
                if not shadowed:
                    begins[upcoming] = time
            loads[0, offset] = progress[LOADED]
            progress[LOADED] += 1

        if current >= 0 and progress[POSITION] < length:
            _enter(folds[current], progress[POSITION], streams, inputs, offset)
            progress[POSITION] += 1
        else:
            for i in range(rows):
                inputs[i, offset - i] = 0

        oldest = progress[OLDEST]
        for fold in range(oldest, current + 1):
            s = time - _starts_at(begins, fold, rows, shadowed)
            held = memory[_slot(folds, fold, memory)]
            if shadowed and s < depth - 1:
                _take_over(resting, shadow, s, columns)
            if 0 <= s < folds[fold, STREAM] + columns - 1:
                for j in range(max(0, s - folds[fold, STREAM] + 1), min(columns, s + 1)):
                    sums[0, j] = held[s, j]

        if mode == SAFE:
            sweep_down_safe(inputs, offset, resting, sums, low, high)
        else:
            sweep_down_checked(inputs, offset, resting, sums, low, high, events, bits, policy)
        if time < progress[LOAD_END]:
            _shift(shadow if shadowed else resting, loads[0], offset, arriving[time % depth])

        for fold in range(oldest, current + 1):
            s = time - _starts_at(begins, fold, rows, shadowed) - (rows - 1)
            length = folds[fold, STREAM]
            held = memory[_slot(folds, fold, memory)]
            if 0 <= s < length + columns - 1:
                for j in range(max(0, s - length + 1), min(columns, s + 1)):
                    held[s, j] = sums[rows, j]
            if s >= length + columns - 2:
                if folds[fold, LAST]:
                    _collect(folds[fold], held, results)
                progress[OLDEST] = fold + 1

        progress[TIME] += 1
        progress[OFFSET] -= 1
        if progress[OFFSET] < max(rows, columns) - 1:
            rebase(inputs, span)
            rebase(loads, span)
            progress[OFFSET] += span


@kernel
def _starts_at(begins: Array, fold: Int64, rows: Int64, shadowed: Int64) -> Int64:
    """The cycle in which a fold's first vector enters."""
    return begins[fold] if shadowed else begins[fold] + rows


@kernel
def _slot(folds: Array, fold: Int64, memory: Array) -> Int64:
    return folds[fold, SUMS] % memory.shape[0]


@kernel
def _preload(fold: Array, starts: Array, columns: Int64, held: Array) -> None:
    """The accumulators of a fold begin; idle ones with the value of a real one."""
    by_stream, by_column = starts.shape[1] - 1, starts.shape[2] - 1
    last_column, last_vector = max(fold[REAL_ACROSS] - 1, 0), max(fold[REAL_STREAM] - 1, 0)
    for s in range(fold[STREAM] + columns - 1):
        for j in range(columns):
            vector = fold[STREAM_FROM] + min(max(s - j, 0), last_vector)
            column = fold[ACROSS_FROM] + min(j, last_column)
            held[s, j] = starts[fold[BATCH], min(vector, by_stream), min(column, by_column)]


@kernel
def _send(fold: Array, rests: Array, rows: Int64, columns: Int64, time: Int64, arriving: Array) -> None:
    """Row r of the resting operand reaches the top of column j in cycle time + j + rows - 1 - r."""
    depth = arriving.shape[0]
    for j in range(columns):
        for r in range(rows):
            real = j < fold[REAL_ACROSS] and r < fold[K]
            value = np.int64(rests[fold[BATCH], fold[ACROSS_FROM] + j, fold[K_FROM] + r]) if real else np.int64(0)
            arriving[(time + j + rows - 1 - r) % depth, j] = value


@kernel
def _enter(fold: Array, position: Int64, streams: Array, inputs: Array, offset: Int64) -> None:
    """A vector of the stream enters the skew registers."""
    real = fold[K] if position < fold[REAL_STREAM] else np.int64(0)
    vector = streams[fold[BATCH], fold[STREAM_FROM] + position] if real > 0 else streams[0, 0]
    for i in range(inputs.shape[0]):
        inputs[i, offset - i] = np.int64(vector[fold[K_FROM] + i]) if i < real else np.int64(0)


@kernel
def _take_over(resting: Array, shadow: Array, wave: Int64, columns: Int64) -> None:
    """The PEs that a fold's first vector reaches now take their next operand."""
    for i in range(max(0, wave - columns + 1), min(resting.shape[0], wave + 1)):
        resting[i, wave - i] = shadow[i, wave - i]


@kernel
def _shift(chain: Array, loads: Array, offset: Int64, arriving: Array) -> None:
    """The resting operands that are on their way move down one row."""
    for i in range(chain.shape[0] - 1, -1, -1):
        above, here = (chain[i - 1] if i > 0 else arriving), chain[i]
        for j in range(chain.shape[1]):
            here[j] = above[j] if loads[offset + j] >= i else here[j]


@kernel
def _collect(fold: Array, held: Array, results: Array) -> None:
    """Finished accumulators leave the accumulator memory."""
    for m in range(fold[REAL_STREAM]):
        for j in range(fold[REAL_ACROSS]):
            results[fold[BATCH], fold[STREAM_FROM] + m, fold[ACROSS_FROM] + j] = held[m + j, j]
